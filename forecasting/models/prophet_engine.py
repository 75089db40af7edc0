"""Prophet behind the engines' interface: each series on its own, on the log scale, spread over the executor.

What is Prophet's: the curve (trend, daily and weekly seasonality, events as regressors) by maximum a posteriori, and the paths that its trend may take.
What is ours, each because it was measured to help (docs/models.md): the log scale, which keeps every bound above zero; no slope on a short history, whose
extrapolation does the most harm, and a nearly straight one on a long; local time, because the daily shape moves when the clocks change; seasonality as fine as
the history can carry; the level of the last two weeks, and doubt that grows as far as that level has strayed before; the noise widened by what the fit's own
coefficients took out of it; bands at the telemetry's grain from the residuals measured there.
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

from data.errors import HeadroomError
from data.schema import QUANTILES, Series
from forecasting.models.engine import BAND_COLUMNS, FIT_COLUMNS, FORECAST_COLUMNS, EngineResult, Plan, declined, refusal
from forecasting.models.panel import HOUR, Panel
from forecasting.models.scopes import regressors
from forecasting.models.spread import LEVEL_DAYS, LogScale, Reals, interpolate, measured_spread, normal_spread, wander, widening

# What is older tells little about the next 90 days and costs time; a yearly pattern needs two years to show, and is looked for in three.
HISTORY, YEARLY_AFTER, YEARLY_HISTORY = pd.Timedelta(days=400), pd.Timedelta(days=730), pd.Timedelta(days=1095)
# On less than twelve weeks a fitted slope is mostly noise; carried 90 days ahead it did more harm than no slope at all.
SLOPE_AFTER = pd.Timedelta(weeks=12)
# Harmonics of the day, and of the week by the length of history: forty resolve the hours of a match day, but only once it has been seen three times.
DAILY_ORDER = 8
WEEKLY_ORDER = ((pd.Timedelta(weeks=3), 40), (pd.Timedelta(weeks=2), 10), (pd.Timedelta(0), 3))
# An event's effect as a share of the log range: a prior that lets it double a series, and that a handful of hours cannot carry away.
EVENT_PRIOR = 0.5
# The effect of an event that lasted less than this in all is not known.
EVENT_HOURS = 6.0
# A trend that bends as readily as Prophet's default follows every wave of the level and carries the last one on; this one is nearly straight over the
# history, and what it misses is the level's business.
TREND_PRIOR = 0.001
LEVEL_SPAN = pd.Timedelta(days=LEVEL_DAYS)
# Bands are as wide as the residuals of the last four weeks: every hour of the week four times.
RESIDUAL_SPAN = pd.Timedelta(days=28)
# Trend and level change slowly: once a day is enough, and linear in between.
PATHS, PATH_STEP = 200, pd.Timedelta(days=1)
# A fit takes about a second; one that takes two minutes will not end well.
FIT_TIMEOUT_SECONDS = 120
BAND_LEVELS = {"lower_95": 0.025, "lower_80": 0.1, "upper_80": 0.9, "upper_95": 0.975}


@dataclass(frozen=True, slots=True)
class Task:
    """All that a worker needs for one series: hourly values and samples (index UTC, NaN missing), its events, the stamps wanted, and the zone it lives in."""

    series: Series
    hours: pd.Series
    samples: pd.Series
    events: pd.DataFrame
    ahead: pd.DatetimeIndex
    band: pd.DatetimeIndex
    grain: pd.Timedelta
    seed: int
    zone: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted series: Prophet's model on the log scale, the scale, the shift to the recent level, each day's mean residual, the widening of the noise."""

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
        frame = _frame(stamps, regressors(self.events, stamps, step), self.zone)
        # Prophet sorts by local time, in which the hour that a clock repeats in autumn stands twice: one answer for both.
        told = self.model.predict(frame.drop_duplicates("ds")).set_index("ds")["yhat"]
        return np.asarray(told.reindex(frame["ds"]), dtype=float) + self.shift

    def spread(self, hours: pd.DatetimeIndex) -> Reals:
        """Offsets of the contract's quantiles from the curve, (hours, quantiles): Prophet's trend paths, its normal noise, and how far the level strays."""
        every = hours[:: int(PATH_STEP / HOUR)]
        drawn = self._paths(every)
        sigmas = np.hypot(self.sigma, wander(self.days, len(every) - 1))
        offsets = normal_spread(drawn - np.median(drawn, axis=1, keepdims=True), sigmas, list(QUANTILES.values()))
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
        paths = self.model.predictive_samples(_frame(stamps, regressors(self.events, stamps, HOUR), self.zone))["trend"]
        self.model.uncertainty_samples = 0
        return np.asarray(paths, dtype=float)


class ProphetEngine:
    """Fits every series with Prophet."""

    name = "prophet"

    def forecast(self, panel: Panel, plan: Plan, executor: Executor) -> Iterator[EngineResult]:
        """As in `Engine`; one part for each series, in the order in which they are done."""
        waiting: dict[Future[EngineResult], Series] = {}
        for series in panel.series:
            if reason := refusal(panel.hourly[series], panel.now):
                yield declined(series, reason)
            else:
                waiting[executor.submit(fit_series, task(panel, series, plan))] = series
        for future in as_completed(list(waiting)):
            yield _outcome(future, waiting.pop(future))


def task(panel: Panel, series: Series, plan: Plan) -> Task:
    """What a worker needs of the panel."""
    values = panel.hourly[series].dropna()
    span = panel.start - values.index[0]
    since = panel.start - (YEARLY_HISTORY if span >= YEARLY_AFTER else HISTORY)
    samples = panel.samples[series].loc[panel.now - RESIDUAL_SPAN :]
    return Task(series, values.loc[since:], samples, panel.touching(series), plan.hours(panel), plan.band(panel), panel.grain, plan.seed, panel.clock(series))


def _outcome(future: Future[EngineResult], series: Series) -> EngineResult:
    """The result, or the reason why there is none; raises HeadroomError where the worker itself died."""
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        raise HeadroomError(f"A worker process died over {series}.", cause="the machine ran out of memory, or the process was killed",
                            remedy="refresh with fewer workers, for instance `--workers 1`") from error  # fmt: skip
    if error is not None:
        text = " ".join(str(error).split())[:300]
        return declined(series, f"{type(error).__name__}: {text}", "failed")
    return future.result()


def fit_series(job: Task) -> EngineResult:
    """Fit one series and say what is expected; runs in a worker."""
    began = time.perf_counter()
    with _quiet(), _seeded(job):
        fitted = fit(job)
        spread = fitted.spread(job.ahead)
        forecasts, bands = _forecasts(job, fitted, spread), _bands(job, fitted, spread)
    row = [*job.series, "fitted", None, fitted.label, len(job.hours), time.perf_counter() - began]
    return EngineResult(forecasts, bands, pd.DataFrame([row], columns=FIT_COLUMNS))


def fit(job: Task) -> Fitted:
    """Prophet on the logarithm of the hours."""
    stamps, scale = pd.DatetimeIndex(job.hours.index), LogScale.of(job.hours.to_numpy())
    logs = scale.log(job.hours.to_numpy())
    events = _learnable(job.events, stamps)
    columns = regressors(events, stamps, HOUR)
    model = _model(stamps[-1] - stamps[0] + HOUR, list(columns))
    model.fit(_frame(stamps, columns, job.zone).assign(y=logs), seed=job.seed, timeout=FIT_TIMEOUT_SECONDS)
    cast("Any", model.stan_backend).cleanup()
    bare = Fitted(model, scale, events, job.zone, 0.0, np.empty(0), 1.0, "")
    residuals = pd.Series(logs - bare.curve(stamps, HOUR), index=stamps)
    shift = float(residuals.loc[stamps[-1] - LEVEL_SPAN :].median())
    days, label = residuals.resample("D").mean().to_numpy(), _label(model, list(columns), job.zone)
    return replace(bare, shift=shift, days=days, widened=_widened(len(logs), model), label=label)


def _model(span: pd.Timedelta, columns: list[str]) -> Prophet:
    """An unfitted Prophet for a history of this length."""
    model = Prophet(
        growth="linear" if span >= SLOPE_AFTER else "flat",
        daily_seasonality=cast("Any", DAILY_ORDER),
        weekly_seasonality=cast("Any", next(order for least, order in WEEKLY_ORDER if span >= least)),
        yearly_seasonality=cast("Any", span >= YEARLY_AFTER),
        changepoint_prior_scale=TREND_PRIOR,
        uncertainty_samples=0,
    )
    for column in columns:
        model.add_regressor(column, prior_scale=EVENT_PRIOR, standardize=False)
    return model


def _learnable(events: pd.DataFrame, stamps: pd.DatetimeIndex) -> pd.DataFrame:
    """Without the kinds of event that the history has hardly seen."""
    seen = regressors(events, stamps, HOUR).sum()
    rare = {column.removeprefix("event_") for column, hours in seen.items() if hours < EVENT_HOURS}
    return events[~events["kind"].isin(rare)]


def _widened(observations: int, model: Prophet) -> float:
    """Residuals are smaller than errors, because each coefficient took its share: the usual correction for degrees of freedom."""
    coefficients = model.params["beta"].shape[1] + 2
    return float(np.sqrt(observations / max(observations - coefficients, observations / 10)))


def _label(model: Prophet, columns: list[str], zone: str) -> str:
    seasons = ", ".join(f"{name} {season['fourier_order']}" for name, season in model.seasonalities.items())
    known = f", {', '.join(column.removeprefix('event_') for column in columns)}" if columns else ""
    return f"prophet, log scale, {model.growth} trend, {seasons}, clock of {zone}{known}"


def _forecasts(job: Task, fitted: Fitted, spread: Reals) -> pd.DataFrame:
    """Rows of `forecasts`. The expected value is a mean: the curve, scaled so that the fitted and the measured total of the last four weeks agree."""
    curve = fitted.curve(job.ahead, HOUR)
    quantiles = fitted.scale.value(curve[:, None] + spread)
    recent = job.hours.loc[job.hours.index[-1] - RESIDUAL_SPAN :]
    total = fitted.scale.value(fitted.curve(pd.DatetimeIndex(recent.index), HOUR)).sum()
    yhat = fitted.scale.value(curve) * (recent.sum() / total)
    return pd.DataFrame(dict(zip(FORECAST_COLUMNS, [*job.series, job.ahead, yhat, *quantiles.T], strict=True)))


def _bands(job: Task, fitted: Fitted, spread: Reals) -> pd.DataFrame:
    """Rows of `bands`: the hourly curve at each stamp, as wide as the samples' residuals about it; after the last sample it widens as the forecast does."""
    curve = fitted.curve(job.band, job.grain)
    chosen = [list(QUANTILES.values()).index(level) for level in BAND_LEVELS.values()]
    since = np.asarray((job.band - job.ahead[0]) / HOUR)
    factors = interpolate(widening(spread[:, chosen]), np.arange(len(spread), dtype=float), since)
    bounds = fitted.scale.value(curve[:, None] + factors * _measured(job, fitted, spread[0, chosen]))
    columns = dict(zip(BAND_LEVELS, bounds.T, strict=True))
    identity = dict(zip(Series._fields, job.series, strict=True))
    return pd.DataFrame({**identity, "ts": job.band, "expected": fitted.scale.value(curve), **columns})[BAND_COLUMNS]


def _measured(job: Task, fitted: Fitted, otherwise: Reals) -> Reals:
    """Offsets of the bounds from the curve, as the samples of the last four weeks lay about it; `otherwise` where there are too few."""
    samples = job.samples.dropna()
    if len(samples) < 1.0 / min(BAND_LEVELS.values()):
        return otherwise
    stamps = pd.DatetimeIndex(samples.index)
    residuals = fitted.scale.log(samples.to_numpy()) - fitted.curve(stamps, job.grain)
    return measured_spread(fitted.widened * residuals, list(BAND_LEVELS.values()))


def _frame(stamps: pd.DatetimeIndex, columns: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Prophet's input: local stamps without a zone, which it refuses, and the regressors."""
    return columns.reset_index(drop=True).assign(ds=stamps.tz_convert(zone).tz_localize(None))


@contextmanager
def _quiet() -> Iterator[None]:
    """What Prophet and its Stan wrapper log, and what their code deprecates, is nothing that a reader of a run can act on."""
    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _seeded(job: Task) -> Iterator[None]:
    """Prophet draws from NumPy's global generator: seed it by the series, and leave it as it was."""
    before = np.random.get_state()  # noqa: NPY002 - Prophet knows no other generator
    np.random.seed(zlib.crc32(f"{job.seed}/{job.series}".encode()))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def by_default(stamps: pd.DatetimeIndex, values: Reals, ahead: pd.DatetimeIndex, levels: list[float], seed: int = 1) -> Reals:
    """One series by the package at its defaults: the expected value and the quantiles of its own samples, (H, 1 + levels); NaN where it cannot be fitted.

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
