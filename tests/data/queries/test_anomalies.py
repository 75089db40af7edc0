"""What left its band: short stretches are left out, those that touch are one, and the sites that moved most are named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data import queries
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries.anomalies import anomalies, beside_bounds, joined, outside_stretches
from tests.lakes import Plan

START = pd.Timestamp("2026-11-02T00:00Z")
STAMPS = pd.date_range(START, periods=144, freq="5min", unit="us")
MINUTE = pd.Timedelta(minutes=1)


def measured(**spikes: tuple[int, int, float]) -> pd.DataFrame:
    """Half a day at 100, but for spikes: first sample, samples, value."""
    values = np.full(len(STAMPS), 100.0)
    for first, samples, value in spikes.values():
        values[first : first + samples] = value
    return pd.DataFrame({"ts": STAMPS, "value": values})


BANDS = pd.DataFrame({"ts": STAMPS, "expected": 100.0, "lower_95": 90.0, "upper_95": 110.0})


def test_a_stretch_has_its_edges_and_its_furthest_value_and_a_moment_is_none() -> None:
    rows = measured(up=(12, 6, 130.0), peak=(14, 1, 150.0), moment=(60, 2, 200.0), down=(100, 4, 60.0))
    found = outside_stretches(beside_bounds(rows, BANDS))
    assert pd.to_datetime(found["start"], utc=True).tolist() == [START + 60 * MINUTE, START + 500 * MINUTE]
    assert pd.to_datetime(found["end"], utc=True).tolist() == [START + 90 * MINUTE, START + 520 * MINUTE]
    assert found["value"].tolist() == [150.0, 60.0]


def test_stretches_within_an_hour_are_one() -> None:
    found = outside_stretches(beside_bounds(measured(a=(12, 3, 130.0), b=(20, 3, 140.0)), BANDS))
    assert found["value"].tolist() == [140.0]


def test_quality_is_outside_above_its_limit_alone() -> None:
    limit = pd.DataFrame({"expected": [110.0]})
    found = outside_stretches(beside_bounds(measured(up=(12, 6, 130.0), down=(60, 6, 1.0)), limit))
    assert (found["value"].tolist(), found["expected"].tolist()) == ([130.0], [110.0])


def test_metrics_that_overlap_are_one_anomaly_led_by_the_furthest() -> None:
    parts = [
        outside_stretches(beside_bounds(measured(up=(12, 6, value), late=(late, 4, value)), BANDS)).assign(
            metric=metric
        )
        for metric, value, late in (("viewers", 130.0, 130), ("egress_gbps", 180.0, 12))
    ]
    found = joined(parts, ("egress_gbps", "viewers"))
    assert found["metric"].tolist() == ["viewers", "egress_gbps"], "newest first"
    assert found["metrics"].tolist() == [["viewers"], ["egress_gbps", "viewers"]]


def test_quality_needs_no_band_and_traffic_without_one_has_no_anomaly() -> None:
    spike = measured(up=(12, 6, 130.0))
    found = anomalies(
        {"egress_gbps": spike, "viewers": spike, "rebuffer_ratio": spike.assign(value=spike["value"] / 11_000)},
        {"egress_gbps": BANDS},
    )
    assert found["metrics"].tolist() == [["egress_gbps", "rebuffer_ratio"]]


def test_nothing_outside_is_an_empty_frame() -> None:
    assert joined([outside_stretches(beside_bounds(measured(), BANDS))], ("egress_gbps",)).empty


@pytest.mark.parametrize("region", [None, "eu-west"])
def test_the_sites_that_moved_most_are_those_of_the_place(full: Lake, region: str | None) -> None:
    at = (pd.Timestamp(Plan().end) - pd.Timedelta(hours=3)).to_pydatetime()
    found = queries.drivers(full.pin(), EVERYTHING, region, "egress_gbps", at, 3)
    sites = queries.catalogue(full.pin(), EVERYTHING).set_index("site_id")["region_id"]
    assert len(found) == 3
    assert region is None or set(sites[found["site_id"]]) == {region}
