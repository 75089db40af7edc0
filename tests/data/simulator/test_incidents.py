"""What goes wrong in the simulated network, held against the same network where nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.simulator import SimulationOptions, simulate
from data.simulator.incidents import REACH_MINUTES, Incident, ScheduledEvent, event_lift, incidents, joined
from data.simulator.network import (
    CEILING,
    FULL,
    KNEE,
    congested_spans,
    delivered,
    failure_ratio,
    knee_of,
    rebuffer_ratio,
    startup_seconds,
    strain,
)
from data.simulator.options import TICK, minutes

PLAN = SimulationOptions(end=datetime(2026, 5, 14, tzinfo=UTC), sites=26, days=10, seed=5, incident_rate=12.0)
QUIET = SimulationOptions(end=PLAN.end, sites=PLAN.sites, days=PLAN.days, seed=PLAN.seed, incident_rate=0.0)
loads = st.floats(0, 3)


class World:
    """A troubled network, its truth, and the same network without trouble."""

    def __init__(self) -> None:
        simulation = simulate(PLAN)
        self.rows = self._by_key(simulation.telemetry_days())
        self.quiet = self._by_key(simulate(QUIET).telemetry_days())
        self.truth = simulation.truth().to_pandas()
        self.sites = simulation.sites.to_pandas().set_index("site_id")
        self.events = simulation.events.to_pandas()

    @staticmethod
    def _by_key(days: Iterator[pa.Table]) -> pd.DataFrame:
        return pa.concat_tables(days).to_pandas().set_index(["site_id", "ts"]).sort_index()

    def during(self, rows: pd.DataFrame, label: pd.Series) -> pd.DataFrame:
        """Rows of the label's site while it lasts."""
        return rows.loc[label["site_id"]].loc[label["start"] : label["end"] - TICK]

    def labels(self, kind: str) -> list[pd.Series]:
        found = [label for _, label in self.truth[self.truth["kind"] == kind].iterrows()]
        assert len(found) >= 3, f"too few of {kind} to learn anything"
        return found

    def alone(self, label: pd.Series) -> bool:
        """Whether nothing else that moves traffic strikes the site at the time."""
        others = self.truth[
            (self.truth["site_id"] == label["site_id"]) & (self.truth["incident_id"] != label["incident_id"])
        ]
        others = others[
            (others["start"] < label["end"])
            & (others["end"] > label["start"])
            & others["kind"].isin(["outage", "surge", "failover"])
        ]
        drained = self.events[
            (self.events["scope"] == label["site_id"])
            & (self.events["start"] < label["end"])
            & (self.events["end"] > label["start"])
        ]
        return len(others) == 0 and not (drained["kind"] == "maintenance").any()


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_rows_are_reported_in_an_outage_and_egress_is_nearly_nothing(world: World) -> None:
    for label in world.labels("outage"):
        here, usual = world.during(world.rows, label), world.during(world.quiet, label)
        assert label["magnitude"] <= 0.03
        assert (here["egress_gbps"] <= 0.12 * usual["egress_gbps"].reindex(here.index)).all()
        assert (here["playback_failure_ratio"] > 0.5).all()
    assert not world.during(world.rows, world.labels("outage")[0]).empty


def test_demand_moves_to_the_neighbours_of_a_failed_site(world: World) -> None:
    gains = []
    for label in filter(world.alone, world.labels("failover")):
        here, usual = (world.during(rows, label)["viewers"].mean() for rows in (world.rows, world.quiet))
        gains.append((here / usual, label["magnitude"]))
    seen, labelled = np.array(gains).T
    assert (seen > 1.03).all()
    assert np.abs(seen / labelled - 1).max() < 0.12


def test_a_surge_lifts_demand_and_is_announced_to_nobody(world: World) -> None:
    lifts = [
        world.during(world.rows, s)["viewers"].max() / world.during(world.quiet, s)["viewers"].max()
        for s in world.labels("surge")
        if world.alone(s)
    ]
    assert np.median(lifts) > 1.25
    surges = {label["start"] for label in world.labels("surge")}
    assert surges.isdisjoint(set(world.events["start"]))


def test_only_some_outages_are_written_up_and_all_of_those_are_true() -> None:
    simulation = simulate(SimulationOptions(end=PLAN.end, sites=26, days=200, seed=5))
    outages = {
        i.incident_id: i
        for i in incidents(simulation.options, simulation.network.world, simulation.first, simulation.last)
        if i.kind == "outage"
    }
    written = [event for event in simulation.events.to_pylist() if event["kind"] == "outage"]
    assert 0.3 * len(outages) < len(written) < 0.9 * len(outages)
    assert all(
        (minutes(e["start"]), minutes(e["end"])) == (outages[e["event_id"]].start, outages[e["event_id"]].end)
        for e in written
    )


def test_a_gap_has_no_rows_and_other_times_do(world: World) -> None:
    for label in world.labels("gap"):
        assert world.during(world.rows, label).empty
        assert not world.during(world.quiet, label).empty
    assert 0.8 < len(world.rows) / len(world.quiet) < 0.999


def test_late_rows_come_together_and_unchanged(world: World) -> None:
    for label in world.labels("late"):
        rows = world.during(world.rows, label).reset_index()
        if rows.empty:  # a gap struck at the same time
            continue
        assert rows["received_at"].max() - rows["received_at"].min() < timedelta(minutes=1)
        assert (rows["received_at"] - rows["ts"]).max() > timedelta(minutes=50)
    delay = (world.rows["received_at"] - world.rows.index.get_level_values("ts")).median()
    assert timedelta(minutes=5) < delay < timedelta(minutes=6)


def test_starvation_shows_and_costs_ingest(world: World) -> None:
    ordinary = world.quiet["ingest_starved_ratio"].median()
    for label in filter(world.alone, world.labels("starvation")):
        here, usual = world.during(world.rows, label), world.during(world.quiet, label)
        assert here["ingest_starved_ratio"].mean() > 3 * ordinary
        assert here["ingest_gbps"].mean() < usual["ingest_gbps"].mean()
        assert "ingest" in world.sites.loc[label["site_id"], "roles"]


def test_congestion_is_felt_by_viewers(world: World) -> None:
    ordinary = world.quiet.groupby("site_id")["rebuffer_ratio"].median()
    startup = world.quiet.groupby("site_id")["startup_seconds"].median()
    for label in world.labels("congestion"):
        here = world.during(world.rows, label)
        if not here.empty:
            assert here["rebuffer_ratio"].max() > 1.2 * ordinary[label["site_id"]]
            assert here["startup_seconds"].max() > 1.1 * startup[label["site_id"]]


def test_without_trouble_only_congestion_is_left() -> None:
    assert set(simulate(QUIET).truth()["kind"].to_pylist()) <= {"congestion"}


@given(loads, loads, st.floats(*KNEE))
def test_quality_never_improves_as_load_grows(one: float, other: float, knee: float) -> None:
    low, high = (strain(np.array([load]), knee) for load in sorted((one, other)))
    assert low <= high
    for felt in (rebuffer_ratio, startup_seconds, failure_ratio):
        assert felt(low, 0.5) <= felt(high, 0.5)


@given(st.floats(*KNEE))
def test_the_knee_is_where_quality_turns(knee: float) -> None:
    below, at, beyond = strain(np.array([knee - 0.15, knee, knee + 0.1]), knee)
    assert below < 0.01
    assert 0.1 < at < 0.25
    assert beyond == pytest.approx(1.0, abs=0.01)


def test_a_knee_belongs_to_its_site() -> None:
    knees = [knee_of(site, 7) for site in ("fra-01", "iad-01", "gru-01")]
    assert knees == [knee_of(site, 7) for site in ("fra-01", "iad-01", "gru-01")]
    assert len(set(knees)) == 3
    assert all(KNEE[0] <= knee <= KNEE[1] for knee in knees)


@given(loads, loads)
def test_delivery_grows_with_load_and_stays_below_capacity(one: float, other: float) -> None:
    low, high = (float(delivered(np.array([load]))[0]) for load in sorted((one, other)))
    assert low <= high <= CEILING
    assert low == min(one, other) or low > FULL - 1e-12


@given(st.lists(st.booleans(), min_size=288, max_size=288))
def test_congested_spans_cover_what_lies_above_and_little_else(flags: list[bool]) -> None:
    above = np.array(flags)
    spans = congested_spans(above)
    assert all(above[begin] and above[end - 1] for begin, end in spans)
    assert all(after[0] - before[1] >= 6 for before, after in pairwise(spans))
    if above[:3].all():
        assert spans[0][0] == 0


def test_a_label_cut_by_midnight_is_one_label() -> None:
    pieces = [
        Incident("congestion-a", "congestion", 1, 100, 200, 3.0),
        Incident("congestion-b", "congestion", 1, 200, 260, 5.0),
        Incident("congestion-c", "congestion", 1, 265, 300, 2.0),
        Incident("congestion-d", "congestion", 2, 200, 260, 9.0),
    ]
    whole = {label.incident_id: (label.start, label.end, label.size) for label in joined(pieces)}
    assert whole == {"congestion-a": (100, 260, 5.0), "congestion-c": (265, 300, 2.0), "congestion-d": (200, 260, 9.0)}


@given(st.sampled_from(["tournament", "release"]), st.integers(60, 600), st.floats(0.1, 1.0))
def test_an_event_lifts_demand_in_its_hours_only(kind: str, length: int, size: float) -> None:
    happening = ScheduledEvent("x", kind, "x", 10_000, 10_000 + length, "global", size)  # type: ignore[arg-type]
    ticks = np.arange(10_000 - 300, 10_000 + length + 300, 5.0)
    lifted = event_lift(happening, ticks)
    inside = (ticks >= 10_030) & (ticks < 9_970 + length)
    assert (lifted >= 0).all()
    assert lifted.max() <= size
    assert (lifted[(ticks < 10_000 - REACH_MINUTES) | (ticks > 10_000 + length + REACH_MINUTES)] < 1e-3).all()
    assert not inside.any() or lifted[inside].max() > 0.3 * size
