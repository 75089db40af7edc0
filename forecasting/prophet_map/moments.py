"""What a fit needs of the data: for each group the Gram matrix of its design, for each series the products of the
design with its values.

A hinge grows in a straight line from its changepoint on, and so does time itself from the first observation. Every sum
over its rows is therefore read off two
running sums, of a column and of the column times time, at the row where it begins: no hinge is ever written out for all
rows, whoever's changepoints it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from forecasting.panel.history import Reals
from forecasting.prophet_map.design import Group, Places, Rows, Spec

# Where more rows than this are missing, what is left is added up afresh: quicker, and without taking near equals from
# each other.
DOWNDATED = 0.5
# Where more series than this share their changepoints, one product of matrices with the hinges written out is quicker
# than running sums of each.
WRITTEN_OUT = 8


class Moments(NamedTuple):
    """Second moments of n series. U smooth columns (slope, offset, seasons, regressors), C hinges; the Grams' first
    axis is n.

    smooth (n, U, U), cross (n, U, C), hinge (n, C, C): the Gram. to_smooth (n, U), to_hinge (n, C): products with the
    values; square (n,): of the values with themselves; observations (n,): how many.
    """

    smooth: Reals
    cross: Reals
    hinge: Reals
    to_smooth: Reals
    to_hinge: Reals
    square: Reals
    observations: Reals

    def of(self, series: Places) -> Moments:
        return Moments(*(of_series(part, series) for part in self))


def is_shared(part: Reals) -> bool:
    """Whether all series have the same: an array that was broadcast has no stride along them."""
    return part.strides[0] == 0


def of_series(part: Reals, series: Places) -> Reals:
    """What some series have; what all share is not copied for each."""
    return np.broadcast_to(part[:1], (len(series), *part.shape[1:])) if is_shared(part) else part[series]


class Shared(NamedTuple):
    """What all groups share: days (T,), ascending; base (T, F), the offset and the seasons; gram (F, F), its Gram over
    all rows.

    size: days from the first row to the last. time (T,): 0 at the last row and -1 at the first, so that it is small at
    late rows, of which a young series has no others. sums, rises (T + 1, F), squares (T + 1,): of base, of base times
    time, of the square of time, over each row and all that follow.
    """

    days: Reals
    base: Reals
    gram: Reals
    size: float
    time: Reals
    sums: Reals
    rises: Reals
    squares: Reals

    @classmethod
    def of(cls, days: Reals, base: Reals) -> Shared:
        size = float(days[-1] - days[0]) or 1.0
        time = (days - days[-1]) / size
        sums, rises, squares = (_following(columns) for columns in (base, base * time[:, None], time**2))
        return cls(days, base, base.T @ base, size, time, sums, rises, squares)


def _following(columns: Reals) -> Reals:
    """Sums over each row and all that follow, and zero for no row, (T, ...) to (T + 1, ...)."""
    found = np.zeros((len(columns) + 1, *columns.shape[1:]))
    np.cumsum(columns[::-1], axis=0, out=found[-2::-1])
    return found


class _Bends(NamedTuple):
    """The columns of one group that grow in a straight line from somewhere on: time where the trend has a slope, then
    the hinges; B in all.

    begin (B,): the first row of each; since (B,): where it begins, on the axis of `Shared.time`; rate: how much it
    grows on that axis; places (B,): where it begins on the group's own axis.
    """

    begin: Places
    since: Reals
    rate: float
    places: Reals

    @classmethod
    def of(cls, group: Group, shared: Shared, spec: Spec) -> _Bends:
        axis = group.axis
        places = np.concatenate([np.zeros(spec.slopes), axis.changepoints])
        start = axis.start + np.where(np.isfinite(places), places, 0.0) * axis.span
        begin = np.where(np.isfinite(places), np.searchsorted(shared.days, start), len(shared.days))
        return cls(begin, (start - shared.days[-1]) / shared.size, shared.size / axis.span, places)

    def columns(self, group: Group, days: Reals) -> Reals:
        """(rows, B): the columns at some days."""
        return np.maximum(group.axis.at(days)[:, None] - self.places, 0.0)

    def grams(self, group: Group, shared: Shared) -> tuple[Reals, Reals]:
        """Products over the observed rows with the base (B, F), and of the columns with each other (B, B)."""
        first = int(group.observed.argmax())
        held, missing = group.observed[first:], ~group.observed[first:]
        afresh = missing.mean() > DOWNDATED
        rows = first + np.flatnonzero(held if afresh else missing)
        own = self.columns(group, shared.days[rows])
        aside, square = own.T @ shared.base[rows], own.T @ own
        if afresh:
            return aside, square
        every = self.rate * (shared.rises[self.begin] - self.since[:, None] * shared.sums[self.begin])
        later, other = np.maximum(self.begin[:, None], self.begin), self.since[:, None]
        lines = (
            shared.squares[later]
            - (other + self.since) * shared.rises[later, 0]
            + other * self.since * shared.sums[later, 0]
        )
        return every - aside, self.rate**2 * lines - square

    def products(self, group: Group, shared: Shared, values: Reals) -> Reals:
        """(B, n): products with values (T, n), zero where missing."""
        if values.shape[1] > WRITTEN_OUT:
            return np.asarray(self.columns(group, shared.days).T @ values)
        found = np.zeros((len(self.begin), values.shape[1]))
        of_series = self.begin < len(values)
        starts, which = np.unique(self.begin[of_series], return_inverse=True)
        if len(starts):
            sums, rises = (_from_each(part, starts)[which] for part in (values, values * shared.time[:, None]))
            found[of_series] = self.rate * (rises - self.since[of_series, None] * sums)
        return found


def _from_each(values: Reals, starts: Places) -> Reals:
    """Sums over each of some rows, ascending, and all that follow it."""
    return np.asarray(np.cumsum(np.add.reduceat(values, starts, axis=0)[::-1], axis=0)[::-1])


def downdated(whole: Reals, columns: Reals, observed: Rows) -> Reals:
    """The Gram of the observed rows of `columns` (T, K), given the Gram of all rows."""
    missing = ~observed
    if missing.mean() > DOWNDATED:
        held = columns[observed]
        return np.asarray(held.T @ held)
    gone = columns[missing]
    return whole - gone.T @ gone if len(gone) else whole


def moments(shared: Shared, values: Reals, groups: Sequence[Group], spec: Spec) -> Moments:
    """Moments of n series: values (T, n) are zero where missing; the groups' members are their columns.

    The smooth columns are the offset, the slope where the trend has one, the seasons, the regressors.
    """
    to_base = shared.base.T @ values
    order = _order(shared.base.shape[1], groups[0].regressors.shape[1], spec)
    of_group = np.empty(values.shape[1], dtype=np.intp)
    grams, products = [], np.empty((values.shape[1], len(order)))
    for number, group in enumerate(groups):
        members = group.members
        gram, to_own = _of_group(shared, values if len(groups) == 1 else values[:, members], group, spec)
        grams.append(gram[np.ix_(order, order)])
        products[members] = np.vstack([to_base[:, members], to_own])[order].T
        of_group[members] = number
    gram = np.stack(grams)[of_group] if len(groups) > 1 else np.broadcast_to(grams[0], (len(of_group), *grams[0].shape))
    observations = np.array([group.observed.sum() for group in groups], dtype=float)[of_group]
    cut = gram.shape[1] - spec.hinges
    square = np.einsum("ts,ts->s", values, values)
    return Moments(
        gram[:, :cut, :cut],
        gram[:, :cut, cut:],
        gram[:, cut:, cut:],
        products[:, :cut],
        products[:, cut:],
        square,
        observations,
    )


def _of_group(shared: Shared, values: Reals, group: Group, spec: Spec) -> tuple[Reals, Reals]:
    """The Gram of one group's columns, [base, regressors, time and hinges], and the products of all but the base with
    its values (T, n).
    """
    bends = _Bends.of(group, shared, spec)
    aside, square = bends.grams(group, shared)
    rows = np.flatnonzero(group.observed & group.regressors.any(axis=1))
    known, base = group.regressors[rows], shared.base[rows]
    bent = known.T @ bends.columns(group, shared.days[rows])
    whole = downdated(shared.gram, shared.base, group.observed)
    gram = np.block(
        [[whole, base.T @ known, aside.T], [known.T @ base, known.T @ known, bent], [aside, bent.T, square]]
    )
    return gram, np.vstack([known.T @ values[rows], bends.products(group, shared, values)])


def _order(base: int, regressors: int, spec: Spec) -> Places:
    """Where the smooth columns and the hinges are in [offset, seasons | regressors, slope, hinges]."""
    every = np.arange(base + spec.slopes + regressors + spec.hinges)
    slope = base + regressors
    return np.concatenate([every[:1], every[slope : slope + spec.slopes], every[1:slope], every[slope + spec.slopes :]])
