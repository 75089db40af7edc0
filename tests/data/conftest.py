"""Lakes that the tests of data/ read: made once for a session, never written to afterwards. Stores of scenarios and plans: new for each test."""

from __future__ import annotations

import pytest

from data.lake import Lake


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two runs with licences, backtests, scores and peaks."""
    return judged_lake(tmp_path_factory.mktemp("judged") / "lake")
