"""Lakes in each state that a page must meet, and the app's pages as AppTest runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest, local_script_runner
from streamlit.util import calc_hash

from app.cached import pins, stores
from tests.conftest import SharedLake
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


@pytest.fixture(scope="session", autouse=True)
def no_polling() -> Iterator[None]:
    """AppTest asks a thousand times a second whether the page's thread has ended; here it waits for the thread."""
    asked = local_script_runner.require_widgets_deltas

    def wait(runner: local_script_runner.LocalScriptRunner, timeout: float = 3) -> None:
        if runner._script_thread is not None:
            runner._script_thread.join(timeout)
        asked(runner, timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_script_runner, "require_widgets_deltas", wait)
        yield


@pytest.fixture(scope="session")
def lakes(shared_lake: SharedLake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """full: everything, until the end of today; partial: required columns alone and no run; stale: of 2004, measured;
    empty: nothing at all;
    judged: two runs with licences, backtests, scores and peaks.
    No test may write to them; what pages were answered about them stays.
    """
    start = f"{pd.Timestamp.now('UTC') - pd.Timedelta(days=DAYS - 1):%Y-%m-%d}"
    builders: dict[str, Callable[[Path], object]] = {
        "full": lambda where: make_lake(where, start, days=DAYS),
        "partial": lambda where: make_lake(where, start, days=DAYS, optional=False, run=False),
        "stale": lambda where: make_lake(where, "2004-03-01", days=DAYS, source="abilene/X01.parquet"),
        "judged": judged_lake,
    }
    lakes = {name: shared_lake(name, build) for name, build in builders.items()}
    return lakes | {"empty": tmp_path_factory.mktemp("lakes") / "empty"}


@pytest.fixture(scope="session")
def lake(shared_lake: SharedLake) -> Path:
    """One with futures, as planned_lake makes it, to be read only; where a module needs another, it makes its own."""
    return shared_lake("planned", planned_lake)


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
