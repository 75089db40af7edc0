"""The engine that a lake is refreshed with: judged forecasts that add up across levels, bands about now by the same
models, and the coming weeks' peaks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed

import numpy as np
import pandas as pd

from data.schema import LICENSED_ENGINE, Series
from forecasting.evaluation.backtest_batch import BatchEvaluation, SeriesBatch, evaluate_batch
from forecasting.evaluation.recent_bands import bands_at_grain
from forecasting.evaluation.reconciliation import ReconciledForecasts, dependent_series, joined, reconcile, sums_of
from forecasting.models.engine import (
    FIT_HISTORY,
    IDENTITY,
    NOTHING,
    STATUS_COLUMNS,
    EngineResult,
    ForecastOptions,
    learnable,
    refusal_reason,
    refused_result,
)
from forecasting.panel.events import regressor_kinds
from forecasting.panel.panel import HOUR, Panel
from forecasting.peaks.weekly_peaks import PeakResult, forecast_weekly_peaks, peak_inputs

# Series that one worker judges at once: enough to share their fits, few enough that every worker has some.
TOGETHER = 32


class LicensedEngine:
    """Judges every series by backtests and draws what won."""

    name = LICENSED_ENGINE

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        """As in `Engine`; refusals come first, then the evidence on grown sites as they are judged. Forecasts and
        bands, which must add up, the evidence on sums and on young sites, which lean on other series, and the coming
        weeks come with the last part.
        """
        unsettled = dependent_series(panel, forecastable(panel))
        hours = int(plan.horizon / HOUR)
        waiting: dict[Future[BatchEvaluation], SeriesBatch] = {
            executor.submit(evaluate_batch, one, hours): one for one in series_batches(panel, forecastable(panel))
        }
        weeks = [
            executor.submit(forecast_weekly_peaks, one)
            for metric in metrics_of(panel)
            if (one := peak_inputs(panel, metric, plan.seed)) is not None
        ]
        for series in panel.series:
            if reason := refusal_reason(panel.hourly[series], panel.now):
                yield refused_result(series, reason)
        held, seconds = list[BatchEvaluation](), dict[Series, float]()
        for done in as_completed(list(waiting)):
            judged, subject = done.result(), waiting.pop(done)
            now, later = judged.apart(unsettled)
            held.append(later)
            seconds |= dict.fromkeys(subject.series, judged.seconds)
            fits = status_rows(panel, [one for one in subject.series if one not in unsettled], now.licences, seconds)
            yield EngineResult(NOTHING, NOTHING, fits, now.licences, now.scores, now.backtests)
        found = reconcile(panel, held, [one for one in unsettled if one.level == "site"])
        fits = status_rows(panel, sorted(unsettled), found.licences, seconds, found.notes)
        yield _last(found, bands(panel, plan, found), fits, [one.result() for one in weeks])


def metrics_of(panel: Panel) -> list[str]:
    """The metrics of the panel's series."""
    return sorted({series.metric for series in panel.series})


def bands(panel: Panel, plan: ForecastOptions, found: ReconciledForecasts) -> pd.DataFrame:
    """Rows of `bands`, on both sides of now by what is drawn."""
    if not len(found.forecasts):
        return NOTHING
    # One hour more, because samples lie between the middles of two hours.
    ahead = found.forecasts["ts"] <= plan.band(panel)[-1].ceil("h")
    columns = list(found.recent.columns)
    return bands_at_grain(panel, joined([found.recent, found.forecasts.loc[ahead, columns]]), plan.band(panel))


def status_rows(
    panel: Panel,
    series: Sequence[Series],
    licences: pd.DataFrame,
    seconds: Mapping[Series, float],
    notes: Mapping[Series, str] | None = None,
) -> pd.DataFrame:
    """Rows of `series_status`; what is drawn in the first day stands as the model, with what a young series borrowed."""
    first = licences.drop_duplicates(IDENTITY).set_index(IDENTITY)["model"] if len(licences) else pd.Series(dtype=str)
    rows = []
    for one in series:
        hours = panel.hourly[one].loc[panel.start - FIT_HISTORY :].dropna()
        kinds = regressor_kinds([learnable(panel.touching(one), pd.DatetimeIndex(hours.index))])
        note = (notes or {}).get(one) or ", ".join([f"clock of {panel.clock(one)}", *kinds])
        rows.append([*one, "fitted", None, f"{first.get(tuple(one), '')}; {note}", len(hours), seconds[one]])
    return pd.DataFrame(rows, columns=STATUS_COLUMNS)


def _last(
    found: ReconciledForecasts, bands: pd.DataFrame, fits: pd.DataFrame, weeks: Sequence[PeakResult]
) -> EngineResult:
    """All forecasts and what leaned on others; the peaks and paths."""
    more = {name: joined([getattr(one, name) for one in weeks]) for name in ("peaks", "simulated_peaks")}
    scores = joined([found.scores, *(one.scores for one in weeks)])
    return EngineResult(found.forecasts, bands, fits, found.licences, scores, found.backtests, **more)


def forecastable(panel: Panel) -> list[Series]:
    """The series of the lake that are not refused."""
    return [series for series in panel.series if refusal_reason(panel.hourly[series], panel.now) is None]


def series_batches(panel: Panel, series: Sequence[Series]) -> list[SeriesBatch]:
    """The series in groups whose clocks change together, so that they share their fits; the largest first, so that no
    worker waits for one.
    """
    hours = panel.hourly.loc[panel.start - FIT_HISTORY :]
    groups: dict[bytes, list[Series]] = defaultdict(list)
    zones: dict[bytes, str] = {}
    for one in series:
        zone = panel.clock(one)
        kind = dst_pattern(zone, pd.DatetimeIndex(hours.index))
        groups[kind].append(one)
        zones.setdefault(kind, zone)
    parts = [
        (zones[kind], members[at : at + TOGETHER])
        for kind, members in groups.items()
        for at in range(0, len(members), TOGETHER)
    ]
    return [
        _series_batch(panel, hours, zone, members)
        for zone, members in sorted(parts, key=lambda part: len(part[1]), reverse=True)
    ]


def _series_batch(panel: Panel, hours: pd.DataFrame, zone: str, members: Sequence[Series]) -> SeriesBatch:
    groups = tuple(sums_of(panel, one) if one.level == "site" else () for one in members)
    first = min(pd.Timestamp(hours[one].first_valid_index()) for one in members)
    return SeriesBatch(
        tuple(members),
        hours.loc[first:, list(members)],
        zone,
        tuple(panel.touching(one) for one in members),
        groups,
        tuple(panel.holidays(one) for one in members),
    )


def dst_pattern(zone: str, hours: pd.DatetimeIndex) -> bytes:
    """What tells clocks apart that do not change together: the offset of each day from that of the first. A constant
    offset only turns a Fourier basis.
    """
    days = pd.date_range(hours[0].floor("D"), hours[-1] + pd.Timedelta(days=90), freq="D")
    offsets = np.asarray((days.tz_convert(zone).tz_localize(None) - days.tz_localize(None)) / HOUR)
    return bytes((2.0 * (offsets - offsets[0])).astype(np.int8))
