"""A query and the tables that it reads, declared beside it.

    @reads("telemetry_1h", "sites", extent)
    def history(pin: Pin, scope: Scope, level: Level, ...) -> pd.DataFrame: ...

The tables are the query's part of a cache key (app/cached): an answer holds for as long as they do. So that none can be
forgotten, a query is given a pin of its declared tables alone, and reading another one raises UndeclaredTableError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from data.lake.query import Scope
from data.lake.tables import Pin

P = ParamSpec("P")
R = TypeVar("R")


class Query(Generic[P, R]):
    """A question to a pinned lake under a viewer's scope. `tables` are those that it may read, `name` is its full name
    (module.qualname).
    """

    def __init__(self, function: Callable[Concatenate[Pin, Scope, P], R], tables: frozenset[str]) -> None:
        update_wrapper(self, function)
        self.function = function
        self.tables = tables
        self.name = f"{function.__module__}.{function.__qualname__}"

    def __call__(self, pin: Pin, scope: Scope, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(pin.only(self.tables), scope, *args, **kwargs)


def reads(
    *sources: str | Query[..., Any],
) -> Callable[[Callable[Concatenate[Pin, Scope, P], R]], Query[P, R]]:
    """Declare what a query reads: names of tables, and other queries, whose tables it reads as well."""
    tables = frozenset[str]().union(*({each} if isinstance(each, str) else each.tables for each in sources))

    def declared(function: Callable[Concatenate[Pin, Scope, P], R]) -> Query[P, R]:
        return Query(function, tables)

    return declared
