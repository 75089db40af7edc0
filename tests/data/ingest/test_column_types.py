"""Whatever type a producer gives a column: the snapshot is read, or refused with a reason, and nothing else happens."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.check import CheckedSnapshot, KnownPlaces, check_snapshot
from data.ingest.column_mapping import ReadOptions, read_options
from data.ingest.file_reader import RefusedError
from data.ingest.sources import Source
from data.schema import TABLES
from tests.data.ingest.ingest_frames import NOW, sites, telemetry, with_column

KNOWN = KnownPlaces.among(sites("a"))
MOMENT = datetime(2026, 3, 2, 5)  # noqa: DTZ001 - local on purpose
TYPES: list[tuple[pa.DataType, Any]] = [
    *((kind, 7) for kind in (pa.int8(), pa.uint8(), pa.int64(), pa.uint64())),
    *((kind, 0.5) for kind in (pa.float16(), pa.float32(), pa.float64())),
    *((pa.timestamp(unit), MOMENT) for unit in ("s", "ms", "us", "ns")),
    *(
        (pa.timestamp(unit, zone), MOMENT.replace(tzinfo=UTC))
        for unit in ("s", "ms", "us", "ns")
        for zone in ("UTC", "Asia/Tokyo")
    ),
    *((kind, "a") for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()))),
    (pa.timestamp("s"), datetime(9999, 12, 31)),  # noqa: DTZ001 - local on purpose
    (pa.uint64(), 2**64 - 1),
    (pa.decimal128(9, 3), Decimal("1.5")),
    (pa.decimal256(60, 3), Decimal("1.5")),
    (pa.bool_(), True),
    (pa.binary(), b"\xff"),
    (pa.date32(), date(2026, 3, 2)),
    (pa.date64(), date(2026, 3, 2)),
    (pa.time64("us"), time(5)),
    (pa.duration("s"), timedelta(seconds=5)),
    (pa.list_(pa.float64()), [1.0]),
    (pa.struct([("x", pa.int64())]), {"x": 1}),
    (pa.map_(pa.string(), pa.int64()), [("k", 1)]),
    (pa.null(), None),
]
READINGS = [
    read_options(table="telemetry"),
    read_options(
        table="telemetry",
        timezone="America/New_York",
        renames=["egress_gbps*0.5=egress_gbps", "ts=ts"],
        missing_rows="zero",
    ),
]


def attempt(data: bytes, name: str, how: ReadOptions) -> CheckedSnapshot | RefusedError:
    """What comes of a snapshot; any other exception is a fault of ours."""
    try:
        return check_snapshot(data, Source(f"/in/{name}", (), 0, NOW), TABLES["telemetry"], how, KNOWN, NOW)
    except RefusedError as refusal:
        return refusal


def checked(table: pa.Table, how: ReadOptions) -> int:
    """Rows that are accounted for, or -1 where the file is refused."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    found = attempt(sink.getvalue(), "t.parquet", how)
    if isinstance(found, RefusedError):
        assert all(fault.column and fault.bound and fault.cause and fault.remedy for fault in found.faults)
        return -1
    assert [(field.name, field.type) for field in found.good.schema] == [
        (column.name, column.type) for column in TABLES["telemetry"].columns
    ]
    return found.good.num_rows - found.zeros + found.quarantined + found.repeated


@pytest.mark.parametrize("how", READINGS, ids=["plain", "converted"])
@pytest.mark.parametrize("column", ["ts", "received_at", "site_id", "egress_gbps", "viewers"])
@pytest.mark.parametrize(("kind", "value"), TYPES, ids=lambda part: str(part)[:40])
def test_any_type_is_read_or_refused(column: str, kind: pa.DataType, value: Any, how: ReadOptions) -> None:
    assert checked(with_column(telemetry(count=3), column, pa.array([None, value, value], kind)), how) in (-1, 3)


@pytest.mark.parametrize("kind", [pa.int16(), pa.float32(), pa.uint32(), pa.decimal128(22, 3)])
def test_any_number_is_a_number(kind: pa.DataType) -> None:
    assert checked(with_column(telemetry(), "egress_gbps", pa.array([1, 2, 3]).cast(kind)), READINGS[0]) == 3


texts = st.lists(
    st.one_of(
        st.none(),
        st.text(max_size=12),
        st.datetimes().map(str),
        st.floats().map(str),
        st.sampled_from(["a", "nan", "-", "1e400", "2026-10-25 02:30"]),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=150)
@given(texts, st.sampled_from(["ts", "site_id", "egress_gbps", "received_at"]), st.sampled_from(READINGS))
def test_any_text_is_read_or_refused(content: list[str | None], column: str, how: ReadOptions) -> None:
    count = len(content)
    assert checked(with_column(telemetry(count=count), column, pa.array(content, pa.string())), how) in (-1, count)


@settings(deadline=None, max_examples=150)
@given(
    st.binary(max_size=400),
    st.sampled_from(["t.parquet", "t.csv", "t.csv.gz", "t.bin"]),
    st.sampled_from([b"", b"PAR1", b"\x1f\x8b", b"ts,site_id,ingest_gbps,egress_gbps\n"]),
)
def test_any_bytes_are_read_or_refused(noise: bytes, name: str, first: bytes) -> None:
    found = attempt(first + noise + (b"PAR1" if first == b"PAR1" else b""), name, READINGS[0])
    if isinstance(found, RefusedError):
        assert found.faults
    else:
        assert first.startswith(b"ts")  # nothing else that is tried here has columns
        assert found.good.num_rows + found.quarantined + found.repeated == found.rows
