"""Local time: which clock a series lives by, and that a fit follows it over the change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import Series
from forecasting.models.engine import ForecastOptions
from forecasting.models.prophet_engine import fit_series, series_spec
from forecasting.panel.local_time import series_zone, utc_offset_changes, valid_zone
from forecasting.panel.panel import Sources, build

ZONES = {
    "nyc": "America/New_York",
    "yyz": "America/Toronto",
    "fra": "Europe/Berlin",
    "nrt": "Asia/Tokyo",
    "odd": "Mars/Olympus",
}
REGIONS = {"nyc": "world", "yyz": "world", "fra": "world", "nrt": "world", "odd": "world"}
START, END = pd.Timestamp("2026-09-01", tz="UTC"), pd.Timestamp("2026-11-20", tz="UTC")
REGION = Series("region", "world", "egress_gbps")


def weights(**by_site: float) -> dict[tuple[str, str], float]:
    return {(site, "egress_gbps"): weight for site, weight in by_site.items()}


def test_site_lives_by_its_own_clock() -> None:
    assert series_zone(Series("site", "fra", "egress_gbps"), REGIONS, ZONES, {}, START, END) == "Europe/Berlin"


def test_zones_that_change_together_count_together() -> None:
    assert series_zone(REGION, REGIONS, ZONES, weights(nyc=3.0, yyz=2.0, fra=4.0), START, END) == "America/New_York"


def test_zones_that_never_change_count_as_one() -> None:
    assert utc_offset_changes("Asia/Tokyo", START, END) == utc_offset_changes("UTC", START, END)
    assert series_zone(REGION, REGIONS, ZONES, weights(nrt=5.0, fra=4.0), START, END) == "Asia/Tokyo"


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../etc/passwd", "UTC\x00"])
def test_name_that_is_no_zone_is_utc(zone: str | None) -> None:
    assert valid_zone(zone) == "UTC"


def test_unknown_sites_are_utc() -> None:
    assert series_zone(REGION, {}, {}, {}, START, END) == "UTC"


@given(st.lists(st.floats(0.1, 10.0), min_size=4, max_size=4))
def test_clock_is_one_of_the_zones_at_hand(shares: list[float]) -> None:
    assert series_zone(
        REGION, REGIONS, ZONES, weights(**dict(zip(("nyc", "yyz", "fra", "odd"), shares, strict=True))), START, END
    ) in {*ZONES.values(), "UTC"}


def test_forecast_keeps_local_evenings_after_the_clocks_have_changed() -> None:
    stamps = pd.date_range("2026-09-01", "2026-11-08", freq="h", tz="UTC", inclusive="left", unit="us")
    local = stamps.tz_convert("America/New_York")
    wave = 100 * np.exp(np.sin(2 * np.pi * (local.hour - 14) / 24))
    noise = np.exp(np.random.default_rng(1).normal(0, 0.02, len(stamps)))
    hours = pd.DataFrame(
        {"level": "site", "key": "nyc", "ts": stamps, "egress_gbps": wave * noise, "completeness": 1.0}
    )
    no_events = pd.DataFrame(
        {
            "kind": [],
            "scope": [],
            "treatment": [],
            "start": pd.DatetimeIndex([], tz="UTC"),
            "end": pd.DatetimeIndex([], tz="UTC"),
        }
    )
    now = stamps[-1] + pd.Timedelta(hours=1)
    sources = Sources(
        hours,
        hours.drop(columns="completeness"),
        {"nyc": "na"},
        no_events,
        now,
        pd.Timedelta(hours=1),
        {"nyc": "America/New_York"},
    )
    panel = build(sources, ["egress_gbps"])
    found = fit_series(series_spec(panel, panel.series[0], ForecastOptions(horizon=pd.Timedelta(days=3)))).forecasts
    ahead = pd.DatetimeIndex(found["ts"]).tz_convert("America/New_York")
    expected = 100 * np.exp(np.sin(2 * np.pi * (ahead.hour - 14) / 24))
    assert np.abs(found["q50"] / expected - 1).max() < 0.06
