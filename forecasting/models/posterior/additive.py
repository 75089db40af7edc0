"""The maximum a posteriori of an additive model: noise and coefficients in turn, each exactly, until neither moves.

For a given noise the smooth coefficients are eliminated, in coordinates in which their Gram matrix and their prior are both diagonal, so that a new value of the
noise costs one product of matrices; what remains is a lasso in the changes of slope. For given coefficients the best noise has a closed form.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from forecasting.models.posterior import lasso
from forecasting.models.posterior.design import Rows
from forecasting.models.posterior.lasso import Solution
from forecasting.models.posterior.moments import Moments
from forecasting.models.spread import Reals

# Stop where the noise moves by less than this share of it; the objective is flat there, and moves by the square.
CONVERGED, ROUNDS = 1e-8, 200
# The least variance of the noise, as a share of the largest value's square: below it rounding is all that there is.
LEAST_VARIANCE = 1e-12


class Estimate(NamedTuple):
    """smooth (n, U), changes (n, C), variance (n,) of the noise, objective (n,): the negative logarithm of the posterior, up to Prophet's constant."""

    smooth: Reals
    changes: Reals
    variance: Reals
    objective: Reals


class _Diagonal(NamedTuple):
    """Moments in coordinates where the smooth block's Gram is diag(values) and its prior's precision is the identity.

    back (n, U, U) leads to the coefficients.
    """

    values: Reals
    cross: Reals
    to_smooth: Reals
    back: Reals
    rest: Moments

    @classmethod
    def of(cls, held: Moments, precision: Reals) -> _Diagonal:
        width = 1.0 / np.sqrt(precision)
        # Series that share their design share the decomposition: a broadcast Gram has no stride along the series.
        shared = held.smooth.strides[0] == 0
        gram = held.smooth[:1] if shared else held.smooth
        values, vectors = np.linalg.eigh(gram * width[:, None] * width)
        back = width[:, None] * vectors
        turned = np.swapaxes(back, 1, 2)
        cross = np.matmul(turned, held.cross[: len(gram)])
        to_smooth = held.to_smooth @ back[0] if shared else np.matmul(turned, held.to_smooth[:, :, None])[:, :, 0]
        parts = [np.broadcast_to(part, (len(held.count), *part.shape[1:])) for part in (np.maximum(values, 0.0), cross, back)]
        return cls(parts[0], parts[1], to_smooth, parts[2], held)

    def of_series(self, series: Rows) -> _Diagonal:
        return _Diagonal(self.values[series], self.cross[series], self.to_smooth[series], self.back[series], self.rest.of(series))

    def reduced(self, variance: Reals) -> tuple[Reals, Reals]:
        """Gram and target of the changes of slope, once the smooth coefficients are eliminated at this variance of the noise."""
        weights = 1.0 / (self.values + variance[:, None])
        turned = np.swapaxes(self.cross, 1, 2)
        gram = self.rest.hinge - np.matmul(turned * weights[:, None, :], self.cross)
        target = self.rest.to_hinge - np.matmul(turned, (weights * self.to_smooth)[:, :, None])[:, :, 0]
        return gram, target

    def smooth(self, changes: Reals, variance: Reals) -> Reals:
        """The best smooth coefficients, in these coordinates."""
        return (self.to_smooth - np.matmul(self.cross, changes[:, :, None])[:, :, 0]) / (self.values + variance[:, None])

    def residual(self, smooth: Reals, changes: Reals) -> Reals:
        """The sum of squared residuals."""
        bent = np.matmul(self.cross, changes[:, :, None])[:, :, 0]
        hinged = np.matmul(self.rest.hinge, changes[:, :, None])[:, :, 0]
        linear = ((2.0 * self.to_smooth - self.values * smooth - 2.0 * bent) * smooth).sum(axis=1)
        return np.maximum(self.rest.square - linear - ((2.0 * self.rest.to_hinge - hinged) * changes).sum(axis=1), 0.0)


def best_variance(residual: Reals, count: Reals) -> Reals:
    """The variance of the noise where the posterior is highest, given the sum of squares and the number of observations."""
    return np.maximum((np.sqrt(count**2 + 16.0 * residual) - count) / 8.0, LEAST_VARIANCE)


def negative_log(residual: Reals, variance: Reals, count: Reals, smooth_prior: Reals, changes: Reals, scale: float) -> Reals:
    """The negative logarithm of the posterior up to a constant; smooth_prior is half the sum of precision times square."""
    fit = residual / (2.0 * variance) + 0.5 * count * np.log(variance) + 2.0 * variance
    return fit + smooth_prior + np.abs(changes).sum(axis=1) / scale


def estimate(held: Moments, precision: Reals, changepoint_prior: float) -> Estimate:
    """The maximum a posteriori of n series; precision (U,) is that of the smooth coefficients' normal priors."""
    diagonal = _Diagonal.of(held, precision)
    series, hinges = held.to_hinge.shape
    nothing = np.zeros((series, hinges))
    variance = best_variance(diagonal.residual(diagonal.smooth(nothing, np.zeros(series) + LEAST_VARIANCE), nothing), held.count)
    solution = Solution.nothing(series, hinges)
    moving = np.arange(series)
    part = diagonal
    for _ in range(ROUNDS):
        before = variance[moving]
        gram, target = part.reduced(before)
        now = lasso.solve(gram, target, before / changepoint_prior, solution.of(moving))
        solution.put(moving, now)
        variance[moving] = best_variance(part.residual(part.smooth(now.values, before), now.values), part.rest.count)
        still = np.abs(variance[moving] - before) > CONVERGED * before
        if not still.any():
            break
        if not still.all():
            moving, part = moving[still], part.of_series(still)
    smooth = diagonal.smooth(solution.values, variance)
    residual = diagonal.residual(smooth, solution.values)
    objective = negative_log(residual, variance, held.count, 0.5 * (smooth**2).sum(axis=1), solution.values, changepoint_prior)
    return Estimate(np.matmul(diagonal.back, smooth[:, :, None])[:, :, 0], solution.values, variance, objective)
