"""The panel engine behind the engines' interface: Prophet's model, its posterior solved exactly for all series of a
kind at once.

It decides about each series as the reference engine does (task.py): log scale, slope, orders and events by what the
history can carry, local clocks, the level of the last two weeks, bands from recent residuals. What differs is how: no
optimiser stops early, nothing is sampled, so the same panel gives the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import QUANTILES
from forecasting.models.engine import EngineResult, ForecastOptions, declined, refusal
from forecasting.models.engine_result import Curve, answer
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
from forecasting.panel.events import event_coverage, regressor_kinds
from forecasting.panel.local_time import offset_fingerprint
from forecasting.panel.panel import HOUR, Panel
from forecasting.panel.spread import LogScale, Reals, interpolate, level_variogram
from forecasting.prophet_map.fit import Curves, Season, Spec, fit

DAY_HOURS, WEEK_HOURS, YEAR_HOURS = 24.0, 168.0, 24.0 * 365.25
YEARLY_ORDER = 10
# Series whose values at all stamps are in memory at once.
TOGETHER = 128


class Kind(NamedTuple):
    """What series must share to be fitted together: the model, and the clock that their shapes follow, or one that is
    turned when theirs is.
    """

    spec: Spec
    zone: str


class PanelEngine:
    """Fits all series of a kind at once."""

    name = "panel"

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        """As in `Engine`; parts are of up to 128 series. It needs no workers, and leaves the executor to models that it
        does not cover.
        """
        if plan.growth == "logistic":
            from forecasting.models.prophet_engine import (
                ProphetEngine,  # Prophet takes seconds to import, and only this model waits
            )

            yield from ProphetEngine().forecast(panel, plan, executor)
            return
        kinds: dict[Kind, list[SeriesSpec]] = {}
        clocks = _Clocks(panel, plan)
        for series in panel.series:
            if reason := refusal(panel.hourly[series], panel.now):
                yield declined(series, reason)
            else:
                job = series_spec(panel, series, plan)
                kinds.setdefault(Kind(spec_of(job.span), clocks.like(job.zone)), []).append(job)
        for kind, jobs in kinds.items():
            for at in range(0, len(jobs), TOGETHER):
                yield from settled(jobs[at : at + TOGETHER], kind)


class _Clocks:
    """The clocks of a panel, each told by the first that is turned at the same hours."""

    def __init__(self, panel: Panel, plan: ForecastOptions) -> None:
        self._hours = pd.date_range(panel.hourly.index[0], max(plan.hours(panel)[-1], plan.band(panel)[-1]), freq=HOUR)
        self._first: dict[bytes, str] = {}
        self._known: dict[str, str] = {}

    def like(self, zone: str) -> str:
        """The zone that stands for this one."""
        if zone not in self._known:
            self._known[zone] = self._first.setdefault(offset_fingerprint(zone, self._hours), zone)
        return self._known[zone]


def spec_of(span: pd.Timedelta) -> Spec:
    """The model for a history of this length."""
    seasons = [Season("daily", DAY_HOURS, DAILY_ORDER), Season("weekly", WEEK_HOURS, weekly_order(span))]
    if span >= YEARLY_AFTER:
        seasons.append(Season("yearly", YEAR_HOURS, YEARLY_ORDER))
    return Spec(
        tuple(seasons), log=True, growth="linear" if span >= SLOPE_AFTER else "flat", changepoint_prior=TREND_PRIOR
    )


def settled(jobs: Sequence[SeriesSpec], kind: Kind) -> list[EngineResult]:
    """What is expected of some series; where their algebra breaks down together, each is tried alone, so that one
    cannot spoil the others.
    """
    try:
        return [together(jobs, kind)]
    except np.linalg.LinAlgError as error:
        if len(jobs) == 1:
            return [declined(jobs[0].series, f"LinAlgError: {error}", "failed")]
        return [result for job in jobs for result in settled([job], kind)]


def together(jobs: Sequence[SeriesSpec], kind: Kind) -> EngineResult:
    """Fit series of one kind and say what is expected of each."""
    began = time.perf_counter()
    hours = pd.concat({number: job.hours for number, job in enumerate(jobs)}, axis=1, sort=True)
    fitted = Fitted.of(jobs, kind, hours)
    curves = fitted.answers(hours)
    seconds = (time.perf_counter() - began) / len(jobs)
    parts = [answer(job, curve, seconds) for job, curve in zip(jobs, curves, strict=True)]
    return EngineResult(*(pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True)
class Fitted:
    """The curves of some series, on the log scale, with their events; events are columns of their own for each series,
    in the order of `known`.
    """

    jobs: Sequence[SeriesSpec]
    kind: Kind
    curves: Curves
    events: list[pd.DataFrame]
    known: list[str]

    @classmethod
    def of(cls, jobs: Sequence[SeriesSpec], kind: Kind, hours: pd.DataFrame) -> Fitted:
        """Fit the hours, a column for each series."""
        stamps = pd.DatetimeIndex(hours.index)
        events = [learnable(job.events, pd.DatetimeIndex(job.hours.index)) for job in jobs]
        known = regressor_kinds(events)
        columns = event_coverage(events, known, stamps, HOUR)
        return cls(
            jobs, kind, fit(_local(stamps, kind.zone), hours.to_numpy(), kind.spec, columns, EVENT_PRIOR), events, known
        )

    def at(self, stamps: pd.DatetimeIndex, step: pd.Timedelta) -> Reals:
        """(H, N): the expected log value of each interval, before the shift to the recent level."""
        return self.curves.fitted_curve(
            _local(stamps, self.kind.zone), event_coverage(self.events, self.known, stamps, step)
        )

    def answers(self, hours: pd.DataFrame) -> list[Curve]:
        """What is expected of each series."""
        stamps, job = pd.DatetimeIndex(hours.index), self.jobs[0]
        scales = [LogScale.of(column) for column in hours.to_numpy().T]
        past = self.at(stamps, HOUR)
        logs = np.column_stack([scale.log(column) for scale, column in zip(scales, hours.to_numpy().T, strict=True)])
        residuals = pd.DataFrame(logs - past, index=stamps)
        shifts = np.array(
            [
                column.loc[held.hours.index[-1] - LEVEL_SPAN :].median()
                for held, (_, column) in zip(self.jobs, residuals.items(), strict=True)
            ]
        )
        wide = np.array([self.widening(number) for number in range(len(self.jobs))])
        spread = self.spread(residuals, wide, job.ahead)
        ahead, band, samples = (
            self.at(at, step) + shifts
            for at, step in ((job.ahead, HOUR), (job.band, job.grain), (_samples(job), job.grain))
        )
        recent = [
            (past[:, number] + shifts[number])[stamps.get_indexer(held.recent.index)]
            for number, held in enumerate(self.jobs)
        ]
        return [
            Curve(
                scales[i],
                ahead[:, i],
                recent[i],
                band[:, i],
                samples[:, i],
                spread[:, i],
                float(wide[i]),
                self.label(i),
            )
            for i in range(len(self.jobs))
        ]

    def widening(self, number: int) -> float:
        """How much wider the errors of one series are than its residuals."""
        coefficients = self.curves.seasons.shape[1] + len(self.kinds_of(number)) + 2
        return dof_inflation(len(self.jobs[number].hours), coefficients)

    def spread(self, residuals: pd.DataFrame, wide: Reals, hours: pd.DatetimeIndex) -> Reals:
        """(hours, N, quantiles): offsets from the curve by Prophet's law of trend and noise, and by how far each level
        has strayed before.
        """
        every = hours[:: int(PATH_STEP / HOUR)]
        days = [
            column.loc[job.hours.index[0] :].resample("D").mean().to_numpy()
            for job, (_, column) in zip(self.jobs, residuals.items(), strict=True)
        ]
        strays = np.column_stack([level_variogram(held, len(every) - 1) for held in days])
        found = self.curves.offsets(
            _local(every, self.kind.zone), list(QUANTILES.values()), np.hypot(self.curves.sigma * wide, strays)
        )
        at, wanted = (np.asarray((stamps - hours[0]) / HOUR) for stamps in (every, hours))
        return np.stack([interpolate(found[:, number], at, wanted) for number in range(len(self.jobs))], axis=1)

    def kinds_of(self, number: int) -> list[str]:
        """The kinds of event that one series knows."""
        return regressor_kinds(self.events[number : number + 1])

    def label(self, number: int) -> str:
        """The model of one series in words."""
        spec = self.kind.spec
        seasons = ", ".join(f"{season.name} {season.order}" for season in spec.seasons)
        known = "".join(f", {kind}" for kind in self.kinds_of(number))
        return f"panel, log scale, {spec.growth} trend, {seasons}, clock of {self.jobs[number].zone}{known}"


def _local(stamps: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    """What the clock of the zone shows."""
    return stamps.tz_convert(zone).tz_localize(None)


def _samples(job: SeriesSpec) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(job.samples.index)
