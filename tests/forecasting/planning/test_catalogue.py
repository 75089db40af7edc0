"""What is on offer where nobody has said, and what a plan's purchases declare: the capacity that the plan was reckoned
with.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.planning.augment_programme import AugmentOptions, build_problem, violations
from forecasting.planning.augments import additions_of_purchases, solve_augments
from forecasting.planning.capacity import weekly_capacity
from forecasting.planning.catalogue import (
    ASSUMED_POWER,
    CAPACITY_COLUMNS,
    SIZES_GBPS,
    at_every_site,
    declared_steps,
    price_law,
    usual_steps,
)
from forecasting.planning.order_by import USUAL_LEAD_DAYS, OrderPolicy
from tests.forecasting.planning.networks import demand, growing, installed, names

AS_SOLD = OrderPolicy(times=1.0, plus_days=0.0)
ONE = dict.fromkeys(names(20), "r0")


def priced(gbps: list[float], power: float = 0.9, usd: float = 500.0) -> pd.DataFrame:
    return installed(gbps).assign(cost_usd_month=[usd * one**power for one in gbps])


def test_the_price_law_is_the_one_that_costs_were_made_by() -> None:
    law = price_law(priced([10.0, 50.0, 120.0, 300.0, 800.0, 1000.0]), "egress", ONE)
    assert law == pytest.approx((500.0, 0.9, 6))
    assert law.of(100.0) == pytest.approx(500.0 * 100.0**0.9, rel=0.005)
    assert price_law(priced([10.0, 50.0, 120.0, 300.0, 800.0, 1000.0]), "ingest", ONE).costs == 0


def test_a_dear_region_of_small_sites_says_nothing_of_size() -> None:
    near, far = priced([200.0, 400.0, 900.0]), priced([10.0, 20.0, 50.0], usd=5000.0)
    steps = pd.concat([near, far.assign(site_id=["s003", "s004", "s005"])], ignore_index=True)
    regions = dict(zip(names(6), ["near"] * 3 + ["far"] * 3, strict=True))
    assert price_law(steps, "egress", regions).power == pytest.approx(0.9)
    assert price_law(steps, "egress", ONE).power < 0.6


@pytest.mark.parametrize(
    "steps", [priced([10.0, 900.0]), priced([100.0] * 9), priced([10.0, 90.0, 200.0] * 3).assign(cost_usd_month=np.nan)]
)
def test_costs_that_tell_no_law_are_assumed_and_say_so(steps: pd.DataFrame) -> None:
    law = price_law(steps, "egress", ONE)
    assert (law.costs, law.power) == (0, ASSUMED_POWER)


def test_larger_steps_are_never_cheaper_and_never_dearer_by_the_gbps() -> None:
    steps = usual_steps(price_law(priced([10.0, 50.0, 120.0, 300.0, 800.0, 1000.0], power=1.4), "egress", ONE))
    assert steps["gbps"].tolist() == list(SIZES_GBPS)
    assert steps["cost_usd_month"].is_monotonic_increasing
    by_the_gbps = steps["cost_usd_month"] / steps["gbps"]
    assert (by_the_gbps.diff().dropna() <= 0.005 * by_the_gbps.max()).all()  # prices are rounded to three digits


def test_a_step_waits_for_the_lead_time_of_its_site_unless_it_has_one() -> None:
    sites = pd.DataFrame({"site_id": ["a", "b"], "lead_time_days": [40.0, np.nan]})
    steps = pd.DataFrame(
        {"gbps": [10.0, 100.0], "cost_usd_month": 1.0, "cost_usd_once": 0.0, "lead_time_days": [np.nan, 7.0]}
    )
    assert at_every_site(steps, sites)["lead_time_days"].tolist() == [40.0, 7.0, USUAL_LEAD_DAYS, 7.0]


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_what_purchases_declare_is_the_capacity_that_the_plan_was_reckoned_with(seed: int) -> None:
    rng = np.random.default_rng(seed)
    held = demand(growing(3, 26, 5, seed))
    steps = installed(list(held.gbps[:, 0].max(axis=1) * rng.uniform(0.9, 1.3, 3)))
    later = steps.assign(
        effective_from=held.weeks[int(rng.integers(4, 20))] + pd.Timedelta(days=2),
        capacity_gbps=steps["capacity_gbps"] * 1.1,
        status="planned",
    )
    steps = pd.concat([steps, later.head(2)], ignore_index=True).assign(cost_usd_month=100.0)
    sold = pd.DataFrame(
        [(key, size, size * 10.0, 0.0) for key in names(3) for size in (5.0, 20.0)],
        columns=["site_id", "gbps", "cost_usd_month", "lead_time_days"],
    )
    # A planned step of the first day planned is built only from the point of view of the day before.
    options = AugmentOptions(months=5, ordering=AS_SOLD, today=held.start - pd.Timedelta(days=1))
    problem = build_problem(held, steps, sold, None, options)
    plan = solve_augments(problem)
    rows = declared_steps(additions_of_purchases(plan.purchases), steps, "egress")
    assert list(rows.columns) == CAPACITY_COLUMNS
    whole = pd.concat([steps, rows]).drop_duplicates(["site_id", "direction", "effective_from"], keep="last")
    again = build_problem(held, whole, sold, None, problem.request)
    np.testing.assert_allclose(again.capacity, problem.in_force(plan.units))
    assert violations(again, np.zeros_like(plan.units)) == violations(problem, plan.units)
    last = weekly_capacity(whole, held.keys, "egress", held.weeks[-1:], planned=True, now=options.today)[:, 0]
    assert last.sum() == pytest.approx(
        weekly_capacity(steps, held.keys, "egress", held.weeks[-1:], planned=True, now=options.today).sum()
        + sum(one.gbps * one.units for one in plan.purchases)
    )
    if len(rows):
        assert rows["cost_usd_month"].min() > 100.0
        assert set(rows.loc[rows["effective_from"].isin([one.in_service for one in plan.purchases]), "status"]) == {
            "planned"
        }


def test_a_closure_stays_one() -> None:
    held = demand(growing(1, 26, 5, 3))
    steps = installed([float(held.gbps[0, 0].max())])
    shut = steps.assign(effective_from=held.weeks[-1], capacity_gbps=0.0)
    sold = pd.DataFrame([("s000", 50.0, 10.0, 0.0)], columns=["site_id", "gbps", "cost_usd_month", "lead_time_days"])
    plan = solve_augments(build_problem(held, steps, sold, None, AugmentOptions(months=2, ordering=AS_SOLD)))
    rows = declared_steps(
        additions_of_purchases(plan.purchases), pd.concat([steps, shut]).assign(cost_usd_month=np.nan), "egress"
    )
    assert len(plan.purchases) == len(rows) >= 1
    assert (rows["capacity_gbps"] > 0.0).all()
    assert rows["cost_usd_month"].isna().all()
    assert declared_steps((), steps.assign(cost_usd_month=1.0), "egress").empty
