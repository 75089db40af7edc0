"""The lake keeps its promises, in a folder and in an object store: versions, marks, writers that meet, upkeep."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake.exceptions import DeltaError

from data import queries
from data.lake.maintenance import maintain
from data.lake.object_store import store_at
from data.lake.query import EVERYTHING, query
from data.lake.rollups import refresh_rollups
from data.lake.tables import Change, Lake, TableState, sibling, stored
from data.schema import TABLES
from data.schema.errors import LakeError
from tests.lakes import replace_dates

ROOT = Path(__file__).resolve().parents[3]
START = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)


@pytest.fixture(params=["folder", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """A new lake, once in a folder and once in an object store: the same code serves both."""
    return Lake(
        tmp_path / "lake" if request.param == "folder" else f"{request.getfixturevalue('s3')}/{tmp_path.name}/lake"
    )


def samples(first: int, count: int = 1, egress: float = 1.0) -> pa.Table:
    stamps = [START + timedelta(minutes=5 * (first + i)) for i in range(count)]
    return pa.table(
        {
            "ts": pa.array(stamps, pa.timestamp("us", "UTC")),
            "received_at": pa.array(stamps, pa.timestamp("us", "UTC")),
            "site_id": ["a"] * count,
            "ingest_gbps": [1.0] * count,
            "egress_gbps": [egress] * count,
        }
    )


def one_site() -> pa.Table:
    return pa.table({"site_id": ["a"], "name": ["Alpha"], "region_id": ["r"], "lat": [1.0], "lon": [2.0]})


def count(lake: Lake, **older: int) -> int:
    return int(query(lake.pin(**older), "SELECT count(*) AS n FROM telemetry", ["telemetry"], scope=EVERYTHING)["n"][0])


# Versions
# ------------------------------------------------------------------------------------------------------------------


def test_every_version_can_be_read_again(lake: Lake) -> None:
    versions = [lake.append("telemetry", samples(0, 12)), lake.append("telemetry", samples(12, 12))]
    versions.append(replace_dates(lake, "telemetry", samples(0, 1), [date(2026, 1, 31)]))
    versions.append(lake.replace("telemetry", samples(0, 5)))
    assert versions == sorted(set(versions))
    assert [count(lake, telemetry=version) for version in versions] == [12, 24, 13, 5]
    assert [lake.read("telemetry", version).num_rows for version in versions] == [12, 24, 13, 5]
    assert [entry["version"] for entry in lake.history("telemetry")] == [*reversed(versions), 0]


def test_a_pin_does_not_move_when_the_lake_does(lake: Lake) -> None:
    lake.append("telemetry", samples(0, 3))
    pin = lake.pin()
    lake.append("telemetry", samples(3, 3))
    assert query(pin, "SELECT count(*) AS n FROM telemetry", ["telemetry"], scope=EVERYTHING)["n"][0] == 3
    assert lake.pin() != pin
    assert count(lake) == 6


def test_a_new_version_is_seen_by_one_who_has_looked_before(lake: Lake) -> None:
    other = Lake(lake.url)
    assert other.version("telemetry") is None
    seen = []
    for i in range(3):
        lake.append("telemetry", samples(i))
        seen.append(other.pin().version("telemetry"))
    assert seen == [1, 2, 3]


def test_replacing_dates_leaves_the_others_alone(lake: Lake) -> None:
    lake.append("telemetry", samples(0, 24))
    replace_dates(lake, "telemetry", samples(12, 1, egress=7.0), [date(2026, 2, 1)])
    held = lake.read("telemetry").to_pandas().sort_values("ts")
    assert held["egress_gbps"].tolist() == [1.0] * 12 + [7.0]


def test_rows_outside_the_dates_replaced_are_refused(lake: Lake) -> None:
    lake.append("telemetry", samples(0, 3))
    with pytest.raises(DeltaError, match=r"1 rows failed validation check"):
        replace_dates(lake, "telemetry", samples(0, 1), [date(2026, 2, 1)])
    assert count(lake) == 3


def test_reading_makes_no_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "nothing")
    assert lake.pin().versions == ()
    assert lake.version("telemetry") is None
    assert lake.read("sites").num_rows == 0
    assert lake.history("sites") == []
    assert not lake.marked("telemetry", "x")
    assert not (tmp_path / "nothing").exists()


def test_another_lake_in_the_same_place_is_another_lake(tmp_path: Path) -> None:
    first, second, place = tmp_path / "first", tmp_path / "second", tmp_path / "lake"
    for folder, rows in ((first, 3), (second, 5)):
        Lake(folder).append("telemetry", samples(0, rows))
    first.rename(place)
    lake = Lake(place)
    old = lake.pin()
    assert count(lake) == 3
    place.rename(first)
    second.rename(place)
    assert lake.pin().versions == old.versions
    assert lake.pin() != old
    assert count(lake) == 5


def test_a_lost_version_says_what_to_do(lake: Lake) -> None:
    lake.append("telemetry", samples(0))
    with pytest.raises(
        LakeError, match=r"at version 99 cannot be read.*Likely cause: .*Remedy: run `python -m data status"
    ):
        lake.open("telemetry", 99)


# Marks
# ---------------------------------------------------------------------------------------------------------------------


def test_a_mark_becomes_visible_with_its_rows(lake: Lake) -> None:
    lake.append("telemetry", samples(0), marks=["one"])
    before = lake.pin().version("telemetry")
    lake.append("telemetry", samples(1), marks=["two", "three"])
    assert [lake.marked("telemetry", mark) for mark in ("one", "two", "three", "four")] == [True, True, True, False]
    older = lake.open("telemetry", before)
    assert older is not None
    assert older.transaction_version("two") is None


def test_a_writer_that_dies_leaves_neither_rows_nor_marks(lake: Lake) -> None:
    lake.append("telemetry", samples(0))

    def half() -> Iterator[pa.RecordBatch]:
        yield from stored(TABLES["telemetry"], samples(1)).to_batches()
        raise OSError("the disk is gone")

    reader = pa.RecordBatchReader.from_batches(stored(TABLES["telemetry"], samples(1)).schema, half())
    with pytest.raises(DeltaError, match=r"the disk is gone"):
        lake.commit("telemetry", lambda _: Change(reader, marks=["dead"]))
    assert count(lake) == 1
    assert not lake.marked("telemetry", "dead")


def test_a_change_may_be_declined(lake: Lake) -> None:
    lake.append("telemetry", samples(0), marks=["one"])
    version = lake.version("telemetry")
    lake.commit("telemetry", lambda table: None if table.has_mark("one") else Change(samples(1)))
    assert lake.version("telemetry") == version


# Writers that meet
# ---------------------------------------------------------------------------------------------------------


def test_threads_that_append_at_once_lose_nothing(lake: Lake) -> None:
    lake.append("telemetry", samples(0))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: Lake(lake.url).append("telemetry", samples(i), marks=[f"m{i}"]), range(1, 9)))
    assert sorted(lake.read("telemetry")["ts"].to_pylist()) == samples(0, 9)["ts"].to_pylist()
    assert all(lake.marked("telemetry", f"m{i}") for i in range(1, 9))


def test_replacing_and_appending_at_once_keep_both(lake: Lake) -> None:
    lake.append("telemetry", samples(0, 24))

    def raise_by_one(_: int) -> None:
        """Read, change, write: lost if made from a state that another writer has changed meanwhile."""
        Lake(lake.url).commit("telemetry", lambda table: Change(_raised(table), whole=True))

    with ThreadPoolExecutor(3) as pool:
        raised = [pool.submit(raise_by_one, i) for i in range(3)]
        added = [pool.submit(Lake(lake.url).append, "telemetry", samples(24 + i, egress=100.0)) for i in range(2)]
        done = [future.result() is not None for future in added] + [future.result() is None for future in raised]
    assert all(done)
    egress = lake.read("telemetry").to_pandas().sort_values("ts")["egress_gbps"].tolist()
    assert egress[:24] == [4.0] * 24
    assert all(100.0 <= value <= 103.0 for value in egress[24:])
    assert len(egress) == 26


def _raised(table: TableState) -> pa.Table:
    rows = table.rows()
    return rows.set_column(rows.column_names.index("egress_gbps"), "egress_gbps", pc.add(rows["egress_gbps"], 1.0))


APPEND = """
import sys
import pyarrow as pa
from datetime import datetime, timedelta, UTC
from data.lake.tables import Lake
url, first = sys.argv[1], int(sys.argv[2])
for i in range(first, first + 4):
    ts = pa.array([datetime(2026, 1, 31, 23, tzinfo=UTC) + timedelta(minutes=5 * i)], pa.timestamp("us", "UTC"))
    Lake(url).append("telemetry", pa.table({"ts": ts, "site_id": ["a"]}), marks=[f"m{i}"])
"""


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    writers = [subprocess.Popen([sys.executable, "-c", APPEND, lake.url, str(first)], cwd=ROOT) for first in (0, 4)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert sorted(lake.read("telemetry")["ts"].to_pylist()) == samples(0, 8)["ts"].to_pylist()


# Upkeep
# --------------------------------------------------------------------------------------------------------------------


def test_upkeep_compacts_and_keeps_older_versions_readable(lake: Lake) -> None:
    for i in range(5):
        lake.append("telemetry", samples(i))
    pin = lake.pin()
    done = maintain(lake)
    assert done["telemetry"]["files_compacted"] == 5
    assert done["telemetry"]["files_vacuumed"] == 0
    assert len(pa.table(lake.open("telemetry").get_add_actions(flatten=True))) == 1  # type: ignore[union-attr]
    assert query(pin, "SELECT count(*) AS n FROM telemetry", ["telemetry"], scope=EVERYTHING)["n"][0] == 5
    assert count(lake) == 5
    lake.append("telemetry", samples(5))
    assert count(lake) == 6


@pytest.mark.parametrize("retention", [timedelta(0), timedelta(days=6, hours=23)])
def test_upkeep_refuses_a_retention_that_would_break_readers(lake: Lake, retention: timedelta) -> None:
    lake.append("telemetry", samples(0))
    with pytest.raises(
        LakeError, match=r"is shorter than the safe 7 days.*still read an older version.*use 7 days or more"
    ):
        maintain(lake, retention)


def test_files_lie_sorted_and_pruned_by_date(lake: Lake) -> None:
    lake.append("telemetry", samples(0, 24))
    table = lake.open("telemetry")
    assert table is not None
    actions = pa.table(table.get_add_actions(flatten=True))
    assert sorted(map(str, actions["partition.date"].to_pylist())) == ["2026-01-31", "2026-02-01"]
    assert sorted(actions["num_records"].to_pylist()) == [12, 12]


# A whole lake on either
# ----------------------------------------------------------------------------------------------------


def test_rollups_and_questions_work_wherever_the_lake_lies(lake: Lake) -> None:
    lake.replace("sites", one_site())
    lake.append("telemetry", samples(0, 24))
    assert refresh_rollups(lake) == 2
    pin = lake.pin()
    held = queries.extent(pin, EVERYTHING)
    assert held is not None
    assert (held.last, held.grain_seconds, held.sites) == (START + timedelta(minutes=115), 300, 1)
    assert queries.sites_now(pin, EVERYTHING)["egress_gbps"].tolist() == [1.0]
    for grain, rows in (("5min", 24), ("1h", 2)):
        frame = queries.history(pin, EVERYTHING, "global", "all", ("egress_gbps",), held.first, held.now, grain)  # type: ignore[arg-type]
        assert frame["egress_gbps_mean"].tolist() == [1.0] * rows
    assert set(queries.table_versions(pin, EVERYTHING)["table"]) == {
        "sites",
        "telemetry",
        "telemetry_1h",
        "telemetry_1d",
    }


def test_notes_are_written_and_read(lake: Lake) -> None:
    assert lake.read_note("refresh") is None
    lake.write_note("refresh", {"state": "running", "done": 3, "started": START})
    assert lake.read_note("refresh") == {"state": "running", "done": 3, "started": str(START)}


@pytest.mark.parametrize(
    ("url", "beside"),
    [
        ("/x/lake", "/x/quarantine"),
        ("s3://bucket/net/lake", "s3://bucket/net/quarantine"),
        ("gs://bucket/lake", "gs://bucket/quarantine"),
    ],
)
def test_the_place_beside_a_lake(url: str, beside: str) -> None:
    assert sibling(url, "quarantine") == beside


def test_a_store_is_made_where_there_is_no_folder(tmp_path: Path) -> None:
    store_at(str(tmp_path / "new" / "place"))
    assert (tmp_path / "new" / "place").is_dir()
