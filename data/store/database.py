"""The store's database, SQLite or PostgreSQL: its tables, identifiers, connections and transactions, and its migration."""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stamina
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    URL,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.types import TypeDecorator

from data.lake.tables import Lake, sibling
from data.schema.errors import SettingError, StoreError
from data.schema.validation import excerpt

# Tables, as SQLAlchemy sees them; the migrations make them, and a test holds the two together ------------------------


class Stamp(TypeDecorator[datetime]):
    """A moment in UTC, with its zone; SQLite, which knows no zones, keeps the UTC time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA = MetaData()

SCENARIOS = Table(
    "scenarios",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created", Stamp, nullable=False),
    Column("updated", Stamp, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("deleted", Stamp),
    Column("lake", Text, nullable=False),
    Column("run_id", Text),
    Column("body", Text, nullable=False),  # JSON, escaped to ASCII: any database keeps it
    Index("scenarios_by_lake", "lake", "updated"),
)
# Every state that a scenario ever had, the present one included.
REVISIONS = Table(
    "scenario_revisions",
    METADATA,
    Column("scenario_id", Text, ForeignKey("scenarios.id"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("action", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", Stamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("run_id", Text),
    Column("body", Text, nullable=False),
)
PLANS = Table(
    "plans",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("made_at", Stamp, nullable=False),
    Column("author", Text, nullable=False),
    Column("lake", Text, nullable=False),
    Column("run_id", Text),
    Column("policy", Text, nullable=False),
    Index("plans_by_lake", "lake", "made_at"),
)
_OF_PLAN = ("plan_id", "level", "key", "direction")


def _keys() -> list[Column[str]]:
    """Columns that identify a row of a plan: the plan, the series, the direction."""
    return [
        Column("plan_id", Text, ForeignKey("plans.id"), primary_key=True),
        *(Column(name, Text, primary_key=True) for name in _OF_PLAN[1:]),
    ]


PLAN_ROWS_TABLE = Table(
    "plan_rows",
    METADATA,
    *_keys(),
    Column("answer", Text, nullable=False),
    Column("reason", Text),
    Column("run_out_p10", Stamp),
    Column("run_out_p50", Stamp),
    Column("run_out_p90", Stamp),
    Column("order_by", Stamp),
    Column("add_gbps", Float),
    Column("cost_usd_month", Float),
)
PLAN_PEAKS_TABLE = Table(
    "plan_peaks",
    METADATA,
    *_keys(),
    Column("week", Stamp, primary_key=True),
    Column("q10", Float, nullable=False),
    Column("q50", Float, nullable=False),
    Column("q90", Float, nullable=False),
)
PLAN_PURCHASES_TABLE = Table(
    "plan_purchases",
    METADATA,
    Column("plan_id", Text, ForeignKey("plans.id"), primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("site_id", Text, nullable=False),
    Column("in_service", Stamp, nullable=False),
    Column("order_by", Stamp, nullable=False),
    Column("gbps", Float, nullable=False),
    Column("units", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("usd_month", Float, nullable=False),
    Column("risk_removed", Float, nullable=False),
    Column("reason", Text, nullable=False),
)


# Identifiers ---------------------------------------------------------------------------------------------------------

_SHAPE = re.compile(r"[0-9a-f]{16}")


def new_id() -> str:
    """Sixteen hexadecimal digits: short enough for an address, and no two alike among millions."""
    return secrets.token_hex(8)


def checked_id(what: str, given: object) -> str:
    """The identifier, which may come from an address; StoreError where nothing can have it."""
    if not isinstance(given, str) or not _SHAPE.fullmatch(given):
        raise absent(what, given)
    return given


def absent(what: str, given: object) -> StoreError:
    """The error for a scenario or a plan that is not there."""
    return StoreError(
        f"There is no {what} {excerpt(given)!r}.",
        cause="the address is of another store, or was typed",
        remedy=f"choose a {what} from the list",
    )


# Address, connections, and the two kinds of transaction --------------------------------------------------------------

SETTING = "HEADROOM_STORE"
FILE = "scenarios.db"
# A lake in an object store has no folder beside it where a database could lie.
ELSEWHERE = "var"
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
# A writer waits for another one this long, in seconds; a transaction here lasts milliseconds.
PATIENCE = 30
WRITES = "headroom_writes"


@dataclass(frozen=True, slots=True)
class Store:
    """An open store; threads may share it. `url` shows no password."""

    url: str
    engine: Engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads one state of the store."""
        with _told(self.url), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes all or nothing; in SQLite it has the write lock from the start, so that what it
        read stays true.
        """
        with _told(self.url), self.engine.execution_options(**{WRITES: True}).begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections; the store opens new ones where it is used again."""
        self.engine.dispose()


def store_url(lake_url: str) -> str:
    """Where the store of a lake lies: HEADROOM_STORE, else scenarios.db beside a lake in a folder, else
    var/scenarios.db.
    """
    named = os.environ.get(SETTING)
    if named:
        return named
    lake = Lake(lake_url).url
    path = str(Path(ELSEWHERE, FILE).resolve()) if "://" in lake else sibling(lake, FILE)
    return URL.create("sqlite", database=path).render_as_string(hide_password=False)


def open_store(url: str) -> Store:
    """The store at sqlite:///FILE or postgresql://..., made or brought up to date first.

    Raises SettingError where the address is not usable, StoreError where the store cannot be opened or is of a newer
    version than this program.
    """
    place = _place(url)
    store = Store(place.render_as_string(), _engine(place))
    try:
        with _told(store.url):
            upgrade(store)
    except StoreError:
        store.close()
        raise
    return store


def _place(url: str) -> URL:
    """The address, checked, with the driver that is installed."""
    try:
        place = make_url(url)
    except ArgumentError as error:
        raise _unusable("an address that cannot be read") from error
    backend = place.get_backend_name()
    if backend not in DRIVERS:
        raise _unusable(f"a store of the kind {backend!r}")
    if backend == "sqlite" and place.database in {None, "", ":memory:"}:
        raise _unusable("a store in memory, which would be lost")
    return place.set(drivername=DRIVERS[backend])


def _unusable(what: str) -> SettingError:
    """The error of an address; it does not repeat the address, which may hold a password."""
    return SettingError(
        f"{SETTING} names {what}.",
        cause="a typing error, or a database that is not supported",
        remedy="use sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE",
    )


def _engine(place: URL) -> Engine:
    if place.get_backend_name() == "postgresql":
        return create_engine(place, pool_pre_ping=True)
    try:
        Path(str(place.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder of {place.render_as_string()} cannot be made: {error}.",
            cause="the path is read-only or passes through a file",
            remedy=f"name another place in {SETTING}",
        ) from error
    engine = create_engine(place, connect_args={"timeout": PATIENCE})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    """SQLite as several processes need it: readers beside a writer (WAL), foreign keys, and transactions that begin
    where we say.
    """
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # The first switch needs the file alone, and SQLite does not wait for that by itself.
    for attempt in stamina.retry_context(
        on=_is_locked, attempts=None, timeout=PATIENCE, wait_initial=0.02, wait_max=0.5
    ):
        with attempt:
            connection.execute("PRAGMA journal_mode = WAL")


def _is_locked(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Whatever the database says, as an error that names the store and the remedy."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        said = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise StoreError(
            f"The store {url} cannot be used: {said}.",
            cause="the server does not answer, the file is not a database or read-only, or somebody holds a lock on it",
            remedy=f"mend that, or name another place in {SETTING}",
        ) from error


# Migration, when a store is opened; by one process at a time ---------------------------------------------------------

MIGRATIONS = Path(__file__).parent / "migrations"
# A name of our own, so that a database shared with another program keeps both programs' versions.
VERSION_TABLE = "headroom_version"
# PostgreSQL's lock on the migration of this program: any number that other programs do not use.
LOCK = 0x48454144
# Alembic keeps the migration in hand in globals of its modules.
_ONE_AT_A_TIME = threading.Lock()


def upgrade(store: Store) -> None:
    """Bring a store to the newest form, in one transaction; StoreError where a newer program has already brought it
    further.
    """
    scripts = ScriptDirectory(str(MIGRATIONS))
    with store.reading() as connection:
        if _behind(connection, scripts, store.url) is False:
            return
    with _ONE_AT_A_TIME, store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        if _behind(connection, scripts, store.url):
            command.upgrade(_config(connection), "head")


def _behind(connection: Connection, scripts: ScriptDirectory, url: str) -> bool:
    """Whether the store is older than the newest migration."""
    revision = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    revisions = [script.revision for script in scripts.walk_revisions()]
    if revision is not None and revision not in revisions:
        raise StoreError(
            f"The store {url} has the form {revision!r}; this program knows forms up to {revisions[0]!r}.",
            cause="a newer version of Headroom has used the store",
            remedy="run that version, or use another store",
        )
    return revision != revisions[0]


def _config(connection: Connection) -> Config:
    """Alembic's settings, without a file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
