"""The joint futures of a run come back as they were drawn, each path the same future at every place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake
from data.schema import TABLES
from tests.lakes import RUN

WEEKS = pd.date_range("2026-03-23", periods=3, freq="7D", tz="UTC", unit="us")
DRAWS = np.random.default_rng(1).uniform(1.0, 100.0, (2, 3, 5)).astype(np.float32)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with one published run."""
    made = Lake(tmp_path / "lake")
    run = {column.name: 1 for column in TABLES["runs"].columns} | dict.fromkeys(
        ("run_id", "engine", "versions", "git_commit"), RUN
    )
    stamps = dict.fromkeys(("telemetry_until", "started"), pd.Timestamp("2026-03-20", tz="UTC"))
    made.append("runs", pa.Table.from_pandas(pd.DataFrame([run | stamps]), preserve_index=False))
    return made


def published(lake: Lake, run: str = RUN, keys: tuple[str, ...] = ("ams-01", "fra-01")) -> None:
    """Futures of two sites, written in no order."""
    rows = [
        {
            "run_id": run,
            "level": "site",
            "key": key,
            "metric": "egress_gbps",
            "week": week,
            "statistic": statistic,
            "samples": DRAWS[i, w] / share,
        }
        for i, key in enumerate(keys)
        for w, week in enumerate(WEEKS)
        for statistic, share in (("peak", 1.0), ("p95", 2.0))
    ]
    lake.append("simulated_peaks", pa.Table.from_pandas(pd.DataFrame(rows[::-1]), preserve_index=False))


def test_draws_come_back_by_place_week_and_path(lake: Lake) -> None:
    published(lake)
    found = queries.futures(lake.pin(), EVERYTHING, "site", "egress_gbps", "p95")
    assert found is not None
    assert (found.keys, list(found.weeks)) == (("ams-01", "fra-01"), list(WEEKS))
    assert np.array_equal(found.draws, (DRAWS / 2.0).astype(np.float64))


def test_only_the_newest_run_is_read(lake: Lake) -> None:
    published(lake, run="an-older-run")
    assert queries.futures(lake.pin(), EVERYTHING, "site", "egress_gbps", "peak") is None


def test_a_viewer_sees_the_sites_in_scope(lake: Lake) -> None:
    published(lake)
    found = queries.futures(lake.pin(), Scope(frozenset({"fra-01"})), "site", "egress_gbps", "peak")
    assert found is not None
    assert found.keys == ("fra-01",)
    assert np.array_equal(found.draws, DRAWS[1:].astype(np.float64))


def test_a_lake_without_runs_or_futures_has_none(lake: Lake, tmp_path: Path) -> None:
    assert queries.futures(lake.pin(), EVERYTHING, "region", "egress_gbps", "peak") is None
    assert queries.futures(Lake(tmp_path / "none").pin(), EVERYTHING, "site", "egress_gbps", "peak") is None
