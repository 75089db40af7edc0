"""What a history can carry, decided alike for every engine: how much of it is used, whether it has a slope, which
seasons and events can be learned from it.

Each choice is there because it was measured to help (docs/methods.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from data.schema import Series
from forecasting.models.engine import ForecastOptions
from forecasting.panel.events import event_coverage, regressor_kinds
from forecasting.panel.panel import HOUR, Panel
from forecasting.panel.spread import LEVEL_DAYS

# Hours that a model of the next 90 days is fitted to: what is older tells little about them and costs time.
FIT_HISTORY = pd.Timedelta(days=400)
# A yearly pattern needs two years to show, and is looked for in three (the prophet package alone has one).
YEARLY_AFTER, YEARLY_HISTORY = pd.Timedelta(days=730), pd.Timedelta(days=1095)
# On less than twelve weeks a fitted slope is mostly noise; carried 90 days ahead it did more harm than no slope at all.
SLOPE_AFTER = pd.Timedelta(weeks=12)
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
LEVEL_SPAN = pd.Timedelta(days=LEVEL_DAYS)
# Bands are as wide as the residuals of the last four weeks: every hour of the week four times.
RESIDUAL_SPAN = pd.Timedelta(days=28)
# Trend and level change slowly: once a day is enough, and linear in between.
PATH_STEP = pd.Timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """All that a forecast needs of one series: hourly values and samples (index UTC, NaN missing), its events, the
    stamps wanted, and the zone it lives in.
    """

    series: Series
    hours: pd.Series
    samples: pd.Series
    events: pd.DataFrame
    ahead: pd.DatetimeIndex
    band: pd.DatetimeIndex
    grain: pd.Timedelta
    seed: int
    zone: str
    growth: Literal["history", "logistic"] = "history"

    @property
    def span(self) -> pd.Timedelta:
        """How long the history is."""
        return pd.Timedelta(self.hours.index[-1] - self.hours.index[0]) + HOUR

    @property
    def recent(self) -> pd.Series:
        """The hours of the last four weeks."""
        return self.hours.loc[self.hours.index[-1] - RESIDUAL_SPAN :]


def series_spec(panel: Panel, series: Series, plan: ForecastOptions) -> SeriesSpec:
    """What a forecast needs of the panel."""
    values = panel.hourly[series].dropna()
    span = panel.start - values.index[0]
    since = panel.start - (YEARLY_HISTORY if span >= YEARLY_AFTER else FIT_HISTORY)
    samples = panel.samples[series].loc[panel.now - RESIDUAL_SPAN :]
    ahead, band, zone = plan.hours(panel), plan.band(panel), panel.clock(series)
    return SeriesSpec(
        series,
        values.loc[since:],
        samples,
        panel.touching(series),
        ahead,
        band,
        panel.grain,
        plan.seed,
        zone,
        plan.growth,
    )


def weekly_order(span: pd.Timedelta) -> int:
    """Harmonics of the week that a history of this length can carry."""
    return next(order for least, order in WEEKLY_ORDER if span >= least)


def learnable(events: pd.DataFrame, stamps: pd.DatetimeIndex) -> pd.DataFrame:
    """Without the kinds of event that the history has hardly seen."""
    kinds = regressor_kinds([events])
    seen = event_coverage([events], kinds, stamps, HOUR).sum(axis=0)[:, 0]
    rare = [kind for kind, hours in zip(kinds, seen, strict=True) if hours < EVENT_HOURS]
    return events[~events["kind"].isin(rare)] if rare else events


def dof_inflation(observations: int, coefficients: int) -> float:
    """Residuals are smaller than errors, because each coefficient took its share: the usual correction for degrees of
    freedom.
    """
    return float(np.sqrt(observations / max(observations - coefficients, observations / 10)))
