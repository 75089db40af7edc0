"""Backtest, model selection and forecast of a batch of series, as the rows that a run publishes: what a worker does."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import QUANTILES, Series
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import (
    Backtest,
    Fold,
    HorizonBand,
    OutOfSample,
    distance_of_far_origins,
    min_train_size,
)
from forecasting.evaluation.licence import BLEND
from forecasting.evaluation.model_selection import (
    Origins,
    PoolBacktest,
    SelectedForecast,
    backtest_pool,
    best_baseline,
    prophet_curve,
    select_and_calibrate,
    stamps_ahead,
)
from forecasting.evaluation.recent_bands import recent_forecasts
from forecasting.evaluation.scores import PastIntervals, out_of_sample_intervals, scores
from forecasting.models.engine import NOTHING, NUMERICAL_FAULTS, failure_reason
from forecasting.models.ensemble import pool
from forecasting.models.event_effects import with_event_effects
from forecasting.panel.events import EventRegressors, Holidays
from forecasting.panel.history import History, Reals, nan_sum
from forecasting.panel.panel import HOUR

DAY_AND_WEEK = (24, 168)
WEEK, MONTH = DAY_AND_WEEK[1], 672
BACKTEST_LEVELS = ("q025", "q10", "q90", "q975")
AT = {name: place for place, name in enumerate(QUANTILES)}
SCORE_COLUMNS = ("model", "horizon", "score", "value", "origins")
# The week of past forecasts that is published is that of the newest origins; older ones count in the scores.
WEEKS_SHOWN, DAYS_A_WEEK = 8, 7
# Origins from which the whole horizon can be seen.
FAR = 4


@dataclass(frozen=True, slots=True)
class SeriesBatch:
    """Series that are evaluated together, for they share their fits: hours (T, N) with one column for each, NaN where
    missing or masked, index UTC; the zone by whose clock they live.

    events: for each series those that touch it, as `Panel.touching` gives them. groups: for each series the sums that
    it is part of; none for a sum. holidays: those of each series.
    """

    series: tuple[Series, ...]
    hours: pd.DataFrame
    zone: str
    events: tuple[pd.DataFrame, ...]
    groups: tuple[tuple[Series, ...], ...]
    holidays: tuple[Holidays, ...] = ()

    def of(self, places: slice) -> SeriesBatch:
        """Some of the series."""
        return SeriesBatch(
            self.series[places],
            self.hours.iloc[:, places],
            self.zone,
            self.events[places],
            self.groups[places],
            self.holidays[places],
        )

    def history(self, horizon: int) -> History:
        """The series as the pool sees them, with the events of the past and of the hours ahead."""
        stamps = pd.DatetimeIndex(self.hours.index)
        hours = stamps.union(pd.date_range(stamps[-1], periods=horizon + 1, freq=HOUR))
        return History(
            stamps,
            self.hours.to_numpy(float),
            DAY_AND_WEEK,
            zone=self.zone,
            known=EventRegressors.of(self.events, hours),
            holidays=self.holidays,
        )


ByOrigin = Mapping[pd.Timestamp, Reals]


class SiteContribution(NamedTuple):
    """What the sites of one batch add to a sum of theirs: the first stamp at which one of them was measured, and by
    past origin their forecasts added up, (h): `trials` as far as was forecast there, `weeks` over a week and by what
    was known then. What travels from a worker grows with the sums, not with the sites.
    """

    first: pd.Timestamp
    trials: ByOrigin
    weeks: ByOrigin


class AggregateBacktest(NamedTuple):
    """Backtest of the G series of a batch that are sums, by forecasts of their own, at K origins and in bands B.

    past: their forecasts at past origins and the intervals of these; baseline_errors: (K, M, B, G) of the baselines
    that are named; best: (B, G), which of them is shown; windows: (B), effective number of windows of each band; scale:
    (G), what errors are measured in.
    """

    series: tuple[Series, ...]
    origins: tuple[pd.Timestamp, ...]
    bands: tuple[HorizonBand, ...]
    baselines: tuple[str, ...]
    past: PastIntervals
    baseline_errors: Reals
    best: npt.NDArray[np.intp]
    windows: Reals
    scale: Reals


class BatchEvaluation(NamedTuple):
    """Rows without run_id: forecasts (point and quantiles; Prophet and the baseline beside them), licences, scores,
    backtests.

    recent: what would have been forecast for the last two weeks, out of sample (IDENTITY, ts, yhat, quantiles), a row
    for each series and hour, NaN where nothing. seconds: what it took, for each series.
    contributions: what the sites add to their sums at past origins; aggregates: the backtest of the sums among the
    series.
    """

    series: tuple[Series, ...]
    forecasts: pd.DataFrame
    recent: pd.DataFrame
    seconds: float
    licences: pd.DataFrame
    scores: pd.DataFrame
    backtests: pd.DataFrame
    contributions: dict[Series, SiteContribution]
    aggregates: AggregateBacktest

    def split(self, dependent: Collection[Series]) -> tuple[BatchEvaluation, BatchEvaluation]:
        """The evidence that is final, that of series which depend on no other; and the rest, with every forecast."""
        frames = {name: getattr(self, name) for name in ("licences", "scores", "backtests")}
        is_dependent = {name: rows_of(frame, dependent) for name, frame in frames.items()}
        final = {name: frame[~is_dependent[name]] for name, frame in frames.items()}
        rest = {name: frame[is_dependent[name]] for name, frame in frames.items()}
        return self._replace(forecasts=NOTHING, recent=NOTHING, **final), self._replace(**rest)


def rows_of(frame: pd.DataFrame, series: Collection[Series]) -> npt.NDArray[np.bool_]:
    """Mask of the rows that are of one of these series."""
    if frame.empty or not series:
        return np.zeros(len(frame), dtype=bool)
    return np.asarray(pd.MultiIndex.from_frame(frame[list(Series._fields)]).isin(list(series)))


def evaluate_isolating_failures(batch: SeriesBatch, horizon: int) -> tuple[list[BatchEvaluation], dict[Series, str]]:
    """Evaluate a batch, in halves where arithmetic fails on it, until the series that it fails on stand alone; runs in
    a worker.

    Returns the evaluations, and the reason for each series without one: one odd series does not decide for the others.
    """
    try:
        return [evaluate_batch(batch, horizon)], {}
    except NUMERICAL_FAULTS as error:
        if len(batch.series) == 1:
            return [], {batch.series[0]: failure_reason(error)}
    middle = len(batch.series) // 2
    first, failed_first = evaluate_isolating_failures(batch.of(slice(None, middle)), horizon)
    second, failed_second = evaluate_isolating_failures(batch.of(slice(middle, None)), horizon)
    return [*first, *second], failed_first | failed_second


def evaluate_batch(batch: SeriesBatch, horizon: int) -> BatchEvaluation:
    """Backtest the pool, select a forecast for each series and band of horizons, and forecast `horizon` hours."""
    began = time.perf_counter()
    history = batch.history(horizon)
    pool_backtest = backtest_pool(
        history,
        horizon,
        models=with_event_effects(pool(history.seasons)),
        starts=shared_origins(history, horizon),
    )
    selected = select_and_calibrate(pool_backtest)
    scale = metrics.seasonal_scale(history.measured, history.short)
    past = out_of_sample_intervals(selected.trials, history)
    backtests = published_backtests(pool_backtest, selected, past)
    sums = {place: series for place, series in enumerate(batch.series) if series.level != "site"}
    return BatchEvaluation(
        batch.series,
        forecasts=_forecasts(batch, pool_backtest, selected),
        recent=_recent(batch, past),
        seconds=(time.perf_counter() - began) / len(batch.series),
        licences=_licences(batch, pool_backtest, selected, scale),
        scores=_scores(batch, pool_backtest, selected, past),
        backtests=_backtests(batch, backtests),
        contributions=site_contributions(
            history, batch.groups, selected.trials, {backtest.origin: backtest.point for backtest in backtests}
        ),
        aggregates=aggregate_backtest(pool_backtest, selected, past, scale, sums),
    )


def shared_origins(history: History, horizon: int) -> Origins | None:
    """Origins that serve every band at once, so that few are enough: the last day, the last weeks, and some from which
    the whole horizon can be seen.

    None where the history is too short for that, and each band must look for its own.
    """
    length = len(history.stamps)
    weeks = [length - WEEK * back for back in range(1, WEEKS_SHOWN + 1)]
    apart = distance_of_far_origins(history, length - horizon, FAR)
    far = [length - horizon - apart * back for back in range(FAR)] if horizon > MONTH else []
    if min([*weeks, *far]) < min_train_size(history):
        return None
    steps = {length - DAY_AND_WEEK[0]: DAY_AND_WEEK[0]}
    steps |= {origin: MONTH if length - origin >= MONTH else WEEK for origin in weeks}
    steps |= dict.fromkeys(far, horizon)
    return {origin: min(ahead, horizon) for origin, ahead in sorted(steps.items())}


class PublishedBacktest(NamedTuple):
    """A backtest that is published: its origin, from there on point (h, N) and quantiles (h, N, 7), and by name the
    curves (h, N) that are shown beside them.
    """

    origin: pd.Timestamp
    point: Reals
    quantiles: Reals
    beside: Mapping[str, Reals]


def published_backtests(
    pool_backtest: PoolBacktest, selected: SelectedForecast, past: PastIntervals
) -> list[PublishedBacktest]:
    """The past weeks, each by what was known then; and from one origin all hours of the plan, where an origin sees more
    than a week.
    """
    weeks = past_weeks(pool_backtest)
    longest = longest_backtest(pool_backtest, selected, past)
    return weeks if longest is None else [longest, *(week for week in weeks if week.origin != longest.origin)]


def longest_backtest(
    pool_backtest: PoolBacktest, selected: SelectedForecast, past: PastIntervals
) -> PublishedBacktest | None:
    """The newest of the origins that see furthest, as the scores judge it; None where none sees more than a week.

    Selected without its own evidence, yet with that of the origins around it: by what was known then, hardly any origin
    had seen so far.
    """
    folds = pool_backtest.backtest.folds
    if not folds:
        return None
    place = max(range(len(folds)), key=lambda fold: (len(folds[fold].actual), fold))
    bounds = past.bounds[place]
    if len(bounds) <= WEEK:
        return None
    curves = _curves_beside(pool_backtest.at(folds[place]), selected)
    return PublishedBacktest(
        pd.Timestamp(pool_backtest.history.stamps[folds[place].origin]),
        past.trials.forecasts[place, : len(bounds)],
        bounds,
        {name: curve[: len(bounds)] for name, curve in curves.items()},
    )


def past_weeks(pool_backtest: PoolBacktest) -> list[PublishedBacktest]:
    """Whole weeks after past origins, the newest and others as far apart as there are weeks to show, each selected by
    what was known then, oldest first.
    """
    bands = tuple(band for band in pool_backtest.bands if band.last <= WEEK)
    if not bands:
        return []
    models, folds = pool_backtest.backtest
    weeks = tuple(Fold(fold.origin, fold.forecasts[:, :WEEK], fold.actual[:WEEK]) for fold in folds)
    week_ahead = PoolBacktest(pool_backtest.history, bands, Backtest(models, weeks), pool_backtest.ahead[:, :WEEK])
    backtests = []
    for fold in _evenly_spread([fold for fold in weeks if len(fold.actual) == WEEK]):
        known_then = week_ahead.at(fold)
        selected = select_and_calibrate(known_then)
        origin = pd.Timestamp(pool_backtest.history.stamps[fold.origin])
        curves = _curves_beside(known_then, selected)
        backtests.append(PublishedBacktest(origin, selected.point, selected.quantiles, curves))
    return backtests


def _evenly_spread(folds: list[Fold]) -> list[Fold]:
    """As many folds as are shown, evenly back from the newest; a week apart at most where there is one for every
    day.
    """
    stride = min(max(len(folds) // WEEKS_SHOWN, 1), DAYS_A_WEEK)
    return folds[::-stride][:WEEKS_SHOWN][::-1]


def _curves_beside(pool_backtest: PoolBacktest, selected: SelectedForecast) -> dict[str, Reals]:
    """Prophet and the best baseline, (H, N) each, by the names that backtests and leaderboard know them by."""
    return {
        "prophet": np.maximum(prophet_curve(pool_backtest), 0.0),
        "baseline": np.maximum(best_baseline(pool_backtest, selected), 0.0),
    }


# Rows
# ----------------------------------------------------------------------------------------------------------------------


def _long(
    batch: SeriesBatch, stamps: pd.DatetimeIndex, columns: Mapping[str, Reals], *, keep_missing: bool = False
) -> pd.DataFrame:
    """Arrays (H, N) as rows, one for each series and stamp; without those that miss the first column, unless kept."""
    steps = len(stamps)
    identity = {name: np.repeat([getattr(series, name) for series in batch.series], steps) for name in Series._fields}
    values = {name: array.T.ravel() for name, array in columns.items()}
    rows = pd.DataFrame({**identity, "ts": np.tile(stamps, len(batch.series)), **values})
    rows["ts"] = pd.DatetimeIndex(rows["ts"]).as_unit("us")
    return rows if keep_missing else rows[np.isfinite(rows[next(iter(columns))])]


def _forecasts(batch: SeriesBatch, pool_backtest: PoolBacktest, selected: SelectedForecast) -> pd.DataFrame:
    bounds = {name: selected.quantiles[:, :, place] for name, place in AT.items()}
    columns = {"yhat": selected.point, **bounds, **_curves_beside(pool_backtest, selected)}
    return _long(batch, stamps_ahead(pool_backtest), columns)


def _recent(batch: SeriesBatch, past: PastIntervals) -> pd.DataFrame:
    """The last hours as they would have been forecast, those without a forecast included."""
    stamps = pd.DatetimeIndex(batch.hours.index)
    point, bounds = recent_forecasts(past, len(stamps))
    hours = pd.date_range(end=stamps[-1], periods=len(point), freq=HOUR)
    columns = {"yhat": point} | {name: bounds[:, :, place] for name, place in AT.items()}
    return _long(batch, hours, columns, keep_missing=True)


def _backtests(batch: SeriesBatch, backtests: Sequence[PublishedBacktest]) -> pd.DataFrame:
    frames = []
    for backtest in backtests:
        point = np.where(np.isfinite(backtest.quantiles).all(axis=2), backtest.point, np.nan)
        bounds = {name: backtest.quantiles[:, :, AT[name]] for name in BACKTEST_LEVELS}
        stamps = pd.date_range(backtest.origin, periods=len(point), freq=HOUR)
        rows = _long(batch, stamps, {"yhat": point, **backtest.beside, **bounds})
        frames.append(rows.assign(origin=backtest.origin))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _licences(
    batch: SeriesBatch, pool_backtest: PoolBacktest, selected: SelectedForecast, scale: Reals
) -> pd.DataFrame:
    """Errors scaled as MASE is; the standard error, a share of the errors' ratio, as the difference of errors that it
    makes of the baseline's.
    """
    rows = []
    errors = _errors_where_compared(pool_backtest.backtest, selected) / scale
    for place, series in enumerate(batch.series):
        for band, (licence, verdict) in enumerate(zip(selected.licences(place), selected.verdicts, strict=True)):
            baseline_error = verdict.baseline_error[place] / scale[place]
            rows.append(
                series._asdict()
                | {
                    "horizon": licence.horizon,
                    "model": licence.drawn,
                    "share": licence.share,
                    "baseline": licence.baseline,
                    "licensed": licence.drawn == BLEND and licence.origins > 0,
                    "error": errors[band, place] if licence.origins else np.nan,
                    "baseline_error": baseline_error,
                    "margin": baseline_error * (1.0 - np.exp(-licence.noise)),
                    "origins": licence.origins,
                    "reason": licence.sentence,
                }
            )
    return pd.DataFrame(rows)


def _errors_where_compared(backtest: Backtest, selected: SelectedForecast) -> Reals:
    """Mean absolute errors of what is drawn, (bands, N), over the past origins at which every baseline has one."""
    if not backtest.folds:
        return np.full((len(selected.bands), selected.point.shape[1]), np.nan)
    places = [backtest.models.index(name) for name in selected.baselines]
    is_compared = np.isfinite(backtest.errors(selected.bands)[:, places]).all(axis=1)
    errors = np.where(is_compared, selected.trials.errors(selected.bands), np.nan)
    return np.stack([metrics.mean(errors[:, band]) for band in range(errors.shape[1])])


def _scores(
    batch: SeriesBatch, pool_backtest: PoolBacktest, selected: SelectedForecast, past: PastIntervals
) -> pd.DataFrame:
    """The leaderboard of every series."""
    rows = scores(pool_backtest, selected, past)
    places = rows["series"].to_numpy(dtype=int)
    identity = {name: [getattr(batch.series[place], name) for place in places] for name in Series._fields}
    return pd.DataFrame({**identity, **{name: rows[name].to_numpy() for name in SCORE_COLUMNS}})


# What the batch says of sums
# ----------------------------------------------------------------------------------------------------------------------


def site_contributions(
    history: History, groups: Sequence[Sequence[Series]], trials: OutOfSample, weeks: ByOrigin
) -> dict[Series, SiteContribution]:
    """What the series of a history add to each sum; `groups` names those that each is part of, and weeks are (168, N)
    by origin.
    """
    members: dict[Series, list[int]] = defaultdict(list)
    for place, sums in enumerate(groups):
        for group in sums:
            members[group].append(place)
    is_measured = ~np.isnan(history.measured)
    forecasts = {
        history.stamps[origin]: forecast[: _steps_forecast(forecast)]
        for origin, forecast in zip(trials.origins, trials.forecasts, strict=True)
    }
    return {
        group: SiteContribution(
            history.stamps[int(is_measured[:, places].any(axis=1).argmax())],
            _sums_by_origin(forecasts, places),
            _sums_by_origin(weeks, places),
        )
        for group, places in members.items()
    }


def _steps_forecast(forecast: Reals) -> int:
    """Steps of (H, N) up to the last that any series has."""
    return int(np.flatnonzero(np.isfinite(forecast).any(axis=1))[-1:].sum()) + int(np.isfinite(forecast).any())


def _sums_by_origin(forecasts: ByOrigin, places: list[int]) -> dict[pd.Timestamp, Reals]:
    """The sums of some series' forecasts, (h) by origin."""
    return {origin: nan_sum(forecast[:, places].T) for origin, forecast in forecasts.items()}


def aggregate_backtest(
    pool_backtest: PoolBacktest,
    selected: SelectedForecast,
    past: PastIntervals,
    scale: Reals,
    sums: Mapping[int, Series],
) -> AggregateBacktest:
    """The backtest of the series of a panel that are sums, by their places."""
    columns, backtest, bands = list(sums), pool_backtest.backtest, pool_backtest.bands
    baselines = [backtest.models.index(name) for name in selected.baselines]
    blank = np.full((0, len(baselines), len(bands), pool_backtest.ahead.shape[2]), np.nan)
    baseline_errors = backtest.errors(bands)[:, baselines] if backtest.folds else blank
    return AggregateBacktest(
        tuple(sums.values()),
        tuple(pool_backtest.history.stamps[fold.origin] for fold in backtest.folds),
        bands,
        selected.baselines,
        past.of(columns),
        baseline_errors[..., columns],
        np.stack([verdict.baseline[columns] for verdict in selected.verdicts]),
        backtest.effective_windows(bands),
        scale[columns],
    )
