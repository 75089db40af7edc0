"""The maximum a posteriori of an additive model: noise and coefficients in turn, each exactly, until neither moves.

For a given noise the smooth coefficients are eliminated, in coordinates in which their Gram matrix and their prior are
both diagonal, so that a new value of the noise costs one product of matrices; what remains is a lasso in the changes of
slope. For given coefficients the best noise has a closed form.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from forecasting.panel.spread import Reals
from forecasting.prophet_map import lasso
from forecasting.prophet_map.design import Places
from forecasting.prophet_map.lasso import Solution
from forecasting.prophet_map.moments import Moments, is_shared, some

# Stop where the noise moves by less than this share of it; the objective is flat there, and moves by the square.
CONVERGED, ROUNDS = 1e-8, 200
# The least variance of the noise, as a share of the largest value's square: below it rounding is all that there is.
LEAST_VARIANCE = 1e-12


class Estimate(NamedTuple):
    """smooth (n, U), changes (n, C), variance (n,) of the noise, objective (n,): the negative logarithm of the
    posterior, up to Prophet's constant.
    """

    smooth: Reals
    changes: Reals
    variance: Reals
    objective: Reals

    def of(self, series: Places) -> Estimate:
        return Estimate(*(part[series] for part in self))

    def put(self, series: Places, other: Estimate) -> None:
        """Take over the estimates of some series."""
        for mine, theirs in zip(self, other, strict=True):
            mine[series] = theirs


class _Diagonal(NamedTuple):
    """Moments in coordinates where the smooth block's Gram is diag(values) and its prior's precision is the identity.

    back (n, U, U) leads to the coefficients. outer (U, C x C): where all series share their design, the outer products
    of the rows of `cross`.
    """

    values: Reals
    cross: Reals
    to_smooth: Reals
    back: Reals
    rest: Moments
    outer: Reals | None

    @classmethod
    def begin(cls, held: Moments, precision: Reals) -> _Diagonal:
        width = 1.0 / np.sqrt(precision)
        # Series that share their design share the decomposition.
        shared, count = is_shared(held.smooth), len(held.observations)
        gram = held.smooth[:1] if shared else held.smooth
        values, vectors = np.linalg.eigh(gram * width[:, None] * width)
        back = width[:, None] * vectors
        turned = np.swapaxes(back, 1, 2)
        cross = np.matmul(turned, held.cross[: len(gram)])
        to_smooth = held.to_smooth @ back[0] if shared else np.matvec(turned, held.to_smooth)
        parts = [np.broadcast_to(part, (count, *part.shape[1:])) for part in (np.maximum(values, 0.0), cross, back)]
        outer = (cross[0, :, :, None] * cross[0, :, None, :]).reshape(cross.shape[1], -1) if shared else None
        return cls(parts[0], parts[1], to_smooth, parts[2], held, outer)

    def of(self, series: Places) -> _Diagonal:
        values, cross, to_smooth, back = (some(part, series) for part in self[:4])
        return _Diagonal(values, cross, to_smooth, back, self.rest.of(series), self.outer)

    def reduced(self, variance: Reals) -> tuple[Reals, Reals]:
        """Gram and target of the changes of slope, once the smooth coefficients are eliminated at this variance of the
        noise.
        """
        weights = 1.0 / (self.values + variance[:, None])
        turned = np.swapaxes(self.cross, 1, 2)
        known = (
            np.matmul(turned * weights[:, None, :], self.cross)
            if self.outer is None
            else (weights @ self.outer).reshape(self.rest.hinge.shape)
        )
        target = self.rest.to_hinge - np.matvec(turned, weights * self.to_smooth)
        return np.subtract(self.rest.hinge, known, out=known), target

    def smooth(self, changes: Reals, variance: Reals) -> Reals:
        """The best smooth coefficients, in these coordinates."""
        left: Reals = self.to_smooth - np.matvec(self.cross, changes)
        return left / (self.values + variance[:, None])

    def residual(self, smooth: Reals, changes: Reals) -> Reals:
        """The sum of squared residuals."""
        bent = np.matvec(self.cross, changes)
        hinged = np.matvec(self.rest.hinge, changes)
        linear = ((2.0 * self.to_smooth - self.values * smooth - 2.0 * bent) * smooth).sum(axis=1)
        left: Reals = np.maximum(
            self.rest.square - linear - ((2.0 * self.rest.to_hinge - hinged) * changes).sum(axis=1), 0.0
        )
        return left


def best_variance(residual: Reals, observations: Reals) -> Reals:
    """The variance of the noise where the posterior is highest, given the sum of squares and the number of
    observations.
    """
    return np.maximum((np.sqrt(observations**2 + 16.0 * residual) - observations) / 8.0, LEAST_VARIANCE)


def negative_log(
    residual: Reals, variance: Reals, observations: Reals, smooth_prior: Reals, changes: Reals, scale: float
) -> Reals:
    """The negative logarithm of the posterior up to a constant; smooth_prior is half the sum of precision times
    square.
    """
    fit = residual / (2.0 * variance) + 0.5 * observations * np.log(variance) + 2.0 * variance
    return np.asarray(fit + smooth_prior + np.abs(changes).sum(axis=1) / scale)


def estimate(
    held: Moments, precision: Reals, changepoint_prior: float, start: Estimate | None = None, rounds: int = ROUNDS
) -> Estimate:
    """The maximum a posteriori of n series; precision (U,) is that of the smooth coefficients' normal priors. `start`
    is an estimate that is nearly right.
    """
    diagonal = _Diagonal.begin(held, precision)
    changes = np.zeros_like(held.to_hinge) if start is None else start.changes
    least = np.full(len(changes), LEAST_VARIANCE)
    variance = (
        best_variance(diagonal.residual(diagonal.smooth(changes, least), changes), held.observations)
        if start is None
        else start.variance.copy()
    )
    solution = Solution.near(changes)
    moving, part = np.arange(len(changes)), diagonal
    for _ in range(rounds):
        before = variance[moving]
        now = lasso.solve(*part.reduced(before), before / changepoint_prior, solution.of(moving))
        solution.put(moving, now)
        variance[moving] = best_variance(
            part.residual(part.smooth(now.values, before), now.values), part.rest.observations
        )
        still = np.flatnonzero(np.abs(variance[moving] - before) > CONVERGED * before)
        if not len(still):
            break
        moving, part = (moving, part) if len(still) == len(moving) else (moving[still], part.of(still))
    smooth = diagonal.smooth(solution.values, variance)
    residual = diagonal.residual(smooth, solution.values)
    objective = negative_log(
        residual, variance, held.observations, 0.5 * (smooth**2).sum(axis=1), solution.values, changepoint_prior
    )
    return Estimate(np.matvec(diagonal.back, smooth), solution.values, variance, objective)
