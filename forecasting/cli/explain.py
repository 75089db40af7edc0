"""`python -m forecasting explain`: which combination of attributes holds the excess of bad events of one minute."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data.ingest.column_mapping import listed
from data.ingest.file_reader import RawTable
from data.ingest.named_columns import bad_line_notes, column_values, find_column, own_names, read_table
from data.schema.errors import SettingError
from forecasting.cli.panel_file import parse_times
from forecasting.cli.table_file import check_ending, write_table
from forecasting.detection.causes import MIN_HISTORY_MINUTES, Cause, localise

# What other tools call the same columns.
ALIASES = {
    "minute": ("minute", "ts", "time", "timestamp", "ds"),
    "bad": ("bad", "bad_count", "stalling_viewers", "stalled", "failed", "failures", "errors"),
    "total": ("total", "total_count", "total_viewers", "viewers", "requests"),
}
CAUSES = 5


@dataclass(frozen=True, slots=True)
class CountedRows:
    """Rows of a file with columns minute, bad, total and `attributes`, and what was left out of them."""

    frame: pd.DataFrame
    attributes: tuple[str, ...]
    notes: list[str]


def add_explain(parser: argparse.ArgumentParser) -> None:
    """The options of `explain`."""
    parser.add_argument(
        "--rows",
        type=Path,
        required=True,
        metavar="FILE",
        help="Parquet or CSV: minute, bad, total, and a column for each attribute; also under the names of --time, --bad and --total",
    )
    parser.add_argument(
        "--minute", required=True, metavar="T", help="the minute to explain, UTC; later rows are not read"
    )
    for name, aliases in ALIASES.items():
        flag = "--time" if name == "minute" else f"--{name}"
        parser.add_argument(flag, metavar="COLUMN", help=f"(default: {', '.join(aliases)}, whichever comes first)")
    parser.add_argument(
        "--attributes",
        metavar="NAMES",
        help="columns to look for causes in, joined by commas (default: all others with at least two values)",
    )
    parser.add_argument("--top", type=int, default=CAUSES, help="causes to write (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .parquet, .csv or .json to write (default: CSV to standard output)"
    )


def explain(options: argparse.Namespace) -> int:
    """Write the ranked causes of one minute; what stands out, or that nothing does, goes to standard error."""
    check_ending(options.out)
    if options.top < 1:
        raise SettingError(f"{options.top} causes are none.", cause="--top was mistyped", remedy="name at least one")
    rows = read_rows(options)
    minute = _minute(options.minute, rows.frame["minute"], options.rows)
    causes = localise(rows.frame, minute, rows.attributes, options.top)
    write_table(causes_table(causes, rows.attributes), options.out)
    earlier = rows.frame.loc[rows.frame["minute"] < minute, "minute"].nunique()
    for line in [*rows.notes, _summary(causes, minute, earlier)]:
        print(line, file=sys.stderr)
    return 0


def causes_table(causes: list[Cause], attributes: tuple[str, ...]) -> pd.DataFrame:
    """A row for each element of each cause: rank, element, the attributes (missing: any value), the cause in words and
    its figures.
    """
    records = [
        {
            "rank": rank,
            "element": place,
            **{name: element.get(name) for name in attributes},
            "cause": str(cause),
            "share_of_excess": cause.share,
            "likelihood_gain": cause.gain,
            "score": cause.score,
            "bad": cause.bad,
            "total": cause.total,
            "expected_bad": cause.expected,
            "named": cause.named,
        }
        for rank, cause in enumerate(causes, start=1)
        for place, element in enumerate(cause.elements)
    ]
    figures = ("share_of_excess", "likelihood_gain", "score", "bad", "total", "expected_bad", "named")
    table = pd.DataFrame(records, columns=["rank", "element", *attributes, "cause", *figures])
    # Whole numbers beside missing ones stay whole.
    return table.astype({name: table[name].convert_dtypes().dtype for name in attributes})


def _summary(causes: list[Cause], minute: pd.Timestamp, earlier: int) -> str:
    """What stands out, in one sentence."""
    if not causes:
        reason = "no earlier minute says what is usual" if not earlier else "no bad event, or no attribute to look in"
        return f"{minute:%Y-%m-%d %H:%M} UTC: nothing to explain: {reason}."
    first = causes[0]
    if first.named:
        return (
            f"{minute:%Y-%m-%d %H:%M} UTC: {first}: {first.bad:,.0f} bad of {first.total:,.0f}, expected "
            f"{first.expected:,.0f}; {first.share:.0%} of the excess."
        )
    why = (
        f"{earlier} earlier minutes are too few; {MIN_HISTORY_MINUTES} are needed"
        if earlier < MIN_HISTORY_MINUTES
        else "the best candidate is weak, or an earlier minute had as high a rate"
    )
    return f"{minute:%Y-%m-%d %H:%M} UTC: no cause stands out: {why}. The candidates are not named."


def read_rows(options: argparse.Namespace) -> CountedRows:
    """The rows of the file, under the names of `localise`; raises SettingError for a file that cannot be used."""
    table = read_table(str(options.rows), options.rows)
    columns = {
        "minute": _column(table, "minute", options.time, options.rows),
        "bad": _column(table, "bad", options.bad, options.rows),
        "total": _column(table, "total", options.total, options.rows),
    }
    raw = pd.DataFrame({name: column_values(table, name).to_pandas() for name in own_names(table)})
    attributes = _attributes(raw, columns, options)
    stamps, notes = parse_times(column_values(table, columns["minute"]), options.rows)
    frame = raw[list(attributes)]
    counts = {name: pd.to_numeric(raw[columns[name]], errors="coerce").astype(float) for name in ("bad", "total")}
    frame = frame.assign(minute=stamps.to_numpy(), **counts)
    usable = (
        (frame["bad"] >= 0) & (frame["total"] >= frame["bad"]) & np.isfinite(frame["total"]) & frame["minute"].notna()
    )
    notes = [*table.notes, *bad_line_notes(table), *notes, *_left_out(raw, columns, usable, options.rows)]
    return CountedRows(frame[usable].reset_index(drop=True), attributes, notes)


def _column(raw: RawTable, name: str, given: str | None, path: Path) -> str:
    """The file's own name of a column."""
    names = (given,) if given else ALIASES[name]
    found = find_column(raw, names, str(path))
    if found is None:
        raise SettingError(
            f"{path} has no column {' or '.join(names)}; it has {listed(own_names(raw))}.",
            cause="the column has another name",
            remedy=f"name it with --{'time' if name == 'minute' else name}",
        )
    return found


def _attributes(raw: pd.DataFrame, columns: dict[str, str], options: argparse.Namespace) -> tuple[str, ...]:
    """The columns that causes are looked for in: those named, or all others with at least two values."""
    others = [str(name) for name in raw.columns if name not in columns.values()]
    if options.attributes:
        named = tuple(name.strip() for name in options.attributes.split(",") if name.strip())
        unknown = [name for name in named if name not in others]
        if unknown or not named:
            raise SettingError(
                f"{options.rows} has no attribute {', '.join(unknown) or 'by an empty name'}; it has {', '.join(others)}.",
                cause="--attributes was mistyped, or names the column of times or counts",
                remedy="name columns of the file, joined by commas",
            )
        return named
    varied = tuple(name for name in others if len(raw[name].dropna().unique()) > 1)
    if not varied:
        raise SettingError(
            f"{options.rows} has no attribute with at least two values beside {', '.join(columns.values())}.",
            cause="the rows are totals",
            remedy="write a row for each combination of attributes, such as partner, bitrate, device",
        )
    return varied


def _minute(text: str, stamps: pd.Series, path: Path) -> pd.Timestamp:
    """The minute that is named, which the file must have."""
    try:
        minute = pd.Timestamp(text)
    except ValueError as error:
        raise SettingError(
            f"{text!r} is no time.", cause="--minute was mistyped", remedy="write it as 2026-01-31T13:00"
        ) from error
    minute = (minute.tz_convert("UTC").tz_localize(None) if minute.tz else minute).as_unit("us")
    if not (stamps == minute).any():
        nearest = stamps.iloc[int((stamps - minute).abs().argmin())]
        raise SettingError(
            f"{path} has no row at {minute}; it reaches from {stamps.min()} to {stamps.max()}, the nearest minute is {nearest}.",
            cause="another zone than UTC was meant, or seconds stand in the stamps",
            remedy="name a minute that the file has",
        )
    return minute


def _left_out(raw: pd.DataFrame, columns: dict[str, str], usable: pd.Series, path: Path) -> list[str]:
    """A note where rows have no usable counts; raises SettingError where none has."""
    count = int((~usable).sum())
    if not count:
        return []
    first = int(np.argmin(usable.to_numpy()))
    bad, total = (raw[columns[name]].iloc[first] for name in ("bad", "total"))
    example = f"row {first} ({columns['bad']} {bad}, {columns['total']} {total})"
    what = f"counts that are missing, negative or no numbers, or more bad than total; the first is {example}"
    if count == len(usable):
        raise SettingError(
            f"No row of {path} can be used: all have {what}.",
            cause="shares stand in place of counts, or the columns are exchanged",
            remedy="write counts of events, bad ones among all of them",
        )
    return [f"{count} of {len(usable)} rows were left out, with {what}."]
