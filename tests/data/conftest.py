"""Lakes that the tests of data/ read: made once for a session, never written to afterwards. Stores of scenarios and
plans: new for each test.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url

from data.lake.tables import Lake
from data.store import Store, open_store
from tests.conftest import SharedLake
from tests.judged_runs import judged_lake
from tests.lakes import empty_lake, full_lake, partial_lake, stale_lake


@pytest.fixture(scope="session")
def full(shared_lake: SharedLake) -> Lake:
    """A lake with everything."""
    return Lake(shared_lake("everything", full_lake))


@pytest.fixture(scope="session")
def partial(shared_lake: SharedLake) -> Lake:
    """Ingest and egress alone."""
    return Lake(shared_lake("required", partial_lake))


@pytest.fixture(scope="session")
def stale(shared_lake: SharedLake) -> Lake:
    """A lake that ended in 2004."""
    return Lake(shared_lake("of-2004", stale_lake))


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake without tables."""
    return empty_lake(tmp_path_factory.mktemp("empty") / "lake")


@pytest.fixture(scope="session")
def judged(shared_lake: SharedLake) -> Lake:
    """Two runs with licences, backtests, scores and peaks."""
    return Lake(shared_lake("judged", judged_lake))


@pytest.fixture(scope="session")
def postgresql_engine(postgresql_url: str) -> Iterator[Engine]:
    """A database for this worker alone."""
    server = make_url(postgresql_url).set(drivername="postgresql+psycopg")
    name = f"headroom_{secrets.token_hex(6)}"
    administration = create_engine(server, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine = create_engine(server.set(database=name), isolation_level="AUTOCOMMIT")
        yield engine
        engine.dispose()
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    administration.dispose()


@pytest.fixture
def postgresql_place(postgresql_engine: Engine) -> str:
    """The address of an empty database: what the last test left in it is gone, its connections as well."""
    with postgresql_engine.connect() as connection:
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
        connection.exec_driver_sql(f"{others} AND pid <> pg_backend_pid()")
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    return postgresql_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that does not exist yet: of a file, and of a database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'kept' / 'scenarios.db'}"
    place: str = request.getfixturevalue("postgresql_place")
    return place


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store that was just made, to be copied: the migrations need not run for each test."""
    path = tmp_path_factory.mktemp("migrated") / "scenarios.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def store(store_place: str, migrated: Path) -> Iterator[Store]:
    """A new store, once of each kind."""
    if store_place.startswith("sqlite"):
        path = Path(store_place.removeprefix("sqlite:///"))
        path.parent.mkdir()
        shutil.copy(migrated, path)
    opened = open_store(store_place)
    yield opened
    opened.close()
