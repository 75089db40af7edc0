"""`python -m forecasting forecast`: what to expect of the series of a file, with quantiles, and why it is that."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from data.schema import QUANTILES
from forecasting.cli import model_comparison
from forecasting.cli.model_comparison import LICENSED, ModelForecast
from forecasting.cli.panel_file import PanelFile, PanelPart
from forecasting.cli.panel_options import (
    PanelOptions,
    add_models,
    add_panel,
    at_least_one,
    first_names,
    models_of,
    panel_options,
    worker_pool,
)
from forecasting.cli.table_file import check_ending, write_table
from forecasting.evaluation.licence import Licence
from forecasting.evaluation.model_selection import ORIGINS, SelectedForecast


@dataclass
class FileForecasts:
    """Forecasts, a frame for each part and model; seconds by model; licences by series; and by what they say, the
    series that notes are about.
    """

    frames: list[pd.DataFrame] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    licences: dict[str, list[Licence]] = field(default_factory=dict)
    about: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def frame(self) -> pd.DataFrame:
        """All rows by series, the models of each in the order asked for."""
        return pd.concat(self.frames, ignore_index=True).sort_values("series_id", kind="stable", ignore_index=True)

    @property
    def notes(self) -> list[str]:
        """Notes on the forecasts, each with the series that it holds for."""
        return [f"{note}: {first_names(names)}" for note, names in self.about.items()]


def add_forecast(parser: argparse.ArgumentParser) -> None:
    """The options of `forecast`."""
    add_panel(parser)
    parser.add_argument(
        "--origins",
        type=int,
        default=ORIGINS,
        help="past cycles, usually weeks, whose forecasts choose what is drawn and how wide its bands are (default: %(default)s)",
    )
    add_models(parser, "the licensed one alone; it is always among them")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .parquet, .csv or .json to write (default: CSV to standard output)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="OUT",
        help="write forecasts, licences, refusals and notes; - for standard output, without the CSV",
    )


def forecast(options: argparse.Namespace) -> int:
    """Write the forecasts of every series; the ones that are refused, and why, go to standard error."""
    check_ending(options.out)
    request, answer, count = panel_options(options), FileForecasts(), at_least_one(options.origins)
    models = models_of(options, request.seasons, [LICENSED])
    with worker_pool(options, models) as executor:
        for part in request.parts:
            forecasts, selected = model_comparison.forecast_models(
                part.history, request.horizon, models, count, executor
            )
            _add(answer, part, forecasts, selected, request.panel)
    report = _report(answer, request, models, count)
    if options.out or str(options.json) != "-":
        write_table(answer.frame if len(models) > 1 else answer.frame.drop(columns="model"), options.out)
    if options.json:
        model_comparison.write_json({**report, "forecasts": _records(answer.frame)}, options.json)
    model_comparison.print_notes(Console(stderr=True), report)
    return 0


def _add(
    answer: FileForecasts,
    part: PanelPart,
    forecasts: dict[str, ModelForecast],
    selected: SelectedForecast,
    panel: PanelFile,
) -> None:
    """The forecasts of one part, and what they rest on."""
    answer.licences |= {name: selected.licences(place) for place, name in enumerate(part.names)}
    for place, name in enumerate(part.names):
        if untested := _untested(selected, place):
            answer.about[untested].append(name)
        for model, forecast_of_model in forecasts.items():
            answer.seconds[model] += forecast_of_model.seconds / len(part.names)
            if np.isfinite(forecast_of_model.point[:, place]).all():
                answer.frames.append(rows(part, place, model, forecast_of_model, panel))
            else:
                answer.about[f"no forecast by {model}, which needs more history or more series"].append(name)


def rows(part: PanelPart, place: int, model: str, forecast_of_model: ModelForecast, panel: PanelFile) -> pd.DataFrame:
    """One model's forecast of one series, long: series_id, model, ts or t, yhat, quantiles."""
    name = part.names[place]
    stamps = panel.grid.written(name, part.ahead(name, len(forecast_of_model.point)))
    columns = dict(zip(QUANTILES, forecast_of_model.quantiles[:, place].T, strict=True))
    return pd.DataFrame(
        {
            "series_id": name,
            "model": model,
            "t" if panel.grid.numbered else "ts": stamps,
            "yhat": forecast_of_model.point[:, place],
            **columns,
        }
    )


def _untested(selected: SelectedForecast, series: int) -> str:
    """From where on no past origin of a series, or too few, could tell what is best; empty where all was tested."""
    verdicts = zip(selected.bands, selected.verdicts, strict=True)
    blank = [band for band, verdict in verdicts if not verdict.origins[series]]
    if not blank:
        return ""
    names = ", ".join(band.name for band in blank)
    where = f"beyond {blank[0].first} steps" if blank[0].first else "at any step"
    return f"untested {where} ({names}), where too few past origins reach, so that nothing is proven there"


def _report(answer: FileForecasts, request: PanelOptions, models: Sequence[str], count: int) -> dict[str, Any]:
    """The JSON report beside the forecasts, with the keys of `backtest`."""
    return {
        "horizon": request.horizon,
        "step": request.panel.grid.words,
        "season": list(request.seasons),
        "origins_asked": count,
        "models": [{"model": model, "seconds": round(answer.seconds[model], 3)} for model in models],
        "series": {
            name: {"licences": model_comparison.licence_records(licences)}
            for name, licences in sorted(answer.licences.items())
        },
        "refused": model_comparison.refusal_records(request.refused),
        "notes": [*request.notes, *answer.notes],
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them, stamps as ISO 8601 in UTC without a zone, as in the table."""
    stamps = {"ts": frame["ts"].map(pd.Timestamp.isoformat)} if "ts" in frame else {}
    return [
        {str(name): model_comparison.json_value(value) for name, value in row.items()}
        for row in frame.assign(**stamps).to_dict("records")
    ]
