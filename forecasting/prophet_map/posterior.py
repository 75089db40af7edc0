"""The maximum a posteriori of Prophet's additive model, for many series at once, exactly.

Noise and coefficients are found in turn, each exactly, until neither moves. For a given noise the smooth coefficients
are eliminated, in coordinates in which their Gram matrix and their prior are both diagonal, so that a new value of the
noise costs one product of matrices; what remains is a lasso in the changes of slope. For given coefficients the best
noise has a closed form.

The lasso, minimise d'Sd / 2 - r'd + bound |d|_1, is solved by homotopy (Osborne, Presnell and Turlach, 2000): where a
solution is known for another r, the one for this r is reached by moving r in a straight line. The solution moves in
straight lines too, and turns only where a coefficient reaches zero or a correlation reaches its bound. Each turn is one
sweep of a tableau, done for all series together; a last solve on the set that is then active makes the answer exact,
and the optimality conditions are checked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.panel.history import Reals
from forecasting.prophet_map.design import Places
from forecasting.prophet_map.moments import Moments, is_shared, of_series

Flags = npt.NDArray[np.bool_]

# A correlation may pass its bound by this share of it, and of the largest, before a coefficient counts as wrongly left
# at zero.
TOLERANCE, ROUNDING = 1e-7, 1e-12
# What is added to the diagonal, as a share of it: columns that coincide would otherwise have no inverse, and nothing
# else notices.
RIDGE = 1e-10
# Turns allowed for each coefficient; a path takes about one. And how often a solution that fails its check is followed
# again.
TURNS, ATTEMPTS = 8, 4


class LassoSolution(NamedTuple):
    """Coefficients (n, C), their signs or the correlations' share of the bound where they are zero (n, C), and which
    are active.
    """

    values: Reals
    signs: Reals
    active: Flags

    @classmethod
    def near(cls, values: Reals) -> LassoSolution:
        """A place to start from, given values that solve a nearby problem."""
        return cls(values.copy(), np.sign(values), values != 0.0)

    def copy(self) -> LassoSolution:
        return LassoSolution(self.values.copy(), self.signs.copy(), self.active.copy())

    def of(self, series: npt.NDArray[np.intp] | Flags) -> LassoSolution:
        return LassoSolution(self.values[series], self.signs[series], self.active[series])

    def put(self, series: npt.NDArray[np.intp] | Flags, other: LassoSolution) -> None:
        """Take over the solutions of some series."""
        for mine, theirs in zip(self, other, strict=True):
            mine[series] = theirs


def solve_lasso(gram: Reals, target: Reals, bound: Reals, start: LassoSolution) -> LassoSolution:
    """The lassos' solutions: gram (n, C, C), target (n, C), bound (n,); `start` solves a nearby problem, and is quick
    to move from.
    """
    found, gram = start.copy(), gram.copy()
    diagonal = np.einsum("nii->ni", gram)
    diagonal *= 1.0 + RIDGE
    pending = np.arange(len(target))
    for attempt in range(ATTEMPTS):
        if attempt:
            found.put(pending, _follow_path(gram[pending], target[pending], bound[pending], found.of(pending)))
        exact, right = _solve_active_set(gram[pending], target[pending], bound[pending], found.of(pending))
        found.put(pending[right], exact.of(right))
        pending = pending[~right]
        if not len(pending):
            break
    return found


def _solve_active_set(gram: Reals, target: Reals, bound: Reals, start: LassoSolution) -> tuple[LassoSolution, Flags]:
    """The solution if the active set and its signs are right, and whether they are."""
    active, limit = start.active, bound[:, None]
    values = np.zeros_like(target)
    if most := int(active.sum(axis=1).max(initial=0)):
        # Active coefficients first: the systems need to be no larger than the largest set, and most sets are small.
        first = np.argsort(~active, axis=1, kind="stable")[:, :most]
        held = np.take_along_axis(active, first, axis=1)
        wanted = np.where(held, np.take_along_axis(target - limit * start.signs, first, axis=1), 0.0)
        part = gram[np.arange(len(gram))[:, None, None], first[:, :, None], first[:, None, :]]
        np.put_along_axis(values, first, np.linalg.solve(_restricted(part, held), wanted[:, :, None])[:, :, 0], axis=1)
    left = target - np.matvec(gram, values)
    slack = TOLERANCE * limit + ROUNDING * np.abs(target).max(axis=1, initial=0.0)[:, None]
    right = np.all(np.where(active, values * start.signs >= 0.0, np.abs(left) <= limit + slack), axis=1)
    signs = np.where(active, start.signs, np.clip(left / limit, -1.0, 1.0))
    return LassoSolution(values, signs, active), right


def _restricted(gram: Reals, active: Flags) -> Reals:
    """The Gram of the active coefficients, the identity on the others."""
    kept = np.where(active[:, :, None] & active[:, None, :], gram, 0.0)
    diagonal = np.einsum("nii->ni", kept)
    diagonal[~active] = 1.0
    return kept


def _follow_path(gram: Reals, target: Reals, bound: Reals, start: LassoSolution) -> LassoSolution:
    """Solutions reached from `start` along the line to `target`, turn by turn; those that arrive early leave the
    batch.
    """
    found = start.copy()
    path = _Path.begin(gram, target, bound, start)
    for _ in range(TURNS * target.shape[1]):
        path.advance()
        if (done := path.left <= 0.0).mean() >= 0.5:
            found.put(path.series[done], path.at.of(done))
            path = path.of(~done)
        if not len(path.series):
            break
    found.put(path.series, path.at)
    return found


class _Path(NamedTuple):
    """Where some series are on their way.

    series: their place in the batch. tableau: (n, C, C + 1), the Gram swept on the active set, and beside it how fast
    values (active) and correlations (others) move. at: the solution here. left: how much of the way is left, 1 at
    first.
    """

    series: npt.NDArray[np.intp]
    tableau: Reals
    bound: Reals
    at: LassoSolution
    left: Reals

    @classmethod
    def begin(cls, gram: Reals, target: Reals, bound: Reals, start: LassoSolution) -> _Path:
        here = np.matvec(gram, start.values) + bound[:, None] * start.signs
        tableau = np.concatenate([gram, (target - here)[:, :, None]], axis=2)
        if start.active.any():
            tableau = _swept(tableau, start.active)
        return cls(np.arange(len(target)), tableau, bound, start.copy(), np.ones(len(target)))

    def of(self, series: Flags) -> _Path:
        return _Path(
            self.series[series], self.tableau[series], self.bound[series], self.at.of(series), self.left[series]
        )

    def advance(self) -> None:
        """Move every series to its next turn, or to the end, in place."""
        values, signs, active = self.at
        speed = self.tableau[:, :, -1]
        # On the way a value meets zero, or a share of the bound meets 1 in the direction in which it moves.
        rate = np.where(active, speed, speed / self.bound[:, None])
        room = np.where(active, -values, np.copysign(1.0, rate) - signs)
        ahead = np.where(active, signs * rate < 0.0, rate != 0.0)
        waits = np.full_like(rate, np.inf)
        np.divide(room, rate, out=waits, where=ahead)
        np.maximum(waits, 0.0, out=waits)
        turn = waits.argmin(axis=1)
        every = np.arange(len(turn))
        step = np.minimum(waits[every, turn], self.left)
        turning = np.flatnonzero(waits[every, turn] < self.left)
        moved = step[:, None] * rate
        np.add(values, moved, out=values, where=active)
        np.add(signs, moved, out=signs, where=~active)
        self.left[:] -= step
        self._turn(turning, turn[turning], rate)

    def _turn(self, series: npt.NDArray[np.intp], which: npt.NDArray[np.intp], rate: Reals) -> None:
        """One coefficient of each of these series enters the active set, or leaves it."""
        values, signs, active = self.at
        leaving = active[series, which]
        values[series, which] = 0.0
        signs[series, which] = np.where(leaving, signs[series, which], np.copysign(1.0, rate[series, which]))
        active[series, which] = ~leaving
        _sweep(self.tableau, series, which)


def _sweep(tableau: Reals, series: npt.NDArray[np.intp], which: npt.NDArray[np.intp]) -> None:
    """Sweep one pivot in each of some tableaus, in place; the sweep is its own inverse (Goodnight, 1979)."""
    if not len(series):
        return
    picked = tableau if len(series) == len(tableau) else tableau[series]
    every = np.arange(len(series))
    column = picked[every, :, which]
    pivot = column[every, which][:, None]
    row = picked[every, which, :] / pivot
    picked -= column[:, :, None] * row[:, None, :]
    picked[every, which, :] = row
    picked[every, :, which] = -column / pivot
    picked[every, which, which] = 1.0 / pivot[:, 0]
    if picked is not tableau:
        tableau[series] = picked


def _swept(tableau: Reals, active: Flags) -> Reals:
    """The tableau swept on all active coefficients at once."""
    gram = tableau[:, :, :-1]
    both = active[:, :, None] & active[:, None, :]
    inverse = np.where(both, np.linalg.inv(_restricted(gram, active)), 0.0)
    rest = np.where(active[:, :, None], 0.0, tableau)
    rest[:, :, :-1] = np.where(active[:, None, :], 0.0, rest[:, :, :-1])
    onto = np.matmul(inverse, tableau)
    back = np.where(active[:, None, :] & ~active[:, :, None], gram, 0.0)
    found: Reals = rest + onto - np.matmul(back, onto)
    found[:, :, :-1] = np.where(active[:, None, :], inverse - np.matmul(back, inverse), found[:, :, :-1])
    return found


# Estimation
# --------------------------------------------------------------------------------------------------------------------

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
        values, cross, to_smooth, back = (of_series(part, series) for part in self[:4])
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


def estimate(held: Moments, precision: Reals, changepoint_prior: float) -> Estimate:
    """The maximum a posteriori of n series; precision (U,) is that of the smooth coefficients' normal priors."""
    diagonal = _Diagonal.begin(held, precision)
    changes = np.zeros_like(held.to_hinge)
    least = np.full(len(changes), LEAST_VARIANCE)
    variance = best_variance(diagonal.residual(diagonal.smooth(changes, least), changes), held.observations)
    solution = LassoSolution.near(changes)
    moving, part = np.arange(len(changes)), diagonal
    for _ in range(ROUNDS):
        before = variance[moving]
        now = solve_lasso(*part.reduced(before), before / changepoint_prior, solution.of(moving))
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
