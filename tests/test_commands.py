"""The commands of the Makefile and of continuous integration, and the rule that the latter may not skip the browser
tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What the tests' own run puts into the environment would steer the runs that they start.
STEERING = ("PYTEST_", "HEADROOM_", "MAKE", "MFLAGS", "COVERAGE")
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(STEERING) and key != "CI"}
OUTPUT_TIMEOUT = 60


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of this test run in its environment."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**CLEAN, **environment},
        capture_output=True,
        text=True,
        timeout=OUTPUT_TIMEOUT,
        check=False,
    )


@cache
def planned(*goal: str) -> str:
    """What make would run."""
    done = run("make", "--dry-run", "--always-make", *goal)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def listed() -> str:
    """What make says of its commands."""
    return run("make").stdout


@pytest.mark.parametrize(
    "goal",
    [
        "run",
        "test",
        "check",
        "bench",
        "coverage",
        "mutants",
        "golden",
        "samples",
        "docs",
        "lock",
        "env",
        "dev",
        "clean",
    ],
)
def test_every_command_is_there_and_listed(goal: str) -> None:
    assert planned(goal)
    assert re.search(rf"^  make {goal}\s+[A-Z]\w+", listed(), re.MULTILINE)


def test_run_takes_a_port_and_a_lake() -> None:
    assert '--lake "s3://bucket/lake" --port "9000"' in planned("run", "PORT=9000", "LAKE=s3://bucket/lake")
    assert '--lake "var/lake" --port "8501"' in planned("run")


def test_run_installs_only_what_runs() -> None:
    assert "requirements-dev.txt" not in planned("run")
    assert "requirements-dev.txt" in planned("test")


def test_test_means_everything() -> None:
    plan = planned("test")
    steps = [plan.index(step) for step in ("ruff check", "ruff format --check", "mypy", "browser.sh", "pytest")]
    assert steps == sorted(steps)
    assert "-m " not in plan[plan.index("-m pytest") + len("-m pytest") :]


def test_check_runs_no_test() -> None:
    assert "pytest" not in planned("check")


def test_what_is_installed_is_not_installed_again(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "ready").touch()
    assert "env.sh" not in run("make", "--dry-run", "run", cwd=tmp_path).stdout
    os.utime(tmp_path / ".venv" / "ready", (0, 0))
    assert "env.sh" in run("make", "--dry-run", "run", cwd=tmp_path).stdout


def test_an_old_python_is_refused_in_words(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = run("scripts/env.sh", str(tmp_path / "venv" / "ready"), "requirements.txt", PYTHON=str(old))
    assert done.returncode != 0
    assert "Headroom needs Python 3.11 or later" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_ci_calls_make_test_and_takes_no_shortcut_from_outside(tmp_path: Path) -> None:
    fakes = {"make": 'echo "$@ CI=$CI [$PYTEST_ADDOPTS] [$TESTS]"', "initdb": ":"}
    for name, body in fakes.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = run(
        ".ci/run",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        PYTEST_ADDOPTS="-m 'not browser'",
        TESTS="tests/test_house.py",
        CI="false",
    )
    assert (done.returncode, done.stdout) == (0, "test CI=true [] []\n"), done.stderr


def install_step(script: str, folder: Path, user: int, *others: str) -> str:
    """Output of a step that looks for a program, on a machine that has an apt-get and nothing else."""
    for name, body in {"id": f"echo {user}", "apt-get": 'echo "apt-get $*" >&2', **dict.fromkeys(others, ":")}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    done = run("/bin/bash", f"scripts/{script}.sh", PATH=str(folder))
    assert done.returncode == 0
    return done.stderr


def test_a_missing_browser_is_installed_where_that_is_allowed(tmp_path: Path) -> None:
    said = install_step("browser", tmp_path, 0)
    assert re.search(r"apt-get update .*\napt-get install -y .*chromium", said)


def test_nobody_else_installs_a_browser(tmp_path: Path) -> None:
    assert install_step("browser", tmp_path, 1000) == ""


def test_a_browser_that_is_there_is_taken(tmp_path: Path) -> None:
    assert install_step("browser", tmp_path, 0, "google-chrome") == ""


def test_a_postgresql_that_is_there_is_taken(tmp_path: Path) -> None:
    assert install_step("postgresql", tmp_path, 0, "initdb") == ""


def test_the_light_browser_is_taken_where_there_are_two(tmp_path: Path) -> None:
    for name in ("chromium", "chromium-headless-shell"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    found = run(
        sys.executable,
        "-c",
        "import tests.conftest as c, shutil; print(next(filter(None, map(shutil.which, c.BROWSERS))))",
        PATH=str(tmp_path),
    )
    assert found.stdout.strip() == str(tmp_path / "chromium-headless-shell"), found.stderr


WORKERS = [(), ("-p", "xdist", "-n", "1")]
BROWSER_TEST = "import pytest\n@pytest.mark.browser\ndef test_page(chromium_path):\n    pass\n"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A checkout with this one's pytest settings and conftest, and one browser test."""
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_page.py").write_text(BROWSER_TEST)
    return tmp_path


def pytest_in(suite: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    quick = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, cwd=suite, **quick, **environment)


@pytest.mark.parametrize("workers", WORKERS)
def test_without_a_browser_one_loud_line(suite: Path, workers: tuple[str, ...]) -> None:
    done = pytest_in(suite, *workers, HEADROOM_CHROME="/none")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("!!! 1 BROWSER TESTS DID NOT RUN: no Chrome or Chromium: install one") == 1


@pytest.mark.parametrize("workers", WORKERS)
def test_without_a_browser_ci_fails(suite: Path, workers: tuple[str, ...]) -> None:
    done = pytest_in(suite, *workers, HEADROOM_CHROME="/none", CI="true")
    assert done.returncode == 1
    assert "a browser test was skipped under CI" in done.stdout


STORE_TEST = "import pytest\ndef test_store(postgresql_url):\n    pass\n"


def test_a_test_without_postgresql_is_skipped_and_under_ci_a_failure(suite: Path) -> None:
    (suite / "tests" / "postgresql.py").write_text("def start():\n    return None\n")
    (suite / "tests" / "test_store.py").write_text(STORE_TEST)
    done = pytest_in(suite, "tests/test_store.py")
    assert (done.returncode, "1 skipped" in done.stdout) == (0, True), done.stdout
    done = pytest_in(suite, "tests/test_store.py", CI="true")
    assert done.returncode == 1
    assert "a test of the store was skipped under CI: no PostgreSQL: install one" in done.stdout


def test_with_a_browser_ci_passes(suite: Path) -> None:
    done = pytest_in(suite, HEADROOM_CHROME=sys.executable, CI="true")
    assert done.returncode == 0, done.stdout


def test_under_ci_no_file_skips_itself(suite: Path) -> None:
    (suite / "tests" / "test_page.py").write_text(
        f"import pytest\npytest.importorskip('a_driver_that_is_not_there')\n{BROWSER_TEST}"
    )
    done = pytest_in(suite, CI="true")
    assert done.returncode != 0
    assert "skipped itself under CI" in done.stdout


@pytest.mark.parametrize("workers", WORKERS)
def test_under_ci_the_browser_tests_cannot_be_left_out(suite: Path, workers: tuple[str, ...]) -> None:
    (suite / "tests" / "test_other.py").write_text("def test_other():\n    pass\n")
    done = pytest_in(suite, *workers, "-m", "not browser", HEADROOM_CHROME=sys.executable, CI="true")
    assert done.returncode == 1
    assert "NOT ONE BROWSER TEST RAN, AND THIS IS CI" in done.stdout


def test_under_ci_a_part_of_the_suite_may_be_run_alone(suite: Path) -> None:
    (suite / "tests" / "test_other.py").write_text("def test_other():\n    pass\n")
    assert pytest_in(suite, "tests/test_other.py", CI="true").returncode == 0


def test_golden_files_are_not_rewritten_under_ci(suite: Path) -> None:
    (suite / "tests" / "test_page.py").write_text("def test_it(golden):\n    golden('a.txt', 'new')\n")
    assert pytest_in(suite, "tests/test_page.py", HEADROOM_GOLDEN="write", CI="true").returncode == 1
    assert pytest_in(suite, "tests/test_page.py", HEADROOM_GOLDEN="write").returncode == 0
    assert (suite / "tests" / "golden" / "a.txt").read_text() == "new"
    (suite / "tests" / "golden" / "a.txt").write_text("old")
    assert "`make golden` rewrites it" in pytest_in(suite, "tests/test_page.py").stdout
