"""Many small lassos at once, each solved exactly: minimise d'Sd / 2 - r'd + bound |d|_1 by following the solution along
a line of r.

Where a solution is known for another r, the one for this r is reached by moving r in a straight line: the solution
moves in straight lines too, and turns only where a coefficient reaches zero or a correlation reaches its bound (the
homotopy of Osborne, Presnell and Turlach, 2000). Each turn is one sweep of a tableau, done for all series together; a
last solve on the set that is then active makes the answer exact, and the optimality conditions are checked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.panel.spread import Reals

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


class Solution(NamedTuple):
    """Coefficients (n, C), their signs or the correlations' share of the bound where they are zero (n, C), and which
    are active.
    """

    values: Reals
    signs: Reals
    active: Flags

    @classmethod
    def near(cls, values: Reals) -> Solution:
        """A place to start from, given values that solve a nearby problem."""
        return cls(values.copy(), np.sign(values), values != 0.0)

    def copy(self) -> Solution:
        return Solution(self.values.copy(), self.signs.copy(), self.active.copy())

    def of(self, series: npt.NDArray[np.intp] | Flags) -> Solution:
        return Solution(self.values[series], self.signs[series], self.active[series])

    def put(self, series: npt.NDArray[np.intp] | Flags, other: Solution) -> None:
        """Take over the solutions of some series."""
        for mine, theirs in zip(self, other, strict=True):
            mine[series] = theirs


def solve(gram: Reals, target: Reals, bound: Reals, start: Solution) -> Solution:
    """The lassos' solutions: gram (n, C, C), target (n, C), bound (n,); `start` solves a nearby problem, and is quick
    to move from.
    """
    found, gram = start.copy(), gram.copy()
    diagonal = np.einsum("nii->ni", gram)
    diagonal *= 1.0 + RIDGE
    pending = np.arange(len(target))
    for attempt in range(ATTEMPTS):
        if attempt:
            found.put(pending, _followed(gram[pending], target[pending], bound[pending], found.of(pending)))
        exact, right = _exact(gram[pending], target[pending], bound[pending], found.of(pending))
        found.put(pending[right], exact.of(right))
        pending = pending[~right]
        if not len(pending):
            break
    return found


def _exact(gram: Reals, target: Reals, bound: Reals, start: Solution) -> tuple[Solution, Flags]:
    """The solution if the active set and its signs are right, and whether they are."""
    active, limit = start.active, bound[:, None]
    values = np.zeros_like(target)
    if most := int(active.sum(axis=1).max(initial=0)):
        # Active coefficients first: the systems need to be no larger than the largest set, and most sets are small.
        first = np.argsort(~active, axis=1, kind="stable")[:, :most]
        held = np.take_along_axis(active, first, axis=1)
        wanted = np.where(held, np.take_along_axis(target - limit * start.signs, first, axis=1), 0.0)
        part = gram[np.arange(len(gram))[:, None, None], first[:, :, None], first[:, None, :]]
        np.put_along_axis(values, first, np.linalg.solve(_only(part, held), wanted[:, :, None])[:, :, 0], axis=1)
    left = target - np.matvec(gram, values)
    slack = TOLERANCE * limit + ROUNDING * np.abs(target).max(axis=1, initial=0.0)[:, None]
    right = np.all(np.where(active, values * start.signs >= 0.0, np.abs(left) <= limit + slack), axis=1)
    signs = np.where(active, start.signs, np.clip(left / limit, -1.0, 1.0))
    return Solution(values, signs, active), right


def _only(gram: Reals, active: Flags) -> Reals:
    """The Gram of the active coefficients, the identity on the others."""
    kept = np.where(active[:, :, None] & active[:, None, :], gram, 0.0)
    diagonal = np.einsum("nii->ni", kept)
    diagonal[~active] = 1.0
    return kept


def _followed(gram: Reals, target: Reals, bound: Reals, start: Solution) -> Solution:
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
    at: Solution
    left: Reals

    @classmethod
    def begin(cls, gram: Reals, target: Reals, bound: Reals, start: Solution) -> _Path:
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
    inverse = np.where(both, np.linalg.inv(_only(gram, active)), 0.0)
    rest = np.where(active[:, :, None], 0.0, tableau)
    rest[:, :, :-1] = np.where(active[:, None, :], 0.0, rest[:, :, :-1])
    onto = np.matmul(inverse, tableau)
    back = np.where(active[:, None, :] & ~active[:, :, None], gram, 0.0)
    found: Reals = rest + onto - np.matmul(back, onto)
    found[:, :, :-1] = np.where(active[:, None, :], inverse - np.matmul(back, inverse), found[:, :, :-1])
    return found
