"""Copies and medians of past cycles, against loops that say the same."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.models.baselines import (
    cycles,
    daily_median,
    exponentially_weighted_mean,
    level_adjusted_median,
    naive,
    rescaled_seasonal_median,
    seasonal_median,
    seasonal_naive,
)
from forecasting.models.ensemble import BOOSTED, YEARLY, baselines, least_history_of, pool
from forecasting.panel.history import nan_median
from tests.forecasting.panels import SEASONS, demand, history

SHORT, LONG = SEASONS


def test_seasonal_naive_copies_the_last_cycle_over_and_over() -> None:
    values = demand(100, 2)
    found = seasonal_naive(LONG)(history(values), 2 * LONG + 5)
    for step in range(len(found)):
        np.testing.assert_array_equal(found[step], values[len(values) - LONG + step % LONG])


def test_a_hole_is_filled_from_the_cycle_before_and_then_from_the_shorter_season() -> None:
    values = demand(100, 1)
    values[-LONG] = np.nan
    assert seasonal_naive(LONG)(history(values), 1)[0] == values[-2 * LONG]
    short = demand(20, 1)
    np.testing.assert_array_equal(seasonal_naive(LONG)(history(short), SHORT), short[-SHORT:])


def test_seasonal_median_is_the_median_of_four_cycles() -> None:
    values = demand(5 * LONG + 3, 2)
    values[-LONG - 2, 0] = np.nan
    found = seasonal_median(LONG)(history(values), LONG)
    expected = np.nanmedian(np.stack([values[len(values) - number * LONG :][:LONG] for number in range(1, 5)]), axis=0)
    np.testing.assert_allclose(found, expected)


def test_a_levelled_median_starts_at_the_level_of_the_last_cycle_and_returns() -> None:
    values = np.tile(np.arange(1.0, LONG + 1.0), 5)[:, None]
    values[-SHORT:] += 10.0
    plain, levelled = (model(LONG)(history(values), 20 * SHORT) for model in (seasonal_median, level_adjusted_median))
    moved = (levelled - plain)[:, 0]
    assert 9.0 < moved[0] < 10.0
    assert (np.diff(moved) < 0.0).all()
    assert moved[-1] < 0.01


def test_a_rescaled_median_keeps_the_share_that_the_last_cycle_carried_within_limits() -> None:
    values = np.tile(np.arange(1.0, LONG + 1.0), 5)[:, None]
    values[-SHORT:] *= 2.0
    np.testing.assert_allclose(
        rescaled_seasonal_median(LONG)(history(values), LONG), 2.0 * seasonal_median(LONG)(history(values), LONG)
    )
    values[-SHORT:] *= 100.0
    np.testing.assert_allclose(
        rescaled_seasonal_median(LONG)(history(values), LONG), 3.0 * seasonal_median(LONG)(history(values), LONG)
    )


def test_a_fading_mean_halves_the_weight_of_each_older_cycle() -> None:
    values = np.repeat([1.0, 2.0, 4.0], LONG)[:, None]
    assert exponentially_weighted_mean(LONG)(history(values), 1)[0, 0] == pytest.approx(
        (4.0 + 2.0 / 2 + 1.0 / 4) / 1.75
    )


def test_a_short_median_knows_the_last_seven_short_cycles() -> None:
    values = np.repeat(np.arange(10.0), SHORT)[:, None]
    np.testing.assert_array_equal(daily_median(history(values), SHORT), np.full((SHORT, 1), 6.0))


def test_the_naive_forecast_is_the_newest_value_that_is_there() -> None:
    values = np.array([[1.0, np.nan], [2.0, 5.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(naive(history(values, ()), 2), [[2.0, 5.0], [2.0, 5.0]])


def test_cycles_are_counted_back_from_the_end() -> None:
    found = cycles(np.arange(7.0)[:, None], 3, 3)
    np.testing.assert_array_equal(found[:, :, 0], [[np.nan, np.nan, 0.0], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_the_median_is_numpys() -> None:
    values = np.random.default_rng(0).normal(size=(5, 40))
    values[np.random.default_rng(1).random((5, 40)) < 0.3] = np.nan
    values[0] = 1.0
    np.testing.assert_allclose(nan_median(values), np.nanmedian(values, axis=0))
    assert np.isnan(nan_median(np.full((3, 2), np.nan))).all()


@pytest.mark.parametrize("seasons", [(), (6,), (6, 42)])
def test_every_model_of_a_pool_has_a_name_of_its_own_and_forecasts(seasons: tuple[int, ...]) -> None:
    values = history(demand(150, 3), seasons)
    for name, model in pool(seasons).items():
        found = model(values, 9)
        assert found.shape == (9, 3), name
        assert np.isnan(found).all() if name in {*BOOSTED, *YEARLY} else np.isfinite(found).all(), name
    assert set(baselines(seasons)) <= set(pool(seasons))
    assert not seasons or set(least_history_of(seasons)) <= set(pool(seasons))
