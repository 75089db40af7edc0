"""What every file keeps to: names that say something and are given once, narrow excepts, no HTML, a docstring for each
module, no private name taken from another file, no import cycle.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("app", "data", "forecasting", "scripts")
ALL = (*PRODUCT, "benchmarks", "tests")
NAMES_THAT_SAY_NOTHING = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "stuff", "lib"})
# Quotation marks and dashes that editors put in; the source is written in ASCII's.
FANCY = re.compile("[\u2018\u2019\u201c\u201d\u2013\u2014]")
# Packages within which a class name stands for one thing.
PACKAGES = ("app", "data", "forecasting")
# Faults that are still to be mended: nothing may be added, and what is mended is taken out.
REPEATED_CLASSES: dict[str, set[str]] = {
    "app": set(),
    "data": set(),
    "forecasting": set(),
}
PRIVATE_IMPORTS: set[str] = set()
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


@cache
def modules() -> dict[str, ast.Module]:
    """Dotted name and syntax tree of every module of the product's packages."""
    names = {
        path.relative_to(ROOT).with_suffix(""): path
        for root in PACKAGES
        for path in sorted((ROOT / root).rglob("*.py"))
    }
    return {
        ".".join(name.parts).removesuffix(".__init__"): ast.parse(path.read_text(encoding="utf-8"))
        for name, path in names.items()
    }


def repeated_classes(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Class names that are given more than once within a top-level package."""
    names: dict[str, list[str]] = defaultdict(list)
    for module, tree in trees.items():
        names[module.split(".")[0]] += [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {package: {name for name in given if given.count(name) > 1} for package, given in names.items()}


def private_imports(module: str, tree: ast.Module, known: Mapping[str, object]) -> Iterator[str]:
    """Names with an underscore that a module takes from another file: `from x import _y`, and `x._y` of a module x."""
    taken: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            taken |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            taken |= {alias.asname or alias.name: alias.name for alias in node.names}
    yield from (f"{module}: {name}" for name in taken.values() if private(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            owner = taken.get(ast.unparse(node.value), "")
            if owner in known:
                yield f"{module}: {owner}.{node.attr}"


def private(name: str) -> bool:
    """Whether the last part of a dotted name begins with one underscore."""
    last = name.rpartition(".")[2]
    return last.startswith("_") and not last.startswith("__")


def imports_at_import(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that run when a module is imported: those of functions and of TYPE_CHECKING are left out."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_at_import(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody", "handlers"):
                yield from imports_at_import(getattr(node, part, []))


def import_cycles(trees: Mapping[str, ast.Module]) -> list[list[str]]:
    """Groups of modules that import one another, in whatever number of steps."""
    imports = {module: set(modules_imported(tree, trees)) - {module} for module, tree in trees.items()}
    reached = {module: reachable(module, imports) for module in imports}
    groups = {frozenset(other for other in reached[module] if module in reached[other]) for module in imports}
    return sorted(sorted(group) for group in groups if group)


def modules_imported(tree: ast.Module, known: Mapping[str, object]) -> Iterator[str]:
    """Modules of the product that are imported when this one is."""
    for node in imports_at_import(tree.body):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [
                full if (full := f"{node.module}.{alias.name}") in known else str(node.module) for alias in node.names
            ]
        yield from (name for name in names if name in known)


def reachable(start: str, imports: Mapping[str, set[str]]) -> set[str]:
    """Every module that is imported by `start`, or by one that is."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        new = imports[ahead.pop()] - seen
        seen |= new
        ahead += new
    return seen


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
    views = [path for path in files("app/views") if path.stem == "page"]
    text = {path: path.read_text(encoding="utf-8") for path in views}
    assert [shown(path) for path in views if "?" not in (ast.get_docstring(ast.parse(text[path])) or "")] == []


def test_tests_are_files_and_not_packages() -> None:
    assert [shown(path) for path in (ROOT / "tests").rglob("__init__.py")] == []


def test_a_class_name_stands_for_one_thing_in_a_package() -> None:
    repeated = repeated_classes(modules())
    new = {package: names - REPEATED_CLASSES[package] for package, names in repeated.items()}
    mended = {package: names - repeated[package] for package, names in REPEATED_CLASSES.items()}
    assert {package: names for package, names in new.items() if names} == {}, "two classes of one name: rename one"
    assert {package: names for package, names in mended.items() if names} == {}, "mended: take it out of the list"


def bound_twice(module: ast.Module) -> list[str]:
    """Names that the module's own lines bind more than once: the later one would hold in functions above it too."""
    bound = [
        name.id
        for line in module.body
        if isinstance(line, ast.Assign | ast.AnnAssign)
        for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
        for name in ast.walk(target)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    ]
    bound += [line.name for line in module.body if isinstance(line, ast.FunctionDef | ast.ClassDef)]
    return sorted({name for name in bound if bound.count(name) > 1})


def test_no_module_binds_a_name_twice() -> None:
    twice = {path: names for path, module in modules().items() if (names := bound_twice(module))}
    assert not twice


def test_a_name_that_is_bound_twice_is_seen() -> None:
    assert bound_twice(ast.parse("WIDE, HIGH = 1, 2\nLOW: int = 3\nHIGH = 4\ndef f(): LOW = 5")) == ["HIGH"]


def test_no_private_name_is_taken_from_another_file() -> None:
    trees = modules()
    taken = {line for module, tree in trees.items() for line in private_imports(module, tree, trees)}
    assert sorted(taken - PRIVATE_IMPORTS) == [], "a name that two files use has no underscore"
    assert sorted(PRIVATE_IMPORTS - taken) == [], "mended: take it out of the list"


def test_no_modules_import_one_another() -> None:
    assert import_cycles(modules()) == []


def test_a_repeated_class_is_seen() -> None:
    trees = {
        "data.a": ast.parse("class Step: ..."),
        "data.b": ast.parse("class Step: ..."),
        "app": ast.parse("class Step: ..."),
    }
    assert repeated_classes(trees) == {"data": {"Step"}, "app": set()}


@pytest.mark.parametrize(
    "source",
    [
        "from data.a import _y",
        "from data import a\na._y()",
        "import data.a\ndata.a._y",
        "from data import a as b\nb._y",
    ],
)
def test_a_private_import_is_seen(source: str) -> None:
    assert list(private_imports("data.c", ast.parse(source), {"data.a": None})) == ["data.c: data.a._y"]


@pytest.mark.parametrize(
    "source", ["from data import a\na.y()", "from data import __version__", "self._y", "import os\nos._exit"]
)
def test_a_public_import_and_a_private_name_of_ones_own_pass(source: str) -> None:
    assert list(private_imports("data.c", ast.parse(source), {"data.a": None})) == []


def test_an_import_cycle_is_seen() -> None:
    sources = {
        "data.a": "from data import b",
        "data.b": "import data.c",
        "data.c": "if True:\n    from data.a import f",
    }
    assert import_cycles({name: ast.parse(source) for name, source in sources.items()}) == [
        ["data.a", "data.b", "data.c"]
    ]


@pytest.mark.parametrize(
    "deferred", ["def f():\n    import data.a", "if TYPE_CHECKING:\n    from data.a import f", "from data.d import f"]
)
def test_a_deferred_import_makes_no_cycle(deferred: str) -> None:
    sources = {"data.a": "from data.b import g", "data.b": deferred, "data.d": ""}
    assert import_cycles({name: ast.parse(source) for name, source in sources.items()}) == []


@pytest.mark.parametrize(
    "clause", ["", " Exception", " BaseException as e", " (ValueError, Exception)", " builtins.Exception"]
)
def test_a_broad_except_is_seen(clause: str) -> None:
    source = f"try:\n    f()\nexcept{clause}:\n    pass\n"
    assert broad_excepts(source) == [3]


def test_a_narrow_except_passes() -> None:
    assert broad_excepts("try:\n    f()\nexcept (ValueError, errors.LakeError):\n    pass\n") == []
