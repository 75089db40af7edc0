"""A panel in a file: long rows of series, stamp and value, Parquet or CSV, as they come; in: even grids, one for all
series that end together.

Names, values and stamps are written in many ways, and each cell is read for what it means. Rows are counted from 0, the
first below the header. What makes a whole column doubtful is an error; an infinite value speaks against its own series
alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyarrow import ArrowInvalid

from data.schema import MIN_SERIES_COMPLETENESS
from data.schema.errors import SettingError
from forecasting.panel.history import History, Reals

Flags = npt.NDArray[np.bool_]
# What other tools write where a value is missing. A series may be called any of these; only an empty name is none.
MISSING = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "#NA",
    "NaN",
    "nan",
    "-NaN",
    "-nan",
    "NULL",
    "null",
    "None",
    "none",
    "<NA>",
    "NaT",
)
# Forecasts are kept in single precision, which ends at 3.4e38; what other tools write for infinity lies beyond this,
# and no demand does.
LARGEST = 1e30
# Row numbers begin on a Monday at midnight, so that a season of seven days is a week.
FIRST_ROW = pd.Timestamp("2000-01-03")
# What a calendar of four digits can write.
EARLIEST, LATEST = pd.Timestamp("0001-01-01"), pd.Timestamp("9999-12-31 23:59:59.999999")
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


def series_names(values: pd.Series, path: Path) -> pd.Series:
    """The names of series as text, just as they stand; raises SettingError for a row without one."""
    names = values.astype("string")
    blank = (names.fillna("").str.strip() == "").to_numpy(dtype=bool)
    if blank.any():
        row, like_it = _first(blank)
        raise SettingError(
            f"{path} names no series in row {row}{like_it}.",
            cause="an empty cell, or rows below the table",
            remedy="name the series of every row, or leave the row out",
        )
    return names


def parse_values(values: pd.Series, names: pd.Series, path: Path) -> tuple[Reals, dict[str, str]]:
    """Numbers, NaN where one is missing, and for each series with one that is not finite the reason to refuse it;
    raises SettingError for a word.
    """
    numbers = _numbers(values)
    blank = values.isna().to_numpy(dtype=bool) | (
        _words(values).isin(MISSING).to_numpy(dtype=bool) if _is_text(values) else False
    )
    strange = np.isnan(numbers) & ~blank
    if strange.any():
        row, like_it = _first(strange)
        raise SettingError(
            f"{path} has y = {str(values.iloc[row])!r} in row {row}, series {names.iloc[row]}, which is no number{like_it}.",
            cause="a unit, a comma or a word stands in the column",
            remedy="write plain numbers, nothing where one is missing",
        )
    return np.where(np.abs(numbers) <= LARGEST, numbers, np.nan), _too_large(values, numbers, names)


def _too_large(values: pd.Series, numbers: Reals, names: pd.Series) -> dict[str, str]:
    """The reason for each series with a value that no forecast can hold."""
    odd = np.flatnonzero(np.abs(numbers) > LARGEST)
    by_series = pd.Series(odd, dtype="int64").groupby(names.iloc[odd].to_numpy()).agg(["min", "size"])
    return {
        str(
            name
        ): f"y = {str(values.iloc[row])!r} in row {row} is {f'beyond {LARGEST:g}' if np.isfinite(numbers[row]) else 'not finite'}{_like_it(count)}"
        for name, row, count in by_series.itertuples()
    }


def _first(odd: Flags) -> tuple[int, str]:
    """The first odd row, and what to say of the others."""
    return int(np.argmax(odd)), _like_it(int(odd.sum()))


def _like_it(count: int) -> str:
    """How rows are counted, and how many of the odd ones, of which one is named, are left."""
    also = f"; {count - 1} more {'is' if count == 2 else 'are'} like it" if count > 1 else ""
    return f" (rows count from 0{also})"


def _is_text(values: pd.Series) -> bool:
    return bool(pd.api.types.is_string_dtype(values) or pd.api.types.is_object_dtype(values))


def _words(values: pd.Series) -> pd.Series:
    return values.astype("string").fillna("").str.strip()


def _numbers(values: pd.Series) -> Reals:
    """Numbers, NaN for what is none."""
    return np.asarray(pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan))


def parse_times(values: pd.Series, path: Path) -> tuple[pd.Series, list[str]]:
    """Stamps in UTC without a zone, and what was taken for granted; raises SettingError for what is no time. Without a
    zone a stamp is taken as UTC.
    """
    text = bool(pd.api.types.is_string_dtype(values))
    if pd.api.types.is_numeric_dtype(values) or (text and np.isfinite(_numbers(values.head(TOLD_BY))).mean() > 0.5):
        return _counted(_numbers(values), values, path)
    stamps = (
        pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601" if text else None)
        .dt.tz_localize(None)
        .dt.as_unit("us")
    )
    _refuse_no_times(values, ~((stamps >= EARLIEST) & (stamps <= LATEST)).to_numpy(dtype=bool), path)
    return stamps, []


def _refuse_no_times(values: pd.Series, odd: Flags, path: Path) -> None:
    if odd.any():
        row, like_it = _first(odd)
        raise SettingError(
            f"{path} has ts = {_plain(values.iloc[row])!r} in row {row}, which is no time{like_it}.",
            cause="another format or an empty cell",
            remedy="write times as 2026-01-31 13:00:00, with or without a zone, or row numbers in a column t",
        )


def _plain(value: Any) -> Any:
    """A value as Python writes it, not as NumPy does."""
    return value.item() if isinstance(value, np.generic) else value


def _counted(numbers: Reals, values: pd.Series, path: Path) -> tuple[pd.Series, list[str]]:
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
            f"{path} has ts = {_plain(values.iloc[0])!r} in row 0, and numbers below {SINCE_1970[0][0]:.0f} are no times since 1970.",
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
    stamps = pd.Series(np.round(since).astype("int64").view("datetime64[us]"), index=values.index)
    return stamps, [f"ts holds numbers, which were read as {unit} since 1970 in UTC; the first is {stamps.iloc[0]}"]


def _compact(numbers: Reals, digits: int, form: str) -> pd.Series | None:
    """The stamps, where every number is a date of so many digits."""
    least, most = (year * 10.0 ** (digits - 4) for year in COMPACT_YEARS)
    if not ((numbers >= least) & (numbers < most) & (numbers == np.round(numbers))).all():
        return None
    stamps = pd.to_datetime(pd.Series(numbers.astype("int64")).astype(str), format=form, errors="coerce")
    return stamps.dt.as_unit("us") if stamps.notna().all() else None


def times_of_rows(values: pd.Series, step: pd.Timedelta, path: Path) -> tuple[pd.Series, list[str]]:
    """Row numbers as stamps, a step apart, and no note; raises SettingError for what is none, or lies beyond the
    calendar.
    """
    rows = _numbers(values)
    odd = ~np.isfinite(rows) | (rows != np.round(rows))
    if odd.any():
        row, like_it = _first(odd)
        raise SettingError(
            f"{path} has a t that is no whole number: {_plain(values.iloc[row])!r} in row {row}{like_it}.",
            cause="times stand in the column t, or a cell is empty",
            remedy="name the column of times ts, and count rows in t",
        )
    least, most = (EARLIEST - FIRST_ROW) // step, (LATEST - FIRST_ROW) // step
    odd = (rows < least) | (rows > most)
    if odd.any():
        row, like_it = _first(odd)
        raise SettingError(
            f"{path} has t = {_plain(values.iloc[row])!r} in row {row}, beyond the {most} rows of {step} that a calendar holds{like_it}.",
            cause="times since 1970 stand in the column t, or a number is mistyped",
            remedy="name the column of times ts, or count rows from 0",
        )
    return (FIRST_ROW + pd.Series(rows.astype("int64"), index=values.index) * step).dt.as_unit("us"), []


# What other tools call the same columns.
ALIASES = {
    "series_id": ("series_id", "series", "unique_id", "id"),
    "ts": ("ts", "ds", "timestamp", "time"),
    "t": ("t",),
    "y": ("y", "value"),
}
# The seasons of a step, where none are named: a day and a week, or what there is of them.
HOURS_OF_SEASONS = (24, 168)
HOUR = pd.Timedelta(hours=1)
# A stamp may be off its grid by this share of a step: clocks that write seconds late.
OFF_GRID_AT_MOST = 0.02


@dataclass(frozen=True, slots=True)
class PanelFile:
    """The rows of a file: `frame` with series_id, ts (UTC without a zone), y, sorted and without duplicates. numbered:
    ts stands for row numbers.

    refused: reasons by series that holds what no forecast can be made of; its other rows are in the frame.
    """

    frame: pd.DataFrame
    step: pd.Timedelta
    numbered: bool
    notes: list[str]
    refused: dict[str, str]

    def written(self, stamps: pd.DatetimeIndex) -> pd.Index:
        """Stamps as the file writes them: row numbers where it numbers its rows."""
        return pd.Index((stamps - FIRST_ROW) // self.step) if self.numbered else stamps

    def place(self, stamp: pd.Timestamp) -> str:
        """One stamp as the file writes it."""
        return str(self.written(pd.DatetimeIndex([stamp]))[0])


@dataclass(frozen=True, slots=True)
class PanelPart:
    """Series that end together: their names and their history."""

    names: tuple[str, ...]
    history: History


def read(path: Path, freq: str | pd.Timedelta | None = None) -> PanelFile:
    """The panel in a Parquet or CSV file; raises SettingError, with the value, the bound, the cause and the remedy, for
    one that cannot be used.
    """
    raw = _raw(path)
    columns = _columns(raw, path)
    numbered = "ts" not in columns
    names = series_names(raw[columns["series_id"]], path)
    numbers, refused = parse_values(raw[columns["y"]], names, path)
    step = _step_named(freq) if freq is not None or numbered else None
    stamps, notes = (
        times_of_rows(raw[columns["t"]], step or HOUR, path) if numbered else parse_times(raw[columns["ts"]], path)
    )
    frame, repeated = _once(pd.DataFrame({"series_id": names.to_numpy(), "ts": stamps.to_numpy(), "y": numbers}))
    step = step or _step_of(frame, path)
    return PanelFile(_on_grid(frame, step, path), step, numbered, [*notes, *repeated], refused)


def _once(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows by series and stamp, the last of those that repeat one, and a note where any do."""
    frame = frame.sort_values(["series_id", "ts"], kind="stable")
    doubled = frame.duplicated(["series_id", "ts"], keep="last")
    notes = (
        [f"{int(doubled.sum())} rows repeat the stamp of another row of their series; the last of them was kept"]
        if doubled.any()
        else []
    )
    return frame[~doubled].reset_index(drop=True), notes


def _raw(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise SettingError(
            f"There is no file {path}.", cause="the path was mistyped", remedy="name a Parquet or CSV file"
        )
    try:
        # As text, or a series called NA would lose its name and 001 its zeros.
        raw = (
            pd.read_csv(path, dtype=str, keep_default_na=False)
            if path.suffix.lower() in {".csv", ".txt"}
            else pd.read_parquet(path)
        )
    except (ArrowInvalid, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SettingError(
            f"{path} cannot be read: {' '.join(str(error).split())[:200]}",
            cause="it is neither Parquet nor CSV, or was cut off",
            remedy="write it as Parquet (any ending) or as CSV (.csv)",
        ) from error
    if raw.empty:
        raise SettingError(
            f"{path} has no row; at least one series with two values is needed.",
            cause="it was written empty",
            remedy="write series_id, ts, y",
        )
    return raw.reset_index() if any(raw.index.names) else raw


def _columns(raw: pd.DataFrame, path: Path) -> dict[str, str]:
    """The file's own names by ours."""
    columns = {ours: name for ours, names in ALIASES.items() for name in reversed(names) if name in raw.columns}
    missing = [name for name in ("series_id", "y") if name not in columns] + (
        ["ts"] if not columns.keys() & {"ts", "t"} else []
    )
    if missing:
        raise SettingError(
            f"{path} has no column {' and no column '.join(missing)}; it has {', '.join(map(str, raw.columns))}.",
            cause="the table is wide, or its columns have other names",
            remedy="write it long: series_id, ts (or t, a row number), y",
        )
    return columns


def _step_named(freq: str | pd.Timedelta | None) -> pd.Timedelta:
    """The step of a name such as h, 5min or D; an hour where none is named."""
    try:
        step = pd.Timedelta(pd.tseries.frequencies.to_offset("h" if freq is None else freq)).as_unit("us")
    except (ValueError, TypeError) as error:
        raise SettingError(
            f"{freq!r} is no even step.",
            cause="it is mistyped, or a month, which has no fixed length",
            remedy="name a step such as 5min, h or D with --freq",
        ) from error
    if step <= pd.Timedelta(0):
        raise SettingError(
            f"{freq!r} is no step forward.",
            cause="it is negative or zero",
            remedy="name a step such as 5min, h or D with --freq",
        )
    return step


def _step_of(frame: pd.DataFrame, path: Path) -> pd.Timedelta:
    """The commonest distance between neighbours."""
    apart = frame.groupby("series_id", sort=False)["ts"].diff().dropna()
    if apart.empty:
        raise SettingError(
            f"{path} has no series with two stamps, so its step is not known.",
            cause="every series has but one row",
            remedy="name it with --freq",
        )
    return pd.Timedelta(apart.mode().iloc[0])


def _on_grid(frame: pd.DataFrame, step: pd.Timedelta, path: Path) -> pd.DataFrame:
    """Stamps moved onto the grid of the first one; raises SettingError where they are not near it."""
    places = (frame["ts"] - frame["ts"].min()) / step
    off = (places - places.round()).abs() > OFF_GRID_AT_MOST
    if off.any():
        row, more = frame[off].iloc[0], int(off.sum()) - 1
        others = f" and {more} more {'stamp' if more == 1 else 'stamps'} are" if more else " is"
        raise SettingError(
            f"{path}: {row.ts} of {row.series_id}{others} not on a grid of {step} from {frame['ts'].min()}.",
            cause="the step is another, or the stamps are uneven",
            remedy="name it with --freq, or even the stamps out",
        )
    return frame.assign(ts=(frame["ts"].min() + places.round().astype("int64") * step).dt.as_unit("us"))


def parts(panel: PanelFile, seasons: Sequence[int], without: Collection[str] = ()) -> list[PanelPart]:
    """The series by where they end, as histories, but for those `without`; a series begins with its first value, before
    which all is missing.
    """
    rows = panel.frame[~panel.frame["series_id"].isin(list(without))].dropna(subset="y")
    last = rows.groupby("series_id")["ts"].max()
    return [_part(rows, list(names), end, panel.step, seasons) for end, names in last.groupby(last).groups.items()]


def sparse(panel: PanelFile) -> dict[str, str]:
    """Series whose stamps lie so far apart that most of their life is missing, with the stamp that stands furthest off:
    one mistyped year is enough.

    They are told before any history is laid out, which a stamp of the year 9999 would make as long as the calendar.
    """
    reasons = {}
    for name, stamps in panel.frame.dropna(subset="y").groupby("series_id")["ts"]:
        life = (stamps.iloc[-1] - stamps.iloc[0]) / panel.step + 1
        if len(stamps) < MIN_SERIES_COMPLETENESS * life:
            share = f"{len(stamps) / life:.0%} of the values since its first one are usable; at least {MIN_SERIES_COMPLETENESS:.0%} are needed"
            reasons[str(name)] = f"{share}: {_furthest(panel, pd.DatetimeIndex(stamps))}"
    return reasons


def _furthest(panel: PanelFile, stamps: pd.DatetimeIndex) -> str:
    """The stamp beside the widest gap, on its emptier side."""
    gap = int(np.argmax(np.diff(stamps))) + 1
    odd, other = (gap, gap - 1) if 2 * gap >= len(stamps) else (gap - 1, gap)
    apart = abs(round((stamps[odd] - stamps[other]) / panel.step))
    return f"{panel.place(stamps[odd])} stands {apart} steps {'after' if odd > other else 'before'} {panel.place(stamps[other])}, and nothing between them"


def _part(
    frame: pd.DataFrame, names: list[str], end: pd.Timestamp, step: pd.Timedelta, seasons: Sequence[int]
) -> PanelPart:
    own = frame[frame["series_id"].isin(names)]
    stamps = pd.date_range(own["ts"].min(), end, freq=step, unit="us")
    wide = _wide(own).reindex(stamps)
    return PanelPart(tuple(map(str, wide.columns)), History(stamps, wide.to_numpy(dtype=float), tuple(seasons)))


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """A column for each series; rows are sorted by series and free of duplicates."""
    return rows.set_index(["ts", "series_id"])["y"].unstack("series_id")  # noqa: PD010 - a pivot_table would take means, which nothing asks for


def seasons_of(step: pd.Timedelta) -> tuple[int, ...]:
    """A day and a week in steps, as far as a step divides them; a week alone of daily values."""
    lengths = [pd.Timedelta(hours=hours) / step for hours in HOURS_OF_SEASONS]
    return tuple(round(length) for length in lengths if length >= 2 and abs(length - round(length)) < OFF_GRID_AT_MOST)


def actuals(panel: PanelFile, part: PanelPart, horizon: int) -> Reals:
    """Actual values after a part, (H, N), from the panel of a test file; NaN where it has nothing."""
    ahead = part.history.ahead(horizon)
    own = panel.frame[panel.frame["series_id"].isin(part.names)]
    return np.asarray(_wide(own).reindex(index=ahead, columns=list(part.names)), dtype=float)


def steps(text: str, step: pd.Timedelta) -> int:
    """A horizon such as 48h, 14d or 48 (steps) in steps; raises SettingError for one below a step."""
    try:
        count = int(text) if text.isdigit() else int(pd.Timedelta(text) / step)
    except ValueError as error:
        raise SettingError(
            f"{text!r} is no horizon.", cause="it is mistyped", remedy="write 48h, 14d or a number of steps"
        ) from error
    if count < 1:
        raise SettingError(
            f"A horizon of {text} is less than one step of {step}.",
            cause="a unit is missing",
            remedy="write 48h, 14d or a number of steps",
        )
    return count
