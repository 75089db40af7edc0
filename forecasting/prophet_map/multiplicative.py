"""The maximum a posteriori of a multiplicative model, trend x (1 + effects): trend and effects in turn, each exactly,
the other held.

With b the effects, led by 1 for the trend itself, and g the trend's coefficients, every sum that either step needs is a
sum over pairs of effects times pairs of trend columns. Those moments are taken once for all series that share a design;
after that no step looks at the rows again. The posterior has no single valley, and what is found is the bottom of the
one that holds the fit without effects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.panel.spread import Reals
from forecasting.prophet_map.additive import Estimate, best_variance, estimate, negative_log
from forecasting.prophet_map.design import Group, Places
from forecasting.prophet_map.moments import Moments
from forecasting.prophet_map.spec import Spec

# Stop where a cycle of three rounds lowers the objective by less than this many nats.
CONVERGED, CYCLES = 1e-7, 300
# Rounds of noise and trend before the effects are looked at again, which move more.
TREND_ROUNDS = 2
# Rows whose products are in memory at once.
ROWS = 512


@dataclass(frozen=True, slots=True)
class Products:
    """Sums over the rows of products: pairs (P, Q) of effects by trend columns, each pair once; values (n, E, A) of
    effect, trend column and value.
    """

    pairs: Reals
    values: Reals
    square: Reals
    observations: Reals

    @classmethod
    def begin(cls, effects: Reals, trend: Reals, values: Reals, observations: float) -> Products:
        """effects (T, E), trend (T, A) and values (T, n), all zero where nothing was observed."""
        (left, right), (first, second) = np.triu_indices(effects.shape[1]), np.triu_indices(trend.shape[1])
        pairs = np.zeros((len(left), len(first)))
        crossed = np.zeros((values.shape[1], effects.shape[1] * trend.shape[1]))
        for at in range(0, len(values), ROWS):
            some, bends = effects[at : at + ROWS], trend[at : at + ROWS]
            pairs += (some[:, left] * some[:, right]).T @ (bends[:, first] * bends[:, second])
            crossed += values[at : at + ROWS].T @ (some[:, :, None] * bends[:, None, :]).reshape(len(some), -1)
        square = np.einsum("ts,ts->s", values, values)
        return cls(
            pairs, crossed.reshape(-1, effects.shape[1], trend.shape[1]), square, np.full(len(square), observations)
        )

    def of(self, series: Places) -> Products:
        return Products(self.pairs, self.values[series], self.square[series], self.observations[series])

    def trend_gram(self, effects: Reals) -> Reals:
        """(n, A, A): the Gram of the trend columns, each row times its 1 + effects."""
        return _square(_pairs(effects) @ self.pairs, self.values.shape[2])

    def effect_gram(self, trend: Reals) -> Reals:
        """(n, E, E): the Gram of the effects, each row times its trend."""
        return _square(_pairs(trend) @ self.pairs.T, self.values.shape[1])


def _pairs(vectors: Reals) -> Reals:
    """(n, P): products of all pairs of a vector's elements, those of two different ones counted twice."""
    left, right = np.triu_indices(vectors.shape[1])
    return np.where(left == right, 1.0, 2.0) * vectors[:, left] * vectors[:, right]


def _square(pairs: Reals, size: int) -> Reals:
    """Symmetric matrices from their upper triangles."""
    left, right = np.triu_indices(size)
    found = np.empty((len(pairs), size, size))
    found[:, left, right] = pairs
    found[:, right, left] = pairs
    return found


def products(days: Reals, base: Reals, values: Reals, group: Group, spec: Spec) -> Products:
    """The products of one group's series, values (T, n) being zero where missing; effects are 1, the seasons, the
    regressors.
    """
    observed = group.observed[:, None]
    time = group.axis.at(days)[:, None][:, : spec.slopes]
    effects = np.hstack([base, group.regressors]) * observed
    trend = np.hstack([np.ones_like(observed, dtype=float), time, group.axis.hinges(days)]) * observed
    return Products.begin(effects, trend, values, float(group.observed.sum()))


def alternate(held: Products, precision: Reals, spec: Spec) -> Estimate:
    """The maximum a posteriori of n series; precision (U,) is that of the smooth coefficients: offset, slope, seasons,
    regressors.
    """
    moving = np.arange(len(held.square))
    smooth = np.zeros((len(moving), len(precision)))
    found = Estimate(
        smooth, np.zeros((len(moving), spec.hinges)), np.full(len(moving), np.nan), np.full(len(moving), np.inf)
    )
    for _ in range(CYCLES):
        part, before = held.of(moving), found.of(moving)
        once = _round(part, before, precision, spec)
        twice = _round(part, once, precision, spec)
        leap = _round(part, _leapt(before, once, twice, 1 + spec.slopes), precision, spec)
        better = np.flatnonzero(leap.objective < twice.objective)
        twice.put(better, leap.of(better))
        found.put(moving, twice)
        moving = moving[before.objective - twice.objective > CONVERGED]
        if not len(moving):
            break
    return found


def _leapt(before: Estimate, once: Estimate, twice: Estimate, cut: int) -> Estimate:
    """Where two rounds in a row lead if their effects go on in the same way (Varadhan and Roland's squared
    extrapolation, 2008).

    Where trend and effects can stand for each other, rounds alone crawl along the valley; a leap that does not help is
    not taken.
    """
    step = once.smooth[:, cut:] - before.smooth[:, cut:]
    bend = twice.smooth[:, cut:] - once.smooth[:, cut:] - step
    lengths = np.linalg.norm(step, axis=1), np.linalg.norm(bend, axis=1)
    far = np.divide(*lengths, out=np.ones(len(step)), where=lengths[1] > 0.0)[:, None]
    smooth = twice.smooth.copy()
    smooth[:, cut:] = before.smooth[:, cut:] + 2.0 * far * step + far**2 * bend
    return twice._replace(smooth=smooth)


def _round(held: Products, before: Estimate, precision: Reals, spec: Spec) -> Estimate:
    """Trend, effects and noise, once each."""
    cut = 1 + spec.slopes
    start = None if np.isnan(before.variance).any() else before
    effects = np.hstack([np.ones((len(before.smooth), 1)), before.smooth[:, cut:]])
    trend = estimate(_trend_moments(held, effects, cut), precision[:cut], spec.changepoint_prior, start, TREND_ROUNDS)
    bent = np.hstack([trend.smooth, trend.changes])
    gram, linear = held.effect_gram(bent), np.einsum("nea,na->ne", held.values, bent)
    ridge = gram[:, 1:, 1:] + np.eye(effects.shape[1] - 1) * (precision[cut:] * trend.variance[:, None])[:, None, :]
    effects[:, 1:] = np.linalg.solve(ridge, (linear[:, 1:] - gram[:, 1:, 0])[:, :, None])[:, :, 0]
    residual = held.square - ((2.0 * linear - np.matvec(gram, effects)) * effects).sum(axis=1)
    variance = best_variance(np.maximum(residual, 0.0), held.observations)
    smooth = np.hstack([trend.smooth, effects[:, 1:]])
    objective = negative_log(
        residual, variance, held.observations, 0.5 * smooth**2 @ precision, trend.changes, spec.changepoint_prior
    )
    return Estimate(smooth, trend.changes, variance, objective)


def _trend_moments(held: Products, effects: Reals, cut: int) -> Moments:
    """The additive problem of the trend, given 1 + effects at each row."""
    gram, target = held.trend_gram(effects), np.einsum("nea,ne->na", held.values, effects)
    return Moments(
        gram[:, :cut, :cut],
        gram[:, :cut, cut:],
        gram[:, cut:, cut:],
        target[:, :cut],
        target[:, cut:],
        held.square,
        held.observations,
    )
