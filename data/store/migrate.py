"""The store's tables, brought to the newest form when it is opened; by one process at a time."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

from data.schema.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
# A name of our own, so that a database shared with another program keeps both programs' versions.
VERSION_TABLE = "headroom_version"
# PostgreSQL's lock on the migration of this program: any number that other programs do not use.
LOCK = 0x48454144
# Alembic keeps the migration in hand in globals of its modules.
_ONE_AT_A_TIME = threading.Lock()


class Migrated(Protocol):
    """What a migration needs of a store."""

    @property
    def url(self) -> str: ...
    def reading(self) -> AbstractContextManager[Connection]: ...
    def writing(self) -> AbstractContextManager[Connection]: ...


def upgrade(store: Migrated) -> None:
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
    held = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    known = [script.revision for script in scripts.walk_revisions()]
    if held is not None and held not in known:
        raise StoreError(
            f"The store {url} has the form {held!r}; this program knows forms up to {known[0]!r}.",
            cause="a newer version of Headroom has used the store",
            remedy="run that version, or use another store",
        )
    return held != known[0]


def _config(connection: Connection) -> Config:
    """Alembic's settings, without a file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
