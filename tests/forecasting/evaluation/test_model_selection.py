"""The whole procedure on panels: invariants, awkward series, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import Backtest
from forecasting.evaluation.model_selection import (
    SelectedForecast,
    backtest_pool,
    best_baseline,
    model_quantiles,
    prophet_curve,
    select_and_calibrate,
    stamps_ahead,
)
from forecasting.models.ensemble import BOOSTED, RECURSIVE, YEARLY, pool
from tests.forecasting.panels import SEASONS, awkward, demand, history

HORIZON, STEPS = 60, 300
SINGLE = {name: model for name, model in pool(SEASONS).items() if name not in {*BOOSTED, *RECURSIVE, *YEARLY}}
FACTORS = np.array([1.0, 1e3, 1e-3, 1.0])


@pytest.fixture(scope="module")
def drawn() -> SelectedForecast:
    """A panel of four series."""
    return select_and_calibrate(backtest_pool(history(demand(STEPS, 4)), HORIZON))


@pytest.fixture(scope="module")
def strange() -> tuple[list[str], SelectedForecast]:
    """A panel of all that is awkward, and the names of its series."""
    series = awkward(STEPS)
    return list(series), select_and_calibrate(backtest_pool(history(np.column_stack(list(series.values()))), HORIZON))


def test_quantiles_are_ordered_finite_and_hold_the_point(drawn: SelectedForecast) -> None:
    assert drawn.quantiles.shape == (HORIZON, 4, 7)
    assert np.isfinite(drawn.quantiles).all()
    assert (np.diff(drawn.quantiles, axis=2) >= 0.0).all()
    np.testing.assert_array_equal(drawn.quantiles[:, :, 3], drawn.point)


def test_weights_are_shares_of_models(drawn: SelectedForecast) -> None:
    np.testing.assert_allclose(drawn.weights.sum(axis=0), 1.0)
    assert (drawn.weights >= 0.0).all()


def test_units_do_not_matter(drawn: SelectedForecast) -> None:
    scaled = select_and_calibrate(backtest_pool(history(demand(STEPS, 4) * FACTORS), HORIZON))
    np.testing.assert_allclose(scaled.point, drawn.point * FACTORS, rtol=2e-3)
    np.testing.assert_allclose(scaled.quantiles, drawn.quantiles * FACTORS[:, None], rtol=2e-2)


def test_the_order_of_the_series_does_not_matter(drawn: SelectedForecast) -> None:
    order = np.array([2, 0, 3, 1])
    turned = select_and_calibrate(backtest_pool(history(demand(STEPS, 4)[:, order]), HORIZON))
    np.testing.assert_allclose(turned.point, drawn.point[:, order], rtol=1e-4)
    np.testing.assert_allclose(turned.quantiles, drawn.quantiles[:, order], rtol=1e-3)


def test_each_band_draws_the_blend_and_its_baseline_by_the_share_that_its_licence_says() -> None:
    learned = backtest_pool(history(demand(STEPS, 6, seed=9)), HORIZON)
    found = select_and_calibrate(learned)
    steps = slice(found.bands[0].first, max(found.bands[0].last - max(SEASONS), 6))
    for series in range(6):
        licence = found.licences(series)[0]
        baseline = learned.ahead[learned.backtest.models.index(licence.baseline), steps, series]
        mixed = licence.share * found.blend[steps, series] + (1.0 - licence.share) * baseline
        np.testing.assert_allclose(found.point[steps, series], mixed, rtol=1e-6)


def test_a_plain_season_is_forecast_better_than_by_its_own_level(drawn: SelectedForecast) -> None:
    values = demand(STEPS + HORIZON, 4)
    found = select_and_calibrate(backtest_pool(history(values[:STEPS]), HORIZON))
    actual = values[STEPS:]
    assert (
        metrics.mae(actual, found.point)
        < 0.6 * metrics.mae(actual, np.broadcast_to(values[:STEPS].mean(axis=0), actual.shape))
    ).all()


def test_awkward_series_get_sane_forecasts(strange: tuple[list[str], SelectedForecast]) -> None:
    names, found = strange
    highest = {name: np.nanmax(np.abs(values)) for name, values in awkward(STEPS).items()}
    for place, name in enumerate(names):
        bounds = found.quantiles[:, place]
        assert np.isfinite(bounds).all(), name
        assert (np.diff(bounds, axis=1) >= 0.0).all(), name
        assert np.abs(found.point[:, place]).max() <= 3.0 * highest[name] + 1e-12, name
        assert name == "negative" or (bounds >= 0.0).all(), name


def test_a_series_that_never_changes_is_forecast_as_it_is(strange: tuple[list[str], SelectedForecast]) -> None:
    names, found = strange
    np.testing.assert_allclose(found.point[:, names.index("constant")], 7.0, rtol=1e-6)
    np.testing.assert_array_equal(found.quantiles[:, names.index("zero")], 0.0)


def test_an_awkward_neighbour_leaves_a_series_its_forecast(strange: tuple[list[str], SelectedForecast]) -> None:
    names, found = strange
    place = names.index("usual")
    alone = select_and_calibrate(backtest_pool(history(awkward(STEPS)["usual"][:, None]), HORIZON))
    np.testing.assert_allclose(
        found.blend[:, place], alone.blend[:, 0], rtol=0.03, err_msg="trees learn from all series, and are one of many"
    )
    together = select_and_calibrate(
        backtest_pool(history(np.column_stack(list(awkward(STEPS).values()))), HORIZON, models=SINGLE)
    )
    apart = select_and_calibrate(backtest_pool(history(awkward(STEPS)["usual"][:, None]), HORIZON, models=SINGLE))
    np.testing.assert_allclose(
        together.blend[:, place], apart.blend[:, 0], rtol=0.02, err_msg="weights are shrunk to the panel's median"
    )


def test_trees_are_left_out_where_there_is_nothing_to_learn_from(
    drawn: SelectedForecast, strange: tuple[list[str], SelectedForecast]
) -> None:
    """Four series are too few for direct trees, twelve are enough; recursive ones stand in for them. Fifty days know of
    no year.
    """
    assert len(drawn.weights) == len(SINGLE) + len(RECURSIVE)
    assert len(strange[1].weights) == len(SINGLE) + len(BOOSTED)


@pytest.mark.parametrize("steps", [8, 13, 30, 50])
def test_a_short_history_is_forecast_with_bands_and_by_the_default_baseline_where_no_origin_fits(steps: int) -> None:
    found = select_and_calibrate(backtest_pool(history(demand(steps, 2)), 24))
    assert np.isfinite(found.quantiles).all()
    assert (found.quantiles[:, :, 6] > found.quantiles[:, :, 0]).all()
    assert steps > 20 or found.licences(0)[0].drawn == "level_adjusted_median"


@pytest.mark.parametrize("seasons", [(), (7,)])
def test_a_panel_needs_no_two_seasons(seasons: tuple[int, ...]) -> None:
    found = select_and_calibrate(backtest_pool(history(demand(150, 2, seasons=(7,)), seasons), 14))
    assert np.isfinite(found.quantiles).all()


def test_every_earlier_origin_can_be_drawn_as_it_would_have_been() -> None:
    learned = backtest_pool(history(demand(STEPS, 2)), HORIZON)
    for fold in learned.backtest.folds:
        replayed = select_and_calibrate(learned.at(fold))
        assert replayed.quantiles.shape == (fold.forecasts.shape[1], 2, 7)
        assert np.isfinite(replayed.quantiles).all()


def test_the_best_baseline_and_prophet_stand_beside_what_is_drawn() -> None:
    learned = backtest_pool(history(demand(STEPS, 3)), HORIZON)
    found = select_and_calibrate(learned)
    beside = best_baseline(learned, found)
    for band, licence in zip(found.bands, found.licences(1), strict=True):
        expected = learned.ahead[learned.backtest.models.index(licence.baseline), band.first : band.last, 1]
        np.testing.assert_array_equal(beside[band.first : band.last, 1], expected)
    np.testing.assert_array_equal(prophet_curve(learned), learned.ahead[learned.backtest.models.index("prophet_map")])


def test_any_model_has_bands_of_its_own_trials() -> None:
    learned = backtest_pool(history(demand(STEPS, 2)), 24)
    point, bounds = model_quantiles(learned, "seasonal_median")
    np.testing.assert_array_equal(bounds[:, :, 3], point)
    assert (bounds[:, :, 6] > bounds[:, :, 0]).all()
    assert len(stamps_ahead(learned)) == 24
    assert stamps_ahead(learned)[0] == learned.history.stamps[-1] + learned.history.step


def test_a_past_origin_is_drawn_without_its_own_evidence_of_the_licence_too() -> None:
    learned = backtest_pool(history(demand(STEPS, 6, seed=4)), 24)
    place = len(learned.backtest.folds) // 2
    fold = learned.backtest.folds[place]
    names = learned.backtest.models
    copy = names.index(f"seasonal_naive_{SEASONS[0]}")
    exact = fold._replace(
        actual=fold.forecasts[copy].astype(float)
    )  # had it come so, this baseline would have been perfect there
    folds = tuple(exact if number == place else one for number, one in enumerate(learned.backtest.folds))
    told = [
        select_and_calibrate(replace(learned, backtest=Backtest(names, one))).trials.forecasts
        for one in (learned.backtest.folds, folds)
    ]
    np.testing.assert_allclose(told[0][place], told[1][place], rtol=1e-3, err_msg="but for a trace in others' weights")
    assert not np.allclose(told[0], told[1], rtol=1e-3)
