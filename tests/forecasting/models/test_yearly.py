"""Models that know of a year."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.models.baselines import last_year_at_level, seasonal_median
from forecasting.models.ensemble import YEARLY_VARIANTS
from forecasting.models.panel_prophet import panel_prophet
from forecasting.panel.history import History, Model

MODELS = {"last_year": last_year_at_level} | {name: panel_prophet(one) for name, one in YEARLY_VARIANTS.items()}
KNOWN = 364 + 28


def waves(days: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Two series (days, 2) that rise and fall by a half within a year, with a weekend."""
    day = np.arange(days)[:, None]
    return np.asarray(
        np.array([40.0, 900.0]) * np.where(day % 7 < 5, 1.0, 0.8) * np.exp(0.5 * np.sin(2 * np.pi * day / 365.25))
    )


def of_days(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> History:
    return History(pd.date_range("2024-01-01", periods=len(values), freq="D"), values, (7,))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("days", [KNOWN, 600])
def test_a_yearly_wave_is_carried(name: str, days: int) -> None:
    values = waves(days + 90)
    history, came = of_days(values[:days]), values[days:]
    level = np.abs(seasonal_median(7)(history, 90) - came)[28:].mean(axis=0)
    assert (np.abs(MODELS[name](history, 90) - came)[28:].mean(axis=0) < 0.5 * level).all()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_series_younger_than_a_year_and_its_level_has_no_forecast(model: Model) -> None:
    values = waves(KNOWN)
    values[:1, 1] = np.nan
    forecasts = model(of_days(values), 30)
    assert np.isfinite(forecasts[:, 0]).all()
    assert np.isnan(forecasts[:, 1]).all()
    assert np.isnan(model(of_days(values[1:]), 30)).all()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_months_have_the_year_among_their_seasons(model: Model) -> None:
    months = History(pd.date_range("2015-01-01", periods=60, freq="30D"), waves(60), (12,))
    assert np.isnan(model(months, 3)).all()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_level_is_that_of_the_last_four_weeks(model: Model) -> None:
    values = waves(500)
    values[400:] *= 2.0
    came = 2.0 * waves(530)[500:]
    assert np.abs(model(of_days(values), 30) / came - 1.0).mean() < 0.15
