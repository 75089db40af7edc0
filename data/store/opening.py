"""Where the store lies, how it is opened, and the two kinds of transaction that all else is made of."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stamina
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from data.lake.tables import Lake, sibling
from data.schema.errors import SettingError, StoreError
from data.store.migrate import upgrade

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
