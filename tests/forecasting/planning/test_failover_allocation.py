"""How failed sites share their helpers: held against every subset of sites, the network as one flow, and biproportional
fitting.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from forecasting.planning.demand import Reals
from forecasting.planning.failover import allocate, gravity_fit, max_min_fair

GBPS = 1e-6


class Failed(NamedTuple):
    """required: (failed, weeks); room: (helpers, weeks); weights: (failed, helpers, weeks)."""

    required: Reals
    room: Reals
    weights: Reals

    @property
    def reach(self) -> npt.NDArray[np.bool_]:
        return self.weights > 0.0


def made(
    rng: np.random.Generator,
    failed: int,
    helpers: int,
    weeks: int,
    roomy: float = 1.0,
    near: float = 0.6,
    whole: bool = False,
) -> Failed:
    """Sizes over some orders of magnitude; `whole` Gbps, so that some sets of helpers are filled to the brim
    exactly.
    """
    required = np.exp(rng.normal(3, 1.5, (failed, weeks))) * (rng.random((failed, weeks)) < 0.9)
    room = roomy * np.exp(rng.normal(3, 1.5, (helpers, weeks))) * (rng.random((helpers, weeks)) < 0.8)
    if whole:
        required, room = np.round(required), np.round(room)
    pull = (rng.random((failed, helpers)) < near) * rng.uniform(0.01, 3.0, (failed, helpers))
    return Failed(required, room, pull[:, :, None] * np.where(rng.random() < 0.5, room, np.sign(room))[None])


@st.composite
def failures(draw: st.DrawFn) -> Failed:
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    sizes = draw(st.integers(1, 6)), draw(st.integers(1, 8)), draw(st.integers(1, 3))
    return made(
        rng, *sizes, draw(st.sampled_from([0.3, 1.0, 3.0])), draw(st.sampled_from([0.3, 0.6, 1.0])), draw(st.booleans())
    )


def fairest(required: Reals, room: Reals, reach: npt.NDArray[np.bool_]) -> Reals:
    """One week, by looking at every set of sites: the set that can place the least share of its demand fills its
    helpers, and so on without both.
    """
    placed, room, active = np.zeros(len(required)), room.copy(), [s for s in range(len(required)) if required[s] > 0.0]
    while active:
        sets = [list(some) for size in range(1, len(active) + 1) for some in combinations(active, size)]
        shares = [room[reach[some].any(axis=0)].sum() / required[some].sum() for some in sets]
        if min(shares) >= 1.0:
            placed[active] = required[active]
            break
        least = max((some for some, share in zip(sets, shares, strict=True) if share < min(shares) + 1e-12), key=len)
        placed[least] = min(shares) * required[least]
        room[reach[least].any(axis=0)] = 0.0
        active = [site for site in active if site not in least]
    return placed


@settings(max_examples=80, deadline=None)
@given(failures())
def test_what_is_shed_is_as_even_as_reach_allows(one: Failed) -> None:
    moved = allocate(*one)
    assert (moved >= 0.0).all()
    assert (moved[~one.reach] == 0.0).all()
    assert (moved.sum(axis=0) <= one.room + GBPS / 100).all()
    for week in range(one.required.shape[1]):
        wanted = fairest(one.required[:, week], one.room[:, week], one.reach[:, :, week])
        assert moved[:, :, week].sum(axis=1) == pytest.approx(wanted, abs=GBPS)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.4, 1.0]))
def test_no_flow_places_more(seed: int, roomy: float) -> None:
    one = made(np.random.default_rng(seed), 14, 30, 2, roomy, near=0.15)
    for week in range(2):
        source, helper = np.nonzero(one.reach[:, :, week])
        by_source, by_helper = (
            np.equal.outer(np.arange(size), which).astype(float) for size, which in ((14, source), (30, helper))
        )
        found = linprog(
            -np.ones(len(source)),
            A_ub=np.vstack([by_source, by_helper]),
            b_ub=np.r_[one.required[:, week], one.room[:, week]],
        )
        assert allocate(*one)[:, :, week].sum() == pytest.approx(-found.fun, abs=GBPS)


@settings(max_examples=40, deadline=None)
@given(failures(), st.integers(0, 1000))
def test_the_order_of_sites_does_not_matter(one: Failed, seed: int) -> None:
    rng = np.random.default_rng(seed)
    failed, helpers = rng.permutation(one.required.shape[0]), rng.permutation(one.room.shape[0])
    shuffled = allocate(one.required[failed], one.room[helpers], one.weights[np.ix_(failed, helpers)])
    assert shuffled == pytest.approx(allocate(*one)[np.ix_(failed, helpers)], abs=10 * GBPS)


@settings(max_examples=40, deadline=None)
@given(failures())
def test_two_sites_that_are_alike_place_the_same_with_the_same_helpers(one: Failed) -> None:
    moved = allocate(
        np.concatenate([one.required, one.required[:1]]), one.room, np.concatenate([one.weights, one.weights[:1]])
    )
    assert moved[0] == pytest.approx(moved[-1], abs=GBPS)


@settings(max_examples=40, deadline=None)
@given(failures())
def test_what_moves_is_weight_times_a_factor_of_the_site_times_one_of_the_full_helper(one: Failed) -> None:
    """Against biproportional fitting, which only creeps where a factor falls to nothing: weeks that two thousand rounds
    do not settle are left out.
    """
    placed, usable = max_min_fair(one.required, one.room, one.reach & (one.room > 0.0))
    weights = np.where(usable, one.weights, 0.0)
    factor, moved = np.ones_like(one.room), np.zeros_like(weights)
    for _ in range(2000):
        weighed = weights * factor
        total = weighed.sum(axis=1, keepdims=True)
        moved = placed[:, None] * np.divide(weighed, total, out=np.zeros_like(weighed), where=total > 0.0)
        taken = moved.sum(axis=0)
        factor = np.minimum(1.0, np.divide(factor * one.room, taken, out=np.ones_like(taken), where=taken > 0.0))
    arrived = (moved.sum(axis=0) <= one.room + 1e-9).all(axis=0)
    assert gravity_fit(placed, one.room, weights)[:, :, arrived] == pytest.approx(moved[:, :, arrived], abs=1e-4)


def test_a_site_with_one_way_out_is_left_its_helper() -> None:
    """b could fill c as well, and would by its weights; a cannot turn elsewhere."""
    weights = np.array([[[1.0], [0.0]], [[9.0], [1.0]]])
    moved = allocate(np.array([[30.0], [30.0]]), np.array([[30.0], [35.0]]), weights)
    assert moved[:, :, 0] == pytest.approx(np.array([[30.0, 0.0], [0.0, 30.0]]), abs=GBPS)


def test_sites_shed_in_proportion_to_their_demand_and_a_site_out_of_reach_of_the_rest_by_itself() -> None:
    weights = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[:, :, None]
    placed, _ = max_min_fair(np.array([[60.0], [20.0], [50.0]]), np.array([[40.0], [45.0]]), weights > 0.0)
    assert placed[:, 0] == pytest.approx([30.0, 10.0, 45.0])
