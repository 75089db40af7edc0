"""The leaderboard's rows against loops that say the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import model_out_of_sample
from forecasting.evaluation.model_selection import PoolBacktest, SelectedForecast, backtest_pool, select_and_calibrate
from forecasting.evaluation.scores import (
    BOUNDS,
    COLUMNS,
    POINTS,
    QUANTILE_LEVELS,
    leaderboard,
    out_of_sample_intervals,
    out_of_sample_quantiles,
    scores,
)
from forecasting.models.ensemble import BOOSTED, YEARLY, pool
from tests.forecasting.panels import SEASONS, demand, history


@pytest.fixture(scope="module")
def both() -> tuple[PoolBacktest, SelectedForecast, pd.DataFrame]:
    """A panel of three series and its leaderboard."""
    learned = backtest_pool(history(demand(300, 3)), 48)
    drawn = select_and_calibrate(learned)
    return learned, drawn, scores(learned, drawn)


def test_every_model_is_scored_on_every_series_and_band(
    both: tuple[PoolBacktest, SelectedForecast, pd.DataFrame],
) -> None:
    _, drawn, found = both
    assert found.columns.tolist() == COLUMNS
    assert set(found["model"]) == {*pool(SEASONS), "blend", "licensed"} - {*BOOSTED, *YEARLY}
    assert found[found["score"].isin(POINTS)].groupby(["model", "horizon", "score"]).size().eq(3).all()
    assert set(found["horizon"]) == {band.name for band in drawn.bands}
    assert found["value"].notna().all()
    assert not found.duplicated(["series", "model", "horizon", "score"]).any()


def test_the_bands_of_the_blend_prophet_the_best_baseline_and_what_is_drawn_are_scored(
    both: tuple[PoolBacktest, SelectedForecast, pd.DataFrame],
) -> None:
    _, drawn, found = both
    bounds = found[found["score"].isin(BOUNDS)]
    best = {
        (series, band.name): drawn.baselines[verdict.baseline[series]]
        for band, verdict in zip(drawn.bands, drawn.verdicts, strict=True)
        for series in range(3)
    }
    for (series, horizon), rows in bounds.groupby(["series", "horizon"]):
        assert rows.groupby("model")["score"].agg(set).to_dict() == {
            name: set(BOUNDS) for name in ("blend", "prophet_map", "licensed", best[series, horizon])
        }


def test_the_bands_of_a_model_are_those_that_its_own_other_origins_give(
    both: tuple[PoolBacktest, SelectedForecast, pd.DataFrame],
) -> None:
    learned, drawn, found = both
    alone = out_of_sample_intervals(
        model_out_of_sample(learned.backtest, learned.backtest.models.index("prophet_map"), 48), learned.history
    )
    scale = metrics.seasonal_scale(learned.history.measured, SEASONS[0])
    expected = leaderboard("prophet_map", alone, drawn.bands, scale)
    pd.testing.assert_frame_equal(
        *(one.sort_values(COLUMNS[:4], ignore_index=True) for one in (found[found["model"] == "prophet_map"], expected))
    )


def test_a_models_error_is_the_mean_over_its_origins(both: tuple[PoolBacktest, SelectedForecast, pd.DataFrame]) -> None:
    learned, _, found = both
    place, scale = (
        learned.backtest.models.index("seasonal_median"),
        metrics.seasonal_scale(learned.history.measured, SEASONS[0])[1],
    )
    each = [
        np.abs(fold.forecasts[place, :24, 1] - fold.actual[:24, 1]).mean() / scale
        for fold in learned.backtest.folds
        if len(fold.actual) >= 12
    ]
    row = found[
        (found["series"] == 1)
        & (found["model"] == "seasonal_median")
        & (found["horizon"] == "0-24 h")
        & (found["score"] == "mase")
    ]
    assert row["value"].item() == pytest.approx(np.mean(each), rel=1e-5)
    assert row["origins"].item() == len(each)


def test_the_bands_that_other_origins_give_cover_about_what_they_say(
    both: tuple[PoolBacktest, SelectedForecast, pd.DataFrame],
) -> None:
    _, _, found = both
    usual = found[found["model"] == "licensed"].groupby("score")["value"].mean()
    assert usual["coverage_80"] == pytest.approx(0.8, abs=0.1)
    assert usual["coverage_95"] == pytest.approx(0.95, abs=0.05)


def test_an_origins_own_residuals_do_not_widen_its_band(
    both: tuple[PoolBacktest, SelectedForecast, pd.DataFrame],
) -> None:
    learned, drawn, _ = both
    absurd = drawn.trials.actual.copy()
    absurd[2] *= 1e3
    honest, other = (
        out_of_sample_quantiles(drawn.trials._replace(actual=actual), learned.history)
        for actual in (drawn.trials.actual, absurd)
    )
    np.testing.assert_array_equal(honest[2], other[2])
    reaches = (~np.isnan(drawn.trials.forecasts)).any(axis=2).sum(axis=1)
    apart = [
        origin - drawn.trials.origins[2] >= reach for origin, reach in zip(drawn.trials.origins, reaches, strict=True)
    ]
    assert [bool(np.nanmax(one - two) > 0.0) for one, two in zip(other[2:], honest[2:], strict=True)] == apart[2:], (
        "nor those of origins that saw the same"
    )


def test_scores_of_bands_are_those_of_the_definitions(
    both: tuple[PoolBacktest, SelectedForecast, pd.DataFrame],
) -> None:
    learned, drawn, found = both
    scale, day = metrics.seasonal_scale(learned.history.measured, SEASONS[0]), slice(0, 24)
    bounds = out_of_sample_quantiles(drawn.trials, learned.history)
    pairs = [(actual[day], one[day]) for actual, one in zip(drawn.trials.actual, bounds, strict=True) if len(one) >= 24]
    expected = {
        f"coverage_{share}": [metrics.coverage(y, q[:, :, low], q[:, :, 6 - low]) for y, q in pairs]
        for share, low in ((50, 2), (80, 1), (95, 0))
    }
    expected["pinball"] = [metrics.pinball(y, q, QUANTILE_LEVELS) for y, q in pairs]
    expected["msis_95"] = [metrics.msis(y, q[:, :, 0], q[:, :, 6], 0.95, scale) for y, q in pairs]
    told = found[(found["model"] == "licensed") & (found["horizon"] == "0-24 h")].pivot_table(
        index="series", columns="score", values="value"
    )
    for name, each in expected.items():
        assert told[name].to_numpy() == pytest.approx(np.mean(each, axis=0)), name


def test_levels_of_the_quantiles() -> None:
    np.testing.assert_allclose(QUANTILE_LEVELS, [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])


def test_a_history_without_origins_has_no_leaderboard() -> None:
    learned = backtest_pool(history(demand(10, 2)), 24)
    assert scores(learned, select_and_calibrate(learned)).empty
