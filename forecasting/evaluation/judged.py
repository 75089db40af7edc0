"""Series of a lake judged: what each would have been told at past origins, what is drawn therefore, and how good that was, as the rows that a run publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import QUANTILES, Series
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import Backtest, Fold, least_known
from forecasting.evaluation.cold_start import borrow
from forecasting.evaluation.expect import Drawn, Learned, Starts, best_baseline, draw, learn, prophet_curve, stamps_ahead
from forecasting.evaluation.licence import BLEND
from forecasting.evaluation.scores import scores
from forecasting.models.happenings import EventColumns, told_of_events
from forecasting.models.history import History, Reals
from forecasting.models.panel import HOUR
from forecasting.models.pool import pool

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
class Subject:
    """Series that are judged together: hours (T, N) with one column for each, NaN where missing or masked, index UTC; the zone by whose clock they live.

    events: for each series those that touch it, as `Panel.touching` gives them. mates: for each series the group whose shape it may borrow while it is young.
    """

    series: tuple[Series, ...]
    hours: pd.DataFrame
    zone: str
    events: tuple[pd.DataFrame, ...]
    mates: tuple[str, ...]

    def history(self, horizon: int) -> History:
        """The series as the pool sees them, with the events of the past and of the hours ahead."""
        stamps = pd.DatetimeIndex(self.hours.index)
        hours = stamps.union(pd.date_range(stamps[-1], periods=horizon + 1, freq=HOUR))
        return History(stamps, self.hours.to_numpy(float), DAY_AND_WEEK, zone=self.zone, known=EventColumns.of(self.events, hours))


class Judged(NamedTuple):
    """Rows without run_id: forecasts (point and quantiles; the baseline beside them), licences, scores, backtests. notes: what to know of a series."""

    forecasts: pd.DataFrame
    licences: pd.DataFrame
    scores: pd.DataFrame
    backtests: pd.DataFrame
    notes: dict[Series, str]


def judge(subject: Subject, horizon: int) -> Judged:
    """Backtest the pool, license, and forecast `horizon` hours; runs in a worker."""
    history = subject.history(horizon)
    models = pool(history.seasons)
    learned = learn(history, horizon, models=models if history.known is None else told_of_events(models), starts=starts(history, horizon))
    drawn = draw(learned)
    scale = metrics.seasonal_scale(history.measured, history.short)
    lent = borrow(history, drawn.point, drawn.quantiles, subject.mates)
    weeks = list(past_weeks(learned))
    return Judged(
        _forecasts(subject, learned, drawn, lent.point, lent.quantiles),
        _licences(subject, drawn, scale),
        _scores(subject, learned, drawn),
        _backtests(subject, weeks),
        {series: note for series, note in zip(subject.series, lent.notes, strict=True) if note},
    )


def starts(history: History, horizon: int) -> Starts | None:
    """Origins that serve every band at once, so that few are enough: the last day, the last weeks, and some from which the whole horizon can be seen.

    None where the history is too short for that, and each band must look for its own.
    """
    length = len(history.stamps)
    weeks = [length - WEEK * back for back in range(1, WEEKS_SHOWN + 1)]
    far = [length - horizon - WEEK * back for back in range(FAR)] if horizon > MONTH else []
    if min([*weeks, *far]) < least_known(history):
        return None
    found = {length - DAY_AND_WEEK[0]: DAY_AND_WEEK[0]} | {origin: MONTH if length - origin >= MONTH else WEEK for origin in weeks}
    return dict(sorted((found | dict.fromkeys(far, horizon)).items()))


class PastWeek(NamedTuple):
    """What would have been drawn at a past origin for the week after it: stamps (168), what came (168, N), and what `draw` said of it then."""

    origin: pd.Timestamp
    stamps: pd.DatetimeIndex
    actual: Reals
    drawn: Drawn
    learned: Learned


def past_weeks(learned: Learned) -> list[PastWeek]:
    """Whole weeks after past origins, the newest and others as far apart as there are weeks to show, each drawn from what was known then, oldest first."""
    bands = tuple(band for band in learned.bands if band.last <= WEEK)
    if not bands:
        return []
    short = [Fold(fold.origin, fold.forecasts[:, :WEEK], fold.actual[:WEEK]) for fold in learned.backtest.folds]
    week = Learned(learned.history, bands, Backtest(learned.backtest.models, tuple(short)), learned.ahead[:, :WEEK])
    found = []
    for fold in _spread([fold for fold in short if len(fold.actual) == WEEK]):
        then = week.at(fold)
        stamps = pd.DatetimeIndex(learned.history.stamps[fold.origin : fold.origin + WEEK])
        found.append(PastWeek(stamps[0], stamps, fold.actual, draw(then), then))
    return found


def _spread(folds: list[Fold]) -> list[Fold]:
    """As many folds as are shown, evenly back from the newest; a week apart at most where there is one for every day."""
    apart = min(max(len(folds) // WEEKS_SHOWN, 1), DAYS_A_WEEK)
    return folds[::-apart][:WEEKS_SHOWN][::-1]


def _long(subject: Subject, stamps: pd.DatetimeIndex, columns: Mapping[str, Reals]) -> pd.DataFrame:
    """Arrays (H, N) as rows, one for each series and stamp; a series without a value has none."""
    count = len(stamps)
    identity = {name: np.repeat([getattr(one, name) for one in subject.series], count) for name in Series._fields}
    rows = pd.DataFrame({**identity, "ts": np.tile(stamps, len(subject.series)), **{name: values.T.ravel() for name, values in columns.items()}})
    rows["ts"] = pd.DatetimeIndex(rows["ts"]).as_unit("us")
    return rows[np.isfinite(rows[next(iter(columns))])]


def _forecasts(subject: Subject, learned: Learned, drawn: Drawn, point: Reals, quantiles: Reals) -> pd.DataFrame:
    columns = {"yhat": point, **{name: quantiles[:, :, place] for name, place in AT.items()}, "baseline": np.maximum(best_baseline(learned, drawn), 0.0)}
    return _long(subject, stamps_ahead(learned), columns)


def _backtests(subject: Subject, weeks: Sequence[PastWeek]) -> pd.DataFrame:
    parts = []
    for week in weeks:
        drawn, then = week.drawn, week.learned
        columns = {
            "yhat": drawn.point,
            "prophet": np.maximum(prophet_curve(then), 0.0),
            "baseline": np.maximum(best_baseline(then, drawn), 0.0),
            **{name: drawn.quantiles[:, :, AT[name]] for name in BACKTEST_LEVELS},
        }
        parts.append(_long(subject, week.stamps, columns).assign(origin=week.origin))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _licences(subject: Subject, drawn: Drawn, scale: Reals) -> pd.DataFrame:
    """Errors scaled as MASE is; the noise, a share of the errors' ratio, as the difference of errors that it makes of the baseline's."""
    rows = []
    for place, series in enumerate(subject.series):
        for licence, verdict in zip(drawn.licences(place), drawn.verdicts, strict=True):
            own, other = verdict.blend_error[place] / scale[place], verdict.baseline_error[place] / scale[place]
            blend = licence.drawn == BLEND
            numbers = {"error": own if blend else other, "baseline_error": other, "noise": other * (1.0 - np.exp(-licence.noise))}
            told = {"horizon": licence.horizon, "model": licence.drawn, "baseline": licence.baseline, "licensed": blend and licence.origins > 0}
            rows.append(series._asdict() | told | numbers | {"origins": licence.origins, "reason": licence.sentence})
    return pd.DataFrame(rows)


def _scores(subject: Subject, learned: Learned, drawn: Drawn) -> pd.DataFrame:
    """The leaderboard of every series."""
    told = scores(learned, drawn)
    places = told["series"].to_numpy(dtype=int)
    identity = {name: [getattr(subject.series[place], name) for place in places] for name in Series._fields}
    return pd.DataFrame({**identity, **{name: told[name].to_numpy() for name in SCORE_COLUMNS}})
