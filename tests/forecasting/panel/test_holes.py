"""Series with different holes are fitted together."""

from __future__ import annotations

import pandas as pd

from forecasting.models.engine import ForecastOptions
from forecasting.models.panel_engine import PanelEngine
from tests.forecasting.networks import Here, daily, panel_of, rows, stamps_of


def test_series_with_different_holes_are_fitted_together_in_order() -> None:
    stamps = stamps_of(20)
    holed = rows("ams-01", stamps, daily(stamps)).drop(index=range(400, 420))
    other = rows("nrt-01", stamps, daily(stamps)).drop(index=range(100, 140))
    plan = ForecastOptions(horizon=pd.Timedelta(days=2))
    found = list(PanelEngine().forecast(panel_of(holed, rows("fra-01", stamps, daily(stamps)), other), plan, Here()))
    assert {
        (key, status) for part in found for key, status in zip(part.fits["key"], part.fits["status"], strict=True)
    } == {(key, "fitted") for key in ("ams-01", "fra-01", "nrt-01")}
