"""What the cells of a panel file mean: names, values and stamps, each of which people write in many ways.

Rows are counted from 0, the first below the header. What makes a whole column doubtful is an error; an infinite value
speaks against its own series alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema.errors import SettingError
from forecasting.panel.history import Reals

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


def named(values: pd.Series, path: Path) -> pd.Series:
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


def measured(values: pd.Series, names: pd.Series, path: Path) -> tuple[Reals, dict[str, str]]:
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


def times(values: pd.Series, path: Path) -> tuple[pd.Series, list[str]]:
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


def from_rows(values: pd.Series, step: pd.Timedelta, path: Path) -> tuple[pd.Series, list[str]]:
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
