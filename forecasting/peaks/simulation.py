"""What the coming weeks may bring to all sites together: simulated weeks whose peaks add up.

Each path is the log-scale curve of every site, a change of its trend, and whole weeks of residuals drawn with
replacement from the past (the block bootstrap of Kuensch, 1989, with the week as its block). A path draws the same week
for all sites, so what they share stays shared, and the peak of a region is the highest
hour of the sum of its sites: never a sum of peaks or of quantiles.

A site that is silent has no path, and carries nothing in the sums: what is measured of them, now and in the weeks to
come, is measured without it, and so is the forecast of their hours.

Within a week the trend of a path stands still. A week is then a curve times a block of residuals times a level for each
path, and one table of curve times
block serves every path: the hours of all sites, weeks and paths are never held at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import MIN_PEAK_WEEKS, MIN_WEEK_COMPLETENESS
from forecasting.panel.completeness import SILENT_AT_MOST
from forecasting.panel.history import LOG_FLOOR_SHARE, nan_median
from forecasting.peaks.weekly_statistics import WEEK, Reals, Stamps, Weekly, monday, p95
from forecasting.prophet_map.fit import Curves, Season, Spec, fit

Whole = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HOUR = np.timedelta64(1, "h")
HOURS, HOURS_A_DAY = 168, 24
STATISTICS = ("peak", "p95")
# As for forecasts of hours: nobody knows what a site would carry that has been silent for longer.
SILENT = SILENT_AT_MOST.to_timedelta64()
# Of one week nobody knows how it differs from another; one more is needed to check a forecast by.
WEEKS_AT_LEAST = MIN_PEAK_WEEKS - 1
# A slope is extrapolated once half a year has shown it; on shorter history it is the main harm, and the level of the
# last weeks does better.
SLOPE_WEEKS, FLAT_WEEKS = 26, 8
# Priors of changes of slope: the curve itself hardly bends, which halves its error half a year ahead; what the trend
# may yet do is drawn from how it bends when it may. Chosen on simulated networks: benchmarks/peaks.py.
STIFF, SUPPLE = 0.001, 0.3
# Residual weeks are drawn from the last year.
BLOCKS = 52
# Residuals keep what the harmonics leave over, so a few are enough.
SEASONS = (Season("day", 24.0, 8), Season("week", 168.0, 6))

# A week of a group's sum is its own where sites that carry this much of it were measured.
OWN_AT_LEAST = 0.9
LEAST = 1e-12
# What the last weeks were off the curve, by the median, is kept by this share in the next week, and by this much of it
# in each one after.
LATE_WEEKS, KEPT, LASTING = 4, 0.5, 0.9
# Fewer weeks tell a lasting level from a lone one no better than all of them do.
LASTING_AT_LEAST = 5
# Patterns on the log scale that differ by less are one.
SAME = 1e-9


class Known(Protocol):
    """Regressors that are known ahead: (T, K) shared, or (T, K, N) for each site, at any hours."""

    def __call__(self, stamps: Stamps, /) -> Reals: ...


@dataclass(frozen=True, slots=True)
class SimulationHistory:
    """What was measured: hourly means (T, N) of sites at `stamps` (T,), UTC, NaN where missing, and the weekly
    statistics of sites and of groups of them.

    `groups` are positions of sites: regions, the network. `weekly` holds N + G series, the sites first, from the finest
    samples there are; its weeks are those of the stamps. `known` gives regressors at any hour. Raises ValueError where
    the parts do not fit each other.
    """

    stamps: Stamps
    hourly: Reals
    groups: tuple[Whole, ...]
    weekly: Weekly
    known: Known | None = None

    def __post_init__(self) -> None:
        shape = (int((monday(self.stamps[-1]) - monday(self.stamps[0])) / WEEK) + 1, self.series)
        if (
            self.weekly.peak.shape != shape
            or self.weekly.p95.shape != shape
            or self.hourly.shape[0] != len(self.stamps)
        ):
            raise ValueError(
                f"weekly statistics of shape {self.weekly.peak.shape} for {len(self.stamps)} hours; {shape}, of weeks and series, is needed"
            )

    @property
    def series(self) -> int:
        """Sites and groups."""
        return int(self.hourly.shape[1]) + len(self.groups)

    @property
    def whole_weeks(self) -> int:
        """How many of the weeks have ended."""
        return int(np.searchsorted(self.weekly.weeks, self.next_week))

    @property
    def next_week(self) -> np.datetime64:
        """Monday of the first week that has not ended: the one that holds the first hour ahead."""
        return monday(self.stamps[-1] + HOUR)

    @property
    def measured(self) -> Reals:
        """Peak and P95 of the weeks, (weeks, 2, N + G), in the order of STATISTICS."""
        return np.stack([self.weekly.peak, self.weekly.p95], axis=1)

    def until(self, week: int) -> SimulationHistory:
        """What was known when that week began (a position in `weekly.weeks`)."""
        keep = int(np.searchsorted(self.stamps, self.weekly.weeks[0] + week * WEEK))
        weeks, peak, p95, completeness = self.weekly
        cut = Weekly(weeks[:week], peak[:week], p95[:week], completeness[:week])
        return SimulationHistory(self.stamps[:keep], self.hourly[:keep], self.groups, cut, self.known)


@dataclass(frozen=True, slots=True)
class Simulation:
    """How many paths, and the seed: the same seed draws the same weeks, whatever the series, so that metrics drawn
    apart belong together.
    """

    paths: int = 200
    seed: int = 1


class JointPaths(NamedTuple):
    """Peak and P95 of each coming week: `weeks` (W,) are Mondays, `peak` and `p95` (W, N + G, paths), NaN for a series
    that is silent or too young.
    """

    weeks: Stamps
    peak: Reals
    p95: Reals


def _peak(hours: Reals) -> Reals:
    return np.asarray(hours.max(axis=0))


# In the order of STATISTICS.
MEASURES: tuple[Callable[[Reals], Reals], ...] = (_peak, p95)


@dataclass(frozen=True, slots=True)
class _Model:
    """The sites' curves on the log scale, and the residual weeks about them.

    pattern: (W, 168, N) and level: (W, N) add up to the curve of the weeks ahead. residuals: (B, 168, N), missing hours
    zero, and inside: (B, 168, N), the curve of those weeks. sources: (B, N), the week that a site draws where a path
    draws week B. spread: (W, N, paths), how far the trend of a path strays.
    """

    pattern: Reals
    level: Reals
    residuals: Reals
    inside: Reals
    sources: Whole
    spread: Reals


def simulate(history: SimulationHistory, ahead: int | Whole, draw: Simulation = Simulation()) -> JointPaths:
    """Paths of some of the weeks ahead: the first so many, or those counted from 1, the week that holds the first hour
    ahead.
    """
    counted = np.arange(1, ahead + 1) if isinstance(ahead, int) else np.asarray(ahead)
    weeks = history.next_week + (counted - 1) * WEEK
    rng = np.random.default_rng(draw.seed)
    blocks = min(BLOCKS, history.whole_weeks)
    drawn = balanced(rng, int(counted.max()), max(blocks, 1), draw.paths)[counted - 1]
    usable = _usable(history)
    found = np.full((len(STATISTICS), len(weeks), history.series, draw.paths), np.nan)
    if usable.any():
        model = _model(history, usable, weeks, blocks, draw.paths, rng)
        _fill(found, history, model, usable, drawn)
    return JointPaths(weeks, found[0], found[1])


def balanced(rng: np.random.Generator, weeks: int, blocks: int, paths: int) -> Whole:
    """The week of the past that each path repeats in each week ahead, (weeks, paths): in every week ahead each past
    week serves equally often.

    A balanced bootstrap (Davison, Hinkley and Schechtman, 1986): quantiles over a handful of past weeks do not flicker
    from one week ahead to the next.
    """
    keys = rng.random((weeks, blocks + paths))
    served = np.argsort(keys[:, :blocks], axis=1)[:, np.arange(paths) % blocks]
    return np.take_along_axis(served, np.argsort(keys[:, blocks:], axis=1), axis=1)


def _usable(history: SimulationHistory) -> Mask:
    """Which sites have enough whole weeks, values above zero in one of them, and are not silent: then any fit sees some
    of their hours.
    """
    peaks = history.weekly.peak[:, : history.hourly.shape[1]]
    enough = (np.isfinite(peaks).sum(axis=0) >= WEEKS_AT_LEAST) & (np.nan_to_num(peaks).max(axis=0, initial=0.0) > 0.0)
    return np.asarray(enough & ~_silent(history))


def _silent(history: SimulationHistory) -> Mask:
    """Which sites have had no usable hour for so long that they count as closed or broken."""
    return np.asarray(~np.isfinite(history.hourly[history.stamps >= history.stamps[-1] - SILENT]).any(axis=0))


# Curves
# --------------------------------------------------------------------------------------------------------------------


def _model(
    history: SimulationHistory, usable: Mask, weeks: Stamps, blocks: int, paths: int, rng: np.random.Generator
) -> _Model:
    """Curves, residual weeks and trends of the usable sites: those with a long history follow a slope, the others the
    level of their last weeks.
    """
    values = history.hourly[:, usable]
    long = np.isfinite(history.weekly.peak[:, : history.hourly.shape[1]][:, usable]).sum(axis=0) >= SLOPE_WEEKS
    past = _past(history, blocks)
    coming = (weeks[:, None] + np.arange(HOURS) * HOUR).ravel()
    shape = (len(weeks), values.shape[1], paths)
    curve, inside, spread, floor = (
        np.empty((len(coming), shape[1])),
        np.empty((len(past), shape[1])),
        np.zeros(shape),
        np.empty(shape[1]),
    )
    for sloped in (True, False):
        some = long if sloped else ~long
        if some.any():
            since = history.stamps >= (history.stamps[0] if sloped else history.next_week - FLAT_WEEKS * WEEK)
            part = _Fit.of(history, np.flatnonzero(usable)[some], since, "linear" if sloped else "flat")
            curve[:, some], inside[:, some], floor[some] = part.at(coming), part.at(past), LOG_FLOOR_SHARE * part.usual
            if sloped:
                spread[:, some] = _trends(history, np.flatnonzero(usable)[some], weeks, paths, rng)
    rows = _on_hours(history, values, past)
    lacking = np.asarray(~np.isfinite(rows).reshape(blocks, HOURS, -1).any(axis=0))
    _bridge_hours(curve, lacking)
    _bridge_hours(inside, lacking)
    residuals = (np.log(np.maximum(rows, floor)) - inside).reshape(blocks, HOURS, -1)
    lasting = np.where(long, 0.0, _lasting_levels(residuals))[:, None]
    residuals = residuals - lasting
    cube = curve.reshape(len(weeks), HOURS, -1)
    mean = cube.mean(axis=1)
    level = mean + _level_bias(residuals, long)[None] * LASTING ** ((weeks - history.next_week) / WEEK)[:, None]
    return _Model(
        cube - mean[:, None],
        level,
        np.nan_to_num(residuals),
        inside.reshape(blocks, HOURS, -1) + lasting,
        _sources(residuals, long),
        spread,
    )


def _bridge_hours(curves: Reals, lacking: Mask) -> None:
    """Lay curves (weeks * 168, N) straight across the hours of the week (168, N) that a site was never measured in: there
    harmonics are free to swing.
    """
    weeks = curves.reshape(-1, HOURS, curves.shape[1])
    for site in np.flatnonzero(lacking.any(axis=0) & ~lacking.all(axis=0)):
        holes, known = np.flatnonzero(lacking[:, site]), np.flatnonzero(~lacking[:, site])
        for week in weeks:
            week[holes, site] = np.interp(holes, known, week[known, site], period=HOURS)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Curves of some sites, with the regressors that belong to them."""

    curves: Curves
    known: Known | None
    members: Whole

    @classmethod
    def of(cls, history: SimulationHistory, members: Whole, since: Mask, growth: Literal["linear", "flat"]) -> _Fit:
        spec = Spec(SEASONS, log=True, growth=growth, changepoint_prior=STIFF)
        stamps = history.stamps[since]
        return cls(
            fit(
                pd.DatetimeIndex(stamps),
                history.hourly[since][:, members],
                spec,
                _regressors(history.known, stamps, members),
            ),
            history.known,
            members,
        )

    def at(self, stamps: Stamps) -> Reals:
        """The logarithm of the curve, in the unit of the values."""
        return self.curves.fitted_curve(
            pd.DatetimeIndex(stamps), _regressors(self.known, stamps, self.members)
        ) + np.log(self.usual)

    @property
    def usual(self) -> Reals:
        """What the fit divides the values of each site by."""
        return np.ones(len(self.members)) if self.curves.scale.usual is None else self.curves.scale.usual


def _regressors(known: Known | None, stamps: Stamps, members: Whole) -> Reals | None:
    """The regressors of some sites, where there are any."""
    if known is None:
        return None
    found = known(stamps)
    return found[:, :, members] if found.ndim == 3 else found


def _trends(history: SimulationHistory, members: Whole, weeks: Stamps, paths: int, rng: np.random.Generator) -> Reals:
    """(W, N, paths): how far the trends of some sites stray on the log scale, in part together.

    The sizes of their changes of slope are those of daily means, whose noise is nearer to white than that of hours.
    Every series draws a path of its own and shares in one more, so that its variance is its own and two series
    correlate as their past changes of slope did.
    """
    days, means = _daily(history, members)
    curves = fit(days, means, Spec(SEASONS[1:], log=True, changepoint_prior=SUPPLE))
    middle = pd.DatetimeIndex(weeks + WEEK // 2)
    change = np.nan_to_num(curves.change)
    own = np.nan_to_num(curves.trend_paths(middle, paths, rng))
    if not (change > 0.0).any():
        return own
    shared = _shared(np.nan_to_num(curves.trend(pd.DatetimeIndex(history.weekly.weeks))))
    pilot = int(np.argmax(change))
    common = curves.trend_paths(middle, paths, rng)[:, pilot] / change[pilot]
    return np.asarray(np.sqrt(1.0 - shared) * own + np.sqrt(shared) * common[:, None, :] * change[:, None])


def _daily(history: SimulationHistory, members: Whole) -> tuple[pd.DatetimeIndex, Reals]:
    """Means of whole UTC days of some sites, NaN where an hour is missing."""
    days = history.stamps.astype("datetime64[D]")
    first, last = days[0] + (history.stamps[0] > days[0]), (history.stamps[-1] + HOUR).astype("datetime64[D]")
    hours = first.astype(history.stamps.dtype) + np.arange(int((last - first) / HOUR)) * HOUR
    means = _on_hours(history, history.hourly[:, members], hours).reshape(-1, HOURS_A_DAY, len(members)).mean(axis=1)
    return pd.DatetimeIndex(hours[::HOURS_A_DAY]), means


def _shared(trend: Reals) -> float:
    """The mean correlation of changes of slope between the columns, 0 to 1."""
    bends = np.diff(trend, n=2, axis=0)
    size = bends.std(axis=0)
    bends = (bends / np.where(size > 0.0, size, np.inf))[:, size > 0.0]
    count = bends.shape[1]
    return float(np.clip((bends.mean(axis=1).var() * count - 1.0) / (count - 1), 0.0, 1.0)) if count > 1 else 0.0


# Residual weeks
# ------------------------------------------------------------------------------------------------------------


def _past(history: SimulationHistory, blocks: int) -> Stamps:
    """The hours of the last whole weeks, those that paths draw."""
    return np.asarray(
        history.weekly.weeks[0] + (history.whole_weeks - blocks) * WEEK + np.arange(blocks * HOURS) * HOUR
    )


def _on_hours(history: SimulationHistory, values: Reals, hours: Stamps) -> Reals:
    """The values at the given hours, NaN where there are none."""
    at = ((history.stamps - hours[0]) / HOUR).astype(np.int64)
    held = (at >= 0) & (at < len(hours))
    rows = np.full((len(hours), values.shape[1]), np.nan)
    rows[at[held]] = values[held]
    return rows


def _level_bias(residuals: Reals, long: Mask) -> Reals:
    """How far the last weeks lie off the curve (N,): the part that is expected to last into the next; none for a site
    whose level is that of its last weeks.
    """
    weekly = (
        pd.DataFrame(residuals[-LATE_WEEKS:].reshape(-1, residuals.shape[-1]))
        .groupby(np.arange(min(LATE_WEEKS, len(residuals))).repeat(HOURS))
        .median()
    )
    return np.where(long, KEPT * weekly.median().fillna(0.0).to_numpy(), 0.0)


def _lasting_levels(residuals: Reals) -> Reals:
    """What of the weekly levels of residual weeks (B, 168, N) lasted, (B, N): each one's median with its neighbours,
    after Tukey's rule at both ends.

    A step or a slope lies in it, a lone high week does not. A path that drew the weeks of another level would repeat
    the step at random.
    """
    levels = pd.DataFrame(nan_median(np.moveaxis(residuals, 1, 0))).ffill().bfill().fillna(0.0).to_numpy()
    if len(levels) < LASTING_AT_LEAST:
        return np.zeros_like(levels)
    found = np.vstack([levels[:1], np.median([levels[:-2], levels[1:-1], levels[2:]], axis=0), levels[-1:]])
    for end, (second, third) in ((0, (1, 2)), (-1, (-2, -3))):
        found[end] = np.median([levels[end], found[second], 3.0 * found[second] - 2.0 * found[third]], axis=0)
    return found


def _sources(residuals: Reals, long: Mask) -> Whole:
    """Which residual week (B, 168, N) stands for which at each site, (B, N): itself, or where the site lacks it,
    another of its own.

    A site without a slope lends only the weeks that its level was fitted to: before them, its residuals would be those
    of another level.
    """
    held = np.isfinite(residuals).mean(axis=1) >= MIN_WEEK_COMPLETENESS
    held[: max(len(held) - FLAT_WEEKS, 0), ~long] = False
    found = np.tile(np.arange(len(held))[:, None], held.shape[1])
    for site in np.flatnonzero(~held.all(axis=0)):
        found[:, site] = fill_with_donors(held[:, site])
    return found


def fill_with_donors(good: Mask) -> Whole:
    """Each good position for itself, the good ones in turn for the others; all for themselves where none is good."""
    places = np.arange(len(good))
    chosen = np.flatnonzero(good)
    return np.where(good, places, chosen[places % len(chosen)]) if len(chosen) else places


# Weeks of a path
# -----------------------------------------------------------------------------------------------------------


def _fill(found: Reals, history: SimulationHistory, model: _Model, usable: Mask, drawn: Whole) -> None:
    """Write the statistics (2, W, N + G, paths) of the usable sites and of the groups that hold one of them."""
    place = np.cumsum(usable) - 1
    groups = [place[group[usable[group]]] for group in history.groups]
    ratios = _subhourly_ratio(history, model, usable, groups)
    residuals = np.take_along_axis(model.residuals, model.sources[:, None, :], axis=0)
    sites = np.flatnonzero(usable)
    level = model.level[:, :, None] + model.spread
    for weeks in _equal_patterns(model.pattern):
        for block, hours in enumerate(np.exp(residuals + model.pattern[weeks[0]])):
            week, path = np.nonzero(drawn[weeks] == block)
            week = weeks[week]
            rise = np.exp(level[week, :, path]).T
            for statistic, of in enumerate(MEASURES):
                own = of(hours) * ratios[statistic, block, : len(sites)]
                found[statistic, week[:, None], sites, path[:, None]] = (own[:, None] * rise).T
            for group, members in enumerate(groups):
                if len(members):
                    at = len(usable) + group
                    total = hours[:, members] @ rise[members]
                    for statistic, of in enumerate(MEASURES):
                        found[statistic, week, at, path] = of(total) * ratios[statistic, block, len(sites) + group]


def _equal_patterns(pattern: Reals) -> list[Whole]:
    """Weeks ahead with the same pattern: all of them, but for those that known events bend."""
    left, found = np.arange(len(pattern)), []
    while len(left):
        first, others = left[0], left[1:]
        same = np.array(
            [np.allclose(pattern[week], pattern[first], rtol=0.0, atol=SAME, equal_nan=True) for week in others],
            dtype=bool,
        )
        found.append(np.r_[first, others[same]])
        left = others[~same]
    return found


def _subhourly_ratio(history: SimulationHistory, model: _Model, usable: Mask, groups: list[Whole]) -> Reals:
    """(2, B, N + G): the statistic of the finest samples over that of the hourly means, in the week that stands for
    each residual week.

    For a group it also carries what its young sites add, which have no path yet, but nothing of those that have gone
    silent; weeks in which too many of its sites are stood in for say nothing about it.
    """
    hours = np.exp(model.inside + model.residuals)
    series = np.r_[np.flatnonzero(usable), len(usable) + np.arange(len(groups))]
    sums = [
        hours[:, :, members].sum(axis=2) + gone
        for members, gone in zip(groups, _gone(history, len(hours)), strict=True)
    ]
    hourly = np.concatenate([hours, np.stack(sums, axis=2)], axis=2) if sums else hours
    own = model.sources == np.arange(len(hours))[:, None]
    whole = np.column_stack(
        [own, *(_share_held(hours[:, :, members].mean(axis=1), own[:, members]) >= OWN_AT_LEAST for members in groups)]
    )
    window = slice(history.whole_weeks - len(hours), history.whole_weeks)
    measured = (history.weekly.peak[window][:, series], history.weekly.p95[window][:, series])
    return np.stack(
        [
            _ratios(of, simulated, whole)
            for of, simulated in zip(measured, (hourly.max(axis=1), p95(hourly, axis=1)), strict=True)
        ]
    )


def _gone(history: SimulationHistory, blocks: int) -> list[Reals]:
    """(B, 168) for each group: what its sites that are silent now carried in the residual weeks."""
    past, silent = _past(history, blocks), _silent(history)
    lost = (_on_hours(history, history.hourly[:, group[silent[group]]], past) for group in history.groups)
    return [np.nan_to_num(hours).sum(axis=1).reshape(blocks, HOURS) for hours in lost]


def _share_held(levels: Reals, own: Mask) -> Reals:
    """The share of a group's traffic (B,) that its sites measured themselves, from levels (B, members)."""
    return np.asarray((levels * own).sum(axis=1) / np.maximum(levels.sum(axis=1), LEAST))


def _ratios(measured: Reals, simulated: Reals, whole: Mask) -> Reals:
    """Measured over simulated, (B, series); a good week of the series in place of one that is not whole or not
    measured, 1 where it has none.
    """
    good = whole & (measured > 0.0) & (simulated > 0.0)
    ratio = np.where(good, measured, 1.0) / np.where(good, simulated, 1.0)
    return np.column_stack([ratio[fill_with_donors(good[:, one]), one] for one in range(ratio.shape[1])])
