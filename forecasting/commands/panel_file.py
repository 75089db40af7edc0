"""A panel in a file: long rows of series, stamp and value, Parquet or CSV, as they come; in: even grids, one for all series that end together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import ArrowInvalid

from data.errors import SettingError
from forecasting.models.history import History, Reals

# What other tools call the same columns.
ALIASES = {"series_id": ("series_id", "series", "unique_id", "id"), "ts": ("ts", "ds", "timestamp", "time"), "t": ("t",), "y": ("y", "value")}
# Row numbers begin on a Monday at midnight, so that a season of seven days is a week.
FIRST_ROW = pd.Timestamp("2000-01-03")
# The seasons of a step, where none are named: a day and a week, or what there is of them.
HOURS_OF_SEASONS = (24, 168)
# A stamp may be off its grid by this share of a step: clocks that write seconds late.
OFF_GRID_AT_MOST = 0.02


@dataclass(frozen=True, slots=True)
class PanelFile:
    """The rows of a file: `frame` with series_id, ts (UTC without a zone), y, sorted and without duplicates. numbered: ts stands for row numbers."""

    frame: pd.DataFrame
    step: pd.Timedelta
    numbered: bool
    notes: list[str]

    def written(self, stamps: pd.DatetimeIndex) -> pd.Index:
        """Stamps as the file writes them: row numbers where it numbers its rows."""
        return pd.Index((stamps - FIRST_ROW) // self.step) if self.numbered else stamps


@dataclass(frozen=True, slots=True)
class Part:
    """Series that end together: their names and their history."""

    names: tuple[str, ...]
    history: History


def read(path: Path, freq: str | pd.Timedelta | None = None) -> PanelFile:
    """The panel in a Parquet or CSV file; raises SettingError, with the value, the bound, the cause and the remedy, for one that cannot be used."""
    raw = _raw(path)
    columns = _columns(raw, path)
    numbered = "ts" not in columns
    frame = pd.DataFrame({"series_id": raw[columns["series_id"]].astype("string").fillna(""), "y": _numbers(raw[columns["y"]], path)})
    step = _step_named(freq) if freq is not None or numbered else None
    frame["ts"] = _from_rows(raw[columns["t"]], step or pd.Timedelta(hours=1), path) if numbered else _stamps(raw[columns["ts"]], path)
    frame = frame.sort_values(["series_id", "ts"], kind="stable")
    doubled = frame.duplicated(["series_id", "ts"], keep="last")
    notes = [f"{int(doubled.sum())} rows repeat the stamp of another row of their series; the last of them was kept"] if doubled.any() else []
    frame = frame[~doubled].reset_index(drop=True)
    step = step or _step_of(frame, path)
    return PanelFile(_on_grid(frame, step, path), step, numbered, notes)


def _raw(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise SettingError(f"There is no file {path}.", cause="the path was mistyped", remedy="name a Parquet or CSV file")
    try:
        raw = pd.read_csv(path) if path.suffix.lower() in {".csv", ".txt"} else pd.read_parquet(path)
    except (ArrowInvalid, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SettingError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}", cause="it is neither Parquet nor CSV, or was cut off",
                           remedy="write it as Parquet (any ending) or as CSV (.csv)") from error  # fmt: skip
    if raw.empty:
        raise SettingError(f"{path} has no row; at least one series with two values is needed.", cause="it was written empty", remedy="write series_id, ts, y")
    return raw


def _columns(raw: pd.DataFrame, path: Path) -> dict[str, str]:
    """The file's own names by ours."""
    found = {ours: name for ours, names in ALIASES.items() for name in reversed(names) if name in raw.columns}
    missing = [name for name in ("series_id", "y") if name not in found] + (["ts"] if not found.keys() & {"ts", "t"} else [])
    if missing:
        raise SettingError(f"{path} has no column {' and no column '.join(missing)}; it has {', '.join(map(str, raw.columns))}.",
                           cause="the table is wide, or its columns have other names",
                           remedy="write it long: series_id, ts (or t, a row number), y")  # fmt: skip
    return found


def _numbers(values: pd.Series, path: Path) -> Reals:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    strange = np.isnan(numbers) & ~values.isna().to_numpy() | np.isinf(numbers)
    if strange.any():
        row = int(np.argmax(strange))
        raise SettingError(f"{path} has y = {str(values.iloc[row])!r} in row {row}, and {int(strange.sum()) - 1} more that are no finite number.",
                           cause="a unit, a comma or a word stands in the column", remedy="write plain numbers, nothing where one is missing")  # fmt: skip
    return np.asarray(numbers)


def _stamps(values: pd.Series, path: Path) -> pd.Series:
    """UTC without a zone; stamps without a zone are taken as UTC."""
    stamps = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601" if pd.api.types.is_string_dtype(values) else None)
    if stamps.isna().any():
        row = int(np.argmax(stamps.isna().to_numpy()))
        raise SettingError(f"{path} has ts = {values.iloc[row]!r} in row {row}, which is no time.", cause="another format or an empty cell",
                           remedy="write times as 2026-01-31 13:00:00, with or without a zone, or row numbers in a column t")  # fmt: skip
    return stamps.dt.tz_localize(None).dt.as_unit("us")


def _from_rows(values: pd.Series, step: pd.Timedelta, path: Path) -> pd.Series:
    rows = pd.to_numeric(values, errors="coerce")
    if rows.isna().any() or (rows != rows.round()).any():
        raise SettingError(f"{path} has a t that is no whole number.", cause="times stand in the column t", remedy="name the column of times ts")
    return (FIRST_ROW + rows.astype("int64") * step).dt.as_unit("us")


def _step_named(freq: str | pd.Timedelta | None) -> pd.Timedelta:
    """The step of a name such as h, 5min or D; an hour where none is named."""
    try:
        step = pd.Timedelta(pd.tseries.frequencies.to_offset("h" if freq is None else freq))
    except (ValueError, TypeError) as error:
        raise SettingError(f"{freq!r} is no even step.", cause="it is mistyped, or a month, which has no fixed length",
                           remedy="name a step such as 5min, h or D with --freq") from error  # fmt: skip
    if step <= pd.Timedelta(0):
        raise SettingError(f"{freq!r} is no step forward.", cause="it is negative or zero", remedy="name a step such as 5min, h or D with --freq")
    return step


def _step_of(frame: pd.DataFrame, path: Path) -> pd.Timedelta:
    """The commonest distance between neighbours."""
    apart = frame.groupby("series_id", sort=False)["ts"].diff().dropna()
    if apart.empty:
        raise SettingError(
            f"{path} has no series with two stamps, so its step is not known.", cause="every series has but one row", remedy="name it with --freq"
        )
    return pd.Timedelta(apart.mode().iloc[0])


def _on_grid(frame: pd.DataFrame, step: pd.Timedelta, path: Path) -> pd.DataFrame:
    """Stamps moved onto the grid of the first one; raises SettingError where they are not near it."""
    places = (frame["ts"] - frame["ts"].min()) / step
    off = (places - places.round()).abs() > OFF_GRID_AT_MOST
    if off.any():
        row = frame[off].iloc[0]
        raise SettingError(f"{path}: {row.ts} of {row.series_id} and {int(off.sum()) - 1} more stamps are not on a grid of {step} from {frame['ts'].min()}.",
                           cause="the step is another, or the stamps are uneven", remedy="name it with --freq, or even the stamps out")  # fmt: skip
    return frame.assign(ts=(frame["ts"].min() + places.round().astype("int64") * step).dt.as_unit("us"))


def parts(panel: PanelFile, seasons: Sequence[int]) -> list[Part]:
    """The series by where they end, as histories; a series begins with its first value, before which all is missing."""
    held = panel.frame.dropna(subset="y")
    last = held.groupby("series_id")["ts"].max()
    return [_part(held, list(names), end, panel.step, seasons) for end, names in last.groupby(last).groups.items()]


def _part(frame: pd.DataFrame, names: list[str], end: pd.Timestamp, step: pd.Timedelta, seasons: Sequence[int]) -> Part:
    own = frame[frame["series_id"].isin(names)]
    stamps = pd.date_range(own["ts"].min(), end, freq=step, unit="us")
    wide = _wide(own).reindex(stamps)
    return Part(tuple(map(str, wide.columns)), History(stamps, wide.to_numpy(dtype=float), tuple(seasons)))


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """A column for each series; rows are sorted by series and free of duplicates."""
    return rows.set_index(["ts", "series_id"])["y"].unstack("series_id")  # noqa: PD010 - a pivot_table would take means, which nothing asks for


def seasons_of(step: pd.Timedelta) -> tuple[int, ...]:
    """A day and a week in steps, as far as a step divides them; a week alone of daily values."""
    lengths = [pd.Timedelta(hours=hours) / step for hours in HOURS_OF_SEASONS]
    return tuple(round(length) for length in lengths if length >= 2 and abs(length - round(length)) < OFF_GRID_AT_MOST)


def actuals(panel: PanelFile, part: Part, horizon: int) -> Reals:
    """What came after a part, (H, N), from the panel of a test file; NaN where it has nothing."""
    ahead = part.history.ahead(horizon)
    own = panel.frame[panel.frame["series_id"].isin(part.names)]
    return np.asarray(_wide(own).reindex(index=ahead, columns=list(part.names)), dtype=float)


def steps(text: str, step: pd.Timedelta) -> int:
    """A horizon such as 48h, 14d or 48 (steps) in steps; raises SettingError for one below a step."""
    try:
        found = int(text) if text.isdigit() else int(pd.Timedelta(text) / step)
    except ValueError as error:
        raise SettingError(f"{text!r} is no horizon.", cause="it is mistyped", remedy="write 48h, 14d or a number of steps") from error
    if found < 1:
        raise SettingError(f"A horizon of {text} is less than one step of {step}.", cause="a unit is missing", remedy="write 48h, 14d or a number of steps")
    return found
