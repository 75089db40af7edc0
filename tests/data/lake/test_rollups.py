"""The rollups of a lake: the rules one by one, and that touching dates leaves the same tables as starting over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake, conform
from data.schema import TABLES
from tests.lakes import replace_dates

START = datetime(2026, 1, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIVE = timedelta(minutes=5)
# What a site carries at a stamp; None leaves the row out.
Values = Callable[[datetime], dict[str, float] | None]


def network(folder: Path, regions: dict[str, str]) -> Lake:
    lake = Lake(folder)
    names = list(regions)
    lake.replace(
        "sites",
        rows("sites", [{"site_id": n, "name": n, "region_id": regions[n], "lat": 0.0, "lon": 0.0} for n in names]),
    )
    return lake


def rows(table: str, found: Iterable[dict[str, Any]]) -> pa.Table:
    listed = list(found)
    known = [f for f in TABLES[table].schema if any(f.name in row for row in listed)]
    return conform(TABLES[table], pa.Table.from_pylist(listed, pa.schema([f.with_nullable(True) for f in known])))


def measure(
    lake: Lake, site: str, values: Values, *, start: datetime = START, hours: float = 24, grain: timedelta = FIVE
) -> None:
    stamps = [start + i * grain for i in range(int(timedelta(hours=hours) / grain))]
    lake.append(
        "telemetry",
        rows("telemetry", ({"ts": ts, "site_id": site, **found} for ts in stamps if (found := values(ts)) is not None)),
    )


def constant(egress: float, **others: float) -> Values:
    return lambda _: {"egress_gbps": egress, "ingest_gbps": egress / 10, **others}


def only_egress(egress: float) -> Values:
    return lambda _: {"egress_gbps": egress}


def silent(site: str, when: int, *, of: str) -> Values:
    """Ten Gbps, but nothing from `of` in one hour of the day."""
    return lambda ts: None if site == of and ts.hour == when else {"egress_gbps": 10.0, "ingest_gbps": 1.0}


def hour(lake: Lake, level: str, key: str, at: datetime = START, table: str = "telemetry_1h") -> dict[str, Any] | None:
    frame = lake.read(table).to_pandas()
    found = frame[(frame["level"] == level) & (frame["key"] == key) & (frame["ts"] == at)]
    return None if found.empty else found.iloc[0].to_dict()


def known(row: dict[str, Any] | None) -> dict[str, Any]:
    assert row is not None
    return row


# The rules
# -----------------------------------------------------------------------------------------------------------------


def test_an_hour_has_mean_p95_max_samples_and_completeness(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r"})
    measure(lake, "a", lambda ts: {"egress_gbps": float(ts.minute), "ingest_gbps": 1.0})
    assert refresh_rollups(lake) == 1
    row = known(hour(lake, "site", "a"))
    values = np.arange(0, 60, 5.0)
    assert row["egress_gbps_mean"] == pytest.approx(values.mean())
    assert row["egress_gbps_p95"] == pytest.approx(np.quantile(values, 0.95))
    assert (row["egress_gbps_max"], row["samples"], row["completeness"]) == (55.0, 12, 1.0)
    day = known(hour(lake, "site", "a", table="telemetry_1d"))
    assert (day["samples"], day["completeness"], day["egress_gbps_mean"]) == (288, 1.0, pytest.approx(27.5))


def test_p95_of_a_region_is_that_of_the_sum_and_not_the_sum_of_p95s(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r"})
    measure(lake, "a", lambda ts: {"egress_gbps": float(ts.minute), "ingest_gbps": 0.0})
    measure(lake, "b", lambda ts: {"egress_gbps": 60.0 - ts.minute, "ingest_gbps": 0.0})
    refresh_rollups(lake)
    for level, key in (("region", "r"), ("global", "all")):
        assert known(hour(lake, level, key))["egress_gbps_p95"] == pytest.approx(60.0)
    apart = known(hour(lake, "site", "a"))["egress_gbps_p95"] + known(hour(lake, "site", "b"))["egress_gbps_p95"]
    assert apart > 100


def test_missing_samples_lower_completeness_and_not_the_mean(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r"})
    measure(lake, "a", lambda ts: None if ts.hour == 3 and ts.minute < 15 else {"egress_gbps": 8.0, "ingest_gbps": 1.0})
    refresh_rollups(lake)
    row = known(hour(lake, "site", "a", START + 3 * HOUR))
    assert (row["samples"], row["completeness"], row["egress_gbps_mean"]) == (9, 0.75, 8.0)


def test_a_silent_hour_of_one_site_neither_drops_the_site_nor_dents_its_region(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r", "c": "other"})
    for site in "abc":
        measure(lake, site, silent(site, 5, of="b"))
    refresh_rollups(lake)
    hours = lake.read("telemetry_1h").to_pandas().set_index(["level", "key"])
    assert len(hours.loc[("site", "b")]) == 23
    region = hours.loc[("region", "r")].set_index("ts")
    assert pd.isna(region["egress_gbps_mean"].pop(START + 5 * HOUR))
    assert region.loc[START + 5 * HOUR, "completeness"] == 0
    assert (region["egress_gbps_mean"].drop(START + 5 * HOUR) == 20.0).all()
    assert hours.loc[("region", "other")]["egress_gbps_mean"].eq(10.0).all()


def test_one_silent_site_in_ten_leaves_a_sum_and_says_so(tmp_path: Path) -> None:
    sites = [f"s{i}" for i in range(10)]
    lake = network(tmp_path / "lake", dict.fromkeys(sites, "r"))
    for site in sites:
        measure(lake, site, silent(site, 1, of="s0"), hours=2)
    refresh_rollups(lake)
    row = known(hour(lake, "region", "r", START + HOUR))
    assert (row["egress_gbps_mean"], row["completeness"], row["samples"]) == (90.0, 0.9, 108)


def test_a_site_that_never_has_a_metric_is_not_waited_for(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "edge": "r"})
    measure(lake, "a", constant(10.0))
    measure(lake, "edge", lambda _: {"egress_gbps": 5.0})
    refresh_rollups(lake)
    row = known(hour(lake, "region", "r"))
    assert (row["egress_gbps_mean"], row["ingest_gbps_mean"]) == (15.0, 1.0)


def test_sites_count_from_the_date_they_are_first_seen_until_they_close(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "late": "r", "gone": "r"})
    measure(lake, "a", constant(10.0), hours=72)
    measure(lake, "late", constant(10.0), start=START + timedelta(days=1), hours=48)
    measure(lake, "gone", constant(10.0), hours=48)
    closing = {
        "site_id": "gone",
        "direction": "egress",
        "effective_from": START + timedelta(days=2),
        "capacity_gbps": 0.0,
    }
    lake.replace("capacity", rows("capacity", [closing, {**closing, "effective_from": START, "capacity_gbps": 9.0}]))
    refresh_rollups(lake)
    sums = [
        known(hour(lake, "region", "r", START + timedelta(days=d), "telemetry_1d"))["egress_gbps_mean"]
        for d in range(3)
    ]
    assert sums == [20.0, 30.0, 20.0]


def test_a_planned_closure_closes_nothing(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r"})
    measure(lake, "a", constant(10.0))
    measure(lake, "b", lambda ts: None if ts.hour == 4 else {"egress_gbps": 1.0, "ingest_gbps": 1.0})
    lake.replace(
        "capacity",
        rows(
            "capacity",
            [
                {
                    "site_id": "b",
                    "direction": "egress",
                    "effective_from": START,
                    "capacity_gbps": 0.0,
                    "status": "planned",
                }
            ],
        ),
    )
    refresh_rollups(lake)
    assert pd.isna(known(hour(lake, "region", "r", START + 4 * HOUR))["egress_gbps_mean"])


def test_ratios_are_weighted_by_viewers_then_egress_then_evenly(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "v", "b": "v", "c": "e", "d": "e", "f": "n", "g": "n"})
    measure(lake, "a", constant(1.0, viewers=300.0, rebuffer_ratio=0.01))
    measure(lake, "b", constant(9.0, viewers=100.0, rebuffer_ratio=0.05))
    measure(lake, "c", constant(1.0, rebuffer_ratio=0.01))
    measure(lake, "d", constant(9.0, rebuffer_ratio=0.05))
    measure(lake, "f", lambda _: {"ingest_gbps": 1.0, "rebuffer_ratio": 0.01})
    measure(lake, "g", lambda _: {"ingest_gbps": 1.0, "rebuffer_ratio": 0.05})
    refresh_rollups(lake)
    found = [known(hour(lake, "region", key))["rebuffer_ratio_mean"] for key in "ven"]
    assert found == [pytest.approx(0.02), pytest.approx(0.046), pytest.approx(0.03)]


def test_a_site_without_viewers_at_night_does_not_silence_the_region(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r"})
    measure(lake, "a", constant(5.0, viewers=100.0, rebuffer_ratio=0.02))
    measure(
        lake,
        "b",
        lambda ts: (
            {"egress_gbps": 0.0, "viewers": 0.0}
            if ts.hour < 3
            else {"egress_gbps": 5.0, "viewers": 100.0, "rebuffer_ratio": 0.04}
        ),
    )
    refresh_rollups(lake)
    assert known(hour(lake, "region", "r"))["rebuffer_ratio_mean"] == pytest.approx(0.02)
    assert known(hour(lake, "region", "r", START + 3 * HOUR))["rebuffer_ratio_mean"] == pytest.approx(0.03)


@pytest.mark.parametrize("minutes", [1, 5, 15, 60])
def test_every_grain_is_complete_when_nothing_is_missing(tmp_path: Path, minutes: int) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r"})
    for site in "ab":
        measure(lake, site, constant(4.0), grain=timedelta(minutes=minutes))
    refresh_rollups(lake)
    frame = lake.read("telemetry_1h").to_pandas()
    assert len(frame) == 24 * 4
    assert (frame["completeness"] == 1.0).all()
    assert frame.loc[frame["level"] == "region", "egress_gbps_mean"].eq(8.0).all()
    assert frame.loc[frame["level"] == "site", "samples"].eq(60 // minutes).all()


def test_sites_of_different_grain_add_up(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r", "c": "r"})
    measure(lake, "a", constant(10.0))
    measure(lake, "b", constant(20.0), grain=timedelta(minutes=15))
    measure(lake, "c", constant(30.0))
    refresh_rollups(lake)
    row = known(hour(lake, "region", "r", START + 2 * HOUR))
    assert (row["egress_gbps_mean"], row["completeness"]) == (60.0, 1.0)


def test_stamps_that_jitter_add_up(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r"})
    measure(lake, "a", constant(10.0), start=START + timedelta(seconds=2))
    measure(lake, "b", constant(20.0), start=START + timedelta(seconds=9))
    refresh_rollups(lake)
    assert known(hour(lake, "region", "r"))["egress_gbps_mean"] == 30.0


def test_flows_become_hourly_means(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r"})
    measure(lake, "a", constant(1.0), hours=2)
    flow = {"source_site_id": "a", "target_site_id": "b"}
    lake.append(
        "flows",
        rows("flows", [{**flow, "ts": START + i * 15 * timedelta(minutes=1), "gbps": float(i)} for i in range(8)]),
    )
    refresh_rollups(lake)
    assert lake.read("flows_1h").to_pandas()["gbps"].tolist() == [1.5, 5.5]


# Touching dates
# ------------------------------------------------------------------------------------------------------------


def test_only_the_dates_touched_are_recomputed_in_one_commit_a_table(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r"})
    measure(lake, "a", constant(10.0), hours=96)
    assert refresh_rollups(lake) == 4
    before = lake.pin()
    replace_dates(
        lake,
        "telemetry",
        rows("telemetry", [{"ts": START + timedelta(days=1, hours=2), "site_id": "a", "egress_gbps": 99.0}]),
        [date(2026, 1, 31)],
    )
    told: list[tuple[int, int]] = []
    assert refresh_rollups(lake, progress=lambda done, total: told.append((done, total))) == 1
    assert told == [(1, 1)]
    for table in ("telemetry_1h", "telemetry_1d"):
        assert lake.version(table) == (before.version(table) or 0) + 1
    days = lake.read("telemetry_1d").to_pandas().query("level == 'site'").sort_values("ts")["egress_gbps_mean"]
    assert days.tolist() == [10.0, 99.0, 10.0, 10.0]


def test_a_site_that_began_earlier_than_known_is_expected_in_between(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "b": "r"})
    measure(lake, "a", constant(10.0), hours=96)
    measure(lake, "b", constant(10.0), start=START + timedelta(days=3), hours=24)
    refresh_rollups(lake)
    assert known(hour(lake, "region", "r", START + timedelta(days=2)))["egress_gbps_mean"] == 10.0
    measure(lake, "b", constant(10.0), start=START + timedelta(days=1), hours=24)
    assert refresh_rollups(lake) == 2
    assert known(hour(lake, "region", "r", START + timedelta(days=1)))["egress_gbps_mean"] == 20.0
    assert pd.isna(known(hour(lake, "region", "r", START + timedelta(days=2)))["egress_gbps_mean"])


def hours_of(lake: Lake, site: str, day: int) -> int:
    """Hourly rows of a site on a date."""
    frame = lake.read("telemetry_1h").to_pandas()
    return int(((frame["key"] == site) & (frame["ts"].dt.date == (START + timedelta(days=day)).date())).sum())


def test_one_sample_is_a_daily_mean_only_where_the_days_beside_have_one_too(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r", "daily": "q"})
    measure(lake, "a", constant(10.0), hours=24 + 1 / 12)
    refresh_rollups(lake)
    assert [hours_of(lake, "a", day) for day in (0, 1)] == [24, 1]
    measure(lake, "daily", constant(10.0), hours=24, grain=24 * HOUR)
    refresh_rollups(lake)
    assert hours_of(lake, "daily", 0) == 1


def test_a_day_that_is_known_to_be_a_mean_only_by_the_next_is_recomputed_with_it(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r"})
    measure(lake, "a", constant(10.0), hours=24, grain=24 * HOUR)
    refresh_rollups(lake)
    assert hours_of(lake, "a", 0) == 1
    measure(lake, "a", constant(10.0), start=START + timedelta(days=1), hours=24, grain=24 * HOUR)
    assert refresh_rollups(lake) == 2
    assert [hours_of(lake, "a", day) for day in (0, 1)] == [24, 24]


def test_the_first_samples_of_a_coarse_day_stand_as_long_as_those_of_the_day_before(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r"})
    measure(lake, "a", constant(10.0), hours=27, grain=3 * HOUR)
    refresh_rollups(lake)
    assert [hours_of(lake, "a", day) for day in (0, 1)] == [24, 3]


def test_nothing_to_do_writes_nothing(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r"})
    assert refresh_rollups(lake) == 0
    assert lake.version("telemetry_1h") is None


def test_rows_without_any_value_count_as_missing(tmp_path: Path) -> None:
    lake = network(tmp_path / "lake", {"a": "r"})
    measure(lake, "a", lambda ts: {} if ts.hour == 2 else {"egress_gbps": 1.0, "ingest_gbps": 1.0})
    refresh_rollups(lake)
    assert hour(lake, "site", "a", START + 2 * HOUR) is None


# Half an hour, or so coarse that some days do not show it.
grains = st.sampled_from([0.5, 0.5, 4.0, 24.0])
deliveries = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 3),
        st.sampled_from([1, 4, 24]),
        st.sampled_from([2.0, 5.0]),
        st.sampled_from(["both", "egress"]),
        grains,
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivered=deliveries)
def test_dates_touched_one_delivery_after_another_end_as_a_full_rebuild(
    tmp_path_factory: pytest.TempPathFactory, delivered: list[tuple[Any, ...]]
) -> None:
    lake = network(tmp_path_factory.mktemp("step") / "lake", {"a": "r", "b": "r", "c": "q"})
    seen: set[tuple[str, int]] = set()
    for site, day, hours, egress, what, grain in delivered:
        if (site, day) in seen:
            continue
        seen.add((site, day))
        values = constant(egress) if what == "both" else only_egress(egress)
        measure(
            lake, site, values, start=START + timedelta(days=day), hours=max(hours, grain), grain=timedelta(hours=grain)
        )
        refresh_rollups(lake)
    stepwise = [_sorted(lake, table) for table in ("telemetry_1h", "telemetry_1d")]
    refresh_rollups(lake)
    for found, table in zip(stepwise, ("telemetry_1h", "telemetry_1d"), strict=True):
        pd.testing.assert_frame_equal(found, _sorted(lake, table))


def _sorted(lake: Lake, table: str) -> pd.DataFrame:
    return lake.read(table).to_pandas().sort_values(["level", "key", "ts"], ignore_index=True)
