"""The leaderboard of a backtest: every model, the blend and what is drawn, for each series and band of horizons, in
tidy rows.
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
    """One procedure at past origins: its trials, and for each origin the quantiles (h, N, 7) that it would have been
    given, over the h steps it forecast.
    """

    trials: OutOfSample
    bounds: list[Reals]

    def of(self, columns: Sequence[int]) -> Self:
        """Some of the series."""
        origins, forecasts, actual = self.trials
        kept = list(columns) if origins else []
        return self._replace(
            trials=OutOfSample(origins, forecasts[:, :, kept], actual[:, :, kept]),
            bounds=[one[:, kept] for one in self.bounds],
        )

    @classmethod
    def joined(cls, group: Sequence[PastIntervals]) -> PastIntervals:
        """Series of the same origins side by side."""
        trials = [one.trials for one in group]
        forecasts, actual = (
            np.concatenate([getattr(one, name) for one in trials], axis=2) for name in ("forecasts", "actual")
        )
        return cls(
            OutOfSample(trials[0].origins, forecasts, actual),
            [_beside(each) for each in zip(*(one.bounds for one in group), strict=True)],
        )


def _beside(bounds: Sequence[Reals]) -> Reals:
    """Bounds (h, N, 7) of several groups at one origin, as far as the furthest reaches."""
    reach = max(map(len, bounds))
    return np.concatenate(
        [np.pad(one, ((0, reach - len(one)), (0, 0), (0, 0)), constant_values=np.nan) for one in bounds], axis=1
    )


def out_of_sample_intervals(trials: OutOfSample, history: History) -> PastIntervals:
    """The trials with the bounds that each origin would have been given by the residuals of the others."""
    return PastIntervals(trials, out_of_sample_quantiles(trials, history))


def scores(learned: PoolBacktest, drawn: SelectedForecast, past: PastIntervals | None = None) -> pd.DataFrame:
    """COLUMNS, `series` by its place in the panel: MASE, WAPE and bias of all models; of the blend, Prophet, each
    series' best baseline and what is drawn also coverage, pinball loss and MSIS of their bands.

    Means over the origins that reach at least half of the band; a score that is not defined has no row. Bands are those
    that the other origins give; those of what is drawn are taken from `past` where it is given.
    """
    history, bands, rows = learned.history, drawn.bands, list[Row]()
    scale = metrics.seasonal_scale(history.measured, history.short)
    for name, trials in _each(learned):
        rows += _points(name, trials, bands, scale)
        rows += _bounds(name, out_of_sample_intervals(trials, history), bands, scale) if name == PROPHET_MAP else ()
    rows += _of_baselines(drawn, _bounds("", out_of_sample_intervals(_best(learned, drawn), history), bands, scale))
    for name, one in (
        (BLEND, out_of_sample_intervals(drawn.blend_trials, history)),
        (LICENSED, past or out_of_sample_intervals(drawn.trials, history)),
    ):
        rows += _all(name, one, bands, scale)
    return _frame(rows)


def _each(learned: PoolBacktest) -> Iterator[tuple[str, OutOfSample]]:
    """The trials of every model, one after the other in the same memory."""
    known = learned.backtest
    origins, told, came = model_out_of_sample(known, 0, learned.ahead.shape[1])
    for place, name in enumerate(known.models):
        for row, fold in zip(told, known.folds, strict=True):
            row[: fold.forecasts.shape[1]] = fold.forecasts[place]
        yield name, OutOfSample(origins, told, came)


def _best(learned: PoolBacktest, drawn: SelectedForecast) -> OutOfSample:
    """The trials of the best baseline of each series and band."""
    known, origins = learned.backtest, tuple(fold.origin for fold in learned.backtest.folds)
    told = [best_baseline(learned, drawn, fold.forecasts) for fold in known.folds]
    return padded(origins, told, [fold.actual for fold in known.folds], *learned.ahead.shape[1:])


def _of_baselines(drawn: SelectedForecast, rows: Iterable[Row]) -> Iterator[Row]:
    """Rows of the best baseline under its own name."""
    best = {band.name: verdict.baseline for band, verdict in zip(drawn.bands, drawn.verdicts, strict=True)}
    for series, _, band, score, values, origins in rows:
        for place, name in enumerate(drawn.baselines):
            mine = best[band][series] == place
            yield series[mine], name, band, score, values[mine], origins[mine]


def leaderboard(name: str, past: PastIntervals, bands: tuple[HorizonBand, ...], scale: Reals) -> pd.DataFrame:
    """COLUMNS, all scores of one procedure."""
    return _frame(_all(name, past, bands, scale))


def _all(name: str, past: PastIntervals, bands: tuple[HorizonBand, ...], scale: Reals) -> list[Row]:
    return [*_points(name, past.trials, bands, scale), *_bounds(name, past, bands, scale)]


def _frame(rows: list[Row]) -> pd.DataFrame:
    """COLUMNS from rows of many series each."""
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    counts = [len(row[0]) for row in rows]
    told = {
        name: np.repeat([row[place] for row in rows], counts)
        for place, name in enumerate(COLUMNS)
        if name in {"model", "horizon", "score"}
    }
    return pd.DataFrame(
        {
            **told,
            **{
                name: np.concatenate([row[COLUMNS.index(name)] for row in rows])
                for name in ("series", "value", "origins")
            },
        }
    )[COLUMNS]


def out_of_sample_quantiles(trials: OutOfSample, history: History) -> list[Reals]:
    """For each origin the quantiles (h, N, 7) that it would have been given by the residuals of the others, over the h
    steps that it forecast.
    """
    found = []
    for place, point in enumerate(trials.forecasts):
        reach = int((~np.isnan(point)).any(axis=1).sum())
        if not reach:
            found.append(np.empty((0, point.shape[1], len(QUANTILE_LEVELS))))
            continue
        kept = _apart(trials.origins, place, reach)
        others = OutOfSample(
            tuple(trials.origins[other] for other in kept), trials.forecasts[kept, :reach], trials.actual[kept, :reach]
        )
        known = history.until(trials.origins[place])
        found.append(quantiles(point[:reach], half_widths(point[:reach], others, known), lower_bound(known)))
    return found


def _apart(origins: Sequence[int], place: int, reach: int) -> list[int]:
    """The places of the other origins; where enough are left, only of those that saw none of the same steps."""
    others = [other for other in range(len(origins)) if other != place]
    far = [other for other in others if abs(origins[other] - origins[place]) >= reach]
    return far if len(far) >= MIN_TRAINING_ORIGINS else others


def _points(name: str, trials: OutOfSample, bands: tuple[HorizonBand, ...], scale: Reals) -> Iterator[Row]:
    """MASE, WAPE and bias of one model."""
    for band, reaching in _reaching(trials, bands):
        came = trials.actual[reaching, band.first : band.last]
        missed = trials.forecasts[reaching, band.first : band.last] - came
        lean, size, off = _means(missed), _means(np.abs(came)), _means(np.abs(missed))
        yield from _tidy(
            name, band, POINTS, np.stack([off / scale, metrics.ratio(off, size), metrics.ratio(lean, size)], axis=1)
        )


def _means(values: Reals) -> Reals:
    """Means over the steps that are not missing, (K, h, N) to (K, N)."""
    held = ~np.isnan(values)
    count = held.sum(axis=1)
    return np.where(count > 0, np.where(held, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _bounds(name: str, past: PastIntervals, bands: tuple[HorizonBand, ...], scale: Reals) -> Iterator[Row]:
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
    told = bounds[band.first : band.last]
    came = actual[band.first : band.first + len(told)]
    loss, found, score = 0.5 * np.abs(came - told[:, :, MIDDLE]), list[Reals](), np.empty(0)
    for place, level in enumerate(LEVELS, start=1):
        lower, upper = told[:, :, MIDDLE - place], told[:, :, MIDDLE + place]
        outside = np.maximum(lower - came, 0.0) + np.maximum(came - upper, 0.0)
        score = upper - lower + 2.0 / (1.0 - level) * outside
        loss += 0.5 * (1.0 - level) * score
        found.append(metrics.mean(np.where(np.isnan(outside), np.nan, outside == 0.0)))
    return [*found, metrics.mean(loss) / len(QUANTILE_LEVELS), metrics.mean(score)]


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
