"""Augment plans: the cheapest by brute force, every constraint kept or named with the bound that broke it, each
purchase with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema.errors import SettingError
from forecasting.planning.augment_programme import (
    AugmentOptions,
    AugmentProblem,
    Exposure,
    build_problem,
    risk,
    violations,
)
from forecasting.planning.augments import cost_risk_curve, plan_augments, solve_augments
from forecasting.planning.capacity import Policy
from forecasting.planning.demand import Reals
from forecasting.planning.failover import NOTHING_GBPS, Failover
from forecasting.planning.order_by import OrderPolicy
from tests.forecasting.planning.networks import demand, growing, installed, names

AS_SOLD = OrderPolicy(times=1.0, plus_days=0.0)


def catalogue(rows: list[tuple[str, float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["site_id", "gbps", "cost_usd_month", "lead_time_days"])


def everyone(count: int) -> Failover:
    return Failover(names(count), 1.0 - np.eye(count), by_headroom=True)


def every_plan(problem: AugmentProblem) -> Iterator[Reals]:
    """All plans within the budget, one by one."""
    months = len(problem.months)
    courses = [
        [
            course
            for course in product(range(int(most) + 1), repeat=months)
            if list(course) == sorted(course) and not any(course[:first])
        ]
        for most, first in zip(problem.most, problem.first, strict=True)
    ]
    plans = (np.array(plan, dtype=float) for plan in product(*courses))
    return (plan for plan in plans if _within(problem, problem.cost(plan)))


def short(problem: AugmentProblem, units: Reals) -> float:
    """Gbps-months that a plan lacks."""
    return sum(one.short_gbps for one in violations(problem, units))


def _within(problem: AugmentProblem, cost: float) -> bool:
    return problem.request.budget_usd is None or cost <= problem.request.budget_usd + 1e-9


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_no_plan_of_all_is_cheaper(seed: int, n_minus_1: bool, tight: bool) -> None:
    rng = np.random.default_rng(seed)
    values = (
        rng.uniform(40, 70, (2, 1, 1))
        + rng.uniform(0, 8, (2, 1, 1)) * np.arange(13)[None, :, None]
        + rng.uniform(0, 3, (2, 13, 4))
    )
    sold = catalogue(
        [
            (names(2)[i % 2], float(rng.uniform(15, 70)), float(rng.uniform(50, 400)), float(rng.choice([0, 35, 70])))
            for i in range(3)
        ]
    )
    sold = sold.assign(cost_usd_once=rng.uniform(0, 300, 3), most=2)
    request = AugmentOptions(
        months=3,
        n_minus_1=n_minus_1,
        ordering=AS_SOLD,
        q=0.7,
        budget_usd=float(rng.uniform(300, 2500)) if tight else None,
    )
    problem = build_problem(demand(values), installed(list(rng.uniform(60, 170, 2))), sold, everyone(2), request)
    plan = solve_augments(problem)
    lacks, costs = np.array([(short(problem, units), problem.cost(units)) for units in every_plan(problem)]).T
    least = lacks.min()
    assert _within(problem, plan.cost_usd)
    assert bool(plan.broken) == (least > NOTHING_GBPS)
    if not n_minus_1:
        # With failures, what a site lacks and what its helpers lack hang together; without, the least is told exactly.
        assert short(problem, plan.units) == pytest.approx(least, rel=2e-4, abs=1e-4)
    if not plan.broken or not n_minus_1:
        assert plan.proved
        assert plan.cost_usd <= costs[lacks <= least + 1e-9].min() * (1 + 2e-4) + 1e-6


def grown(levels: list[float], a_month: float = 0.0) -> Reals:
    """Certain demand over six months."""
    return np.array(levels)[:, None, None] + a_month * np.arange(26)[None, :, None] / 4.345 + np.zeros((1, 1, 3))


def test_each_purchase_says_when_it_is_there_when_it_is_ordered_and_why() -> None:
    sold = catalogue([("s000", 50.0, 100.0, 30.0), ("s001", 50.0, 100.0, 30.0)])
    plan = plan_augments(
        demand(grown([70.0, 10.0], 10.0)),
        installed([100.0, 300.0]),
        sold,
        request=AugmentOptions(months=6, ordering=AS_SOLD),
    )
    assert [
        (one.site_id, one.units, f"{one.in_service:%Y-%m-%d}", f"{one.order_by:%Y-%m-%d}") for one in plan.purchases
    ] == [
        ("s000", 1, "2027-03-01", "2027-01-30"),
        ("s000", 1, "2027-06-07", "2027-05-08"),
    ]
    assert plan.proved
    assert plan.gap == pytest.approx(0.0, abs=1e-9)
    assert plan.risk < plan.risk_without


def test_a_plan_that_cannot_be_had_says_which_bound_broke_it() -> None:
    held, capacity = demand(grown([100.0, 100.0])), installed([100.0, 300.0])

    def causes(sold: pd.DataFrame, **asked: object) -> set[str]:
        plan = plan_augments(held, capacity, sold, request=AugmentOptions(months=3, ordering=AS_SOLD, **asked))  # type: ignore[arg-type]
        return {one.cause for one in plan.broken}

    enough = catalogue([("s000", 30.0, 100.0, 0.0)])
    assert causes(enough) == set()
    assert causes(enough, budget_usd=300.0) == set()
    assert causes(enough, budget_usd=200.0) == {"the budget does not reach so far"}
    poor = plan_augments(held, capacity, enough, request=AugmentOptions(months=3, ordering=AS_SOLD, budget_usd=200.0))
    assert (poor.unbound_usd, poor.cost_usd, poor.proved) == (300.0, 200.0, True)
    assert causes(catalogue([("s001", 30.0, 100.0, 0.0)])) == {"the catalogue has no step for it"}
    assert causes(enough.assign(lead_time_days=40.0)) == {"lead time: steps come into service from 2027-03"}
    assert causes(enough.assign(lead_time_days=400.0)) == {"lead time: no step is there in time"}
    assert causes(enough.assign(gbps=10.0, most=2.0)) == {"the catalogue allows no more units"}
    late = plan_augments(
        held, capacity, enough.assign(lead_time_days=40.0), request=AugmentOptions(months=3, ordering=AS_SOLD)
    )
    assert [str(one) for one in late.broken] == [
        "s000, its limit, 2027-01: 20.0 Gbps short; lead time: steps come into service from 2027-03",
        "s000, its limit, 2027-02: 20.0 Gbps short; lead time: steps come into service from 2027-03",
    ]
    assert [one.in_service.month for one in late.purchases] == [3]


def test_a_plan_for_one_failure_buys_room_for_it_and_says_so() -> None:
    held, capacity = demand(grown([60.0, 60.0])), installed([100.0, 150.0])
    sold = catalogue([("s000", 20.0, 100.0, 0.0), ("s001", 20.0, 500.0, 0.0)])
    alone = plan_augments(held, capacity, sold, everyone(2), AugmentOptions(months=2, ordering=AS_SOLD))
    assert alone.purchases == ()
    plan = plan_augments(held, capacity, sold, everyone(2), AugmentOptions(months=2, ordering=AS_SOLD, n_minus_1=True))
    assert plan.frame()[["rank", "site_id", "units", "cost_usd", "reason"]].to_numpy().tolist() == [
        [1, "s000", 1, 200.0, "takes over if s001 fails in 2027-01: 20.0 Gbps would be shed without it"]
    ]
    assert plan.purchases[0].risk_removed == pytest.approx(40.0)
    lone = plan_augments(
        held,
        capacity,
        sold,
        Failover(names(2), np.zeros((2, 2)), by_headroom=True),
        AugmentOptions(months=2, ordering=AS_SOLD, n_minus_1=True),
    )
    assert {one.cause for one in lone.broken} == {"no other site is within reach"}


def test_purchases_are_ranked_by_the_risk_that_a_dollar_removes() -> None:
    held = demand(grown([100.0, 90.0]))
    sold = catalogue([("s000", 30.0, 1000.0, 0.0), ("s001", 30.0, 10.0, 0.0)])
    plan = plan_augments(held, installed([100.0, 100.0]), sold, request=AugmentOptions(months=2, ordering=AS_SOLD))
    assert [one.site_id for one in plan.purchases] == ["s001", "s000"]
    assert [one.risk_removed for one in plan.purchases] == pytest.approx([20.0, 40.0])
    assert plan.risk == pytest.approx(0.0)


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_the_risk_without_a_purchase_is_that_of_a_plan_without_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    held, sold = demand(growing(4, 14, 7, seed)), catalogue([(key, 25.0, 100.0, 0.0) for key in names(4)])
    capacity = installed(list(held.gbps[:, 0, 0] * rng.uniform(1.0, 1.5, 4)))
    problem = build_problem(held, capacity, sold, everyone(4), AugmentOptions(months=3, n_minus_1=True))
    units = np.sort(rng.integers(0, 3, (4, 3)), axis=1).astype(float)
    fewer = units.copy()
    fewer[2] = np.maximum(fewer[2] - 1.0, 0.0)
    more = Exposure.of(problem, units).more_without(2, (units - fewer)[2] * 25.0)
    assert more == pytest.approx(risk(problem, fewer) - risk(problem, units), abs=1e-6)


def test_more_certainty_costs_no_less_and_leaves_no_more_risk() -> None:
    held = demand(growing(5, 53, 60))
    sold = catalogue([(key, 20.0, 100.0, 0.0) for key in held.keys] + [(key, 50.0, 220.0, 0.0) for key in held.keys])
    capacity = installed(list(held.gbps[:, 0].max(axis=1) * 1.3))
    problem = build_problem(held, capacity, sold, None, AugmentOptions(months=12))
    found = cost_risk_curve(problem)
    assert found["cost_usd"].is_monotonic_increasing
    assert (np.diff(found["risk"]) <= 1e-9).all()
    assert found.loc[found["chosen"], "q"].tolist() == [0.9]
    assert found["risk"].iloc[0] == pytest.approx(risk(problem, np.zeros((10, 12))))


def test_a_site_without_capacity_is_left_out_and_one_that_opens_later_counts_from_then() -> None:
    capacity = pd.concat(
        [
            installed([100.0], ["s000"]),
            installed([50.0], ["s001"]).assign(effective_from=pd.Timestamp("2027-02-01", tz="UTC")),
        ]
    )
    problem = build_problem(demand(grown([50.0, 60.0, 70.0])), capacity, catalogue([]), None, AugmentOptions(months=3))
    assert problem.keys == ("s000", "s001")
    assert {(one.key, one.month) for one in violations(problem, np.zeros((0, 3)))} == {("s001", 1), ("s001", 2)}
    assert {one.cause for one in solve_augments(problem).broken} == {"the catalogue has no step for it"}


def test_nothing_is_ordered_before_today() -> None:
    sold = catalogue([("s000", 50.0, 100.0, 28.0)])
    held, capacity = demand(grown([90.0])), installed([100.0])

    def first(today: str | None) -> tuple[str, str]:
        request = AugmentOptions(
            months=4, ordering=AS_SOLD, today=None if today is None else pd.Timestamp(today, tz="UTC")
        )
        one = plan_augments(held, capacity, sold, request=request).purchases[0]
        return f"{one.order_by:%Y-%m-%d}", f"{one.in_service:%Y-%m-%d}"

    assert first(None) == first("2027-01-02 09:00") == ("2027-01-04", "2027-02-01")
    assert first("2027-01-06 09:00") == ("2027-02-01", "2027-03-01")


def test_requests_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingError, match="at or above every limit"):
        AugmentOptions(policy=Policy(limit=0.9), ceiling=0.8)
    with pytest.raises(SettingError, match="who takes over for whom"):
        plan_augments(demand(grown([1.0])), installed([1.0]), catalogue([]), request=AugmentOptions(n_minus_1=True))
    with pytest.raises(SettingError, match="covers 6 months, the plan asks for 12"):
        plan_augments(demand(grown([1.0])), installed([1.0]), catalogue([]))
    with pytest.raises(SettingError, match="Row 0 of the catalogue"):
        plan_augments(
            demand(grown([1.0])),
            installed([1.0]),
            catalogue([("s000", 0.0, 1.0, 1.0)]),
            request=AugmentOptions(months=2),
        )
