"""Temporary folders that do not outlive their process for long: what a killed one left is cleared by the next.

A folder is held by a lock on a file in it, which the system releases however the process ends. That also tells the
folder of a process in another container, whose number says nothing here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "headroom-"
LOCK = ".held"
# Between the making of a folder and its lock lie microseconds; one without a lock for so long was abandoned in between.
UNLOCKED_SECONDS = 3600.0


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A new folder, removed at the end of the block, or by the next process where this one is killed."""
    folder, lock = held_folder(purpose)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def held_folder(purpose: str) -> tuple[Path, int]:
    """A new folder, and the open file whose lock says that it is in use; abandoned ones are removed first."""
    clear_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def clear_abandoned() -> int:
    """Remove the folders whose process is gone; returns how many."""
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        if folder.is_dir() and not folder.is_symlink() and _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed += not folder.exists()
    return removed


def _is_abandoned(folder: Path) -> bool:
    """Whether nobody holds the folder; one that cannot be looked into is somebody else's."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return folder.exists() and time.time() - folder.stat().st_mtime > UNLOCKED_SECONDS
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(lock)
