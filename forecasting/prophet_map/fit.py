"""Prophet's model fitted to a panel of series at once: `fit` gives `Curves`, which answer for any stamps.

The answer is the maximum a posteriori that the prophet package looks for one series at a time, found exactly and for
all together: series that were observed at the same stamps share one design matrix, and each then needs only the
products of that matrix with its values (docs/methods.md).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from forecasting.panel.history import Reals
from forecasting.prophet_map.design import Axis, Group, Places, Rows, Scale, Season, Spec, days_of, grouped, seasonal
from forecasting.prophet_map.moments import Shared, moments
from forecasting.prophet_map.posterior import Estimate, estimate
from forecasting.prophet_map.uncertainty import one_blas_thread, predictive_offsets, sample_trend_deviations

# Series in one batch, at most: enough to spread the cost of a call, few enough to bound memory.
BATCH = 512
# Below so many series starting threads takes longer than what they would share: a lone series of eight weeks is solved in
# 2 ms.
THREADED_FROM = 16
# Prophet's prior of slope and offset, on values scaled to at most 1.
TREND_PRIOR = 5.0
# A series that never changes has no noise; Prophet says so with this.
NO_NOISE = 1e-9


def batches(groups: list[Group], size: int) -> Iterator[list[Group]]:
    """The groups' members in batches of a size; a group that is too large is cut, small ones are put together."""
    batch: list[Group] = []
    room = size
    for group in groups:
        members = group.members
        while len(members):
            batch.append(replace(group, members=members[:room]))
            members, room = members[room:], room - len(batch[-1].members)
            if not room:
                yield batch
                batch, room = [], size
    if batch:
        yield batch


def solve_in_batches(
    values: Reals, shared: Shared, groups: list[Group], spec: Spec, precision: Reals
) -> tuple[Estimate, Scale]:
    """The estimates and scales of all series, in the order of the columns of `values`, (T, N), NaN where missing."""

    def solve_batch(batch: list[Group]) -> tuple[Places, Estimate, Scale]:
        series = np.concatenate([group.members for group in batch])
        starts = np.cumsum([0, *(len(group.members) for group in batch)])
        placed = [replace(group, members=np.arange(*ends)) for group, ends in zip(batch, pairwise(starts), strict=True)]
        scale, scaled = Scale.of(_columns(values, series), log=spec.log)
        return (
            series,
            without_noise(_estimated(shared, scaled, placed, spec, precision), scaled, placed, scale.still),
            scale,
        )

    threads = _threads() if values.shape[1] >= THREADED_FROM else 1
    size = min(BATCH, -(-values.shape[1] // threads))
    if threads == 1:
        parts = [solve_batch(batch) for batch in batches(groups, size)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(solve_batch, batches(groups, size)))
    order = np.argsort(np.concatenate([series for series, _, _ in parts]))
    return concatenate_estimates([part for _, part, _ in parts]).of(order), Scale.joined(
        [scale for _, _, scale in parts], order
    )


def _columns(values: Reals, series: Places) -> Reals:
    """Some columns; those that lie side by side without a copy."""
    first, last = int(series[0]), int(series[-1])
    together = last - first == len(series) - 1 and bool((np.diff(series) > 0).all())
    return values[:, first : last + 1] if together else np.take(values, series, axis=1)


def _estimated(shared: Shared, scaled: Reals, groups: list[Group], spec: Spec, precision: Reals) -> Estimate:
    """The estimates of one batch, whose groups' members are the columns of `scaled`, in their order."""
    return estimate(moments(shared, scaled, groups, spec), precision, spec.changepoint_prior)


def _threads() -> int:
    """One for each processor; a worker process has siblings that see to the others."""
    return 1 if multiprocessing.parent_process() else os.cpu_count() or 1


def concatenate_estimates(parts: Sequence[Estimate]) -> Estimate:
    """The estimates of all parts, one after another."""
    return Estimate(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def without_noise(found: Estimate, scaled: Reals, groups: list[Group], still: Rows) -> Estimate:
    """The estimates, but where a series never changes (`still`), its value and nothing else, as Prophet has it; NaN for
    series without any value.
    """
    found.smooth[still], found.changes[still], found.variance[still] = 0.0, 0.0, NO_NOISE**2
    for group in groups:
        quiet = group.members[still[group.members]]
        count = group.observed.sum()
        level = scaled[group.observed.argmax(), quiet] if count else np.full(len(quiet), np.nan)
        found.smooth[quiet, 0] = level
        found.objective[quiet] = count * np.log(NO_NOISE) + 0.5 * (level / TREND_PRIOR) ** 2
    return found


__all__ = ["Curves", "Season", "Spec", "fit"]


@dataclass(frozen=True, slots=True)
class Curves:
    """The fitted curves of N series.

    sigma: (N,), noise on the fitted scale. change: (N,), the mean size of a change of slope. objective: (N,), the
    negative logarithm of the posterior, up to a constant. A series without any value is NaN throughout.
    """

    spec: Spec
    groups: list[Group]
    scale: Scale
    offset: Reals
    slope: Reals
    changes: Reals
    seasons: Reals
    regressors: Reals
    sigma: Reals
    change: Reals
    objective: Reals

    def predict(self, stamps: pd.DatetimeIndex, regressors: Reals | None = None) -> Reals:
        """(H, N): what is expected, in units of the values; on the log scale the median."""
        return self.scale.value(self.fitted_curve(stamps, regressors))

    def fitted_curve(self, stamps: pd.DatetimeIndex, regressors: Reals | None = None) -> Reals:
        """(H, N): the curve on the scale that was fitted, logarithms where the model is one of logarithms."""
        return np.asarray(sum(self.components(stamps, regressors).values()))

    @one_blas_thread()
    def components(self, stamps: pd.DatetimeIndex, regressors: Reals | None = None) -> dict[str, Reals]:
        """The trend, each season by its name, and the regressors together, each (H, N): they add up to the fitted
        curve.
        """
        return {"trend": self.trend(stamps)} | self._effects(stamps, regressors)

    def trend(self, stamps: pd.DatetimeIndex) -> Reals:
        """(H, N): the trend on the fitted scale."""
        days = days_of(stamps)
        trend = np.empty((len(days), len(self.offset)))
        for group in self.groups:
            trend[:, group.members] = self._bent(group, group.axis.at(days))
        return trend * self.scale.size

    def _bent(self, group: Group, at: Reals) -> Reals:
        """(H, members): the trends of a group on its axis: between two changepoints a straight line, whose slope and
        offset are sums of all changes before.
        """
        changes, points = self.changes[group.members], group.axis.changepoints
        slopes = np.cumsum(np.column_stack([self.slope[group.members], changes]), axis=1)
        starts = np.cumsum(
            np.column_stack([self.offset[group.members], -changes * np.where(np.isfinite(points), points, 0.0)]), axis=1
        )
        line = np.searchsorted(points, at)
        return (slopes[:, line] * at + starts[:, line]).T

    def quantiles(self, stamps: pd.DatetimeIndex, levels: Sequence[float], regressors: Reals | None = None) -> Reals:
        """(H, N, Q): Prophet's predictive quantiles in units of the values: the curve, its noise, and changes of the
        trend after the history.
        """
        parts = self.components(stamps, regressors)
        curve, change = np.asarray(sum(parts.values())), np.broadcast_to(self.change, parts["trend"].shape)
        quantiles = np.moveaxis(predictive_offsets(self._ahead(stamps), change, self.bends, self.sigma, levels), 2, 0)
        quantiles += curve
        for level in quantiles:
            level[:] = self.scale.value(level)
        return np.moveaxis(quantiles, 0, 2)

    def trend_paths(self, steps_ahead_stamps: pd.DatetimeIndex, paths: int, rng: np.random.Generator) -> Reals:
        """(H, N, paths): how far sampled trends lie off the fitted one at ascending stamps, on the fitted scale; zero
        within the history.

        Each series changes on its own, as Prophet has it.
        """
        ahead, bends = self._ahead(steps_ahead_stamps), self.bends
        drawn = [
            sample_trend_deviations(ahead[:, series], self.change[series], bends[series], paths, rng)
            for series in range(ahead.shape[1])
        ]
        return np.stack(drawn, axis=1)

    @property
    def bends(self) -> Reals:
        """(N,): at how many places each trend could bend."""
        return self._each(lambda axis: float(axis.bends))

    def _each(self, of: Callable[[Axis], float]) -> Reals:
        """A number of each series' axis."""
        numbers = np.empty(len(self.offset))
        for group in self.groups:
            numbers[group.members] = of(group.axis)
        return numbers

    def _ahead(self, stamps: pd.DatetimeIndex) -> Reals:
        """(H, N): time after each series' own history, which lasts 1."""
        return (days_of(stamps)[:, None] - self._each(lambda axis: axis.start)) / self._each(
            lambda axis: axis.span
        ) - 1.0

    def _effects(self, stamps: pd.DatetimeIndex, regressors: Reals | None) -> dict[str, Reals]:
        """Seasons and regressors on the fitted scale."""
        days, at, found = days_of(stamps), 0, {}
        size = self.scale.size
        for season in self.spec.seasons:
            found[season.name] = seasonal(days, [season]) @ self.seasons[:, at : at + 2 * season.order].T * size
            at += 2 * season.order
        if self.regressors.shape[1]:
            found["regressors"] = (
                _regressor_effect(checked_regressors(regressors, len(days), self.regressors.shape[1]), self.regressors)
                * size
            )
        return found


def checked_regressors(regressors: Reals | None, rows: int, columns: int) -> Reals:
    """The regressors, or an array without columns; raises ValueError where their shape is not the one fitted."""
    columns_given = np.empty((rows, 0)) if regressors is None else np.asarray(regressors, dtype=float)
    if columns_given.shape[:2] != (rows, columns):
        raise ValueError(
            f"regressors have the shape {columns_given.shape}; ({rows}, {columns}) or ({rows}, {columns}, series) is needed"
        )
    return columns_given


def _regressor_effect(regressors: Reals, coefficients: Reals) -> Reals:
    return regressors @ coefficients.T if regressors.ndim == 2 else np.einsum("tkn,nk->tn", regressors, coefficients)


@one_blas_thread()
def fit(
    stamps: pd.DatetimeIndex,
    values: Reals,
    spec: Spec,
    regressors: Reals | None = None,
    regressor_prior: float | Reals = 10.0,
) -> Curves:
    """Fit every column of `values`, (T, N), NaN where missing or masked, at the T stamps: UTC, or local time without a
    zone.

    regressors: (T, K) shared by all series, or (T, K, N); they enter as they are, without Prophet's standardisation.
    regressor_prior: one scale, or K of them. Raises ValueError for shapes that do not fit and for values that are
    infinite.
    """
    values = np.asarray(values, dtype=float)
    count = np.shape(regressors)[1] if regressors is not None else 0
    columns = checked_regressors(regressors, len(stamps), count)
    observed = np.isfinite(values)
    if values.shape[:1] != (len(stamps),) or (not observed.all() and np.isinf(values).any()):
        raise ValueError(
            f"values of shape {values.shape} for {len(stamps)} stamps; one row for each stamp is needed, finite or NaN"
        )
    if not values.shape[1]:
        raise ValueError("there are no values; at least one series is needed")
    days = days_of(stamps)
    if (days[1:] < days[:-1]).any():
        order = np.argsort(days, kind="stable")
        days, values, observed, columns = days[order], values[order], observed[order], columns[order]
    groups = grouped(days, observed, spec, columns)
    priors = np.broadcast_to(np.asarray(regressor_prior, dtype=float), (count,))
    return _curves(days, values, groups, spec, priors)


def _curves(days: Reals, values: Reals, groups: list[Group], spec: Spec, priors: Reals) -> Curves:
    base = np.hstack([np.ones((len(days), 1)), seasonal(days, spec.seasons)])
    season_columns = base.shape[1] - 1
    widths = np.r_[TREND_PRIOR, np.full(spec.slopes, TREND_PRIOR), np.full(season_columns, spec.season_prior), priors]
    found, scale = solve_in_batches(values, Shared.of(days, base), groups, spec, 1.0 / widths**2)
    smooth, cut = found.smooth, 1 + spec.slopes
    slope = smooth[:, 1] if spec.slopes else np.zeros(len(smooth))
    change = np.abs(found.changes).sum(axis=1) * scale.size
    for group in groups:
        change[group.members] /= max(group.axis.bends, 1)
    seasons, regressors = np.hsplit(smooth[:, cut:], [season_columns])
    sigma = np.sqrt(found.variance) * scale.size
    return Curves(
        spec, groups, scale, smooth[:, 0], slope, found.changes, seasons, regressors, sigma, change, found.objective
    )
