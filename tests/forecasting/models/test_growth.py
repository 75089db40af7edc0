"""The growth that forecasts carry on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.models.baselines import seasonal_median
from forecasting.models.growth import SHARE_AT_MOST, learn_growth, weekly_logs, with_growth
from forecasting.panel.history import History, Reals

WEEKS, SITES = 40, 8


def daily_history(values: Reals) -> History:
    """Days that end at one moment, with a week as their season."""
    return History(pd.date_range("2025-01-06", periods=len(values), freq="D"), values, (7,))


def growing(slopes: Reals, weeks: int = WEEKS, noise: float = 0.02) -> Reals:
    """Values (days, N) that grow by these slopes a week, with a weekend."""
    rng = np.random.default_rng(3)
    days = np.arange(7 * weeks)[:, None]
    shape = np.where(days % 7 < 5, 1.0, 0.8)
    return np.asarray(50.0 * shape * np.exp(slopes * days / 7 + noise * rng.standard_normal((7 * weeks, len(slopes)))))


def test_a_network_that_grew_at_a_steady_pace_goes_on() -> None:
    slopes = np.linspace(0.002, 0.015, SITES)
    growth = learn_growth(daily_history(growing(slopes)))
    np.testing.assert_allclose(growth.slope, slopes, rtol=0.15)
    assert 1.0 <= growth.share <= SHARE_AT_MOST


def test_a_network_that_did_not_go_on_as_it_went_lends_no_growth() -> None:
    # Every slope turns round after ten weeks.
    turns = np.where(np.arange(60) // 10 % 2, -1.0, 1.0) * 0.02
    values = 50.0 * np.exp(np.repeat(np.cumsum(turns), 7)[:, None] + 0.001 * np.arange(SITES))
    assert learn_growth(daily_history(values)).share < 0.5


@pytest.mark.parametrize("weeks", [1, 7])
def test_on_a_few_weeks_nothing_grows(weeks: int) -> None:
    history = daily_history(growing(np.full(SITES, 0.015), weeks))
    np.testing.assert_array_equal(learn_growth(history).slope, 0.0)


def test_one_odd_week_bends_no_slope() -> None:
    values = growing(np.full(SITES, 0.01))
    odd = values.copy()
    odd[140:147] *= 1000.0
    odd[70:75] = np.nan
    assert np.isnan(weekly_logs(daily_history(odd))[[10, 20]]).all()
    np.testing.assert_allclose(
        learn_growth(daily_history(odd)).slope, learn_growth(daily_history(values)).slope, atol=0.0005
    )


def test_silent_and_empty_series_do_not_grow() -> None:
    values = growing(np.full(SITES, 0.01))
    values[:, 0], values[:, 1] = 0.0, np.nan
    growth = learn_growth(daily_history(values))
    np.testing.assert_array_equal(growth.slope[:2], 0.0)
    assert (growth.slope[2:] > 0.005).all()


def test_a_model_with_growth_repeats_the_level_and_then_rises() -> None:
    values = growing(np.full(SITES, 0.01), noise=0.0)
    history = daily_history(values)
    plain, grown = (model(history, 91) for model in (seasonal_median(7), with_growth(seasonal_median(7))))
    came = growing(np.full(SITES, 0.01), WEEKS + 13, noise=0.0)[-91:]
    assert grown[0, 0] == pytest.approx(plain[0, 0], rel=0.005)
    assert np.abs(grown - came)[28:].mean() < 0.25 * np.abs(plain - came)[28:].mean()


def test_steps_longer_than_a_week_are_left_alone() -> None:
    months = History(pd.date_range("2015-01-01", periods=60, freq="30D"), np.linspace(1.0, 9.0, 60)[:, None], (12,))
    np.testing.assert_array_equal(with_growth(seasonal_median(12))(months, 12), seasonal_median(12)(months, 12))
