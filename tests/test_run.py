"""`make run`, whole: the page is served, the refresh goes on beside it and publishes, and when the command ends nothing
is left.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.forecasting.networks import lake_of

START_SECONDS, REFRESH_SECONDS, END_SECONDS = 90.0, 240.0, 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fetched(url: str) -> str:
    """The answer, empty where there is none yet."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except (URLError, ConnectionError, TimeoutError):
        return ""


def wait_until(true: Callable[[], object], seconds: float, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, f"make run ended by itself:\n{log.read_text()}"
        assert "refresh failed" not in log.read_text(), (log.parent / "var" / "refresh.log").read_text()
        assert time.monotonic() < deadline, f"not within {seconds:g} s:\n{log.read_text()}"
        time.sleep(0.5)


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in found if str(folder) in line]


@pytest.fixture
def lake(checkout: Path) -> Path:
    """Nine days of three sites: a refresh of it takes seconds."""
    return Path(lake_of(checkout / "var" / "lake").url)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def log(checkout: Path) -> Path:
    return checkout / "run.log"


@pytest.fixture
def served(checkout: Path, lake: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make run` on the lake, as a visitor starts it; the environment of the tests is taken as it is."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["make", "--old-file=.venv/ready", "run", f"LAKE={lake}", f"PORT={port}"],
            cwd=checkout,
            env=clean,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(END_SECONDS)


@pytest.mark.slow
def test_the_page_opens_forecasts_follow_and_ctrl_c_ends_it_all(
    served: subprocess.Popen[bytes], checkout: Path, lake: Path, port: int, log: Path
) -> None:
    site = f"http://127.0.0.1:{port}"
    wait_until(lambda: "<html" in fetched(site), START_SECONDS, served, log)
    wait_until(lambda: json.loads(fetched(f"{site}/readyz") or "{}").get("run"), REFRESH_SECONDS, served, log)
    assert processes_of(lake)
    os.killpg(served.pid, signal.SIGINT)
    served.wait(END_SECONDS)
    assert fetched(site) == ""
    assert processes_of(lake) == []
