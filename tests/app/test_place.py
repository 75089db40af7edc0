"""Places: names, and what a series is asked for in."""

from __future__ import annotations

import pandas as pd
import pytest

from app.ui import place
from app.ui.time_range import Grain, Window

CATALOGUE = pd.DataFrame(
    {
        "site_id": ["fra-01", "ams-01", "gru-01"],
        "name": ["Frankfurt", "amsterdam", "Sao Paulo"],
        "region_id": ["eu", "eu", "sa"],
        "region_name": ["Europe", "Europe", None],
    }
)
STAMPS = pd.date_range("2026-11-01", periods=6, freq="h", tz="UTC", unit="us")


def test_region_without_a_name_goes_by_its_identifier() -> None:
    assert place.region_names(CATALOGUE) == {"eu": "Europe", "sa": "sa"}


def test_sites_of_a_region_are_sorted_as_people_read() -> None:
    assert list(place.site_names(CATALOGUE, "eu").values()) == ["amsterdam", "Frankfurt"]
    assert set(place.site_names(CATALOGUE, None)) == {"fra-01", "ams-01", "gru-01"}


def test_published_bounds_are_averaged_to_a_coarser_grain_and_left_at_their_own() -> None:
    bands = pd.DataFrame(
        {
            "ts": pd.date_range("2026-11-01", periods=24, freq="5min", tz="UTC", unit="us"),
            "expected": [1.0] * 12 + [3.0] * 12,
        }
    )
    assert place.in_grain(bands, "5min") is bands
    assert place.in_grain(bands, "1h")["expected"].tolist() == [1.0, 3.0]


def test_days_that_a_run_covers_in_part_are_left_out() -> None:
    stamps = pd.date_range("2026-11-01T11:40", "2026-11-04T06:00", freq="5min", tz="UTC", unit="us", inclusive="left")
    bands = pd.DataFrame({"ts": stamps, "expected": stamps.day.astype(float)})
    assert place.in_grain(bands, "1d")["expected"].tolist() == [2.0, 3.0]
    assert place.in_grain(bands.head(20), "1d").empty


@pytest.mark.parametrize(
    ("grain", "freq", "last"),
    [("1d", "D", "2026-11-02"), ("1h", "h", "2026-11-03T08:00"), ("5min", "5min", "2026-11-03T09:20")],
)
def test_an_hour_or_day_that_is_not_over_is_left_out(grain: Grain, freq: str, last: str) -> None:
    now = pd.Timestamp("2026-11-03T09:25", tz="UTC")
    rows = pd.DataFrame({"ts": pd.date_range("2026-11-01T00Z", now, freq=freq, inclusive="left")})
    kept = place.finished(rows, Window(rows["ts"].iloc[0], now, now, grain, ""))
    assert kept["ts"].iloc[-1] == pd.Timestamp(last, tz="UTC")


def test_hourly_forecast_stays_hourly_in_an_hourly_chart() -> None:
    hours = pd.DataFrame({"ts": STAMPS, "yhat": range(6)})
    assert place.in_grain(hours, "1h", finest="1h") is hours
