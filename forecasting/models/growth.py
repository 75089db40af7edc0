"""Growth: how fast each series rises or falls on the log scale, and how much of that a panel's own past says will go on.

Nearly all models of the pool repeat the level of the last days or weeks, so that a network that grows is forecast too
low, the more so the further ahead. `with_growth` multiplies their forecasts by exp(share x slope x time):

- The slope of each series is that of a straight line through the logarithms of its weekly means, shrunk to zero where it
  is young: the error of a slope falls with the third power of the time that it was seen for.
- The share is one for all series of a panel: how much of their slopes past origins saw go on 29 to 90 days ahead,
  a regression over all series and origins with a normal prior about one. One noisy site says next to nothing, a network
  that does not go on as it went brings the share to zero.

Measured on simulated networks of 190 to 310 days (`benchmarks.long_range`): docs/methods.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.panel.history import LOG_FLOOR_SHARE, History, Model, Reals, nan_median, shared

WEEK = pd.Timedelta(days=7)
# Thirteen months: what a level did before says little about the next quarter.
WEEKS_AT_MOST = 57
# Two months: on less, what a slope sees is weather.
WEEKS_AT_LEAST = 8
# Of a slope that was seen for so many weeks half is noise. From 9 to 26 the error at 29-90 days differs by 3 %.
HALF_NOISE_WEEKS = 17.0
# A week at less than half or more than twice its neighbours is an outage, an event or a fault.
OUTLIER, NEIGHBOURS = np.log(2.0), 4
# The share is compared at the weeks 5 to 13 ahead, with the level of the last four.
LEVEL_WEEKS, FIRST_AHEAD, LAST_AHEAD = 4, 4, 13
# Standard deviation of the share before any evidence; from 0.25 to 0.8 the error of growing networks is the same, and
# that of series that do not grow is least at 0.8.
SHARE_SPREAD = 0.8
# Series share their shocks: their departures from the line correlate by about this much.
CORRELATION = 0.3
# Reliability is shrunk for all alike; where the past says that this was too much, some of it is taken back.
SHARE_AT_MOST = 1.2
# The level that a model repeats is that of the last weeks, whose middle lies about a week back.
LEVEL_AGE_WEEKS = 1.0
# No slope counts for more than this in a week (a factor of 3.7 in a year), no forecast is moved by more than twice.
STEEPEST, FURTHEST = 0.025, np.log(2.0)


class PanelGrowth(NamedTuple):
    """slope: (N), of the logarithm a week, share and reliability included; share: of what was seen, 0 to 1.2."""

    slope: Reals
    share: float

    def factor(self, steps: int, steps_a_week: float) -> Reals:
        """(steps, N), by which forecasts are multiplied: from one on, and after a week by what the level's age adds."""
        weeks = (np.arange(1, steps + 1) / steps_a_week)[:, None]
        weeks = weeks + np.minimum(weeks, LEVEL_AGE_WEEKS)
        return np.asarray(np.exp(np.clip(self.slope * weeks, -FURTHEST, FURTHEST)))


def with_growth(model: Model) -> Model:
    """The same model, its forecasts multiplied by the growth of the history's series; as it is where steps are longer
    than a week.
    """

    def growing(history: History, steps: int) -> Reals:
        if history.step > WEEK:
            return model(history, steps)
        growth = shared(history, "growth", lambda: learn_growth(history))
        factor = shared(history, ("growth", steps), lambda: growth.factor(steps, WEEK / history.step))
        return model(history, steps) * factor

    return growing


def learn_growth(history: History) -> PanelGrowth:
    """The growth of every series of a history, by its weeks up to the end."""
    logs = weekly_logs(history)
    slopes, counts = _slopes_so_far(logs)
    is_seen = counts >= WEEKS_AT_LEAST
    reliability = np.where(is_seen, counts**3 / (counts**3 + HALF_NOISE_WEEKS**3), 0.0)
    slopes = reliability * np.clip(slopes, -STEEPEST, STEEPEST)
    share = _share(logs, slopes)
    return PanelGrowth(share * slopes[-1], share)


def weekly_logs(history: History) -> Reals:
    """Logarithms of weekly means, (weeks, N), counted back from the end; NaN where less than half of a week was measured,
    nothing was carried, or the week stands apart from its neighbours.
    """
    steps = int(np.rint(WEEK / history.step))
    weeks = min(len(history.measured) // steps, WEEKS_AT_MOST)
    rows = history.measured[len(history.measured) - weeks * steps :]
    if not weeks:
        return rows
    blocks = rows.reshape(weeks, steps, rows.shape[1])
    count = np.isfinite(blocks).sum(axis=1)
    means = np.nansum(blocks, axis=1) / np.maximum(count, 1)
    means = np.where((2 * count >= steps) & (means > 0.0), means, np.nan)
    logs = np.where(np.isnan(means), np.nan, np.log(np.fmax(means, LOG_FLOOR_SHARE * nan_median(means))))
    padded = np.pad(logs, ((NEIGHBOURS, NEIGHBOURS), (0, 0)), constant_values=np.nan)
    around = np.stack([padded[shift : shift + weeks] for shift in range(2 * NEIGHBOURS + 1)])
    return np.where(np.abs(logs - nan_median(around)) <= OUTLIER, logs, np.nan)


def _slopes_so_far(logs: Reals) -> tuple[Reals, Reals]:
    """Least-squares slopes a week through the first w weeks, and how many of these were measured, both (weeks + 1, N)."""
    weeks = np.arange(len(logs), dtype=float)[:, None]
    is_known = np.isfinite(logs)
    values = np.where(is_known, logs, 0.0)
    terms = (is_known, is_known * weeks, is_known * weeks**2, values, values * weeks)
    count, first, second, total, moment = (
        np.concatenate([np.zeros((1, logs.shape[1])), np.cumsum(term, axis=0)]) for term in terms
    )
    spread = count * second - first**2
    return np.where(spread > 0.0, (count * moment - first * total) / np.where(spread > 0.0, spread, 1.0), 0.0), count


def _share(logs: Reals, slopes: Reals) -> float:
    """The share of the slopes that went on, by all series and past origins: the mean of a normal posterior about one."""
    origins = range(WEEKS_AT_LEAST, len(logs) - LAST_AHEAD + 1)
    if not origins:
        return 1.0
    lead = (FIRST_AHEAD + LAST_AHEAD) / 2.0 + LEVEL_WEEKS / 2.0
    promised = np.stack([lead * slopes[origin] for origin in origins])
    came = np.stack(
        [
            _means(logs[origin + FIRST_AHEAD : origin + LAST_AHEAD]) - _means(logs[origin - LEVEL_WEEKS : origin])
            for origin in origins
        ]
    )
    is_compared = np.isfinite(came) & (promised != 0.0)
    if not is_compared.any():
        return 1.0
    promised, came = promised[is_compared], np.clip(came[is_compared], -FURTHEST, FURTHEST)
    # Origins a week apart see nearly the same weeks, and series move together: so many comparisons are independent.
    series = is_compared.sum() / len(origins)
    windows = 1.0 + (len(origins) - 1) / (LAST_AHEAD - FIRST_AHEAD)
    independent = windows * series / (1.0 + CORRELATION * max(series - 1.0, 0.0))
    noise = max(float(np.mean((came - promised) ** 2)), 1e-6)
    precision = independent * float(np.mean(promised**2)) / noise
    evidence = independent * float(np.mean(promised * came)) / noise
    prior = 1.0 / SHARE_SPREAD**2
    return float(np.clip((evidence + prior) / (precision + prior), 0.0, SHARE_AT_MOST))


def _means(rows: Reals) -> Reals:
    """Means over the rows that are measured, (N); NaN where none is."""
    is_known = np.isfinite(rows)
    count = is_known.sum(axis=0)
    return np.where(count > 0, np.where(is_known, rows, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
