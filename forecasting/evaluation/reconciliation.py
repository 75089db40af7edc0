"""What leans on other series, and is settled when all are judged: young sites borrow the shape of their region, regions
and the network are the sums of their sites; and what is published as evidence is about that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import GLOBAL_KEY, QUANTILES, Series
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
    where nothing), and the evidence on series that lean on others. notes: what to know of a series.
    """

    forecasts: pd.DataFrame
    recent: pd.DataFrame
    licences: pd.DataFrame
    scores: pd.DataFrame
    backtests: pd.DataFrame
    notes: dict[Series, str]


def dependent_series(panel: Panel, able: Sequence[Series]) -> frozenset[Series]:
    """The sums, and the sites that are young."""
    sites = [one for one in able if one.level == "site"]
    fresh = young(_history(panel, sites)) if sites else []
    return frozenset(
        [one for one in able if one.level != "site"]
        + [one for one, is_young in zip(sites, fresh, strict=True) if is_young]
    )


def _history(panel: Panel, series: Sequence[Series]) -> History:
    hours = panel.hourly.loc[panel.start - FIT_HISTORY :, list(series)]
    return History(pd.DatetimeIndex(hours.index), hours.to_numpy(float), DAY_AND_WEEK)


def sums_of(panel: Panel, site: Series) -> tuple[Series, ...]:
    """The region and the network that a site is part of."""
    region = panel.regions.get(site.key)
    whole = Series("global", GLOBAL_KEY, site.metric)
    return (Series("region", region, site.metric), whole) if region else (whole,)


def reconcile(panel: Panel, held: Sequence[BatchEvaluation], fresh: Collection[Series]) -> ReconciledForecasts:
    """Forecasts that agree, and what leans on others, of which `fresh` are the young sites, with evidence that is about
    what is drawn.
    """
    forecasts, recent, licences, scores, backtests = (
        joined([getattr(batch, name) for batch in held]) for name in ReconciledForecasts._fields[:-1]
    )
    found = ReconciledForecasts(forecasts, recent, licences, scores, backtests, {})
    if not len(found.forecasts):
        return found
    return sum_sites(panel, apply_cold_start(panel, found, fresh), held)


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames as one; empty ones may lack columns."""
    held = [frame for frame in frames if len(frame)]
    return pd.concat(held, ignore_index=True) if held else NOTHING


# Young sites
# ---------------------------------------------------------------------------------------------------------------


def apply_cold_start(panel: Panel, found: ReconciledForecasts, fresh: Collection[Series]) -> ReconciledForecasts:
    """Young sites drawn after the grown sites of their region, where there is one; how their own model would have done
    is no evidence of that, and left out.
    """
    forecasts, recent, notes = found.forecasts, found.recent, dict[Series, str]()
    for region, metric in sorted({(panel.regions[one.key], one.metric) for one in fresh if one.key in panel.regions}):
        mates = [
            one
            for one in _whole(forecasts)
            if one.level == "site" and one.metric == metric and panel.regions.get(one.key) == region
        ]
        rows, told = _cold_start_rows(panel, forecasts[rows_of(forecasts, mates)], mates, f"{region}, {metric}")
        notes |= told
        forecasts = joined([forecasts[~rows_of(forecasts, told)], rows[rows_of(rows, told)]])
        if told:
            before, _ = _cold_start_rows(panel, recent[rows_of(recent, mates)], mates, region)
            before = _since_opened(panel, before[rows_of(before, told)], told)
            recent = joined([recent[~rows_of(recent, told)], before])
    scores = (
        found.scores[~(rows_of(found.scores, notes) & (found.scores.get("model") == LICENSED))]
        if notes
        else found.scores
    )
    return ReconciledForecasts(
        forecasts,
        recent,
        _unproven_licences(found.licences, notes),
        scores,
        found.backtests[~rows_of(found.backtests, notes)],
        notes,
    )


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
    """The rows of forecasts of a region's sites, and notes of those that borrowed; `mates` in the order of their
    names.
    """
    rows = rows.sort_values(["key", "ts"], ignore_index=True)
    values = np.moveaxis(rows[VALUE_COLUMNS].to_numpy(float).reshape(len(mates), -1, len(VALUE_COLUMNS)), 0, 1)
    told = borrow_shape(_history(panel, mates), values[:, :, 0], values[:, :, 1:], [label] * len(mates))
    drawn = np.concatenate([told.point[:, :, None], told.quantiles], axis=2)
    rows[VALUE_COLUMNS] = np.moveaxis(drawn, 1, 0).reshape(-1, len(VALUE_COLUMNS))
    return rows, {series: note for series, note in zip(mates, told.notes, strict=True) if note}


def _unproven_licences(licences: pd.DataFrame, notes: Mapping[Series, str]) -> pd.DataFrame:
    """Licences whose borrowers are told as such: nothing was tested of what they are drawn by."""
    mine = rows_of(licences, notes)
    if not mine.any():
        return licences
    rows = licences[mine]
    reasons = [
        f"The {COLD_START} is drawn: {notes[Series(*key)]}."
        for key in rows[IDENTITY].itertuples(index=False, name=None)
    ]
    return joined(
        [
            licences[~mine],
            rows.assign(
                model=COLD_START,
                licensed=False,
                error=np.nan,
                baseline_error=np.nan,
                margin=np.nan,
                origins=0,
                reason=reasons,
            ),
        ]
    )


# Sums
# ----------------------------------------------------------------------------------------------------------------------


def sum_sites(panel: Panel, found: ReconciledForecasts, held: Sequence[BatchEvaluation]) -> ReconciledForecasts:
    """Regions and the network drawn as the sums of their sites, which measured better than forecasts of their own
    (docs/methods.md), and judged as such.

    Quantiles of a sum move with it; they are never sums of quantiles. A group with a site that has no forecast is more
    than its sites, and stays as it is.
    """
    sites = complete_hierarchies(panel, found.forecasts)
    parts = {one: [batch.contributions[one] for batch in held if one in batch.contributions] for one in sites}
    evidence = score_aggregates(
        [batch.aggregates for batch in held], parts, {one: len(members) for one, members in sites.items()}
    )
    direct = (
        rows_of(found.scores, sites) & (found.scores.get("model") == LICENSED)
        if len(found.scores)
        else np.zeros(0, dtype=bool)
    )
    return found._replace(
        forecasts=_shift_rows(found.forecasts, sites, _sums_of_forecasts(found.forecasts, sites), VALUE_COLUMNS),
        recent=_shift_rows(found.recent, sites, _recent_sums(panel, found.recent, sites), VALUE_COLUMNS),
        licences=joined([found.licences[~rows_of(found.licences, sites)], evidence.licences]),
        scores=joined([found.scores[~direct], evidence.scores]),
        backtests=_shift_rows(
            found.backtests,
            sites,
            _sums_of_past_weeks(parts),
            ["yhat", *BACKTEST_LEVELS],
        ),
    )


def complete_hierarchies(panel: Panel, forecasts: pd.DataFrame) -> dict[Series, list[Series]]:
    """The sums with a forecast whose sites all have one, and these sites."""
    whole = set(_whole(forecasts))
    members: dict[Series, list[Series]] = defaultdict(list)
    for site in panel.series:
        for one in sums_of(panel, site) if site.level == "site" else ():
            members[one].append(site)
    return {one: sites for one, sites in members.items() if whole.issuperset([one, *sites])}


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
    """The sums of what the sites would have been told for the weeks after past origins: IDENTITY, origin, ts, sum."""
    found = []
    for one, held in parts.items():
        for origin in sorted({origin for part in held for origin in part.weeks}):
            told: Reals | None = sum_contributions([part.weeks for part in held], [part.first for part in held], origin)
            if told is not None:
                stamps = pd.date_range(origin, periods=len(told), freq=HOUR, unit="us")
                found.append(pd.DataFrame({**one._asdict(), "origin": origin, "ts": stamps, "sum": told}))
    return joined(found)


def _shift_rows(
    rows: pd.DataFrame, sites: Collection[Series], sums: pd.DataFrame, names: Sequence[str]
) -> pd.DataFrame:
    """Rows whose expected values and quantiles are moved where they are of a sum, none below zero; those of a sum that
    is not known are left out.
    """
    mine = rows_of(rows, sites)
    if not mine.any():
        return rows
    both = (
        rows[mine].merge(sums, on=[name for name in sums.columns if name != "sum"])
        if len(sums)
        else rows[mine].assign(sum=np.nan)
    )
    both = both[both["sum"].notna()]
    by = (both["sum"] - both["yhat"]).to_numpy()
    return joined(
        [
            rows[~mine],
            both.drop(columns="sum").assign(**{name: np.maximum(both[name].to_numpy() + by, 0.0) for name in names}),
        ]
    )


# Licences and scores of sums
# ---------------------------------------------------------------------------------------------------------


class Evidence(NamedTuple):
    """Rows of `licences` and `scores`, without run_id."""

    licences: pd.DataFrame
    scores: pd.DataFrame


def sum_contributions(found: Sequence[ByOrigin], firsts: Sequence[pd.Timestamp], origin: pd.Timestamp) -> Reals | None:
    """What the parts of a sum would have been told at an origin, (h), as far as all of them were; None where one that
    knew something was not asked then.
    """
    known = [at.get(origin) for at, first in zip(found, firsts, strict=True) if first < origin]
    told = [one for one in known if one is not None]
    if not told or len(told) < len(known):
        return None
    reach = min(map(len, told))
    return nan_sum([one[:reach] for one in told])


def score_aggregates(
    held: Sequence[AggregateBacktest], lent: Mapping[Series, Sequence[SiteContribution]], sites: Mapping[Series, int]
) -> Evidence:
    """Licences and scores of the sums in `lent`, from all their parts; `sites` says of how many each is made up."""
    alike: dict[tuple[object, ...], list[AggregateBacktest]] = defaultdict(list)
    for one, metric in product(held, sorted({series.metric for series in lent})):
        columns = [place for place, series in enumerate(one.series) if series in lent and series.metric == metric]
        alike[metric, one.origins, one.bands, one.baselines].append(_select(one, columns))
    licences, scores = list[dict[str, object]](), list[pd.DataFrame]()
    for group in alike.values():
        together = _concatenate([one for one in group if one.series]) if any(one.series for one in group) else None
        if together is not None:
            summed = _backtest_of_sums(together, lent)
            licences += _licences(together, summed, sites)
            scores += _scores(together, summed)
    return Evidence(pd.DataFrame(licences), pd.concat(scores, ignore_index=True) if scores else pd.DataFrame())


def _select(one: AggregateBacktest, columns: list[int]) -> AggregateBacktest:
    """Some of the sums."""
    series = tuple(one.series[place] for place in columns)
    return one._replace(
        series=series,
        past=one.past.of(columns),
        baseline_errors=one.baseline_errors[..., columns],
        best=one.best[:, columns],
        scale=one.scale[columns],
    )


def _concatenate(group: Sequence[AggregateBacktest]) -> AggregateBacktest:
    """Sums of one metric and the same origins side by side, so that they lean on each other as any panel does."""
    first = group[0]
    return first._replace(
        series=tuple(series for one in group for series in one.series),
        past=PastIntervals.joined([one.past for one in group]),
        baseline_errors=np.concatenate([one.baseline_errors for one in group], axis=3),
        best=np.concatenate([one.best for one in group], axis=1),
        scale=np.concatenate([one.scale for one in group]),
    )


def _backtest_of_sums(one: AggregateBacktest, lent: Mapping[Series, Sequence[SiteContribution]]) -> PastIntervals:
    """The trials of the sums, their bounds moved as those that are served are."""
    trials = one.past.trials
    sums: Reals = np.full_like(trials.forecasts, np.nan)
    for column, series in enumerate(one.series):
        found, firsts = [part.trials for part in lent[series]], [part.first for part in lent[series]]
        for place, origin in enumerate(one.origins):
            told = sum_contributions(found, firsts, origin)
            if told is not None:
                sums[place, : len(told), column] = told[: len(sums[place])]
    move = sums - trials.forecasts
    return PastIntervals(
        trials._replace(forecasts=sums),
        [shift(bounds, move[place, : len(bounds)]) for place, bounds in enumerate(one.past.bounds)],
    )


def shift(bounds: Reals, by: Reals) -> Reals:
    """Bounds (h, G, Q) moved by (h, G), none below zero; what is NaN stays so."""
    return np.asarray(np.maximum(bounds + by[:, :, None], 0.0))


def _licences(
    one: AggregateBacktest, summed: PastIntervals, sites: Mapping[Series, int]
) -> Iterator[dict[str, object]]:
    """The rows of each sum: what it is, whether it beat the best baseline of the sum's own series, and that it is drawn
    in any case.
    """
    found = verdicts(
        summed.trials.errors(one.bands) if one.origins else one.baseline_errors[:, 0],
        one.baseline_errors,
        one.windows,
        0,
    )
    for band, verdict, best in zip(one.bands, found, one.best, strict=True):
        for place, series in enumerate(one.series):
            baseline = one.baselines[best[place]]
            told = {
                "horizon": band.name,
                "model": SUM,
                "baseline": baseline,
                "reason": reason_of_sum(verdict, baseline, sites[series], place),
            }
            yield series._asdict() | told | _numbers(verdict, place, one.scale[place])


def _numbers(verdict: Verdict, place: int, scale: float) -> dict[str, object]:
    """Errors scaled as MASE is, and what their difference had to pass."""
    own, other = verdict.blend_error[place] / scale, verdict.baseline_error[place] / scale
    origins = int(verdict.origins[place])
    licensed = bool(verdict.licensed[place]) and origins > 0
    return {
        "licensed": licensed,
        "error": own,
        "baseline_error": other,
        "margin": other * (1.0 - np.exp(-verdict.standard_error[place])),
        "origins": origins,
    }


def _scores(one: AggregateBacktest, summed: PastIntervals) -> Iterator[pd.DataFrame]:
    """The leaderboard's rows of each sum, under its own name and as what is drawn."""
    rows = leaderboard(SUM, summed, one.bands, one.scale)
    places = rows.pop("series").to_numpy(dtype=int)
    rows = rows.assign(**{name: [getattr(one.series[place], name) for place in places] for name in Series._fields})
    yield from (rows, rows.assign(model=LICENSED))
