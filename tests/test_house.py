"""What every file keeps to: names that say something, narrow excepts, no HTML, a docstring for each module."""

from __future__ import annotations

import ast
import re
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("app", "data", "forecasting", "scripts")
ALL = (*PRODUCT, "benchmarks", "tests")
NAMES_THAT_SAY_NOTHING = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "stuff", "lib"})
# Quotation marks and dashes that editors put in; the source is written in ASCII's.
FANCY = re.compile("[\u2018\u2019\u201c\u201d\u2013\u2014]")
LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def files(*roots: str) -> list[Path]:
    """Python files below the roots, and the door where the product is meant."""
    door = [ROOT / "streamlit_app.py"] if "app" in roots else []
    return [path for path in chain(door, *(sorted((ROOT / root).rglob("*.py")) for root in roots)) if path.exists()]


def broad_excepts(source: str) -> list[int]:
    """Lines of the handlers that catch everything: bare, Exception, or BaseException, alone or in a tuple."""
    handlers = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler)]
    return [
        handler.lineno
        for handler in handlers
        if handler.type is None or {"Exception", "BaseException"} & caught(handler.type)
    ]


def caught(clause: ast.expr) -> set[str]:
    """Every name in the clause of an except: `(ValueError, builtins.Exception)` gives ValueError, builtins,
    Exception.
    """
    nodes = list(ast.walk(clause))
    return {n.id for n in nodes if isinstance(n, ast.Name)} | {n.attr for n in nodes if isinstance(n, ast.Attribute)}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_name_says_something() -> None:
    paths = chain.from_iterable((ROOT / root).rglob("*") for root in ALL)
    assert [shown(path) for path in paths if path.stem.lower() in NAMES_THAT_SAY_NOTHING] == []


def test_no_except_catches_everything() -> None:
    assert [
        f"{shown(path)}:{line}" for path in files(*ALL) for line in broad_excepts(path.read_text(encoding="utf-8"))
    ] == []


def test_no_page_lets_html_in() -> None:
    banned = "unsafe_allow_" + "html"
    assert [shown(path) for path in files(*PRODUCT) if banned in path.read_text(encoding="utf-8")] == []


def test_the_source_is_finished_and_in_plain_quotes() -> None:
    others = [path for path in files(*ALL) if path != Path(__file__)]
    assert [shown(path) for path in others if FANCY.search(path.read_text(encoding="utf-8"))] == []
    assert [shown(path) for path in others if LATER.search(path.read_text(encoding="utf-8"))] == []


def test_every_module_says_what_it_is_for() -> None:
    assert [
        shown(path) for path in files(*ALL) if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ] == []


def test_a_view_states_its_question() -> None:
    views = [path for path in files("app/views") if path.stem != "__init__"]
    text = {path: path.read_text(encoding="utf-8") for path in views}
    assert [shown(path) for path in views if "?" not in (ast.get_docstring(ast.parse(text[path])) or "")] == []


def test_tests_are_files_and_not_packages() -> None:
    assert [shown(path) for path in (ROOT / "tests").rglob("__init__.py")] == []


@pytest.mark.parametrize(
    "clause", ["", " Exception", " BaseException as e", " (ValueError, Exception)", " builtins.Exception"]
)
def test_a_broad_except_is_seen(clause: str) -> None:
    source = f"try:\n    f()\nexcept{clause}:\n    pass\n"
    assert broad_excepts(source) == [3]


def test_a_narrow_except_passes() -> None:
    assert broad_excepts("try:\n    f()\nexcept (ValueError, errors.LakeError):\n    pass\n") == []
