"""Scores against second implementations, and against examples by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from forecasting.evaluation import metrics
from forecasting.evaluation.metrics import is_seasonal, naive2, seasonal_indices
from tests.forecasting.panels import demand, history

VALUES = arrays(float, (12, 3), elements=st.integers(0, 10**6))
RNG = np.random.default_rng(1)
ACTUAL, FORECAST = RNG.uniform(1.0, 9.0, (2, 30, 4))


def test_mean_absolute_error_is_that_of_scikit_learn() -> None:
    expected = mean_absolute_error(ACTUAL, FORECAST, multioutput="raw_values")
    np.testing.assert_allclose(metrics.mae(ACTUAL, FORECAST), expected)


@pytest.mark.parametrize("level", [0.025, 0.5, 0.9])
def test_pinball_loss_is_that_of_scikit_learn(level: float) -> None:
    expected = mean_pinball_loss(ACTUAL, FORECAST, alpha=level, multioutput="raw_values")
    np.testing.assert_allclose(metrics.pinball(ACTUAL, FORECAST[:, :, None], [level]), expected)


def test_scores_by_hand() -> None:
    actual, forecast = np.array([[2.0], [4.0], [np.nan], [0.0]]), np.array([[1.0], [5.0], [9.0], [0.0]])
    assert metrics.mae(actual, forecast) == pytest.approx(2.0 / 3.0)
    assert metrics.wape(actual, forecast) == pytest.approx(2.0 / 6.0)
    assert metrics.smape(actual, forecast) == pytest.approx((200.0 / 3.0 + 200.0 / 9.0 + 0.0) / 3.0)
    assert metrics.mase(actual, forecast, np.array([2.0])) == pytest.approx(1.0 / 3.0)


def test_the_scale_is_the_in_sample_error_of_the_seasonal_naive_forecast() -> None:
    values = np.array([[1.0], [2.0], [4.0], [np.nan], [7.0], [9.0]])
    assert metrics.seasonal_scale(values, 2) == pytest.approx((3.0 + 3.0) / 2.0)
    assert np.isnan(metrics.seasonal_scale(np.ones((6, 1)), 2)).all()
    assert np.isnan(metrics.seasonal_scale(values, 6)).all()
    assert np.isnan(metrics.seasonal_scale(10.0 + np.sin(np.arange(48) * 2.0 * np.pi / 24.0)[:, None], 24)).all(), (
        "rounding is no scale"
    )


def test_intervals_by_hand() -> None:
    actual, lower, upper = np.array([[1.0], [5.0], [3.0]]), np.full((3, 1), 2.0), np.full((3, 1), 4.0)
    assert metrics.coverage(actual, lower, upper) == pytest.approx(1.0 / 3.0)
    # Two wide, and 2 / 0.05 times one for each of the two misses.
    assert metrics.interval_score(actual, lower, upper, 0.95) == pytest.approx(2.0 + 40.0 * 2.0 / 3.0)
    assert metrics.msis(actual, lower, upper, 0.95, np.array([2.0])) == pytest.approx(1.0 + 20.0 * 2.0 / 3.0)


def test_owa_is_one_for_naive2_itself_and_takes_only_series_where_both_are_defined() -> None:
    smapes, mases = np.array([10.0, 20.0, np.nan]), np.array([1.0, 3.0, np.nan])
    assert metrics.owa(smapes, mases, smapes, mases) == pytest.approx(1.0)
    assert metrics.owa(np.array([5.0, 10.0, 99.0]), np.array([1.0, 3.0, 99.0]), smapes, mases) == pytest.approx(0.75)
    assert np.isnan(metrics.owa(smapes, mases, np.full(3, np.nan), mases))


def test_a_series_without_an_actual_has_no_score() -> None:
    actual = np.full((4, 1), np.nan)
    for found in (
        metrics.mae(actual, actual),
        metrics.wape(actual, actual),
        metrics.coverage(actual, actual, actual),
        metrics.smape(actual, actual),
    ):
        assert np.isnan(found).all()


@given(VALUES, VALUES, st.floats(0.1, 1e3))
def test_scores_do_not_depend_on_units(actual: np.ndarray, forecast: np.ndarray, factor: float) -> None:
    for score in (metrics.wape, metrics.smape):
        np.testing.assert_allclose(
            score(actual * factor, forecast * factor), score(actual, forecast), rtol=1e-6, atol=1e-9
        )


@given(VALUES, VALUES)
def test_the_interval_score_of_a_point_is_its_absolute_error_at_the_penalty(
    actual: np.ndarray, forecast: np.ndarray
) -> None:
    found = metrics.interval_score(actual, forecast, forecast, 0.95)
    np.testing.assert_allclose(found, 40.0 * metrics.mae(actual, forecast), rtol=1e-9)


def test_the_true_quantiles_have_the_least_interval_score() -> None:
    normal = np.random.default_rng(2).normal(size=(20_000, 1))
    at = [
        float(metrics.interval_score(normal, np.full_like(normal, -width), np.full_like(normal, width), 0.95)[0])
        for width in (1.3, 1.96, 2.6)
    ]
    assert at[1] == min(at)


def test_naive2_repeats_the_last_value_of_a_series_without_season() -> None:
    values = np.random.default_rng(4).uniform(1.0, 2.0, (60, 1))
    np.testing.assert_array_equal(naive2(history(values), 5)[:, 0], np.repeat(values[-1], 5))


def test_naive2_continues_a_pure_season() -> None:
    season = np.array([1.0, 2.0, 4.0, 2.0, 1.0, 2.0])
    found = naive2(history(np.tile(season, 10)[:, None] * 3.0), 12)
    np.testing.assert_allclose(found[:, 0], np.tile(season, 2) * 3.0)


def test_naive2_is_undefined_on_holes_and_on_seasons_about_zero() -> None:
    values = demand(120, 3)
    values[50, 0] = np.nan
    values[:, 1] -= values[:, 1].mean()
    values[:10, 2] = np.nan
    found = naive2(history(values), 4)
    assert np.isnan(found).all(axis=0).tolist() == [True, True, False]


def test_seasonal_indices_are_those_of_classical_decomposition_by_hand() -> None:
    values = np.array([1.0, 3.0, 2.0, 6.0, 3.0, 9.0, 4.0, 12.0])
    middle = np.array([(values[i - 1] / 2 + values[i] + values[i + 1] / 2) / 2 for i in range(1, 7)])
    ratios = values[1:7] / middle
    raw = np.array([ratios[1::2].mean(), ratios[0::2].mean()])
    np.testing.assert_allclose(seasonal_indices(values, 2), raw / raw.mean())


def test_a_short_or_constant_series_is_not_seasonal() -> None:
    assert not is_seasonal(np.tile([1.0, 2.0], 2), 2)
    assert not is_seasonal(np.ones(40), 4)
    assert is_seasonal(np.tile([1.0, 2.0, 3.0, 9.0], 10), 4)


def test_what_has_no_bounds_is_not_missed() -> None:
    actual, lower = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[0.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(metrics.coverage(actual, lower, lower + 2.0), [1.0, np.nan])
