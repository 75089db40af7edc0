"""Telemetry coarser than an hour is forecast as what it is: means that hold for hours."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from data.lake.query import EVERYTHING
from data.queries import bands, forecast
from data.schema import Series
from forecasting.refresh import refresh
from tests.forecasting.networks import Here, lake_of

FRA = Series("site", "fra-01", "egress_gbps")
DAY, HOUR = pd.Timedelta(days=1), pd.Timedelta(hours=1)
NOW = pd.Timestamp("2026-03-20", tz="UTC")


@pytest.mark.parametrize("hours", [3, 24])
def test_coarse_telemetry_without_gaps_is_forecast(tmp_path: Path, hours: int) -> None:
    lake = lake_of(tmp_path / "lake", 22, step=f"{hours}h", now=NOW, ingest=False)
    summary = refresh(lake, engine="panel", executor=Here())
    assert summary.count("fitted") == 6
    assert summary.series_status["reason"].str.contains("too little history: 22 days").all()
    assert summary.series_status["observations"].eq(22 * 24).all()
    pin, samples = (
        lake.pin(),
        lake.read("telemetry").to_pandas().query("site_id == 'fra-01'").set_index("ts")["egress_gbps"].sort_index(),
    )
    ahead = forecast(pin, EVERYTHING, FRA, NOW, NOW + 7 * DAY)
    assert len(ahead) == 7 * 24
    assert ahead["yhat"].mean() == pytest.approx(samples.loc[NOW - 7 * DAY :].mean(), rel=0.1)
    assert ahead["yhat"].between(samples.min() * 0.8, samples.max() * 1.2).all()
    band = bands(pin, EVERYTHING, FRA, NOW - 7 * DAY, NOW).set_index("ts")
    assert (band.index == pd.date_range(NOW - 7 * DAY, NOW, freq=HOUR, inclusive="left")).all()
    held = samples.reindex(band.index.floor(f"{hours}h")).to_numpy()
    assert ((held >= band["lower_95"]) & (held <= band["upper_95"])).mean() > 0.9
    assert (band["upper_80"] / band["lower_80"]).max() < 1.5
