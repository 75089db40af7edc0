"""Who may import whom, read from the source itself: imports inside functions, under TYPE_CHECKING and by importlib
count as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
INSIDE = ("app", "benchmarks", "data", "forecasting", "scripts", "streamlit_app", "tests")
PRODUCT = ("app", "data", "forecasting", "streamlit_app")

# What a part of the product may import of the product. The longest name that fits a module rules it.
PURE = ("data.schema",)
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "streamlit_app": ("app",),
    "app": ("app",),
    # The contract's words (directions, levels, metrics) are free to all; a query or a plan comes through app.cached. A
    # page's package is its own: of app.views only that of the importing module, and to the registry all of it.
    "app.views": ("app.ui", "app.charts", "app.cached", "app.state", "app.theme", "data.schema"),
    "app.charts": ("app.charts", "app.theme", "data.schema"),
    "app.ui": ("app.ui", "app.charts", "app.cached", "app.state", "app.theme", "data.schema"),
    # The pin and its errors, and how a lake is edited and versioned, are of data.lake; a refit is one model, put to one
    # series while somebody waits, and publishes nothing; a table that somebody uploads is read as ingest reads.
    "app.cached": (
        "app.cached",
        "data.queries",
        "data.store",
        "data.ingest.named_columns",
        "data.lake.query",
        "data.lake.tables",
        "forecasting.planning",
        "forecasting.panel",
        "forecasting.models.refit",
        *PURE,
    ),
    "app.state": ("app.state", "app.theme", "data.schema"),
    "app.theme": ("app.theme", "data.schema"),
    "app.routes": ("app.routes", "app.cached"),
    "forecasting": ("forecasting", *PURE),
    "forecasting.panel": ("forecasting.panel", *PURE),
    "forecasting.prophet_map": ("forecasting.prophet_map", "forecasting.panel", *PURE),
    "forecasting.models": ("forecasting.models", "forecasting.prophet_map", "forecasting.panel", *PURE),
    "forecasting.evaluation": (
        "forecasting.evaluation",
        "forecasting.peaks",
        "forecasting.models",
        "forecasting.prophet_map",
        "forecasting.panel",
        *PURE,
    ),
    "forecasting.peaks": (
        "forecasting.peaks",
        "forecasting.models",
        "forecasting.prophet_map",
        "forecasting.panel",
        *PURE,
    ),
    "forecasting.detection": (
        "forecasting.detection",
        "forecasting.models",
        "forecasting.prophet_map",
        "forecasting.panel",
        *PURE,
    ),
    "forecasting.planning": ("forecasting.planning", *PURE),
    "forecasting.refresh": ("forecasting", "data"),
    "forecasting.cli": ("forecasting", "data"),
    "forecasting.__main__": ("forecasting", "data"),
    "data": ("data",),
    "data.schema": ("data.schema",),
    "data.lake": ("data.lake", "data.schema"),
    "data.queries": ("data.queries", "data.lake", "data.schema"),
    "data.store": ("data.store", "data.queries", "data.lake", "data.schema"),
}
# Where a library may be imported at all.
HOMES: dict[str, tuple[str, ...]] = {
    "streamlit": ("app", "streamlit_app"),
    "duckdb": ("data.lake",),
    "deltalake": ("data.lake",),
    "prophet": ("forecasting.models.prophet_engine",),
}
# Parts that do without Streamlit although they are under app/.
WITHOUT_STREAMLIT = ("app.__init__", "app.charts", "app.theme")
# All that a chart may be made of: frame in, figure out.
CHARTS_MADE_OF = frozenset({"numpy", "pandas", "plotly", "pydeck", "tsdownsample"})
READS_OR_WRITES = frozenset(
    {
        "asyncio",
        "ftplib",
        "glob",
        "http",
        "io",
        "os",
        "pathlib",
        "shutil",
        "socket",
        "sqlite3",
        "subprocess",
        "tempfile",
        "urllib",
    }
)


def imported(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that the source of `module` imports; '?' for a name that is made at run
    time.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "importlib.import_module",
            "import_module",
            "__import__",
        }:
            name = node.args[0] if node.args else None
            yield node.lineno, name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else "?"


def within(name: str, parts: tuple[str, ...]) -> bool:
    """Whether the dotted name is one of the parts or lies below one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def faults(source: str, module: str) -> list[str]:
    """What is wrong with the imports of `module`, one line each."""
    return [
        f"{module}:{line} imports {name}: {why}"
        for line, name in imported(source, module)
        if (why := fault(name, module))
    ]


def fault(name: str, module: str) -> str:
    """Why `module` may not import `name`, or nothing."""
    top = name.split(".", maxsplit=1)[0]
    if name == "?":
        return "a name made at run time, which no test can check"
    if top in INSIDE:
        rule = max((part for part in MAY_IMPORT if within(module, (part,))), key=len)
        allowed = allowed_imports(module, rule)
        return "" if within(name, allowed) else f"{rule} may import {', '.join(allowed)}"
    if top in HOMES and not within(module, HOMES[top]):
        return f"{top} belongs to {', '.join(HOMES[top])}"
    if top == "streamlit" and (within(module, WITHOUT_STREAMLIT) or draws_charts(module)):
        return "this part does without Streamlit"
    return chart_fault(top) if draws_charts(module) else ""


def allowed_imports(module: str, rule: str) -> tuple[str, ...]:
    """What `module` may import of the product: its rule, and for a page its own package; of a page, its charts are as
    pure as those of app.charts, and only the registry and the script behind every page may open it.
    """
    if rule == "app.views":
        package = ".".join(module.split(".")[:3])
        pure = (*MAY_IMPORT["app.charts"], *(f"{package}.{name}" for name in chart_modules(package)))
        return pure if draws_charts(module) else (*MAY_IMPORT[rule], package)
    if rule == "app" and module not in ("app.pages", "app.main"):
        return ("app.cached", "app.ui", "app.charts", "app.state", "app.theme", "app.routes")
    return MAY_IMPORT[rule]


def draws_charts(module: str) -> bool:
    """Whether it is a module of figures: frame in, figure out."""
    return within(module, ("app.charts",)) or (within(module, ("app.views",)) and module.endswith("charts"))


def chart_modules(package: str) -> list[str]:
    """The chart modules of a page's package."""
    return [path.stem for path in (ROOT / package.replace(".", "/")).glob("*charts.py")]


def chart_fault(top: str) -> str:
    """Why a chart may not import a library from outside the product, or nothing."""
    if top in READS_OR_WRITES:
        return "a chart neither reads nor writes"
    library = top not in sys.stdlib_module_names and top not in CHARTS_MADE_OF
    return f"a chart is made of {', '.join(sorted(CHARTS_MADE_OF))}" if library else ""


def product() -> Iterator[tuple[str, str]]:
    """Module name and source of every file of the product; a package is named by its __init__."""
    for path in sorted(ROOT.glob("**/*.py")):
        relative = path.relative_to(ROOT)
        if relative.with_suffix("").parts[0] in PRODUCT:
            yield ".".join(relative.with_suffix("").parts), path.read_text(encoding="utf-8")


def caches(source: str) -> list[int]:
    """Lines that use one of Streamlit's caches."""
    nodes = ast.walk(ast.parse(source))
    named = [n.lineno for n in nodes if isinstance(n, ast.Attribute) and n.attr in {"cache_data", "cache_resource"}]
    return named + [line for line, name in imported(source, "x") if name.startswith("streamlit.cache_")]


def test_the_product_keeps_its_layers() -> None:
    assert [line for module, source in product() for line in faults(source, module)] == []


def test_only_app_cached_caches() -> None:
    assert [
        f"{module}:{line}"
        for module, source in product()
        if not within(module, ("app.cached",))
        for line in caches(source)
    ] == []


def test_prophet_has_one_home_and_is_used_there() -> None:
    users = [
        module
        for module, source in product()
        if any(within(name, ("prophet",)) for _, name in imported(source, module))
    ]
    assert users == ["forecasting.models.prophet_engine"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.views.region.page", "from data import queries"),
        ("app.views.region.page", "import forecasting.refresh"),
        ("app.views.region.page", "def draw():\n    from data.queries import series"),
        ("app.views.region.page", "from ...cached import lake\nfrom ....data import queries"),
        ("app.views.region.page", "from app.views.overview import cards"),
        ("app.views.region.page", "from app import main"),
        ("app.views.region.charts", "from app.views.region import page"),
        ("app.views.region.charts", "from app.ui import export"),
        ("app.views.capacity.run_out_charts", "import streamlit as st"),
        ("app.ui.header", "from app.views.region import page"),
        ("app.charts.lines", "import streamlit as st"),
        ("app.charts.lines", "from app.cached import telemetry"),
        ("app.charts.lines", "from data.queries import ask"),
        ("app.charts.lines", "import requests"),
        ("app.charts.lines", "import pathlib"),
        ("app.__init__", "import streamlit"),
        ("app.theme", "from streamlit import context"),
        ("app.ui.tile", "from data import queries"),
        ("app.main", "from data import queries"),
        ("app.cached.lake", "import duckdb"),
        ("app.cached.planning", "from forecasting.cli.plan import write"),
        ("app.cached.planning", "from forecasting.refresh.plan_inputs import plan_inputs"),
        ("app.cached.planning", "from forecasting.evaluation import metrics"),
        ("app.cached.planning", "from data.ingest import ingest"),
        ("forecasting.panel.panel", "from data.lake import Lake"),
        ("forecasting.panel.panel", "import prophet"),
        ("forecasting.panel.panel", "from forecasting.planning import runout"),
        ("forecasting.evaluation.scores", "import forecasting.detection"),
        ("forecasting.planning.runout", "import forecasting.detection"),
        ("forecasting.refresh", "import streamlit"),
        ("forecasting.refresh", "from app.cached import anything"),
        ("data.queries", "from forecasting import refresh"),
        ("data.queries", "import importlib\nimportlib.import_module('app.cached')"),
        ("data.queries", "import importlib\nimportlib.import_module(name)"),
        ("data.queries", "__import__('streamlit')"),
        ("data.queries", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import app.main"),
        ("data.queries", "from tests import conftest"),
        ("streamlit_app", "import data.queries"),
    ],
)
def test_the_checker_sees_a_forbidden_import(module: str, source: str) -> None:
    assert len(faults(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "app.views.region.page",
            "import streamlit as st\nfrom app import cached, charts\nfrom app.ui.tile import tile\nfrom app.views.region import charts",
        ),
        (
            "app.charts.lines",
            "import math\nimport pandas as pd\nfrom plotly import graph_objects as go\nfrom data.schema import METRIC\nfrom app import theme",
        ),
        ("app.cached", "import streamlit as st\nfrom data import queries\nfrom forecasting.planning import runout"),
        ("forecasting.models.prophet_engine", "from prophet import Prophet\nfrom data.schema import METRIC"),
        ("forecasting.refresh", "from data import lake\nfrom forecasting.models import engine"),
        ("data.lake.query", "import duckdb\nfrom data.lake.tables import Lake"),
        ("data.queries", "import app_of_another_name"),
        ("streamlit_app", "import streamlit as st\nfrom app.routes import routes"),
    ],
)
def test_the_checker_lets_a_lawful_import_pass(module: str, source: str) -> None:
    assert faults(source, module) == []


@pytest.mark.parametrize(
    "source", ["import streamlit as st\n@st.cache_data\ndef f(): ...", "from streamlit import cache_resource"]
)
def test_the_checker_sees_a_cache(source: str) -> None:
    assert caches(source) != []


WITHOUT = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "streamlit":
            raise ImportError("streamlit is blocked: " + name)

sys.meta_path.insert(0, Blocked())
count = 0
for name in {packages!r}:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(found.name)
        count += 1
print(count)
"""


def run_without_streamlit(packages: tuple[str, ...], where: Path) -> subprocess.CompletedProcess[str]:
    """Import the packages, whole, in a process that has no Streamlit."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(packages=packages)],
        cwd=where,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_forecasting_and_charts_import_without_streamlit() -> None:
    done = run_without_streamlit(("forecasting", "app.charts"), ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_the_block_on_streamlit_holds(tmp_path: Path) -> None:
    package = tmp_path / "leaky"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("import streamlit")
    done = run_without_streamlit(("leaky",), tmp_path)
    assert done.returncode != 0
    assert "streamlit is blocked" in done.stderr
