"""The rollups' SQL against a second implementation, on small networks of every kind."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from data.lake.aggregation import SampleFilter, aggregate_sites, first_seen
from data.lake.rollups import expand_coarse_samples, rolled_up
from data.schema import METRICS, TABLES
from tests.data.lake.naive_rollups import NAMES, Network, Samples, rollups

START = datetime(2026, 2, 27, tzinfo=UTC)
SITES = ("a", "b", "c", "d")
OPTIONAL = [m.name for m in METRICS if not m.required]


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """One to four sites in two regions over three days: grains that may differ or jitter, holes, metrics that a site
    never has, closed sites.
    """
    sites = SITES[: draw(st.integers(1, 4))]
    usual = draw(st.sampled_from([3600, 7200, 1800, 6 * 3600, 12 * 3600, 5400]))
    samples = Samples()
    noise = np.random.default_rng(draw(st.integers(0, 2**32)))
    for site in sites:
        grain = draw(st.sampled_from([usual, usual, usual, usual // 3, usual * 2]))
        jitter = draw(st.sampled_from([0, 0, 0, 2]))
        first = draw(st.integers(0, 40)) * 3600
        holes = draw(st.sets(st.integers(0, 20), max_size=5))
        never = draw(st.sets(st.sampled_from(NAMES), max_size=8))
        lost = draw(st.sampled_from([0.0, 0.0, 0.1]))
        for i, at in enumerate(range(first, 2 * 86_400 + 40_000, grain)):
            if i not in holes:
                samples.append(
                    _sample(
                        site, START + timedelta(seconds=at + int(noise.integers(0, jitter + 1))), never, lost, noise
                    )
                )
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(sites), st.sampled_from(["egress", "ingest"]), moments, st.sampled_from([0.0, 5.0])
            ),
            max_size=4,
        )
    )
    unique = {(site, direction, at): gbps for site, direction, at, gbps in steps}
    return Network(
        samples,
        {s: "r1" if s in "ab" else "r2" for s in sites if s != "d"},
        [(*key, gbps) for key, gbps in unique.items()],
    )


moments = st.integers(0, 8).map(lambda n: START + timedelta(hours=9 * n))


def _sample(site: str, ts: datetime, never: set[str], lost: float, noise: np.random.Generator) -> dict[str, Any]:
    values = {
        name: None if name in never or noise.random() < lost else float(noise.integers(0, 50)) / 7 for name in NAMES
    }
    return {"site_id": site, "ts": ts, **values}


def _by_sql(network: Network, seconds: int) -> dict[tuple[str, str, datetime], dict[str, Any]]:
    """The same rows from the product's SQL over plain tables."""
    schema = pa.schema([f for f in TABLES["telemetry"].schema if f.name != "received_at"])
    telemetry = pa.Table.from_pylist(network.samples, pa.schema([f.with_nullable(True) for f in schema]))
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("raw", telemetry)
        con.execute("CREATE TABLE telemetry AS SELECT *, ts::DATE AS date FROM raw")
        con.execute("CREATE TABLE sites (site_id VARCHAR, region_id VARCHAR)")
        con.execute(
            "CREATE TABLE capacity (site_id VARCHAR, direction VARCHAR, effective_from TIMESTAMPTZ, capacity_gbps DOUBLE, status VARCHAR)"
        )
        for pair in network.regions.items():
            con.execute("INSERT INTO sites VALUES (?, ?)", pair)
        for step in network.steps:
            con.execute("INSERT INTO capacity VALUES (?, ?, ?, ?, 'installed')", step)
        means = ", ".join(f"{name} AS {name}_mean" for name in NAMES)
        measured = f"coalesce({', '.join(NAMES)}) IS NOT NULL"
        con.execute(
            f"CREATE TABLE _first AS {first_seen(f'''SELECT 'site' AS level, site_id AS key, ts, {means} FROM telemetry WHERE {measured}''')}"
        )
        aggregate_sites(con, SampleFilter())
        expand_coarse_samples(con, "true")
        rows = con.sql(rolled_up(seconds, "true")).to_arrow_table().to_pylist()
    found = {(row.pop("level"), row.pop("key"), row.pop("ts")): row for row in rows}
    assert len(found) == len(rows), "a row came twice"
    return found


@settings(max_examples=15, deadline=None)
@given(network=networks(), seconds=st.sampled_from([3600, 86_400]))
def test_rollups_are_what_the_rules_say(network: Network, seconds: int) -> None:
    wanted, found = rollups(network, seconds), _by_sql(network, seconds)
    assert found.keys() == wanted.keys()
    wrong = [
        (key, name, found[key][name], value)
        for key, row in wanted.items()
        for name, value in row.items()
        if not _same(found[key][name], value)
    ]
    assert wrong[:5] == []


def _same(found: float | None, wanted: float | None) -> bool:
    return (
        found is wanted if found is None or wanted is None else math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-12)
    )
