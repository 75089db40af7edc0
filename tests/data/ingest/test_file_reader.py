"""No content of a file ends an ingest: what cannot be read is refused with a reason, and the other files go on."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.fuzz import run
from data.__main__ import main
from data.ingest.check import check_snapshot
from data.ingest.file_reader import UNPACKED_ALWAYS, UNPACKED_FACTOR
from data.lake.tables import Lake
from data.schema import STAMP
from tests.data.ingest.ingest_frames import START, TICK, held, lake_of, take, telemetry, write

HEADER = "ts,site_id,ingest_gbps,egress_gbps"
ROWS = ("2026-03-02T00:00Z,a,1,10", "2026-03-02T00:05Z,a,1,11")


def bare_cr() -> bytes:
    return "\r".join([HEADER, *ROWS, ""]).encode()


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n"])
def test_every_usual_line_end_is_read(tmp_path: Path, end: str) -> None:
    lake = lake_of(tmp_path, "a")
    path = tmp_path / "telemetry.csv"
    path.write_bytes(end.join([HEADER, *ROWS, ""]).encode())
    [outcome] = take(lake, path)
    assert (outcome.state, outcome.accepted) == ("accepted", 2)
    assert [row[2] for row in held(lake)] == [10.0, 11.0]


def test_bare_cr_is_read_in_a_packed_file_too(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv.gz"
    path.write_bytes(gzip.compress(bare_cr()))
    [outcome] = take(lake_of(tmp_path, "a"), path)
    assert (outcome.state, outcome.accepted) == ("accepted", 2)


def test_gzip_that_unpacks_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    lake, path = lake_of(tmp_path, "a"), tmp_path / "telemetry.csv.gz"
    packed = gzip.compress("\n".join([HEADER, *ROWS, ""]).encode() + b"0" * 2 * UNPACKED_ALWAYS)
    path.write_bytes(packed)
    good = write(tmp_path / "good.parquet", telemetry())
    refused, accepted = take(lake, path, good)
    assert (refused.state, accepted.state) == ("refused", "accepted")
    [fault] = refused.faults
    assert fault.value == f"{len(packed):,} bytes of gzip that unpack to more than {UNPACKED_ALWAYS:,}"
    assert f"at most {UNPACKED_FACTOR} times" in fault.bound
    assert "fill the memory" in fault.cause
    assert "shorter spans" in fault.remedy


def test_gzip_of_many_times_its_size_is_taken_in_where_it_is_small(tmp_path: Path) -> None:
    lake, path = lake_of(tmp_path, "a"), tmp_path / "telemetry.csv.gz"
    rows = [f"2026-01-{day:02d}T{hour:02d}:00Z,a,0,0" for day in range(1, 32) for hour in range(24)]
    packed = gzip.compress(("\n".join([HEADER, *rows, ""]) + "\n" * 2_000_000).encode())
    path.write_bytes(packed)
    assert UNPACKED_FACTOR * len(packed) < 2_000_000
    [outcome] = take(lake, path)
    assert (outcome.state, outcome.accepted) == ("accepted", len(rows))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (f"ts,site_id,{'x' * 200_000}", r"absent \(the file has: ts, site_id, x{60}\.\.\.\)"),
        ("x," * 600_000, "no line end within .* bytes"),
    ],
    ids=["name over 128 kB", "line over 1 MB"],
)
def test_a_header_that_is_none_refuses_its_file_alone(tmp_path: Path, header: str, reason: str) -> None:
    lake = lake_of(tmp_path, "a")
    path = tmp_path / "in" / "telemetry-odd.csv"
    write(tmp_path / "in" / "telemetry.parquet", telemetry())
    path.write_text(f"{header}\n1,2,3\n")
    outcomes = {outcome.source.name: outcome for outcome in take(lake, tmp_path / "in")}
    assert outcomes["telemetry.parquet"].state == "accepted"
    assert outcomes["telemetry-odd.csv"].state == "refused"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(str(outcomes["telemetry-odd.csv"].faults[0]))


def test_watch_goes_on_past_odd_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inbox = tmp_path / "inbox"
    lake = lake_of(tmp_path, "a")
    write(inbox / "telemetry.parquet", telemetry())
    (inbox / "telemetry-cr.csv").write_bytes(bare_cr())
    (inbox / "telemetry-long.csv").write_text(f"ts,{'x' * 200_000}\n1,2\n")
    (inbox / "telemetry-name.parquet").write_bytes(not_utf8(telemetry()))
    for path in inbox.iterdir():
        age(path)
    assert main(["watch", str(inbox), "--once", "--lake", lake.url]) == 1
    told = capsys.readouterr().out
    assert "4 snapshots: 2 taken in, 2 refused" in told
    assert Lake(lake.url).read("telemetry").num_rows == 3


def age(path: Path) -> None:
    """Make a file look as if it had been whole for a while."""
    before = path.stat().st_mtime - 60
    os.utime(path, (before, before))


def not_utf8(table: pa.Table) -> bytes:
    """Parquet with a name of a site that is no UTF-8."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", use_dictionary=False)
    return sink.getvalue().replace(b"\x01\x00\x00\x00a", b"\x01\x00\x00\x00\xff")


def test_text_that_is_not_utf8_refuses_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.parquet"
    path.write_bytes(not_utf8(telemetry()))
    [outcome] = take(lake_of(tmp_path, "a"), path)
    assert (outcome.state, outcome.quarantined) == ("refused", 3)
    with pytest.raises(AssertionError, match=r"b'\\xff' where the contract allows text in UTF-8"):
        raise AssertionError(str(outcome.faults[0]))


@pytest.mark.parametrize(
    ("table", "column", "rest"),
    [
        ("telemetry", "ts", {"site_id": ["a"], "ingest_gbps": [1.0], "egress_gbps": [1.0]}),
        ("capacity", "effective_from", {"site_id": ["a"], "direction": ["egress"], "capacity_gbps": [1.0]}),
    ],
)
@pytest.mark.parametrize("number", [2**62, -(2**62)])
def test_a_stamp_beyond_the_calendar_is_refused_by_its_number(
    tmp_path: Path, table: str, column: str, rest: dict[str, list[object]], number: int
) -> None:
    path = write(tmp_path / f"{table}.parquet", pa.table({column: pa.array([number], STAMP), **rest}))
    [outcome] = take(lake_of(tmp_path, "a"), path)
    assert outcome.state == "refused"
    with pytest.raises(
        AssertionError,
        match=rf"{number} \(timestamp\[us, tz=UTC\]\), which is .*where the contract allows a stamp of the years 1 to 9999",
    ):
        raise AssertionError(str(outcome.faults[0]))


def test_damaged_files_end_in_rows_or_in_a_reason_and_no_row_is_lost(tmp_path: Path) -> None:
    """Seeded: 120 files of the 2,000 and more of benchmarks/fuzz.py."""
    counts = run(tmp_path, range(120))
    assert (counts["lost"], counts["faults_of_the_program"]) == ([], [])
    assert min(counts["checked"][state] for state in ("accepted", "partial", "refused")) >= 10
    assert counts["rows"] == counts["rows_accepted"] + counts["rows_quarantined"] + counts["rows_repeated"]
    assert min(counts["rows_accepted"], counts["rows_quarantined"], counts["rows_counted_apart"]) >= 30


def test_an_error_that_nobody_foresaw_refuses_its_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*parts: object, **named: object) -> object:
        if parts[1].name == "odd.parquet":  # type: ignore[attr-defined]
            raise IndexError("of\nours")
        return check_snapshot(*parts, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("data.ingest.run.check_snapshot", breaks)
    lake = lake_of(tmp_path, "a")
    write(tmp_path / "in" / "odd.parquet", telemetry(start=START - TICK))
    write(tmp_path / "in" / "t.parquet", telemetry())
    outcomes = {outcome.source.name: outcome for outcome in take(lake, tmp_path / "in")}
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "odd.parquet": "refused",
        "t.parquet": "accepted",
    }
    with pytest.raises(AssertionError, match=r"IndexError: of ours .*a fault of this program.*report it together"):
        raise AssertionError(str(outcomes["odd.parquet"].faults[0]))
