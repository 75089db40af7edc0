"""A refresh that is killed, at any moment, leaves the last run serving, no process behind, and nothing in the way of
the next.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries import forecast, latest_run, runs
from data.schema import Series
from forecasting.refresh import refresh
from tests.forecasting.halting import MOMENTS
from tests.forecasting.networks import NOW, Here, Steady

ROOT = Path(__file__).resolve().parents[3]
ALL = Series("global", "all", "egress_gbps")


@pytest.fixture
def served(lake: Lake) -> Lake:
    """A lake with one published run."""
    refresh(lake, engine=Steady(), executor=Here())
    return lake


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_refresh_leaves_the_last_run_and_the_next_one_publishes(served: Lake, moment: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.forecasting.halting", served.url, moment],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "standing still\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    pin = served.pin()
    last = latest_run(pin, EVERYTHING)
    assert last is not None
    assert last.number == 1
    assert len(forecast(pin, EVERYTHING, ALL, NOW, NOW + pd.Timedelta(days=91))) == 90 * 24
    note = served.read_note("refresh")
    assert note is not None
    assert note["state"] == "running"
    assert refresh(served, engine=Steady(), executor=Here()).number == 2
    assert runs(served.pin(), EVERYTHING)["number"].tolist() == [2, 1]


def begin(lake: Lake) -> subprocess.Popen[str]:
    """A real refresh, with two workers, whose workers have begun."""
    command = [sys.executable, "-m", "forecasting", "refresh", "--workers", "2", "--lake", lake.url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(descendants(process.pid)) >= 2)
    return process


def descendants(pid: int) -> list[int]:
    """Worker processes below one, by Linux's process table."""
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [int(entry.name) for entry in entries if parent_of(entry) == pid and b"spawn_main" in command_of(entry)]


def parent_of(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def command_of(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    return b"spawn_main" in command_of(Path(f"/proc/{pid}"))


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until a condition holds; fail where it does not come to hold."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's process table")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_a_refresh(served: Lake, ending: signal.Signals) -> None:
    process = begin(served)
    workers = descendants(process.pid)
    os.kill(process.pid, ending)
    out, err = process.communicate(timeout=120)
    wait_until(lambda: not any(alive(pid) for pid in workers))
    assert len(runs(served.pin(), EVERYTHING)) == 1
    if ending != signal.SIGKILL:
        assert (process.returncode, out, err) == (
            130,
            "",
            "interrupted: nothing was published, the last run still serves\n",
        )
        note = served.read_note("refresh")
        assert note is not None
        assert (note["state"], note["message"]) == ("failed", "it was interrupted")
