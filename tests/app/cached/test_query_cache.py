"""Kept answers: keyed by the query's full name, its declared tables, the scope and the arguments; bounded in bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from app.cached.query_cache import SizedCache, memoize, size_of
from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Lake, Pin, UndeclaredTableError
from data.queries import reads
from tests.lakes import Plan, full_lake

ONE_MB = pd.DataFrame({"value": np.zeros(125_000)})


@pytest.fixture(scope="module")
def pin(tmp_path_factory: pytest.TempPathFactory) -> Pin:
    return full_lake(
        tmp_path_factory.mktemp("answers") / "lake", Plan(sites=2, days=1, forecasts=False, gap=None)
    ).pin()


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def test_two_queries_of_one_name_have_answers_of_their_own(pin: Pin) -> None:
    def first() -> object:
        @memoize
        @reads("sites")
        def names(pin: Pin, scope: Scope) -> str:
            return "first"

        return names(pin, EVERYTHING)

    def second() -> object:
        @memoize
        @reads("sites")
        def names(pin: Pin, scope: Scope) -> str:
            return "second"

        return names(pin, EVERYTHING)

    assert [first(), second(), first()] == ["first", "second", "first"]


def test_a_cached_function_that_reads_an_undeclared_table_raises(pin: Pin) -> None:
    @memoize
    @reads("sites")
    def sites(pin: Pin, scope: Scope) -> int:
        return len(query(pin, "SELECT * FROM sites", ["sites"], scope=scope))

    @memoize
    @reads("capacity")
    def steps_by_site(pin: Pin, scope: Scope) -> float:
        return len(query(pin, "SELECT * FROM capacity", ["capacity"], scope=scope)) / sites(pin, scope)

    assert sites(pin, EVERYTHING) == 2
    with pytest.raises(UndeclaredTableError, match="reads sites and declares capacity alone"):
        steps_by_site(pin, EVERYTHING)


def test_an_argument_by_position_and_by_name_is_the_same_question(pin: Pin) -> None:
    asked: list[int] = []

    @memoize
    @reads("sites")
    def doubled(pin: Pin, scope: Scope, number: int, more: int = 0) -> int:
        asked.append(number)
        return 2 * number + more

    assert [doubled(pin, EVERYTHING, 3), doubled(pin, EVERYTHING, number=3), doubled(pin, EVERYTHING, 3, 0)] == [
        6,
        6,
        6,
    ]
    assert asked == [3]


def test_a_frame_is_no_key(pin: Pin) -> None:
    @memoize
    @reads("sites")
    def length(pin: Pin, scope: Scope, rows: pd.DataFrame) -> int:
        return len(rows)

    with pytest.raises(TypeError, match="unhashable"):
        length(pin, EVERYTHING, ONE_MB)


def test_a_new_version_of_a_declared_table_asks_again_and_of_another_does_not(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=2, days=1, forecasts=False, gap=None))
    asked: list[Pin] = []

    @memoize
    @reads("sites")
    def number(pin: Pin, scope: Scope) -> int:
        asked.append(pin)
        return len(query(pin, "SELECT * FROM sites", ["sites"], scope=scope))

    assert number(lake.pin(), EVERYTHING) == 2
    lake.append("events", lake.read("events"))
    assert number(lake.pin(), EVERYTHING) == 2
    assert len(asked) == 1
    lake.replace("sites", lake.read("sites").slice(0, 1))
    assert number(lake.pin(), EVERYTHING) == 1
    assert len(asked) == 2


def test_answers_are_bounded_in_bytes_and_the_one_used_last_stays() -> None:
    kept = SizedCache(5_500_000)
    computed: list[int] = []

    def answer(number: int) -> pd.DataFrame:
        def compute() -> pd.DataFrame:
            computed.append(number)
            return ONE_MB.copy()

        frame: pd.DataFrame = kept.get(("frame", number), compute)
        return frame

    for number in range(20):
        answer(number)
        answer(0)
    assert kept.used_bytes <= 5_500_000
    assert len(computed) == 20
    answer(19)
    assert len(computed) == 20
    answer(5)
    assert computed[-1] == 5


def test_an_answer_that_alone_passes_the_budget_is_handed_out_and_not_kept() -> None:
    kept = SizedCache(500_000)
    assert [len(kept.get("large", ONE_MB.copy)) for _ in range(2)] == [125_000, 125_000]
    assert kept.used_bytes == 0


def test_the_size_counts_arrays_frames_and_text() -> None:
    assert 8_000 <= size_of(np.zeros(1000)) <= 9_000
    assert size_of(ONE_MB) >= 1_000_000
    assert size_of(pd.DataFrame({"name": ["a long name of a site"] * 10_000})) >= 210_000
    assert size_of(MappingProxyType({"array": np.zeros(1000)})) >= 8_000
    assert size_of({"function": lambda: 1, "array": np.zeros(1000)}) >= 8_000
    assert size_of({"frame": ONE_MB, "arrays": (np.zeros(1000), np.zeros(1000))}) >= 1_016_000


def test_sessions_that_ask_at_once_compute_once() -> None:
    kept, begun, asked = SizedCache(1_000_000), threading.Event(), list[int]()

    def slow() -> int:
        asked.append(1)
        begun.wait(5)
        return 7

    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(kept.get("slow", slow))) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join(10)
    assert answers == [7, 7, 7, 7]
    assert asked == [1]


def test_an_error_is_raised_again_and_not_kept() -> None:
    kept = SizedCache(1_000_000)
    for _ in range(2):
        with pytest.raises(ValueError, match="no answer"):
            kept.get("error", _fail)
    assert kept.get("error", lambda: 1) == 1


def _fail() -> int:
    raise ValueError("no answer")


def test_the_lake_is_not_asked_for_what_is_kept(tmp_path: Path) -> None:
    """A hit is a shallow copy: a page that changes its copy leaves the kept frame alone."""
    lake = full_lake(tmp_path / "lake", Plan(sites=2, days=1, forecasts=False, gap=None))

    @memoize
    @reads("sites")
    def names(pin: Pin, scope: Scope) -> pd.DataFrame:
        return query(pin, "SELECT name FROM sites ORDER BY name", ["sites"], scope=scope)

    mine = names(Lake(lake.url).pin(), EVERYTHING)
    mine["name"] = "changed"
    assert "changed" not in set(names(lake.pin(), EVERYTHING)["name"])
