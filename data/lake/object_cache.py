"""Files of a lake in an object store, brought near so that DuckDB can read them: its own object-store extension is a
download of its own.

A data file of a Delta table never changes, so each is fetched once for the life of the process.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import obstore

from data.lake.tables import store_at

# Room for the files of a large lake's newest months; more is fetched again when it is asked for.
ROOM_BYTES = 8 * 1024**3
# A file that a question may still be reading is never thrown out.
IN_USE_SECONDS = 600.0
FETCHES = 16

_LOCK = threading.Lock()
_USED: dict[Path, float] = {}


def local_copies(url: str, paths: Sequence[str]) -> list[str]:
    """Local copies of files of the lake at `url`, in the same order and under the same partition folders."""
    copies = {path: _folder() / str(abs(hash(url))) / path.removeprefix(f"{url}/") for path in paths}
    with _LOCK:
        _USED.update(dict.fromkeys(copies.values(), time.monotonic()))
    missing = [path for path in paths if not copies[path].exists()]
    if missing:
        with ThreadPoolExecutor(FETCHES) as pool:
            list(pool.map(lambda path: _fetch(url, path, copies[path]), missing))
        with _LOCK:
            _make_room()
    return [str(copies[path]) for path in paths]


@cache
def _folder() -> Path:
    """A folder of this process alone, removed when it ends."""
    _KEPT.append(tempfile.TemporaryDirectory(prefix="headroom-lake-"))
    return Path(_KEPT[0].name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _fetch(url: str, path: str, copy: Path) -> None:
    """Under its final name only when it is whole: two threads may want the same file."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    part = copy.with_name(f"{copy.name}.{threading.get_ident()}")
    part.write_bytes(obstore.get(store_at(url), path.removeprefix(f"{url}/")).bytes())
    part.replace(copy)


def _make_room() -> None:
    """Throw out the files that were longest unused, as far as the room asks for it."""
    sizes = {copy: copy.stat().st_size for copy in _USED if copy.exists()}
    held = sum(sizes.values())
    for copy in sorted(sizes, key=lambda copy: _USED[copy]):
        if held <= ROOM_BYTES or time.monotonic() - _USED[copy] < IN_USE_SECONDS:
            return
        held -= sizes[copy]
        copy.unlink()
        del _USED[copy]
