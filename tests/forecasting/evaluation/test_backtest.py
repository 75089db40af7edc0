"""Rolling origins: where they lie, and that nothing that came after an origin moves what was forecast there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.evaluation.backtest import (
    Backtest,
    backtest,
    ensemble_out_of_sample,
    ensemble_weights,
    forecasts,
    horizon_bands,
    leave_one_origin_out_weights,
    origins,
    weights_by_step,
)
from forecasting.evaluation.model_selection import backtest_pool, select_and_calibrate
from forecasting.models.baselines import seasonal_naive
from forecasting.models.ensemble import baselines, least_history_of, pool
from forecasting.panel.history import History
from tests.forecasting.panels import SEASONS, demand, history

HOUR = pd.Timedelta(hours=1)
SHORT, LONG = SEASONS


def corrupted(values: np.ndarray, known: int) -> np.ndarray:
    """The same until `known`, absurd after."""
    return np.concatenate([values[:known], np.full_like(values[known:], 1e9)])


def test_bands_of_hours_days_and_steps() -> None:
    assert [(band.name, band.first, band.last) for band in horizon_bands(HOUR, 90 * 24)] == [
        ("0-24 h", 0, 24),
        ("1-7 d", 24, 168),
        ("8-28 d", 168, 672),
        ("29-90 d", 672, 2160),
    ]
    assert [(band.name, band.last) for band in horizon_bands(HOUR, 48)] == [("0-24 h", 24), ("1-7 d", 48)]
    assert [(band.first, band.last) for band in horizon_bands(pd.Timedelta(minutes=5), 288)] == [(0, 288)]
    assert [(band.first, band.last) for band in horizon_bands(pd.Timedelta(days=1), 120)] == [
        (0, 1),
        (1, 7),
        (7, 28),
        (28, 120),
    ]
    assert [(band.first, band.last) for band in horizon_bands(pd.Timedelta(days=7), 3)] == [(0, 1), (1, 3)]


def test_a_year_of_daily_values_asks_for_no_more_origins_than_a_week_of_hours() -> None:
    stamps = pd.date_range("2016-01-01", periods=3650, freq="D")
    days = History(stamps, np.ones((3650, 1)), (7, 365))
    assert len(origins(days, horizon_bands(pd.Timedelta(days=1), 7), 8)) == 2 * 8 * 7
    assert [band.name for band in horizon_bands(pd.Timedelta(days=7), 4)] == ["0-7 d", "8-28 d"]


def test_each_origin_forecasts_to_the_end_of_the_band_that_asked_for_it_and_a_week_at_least() -> None:
    known = History(pd.date_range("2026-01-05", periods=180 * 24, freq="h"), np.ones((180 * 24, 1)), (24, 168))
    found = origins(known, horizon_bands(HOUR, 90 * 24), 8)
    assert sorted(set(found.values())) == [168, 672, 2160]
    assert all(origin + steps <= 180 * 24 for origin, steps in found.items() if steps > 168)
    assert sum(steps == 2160 for steps in found.values()) == 4
    week = [origin for origin in found if origin >= 180 * 24 - 8 * 168]
    assert week == [180 * 24 - 24 * back for back in range(56, 0, -1)], "one every day, eight weeks back"


@pytest.mark.parametrize("length", [30, 50, 100, 400, 2000])
def test_origins_leave_a_history_before_and_half_of_a_band_after_them(length: int) -> None:
    known = History(pd.date_range("2026-01-05", periods=length, freq="h"), np.ones((length, 1)), (24, 168))
    found = origins(known, horizon_bands(HOUR, 168), 8)
    assert list(found) == sorted(found)
    assert set(found.values()) <= {168}
    assert all(origin >= 2 * 24 or origin * 2 >= length for origin in found)
    assert all(origin <= length - 12 for origin in found)
    assert length < 400 or len(found) >= 8


def test_a_fold_holds_forecasts_and_what_came() -> None:
    values = demand(200, 3)
    found = backtest(history(values), {"copy": seasonal_naive(SHORT)}, {120: 24, 190: 24})
    assert [(fold.origin, fold.forecasts.shape, fold.actual.shape) for fold in found.folds] == [
        (120, (1, 24, 3), (24, 3)),
        (190, (1, 10, 3), (10, 3)),
    ]
    np.testing.assert_array_equal(found.folds[0].actual, values[120:144])
    errors = found.errors(horizon_bands(HOUR, 24))
    assert errors.shape == (2, 1, 1, 3)
    np.testing.assert_allclose(
        errors[0, 0, 0], np.abs(values[114:120][np.arange(24) % 6] - values[120:144]).mean(axis=0), rtol=1e-5
    )
    assert np.isnan(errors[1]).all(), "ten of 24 hours are less than half"


def test_a_model_that_is_not_yet_itself_is_not_scored() -> None:
    values = demand(100, 1)
    found = backtest(history(values), baselines(SEASONS), {20: 12, 60: 12}, least_history_of(SEASONS))
    errors = found.errors(horizon_bands(HOUR, 12))[:, :, 0, 0]
    names = list(baselines(SEASONS))
    assert np.isnan(errors[0]).tolist() == [name != f"seasonal_naive_{SHORT}" for name in names]
    assert np.isfinite(errors[1]).all()


def test_no_model_of_the_pool_sees_what_came_after_its_origin() -> None:
    values, models = demand(220, 2), pool(SEASONS)
    honest = backtest(history(values), models, {100: 30, 150: 30}, least_history_of(SEASONS))
    blinded = backtest(history(corrupted(values, 150)), models, {100: 30, 150: 30}, least_history_of(SEASONS))
    for one, other in zip(honest.folds, blinded.folds, strict=True):
        np.testing.assert_array_equal(one.forecasts, other.forecasts)


def test_nothing_that_is_drawn_at_an_origin_sees_what_came_after_it() -> None:
    values, origin = demand(300, 3), 240
    drawn = []
    for given in (values, corrupted(values, origin)):
        whole = backtest_pool(history(given), 30, more=(origin,))
        fold = next(fold for fold in whole.backtest.folds if fold.origin == origin)
        drawn.append(select_and_calibrate(whole.at(fold)))
    np.testing.assert_array_equal(drawn[0].point, drawn[1].point)
    np.testing.assert_array_equal(drawn[0].quantiles, drawn[1].quantiles)
    np.testing.assert_array_equal(drawn[0].weights, drawn[1].weights)


def test_what_was_known_at_an_origin_is_cut_to_it() -> None:
    values = demand(200, 1)
    found = backtest(history(values), baselines(SEASONS), dict.fromkeys([100, 120, 150], 40)).known_at(150, 35)
    assert [(fold.origin, len(fold.actual), fold.forecasts.shape[1]) for fold in found.folds] == [
        (100, 35, 35),
        (120, 30, 30),
    ]


def test_looks_count_disjoint_views_of_a_band() -> None:
    values, bands = demand(300, 1), horizon_bands(HOUR, 24)
    apart, together = (
        backtest(history(values), baselines(SEASONS), dict.fromkeys(starts, 24)).effective_windows(bands)[0]
        for starts in ([100, 150, 200], [100, 106, 112])
    )
    assert (apart, together) == (3.0, 1.5)


def test_an_origin_left_out_does_not_weigh_on_its_own_residual() -> None:
    values, bands = demand(300, 2), horizon_bands(HOUR, 24)
    known = history(values)
    found = backtest(known, baselines(SEASONS), dict.fromkeys([150, 200, 250], 24))
    absurd = found.folds[1]._replace(actual=found.folds[1].actual * 1e6)
    other = Backtest(found.models, (found.folds[0], absurd, found.folds[2]))
    told = [
        ensemble_out_of_sample(one, leave_one_origin_out_weights(one, bands, known), bands, known).forecasts
        for one in (found, other)
    ]
    np.testing.assert_array_equal(told[0][1], told[1][1])
    assert not np.array_equal(told[0][0], told[1][0])


def test_an_origin_left_out_takes_along_those_that_saw_the_same_while_others_are_left() -> None:
    values, bands = demand(300, 2), horizon_bands(HOUR, 24)
    known = history(values)
    found = backtest(known, baselines(SEASONS), dict.fromkeys([150, 160, 200, 250], 24))
    absurd = Backtest(found.models, (found.folds[0]._replace(actual=found.folds[0].actual * 1e6), *found.folds[1:]))
    for honest, other, changes in zip(
        *(leave_one_origin_out_weights(one, bands, known) for one in (found, absurd)),
        (False, False, True, True),
        strict=True,
    ):
        assert np.array_equal(honest, other) != changes
    few = Backtest(found.models, found.folds[:3])
    other = Backtest(found.models, absurd.folds[:3])
    assert not np.array_equal(
        leave_one_origin_out_weights(few, bands, known)[1], leave_one_origin_out_weights(other, bands, known)[1]
    ), "one origin alone is chance"


def test_an_origin_on_the_same_day_of_the_week_counts_more() -> None:
    values, bands = demand(400, 1), horizon_bands(HOUR, 6)
    known = history(values)
    short, long = SEASONS
    told = backtest(
        known, {"one": seasonal_naive(short), "other": seasonal_naive(long)}, {400 - long: 6, 400 - long + short: 6}
    )
    same, another = (
        fold._replace(actual=fold.forecasts[place].astype(float) + 0.01) for place, fold in enumerate(told.folds)
    )
    share = ensemble_weights(Backtest(told.models, (same, another)), bands, known)[:, 0, 0]
    assert share[0] > 0.5 > share[1], "though the other origin is newer"


def test_weights_pass_gently_from_band_to_band_and_sum_to_one() -> None:
    values, bands = demand(700, 2), horizon_bands(HOUR, 60)
    known = history(values)
    share = ensemble_weights(backtest(known, baselines(SEASONS), dict.fromkeys([400, 500, 600], 60)), bands, known)
    steps = weights_by_step(share, bands, SHORT)
    np.testing.assert_allclose(steps.sum(axis=0), 1.0)
    np.testing.assert_array_equal(steps[:, 0], share[:, 0])
    np.testing.assert_array_equal(steps[:, -1], share[:, 1])
    jump = np.abs(np.diff(steps, axis=1)).max(axis=(0, 1))
    assert (jump <= np.abs(share[:, 1] - share[:, 0]).max() * 0.51 + 1e-12).all()


def test_forecasts_of_what_was_never_below_zero_are_not_either() -> None:
    values = demand(200, 2)
    values[:, 1] -= 40.0
    down = {"down": lambda _, steps: np.full((steps, 2), -5.0)}
    np.testing.assert_array_equal(forecasts(history(values), down, 3)[0], [[0.0, -5.0]] * 3)


def test_a_model_is_not_scored_on_a_series_before_it_is_itself_nor_any_before_the_series_has_lived_for_a_cycle() -> (
    None
):
    values = demand(300, 2)
    values[:200, 1] = np.nan
    short, long = SEASONS
    found = backtest(
        history(values),
        baselines(SEASONS),
        dict.fromkeys([190, 200 + short - 1, 200 + short, 200 + long], 6),
        least_history_of(SEASONS),
    )
    held = {
        name: np.isfinite(found.errors(horizon_bands(HOUR, 6))[:, place, 0, 1]).tolist()
        for place, name in enumerate(found.models)
    }
    assert held[f"seasonal_naive_{short}"] == [False, False, True, True]
    assert held[f"seasonal_naive_{long}"] == [False, False, False, True]
    assert np.isfinite(found.errors(horizon_bands(HOUR, 6))[:, :, 0, 0]).all(), (
        "the series beside it is as old as the panel"
    )
