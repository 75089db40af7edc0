"""A panel in a file: long rows of series, stamp and value as they come; in: one grid for all series.

The file is read as snapshots are (`data/ingest/named_columns.py`): Parquet or delimited text of any dialect. Names, values
and stamps are written in many ways, and each cell is read for what it means. Rows are counted from 0, the first below the
header. What makes a whole column doubtful is an error; an infinite value speaks against its own series alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.column_mapping import listed
from data.ingest.file_reader import RawTable
from data.ingest.named_columns import as_text, bad_line_notes, column_values, find_column, own_names, read_table
from data.ingest.parse_values import is_number, is_text, parse_numbers, parse_stamps
from data.schema import MIN_SERIES_COMPLETENESS
from data.schema.errors import SettingError
from data.schema.validation import excerpt, nearest_time_zones, time_zones
from forecasting.cli.panel_grid import (
    DAY,
    EARLIEST,
    FIRST_ROW,
    HOUR,
    IN_MONTHS,
    LATEST,
    MONTH,
    OFF_GRID_AT_MOST,
    Grid,
    Places,
    grid_of,
    lay_on_grid,
    named_step,
)
from forecasting.panel.history import History, Reals

Flags = npt.NDArray[np.bool_]
# Forecasts are kept in single precision, which ends at 3.4e38; what other tools write for infinity lies beyond this,
# and no demand does.
LARGEST = 1e30
EPOCH = pd.Timestamp("1970-01-01")
# Numbers in a column of times, by their usual size: the unit since 1970 and its length in microseconds. 1e8 seconds are
# 1973, below which row numbers and the days of spreadsheets lie; 1e11 are the year 5138, and the same in milliseconds
# 1973 again.
SINCE_1970 = (
    (1e8, "seconds", 1e6),
    (1e11, "milliseconds", 1e3),
    (1e14, "microseconds", 1.0),
    (1e17, "nanoseconds", 1e-3),
)
# The first cells tell whether a column of text holds numbers: to try them all takes as long as reading the file.
TOLD_BY = 100
# Dates written as one number, by their digits; only years from 1900 to 2100 are taken for such.
COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
COMPACT_YEARS = (1900, 2100)


def series_names(values: pa.ChunkedArray, path: Path) -> pd.Series:
    """The names of series as text, just as they stand; raises SettingError for a row without one."""
    names = as_text(values).to_pandas()
    blank = (names.fillna("").str.strip() == "").to_numpy(dtype=bool)
    if blank.any():
        row, like_it = _first(blank)
        raise SettingError(
            f"{path} names no series in row {row}{like_it}.",
            cause="an empty cell, or rows below the table",
            remedy="name the series of every row, or leave the row out",
        )
    return names


def parse_values(values: pa.ChunkedArray, names: pd.Series, path: Path) -> tuple[Reals, dict[str, str], list[str]]:
    """Numbers, NaN where one is missing; for each series with one that is not finite the reason to refuse it; and what
    counts as missing beside empty cells. Raises SettingError for a word.
    """
    if not (is_text(values.type) or is_number(values.type) or pa.types.is_boolean(values.type)):
        values = values.cast(pa.string())
    numbers, unread, counter_ends = parse_numbers(values)
    strange = np.asarray(unread)
    if strange.any():
        row, like_it = _first(strange)
        raise SettingError(
            f"{path} has y = {values[row].as_py()!r} in row {row}, series {names.iloc[row]}, which is no number{like_it}.",
            cause="a unit, a comma or a word stands in the column",
            remedy="write plain numbers, nothing where one is missing",
        )
    notes = [f"{counter_ends} values are the largest number of a counter, and count as missing"] if counter_ends else []
    known = np.asarray(pc.fill_null(numbers, float("nan")), dtype=float)
    return np.where(np.abs(known) <= LARGEST, known, np.nan), _too_large(values, known, names), notes


def _too_large(values: pa.ChunkedArray, numbers: Reals, names: pd.Series) -> dict[str, str]:
    """The reason for each series with a value that no forecast can hold."""
    odd = np.flatnonzero(np.abs(numbers) > LARGEST)
    by_series = pd.Series(odd, dtype="int64").groupby(names.iloc[odd].to_numpy()).agg(["min", "size"])
    return {
        str(
            name
        ): f"y = {str(values[row].as_py())!r} in row {row} is {f'beyond {LARGEST:g}' if np.isfinite(numbers[row]) else 'not finite'}{_like_it(count)}"
        for name, row, count in by_series.itertuples()
    }


def _first(odd: Flags) -> tuple[int, str]:
    """The first odd row, and what to say of the others."""
    return int(np.argmax(odd)), _like_it(int(odd.sum()))


def _like_it(count: int) -> str:
    """How rows are counted, and how many of the odd ones, of which one is named, are left."""
    also = f"; {count - 1} more {'is' if count == 2 else 'are'} like it" if count > 1 else ""
    return f" (rows count from 0{also})"


def _reals(values: pa.ChunkedArray) -> Reals:
    """Numbers, NaN for what is none."""
    return np.asarray(pd.to_numeric(values.to_pandas(), errors="coerce").to_numpy(dtype=float, na_value=np.nan))


def parse_times(values: pa.ChunkedArray, path: Path) -> tuple[pd.Series, list[str]]:
    """Stamps in UTC without a zone, NaT for one beyond the calendar, and what was taken for granted; raises SettingError
    for what is no time. Without a zone a stamp is taken as UTC.
    """
    if is_number(values.type) or (is_text(values.type) and np.isfinite(_reals(values.slice(0, TOLD_BY))).mean() > 0.5):
        return _counted(_reals(values), values, path)
    parsed = parse_stamps(values, "UTC")
    beyond = np.asarray(parsed.beyond)
    stamps = parsed.values.to_pandas().dt.tz_localize(None).dt.as_unit("us").mask(beyond)  # noqa: PD011 - no frame
    _refuse_no_times(values, stamps.isna().to_numpy(dtype=bool) & ~beyond, path)
    return stamps, []


def in_local_time(stamps: pd.Series, values: pa.ChunkedArray, zone: str) -> tuple[pd.Series, str]:
    """Stamps by the clock of a zone, and the zone; as they stand, and no zone, where the file writes local time itself."""
    is_local = np.zeros(len(stamps), bool) if is_number(values.type) else np.asarray(parse_stamps(values).unzoned)
    if is_local.all():
        return stamps, ""
    local = stamps.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    return stamps.where(is_local, local), zone


def check_zone(zone: str) -> str:
    """The zone of `--timezone`; raises SettingError where the zone database does not have it."""
    if zone not in time_zones():
        nearest = ", ".join(nearest_time_zones(zone))
        raise SettingError(
            f"--timezone {excerpt(zone)}: no such zone.",
            cause="a misspelling, or an abbreviation",
            remedy="use an IANA name, for instance UTC or Europe/Berlin" + (nearest and f"; the nearest: {nearest}"),
        )
    return zone


def _refuse_no_times(values: pa.ChunkedArray, odd: Flags, path: Path) -> None:
    if odd.any():
        row, like_it = _first(odd)
        raise SettingError(
            f"{path} has ts = {_cell(values, row)!r} in row {row}, which is no time{like_it}.",
            cause="another format or an empty cell",
            remedy="write times as 2026-01-31 13:00:00, with or without a zone, or row numbers in a column t",
        )


def _cell(values: pa.ChunkedArray, row: int) -> Any:
    """A cell as Python writes it; a missing one as the file does: nothing in text, nan among numbers."""
    try:
        cell = values[row].as_py()
    except (OverflowError, ValueError):
        return str(values[row].cast(pa.int64()))
    return cell if cell is not None else "" if is_text(values.type) else float("nan")


def _counted(numbers: Reals, values: pa.ChunkedArray, path: Path) -> tuple[pd.Series, list[str]]:
    """Stamps that are written as numbers: 20260131, or a time since 1970 in the unit that their size tells."""
    _refuse_no_times(values, ~np.isfinite(numbers), path)
    for digits, form in COMPACT.items():
        stamps = _compact(numbers, digits, form)
        if stamps is not None:
            return stamps, [
                f"ts holds numbers of {digits} digits, which were read as {form} in UTC; the first is {stamps.iloc[0]}"
            ]
    usual = float(np.median(np.abs(numbers)))
    fitting = [(unit, length) for least, unit, length in SINCE_1970 if usual >= least]
    if not fitting:
        raise SettingError(
            f"{path} has ts = {_cell(values, 0)!r} in row 0, and numbers below {SINCE_1970[0][0]:.0f} are no times since 1970.",
            cause="row numbers, or the days of a spreadsheet, stand in the column",
            remedy="name a column of row numbers t, with its step by --freq, or write times as 2026-01-31 13:00:00",
        )
    unit, length = fitting[-1]
    since = numbers * length
    _refuse_no_times(
        values,
        (since < (EARLIEST - EPOCH) / pd.Timedelta(1, "us")) | (since > (LATEST - EPOCH) / pd.Timedelta(1, "us")),
        path,
    )
    stamps = pd.Series(np.round(since).astype("int64").view("datetime64[us]"))
    return stamps, [f"ts holds numbers, which were read as {unit} since 1970 in UTC; the first is {stamps.iloc[0]}"]


def _compact(numbers: Reals, digits: int, form: str) -> pd.Series | None:
    """The stamps, where every number is a date of so many digits."""
    least, most = (year * 10.0 ** (digits - 4) for year in COMPACT_YEARS)
    if not ((numbers >= least) & (numbers < most) & (numbers == np.round(numbers))).all():
        return None
    stamps = pd.to_datetime(pd.Series(numbers.astype("int64")).astype(str), format=form, errors="coerce")
    return stamps.dt.as_unit("us") if stamps.notna().all() else None


def times_of_rows(values: pa.ChunkedArray, step: pd.Timedelta, path: Path) -> tuple[pd.Series, list[str]]:
    """Row numbers as stamps, a step apart, and no note; raises SettingError for what is none, or lies beyond the
    calendar.
    """
    rows = _reals(values)
    odd = ~np.isfinite(rows) | (rows != np.round(rows))
    if odd.any():
        row, like_it = _first(odd)
        raise SettingError(
            f"{path} has a t that is no whole number: {_cell(values, row)!r} in row {row}{like_it}.",
            cause="times stand in the column t, or a cell is empty",
            remedy="name the column of times ts, and count rows in t",
        )
    least, most = (EARLIEST - FIRST_ROW) // step, (LATEST - FIRST_ROW) // step
    odd = (rows < least) | (rows > most)
    if odd.any():
        row, like_it = _first(odd)
        raise SettingError(
            f"{path} has t = {_cell(values, row)!r} in row {row}, beyond the {most} rows of {step} that a calendar holds{like_it}.",
            cause="times since 1970 stand in the column t, or a number is mistyped",
            remedy="name the column of times ts, or count rows from 0",
        )
    return (FIRST_ROW + pd.Series(rows.astype("int64")) * step).dt.as_unit("us"), []


# What other tools call the same columns.
ALIASES = {
    "series_id": ("series_id", "series", "unique_id", "id"),
    "ts": ("ts", "ds", "timestamp", "time", "date", "datetime"),
    "t": ("t",),
    "y": ("y", "value"),
}
# The seasons of a step, where none are named: a day and a week, or what there is of them.
HOURS_OF_SEASONS = (24, 168)
WEEKS_OF_A_YEAR, MONTHS_OF_A_YEAR = 52, 12
# How far ahead where nothing is said; of weeks and longer steps a quarter, of months a year.
HORIZON, HORIZON_WEEKS = "48h", 13


@dataclass(frozen=True, slots=True)
class PanelFile:
    """The rows of a file: `frame` with series_id, place (the step on the `grid`) and y, sorted and without duplicates.

    refused: reasons by series that holds what no forecast can be made of; its other rows are in the frame.
    """

    frame: pd.DataFrame
    grid: Grid
    notes: list[str]
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class PanelPart:
    """Series that are forecast together: their names, their history, in which all end together, and the last step of
    each on the panel's grid.
    """

    names: tuple[str, ...]
    history: History
    ends: tuple[int, ...] = ()

    def ahead(self, name: str, steps: int) -> Places:
        """The steps that follow the last one of a series."""
        return self.ends[self.names.index(name)] + 1 + np.arange(steps)


def read(path: Path, freq: str | None = None, zone: str | None = None, like: Grid | None = None) -> PanelFile:
    """The panel in a file; raises SettingError, with the value, the bound, the cause and the remedy, for one that cannot be
    used.

    `zone`: by whose clock steps of more than an hour are even. `like`: the grid of a panel that this file goes on from.
    """
    raw = read_table(str(path), path)
    columns, names, notes = panel_columns(raw, path)
    y = column_values(raw, columns["y"])
    values, refused, of_values = parse_values(y, names, path)
    frame = pd.DataFrame({"series_id": names.to_numpy(), "y": values})
    if "ts" in columns:
        times = column_values(raw, columns["ts"])
        stamps, of_times = parse_times(times, path)
        refused |= _beyond_calendar(stamps, times, names)
        frame, grid = _by_time(frame, stamps, times, freq, zone, like, path)
    else:
        step = like.step if like else named_step(freq)[0] if freq else HOUR
        stamps, of_times = times_of_rows(column_values(raw, columns["t"]), step, path)
        frame = _sorted(frame.assign(ts=stamps.to_numpy()))
        grid = like or Grid(step, frame["ts"].min(), numbered=True)
    frame, grid = lay_on_grid(frame, grid, path, like)
    frame, repeated = _once(frame)
    said = [*raw.notes, *bad_line_notes(raw), *notes, *of_values, *of_times, *repeated]
    return PanelFile(frame, grid, said, refused)


def _beyond_calendar(stamps: pd.Series, values: pa.ChunkedArray, names: pd.Series) -> dict[str, str]:
    """The reason for each series with a stamp that no calendar holds."""
    odd = np.flatnonzero(stamps.isna())
    by_series = pd.Series(odd, dtype="int64").groupby(names.iloc[odd].to_numpy()).agg(["min", "size"])
    return {
        str(name): f"ts = {_cell(values, row)} in row {row} lies beyond the calendar{_like_it(count)}"
        for name, row, count in by_series.itertuples()
    }


def _by_time(
    frame: pd.DataFrame,
    stamps: pd.Series,
    values: pa.ChunkedArray,
    freq: str | None,
    zone: str | None,
    like: Grid | None,
    path: Path,
) -> tuple[pd.DataFrame, Grid]:
    """The rows whose stamps the calendar holds, sorted, and their grid; by the clock of the zone, where steps are longer
    than an hour.
    """
    in_utc = _sorted(frame.assign(ts=stamps.to_numpy()).dropna(subset="ts"))
    zone = like.zone if like else zone
    grid = like or grid_of(in_utc, freq, path)
    if not zone or (like is None and grid.step <= HOUR):
        return in_utc, grid
    local, zone = in_local_time(stamps, values, zone)
    by_clock = _sorted(frame.assign(ts=local.to_numpy()).dropna(subset="ts"))
    return by_clock, like or replace(grid_of(by_clock, freq, path), zone=zone)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["series_id", "ts"], kind="stable", ignore_index=True)


def _once(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The last of the rows that repeat a step of their series, and a note where any do."""
    doubled = frame.duplicated(["series_id", "place"], keep="last")
    notes = (
        [f"{int(doubled.sum())} rows repeat the stamp of another row of their series; the last of them was kept"]
        if doubled.any()
        else []
    )
    return frame.loc[~doubled, ["series_id", "place", "y"]].reset_index(drop=True), notes


def panel_columns(raw: RawTable, path: Path) -> tuple[dict[str, str], pd.Series, list[str]]:
    """The file's own names by ours, the series of each row, and a note where the file names none: a column of times and one
    of values are one series, called like the file.
    """
    found = {ours: find_column(raw, names, str(path)) for ours, names in ALIASES.items()}
    columns = {ours: theirs for ours, theirs in found.items() if theirs is not None}
    if "ts" in columns:
        columns.pop("t", None)
    others = [name for name in own_names(raw) if name not in columns.values()]
    has_times = bool(columns.keys() & {"ts", "t"})
    if has_times and "series_id" not in columns and len(others) + ("y" in columns) == 1:
        columns.setdefault("y", others[0] if others else "")
        name = path.name.split(".")[0] or path.name
        names = pd.Series(name, index=range(raw.table.num_rows), dtype="str")
        what = "" if not others else f"; {excerpt(others[0])} is its value"
        return columns, names, [f"the file names no series: its rows are one, called {name}{what}"]
    missing = [name for name in ("series_id", "y") if name not in columns] + ([] if has_times else ["ts"])
    if missing:
        raise SettingError(
            f"{path} has no column {' and no column '.join(missing)}; it has {listed(own_names(raw))}.",
            cause="the table is wide, or its columns have other names",
            remedy="write it long: series_id, ts (or t, a row number), y; a single series may do without series_id",
        )
    return columns, series_names(column_values(raw, columns["series_id"]), path), []


def parts(panel: PanelFile, seasons: Sequence[int], without: Collection[str] = ()) -> list[PanelPart]:
    """The series but for those `without`, as one history in which each ends with its own last value: what one shows of a
    model counts for the others too. A series begins with its first value, before which all is missing.
    """
    rows = panel.frame[~panel.frame["series_id"].isin(list(without))].dropna(subset="y")
    if rows.empty:
        return []
    own = rows.groupby("series_id")["place"].agg(["min", "max"])
    length = int((own["max"] - own["min"]).max()) + 1
    values = np.full((length, len(own)), np.nan)
    back = rows["series_id"].map(own["max"]).to_numpy() - rows["place"].to_numpy()
    values[length - 1 - back, own.index.get_indexer(rows["series_id"])] = rows["y"].to_numpy()
    last = int(own["max"].max())
    stamps = panel.grid.even(np.arange(last - length + 1, last + 1))
    names = tuple(map(str, own.index))
    return [PanelPart(names, History(stamps, values, tuple(seasons)), tuple(map(int, own["max"])))]


def sparse(panel: PanelFile) -> dict[str, str]:
    """Series whose stamps lie so far apart that most of their life is missing, with the stamp that stands furthest off:
    one mistyped year is enough.

    They are told before any history is laid out, which a stamp of the year 9999 would make as long as the calendar.
    """
    reasons = {}
    for name, places in panel.frame.dropna(subset="y").groupby("series_id")["place"]:
        life = int(places.iloc[-1] - places.iloc[0]) + 1
        if len(places) < MIN_SERIES_COMPLETENESS * life:
            share = f"{len(places) / life:.0%} of the values since its first one are usable; at least {MIN_SERIES_COMPLETENESS:.0%} are needed"
            reasons[str(name)] = f"{share}: {_furthest(panel.grid, str(name), places.to_numpy())}"
    return reasons


def _furthest(grid: Grid, name: str, places: Places) -> str:
    """The stamp beside the widest gap, on its emptier side."""
    gap = int(np.argmax(np.diff(places))) + 1
    odd, other = (gap, gap - 1) if 2 * gap >= len(places) else (gap - 1, gap)
    apart, where = abs(places[odd] - places[other]), "after" if odd > other else "before"
    return (
        f"{grid.text(name, places[odd])} stands {apart} steps {where} {grid.text(name, places[other])}, "
        "and nothing between them"
    )


def seasons_of(panel: PanelFile) -> tuple[int, ...]:
    """The cycles of a panel's step: a day and a week, as far as a step divides them; a week of daily values; a year of
    weeks, months and quarters, where half of the series have seen two.
    """
    grid = panel.grid
    if grid.step < 7 * DAY:
        lengths = [pd.Timedelta(hours=hours) / grid.step for hours in HOURS_OF_SEASONS]
        return tuple(
            round(length) for length in lengths if length >= 2 and abs(length - round(length)) < OFF_GRID_AT_MOST
        )
    in_months = MONTHS_OF_A_YEAR // grid.months if grid.months and MONTHS_OF_A_YEAR % grid.months == 0 else 0
    year = WEEKS_OF_A_YEAR if grid.step == 7 * DAY else in_months
    lives = panel.frame.dropna(subset="y").groupby("series_id").size()
    return (year,) if year > 1 and len(lives) and lives.median() >= 2 * year else ()


def actuals(panel: PanelFile, part: PanelPart, horizon: int) -> Reals:
    """Actual values after a part, (H, N), from the panel of a test file; NaN where it has nothing."""
    values = np.full((horizon, len(part.names)), np.nan)
    own = panel.frame[panel.frame["series_id"].isin(part.names)]
    column = pd.Index(part.names).get_indexer(own["series_id"])
    ahead = own["place"].to_numpy() - np.array(part.ends, dtype=np.int64)[column] - 1
    inside = (ahead >= 0) & (ahead < horizon)
    values[ahead[inside], column[inside]] = own["y"].to_numpy()[inside]
    return values


def steps(text: str | None, grid: Grid) -> int:
    """A horizon such as 48h, 14d, 12 months or 48 (steps) in steps; raises SettingError for one below a step. Without one
    48 hours, or a year of months and a quarter of weeks.
    """
    if text is None and grid.step > DAY and not grid.numbered:
        return max(MONTHS_OF_A_YEAR // grid.months if grid.months else round(HORIZON_WEEKS * 7 * DAY / grid.step), 1)
    text = HORIZON if text is None else text
    try:
        if text.isdigit():
            count = int(text)
        elif in_months := IN_MONTHS.match(text.strip()):
            months = int(in_months[1]) * {"m": 1, "q": 3, "y": 12}[in_months[2][0].lower()]
            count = months // grid.months if grid.months else int(months * MONTH / grid.step)
        else:
            count = int(pd.Timedelta(text) / grid.step)
    except ValueError as error:
        raise SettingError(
            f"{text!r} is no horizon.", cause="it is mistyped", remedy="write 48h, 14d or a number of steps"
        ) from error
    if count < 1:
        raise SettingError(
            f"A horizon of {text} is less than one step of {grid.words}.",
            cause="a unit is missing",
            remedy="write 48h, 14d or a number of steps",
        )
    return count
