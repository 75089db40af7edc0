"""Lakes that the tests of data/ read: made once for a session, never written to afterwards. Stores of scenarios and
plans: new for each test.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from data.lake.tables import Lake
from data.store import Store, open_store
from tests.judged_runs import judged_lake
from tests.lakes import empty_lake, full_lake, partial_lake, stale_lake


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with everything."""
    return full_lake(tmp_path_factory.mktemp("full") / "lake")


@pytest.fixture(scope="session")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Ingest and egress alone."""
    return partial_lake(tmp_path_factory.mktemp("partial") / "lake")


@pytest.fixture(scope="session")
def stale(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that ended in 2004."""
    return stale_lake(tmp_path_factory.mktemp("stale") / "lake")


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake without tables."""
    return empty_lake(tmp_path_factory.mktemp("empty") / "lake")


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two runs with licences, backtests, scores and peaks."""
    return judged_lake(tmp_path_factory.mktemp("judged") / "lake")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a store that does not exist yet: a file, and a database on the server that HEADROOM_TEST_POSTGRES
    names.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'kept' / 'scenarios.db'}"
        return
    server = os.environ.get("HEADROOM_TEST_POSTGRES")
    if not server:
        pytest.skip(
            "no PostgreSQL: name a server where databases may be made in HEADROOM_TEST_POSTGRES, as postgresql://USER:PASSWORD@HOST/postgres"
        )
    name = f"headroom_{secrets.token_hex(6)}"
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


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
