"""What a fit needs of the data: for each group the Gram matrix of its design, for each series the products of the design with its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from forecasting.models.posterior.design import Group, Rows
from forecasting.models.posterior.spec import Spec
from forecasting.models.spread import Reals

# Where more rows than this are missing, what is left is added up afresh: quicker, and without taking near equals from each other.
DOWNDATED = 0.5


class Moments(NamedTuple):
    """Second moments of n series. U smooth columns (slope, offset, seasons, regressors), C hinges; the Grams' first axis is n.

    smooth (n, U, U), cross (n, U, C), hinge (n, C, C): the Gram. to_smooth (n, U), to_hinge (n, C): products with the values; square (n,): of the values with
    themselves; count (n,): observations.
    """

    smooth: Reals
    cross: Reals
    hinge: Reals
    to_smooth: Reals
    to_hinge: Reals
    square: Reals
    count: Reals

    def of(self, series: Rows) -> Moments:
        return Moments(*(part[series] for part in self))


def downdated(whole: Reals, columns: Reals, observed: Rows) -> Reals:
    """The Gram of the observed rows of `columns` (T, K), given the Gram of all rows."""
    missing = ~observed
    if missing.mean() > DOWNDATED:
        held = columns[observed]
        return np.asarray(held.T @ held)
    gone = columns[missing]
    return whole - gone.T @ gone if len(gone) else whole


def moments(days: Reals, base: Reals, values: Reals, groups: Sequence[Group], spec: Spec) -> Moments:
    """Moments of n series: base (T, 1 + F) is the offset and the seasons, values (T, n) is zero where missing; the groups' members are its columns.

    The smooth columns are the offset, the seasons, time where the trend has a slope, the regressors.
    """
    whole = base.T @ base
    of_group = np.empty(values.shape[1], dtype=np.intp)
    grams, products = [], np.empty((values.shape[1], base.shape[1] + spec.slopes + groups[0].regressors.shape[1] + spec.hinges))
    products[:, : base.shape[1]] = values.T @ base
    for number, group in enumerate(groups):
        own = group.columns(days, spec)
        aside = own.T @ base
        grams.append(np.block([[downdated(whole, base, group.observed), aside.T], [aside, own.T @ own]]))
        products[group.members, base.shape[1] :] = values[:, group.members].T @ own
        of_group[group.members] = number
    gram = np.stack(grams)[of_group] if len(groups) > 1 else np.broadcast_to(grams[0], (len(of_group), *grams[0].shape))
    count = np.array([group.observed.sum() for group in groups], dtype=float)[of_group]
    cut = gram.shape[1] - spec.hinges
    square = np.einsum("ts,ts->s", values, values)
    return Moments(gram[:, :cut, :cut], gram[:, :cut, cut:], gram[:, cut:, cut:], products[:, :cut], products[:, cut:], square, count)
