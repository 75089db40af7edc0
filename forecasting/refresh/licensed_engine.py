"""The engine that a lake is refreshed with: licensed forecasts that add up across levels, bands about now by the same
models, and the coming weeks' peaks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed

import numpy as np
import pandas as pd

from data.schema import LICENSED_ENGINE, Series, model_words
from forecasting.evaluation.backtest_batch import BatchEvaluation, SeriesBatch, evaluate_isolating_failures, rows_of
from forecasting.evaluation.recent_bands import bands_at_grain
from forecasting.evaluation.reconciliation import ReconciledForecasts, dependent_series, joined, reconcile, sums_of
from forecasting.models.engine import (
    IDENTITY,
    NOTHING,
    STATUS_COLUMNS,
    YEARLY_HISTORY,
    EngineResult,
    ForecastOptions,
    learnable,
    refused_result,
)
from forecasting.panel.completeness import is_constant
from forecasting.panel.events import regressor_kinds
from forecasting.panel.panel import HOUR, Panel
from forecasting.peaks.weekly_peaks import PeakInputs, PeakResult, forecast_peaks_isolating_failures, peak_inputs

# Series that one worker evaluates at once: enough to share their fits, few enough that every worker has some.
TOGETHER = 32


class LicensedEngine:
    """Evaluates every series by backtests and publishes the forecast that won."""

    name = LICENSED_ENGINE

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        """As in `Engine`: refusals first, then the evidence on each batch of series as its worker is done.

        The last part holds what needs all series: forecasts and bands, which must add up; the evidence on sums and on
        young sites, which depend on other series; and the coming weeks.
        """
        series, equal = forecastable(panel), single_site_sums(panel, panel.sums)
        dependent = dependent_series(panel, series)
        young_sites = [site for site in dependent if site.level == "site"]
        hours = int(plan.horizon / HOUR)

        weeks = [
            executor.submit(forecast_peaks_isolating_failures, inputs) for inputs in all_peak_inputs(panel, plan.seed)
        ]
        # Results are let go of as they come in: whole batches of a large lake would not fit into memory twice.
        batches = as_completed(
            [executor.submit(evaluate_isolating_failures, batch, hours) for batch in series_batches(panel, series)]
        )
        yield from refused_results(panel)

        # What became of a series is said once, with what its coming weeks failed on.
        peaks, without_weeks = list[PeakResult](), dict(panel.no_weeks)
        for metric in weeks:
            result, failures = metric.result()
            peaks.append(result)
            without_weeks |= {one: f"no coming weeks: {reason}" for one, reason in failures.items()}

        evaluations, seconds, failed = list[BatchEvaluation](), dict[Series, float](), set[Series]()
        for batch in batches:
            evaluated, failures = batch.result()
            for evaluation in evaluated:
                final, rest = with_constants(panel, evaluation).split(dependent)
                evaluations.append(rest)
                seconds |= dict.fromkeys(evaluation.series, evaluation.seconds)
                independent = [one for one in evaluation.series if one not in dependent]
                licences = with_equal_sums(final.licences, equal)
                status = status_rows(
                    panel, [*independent, *_equal(independent, equal)], licences, seconds, without_weeks
                )
                evidence = (with_equal_sums(frame, equal) for frame in (final.scores, final.backtests))
                yield EngineResult(NOTHING, NOTHING, status, licences, *evidence)
            for one, reason in failures.items():
                failed.add(one)
                for series_of_failure in (one, *equal.get(one, ())):
                    yield refused_result(series_of_failure, reason, "failed")

        reconciled = reconcile(panel, evaluations, young_sites)
        tables = {name: with_equal_sums(getattr(reconciled, name), equal) for name in ReconciledForecasts._fields[:-1]}
        notes = reconciled.notes | {
            group: reconciled.notes[one] for one in reconciled.notes for group in equal.get(one, ())
        }
        reconciled = ReconciledForecasts(**tables, notes=notes)
        others = sorted(dependent - failed)
        others += _equal(others, equal)
        status = status_rows(panel, others, reconciled.licences, seconds, without_weeks, reconciled.notes)
        equal_weeks = single_site_sums(panel, panel.week_sums)
        peaks = [PeakResult(*(with_equal_sums(frame, equal_weeks) for frame in result)) for result in peaks]
        yield last_result(reconciled, bands(panel, plan, reconciled), status, peaks)


def single_site_sums(panel: Panel, sums: Mapping[Series, Sequence[Series]]) -> dict[Series, list[Series]]:
    """By site, the regions (and the network) that are this site alone: what is published of them is the site's."""
    equal = defaultdict[Series, list[Series]](list)
    for group, sites in sums.items():
        if len(sites) == 1 and group in panel.hourly and group not in panel.refused:
            equal[sites[0]].append(group)
    return dict(equal)


def _equal(series: Sequence[Series], equal: Mapping[Series, Sequence[Series]]) -> list[Series]:
    """The sums that some sites are."""
    return [group for one in series for group in equal.get(one, ())]


def with_equal_sums(frame: pd.DataFrame, equal: Mapping[Series, Sequence[Series]]) -> pd.DataFrame:
    """Rows of series with those of sites once more, as rows of the sums that they are."""
    copies = [
        rows.assign(**group._asdict())
        for site in equal
        if len(rows := frame[rows_of(frame, [site])])
        for group in equal[site]
    ]
    return joined([frame, *copies]) if copies else frame


def with_constants(panel: Panel, evaluation: BatchEvaluation) -> BatchEvaluation:
    """The evaluation with series that were always the same forecast as exactly that, and their licences saying so: no
    model beats another on them.
    """
    forecasts, recent, licences = evaluation.forecasts.copy(), evaluation.recent.copy(), evaluation.licences.copy()
    for one in evaluation.series:
        hours = panel.hourly[one]
        if is_constant(hours):
            for frame in (forecasts, recent):
                columns = [name for name in frame.columns if name not in (*IDENTITY, "ts")]
                rows = rows_of(frame, [one])
                frame.loc[rows, columns] = frame.loc[rows, columns].where(frame.loc[rows, columns].isna(), hours.min())
            rows = rows_of(licences, [one])
            licences.loc[rows, ["licensed", "margin"]] = [False, 0.0]
            licences.loc[rows, "model"] = licences.loc[rows, "baseline"]
            licences.loc[rows, "reason"] = f"It has always been {hours.min():g}, and is drawn as that."
    return evaluation._replace(forecasts=forecasts, recent=recent, licences=licences)


def refused_results(panel: Panel) -> Iterator[EngineResult]:
    """The series that have too little to go on, with their reasons."""
    for series, reason in panel.refused.items():
        yield refused_result(series, reason)


def all_peak_inputs(panel: Panel, seed: int) -> Iterator[PeakInputs]:
    """What the coming weeks of each metric are simulated from."""
    for metric in sorted({series.metric for series in panel.series}):
        if (inputs := peak_inputs(panel, metric, seed)) is not None:
            yield inputs


def bands(panel: Panel, plan: ForecastOptions, reconciled: ReconciledForecasts) -> pd.DataFrame:
    """Rows of `bands`, on both sides of now by the forecasts that are published."""
    if not len(reconciled.forecasts):
        return NOTHING
    # One hour more, because samples lie between the middles of two hours.
    ahead = reconciled.forecasts["ts"] <= plan.band(panel)[-1].ceil("h")
    columns = list(reconciled.recent.columns)
    hourly = joined([reconciled.recent, reconciled.forecasts.loc[ahead, columns]])
    return bands_at_grain(panel, hourly, plan.band(panel))


def status_rows(
    panel: Panel,
    series: Sequence[Series],
    licences: pd.DataFrame,
    seconds: Mapping[Series, float],
    without_weeks: Mapping[Series, str],
    notes: Mapping[Series, str] | None = None,
) -> pd.DataFrame:
    """Rows of `series_status`; the model is that of the first day, with what a young series took from its region.

    The reason of a fitted series says why its coming weeks could not be simulated (without_weeks), which hours its weeks
    always lack, and which sites a sum is without.
    """
    first = licences.drop_duplicates(IDENTITY).set_index(IDENTITY)["model"] if len(licences) else pd.Series(dtype=str)
    rows = []
    for one in series:
        hours = panel.hourly[one].loc[panel.start - YEARLY_HISTORY :].dropna()
        kinds = regressor_kinds([learnable(panel.touching(one), pd.DatetimeIndex(hours.index))])
        reasons = [without_weeks[one]] if one in without_weeks else [panel.holes.get(one), panel.without(one)]
        note = (notes or {}).get(one) or ", ".join([f"clock of {panel.clock(one)}", *kinds])
        rows.append(
            [
                *one,
                "fitted",
                "; ".join(reason for reason in reasons if reason) or None,
                f"{model_words(first.get(tuple(one), ''))}; {note}",
                len(hours),
                seconds.get(one, 0.0),
            ]
        )
    return pd.DataFrame(rows, columns=STATUS_COLUMNS)


def last_result(
    reconciled: ReconciledForecasts, bands: pd.DataFrame, status: pd.DataFrame, weeks: Sequence[PeakResult]
) -> EngineResult:
    """All forecasts, the evidence on dependent series, the peaks and the paths behind them."""
    return EngineResult(
        reconciled.forecasts,
        bands,
        status,
        reconciled.licences,
        joined([reconciled.scores, *(result.scores for result in weeks)]),
        reconciled.backtests,
        joined([result.peaks for result in weeks]),
        joined([result.simulated_peaks for result in weeks]),
    )


def forecastable(panel: Panel) -> list[Series]:
    """The series of the lake that are not refused, but for sums of one site, which are that site."""
    return [series for series in panel.series if series not in panel.refused and len(panel.sums.get(series, ())) != 1]


def series_batches(panel: Panel, series: Sequence[Series]) -> list[SeriesBatch]:
    """The series in groups whose clocks change together, so that they share their fits; the largest first, so that no
    worker waits for one.
    """
    hours = panel.hourly.loc[panel.start - YEARLY_HISTORY :]
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
