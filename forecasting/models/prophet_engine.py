"""Prophet behind the engines' interface: each series on its own, on the log scale, spread over the executor.

What is Prophet's: the curve (trend, daily and weekly seasonality, events as regressors) by maximum a posteriori, and
the paths that its trend may take. What is ours, each because it was measured to help (docs/methods.md): the log scale,
which keeps every bound above zero; no slope on a short history, whose extrapolation does the most harm, and a nearly
straight one on a long; local time, because the daily shape moves when the clocks change; seasonality as fine as the
history can carry; the level of the last two weeks, and doubt that grows as far as that level has strayed before; the
noise widened by what the fit's own coefficients took out of it; bands at the telemetry's grain from the residuals
measured there.
"""

from __future__ import annotations

import logging
import time
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pandas as pd
from prophet import Prophet

from data.schema import QUANTILES, Series
from data.schema.errors import HeadroomError
from forecasting.models.engine import EngineResult, ForecastOptions, refusal_reason, refused_result
from forecasting.models.engine_result import FittedSeries, build_result
from forecasting.models.series_spec import (
    DAILY_ORDER,
    EVENT_PRIOR,
    LEVEL_SPAN,
    PATH_STEP,
    SLOPE_AFTER,
    TREND_PRIOR,
    YEARLY_AFTER,
    SeriesSpec,
    dof_inflation,
    learnable,
    series_spec,
    weekly_order,
)
from forecasting.panel.events import event_regressors
from forecasting.panel.history import Reals
from forecasting.panel.panel import HOUR, Panel
from forecasting.panel.spread import LOG_FLOOR, LogScale, interpolate, level_variogram, mixture_quantiles

# Paths that the trend may take, sampled.
PATHS = 200
# A fit takes about a second; one that takes two minutes will not end well.
FIT_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class FittedProphet:
    """A fitted series: Prophet's model on the log scale, the scale, the shift to the recent level, each day's mean
    residual, the widening of the noise.
    """

    model: Prophet
    scale: LogScale
    events: pd.DataFrame
    zone: str
    shift: float
    days: Reals
    widened: float
    label: str

    def curve(self, stamps: pd.DatetimeIndex, step: pd.Timedelta) -> Reals:
        """The expected log value of each interval."""
        if not len(stamps):
            return np.empty(0)
        frame = _frame(stamps, event_regressors(self.events, stamps, step), self.zone, self.scale)
        # Prophet sorts by local time, in which the hour that a clock repeats in autumn stands twice: one answer for
        # both.
        told = self.model.predict(frame.drop_duplicates("ds")).set_index("ds")["yhat"]
        return np.asarray(told.reindex(frame["ds"]), dtype=float) + self.shift

    def spread(self, hours: pd.DatetimeIndex) -> Reals:
        """Offsets of the contract's quantiles from the curve, (hours, quantiles): Prophet's trend paths, its normal
        noise, and how far the level strays.
        """
        every = hours[:: int(PATH_STEP / HOUR)]
        drawn = self._paths(every)
        sigmas = np.hypot(self.sigma, level_variogram(self.days, len(every) - 1))
        offsets = mixture_quantiles(drawn - np.median(drawn, axis=1, keepdims=True), sigmas, list(QUANTILES.values()))
        return interpolate(offsets, np.asarray((every - hours[0]) / HOUR), np.asarray((hours - hours[0]) / HOUR))

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise on the log scale."""
        return float(self.model.params["sigma_obs"][0, 0] * cast("float", self.model.y_scale) * self.widened)

    def _paths(self, stamps: pd.DatetimeIndex) -> Reals:
        """Trend paths, (stamps, paths); a flat trend has but one."""
        if self.model.growth == "flat":
            return np.zeros((len(stamps), 1))
        self.model.uncertainty_samples = PATHS
        paths = self.model.predictive_samples(
            _frame(stamps, event_regressors(self.events, stamps, HOUR), self.zone, self.scale)
        )["trend"]
        self.model.uncertainty_samples = 0
        return np.asarray(paths, dtype=float)


class ProphetEngine:
    """Fits every series with Prophet."""

    name = "prophet"

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        """As in `Engine`; one part for each series, in the order in which they are done."""
        waiting: dict[Future[EngineResult], Series] = {}
        for series in panel.series:
            if reason := refusal_reason(panel.hourly[series], panel.now):
                yield refused_result(series, reason)
            else:
                waiting[executor.submit(fit_series, series_spec(panel, series, plan))] = series
        for future in as_completed(list(waiting)):
            yield _result_of(future, waiting.pop(future))


def _result_of(future: Future[EngineResult], series: Series) -> EngineResult:
    """The result, or the reason why there is none; raises HeadroomError where the worker itself died."""
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        raise HeadroomError(
            f"A worker process died over {series}.",
            cause="the machine ran out of memory, or the process was killed",
            remedy="refresh with fewer workers, for instance `--workers 1`",
        ) from error
    if error is not None:
        text = " ".join(str(error).split())[:300]
        return refused_result(series, f"{type(error).__name__}: {text}", "failed")
    return future.result()


def fit_series(job: SeriesSpec) -> EngineResult:
    """Fit one series and say what is expected; runs in a worker."""
    began = time.perf_counter()
    with _quiet(), _seeded(job):
        fitted = fit(job)
        ahead, recent = (fitted.curve(stamps, HOUR) for stamps in (job.ahead, pd.DatetimeIndex(job.recent.index)))
        band, samples = (fitted.curve(stamps, job.grain) for stamps in (job.band, pd.DatetimeIndex(job.samples.index)))
        spread = fitted.spread(job.ahead)
    curve = FittedSeries(fitted.scale, ahead, recent, band, samples, spread, fitted.widened, fitted.label)
    return build_result(job, curve, time.perf_counter() - began)


def fit(job: SeriesSpec) -> FittedProphet:
    """Prophet on the logarithm of the hours."""
    stamps, scale = pd.DatetimeIndex(job.hours.index), LogScale.of(job.hours.to_numpy())
    logs = scale.log(job.hours.to_numpy())
    events = learnable(job.events, stamps)
    columns = event_regressors(events, stamps, HOUR)
    model = _model(job, list(columns))
    model.fit(_frame(stamps, columns, job.zone, scale).assign(y=logs), seed=job.seed, timeout=FIT_TIMEOUT_SECONDS)
    cast("Any", model.stan_backend).cleanup()
    bare = FittedProphet(model, scale, events, job.zone, 0.0, np.empty(0), 1.0, "")
    residuals = pd.Series(logs - bare.curve(stamps, HOUR), index=stamps)
    shift = float(residuals.loc[stamps[-1] - LEVEL_SPAN :].median())
    days, label = residuals.resample("D").mean().to_numpy(), _label(model, list(columns), job.zone)
    return replace(
        bare, shift=shift, days=days, widened=dof_inflation(len(logs), model.params["beta"].shape[1] + 2), label=label
    )


def _model(job: SeriesSpec, columns: list[str]) -> Prophet:
    """An unfitted Prophet for a history of this length."""
    span, by_history = job.span, "linear" if job.span >= SLOPE_AFTER else "flat"
    model = Prophet(
        growth=cast("Any", "logistic" if job.growth == "logistic" else by_history),
        daily_seasonality=cast("Any", DAILY_ORDER),
        weekly_seasonality=cast("Any", weekly_order(span)),
        yearly_seasonality=cast("Any", span >= YEARLY_AFTER),
        changepoint_prior_scale=TREND_PRIOR,
        uncertainty_samples=0,
    )
    for column in columns:
        model.add_regressor(column, prior_scale=EVENT_PRIOR, standardize=False)
    return model


def _label(model: Prophet, columns: list[str], zone: str) -> str:
    seasons = ", ".join(f"{name} {season['fourier_order']}" for name, season in model.seasonalities.items())
    known = f", {', '.join(column.removeprefix('event_') for column in columns)}" if columns else ""
    return f"prophet, log scale, {model.growth} trend, {seasons}, clock of {zone}{known}"


def _frame(stamps: pd.DatetimeIndex, columns: pd.DataFrame, zone: str, scale: LogScale) -> pd.DataFrame:
    """Prophet's input: local stamps without a zone, which it refuses, the regressors, and the bounds of the scale,
    which only a logistic trend reads.
    """
    return columns.reset_index(drop=True).assign(
        ds=stamps.tz_convert(zone).tz_localize(None), cap=float(scale.ceiling), floor=LOG_FLOOR
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """What Prophet and its Stan wrapper log, and what their code deprecates, is nothing that a reader of a run can act
    on.
    """
    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _seeded(job: SeriesSpec) -> Iterator[None]:
    """Prophet draws from NumPy's global generator: seed it by the series, and leave it as it was."""
    before = np.random.get_state()  # noqa: NPY002 - Prophet knows no other generator
    np.random.seed(zlib.crc32(f"{job.seed}/{job.series}".encode()))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def by_default(
    stamps: pd.DatetimeIndex, values: Reals, ahead: pd.DatetimeIndex, levels: list[float], seed: int = 1
) -> Reals:
    """One series by the package at its defaults: the expected value and the quantiles of its own samples, (H, 1 +
    levels); NaN where it cannot be fitted.

    Stamps without a zone, or UTC; values NaN where missing.
    """
    frame = pd.DataFrame({"ds": stamps.tz_localize(None), "y": values}).dropna()
    blank = np.full((len(ahead), 1 + len(levels)), np.nan)
    if len(frame) < 2:  # Prophet refuses it
        return blank
    state = np.random.get_state()  # noqa: NPY002 - Prophet knows no other generator
    np.random.seed(seed)  # noqa: NPY002
    try:
        with _quiet():
            model = Prophet().fit(frame, seed=seed, timeout=FIT_TIMEOUT_SECONDS)
            future = pd.DataFrame({"ds": ahead.tz_localize(None)})
            expected, samples = model.predict(future)["yhat"].to_numpy(), model.predictive_samples(future)["yhat"]
            cast("Any", model.stan_backend).cleanup()
    except (RuntimeError, ValueError):
        return blank
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return np.column_stack([expected, np.quantile(samples, levels, axis=1).T])
