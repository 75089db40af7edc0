"""Failures on the future: nothing is lost, nothing is loaded that failed or is too far; the closed form is the optimum
of the programme.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema.errors import SettingError
from data.simulator.world import build_world, sites_table
from forecasting.planning.demand import Reals
from forecasting.planning.failover import Failover, declared, distances_km, nearby, reach_km
from forecasting.planning.failures import (
    Failure,
    NetworkLoad,
    group_failure,
    path_failure,
    relocate,
    simulate_failure,
    single_failures,
    site_failure,
    water_fill,
)
from tests.forecasting.planning.networks import demand, growing, names, world

GBPS = 1e-6


@st.composite
def networks(draw: st.DrawFn) -> tuple[NetworkLoad, Failover, Reals]:
    """Up to seven sites anywhere near each other, tight or roomy, with or without declared weights."""
    count, seed = draw(st.integers(2, 7)), draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    keys = names(count)
    sites = pd.DataFrame({"site_id": keys, "lat": rng.uniform(30, 60, count), "lon": rng.uniform(-20, 60, count)})
    own = rng.uniform(0, 100, count) * rng.integers(0, 2, count) if draw(st.booleans()) else rng.uniform(1, 100, count)
    capacity = own * rng.uniform(0.7, 2.5, count) + rng.integers(0, 2, count) * 20.0
    if draw(st.booleans()):
        capacity[rng.integers(count)] = np.nan
    failover = nearby(sites, keys, draw(st.sampled_from([10.0, 30.0, 60.0])))
    if draw(st.booleans()):
        failover = Failover(keys, failover.allowed * rng.uniform(0.1, 3.0, (count, count)), by_headroom=False)
    return NetworkLoad(keys, own, capacity, np.full(count, 0.8)), failover, distances_km(sites, keys)


@settings(max_examples=60)
@given(networks(), st.data())
def test_demand_is_conserved_and_no_failed_full_or_distant_site_is_loaded(
    network: tuple[NetworkLoad, Failover, Reals], data: st.DataObject
) -> None:
    state, failover, _ = network
    chosen = data.draw(st.lists(st.sampled_from(state.keys), min_size=1, unique=True))
    shares = {key: data.draw(st.sampled_from([1.0, 1.0, 0.4])) for key in chosen}
    found = relocate(Failure("x", shares), failover, state)
    assert found.load.sum() + found.shed.sum() == pytest.approx(state.demand.sum(), abs=GBPS)
    for row, key in enumerate(found.failed):
        position = state.keys.index(key)
        assert found.moved[row].sum() + found.shed[row] == pytest.approx(shares[key] * state.demand[position], abs=GBPS)
        assert (found.moved[row][~failover.allowed[position]] == 0.0).all()
        if shares[key] == 1.0:
            assert found.load[position] == 0.0
    taken = found.moved.sum(axis=0)
    assert (
        taken <= np.where(taken > 0, state.ceiling * np.nan_to_num(state.capacity) - (found.load - taken), 0.0) + GBPS
    ).all()


@settings(max_examples=60)
@given(networks())
def test_the_closed_form_is_the_optimum_of_the_programme(network: tuple[NetworkLoad, Failover, Reals]) -> None:
    state, failover, _ = network
    every = single_failures(
        demand(state.demand[:, None, None], state.keys), state.capacity[:, None], state.limits, failover
    )
    for position, key in enumerate(state.keys):
        solved = relocate(site_failure(key), failover, state)
        room = state.headroom()[:, None]
        helpers = np.flatnonzero(failover.allowed[position])
        taken = water_fill(state.demand[[position]], room[helpers], failover.weights(position, helpers, room[helpers]))[
            :, 0
        ]
        assert taken == pytest.approx(solved.moved[0, helpers], abs=1e-5)
        assert every.shed[position, 0, 0] == pytest.approx(solved.shed[0], abs=2e-6)
        assert every.passed(position, 0) == solved.passed


@settings(max_examples=100)
@given(st.integers(1, 9), st.integers(0, 10_000))
def test_filling_takes_all_that_fits_and_keeps_to_the_weights(helpers: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    room, weights = (
        rng.uniform(0, 10, (helpers, 40)) * rng.integers(0, 2, (helpers, 40)),
        rng.uniform(0.01, 5, (helpers, 40)),
    )
    required = rng.uniform(0, 10 * helpers, 40)
    taken = water_fill(required, room, weights)
    assert (taken <= room + GBPS).all()
    assert (taken >= 0.0).all()
    assert taken.sum(axis=0) == pytest.approx(np.minimum(required, room.sum(axis=0)), abs=GBPS)
    # Whoever still has room takes as much for his weight as anybody, and more than those who are full.
    level = (taken / weights).max(axis=0)
    assert np.where(taken < room - GBPS, taken / weights, level) == pytest.approx(
        np.broadcast_to(level, taken.shape), abs=1e-5
    )


def test_several_sites_share_the_helpers_so_that_least_is_shed() -> None:
    """a can turn to c alone, b to c and d: a programme that let b take c's room would shed a's demand."""
    pull = np.zeros((4, 4))
    pull[0, 2], pull[1, 2], pull[1, 3] = 1.0, 5.0, 1.0
    state = NetworkLoad(
        ("a", "b", "c", "d"), np.array([30.0, 30.0, 10.0, 10.0]), np.array([50.0, 50.0, 40.0, 45.0]), np.full(4, 0.8)
    )
    found = relocate(Failure("both", {"a": 1.0, "b": 1.0}), Failover(state.keys, pull, by_headroom=False), state)
    assert found.shed == pytest.approx([0.0, 0.0], abs=GBPS)
    assert found.moved[0] == pytest.approx([0, 0, 30, 0], abs=1e-5)
    assert found.moved[1] == pytest.approx([0, 0, 0, 30], abs=1e-5)
    assert found.passed == ("c", "d")


def test_a_path_that_fails_leaves_the_site_its_other_viewers() -> None:
    state = NetworkLoad(("a", "b"), np.array([40.0, 10.0]), np.array([50.0, 20.0]), np.full(2, 0.8))
    failover = Failover(state.keys, np.array([[0.0, 1.0], [1.0, 0.0]]), by_headroom=True)
    found = relocate(path_failure("x", "a", 16.0, 40.0), failover, state)
    assert found.load == pytest.approx([24.0, 20.0], abs=GBPS)
    assert found.shed == pytest.approx([6.0], abs=GBPS)
    assert found.shed_viewers({"a": 250.0}) == pytest.approx(1500.0, abs=0.01)
    assert np.isnan(found.shed_viewers({}))


def test_a_region_fails_as_a_whole_and_is_played_week_by_week() -> None:
    sites, held = world(12), demand(growing(12, 4, 9))
    capacity = np.tile(held.gbps[:, 0].max(axis=1)[:, None] * 1.5, (1, 4))
    failure = group_failure(sites, "region_id", "r1", held.keys)
    weeks = simulate_failure(failure, nearby(sites, held.keys, 300.0), held, capacity, np.full(12, 0.8))
    assert len(weeks) == 4
    assert weeks[0].failed == ("s001", "s005", "s009")
    assert tuple(group_failure(sites, "partner", "acme", ["s003", "s004", "s009"]).displaced) == ("s003", "s009")
    for week, found in enumerate(weeks):
        assert found.load.sum() + found.shed.sum() == pytest.approx(
            held.scenario_at_quantile(0.9)[:, week].sum(), abs=GBPS
        )
        assert found.load[[1, 5, 9]].tolist() == [0.0, 0.0, 0.0]


def test_the_network_is_safe_until_the_first_week_in_which_a_failure_sheds() -> None:
    growth = np.linspace(2.0, 4.0, 21)
    values = np.stack([40.0 + growth * np.arange(12)[:, None], np.full((12, 21), 30.0)])
    pull = np.array([[0.0, 1.0], [1.0, 0.0]])
    every = single_failures(
        demand(values),
        np.tile([[120.0], [100.0]], (1, 12)),
        np.full(2, 0.8),
        Failover(names(2), pull, by_headroom=True),
    )
    safe = every.safe_until()
    # The first week in which the median path, 40 + 3 w, passes the 70 that the other has left is the eleventh, whose
    # value is reached at its end.
    assert (safe.answer, safe.level) == ("within", "global")
    assert (safe.p50 - safe.start).days == 77
    assert [one.answer for one in every.run_outs()] == ["within", "beyond"]
    assert every.shed[0, 11, 20] == pytest.approx(40.0 + 4.0 * 11 - 70.0)
    frame = every.frame({"s000": 100.0})
    last = frame[(frame["key"] == "s000") & (frame["week"] == frame["week"].max())].iloc[0]
    assert last["shed_viewers"] == pytest.approx(100.0 * last["shed_gbps"])
    assert last["passes"] == ("s001",)
    worst = every.worst_by_month()
    assert worst["month"].dt.month.tolist() == [1, 2, 3]
    assert worst["key"].tolist() == ["s000"] * 3
    assert worst["probability"].is_monotonic_increasing


def test_the_sum_of_loads_and_shed_is_the_demand_for_every_single_failure() -> None:
    held, sites = demand(growing(9, 5, 11)), world(9)
    capacity = np.tile(held.gbps[:, 0].mean(axis=1)[:, None] * 1.3, (1, 5))
    capacity[3] = np.nan
    failover = nearby(sites, held.keys, 200.0)
    every = single_failures(held, capacity, np.full(9, 0.8), failover)
    quick = single_failures(held, capacity, np.full(9, 0.8), failover, loads=False)
    assert (quick.shed == every.shed).all()
    assert quick.frame()["passes"].map(len).sum() == 0
    for failed in range(9):
        for week in range(5):
            state = NetworkLoad(held.keys, held.gbps[:, week, 4], capacity[:, week], np.full(9, 0.8))
            assert relocate(site_failure(held.keys[failed]), failover, state).shed[0] == pytest.approx(
                every.shed[failed, week, 4], abs=2e-6
            )


def test_distances_are_those_of_the_simulator_and_reach_bounds_them() -> None:
    simulated = build_world(12, 7)
    sites = sites_table(simulated).to_pandas()
    km = distances_km(sites, simulated.site_ids)
    assert km[simulated.site_ids.index("fra-01"), simulated.site_ids.index("lhr-01")] == pytest.approx(655, abs=20)
    assert reach_km(60.0) == pytest.approx(4000.0)
    assert (km[nearby(sites, simulated.site_ids, 30.0).allowed] <= 2000.0).all()


def test_declared_weights_are_kept_within_reach_and_checked() -> None:
    sites = world(4)
    table = pd.DataFrame(
        [("s000", "s001", 2.0), ("s000", "s002", 1.0)], columns=["site_id", "helper_site_id", "weight"]
    )
    assert declared(table, sites, names(4)).pull[0].tolist() == [0.0, 2.0, 1.0, 0.0]
    assert declared(table, sites, names(4), round_trip_ms=1.0).pull.sum() == 0.0
    with pytest.raises(SettingError, match="s000 to nowhere with weight 1"):
        declared(table.assign(helper_site_id="nowhere", weight=1.0), sites, names(4))
    with pytest.raises(SettingError, match="Where s009 stands is not known"):
        nearby(sites, ["s009"])
    with pytest.raises(SettingError, match="displaces nothing"):
        group_failure(sites, "region_id", "mars", names(4))
    with pytest.raises(SettingError, match="moon cannot fail"):
        relocate(
            site_failure("moon"),
            declared(table, sites, names(4)),
            NetworkLoad(names(4), np.ones(4), np.ones(4), np.ones(4)),
        )
