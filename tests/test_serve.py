"""`make run` behind the make: what it makes first, what it starts beside the server, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from data.lake.maintenance import maintain
from data.lake.tables import Lake
from data.schema import TABLES
from data.schema.errors import SettingError
from scripts import serve

STAMP = datetime(2026, 1, 1, tzinfo=UTC)


def rows(name: str, **given: object) -> pa.Table:
    """One row of a table, null where nothing is given."""
    schema = TABLES[name].schema
    return pa.table({field.name: pa.array([given.get(field.name)], field.type) for field in schema})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with one row of telemetry."""
    made = Lake(tmp_path / "lake")
    made.append("telemetry", rows("telemetry", ts=STAMP, site_id="fra", egress_gbps=1.0))
    return made


def run_of(version: int) -> pa.Table:
    return rows("runs", run_id=f"r{version}", telemetry_version=version)


def test_a_lake_that_is_not_there_holds_no_telemetry(tmp_path: Path) -> None:
    assert not serve.holds_telemetry(Lake(tmp_path / "none"))


def test_a_lake_with_an_empty_table_holds_no_telemetry(tmp_path: Path) -> None:
    empty = Lake(tmp_path / "lake")
    empty.commit("telemetry", lambda _: None)
    assert empty.version("telemetry") is not None
    assert not serve.holds_telemetry(empty)


def test_telemetry_is_seen(lake: Lake) -> None:
    assert serve.holds_telemetry(lake)


def test_a_lake_is_behind_until_a_run_has_seen_its_newest_telemetry(lake: Lake) -> None:
    assert serve.is_behind(lake)
    lake.append("runs", run_of(lake.version("telemetry") or 0))
    assert not serve.is_behind(lake)
    lake.append("telemetry", rows("telemetry", ts=STAMP, site_id="ams", egress_gbps=2.0))
    assert serve.is_behind(lake)


def test_a_compaction_leaves_no_run_behind(lake: Lake) -> None:
    lake.append("telemetry", rows("telemetry", ts=STAMP, site_id="ams", egress_gbps=2.0))
    fitted = lake.version("telemetry") or 0
    lake.append("runs", run_of(fitted))
    assert maintain(lake)["telemetry"]["files_compacted"] > 0
    assert (lake.version("telemetry") or 0) > fitted
    assert not serve.is_behind(lake)
    lake.append("telemetry", rows("telemetry", ts=STAMP, site_id="cdg", egress_gbps=3.0))
    assert serve.is_behind(lake)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are run, which do nothing."""
    seen: list[list[str]] = []

    def note(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        seen.append(command[1:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", note)
    return seen


def test_an_empty_lake_gets_a_demo(tmp_path: Path, commands: list[list[str]]) -> None:
    serve.fill(str(tmp_path / "none"))
    assert commands == [["-m", "data", "demo", "--lake", str(tmp_path / "none")]]


def test_a_lake_whose_making_was_cut_off_gets_its_hourly_figures(lake: Lake, commands: list[list[str]]) -> None:
    serve.fill(lake.url)
    assert commands == [["-m", "data", "rollup", "--lake", lake.url]]


def test_a_filled_lake_is_left_as_it_is(lake: Lake, commands: list[list[str]]) -> None:
    lake.append("telemetry_1h", rows("telemetry_1h", level="site", key="fra", ts=STAMP))
    serve.fill(lake.url)
    assert commands == []


def test_a_demo_that_fails_stops_the_start_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 3))
    with pytest.raises(
        SettingError, match=r"could not be made ready: `data demo` ended with exit code 3\. .*Remedy: .*make run LAKE="
    ):
        serve.fill(str(tmp_path / "none"))


def test_a_taken_port_is_refused_before_the_long_work() -> None:
    with socket.socket() as taken:
        taken.bind((serve.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=rf"Port {port} .*cannot be listened on.*Remedy: .*make run PORT="):
            serve.require_free(port)


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(SettingError, match=f"Port {port} "):
        serve.require_free(port)


def test_an_error_ends_the_command_with_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--port", "70000"]) == 1
    assert "Remedy: name a free port" in capsys.readouterr().err


FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_stopped_refresh_takes_its_workers_along() -> None:
    parent = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, process_group=0)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    serve.stop(parent)
    parent.stdout.close()
    assert parent.returncode == -signal.SIGTERM
    assert_gone(worker)


def test_a_process_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "GRACE_SECONDS", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, process_group=0)
    assert process.stdout is not None
    process.stdout.readline()
    serve.stop(process)
    process.stdout.close()
    assert process.wait(5) == -signal.SIGKILL


def test_a_process_that_has_ended_is_no_trouble() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], process_group=0)
    process.wait(10)
    serve.stop(process)
    assert process.returncode == 0


@pytest.mark.parametrize(("code", "said"), [(0, "refresh published"), (4, "refresh failed (exit code 4)")])
def test_the_end_of_a_refresh_is_told_once(
    code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "POLL_SECONDS", 0.01)
    refresh = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
    refresh.wait(10)
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    assert serve.watch(server, refresh) == 0
    assert capsys.readouterr().out.count(said) == 1


def assert_gone(pid: int) -> None:
    """Wait until the process is no more (or a zombie that its new parent has not yet collected)."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} outlived its parent")
