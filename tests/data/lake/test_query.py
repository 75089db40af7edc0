"""SQL over pinned versions: the contract's columns whatever the lake lacks, the scope in every table, many threads at
once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data.lake.query import EVERYTHING, INTERRUPTED, Scope, connection, day_span, query
from data.lake.tables import Lake, Pin
from data.schema import TABLES
from tests.lakes import SITES

TWO = Scope(frozenset({"fra-01", "iad-01"}))


def test_eight_threads_are_all_answered(full: Lake) -> None:
    pin = full.pin()
    sql = "SELECT count(*) AS n, max(egress_gbps) AS peak FROM telemetry WHERE site_id = $site"
    sites = [site for site, *_ in SITES] * 10
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda site: query(pin, sql, ["telemetry"], scope=EVERYTHING, parameters={"site": site})["n"][0], sites
            )
        )
    assert (
        answers
        == [query(pin, sql, ["telemetry"], scope=EVERYTHING, parameters={"site": site})["n"][0] for site in sites[:12]]
        * 10
    )


def test_what_a_signal_does_to_a_question_is_what_it_does_to_anything_else(empty: Lake) -> None:
    with pytest.raises(KeyboardInterrupt), connection(empty.pin(), ["sites"], scope=EVERYTHING):
        raise RuntimeError(INTERRUPTED)
    with pytest.raises(RuntimeError, match="anything else"), connection(empty.pin(), ["sites"], scope=EVERYTHING):
        raise RuntimeError("anything else")


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_that_the_lake_lacks_is_empty_in_the_contracts_columns(empty: Lake, name: str) -> None:
    found = query(empty.pin(), f"SELECT * FROM {name}", [name], scope=EVERYTHING)
    assert found.empty
    assert [c for c in found.columns if c not in ("date", "month")] == [c.name for c in TABLES[name].columns]


def test_a_column_that_an_older_lake_lacks_is_null(tmp_path: Path) -> None:
    ts = pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    rows = pa.table({"ts": ts, "site_id": ["a"], "egress_gbps": [1.0], "date": ts.cast(pa.date32())})
    write_deltalake(str(tmp_path / "lake" / "telemetry"), rows, partition_by=["date"])
    found = query(Lake(tmp_path / "lake").pin(), "SELECT * FROM telemetry", ["telemetry"], scope=EVERYTHING)
    assert found["egress_gbps"].tolist() == [1.0]
    assert found["viewers"].isna().all()
    assert set(TABLES["telemetry"].schema.names) < set(found.columns)


def test_a_column_that_came_later_is_null_before(tmp_path: Path) -> None:
    place = str(tmp_path / "lake" / "telemetry")
    for day, column in ((1, "egress_gbps"), (2, "viewers")):
        ts = pa.array([datetime(2026, 1, day, tzinfo=UTC)], pa.timestamp("us", "UTC"))
        rows = pa.table({"ts": ts, "site_id": ["a"], column: [1.0], "date": ts.cast(pa.date32())})
        write_deltalake(place, rows, partition_by=["date"], mode="append", schema_mode="merge")
    pin, sql = Lake(tmp_path / "lake").pin(), "SELECT egress_gbps, viewers FROM telemetry ORDER BY ts"
    assert query(pin, sql, ["telemetry"], scope=EVERYTHING).isna().to_numpy().tolist() == [[False, True], [True, False]]
    for day, gaps in ((1, [False, True]), (2, [True, False])):
        assert query(
            pin, sql, ["telemetry"], scope=EVERYTHING, span=day_span(date(2026, 1, day))
        ).isna().to_numpy().tolist() == [gaps]


def test_a_question_may_bring_common_table_expressions_of_its_own(full: Lake) -> None:
    sql = "\n  with busy AS (SELECT site_id FROM telemetry GROUP BY ALL) SELECT count(*) AS n FROM busy JOIN sites USING (site_id)"
    assert query(full.pin(), sql, ["telemetry", "sites"], scope=EVERYTHING)["n"].tolist() == [len(SITES)]


def test_a_span_leaves_out_the_files_of_other_days(full: Lake) -> None:
    pin = full.pin()
    day = datetime(2026, 3, 10, tzinfo=UTC)
    within = query(
        pin,
        "SELECT min(ts) AS first, max(ts) AS last FROM telemetry",
        ["telemetry"],
        scope=EVERYTHING,
        span=day_span(day.date()),
    )
    assert within.iloc[0].tolist() == [day, day + timedelta(hours=23, minutes=55)]
    months = query(
        pin,
        "SELECT DISTINCT month FROM telemetry_1h",
        ["telemetry_1h"],
        scope=EVERYTHING,
        span=(day - timedelta(days=60), day - timedelta(days=30)),
    )
    assert months.empty


def test_stamps_come_back_in_utc(full: Lake) -> None:
    found = query(
        full.pin(),
        "SELECT ts, ts::DATE AS day, date_trunc('day', ts) AS midnight FROM telemetry ORDER BY ts LIMIT 1",
        ["telemetry"],
        scope=EVERYTHING,
    )
    assert str(found["ts"].dtype) == str(found["midnight"].dtype) == "datetime64[us, UTC]"
    assert found["midnight"][0] == pd.Timestamp("2026-03-01", tz="UTC")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("sites", "site_id"),
        ("capacity", "site_id"),
        ("telemetry", "site_id"),
        ("telemetry_1h", "key"),
        ("telemetry_1d", "key"),
        ("flows_1h", "source_site_id"),
        ("flows_1h", "target_site_id"),
        ("forecasts", "key"),
        ("bands", "key"),
        ("series_status", "key"),
        ("peaks", "key"),
    ],
)
def test_a_scope_hides_all_but_its_sites(full: Lake, table: str, column: str) -> None:
    seen = set(query(full.pin(), f"SELECT DISTINCT {column} AS it FROM {table}", [table], scope=TWO)["it"])
    assert seen
    assert seen <= set(TWO.sites or ())


def test_a_scope_sees_the_events_of_its_sites_and_their_regions(full: Lake) -> None:
    def seen(*sites: str) -> set[str]:
        return set(query(full.pin(), "SELECT title FROM events", ["events"], scope=Scope(frozenset(sites)))["title"])

    assert seen("par-01") == {"Spring Cup", "Power loss", "Line cards", "Big Game II"}
    assert seen("fra-01") == {"Spring Cup", "Line cards", "Big Game II"}
    assert seen("iad-01") == {"Spring Cup", "Big Game II"}


def test_an_empty_scope_sees_nothing(full: Lake) -> None:
    for table in ("sites", "telemetry", "telemetry_1h", "forecasts", "flows_1h"):
        assert query(full.pin(), f"SELECT * FROM {table} LIMIT 1", [table], scope=Scope(frozenset())).empty


def test_hostile_text_stays_text(full: Lake, tmp_path: Path) -> None:
    hostile = "x' OR '1'='1"
    assert query(
        full.pin(), "SELECT * FROM sites WHERE site_id = $it", ["sites"], scope=EVERYTHING, parameters={"it": hostile}
    ).empty
    assert query(full.pin(), "SELECT * FROM sites", ["sites"], scope=Scope(frozenset({hostile}))).empty
    lake = Lake(tmp_path / "it's a 'lake'")
    lake.replace("sites", pa.table({"site_id": ["a"], "name": ["A"], "region_id": ["r"], "lat": [1.0], "lon": [1.0]}))
    assert len(query(lake.pin(), "SELECT * FROM sites", ["sites"], scope=EVERYTHING)) == 1


def test_a_question_leaves_nothing_behind(full: Lake) -> None:
    with connection(full.pin(), ["sites"], scope=EVERYTHING) as cursor:
        cursor.execute("CREATE TEMP TABLE kept AS SELECT 1")
    with connection(full.pin(), ["sites"], scope=EVERYTHING) as cursor:
        assert cursor.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'kept'").fetchall() == [(0,)]


def test_a_pin_narrows_to_tables() -> None:
    pin = Pin("lake", (("sites", 3), ("telemetry", 7)), "born")
    narrow = pin.only(["telemetry", "flows"])
    assert (narrow.url, narrow.versions, narrow.tables) == ("lake", (("telemetry", 7),), ("flows", "telemetry"))
