"""Backtests: every model forecasts from origins in the past, given nothing of what came after, and is compared with
what did.

A `Backtest` keeps the forecasts themselves, not only their errors, so that the blend's weights, its intervals and the
licence are arithmetic on one set of arrays; `known_at` cuts that set back to what was known at an earlier moment, which
is how the whole procedure is itself backtested. `OutOfSample` holds one procedure's forecasts at past origins: those of
a model, or of the blend with each origin left out when its own weights are chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.models.ensemble import FAR_STANDING, STANDING, weighted_mean, weights
from forecasting.panel.history import History, Model, Reals

DAY = pd.Timedelta(days=1)
# Where errors are told apart: the day ahead is operations', the week is staffing's, the month is ordering's, the
# quarter is planning's.
EDGES = ((0, 1, "0-24 h"), (1, 7, "1-7 d"), (7, 28, "8-28 d"), (28, 90, "29-90 d"))
FURTHEST = EDGES[-1][2]
# Origins that see further than a month lie up to four weeks apart, as long as the oldest knows ten: neighbours tell nearly
# the same story (docs/methods.md).
FAR_WEEKS_APART, FAR_WEEKS_KNOWN = 4, 10
# Up to a week ahead an error is measured every day, beyond at a few origins: they take more history each.
WEEKLY_CYCLES = 7
Stored = npt.NDArray[np.float32]


class HorizonBand(NamedTuple):
    """A range of horizons: steps `first` to `last`, counted from 0 for the first step ahead, `last` not included."""

    name: str
    first: int
    last: int


class Fold(NamedTuple):
    """One origin: the number of steps known there, the forecasts of all models (M, h, N) and what came (h, N)."""

    origin: int
    forecasts: Stored
    actual: Reals


class Backtest(NamedTuple):
    """Names of the models and the folds, oldest first."""

    models: tuple[str, ...]
    folds: tuple[Fold, ...]

    def known_at(self, origin: int, reach: int) -> Backtest:
        """What of it was known when only `origin` steps were, to `reach` steps ahead."""
        cut = [
            (fold, min(origin - fold.origin, len(fold.actual), reach)) for fold in self.folds if fold.origin < origin
        ]
        return Backtest(
            self.models, tuple(Fold(fold.origin, fold.forecasts[:, :left], fold.actual[:left]) for fold, left in cut)
        )

    def only(self, kept: npt.NDArray[np.bool_]) -> Backtest:
        """Some of the models, by a mask (models)."""
        names = tuple(name for name, is_kept in zip(self.models, kept, strict=True) if is_kept)
        return Backtest(names, tuple(fold._replace(forecasts=fold.forecasts[kept]) for fold in self.folds))

    def errors(self, bands: Sequence[HorizonBand]) -> Reals:
        """Mean absolute errors, (origins, models, bands, series); NaN where an origin does not reach half of a band or
        nothing was measured.
        """
        blank = np.full((len(self.models), self.folds[0].actual.shape[1] if self.folds else 0), np.nan)
        return np.array([[_band_error(fold, band, blank) for band in bands] for fold in self.folds]).swapaxes(1, 2)

    def effective_windows(self, bands: Sequence[HorizonBand], counted: npt.NDArray[np.bool_] | None = None) -> Reals:
        """Effective number of non-overlapping evaluation windows of each band, (bands).

        counted: which folds count in which band, (folds, bands); all by default.
        """
        windows = np.zeros(len(bands))
        for place, band in enumerate(bands):
            is_counted = [True] * len(self.folds) if counted is None else counted[:, place]
            seen = 0
            for fold, counts in zip(self.folds, is_counted, strict=True):
                first, last = fold.origin + band.first, fold.origin + min(band.last, len(fold.actual))
                if counts and last > max(first, seen):
                    windows[place] += last - max(first, seen)
                    seen = last
            windows[place] /= band.last - band.first
        return windows


def _band_error(fold: Fold, band: HorizonBand, blank: Reals) -> Reals:
    """Mean absolute error of each model and series, (M, N)."""
    actual = fold.actual[band.first : band.last]
    if 2 * len(actual) < band.last - band.first or not len(actual):
        return blank
    errors, is_measured = fold.forecasts[:, band.first : band.last] - actual, ~np.isnan(actual)
    np.abs(errors, out=errors)
    np.copyto(errors, 0.0, where=~is_measured)
    count, total = is_measured.sum(axis=0), errors.sum(axis=1)
    return np.where(2 * count >= len(actual), total / np.maximum(count, 1), np.nan)


def horizon_bands(step: pd.Timedelta, horizon: int) -> tuple[HorizonBand, ...]:
    """The bands that `horizon` steps reach into; what lies beyond the last edge belongs to the last band."""
    bands = []
    for first, last, name in EDGES:
        start, stop = int(np.ceil(first * DAY / step)), min(int(np.ceil(last * DAY / step)), horizon)
        if start < stop:
            bands.append(HorizonBand(f"0-{step.days} d" if stop == 1 and step > DAY else name, start, stop))
    return (*bands[:-1], bands[-1]._replace(last=horizon))


def origins(history: History, bands: Sequence[HorizonBand], count: int) -> dict[int, int]:
    """The origins that leave each band to be seen whole, or half of it where the history is too short; with the steps
    to forecast from each.

    Oldest first. Up to a long cycle ahead there is one every short cycle, `count` long cycles back: more of them made
    for better weights (docs/methods.md); a long cycle counts for seven short ones at most, as the 52 weeks of a year would
    ask for 416 origins. For a band further ahead there are half of `count`, a long cycle apart where the history allows, and
    up to four for the last. Each forecasts to the end of the band that asked for it, and a week at least.
    """
    length, day, least = len(history.stamps), history.short, min_train_size(history)
    steps: dict[int, int] = {}
    for band in bands:
        reach = min(max(band.last, WEEKLY_CYCLES * day), bands[-1].last)
        newest = max(length - band.last, min(least, length - (band.first + band.last + 1) // 2))
        if length - band.last < least:
            newest = length - (band.first + band.last + 1) // 2
        if band.last <= WEEKLY_CYCLES * day:
            wanted, stride = count * int(np.clip(history.long // day, 1, WEEKLY_CYCLES)), day
        else:
            wanted = max(count // 2, 2)
            stride = int(np.clip((newest - least) // max(wanted - 1, 1) // day * day, day, max(history.long, day)))
            if band.name == FURTHEST:
                stride = max(stride, distance_of_far_origins(history, newest, wanted))
        steps |= {
            origin: max(reach, steps.get(origin, 0)) for k in range(wanted) if least <= (origin := newest - k * stride)
        }
    return dict(sorted(steps.items()))


def distance_of_far_origins(history: History, newest: int, count: int) -> int:
    """Steps between `count` origins, the last of which knows `newest` steps: whole weeks, at least one."""
    week = history.days(7)
    weeks = (newest // week - FAR_WEEKS_KNOWN) // max(count - 1, 1)
    return int(np.clip(weeks, 1, FAR_WEEKS_APART)) * week


def min_train_size(history: History) -> int:
    """Steps that must be known at an origin: two long cycles, or half of a history shorter than four, but at least two
    short cycles.
    """
    return max(2 * history.short, min(2 * history.long, len(history.stamps) // 2))


def backtest(
    history: History, models: Mapping[str, Model], starts: Mapping[int, int], needs: Mapping[str, int] | None = None
) -> Backtest:
    """Let every model forecast from each of the origins, so many steps.

    NaN where a model is not yet itself for a series but now is (`needs`: steps of a series' own history by name); none
    is before a series has lived for a short cycle.
    """
    first = np.argmax(np.isfinite(history.measured), axis=0)
    least = np.array([(needs or {}).get(name, 0) for name in models])[:, None]
    grown = least <= len(history.stamps) - first
    folds = []
    for origin, horizon in sorted(starts.items()):
        actual = history.measured[origin : origin + horizon]
        predicted = forecasts(history.until(origin), models, len(actual))
        lived = origin - first
        is_too_young = grown & (lived < least) | (lived < history.short)
        predicted[np.broadcast_to(is_too_young[:, None], predicted.shape)] = np.nan
        folds.append(Fold(origin, predicted, actual))
    return Backtest(tuple(models), tuple(folds))


def forecasts(history: History, models: Mapping[str, Model], horizon: int) -> Stored:
    """The forecasts of all models, (M, H, N), never below zero where the history never was."""
    floor = np.where(np.fmin.reduce(history.measured, axis=0) >= 0.0, 0.0, -np.inf)
    return np.stack([np.maximum(model(history, horizon), floor) for model in models.values()]).astype(np.float32)


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
        errors = np.abs(self.forecasts - self.actual)
        return np.stack([_means_of_half(errors[:, band.first : band.last]) for band in bands], axis=1)

    def filled(self, other: OutOfSample) -> OutOfSample:
        """The same, with the other's forecasts of the same origins where it has none."""
        return self._replace(forecasts=np.where(np.isnan(self.forecasts), other.forecasts, self.forecasts))


def _means_of_half(errors: Reals) -> Reals:
    """Means over the steps, (K, h, N) to (K, N); NaN where less than half of them are known."""
    is_known = ~np.isnan(errors)
    count = is_known.sum(axis=1)
    means = np.where(is_known, errors, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.where(2 * count >= errors.shape[1], means, np.nan)


def padded(
    origins: Sequence[int], forecasts: Sequence[Reals], actuals: Sequence[Reals], horizon: int, series: int
) -> OutOfSample:
    """Forecasts and actuals of unequal length, each (h, N), side by side; NaN beyond their ends."""
    both = np.full((2, len(forecasts), horizon, series), np.nan)
    for place, (forecast, actual) in enumerate(zip(forecasts, actuals, strict=True)):
        both[0, place, : len(forecast)], both[1, place, : len(actual)] = forecast, actual
    return OutOfSample(tuple(origins), both[0], both[1])


def model_out_of_sample(backtest: Backtest, place: int, horizon: int) -> OutOfSample:
    """One model of the pool at past origins."""
    folds = backtest.folds
    return padded(
        [fold.origin for fold in folds],
        [fold.forecasts[place].astype(float) for fold in folds],
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
    windows, ages = backtest.effective_windows(bands), _ages(backtest, history)
    return weights(backtest.errors(bands), windows, ages, _standing(backtest, bands))


def leave_one_origin_out_weights(backtest: Backtest, bands: Sequence[HorizonBand], history: History) -> list[Reals]:
    """The weights (models, bands, N) that each origin would have had without its own evidence, one array for each."""
    if not backtest.folds:
        return []
    errors, ages, standing = backtest.errors(bands), _ages(backtest, history), _standing(backtest, bands)
    return [
        weights(
            np.where(left_out[:, None, :, None], np.nan, errors),
            backtest.effective_windows(bands, ~left_out),
            ages,
            standing,
        )
        for left_out in leave_out_mask(backtest, bands)
    ]


def leave_out_mask(backtest: Backtest, bands: Sequence[HorizonBand]) -> npt.NDArray[np.bool_]:
    """Which origins must not inform the score of which: True at [target, other, band] where `other` is left out when
    `target` is scored.

    An origin never informs its own score. Origins whose window overlaps the target's are left out too, as they were
    scored on the same steps, unless that would leave fewer than `MIN_TRAINING_ORIGINS`.

    Returns: shape (origins, origins, bands).
    """
    origins = np.array([fold.origin for fold in backtest.folds])
    distance = np.abs(origins[:, None] - origins[None, :])[:, :, None]
    overlaps = distance < np.array([band.last - band.first for band in bands])
    is_same_origin = np.broadcast_to(distance == 0, overlaps.shape)

    has_score = np.isfinite(backtest.errors(bands)).any(axis=(1, 3))
    remaining = np.count_nonzero(has_score & ~overlaps, axis=1)
    return np.where((remaining >= MIN_TRAINING_ORIGINS)[:, None], overlaps, is_same_origin)


def _ages(backtest: Backtest, history: History) -> Reals:
    """How long ago each origin was, in long cycles; one at another phase of the long cycle says less, as if it were
    older.
    """
    back = np.array([len(history.stamps) - fold.origin for fold in backtest.folds])
    return np.asarray(back / history.long + OTHER_PHASE_CYCLES * (back % history.long > 0))


def _standing(backtest: Backtest, bands: Sequence[HorizonBand]) -> Reals:
    """As how many models each one counts, (models, bands)."""
    far = STANDING | FAR_STANDING
    by_band = [far if band.name == FURTHEST else STANDING for band in bands]
    return np.array([[standing.get(name, 1.0) for standing in by_band] for name in backtest.models])


def ensemble_out_of_sample(
    backtest: Backtest, weights_by_origin: Sequence[Reals], bands: Sequence[HorizonBand], history: History
) -> OutOfSample:
    """A blend at past origins, its weights (models, bands, N) given for each origin."""
    folds = backtest.folds
    return padded(
        [fold.origin for fold in folds],
        [combine_fold(*pair, bands, history.short) for pair in zip(folds, weights_by_origin, strict=True)],
        [fold.actual for fold in folds],
        bands[-1].last,
        history.measured.shape[1],
    )


def combine_fold(fold: Fold, band_weights: Reals, bands: Sequence[HorizonBand], cycle: int) -> Reals:
    """The blend's forecast of one fold, (h, N)."""
    steps = fold.forecasts.shape[1]
    return weighted_mean(fold.forecasts.astype(float), weights_by_step(band_weights, bands, cycle)[:, :steps])


def weights_by_step(band_weights: Reals, bands: Sequence[HorizonBand], cycle: int) -> Reals:
    """Weights of bands (models, bands, N) as weights of steps (models, H, N), passing gently from one band to the
    next.
    """
    by_step = np.repeat(band_weights, [band.last - band.first for band in bands], axis=1)
    for number, band in enumerate(bands[1:], start=1):
        half = min(int(PASSING_CYCLES * cycle), band.first - bands[number - 1].first, band.last - band.first)
        rise = ((np.arange(2 * half) + 0.5) / (2 * half))[None, :, None] if half else np.empty((1, 0, 1))
        before, after = band_weights[:, None, number - 1], band_weights[:, None, number]
        by_step[:, band.first - half : band.first + half] = (1.0 - rise) * before + rise * after
    return by_step
