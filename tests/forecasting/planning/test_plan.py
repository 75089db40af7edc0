"""The plan: states, one order of urgency, orders, groups without silent sites, and augments that are late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema import Level
from forecasting.planning import Plan, PlanCase, solve
from forecasting.planning.augment_programme import AugmentOptions
from forecasting.planning.augments import plan_augments
from forecasting.planning.capacity import Policy, in_force, late_augments, weekly_capacity
from forecasting.planning.demand import Demand
from forecasting.planning.failover import nearby
from forecasting.planning.order_by import OrderPolicy, plan_calendar
from forecasting.planning.plan import fan, summarise, with_plan
from forecasting.planning.site_state import WORST_FIRST, by_urgency, group_states, summarise_sites
from tests.forecasting.planning.networks import START, installed, names, steps, weeks

NOW = START + pd.Timedelta(days=1, hours=9)
DAY = pd.Timedelta(days=1)
SPAN = 78


def line(first: float, a_week: float, paths: int = 20) -> np.ndarray:
    """(weeks, paths): a straight line, spread evenly by a tenth to both sides of its growth."""
    growth = a_week * np.linspace(0.9, 1.1, paths)
    return first + growth[None, :] * np.arange(SPAN)[:, None]


def case(lines: dict[str, tuple[float, float]], capacity: pd.DataFrame | None = None, **changes: object) -> PlanCase:
    """Sites of 100 Gbps each in one region, with a lead time of 30 days."""
    keys = tuple(lines)
    demand = Demand(keys, "egress", "peak", weeks(SPAN), np.stack([line(*lines[key]) for key in keys]))
    sites = pd.DataFrame(
        {"site_id": keys, "region_id": "eu", "lat": 50.0, "lon": np.arange(len(keys)) + 4.0, "lead_time_days": 30.0}
    )
    held = installed([100.0] * len(keys), keys) if capacity is None else capacity
    made = PlanCase(demand, held, sites, Policy(), nearby(sites, keys), now=NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


def sites_of(plan: Plan) -> pd.DataFrame:
    return plan.rows[plan.rows["level"] == "site"].set_index("key")


def test_each_state_has_its_rule_and_its_sentence() -> None:
    lines = {
        "over": (90.0, 0.0),
        "late": (70.0, 2.0),
        "soon": (60.0, 1.5),
        "slow": (50.0, 0.001),
        "sick": (50.0, 0.0),
        "mute": (50.0, 0.0),
    }
    rows = sites_of(
        solve(
            case(lines, incidents={"sick": "Viewers rebuffer 0.78 % of the time."}, unheard={"mute": "Silent for 5 h."})
        )
    )
    assert rows["state"].to_dict() == {
        "over": "act",
        "late": "act",
        "soon": "watch",
        "slow": "ok",
        "sick": "watch",
        "mute": "unknown",
    }
    assert rows.loc["over", "state_reason"] == "Egress peaks 12 % above the limit of 80 % of capacity."
    assert "an order of today is in service on " in rows.loc["late", "state_reason"]
    assert (
        rows.loc["soon", "state_reason"]
        == f"The order of egress capacity is due by {rows.loc['soon', 'order_by']:%-d %b %Y}."
    )
    assert rows.loc["sick", "state_reason"] == "Viewers rebuffer 0.78 % of the time."
    assert rows.loc["mute", "state_reason"] == "Silent for 5 h."


def test_an_overdue_order_that_still_comes_before_the_median_is_watched() -> None:
    """The early tenth runs out before capacity could be there, the median does not."""
    wide = 60.0 + np.linspace(0.2, 3.0, 20)[None, :] * np.arange(SPAN)[:, None]
    made = case({"a": (60.0, 1.0)})
    plan = solve(replace(made, demand=made.demand.with_gbps(wide[None])))
    row = sites_of(plan).loc["a"]
    assert (row["order"], row["state"]) == ("overdue", "watch")
    assert NOW.floor("D") + pd.Timedelta(days=65) <= row["run_out_p50"]
    late = sites_of(solve(replace(made, demand=made.demand.with_gbps(wide[None] + 10.0)))).loc["a"]
    assert (late["order"], late["state"]) == ("overdue", "act")


def test_over_by_how_much_comes_first_then_how_soon_unmet_then_by_order_date() -> None:
    lines = {
        "never": (10.0, 0.0),
        "order later": (60.0, 0.8),
        "order soon": (60.0, 1.5),
        "unmet later": (70.0, 1.9),
        "unmet soon": (74.0, 2.0),
        "over a little": (85.0, 0.0),
        "over a lot": (95.0, 0.0),
    }
    rows = sites_of(solve(case(lines, refused={"dark": "too short"})))
    assert rows.index.tolist() == [*reversed(lines), "dark"]
    shuffled = rows.reset_index().sample(frac=1.0, random_state=3)
    assert by_urgency(shuffled)["key"].tolist() == rows.index.tolist()


def test_both_directions_are_ranked_together() -> None:
    egress = case({"a": (60.0, 1.5), "b": (90.0, 0.0)})
    ingest = replace(
        egress,
        demand=replace(egress.demand, direction="ingest", gbps=egress.demand.gbps[::-1]),
        steps=egress.steps.assign(direction="ingest"),
    )
    plan = solve(egress, ingest)
    rows = plan.rows[plan.rows["level"] == "site"]
    assert list(zip(rows["key"], rows["direction"], strict=True)) == [
        ("a", "ingest"),
        ("b", "egress"),
        ("a", "egress"),
        ("b", "ingest"),
    ]
    assert len(plan.run_outs) == len(plan.rows) == 2 * (2 + 1 + 1)


def test_a_site_that_declares_no_lead_time_waits_as_long_as_is_usual_and_so_does_its_region() -> None:
    made = case({"a": (60.0, 1.5), "b": (50.0, 0.0)})
    plan = solve(replace(made, sites=made.sites.assign(lead_time_days=[np.nan, 30.0])))
    rows = plan.rows.set_index(["level", "key"])
    assert rows.loc[("site", "a"), "lead_days"] == 90.0
    assert rows.loc[("region", "eu"), "lead_days"] == rows.loc[("global", "all"), "lead_days"] == 90.0
    assert rows.loc[("site", "a"), "order_by"] == rows.loc[("site", "a"), "run_out_p10"] - pd.Timedelta(days=185)


def test_a_site_without_futures_leaves_its_region_and_the_network_with_an_answer_that_names_it_and_its_share() -> None:
    made = case({"a": (60.0, 1.5)})
    sites = pd.concat([made.sites, made.sites.assign(site_id="mute", lead_time_days=300.0)], ignore_index=True)
    alone = solve(made).rows.set_index(["level", "key"])
    reason = "silent since 2026-03-01 10:00 UTC; 14 days, of which at most 7 are bridged"
    rows = solve(replace(made, sites=sites, refused={"mute": reason}, usual={"a": 48.0, "mute": 2.0})).rows
    rows = rows.set_index(["level", "key"])
    for place, whole in ((("region", "eu"), "region"), (("global", "all"), "network")):
        assert rows.loc[place, ["run_out_p50", "order_by"]].equals(alone.loc[place, ["run_out_p50", "order_by"]])
        assert rows.loc[place, "reason"] == f"without mute (silent since 2026-03-01 10:00 UTC), 4 % of the {whole}"
    assert rows.loc[("site", "mute"), "state"] == "unknown"
    assert rows.loc[("site", "mute"), "reason"] == reason


def test_a_region_all_of_whose_sites_are_without_futures_says_why_of_each() -> None:
    made = case({"a": (60.0, 1.5)})
    sites = pd.concat([made.sites, made.sites.assign(site_id="mute", region_id="asia")], ignore_index=True)
    rows = solve(replace(made, sites=sites, refused={"mute": "closed since 2026-03-01"})).rows.set_index("key")
    assert rows.loc["asia", ["answer", "reason"]].tolist() == [
        "refused",
        "no forecast for mute (closed since 2026-03-01)",
    ]
    assert rows.loc["all", "reason"] == "without mute (closed since 2026-03-01)"


def test_rows_say_the_gbps_and_what_ordering_today_achieves() -> None:
    made = case(
        {"over": (90.0, 1.0), "late": (70.0, 2.0), "soon": (60.0, 1.5), "later": (60.0, 0.5), "slow": (50.0, 0.0)}
    )
    rows = sites_of(solve(made))
    assert rows["grade"].to_dict() == {"over": "over", "late": "late", "soon": "due", "later": "later", "slow": "none"}
    assert rows.loc["over", ["peak_gbps", "capacity_gbps", "limit_gbps", "short_gbps"]].tolist() == [90, 100, 80, 10]
    arrival = NOW.floor("D") + pd.Timedelta(days=65)
    assert (rows["in_service_today"] == arrival).all()
    assert (rows["in_service_by"] - rows["order_by"]).dropna().eq(pd.Timedelta(days=65)).all()
    # Ten weeks begin before an order of today is in service: over in all of them, late from the sixth or seventh on.
    assert rows.loc["over", "weeks_over"] == 10.0
    assert 3.0 < rows.loc["late", "weeks_over"] < 5.0
    assert rows.loc["slow", "weeks_over"] == 0.0
    # 90 + 1.08 x 51 weeks is 65 Gbps above the limit in nine of ten futures: 81 Gbps more at 80 %, in ports of 10.
    assert rows.loc["over", "add_gbps"] == 90.0
    assert np.isnan(rows.loc["slow", "add_gbps"])
    # What the cheapest augment plan buys, where it is offered ports of 10 alone.
    ports = pd.DataFrame({"site_id": made.demand.keys, "gbps": 10.0, "cost_usd_month": 1.0, "lead_time_days": 30.0})
    bought = plan_augments(made.demand, made.steps, ports, None, AugmentOptions(today=NOW)).frame()
    totals = (bought["gbps"] * bought["units"]).groupby(bought["site_id"]).sum()
    assert (
        rows["add_gbps"].dropna().to_dict() == totals.reindex(rows["add_gbps"].dropna().index, fill_value=0.0).to_dict()
    )
    everything = solve(made).rows.set_index("level").loc["global"]
    assert everything["add_gbps"] == rows["add_gbps"].sum()
    told = summarise(rows.reset_index())
    assert (told.grades["over"], told.grades["unknown"], told.weeks_over) == (1, 0, (10.0, 10.0))
    assert told.first_late is not None
    assert told.first_due is not None
    assert (told.first_late["key"], told.first_due["key"]) == ("late", "soon")
    quick = sites_of(solve(replace(made, ordering=OrderPolicy(times=1.0, plus_days=0.0))))
    assert (quick.loc["late", "grade"], quick.loc["late", "padded_days"]) == ("due", 30.0)


@pytest.mark.parametrize("level", ["region", "global"])
def test_a_group_that_stood_above_what_it_may_carry_last_week_is_over(level: Level) -> None:
    made = case({"a": (50.0, 0.0), "b": (50.0, 0.0)})
    key = "eu" if level == "region" else "all"
    row = solve(replace(made, measured={level: {key: 176.0}})).rows.set_index("level").loc[level]
    assert (row["answer"], row["state"]) == ("over", "act")
    assert row["over_share"] == pytest.approx(1.1)


def test_a_site_without_a_forecast_that_was_over_last_week_is_over_its_limit() -> None:
    made = case({"a": (50.0, 0.0)}, installed([100.0, 100.0], ["a", "new"]))
    sites = pd.concat([made.sites, made.sites.assign(site_id="new")], ignore_index=True)
    plan = solve(replace(made, sites=sites, refused={"new": "14 days"}, measured={"site": {"new": 88.0}}))
    row = sites_of(plan).loc["new"]
    assert (row["state"], row["answer"], row["order"]) == ("act", "refused", "unknown")
    assert row["over_share"] == pytest.approx(1.1)


def test_a_planned_augment_whose_date_has_passed_is_late_and_does_not_count() -> None:
    capacity = pd.concat(
        [
            installed([100.0, 100.0], ["a", "b"]),
            steps([("a", "2027-01-04", 900.0, "planned"), ("b", "2027-02-01", 900.0, "planned")]),
            steps([("b", "2026-12-01", 150.0, "planned"), ("b", "2026-12-20", 100.0, "installed")]),
        ],
        ignore_index=True,
    )
    plan = solve(case({"a": (60.0, 1.5), "b": (60.0, 1.5)}, capacity))
    rows = sites_of(plan)
    assert rows.loc["a", "run_out_p50"] == sites_of(solve(case({"a": (60.0, 1.5)}))).loc["a", "run_out_p50"]
    assert rows.loc["b", "answer"] == "beyond"
    assert plan.late.to_dict("records") == [
        {
            "site_id": "a",
            "direction": "egress",
            "effective_from": pd.Timestamp("2027-01-04", tz="UTC"),
            "capacity_gbps": 900.0,
            "days_late": 1,
        }
    ]


def test_orders_make_a_calendar() -> None:
    plan = solve(case({"a": (60.0, 1.5), "b": (90.0, 0.0), "c": (10.0, 0.0)}))
    rows = plan.rows[plan.rows["level"] == "site"]
    text = plan_calendar(rows, NOW).replace("\r\n ", "")
    assert text.count("BEGIN:VEVENT") == 2
    assert "SUMMARY:OVERDUE: order egress capacity for b" in text
    assert "UID:order-site-a-egress@headroom" in text
    assert f"may run out from {rows.set_index('key').loc['a', 'run_out_p10']:%Y-%m-%d}" in text


def test_sites_take_the_most_urgent_row_of_the_plan_else_what_is_measured() -> None:
    plan = solve(case({"a": (90.0, 0.0), "b": (60.0, 1.5)})).rows
    sites = pd.DataFrame(
        {
            "site_id": ["b", "hot", "calm", "a"],
            "state": ["ok", "act", "ok", "ok"],
            "reason": "Within all limits.",
            "utilisation": [0.1, 0.5, 0.1, 0.1],
            "peak_7d_utilisation": [0.1, 0.88, 0.1, 0.1],
            "egress_capacity_gbps": [100.0, 100.0, np.nan, 100.0],
            "ingest_capacity_gbps": np.nan,
        }
    )
    found = with_plan(sites, plan).set_index("site_id")
    assert found.index.tolist() == ["a", "hot", "b", "calm"]
    assert found["state"].tolist() == ["act", "act", "watch", "unknown"]
    assert found["runout"].tolist() == ["over", "over", "within", "no capacity"]
    assert found.loc["hot", "over_share"] == pytest.approx(1.1)
    assert with_plan(sites, None)["site_id"].tolist() == ["hot", "a", "b", "calm"]


def test_a_summary_counts_states_orders_and_what_comes_first() -> None:
    sites = pd.DataFrame(
        {
            "name": ["Over", "Late", "Soon", "Bare", "Young", "Well"],
            "state": ["act", "act", "watch", "unknown", "unknown", "ok"],
            "over_share": [1.2, np.nan, np.nan, np.nan, np.nan, np.nan],
            "grade": ["over", "late", "due", "unknown", "unknown", "later"],
            "run_out_p50": pd.to_datetime([NOW, NOW + 20 * DAY, NOW + 10 * DAY, None, None, None], utc=True),
            "runout": ["over", "within", "within", "no capacity", "no forecast", "beyond"],
            "answer": ["over", "within", "within", "refused", "refused", "beyond"],
            "refusal": [None, None, None, "no capacity is declared", "too short", None],
            "peak_24h_utilisation": [0.7, 0.95, 0.5, None, 0.2, 0.1],
            "rebuffer_ratio": [0.006, 0.001, None, None, 0.012, 0.001],
            "startup_seconds": [1.0, 1.0, None, None, 1.0, 1.0],
            "playback_failure_ratio": None,
        }
    )
    found = summarise_sites(sites)
    assert found.states == {"act": 2, "watch": 1, "ok": 1, "unknown": 2}
    assert (found.sites, found.over, found.late, found.due) == (6, 1, 2, 1)
    assert (found.undeclared, found.unplanned, found.refusal) == (1, 1, "too short")
    several = summarise_sites(sites.assign(refusal=["silent", None, None, None, "too short", None])).refusal
    assert several == "for different reasons"
    assert (found.next_site, found.next_date) == ("Soon", NOW + 10 * DAY)
    assert (found.fullest_site, found.fullest_share) == ("Late", 0.95)
    assert found.poor == ("Young", "Over")
    nothing = summarise_sites(sites[3:4].assign(rebuffer_ratio=None, startup_seconds=None))
    assert (nothing.next_site, nothing.fullest_site, nothing.poor) == (None, None, None)


def test_regions_and_partners_rank_by_sites_to_act_on() -> None:
    sites = pd.DataFrame(
        {
            "region_id": ["eu", "eu", "us", "us"],
            "region_name": ["Europe", "Europe", None, None],
            "partner": ["A", None, "B", "A"],
            "state": ["ok", "watch", "act", "act"],
            "add_gbps": [np.nan, np.nan, 5.0, 10.0],
        }
    )
    regions = group_states(sites, "region")
    assert regions[["key", "label", "act", "watch", "sites"]].to_numpy().tolist() == [
        ["us", "us", 2, 0, 2],
        ["eu", "Europe", 0, 1, 2],
    ]
    assert regions["add_gbps"].tolist()[0] == 15.0
    assert np.isnan(regions["add_gbps"].iloc[1])
    assert group_states(sites, "partner")["key"].tolist() == ["A", "B"]


@settings(max_examples=3)
@given(st.permutations(list(names(6))))
def test_urgency_does_not_depend_on_the_order_of_the_rows(order: list[str]) -> None:
    lines = dict(
        zip(names(6), [(90.0, 0.0), (85.0, 0.0), (70.0, 2.0), (60.0, 1.5), (50.0, 0.5), (10.0, 0.0)], strict=True)
    )
    rows = sites_of(solve(case({key: lines[key] for key in order})))
    assert rows.index.tolist() == list(names(6))
    assert [WORST_FIRST.index(state) for state in rows["state"]] == sorted(map(WORST_FIRST.index, rows["state"]))


moments = st.datetimes(pd.Timestamp("2026-10-01"), pd.Timestamp("2027-06-01")).map(
    lambda day: pd.Timestamp(day, tz="UTC").floor("h")
)


@settings(max_examples=15)
@given(
    st.lists(st.tuples(moments, st.sampled_from(["installed", "planned"])), max_size=8, unique_by=lambda x: x[0]),
    moments,
)
def test_late_augments_are_those_that_the_capacity_in_force_ignores(
    rows: list[tuple[pd.Timestamp, str]], now: pd.Timestamp
) -> None:
    made = steps([("a", str(day), float(n + 1), status) for n, (day, status) in enumerate(rows)])
    late = late_augments(made, now)
    kept = made[~made["effective_from"].isin(late["effective_from"])]
    for at in (now, now + pd.Timedelta(days=60)):
        assert in_force(kept, at, now).to_dict() == in_force(made, at, now).to_dict()
    week = pd.DatetimeIndex([now.floor("D") - pd.Timedelta(days=now.weekday()) + pd.Timedelta(weeks=9)])
    a, b = (weekly_capacity(held, ["a"], "egress", week, planned=True, now=now) for held in (made, kept))
    assert np.array_equal(a, b, equal_nan=True)


def test_a_fan_is_the_demand_of_its_sites_against_what_they_may_carry() -> None:
    capacity = steps(
        [
            ("a", "2020-01-01", 100.0, "installed"),
            ("b", "2020-01-01", 50.0, "installed"),
            ("b", "2027-03-01", 80.0, "planned"),
        ]
    )
    made = case({"a": (60.0, 1.5), "b": (20.0, 0.1)}, capacity)
    plan = solve(made)
    region, site = fan(made, plan, "region", "eu"), fan(made, plan, "site", "b")
    assert region is not None
    assert site is not None
    assert site.weeks["q50"].to_numpy() == pytest.approx(made.demand.only(["b"]).quantile(0.5)[0])
    assert region.weeks["q50"].to_numpy() == pytest.approx(np.quantile(made.demand.gbps.sum(axis=0), 0.5, axis=1))
    assert site.weeks["room_gbps"].iloc[[0, -1]].tolist() == pytest.approx([40.0, 64.0])
    assert region.weeks["room_gbps"].iloc[[0, -1]].tolist() == pytest.approx([120.0, 144.0])
    assert region.weeks["probability"].is_monotonic_increasing
    assert region.steps["capacity_gbps"].tolist() == [150.0, 180.0]
    assert region.steps["status"].tolist() == ["installed", "planned"]
    assert fan(made, plan, "site", "elsewhere") is None


def test_a_fan_of_a_group_with_a_part_that_is_unknown_has_no_limit() -> None:
    made = case({"a": (60.0, 1.5), "b": (20.0, 0.1)}, installed([100.0], ["a"]))
    whole = fan(made, solve(made), "region", "eu")
    assert whole is not None
    assert whole.run_out.answer == "refused"
    assert whole.weeks["room_gbps"].isna().all()
