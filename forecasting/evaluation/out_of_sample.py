"""One procedure's forecasts at past origins beside what came: any model's, or the blend's with each origin left out
when its own weights were chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.evaluation.backtest import Backtest, Fold, HorizonBand
from forecasting.models.blend import weighted_mean, weights
from forecasting.models.pool import STANDING
from forecasting.panel.history import History, Reals

# An origin on another day of the week tells half as much of the coming days as one on the same.
OTHER_PHASE_CYCLES = 2.0
# Weights from fewer origins are chance, which would be held against the blend.
MIN_TRAINING_ORIGINS = 2
# Two bands' weights pass into one another over half of a short cycle, so that no forecast jumps where a band ends.
PASSING_CYCLES = 0.25


class OutOfSample(NamedTuple):
    """Origins (K), forecasts and actuals (K, H, N); NaN where an origin does not reach, nothing was measured or nothing
    was forecast.
    """

    origins: tuple[int, ...]
    forecasts: Reals
    actual: Reals

    def errors(self, bands: Sequence[HorizonBand]) -> Reals:
        """Mean absolute errors, (K, bands, N); NaN where less than half of a band could be compared."""
        missed = np.abs(self.forecasts - self.actual)
        return np.stack([_at_least_half(missed[:, band.first : band.last]) for band in bands], axis=1)


def _at_least_half(missed: Reals) -> Reals:
    """Means over the steps, (K, h, N) to (K, N)."""
    held = ~np.isnan(missed)
    count = held.sum(axis=1)
    return np.where(
        2 * count >= missed.shape[1], np.where(held, missed, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan
    )


def padded(
    origins: Sequence[int], told: Sequence[Reals], came: Sequence[Reals], horizon: int, series: int
) -> OutOfSample:
    """Trials from forecasts and actuals of unequal length, each (h, N)."""
    both = np.full((2, len(told), horizon, series), np.nan)
    for place, (forecast, actual) in enumerate(zip(told, came, strict=True)):
        both[0, place, : len(forecast)], both[1, place, : len(actual)] = forecast, actual
    return OutOfSample(tuple(origins), both[0], both[1])


def model_out_of_sample(backtest: Backtest, place: int, horizon: int) -> OutOfSample:
    """The trials of one model of the pool."""
    folds = backtest.folds
    told = [fold.forecasts[place].astype(float) for fold in folds]
    return padded(
        [fold.origin for fold in folds],
        told,
        [fold.actual for fold in folds],
        horizon,
        folds[0].actual.shape[1] if folds else 0,
    )


def ensemble_weights(backtest: Backtest, bands: Sequence[HorizonBand], history: History) -> Reals:
    """The blend's weights (models, bands, N) by what the backtest says at the end of the history; even ones where it
    says nothing.
    """
    if not backtest.folds:
        return np.full((len(backtest.models), len(bands), history.measured.shape[1]), 1.0 / len(backtest.models))
    return weights(backtest.errors(bands), backtest.looks(bands), _ages(backtest, history), _standing(backtest))


def _ages(backtest: Backtest, history: History) -> Reals:
    """How long ago each origin was, in long cycles; one at another phase of the long cycle says less, as if it were
    older.
    """
    back = np.array([len(history.stamps) - fold.origin for fold in backtest.folds])
    return np.asarray(back / history.long + OTHER_PHASE_CYCLES * (back % history.long > 0))


def _standing(backtest: Backtest) -> Reals:
    return np.array([STANDING.get(name, 1.0) for name in backtest.models])


def leave_out_mask(backtest: Backtest, bands: Sequence[HorizonBand]) -> npt.NDArray[np.bool_]:
    """Whose evidence each origin is judged without, (origin judged, origin, bands): its own, and where two others are
    left that of all which saw its steps.
    """
    scored = np.isfinite(backtest.errors(bands)).any(axis=(1, 3))
    origins, widths = (
        np.array([fold.origin for fold in backtest.folds]),
        np.array([band.last - band.first for band in bands]),
    )
    apart = np.abs(np.subtract.outer(origins, origins))[:, :, None]
    near, alone = apart < widths, np.broadcast_to(apart == 0, (*apart.shape[:2], len(widths)))
    left = np.count_nonzero(scored & ~near, axis=1)
    return np.where((left >= MIN_TRAINING_ORIGINS)[:, None], near, alone)


def leave_one_origin_out_weights(backtest: Backtest, bands: Sequence[HorizonBand], history: History) -> list[Reals]:
    """The weights that each origin would have had without the evidence of what came after it, a (models, bands, N) for
    each.
    """
    if not backtest.folds:
        return []
    errors, ages, standing = backtest.errors(bands), _ages(backtest, history), _standing(backtest)
    return [
        weights(np.where(out[:, None, :, None], np.nan, errors), backtest.looks(bands, ~out), ages, standing)
        for out in leave_out_mask(backtest, bands)
    ]


def ensemble_out_of_sample(
    backtest: Backtest, chosen: Sequence[Reals], bands: Sequence[HorizonBand], history: History
) -> OutOfSample:
    """The trials of a blend, its weights (models, bands, N) given for each origin."""
    told = [combine_fold(fold, share, bands, history.short) for fold, share in zip(backtest.folds, chosen, strict=True)]
    return padded(
        [fold.origin for fold in backtest.folds],
        told,
        [fold.actual for fold in backtest.folds],
        bands[-1].last,
        history.measured.shape[1],
    )


def combine_fold(fold: Fold, share: Reals, bands: Sequence[HorizonBand], cycle: int) -> Reals:
    """The blend's forecast of one fold."""
    return weighted_mean(fold.forecasts.astype(float), by_step(share, bands, cycle)[:, : fold.forecasts.shape[1]])


def by_step(share: Reals, bands: Sequence[HorizonBand], cycle: int) -> Reals:
    """Weights of bands (models, bands, N) as weights of steps (models, H, N), passing gently from one band to the
    next.
    """
    found = np.repeat(share, [band.last - band.first for band in bands], axis=1)
    for number, band in enumerate(bands[1:], start=1):
        half = min(int(PASSING_CYCLES * cycle), band.first - bands[number - 1].first, band.last - band.first)
        rise = ((np.arange(2 * half) + 0.5) / (2 * half))[None, :, None] if half else np.empty((1, 0, 1))
        found[:, band.first - half : band.first + half] = (1.0 - rise) * share[:, None, number - 1] + rise * share[
            :, None, number
        ]
    return found
