"""Files of a lake in an object store, read by DuckDB range by range through a cache on the local disk.

DuckDB's own object-store extension is a download, so its file system is this one, in Python: a page that shows three
columns of one series fetches their chunks and the file's footer, not the file. A data file of a Delta table never
changes, so each range is fetched once for the life of the process.
"""

from __future__ import annotations

import atexit
import bisect
import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import obstore
from fsspec import AbstractFileSystem

from data.lake.object_store import TRAFFIC, lake_store, store_faults
from data.lake.tables import DataFile
from data.lake.temporary import held_folder
from data.schema.errors import LakeError

# Under this name DuckDB knows the file system; the URL in the store follows.
SCHEME = "lake"
# Room for the files of a large lake's newest months; more is fetched again when it is asked for.
ROOM_BYTES = 8 * 1024**3
# A file that a query may still be reading is never thrown out.
IN_USE_SECONDS = 600.0
# Files that are fetched ahead at once: their footers, or all of a small one.
FETCHES = 16
# A file up to this size comes whole: three round trips (footer, then columns) cost more than its bytes.
WHOLE_BYTES = 128 * 1024
# Footers of a month of hourly rows take 12 kB, of forecasts 25 kB, of bands 35 kB.
FOOTER_BYTES = 40 * 1024

Range = tuple[int, int]


class CachedFile:
    """Ranges of one file of an object store that lie on the local disk; half-open, in bytes. Threads share it."""

    def __init__(self, url: str, file: DataFile) -> None:
        self.url, self.path, self.size = url, file.path, file.size
        self.used = time.monotonic()
        self._lock = threading.Lock()
        self._present: list[Range] = []
        self._fetching: dict[Range, threading.Event] = {}
        self.copy = _folder() / f"{next(_NUMBERS)}.parquet"
        self.copy.touch()

    def read(self, start: int, end: int) -> bytes:
        """Bytes of a range; what is not here yet is fetched."""
        self.used = time.monotonic()
        end = min(end, self.size)
        self.fetch(start, end)
        with self.copy.open("rb") as copy:
            return os.pread(copy.fileno(), end - start, start)

    def fetch(self, start: int, end: int) -> None:
        """Bring what is missing of a range; what another thread is bringing is waited for."""
        while missing := self.missing(start, end):
            for gap in missing:
                with self._lock:
                    arriving = self._fetching.get(gap)
                    if arriving is None:
                        self._fetching[gap] = threading.Event()
                if arriving is None:
                    self._bring(gap)
                else:
                    arriving.wait()

    def missing(self, start: int, end: int) -> list[Range]:
        """The parts of a range that are not here."""
        with self._lock:
            gaps = []
            for first, last in self._present:
                if first > start:
                    gaps.append((start, min(first, end)))
                start = max(start, last)
                if start >= end:
                    break
            return [gap for gap in (*gaps, (start, end)) if gap[0] < gap[1]]

    def cached_bytes(self) -> int:
        """Bytes on the local disk."""
        with self._lock:
            return sum(last - first for first, last in self._present)

    def _bring(self, gap: Range) -> None:
        try:
            content = _fetched(self.url, self.path, gap)
            with self.copy.open("r+b") as copy:
                os.pwrite(copy.fileno(), content, gap[0])
            with self._lock:
                bisect.insort(self._present, gap)
        finally:
            with self._lock:
                self._fetching.pop(gap).set()


_NUMBERS = count()
_LOCK = threading.Lock()
_FILES: dict[str, CachedFile] = {}


def cached_files(url: str, files: Sequence[DataFile]) -> list[str]:
    """Names under which DuckDB reads files of the lake at `url`, in the same order and under the same partition folders.

    Footers and small files are fetched at once, side by side; the rest comes as DuckDB asks for it.
    """
    with _LOCK:
        for file in files:
            if file.path not in _FILES:
                _FILES[file.path] = CachedFile(url, file)
        cached = [_FILES[file.path] for file in files]
    ahead = [(file, _first_range(file.size)) for file in cached]
    ahead = [(file, first) for file, first in ahead if file.missing(*first)]
    if ahead:
        with ThreadPoolExecutor(FETCHES) as pool:
            list(pool.map(lambda item: item[0].fetch(*item[1]), ahead))
        _make_room()
    return [f"{SCHEME}://{file.path}" for file in files]


def _first_range(size: int) -> Range:
    return (0, size) if size <= WHOLE_BYTES else (size - FOOTER_BYTES, size)


def _fetched(url: str, path: str, gap: Range) -> bytes:
    """A range of a file from the store. ObjectStoreError, or LakeError where the file is gone."""
    try:
        with store_faults(url):
            content = bytes(
                obstore.get_range(lake_store(url), path.removeprefix(f"{url}/"), start=gap[0], length=gap[1] - gap[0])
            )
    except FileNotFoundError as error:
        raise LakeError(
            f"Files of the lake {url} cannot be read: {path.removeprefix(f'{url}/')} is not in the store.",
            cause="files of this version were removed",
            remedy="reload for the newest version; `python -m data status --lake LAKE` lists what can be read",
        ) from error
    TRAFFIC.count(len(content))
    return content


@cache
def _folder() -> Path:
    """A folder of this process alone, removed when it ends."""
    folder, _ = held_folder("lake")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _make_room() -> None:
    """Throw out the files that were longest unused, as far as the room asks for it."""
    with _LOCK:
        sizes = {path: file.cached_bytes() for path, file in _FILES.items()}
        excess = sum(sizes.values()) - ROOM_BYTES
        for path in sorted(sizes, key=lambda path: _FILES[path].used):
            if excess <= 0 or time.monotonic() - _FILES[path].used < IN_USE_SECONDS:
                return
            excess -= sizes[path]
            _FILES.pop(path).copy.unlink()


# For DuckDB
# ---------------------------------------------------------------------------------------------------------------------

# DuckDB tells of an error in here as text alone. The error itself waits here under a number that the text holds.
_RAISED: dict[str, LakeError] = {}
_NUMBERED = re.compile(r"lake-error-\d+")


def error_behind(error: BaseException) -> LakeError | None:
    """The LakeError that made DuckDB fail, where one did."""
    number = _NUMBERED.search(str(error))
    return _RAISED.pop(number.group(), None) if number else None


class _OpenFile:
    """A file as DuckDB reads it: by seek and read, from several threads at once, each with a position of its own."""

    def __init__(self, file: CachedFile) -> None:
        self._file, self.size = file, file.size
        self._position = threading.local()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self.size}[whence]
        self._position.at = base + offset
        return base + offset

    def tell(self) -> int:
        return int(getattr(self._position, "at", 0))

    def read(self, length: int = -1) -> bytes:
        start = self.tell()
        end = self.size if length < 0 else start + length
        try:
            content = self._file.read(start, end)
        except LakeError as error:
            number = f"lake-error-{next(_NUMBERS)}"
            _RAISED[number] = error
            raise OSError(number) from error
        self._position.at = start + len(content)
        return content

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: no file is open between reads."""


class LakeFiles(AbstractFileSystem):  # type: ignore[misc]
    """The files that `cached_files` named, as a file system that DuckDB can be given."""

    protocol = SCHEME
    cachable = False

    def open(self, path: str, *_: Any, **__: Any) -> _OpenFile:
        return _OpenFile(self._file(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        file = self._file(path)
        return {"name": file.path, "size": file.size, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        return self._name(path) in _FILES

    def isfile(self, path: str) -> bool:
        return self.exists(path)

    def glob(self, path: str, *_: Any, **__: Any) -> list[str]:
        return [path.removeprefix(f"{SCHEME}://")]

    def modified(self, _: str) -> datetime:
        """A data file never changes."""
        return datetime(2000, 1, 1, tzinfo=UTC)

    def _file(self, path: str) -> CachedFile:
        return _FILES[self._name(path)]

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{SCHEME}://")
