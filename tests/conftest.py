"""What all tests share: the browser, PostgreSQL, the real data sets, the golden files, and the rule that CI may skip
neither browser tests nor those that need PostgreSQL.
"""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.s3_server import S3Server

ROOT = Path(__file__).resolve().parent.parent
DATASETS = Path(os.environ.get("HEADROOM_DATASETS", ROOT.parent / "shared" / "datasets"))
TESTS = ROOT / "tests"
GOLDEN = TESTS / "golden"
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
NO_DATASETS = "no real data sets at"
NO_POSTGRESQL = (
    "no PostgreSQL: install one (Debian: apt-get install postgresql), or name a server where databases may be made "
    "in HEADROOM_TEST_POSTGRES, as postgresql://USER:PASSWORD@HOST/postgres"
)
NO_BROWSER = "no Chrome or Chromium: install one (Debian: apt-get install chromium), or name it in HEADROOM_CHROME"

# What commands may see of the checkout when they run elsewhere.
SEEN = (
    "Makefile",
    "app",
    "data",
    "forecasting",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.txt",
    "scripts",
    "streamlit_app.py",
    ".streamlit",
)

# An example that takes long on a busy machine says nothing about the product. Fifty examples are half of
# Hypothesis' own number; under CI they are the same each time.
settings.register_profile("headroom", deadline=None, max_examples=50)
settings.load_profile("headroom")

# A test in a browser, one visit of 10 to 30 CPU seconds, lasts about as long as so many others.
LASTS = 60

# A folder that all workers of one test run share, and that is removed after it.
RUN_FOLDER = "HEADROOM_TEST_RUN"
# What the shared folder says of the server that the workers share: the server's own folder.
POSTGRESQL = "postgresql"
# Lakes that are built once for all workers, and notes with the process numbers of the servers that they share.
LAKES, SERVERS = "lakes", "servers"
SERVER_ENDS_SECONDS = 20.0
SharedLake = Callable[[str, Callable[[Path], object]], Path]

_ran_in_browser: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that all workers share; they are started later and inherit its name."""
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="headroom-tests-"))
        for name in (LAKES, SERVERS):
            (folder / name).mkdir()
        os.environ[RUN_FOLDER] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers that the workers shared, and remove what they shared."""
    gc.unfreeze()
    if hasattr(config, "workerinput") or RUN_FOLDER not in os.environ:
        return
    folder = Path(os.environ.pop(RUN_FOLDER))
    for note in (folder / SERVERS).glob("*.pid"):
        end(int(note.read_text(encoding="utf-8")))
    if (folder / POSTGRESQL).exists():
        from tests import postgresql

        postgresql.stop(Path((folder / POSTGRESQL).read_text(encoding="utf-8")))
    shutil.rmtree(folder, ignore_errors=True)


def end(pid: int) -> None:
    """Ask a process that is no child of this one to end, and wait until it has."""
    until = time.monotonic() + SERVER_ENDS_SECONDS
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while is_running(pid) and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and that nobody has collected is none."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no Linux
        return True
    return state != "Z"


@contextmanager
def alone(name: str) -> Iterator[Path]:
    """A path of this name in the folder that all workers share, while no other worker is at it."""
    path = Path(os.environ[RUN_FOLDER]) / name
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


@pytest.fixture(scope="session")
def shared_lake() -> SharedLake:
    """Build a lake under a name once for all workers of a run: its folder, which no test may write to."""

    def built(name: str, build: Callable[[Path], object]) -> Path:
        with alone(f"{LAKES}/{name}") as folder:
            if not folder.exists():
                unfinished = folder.with_name(f"{name}.unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                build(unfinished / "lake")
                unfinished.rename(folder)
        return folder / "lake"

    return built


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """A PostgreSQL server where databases may be made: the one that HEADROOM_TEST_POSTGRES names, else one that all
    workers share for this test run. Where none is installed the test is skipped, under CI failed.
    """
    from tests import postgresql

    named = os.environ.get("HEADROOM_TEST_POSTGRES")
    if named:
        return named
    with alone(POSTGRESQL) as note:
        if not note.exists():
            folder = postgresql.start()
            if folder is None:
                pytest.skip(NO_POSTGRESQL)
            note.write_text(str(folder), encoding="utf-8")
        return postgresql.address(Path(note.read_text(encoding="utf-8")))


def in_ci() -> bool:
    """True where a test that cannot run is a failure and not a shrug."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server with an empty bucket, shared by all tests of the session."""
    from tests.s3_server import running

    with running() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a bucket that every client finds by its environment."""
    for name, value in s3_server.settings.items():
        monkeypatch.setenv(name, value)
    return s3_server.url


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of a Chrome or Chromium. Without one the test is skipped, under CI failed."""
    named = os.environ.get("HEADROOM_CHROME")
    found = next(filter(None, map(shutil.which, (named,) if named else BROWSERS)), None)
    if found is None:
        pytest.skip(NO_BROWSER)
    return found


@pytest.fixture(scope="session")
def datasets() -> Path:
    """Folder of the real data sets; the test is skipped where they are not."""
    if not DATASETS.is_dir():
        pytest.skip(f"{NO_DATASETS} {DATASETS}; name their folder in HEADROOM_DATASETS")
    return DATASETS


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that reads like the checkout, this environment included, and is written to like none."""
    for name in SEEN:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare text with the file of that name under tests/golden; `make golden` rewrites the file instead."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("HEADROOM_GOLDEN") == "write" and not in_ci():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"tests/golden/{name} is not there: `make golden` writes it"
        assert text == path.read_text(encoding="utf-8"), (
            f"tests/golden/{name} differs: where the change is meant, `make golden` rewrites it"
        )

    return compare


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser files stand among the others, as far apart as they last: of two workers, each of which takes the next
    file when it is done with one, one waits for pages while the other computes, and the last files are short.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    pages = {
        path: sum(item.get_closest_marker("browser") is not None for item in tests) for path, tests in files.items()
    }
    # Those at the top start servers and commands: one of them at the end would leave the other worker idle for a minute.
    others = iter(sorted((path for path, count in pages.items() if not count), key=lambda path: path.parent != TESTS))
    items.clear()
    for path, count in pages.items():
        if not count:
            continue
        items += files[path]
        beside = LASTS * count
        while beside > 0 and (other := next(others, None)):
            items += files[other]
            beside -= len(files[other])
    items += [item for path in others for item in files[path]]


def pytest_collection_finish() -> None:
    """What is imported and collected stays to the end: full collections, a twelfth of a run, pass over it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI a test that is skipped for want of PostgreSQL has failed, and so has a browser test that is skipped,
    unless it needs real data sets, which not every machine may hold.
    """
    report = yield
    if report.skipped and in_ci() and NO_POSTGRESQL in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"a test of the store was skipped under CI: {NO_POSTGRESQL}"
    absent = item.get_closest_marker("real") and NO_DATASETS in str(report.longrepr)
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and in_ci()
        and item.get_closest_marker("browser")
        and not absent
    ):
        report.outcome = "failed"
        report.longrepr = f"a browser test was skipped under CI: {report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Under CI no file may skip itself while it is imported: its browser tests would vanish without a trace."""
    report = yield
    if report.skipped and in_ci():
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skipped itself under CI: {report.longrepr}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which browser tests really ran."""
    if report.when == "call" and "browser" in report.keywords and not report.skipped:
        _ran_in_browser.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under CI a run of the whole suite without one browser test has failed, however it came about."""
    if _lost_its_browser_tests(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One loud line where no browser was found."""
    missed = [r for r in terminalreporter.stats.get("skipped", []) if NO_BROWSER in str(r.longrepr)]
    if missed:
        terminalreporter.write_line(
            f"!!! {len(missed)} BROWSER TESTS DID NOT RUN: {NO_BROWSER} !!!", red=True, bold=True
        )
    if _lost_its_browser_tests(config):
        terminalreporter.write_line("!!! NOT ONE BROWSER TEST RAN, AND THIS IS CI !!!", red=True, bold=True)


def _lost_its_browser_tests(config: pytest.Config) -> bool:
    whole = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    worker = hasattr(config, "workerinput")
    return in_ci() and whole and not worker and not config.option.collectonly and not _ran_in_browser
