"""Exactly once: whatever is killed, whoever else writes, and however often it is run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data.ingest import ledger
from data.ingest import run as ingest_run
from data.lake import rollups
from data.lake.maintenance import maintain
from data.lake.rollups import refresh_rollups, stale_dates
from data.lake.tables import Lake
from tests.data.ingest.ingest_frames import NOW, START, TICK, held, lake_of, rows, sites, take, telemetry, write

ROOT = Path(__file__).resolve().parents[3]
DAYS = 6


# The command itself, with small batches so that there are many commits to be killed between, and a word when the work
# begins.
DRIVER = """
import sys
from data import __main__
from data.ingest import run
run.BATCH_ROWS = 350
print("begun", flush=True)
sys.exit(__main__.main(sys.argv[1:]))
"""


def start(folder: Path, lake: str) -> subprocess.Popen[str]:
    """An ingest of the folder in a process of its own, which has begun."""
    command = [
        sys.executable,
        "-c",
        DRIVER,
        "ingest",
        str(folder),
        "--lake",
        str(folder.parent / lake / "lake"),
        "--quiet",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def snapshots(folder: Path) -> Path:
    """An inbox of a few days of two sites in small files, with corrections of each day."""
    write(folder / "sites.parquet", sites("a", "b"))
    for day in range(DAYS):
        begin = START + timedelta(days=day)
        write(
            folder / f"{day:02d}.parquet",
            pa.concat_tables([telemetry("a", 144, start=begin), telemetry("b", 144, start=begin, egress=50.0)]),
        )
        write(folder / f"{day:02d}-late.parquet", rows(("a", begin + TICK, NOW, 500.0 + day)))
    return folder


def content(lake: Lake) -> dict[str, Any]:
    """Everything that ingest is answerable for, but for when it ran."""
    tables = {
        name: lake.read(name)
        for name in ("sites", "telemetry", "telemetry_1h", "telemetry_1d", "snapshots", "quarantine")
    }
    tables["snapshots"] = tables["snapshots"].drop_columns(["ingested_at"])
    return {name: sorted(map(str, table.to_pylist())) for name, table in tables.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], float]:
    """An inbox, what a lake holds once it was taken in without disturbance, and how long that took."""
    inbox = snapshots(tmp_path_factory.mktemp("once") / "in")
    process = start(inbox, "calm")
    began = time.monotonic()
    finish(process)
    return inbox, content(Lake(inbox.parent / "calm" / "lake")), time.monotonic() - began


@pytest.mark.slow
def test_a_killed_ingest_that_is_run_again_leaves_the_same_lake(
    undisturbed: tuple[Path, dict[str, Any], float],
) -> None:
    inbox, expected, seconds = undisturbed
    draw = random.Random(7)
    killed = 0
    for _ in range(3):
        process = start(inbox, "killed")
        time.sleep(seconds * draw.uniform(0.05, 0.5))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert killed
    finish(start(inbox, "killed"))
    assert content(Lake(inbox.parent / "killed" / "lake")) == expected


def test_two_ingests_at_once_leave_the_same_lake(undisturbed: tuple[Path, dict[str, Any], float]) -> None:
    inbox, expected, _ = undisturbed
    for process in [start(inbox, "together"), start(inbox, "together")]:
        finish(process)
    assert content(Lake(inbox.parent / "together" / "lake")) == expected


def test_a_second_run_has_nothing_to_do(undisturbed: tuple[Path, dict[str, Any], float]) -> None:
    inbox, expected, _ = undisturbed
    lake = Lake(inbox.parent / "calm" / "lake")
    before = lake.pin()
    assert f"{2 * DAYS + 1} known already" in finish(start(inbox, "calm"))
    assert lake.pin() == before
    assert content(lake) == expected


class Killed(BaseException):
    """Ends a run at a chosen place, as a power cut would."""


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    write(tmp_path / "in" / "sites.parquet", sites("a"))
    return write(tmp_path / "in" / "t.parquet", telemetry(count=300)).parent


def dies(*_: object, **__: object) -> None:
    raise Killed


def dies_after(done: Callable[..., Any]) -> Callable[..., Any]:
    def run(*given: Any, **named: Any) -> None:
        done(*given, **named)
        raise Killed

    return run


def run_through(lake: Lake, folder: Path) -> None:
    take(lake, folder)
    refresh_rollups(lake)


@contextmanager
def patched(module: Any, name: str, by: Callable[..., Any]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, by)
        yield


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("module", "name"),
    [(ingest_run, "upsert"), (ledger, "_replace"), (ingest_run, "write_ledger"), (rollups, "_publish")],
)
def test_a_run_that_ends_at_a_seam_is_completed_by_the_next(
    tmp_path: Path, inbox: Path, module: Any, name: str, after: bool
) -> None:
    write(
        inbox / "partly.parquet",
        pa.concat_tables([telemetry(count=3, egress=70.0, received=TICK * 9), telemetry("nowhere")]),
    )
    calm, ended = lake_of(tmp_path / "calm"), lake_of(tmp_path / "ended")
    run_through(calm, inbox)
    with patched(module, name, dies_after(getattr(module, name)) if after else dies), pytest.raises(Killed):
        run_through(ended, inbox)
    run_through(ended, inbox)
    assert content(ended) == {
        name: [row.replace("/calm/", "/ended/") for row in rows] for name, rows in content(calm).items()
    }


def test_a_ledger_that_was_not_written_is_written_by_the_next_run(tmp_path: Path, inbox: Path) -> None:
    lake = lake_of(tmp_path, "a")
    with patched(ingest_run, "write_ledger", dies), pytest.raises(Killed):
        take(lake, inbox / "t.parquet")
    assert len(held(lake)) == 300
    assert lake.read("snapshots").num_rows == 0
    version = lake.version("telemetry")
    [outcome] = take(lake, inbox / "t.parquet")
    assert (outcome.state, lake.version("telemetry")) == ("accepted", version)
    assert lake.read("snapshots")["rows_accepted"].to_pylist() == [300]
    assert take(lake, inbox / "t.parquet")[0].state == "known"


def test_figures_that_were_not_made_are_made_by_the_next_run(tmp_path: Path, inbox: Path) -> None:
    lake = lake_of(tmp_path)
    take(lake, inbox)
    with patched(rollups, "_publish", dies), pytest.raises(Killed):
        refresh_rollups(lake)
    assert lake.read("telemetry_1d").num_rows == 0
    assert refresh_rollups(lake) == 2
    assert set(lake.read("telemetry_1d")["key"].to_pylist()) == {"a", "eu", "all"}
    assert refresh_rollups(lake) == 0


def dates_recomputed(lake: Lake) -> list[str] | None:
    """The dates that the rollups are behind, which are then made anew; None for all."""
    stale = stale_dates(lake).telemetry
    refresh_rollups(lake)
    return None if stale is None else sorted(map(str, stale))


def test_figures_are_made_anew_for_the_dates_touched_alone(tmp_path: Path, inbox: Path) -> None:
    lake = lake_of(tmp_path)
    take(lake, inbox)
    assert dates_recomputed(lake) is None  # nothing is known yet
    assert dates_recomputed(lake) == []
    take(lake, write(tmp_path / "late.parquet", rows(("a", START + timedelta(days=1), NOW, 3.0))))
    take(lake, write(tmp_path / "later.parquet", rows(("a", START + timedelta(days=3), NOW, 3.0))))
    assert dates_recomputed(lake) == ["2026-03-03", "2026-03-05"]


def test_a_compaction_touches_no_date(tmp_path: Path, inbox: Path) -> None:
    lake = lake_of(tmp_path)
    take(lake, inbox)
    lake.append("telemetry", telemetry(count=1, start=START + timedelta(hours=20)))
    dates_recomputed(lake)
    assert maintain(lake)["telemetry"]["files_compacted"] == 2
    assert dates_recomputed(lake) == []
    take(lake, write(tmp_path / "late.parquet", rows(("a", START + timedelta(days=1), NOW, 3.0))))
    assert dates_recomputed(lake) == ["2026-03-03"]


def test_a_site_that_moves_or_closes_touches_its_dates(tmp_path: Path, inbox: Path) -> None:
    lake = lake_of(tmp_path)
    take(lake, inbox)
    refresh_rollups(lake)
    lake.replace(
        "sites", pa.concat_tables([lake.read("sites"), lake.read("sites").set_column(0, "site_id", pa.array(["new"]))])
    )
    assert dates_recomputed(lake) == []  # nothing was measured at a new site
    place = lake.read("sites").column_names.index("region_id")
    lake.replace("sites", lake.read("sites").set_column(place, "region_id", pa.array(["us", "us"])))
    assert dates_recomputed(lake) == ["2026-03-02", "2026-03-03"]
    step = {
        "site_id": "a",
        "direction": "egress",
        "effective_from": START + timedelta(days=1),
        "capacity_gbps": 5.0,
        "status": "installed",
    }
    lake.replace("capacity", pa.Table.from_pylist([step]))
    assert dates_recomputed(lake) == []
    lake.replace("capacity", pa.Table.from_pylist([{**step, "capacity_gbps": 0.0}]))
    assert dates_recomputed(lake) == ["2026-03-03"]


def test_a_lake_whose_old_versions_are_gone_is_rolled_up_whole(tmp_path: Path, inbox: Path) -> None:
    lake = lake_of(tmp_path)
    take(lake, inbox)
    refresh_rollups(lake)
    for number in range(2):
        take(lake, write(tmp_path / f"late-{number}.parquet", rows(("a", START, NOW, number + 3.0))))
    telemetry_table, version = lake.open("telemetry"), lake.version("telemetry") or 0
    assert telemetry_table is not None
    telemetry_table.create_checkpoint()
    Path(lake.url, "telemetry", "_delta_log", f"{version - 1:020}.json").unlink()
    assert dates_recomputed(lake) is None
    assert dates_recomputed(lake) == []


def test_a_copy_under_another_name_is_the_same_snapshot(tmp_path: Path, inbox: Path) -> None:
    lake = lake_of(tmp_path, "a")
    (inbox / "copy.parquet").write_bytes((inbox / "t.parquet").read_bytes())
    assert [outcome.state for outcome in take(lake, inbox / "t.parquet", inbox / "copy.parquet")] == [
        "accepted",
        "known",
    ]
    assert lake.read("snapshots").num_rows == 1


def test_many_small_snapshots_are_one_commit(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "a")
    for i in range(30):
        write(tmp_path / "in" / f"{i}.parquet", telemetry(count=1, start=START + TICK * i))
    assert sum(outcome.accepted for outcome in take(lake, tmp_path / "in")) == 30
    assert lake.version("telemetry") == 1
    assert lake.read("snapshots").num_rows == 30


def test_a_refused_snapshot_may_be_tried_again_and_is_listed_once(tmp_path: Path, inbox: Path) -> None:
    lake = lake_of(tmp_path)
    assert [take(lake, inbox / "t.parquet")[0].state for _ in range(3)] == ["refused"] * 3
    assert (lake.read("snapshots").num_rows, lake.read("quarantine").num_rows) == (1, 1)
    assert len(os.listdir(tmp_path / "quarantine")) == 2
