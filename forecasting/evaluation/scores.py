"""Scores of a backtest: every model, the blend and what is published, for each series and band of horizons, in tidy
rows (the leaderboard).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import MIN_TRAINING_ORIGINS, HorizonBand, OutOfSample, model_out_of_sample, padded
from forecasting.evaluation.conformal import LEVELS, half_widths, quantiles
from forecasting.evaluation.licence import BLEND
from forecasting.evaluation.model_selection import PoolBacktest, SelectedForecast, best_baseline, lower_bound
from forecasting.models.ensemble import PROPHET_MAP
from forecasting.panel.history import History, Reals

LICENSED = "licensed"
COLUMNS = ["series", "model", "horizon", "score", "value", "origins"]
POINTS, BOUNDS = ("mase", "wape", "bias"), ("coverage_50", "coverage_80", "coverage_95", "pinball", "msis_95")
# One score of one model in one band: the series that have it, and for each of them its value and the origins behind it,
# in the order of COLUMNS.
Row = tuple[npt.NDArray[np.intp], str, str, str, Reals, npt.NDArray[np.intp]]
# Levels of the seven quantiles that a band of LEVELS stands for.
QUANTILE_LEVELS = (*sorted((1.0 - level) / 2.0 for level in LEVELS), 0.5, *((1.0 + level) / 2.0 for level in LEVELS))
MIDDLE = len(LEVELS)


class PastIntervals(NamedTuple):
    """Forecasts and intervals of one procedure at past origins: `trials`, and for each origin the quantiles (h, N, 7)
    over the h steps that it forecast, by the residuals of other origins.
    """

    trials: OutOfSample
    bounds: list[Reals]

    def of(self, columns: Sequence[int]) -> Self:
        """Some of the series."""
        origins, forecasts, actual = self.trials
        kept = list(columns) if origins else []
        return self._replace(
            trials=OutOfSample(origins, forecasts[:, :, kept], actual[:, :, kept]),
            bounds=[bounds[:, kept] for bounds in self.bounds],
        )

    @classmethod
    def joined(cls, group: Sequence[PastIntervals]) -> PastIntervals:
        """Series of the same origins side by side."""
        trials = [part.trials for part in group]
        forecasts, actual = (
            np.concatenate([getattr(part, name) for part in trials], axis=2) for name in ("forecasts", "actual")
        )
        return cls(
            OutOfSample(trials[0].origins, forecasts, actual),
            [_side_by_side(bounds) for bounds in zip(*(part.bounds for part in group), strict=True)],
        )


def _side_by_side(bounds: Sequence[Reals]) -> Reals:
    """Quantiles (h, N, 7) of several groups at one origin, as far as the furthest reaches; NaN beyond a group's own."""
    steps = max(map(len, bounds))
    padded_bounds = [np.pad(part, ((0, steps - len(part)), (0, 0), (0, 0)), constant_values=np.nan) for part in bounds]
    return np.concatenate(padded_bounds, axis=1)


def out_of_sample_intervals(trials: OutOfSample, history: History) -> PastIntervals:
    """Forecasts at past origins with the quantiles that the residuals of other origins give each."""
    return PastIntervals(trials, out_of_sample_quantiles(trials, history))


def scores(pool_backtest: PoolBacktest, selected: SelectedForecast, past: PastIntervals | None = None) -> pd.DataFrame:
    """COLUMNS, `series` by its place in the panel: MASE, WAPE and bias of all models; of the blend, Prophet, each
    series' best baseline and what is published also coverage, pinball loss and MSIS of their intervals.

    Means over the origins that reach at least half of the band; a score that is not defined has no row. Intervals are
    those that the other origins give; those of what is published are taken from `past` where it is given.
    """
    history, bands, rows = pool_backtest.history, selected.bands, list[Row]()
    scale = metrics.seasonal_scale(history.measured, history.short)
    for name, trials in _models_out_of_sample(pool_backtest):
        rows += _point_scores(name, trials, bands, scale)
        if name == PROPHET_MAP:
            rows += _interval_scores(name, out_of_sample_intervals(trials, history), bands, scale)
    baseline = out_of_sample_intervals(_best_baseline_out_of_sample(pool_backtest, selected), history)
    rows += _under_own_names(selected, _interval_scores("", baseline, bands, scale))
    blend = out_of_sample_intervals(selected.blend_trials, history)
    rows += _all_scores(BLEND, blend, bands, scale)
    rows += _all_scores(LICENSED, past or out_of_sample_intervals(selected.trials, history), bands, scale)
    return _frame(rows)


def _models_out_of_sample(pool_backtest: PoolBacktest) -> Iterator[tuple[str, OutOfSample]]:
    """Every model at past origins, one after the other in the same memory."""
    backtest = pool_backtest.backtest
    origins, forecasts, actual = model_out_of_sample(backtest, 0, pool_backtest.ahead.shape[1])
    for place, name in enumerate(backtest.models):
        for row, fold in zip(forecasts, backtest.folds, strict=True):
            row[: fold.forecasts.shape[1]] = fold.forecasts[place]
        yield name, OutOfSample(origins, forecasts, actual)


def _best_baseline_out_of_sample(pool_backtest: PoolBacktest, selected: SelectedForecast) -> OutOfSample:
    """The best baseline of each series and band at past origins."""
    folds = pool_backtest.backtest.folds
    return padded(
        [fold.origin for fold in folds],
        [best_baseline(pool_backtest, selected, fold.forecasts) for fold in folds],
        [fold.actual for fold in folds],
        *pool_backtest.ahead.shape[1:],
    )


def _under_own_names(selected: SelectedForecast, rows: Iterable[Row]) -> Iterator[Row]:
    """Rows of the best baseline under the name of the model that it is for each series."""
    best = {band.name: verdict.baseline for band, verdict in zip(selected.bands, selected.verdicts, strict=True)}
    for series, _, band, score, values, origins in rows:
        for place, name in enumerate(selected.baselines):
            is_best = best[band][series] == place
            yield series[is_best], name, band, score, values[is_best], origins[is_best]


def leaderboard(name: str, past: PastIntervals, bands: tuple[HorizonBand, ...], scale: Reals) -> pd.DataFrame:
    """COLUMNS, all scores of one procedure."""
    return _frame(_all_scores(name, past, bands, scale))


def _all_scores(name: str, past: PastIntervals, bands: tuple[HorizonBand, ...], scale: Reals) -> list[Row]:
    return [*_point_scores(name, past.trials, bands, scale), *_interval_scores(name, past, bands, scale)]


def _frame(rows: list[Row]) -> pd.DataFrame:
    """COLUMNS from rows of many series each."""
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    counts = [len(series) for series, *_ in rows]
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    labels = {name: np.repeat(columns[name], counts) for name in ("model", "horizon", "score")}
    values = {name: np.concatenate(columns[name]) for name in ("series", "value", "origins")}
    return pd.DataFrame({**labels, **values})[COLUMNS]


def out_of_sample_quantiles(trials: OutOfSample, history: History) -> list[Reals]:
    """For each origin the quantiles (h, N, 7) that the residuals of other origins give it, over the h steps that it
    forecast.
    """
    by_origin = []
    for place, point in enumerate(trials.forecasts):
        steps = int((~np.isnan(point)).any(axis=1).sum())
        if not steps:
            by_origin.append(np.empty((0, point.shape[1], len(QUANTILE_LEVELS))))
            continue
        kept = _informing(trials.origins, place, steps)
        origins = tuple(trials.origins[other] for other in kept)
        others = OutOfSample(origins, trials.forecasts[kept, :steps], trials.actual[kept, :steps])
        history_then = history.until(trials.origins[place])
        widths = half_widths(point[:steps], others, history_then)
        by_origin.append(quantiles(point[:steps], widths, lower_bound(history_then)))
    return by_origin


def _informing(origins: Sequence[int], place: int, steps: int) -> list[int]:
    """The places of the other origins; where enough are left, only of those that saw none of the same steps."""
    others = [other for other in range(len(origins)) if other != place]
    disjoint = [other for other in others if abs(origins[other] - origins[place]) >= steps]
    return disjoint if len(disjoint) >= MIN_TRAINING_ORIGINS else others


def _point_scores(name: str, trials: OutOfSample, bands: tuple[HorizonBand, ...], scale: Reals) -> Iterator[Row]:
    """MASE, WAPE and bias of one model."""
    for band, reaching in _reaching(trials, bands):
        actual = trials.actual[reaching, band.first : band.last]
        errors = trials.forecasts[reaching, band.first : band.last] - actual
        mean_error, mean_actual, mae = _means(errors), _means(np.abs(actual)), _means(np.abs(errors))
        values = [mae / scale, metrics.ratio(mae, mean_actual), metrics.ratio(mean_error, mean_actual)]
        yield from _tidy(name, band, POINTS, np.stack(values, axis=1))


def _means(values: Reals) -> Reals:
    """Means over the steps that are not missing, (K, h, N) to (K, N)."""
    is_known = ~np.isnan(values)
    count = is_known.sum(axis=1)
    return np.where(count > 0, np.where(is_known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _interval_scores(name: str, past: PastIntervals, bands: tuple[HorizonBand, ...], scale: Reals) -> Iterator[Row]:
    """Coverage, pinball loss and MSIS of one model."""
    for band, reaching in _reaching(past.trials, bands):
        each = np.array([_interval(past.trials.actual[place], past.bounds[place], band) for place in reaching])
        each[:, -1] /= scale
        yield from _tidy(name, band, BOUNDS, each)


def _interval(actual: Reals, bounds: Reals, band: HorizonBand) -> list[Reals]:
    """Of one origin: coverage at LEVELS, the pinball loss over all quantiles and the interval score of the last level,
    (N) each.

    The two ends of an interval lose half of its share outside times the interval score between them (Gneiting and
    Raftery, 2007).
    """
    band_bounds = bounds[band.first : band.last]
    measured = actual[band.first : band.first + len(band_bounds)]
    loss, coverages, score = 0.5 * np.abs(measured - band_bounds[:, :, MIDDLE]), list[Reals](), np.empty(0)
    for place, level in enumerate(LEVELS, start=1):
        lower, upper = band_bounds[:, :, MIDDLE - place], band_bounds[:, :, MIDDLE + place]
        outside = np.maximum(lower - measured, 0.0) + np.maximum(measured - upper, 0.0)
        score = upper - lower + 2.0 / (1.0 - level) * outside
        loss += 0.5 * (1.0 - level) * score
        coverages.append(metrics.mean(np.where(np.isnan(outside), np.nan, outside == 0.0)))
    return [*coverages, metrics.mean(loss) / len(QUANTILE_LEVELS), metrics.mean(score)]


def _reaching(trials: OutOfSample, bands: tuple[HorizonBand, ...]) -> Iterator[tuple[HorizonBand, list[int]]]:
    """The bands that origins reach at least half of, and which origins these are."""
    for band in bands:
        steps = slice(band.first, band.last)
        begun = np.flatnonzero(np.isfinite(trials.forecasts[:, band.first]).any(axis=1))
        count = np.isfinite(trials.forecasts[begun, steps] - trials.actual[begun, steps]).sum(axis=1)
        reaching = begun[(2 * count >= band.last - band.first).any(axis=1)].tolist()
        if reaching:
            yield band, reaching


def _tidy(model: str, band: HorizonBand, names: tuple[str, ...], each: Reals) -> Iterator[Row]:
    """Rows of scores (K, scores, N), their means over the origins."""
    for place, name in enumerate(names):
        values, origins = metrics.mean(each[:, place]), (~np.isnan(each[:, place])).sum(axis=0)
        defined = np.flatnonzero(origins)
        yield defined, model, band.name, name, values[defined], origins[defined]
