"""From a curve on the log scale to the rows that an engine gives: forecasts with quantiles, bands that fit the samples.
The same for every engine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import QUANTILES, Series
from forecasting.models.engine import BAND_COLUMNS, FORECAST_COLUMNS, STATUS_COLUMNS, EngineResult
from forecasting.models.series_spec import SeriesSpec
from forecasting.panel.history import Reals
from forecasting.panel.panel import HOUR
from forecasting.panel.spread import LogScale, interpolate, relative_width, residual_quantile_offsets

BAND_LEVELS = {"lower_95": 0.025, "lower_80": 0.1, "upper_80": 0.9, "upper_95": 0.975}


class FittedSeries(NamedTuple):
    """What a model says of one series, on the log scale.

    ahead, recent, band, samples: the expected values at the task's stamps of those names. spread: (hours ahead,
    quantiles), offsets of the quantiles.
    widened: how much wider errors are than residuals. label: the model in words.
    """

    scale: LogScale
    ahead: Reals
    recent: Reals
    band: Reals
    samples: Reals
    spread: Reals
    widened: float
    label: str


def build_result(job: SeriesSpec, curve: FittedSeries, seconds: float) -> EngineResult:
    """All rows of one series that was fitted."""
    row = [*job.series, "fitted", None, curve.label, len(job.hours), seconds]
    return EngineResult(_forecasts(job, curve), _bands(job, curve), pd.DataFrame([row], columns=STATUS_COLUMNS))


def _forecasts(job: SeriesSpec, curve: FittedSeries) -> pd.DataFrame:
    """Rows of `forecasts`. The expected value is a mean: the curve, scaled so that the fitted and the measured total of
    the last four weeks agree.
    """
    quantiles = curve.scale.value(curve.ahead[:, None] + curve.spread)
    yhat = curve.scale.value(curve.ahead) * (job.recent.sum() / curve.scale.value(curve.recent).sum())
    return pd.DataFrame(dict(zip(FORECAST_COLUMNS, [*job.series, job.ahead, yhat, *quantiles.T], strict=True)))


def _bands(job: SeriesSpec, curve: FittedSeries) -> pd.DataFrame:
    """Rows of `bands`: the hourly curve at each stamp, as wide as the samples' residuals about it; after the last
    sample it widens as the forecast does.
    """
    chosen = [list(QUANTILES.values()).index(level) for level in BAND_LEVELS.values()]
    since = np.asarray((job.band - job.ahead[0]) / HOUR)
    factors = interpolate(relative_width(curve.spread[:, chosen]), np.arange(len(curve.spread), dtype=float), since)
    bounds = curve.scale.value(curve.band[:, None] + factors * _measured(job, curve, curve.spread[0, chosen]))
    columns = dict(zip(BAND_LEVELS, bounds.T, strict=True))
    identity = dict(zip(Series._fields, job.series, strict=True))
    return pd.DataFrame({**identity, "ts": job.band, "expected": curve.scale.value(curve.band), **columns})[
        BAND_COLUMNS
    ]


def _measured(job: SeriesSpec, curve: FittedSeries, otherwise: Reals) -> Reals:
    """Offsets of the bounds from the curve, as the samples of the last four weeks lay about it; `otherwise` where there
    are too few.
    """
    samples = job.samples.to_numpy()
    if np.isfinite(samples).sum() < 1.0 / min(BAND_LEVELS.values()):
        return otherwise
    residuals = curve.scale.log(samples) - curve.samples
    return residual_quantile_offsets(curve.widened * residuals, list(BAND_LEVELS.values()))
