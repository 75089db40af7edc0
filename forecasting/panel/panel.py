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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import (
    MIN_HOUR_COMPLETENESS,
    MIN_PEAK_WEEKS,
    MIN_WEEK_COMPLETENESS,
    Series,
    sites_by_cause,
    without_sites,
)
from forecasting.panel.completeness import (
    always_missing,
    groups_of,
    members_of_sums,
    missing_hours_words,
    peaks_outside,
    refusal_reason,
    sum_of_sites,
    weeks_by_hour,
    weeks_reason,
)
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
    weeks: level, key, metric, week, peak, p95, completeness, of the samples of each week. weeks_of: the same of a metric
    and of what some sites are together, read anew where a region or the network is the sum of some of its sites; absent,
    it is made of their hours. countries: ISO 3166 country by site_id, where known. usual: what each site usually
    carries, by (site_id, metric). closed: since when the capacity of each closed site is 0, by (site_id, metric).
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
    weeks_of: Callable[[str, tuple[str, ...]], pd.DataFrame] | None = None
    usual: Mapping[tuple[str, str], float] = MappingProxyType({})
    closed: Mapping[tuple[str, str], pd.Timestamp] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Panel:
    """All series of a lake.

    hourly: rows are all hours that ended by `now` (UTC), columns are `Series`; NaN where missing or masked.
    samples: the newest part of the same columns at the step `grain`, an hour at most, masked alike.
    events: as in the contract. regions: region_id by site_id. weights: usual value by (site_id, metric). zones: IANA
    zone by site_id. countries: ISO 3166 country by site_id, where known.
    weeks: peak and P95 of the samples of each week, long, as in `Sources`; their completeness is that of the hours that
    may carry a peak. refused: why a series is not forecast. no_weeks: why the weekly peaks of one that is forecast are
    not. holes: which hours of the week a series with weekly peaks always lacks, in words.
    sums, week_sums: the sites that each region and the network is the sum of, hour by hour and in its weeks: those that
    are forecast. usual: as in `Sources`. touched: the events of series that were asked for, by their shares of them.
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
    refused: Mapping[Series, str] = field(default_factory=dict)
    no_weeks: Mapping[Series, str] = field(default_factory=dict)
    holes: Mapping[Series, str] = field(default_factory=dict)
    sums: Mapping[Series, tuple[Series, ...]] = field(default_factory=dict)
    week_sums: Mapping[Series, tuple[Series, ...]] = field(default_factory=dict)
    usual: Mapping[tuple[str, str], float] = field(default_factory=dict)
    touched: dict[bytes, pd.DataFrame] = field(init=False, default_factory=dict, repr=False, compare=False)

    @property
    def series(self) -> list[Series]:
        """All series of the lake."""
        return [Series(*column) for column in self.hourly.columns]

    @property
    def start(self) -> pd.Timestamp:
        """The first hour that is not over: where a forecast begins."""
        return self.now.floor("h")

    def without(self, series: Series) -> str:
        """Which sites a region or the network is forecast without, hour by hour or in its weeks, why, and their share of
        what its sites usually carry; empty for all of them.
        """
        missing = {}
        members = [one for one in self.series if one.level == "site" and series in groups_of(one, self.regions)]
        for site in members:
            if site not in self.sums.get(series, (site,)):
                missing[site.key] = self.refused.get(site, "too few of its hours are those of the others")
            elif site not in self.week_sums.get(series, (site,)):
                weeks = self.no_weeks.get(site, "too few of its weeks are those of the others")
                missing[site.key] = f"no weekly peaks: {weeks}"
        usual = {site.key: self.usual.get((site.key, site.metric), 0.0) for site in members}
        return without_sites(missing, usual, series.key)

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
    table = wide(hours, metrics, axis)
    raw = table.dropna(axis="columns", how="all")
    weights = {(column[1], column[2]): float(raw[column].median()) for column in raw.columns if column[0] == "site"}
    groups = members_of_sums([Series(*one) for one in raw.columns if one[0] == "site"], sources.regions)
    # A sum that was never whole, for want of the same sites at all times, may be whole without them.
    raw = pd.concat([raw, *(table[[one]] for one in groups if one in table and one not in raw)], axis="columns")
    raw = raw.sort_index(axis="columns")
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
        usual=sources.usual,
    )
    masks = event_hours(bare)
    hourly = without_outages(raw.mask(masks))
    refused = {
        one: reason
        for one in bare.series
        if (
            reason := refusal_reason(
                hourly[one], sources.now, sources.closed.get((one.key, one.metric)) if one.level == "site" else None
            )
        )
    }
    samples = _samples(sources, metrics, hourly, grain)
    sums = dict[Series, tuple[Series, ...]]()
    for group, members in groups.items():
        if group in raw:
            sums[group] = _sum_again(group, members, raw, masks, hourly, samples, refused, sources.now)
        else:
            sums[group] = tuple(site for site in members if site not in refused)
    panel = replace(bare, hourly=hourly, samples=samples, refused=refused, sums=sums)
    return _with_weeks_of_sums(_with_weeks_of_sites(panel), sources)


def _sum_again(
    group: Series,
    members: Sequence[Series],
    raw: pd.DataFrame,
    masks: pd.DataFrame,
    hourly: pd.DataFrame,
    samples: pd.DataFrame,
    refused: dict[Series, str],
    now: pd.Timestamp,
) -> tuple[Series, ...]:
    """The sites that a region or the network is the sum of; its columns of `hourly` and `samples`, and its place among
    those `refused`, are made anew where some of its sites are left out, or where it has one site, which it then equals.

    Left out are the sites that are refused, and, as long as what is left has too few hours in common, the site with the
    fewest hours.
    """
    sites = [site for site in members if site not in refused]
    if len(sites) == len(members) > 1 and group not in refused:
        return tuple(sites)
    reason = f"no forecast for {sites_by_cause({site.key: refused[site] for site in members if site in refused})}"
    while sites:
        if len(sites) == 1:
            hourly[group], samples[group] = hourly[sites[0]], samples[sites[0]]
        else:
            hourly[group] = without_outages(sum_of_sites(raw, sites).mask(masks[group]).to_frame())[0]
            samples[group] = sum_of_sites(samples, sites).where(
                hourly[group].reindex(pd.DatetimeIndex(samples.index).floor("h")).notna().to_numpy()
            )
        reason = refusal_reason(hourly[group], now) or ""
        if not reason:
            break
        sites.remove(min(sites, key=lambda site: hourly[site].count()))
    if reason:
        refused[group] = reason
    else:
        refused.pop(group, None)
    return tuple(sites)


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


# Weeks
# ----------------------------------------------------------------------------------------------------------------------


def _with_weeks_of_sites(panel: Panel) -> Panel:
    """The panel with the weeks of sites that count as whole, and the reasons of sites that have too few."""
    weeks, holes = panel.weeks, dict[Series, str]()
    sites = [one for one in panel.series if one.level == "site" and one not in panel.refused]
    missing = {site: always_missing(panel.hourly[site]) for site in sites}
    for site in sites:
        if missing[site].any() and peaks_outside(panel.hourly[site], missing[site], _others(panel, site, missing)):
            weeks = _complete_without(weeks, site, missing[site])
            holes[site] = f"{missing_hours_words(missing[site])}: weekly peaks are those of the other hours"
    counts = _whole_weeks(weeks)
    no_weeks = {
        site: weeks_reason(panel.hourly[site], counts.get(site, 0), missing[site])
        for site in sites
        if counts.get(site, 0) < MIN_PEAK_WEEKS
    }
    return replace(panel, weeks=weeks, no_weeks=no_weeks, holes=holes)


def _with_weeks_of_sums(panel: Panel, sources: Sources) -> Panel:
    """The panel with the weeks of each region and of the network, as those of the sum of its sites that have enough."""
    everyone = members_of_sums([one for one in panel.series if one.level == "site"], panel.regions)
    week_sums = {
        group: _with_weeks_in_common(panel, [site for site in members if site not in panel.no_weeks])
        for group, members in panel.sums.items()
    }
    weeks, no_weeks, holes = panel.weeks, dict(panel.no_weeks), dict(panel.holes)
    read = dict[tuple[str, tuple[str, ...]], pd.DataFrame]()
    for group, members in week_sums.items():
        if group in panel.refused:
            continue
        if not members:
            causes = sites_by_cause({site.key: no_weeks[site] for site in panel.sums[group]})
            no_weeks[group] = f"no weekly peaks of {causes}"
        elif len(members) == 1:
            rows = weeks[_rows_of(weeks, members[0])].assign(**group._asdict())
            weeks = pd.concat([weeks[~_rows_of(weeks, group)], rows], ignore_index=True)
            if members[0] in holes:
                holes[group] = holes[members[0]]
        else:
            is_whole = len(members) == len(everyone[group]) and group in panel.hourly
            hours = panel.hourly[group] if is_whole else sum_of_sites(panel.hourly, members)
            if len(members) < len(everyone[group]):
                alike = [sites for one, sites in week_sums.items() if (one.level, one.metric) == (group[0], group[2])]
                key = group.metric, tuple(sorted({site.key for sites in alike for site in sites}))
                if key not in read:
                    read[key] = _weeks_of_sites(panel, sources, *key)
                rows = read[key][_rows_of(read[key], group)]
                weeks = pd.concat([weeks[~_rows_of(weeks, group)], rows], ignore_index=True)
            lacking = always_missing(hours)
            if lacking.any() and peaks_outside(hours, lacking, [(panel.hourly[site], 0) for site in members]):
                weeks = _complete_without(weeks, group, lacking)
                holes[group] = f"{missing_hours_words(lacking)}: weekly peaks are those of the other hours"
            if (count := _whole_weeks(weeks).get(group, 0)) < MIN_PEAK_WEEKS:
                no_weeks[group] = weeks_reason(hours, count, lacking)
    return replace(panel, weeks=weeks, no_weeks=no_weeks, holes=holes, week_sums=week_sums)


def _others(panel: Panel, site: Series, missing: Mapping[Series, npt.NDArray[np.bool_]]) -> list[tuple[pd.Series, int]]:
    """Sites that measured the hours of the week that one always lacks, of its region or else of all regions, by how
    many hours their clocks are behind its own.
    """

    def offset(one: Series) -> pd.Timedelta:
        return panel.now.tz_convert(panel.clock(one)).utcoffset() or pd.Timedelta(0)

    own = missing[site]
    alike = [one for one, lacks in missing.items() if one.metric == site.metric and not lacks.any() and own.any()]
    region = panel.regions.get(site.key)
    near = [one for one in alike if panel.regions.get(one.key) == region]
    return [(panel.hourly[one], round((offset(site) - offset(one)) / HOUR)) for one in near or alike]


def _with_weeks_in_common(panel: Panel, sites: Sequence[Series]) -> tuple[Series, ...]:
    """The sites whose sum has enough whole weeks: without those that lack the most hours, where all have too few in
    common.
    """
    kept = list(sites)
    while len(kept) > 1 and _whole_weeks_of_hours(sum_of_sites(panel.hourly, kept)) < MIN_PEAK_WEEKS:
        kept.remove(min(kept, key=lambda site: panel.hourly[site].count()))
    return tuple(kept)


def _whole_weeks_of_hours(hours: pd.Series) -> int:
    may_peak = ~always_missing(hours)
    return int((np.isfinite(weeks_by_hour(hours)[:, may_peak]).mean(axis=1) >= MIN_WEEK_COMPLETENESS).sum())


def _weeks_of_sites(panel: Panel, sources: Sources, metric: str, sites: tuple[str, ...]) -> pd.DataFrame:
    """Weeks of the sums of some sites, of their samples where these can be read, or else of their hours."""
    if sources.weeks_of is not None:
        return sources.weeks_of(metric, sites)
    frames = [NO_WEEKS]
    for group, members in members_of_sums([Series("site", site, metric) for site in sites], panel.regions).items():
        hours = sum_of_sites(panel.hourly, members).dropna()
        stamps = pd.DatetimeIndex(hours.index)
        of_week = hours.groupby(stamps.floor("D") - pd.to_timedelta(stamps.day_of_week, unit="D"))
        rows = of_week.agg(peak="max", p95=lambda week: week.quantile(0.95), completeness=lambda week: len(week) / 168)
        frames.append(rows.rename_axis("week").reset_index().assign(**group._asdict()))
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _rows_of(weeks: pd.DataFrame, series: Series) -> npt.NDArray[np.bool_]:
    is_of = (weeks["level"] == series.level) & (weeks["key"] == series.key) & (weeks["metric"] == series.metric)
    return np.asarray(is_of, dtype=bool)


def _complete_without(weeks: pd.DataFrame, series: Series, missing: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Weeks whose completeness, of one series, is that of the hours which are not always missing."""
    share = float((~missing).mean())
    completeness = weeks["completeness"].astype(float)
    return weeks.assign(
        completeness=completeness.where(~_rows_of(weeks, series), (completeness / share).clip(upper=1.0))
    )


def _whole_weeks(weeks: pd.DataFrame) -> dict[Series, int]:
    """How many whole weeks each series has."""
    whole = weeks[weeks["completeness"] >= MIN_WEEK_COMPLETENESS]
    return {Series(*one): count for one, count in whole.groupby(list(Series._fields)).size().items()}
