"""Files brought near: fetched once, and thrown out only where room is short and nobody reads them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data.lake import object_cache as nearby
from data.lake.object_cache import local_copies


@pytest.fixture
def remote(tmp_path: Path) -> str:
    """A store with four files of 100 bytes; `near` reads a folder as it reads a bucket."""
    for i in range(4):
        (tmp_path / f"t/date=2026-01-0{i}").mkdir(parents=True)
        (tmp_path / f"t/date=2026-01-0{i}/f.parquet").write_bytes(bytes([i]) * 100)
    return str(tmp_path)


def paths(remote: str, *which: int) -> list[str]:
    return [f"{remote}/t/date=2026-01-0{i}/f.parquet" for i in which]


def test_copies_come_in_order_and_keep_their_partition(remote: str) -> None:
    copies = local_copies(remote, paths(remote, 2, 0))
    assert [Path(copy).read_bytes()[0] for copy in copies] == [2, 0]
    assert Path(copies[0]).parent.name == "date=2026-01-02"
    assert all(remote not in copy for copy in copies)


def test_a_file_is_fetched_once(remote: str) -> None:
    first = local_copies(remote, paths(remote, 1))
    Path(paths(remote, 1)[0]).unlink()
    assert local_copies(remote, paths(remote, 1)) == first
    assert Path(first[0]).read_bytes() == bytes([1]) * 100


def test_threads_that_want_the_same_file_all_get_it_whole(remote: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Path(local_copies(remote, paths(remote, 3))[0]).read_bytes(), range(32)))
    assert found == [bytes([3]) * 100] * 32


def test_the_longest_unused_makes_room(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby, "_USED", {})
    monkeypatch.setattr(nearby, "ROOM_BYTES", 250)
    monkeypatch.setattr(nearby, "IN_USE_SECONDS", 0.0)
    first, second = local_copies(remote, paths(remote, 0)), local_copies(remote, paths(remote, 1))
    local_copies(remote, paths(remote, 0))
    third = local_copies(remote, paths(remote, 2))
    assert [Path(*copy).exists() for copy in (first, second, third)] == [True, False, True]
    assert local_copies(remote, paths(remote, 1)) == second
    assert Path(*second).exists()


def test_a_file_in_use_stays_whatever_the_room(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby, "_USED", {})
    monkeypatch.setattr(nearby, "ROOM_BYTES", 0)
    copies = local_copies(remote, paths(remote, 0, 1, 2, 3))
    assert all(Path(copy).exists() for copy in copies)
