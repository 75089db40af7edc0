"""The grid of a panel: which step each stamp is, and the stamps of the steps that follow.

Steps are even (5 minutes, an hour, a week), row numbers, or of the calendar: months, quarters and years have no one
length, and a day that begins at local midnight begins an hour earlier or later in UTC when the clocks change. Models see
an even grid in any case; forecasts are written as the file writes its stamps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema.errors import SettingError

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
HOUR, DAY, MONTH = pd.Timedelta(hours=1), pd.Timedelta(days=1), pd.Timedelta(days=365.25 / 12)
# Row numbers begin on a Monday at midnight, so that a season of seven days is a week.
FIRST_ROW = pd.Timestamp("2000-01-03")
# What a calendar of four digits can write.
EARLIEST, LATEST = pd.Timestamp("0001-01-01"), pd.Timestamp("9999-12-31 23:59:59.999999")
# A stamp may be off its grid by this share of a step: clocks that write seconds late.
OFF_GRID_AT_MOST = 0.02
# Clocks change by an hour at most, and zones lie a multiple of a quarter of an hour apart.
CLOCK_CHANGE, CLOCK_PARTS = HOUR, "15min"
# A month that begins at local midnight begins up to 14 hours earlier in UTC.
ZONES_AHEAD = pd.Timedelta(hours=14)
DAYS_OF_A_MONTH = (28, 31)
# The names that pandas gives to steps of months, now and before: beginnings (MS), ends (ME, M), with the month in which a
# year or quarter begins (QS-JAN), several at once (2QE).
NAMED_MONTHS = re.compile(r"^(\d*)(MS|ME|M|QS|QE|Q|YS|YE|Y|AS|A)(?:-[A-Z]{3})?$")
MONTHS_OF = {"M": 1, "Q": 3, "Y": 12, "A": 12}
MONTH_WORDS = {1: "month", 3: "quarter", 12: "year"}
# Horizons in months, quarters and years, as people write them.
IN_MONTHS = re.compile(r"^(\d+)\s*(mo|months?|M|MS|q|Q|quarters?|y|Y|years?)$")


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps of a panel, counted from `origin`.

    step: their length on the grid that models see, the mean one where each is of so many calendar `months`. at_end: months
    are stamped by their end. numbered: the file numbers its rows. zone: by whose clock steps are even, where the file's
    stamps are in UTC. last: the last step of each series and its stamp.
    """

    step: pd.Timedelta
    origin: pd.Timestamp
    months: int = 0
    at_end: bool = False
    numbered: bool = False
    zone: str = ""
    last: Mapping[str, tuple[int, pd.Timestamp]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The step in words."""
        if not self.months:
            return str(self.step)
        unit = max(each for each in MONTH_WORDS if self.months % each == 0)
        count = self.months // unit
        return f"{count} {MONTH_WORDS[unit]}{'s' if count > 1 else ''}"

    def even(self, places: Places) -> pd.DatetimeIndex:
        """The stamps of steps on the even grid that models see."""
        return pd.DatetimeIndex(self.origin + places * self.step).as_unit("us")

    def written(self, name: str, places: Places) -> pd.Index:
        """Steps of a series as the file writes them: row numbers, or stamps that go on from the last one of the series."""
        place, stamp = self.last[name]
        stamps = _add_steps(stamp, np.asarray(places) - place, self)
        if self.numbered:
            return pd.Index((stamps - FIRST_ROW) // self.step)
        if self.zone:
            local = stamps.tz_localize(self.zone, ambiguous=np.ones(len(stamps), bool), nonexistent="shift_forward")
            return local.tz_convert("UTC").tz_localize(None)
        return stamps

    def text(self, name: str, place: int) -> str:
        """One step of a series as the file writes it."""
        return str(self.written(name, np.array([place]))[0])


def _add_steps(stamp: pd.Timestamp, counts: Places, grid: Grid) -> pd.DatetimeIndex:
    if not grid.months:
        return pd.DatetimeIndex(stamp + counts * grid.step).as_unit("us")
    month, rest = _month_and_rest(pd.Series([stamp]), at_end=grid.at_end)
    return pd.DatetimeIndex(_begin_of(month[0] + counts * grid.months + grid.at_end) + rest[0]).as_unit("us")


# Months --------------------------------------------------------------------------------------------------------------


def _month_and_rest(stamps: pd.Series, *, at_end: bool) -> tuple[Places, pd.Series]:
    """The month of each stamp, counted from January of the year 0, and how far the stamp lies from where the month begins
    (or from where it ends).
    """
    ahead = stamps + ZONES_AHEAD
    months = (12 * ahead.dt.year + ahead.dt.month - 1).to_numpy(dtype=np.int64)
    return months, stamps - pd.Series(_begin_of(months + at_end), index=stamps.index)


def _begin_of(months: Places) -> pd.DatetimeIndex:
    """Where months begin."""
    return pd.DatetimeIndex((np.asarray(months) - 12 * 1970).astype("datetime64[M]").astype("datetime64[us]"))


def _is_monthly(frame: pd.DataFrame, months: int, *, at_end: bool) -> bool:
    """Whether the stamps of each series lie so many months apart, at one place of the month."""
    month, rest = _month_and_rest(frame["ts"], at_end=at_end)
    by_series = pd.DataFrame({"month": month, "rest": rest}).groupby(frame["series_id"].to_numpy())
    apart = by_series["month"].diff()
    spread = by_series["rest"].max() - by_series["rest"].min()
    is_apart = ((apart > 0) & (apart % months == 0)) | apart.isna()
    return bool(is_apart.all() and (spread <= max(CLOCK_CHANGE, OFF_GRID_AT_MOST * MONTH)).all())


# Which steps a panel has ---------------------------------------------------------------------------------------------


def named_step(freq: str | pd.Timedelta) -> tuple[pd.Timedelta, int]:
    """The step of a name such as h, 5min, D, W or MS: its length, and the months where it is some; raises SettingError for
    what is none.
    """
    if isinstance(freq, str) and (named := NAMED_MONTHS.match(freq.strip().upper())):
        months = int(named[1] or 1) * MONTHS_OF[named[2][0]]
        if months:
            return months * MONTH, months
    try:
        offset = pd.tseries.frequencies.to_offset(freq)
        step = (
            pd.Timedelta(days=7 * offset.n) if isinstance(offset, pd.offsets.Week) else pd.Timedelta(offset)
        ).as_unit("us")
    except (ValueError, TypeError) as error:
        raise SettingError(
            f"{freq!r} is no even step.",
            cause="it is mistyped, or working days, which are not even",
            remedy="name a step such as 5min, h, D, W or MS (months) with --freq",
        ) from error
    if step <= pd.Timedelta(0):
        raise SettingError(
            f"{freq!r} is no step forward.",
            cause="it is negative or zero",
            remedy="name a step such as 5min, h or D with --freq",
        )
    return step, 0


def grid_of(frame: pd.DataFrame, freq: str | None, path: Path) -> Grid:
    """The grid of stamps (series_id, ts, sorted): the step that is named, or the commonest distance between neighbours.

    Raises SettingError where there is none, or months are named and the stamps lie otherwise.
    """
    origin = frame["ts"].min()
    if freq is not None:
        step, months = named_step(freq)
        if not months:
            return Grid(step, origin)
        choices = [months]
    else:
        step = _commonest_step(frame, path)
        least, most = (days * DAY for days in DAYS_OF_A_MONTH)
        choices = [months for months in range(1, 13) if months * least <= step <= months * most]
    for months in choices:
        for at_end in (False, True):
            if _is_monthly(frame, months, at_end=at_end):
                return Grid(months * MONTH, origin, months, at_end)
    if freq is None:
        return Grid(step, origin)
    raise SettingError(
        f"{path}: the stamps do not lie {Grid(step, origin, choices[0]).words} apart, as --freq {freq} says; the first two "
        f"are {' and '.join(map(str, frame['ts'].head(2)))}.",
        cause="the step is another, or months are stamped at different days",
        remedy="leave --freq out, or stamp each month at its first day",
    )


def _commonest_step(frame: pd.DataFrame, path: Path) -> pd.Timedelta:
    apart = frame.groupby("series_id", sort=False)["ts"].diff()
    apart = apart[apart > pd.Timedelta(0)]
    if apart.empty:
        raise SettingError(
            f"{path} has no series with two stamps, so its step is not known.",
            cause="every series has but one row",
            remedy="name it with --freq",
        )
    return pd.Timedelta(apart.mode().iloc[0])


def lay_on_grid(frame: pd.DataFrame, grid: Grid, path: Path, like: Grid | None = None) -> tuple[pd.DataFrame, Grid]:
    """The frame with the step of each stamp as `place`, and the grid with the last stamps; raises SettingError for a stamp
    that is off the grid.

    `like`: the grid of another file that this one goes on from, by which steps are counted.
    """
    known = {} if like is None else like.last
    names = frame["series_id"]
    begins = frame[~names.duplicated()].set_index("series_id")["ts"]
    if grid.months:
        place, rest = _places_of_months(frame, grid, begins, known), None
    else:
        place, rest = _even_places(frame, grid, begins, known)
        _refuse_off_grid(frame, grid, rest, path)
    laid = frame.assign(place=place)
    ends = laid[~names.duplicated(keep="last")]
    stamps = ends["ts"] if rest is None else _without_jitter(ends["ts"], ends["place"], grid)
    last = dict(zip(ends["series_id"], zip(ends["place"], stamps, strict=True), strict=True))
    return laid, replace(grid, last=last)


def _even_places(
    frame: pd.DataFrame, grid: Grid, begins: pd.Series, known: Mapping[str, tuple[int, pd.Timestamp]]
) -> tuple[Places, pd.Series]:
    """The step of each stamp, and how far it lies from it. Series of days and weeks have each their own hour, by the zone
    in which they begin.
    """
    if grid.step < DAY:
        start, offset = pd.Series(grid.origin, index=frame.index), np.zeros(len(frame), dtype=np.int64)
    else:
        starts = {name: known[name][1] if name in known else stamp for name, stamp in begins.items()}
        places = {
            name: known[name][0] if name in known else round((stamp - grid.origin) / grid.step)
            for name, stamp in begins.items()
        }
        start = frame["series_id"].map(starts)
        offset = frame["series_id"].map(places).to_numpy(dtype=np.int64)
    steps = (frame["ts"] - start) / grid.step
    whole = steps.round().to_numpy(dtype=np.int64)
    return offset + whole, (steps - whole) * grid.step


def _places_of_months(
    frame: pd.DataFrame, grid: Grid, begins: pd.Series, known: Mapping[str, tuple[int, pd.Timestamp]]
) -> Places:
    first = _month_and_rest(pd.Series([grid.origin]), at_end=grid.at_end)[0][0]
    own = dict(zip(begins.index, _month_and_rest(begins, at_end=grid.at_end)[0], strict=True))
    starts, places = {}, {}
    for name, month in own.items():
        places[name], stamp = known.get(name, ((month - first) // grid.months, None))
        starts[name] = month if stamp is None else _month_and_rest(pd.Series([stamp]), at_end=grid.at_end)[0][0]
    months, names = _month_and_rest(frame["ts"], at_end=grid.at_end)[0], frame["series_id"]
    apart = months - names.map(starts).to_numpy(dtype=np.int64)
    return np.asarray(names.map(places).to_numpy(dtype=np.int64) + apart // grid.months)


def _refuse_off_grid(frame: pd.DataFrame, grid: Grid, rest: pd.Series, path: Path) -> None:
    bound = OFF_GRID_AT_MOST * grid.step
    off = rest.abs() > (max(bound, CLOCK_CHANGE) if grid.step >= DAY else bound)
    if off.any():
        row, more = frame[off].iloc[0], int(off.sum()) - 1
        others = f" and {more} more {'stamp' if more == 1 else 'stamps'} are" if more else " is"
        raise SettingError(
            f"{path}: {row.ts} of {row.series_id}{others} not on a grid of {grid.words} from {grid.origin}.",
            cause="the step is another, the steps are those of a local clock, or the stamps are uneven",
            remedy="name the step with --freq, the zone of that clock with --timezone, or even the stamps out",
        )


def _without_jitter(stamps: pd.Series, places: pd.Series, grid: Grid) -> Sequence[pd.Timestamp]:
    """Stamps without the seconds by which they are late: those of days keep the hour at which theirs begin."""
    exact = pd.Series(grid.even(places.to_numpy()), index=stamps.index)
    return list(exact + (stamps - exact).dt.round(CLOCK_PARTS) if grid.step >= DAY else exact)
