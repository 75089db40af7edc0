"""Temporary folders: what a killed process leaves, the next one clears; what a living one holds, nobody does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from data.lake import temporary
from data.lake.temporary import clear_abandoned, temporary_folder

ROOT = Path(__file__).parents[3]
HOLDS = """
import time
from data.lake.temporary import temporary_folder
with temporary_folder("rollup") as folder:
    (folder / "rows.parquet").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def holder(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds a temporary folder there, and the folder."""
    environment = {**os.environ, "TMPDIR": str(place)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_folder_of_a_killed_process_is_cleared_by_the_next(place: Path, end: signal.Signals) -> None:
    process, folder = holder(place)
    with temporary_folder("rollup") as mine:
        assert folder.exists()  # its owner lives
        process.send_signal(end)
        process.communicate()
        assert folder.exists()
        with temporary_folder("lake") as other:
            assert not folder.exists()
            assert mine.exists()
            assert other.exists()
    assert list(place.iterdir()) == []


def test_a_folder_without_a_lock_waits_for_its_owner_to_take_it(place: Path) -> None:
    folder = place / "headroom-rollup-new"
    folder.mkdir()
    (place / "headroom-notes.txt").write_text("no folder")
    (place / "somebody-else").mkdir()
    assert clear_abandoned() == 0
    long_ago = time.time() - temporary.UNLOCKED_SECONDS - 1
    os.utime(folder, (long_ago, long_ago))
    assert clear_abandoned() == 1
    assert sorted(path.name for path in place.iterdir()) == ["headroom-notes.txt", "somebody-else"]
