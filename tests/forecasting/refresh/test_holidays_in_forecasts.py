"""Public holidays on their way from the table of sites to what a run would publish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.schema import Series
from forecasting.evaluation.backtest_batch import evaluate_batch
from forecasting.panel.panel import Panel
from forecasting.refresh.licensed_engine import forecastable, series_batches
from forecasting.refresh.run import read_panel, telemetry_extent
from tests.forecasting import networks
from tests.forecasting.networks import daily, lake_of

NOW = pd.Timestamp("2025-12-15", tz="UTC")
COUNTRIES = {"fra-01": "DE", "ams-01": "NL", "nrt-01": "JP"}
ZONES = {"fra-01": "Europe/Berlin", "ams-01": "Europe/Amsterdam", "nrt-01": "Asia/Tokyo"}
CHRISTMAS = [pd.Timestamp(f"2025-12-{day} 00:00", tz="Europe/Berlin") for day in (25, 27)]


def panel() -> Panel:
    """Thirteen months of a site in Germany, whose demand falls by 40 % at Christmas, and of one in Japan."""
    stamps = pd.date_range(NOW - pd.Timedelta(days=395), NOW, freq="h", inclusive="left", unit="us")
    values = daily(stamps)
    local = stamps.tz_convert("Europe/Berlin")
    dips = np.where((local.month == 12) & np.isin(local.day, (25, 26)), 0.6, 1.0)
    frames = [networks.rows("fra-01", stamps, dips * values), networks.rows("nrt-01", stamps, values)]
    return replace(networks.panel_of(*frames, now=NOW), countries=COUNTRIES, zones=ZONES)


def test_the_countries_of_the_sites_reach_what_is_backtested(tmp_path: Path) -> None:
    lake = lake_of(tmp_path / "lake")
    sites = lake.read("sites", lake.pin().version("sites")).to_pandas()
    sites = sites.assign(country=sites["site_id"].map(COUNTRIES), timezone=sites["site_id"].map(ZONES))
    lake.replace("sites", pa.Table.from_pandas(sites, preserve_index=False))
    pin = lake.pin()
    read = read_panel(pin, telemetry_extent(pin))
    assert read.countries == COUNTRIES
    site = Series("site", "fra-01", "egress_gbps")
    batch = next(batch for batch in series_batches(read, forecastable(read)) if site in batch.series)
    assert "Christmas Day" in batch.holidays[batch.series.index(site)].names


def test_a_holiday_of_last_year_dips_in_what_is_drawn() -> None:
    whole = panel()
    forecasts = pd.concat(
        [evaluate_batch(batch, 20 * 24).forecasts for batch in series_batches(whole, forecastable(whole))]
    )
    for site, dip in (("fra-01", 0.6), ("nrt-01", 1.0)):
        found = forecasts[forecasts["key"] == site].set_index("ts")["yhat"]
        truth = daily(pd.DatetimeIndex(found.index), noise=0.0)
        inside = (found.index >= CHRISTMAS[0]) & (found.index < CHRISTMAS[1])
        relative = (found / truth)[inside].mean() / (found / truth)[~inside].mean()
        assert relative == pytest.approx(dip, abs=0.07), site
