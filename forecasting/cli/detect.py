"""`python -m forecasting detect`: a causal anomaly score, 0 to 1, for every row of a file.

Unlike a forecast, a score asks for no even stamps: each series lies on the grid of its own commonest step, and a row off
it takes the nearest place.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from data.ingest.named_columns import bad_line_notes, column_values, read_table
from forecasting.cli.panel_file import panel_columns, parse_times, parse_values, times_of_rows
from forecasting.cli.panel_grid import FIRST_ROW, HOUR, named_step
from forecasting.cli.panel_options import listed_with_reasons
from forecasting.cli.table_file import check_ending, write_table
from forecasting.detection.innovations import anomaly_scores

# A grid with this many places for each row comes of a mistyped stamp.
MAX_PLACES_PER_ROW = 50
# Enough rows that a step can be told, and that one can deviate from the others.
MIN_ROWS = 3


def add_detect(parser: argparse.ArgumentParser) -> None:
    """The options of `detect`."""
    parser.add_argument(
        "--panel",
        type=Path,
        required=True,
        metavar="FILE",
        help="Parquet or CSV, long: series_id, ts (or t, a row number), y",
    )
    parser.add_argument(
        "--freq",
        help="step of the stamps, such as 5min, h, D (default: the commonest distance in each series; an hour for row numbers)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .parquet, .csv or .json to write (default: CSV to standard output)"
    )


def detect(options: argparse.Namespace) -> int:
    """Write the scores of every row, in the order of the file; what has none, and why, goes to standard error."""
    check_ending(options.out)
    step = named_step(options.freq)[0] if options.freq else None
    rows, notes = _rows(options.panel, step)
    scored, unscored = score_rows(rows, step)
    write_table(scored, options.out)
    for line in [*notes, *([f"no scores: {listed_with_reasons(unscored)}"] if unscored else []), _summary(scored)]:
        print(line, file=sys.stderr)
    return 0


def _rows(path: Path, step: pd.Timedelta | None) -> tuple[pd.DataFrame, list[str]]:
    """series_id, stamp, y of every row in the order of the file, with ts or t as it is written back; and notes."""
    table = read_table(str(path), path)
    columns, names, notes = panel_columns(table, path)
    values, refused, of_values = parse_values(column_values(table, columns["y"]), names, path)
    if "ts" in columns:
        stamps, of_times = parse_times(column_values(table, columns["ts"]), path)
        written = pd.DataFrame({"ts": stamps.to_numpy()})
    else:
        stamps, of_times = times_of_rows(column_values(table, columns["t"]), step or HOUR, path)
        written = pd.DataFrame({"t": ((stamps - FIRST_ROW) // (step or HOUR)).to_numpy()})
    rows = pd.DataFrame({"series_id": names.to_numpy()}).join(written).assign(y=values, stamp=stamps.to_numpy())
    left_out = [f"values without a score: {listed_with_reasons(refused)}"] if refused else []
    return rows, [*table.notes, *bad_line_notes(table), *notes, *of_values, *of_times, *left_out]


def score_rows(rows: pd.DataFrame, step: pd.Timedelta | None = None) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows with score, direction and expected in place of their stamp, and the reasons by series that has none.

    rows: series_id, stamp, y and whatever else is to be written beside them.
    """
    figures = pd.DataFrame({"score": np.nan, "direction": 0, "expected": np.nan}, index=rows.index)
    reasons: dict[str, str] = {}
    for name, own in rows.dropna(subset="stamp").sort_values("stamp", kind="stable").groupby("series_id", sort=False):
        apart = own["stamp"].diff()
        apart = apart[apart > pd.Timedelta(0)]
        if len(apart) + 1 < MIN_ROWS:
            reasons[str(name)] = f"{len(apart) + 1} stamps, {MIN_ROWS} are needed"
            continue
        own_step = step or pd.Timedelta(apart.mode().iloc[0])
        places = ((own["stamp"] - own["stamp"].iloc[0]) / own_step).round().to_numpy(dtype="int64")
        if places[-1] > MAX_PLACES_PER_ROW * len(own):
            widest = apart.idxmax()
            reasons[str(name)] = f"nothing stands within {apart[widest]} before {own['stamp'][widest]}"
            continue
        values = np.full(places[-1] + 1, np.nan)
        values[places] = own["y"].to_numpy()
        scores = anomaly_scores(values, own_step)
        figures.loc[own.index, "score"] = np.where(own["y"].notna(), scores.score[places], np.nan)
        figures.loc[own.index, "direction"] = scores.direction[places]
        figures.loc[own.index, "expected"] = scores.expected[places]
    return rows.drop(columns="stamp").join(figures), reasons


def _summary(scored: pd.DataFrame) -> str:
    """How much was scored, and the highest score."""
    count = f"{scored['series_id'].nunique()} series, {int(scored['score'].notna().sum()):,} scores"
    if not scored["score"].max() > 0:
        return f"{count}; nothing deviates"
    first = scored.loc[scored["score"].idxmax()]
    at = first["ts"] if "ts" in scored else first["t"]
    return f"{count}; the highest is {first['score']:.2f}, of {first['series_id']} at {at}"
