"""Utilisation and quality at the same moments, against pandas on the samples themselves."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake
from data.queries.plan_inputs import stride
from data.schema.errors import SettingError
from tests.lakes import Plan

NOW = pd.Timestamp(Plan().end)
START = NOW - pd.Timedelta(days=2)


def test_each_sample_stands_against_the_capacity_installed_then(full: Lake) -> None:
    found = queries.loads(full.pin(), EVERYTHING, None, "egress", "rebuffer_ratio", START, NOW)
    rows = full.read("telemetry").to_pandas()
    rows = rows[(rows["ts"] >= START) & (rows["ts"] < NOW)]
    steps = (
        full.read("capacity")
        .to_pandas()
        .query("direction == 'egress' and status == 'installed'")
        .set_index("site_id")["capacity_gbps"]
    )
    wanted = rows[rows["site_id"].isin(steps.index)].sort_values(["site_id", "ts"])
    assert "dfw-01" not in set(found["site_id"])  # declares none
    assert found["site_id"].tolist() == wanted["site_id"].tolist()
    np.testing.assert_allclose(found["utilisation"], wanted["egress_gbps"] / wanted["site_id"].map(steps))
    np.testing.assert_allclose(found["quality"], wanted["rebuffer_ratio"])


def test_a_step_of_capacity_counts_from_its_date_on(full: Lake, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(full.url, tmp_path / "lake"))
    held, rows = lake.read("capacity").to_pandas(), lake.read("telemetry").to_pandas()
    later = held[(held["site_id"] == "fra-01") & (held["direction"] == "egress") & (held["status"] == "installed")]
    grown = pd.concat([held, later.assign(effective_from=NOW - pd.Timedelta(days=1), capacity_gbps=900.0)])
    lake.replace("capacity", _table(grown))
    found = (
        queries.loads(lake.pin(), EVERYTHING, "eu-west", "egress", "rebuffer_ratio", START, NOW)
        .query("site_id == 'fra-01'")
        .set_index("ts")
    )
    own = rows[rows["site_id"] == "fra-01"].set_index("ts")["egress_gbps"].reindex(found.index)
    capacity = np.where(found.index >= NOW - pd.Timedelta(days=1), 900.0, 90.0)
    np.testing.assert_allclose(found["utilisation"], own / capacity)


def test_of_too_many_samples_every_other_stamp_is_taken_at_all_sites(full: Lake) -> None:
    whole = queries.loads(full.pin(), EVERYTHING, None, "egress", "rebuffer_ratio", START, NOW)
    thin = queries.loads(full.pin(), EVERYTHING, None, "egress", "rebuffer_ratio", START, NOW, most=2500)
    assert stride(12, 2 * 86_400, 300, 2500) == 3
    assert len(whole) / 3 == pytest.approx(len(thin), rel=0.02)
    assert (thin["ts"].map(pd.Timestamp.timestamp) % 900 == 0).all()
    assert stride(48, 60 * 86_400, 300, 1_500_000) == 1


def test_a_region_and_a_scope_narrow_it_and_a_lake_without_quality_has_none(
    full: Lake, request: pytest.FixtureRequest, empty: Lake
) -> None:
    partial_lake: Lake = request.getfixturevalue("partial")
    ask = partial(queries.loads, direction="egress", quality="rebuffer_ratio", start=START, end=NOW)
    assert set(ask(full.pin(), EVERYTHING, "us-east")["site_id"]) == {"iad-01", "cmh-01", "atl-01", "mia-01", "chi-01"}
    assert set(ask(full.pin(), Scope(frozenset({"iad-01"})), None)["site_id"]) == {"iad-01"}
    assert ask(partial_lake.pin(), EVERYTHING, None).empty
    assert ask(empty.pin(), EVERYTHING, None).empty
    with pytest.raises(SettingError, match="There is no metric"):
        queries.loads(full.pin(), EVERYTHING, None, "egress", "smoothness", START, NOW)


def _table(rows: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows, preserve_index=False)
