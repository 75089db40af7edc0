"""The blend's weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.schema import model_words
from forecasting.models.ensemble import pool, weighted_mean, weights

ERRORS = arrays(float, (4, 3, 2, 2), elements=st.one_of(st.integers(0, 1000).map(float), st.just(np.nan)))
AGES = np.array([4.0, 3.0, 2.0, 1.0])


@given(ERRORS, st.floats(0.0, 20.0))
def test_weights_are_shares(errors: np.ndarray, looks: float) -> None:
    found = weights(errors, np.array([looks, 0.0]), AGES)
    assert found.shape == (3, 2, 2)
    assert (found >= 0.0).all()
    np.testing.assert_allclose(found.sum(axis=0), 1.0)


@given(ERRORS, st.integers(1, 10**6))
def test_weights_do_not_depend_on_units(errors: np.ndarray, factor: int) -> None:
    looks = np.array([3.0, 2.0])
    np.testing.assert_allclose(
        weights(errors * factor, looks, AGES), weights(errors, looks, AGES), rtol=1e-6, atol=1e-12
    )


def test_a_better_model_weighs_more_the_more_the_more_looks_there_are() -> None:
    errors = np.tile(np.array([1.0, 2.0])[None, :, None, None], (4, 1, 1, 1))
    few, many = (weights(errors, np.array([looks]), AGES)[0, 0, 0] for looks in (1.0, 6.0))
    assert few == pytest.approx(2.0**2 / (1.0 + 2.0**2))
    assert many == pytest.approx(2.0**9 / (1.0 + 2.0**9))


def test_a_recent_origin_counts_more_than_an_old_one() -> None:
    errors = np.array([[1.0, 2.0], [2.0, 1.0]])[:, :, None, None]
    assert weights(errors, np.array([2.0]), np.array([5.0, 1.0]))[1, 0, 0] > 0.5


def test_an_unscored_model_counts_as_the_best_and_an_unseen_band_as_the_one_before() -> None:
    errors = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])[None, :, :, None]
    found = weights(errors, np.array([2.0, 0.0]), np.array([1.0]))
    assert found[2, 0, 0] == pytest.approx(found[0, 0, 0])
    np.testing.assert_allclose(found[:, 1], found[:, 0])


def test_without_any_evidence_all_weigh_the_same() -> None:
    found = weights(np.full((2, 3, 2, 1), np.nan), np.zeros(2), np.ones(2))
    np.testing.assert_allclose(found, 1.0 / 3.0)


def test_a_model_without_a_forecast_passes_its_weight_on() -> None:
    told = np.array([[[1.0]], [[np.nan]], [[4.0]]])
    assert weighted_mean(told, np.array([[[0.5]], [[0.4]], [[0.1]]]))[0, 0] == pytest.approx((0.5 + 0.4) / 0.6)
    assert np.isnan(weighted_mean(np.full((2, 1, 1), np.nan), np.full((2, 1, 1), 0.5))[0, 0])


def test_a_model_that_stands_for_several_weighs_as_much_as_they_together() -> None:
    errors = np.tile(np.array([1.0, 2.0, 2.0])[None, :, None, None], (2, 1, 1, 1))
    several = weights(errors, np.array([2.0]), np.ones(2))[:, 0, 0]
    one = weights(errors[:, :2], np.array([2.0]), np.ones(2), np.array([[1.0], [2.0]]))[:, 0, 0]
    assert one[1] == pytest.approx(several[1:].sum())


def test_every_model_of_the_pool_has_words_of_its_own_that_fit_an_axis() -> None:
    names = list(pool((24, 168)))
    words = [model_words(name) for name in names]
    assert len(set(words)) == len(names)
    assert [word for word in words if "_" in word or len(word) > 26] == []
    assert model_words("seasonal_naive_168") == "same hour last week"
    assert model_words("a model of an older run") == "a model of an older run"
