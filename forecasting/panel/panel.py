"""The panel: every series of a lake side by side on one time axis, as an engine sees it; what must not be learned from
is masked.

Masked are hours with too few samples, hours of events that say so, and hours that carry next to nothing although that
series usually
does: an outage says nothing about demand, and one that stays in the history widens every band. What was measured that
low for longer than an
outage lasts is no outage but the level, zeros included: missing is null, never zero, so a site that reports zero for
days carries nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import MIN_HOUR_COMPLETENESS, Series
from forecasting.panel.events import Holidays, holidays_of, scope_shares, sites_of
from forecasting.panel.local_time import series_zone

HOUR = pd.Timedelta(hours=1)
# Below a twentieth of what is usual at that hour of the day a site is down; the deepest night trough stays above,
# because it is compared with nights.
OUTAGE_SHARE = 0.05
# It is up again above twice that: a level that wavers about the one line is not cut into pieces.
UP_AGAIN_SHARE = 0.10
# Outages end within hours, the worst that operators report within two or three days; hours that are measured lower for
# longer are a site that was drained, moved or lost a customer, and the forecast must follow. An outage that did last
# longer is masked by an event.
OUTAGE_HOURS_AT_MOST = 72
# A series that is often that low is not out of order but intermittent: its lows are its nature, and stay.
OUTAGES_AT_MOST = 0.10
# An event that masks less than a tenth of a region leaves the region's sum worth learning from; the rollups draw the
# same line.
PART_THAT_MATTERS = 0.10
NO_WEEKS = pd.DataFrame(columns=["level", "key", "metric", "week", "peak", "p95", "completeness"])
_TOUCHING = ["kind", "start", "end", "treatment"]


class Sources(NamedTuple):
    """What a panel is built of.

    hours: level, key, ts, completeness and a column for each metric, hourly means, which a coarser sample is for each
    of its hours; samples: the same at the telemetry's grain, without completeness;
    regions: region_id by site_id; events: as in the contract; now: the end of the telemetry; grain: its step; zones:
    IANA zone by site_id, where known;
    weeks: level, key, metric, week, peak, p95, completeness, of the samples of each week. countries: ISO 3166 country by
    site_id, where known.
    """

    hours: pd.DataFrame
    samples: pd.DataFrame
    regions: Mapping[str, str]
    events: pd.DataFrame
    now: pd.Timestamp
    grain: pd.Timedelta
    zones: Mapping[str, str] = MappingProxyType({})
    weeks: pd.DataFrame = NO_WEEKS
    countries: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Panel:
    """All series of a lake.

    hourly: rows are all hours that ended by `now` (UTC), columns are `Series`; NaN where missing or masked.
    samples: the newest part of the same columns at the step `grain`, an hour at most, masked alike.
    events: as in the contract. regions: region_id by site_id. weights: usual value by (site_id, metric). zones: IANA
    zone by site_id. countries: ISO 3166 country by site_id, where known.
    weeks: peak and P95 of the samples of each week, long, as in `Sources`. touched: the events of series that were
    asked for, by their shares of them.
    """

    hourly: pd.DataFrame
    samples: pd.DataFrame
    events: pd.DataFrame
    regions: Mapping[str, str]
    weights: Mapping[tuple[str, str], float]
    now: pd.Timestamp
    grain: pd.Timedelta
    zones: Mapping[str, str] = field(default_factory=dict)
    weeks: pd.DataFrame = field(default_factory=NO_WEEKS.copy)
    countries: Mapping[str, str] = field(default_factory=dict)
    touched: dict[bytes, pd.DataFrame] = field(init=False, default_factory=dict, repr=False, compare=False)

    @property
    def series(self) -> list[Series]:
        """All series of the lake."""
        return [Series(*column) for column in self.hourly.columns]

    @property
    def start(self) -> pd.Timestamp:
        """The first hour that is not over: where a forecast begins."""
        return self.now.floor("h")

    def clock(self, series: Series) -> str:
        """The IANA zone by whose clock the series lives."""
        return series_zone(series, self.regions, self.zones, self.weights, pd.Timestamp(self.hourly.index[0]), self.now)

    def holidays(self, series: Series) -> Holidays:
        """The public holidays of the countries of a series' sites, from its first hour to the end of next year."""
        sites = sites_of(series, self.regions, self.weights)
        total = sum(sites.values())
        by_country: dict[str, float] = {}
        for site, weight in sites.items():
            if total > 0.0 and (country := self.countries.get(site)):
                by_country[country] = by_country.get(country, 0.0) + weight / total
        return holidays_of(by_country, self.clock(series), self.hourly.index[0].year, self.now.year + 1)

    def touching(self, series: Series) -> pd.DataFrame:
        """The events that touch a series: kind, start, end, treatment, share (of the series that lies within the
        event's scope, above 0 to 1).
        """
        inside = scope_shares(series, self.regions, self.weights)
        share = np.array([inside.get(scope, 0.0) for scope in self.events["scope"].tolist()], dtype=float)
        # The metrics of a site are touched by the same events, and each is asked about several times.
        if (key := share.tobytes()) not in self.touched:
            touches = np.flatnonzero(share > 0.0)
            self.touched[key] = self.events[_TOUCHING].take(touches).assign(share=share[touches]).reset_index(drop=True)
        return self.touched[key]


def build(sources: Sources, metrics: Sequence[str]) -> Panel:
    """The panel of the given metrics; a series that has no value at all is not in it."""
    hours = sources.hours
    first = hours["ts"].min().floor("h") if len(hours) else sources.now.floor("h")
    axis = pd.date_range(first, sources.now.floor("h"), freq=HOUR, inclusive="left", unit="us", name="ts")
    hours = hours.assign(
        **{metric: hours[metric].where(hours["completeness"] >= MIN_HOUR_COMPLETENESS) for metric in metrics}
    )
    raw = wide(hours, metrics, axis).dropna(axis="columns", how="all")
    weights = {(column[1], column[2]): float(raw[column].median()) for column in raw.columns if column[0] == "site"}
    grain = min(sources.grain, HOUR)
    bare = Panel(
        raw,
        raw,
        _filled(sources.events),
        sources.regions,
        weights,
        sources.now,
        grain,
        sources.zones,
        sources.weeks,
        countries=sources.countries,
    )
    hourly = without_outages(raw.mask(event_hours(bare)))
    return replace(bare, hourly=hourly, samples=_samples(sources, metrics, hourly, grain))


def wide(rows: pd.DataFrame, metrics: Sequence[str], axis: pd.DatetimeIndex) -> pd.DataFrame:
    """Rows (level, key, ts, a column for each metric) as a frame with one column for each (level, key, metric), in
    order.

    A row belongs to the step of the axis that holds its stamp; of two rows in one step the later one counts. What is
    negative or not finite is missing.
    """
    step = axis[1] - axis[0] if len(axis) > 1 else HOUR
    at = ((rows["ts"] - axis[0]) // step).to_numpy() if len(axis) else np.full(len(rows), -1)
    inside = rows[(at >= 0) & (at < len(axis))]
    at = at[(at >= 0) & (at < len(axis))]
    groups = inside.groupby(["level", "key"], observed=True)
    names, codes = groups.size().index, groups.ngroup().to_numpy()
    frames = [_grid(inside[metric].to_numpy(float), at, codes, (len(axis), len(names))) for metric in metrics]
    columns = [Series(level, key, metric) for metric in metrics for level, key in names]
    table = pd.DataFrame(
        np.hstack(frames), index=axis, columns=pd.MultiIndex.from_tuples(columns, names=Series._fields)
    )
    return table.sort_index(axis="columns")


def _grid(
    values: npt.NDArray[np.float64], at: npt.NDArray[np.int64], codes: npt.NDArray[np.int64], shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    grid = np.full(shape, np.nan)
    grid[at, codes] = np.where(np.isfinite(values) & (values >= 0.0), values, np.nan)
    return grid


def _samples(sources: Sources, metrics: Sequence[str], hourly: pd.DataFrame, grain: pd.Timedelta) -> pd.DataFrame:
    """The samples of the series of `hourly`, missing wherever their hour is; an hour within a coarser sample is one of
    its own.

    A band for every third hour would stand beside a curve for every hour, and at the first of the three the curve is
    not yet what the sample is the mean of.
    """
    first = sources.samples["ts"].min() if len(sources.samples) else sources.now
    axis = pd.date_range(first, sources.now, freq=grain, inclusive="left", unit="us", name="ts")
    samples = wide(sources.samples, metrics, axis).reindex(columns=hourly.columns)
    hours = axis.floor("h")
    within = hourly.reindex(hours).set_axis(axis)
    is_sampled = samples.notna().groupby(hours).transform("any")
    return samples.where(is_sampled, within).where(within.notna())


def _filled(events: pd.DataFrame) -> pd.DataFrame:
    """Events with the contract's defaults where scope or treatment is missing."""
    return events.assign(scope=events["scope"].fillna("global"), treatment=events["treatment"].fillna("note"))


def without_outages(hourly: pd.DataFrame) -> pd.DataFrame:
    """The same hours, missing where a series lies below a twentieth of its median at that hour of the day, unless it
    stays that low or often does.
    """
    usual = hourly.groupby(pd.DatetimeIndex(hourly.index).hour).transform("median")
    down = (hourly < OUTAGE_SHARE * usual) & ~_lasting(
        hourly < UP_AGAIN_SHARE * usual, hourly >= UP_AGAIN_SHARE * usual
    )
    often = down.sum() > OUTAGES_AT_MOST * hourly.notna().sum()
    return hourly.mask(down & ~often)


def _lasting(low: pd.DataFrame, up: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Hours of stretches between two that are up, in which more were measured low than an outage lasts; a missing hour
    neither counts nor ends one.
    """
    lasting = np.zeros(low.shape, dtype=bool)
    for column, (lows, ups) in enumerate(zip(low.to_numpy().T, up.to_numpy().T, strict=True)):
        if lows.sum() > OUTAGE_HOURS_AT_MOST:
            stretch = ups.cumsum()
            lasting[:, column] = np.bincount(stretch, lows)[stretch] > OUTAGE_HOURS_AT_MOST
    return lasting


def event_hours(panel: Panel) -> pd.DataFrame:
    """True where an event with the treatment "mask" covers part of an hour, and enough of a series."""
    masks = np.zeros(panel.hourly.shape, dtype=bool)
    hours = pd.DatetimeIndex(panel.hourly.index)
    events = panel.events[panel.events["treatment"] == "mask"]
    firsts, lasts = (
        hours.searchsorted(pd.DatetimeIndex(stamps)) for stamps in (events["start"].dt.floor("h"), events["end"])
    )
    for column, series in enumerate(panel.series):
        inside = scope_shares(series, panel.regions, panel.weights)
        for scope, first, last in zip(events["scope"], firsts, lasts, strict=True):
            if inside.get(scope, 0.0) >= PART_THAT_MATTERS:
                masks[first:last, column] = True
    return pd.DataFrame(masks, index=panel.hourly.index, columns=panel.hourly.columns)
