"""Impossible samples stay in the lake, and out of all that reads telemetry, until an event keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.ingest.command import status, status_lines
from data.lake.query import EVERYTHING, Scope, as_measured
from data.lake.rollups import refresh_rollups
from data.lake.tables import Change, Lake
from data.queries import history, level_changes, loads, set_aside, weekly
from data.schema import Series
from forecasting.refresh import Summary, refresh
from tests.forecasting.networks import NOW, Here, Steady, event

FRA = Series("site", "fra-01", "egress_gbps")
AT = pd.Timestamp("2026-03-18 05:15", tz="UTC")
QUARTER = pd.Timedelta(minutes=15)
SPAN = NOW - pd.Timedelta(days=9), NOW


def send(lake: Lake, ts: pd.Timestamp, value: float, site: str = "fra-01") -> None:
    """One sample in the place of what the lake has there."""
    telemetry = lake.read("telemetry").to_pandas()
    day = telemetry[telemetry["ts"].dt.date == ts.date()]
    day.loc[(day["ts"] == ts) & (day["site_id"] == site), "egress_gbps"] = value
    lake.commit("telemetry", lambda _: Change(pa.Table.from_pandas(day, preserve_index=False), dates=[ts.date()]))
    refresh_rollups(lake)


def keep(lake: Lake, scope: str) -> None:
    row = event(f"{AT - QUARTER:%Y-%m-%d %H:%M}", 1.0, scope=scope, treatment="keep", kind="change")
    lake.append("events", pa.Table.from_pylist([row]))


def go(lake: Lake) -> tuple[Summary, Any]:
    engine = Steady()
    return refresh(lake, engine=engine, executor=Here()), engine.met[0]


def highest(lake: Lake, level: str = "site", key: str = "fra-01") -> float:
    weeks = weekly(lake.pin(), EVERYTHING, ("egress_gbps",), *SPAN)
    return float(weeks[(weeks["level"] == level) & (weeks["key"] == key)]["peak"].max())


def test_a_spike_is_left_out_of_models_peaks_bands_and_pages_and_named(lake: Lake) -> None:
    ordinary = {place: highest(lake, *place) for place in (("site", "fra-01"), ("region", "eu"), ("global", "all"))}
    send(lake, AT, 5000.0)
    assert highest(lake) == 5000.0
    summary, panel = go(lake)
    assert {place: highest(lake, *place) for place in ordinary} == pytest.approx(ordinary, rel=0.05)
    assert panel.hourly[FRA].max() < 25.0
    assert np.isnan(panel.samples[FRA][AT])
    assert panel.weeks["peak"].max() < 200.0
    pin = lake.pin()
    for grain in ("5min", "1h", "1d"):
        shown = history(pin, EVERYTHING, "site", "fra-01", ("egress_gbps",), *SPAN, grain)
        assert shown["egress_gbps_max"].max() < 25.0
    assert pin.version("set_aside") is not None
    kept = history(as_measured(pin), EVERYTHING, "site", "fra-01", ("egress_gbps",), *SPAN, "5min")
    assert kept["egress_gbps_max"].max() == 5000.0  # the lake still holds it
    (row,) = summary.set_aside.to_dict("records")
    assert (row["site_id"], row["metric"], row["start"], row["last"]) == ("fra-01", "egress_gbps", AT, AT)
    assert (row["samples"], row["value"], row["cause"]) == (1, 5000.0, "spike")
    assert 5.0 < row["usual"] < 20.0
    lines = list(status_lines(status(lake)))
    assert any("fra-01  egress 2026-03-18 05:15 UTC 5,000 Gbps, usual" in line for line in lines), lines
    assert set_aside(pin, Scope(frozenset({"ams-01"}))).empty


def test_a_second_refresh_decides_alike_and_writes_nothing(lake: Lake) -> None:
    send(lake, AT, 5000.0)
    first, _ = go(lake)
    versions = {name: lake.version(name) for name in ("set_aside", "telemetry_1h", "telemetry_1d")}
    again, _ = go(lake)
    pd.testing.assert_frame_equal(again.set_aside, first.set_aside)
    assert {name: lake.version(name) for name in versions} == versions


def test_an_event_that_keeps_takes_a_sample_back_and_one_elsewhere_does_not(lake: Lake) -> None:
    send(lake, AT, 5000.0)
    keep(lake, "asia")
    assert len(go(lake)[0].set_aside) == 1
    keep(lake, "eu")
    summary, panel = go(lake)
    assert summary.set_aside.empty
    assert panel.samples[FRA][AT] == 5000.0
    assert highest(lake) == 5000.0


def test_a_sample_that_was_sent_anew_counts_at_once(lake: Lake) -> None:
    send(lake, AT, 5000.0)
    go(lake)
    send(lake, AT, 9.5)
    shown = history(lake.pin(), EVERYTHING, "site", "fra-01", ("egress_gbps",), AT, AT + QUARTER, "5min")
    assert shown["egress_gbps_max"].tolist() == [9.5]
    assert go(lake)[0].set_aside.empty


def test_a_value_fifty_times_the_capacity_is_set_aside_with_the_capacity(lake: Lake) -> None:
    step = {"site_id": "fra-01", "direction": "egress", "effective_from": SPAN[0], "capacity_gbps": 30.0}
    lake.append("capacity", pa.Table.from_pylist([{**step, "status": "installed"}]))
    send(lake, AT, 1500.0)
    (row,) = go(lake)[0].set_aside.to_dict("records")
    assert (row["capacity_gbps"], row["reason"]) == (30.0, "50 times the capacity in force")
    assert loads(lake.pin(), EVERYTHING, None, "egress", "egress_gbps", *SPAN)["utilisation"].max() < 1.0


def test_a_level_that_lasts_is_reported_and_not_set_aside(lake: Lake) -> None:
    telemetry = lake.read("telemetry").to_pandas()
    late = (telemetry["ts"] >= NOW - pd.Timedelta(days=3)) & (telemetry["site_id"] == "nrt-01")
    telemetry.loc[late, "egress_gbps"] *= 1000.0
    lake.replace("telemetry", pa.Table.from_pandas(telemetry, preserve_index=False))
    refresh_rollups(lake)
    summary, _ = go(lake)
    assert summary.set_aside.empty
    (row,) = level_changes(lake.pin(), EVERYTHING).to_dict("records")
    assert (row["site_id"], row["cause"], row["is_set_aside"]) == ("nrt-01", "unit error", False)
    assert row["ts"] == NOW - pd.Timedelta(days=3)
    assert pd.isna(row["until"])
    assert "likelier another unit" in row["reason"]
    assert any(
        "level changed: nrt-01  egress since 2026-03-17 12:00 UTC" in line for line in status_lines(status(lake))
    )


def test_a_lake_without_such_values_gets_no_table(lake: Lake) -> None:
    summary, _ = go(lake)
    assert summary.set_aside.empty
    assert lake.version("set_aside") is None
    assert lake.version("level_changes") is None
