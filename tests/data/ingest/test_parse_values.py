"""Numbers, names and stamps as files hold them, under one rule for what is missing."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.parse_values import (
    MISSING_WORDS,
    STAMP,
    Epoch,
    parse_numbers,
    parse_stamps,
    parse_text,
)
from tests.data.ingest.ingest_frames import held, lake_of, take, telemetry, with_column, write

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def column(*values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def stamps(values: pa.ChunkedArray, zone: str | None = None, epoch: Epoch | None = None) -> list[datetime | None]:
    found: list[datetime | None] = parse_stamps(values, zone, epoch).values.to_pylist()
    return found


# Missing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", sorted(MISSING_WORDS))
def test_words_for_missing_are_missing_in_numbers_and_stamps_and_names_in_text(word: str) -> None:
    values = column(word.upper(), f" {word} ", "1")
    numbers = parse_numbers(values)
    assert (numbers.values.to_pylist(), numbers.unread.true_count) == ([None, None, 1.0], 0)
    moments = parse_stamps(column(word, word.upper(), "2026-03-02T12:00Z"))
    assert (moments.values.to_pylist(), moments.unread.true_count) == ([None, None, NOON], 0)
    assert parse_text(column(word)).values.to_pylist() == [word]


def test_nan_is_missing_in_parquet_too_and_infinity_is_not(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    table = with_column(telemetry(), "rebuffer_ratio", [float("nan"), 0.5, float("inf")])
    [outcome] = take(lake, write(tmp_path / "t.parquet", table))
    assert (outcome.accepted, outcome.quarantined) == (2, 1)
    assert held(lake, ("rebuffer_ratio",)) == [(None,), (0.5,)]


@pytest.mark.parametrize("bits", [31, 32, 63, 64])
def test_the_end_of_a_counter_is_missing_and_said(tmp_path: Path, bits: int) -> None:
    lake = lake_of(tmp_path, "a")
    table = with_column(telemetry(), "octets", pa.array([1, 2**bits - 1, 3], pa.uint64()))
    [outcome] = take(lake, write(tmp_path / "t.parquet", table), renames=["octets*0.5=viewers"])
    assert held(lake, ("viewers",)) == [(0.5,), (None,), (1.5,)]
    assert outcome.notes == (
        "1 of octets are the largest number of a counter (2^31-1, 2^32-1, 2^63-1 or 2^64-1), and count as missing",
    )


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "read", "unread"),
    [
        (column(101, None, kind=pa.int16()), ["101", None], 0),
        (column(2**64 - 1, kind=pa.uint64()), ["18446744073709551615"], 0),
        (column(101.0, 1.5, float("nan")), ["101", None, None], 1),
        (column(b"fra", "Zürich".encode(), b"\xff", None), ["fra", "Zürich", None, None], 1),
        (column(b"fra", kind=pa.binary(3)), ["fra"], 0),
        (column("NA", "null", "007"), ["NA", "null", "007"], 0),
    ],
)
def test_whole_numbers_and_bytes_are_names(values: pa.ChunkedArray, read: list[str | None], unread: int) -> None:
    found = parse_text(values)
    assert (found.values.to_pylist(), found.unread.true_count) == (read, unread)


# Stamps --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02 12:00:00+00",
        "2026-03-02 05:00:00.000000-07",
        "2026-03-02T17:30:00+0530",
        "20260302T120000Z",
        "20260302T1200Z",
        "20260302T050000-0700",
        "2026-03-02T12Z",
        "2026-03-02 12:00:00 UTC",
        "2026-03-02 12:00 GMT",
        "2026-03-02t12:00:00z",
        "2026-03-02T12:00:00,000Z",
        "2026-03-02T12:00:00.000000999Z",
        " 2026-03-02T12:00Z ",
    ],
)
def test_iso_8601_is_read_alone_and_among_others(text: str) -> None:
    assert stamps(column(text)) == [NOON]
    assert stamps(column(text, "2026-03-02T12:00:00.000Z", None, "20260302T120000Z")) == [NOON, NOON, None, NOON]


@pytest.mark.parametrize(
    "values",
    [
        column(date(2026, 3, 2)),
        column(date(2026, 3, 2), kind=pa.date64()),
        column("2026-03-02"),
        column(datetime(2026, 3, 2), kind=pa.timestamp("ns")),  # noqa: DTZ001 - local on purpose
        column(datetime(2026, 3, 2), kind=pa.timestamp("s")),  # noqa: DTZ001 - local on purpose
    ],
)
def test_what_names_no_zone_is_read_in_the_zone_given_and_not_otherwise(values: pa.ChunkedArray) -> None:
    assert stamps(values, "Europe/Berlin") == [datetime(2026, 3, 1, 23, tzinfo=UTC)]
    unzoned = parse_stamps(values)
    assert (unzoned.values.to_pylist(), unzoned.unzoned.to_pylist()) == ([None], [True])


@pytest.mark.parametrize(
    ("epoch", "number"),
    [("s", 1772452800), ("ms", 1772452800000), ("us", 1772452800000000), ("ns", 1772452800000000999)],
)
def test_numbers_are_stamps_by_a_declared_unit_alone(epoch: Epoch, number: int) -> None:
    for values in (column(number), column(str(number), " ", "nan"), column(float(number)), column(f"{number}.0")):
        [moment, *_] = stamps(values, epoch=epoch)
        assert moment is not None
        assert abs(moment - NOON) <= timedelta(microseconds=1)  # as near as a float64 comes
        assert parse_stamps(values).unread.to_pylist()[0]
    assert stamps(column(f"{number}", "2026-03-02T12:00Z"), epoch=epoch) == [NOON, NOON]
    assert stamps(column("1.7724528E9", "1772452800"), epoch="s") == [NOON, NOON]
    assert stamps(column(1772452800.123456), epoch="s") == [NOON + timedelta(microseconds=123456)]


@pytest.mark.parametrize("epoch", ["s", "ms", "us", "ns", None])
@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**53, -(2**53), 1772452800000])
def test_no_number_wraps_round_to_a_stamp_that_looks_right(number: int, epoch: Epoch | None) -> None:
    kinds = [column(number), column(float(number)), column(str(number))]
    kinds += [column(number).cast(pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")]
    for values in kinds:
        found = parse_stamps(values, "America/New_York", epoch)
        [moment] = found.values.to_pylist()
        assert moment is not None or found.beyond.to_pylist() == [True] or found.unread.to_pylist() == [True]
        if moment is not None:
            unit = str(values.type.unit if pa.types.is_timestamp(values.type) else epoch)
            exact = number / {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
            assert abs(moment.timestamp() - exact) < 86_400


@settings(deadline=None, max_examples=100)
@given(st.lists(st.datetimes(datetime(1, 2, 1), datetime(9999, 12, 1)), min_size=1), st.sampled_from(["T", " "]))  # noqa: DTZ001
def test_stamps_come_back_as_they_were_written(moments: list[datetime], separator: str) -> None:
    texts = [moment.isoformat(separator) for moment in moments]
    expected = [moment.replace(tzinfo=UTC) for moment in moments]
    assert stamps(column(*texts), "UTC") == expected
    assert stamps(column(*(f"{text}+00" for text in texts))) == expected


def test_int96_is_read_beyond_the_years_of_nanoseconds(tmp_path: Path) -> None:
    lake, sink = lake_of(tmp_path, "a"), io.BytesIO()
    moments = np.array(["2026-03-02T00:00", "2300-01-01T00:00"], "datetime64[us]")
    pq.write_table(with_column(telemetry(count=2), "ts", pa.array(moments)), sink, use_deprecated_int96_timestamps=True)
    (tmp_path / "t.parquet").write_bytes(sink.getvalue())
    [outcome] = take(lake, tmp_path / "t.parquet", timezone="UTC")
    assert (outcome.accepted, outcome.quarantined, outcome.faults[0].value) == (1, 1, "2300-01-01 00:00:00+00:00")


@pytest.mark.parametrize(
    ("values", "how", "told"),
    [
        (pa.array([1772452800] * 3), {}, r"1772452800 \(int64\) .*seconds since 1970 would be 2026-03-02 12:00 UTC.*--epoch s"),
        (pa.array(["1772452800000"] * 3), {}, "1772452800000 .*milliseconds since 1970 would be 2026-03-02.*--epoch ms"),
        (pa.array([1772452800000] * 3), {"epoch": "s"}, "which is 58136-.*milliseconds taken for seconds.*--epoch ms"),
        (
            pa.array([1772452800000] * 3, pa.timestamp("s", "UTC")),
            {},
            r"1772452800000000 \(timestamp\[ms, tz=UTC\]\), which is 58136-.*microseconds taken for milliseconds",
        ),
        (pa.array([2**62] * 3, pa.timestamp("ms")), {"timezone": "UTC"}, "which is 146140482-.*the years 1 to 9999"),
    ],
)  # fmt: skip
def test_a_wrong_unit_is_told_with_the_likely_one(
    tmp_path: Path, values: pa.Array, how: dict[str, Any], told: str
) -> None:
    path = write(tmp_path / "t.parquet", with_column(telemetry(), "ts", values))
    [outcome] = take(lake_of(tmp_path, "a"), path, **how)
    assert outcome.state == "refused"
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(str(outcome.faults[0]))


def test_stamps_are_microseconds_in_utc() -> None:
    assert parse_stamps(column("2026-03-02T12:00Z")).values.type == STAMP
