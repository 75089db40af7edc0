"""What-ifs: each change does what it says to demand, capacity and dates, they add up, and they come back from a URL as
they went in.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema.errors import SettingError
from data.store.scenarios import packed
from forecasting.planning.augment_programme import AugmentOptions, build_problem, violations
from forecasting.planning.augments import CapacityAddition, additions_of_purchases, plan_augments
from forecasting.planning.capacity import Policy
from forecasting.planning.demand import Statistic
from forecasting.planning.failover import declared, distances_km, nearby, reach_km
from forecasting.planning.order_by import OrderPolicy
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.whatif import (
    AugmentMoved,
    Bitrate,
    CapacityAdded,
    Change,
    Event,
    Growth,
    Limit,
    SiteAdded,
    SiteClosed,
    applied,
    compare_scenarios,
    evaluate_scenario,
    from_body,
    from_text,
    single_step_cost,
    to_body,
    to_text,
)
from tests.forecasting.planning.networks import START, demand, growing, installed, steps, world

COUNT, SPAN = 8, 53


@pytest.fixture(scope="module")
def scene() -> PlanCase:
    held, sites = demand(growing(COUNT, SPAN, 40)), world(COUNT)
    planned = steps([("s002", "2027-04-01", 500.0, "planned")])
    capacity = pd.concat([installed(list(held.gbps[:, 0].max(axis=1) * 1.4)), planned], ignore_index=True)
    sold = pd.DataFrame(
        [(key, gbps, 100.0 * gbps**0.9, 20.0) for key in held.keys for gbps in (10.0, 40.0)],
        columns=["site_id", "gbps", "cost_usd_month", "lead_time_days"],
    )
    return PlanCase(held, capacity, sites, Policy(), nearby(sites, held.keys, 200.0), sold)


def test_growth_bears_on_its_scope_and_direction_alone(scene: PlanCase) -> None:
    ratio = Growth(10.0, "r1").apply(scene).demand.gbps / scene.demand.gbps
    assert ratio[[1, 5], 52].mean() == pytest.approx(1.1 ** (53 * 7 / 365.25))
    assert (np.diff(ratio[1, :, 0]) > 0).all()
    assert (ratio[[0, 2, 3, 4, 6, 7]] == 1.0).all()
    assert Growth(10.0, direction="ingest").apply(scene) is scene


def test_growth_brings_every_date_nearer_and_costs_more(scene: PlanCase) -> None:
    base, more, less = (
        evaluate_scenario(scene),
        evaluate_scenario(Growth(20.0).apply(scene)),
        evaluate_scenario(Growth(-20.0).apply(scene)),
    )
    for key, answer in base.run_outs().items():
        assert (more.run_outs()[key].days <= answer.days).all()
        assert (less.run_outs()[key].days >= answer.days).all()
    assert less.cost_usd < base.cost_usd < more.cost_usd
    table = compare_scenarios({"base": base, "more": more})
    assert set(table["level"]) == {"site", "region", "global", "n-1"}
    assert (table.loc[table["scenario"] == "more", "later_days"].dropna() <= 0).all()
    assert table.loc[(table["scenario"] == "more") & (table["level"] == "global"), "more_usd"].item() == pytest.approx(
        more.cost_usd - base.cost_usd
    )


def test_an_event_lifts_the_peaks_of_its_weeks_and_a_p95_only_as_far_as_it_lasts(scene: PlanCase) -> None:
    event = Event(120.0, "2027-03-06", 60.0, "r0")
    lifted = event.apply(scene).demand.gbps - scene.demand.gbps
    assert lifted.sum(axis=0)[8:10] == pytest.approx(np.full((2, 40), 120.0))
    assert np.delete(lifted, [8, 9], axis=1).sum() == 0.0
    assert (lifted[[0, 4], 8] > 0).all()
    of_p95 = replace(scene, demand=replace(scene.demand, statistic="p95"))
    daily = Event(0.0, "2027-03-02", 2.1, scene.demand.keys[0], percent=50.0, days=2.0)
    more = daily.apply(of_p95).demand.gbps / scene.demand.gbps
    assert more[0, 8] == pytest.approx(np.full(40, 1.25))
    assert np.delete(more, 0, axis=0) == pytest.approx(1.0)
    in_city = replace(scene, sites=scene.sites.assign(city=["Ulm", "Ulm", *["x"] * (len(scene.sites) - 2)]))
    assert replace(daily, scope="city:Ulm").apply(in_city).demand.gbps[:2, 8] == pytest.approx(
        1.5 * scene.demand.gbps[:2, 8]
    )
    short = Event(120.0, "2027-03-02", 4.2).apply(of_p95).demand.gbps - scene.demand.gbps
    assert short.sum(axis=0)[8] == pytest.approx(np.full(40, 60.0))


def test_a_codec_that_saves_a_third_does_so_by_degrees(scene: PlanCase) -> None:
    ratio = (Bitrate(0.7, "2027-02-01", weeks=10.0).apply(scene).demand.gbps / scene.demand.gbps)[0, :, 0]
    assert ratio[:4].tolist() == [1.0] * 4
    assert ratio[4:15] == pytest.approx([*np.linspace(0.97, 0.7, 10), 0.7])
    ingest = replace(scene, demand=replace(scene.demand, direction="ingest"))
    assert Bitrate(0.7, "2027-02-01").apply(ingest) is ingest


def test_a_site_added_relieves_others_and_one_closed_burdens_them_and_demand_is_conserved(scene: PlanCase) -> None:
    new = SiteAdded("new", "r0", -40.0, -118.0, 300.0, "2027-03-01", ("s000", "s004"), 0.5)
    added = new.apply(scene)
    assert added.demand.gbps.sum(axis=0) == pytest.approx(scene.demand.gbps.sum(axis=0))
    assert added.demand.gbps[-1, :8].sum() == 0.0
    assert added.demand.gbps[0, 8:] == pytest.approx(0.5 * scene.demand.gbps[0, 8:])
    assert added.failover.pull[:-1, :-1].tolist() == scene.failover.pull.tolist()
    assert added.failover.pull[-1, 0] > 0.0
    closed = SiteClosed("s001", "2027-03-03").apply(scene)
    assert closed.demand.gbps.sum(axis=0) == pytest.approx(scene.demand.gbps.sum(axis=0))
    assert closed.demand.gbps[1, 8:].sum() == 0.0
    assert (closed.demand.gbps[1, :8] == scene.demand.gbps[1, :8]).all()
    assert closed.capacity(closed.demand)[1, 9] == 0.0
    assert (
        evaluate_scenario(closed).plan.at("global")[0].days <= evaluate_scenario(scene).plan.at("global")[0].days
    ).all()


def test_a_site_added_keeps_the_latency_bound_of_the_failover(scene: PlanCase) -> None:
    near = replace(scene, failover=nearby(scene.sites, scene.demand.keys, 1.0))
    assert SiteAdded("new", "r0", 0.0, 0.0, 300.0, "2027-03-01").apply(near).failover.pull[-1].sum() == 0.0


def test_a_closed_site_goes_where_the_table_says_and_one_that_is_added_to_it_helps_no_further_than_usual(
    scene: PlanCase,
) -> None:
    pairs = pd.DataFrame(
        [("s001", "s000", 3.0), ("s001", "s006", 1.0)], columns=["site_id", "helper_site_id", "weight"]
    )
    told = replace(scene, failover=declared(pairs, scene.sites, scene.demand.keys))
    more = SiteClosed("s001", "2027-01-04").apply(told).demand.gbps - scene.demand.gbps
    assert more[0] == pytest.approx(0.75 * scene.demand.gbps[1])
    assert more[6] == pytest.approx(0.25 * scene.demand.gbps[1])
    beside = scene.sites.set_index("site_id").loc["s002"]
    pull = SiteAdded("new", "r2", beside["lat"], beside["lon"], 300.0, "2027-03-01").apply(told).failover.pull
    far = distances_km(scene.sites, scene.demand.keys)[2] > reach_km()
    assert far.any()
    assert pull[-1, :-1].tolist() == np.where(far, 0.0, 2.0).tolist()


SITES = st.sampled_from([f"s{at:03d}" for at in range(COUNT)])
DAYS = st.dates(pd.Timestamp("2026-06-01").date(), pd.Timestamp("2028-06-01").date()).map(str)
additions = st.lists(st.builds(CapacityAddition, SITES, DAYS, st.floats(0.5, 500.0)), min_size=1, max_size=6).map(tuple)


def stepped(scene: PlanCase) -> PlanCase:
    """One site grows on a Wednesday, one closes and opens again, one opens late; and planned steps among them."""
    more = [
        ("s000", "2027-03-03", 400.0, "installed"),
        ("s001", "2027-02-01", 0.0, "installed"),
        ("s001", "2027-06-01", 90.0, "installed"),
        ("s003", "2027-02-15", 200.0, "planned"),
        ("s003", "2027-05-03", 300.0, "installed"),
    ]
    late = steps([("s004", "2027-04-05", 150.0, "installed")])
    return replace(
        scene, steps=pd.concat([scene.steps[scene.steps["site_id"] != "s004"], steps(more), late], ignore_index=True)
    )


@settings(max_examples=8)
@given(additions, additions, st.booleans())
def test_more_capacity_never_brings_a_date_nearer_and_adds_up(
    scene: PlanCase, first: tuple[CapacityAddition, ...], second: tuple[CapacityAddition, ...], planned: bool
) -> None:
    base = replace(stepped(scene), policy=Policy(planned=planned))
    more = CapacityAdded(first, "egress").apply(base)
    held, now = base.capacity(base.demand), more.capacity(more.demand)
    assert (np.isnan(held) == np.isnan(now)).all()
    assert not (now < held - 1e-9).any()
    assert (now[held == 0.0] == 0.0).all()
    before, after = evaluate_scenario(base).run_outs(), evaluate_scenario(more).run_outs()
    assert all((after[key].days >= one.days).all() for key, one in before.items())
    at_once = CapacityAdded(first + second, "egress").apply(base)
    np.testing.assert_allclose(
        CapacityAdded(second, "egress").apply(more).capacity(base.demand), at_once.capacity(base.demand)
    )


def test_capacity_is_added_to_what_is_in_force_from_its_day_on(scene: PlanCase) -> None:
    base = stepped(scene)
    adds = (
        CapacityAddition("s000", "2027-02-01", 50.0),
        CapacityAddition("s000", "2027-03-03", 10.0),
        CapacityAddition("s001", "2027-03-01", 5.0),
        CapacityAddition("s004", "2027-01-04", 7.0),
    )
    more = CapacityAdded(adds, "egress").apply(base)
    gained = more.capacity(more.demand) - base.capacity(base.demand)
    # The week of 1 March has the least of it: 50 more on Monday; the step of Wednesday is 60 higher.
    assert gained[0, [3, 4, 8, 9, 52]].tolist() == pytest.approx([0.0, 50.0, 50.0, 60.0, 60.0])
    assert gained[1, [6, 20, 22]].tolist() == [0.0, 0.0, 5.0]
    assert np.isnan(gained[4, :13]).all()
    assert (gained[4, 13:] == 7.0).all()
    assert (gained[[2, 3, 5, 6, 7]] == 0.0).all()
    assert CapacityAdded(adds, "ingest").apply(base) is base


def test_a_plan_counted_in_leaves_nothing_to_buy_and_costs_what_it_costs(scene: PlanCase) -> None:
    assert scene.catalogue is not None
    request = AugmentOptions(months=12, ordering=OrderPolicy(times=1.0, plus_days=0.0))
    sold = scene.catalogue.assign(cost_usd_once=1000.0)
    plan = plan_augments(scene.demand, scene.steps, sold, request=request)
    counted = CapacityAdded(additions_of_purchases(plan.purchases), "egress").apply(replace(scene, catalogue=sold))
    again = build_problem(counted.demand, counted.steps, sold, None, request)
    np.testing.assert_allclose(again.capacity, plan.problem.in_force(plan.units))
    assert {one[:3] for one in violations(again, np.zeros_like(plan.units))} == {
        one.violation[:3] for one in plan.broken
    }
    assert not plan.broken
    assert single_step_cost(counted, request) == pytest.approx(plan.cost_usd)


def test_an_augment_moved_and_a_limit_changed_move_the_date_their_way(scene: PlanCase) -> None:
    highest = scene.demand.gbps[2].max(axis=1)
    capacity = pd.concat(
        [installed([highest[12] / 0.8], ["s002"]), steps([("s002", "2027-04-01", highest.max() * 2.0, "planned")])]
    )
    alone = replace(scene, demand=scene.demand.only(["s002"]), steps=capacity, failover=nearby(scene.sites, ["s002"]))
    days = [
        evaluate_scenario(AugmentMoved("s002", later).apply(alone)).plan.at("site")[0].days
        for later in (-60.0, 0.0, 60.0)
    ]
    assert (days[0] >= days[1]).all()
    assert (days[1] >= days[2]).all()
    assert (days[0] > days[2]).any()
    loose = evaluate_scenario(Limit(0.95).apply(scene)).plan.at("site")
    assert all(
        (now.days >= then.days).all() for now, then in zip(loose, evaluate_scenario(scene).plan.at("site"), strict=True)
    )
    one = applied(scene, [Limit(0.7), Limit(0.9, "s003")]).policy
    assert one.shares(["s000", "s003"]).tolist() == [0.7, 0.9]


def test_the_quick_cost_is_that_of_the_plan_where_one_kind_of_step_is_sold_and_never_below_it(scene: PlanCase) -> None:
    request = AugmentOptions(months=12, ordering=OrderPolicy(times=1.0, plus_days=0.0))
    quick = single_step_cost(scene, request)
    plan = plan_augments(scene.demand, scene.steps, scene.catalogue, request=request)
    assert plan.cost_usd <= quick * (1 + 1e-9)
    assert scene.catalogue is not None
    only = replace(scene, catalogue=scene.catalogue[scene.catalogue["gbps"] == 10.0])
    assert only.catalogue is not None
    assert single_step_cost(only, request) == pytest.approx(
        plan_augments(only.demand, only.steps, only.catalogue, request=request).cost_usd
    )
    assert np.isnan(single_step_cost(replace(scene, catalogue=None), request))


finite = st.floats(-1e6, 1e6)
ways = st.sampled_from(["ingest", "egress"])
words = st.text("abcdefghij-0123456789", min_size=1, max_size=12)
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Growth, finite, words, st.sampled_from([None, "ingest", "egress"])),
    st.builds(Event, finite, st.just("2027-03-06"), finite, words),
    st.builds(Bitrate, finite, st.just("2027-03-06T10:00"), words, finite),
    st.builds(
        SiteAdded,
        words,
        words,
        finite,
        finite,
        finite,
        st.just("2027-01-01"),
        st.lists(words, max_size=3).map(tuple),
        finite,
    ),
    st.builds(SiteClosed, words, st.just("2027-01-01")),
    st.builds(
        CapacityAdded,
        st.lists(
            st.builds(CapacityAddition, words, words, st.floats(0.1, 1e6), *[st.floats(0, 1e9)] * 2), max_size=3
        ).map(tuple),
        ways,
    ),
    st.builds(AugmentMoved, words, finite),
    st.builds(Limit, finite, st.none() | words),
)


@given(st.lists(changes, max_size=5))
def test_changes_come_back_from_a_url_as_they_went_in(made: list[Change]) -> None:
    assert from_text(to_text(made)) == made


@given(
    st.lists(changes, max_size=5),
    st.sampled_from(["peak", "p95"]),
    st.floats(0.1, 1.0),
    st.dictionaries(words, st.floats(0.1, 1.0), max_size=3),
    st.booleans(),
)
def test_a_named_scenario_keeps_changes_and_policy(
    made: list[Change], statistic: Statistic, limit: float, limits: dict[str, float], planned: bool
) -> None:
    policy = Policy(statistic, limit, limits, planned)
    body = to_body(made, policy)
    assert from_body(json.loads(packed(body))) == (made, policy)


def test_a_policy_that_cannot_be_read_is_refused() -> None:
    assert from_body({"changes": [], "policy": {"limit": 0.7}}) == ([], Policy(limit=0.7, limits={}))
    with pytest.raises(SettingError, match="The policy holds colour"):
        from_body({"policy": {"colour": 1}})
    with pytest.raises(SettingError, match="cannot be read"):
        from_body({"policy": {"limits": 3}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"kind":"grow', "is not JSON"),
        ('{"kind":"growth"}', "not a list of changes"),
        ('[{"kind":"magic"}]', "'magic'} is not a change"),
        ('[{"kind":"growth"}]', "missing 1 required positional argument"),
        ('[{"kind":"growth","percent":"much"}]', "could not convert"),
        ('[{"kind":"growth","percent":1e999}]', "not finite"),
        ('[{"kind":"growth","percent":5,"direction":"up"}]', "neither ingest nor egress"),
        ('[{"kind":"growth","percent":5,"colour":"red"}]', "is not a change"),
        ("[3]", "3 is not a change"),
        ('[{"kind":"add_capacity","adds":[["s001","2027-03-01",0]],"direction":"egress"}]', "needs more than 0 Gbps"),
        (
            '[{"kind":"add_capacity","adds":[["s001","2027-03-01",1e999]],"direction":"egress"}]',
            "needs more than 0 Gbps",
        ),
        ('[{"kind":"add_capacity","adds":[["s001","2027-03-01"]],"direction":"egress"}]', "not a site, a day, Gbps"),
        ('[{"kind":"add_capacity","adds":"s001","direction":"egress"}]', "not a site, a day, Gbps"),
        ('[{"kind":"add_capacity","adds":[],"direction":null}]', "neither ingest nor egress"),
    ],
)
def test_a_text_that_is_no_scenario_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        from_text(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Growth(5.0, "mars"), "mars is neither a region, a city nor a site"),
        (Growth(-100.0), "less than nothing"),
        (Event(-1.0, "2027-03-06", 3.0), "is none"),
        (Event(1.0, "soon", 3.0), "'soon' is not a date"),
        (Bitrate(0.0, "2027-03-06"), "bitrate of 0 times"),
        (SiteAdded("s001", "r0", 0.0, 0.0, 1.0, "2027-03-06"), "s001 with 1 Gbps"),
        (SiteClosed("mars", "2027-03-06"), "No demand is known for mars"),
        (CapacityAdded((CapacityAddition("mars", "2027-03-06", 5.0),), "egress"), "mars declares no egress capacity"),
        (CapacityAdded((CapacityAddition("s001", "soon", 5.0),), "egress"), "'soon' is not a date"),
        (AugmentMoved("s001", 5.0), "s001 has no planned augment"),
        (Limit(80.0), "limit 80"),
        (Limit(0.7, "mars"), "No demand is known for mars"),
    ],
)
def test_a_change_that_cannot_be_is_refused(scene: PlanCase, change: Change, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        change.apply(scene)


@pytest.mark.parametrize("change", [Event(1.0, "2027-03-06", 1e300), AugmentMoved("s002", 1e9)])
def test_a_change_beyond_all_calendars_is_refused(scene: PlanCase, change: Change) -> None:
    with pytest.raises(SettingError, match="is out of reach"):
        applied(scene, [change])


def test_a_site_that_nobody_can_replace_cannot_close(scene: PlanCase) -> None:
    alone = replace(scene, failover=nearby(scene.sites, scene.demand.keys, 0.0))
    with pytest.raises(SettingError, match="no site within reach takes over"):
        SiteClosed("s001", f"{START:%Y-%m-%d}").apply(alone)
