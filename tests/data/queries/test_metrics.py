"""What /metrics says of a lake, in the words of Prometheus' own parser."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from prometheus_client.parser import text_string_to_metric_families

from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.queries.metrics import ERRORS, exposition
from tests.data.ingest.ingest_frames import lake_of, take, telemetry, write

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(lake: Lake | None) -> Found:
    text = exposition(None if lake is None else lake.pin()).decode()
    families = text_string_to_metric_families(text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_ingest_is_told_by_table_and_outcome(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    take(
        lake,
        write(tmp_path / "1.parquet", pa.concat_tables([telemetry(), telemetry("nowhere", 2)])),
        write(tmp_path / "2.parquet", telemetry("nowhere")),
    )
    refresh_rollups(lake)
    found = scraped(lake)
    assert found["headroom_lake_readable", ()] == 1
    assert found["headroom_ingest_snapshots", (("state", "partial"), ("table", "telemetry"))] == 1
    assert found["headroom_ingest_snapshots", (("state", "refused"), ("table", "telemetry"))] == 1
    assert found["headroom_ingest_rows", (("outcome", "accepted"), ("table", "telemetry"))] == 3
    assert found["headroom_ingest_rows", (("outcome", "refused"), ("table", "telemetry"))] == 5
    assert found["headroom_quarantine_faults", ()] == 2
    assert 0 < found["headroom_ingest_seconds", ()] < 60
    assert found["headroom_telemetry_version", ()] == lake.version("telemetry")


def test_a_refresh_is_told_from_its_run(full: Lake) -> None:
    found = scraped(full)
    assert found["headroom_run_number", ()] == 1
    assert {labels[0][1] for name, labels in found if name == "headroom_refresh_series"} == {
        "fitted",
        "refused",
        "failed",
    }


def test_an_empty_lake_and_none_are_told_too(empty: Lake) -> None:
    assert scraped(empty)["headroom_lake_readable", ()] == 1
    assert scraped(None)["headroom_lake_readable", ()] == 0


def test_errors_are_counted_by_place() -> None:
    before = scraped(None).get(("headroom_errors_total", (("where", "a test"),)), 0.0)
    ERRORS.labels("a test").inc()
    assert scraped(None)["headroom_errors_total", (("where", "a test"),)] == before + 1
