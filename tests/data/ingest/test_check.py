"""What is wrong with a snapshot is named, kept in quarantine, and never stops the others: fault by fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.ingest.ledger import safe_file_name
from tests.data.ingest.ingest_frames import (
    NOW,
    START,
    TICK,
    held,
    lake_of,
    rows,
    sites,
    take,
    telemetry,
    with_column,
    write,
)

HOSTILE = ['"><script>alert(1)</script>', "../x", "=cmd()", "n" * 10_000, "a\x1b[31mred", ""]


def cut(table: pa.Table, size: int) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data[:size]


def damaged(table: pa.Table) -> bytes:
    """Parquet with a sound beginning and end, and noise between them."""
    data = cut(table, -1)
    return data[:4] + b"\x00" * 200 + data[204:] + b"1"


FILES: list[tuple[str, bytes, str]] = [
    (
        "truncated.parquet",
        cut(telemetry(), 300),
        "300 bytes without a footer where the contract allows a whole Parquet file, which ends in PAR1",
    ),
    ("zero.parquet", b"", "0 bytes where the contract allows a Parquet or CSV file"),
    ("zero.csv", b"", "0 bytes where the contract allows a Parquet or CSV file"),
    (
        "magic.parquet",
        b"PK\x03\x04 is how a zip begins",
        "a ZIP archive or an Excel workbook .*where the contract allows a Parquet or CSV file.*save the sheet as CSV",
    ),
    ("damaged.parquet", damaged(telemetry(count=200)), "where the contract allows content that can be read"),
    ("tiny.parquet", b"PAR1", "4 bytes without a footer"),
    ("headless.csv", b"\n1,2,3\n", r"absent \(the file has: 1, 2, 3\) where the contract allows a column ts"),
    ("blank.csv", b"\n \n", "an empty first line where the contract allows a first line that names the columns"),
    ("noise.csv", bytes(range(256)), "first bytes .*where the contract allows .* text in UTF-8"),
    ("packed.csv.gz", b"\x1f\x8b\x08\x00 and then nothing", "where the contract allows content that can be read"),
    ("locked.parquet", b"PARE" + bytes(40), "an encrypted Parquet file .*Remedy: export it unencrypted"),
    ("login.csv", b"<!DOCTYPE html><html>", "a page or document of HTML or XML"),
]


@pytest.mark.parametrize(("name", "data", "message"), FILES, ids=[name for name, _, _ in FILES])
def test_a_file_that_cannot_be_read_is_quarantined_whole(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    lake = lake_of(tmp_path, "a")
    path = tmp_path / "in" / name
    path.parent.mkdir()
    path.write_bytes(data)
    [outcome] = take(lake, path, table="telemetry")
    assert outcome.state == "refused"
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(outcome.faults[0]))
    [kept] = map(Path, outcome.kept_at)
    assert kept.read_bytes() == data == path.read_bytes()  # copied, and the source left alone
    reason = json.loads(Path(f"{kept}.reason.json").read_text())
    assert reason["faults"][0]["remedy"]
    assert reason["summary"] == [str(fault) for fault in outcome.faults]


def missing_column() -> pa.Table:
    return telemetry().drop_columns(["egress_gbps"])


def nested_numbers() -> pa.Table:
    return with_column(telemetry(), "egress_gbps", [[1.0], [2.0], [3.0]])


def epoch_seconds() -> pa.Table:
    return with_column(telemetry(), "ts", [1, 2, 3])


def naive_stamps() -> pa.Table:
    return with_column(telemetry(), "ts", telemetry()["ts"].cast(pa.timestamp("us")))


def twice_the_column() -> pa.Table:
    return (
        telemetry()
        .append_column("Egress Gbps", pa.array([1.0, 2.0, 3.0]))
        .rename_columns(["ts", "site_id", "received_at", "ingest_gbps", "EGRESS_GBPS", "Egress Gbps"])
    )


@pytest.mark.parametrize(
    ("make", "column", "message"),
    [
        (missing_column, "egress_gbps", "absent .*a column egress_gbps .*--map THEIRS=egress_gbps"),
        (
            nested_numbers,
            "egress_gbps",
            r"\[1.0\] \(list<element: double>\) where the contract allows double .*write egress_gbps as double",
        ),
        (epoch_seconds, "ts", r"1 \(int64\) where the contract allows stamps, or numbers since 1970.*--epoch s"),
        (naive_stamps, "ts", "local or unlabelled times.*--timezone UTC"),
        (twice_the_column, "egress_gbps", "EGRESS_GBPS, Egress Gbps where the contract allows one column egress_gbps"),
    ],
)
def test_columns_that_are_not_the_contracts_refuse_the_file(
    tmp_path: Path, make: Callable[[], pa.Table], column: str, message: str
) -> None:
    [outcome] = take(lake_of(tmp_path, "a"), write(tmp_path / "in" / "t.parquet", make()), table="telemetry")
    assert (outcome.state, outcome.faults[0].column) == ("refused", column)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(outcome.faults[0]))


def test_columns_of_no_table_name_the_nearest_one(tmp_path: Path) -> None:
    [outcome] = take(
        lake_of(tmp_path, "a"),
        write(tmp_path / "in" / "x.parquet", telemetry().rename_columns(["when", "site_id", "r", "in", "egress_gbps"])),
    )
    assert outcome.table == "unknown"
    assert (
        outcome.faults[0].bound == "the columns of a table; the nearest is telemetry, which also needs ingest_gbps, ts"
    )


BAD_ROWS: list[tuple[str, str, object, str]] = [
    ("far future", "ts", NOW + timedelta(days=400), "at most 2026-03-20 13:00 UTC"),
    ("before networks", "ts", datetime.fromisoformat("1970-01-01T00:00+00:00"), "at least 1990-01-01"),
    ("no stamp", "ts", None, "a value"),
    ("negative", "egress_gbps", -1.0, "at least 0 Gbps"),
    ("infinite", "egress_gbps", float("inf"), "a finite number, or null for missing"),
    ("absurd", "ingest_gbps", 4e12, "at most 1e+06 Gbps"),
    ("percent", "rebuffer_ratio", 3.5, "at most 1 ratio"),
    ("below a ratio", "rebuffer_ratio", -0.1, "at least 0 ratio"),
    ("unknown site", "site_id", "zzz", "a site of the lake, which knows 1"),
    *(
        (f"hostile {i}", "site_id", name, "a letter or digit, then letters, digits, dot, dash, underscore; at most 64")
        for i, name in enumerate(HOSTILE)
    ),
]


@pytest.mark.parametrize(
    ("column", "value", "bound"), [case[1:] for case in BAD_ROWS], ids=[case[0] for case in BAD_ROWS]
)
def test_a_bad_row_is_quarantined_and_the_others_are_taken_in(
    tmp_path: Path, column: str, value: object, bound: str
) -> None:
    lake = lake_of(tmp_path, "a")
    table = with_column(telemetry(), "rebuffer_ratio", [0.1, 0.2, 0.3])
    table = with_column(
        table,
        column,
        pa.array([table[column][0].as_py(), value, table[column][2].as_py()], table.schema.field(column).type),
    )
    [outcome] = take(lake, write(tmp_path / "in" / "t.parquet", table))
    assert (outcome.state, outcome.rows, outcome.accepted, outcome.quarantined) == ("partial", 3, 2, 1)
    [fault] = outcome.faults
    assert (fault.column, fault.count) == (column, 1)
    assert fault.bound.startswith(bound)
    assert len(held(lake)) == 2
    kept = pq.read_table(outcome.kept_at[0])
    assert [str(v) for v in kept[column].to_pylist()] == [str(value)]
    [listed] = lake.read("quarantine").to_pylist()
    assert (listed["column"], listed["kept_at"], listed["count"], listed["bound"]) == (
        column,
        outcome.kept_at[0],
        1,
        fault.bound,
    )
    assert len(listed["value"]) < 150
    assert listed["value"].isprintable()


def test_several_faults_at_once_are_all_named(tmp_path: Path) -> None:
    table = with_column(with_column(telemetry(), "egress_gbps", [-1.0, 5.0, float("inf")]), "site_id", ["a", "b", "a"])
    [outcome] = take(lake_of(tmp_path, "a"), write(tmp_path / "in" / "t.parquet", table))
    assert [fault.column for fault in outcome.faults] == ["egress_gbps", "egress_gbps", "site_id"]
    assert outcome.state == "refused"  # nothing is left of it
    assert outcome.kept_at[0].endswith("t.parquet")


def test_exact_repetitions_collapse_and_are_counted(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    [outcome] = take(
        lake, write(tmp_path / "in" / "t.parquet", pa.concat_tables([telemetry(), telemetry(), telemetry(count=1)]))
    )
    assert (outcome.state, outcome.rows, outcome.accepted, outcome.repeated) == ("accepted", 7, 3, 4)
    assert len(held(lake)) == 3


def test_of_rows_that_contradict_each_other_the_one_received_last_stays(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    table = rows(
        ("a", START, NOW, 2.0),
        ("a", START, NOW - TICK, 1.0),
        ("a", START, NOW, 3.0),
        ("a", START + TICK, NOW, 9.0),
        ("a", START, NOW - TICK, 3.0),
    )
    [outcome] = take(lake, write(tmp_path / "in" / "t.parquet", table))
    assert held(lake) == [("a", START, 3.0), ("a", START + TICK, 9.0)]
    assert (outcome.state, outcome.accepted, outcome.quarantined, outcome.repeated) == ("partial", 2, 2, 1)
    assert sorted(pq.read_table(outcome.kept_at[0])["egress_gbps"].to_pylist()) == [1.0, 2.0]
    assert outcome.faults[0].bound == "one row for each site_id, ts; the row received last was taken in"


def test_a_file_without_rows_is_accepted_and_remembered(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    path = write(tmp_path / "in" / "t.parquet", telemetry(count=0))
    [outcome] = take(lake, path)
    assert (outcome.state, outcome.rows) == ("accepted", 0)
    assert take(lake, path)[0].state == "known"


def test_names_differ_in_case_and_extra_columns_are_left_out(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    table = (
        telemetry()
        .rename_columns(["TS", "Site ID", "Received-At", " ingest_gbps ", "Egress_Gbps"])
        .append_column("note", pa.array(["x"] * 3))
    )
    [outcome] = take(lake, write(tmp_path / "in" / "t.parquet", table))
    assert (outcome.state, outcome.unused) == ("accepted", ("note",))
    assert [row[2] for row in held(lake)] == [10.0, 11.0, 12.0]


def test_one_bad_file_never_stops_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for i in range(3):
        write(folder / f"{i}.parquet", telemetry(start=START + timedelta(days=i)))
    (folder / "1a.parquet").write_bytes(b"PAR1 and no more")
    write(folder / "z" / "sites.parquet", sites("a"))  # found last, taken in first
    outcomes = take(lake_of(tmp_path), folder)
    assert [(outcome.source.name, outcome.state) for outcome in outcomes] == [
        ("sites.parquet", "accepted"),
        ("0.parquet", "accepted"),
        ("1.parquet", "accepted"),
        ("2.parquet", "accepted"),
        ("1a.parquet", "refused"),
    ]


def test_a_lake_without_sites_takes_no_telemetry_until_it_has_some(tmp_path: Path) -> None:
    lake, path = lake_of(tmp_path), write(tmp_path / "in" / "t.parquet", telemetry())
    [outcome] = take(lake, path)
    assert outcome.state == "refused"
    assert "which knows 0" in outcome.faults[0].bound
    assert "ingest a sites snapshot" in outcome.faults[0].remedy
    take(lake, write(tmp_path / "in" / "sites.parquet", sites("a")))
    assert take(lake, path)[0].state == "accepted"
    assert lake.read("quarantine").num_rows == 0
    assert lake.read("snapshots")["state"].to_pylist() == ["accepted", "accepted"]


def test_quarantined_rows_can_be_taken_in_once_their_site_is_known(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    [outcome] = take(lake, write(tmp_path / "in" / "t.parquet", pa.concat_tables([telemetry("a"), telemetry("b")])))
    assert (outcome.accepted, outcome.quarantined) == (3, 3)
    lake.replace("sites", sites("a", "b"))
    [again] = take(lake, outcome.kept_at[0])
    assert (again.state, again.accepted) == ("accepted", 3)
    assert len(held(lake)) == 6
    assert lake.read("quarantine").num_rows == 0


def test_what_is_refused_again_stays_where_it_lies(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    [outcome] = take(lake, write(tmp_path / "in" / "t.parquet", telemetry("b")))
    [again] = take(lake, outcome.kept_at[0])
    assert again.kept_at == outcome.kept_at
    assert lake.read("quarantine").num_rows == 1


@pytest.mark.parametrize(
    "name",
    [
        '"><script>.parquet',
        "=cmd().parquet",
        "..x.parquet",
        "-rf.parquet",
        "n" * 240 + ".parquet",
        "a b\nc.parquet",
        "[bold]x[nope].parquet",
    ],
)
def test_hostile_file_names_are_only_names(tmp_path: Path, name: str) -> None:
    lake = lake_of(tmp_path, "a")
    path = tmp_path / "in" / name
    path.parent.mkdir()
    path.write_bytes(b"")
    [outcome] = take(lake, path)
    [kept] = map(Path, outcome.kept_at)
    assert kept.parent == tmp_path / "quarantine"
    assert kept.exists()
    assert all(ch.isalnum() or ch in "._-" for ch in kept.name)
    assert lake.read("snapshots")["source"].to_pylist() == [str(path)]


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", ".hidden", "", "x" * 500, "\x00", "a/b.parquet"])
def test_a_safe_name_neither_hides_nor_climbs(name: str) -> None:
    made = safe_file_name(name)
    assert made
    assert not made.startswith((".", "-"))
    assert "/" not in made
    assert len(made) <= 100


def test_a_million_rows(tmp_path: Path) -> None:
    names = [f"s{i:03d}" for i in range(50)]
    lake = lake_of(tmp_path, *names)
    one = telemetry(count=20_000, start=START - timedelta(days=80))
    whole = pa.concat_tables([with_column(one, "site_id", [name] * one.num_rows) for name in names])
    [outcome] = take(lake, write(tmp_path / "in" / "million.parquet", whole))
    assert (outcome.state, outcome.accepted) == ("accepted", 1_000_000)
    table = lake.read("telemetry")
    assert table.num_rows == 1_000_000
    assert table.group_by(["site_id", "ts"]).aggregate([]).num_rows == 1_000_000
