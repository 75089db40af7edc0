"""Bands: nested, ordered, scaled with the series, and holding what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.evaluation.backtest import OutOfSample
from forecasting.evaluation.conformal import LEVELS, half_widths, quantiles
from forecasting.panel.history import History
from tests.forecasting.panels import demand, history

HORIZON = 30


def trials(missed: np.ndarray, level: float = 100.0) -> OutOfSample:
    """A constant forecast that missed by so much, (K, H, N)."""
    told = np.full_like(missed, level)
    return OutOfSample(tuple(100 + 6 * place for place in range(len(missed))), told, told + missed)


def noise(seed: int, origins: int = 12, series: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(origins, HORIZON, series))


@given(st.integers(0, 50), st.integers(1, 12), st.integers(1, 4))
@settings(max_examples=25)
def test_a_wider_level_contains_the_narrower(seed: int, origins: int, series: int) -> None:
    found = half_widths(
        np.full((HORIZON, series), 100.0), trials(noise(seed, origins, series)), history(demand(200, series))
    )
    assert found.shape == (HORIZON, series, len(LEVELS))
    assert (found >= 0.0).all()
    assert (np.diff(found, axis=2) >= 0.0).all()


@pytest.mark.parametrize("factor", [1e-6, 1e9])
def test_widths_scale_with_the_series(factor: float) -> None:
    values, missed = demand(200, 2), noise(1, series=2)
    point = np.full((HORIZON, 2), 100.0)
    plain = half_widths(point, trials(missed), history(values))
    scaled = half_widths(point * factor, trials(missed * factor, 100.0 * factor), history(values * factor))
    np.testing.assert_allclose(scaled, plain * factor, rtol=1e-9)


def test_exchangeable_errors_are_covered_as_often_as_the_level_says() -> None:
    missed, future = noise(2, origins=20, series=40), noise(3, origins=20, series=40)
    found = half_widths(np.full((HORIZON, 40), 100.0), trials(missed), history(demand(200, 40)))
    for place, level in enumerate(LEVELS):
        assert (np.abs(future) <= found[:, :, place]).mean() == pytest.approx(level, abs=0.03)


def test_the_band_is_tied_to_the_present_where_the_first_steps_err_less() -> None:
    missed = noise(4, origins=16) * np.minimum(np.arange(1, HORIZON + 1) / 6.0, 1.0)[None, :, None]
    found = half_widths(np.full((HORIZON, 3), 100.0), trials(missed), history(demand(200, 3)))[:, :, 1]
    assert (found[0] < 0.5 * found[8]).all()


def test_busy_hours_have_wider_bands_than_quiet_ones() -> None:
    point = np.where(np.arange(HORIZON) % 2 == 0, 100.0, 1.0)[:, None] * np.ones((1, 3))
    found = half_widths(point, trials(noise(5)), history(demand(200, 3)))[:, :, 2]
    assert (found[::2] > 2.0 * found[1::2]).all()


def test_the_loud_hour_stays_where_it_is_by_the_clock() -> None:
    stamps = pd.date_range(end=pd.Timestamp("2026-10-23 23:00", tz="UTC"), periods=20 * 24, freq="h", unit="us")
    known = History(stamps, np.full((len(stamps), 1), 100.0), (24,), zone="Europe/Berlin")
    origins = tuple(range(100, 400, 24))
    local = [
        pd.DatetimeIndex(known.clock(stamps[0] + pd.Timedelta(hours=origin) + pd.to_timedelta(np.arange(72), "h")))
        for origin in origins
    ]
    off = np.stack([np.where(shown.hour == 20, 8.0, 1.0) for shown in local])[:, :, None] * np.random.default_rng(
        8
    ).normal(size=(len(origins), 72, 1))
    found = half_widths(np.full((72, 1), 100.0), OutOfSample(origins, np.full_like(off, 100.0), 100.0 + off), known)[
        :, 0, 1
    ]
    widest = known.clock(known.ahead(72))[
        [int(day * 24 + found[day * 24 : day * 24 + 24].argmax()) for day in range(3)]
    ]
    assert list(widest.hour) == [20, 20, 20], "the clocks change in the second day"


def test_errors_that_grow_with_the_horizon_give_bands_that_do() -> None:
    missed = noise(6) * (1.0 + np.arange(HORIZON))[None, :, None]
    found = half_widths(np.full((HORIZON, 3), 100.0), trials(missed), history(demand(200, 3)))[:, :, 1]
    assert (found[-1] > 2.0 * found[6]).all()


def test_horizons_that_no_origin_reaches_are_wider_than_the_last_that_one_does() -> None:
    missed = noise(7)
    missed[:, 12:] = np.nan
    found = half_widths(np.full((HORIZON, 3), 100.0), trials(missed), history(demand(200, 3)))[:, :, 2]
    assert (found[-1] > found[8]).all()


def test_beyond_a_month_origins_that_saw_the_same_weeks_count_for_fewer() -> None:
    days = History(pd.date_range("2024-01-01", periods=700, freq="D"), demand(700, 2, seasons=(7,)), (7,))
    missed = np.random.default_rng(4).normal(size=(4, 90, 2))
    told = np.full_like(missed, 100.0)
    near, apart = (
        half_widths(told[0], OutOfSample(tuple(200 + step * place for place in range(4)), told, told + missed), days)
        for step in (7, 91)
    )
    np.testing.assert_array_equal(near[:24], apart[:24])
    assert (near[35:] > 1.02 * apart[35:])[:, :, 1].all()


def test_a_history_without_origins_has_bands_from_its_own_past() -> None:
    empty = OutOfSample((), np.empty((0, HORIZON, 2)), np.empty((0, HORIZON, 2)))
    found = half_widths(np.full((HORIZON, 2), 20.0), empty, history(demand(20, 2)))
    assert (found > 0.0).all()
    assert np.isfinite(found).all()


def test_quantiles_are_ordered_about_the_forecast_and_never_below_the_floor() -> None:
    point, half = np.full((4, 2), 1.0), np.broadcast_to(np.array([0.5, 2.0, 3.0]), (4, 2, 3))
    found = quantiles(point, half, np.array([0.0, -np.inf]))
    np.testing.assert_allclose(found[0], [[0.0, 0.0, 0.5, 1.0, 1.5, 3.0, 4.0], [-2.0, -1.0, 0.5, 1.0, 1.5, 3.0, 4.0]])


def test_a_series_that_woke_or_errs_at_few_steps_widens_no_band_of_the_others() -> None:
    missed = noise(6, origins=10, series=4)
    missed[:, :, 3] = 0.0
    missed[:, 5, 3] = 400.0
    known, point = history(demand(200, 4)), np.full((HORIZON, 4), 100.0)
    with_it = half_widths(point, trials(missed), known)[:, :3]
    without = half_widths(point[:, :3], trials(missed[:, :, :3]), history(demand(200, 3)))
    np.testing.assert_allclose(with_it, without, rtol=0.3)


def test_a_site_that_was_launched_has_no_band_beyond_twice_its_largest_error() -> None:
    values = np.zeros((200, 1))
    values[-20:] = 10.0
    told, came = np.zeros((3, HORIZON, 1)), np.zeros((3, HORIZON, 1))
    came[2, 10:] = 10.0
    found = half_widths(np.full((HORIZON, 1), 10.0), OutOfSample((100, 130, 160), told, came), history(values))
    assert found.max() == pytest.approx(20.0)
