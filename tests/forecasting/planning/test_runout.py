"""Run-out dates: more demand never brings a later one, more capacity or a higher limit never an earlier one; other
answers are of their own kind.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.schema.errors import SettingError
from forecasting.planning.capacity import Policy, weekly_capacity
from forecasting.planning.demand import Demand, Reals, coincidence_factor
from forecasting.planning.runout import (
    RunOut,
    first_crossings,
    group_run_outs,
    refusal,
    run_outs,
    run_outs_against,
)
from tests.forecasting.planning.networks import START, demand, growing, installed, names, steps, weeks

gbps = arrays(float, (3, 6, 5), elements=st.floats(0.0, 200.0))
factors = st.floats(1.0, 3.0)
# Days: what the last bits of a division may do.
ROUNDING = 1e-9


def dates(found: Demand, capacity: pd.DataFrame, policy: Policy) -> Reals:
    """Days to the crossing of every site and path, ascending by site."""
    return np.array([answer.days for answer in run_outs(found, capacity, policy)])


@settings(max_examples=50)
@given(gbps, factors, arrays(float, (3, 6, 5), elements=st.floats(0.0, 50.0)))
def test_more_demand_never_gives_a_later_date(values: Reals, factor: float, more: Reals) -> None:
    base, capacity = demand(values), installed([100.0, 50.0, 150.0])
    before = dates(base, capacity, Policy())
    assert (dates(base.scaled(factor), capacity, Policy()) <= before + ROUNDING).all()
    assert (dates(base.plus(more), capacity, Policy()) <= before + ROUNDING).all()


@settings(max_examples=50)
@given(gbps, factors, st.floats(0.5, 0.8), st.floats(0.8, 1.0))
def test_more_capacity_or_a_higher_limit_never_gives_an_earlier_date(
    values: Reals, factor: float, low: float, high: float
) -> None:
    held = demand(values)
    base = dates(held, installed([100.0, 50.0, 150.0]), Policy(limit=low))
    assert (
        dates(held, installed([100.0 * factor, 50.0 * factor, 150.0 * factor]), Policy(limit=low)) >= base - ROUNDING
    ).all()
    assert (dates(held, installed([100.0, 50.0, 150.0]), Policy(limit=high)) >= base - ROUNDING).all()


@settings(max_examples=50)
@given(gbps)
def test_an_augment_that_counts_never_gives_an_earlier_date(values: Reals) -> None:
    held = demand(values)
    plan = steps([(key, START + pd.Timedelta(days=16), 300.0, "planned") for key in held.keys])
    capacity = pd.concat([installed([100.0, 50.0, 150.0]), plan])
    assert (dates(held, capacity, Policy(planned=True)) >= dates(held, capacity, Policy(planned=False))).all()


@given(arrays(float, (6, 40), elements=st.floats(0.0, 2.0)))
def test_a_crossing_lies_in_the_first_week_above_and_is_found_as_by_a_loop(used: Reals) -> None:
    for path, day in enumerate(first_crossings(used)):
        over = [week for week in range(6) if used[week, path] > 1.0]
        if not over:
            assert np.isinf(day)
        elif over[0] == 0:
            assert day == 0.0
        else:
            assert 7 * over[0] <= day <= 7 * (over[0] + 1)


def test_a_crossing_is_interpolated_on_the_line_from_the_week_before() -> None:
    assert first_crossings(np.array([[0.5], [0.9], [1.4]])) == pytest.approx(14 + 7 * 0.1 / 0.5)


def test_paths_that_grow_steadily_run_out_when_their_line_says() -> None:
    growth = np.linspace(1.0, 3.0, 101)
    values = 60.0 + growth * np.arange(1, 27)[:, None]
    answer = run_outs(demand(values[None]), installed([100.0]), Policy())[0]
    assert answer.answer == "within"
    assert (answer.p50 - START).days == int(20.0 / 2.0 * 7)
    assert (answer.p10 - START).days == pytest.approx(20.0 / 2.8 * 7, abs=1.0)
    assert (answer.p90 - START).days == pytest.approx(20.0 / 1.2 * 7, abs=1.5)
    assert answer.probability_by(START + pd.Timedelta(days=70)) == pytest.approx(0.5, abs=0.011)


def test_each_kind_of_answer() -> None:
    flat = np.ones((1, 10, 20))
    values = np.concatenate([90 * flat, 10 * flat, 10 * flat, 10 * flat, 10 * flat])
    values[2, 6:, :4] = 95.0
    values[3, 6:, :13] = 95.0
    capacity = installed([100.0] * 4)
    found = {
        answer.key: answer
        for answer in (
            *run_outs(demand(values), capacity, Policy()),
            refusal("site", "new", START, START + pd.Timedelta(weeks=10), "14 days of history; 56 are needed"),
        )
    }
    assert [found[key].answer for key in (*names(5), "new")] == [
        "over",
        "beyond",
        "possible",
        "within",
        "refused",
        "refused",
    ]
    assert [str(found[key]) for key in (*names(5), "new")] == [
        "already over",
        "not before 2027-03-15",
        "2027-02-20 to after 2027-03-15, median after 2027-03-15",
        "2027-02-20 to after 2027-03-15, median 2027-02-20",
        "not known: no capacity is declared",
        "not known: 14 days of history; 56 are needed",
    ]
    assert found["new"].p50 is None
    assert np.isnan(found["new"].probability_by(START))
    shares = [found[key].probability_by(found[key].horizon) for key in names(4)]
    assert shares == pytest.approx([1.0, 0.0, 0.2, 0.65])
    assert [found[key].p90 is None for key in (*names(5), "new")] == [False, True, True, True, True, True]


def test_a_site_measured_above_its_limit_is_over_whatever_the_paths_say() -> None:
    held = demand(np.full((2, 8, 10), 50.0))
    found = run_outs(held, installed([100.0, 100.0]), Policy(), measured={"s000": 81.0, "s001": 79.0})
    assert [answer.answer for answer in found] == ["over", "beyond"]


def test_a_site_may_have_a_limit_of_its_own() -> None:
    held = demand(np.full((2, 8, 10), 85.0))
    found = run_outs(held, installed([100.0, 100.0]), Policy(limits={"s001": 0.9}))
    assert [answer.answer for answer in found] == ["over", "beyond"]


def test_a_week_has_the_least_capacity_in_force_within_it() -> None:
    capacity = steps(
        [
            ("a", "2020-01-01", 100.0, "installed"),
            ("a", "2027-01-13", 200.0, "installed"),
            ("a", "2027-01-28", 0.0, "planned"),
            ("b", "2027-01-18", 5.0, "installed"),
        ]
    )
    assert weekly_capacity(capacity, ["a", "b", "c"], "egress", weeks(5), planned=True).tolist()[0] == [
        100.0,
        100.0,
        200.0,
        0.0,
        0.0,
    ]
    assert weekly_capacity(capacity, ["a"], "egress", weeks(5), planned=False).tolist()[0] == [
        100.0,
        100.0,
        200.0,
        200.0,
        200.0,
    ]
    late = weekly_capacity(capacity, ["b", "c"], "egress", weeks(5), planned=True)
    assert np.isnan(late[0]).tolist() == [True, True, False, False, False]
    assert np.isnan(late[1]).all()
    assert np.isnan(weekly_capacity(capacity, ["a"], "ingest", weeks(5), planned=True)).all()


def network_run_out(held: Demand, capacity: pd.DataFrame, diversity: float = 1.0) -> RunOut:
    everyone = dict.fromkeys(held.keys, "all")
    return group_run_outs(held, capacity, Policy(), everyone, level="global", diversity={"all": diversity})[0]


def test_the_sum_is_that_of_joint_paths_and_not_of_quantiles() -> None:
    """Two sites of which one is high whenever the other is low never run out together, although each alone does."""
    high = np.where(np.arange(40) % 2 == 0, 95.0, 20.0)
    held = demand(np.stack([np.tile(high, (4, 1)), np.tile(high[::-1], (4, 1))]))
    capacity = installed([100.0, 100.0])
    assert [answer.answer for answer in run_outs(held, capacity, Policy())] == ["over", "over"]
    assert network_run_out(held, capacity).answer == "beyond"


def test_regions_add_up_and_refuse_where_a_part_is_not_known() -> None:
    held = demand(growing(4, 30, 50))
    capacity = installed([float(row[0].max() * 1.5) for row in held.gbps[:3]])
    groups = {"s000": "east", "s001": "east", "s002": "west", "s003": "west"}
    found = {answer.key: answer for answer in group_run_outs(held, capacity, Policy(), groups)}
    assert [found[key].answer == "refused" for key in ("east", "west")] == [False, True]
    assert found["west"].reason == "no capacity declared for s003"
    alone = demand(held.gbps[:2].sum(axis=0, keepdims=True))
    total = installed([capacity["capacity_gbps"][:2].sum()])
    assert found["east"].days == pytest.approx(run_outs(alone, total, Policy())[0].days)
    whole = network_run_out(held.only(names(3)), capacity, diversity=1.2)
    assert (whole.level, whole.key) == ("global", "all")
    assert (whole.days >= network_run_out(held.only(names(3)), capacity).days).all()


def test_a_region_with_futures_of_its_own_is_judged_by_them_and_follows_what_becomes_of_its_sites() -> None:
    held = demand(growing(4, 30, 50))
    groups = dict(zip(held.keys, ("east", "east", "west", "west"), strict=True))
    own = held.summed(groups).scaled(np.random.default_rng(2).uniform(0.6, 1.0, (2, 30, 50)))
    shared = coincidence_factor(held, own, groups)
    assert held.summed(groups, shared).gbps == pytest.approx(own.gbps)
    capacity = installed(list(held.gbps[:, 0].max(axis=1)))
    found = group_run_outs(held.scaled(1.1), capacity, Policy(), groups, diversity=shared)
    rooms = np.array([[0.8 * capacity["capacity_gbps"][i : i + 2].sum()] * 30 for i in (0, 2)])
    for answer, expected in zip(found, run_outs_against("region", own.scaled(1.1), rooms), strict=True):
        assert answer.days == pytest.approx(expected.days)


def test_a_region_that_stood_above_its_room_last_week_is_over() -> None:
    held, groups = demand(np.full((2, 6, 5), 10.0)), {"s000": "east", "s001": "west"}
    found = group_run_outs(held, installed([100.0, 100.0]), Policy(), groups, measured={"east": 80.1, "west": 79.9})
    assert [(one.key, one.answer) for one in found] == [("east", "over"), ("west", "beyond")]


def test_a_joint_future_at_a_quantile_is_one_path() -> None:
    held = demand(growing(5, 3, 21))
    chosen = held.scenario_at_quantile(0.9)
    totals = np.sort(held.gbps.sum(axis=0), axis=1)
    assert chosen.sum(axis=0) == pytest.approx(totals[:, 18])


@pytest.mark.parametrize(
    ("values", "start", "message"),
    [
        (np.ones((2, 3)), START, "do not fit 1 keys and 3 weeks"),
        (np.ones((1, 3, 0)), START, "at least one week and one path"),
        (np.full((1, 3, 2), np.nan), START, "negative or not finite"),
        (-np.ones((1, 3, 2)), START, "negative or not finite"),
        (np.ones((1, 3, 2)), START + pd.Timedelta(days=1), "not consecutive Mondays"),
    ],
)
def test_paths_that_cannot_be_are_refused(values: Reals, start: pd.Timestamp, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Demand(("a",), "egress", "peak", pd.date_range(start, periods=3, freq="7D", unit="us"), values)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingError, match="limit 80 \\(limit\\) is not a share"):
        Policy(limit=80)
    with pytest.raises(SettingError, match="no weekly statistic 'mean'"):
        Policy("mean")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="about its p95"):
        run_outs(demand(np.ones((1, 3, 2))), installed([1.0]), Policy("p95"))
    with pytest.raises(SettingError, match="No demand is known for x"):
        demand(np.ones((1, 3, 2))).only(["x"])
