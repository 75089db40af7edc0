"""The locks: complete, hashed, free of addresses; and the direct dependencies: each with a reason, each imported, none
missing.
"""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt")
INPUTS = ("requirements.in", "requirements-dev.in")
ADDRESS = re.compile(r"https?://|file:|index-url|find-links|trusted-host|(?<![\w.])/\w+/", re.IGNORECASE)
INSIDE = {"app", "benchmarks", "data", "forecasting", "scripts", "streamlit_app", "tests", "conftest"}
# Used without an import: by Streamlit where it draws, as a server, or as a command.
COMMANDS = {"pytest-xdist", "pytest-rerunfailures", "pytest-cov", "mutmut", "ruff", "mypy", "uv"}
# Loaded by SQLAlchemy where an address names PostgreSQL.
DRIVERS = {"psycopg"}


def lines(name: str) -> list[str]:
    """The requirements of a file, one each, a hash's continuation lines joined to its requirement."""
    joined = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.lstrip().startswith(("#", "-"))]


def direct(name: str) -> dict[str, Requirement]:
    """The requirements of an input file by canonical name."""
    found = [Requirement(line.partition("#")[0].strip()) for line in lines(name)]
    return {canonicalize_name(one.name): one for one in found}


def pins(name: str) -> dict[str, set[str]]:
    """Versions that a lock names for each package; several where platforms differ."""
    found: dict[str, set[str]] = {}
    for line in lines(name):
        package, version = re.split("==| ", line, maxsplit=2)[:2]
        found.setdefault(canonicalize_name(package.partition("[")[0]), set()).add(version)
    return found


def third_party(*roots: str) -> set[str]:
    """Distributions that the Python files below the roots import."""
    paths = [
        path
        for root in roots
        for path in ([ROOT / root] if root.endswith(".py") else (ROOT / root).rglob("*.py"))
        if path.exists()
    ]
    names = {name for path in paths for name in top_imports(path.read_text(encoding="utf-8"))}
    known = packages_distributions()
    return {
        canonicalize_name(known.get(name, [name])[0])
        for name in names
        if name not in sys.stdlib_module_names and name not in INSIDE
    }


def top_imports(source: str) -> set[str]:
    """First parts of all names that a source imports, wherever in the file."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {
        node.module.partition(".")[0]
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes(name: str) -> None:
    bare = [
        line
        for line in lines(name)
        if not re.fullmatch(r"[\w.\[\]-]+==\S+( ;[^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", line)
    ]
    assert bare == []
    assert len(lines(name)) > 20


@pytest.mark.parametrize("name", [*LOCKS, *INPUTS])
def test_no_requirement_names_an_address_or_a_machine(name: str) -> None:
    assert [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if ADDRESS.search(line)] == []


@pytest.mark.parametrize(("name", "lock"), list(zip(INPUTS, LOCKS, strict=True)))
def test_a_lock_answers_its_input(name: str, lock: str) -> None:
    versions = {**pins("requirements.txt"), **pins(lock)}
    unmet = [
        str(one)
        for key, one in direct(name).items()
        if not versions.get(key) or not all(one.specifier.contains(v) for v in versions[key])
    ]
    assert unmet == [], "run `make lock`"


def test_the_locks_agree_where_they_overlap() -> None:
    run, dev = (pins(lock) for lock in LOCKS)
    assert {name: (run[name], dev[name]) for name in run.keys() & dev.keys() if run[name] != dev[name]} == {}


@pytest.mark.parametrize("name", INPUTS)
def test_every_direct_dependency_has_a_reason(name: str) -> None:
    assert [line for line in lines(name) if not re.search(r"\S\s+# \w+.*\w", line)] == []


def test_what_the_product_imports_is_declared() -> None:
    assert (
        third_party("app", "data", "forecasting", "scripts", "streamlit_app.py") - direct("requirements.in").keys()
        == set()
    )


def test_what_tests_and_benchmarks_import_is_declared() -> None:
    declared = direct("requirements.in").keys() | direct("requirements-dev.in").keys()
    assert third_party("tests", "benchmarks") - declared == set()


def test_what_is_declared_is_imported() -> None:
    product = third_party("app", "data", "forecasting", "scripts", "streamlit_app.py")
    assert direct("requirements.in").keys() - product - DRIVERS == set(), (
        "a dependency that nobody imports goes from requirements.in"
    )
    assert direct("requirements-dev.in").keys() - third_party("tests", "benchmarks", "scripts") - COMMANDS == set()


@pytest.mark.parametrize(
    "text", ["--index-url https://example.org/simple", "--find-links x", "pip @ file:wheel", "# compiled in /home/me/x"]
)
def test_an_address_is_seen(text: str) -> None:
    assert ADDRESS.search(text)


def test_imports_are_seen_wherever_they_stand() -> None:
    assert top_imports("import a.b as c\nfrom d.e import f\nfrom . import g\ndef h():\n    import i\n") == {
        "a",
        "d",
        "i",
    }
