"""A panel in a file: long rows of series, stamp and value, Parquet or CSV, as they come; in: even grids, one for all
series that end together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import ArrowInvalid

from data.schema.errors import SettingError
from forecasting.cli import panel_cells as cells
from forecasting.cli.panel_cells import FIRST_ROW
from forecasting.evaluation.cold_start import COMPLETE_AT_LEAST
from forecasting.panel.history import History, Reals

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
class Part:
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
    names = cells.named(raw[columns["series_id"]], path)
    numbers, refused = cells.measured(raw[columns["y"]], names, path)
    step = _step_named(freq) if freq is not None or numbered else None
    stamps, notes = (
        cells.from_rows(raw[columns["t"]], step or HOUR, path) if numbered else cells.times(raw[columns["ts"]], path)
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
    found = {ours: name for ours, names in ALIASES.items() for name in reversed(names) if name in raw.columns}
    missing = [name for name in ("series_id", "y") if name not in found] + (
        ["ts"] if not found.keys() & {"ts", "t"} else []
    )
    if missing:
        raise SettingError(
            f"{path} has no column {' and no column '.join(missing)}; it has {', '.join(map(str, raw.columns))}.",
            cause="the table is wide, or its columns have other names",
            remedy="write it long: series_id, ts (or t, a row number), y",
        )
    return found


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


def parts(panel: PanelFile, seasons: Sequence[int], without: Collection[str] = ()) -> list[Part]:
    """The series by where they end, as histories, but for those `without`; a series begins with its first value, before
    which all is missing.
    """
    held = panel.frame[~panel.frame["series_id"].isin(list(without))].dropna(subset="y")
    last = held.groupby("series_id")["ts"].max()
    return [_part(held, list(names), end, panel.step, seasons) for end, names in last.groupby(last).groups.items()]


def sparse(panel: PanelFile) -> dict[str, str]:
    """Series whose stamps lie so far apart that most of their life is missing, with the stamp that stands furthest off:
    one mistyped year is enough.

    They are told before any history is laid out, which a stamp of the year 9999 would make as long as the calendar.
    """
    found = {}
    for name, stamps in panel.frame.dropna(subset="y").groupby("series_id")["ts"]:
        life = (stamps.iloc[-1] - stamps.iloc[0]) / panel.step + 1
        if len(stamps) < COMPLETE_AT_LEAST * life:
            share = f"{len(stamps) / life:.0%} of the values since its first one are usable; at least {COMPLETE_AT_LEAST:.0%} are needed"
            found[str(name)] = f"{share}: {_furthest(panel, pd.DatetimeIndex(stamps))}"
    return found


def _furthest(panel: PanelFile, stamps: pd.DatetimeIndex) -> str:
    """The stamp beside the widest gap, on its emptier side."""
    gap = int(np.argmax(np.diff(stamps))) + 1
    odd, other = (gap, gap - 1) if 2 * gap >= len(stamps) else (gap - 1, gap)
    apart = abs(round((stamps[odd] - stamps[other]) / panel.step))
    return f"{panel.place(stamps[odd])} stands {apart} steps {'after' if odd > other else 'before'} {panel.place(stamps[other])}, and nothing between them"


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
        raise SettingError(
            f"{text!r} is no horizon.", cause="it is mistyped", remedy="write 48h, 14d or a number of steps"
        ) from error
    if found < 1:
        raise SettingError(
            f"A horizon of {text} is less than one step of {step}.",
            cause="a unit is missing",
            remedy="write 48h, 14d or a number of steps",
        )
    return found
