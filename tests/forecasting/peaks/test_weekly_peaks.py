"""Weekly quantiles are ordered, calibrated and those of their paths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.schema import MIN_PEAK_WEEKS
from forecasting.peaks.calibration import LEVELS, MIDDLE, extend_offsets, offsets, shift_ranks
from forecasting.peaks.simulation import JointPaths, Simulation
from forecasting.peaks.weekly_peaks import PeakForecast, forecast_peaks, quantiles, weekly_backtest
from forecasting.peaks.weekly_statistics import Reals
from tests.forecasting.demand_weeks import Shocks, demand, history

unhurried = settings(deadline=None, max_examples=40)
GROUPS = ([0, 1, 2, 3, 4, 5, 6, 7],)
LABELS = np.r_[np.zeros(8, dtype=np.int64), 1]
NO_WEEKS = np.array([], dtype="datetime64[us]")


@pytest.fixture(scope="module")
def values() -> Reals:
    return demand(44, 8, seed=11, shocks=Shocks(0.08, 0.06, 0.02))


@pytest.fixture(scope="module")
def forecast(values: Reals) -> PeakForecast:
    return forecast_peaks(history(values, GROUPS), LABELS, weeks=52, draw=Simulation(100, 3))


def test_quantiles_are_ordered_positive_and_finite(forecast: PeakForecast) -> None:
    assert forecast.quantiles.shape == (52, 2, len(LEVELS), 9)
    assert (np.diff(forecast.quantiles, axis=2) >= 0.0).all()
    assert np.isfinite(forecast.quantiles).all()
    assert (forecast.quantiles > 0.0).all()


def test_quantiles_are_those_of_the_paths(forecast: PeakForecast) -> None:
    assert (forecast.quantiles == quantiles(forecast.paths)).all()


def test_the_spread_does_not_shrink_with_time(forecast: PeakForecast) -> None:
    width = np.log(forecast.quantiles[:, :, -1] / forecast.quantiles[:, :, 0]).mean(axis=-1)
    assert (width[-13:].mean(axis=0) > 0.9 * width[:4].mean(axis=0)).all()


def test_the_network_is_steadier_than_its_sites_together(forecast: PeakForecast) -> None:
    upper = forecast.quantiles[:4, 0, -1]
    assert (upper[:, 8] < upper[:, :8].sum(axis=1)).all(), "a sum of quantiles is no quantile of the sum"


def test_the_same_seed_gives_the_same_forecast(values: Reals) -> None:
    past = history(values[-14 * 168 :], GROUPS)
    first, again = (forecast_peaks(past, LABELS, 2, Simulation(20, 3)) for _ in range(2))
    assert (first.quantiles == again.quantiles).all()


def test_past_weeks_of_a_known_process_fall_under_the_quantiles_as_often_as_they_say(values: Reals) -> None:
    """Weeks are independent and alike, so nothing but the spread is to be learned. Bounds are wide: weeks that all
    sites share make answers few.
    """
    past = weekly_backtest(history(values, GROUPS), Simulation(60), recent=44, ahead=np.array([1, 2]))
    came, known = past.actual, np.isfinite(past.actual) & (past.origins >= 16)[:, None, None, None]
    calibrated = past.predicted * np.exp(offsets(past, LABELS, 44)[:-1])
    shares = [(came <= calibrated[:, :, :, number])[known].mean() for number in range(len(LEVELS))]
    assert shares == pytest.approx(list(LEVELS), abs=0.1)
    median = np.abs(np.log(came / calibrated[:, :, :, MIDDLE]))[known]
    assert np.median(median) < 0.1


@pytest.mark.parametrize(("weeks", "known"), [(MIN_PEAK_WEEKS - 1, False), (MIN_PEAK_WEEKS, True)])
def test_a_forecast_needs_a_past_one(weeks: int, known: bool) -> None:
    found = forecast_peaks(history(demand(weeks, 1)), np.zeros(1, dtype=np.int64), 2)
    assert np.isfinite(found.quantiles).all() == known
    assert np.isnan(found.quantiles).all() != known


def test_zero_demand_is_expected_to_stay_zero_and_harms_nobody() -> None:
    past = demand(8, 2)
    past[:, 1] = 0.0
    found = forecast_peaks(history(past, ([0, 1],)), np.array([0, 0, 1]), 2)
    assert (found.quantiles[..., 1] == 0.0).all()
    assert np.isfinite(found.quantiles[..., [0, 2]]).all()


def test_a_hole_of_eight_weeks_leaves_its_origins_without_a_forecast_and_harms_nobody() -> None:
    past = demand(16, 2)
    past[4 * 168 : 13 * 168, 1] = np.nan
    found = weekly_backtest(history(past, ([0, 1],)), Simulation(20), ahead=np.array([1]))
    known = np.isfinite(found.predicted[:, 0, 0, MIDDLE])
    assert known[:, [0, 2]].all()
    assert found.origins[~known[:, 1]].tolist() == list(range(6, 14)), "a week is bridged"


@unhurried
@given(
    arrays(float, (2, 3, 20), elements=st.floats(0.0, 1e6)), arrays(float, (2, 2, 5, 3), elements=st.floats(-1.0, 1.0))
)
def test_moved_paths_keep_their_order_and_stay_positive(values: Reals, moves: Reals) -> None:
    found = shift_ranks(JointPaths(NO_WEEKS, values, values), moves).peak
    assert (found >= 0.0).all()
    order = np.argsort(values, axis=-1, kind="stable")
    assert (np.diff(np.take_along_axis(found, order, axis=-1), axis=-1) >= 0.0).all()


def test_moved_paths_have_the_quantiles_asked_for() -> None:
    values = np.exp(0.2 * np.random.default_rng(1).standard_normal((1, 1, 2000)))
    moves = np.array([-0.1, -0.05, 0.02, 0.1, 0.2])
    paths = JointPaths(NO_WEEKS, values, values)
    wanted = quantiles(paths)[0, 0, :, 0] * np.exp(moves)
    found = quantiles(shift_ranks(paths, np.broadcast_to(moves[:, None], (1, 2, 5, 1))))[0, 0, :, 0]
    assert found == pytest.approx(wanted, rel=0.005)


def test_offsets_widen_beyond_what_history_could_check() -> None:
    checked = np.array([1, 4])
    moves = np.zeros((2, 2, 5, 1))
    moves[1] = np.array([-0.2, -0.1, 0.0, 0.1, -0.1])[:, None]
    found = extend_offsets(moves, checked, np.array([1, 2, 4, 16]))[:, 0, :, 0]
    assert found[0] == pytest.approx(np.zeros(5))
    assert found[1] == pytest.approx(moves[1, 0, :, 0] / 2), "half-way in the logarithm"
    assert found[3] == pytest.approx([-0.4, -0.2, 0.0, 0.2, -0.1]), "what narrows stays"
    assert (extend_offsets(moves[:0], checked[:0], np.array([1, 2])) == 0.0).all()
