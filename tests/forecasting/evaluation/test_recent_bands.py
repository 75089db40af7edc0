"""Bands about now: the newest past origin before each hour, carried to the grain of the samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data.schema import QUANTILES, Series
from forecasting.evaluation.backtest import OutOfSample
from forecasting.evaluation.recent_bands import at_samples, bands_at_grain, recent_forecasts
from forecasting.evaluation.scores import PastIntervals
from forecasting.panel.panel import HOUR, Panel
from tests.forecasting.networks import NOW, no_events, stamps_of

FRA = Series("site", "fra-01", "egress_gbps")
FINE = pd.Timedelta(minutes=5)


def past(origins: tuple[int, ...], reach: int) -> PastIntervals:
    """Each origin forecasts its own number, one either way at all quantiles."""
    forecasts = np.array([np.full((reach, 1), float(origin)) for origin in origins])
    bounds = [forecast[:, :, None] + np.linspace(-1.0, 1.0, 7) for forecast in forecasts]
    return PastIntervals(OutOfSample(origins, forecasts, np.full_like(forecasts, np.nan)), bounds)


def test_each_recent_hour_is_forecast_by_the_newest_origin_before_it() -> None:
    point, quantiles = recent_forecasts(past((60, 80, 92), 20), 100, hours=50)
    expected = [np.nan] * 10 + [60.0] * 20 + [80.0] * 12 + [92.0] * 8
    assert point[:, 0] == pytest.approx(expected, nan_ok=True)
    assert quantiles[-1, 0].tolist() == pytest.approx(list(92.0 + np.linspace(-1.0, 1.0, 7)))
    assert np.isnan(quantiles[:10]).all()


def test_an_origin_that_did_not_forecast_a_series_leaves_it_to_the_one_before() -> None:
    both = past((60, 80), 40)
    both.trials.forecasts[1, :5] = np.nan
    point, _ = recent_forecasts(both, 100, hours=40)
    assert point[:, 0].tolist() == [60.0] * 25 + [80.0] * 15


def test_samples_lie_on_the_line_between_the_middles_of_hours() -> None:
    hours = pd.date_range(NOW, periods=3, freq="h")
    stamps = pd.date_range(NOW, periods=6, freq="30min")
    found = at_samples(np.array([[0.0], [1.0], [np.nan]]), hours, stamps, pd.Timedelta(minutes=30))
    assert found[:, 0] == pytest.approx([0.0, 0.25, 0.75, 1.0, np.nan, np.nan], nan_ok=True)
    same = at_samples(np.array([[3.0], [1.0], [2.0]]), hours, hours, HOUR)
    assert same[:, 0].tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_bands_at_five_minutes_hold_their_share_of_samples_and_meet_at_now(noise: float) -> None:
    """Hourly forecasts that err by 5 % at random, calibrated; samples with noise of their own within the hour."""
    rng = np.random.default_rng(4)
    fine = stamps_of(28, "5min")
    moment = np.asarray((fine - fine[0]) / HOUR)
    truth = 50.0 + 20.0 * np.sin(2 * np.pi * moment / 24)
    wave = np.repeat(rng.standard_normal(28 * 24), 12) * 0.05 * truth
    samples = truth + wave + noise * truth * rng.standard_normal(len(fine))
    values = pd.DataFrame(samples, index=fine, columns=pd.MultiIndex.from_tuples([FRA], names=Series._fields))
    panel = Panel(values.resample("h").mean(), values, no_events(), {}, {}, NOW, FINE)
    hours = stamps_of(16, "1h", NOW + pd.Timedelta(days=2))
    at = np.asarray((hours - fine[0]) / HOUR) + 0.5
    point = 50.0 + 20.0 * np.sin(2 * np.pi * at / 24)
    sizes = {"q10": -1.2816, "q90": 1.2816, "q025": -1.96, "q975": 1.96}
    rows = pd.DataFrame({**FRA._asdict(), "ts": hours, "yhat": point} | dict.fromkeys(QUANTILES, point))
    rows = rows.assign(**{name: point * (1.0 + 0.05 * size) for name, size in sizes.items()})
    stamps = pd.date_range(NOW - pd.Timedelta(days=14), NOW + pd.Timedelta(days=2), freq=FINE, inclusive="left")
    bands = bands_at_grain(panel, rows, stamps).set_index("ts")
    assert len(bands) == len(stamps)
    measured = values[FRA].loc[stamps[0] :]
    recent = bands.loc[: NOW - FINE]
    for name, share in (("80", 0.80), ("95", 0.95)):
        is_inside = (measured >= recent[f"lower_{name}"]) & (measured <= recent[f"upper_{name}"])
        assert is_inside.mean() == pytest.approx(share, abs=0.04)
    steps = bands.select_dtypes("number").diff().abs().loc[NOW]
    assert (steps[["expected", "lower_95", "upper_95"]] < 0.02 * bands.loc[NOW, "expected"]).all(), "no step at now"
