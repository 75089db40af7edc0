"""Folders that say something: columns in the names of folders, tables with a log, files of other kinds beside snapshots."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from data.__main__ import main
from data.ingest.file_reader import RefusedError, read_file
from data.ingest.sources import delete_source, find_snapshots, list_snapshots, read_bytes
from data.lake.tables import Lake
from data.schema.errors import SnapshotError
from tests.data.ingest.ingest_frames import held, lake_of, sites, take, telemetry, write

# Hive folders --------------------------------------------------------------------------------------------------------


def hive(root: Path) -> Path:
    """The same rows of two sites in folders that name them, as Spark writes them."""
    for site in ("a", "b"):
        write(root / "date=2026-03-02" / f"site_id={site}" / "part-0.parquet", telemetry().drop_columns(["site_id"]))
    (root / "_SUCCESS").write_text("")
    return root


def test_names_of_folders_are_columns(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a", "b")
    outcomes = take(lake, hive(tmp_path / "in"))
    assert [(outcome.state, outcome.accepted, outcome.unused) for outcome in outcomes] == [
        ("accepted", 3, ("date",))
    ] * 2
    assert {site for site, _, _ in held(lake)} == {"a", "b"}
    assert [outcome.state for outcome in take(lake, tmp_path / "in")] == ["known", "known"]


def test_a_file_in_such_a_folder_knows_its_columns_and_its_own_come_first(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a", "b")
    path = write(tmp_path / "site_id=b" / "viewers=7" / "region%20id=x" / "t.parquet", telemetry("a"))
    [source] = find_snapshots([str(path)])
    assert source.partitions == (("site_id", "b"), ("viewers", "7"), ("region id", "x"))
    take(lake, path)
    assert held(lake, ("site_id", "viewers"))[0] == ("a", 7.0)


def test_the_mark_of_no_value_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "site_id=__HIVE_DEFAULT_PARTITION__" / "t.parquet", telemetry().drop_columns(["site_id"]))
    [outcome] = take(lake_of(tmp_path, "a"), path)
    assert (outcome.state, outcome.faults[0].column, outcome.faults[0].bound) == ("refused", "site_id", "a value")


def test_a_folder_is_read_as_one_table(tmp_path: Path) -> None:
    hive(tmp_path / "in")
    whole = read_file(tmp_path / "in")
    assert (whole.table.num_rows, set(whole.table["site_id"].to_pylist())) == (6, {"a", "b"})
    assert read_file(tmp_path / "in", ["site_id"]).table.column_names == ["site_id"]
    (tmp_path / "in" / "bad.csv").write_text("site_id,more\nTotal\n# end\n")
    assert [line.text for line in read_file(tmp_path / "in").bad_lines] == ["bad.csv: Total", "bad.csv: # end"]
    (tmp_path / "in" / "other.csv").write_text("ingest_gbps,y\nx,1\n")
    with pytest.raises(RefusedError, match="files with the same columns in one folder"):
        read_file(tmp_path / "in")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RefusedError, match="a folder of 0 other files"):
        read_file(tmp_path / "empty")


# Tables --------------------------------------------------------------------------------------------------------------


def delta(root: Path) -> str:
    """A Delta table: two sites, then one corrected, then the other deleted."""
    for version, egress in enumerate((10.0, 20.0)):
        rows = pa.concat_tables([telemetry("a", egress=egress), telemetry("b", egress=egress)])
        write_deltalake(str(root), rows, mode="overwrite" if version else "error", partition_by=["site_id"])
    DeltaTable(str(root)).delete("site_id = 'b'")
    return str(root)


def test_a_delta_table_is_read_by_its_log(tmp_path: Path) -> None:
    lake, table = lake_of(tmp_path, "a", "b"), delta(tmp_path / "in" / "table")
    write(tmp_path / "in" / "more.parquet", telemetry("b", 1, egress=5.0))
    outcomes = take(lake, tmp_path / "in")
    assert [(outcome.source.partitions, outcome.accepted) for outcome in outcomes] == [
        ((), 1),
        ((("site_id", "a"),), 3),
    ]
    assert [egress for _, _, egress in held(lake)] == [20.0, 21.0, 22.0, 5.0]
    assert {outcome.state for outcome in take(lake, table)} == {"known"}
    assert read_file(table).table.num_rows == 3


def test_another_version_of_a_delta_table_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    table = delta(tmp_path / "table")
    assert read_file(table, version=0).table["egress_gbps"].to_pylist() == [10.0, 11.0, 12.0] * 2
    lake = lake_of(tmp_path, "a", "b")
    assert main(["ingest", table, "--version", "1", "--lake", lake.url, "--quiet"]) == 0
    assert Lake(lake.url).read("telemetry").num_rows == 6
    [source] = find_snapshots([table], version=7)
    with pytest.raises(SnapshotError, match=r"Delta table of which version 7 cannot be read.*--version"):
        read_bytes(source)


def test_a_version_is_taken_in_again_where_its_bytes_were_known(tmp_path: Path) -> None:
    lake, table = lake_of(tmp_path, "a", "b"), delta(tmp_path / "table")
    take(lake, table)
    DeltaTable(table).restore(0)
    assert [outcome.state for outcome in take(lake, table)] == ["accepted", "accepted"]
    assert [egress for site, _, egress in held(lake) if site == "a"] == [10.0, 11.0, 12.0]


def test_files_of_a_table_are_never_deleted(tmp_path: Path) -> None:
    [source] = find_snapshots([delta(tmp_path / "table")])
    delete_source(source)
    assert Path(source.url).exists()


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (".hoodie/hoodie.properties", "is a Hudi table"),
        ("metadata/v1.metadata.json", "is an Iceberg table"),
        ("_delta_log/00000000000000000000.json", "is a Delta table of which its newest version cannot be read"),
    ],
)
def test_a_table_whose_rows_cannot_be_had_is_named_and_the_rest_is_read(tmp_path: Path, log: str, reason: str) -> None:
    lake, root = lake_of(tmp_path, "a"), tmp_path / "in" / "table"
    write(root / "part-0.parquet", telemetry(egress=99.0))
    (root / log).parent.mkdir()
    (root / log).write_text("{}")
    write(tmp_path / "in" / "t.parquet", telemetry())
    outcomes = {outcome.source.name: outcome for outcome in take(lake, tmp_path / "in", move=True)}
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "t.parquet": "accepted",
        "table": "unreadable",
    }
    assert reason in outcomes["table"].error
    assert "xport" in outcomes["table"].error
    assert root.exists()


def test_a_delta_table_whose_files_are_not_its_rows_is_refused(tmp_path: Path) -> None:
    schema, configuration = telemetry().schema, {"delta.enableDeletionVectors": "true"}
    DeltaTable.create(str(tmp_path / "table"), schema=schema, configuration=configuration)
    [source] = find_snapshots([str(tmp_path / "table")])
    assert "with deletionVectors: its files alone are not its rows" in source.refusal


# What lies beside ----------------------------------------------------------------------------------------------------


def test_parquet_has_any_name_and_other_files_are_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    write(folder / "part-00000", telemetry())
    write(folder / "sites.dat", sites("a"))
    for name in ("notes.txt", "book.xlsx", ".hidden", "_SUCCESS"):
        (folder / name).write_text("PAR")
    os.mkfifo(folder / "pipe")
    listing = list_snapshots([str(folder)])
    assert [source.name for source in listing.sources] == ["part-00000", "sites.dat"]
    assert [Path(where).name for where in listing.passed_over] == ["book.xlsx", "notes.txt"]
    assert main(["ingest", str(folder), "--lake", str(tmp_path / "lake"), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert told.endswith("2 files passed over, by their names no snapshots: book.xlsx, notes.txt\n")


def test_watch_names_what_it_passes_over_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "book.xlsx").write_text("")
    assert main(["watch", str(tmp_path / "inbox"), "--once", "--lake", str(tmp_path / "lake")]) == 0
    assert "1 file passed over, by their names no snapshots: book.xlsx" in capsys.readouterr().out


def test_a_file_that_no_step_of_a_recipe_names_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in" / "t.parquet", telemetry())
    (tmp_path / "r.toml").write_text('[[step]]\nfiles = "sites.csv"\nepoch = "ms"\nencoding = "windows-1252"\n')
    (tmp_path / "in" / "sites.csv").write_bytes("site_id,name,region_id,lat,lon\na,Zürich,eu,1,2\n".encode("cp1252"))
    options = ["--recipe", str(tmp_path / "r.toml"), "--lake", str(tmp_path / "lake"), "--quiet"]
    assert main(["ingest", str(tmp_path / "in"), *options]) == 0
    assert capsys.readouterr().out.endswith("1 file passed over, by their names no snapshots: t.parquet\n")
    assert Lake(tmp_path / "lake").read("sites")["name"].to_pylist() == ["Zürich"]


def test_packed_parquet_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", telemetry())
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    [outcome] = take(lake_of(tmp_path, "a"), packed)
    assert (outcome.state, outcome.accepted) == ("accepted", pq.read_metadata(path).num_rows)


def test_a_name_that_is_not_utf8_and_a_file_without_rows_stop_nothing(tmp_path: Path) -> None:
    lake, folder = lake_of(tmp_path, "a"), tmp_path / "in"
    folder.mkdir()
    header = "ts,site_id,ingest_gbps,egress_gbps\n"
    Path(os.fsdecode(bytes(folder) + b"/telemetry-\xff.csv")).write_text(f"{header}2026-03-02T00:00Z,a,1,2\n")
    (folder / "telemetry-none.csv").write_text(header)
    odd, empty = sorted(take(lake, folder), key=lambda outcome: outcome.rows, reverse=True)
    assert (odd.state, odd.accepted, empty.state) == ("accepted", 1, "accepted")
    assert empty.notes == ("the file has a header and no rows",)
    assert lake.read("snapshots")["source"].to_pylist()[0].endswith(("telemetry-\\udcff.csv", "telemetry-none.csv"))
