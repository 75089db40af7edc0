"""How a producer's files are read: CSV, names, units, constants, absent rows, and which table they feed."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.column_mapping import Rename, read_options
from data.ingest.sources import find_snapshots
from data.schema.errors import SettingError
from tests.data.ingest.ingest_frames import NOW, START, TICK, held, lake_of, sites, take, telemetry, with_column, write

CSV = "ts,site_id,ingest_gbps,egress_gbps,viewers\n2026-03-02T00:00Z,a,1,2,\n2026-03-02T00:05Z,a,1.5e0, 3 ,NaN\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_csv_is_read_by_the_contract(tmp_path: Path, delimiter: str, suffix: str) -> None:
    lake = lake_of(tmp_path, "a")
    data = ("\ufeff" + CSV.replace(",", delimiter)).encode()
    path = tmp_path / f"t{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    assert take(lake, path)[0].state == "accepted"
    assert held(lake, ("ingest_gbps", "egress_gbps", "viewers")) == [(1.0, 2.0, None), (1.5, 3.0, None)]


def test_text_that_is_no_number_refuses_its_row_alone(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    (tmp_path / "t.csv").write_text(CSV + "2026-03-02T00:10Z,a,1,2 Gbps,N/A\n2026-03-02T00:15Z,a,1,2,N/A\n")
    [outcome] = take(lake, tmp_path / "t.csv")
    assert (outcome.accepted, outcome.quarantined) == (3, 1)
    assert (outcome.faults[0].column, outcome.faults[0].value, outcome.faults[0].bound) == (
        "egress_gbps",
        "2 Gbps",
        "a number, with a point for decimals",
    )


def test_text_columns_stay_text(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    (tmp_path / "sites.csv").write_text(
        'site_id,name,region_id,country,lat,lon\n007,"Windhoek, ""old""",af,NA,-22.5,17\n'
    )
    take(lake, tmp_path / "sites.csv")
    [row] = lake.read("sites").to_pylist()
    assert (row["site_id"], row["name"], row["country"], row["city"]) == ("007", 'Windhoek, "old"', "NA", None)


def test_columns_are_renamed_converted_and_set(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    table = pa.table(
        {
            "when": telemetry()["ts"],
            "pop": pa.array(["a"] * 3).dictionary_encode(),
            "out_mbps": pa.array([1000, 2000, 3000], pa.int32()),
        }
    )
    path = write(tmp_path / "t.parquet", table)
    take(
        lake,
        path,
        renames=["when=ts", "pop=site_id", "out_mbps*0.001=egress_gbps", "out_mbps*1e-4=ingest_gbps"],
        constants=["viewers=5", "received_at=2026-03-02T01:00:00Z"],
    )
    assert held(lake, ("ingest_gbps", "egress_gbps", "viewers", "received_at"))[1] == (
        0.2,
        2.0,
        5.0,
        datetime(2026, 3, 2, 1, tzinfo=UTC),
    )


def test_names_may_change_places(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    take(
        lake,
        write(tmp_path / "t.parquet", telemetry(count=1)),
        renames=["egress_gbps=ingest_gbps", "ingest_gbps=egress_gbps"],
    )
    assert held(lake, ("ingest_gbps", "egress_gbps")) == [(10.0, 1.0)]


def test_a_constant_with_two_values_repeats_the_rows(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a", "b")
    path = write(tmp_path / "nodes.parquet", pa.table({"site_id": ["a", "b"], "capacity_gbps": [10.0, 20.0]}))
    [outcome] = take(lake, path, constants=["direction=egress", "direction=ingest", "effective_from=2026-01-01T00:00Z"])
    assert (outcome.table, outcome.accepted) == ("capacity", 4)
    found = lake.read("capacity").to_pylist()
    assert [(row["site_id"], row["direction"], row["capacity_gbps"]) for row in found] == [
        ("a", "egress", 10.0),
        ("a", "ingest", 10.0),
        ("b", "egress", 20.0),
        ("b", "ingest", 20.0),
    ]


def test_a_mended_reading_of_the_same_bytes_counts_as_new(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    path = write(tmp_path / "t.parquet", telemetry(count=1))
    take(lake, path)
    assert take(lake, path, renames=["egress_gbps*1000=egress_gbps"])[0].state == "accepted"
    assert held(lake) == [("a", START, 10_000.0)]
    assert take(lake, path, renames=["egress_gbps*1000=egress_gbps"])[0].state == "known"
    assert lake.read("snapshots").num_rows == 1


def test_rows_left_out_by_the_producer_may_be_zeros(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a", "b")
    table = pa.concat_tables(
        [
            telemetry("a", 3),
            telemetry("b", 1, start=START + 2 * TICK),
            telemetry("a", 1, start=START + timedelta(days=1)),
        ]
    )
    table = with_column(with_column(table, "viewers", [7.0] * 5), "rebuffer_ratio", [0.1] * 5)
    [outcome] = take(lake, write(tmp_path / "t.parquet", table), missing_rows="zero")
    assert (outcome.accepted, outcome.zeros) == (5, 3)
    found = held(lake, ("site_id", "ts", "egress_gbps", "viewers", "streams", "rebuffer_ratio"))
    assert [row for row in found if row[0] == "b"] == [
        ("b", START, 0.0, 0.0, None, None),
        ("b", START + TICK, 0.0, 0.0, None, None),
        ("b", START + 2 * TICK, 10.0, 7.0, None, 0.1),
        ("b", START + timedelta(days=1), 0.0, 0.0, None, None),
    ]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"table": "telemetrie"}, "--table telemetrie: not a table that snapshots feed.*sites, capacity, telemetry"),
        ({"renames": ["egress"]}, "--map egress: not of the form theirs=ours"),
        ({"renames": ["out=egress"]}, "--map out=egress: no table that snapshots feed has a column 'egress'"),
        ({"renames": ["out=lat"], "table": "telemetry"}, "--map out=lat: no table telemetry has a column 'lat'"),
        ({"renames": ["out*0=gbps"]}, "the factor 0 is not a number above 0"),
        ({"renames": ["out*1e=gbps"]}, "the factor 1e is not a number above 0"),
        ({"constants": ["region_id"]}, "--constant region_id: not of the form column=value"),
        ({"constants": ["lat=north"]}, "--constant lat=north: the contract wants a number, with a point for decimals"),
        (
            {"constants": ["effective_from=2026-01-01"]},
            r"--constant effective_from=2026-01-01: the contract wants timestamp\[us, tz=UTC\].*--timezone",
        ),
    ],
)
def test_a_reading_that_cannot_be_meant_is_an_error_at_once(how: dict[str, list[str]], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read_options(**how)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(st.text(min_size=1).filter(lambda name: "*" not in name and "\n" not in name))
def test_any_name_of_a_producer_can_be_mapped(theirs: str) -> None:
    assert read_options(renames=[f"{theirs}*0.5=gbps"]).renames == (Rename(theirs, "gbps", 0.5),)


def test_the_name_decides_where_the_columns_do_not(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    both = (
        telemetry()
        .append_column("source_site_id", pa.array(["a"] * 3))
        .append_column("target_site_id", pa.array(["a"] * 3))
        .append_column("gbps", pa.array([1.0] * 3))
    )
    assert take(lake, write(tmp_path / "flows-2026.parquet", both))[0].table == "flows"
    assert (
        take(lake, write(tmp_path / "telemetry" / "2026" / "x.parquet", both))[0].table == "unknown"
    )  # the folder was not asked for
    assert take(lake, tmp_path / "telemetry")[0].table == "telemetry"
    [untold] = take(lake, write(tmp_path / "x.parquet", both.append_column("n", pa.array([1] * 3))))
    assert untold.faults[0].bound == "the columns of one table; these are of telemetry and of flows"
    assert untold.faults[0].remedy == "name the table with --table"


def test_folders_are_searched_to_the_bottom_in_order(tmp_path: Path) -> None:
    for name in (
        "b/2.parquet",
        "b/1.csv",
        "a/c/3.pq",
        "z.csv.gz",
        ".hidden.parquet",
        "_half/4.parquet",
        "notes.txt",
        "x.parquet.tmp",
        "b/.git/5.parquet",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "dangling.parquet").symlink_to(tmp_path / "nowhere")
    found = [
        str(Path(source.url).relative_to(tmp_path))
        for source in find_snapshots([str(tmp_path), str(tmp_path / "b" / "2.parquet")])
    ]
    assert found == ["z.csv.gz", "a/c/3.pq", "b/1.csv", "b/2.parquet"]


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="nowhere: no such file or folder"):
        find_snapshots([str(tmp_path / "nowhere")])


def test_a_simulated_snapshot_stays_simulated(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    take(lake, write(tmp_path / "s.parquet", sites("a").replace_schema_metadata({"source": "simulator:seed=7"})))
    take(lake, write(tmp_path / "t.parquet", telemetry().replace_schema_metadata({"source": "elsewhere"})), now=NOW)
    assert lake.read("snapshots").sort_by("source")["source"].to_pylist() == [
        str(tmp_path / "t.parquet"),
        "simulator:seed=7",
    ]


def test_the_digest_of_options_is_that_of_earlier_releases() -> None:
    """It is part of the marks in lakes: with another digest, a snapshot would be taken in once more."""
    changed = read_options(None, ["mbps*0.001=egress_gbps"], ["region_id=eu"], "UTC", "zero")
    assert changed.digest == "ee24962715f6"
    assert read_options("telemetry", timezone="Europe/Berlin").digest == "275a0af29d8a"
    assert read_options("telemetry").digest == ""
