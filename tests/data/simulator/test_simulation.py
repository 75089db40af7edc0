"""The simulated world as a whole: what every plan keeps, and what makes it look like live video."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema import TABLES, validate
from data.schema.errors import SettingError
from data.schema.validation import EXCERPT
from data.simulator import Simulation, SimulationOptions, simulate
from data.simulator.capacity import fates, runs_out_on
from data.simulator.demand import WEEK_SLOTS, Field, Octave, local_slots
from data.simulator.network import build_network
from data.simulator.options import DAY_MINUTES, SIMULATOR_MARK, TICK, minutes, moment, options_of_source
from data.simulator.simulation import CUT_SECONDS
from data.simulator.world import INGEST, REGIONS, TROUBLED_PARTNER, build_world

END = datetime(2026, 5, 14, 12, 5, tzinfo=UTC)
RATIOS = ("rebuffer_ratio", "playback_failure_ratio", "ingest_starved_ratio", "transcode_used_ratio")
OF_INGEST = ("ingest_gbps", "streams", "ingest_starved_ratio", "transcode_used_ratio")

ends = st.integers(0, 10 * 365 * 288).map(lambda tick: datetime(2016, 1, 1, tzinfo=UTC) + tick * TICK)
plans = st.builds(
    SimulationOptions,
    end=ends,
    sites=st.integers(1, 16),
    days=st.integers(1, 2),
    seed=st.integers(0, 10**6),
    incident_rate=st.floats(0, 6),
)


def tables_of(simulation: Simulation) -> dict[str, pa.Table]:
    """Every table of a simulation, by the contract's names."""
    days = list(simulation.days())
    return {
        "sites": simulation.sites,
        "capacity": simulation.capacity,
        "events": simulation.events,
        "links": simulation.links,
        "telemetry": pa.concat_tables(day.telemetry for day in days),
        "flows": pa.concat_tables(day.flows for day in days),
        "simulated_incidents": simulation.truth(label for day in days for label in day.labels),
    }


@given(plans)
@settings(max_examples=12, deadline=None)
def test_every_table_of_every_plan_keeps_the_contract(plan: SimulationOptions) -> None:
    for name, table in tables_of(simulate(plan)).items():
        assert validate(TABLES[name], table, now=plan.end).faults == [], name
        keys = table.select(list(TABLES[name].key)).to_pandas()
        assert not keys.duplicated().any(), name


@given(plans)
@settings(max_examples=12, deadline=None)
def test_what_a_site_reports_is_possible(plan: SimulationOptions) -> None:
    tables = tables_of(simulate(plan))
    rows = tables["telemetry"].to_pandas().merge(tables["sites"].to_pandas()[["site_id", "roles"]])
    ingests = rows["roles"].str.contains("ingest")
    capacity = tables["capacity"].to_pandas().query("direction == 'egress'").rename(columns={"effective_from": "ts"})
    held = pd.merge_asof(
        rows.sort_values("ts"), capacity.sort_values("ts")[["ts", "site_id", "capacity_gbps"]], on="ts", by="site_id"
    )
    assert rows["egress_gbps"].min() >= 0
    assert (held["egress_gbps"] <= held["capacity_gbps"]).all()
    for ratio in RATIOS:
        assert rows[ratio].dropna().between(0, 1).all()
    for name in OF_INGEST:
        assert (rows[name].notna() == ingests).all(), f"{name} is reported by ingest sites, and by no others"
    assert rows["ts"].between(plan.start, plan.end - TICK).all()
    assert (rows["received_at"] >= rows["ts"] + TICK).all()
    assert rows["received_at"].max() <= plan.end + timedelta(seconds=CUT_SECONDS)


@given(plans)
@settings(max_examples=12, deadline=None)
def test_egress_is_12_to_20_times_ingest(plan: SimulationOptions) -> None:
    quiet = SimulationOptions(end=plan.end, sites=plan.sites, days=plan.days, seed=plan.seed, incident_rate=0)
    rows = pa.concat_tables(simulate(quiet).telemetry_days()).to_pandas()
    assert 12 <= rows["egress_gbps"].sum() / rows["ingest_gbps"].sum() <= 20
    assert 20 <= rows["viewers"].sum() / rows["streams"].sum() <= 30


@given(plans)
@settings(max_examples=20, deadline=None)
def test_true_labels_fall_inside_the_telemetry(plan: SimulationOptions) -> None:
    truth = simulate(plan).truth().to_pandas()
    assert (truth["start"] >= plan.start).all()
    assert (truth["end"] <= plan.end).all()
    assert (truth["start"] < truth["end"]).all()
    assert truth["incident_id"].is_unique


@given(plans)
def test_a_plan_can_be_read_back_from_the_ledger(plan: SimulationOptions) -> None:
    assert plan.source.startswith(f"{SIMULATOR_MARK}:")
    assert options_of_source(plan.source) == replace(plan, anchor=plan.anchored)


def test_the_ledger_keeps_the_default_plan_whole() -> None:
    """Ingest shortens what is long for the ledger; a live run reads the plan back from there."""
    assert len(SimulationOptions(end=END).source) <= EXCERPT


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sites": 0}, r"sites is 0; it must be 1 to 600\..*Remedy: give --sites"),
        ({"sites": 601}, r"sites is 601; it must be 1 to 600"),
        ({"days": 0}, r"days is 0; it must be 1 to"),
        ({"seed": -1}, r"seed is -1; it must be 0 to"),
        ({"incident_rate": -0.5}, r"incident-rate is -0\.5; it must be 0 to"),
        ({"end": END + timedelta(seconds=1)}, r"is not a 5-minute mark in a named time zone"),
        ({"end": END.replace(tzinfo=None)}, r"is not a 5-minute mark in a named time zone"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SimulationOptions(**({"end": END} | wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "source",
    ["/tmp/x.parquet", "simulator:seed=7", "simulator:seed=x,sites=1,days=1,end=2026-01-01T00:00Z,anchor=2026-01-01"],
)
def test_another_source_is_no_plan(source: str) -> None:
    with pytest.raises(SettingError, match=r"was not written by this simulator"):
        options_of_source(source)


def test_the_default_network_is_global() -> None:
    world = build_world(48, 7)
    assert {site.city for site in world.sites if site.ingest} == {metro.city for metro in INGEST}
    assert {site.region for site in world.sites} == set(range(len(REGIONS)))
    assert len({site.partner for site in world.sites}) == 4
    assert 6 <= len(REGIONS) <= 8


def test_five_hundred_sites_stand_apart() -> None:
    world = build_world(500, 7)
    assert world.site_ids == sorted(set(world.site_ids))
    assert len({(site.lat, site.lon) for site in world.sites}) == 500
    assert all(30 <= site.lead_time_days <= 150 for site in world.sites)
    assert np.allclose(world.takeover.sum(axis=1), 1)


def test_one_site_has_nobody_to_help_it() -> None:
    assert build_world(1, 7).takeover.tolist() == [[0.0]]


@given(
    st.sampled_from(
        ["Europe/Paris", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Sydney", "America/New_York"]
    ),
    st.integers(14_000, 21_000),
)
def test_slots_are_those_of_the_local_clock(zone: str, day: int) -> None:
    slots = local_slots([zone], day)[0]
    for tick in (0, 17, 143, 287):
        local = moment(day * DAY_MINUTES + 5 * tick).astimezone(ZoneInfo(zone))
        assert slots[tick] == (local.weekday() * 288 + local.hour * 12 + local.minute // 5) % WEEK_SLOTS


def test_noise_is_even_and_has_no_seam_at_midnight() -> None:
    days = np.concatenate(
        [
            Field(3, "test", 400, (Octave(120, 1.0), Octave(7 * DAY_MINUTES, 1.0))).day(day)
            for day in range(20_000, 20_004)
        ],
        axis=1,
    )
    steps = np.diff(days, axis=1).std(axis=0)
    assert abs(days.std() - 2**0.5) < 0.05
    assert steps[287::288].max() < 1.2 * steps.mean()


def test_noise_of_different_fields_and_seeds_is_unrelated() -> None:
    octaves = (Octave(30, 1.0),)
    a, b, c = (Field(seed, name, 60, octaves).day(20_000).ravel() for seed, name in ((1, "a"), (1, "b"), (2, "a")))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.1
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.1


def test_regions_breathe_like_audiences() -> None:
    """Busy hour over average 1.5 to 1.75, peak over trough 2.5 to 4; the evening is the peak, and the weekend carries
    more.
    """
    network = build_network(SimulationOptions(end=END, sites=48))
    first = minutes(datetime(2026, 3, 2, tzinfo=UTC)) // DAY_MINUTES
    viewers = np.stack([network.demand.day(day)[0] for day in range(first, first + 14)])
    for region in range(len(REGIONS)):
        hours = viewers[:, network.world.region == region].sum(axis=1).reshape(14, 24, 12).mean(axis=2)
        assert 1.45 <= np.median(hours.max(axis=1) / hours.mean(axis=1)) <= 1.75
        assert 2.5 <= np.median(hours.max(axis=1) / hours.min(axis=1)) <= 4.0
    everywhere = viewers.sum(axis=(1, 2))
    assert everywhere[[5, 6, 12, 13]].mean() > 1.04 * everywhere[[0, 1, 2, 3, 7, 8, 9, 10]].mean()


def test_the_network_carries_terabits() -> None:
    rows = pa.concat_tables(
        simulate(SimulationOptions(end=END, sites=48, days=7, incident_rate=0)).telemetry_days()
    ).to_pandas()
    total = rows.groupby("ts")["egress_gbps"].sum()
    assert 6_000 <= total.mean() <= 8_000
    assert 8_000 <= total.quantile(0.999) <= 11_000
    assert 3.0 <= 1000 * rows["egress_gbps"].sum() / rows["viewers"].sum() <= 4.0


def test_the_ordinary_peak_is_the_median_weekly_peak() -> None:
    network = build_network(SimulationOptions(end=END, sites=48))
    last = minutes(END) // DAY_MINUTES
    weeks = range(last - 84, last, 7)
    peaks = np.array(
        [np.max([network.demand.day(day)[0].max(axis=1) for day in range(week, week + 7)], axis=0) for week in weeks]
    )
    expected = np.array([network.demand.peak_viewers((week + 3) * DAY_MINUTES) for week in weeks])
    assert abs(np.median(peaks / expected) - 1) < 0.03


def test_of_48_sites_a_few_are_over_late_or_due_and_most_are_sound() -> None:
    network = build_network(SimulationOptions(end=END, sites=48))
    counts = Counter(fates(network.world, 7))
    assert counts["over"] == 3
    assert counts["late"] == 6
    assert counts["due"] == 10
    assert counts["sound"] + counts["shrinks"] == 29
    days = [runs_out_on(network.demand, network.quality.bitrate_mbps, network.steps, site) for site in range(48)]
    known = np.array([np.inf if day is None else day for day in days])
    assert (known <= 0).sum() == counts["over"]
    assert ((known > 0) & (known <= 140)).sum() == counts["late"]
    assert (known > 140).sum() == 39
    assert any(day is None for day in days), "some sites shrink"
    troubled = Counter(
        fate
        for site, fate in zip(network.world.sites, fates(network.world, 7), strict=True)
        if site.partner == TROUBLED_PARTNER
    )
    assert (troubled["over"], troubled["late"]) == (1, 4), "one partner has most of the trouble"


def test_growth_differs_by_site() -> None:
    growth = np.expm1(build_network(SimulationOptions(end=END, sites=48)).demand.growth_a_year)
    assert -0.08 < growth.min() < 0
    assert growth.max() > 0.9
    assert ((growth > 0.15) & (growth < 0.65)).sum() >= 15


def test_planned_steps_lie_ahead_and_add_capacity_or_end_a_lease() -> None:
    capacity = simulate(SimulationOptions(end=END)).capacity.to_pandas()
    planned = capacity[capacity["status"] == "planned"]
    assert len(planned) >= 4
    assert (planned["effective_from"] > END).all()
    installed = (
        capacity[(capacity["status"] == "installed") & (capacity["direction"] == "egress")]
        .groupby("site_id")["capacity_gbps"]
        .max()
    )
    adds = planned.set_index("site_id")["capacity_gbps"] > installed.loc[planned["site_id"]]
    assert adds.sum() >= 4
    assert (~adds).sum() == 10, "leases end at the sites that are due"
    assert capacity["cost_usd_month"].isna().any()
    assert capacity["cost_usd_month"].notna().any()


@pytest.mark.parametrize("seed", [0, 7, 8])
def test_tournaments_and_releases_are_known_ahead(seed: int) -> None:
    events = simulate(SimulationOptions(end=END, seed=seed)).events.to_pandas()
    announced = events[events["kind"].isin(["tournament", "release"])]
    ahead = announced[announced["start"] >= END]
    assert len(ahead) >= 5
    assert ahead["start"].max() <= END + timedelta(days=91)
    assert set(ahead["kind"]) == {"tournament", "release"}
    assert (announced["end"] < END).sum() >= 8
    assert {"global"} < set(announced["scope"])
    assert set(announced["treatment"]) == {"regressor"}
    assert set(events["author"]) == {SIMULATOR_MARK}
    assert not ((events["kind"] == "outage") & (events["end"] > END)).any(), "nobody knows an outage before it happens"
