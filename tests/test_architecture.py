"""docs/architecture.md and docs/operations.md name files, commands, routes and metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

from app.pages import VIEWS
from app.routes import routes
from data.__main__ import COMMANDS
from data.queries import metrics
from forecasting.__main__ import RUN

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE, OPERATIONS = ROOT / "docs" / "architecture.md", ROOT / "docs" / "operations.md"
NAMED_FILE = re.compile(r"`((?:app|data|forecasting|tests|docs|benchmarks)/[\w./-]*|streamlit_app\.py)`")
# What a main path may take at most to be walked from top to bottom.
FILES_OF_A_PATH = 9


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_file_that_the_documents_name_is_there() -> None:
    named = [path for document in (ARCHITECTURE, OPERATIONS) for path in NAMED_FILE.findall(text(document))]
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_main_path_is_a_short_list_of_files() -> None:
    paths = {
        title: re.findall(r"^\d+\. `([^`]+)`: ", body, re.MULTILINE)
        for title, body in re.findall(r"^## (From .+?)\n(.*?)(?=^## |\Z)", text(ARCHITECTURE), re.MULTILINE | re.DOTALL)
    }
    assert len(paths) == 4
    assert {title: len(files) for title, files in paths.items() if not 6 <= len(files) <= FILES_OF_A_PATH} == {}


def test_the_documents_links_lead_somewhere() -> None:
    for document in (ARCHITECTURE, OPERATIONS):
        links = [link for link in re.findall(r"\]\(([^)]+)\)", text(document)) if "://" not in link]
        assert [link for link in links if not (document.parent / link.partition("#")[0]).exists()] == []


def test_every_metric_is_explained_and_no_other() -> None:
    source = text(Path(metrics.__file__))
    known = set(re.findall(r'"(headroom_\w+)"', source))
    explained = {name.removesuffix("_total") for name in re.findall(r"\bheadroom_\w+", text(OPERATIONS))}
    assert explained == known


def test_the_commands_and_routes_of_operations_are_there() -> None:
    operations = text(OPERATIONS)
    assert set(re.findall(r"python -m data (\w+)", operations)) - set(COMMANDS) == set()
    assert set(re.findall(r"python -m forecasting (\w+)", operations)) - set(RUN) == set()
    served = {route.path for route in routes([view.name for view in VIEWS])}
    assert set(re.findall(r"^\| `(/\w+)` \|", operations, re.MULTILINE)) <= served
