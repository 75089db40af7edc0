"""An inbox that is polled."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from data.ingest import command
from data.ingest.column_mapping import read_options
from data.ingest.command import Inbox
from data.ingest.run import IngestRun
from data.lake.tables import Lake
from tests.data.ingest.ingest_frames import held, lake_of, sites, telemetry, write


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(str(tmp_path / "inbox"), lambda _: [read_options()])


def aged(path: Path, seconds: float = 60) -> Path:
    """The file as if nobody had written to it for a while."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def states(lake: Lake, inbox: Inbox) -> list[tuple[str, str]]:
    return [(outcome.source.name, outcome.state) for outcome in inbox.poll(lake)]


def test_what_is_dropped_is_taken_in_and_figures_follow(tmp_path: Path, inbox: Inbox) -> None:
    lake = lake_of(tmp_path)
    assert states(lake, inbox) == []  # the folder is made where there is none
    aged(write(tmp_path / "inbox" / "sites.parquet", sites("a")))
    aged(write(tmp_path / "inbox" / "deep" / "t.parquet", telemetry()))
    assert states(lake, inbox) == [("sites.parquet", "accepted"), ("t.parquet", "accepted")]
    assert lake.read("telemetry_1d").num_rows == 3
    assert (tmp_path / "inbox" / "deep" / "t.parquet").exists()  # a snapshot is never changed
    assert states(lake, inbox) == []


def test_a_file_that_is_being_written_waits(tmp_path: Path, inbox: Inbox) -> None:
    lake, path = lake_of(tmp_path, "a"), tmp_path / "inbox" / "t.parquet"
    whole = write(path, telemetry()).read_bytes()
    path.write_bytes(whole[:200])
    assert states(lake, inbox) == []
    path.write_bytes(whole)
    assert states(lake, inbox) == []
    aged(path, command.SETTLED.total_seconds() + 0.1)
    assert states(lake, inbox) == [("t.parquet", "accepted")]


def test_what_is_refused_whole_leaves_the_inbox_and_what_is_refused_in_part_stays(tmp_path: Path, inbox: Inbox) -> None:
    lake = lake_of(tmp_path, "a")
    bad = tmp_path / "inbox" / "bad.parquet"
    aged(write(tmp_path / "inbox" / "part.parquet", telemetry("a", 2).set_column(1, "site_id", [["a", "zz"]])))
    bad.write_bytes(b"PAR1 cut off")
    aged(bad)
    [*found] = inbox.poll(lake)
    assert [(outcome.source.name, outcome.state) for outcome in found] == [
        ("part.parquet", "partial"),
        ("bad.parquet", "refused"),
    ]
    assert not bad.exists()
    assert Path(found[1].kept_at[0]).read_bytes() == b"PAR1 cut off"
    assert sorted(os.listdir(tmp_path / "inbox")) == ["part.parquet"]


def test_a_snapshot_that_is_written_again_is_looked_at_again(tmp_path: Path, inbox: Inbox) -> None:
    lake, path = lake_of(tmp_path, "a"), tmp_path / "inbox" / "t.parquet"
    aged(write(path, telemetry()))
    assert states(lake, inbox) == [("t.parquet", "accepted")]
    aged(write(path, telemetry(egress=30.0)), 30)
    assert states(lake, inbox) == [("t.parquet", "accepted")]
    assert held(lake)[0][2] == 30.0


def test_another_process_knows_what_was_taken_in(tmp_path: Path, inbox: Inbox) -> None:
    lake = lake_of(tmp_path, "a")
    aged(write(tmp_path / "inbox" / "t.parquet", telemetry()))
    inbox.poll(lake)
    assert states(lake, Inbox(inbox.url, inbox.options_of)) == [("t.parquet", "known")]


def test_a_file_that_cannot_be_read_is_tried_again(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, path = lake_of(tmp_path, "a"), tmp_path / "inbox" / "t.parquet"
    aged(write(path, telemetry()))

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        [outcome] = inbox.poll(lake)
    assert outcome.state == "unreadable"
    assert "t.parquet cannot be read: [Errno 13] Permission denied" in outcome.error
    assert states(lake, inbox) == [("t.parquet", "accepted")]


def test_figures_left_undone_by_another_are_made_even_when_nothing_is_new(tmp_path: Path, inbox: Inbox) -> None:
    lake = lake_of(tmp_path, "a")
    path = write(tmp_path / "elsewhere.parquet", telemetry())
    from data.ingest.run import plan_tasks
    from data.ingest.sources import find_snapshots

    assert [
        outcome.state
        for outcome in IngestRun(lake).run(plan_tasks(find_snapshots([str(path)]), lambda _: [read_options()]))
    ] == ["accepted"]
    assert lake.read("telemetry_1d").num_rows == 0
    assert inbox.poll(lake) == []
    assert lake.read("telemetry_1d").num_rows == 3
