"""What to expect of a panel, and how far to trust it: backtests, the blend, the licence and the bands in one pass over
plain arrays.

`learn` lets the pool forecast from past origins and from the end; `draw` turns that into a licensed forecast with
bands. Everything that `draw` decides it decides from the backtest it is given, so the same function, given only what
was known at an earlier origin, is backtested itself.
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
from forecasting.evaluation.licence import Licence, Verdict, licences, verdicts
from forecasting.models.ensemble import PROPHET_MAP, baselines, least_history_of, pool
from forecasting.panel.history import History, Model, Reals

# Origins for each band of horizons; eight let the best models decide (docs/methods.md).
ORIGINS = 8
# What is drawn until anything is proven: it was the best of the baselines on short histories.
UNPROVEN = "level_adjusted_median"
# Origins, counted in steps from the start of the history, and how many steps each forecasts.
Origins = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class PoolBacktest:
    """The pool's forecasts at past origins and at the end of a history: `ahead` is (models, H, N)."""

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
        reach = fold.forecasts.shape[1]
        bands = horizon_bands(self.history.step, reach)
        return PoolBacktest(
            self.history.until(fold.origin), bands, self.backtest.known_at(fold.origin, reach), fold.forecasts
        )


@dataclass(frozen=True, slots=True)
class SelectedForecast:
    """A licensed forecast: `point` (H, N), `quantiles` (H, N, 7) in the contract's levels, and how it came about.

    blend: (H, N), the blend whether licensed or not. weights: (models, bands, N), what `point` is made of. trials and
    blend_trials: the same procedures at past origins, each without its own evidence.
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

    def blend_quantiles(self, learned: PoolBacktest) -> Reals:
        """The blend with bands of its own trials, (H, N, 7)."""
        return quantiles(
            self.blend, half_widths(self.blend, self.blend_trials, learned.history), lower_bound(learned.history)
        )

    def licences(self, series: int) -> list[Licence]:
        """What is drawn for one series in each band, and why."""
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
    chosen = pool(history.seasons) if models is None else models
    bands = horizon_bands(history.step, horizon)
    found = origins(history, bands, count) | dict.fromkeys(more, horizon) if starts is None else starts
    past, ahead = (
        backtest(history, chosen, found, least_history_of(history.seasons)),
        forecasts(history, chosen, horizon),
    )
    able = np.asarray(np.isfinite(ahead).any(axis=(1, 2)))
    if able.any() and not able.all():
        past, ahead = past.only(able), ahead[able]
    return PoolBacktest(history, bands, past, ahead)


def select_and_calibrate(learned: PoolBacktest) -> SelectedForecast:
    """The licensed forecast of every series."""
    known, bands, history = learned.backtest, learned.bands, learned.history
    names = tuple(name for name in baselines(history.seasons) if name in known.models)
    places = [known.models.index(name) for name in names]
    whole, apart = ensemble_weights(known, bands, history), leave_one_origin_out_weights(known, bands, history)
    blend_trials = ensemble_out_of_sample(known, apart, bands, history)
    found, *others = _compare_with_baselines(
        known, blend_trials, places, bands, default=names.index(UNPROVEN) if UNPROVEN in names else 0
    )
    shares = [
        _mix_with_baseline(one, share, places) for one, share in zip((found, *others), (whole, *apart), strict=True)
    ]
    point, blend = (combine_fold(learned.now, share, bands, history.short) for share in (shares[0], whole))
    trials = ensemble_out_of_sample(known, shares[1:], bands, history)
    trials = trials._replace(forecasts=np.where(np.isnan(trials.forecasts), blend_trials.forecasts, trials.forecasts))
    lowest = lower_bound(history)
    half = half_widths(point, trials, history)
    return SelectedForecast(
        np.maximum(point, lowest),
        quantiles(point, half, lowest),
        blend,
        shares[0],
        found,
        trials,
        blend_trials,
        names,
        bands,
    )


def _compare_with_baselines(
    known: Backtest, blend: OutOfSample, places: list[int], bands: tuple[HorizonBand, ...], *, default: int
) -> list[list[Verdict]]:
    """The verdicts of each band, by all evidence, then as they would have been without that of each past origin."""
    if not known.folds:
        blank = np.full((0, len(places), len(bands), blend.forecasts.shape[2]), np.nan)
        return [verdicts(blank[:, 0], blank, known.looks(bands), default)]
    errors, others = blend.errors(bands), known.errors(bands)[:, places]
    found = [verdicts(errors, others, known.looks(bands), default)]
    for out in leave_out_mask(known, bands):
        left = np.where(out[:, :, None], np.nan, errors), np.where(out[:, None, :, None], np.nan, others)
        found.append(verdicts(*left, known.looks(bands, ~out), default))
    return found


def _mix_with_baseline(found: Sequence[Verdict], share: Reals, places: list[int]) -> Reals:
    """The blend's weights (models, bands, N) where it is licensed; else one for the best baseline and zero for all
    else.
    """
    drawn = share.copy()
    for band, verdict in enumerate(found):
        alone = np.flatnonzero(~verdict.licensed)
        drawn[:, band, alone] = 0.0
        drawn[np.array(places)[verdict.baseline[alone]], band, alone] = 1.0
    return drawn


def lower_bound(history: History) -> Reals:
    """Zero for a series that never fell below it, (N); demand is never negative, other people's data may be."""
    return np.where(np.fmin.reduce(history.measured, axis=0) < 0.0, -np.inf, 0.0)


def model_quantiles(learned: PoolBacktest, name: str) -> tuple[Reals, Reals]:
    """A single model of the pool with bands of its own trials: point (H, N) and quantiles (H, N, 7)."""
    place = learned.backtest.models.index(name)
    point = learned.ahead[place].astype(float)
    half = half_widths(point, model_out_of_sample(learned.backtest, place, len(point)), learned.history)
    return point, quantiles(point, half, lower_bound(learned.history))


def best_baseline(learned: PoolBacktest, drawn: SelectedForecast, forecasts: Stored | None = None) -> Reals:
    """The best baseline of each series and band, (H, N), to be shown beside what is drawn; of what the models forecast
    ahead, or of these (M, h, N).
    """
    of_models = learned.ahead if forecasts is None else forecasts
    told = of_models[[learned.backtest.models.index(name) for name in drawn.baselines]].astype(float)
    series = np.arange(told.shape[2])
    return np.concatenate(
        [
            told[verdict.baseline, band.first : band.last, series].T
            for verdict, band in zip(drawn.verdicts, drawn.bands, strict=True)
        ]
    )


def prophet_curve(learned: PoolBacktest) -> Reals:
    """Panel Prophet with its trend, (H, N), to be shown beside what is drawn."""
    return np.asarray(learned.ahead[learned.backtest.models.index(PROPHET_MAP)], dtype=float)


def stamps_ahead(learned: PoolBacktest) -> pd.DatetimeIndex:
    """The stamps of every forecast."""
    return learned.history.ahead(learned.ahead.shape[1])
