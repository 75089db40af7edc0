"""Lakes that the tests of data/ read: made once for a session, never written to afterwards."""

from __future__ import annotations

import pytest

from data.lake import Lake
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
