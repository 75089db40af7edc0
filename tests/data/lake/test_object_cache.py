"""Files in object stores: each range is fetched once, small files whole, and thrown out only where room is short."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data.lake import object_cache
from data.lake.object_cache import SCHEME, LakeFiles, cached_files
from data.lake.object_store import TRAFFIC
from data.lake.tables import DataFile
from data.schema.errors import LakeError

SIZE = 1_000_000


@pytest.fixture
def remote(tmp_path: Path) -> str:
    """A store with four files of 1 MB; a folder is read as a bucket is."""
    for i in range(4):
        (tmp_path / f"t/date=2026-01-0{i}").mkdir(parents=True)
        (tmp_path / f"t/date=2026-01-0{i}/f.parquet").write_bytes(bytes([i]) * SIZE)
    return str(tmp_path)


def files(remote: str, *which: int, size: int = SIZE) -> list[DataFile]:
    return [DataFile(f"{remote}/t/date=2026-01-0{i}/f.parquet", f"2026-01-0{i}", size) for i in which]


def read(name: str, start: int, length: int) -> bytes:
    """What DuckDB does."""
    opened = LakeFiles().open(name)
    opened.seek(start)
    return opened.read(length)


def fetched(since: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Requests and bytes."""
    return TRAFFIC.requests - since[0], TRAFFIC.bytes - since[1]


def test_names_come_in_order_and_keep_their_partition(remote: str) -> None:
    names = cached_files(remote, files(remote, 2, 0))
    assert [read(name, 7, 3) for name in names] == [b"\2\2\2", b"\0\0\0"]
    assert names[0] == f"{SCHEME}://{remote}/t/date=2026-01-02/f.parquet"


def test_only_the_ranges_that_are_read_are_fetched_and_each_once(remote: str) -> None:
    before = fetched()
    (name,) = cached_files(remote, files(remote, 1))
    assert fetched(before) == (1, object_cache.FOOTER_BYTES)
    assert read(name, 1000, 500) == b"\1" * 500
    assert read(name, 1200, 500) == b"\1" * 500
    assert read(name, 900, 900) == b"\1" * 900
    assert read(name, SIZE - 100, 100) == b"\1" * 100
    # The gaps at 1,500, 900 and 1,700 alone.
    assert fetched(before) == (5, object_cache.FOOTER_BYTES + 900)


def test_a_small_file_comes_whole_in_one_request(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_cache, "WHOLE_BYTES", SIZE)
    before = fetched()
    (name,) = cached_files(remote, files(remote, 1))
    assert [read(name, start, 10) for start in (0, 500_000)] == [b"\1" * 10] * 2
    assert fetched(before) == (1, SIZE)


def test_threads_that_want_the_same_range_fetch_it_once(remote: str) -> None:
    (name,) = cached_files(remote, files(remote, 3))
    before = fetched()
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda _: read(name, 0, 1000), range(32)))
    assert contents == [b"\3" * 1000] * 32
    assert fetched(before) == (1, 1000)


def test_a_handle_that_threads_share_keeps_their_positions_apart(remote: str) -> None:
    (name,) = cached_files(remote, files(remote, 2))
    opened = LakeFiles().open(name)
    opened.seek(900_000)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: (opened.seek(10), opened.read(5), opened.tell())).result() == (10, b"\2" * 5, 15)
    assert opened.tell() == 900_000


def test_the_longest_unused_makes_room(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_cache, "_FILES", {})
    monkeypatch.setattr(object_cache, "ROOM_BYTES", int(2.5 * object_cache.FOOTER_BYTES))
    monkeypatch.setattr(object_cache, "IN_USE_SECONDS", 0.0)
    cached_files(remote, files(remote, 0))
    cached_files(remote, files(remote, 1))
    read(cached_files(remote, files(remote, 0))[0], SIZE - 1, 1)
    cached_files(remote, files(remote, 2))
    assert [int(Path(path).parent.name[-1]) for path in object_cache._FILES] == [0, 2]
    assert read(cached_files(remote, files(remote, 1))[0], SIZE - 1, 1) == b"\1"


def test_a_file_in_use_stays_whatever_the_room(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_cache, "_FILES", {})
    monkeypatch.setattr(object_cache, "ROOM_BYTES", 0)
    cached_files(remote, files(remote, 0, 1, 2, 3))
    assert len(object_cache._FILES) == 4


def test_a_file_that_is_gone_is_told_as_such(remote: str) -> None:
    gone = files(remote, 0, 1)
    Path(gone[1].path).unlink()
    with pytest.raises(
        LakeError, match=r"t/date=2026-01-01/f\.parquet is not in the store\. Likely cause: files of this"
    ):
        cached_files(remote, gone)
