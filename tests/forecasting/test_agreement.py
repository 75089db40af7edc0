"""Forecasts of sites, regions and the network add up, and reconciling is the projection that it claims to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.evaluation.agreement import bottom_up, mint_diagonal
from forecasting.peaks.weekly_statistics import Reals

unhurried = settings(deadline=None, max_examples=60)
GROUPS = [np.array([0, 1]), np.array([2]), np.array([0, 1, 2])]
amounts = st.floats(0.0, 1e4)


@unhurried
@given(arrays(float, (4, 6), elements=amounts), arrays(float, 6, elements=st.floats(0.01, 100.0)))
def test_what_is_reconciled_adds_up_and_is_never_negative(forecasts: Reals, variances: Reals) -> None:
    found = mint_diagonal(forecasts, GROUPS, variances)
    assert (found >= 0.0).all()
    assert found == pytest.approx(bottom_up(found[:, :3], GROUPS))


@unhurried
@given(arrays(float, (4, 3), elements=amounts), arrays(float, 6, elements=st.floats(0.01, 100.0)))
def test_forecasts_that_agree_are_left_alone(sites: Reals, variances: Reals) -> None:
    agreed = bottom_up(sites, GROUPS)
    assert mint_diagonal(agreed, GROUPS, variances) == pytest.approx(agreed, abs=1e-6)


def test_reconciling_is_weighted_least_squares() -> None:
    rng = np.random.default_rng(1)
    sites, variances = rng.uniform(50, 100, (5, 3)), rng.uniform(0.5, 3.0, 6)
    forecasts = bottom_up(sites, GROUPS) * rng.uniform(0.95, 1.05, (5, 6))
    summing = bottom_up(np.eye(3), GROUPS).T
    weights = np.diag(1.0 / variances)
    projection = summing @ np.linalg.solve(summing.T @ weights @ summing, summing.T @ weights)
    assert mint_diagonal(forecasts, GROUPS, variances) == pytest.approx(forecasts @ projection.T)


def test_a_forecast_that_is_sure_of_the_sum_is_kept() -> None:
    found = mint_diagonal(np.array([[10.0, 20.0, 33.0]]), [np.array([0, 1])], np.array([1.0, 2.0, 1e-9]))
    assert found == pytest.approx(np.array([[11.0, 22.0, 33.0]]))


def test_sites_without_a_forecast_are_left_out_of_sums() -> None:
    found = bottom_up(np.array([[1.0, np.nan, np.nan]]), GROUPS)
    assert found[0] == pytest.approx([1.0, np.nan, np.nan, 1.0, np.nan, 1.0], nan_ok=True)


def test_without_groups_there_is_nothing_to_reconcile() -> None:
    assert mint_diagonal(np.array([[1.0, -2.0]]), [], np.ones(2)) == pytest.approx(np.array([[1.0, 0.0]]))


@pytest.mark.parametrize(("forecast", "variance"), [(np.nan, 1.0), (1.0, 0.0), (1.0, np.nan)])
def test_what_cannot_be_weighed_is_refused(forecast: float, variance: float) -> None:
    with pytest.raises(ValueError, match="leave out the series that have none"):
        mint_diagonal(np.array([[forecast, 1.0, 2.0]]), [np.array([0, 1])], np.array([variance, 1.0, 1.0]))
