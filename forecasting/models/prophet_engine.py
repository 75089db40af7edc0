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
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from prophet import Prophet

from data.schema import QUANTILES, Series
from data.schema.errors import HeadroomError
from forecasting.models.engine import (
    BAND_COLUMNS,
    DAILY_ORDER,
    EVENT_PRIOR,
    FIT_HISTORY,
    FORECAST_COLUMNS,
    RESIDUAL_SPAN,
    STATUS_COLUMNS,
    TREND_PRIOR,
    YEARLY_AFTER,
    YEARLY_HISTORY,
    EngineResult,
    ForecastOptions,
    failure_reason,
    learnable,
    refused_result,
    weekly_order,
)
from forecasting.panel.completeness import constant_reason
from forecasting.panel.events import event_regressors
from forecasting.panel.history import LogScale, Reals
from forecasting.panel.panel import HOUR, Panel

# Paths that the trend may take, sampled.
PATHS = 200
# A fit takes about a second; one that takes two minutes will not end well.
FIT_TIMEOUT_SECONDS = 120
BAND_LEVELS = {"lower_95": 0.025, "lower_80": 0.1, "upper_80": 0.9, "upper_95": 0.975}
# A level is that of two weeks: their median leaves a surge of a few days alone.
LEVEL_DAYS = 14
# Strata of the noise; Hazen's quantiles of their midpoints are those of the normal distribution, within 0.1 % at 2.5 %.
STRATA = 99
# On less than twelve weeks a fitted slope is mostly noise; carried 90 days ahead it did more harm than no slope at all.
SLOPE_AFTER = pd.Timedelta(weeks=12)
LEVEL_SPAN = pd.Timedelta(days=LEVEL_DAYS)
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
    )


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
        frame = _frame(stamps, event_regressors(self.events, stamps, step), self.zone)
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
        paths = self.model.predictive_samples(_frame(stamps, event_regressors(self.events, stamps, HOUR), self.zone))[
            "trend"
        ]
        self.model.uncertainty_samples = 0
        return np.asarray(paths, dtype=float)


class ProphetEngine:
    """Fits every series with Prophet."""

    name = "prophet"

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        """As in `Engine`; one part for each series, in the order in which they are done."""
        waiting: dict[Future[EngineResult], Series] = {}
        for series in panel.series:
            if reason := panel.refused.get(series) or constant_reason(panel.hourly[series]):
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
        return refused_result(series, failure_reason(error), "failed")
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
    model.fit(_frame(stamps, columns, job.zone).assign(y=logs), seed=job.seed, timeout=FIT_TIMEOUT_SECONDS)
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
    span = job.span
    model = Prophet(
        growth="linear" if span >= SLOPE_AFTER else "flat",
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


def _frame(stamps: pd.DatetimeIndex, columns: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Prophet's input: the regressors, and local stamps without a zone, which it refuses."""
    return columns.reset_index(drop=True).assign(ds=stamps.tz_convert(zone).tz_localize(None))


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


# Uncertainty
# -------------------------------------------------------------------------------------------------------------------


def mixture_quantiles(paths: Reals, sigmas: Reals, levels: Sequence[float]) -> Reals:
    """Quantiles of path + noise at each step: paths (steps, paths) about their centre, noise normal with `sigmas`
    (steps); the result is (steps, levels).

    The noise is stratified and not drawn, so the quantiles are smooth along the steps and cannot cross.
    """
    normal = NormalDist()
    strata = np.array([normal.inv_cdf((i + 0.5) / STRATA) for i in range(STRATA)])
    mixed = (paths[:, :, None] + sigmas[:, None, None] * strata).reshape(len(paths), -1)
    return np.ascontiguousarray(np.quantile(mixed, levels, axis=1, method="hazen").T)


def level_variogram(days: Reals, ahead: int) -> Reals:
    """How far the level strays: standard deviations after 0 to `ahead` days, from daily means of residuals (NaN where a
    day is missing).

    Measured as in a variogram: the mean square of what separates a day from the typical day of the two weeks that ended
    so many days before, less that of the day after, which the noise accounts for already. It never falls as time goes
    on; beyond half of the history it grows as a random walk does.
    """
    longest = max(len(days) // 2, 1)
    typical = _typical(days)
    apart = np.array([_mean_square(days[lag:] - typical[:-lag]) for lag in range(1, longest + 1)])
    excess = np.maximum.accumulate(np.maximum(np.nan_to_num(apart - apart[0]), 0.0))
    lags = np.arange(ahead + 1)
    squares: Reals = np.where(
        lags <= longest, np.r_[0.0, excess][np.minimum(lags, longest)], excess[-1] * lags / longest
    )
    return np.sqrt(squares)


def _typical(days: Reals) -> Reals:
    """The median of the two weeks up to each day, of fewer where the history is short."""
    window = min(LEVEL_DAYS, max(len(days) // 3, 1))
    return np.asarray(pd.Series(days).rolling(window, min_periods=1).median(), dtype=float)


def _mean_square(values: Reals) -> float:
    measured = values[np.isfinite(values)]
    return float((measured**2).mean()) if len(measured) else np.nan


def interpolate(rows: Reals, at: Reals, wanted: Reals) -> Reals:
    """Rows given at some positions, linear in between and held beyond the ends: (positions, columns) to (wanted,
    columns).
    """
    return np.column_stack([np.interp(wanted, at, column) for column in rows.T])


def residual_quantile_offsets(residuals: Reals, levels: Sequence[float]) -> Reals:
    """Quantiles of measured residuals (NaN left out), pulled apart where both lie on one side, so that the curve itself
    is always inside.
    """
    offsets = np.nanquantile(residuals, levels)
    is_lower = np.asarray(levels) < 0.5
    return np.where(is_lower, np.minimum(offsets, 0.0), np.maximum(offsets, 0.0))


def relative_width(spread: Reals) -> Reals:
    """How much wider each quantile is than at the first step, at least 1: (steps, levels), offsets from the curve in,
    factors out.
    """
    first = np.where(spread[0] == 0.0, 1.0, spread[0])
    return np.maximum(spread / first, 1.0)


def dof_inflation(observations: int, coefficients: int) -> float:
    """Residuals are smaller than errors, because each coefficient took its share: the usual correction for degrees of
    freedom.
    """
    return float(np.sqrt(observations / max(observations - coefficients, observations / 10)))
