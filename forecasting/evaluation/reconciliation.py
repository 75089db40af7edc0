"""Hierarchical reconciliation, once all batches are evaluated: regions and the network as the sums of their sites
(bottom-up), young sites by the shape of their region (cold start), and the licences and scores of both.

Sites of one sum are evaluated in several workers. Each adds up its own (`SiteContribution`), so that what travels grows
with the sums and not with the sites; the worker that evaluated the sum's own series keeps what its forecasts are
measured by (`AggregateBacktest`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import QUANTILES, Series
from forecasting.evaluation.backtest_batch import (
    BACKTEST_LEVELS,
    DAY_AND_WEEK,
    AggregateBacktest,
    BatchEvaluation,
    ByOrigin,
    SiteContribution,
    rows_of,
)
from forecasting.evaluation.cold_start import borrow_shape, young
from forecasting.evaluation.licence import Verdict, reason_of_sum, verdicts
from forecasting.evaluation.scores import LICENSED, PastIntervals, leaderboard
from forecasting.models.engine import FIT_HISTORY, IDENTITY, NOTHING
from forecasting.panel.history import History, Reals, nan_sum
from forecasting.panel.panel import HOUR, Panel

# What a licence calls the forecast of a site that is too young for a shape of its own.
COLD_START = "shape of its region"
# What a licence and the leaderboard call the forecast of a region or the network.
SUM = "sum of sites"
VALUE_COLUMNS = ["yhat", *QUANTILES]
# The newest past origin before an hour lies a week back at most, and no site is forecast before it has lived for a day.
KNOWN_AFTER = pd.Timedelta(days=8)


class ReconciledForecasts(NamedTuple):
    """Rows without run_id: all forecasts, those of the last two weeks as they would have been (recent: hourly, NaN
    where nothing), and the evidence on series that depend on others. notes: how a young series was forecast.
    """

    forecasts: pd.DataFrame
    recent: pd.DataFrame
    licences: pd.DataFrame
    scores: pd.DataFrame
    backtests: pd.DataFrame
    notes: dict[Series, str]


def dependent_series(panel: Panel, series: Sequence[Series]) -> frozenset[Series]:
    """The series whose forecast is made of others': the sums, and the young sites."""
    sites = [one for one in series if one.level == "site"]
    is_young = young(_history(panel, sites)) if sites else []
    return frozenset(series) - {site for site, fresh in zip(sites, is_young, strict=True) if not fresh}


def _history(panel: Panel, series: Sequence[Series]) -> History:
    hours = panel.hourly.loc[panel.start - FIT_HISTORY :, list(series)]
    return History(pd.DatetimeIndex(hours.index), hours.to_numpy(float), DAY_AND_WEEK)


def sums_of(panel: Panel, site: Series) -> tuple[Series, ...]:
    """The region and the network that a site is part of, where they are sums of it and others."""
    return tuple(group for group, sites in panel.sums.items() if site in sites and len(sites) > 1)


def reconcile(panel: Panel, batches: Sequence[BatchEvaluation], young_sites: Collection[Series]) -> ReconciledForecasts:
    """Forecasts that add up across levels, and the evidence on dependent series, which is about what is published."""
    forecasts, recent, licences, scores, backtests = (
        joined([getattr(batch, name) for batch in batches]) for name in ReconciledForecasts._fields[:-1]
    )
    base = ReconciledForecasts(forecasts, recent, licences, scores, backtests, {})
    if not len(base.forecasts):
        return base
    return sum_sites(panel, apply_cold_start(panel, base, young_sites), batches)


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames as one; empty ones may lack columns."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else NOTHING


# Young sites
# ---------------------------------------------------------------------------------------------------------------


def apply_cold_start(panel: Panel, base: ReconciledForecasts, young_sites: Collection[Series]) -> ReconciledForecasts:
    """Young sites forecast by the shape of the grown sites of their region, where there is one; how their own model did
    is no evidence of that, and left out.
    """
    forecasts, recent, notes = base.forecasts, base.recent, dict[Series, str]()
    groups = {(panel.regions[site.key], site.metric) for site in young_sites if site.key in panel.regions}
    for region, metric in sorted(groups):
        mates = [
            series
            for series in _whole(forecasts)
            if series.level == "site" and series.metric == metric and panel.regions.get(series.key) == region
        ]
        rows, new_notes = _cold_start_rows(panel, forecasts[rows_of(forecasts, mates)], mates, f"{region}, {metric}")
        notes |= new_notes
        forecasts = joined([forecasts[~rows_of(forecasts, new_notes)], rows[rows_of(rows, new_notes)]])
        if new_notes:
            before, _ = _cold_start_rows(panel, recent[rows_of(recent, mates)], mates, region)
            before = _since_opened(panel, before[rows_of(before, new_notes)], new_notes)
            recent = joined([recent[~rows_of(recent, new_notes)], before])
    scores = base.scores
    if notes:
        scores = scores[~(rows_of(scores, notes) & (scores.get("model") == LICENSED))]
    licences, backtests = _unproven_licences(base.licences, notes), base.backtests[~rows_of(base.backtests, notes)]
    return ReconciledForecasts(forecasts, recent, licences, scores, backtests, notes)


def _since_opened(panel: Panel, rows: pd.DataFrame, series: Collection[Series]) -> pd.DataFrame:
    """Rows whose values are missing before the first hour that was measured of their series."""
    opened = {one: panel.hourly[one].first_valid_index() for one in series}
    first = pd.DatetimeIndex([opened[Series(*key)] for key in rows[IDENTITY].itertuples(index=False, name=None)])
    values = np.where(np.asarray(rows["ts"] >= first)[:, None], rows[VALUE_COLUMNS].to_numpy(float), np.nan)
    return rows.assign(**dict(zip(VALUE_COLUMNS, values.T, strict=True)))


def _whole(forecasts: pd.DataFrame) -> list[Series]:
    """The series with a forecast at every stamp, in order."""
    counts = forecasts.groupby(IDENTITY).size()
    return [Series(*key) for key in counts.index[counts == counts.max()]]


def _cold_start_rows(
    panel: Panel, rows: pd.DataFrame, mates: Sequence[Series], label: str
) -> tuple[pd.DataFrame, dict[Series, str]]:
    """The forecasts of a region's sites with those of young ones replaced, and a note for each of these; `mates` in the
    order of their names.
    """
    rows = rows.sort_values(["key", "ts"], ignore_index=True)
    values = np.moveaxis(rows[VALUE_COLUMNS].to_numpy(float).reshape(len(mates), -1, len(VALUE_COLUMNS)), 0, 1)
    cold = borrow_shape(_history(panel, mates), values[:, :, 0], values[:, :, 1:], [label] * len(mates))
    replaced = np.concatenate([cold.point[:, :, None], cold.quantiles], axis=2)
    rows[VALUE_COLUMNS] = np.moveaxis(replaced, 1, 0).reshape(-1, len(VALUE_COLUMNS))
    return rows, {series: note for series, note in zip(mates, cold.notes, strict=True) if note}


def _unproven_licences(licences: pd.DataFrame, notes: Mapping[Series, str]) -> pd.DataFrame:
    """Licences with those of cold starts marked as such: no backtest tested that forecast."""
    is_cold = rows_of(licences, notes)
    if not is_cold.any():
        return licences
    rows = licences[is_cold]
    reasons = [
        f"The {COLD_START} is drawn: {notes[Series(*key)]}."
        for key in rows[IDENTITY].itertuples(index=False, name=None)
    ]
    unknown = dict.fromkeys(("share", "error", "baseline_error", "margin"), np.nan)
    rows = rows.assign(model=COLD_START, licensed=False, **unknown, origins=0, reason=reasons)
    return joined([licences[~is_cold], rows])


# Sums
# ----------------------------------------------------------------------------------------------------------------------


def sum_sites(panel: Panel, base: ReconciledForecasts, batches: Sequence[BatchEvaluation]) -> ReconciledForecasts:
    """Regions and the network as the sums of their sites, which measured better than forecasts of their own
    (docs/methods.md), with licences and scores of these sums.

    Quantiles of a sum move with it; they are never sums of quantiles. A group with a site that arithmetic failed on is
    more than its sites, and stays as it is; sites that are refused are no part of it (panel.completeness).
    """
    sites = complete_hierarchies(panel, base.forecasts)
    parts = {
        group: [batch.contributions[group] for batch in batches if group in batch.contributions] for group in sites
    }
    counts = {group: len(members) for group, members in sites.items()}
    evidence = score_aggregates([batch.aggregates for batch in batches], parts, counts)
    scores = base.scores
    if len(scores):
        scores = scores[~(rows_of(scores, sites) & (scores.get("model") == LICENSED))]
    past_sums = _sums_of_past_weeks(parts)
    return base._replace(
        forecasts=_shift_rows(base.forecasts, sites, _sums_of_forecasts(base.forecasts, sites), VALUE_COLUMNS),
        recent=_shift_rows(base.recent, sites, _recent_sums(panel, base.recent, sites), VALUE_COLUMNS),
        licences=joined([base.licences[~rows_of(base.licences, sites)], evidence.licences]),
        scores=joined([scores, evidence.scores]),
        backtests=_shift_rows(base.backtests, sites, past_sums, ["yhat", *BACKTEST_LEVELS]),
    )


def complete_hierarchies(panel: Panel, forecasts: pd.DataFrame) -> dict[Series, list[Series]]:
    """The sums with a forecast all of whose sites have one, and these sites: those that the panel leaves in the sum."""
    whole = set(_whole(forecasts))
    return {
        group: list(sites)
        for group, sites in panel.sums.items()
        if len(sites) > 1 and whole.issuperset([group, *sites])
    }


def _sums_of_forecasts(forecasts: pd.DataFrame, sites: Mapping[Series, Sequence[Series]]) -> pd.DataFrame:
    """The sums of the sites' forecasts: IDENTITY, ts, sum; NaN at an hour that one of the sites has no forecast for."""
    point = forecasts.pivot_table(index="ts", columns=IDENTITY, values="yhat")
    return joined(
        [
            pd.DataFrame({**one._asdict(), "ts": point.index, "sum": point[members].to_numpy().sum(axis=1)})
            for one, members in sites.items()
        ]
    )


def _recent_sums(panel: Panel, recent: pd.DataFrame, sites: Mapping[Series, Sequence[Series]]) -> pd.DataFrame:
    """The sums of what the sites would have been forecast at: IDENTITY, ts, sum; NaN where one has no forecast, but for
    a site so young that no origin could have known it, which adds nothing.
    """
    point = recent.pivot(index="ts", columns=IDENTITY, values="yhat")  # noqa: PD010 - pivot_table drops what is NaN
    sums = []
    for one, members in sites.items():
        forecasts = point[list(members)]
        known = pd.DatetimeIndex([panel.hourly[site].first_valid_index() for site in members]) + KNOWN_AFTER
        is_unknown = np.asarray(point.index)[:, None] < np.asarray(known)
        total = forecasts.mask(forecasts.isna() & is_unknown, 0.0).sum(axis="columns", skipna=False)
        sums.append(
            total.where(forecasts.notna().any(axis="columns")).rename("sum").reset_index().assign(**one._asdict())
        )
    return joined(sums)


def _sums_of_past_weeks(parts: Mapping[Series, Sequence[SiteContribution]]) -> pd.DataFrame:
    """The sums of the sites' forecasts for the weeks after past origins: IDENTITY, origin, ts, sum."""
    sums = []
    for group, contributions in parts.items():
        weeks, firsts = [part.weeks for part in contributions], [part.first for part in contributions]
        for origin in sorted({origin for part in weeks for origin in part}):
            total = sum_contributions(weeks, firsts, origin)
            if total is not None:
                stamps = pd.date_range(origin, periods=len(total), freq=HOUR, unit="us")
                sums.append(pd.DataFrame({**group._asdict(), "origin": origin, "ts": stamps, "sum": total}))
    return joined(sums)


def _shift_rows(
    rows: pd.DataFrame, sites: Collection[Series], sums: pd.DataFrame, names: Sequence[str]
) -> pd.DataFrame:
    """Rows with the expected values and quantiles (`names`) of sums moved to their sites' total, none below zero; those
    of a sum that is not known are left out.
    """
    is_sum = rows_of(rows, sites)
    if not is_sum.any():
        return rows
    keys = [name for name in sums.columns if name != "sum"]
    moved = rows[is_sum].merge(sums, on=keys) if len(sums) else rows[is_sum].assign(sum=np.nan)
    moved = moved[moved["sum"].notna()]
    by = (moved["sum"] - moved["yhat"]).to_numpy()
    values = {name: np.maximum(moved[name].to_numpy() + by, 0.0) for name in names}
    return joined([rows[~is_sum], moved.drop(columns="sum").assign(**values)])


# Licences and scores of sums
# ---------------------------------------------------------------------------------------------------------


class Evidence(NamedTuple):
    """Rows of `licences` and `scores`, without run_id."""

    licences: pd.DataFrame
    scores: pd.DataFrame


def sum_contributions(parts: Sequence[ByOrigin], firsts: Sequence[pd.Timestamp], origin: pd.Timestamp) -> Reals | None:
    """The sum of the parts' forecasts at an origin, (h), as far as all of them reach; None where a part that was
    measured before the origin has no forecast from it.
    """
    expected = [part.get(origin) for part, first in zip(parts, firsts, strict=True) if first < origin]
    forecasts = [forecast for forecast in expected if forecast is not None]
    if not forecasts or len(forecasts) < len(expected):
        return None
    steps = min(map(len, forecasts))
    return nan_sum([forecast[:steps] for forecast in forecasts])


def score_aggregates(
    aggregates: Sequence[AggregateBacktest],
    parts: Mapping[Series, Sequence[SiteContribution]],
    counts: Mapping[Series, int],
) -> Evidence:
    """Licences and scores of the sums in `parts`, from all their parts; `counts` says of how many sites each is made
    up.
    """
    comparable: dict[tuple[object, ...], list[AggregateBacktest]] = defaultdict(list)
    for aggregate, metric in product(aggregates, sorted({series.metric for series in parts})):
        columns = [place for place, one in enumerate(aggregate.series) if one in parts and one.metric == metric]
        if columns:
            key = (metric, aggregate.origins, aggregate.bands, aggregate.baselines)
            comparable[key].append(_select(aggregate, columns))
    licences, scores = list[dict[str, object]](), list[pd.DataFrame]()
    for group in comparable.values():
        aggregate = _concatenate(group)
        summed = _backtest_of_sums(aggregate, parts)
        licences += _licences(aggregate, summed, counts)
        scores += _scores(aggregate, summed)
    return Evidence(pd.DataFrame(licences), pd.concat(scores, ignore_index=True) if scores else pd.DataFrame())


def _select(aggregate: AggregateBacktest, columns: list[int]) -> AggregateBacktest:
    """Some of the sums."""
    return aggregate._replace(
        series=tuple(aggregate.series[place] for place in columns),
        past=aggregate.past.of(columns),
        baseline_errors=aggregate.baseline_errors[..., columns],
        best=aggregate.best[:, columns],
        scale=aggregate.scale[columns],
    )


def _concatenate(group: Sequence[AggregateBacktest]) -> AggregateBacktest:
    """Sums of one metric and the same origins side by side, so that they are pooled as any panel is."""
    return group[0]._replace(
        series=tuple(series for aggregate in group for series in aggregate.series),
        past=PastIntervals.joined([aggregate.past for aggregate in group]),
        baseline_errors=np.concatenate([aggregate.baseline_errors for aggregate in group], axis=3),
        best=np.concatenate([aggregate.best for aggregate in group], axis=1),
        scale=np.concatenate([aggregate.scale for aggregate in group]),
    )


def _backtest_of_sums(
    aggregate: AggregateBacktest, parts: Mapping[Series, Sequence[SiteContribution]]
) -> PastIntervals:
    """The sums at past origins, with the quantiles of the series' own forecasts moved as those published are."""
    trials = aggregate.past.trials
    sums: Reals = np.full_like(trials.forecasts, np.nan)
    for column, series in enumerate(aggregate.series):
        forecasts, firsts = [part.trials for part in parts[series]], [part.first for part in parts[series]]
        for place, origin in enumerate(aggregate.origins):
            total = sum_contributions(forecasts, firsts, origin)
            if total is not None:
                sums[place, : len(total), column] = total[: len(sums[place])]
    move = sums - trials.forecasts
    bounds = [shift(bounds, move[place, : len(bounds)]) for place, bounds in enumerate(aggregate.past.bounds)]
    return PastIntervals(trials._replace(forecasts=sums), bounds)


def shift(bounds: Reals, by: Reals) -> Reals:
    """Quantiles (h, G, Q) moved by (h, G), none below zero; what is NaN stays so."""
    return np.asarray(np.maximum(bounds + by[:, :, None], 0.0))


def _licences(
    aggregate: AggregateBacktest, summed: PastIntervals, counts: Mapping[Series, int]
) -> Iterator[dict[str, object]]:
    """The rows of each sum: whether it beat the best baseline of the sum's own series, and that it is published in any
    case.
    """
    errors = summed.trials.errors(aggregate.bands) if aggregate.origins else aggregate.baseline_errors[:, 0]
    by_band = verdicts(errors, aggregate.baseline_errors, aggregate.windows, 0)
    for band, verdict, best in zip(aggregate.bands, by_band, aggregate.best, strict=True):
        for place, series in enumerate(aggregate.series):
            baseline = aggregate.baselines[best[place]]
            identity = {
                "horizon": band.name,
                "model": SUM,
                "baseline": baseline,
                "reason": reason_of_sum(verdict, baseline, counts[series], place),
            }
            yield series._asdict() | identity | _numbers(verdict, place, aggregate.scale[place])


def _numbers(verdict: Verdict, place: int, scale: float) -> dict[str, object]:
    """Errors scaled as MASE is, and the margin that their difference had to pass."""
    error, baseline_error = verdict.blend_error[place] / scale, verdict.baseline_error[place] / scale
    origins = int(verdict.origins[place])
    return {
        "licensed": bool(verdict.licensed[place]) and origins > 0,
        "error": error,
        "baseline_error": baseline_error,
        "margin": baseline_error * (1.0 - np.exp(-verdict.standard_error[place])),
        "origins": origins,
    }


def _scores(aggregate: AggregateBacktest, summed: PastIntervals) -> Iterator[pd.DataFrame]:
    """The leaderboard's rows of each sum, under its own name and as what is published."""
    rows = leaderboard(SUM, summed, aggregate.bands, aggregate.scale)
    places = rows.pop("series").to_numpy(dtype=int)
    identity = {name: [getattr(aggregate.series[place], name) for place in places] for name in Series._fields}
    rows = rows.assign(**identity)
    yield from (rows, rows.assign(model=LICENSED))
