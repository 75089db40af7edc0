"""A lake to refresh: made once, and copied for each test that writes to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data.lake.tables import Lake
from tests.forecasting.networks import lake_of


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of three sites, without a run."""
    return Path(lake_of(tmp_path_factory.mktemp("forecasting") / "lake").url)


@pytest.fixture
def lake(pristine: Path, tmp_path: Path) -> Lake:
    """A lake of three sites, without a run, to write to."""
    return Lake(shutil.copytree(pristine, tmp_path / "lake"))
