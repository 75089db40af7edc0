"""Quantiles and bounds are ordered, finite and never negative, whatever the curve and the noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.schema import QUANTILES
from forecasting.models.prophet_engine import (
    interpolate,
    level_variogram,
    mixture_quantiles,
    relative_width,
    residual_quantile_offsets,
)
from forecasting.panel.history import CEILING, LOG_FLOOR_SHARE, LogScale, Reals

# A busy machine is no fault of the code.
unhurried = settings(deadline=None, max_examples=60)

LEVELS = list(QUANTILES.values())
logs = st.floats(-50.0, 50.0)
values = st.floats(0.0, 1e12)


@unhurried
@given(arrays(float, (3, 8), elements=st.floats(-5.0, 5.0)), st.floats(0.0, 10.0))
def test_a_higher_level_is_never_a_lower_quantile(paths: Reals, sigma: float) -> None:
    spread = mixture_quantiles(paths, np.full(3, sigma), LEVELS)
    assert spread.shape == (3, len(LEVELS))
    assert (np.diff(spread, axis=1) >= -1e-12).all()


@unhurried
@given(st.floats(0.01, 3.0))
def test_without_paths_the_spread_is_that_of_the_normal_distribution(sigma: float) -> None:
    spread = mixture_quantiles(np.zeros((2, 1)), np.full(2, sigma), LEVELS) / sigma
    assert spread[0] == pytest.approx([-1.96, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.96], rel=0.001, abs=1e-9)


@unhurried
@given(st.floats(0.1, 2.0), st.floats(1.5, 5.0))
def test_paths_that_part_widen_the_spread(sigma: float, apart: float) -> None:
    spread = mixture_quantiles(np.array([[0.0, 0.0], [-apart, apart]]), np.full(2, sigma), LEVELS)
    assert spread[1, -1] > spread[0, -1]
    assert spread[1, 0] < spread[0, 0]


@unhurried
@given(arrays(float, 12, elements=values).filter(lambda held: held.max() > 0.0), arrays(float, 6, elements=logs))
def test_values_are_finite_never_negative_and_bounded_by_the_ceiling(held: Reals, wanted: Reals) -> None:
    found = LogScale.of(held).value(np.sort(wanted))
    assert np.isfinite(found).all()
    assert (found >= 0.0).all()
    assert (np.diff(found) >= 0.0).all()
    assert found.max() <= CEILING * held.max() * (1 + 1e-9)


@unhurried
@given(arrays(float, 12, elements=st.floats(1e-6, 1e6)))
def test_there_and_back_is_the_same_above_the_floor_and_zero_below_it(held: Reals) -> None:
    scale = LogScale.of(held)
    floor = LOG_FLOOR_SHARE * np.median(held)
    above = held[held > floor * (1 + 1e-9)]
    assert scale.value(scale.log(above)) == pytest.approx(above)
    assert (scale.value(scale.log(np.array([0.0, floor / 2]))) < floor * (1 + 1e-9)).all()


def test_the_scale_does_not_depend_on_the_unit() -> None:
    held = np.array([0.0, 1.0, 2.0, 3.0])
    assert LogScale.of(held * 1e12).log(held * 1e12) == pytest.approx(LogScale.of(held).log(held))


def test_the_curve_lies_within_measured_bounds_even_where_all_residuals_lie_on_one_side() -> None:
    found = residual_quantile_offsets(np.array([0.2, 0.3, np.nan, 0.4]), [0.025, 0.1, 0.9, 0.975])
    assert (found[:2] == 0.0).all()
    assert (found[2:] > 0.0).all()
    assert (np.diff(found) >= 0.0).all()


@unhurried
@given(arrays(float, (4, 4), elements=st.floats(0.1, 5.0)))
def test_bounds_never_narrow(sizes: Reals) -> None:
    spread = np.sort(sizes, axis=1) * [-2.0, -1.0, 1.0, 2.0]
    factors = relative_width(spread)
    assert (factors >= 1.0).all()
    assert (factors[0] == 1.0).all()


def test_rows_are_held_beyond_their_ends() -> None:
    found = interpolate(np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([0.0, 2.0]), np.array([-5.0, 1.0, 9.0]))
    assert found.tolist() == [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]


@unhurried
@given(arrays(float, st.integers(7, 90), elements=st.floats(-3.0, 3.0) | st.just(np.nan)), st.integers(0, 120))
def test_a_level_strays_no_less_as_time_goes_on(days: Reals, ahead: int) -> None:
    found = level_variogram(days, ahead)
    assert found.shape == (ahead + 1,)
    assert found[0] == 0.0
    assert (np.diff(found) >= 0.0).all()


def test_a_level_that_stays_does_not_stray_and_one_that_walks_strays_as_far_as_it_walked() -> None:
    rng = np.random.default_rng(3)
    assert level_variogram(rng.normal(0.0, 0.1, 180), 60)[-1] < 0.03
    walks = [level_variogram(rng.normal(0.0, 0.1, 180).cumsum(), 60) for _ in range(40)]
    assert np.mean([found[30] for found in walks]) == pytest.approx(0.1 * np.sqrt(30), rel=0.2)
    assert np.mean([found[60] for found in walks]) == pytest.approx(0.1 * np.sqrt(60), rel=0.25)
