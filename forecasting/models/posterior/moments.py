"""What a fit needs of the data: for each group the Gram matrix of its design, for each series the products of the design with its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from forecasting.models.posterior.design import Group, Places, Rows
from forecasting.models.posterior.spec import Spec
from forecasting.models.spread import Reals

# Where more rows than this are missing, what is left is added up afresh: quicker, and without taking near equals from each other.
DOWNDATED = 0.5


class Moments(NamedTuple):
    """Second moments of n series. U smooth columns (slope, offset, seasons, regressors), C hinges; the Grams' first axis is n.

    smooth (n, U, U), cross (n, U, C), hinge (n, C, C): the Gram. to_smooth (n, U), to_hinge (n, C): products with the values; square (n,): of the values with
    themselves; observations (n,): how many.
    """

    smooth: Reals
    cross: Reals
    hinge: Reals
    to_smooth: Reals
    to_hinge: Reals
    square: Reals
    observations: Reals

    def of(self, series: Places) -> Moments:
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

    The smooth columns are the offset, the slope where the trend has one, the seasons, the regressors.
    """
    whole, shared = base.T @ base, base.T @ values
    order = _order(base.shape[1], groups[0].regressors.shape[1], spec)
    of_group = np.empty(values.shape[1], dtype=np.intp)
    grams, products = [], np.empty((values.shape[1], len(order)))
    for number, group in enumerate(groups):
        own, members = group.columns(days, spec), group.members
        aside = own.T @ base
        gram = np.block([[downdated(whole, base, group.observed), aside.T], [aside, own.T @ own]])
        grams.append(gram[np.ix_(order, order)])
        products[members] = np.vstack([shared[:, members], own.T @ values[:, members]])[order].T
        of_group[members] = number
    gram = np.stack(grams)[of_group] if len(groups) > 1 else np.broadcast_to(grams[0], (len(of_group), *grams[0].shape))
    observations = np.array([group.observed.sum() for group in groups], dtype=float)[of_group]
    cut = gram.shape[1] - spec.hinges
    square = np.einsum("ts,ts->s", values, values)
    return Moments(gram[:, :cut, :cut], gram[:, :cut, cut:], gram[:, cut:, cut:], products[:, :cut], products[:, cut:], square, observations)


def _order(base: int, regressors: int, spec: Spec) -> Places:
    """Where the smooth columns and the hinges are in [offset, seasons | slope, regressors, hinges]."""
    every = np.arange(base + spec.slopes + regressors + spec.hinges)
    return np.concatenate([every[:1], every[base : base + spec.slopes], every[1:base], every[base + spec.slopes :]])
