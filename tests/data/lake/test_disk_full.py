"""A disk that fills up loses nothing, and the error says that it is full and what helps."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from data.__main__ import main
from data.lake.object_store import disk_full
from data.lake.tables import Lake
from data.schema.errors import LakeError

SAYS = r"The disk that holds .*lake is full: .* MB are free.*Remedy: free some space or move the lake, then run"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def telemetry(rows: int) -> pa.Table:
    stamps = pa.array(np.arange(rows) * 60_000_000 + 1_770_000_000_000_000, pa.timestamp("us", "UTC"))
    traffic = np.random.default_rng(7).random(rows)
    return pa.table({"ts": stamps, "site_id": pa.repeat("a", rows), "egress_gbps": traffic, "ingest_gbps": traffic})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def make_room(disk: Path) -> None:
    """Delete what the failed write left, which is in nobody's way; the library's threads may still be at it."""
    until = time.monotonic() + 10.0
    while shutil.disk_usage(disk).free < 300_000 and time.monotonic() < until:
        for path in [path for path in disk.rglob("*") if path.is_file() and ".parquet" in path.name]:
            with suppress(FileNotFoundError):
                if path.stat().st_size > 20_000:
                    path.unlink()
        time.sleep(0.1)


def test_a_disk_that_fills_up_says_so_and_keeps_what_was_committed(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.lake.tables.DENSEST", 10_000)  # so that the writing itself fails
    lake = Lake(small_disk / "lake")
    lake.append("telemetry", telemetry(100))
    with pytest.raises(LakeError, match=SAYS):
        lake.append("telemetry", telemetry(200_000))
    assert Lake(lake.url).read("telemetry").num_rows == 100
    make_room(small_disk)
    lake.append("telemetry", telemetry(100))
    assert lake.read("telemetry").num_rows == 200


def test_what_cannot_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path / "lake")
    version = lake.append("telemetry", telemetry(100))
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10, 9, 1_000_000))
    with pytest.raises(LakeError, match=r"is full: 1\.0 MB are free, and about \d+\.\d MB are needed"):
        lake.append("telemetry", telemetry(400_000))
    assert lake.version("telemetry") == version


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "no room"),
        OSError(errno.EDQUOT, "quota"),
        OSError("Generic LocalFileSystem error: Unable to copy data to file: No space left on device (os error 28)"),
    ],
)
def test_the_libraries_say_it_in_several_ways(tmp_path: Path, error: Exception) -> None:
    assert "is full" in str(disk_full(str(tmp_path / "not" / "there"), error))
    assert disk_full(str(tmp_path), OSError(errno.EACCES, "denied")) is None


def test_a_command_that_meets_a_full_disk_is_told_so_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "quarantine" / "x"))

    monkeypatch.setattr("data.ingest.command.status", full)
    assert main(["status", "--lake", str(tmp_path / "lake")]) == 2
    assert f"python -m data status: The disk that holds {tmp_path}/quarantine/x is full" in capsys.readouterr().err
