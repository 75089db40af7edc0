"""`python -m forecasting forecast`: what to expect of the series of a file, with quantiles."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from rich.console import Console

from data.errors import SettingError
from data.schema import QUANTILES
from forecasting.commands.asked import add_panel, asked
from forecasting.commands.panel_file import PanelFile, Part
from forecasting.evaluation.expect import draw, learn

ENDINGS = (".parquet", ".csv", ".json")


def add_forecast(parser: argparse.ArgumentParser) -> None:
    """The options of `forecast`."""
    add_panel(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="a .parquet, .csv or .json to write (default: CSV to standard output)")


def forecast(options: argparse.Namespace) -> int:
    """Write the licensed forecast of every series; the ones that are refused, and why, go to standard error."""
    if options.out and options.out.suffix.lower() not in ENDINGS:
        raise SettingError(f"{options.out} has no ending that is known.", cause="it is mistyped", remedy=f"end it with {', '.join(ENDINGS)}")
    given = asked(options)
    frame = pd.concat([rows(part, given.horizon, given.panel) for part in given.parts], ignore_index=True)
    _write(frame.sort_values(["series_id", frame.columns[1]], kind="stable", ignore_index=True), options.out)
    console = Console(stderr=True, width=160)
    for line in [*given.panel.notes, *(f"refused {name}: {reason}" for name, reason in given.refused.items())]:
        console.print(line, highlight=False)
    return 0


def rows(part: Part, horizon: int, panel: PanelFile) -> pd.DataFrame:
    """The forecasts of one part, long: series_id, ts or t, yhat, quantiles."""
    drawn = draw(learn(part.history, horizon))
    stamps = panel.written(part.history.ahead(horizon))
    frames = []
    for place, name in enumerate(part.names):
        columns = dict(zip(QUANTILES, drawn.quantiles[:, place].T, strict=True))
        frames.append(pd.DataFrame({"series_id": name, "t" if panel.numbered else "ts": stamps, "yhat": drawn.point[:, place], **columns}))
    return pd.concat(frames, ignore_index=True)


def _write(frame: pd.DataFrame, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(frame.to_csv(index=False))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix.lower() == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", date_format="iso", indent=1)
