"""Model selection: the pool's backtests, a mixture of the blend and the best baseline for each series and band of
horizons, and intervals for it, in one pass over plain arrays.

`backtest_pool` lets the pool forecast from past origins and from the end; `select_and_calibrate` turns that into a
licensed forecast with intervals. All that it decides it decides from the backtest that it is given, so the same
function, given only what was known at an earlier origin, is backtested itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.evaluation.backtest import (
    Backtest,
    Fold,
    HorizonBand,
    OutOfSample,
    Stored,
    backtest,
    combine_fold,
    ensemble_out_of_sample,
    ensemble_weights,
    forecasts,
    horizon_bands,
    leave_one_origin_out_weights,
    leave_out_mask,
    model_out_of_sample,
    origins,
)
from forecasting.evaluation.conformal import half_widths, quantiles
from forecasting.evaluation.licence import Licence, Verdict, licences, share_offsets, verdicts
from forecasting.models.ensemble import PROPHET_MAP, baselines, least_history_of, pool
from forecasting.panel.history import History, Model, Reals

# Origins for each band of horizons; eight let the best models decide (docs/methods.md).
ORIGINS = 8
# The baseline that stands until any can be compared: it was the best of them on short histories.
UNPROVEN = "level_adjusted_median"
# Origins, counted in steps from the start of the history, and how many steps each forecasts.
Origins = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class PoolBacktest:
    """The pool's forecasts at past origins, `backtest`, and at the end of a history: `ahead` (models, H, N)."""

    history: History
    bands: tuple[HorizonBand, ...]
    backtest: Backtest
    ahead: Stored

    @property
    def now(self) -> Fold:
        """The end of the history as a fold that nothing has come after."""
        return Fold(len(self.history.stamps), self.ahead, np.full(self.ahead.shape[1:], np.nan))

    def at(self, fold: Fold) -> PoolBacktest:
        """What was known at an earlier origin, as far ahead as was forecast there."""
        steps = fold.forecasts.shape[1]
        bands = horizon_bands(self.history.step, steps)
        backtest_then = self.backtest.known_at(fold.origin, steps)
        return PoolBacktest(self.history.until(fold.origin), bands, backtest_then, fold.forecasts)


@dataclass(frozen=True, slots=True)
class SelectedForecast:
    """A licensed forecast: `point` (H, N), `quantiles` (H, N, 7) in the contract's levels, and what it was chosen by.

    blend: (H, N), the blend alone. weights: (models, bands, N), what `point` is made of. verdicts: of
    each band. trials and blend_trials: `point` and `blend` at past origins, each without its own evidence.
    """

    point: Reals
    quantiles: Reals
    blend: Reals
    weights: Reals
    verdicts: list[Verdict]
    trials: OutOfSample
    blend_trials: OutOfSample
    baselines: tuple[str, ...]
    bands: tuple[HorizonBand, ...]

    def blend_quantiles(self, history: History) -> Reals:
        """The blend with intervals of its own trials, (H, N, 7)."""
        return quantiles(self.blend, half_widths(self.blend, self.blend_trials, history), lower_bound(history))

    def licences(self, series: int) -> list[Licence]:
        """What is published for one series in each band, and why."""
        return licences(self.verdicts, self.bands, self.baselines, series)


def backtest_pool(
    history: History,
    horizon: int,
    *,
    count: int = ORIGINS,
    models: Mapping[str, Model] | None = None,
    more: Sequence[int] = (),
    starts: Origins | None = None,
) -> PoolBacktest:
    """Backtest the pool (or these models) from `count` origins for each band of horizons, and from those in `more`;
    forecast `horizon` steps from the end.

    `starts` names the origins instead, each with how many steps it forecasts. A model that has no forecast for any of
    the series is left out.
    """
    candidates = pool(history.seasons) if models is None else models
    bands = horizon_bands(history.step, horizon)
    if starts is None:
        starts = origins(history, bands, count) | dict.fromkeys(more, horizon)
    past = backtest(history, candidates, starts, least_history_of(history.seasons))
    ahead = forecasts(history, candidates, horizon)
    has_forecast = np.asarray(np.isfinite(ahead).any(axis=(1, 2)))
    if has_forecast.any() and not has_forecast.all():
        past, ahead = past.only(has_forecast), ahead[has_forecast]
    return PoolBacktest(history, bands, past, ahead)


def select_and_calibrate(pool_backtest: PoolBacktest) -> SelectedForecast:
    """Choose a forecast for each series and band of horizons by its backtests, and calibrate its intervals.

    Weights, comparison and mixture are made once from all origins, and once for each past origin without its own
    evidence. Source of the intervals: split conformal prediction (Lei et al., 2018), on the errors of this whole
    procedure out of sample.
    """
    backtest, bands, history = pool_backtest.backtest, pool_backtest.bands, pool_backtest.history
    names = tuple(name for name in baselines(history.seasons) if name in backtest.models)
    places = [backtest.models.index(name) for name in names]
    default = names.index(UNPROVEN) if UNPROVEN in names else 0

    weights = ensemble_weights(backtest, bands, history)
    weights_then = leave_one_origin_out_weights(backtest, bands, history)
    blend_trials = ensemble_out_of_sample(backtest, weights_then, bands, history)

    verdicts_now, verdicts_then = compare_with_baselines(backtest, blend_trials, places, bands, default)
    mixture = mix_with_baseline(weights, verdicts_now, places)
    mixtures_then = [mix_with_baseline(*then, places) for then in zip(weights_then, verdicts_then, strict=True)]
    trials = ensemble_out_of_sample(backtest, mixtures_then, bands, history)
    trials = trials.filled(blend_trials)

    lowest = lower_bound(history)
    blend = combine_fold(pool_backtest.now, weights, bands, history.short)
    point = combine_fold(pool_backtest.now, mixture, bands, history.short)
    intervals = quantiles(point, half_widths(point, trials, history), lowest)
    return SelectedForecast(
        np.maximum(point, lowest), intervals, blend, mixture, verdicts_now, trials, blend_trials, names, bands
    )


def compare_with_baselines(
    backtest: Backtest, blend: OutOfSample, places: list[int], bands: tuple[HorizonBand, ...], default: int
) -> tuple[list[Verdict], list[list[Verdict]]]:
    """The verdicts of each band by all evidence, and for each past origin those without its own evidence.

    An origin still has a trace in its own verdict, through the weights by which the blend forecast the other origins:
    it moves what is drawn there by less than 0.1 %.

    places: of the baselines among the models. default: which of them stands where nothing is proven.
    """
    offsets = share_offsets(bands)
    if not backtest.folds:
        blank = np.full((0, len(places), len(bands), blend.forecasts.shape[2]), np.nan)
        return verdicts(blank[:, 0], blank, backtest.effective_windows(bands), default, offsets), []
    blend_errors, baseline_errors = blend.errors(bands), backtest.errors(bands)[:, places]
    without = [
        verdicts(
            np.where(left_out[:, :, None], np.nan, blend_errors),
            np.where(left_out[:, None, :, None], np.nan, baseline_errors),
            backtest.effective_windows(bands, ~left_out),
            default,
            offsets,
        )
        for left_out in leave_out_mask(backtest, bands)
    ]
    return verdicts(blend_errors, baseline_errors, backtest.effective_windows(bands), default, offsets), without


def mix_with_baseline(weights: Reals, band_verdicts: Sequence[Verdict], places: list[int]) -> Reals:
    """The weights (models, bands, N) of what is published: the blend's times its share, and the rest for the best
    baseline.
    """
    mixture = weights.copy()
    series = np.arange(weights.shape[2])
    for band, verdict in enumerate(band_verdicts):
        mixture[:, band] *= verdict.share
        mixture[np.array(places)[verdict.baseline], band, series] += 1.0 - verdict.share
    return mixture


def lower_bound(history: History) -> Reals:
    """Zero for a series that never fell below it, (N); demand is never negative, other people's data may be."""
    return np.where(np.fmin.reduce(history.measured, axis=0) < 0.0, -np.inf, 0.0)


def model_quantiles(pool_backtest: PoolBacktest, name: str) -> tuple[Reals, Reals]:
    """A single model of the pool with intervals of its own trials: point (H, N) and quantiles (H, N, 7)."""
    backtest, history = pool_backtest.backtest, pool_backtest.history
    place = backtest.models.index(name)
    point = pool_backtest.ahead[place].astype(float)
    widths = half_widths(point, model_out_of_sample(backtest, place, len(point)), history)
    return point, quantiles(point, widths, lower_bound(history))


def best_baseline(pool_backtest: PoolBacktest, selected: SelectedForecast, forecasts: Stored | None = None) -> Reals:
    """The best baseline of each series and band, (H, N), to be shown beside what is published; of what the models
    forecast ahead, or of these (M, h, N).
    """
    of_models = pool_backtest.ahead if forecasts is None else forecasts
    places = [pool_backtest.backtest.models.index(name) for name in selected.baselines]
    of_baselines = of_models[places].astype(float)
    series = np.arange(of_baselines.shape[2])
    return np.concatenate(
        [
            of_baselines[verdict.baseline, band.first : band.last, series].T
            for verdict, band in zip(selected.verdicts, selected.bands, strict=True)
        ]
    )


def prophet_curve(pool_backtest: PoolBacktest) -> Reals:
    """Panel Prophet with its trend, (H, N), to be shown beside what is published."""
    return np.asarray(pool_backtest.ahead[pool_backtest.backtest.models.index(PROPHET_MAP)], dtype=float)


def stamps_ahead(pool_backtest: PoolBacktest) -> pd.DatetimeIndex:
    """The stamps of every forecast."""
    return pool_backtest.history.ahead(pool_backtest.ahead.shape[1])
