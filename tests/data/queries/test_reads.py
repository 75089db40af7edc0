"""Queries declare the tables that they read, and none has a scope by default."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

import app.cached
import data.queries
from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Lake, Pin, UndeclaredTableError
from data.queries import Query, reads
from data.schema import TABLES
from tests.lakes import Plan, full_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_lake(tmp_path_factory.mktemp("reads") / "lake", Plan(sites=2, days=1, forecasts=False, gap=None))


def test_a_query_that_reads_an_undeclared_table_raises(lake: Lake) -> None:
    @reads("sites")
    def samples(pin: Pin, scope: Scope) -> int:
        return len(query(pin, "SELECT * FROM telemetry", ["telemetry"], scope=scope))

    with pytest.raises(UndeclaredTableError, match="reads telemetry and declares sites alone"):
        samples(lake.pin(), EVERYTHING)


def test_a_query_that_asks_another_one_declares_its_tables_too(lake: Lake) -> None:
    @reads("sites")
    def now(pin: Pin, scope: Scope) -> object:
        return data.queries.extent(pin, scope)

    with pytest.raises(UndeclaredTableError, match="telemetry"):
        now(lake.pin(), EVERYTHING)

    @reads("capacity", data.queries.extent)
    def declared(pin: Pin, scope: Scope) -> object:
        return data.queries.extent(pin, scope)

    assert declared.tables == data.queries.extent.tables | {"capacity"}
    assert declared(lake.pin(), EVERYTHING) == data.queries.extent(lake.pin(), EVERYTHING)


def test_a_table_that_the_lake_lacks_is_no_undeclared_one(lake: Lake) -> None:
    @reads("links")
    def links(pin: Pin, scope: Scope) -> int:
        return len(query(pin, "SELECT * FROM links", ["links"], scope=scope))

    assert lake.pin().version("links") is None
    assert links(lake.pin(), EVERYTHING) == 0


def test_a_narrow_scope_needs_no_more_tables(lake: Lake) -> None:
    @reads("telemetry_1h")
    def hours(pin: Pin, scope: Scope) -> int:
        return len(query(pin, "SELECT * FROM telemetry_1h WHERE level = 'site'", ["telemetry_1h"], scope=scope))

    assert 0 < hours(lake.pin(), Scope(frozenset({"fra-01"}))) < hours(lake.pin(), EVERYTHING)


@pytest.mark.parametrize(
    "name", [name for name in data.queries.__all__ if isinstance(getattr(data.queries, name), Query)]
)
def test_every_query_declares_tables_of_the_contract(name: str) -> None:
    tables = getattr(data.queries, name).tables
    assert tables
    assert tables <= set(TABLES)


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """The package and every module in it."""
    yield package
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def functions(package: ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """Every public function and query of a package, by its full name."""
    for module in modules(package):
        for name, value in vars(module).items():
            if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, Query)):
                yield f"{module.__name__}.{name}", value


@pytest.mark.parametrize("package", [data.queries, app.cached], ids=lambda package: package.__name__)
def test_no_function_has_a_scope_by_default(package: ModuleType) -> None:
    taken = {
        name: parameter.default
        for name, function in functions(package)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name == "scope"
    }
    assert len(taken) > 30
    assert [name for name, default in taken.items() if default is not inspect.Parameter.empty] == []


def test_every_question_of_the_app_takes_a_scope() -> None:
    without = [
        name
        for name, value in functions(data.queries)
        if isinstance(value, Query) and list(inspect.signature(value).parameters)[:2] != ["pin", "scope"]
    ]
    assert without == []
