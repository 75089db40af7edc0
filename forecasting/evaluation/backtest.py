"""Backtests: every model forecasts from origins in the past, told nothing of what came after, and is compared with what
did.

A `Backtest` keeps the forecasts themselves, not only their errors, so that the blend's weights, its bands and the
licence are arithmetic on one set of arrays; `known_at` cuts that set back to what was known at an earlier moment, which
is how the whole procedure is itself backtested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.panel.history import History, Model, Reals

DAY = pd.Timedelta(days=1)
# Where errors are told apart: the day ahead is operations', the week is staffing's, the month is ordering's, the
# quarter is planning's.
EDGES = ((0, 1, "0-24 h"), (1, 7, "1-7 d"), (7, 28, "8-28 d"), (28, 90, "29-90 d"))
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

    def only(self, held: npt.NDArray[np.bool_]) -> Backtest:
        """Some of the models, (models)."""
        names = tuple(name for name, one in zip(self.models, held, strict=True) if one)
        return Backtest(names, tuple(fold._replace(forecasts=fold.forecasts[held]) for fold in self.folds))

    def errors(self, bands: Sequence[HorizonBand]) -> Reals:
        """Mean absolute errors, (origins, models, bands, series); NaN where an origin does not reach half of a band or
        nothing was measured.
        """
        blank = np.full((len(self.models), self.folds[0].actual.shape[1] if self.folds else 0), np.nan)
        return np.array([[_band_error(fold, band, blank) for band in bands] for fold in self.folds]).swapaxes(1, 2)

    def looks(self, bands: Sequence[HorizonBand], counted: npt.NDArray[np.bool_] | None = None) -> Reals:
        """How often each band was seen, had no two origins seen the same step; of the folds that count there (folds,
        bands), where not all do.
        """
        found = np.zeros(len(bands))
        for place, band in enumerate(bands):
            seen = 0
            for fold, counts in zip(
                self.folds, [True] * len(self.folds) if counted is None else counted[:, place], strict=True
            ):
                first, last = fold.origin + band.first, fold.origin + min(band.last, len(fold.actual))
                if counts and last > max(first, seen):
                    found[place] += last - max(first, seen)
                    seen = last
            found[place] /= band.last - band.first
        return found


def _band_error(fold: Fold, band: HorizonBand, blank: Reals) -> Reals:
    """Mean absolute error of each model and series, (M, N)."""
    actual = fold.actual[band.first : band.last]
    if 2 * len(actual) < band.last - band.first or not len(actual):
        return blank
    missed, held = fold.forecasts[:, band.first : band.last] - actual, ~np.isnan(actual)
    np.abs(missed, out=missed)
    np.copyto(missed, 0.0, where=~held)
    count, total = held.sum(axis=0), missed.sum(axis=1)
    return np.where(2 * count >= len(actual), total / np.maximum(count, 1), np.nan)


def horizon_bands(step: pd.Timedelta, horizon: int) -> tuple[HorizonBand, ...]:
    """The bands that `horizon` steps reach into; what lies beyond the last edge belongs to the last band."""
    found = []
    for first, last, name in EDGES:
        start, stop = int(np.ceil(first * DAY / step)), min(int(np.ceil(last * DAY / step)), horizon)
        if start < stop:
            found.append(HorizonBand(name, start, stop))
    return (*found[:-1], found[-1]._replace(last=horizon))


def origins(history: History, bands: Sequence[HorizonBand], count: int) -> dict[int, int]:
    """The origins that leave each band to be seen whole, or half of it where the history is too short; with the steps
    to forecast from each.

    Oldest first. Up to a long cycle ahead there is one every short cycle, `count` long cycles back: more of them made
    for better weights (docs/methods.md). For a band further ahead there are half of `count`, a long cycle apart where
    the history allows. Each forecasts to the end of the band that asked for it, and a week at least.
    """
    length, day, least = len(history.stamps), history.short, min_train_size(history)
    found: dict[int, int] = {}
    for band in bands:
        reach = min(max(band.last, WEEKLY_CYCLES * day), bands[-1].last)
        newest = max(length - band.last, min(least, length - (band.first + band.last + 1) // 2))
        if length - band.last < least:
            newest = length - (band.first + band.last + 1) // 2
        if band.last <= WEEKLY_CYCLES * day:
            wanted, stride = count * max(history.long // day, 1), day
        else:
            wanted = max(count // 2, 2)
            stride = int(np.clip((newest - least) // max(wanted - 1, 1) // day * day, day, max(history.long, day)))
        found |= {
            origin: max(reach, found.get(origin, 0)) for k in range(wanted) if least <= (origin := newest - k * stride)
        }
    return dict(sorted(found.items()))


def min_train_size(history: History) -> int:
    """Steps that must be known at an origin: two long cycles, or half of a history that has not four, but two short
    cycles at least.
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
        told = forecasts(history.until(origin), models, len(actual))
        lived = origin - first
        unlike = grown & (lived < least) | (lived < history.short)
        told[np.broadcast_to(unlike[:, None], told.shape)] = np.nan
        folds.append(Fold(origin, told, actual))
    return Backtest(tuple(models), tuple(folds))


def forecasts(history: History, models: Mapping[str, Model], horizon: int) -> Stored:
    """The forecasts of all models, (M, H, N), never below zero where the history never was."""
    floor = np.where(np.fmin.reduce(history.measured, axis=0) >= 0.0, 0.0, -np.inf)
    return np.stack([np.maximum(model(history, horizon), floor) for model in models.values()]).astype(np.float32)
