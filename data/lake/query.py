"""Asking the lake in SQL: DuckDB over the files of pinned versions, with the viewer's scope applied to every table.

A lake is read by file list: the files that a span of time or a run cannot need are left out before DuckDB opens any, and
before any is fetched from an object store.

A query is a function of a pin and a scope that declares the tables that it reads:

    @reads("telemetry_1h", "sites", extent)
    def history(pin: Pin, scope: Scope, level: Level, ...) -> pd.DataFrame: ...

The tables are the query's part of a cache key (app/cached): an answer holds for as long as they do. So that none can be
forgotten, a query is given a pin of its declared tables alone, and reading another one raises UndeclaredTableError.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, update_wrapper
from tempfile import gettempdir
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import duckdb
import pandas as pd
import pyarrow as pa

from data.lake.object_cache import LakeFiles, cached_files, error_behind
from data.lake.object_store import disk_full, is_remote
from data.lake.tables import DataFile, Lake, Pin, Span, data_files
from data.schema import DEMAND_METRICS, DRAWS, TABLES, Table
from data.schema.errors import LakeError

# One database for the process; every question runs on a cursor of its own (one connection shared by threads refuses
# queries).
_LOCK = threading.Lock()
_STATE: dict[str, duckdb.DuckDBPyConnection] = {}
INTERRUPTED = "Query interrupted"
# Telemetry is read without the samples that this table names, wherever the pin holds it.
SET_ASIDE = "set_aside"
_WITH = re.compile(r"\s*WITH\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Scope:
    """The sites that a viewer may see; None means all. Part of every question, and of every cache key."""

    sites: frozenset[str] | None = None

    @property
    def all(self) -> bool:
        return self.sites is None


EVERYTHING = Scope()
# The sites that a page is filtered to, by site_id; None where nothing is filtered. A filter chooses within a scope and
# hides nothing: what it sums up is read as for any group, from the rollups where they have it.
SiteFilter = tuple[str, ...] | None
Cursor = duckdb.DuckDBPyConnection
# Values by partition column (run_id, date, month): files of other values are left out.
Partitions = Mapping[str, Collection[str]]


def query(
    pin: Pin,
    sql: str,
    tables: Sequence[str],
    *,
    scope: Scope,
    span: Span | None = None,
    partitions: Partitions | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Run `sql` over the named tables of a pin, as a frame with UTC stamps.

    Each table holds only what `scope` may see; one that the lake lacks is empty. `span` (half-open) and `partitions` leave
    out the files that cannot hold what is asked for; the statement still filters the rows itself.
    """
    with _cursor(pin, scope) as cursor:
        return (
            cursor.sql(_with_ctes(sql, _sources(pin, tables, scope, span, partitions)), params=dict(parameters or {}))
            .to_arrow_table()
            .to_pandas()
        )


@contextmanager
def connection(
    pin: Pin, tables: Sequence[str], *, scope: Scope, span: Span | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor with a view for each of `tables`; for statements that stream or write. LakeError where a file cannot be
    read.
    """
    with _cursor(pin, scope) as cursor:
        for name, source in _sources(pin, tables, scope, span).items():
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {source}")
        yield cursor


def _sources(
    pin: Pin, tables: Sequence[str], scope: Scope, span: Span | None, partitions: Partitions | None = None
) -> dict[str, str]:
    """SQL of each table; which events a narrower scope may see depends on the regions of its sites, which come
    first.
    """
    by_region = not scope.all and "events" in tables
    named = ("sites", *(name for name in tables if name != "sites")) if by_region else tables
    return {name: _scoped(TABLES[name], _relation(pin, TABLES[name], span, partitions), scope) for name in named}


def _with_ctes(sql: str, sources: Mapping[str, str]) -> str:
    """The statement with its tables as common table expressions: for a view DuckDB would look through the files once
    more.
    """
    listed = ", ".join(f"{name} AS NOT MATERIALIZED ({source})" for name, source in sources.items())
    own = _WITH.match(sql)
    return f"WITH {listed}, {sql[own.end() :]}" if own else f"WITH {listed} {sql}"


@contextmanager
def _cursor(pin: Pin, scope: Scope) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor that speaks UTC and knows the scope."""
    cursor = _database().cursor()
    try:
        cursor.execute("SET TimeZone = 'UTC'")
        if not scope.all:
            cursor.register("_scope", pa.table({"site_id": pa.array(sorted(scope.sites or ()), pa.string())}))
        yield cursor
    except duckdb.Error as error:
        behind = error_behind(error)
        if behind is not None:
            raise behind from error
        if not isinstance(error, duckdb.IOException | duckdb.InvalidInputException):
            raise
        full = disk_full(gettempdir(), error)
        if full is not None:
            raise full from error
        first_line = str(error).partition("\n")[0]
        raise LakeError(
            f"Files of the lake {pin.url} cannot be read: {first_line}.",
            cause="files of this version were removed or damaged, or the store refuses access",
            remedy="reload for the newest version; `python -m data status --lake LAKE` lists what can be read",
        ) from error
    except RuntimeError as error:
        # Ctrl-C, or whatever else a signal's handler raises, comes out of DuckDB as this.
        if str(error) == INTERRUPTED:
            raise KeyboardInterrupt from error
        raise
    finally:
        cursor.close()


def in_span(start: datetime, end: datetime, column: str = "ts") -> str:
    """SQL: whether a stamp lies in the half-open span."""
    first, last = pd.Timestamp(start).isoformat(), pd.Timestamp(end).isoformat()
    return f"{column} >= TIMESTAMPTZ '{first}' AND {column} < TIMESTAMPTZ '{last}'"


def in_filter(column: str, sites: SiteFilter) -> str:
    """SQL that holds where a column names a site of the filter."""
    return "true" if sites is None else f"{column} IN ({', '.join(map(quoted, sites)) or 'NULL'})"


def day_span(day: date) -> Span:
    """The half-open span of one UTC day."""
    start = datetime.combine(day, time.min, UTC)
    return start, start + timedelta(days=1)


def _database() -> duckdb.DuckDBPyConnection:
    with _LOCK:
        if "db" not in _STATE:
            _STATE["db"] = duckdb.connect()
            _STATE["db"].register_filesystem(LakeFiles())
            # Files of a Delta version never change, so their footers may be kept.
            _STATE["db"].execute("SET GLOBAL parquet_metadata_cache = true")
            _STATE["db"].execute(f"SET GLOBAL temp_directory = {quoted(gettempdir())}")
        return _STATE["db"]


def _relation(pin: Pin, table: Table, span: Span | None, partitions: Partitions | None = None) -> str:
    """SQL that yields the table's columns at the pinned version."""
    version = pin.version(table.name)
    if version is None:
        return _empty(table)
    wanted = _needed_files(pin, table, span, partitions)
    if not wanted:
        return _empty(table)
    if table.name == "telemetry" and _has_set_aside(pin, span):
        return _without_set_aside(_stored_relation(pin, table, wanted), _relation(pin, TABLES["set_aside"], None))
    return _stored_relation(pin, table, wanted)


def _stored_relation(pin: Pin, table: Table, wanted: Sequence[DataFile]) -> str:
    """SQL of the rows that these files hold."""
    paths = cached_files(pin.url, wanted) if is_remote(pin.url) else [file.path for file in wanted]
    listed = ", ".join(map(quoted, paths))
    present, alike = _stored_columns(listed)
    # By name DuckDB looks into every file for every statement, which files of the same columns do not need.
    united = "" if alike else ", union_by_name = true"
    hive = (
        f", hive_partitioning = true, hive_types = {{'{table.partition}': {_partition_type(table)}}}"
        if table.partition
        else ", hive_partitioning = false"
    )
    return f"SELECT {_columns(table, present | {table.partition})} FROM read_parquet([{listed}]{united}{hive})"


def as_measured(pin: Pin) -> Pin:
    """The pin with all samples as they were measured, those that are set aside too."""
    return replace(pin, versions=tuple(pair for pair in pin.versions if pair[0] != SET_ASIDE))


def _has_set_aside(pin: Pin, span: Span | None) -> bool:
    """Whether samples of the span are set aside."""
    version = dict(pin.versions).get(SET_ASIDE)
    dates = () if version is None else _set_aside_dates(pin.url, version, pin.born)
    return bool(dates) and (span is None or any(span[0].date() <= day <= span[1].date() for day in dates))


@lru_cache(maxsize=32)
def _set_aside_dates(url: str, version: int, born: str) -> tuple[date, ...]:
    stamps = Lake(url).read(SET_ASIDE, version)["ts"]
    return tuple(sorted(set(stamps.cast(pa.date32()).to_pylist())))


def _without_set_aside(telemetry: str, set_aside: str) -> str:
    """SQL: telemetry with null in the place of what is set aside. A value that was sent anew since is not the one."""
    values = ", ".join(f"max(value) FILTER (metric = '{m}') AS {m}" for m in DEMAND_METRICS)
    kept = ", ".join(f"CASE WHEN t.{m} = a.{m} THEN NULL ELSE t.{m} END AS {m}" for m in DEMAND_METRICS)
    return f"""SELECT t.* REPLACE ({kept}) FROM ({telemetry}) t
        LEFT JOIN (SELECT site_id, ts, {values} FROM ({set_aside}) GROUP BY ALL) a ON t.site_id = a.site_id AND t.ts = a.ts"""


def files_within(pin: Pin, table: Table, span: Span | None) -> list[str]:
    """The files that a question about a span may read: while these are the same, and none is ever changed, so are the
    rows.
    """
    return [file.path for file in _needed_files(pin, table, span)]


def _needed_files(pin: Pin, table: Table, span: Span | None, partitions: Partitions | None = None) -> list[DataFile]:
    values = (partitions or {}).get(table.partition or "")
    return [
        file
        for file in data_files(pin.url, table.name, pin.version(table.name) or 0)
        if (values is None or file.partition in values) and _may_hold(table, file.partition, span)
    ]


@lru_cache(maxsize=128)
def _stored_columns(listed: str) -> tuple[frozenset[str], bool]:
    """The columns that any of the files holds, and whether all hold the same ones: a column of a later version is not
    in earlier files.
    """
    sql = f"SELECT DISTINCT columns FROM (SELECT list(name ORDER BY name) AS columns FROM parquet_schema([{listed}]) GROUP BY file_name)"
    column_sets = [frozenset(columns) for (columns,) in _database().cursor().sql(sql).fetchall()]
    return frozenset().union(*column_sets), len(column_sets) == 1


def _may_hold(table: Table, value: str | None, span: Span | None) -> bool:
    """Whether a file with this partition value may hold rows of the span."""
    if span is None or value is None or table.partition not in ("date", "month"):
        return True
    size = 10 if table.partition == "date" else 7
    first, last = span[0].isoformat()[:size], (span[1] - timedelta(microseconds=1)).isoformat()[:size]
    return first <= value <= last


def _partition_type(table: Table) -> str:
    return "DATE" if table.partition == "date" else "VARCHAR"


def quoted(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _columns(table: Table, present: frozenset[str]) -> str:
    """The table's columns and its derived partition; NULL for a column that an older lake does not have."""
    own = [f'"{c.name}"' if c.name in present else f'NULL::{_sql_type(c.type)} AS "{c.name}"' for c in table.columns]
    return ", ".join(own + ([table.partition] if table.partition in ("date", "month") else []))


def _empty(table: Table) -> str:
    own = [f'NULL::{_sql_type(c.type)} AS "{c.name}"' for c in table.columns]
    derived = {"date": ["NULL::DATE AS date"], "month": ["NULL::VARCHAR AS month"]}.get(table.partition, [])
    return f"SELECT {', '.join(own + derived)} WHERE false"


def _sql_type(kind: pa.DataType) -> str:
    names = {
        pa.string(): "VARCHAR",
        pa.float64(): "DOUBLE",
        pa.int64(): "BIGINT",
        pa.date32(): "DATE",
        pa.bool_(): "BOOLEAN",
        DRAWS: "FLOAT[]",
    }
    return "TIMESTAMPTZ" if pa.types.is_timestamp(kind) else names[kind]


def _scoped(table: Table, relation: str, scope: Scope) -> str:
    """The rows of a relation that the scope may see.

    A region or the network is more than the sites of a narrower scope, so its rows are hidden; data/lake/aggregation.py
    adds up the sites in scope where a question needs them.
    """
    if scope.all:
        return relation
    mine = "IN (SELECT site_id FROM _scope)"
    names = {c.name for c in table.columns}
    if "site_id" in names:
        return f"SELECT * FROM ({relation}) WHERE site_id {mine}"
    if {"source_site_id", "target_site_id"} <= names:
        return f"SELECT * FROM ({relation}) WHERE source_site_id {mine} AND target_site_id {mine}"
    if "level" in names and "key" in names:
        return f"SELECT * FROM ({relation}) WHERE level = 'site' AND key {mine}"
    if table.name == "events":
        return f"SELECT * FROM ({relation}) WHERE scope = 'global' OR scope {mine} OR scope IN (SELECT region_id FROM sites)"
    return relation


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
    """Declare what a query reads: names of tables, and other queries, whose tables it reads as well; with telemetry comes
    what of it is set aside.
    """
    tables = frozenset[str]().union(*({each} if isinstance(each, str) else each.tables for each in sources))
    if "telemetry" in tables:
        tables |= {SET_ASIDE}

    def declared(function: Callable[Concatenate[Pin, Scope, P], R]) -> Query[P, R]:
        return Query(function, tables)

    return declared
