"""The grain of a day, which most days tell without a look at one stamp after another, against a count of steps."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import duckdb
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from data.lake.aggregation import NAMES, measure_grain
from tests.data.lake.naive_rollups import grains_of

START = datetime(2026, 3, 1, 7, 15, tzinfo=UTC)
SITES = ("a", "b", "c")


@st.composite
def days(draw: st.DrawFn) -> dict[str, list[datetime]]:
    """Stamps by site on the usual grid, with holes or hardly any of them, or at another grain, or next to the grid."""
    found = {}
    for site in SITES[: draw(st.integers(1, 3))]:
        step, off = draw(st.sampled_from([(300, 0), (300, 0), (300, 0), (60, 0), (600, 0), (300, 7), (300, 90)]))
        slots = draw(st.sampled_from([range(30), range(0, 60, 2), range(0, 60, 3)]))
        lost = draw(st.sets(st.integers(0, 60), max_size=draw(st.sampled_from([0, 3, 25, 60]))))
        between = draw(st.sets(st.integers(0, 60), max_size=12))
        stamps = [START + timedelta(seconds=step * slot + off) for slot in sorted({*slots, *between} - lost)]
        if stamps:
            found[site] = stamps
    return found


@settings(max_examples=30, deadline=None)
@given(days())
def test_the_grain_of_a_day_is_its_most_common_step(stamps: dict[str, list[datetime]]) -> None:
    rows = [{"site_id": site, "ts": ts, "date": ts.date()} for site, held in stamps.items() for ts in held]
    samples = pd.DataFrame(rows, columns=["site_id", "ts", "date"]).assign(**dict.fromkeys(NAMES, 1.0))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("held", samples.astype({"site_id": object}))
        columns = "site_id::VARCHAR AS site_id, ts::TIMESTAMPTZ AS ts, date::DATE AS date"
        connection.execute(f"CREATE TEMP TABLE telemetry AS SELECT {columns}, * EXCLUDE (site_id, ts, date) FROM held")
        measure_grain(connection, "true")
        found = dict(connection.execute("SELECT site_id, seconds FROM _grain").fetchall())
        pace = connection.execute("SELECT seconds FROM _grid_grain").fetchall()
    wanted = grains_of(rows)
    assert found == wanted
    counts = Counter(wanted.values())
    assert pace == ([(max(counts, key=lambda step: (counts[step], -step)),)] if counts else [])
