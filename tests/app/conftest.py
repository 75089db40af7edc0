"""Lakes in each state that a page must meet, and the app's pages as AppTest runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.cached import pins, stores
from tests.judged_runs import judged_lake
from tests.planned_lake import planned_lake
from tests.small_lake import make_lake

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
DAYS = 4
Opener = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """AppTest leaves the script that it ran as `__main__`, and every process that is spawned later in this one would
    run it.
    """
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session", autouse=True)
def one_scan() -> Iterator[None]:
    """Every AppTest reads the description of every installed package, in search of components; what is installed stays
    the same.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="module", autouse=True)
def fresh_answers() -> None:
    """No module sees what another was answered."""
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """full: everything, until the end of today; partial: required columns alone and no run; stale: of 2004, measured;
    empty: nothing at all;
    judged: two runs with licences, backtests, scores and peaks.
    """
    where = tmp_path_factory.mktemp("lakes")
    start = f"{pd.Timestamp.now('UTC') - pd.Timedelta(days=DAYS - 1):%Y-%m-%d}"
    make_lake(where / "full", start, days=DAYS)
    make_lake(where / "partial", start, days=DAYS, optional=False, run=False)
    make_lake(where / "stale", "2004-03-01", days=DAYS, source="abilene/X01.parquet")
    judged_lake(where / "judged")
    return {name: where / name for name in ("full", "partial", "stale", "empty", "judged")}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with futures, as planned_lake makes it; where a module needs another, it makes its own."""
    where = tmp_path_factory.mktemp("planned") / "lake"
    planned_lake(where)
    return where


@pytest.fixture
def open_page(lakes: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Open a page on a lake (by the name of one of `lakes`, or a path) with what its URL says; the viewer sits in
    Tokyo.
    """

    def opened(page: str, lake: str | Path = "full", **asked: str) -> AppTest:
        monkeypatch.setenv("HEADROOM_LAKE", str(lakes[lake] if isinstance(lake, str) else lake))
        # Answers hold for a version of a lake, and stay; what the newest version is, is asked anew.
        pins.invalidate_pin()
        pins._refresh_note.clear()
        stores._store.clear()
        test = AppTest.from_file(MAIN, default_timeout=60)
        test.context["timezone"] = "Asia/Tokyo"
        test.query_params.update(asked)
        # AppTest goes to pages that are files; ours are functions, which Streamlit knows by the hash of their path.
        test._page_hash = calc_hash(page)
        return test.run()

    return opened
