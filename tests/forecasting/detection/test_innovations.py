"""Scores of a series rise where it leaves what was expected, and know nothing of what comes later."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.detection.innovations import anomaly_scores, cycle_steps, debounce

FIVE_MINUTES, HOUR = pd.Timedelta(minutes=5), pd.Timedelta(hours=1)
DAY = 288
Reals = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def traffic() -> Reals:
    """Eight days of 5-minute traffic with a daily swing and noise of 3 %."""
    times = np.arange(8 * DAY) / DAY
    noise = np.random.default_rng(0).normal(0, 0.03, len(times))
    return np.asarray(10 * np.exp(0.5 * np.sin(2 * np.pi * times) + noise))


@pytest.mark.parametrize(("factor", "length", "direction"), [(0.1, 3, -1), (0.6, 6, -1), (1.5, 6, 1)])
def test_a_fault_scores_above_every_clean_step(traffic: Reals, factor: float, length: int, direction: int) -> None:
    clean = anomaly_scores(traffic, FIVE_MINUTES).score
    first = 7 * DAY + 100
    broken = traffic.copy()
    broken[first : first + length] *= factor
    scores = anomaly_scores(broken, FIVE_MINUTES)
    fault = scores.score[first : first + length]
    assert fault.max() > clean.max()
    assert fault.max() > 0.5
    assert scores.direction[first + int(np.argmax(fault))] == direction
    assert scores.expected[first] == pytest.approx(traffic[first], rel=0.1)


def test_later_values_change_no_score(traffic: Reals) -> None:
    cut = 6 * DAY + 17
    changed = traffic.copy()
    changed[cut:] = 1000.0
    np.testing.assert_array_equal(
        anomaly_scores(changed, FIVE_MINUTES).score[:cut], anomaly_scores(traffic[:cut], FIVE_MINUTES).score
    )


def test_a_gap_is_no_drop(traffic: Reals) -> None:
    gappy = traffic.copy()
    gappy[7 * DAY : 7 * DAY + 40] = np.nan
    scores = anomaly_scores(gappy, FIVE_MINUTES)
    assert np.isnan(scores.score[7 * DAY : 7 * DAY + 40]).all()
    assert np.nanmax(scores.score[7 * DAY :]) < 0.8
    assert not scores.direction[7 * DAY : 7 * DAY + 40].any()


def test_an_alert_fades_in_a_day(traffic: Reals) -> None:
    broken = traffic.copy()
    broken[6 * DAY : 6 * DAY + 3] = 0.5
    score = anomaly_scores(broken, FIVE_MINUTES).score
    after = score[6 * DAY + 30 :]
    assert after[0] > 0.3
    assert after[DAY] < after[0]
    assert after[DAY] > 0


def test_rounding_in_a_series_without_noise_is_no_anomaly() -> None:
    swing = 50 + 30 * np.sin(2 * np.pi * np.arange(10 * DAY) / DAY) + np.random.default_rng(1).normal(0, 1e-9, 10 * DAY)
    assert anomaly_scores(swing, FIVE_MINUTES).score[8 * DAY :].max() < 0.2


def test_an_hourly_jump_alerts_at_once() -> None:
    values = 5 + np.random.default_rng(2).normal(0, 0.1, 30 * 24)
    values[500] = 9.0
    score = anomaly_scores(values, HOUR).score
    assert int(np.argmax(score)) == 500
    assert score[500] > 0.7


@pytest.mark.parametrize(("step", "steps"), [("5min", 288), ("1h", 24), ("1D", 7), ("30D", 1)])
def test_a_cycle_is_a_day_or_a_week(step: str, steps: int) -> None:
    assert cycle_steps(pd.Timedelta(step)) == steps


def test_only_records_of_the_last_steps_pass() -> None:
    scores = np.array([1.0, 3.0, 2.0, 4.0, 4.0, 1.0, 2.0])
    np.testing.assert_array_equal(debounce(scores, 2), [1, 3, 0, 4, 0, 0, 0])
    np.testing.assert_array_equal(debounce(scores, 1), [1, 3, 0, 4, 0, 0, 2])


@settings(max_examples=20)
@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    st.sampled_from(["1min", "5min", "1h", "1D", "30D"]),
)
def test_any_values_give_scores_from_0_to_1(values: list[float], step: str) -> None:
    own = np.array(values)
    scores = anomaly_scores(own, pd.Timedelta(step))
    np.testing.assert_array_equal(np.isnan(scores.score), np.isnan(own))
    assert ((scores.score >= 0) & (scores.score <= 1) | np.isnan(own)).all()
