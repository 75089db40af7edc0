"""Prediction intervals by split conformal prediction on the residuals of the very same procedure at past origins.

After Vovk, Gammerman and Shafer (2005) and, for the rolling origins, Stankeviciute, Alaa and van der Schaar (2021).
Residuals are divided by the square root of the forecast (a busy hour errs more than a quiet one, though not in
proportion), by how much that phase of the day usually errs, and, within the first cycle, by how much less the first
steps err: that ties the interval to the present. Their absolute values are pooled over a cycle of horizon on either
side, and a series with few of them is shrunk to the shape of all. Symmetric about the forecast, so levels are nested
and ordered by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from forecasting.evaluation.backtest import OutOfSample
from forecasting.evaluation.metrics import mean
from forecasting.panel.history import History, Reals, nan_median
from forecasting.panel.local_time import local_steps

# An interval of each level; the contract's quantiles are their ends and the forecast itself.
LEVELS = (0.50, 0.80, 0.95)
# A forecast of zero still errs: as if it were a tenth of the usual value.
RESIDUAL_FLOOR_SHARE = 0.1
# A phase's own mean counts for half once this many residuals stand behind it.
PHASE_EVIDENCE = 30.0
# Residuals of one origin move together: each origin says as much as this many independent ones.
INDEPENDENT_PER_ORIGIN = 6.0
# Beyond a month that is said of each disjoint view of the horizon, for origins closer than it saw much of the same; no
# level is raised beyond a fifth of its share outside.
DISJOINT_FROM_DAYS, LEAST_OUTSIDE = 28, 0.2
# A series' own quantile counts for half once this many residuals stand behind it.
OWN_EVIDENCE = 24.0
# Days up to here have a quantile each, the rest one a week.
DAILY_CYCLES, WEEKLY_CYCLES = 7, 7
# No interval reaches further from the forecast than so many times the largest error: it binds where levels differ by
# far between past and present.
TIMES_LARGEST = 2.0
# Where no origin reaches, the error grows as a random walk's would.
GROWTH = 0.5


def quantiles(point: Reals, half: Reals, lowest: Reals) -> Reals:
    """The contract's seven quantiles (H, N, 7) of a forecast (H, N) with half widths (H, N, 3) of LEVELS, none below
    `lowest` (N).
    """
    levels = half.shape[2]
    bounds = np.repeat(point[:, :, None], 2 * levels + 1, axis=2)
    bounds[:, :, :levels] -= half[:, :, ::-1]
    bounds[:, :, levels + 1 :] += half
    return np.asarray(np.maximum(bounds, lowest[:, None], out=bounds))


def half_widths(point: Reals, trials: OutOfSample, history: History, levels: Sequence[float] = LEVELS) -> Reals:
    """Half the width of an interval of each level, (H, N, levels), about the forecast `point` (H, N)."""
    residuals = trials.actual - trials.forecasts
    if not np.isfinite(residuals).any():
        trials = in_sample(history, len(point))
        residuals = trials.actual - trials.forecasts
    floor = _floor(history)
    np.abs(residuals, out=residuals)
    widest = _widest(residuals, trials, point)
    residuals /= np.sqrt(np.abs(trials.forecasts) + floor)
    length, ahead = len(history.stamps), np.arange(len(point))
    # Where an origin in the past is judged, some of the others come after it.
    shown = local_steps(history, max((length, *trials.origins)) - length + len(point)) % history.short
    places = shown[np.array(trials.origins)[:, None] + ahead]
    seasonal, lead = _seasonal_scale(residuals, places, history.short), np.ones(len(point))
    residuals /= seasonal[places]
    lead[: history.short] = _horizon_scale(residuals[:, : history.short])
    residuals[:, : history.short] /= lead[: history.short, None]
    pooled = _pooled(residuals, trials.origins, history, levels)
    scale = np.sqrt(np.abs(point) + floor) * seasonal[shown[length + ahead]] * lead[:, None]
    return np.asarray(np.minimum(scale[:, :, None] * pooled, widest[:, None]))


def _widest(residuals: Reals, trials: OutOfSample, point: Reals) -> Reals:
    """Twice the largest error that was ever made, more where the forecast exceeds all that was seen, (N).

    A site that was launched was once forecast as idle; that error, taken as a multiple of an idle hour's, is none of a
    busy one's.
    """
    highest, error = (
        np.fmax.reduce(values, axis=(0, 1), initial=0.0)
        for values in (np.fmax(np.abs(trials.actual), np.abs(trials.forecasts)), residuals)
    )
    risen = np.fmax.reduce(np.abs(point), axis=0) / np.where(highest > 0.0, highest, np.inf)
    return np.where(error > 0.0, TIMES_LARGEST * error * np.sqrt(np.fmax(risen, 1.0)), np.inf)


def in_sample(history: History, horizon: int) -> OutOfSample:
    """For a history that no origin fits into: as if each cycle had been forecast by the one before it."""
    values, step = history.measured, history.short if len(history.stamps) > history.short else 1
    forecast, actual = values[:-step][-horizon:], values[step:][-horizon:]
    if not len(actual):
        forecast, actual = values, np.zeros_like(values)
    return OutOfSample((len(values) - len(actual),), _long(forecast, horizon)[None], _long(actual, horizon)[None])


def _long(values: Reals, horizon: int) -> Reals:
    """Values (h, N) as (horizon, N), NaN after their end."""
    return np.concatenate([values, np.full((horizon - len(values), values.shape[1]), np.nan)])


def _floor(history: History) -> Reals:
    """A tenth of each series' usual absolute value, of its last long cycle where that is higher, (N); a value above
    zero for all.

    A series that was launched not long ago is as large as it is now: its first errors are no error of a nearly idle
    one.
    """
    usual = mean(np.abs(history.measured))
    latest = mean(np.abs(history.measured[-history.long :]))
    usual = np.fmax(usual, latest)
    return np.where(usual > 0.0, RESIDUAL_FLOOR_SHARE * usual, 1.0)


def _seasonal_scale(residuals: Reals, places: npt.NDArray[np.intp], cycle: int) -> Reals:
    """How much each phase of the short cycle errs, (cycle, N), with a mean of one; shrunk to one where little was
    seen.
    """
    usual = mean(residuals.reshape(-1, residuals.shape[2]))
    shares = residuals / np.where(usual > 0.0, usual, 1.0)
    is_known = ~np.isnan(shares)
    totals = _by_phase(np.where(is_known, shares, 0.0), places, cycle)
    counts = _by_phase(is_known.astype(float), places, cycle)
    scale = (totals + PHASE_EVIDENCE) / (counts + PHASE_EVIDENCE)
    return np.asarray(scale / scale.mean(axis=0))


def _by_phase(values: Reals, places: npt.NDArray[np.intp], cycle: int) -> Reals:
    """Sums (cycle, N) over all steps of one phase, of values (K, H, N) whose phases (K, H) run on but where the clock
    changes.
    """
    found = np.zeros((cycle, values.shape[2]))
    for row, at in zip(values, places, strict=True):
        turns = np.flatnonzero((at[1:] - at[:-1]) % cycle != 1 % cycle) + 1
        for first, part in zip(at[[0, *turns]], np.split(row, turns), strict=True):
            whole = len(part) // cycle * cycle
            each = part[:whole].reshape(-1, cycle, part.shape[1]).sum(axis=0)
            each[: len(part) - whole] += part[whole:]
            found += np.roll(each, first, axis=0)
    return found


def _horizon_scale(residuals: Reals) -> Reals:
    """How much of the first cycle's error each of its steps has, at most one and never falling; what is usual among the
    series.

    A series that errs at few of the steps, being idle at the others, says nothing of how errors grow.
    """
    each = np.stack([mean(steps) for steps in residuals.swapaxes(0, 1)])
    usual = mean(each)
    telling = (usual > 0.0) & (2 * np.count_nonzero(each > 0.0, axis=0) >= len(each))
    if not telling.any():
        return np.ones(len(each))
    middle = nan_median((each[:, telling] / usual[telling]).T)
    if np.isnan(middle).any() or middle[-1] <= 0.0:
        return np.ones(len(middle))
    smooth = np.convolve(np.concatenate([middle[:1], middle, middle[-1:]]), np.full(3, 1.0 / 3.0), mode="valid")
    rising = np.asarray(_rising(smooth))
    return rising / rising[-1] if rising[0] > 0.0 else np.ones(len(middle))


def _rising(values: Reals) -> list[float]:
    """The closest sequence that never falls: pooled adjacent violators (Ayer et al., 1955)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        block = (float(value), 1)
        while blocks and blocks[-1][0] > block[0]:
            level, count = blocks.pop()
            block = ((level * count + block[0] * block[1]) / (count + block[1]), count + block[1])
        blocks.append(block)
    return [level for level, count in blocks for _ in range(count)]


def _pooled(residuals: Reals, origins: Sequence[int], history: History, levels: Sequence[float]) -> Reals:
    """Quantiles of absolute residuals (K, H, N) at each step, (H, N, levels), linear between the middles of blocks."""
    cycle, horizon = history.short, residuals.shape[1]
    edges = _edges(cycle, horizon)
    blocks: list[Reals] = []
    for first, last in pairwise(edges):
        part = residuals[:, max(first - cycle, 0) : last + cycle]
        distance = (first + last) // 2 if first >= history.days(DISJOINT_FROM_DAYS) else 0
        found = _quantiles(part, _disjoint_views(part, origins, distance), levels)
        blank = np.isnan(found[:, 0])
        if blank.any() and blocks:
            found[blank] = blocks[-1][blank] * (last / first) ** GROWTH
        blocks.append(found)
    middles = (edges[:-1] + edges[1:] - 1) / 2.0
    stacked = _filled(np.stack(blocks))
    return _between(stacked, middles, horizon)


def _disjoint_views(residuals: Reals, origins: Sequence[int], distance: int) -> Reals:
    """How many views of a horizon each series has, (N), at least one: the origins (K) with residuals (K, h, N), or as
    many as fit among them `distance` steps apart.
    """
    is_seen = np.asarray(~np.isnan(residuals).all(axis=1))
    views = np.asarray(np.count_nonzero(is_seen, axis=0), dtype=float)
    seen = [origin for origin, has_residuals in zip(origins, is_seen, strict=True) if has_residuals.any()]
    if distance and seen:
        views = np.minimum(views, 1.0 + float(np.ptp(seen)) / distance)
    return np.asarray(np.maximum(views, 1.0))


def _edges(cycle: int, horizon: int) -> npt.NDArray[np.intp]:
    """Where the blocks of horizon begin, and the last one ends: single cycles for a week, then weeks."""
    block = max(cycle, 1)
    daily = np.arange(0, DAILY_CYCLES * block, block)
    weekly = np.arange(DAILY_CYCLES * block, horizon, WEEKLY_CYCLES * block)
    starts = np.concatenate([daily, weekly])
    return np.append(starts[starts < horizon], horizon)


def _quantiles(residuals: Reals, views: Reals, levels: Sequence[float]) -> Reals:
    """Conformal quantiles of the pooled residuals (K, h, N), (N, levels): own and shared ones in geometric mean by
    evidence; NaN without residuals. views: how many of the horizon each series has, (N).
    """
    rows = np.sort(residuals.reshape(-1, residuals.shape[2]), axis=0)  # NaN last
    count = (~np.isnan(rows)).sum(axis=0)
    independent = INDEPENDENT_PER_ORIGIN * views
    origins = INDEPENDENT_PER_ORIGIN * np.maximum((~np.isnan(residuals)).any(axis=1).sum(axis=0), 1)
    usual = mean(rows)
    shared = (rows / np.where(usual > 0.0, usual, np.nan)).ravel()
    shared = shared[~np.isnan(shared)]
    raised = [_raised(level, independent, origins) for level in levels]
    ranks = [_rank(level, np.full(len(count), len(shared))) for level in raised]
    # Only these ranks are needed: to put all in order would take most of the time.
    shared = np.partition(shared, np.unique(ranks)) if len(shared) else shared
    trust = count / (count + OWN_EVIDENCE)
    found = np.empty((residuals.shape[2], len(levels)))
    for place, (level, rank) in enumerate(zip(raised, ranks, strict=True)):
        own = np.take_along_axis(rows, _rank(level, count)[None], axis=0)[0]
        other = shared[rank] * usual if len(shared) else own
        both = (own > 0.0) & (other > 0.0)
        found[:, place] = np.where(
            both, np.where(both, own, 1.0) ** trust * np.where(both, other, 1.0) ** (1.0 - trust), own
        )
    return np.maximum.accumulate(found, axis=1)


def _raised(level: float, independent: Reals, residuals: Reals) -> Reals:
    """The level (N) that so many independent residuals need for theirs to hold `level`; what fewer of them add to it ends
    at `LEAST_OUTSIDE` of what lies outside.
    """
    by_residuals = np.minimum(level * (1.0 + 1.0 / residuals), 1.0)
    by_views = np.minimum(level * (1.0 + 1.0 / independent), 1.0 - LEAST_OUTSIDE * (1.0 - level))
    return np.asarray(np.maximum(by_residuals, by_views))


def _rank(level: Reals, count: npt.NDArray[np.int_]) -> npt.NDArray[np.intp]:
    return np.asarray(np.clip(np.ceil(level * count) - 1, 0, np.maximum(count - 1, 0)), dtype=np.intp)


def _filled(blocks: Reals) -> Reals:
    """Blocks (B, N, levels) whose leading gaps take the first that is known, or zero."""
    for number in range(len(blocks) - 2, -1, -1):
        blocks[number] = np.where(np.isnan(blocks[number]), blocks[number + 1], blocks[number])
    return np.nan_to_num(blocks)


def _between(blocks: Reals, middles: Reals, horizon: int) -> Reals:
    """Linear interpolation of blocks (B, N, levels) at their middles to the steps, (H, N, levels)."""
    place = np.interp(np.arange(horizon), middles, np.arange(len(middles), dtype=float))
    lower = np.minimum(place.astype(int), max(len(middles) - 2, 0))
    upper, share = np.minimum(lower + 1, len(middles) - 1), (place - lower)[:, None, None]
    return np.asarray(blocks[lower] * (1.0 - share) + blocks[upper] * share)
