"""Series of a lake judged: what each would have been told at past origins, what is drawn therefore, and how good that
was, as the rows that a run publishes.
"""

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
from forecasting.evaluation.backtest import Backtest, Fold, HorizonBand, OutOfSample, min_train_size
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
from forecasting.models.engine import NOTHING
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
# Origins from which the whole horizon can be seen: neighbours tell nearly the same story.
FAR = 4


@dataclass(frozen=True, slots=True)
class SeriesBatch:
    """Series that are judged together: hours (T, N) with one column for each, NaN where missing or masked, index UTC;
    the zone by whose clock they live.

    events: for each series those that touch it, as `Panel.touching` gives them. groups: for each series the sums that
    it is part of; none for a sum. holidays: those of each series.
    """

    series: tuple[Series, ...]
    hours: pd.DataFrame
    zone: str
    events: tuple[pd.DataFrame, ...]
    groups: tuple[tuple[Series, ...], ...]
    holidays: tuple[Holidays, ...] = ()

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
    """What some sites add to a sum of theirs: the first stamp at which one of them was measured, and by past origin
    what would have been drawn for them together, (h): `trials` as far as was forecast there, `weeks` over a week and by
    what was known then.
    """

    first: pd.Timestamp
    trials: ByOrigin
    weeks: ByOrigin


class AggregateBacktest(NamedTuple):
    """Series that are sums, G of them, as they were judged themselves, at K origins and in bands B.

    past: the trials of what would have been drawn for each and its bounds; rivals: errors (K, M, B, G) of the baselines
    that are named; best: (B, G), which of them is shown; looks: (B), disjoint looks at each band; scale: (G), what
    errors are measured in.
    """

    series: tuple[Series, ...]
    origins: tuple[pd.Timestamp, ...]
    bands: tuple[HorizonBand, ...]
    baselines: tuple[str, ...]
    past: PastIntervals
    rivals: Reals
    best: npt.NDArray[np.intp]
    looks: Reals
    scale: Reals


class BatchEvaluation(NamedTuple):
    """Rows without run_id: forecasts (point and quantiles; Prophet and the baseline beside them), licences, scores,
    backtests.

    recent: what would have been forecast for the last two weeks, out of sample (IDENTITY, ts, yhat, quantiles), a row
    for each series and hour, NaN where nothing. seconds: what it took, for each series.
    contributions: what the sites add to their sums at past origins; aggregates: what the sums among the series are
    measured by.
    """

    forecasts: pd.DataFrame
    recent: pd.DataFrame
    seconds: float
    licences: pd.DataFrame
    scores: pd.DataFrame
    backtests: pd.DataFrame
    contributions: dict[Series, SiteContribution]
    aggregates: AggregateBacktest

    def apart(self, leaning: Collection[Series]) -> tuple[BatchEvaluation, BatchEvaluation]:
        """What is settled of the series that lean on no other; and what is not yet: the rest, with every forecast."""
        both = [_split(frame, leaning) for frame in (self.licences, self.scores, self.backtests)]
        (licences, scores, backtests), (later_licences, later_scores, later_backtests) = zip(*both, strict=True)
        now = self._replace(forecasts=NOTHING, recent=NOTHING, licences=licences, scores=scores, backtests=backtests)
        return now, self._replace(licences=later_licences, scores=later_scores, backtests=later_backtests)


def _split(frame: pd.DataFrame, leaning: Collection[Series]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of other series, and of these."""
    inside = rows_of(frame, leaning)
    return frame[~inside], frame[inside]


def rows_of(frame: pd.DataFrame, series: Collection[Series]) -> npt.NDArray[np.bool_]:
    """Which rows are of one of these series."""
    if frame.empty or not series:
        return np.zeros(len(frame), dtype=bool)
    return np.asarray(pd.MultiIndex.from_frame(frame[list(Series._fields)]).isin(list(series)))


def evaluate_batch(subject: SeriesBatch, horizon: int) -> BatchEvaluation:
    """Backtest the pool, license, and forecast `horizon` hours; runs in a worker."""
    began = time.perf_counter()
    history = subject.history(horizon)
    learned = backtest_pool(
        history,
        horizon,
        models=with_event_effects(pool(history.seasons)),
        starts=shared_origins(history, horizon),
    )
    drawn = select_and_calibrate(learned)
    scale = metrics.seasonal_scale(history.measured, history.short)
    past = out_of_sample_intervals(drawn.trials, history)
    backtests = published_backtests(learned, drawn, past)
    sums = {place: series for place, series in enumerate(subject.series) if series.level != "site"}
    rows = _forecasts(subject, learned, drawn), _recent(subject, past)
    return BatchEvaluation(
        *rows,
        (time.perf_counter() - began) / len(subject.series),
        _licences(subject, drawn, scale),
        _scores(subject, learned, drawn, past),
        _backtests(subject, backtests),
        site_contributions(history, subject.groups, drawn.trials, {one.origin: one.point for one in backtests}),
        aggregate_backtest(learned, drawn, past, scale, sums),
    )


def shared_origins(history: History, horizon: int) -> Origins | None:
    """Origins that serve every band at once, so that few are enough: the last day, the last weeks, and some from which
    the whole horizon can be seen.

    None where the history is too short for that, and each band must look for its own.
    """
    length = len(history.stamps)
    weeks = [length - WEEK * back for back in range(1, WEEKS_SHOWN + 1)]
    far = [length - horizon - WEEK * back for back in range(FAR)] if horizon > MONTH else []
    if min([*weeks, *far]) < min_train_size(history):
        return None
    found = {length - DAY_AND_WEEK[0]: DAY_AND_WEEK[0]} | {
        origin: MONTH if length - origin >= MONTH else WEEK for origin in weeks
    }
    return {origin: min(reach, horizon) for origin, reach in sorted((found | dict.fromkeys(far, horizon)).items())}


class PastWeek(NamedTuple):
    """What would have been drawn at a past origin for the week after it: stamps (168), what came (168, N), and what
    `draw` said of it then.
    """

    origin: pd.Timestamp
    stamps: pd.DatetimeIndex
    actual: Reals
    drawn: SelectedForecast
    learned: PoolBacktest


class PublishedBacktest(NamedTuple):
    """A backtest that is published: from its origin on point (h, N), quantiles (h, N, 7), and by name the curves (h, N)
    beside them.
    """

    origin: pd.Timestamp
    point: Reals
    quantiles: Reals
    beside: Mapping[str, Reals]


def published_backtests(learned: PoolBacktest, drawn: SelectedForecast, past: PastIntervals) -> list[PublishedBacktest]:
    """The past weeks, each by what was known then; and from one origin all hours of the plan, where an origin sees more
    than a week.
    """
    weeks = [
        PublishedBacktest(week.origin, week.drawn.point, week.drawn.quantiles, _beside(week.learned, week.drawn))
        for week in past_weeks(learned)
    ]
    far = longest_backtest(learned, drawn, past)
    return weeks if far is None else [far, *(week for week in weeks if week.origin != far.origin)]


def longest_backtest(learned: PoolBacktest, drawn: SelectedForecast, past: PastIntervals) -> PublishedBacktest | None:
    """The newest of the origins that see furthest, as the scores judge it; None where none sees more than a week.

    Drawn without its own evidence, yet with that of the origins around it: by what was known then, hardly any origin
    had seen so far.
    """
    folds = learned.backtest.folds
    place = max(range(len(folds)), key=lambda one: (len(folds[one].actual), one), default=None)
    bounds = past.bounds[place] if place is not None else np.empty(0)
    if place is None or len(bounds) <= WEEK:
        return None
    then = learned.at(folds[place])
    beside = {name: curve[: len(bounds)] for name, curve in _beside(then, drawn).items()}
    return PublishedBacktest(
        pd.Timestamp(learned.history.stamps[folds[place].origin]),
        past.trials.forecasts[place, : len(bounds)],
        bounds,
        beside,
    )


def past_weeks(learned: PoolBacktest) -> list[PastWeek]:
    """Whole weeks after past origins, the newest and others as far apart as there are weeks to show, each drawn from
    what was known then, oldest first.
    """
    bands = tuple(band for band in learned.bands if band.last <= WEEK)
    if not bands:
        return []
    short = [Fold(fold.origin, fold.forecasts[:, :WEEK], fold.actual[:WEEK]) for fold in learned.backtest.folds]
    week = PoolBacktest(
        learned.history, bands, Backtest(learned.backtest.models, tuple(short)), learned.ahead[:, :WEEK]
    )
    found = []
    for fold in _spread([fold for fold in short if len(fold.actual) == WEEK]):
        then = week.at(fold)
        stamps = pd.DatetimeIndex(learned.history.stamps[fold.origin : fold.origin + WEEK])
        found.append(PastWeek(stamps[0], stamps, fold.actual, select_and_calibrate(then), then))
    return found


def _spread(folds: list[Fold]) -> list[Fold]:
    """As many folds as are shown, evenly back from the newest; a week apart at most where there is one for every
    day.
    """
    apart = min(max(len(folds) // WEEKS_SHOWN, 1), DAYS_A_WEEK)
    return folds[::-apart][:WEEKS_SHOWN][::-1]


def _long(
    subject: SeriesBatch, stamps: pd.DatetimeIndex, columns: Mapping[str, Reals], *, whole: bool = False
) -> pd.DataFrame:
    """Arrays (H, N) as rows, one for each series and stamp; those without a value only where the whole is asked for."""
    count = len(stamps)
    identity = {name: np.repeat([getattr(one, name) for one in subject.series], count) for name in Series._fields}
    rows = pd.DataFrame(
        {
            **identity,
            "ts": np.tile(stamps, len(subject.series)),
            **{name: values.T.ravel() for name, values in columns.items()},
        }
    )
    rows["ts"] = pd.DatetimeIndex(rows["ts"]).as_unit("us")
    return rows if whole else rows[np.isfinite(rows[next(iter(columns))])]


def _forecasts(subject: SeriesBatch, learned: PoolBacktest, drawn: SelectedForecast) -> pd.DataFrame:
    bounds = {name: drawn.quantiles[:, :, place] for name, place in AT.items()}
    return _long(subject, stamps_ahead(learned), {"yhat": drawn.point, **bounds, **_beside(learned, drawn)})


def _recent(subject: SeriesBatch, past: PastIntervals) -> pd.DataFrame:
    """The last hours as they would have been forecast, those without a forecast included."""
    stamps = pd.DatetimeIndex(subject.hours.index)
    point, bounds = recent_forecasts(past, len(stamps))
    hours = pd.date_range(end=stamps[-1], periods=len(point), freq=HOUR)
    columns = {"yhat": point} | {name: bounds[:, :, place] for name, place in AT.items()}
    return _long(subject, hours, columns, whole=True)


def _beside(learned: PoolBacktest, drawn: SelectedForecast) -> dict[str, Reals]:
    """What is shown beside what is drawn: the curves that the backtests and the leaderboard know by the same names."""
    return {
        "prophet": np.maximum(prophet_curve(learned), 0.0),
        "baseline": np.maximum(best_baseline(learned, drawn), 0.0),
    }


def _backtests(subject: SeriesBatch, backtests: Sequence[PublishedBacktest]) -> pd.DataFrame:
    frames = []
    for one in backtests:
        known = np.where(np.isfinite(one.quantiles).all(axis=2), one.point, np.nan)
        columns = {"yhat": known, **one.beside, **{name: one.quantiles[:, :, AT[name]] for name in BACKTEST_LEVELS}}
        stamps = pd.date_range(one.origin, periods=len(known), freq=HOUR)
        frames.append(_long(subject, stamps, columns).assign(origin=one.origin))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _licences(subject: SeriesBatch, drawn: SelectedForecast, scale: Reals) -> pd.DataFrame:
    """Errors scaled as MASE is; the noise, a share of the errors' ratio, as the difference of errors that it makes of
    the baseline's.
    """
    rows = []
    for place, series in enumerate(subject.series):
        for licence, verdict in zip(drawn.licences(place), drawn.verdicts, strict=True):
            own, other = verdict.blend_error[place] / scale[place], verdict.baseline_error[place] / scale[place]
            blend = licence.drawn == BLEND
            numbers = {
                "error": own if blend else other,
                "baseline_error": other,
                "margin": other * (1.0 - np.exp(-licence.noise)),
            }
            told = {
                "horizon": licence.horizon,
                "model": licence.drawn,
                "baseline": licence.baseline,
                "licensed": blend and licence.origins > 0,
            }
            rows.append(series._asdict() | told | numbers | {"origins": licence.origins, "reason": licence.sentence})
    return pd.DataFrame(rows)


def _scores(subject: SeriesBatch, learned: PoolBacktest, drawn: SelectedForecast, past: PastIntervals) -> pd.DataFrame:
    """The leaderboard of every series."""
    told = scores(learned, drawn, past)
    places = told["series"].to_numpy(dtype=int)
    identity = {name: [getattr(subject.series[place], name) for place in places] for name in Series._fields}
    return pd.DataFrame({**identity, **{name: told[name].to_numpy() for name in SCORE_COLUMNS}})


# What the batch says of sums
# ---------------------------------------------------------------------------------------------------------


def site_contributions(
    history: History, groups: Sequence[Sequence[Series]], trials: OutOfSample, weeks: ByOrigin
) -> dict[Series, SiteContribution]:
    """What the series of a history add to each sum; `groups` names those that each is part of, and weeks are (168, N)
    by origin.
    """
    members: dict[Series, list[int]] = defaultdict(list)
    for place, sums in enumerate(groups):
        for one in sums:
            members[one].append(place)
    held = ~np.isnan(history.measured)
    told = {
        history.stamps[origin]: forecast[: _reach(forecast)]
        for origin, forecast in zip(trials.origins, trials.forecasts, strict=True)
    }
    return {
        group: SiteContribution(
            history.stamps[int(held[:, places].any(axis=1).argmax())],
            _sums_by_origin(told, places),
            _sums_by_origin(weeks, places),
        )
        for group, places in members.items()
    }


def _reach(forecast: Reals) -> int:
    """Steps of (H, N) up to the last that any series has."""
    return int(np.flatnonzero(np.isfinite(forecast).any(axis=1))[-1:].sum()) + int(np.isfinite(forecast).any())


def _sums_by_origin(told: ByOrigin, places: list[int]) -> dict[pd.Timestamp, Reals]:
    return {origin: nan_sum(forecast[:, places].T) for origin, forecast in told.items()}


def aggregate_backtest(
    learned: PoolBacktest, drawn: SelectedForecast, past: PastIntervals, scale: Reals, named: Mapping[int, Series]
) -> AggregateBacktest:
    """The series of a panel that are sums, by their places, with what their leaderboard was told of what is drawn."""
    columns, known, bands = list(named), learned.backtest, learned.bands
    baselines = [known.models.index(name) for name in drawn.baselines]
    rivals = (
        known.errors(bands)[:, baselines]
        if known.folds
        else np.full((0, len(baselines), len(bands), learned.ahead.shape[2]), np.nan)
    )
    best = np.stack([verdict.baseline[columns] for verdict in drawn.verdicts])
    origins = tuple(learned.history.stamps[fold.origin] for fold in known.folds)
    return AggregateBacktest(
        tuple(named.values()),
        origins,
        bands,
        drawn.baselines,
        past.of(columns),
        rivals[..., columns],
        best,
        known.looks(bands),
        scale[columns],
    )
