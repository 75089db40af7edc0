"""The one interface of all engines: a panel in, forecasts and bands out, and a word about every series."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from data.schema import QUANTILES, Series
from forecasting.panel.events import event_coverage, regressor_kinds
from forecasting.panel.panel import HOUR, Panel

HORIZON = pd.Timedelta(days=90)
BAND_BACK, BAND_AHEAD = pd.Timedelta(days=14), pd.Timedelta(days=2)

IDENTITY = ["level", "key", "metric"]
FORECAST_COLUMNS = [*IDENTITY, "ts", "yhat", *QUANTILES]
BAND_COLUMNS = [*IDENTITY, "ts", "expected", "lower_80", "upper_80", "lower_95", "upper_95"]
STATUS_COLUMNS = [*IDENTITY, "status", "reason", "model", "observations", "seconds"]


@dataclass(frozen=True, slots=True)
class ForecastOptions:
    """What to forecast: hours from the panel's start to `horizon` after it, bands from `band_back` before its end to
    `band_ahead` after it.

    The same seed gives the same numbers.
    """

    horizon: pd.Timedelta = HORIZON
    band_back: pd.Timedelta = BAND_BACK
    band_ahead: pd.Timedelta = BAND_AHEAD
    seed: int = 1

    def hours(self, panel: Panel) -> pd.DatetimeIndex:
        """The hours of a forecast."""
        return pd.date_range(panel.start, panel.start + self.horizon, freq=HOUR, inclusive="left", unit="us", name="ts")

    def band(self, panel: Panel) -> pd.DatetimeIndex:
        """The stamps of a band, at the panel's grain."""
        last = panel.now + self.band_ahead
        return pd.date_range(panel.now - self.band_back, last, freq=panel.grain, inclusive="left", unit="us", name="ts")


NOTHING = pd.DataFrame()
# What numerical code raises where it cannot handle the values of a series: a singular matrix, an overflow, an infinity.
NUMERICAL_FAULTS = (np.linalg.LinAlgError, ArithmeticError, ValueError)


class EngineResult(NamedTuple):
    """What became of some series, in the contract's columns without run_id: a row of `series_status` for each, forecasts and
    bands of those that were fitted.

    Values are in the unit of the metric, finite, never negative; quantiles do not fall as the level rises, and lower <=
    expected <= upper. An engine that judges its models also gives licences, scores and backtests; one that simulates
    the coming weeks, peaks and the paths behind them.
    """

    forecasts: pd.DataFrame
    bands: pd.DataFrame
    series_status: pd.DataFrame
    licences: pd.DataFrame = NOTHING
    scores: pd.DataFrame = NOTHING
    backtests: pd.DataFrame = NOTHING
    peaks: pd.DataFrame = NOTHING
    simulated_peaks: pd.DataFrame = NOTHING


class Engine(Protocol):
    """Forecasts the series of a panel."""

    name: str

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        """Results in parts, as they are ready; the fit of each series is in exactly one.

        An engine gets the whole panel, so that it may fit all series at once; one that fits them one by one spreads
        them over the executor. A series that cannot be fitted is a row of `series_status` with its reason, never an exception.
        """
        ...


def refused_result(series: Series, reason: str, status: str = "refused") -> EngineResult:
    """The result of a series that was not fitted."""
    fit = pd.DataFrame([[*series, status, reason, None, 0, 0.0]], columns=STATUS_COLUMNS)
    return EngineResult(pd.DataFrame(columns=FORECAST_COLUMNS), pd.DataFrame(columns=BAND_COLUMNS), fit)


def failure_reason(error: BaseException) -> str:
    """What failed, as the reason of a series: on one line, 300 characters at most."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


# Hours that a curve without a year is fitted to: what is older tells little about the next 90 days and costs time.
FIT_HISTORY = pd.Timedelta(days=400)
# A yearly pattern is looked for in three years; the prophet package, whose level is not that of the last weeks, needs two
# to show it.
YEARLY_AFTER, YEARLY_HISTORY = pd.Timedelta(days=730), pd.Timedelta(days=1095)
# Harmonics of the day, and of the week by the length of history: forty resolve the hours of a match day, but only once
# it has been seen three times.
DAILY_ORDER = 8
WEEKLY_ORDER = ((pd.Timedelta(weeks=3), 40), (pd.Timedelta(weeks=2), 10), (pd.Timedelta(0), 3))
# An event's effect as a share of the log range: a prior that lets it double a series, and that a handful of hours
# cannot carry away.
EVENT_PRIOR = 0.5
# The effect of an event that lasted less than this in all is not known.
EVENT_HOURS = 6.0
# A trend that bends as readily as Prophet's default follows every wave of the level and carries the last one on; this
# one is nearly straight over the history, and what it misses is the level's business.
TREND_PRIOR = 0.001
# Bands are as wide as the residuals of the last four weeks: every hour of the week four times.
RESIDUAL_SPAN = pd.Timedelta(days=28)


def weekly_order(span: pd.Timedelta) -> int:
    """Harmonics of the week that a history of this length can carry."""
    return next(order for least, order in WEEKLY_ORDER if span >= least)


def learnable(events: pd.DataFrame, stamps: pd.DatetimeIndex) -> pd.DataFrame:
    """Without the kinds of event that the history has hardly seen."""
    kinds = regressor_kinds([events])
    seen = event_coverage([events], kinds, stamps, HOUR).sum(axis=0)[:, 0]
    rare = [kind for kind, hours in zip(kinds, seen, strict=True) if hours < EVENT_HOURS]
    return events[~events["kind"].isin(rare)] if rare else events
