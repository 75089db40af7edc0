"""Serve the dashboard: a demo lake where there is no telemetry, a refresh in the background where no run has seen the
newest, then the server.

    python -m scripts.serve --lake var/lake --port 8501        (`make run`)

The page opens as soon as there is telemetry; the refresh goes on beside it and writes to var/refresh.log. It ends with
the server: a refresh publishes atomically, so one that is cut off leaves the last run serving and the next start begins
anew, whereas one that outlived its server would hold the cores of a machine whose user believes to have stopped
everything.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pyarrow.compute as pc

from data.lake.tables import Lake, files
from data.schema.errors import HeadroomError, SettingError

ROOT = Path(__file__).absolute().parent.parent
HOST = "127.0.0.1"
LOG = ROOT / "var" / "refresh.log"
# A refresh that is asked to end closes its pool within a second; after this it is killed.
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the server ends or is told to; returns its exit code."""
    options = parse(arguments)
    # Ctrl-C by name too: a shell that starts this in the background has it ignored.
    for ending in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(ending, _ended)
    try:
        require_free(options.port)
        fill(options.lake)
        return serve_beside_refresh(options.lake, options.port)
    except HeadroomError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options `lake` and `port`."""
    parser = argparse.ArgumentParser(prog="scripts.serve", description="Serve the dashboard of a lake.")
    parser.add_argument("--lake", default="var/lake", help="a folder or an s3:// address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8501, help=f"where to listen, on {HOST} (default: %(default)s)")
    return parser.parse_args(arguments)


def require_free(port: int) -> None:
    """Find out before the long work whether the server will be able to listen; raises SettingError."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except (OSError, OverflowError) as error:
        raise SettingError(
            f"Port {port} on {HOST} cannot be listened on: {error}.",
            cause="another program, perhaps another dashboard, listens there",
            remedy="name a free port from 1024 to 65535, for instance `make run PORT=8502`",
        ) from error


def holds_telemetry(lake: Lake) -> bool:
    """Whether there is anything to show."""
    version = lake.version("telemetry")
    return version is not None and bool(files(lake.url, "telemetry", version))


def is_behind(lake: Lake) -> bool:
    """Whether telemetry has come in, or was changed, since the newest that a published run was made on. Compaction
    makes a version of its own and changes no sample; where the log no longer tells, a refresh is due.
    """
    fitted = pc.max(lake.read("runs")["telemetry_version"]).as_py()
    if fitted is None:
        return True
    changed = lake.changed_dates("telemetry", fitted, lake.version("telemetry") or 0)
    return changed is None or bool(changed)


def fill(lake: str) -> None:
    """Make a demo lake where there is no telemetry, and the hourly and daily figures where there are none yet; raises
    SettingError where that fails.
    """
    if not holds_telemetry(Lake(lake)):
        print(f"{lake} holds no telemetry: making a demo lake, which is simulated and says so", flush=True)
        make_ready(lake, "demo")
    elif Lake(lake).version("telemetry_1h") is None:
        print(
            f"{lake} holds telemetry without its hourly figures, as when a command is cut off: making them", flush=True
        )
        make_ready(lake, "rollup")


def make_ready(lake: str, command: str) -> None:
    """Run one command of `python -m data` on the lake; raises SettingError where it fails."""
    done = subprocess.run([sys.executable, "-m", "data", command, "--lake", lake], cwd=ROOT, check=False)
    if done.returncode:
        raise SettingError(
            f"The lake {lake} could not be made ready: `data {command}` ended with exit code {done.returncode}.",
            cause="the message above says",
            remedy="mend that, or name a lake that holds telemetry: `make run LAKE=...`",
        )


def serve_beside_refresh(lake: str, port: int) -> int:
    """Run the server, and a refresh where one is due; returns the server's exit code."""
    refresh = start_refresh(lake) if is_behind(Lake(lake)) else None
    server = start_server(lake, port)
    try:
        return watch(server, refresh)
    finally:
        stop(server)
        if refresh:
            stop(refresh)


def start_refresh(lake: str) -> subprocess.Popen[bytes]:
    """Start a refresh that yields to the server, in a group of its own, so that it can be ended with all its
    workers.
    """
    LOG.parent.mkdir(parents=True, exist_ok=True)
    print(
        f"no run has seen the newest telemetry of {lake}: refreshing beside the server, log in {LOG.relative_to(ROOT)}",
        flush=True,
    )
    yielding = ["nice", "-n", "10"] if shutil.which("nice") else []
    command = [*yielding, sys.executable, "-m", "forecasting", "refresh", "--lake", lake]
    with LOG.open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, process_group=0)


def start_server(lake: str, port: int) -> subprocess.Popen[bytes]:
    """Start the server; in a group of its own it hears of Ctrl-C from here, in order, and not from the terminal."""
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "streamlit_app.py",
        "--server.address",
        HOST,
        "--server.port",
        str(port),
    ]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "HEADROOM_LAKE": lake}, process_group=0)


def watch(server: subprocess.Popen[bytes], refresh: subprocess.Popen[bytes] | None) -> int:
    """Wait for the server; say once how the refresh ended."""
    while server.poll() is None:
        if refresh and refresh.poll() is not None:
            print(
                "refresh published"
                if refresh.returncode == 0
                else f"refresh failed (exit code {refresh.returncode}): see {LOG.relative_to(ROOT)}",
                flush=True,
            )
            refresh = None
        time.sleep(POLL_SECONDS)
    return server.returncode


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: a request first, force after a grace."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)


def _ended(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
