"""What is known of a sum of sites: how their forecasts, added up as they are served, would have done at past origins,
and the licence and scores of that.

Sites of one sum are judged in several workers. Each adds up its own (`Part`), so that what travels grows with the sums
and not with the sites; the worker that judged the sum's own series keeps what its forecasts are measured by (`Alone`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import Series
from forecasting.evaluation.agreement import nansum
from forecasting.evaluation.backtest import HorizonBand
from forecasting.evaluation.licence import Verdict, reason_of_sum, verdicts
from forecasting.evaluation.model_selection import PoolBacktest, SelectedForecast
from forecasting.evaluation.out_of_sample import OutOfSample
from forecasting.evaluation.scores import LICENSED, PastIntervals, leaderboard
from forecasting.panel.history import History, Reals

# What a licence and the leaderboard call the forecast of a region or the network.
SUM = "sum of sites"
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


class Evidence(NamedTuple):
    """Rows of `licences` and `scores`, without run_id."""

    licences: pd.DataFrame
    scores: pd.DataFrame


# In a worker
# -----------------------------------------------------------------------------------------------------------------


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
    return {origin: nansum(forecast[:, places].T) for origin, forecast in told.items()}


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


# Where all parts are at hand
# -------------------------------------------------------------------------------------------------


def sum_contributions(found: Sequence[ByOrigin], firsts: Sequence[pd.Timestamp], origin: pd.Timestamp) -> Reals | None:
    """What the parts of a sum would have been told at an origin, (h), as far as all of them were; None where one that
    knew something was not asked then.
    """
    known = [at.get(origin) for at, first in zip(found, firsts, strict=True) if first < origin]
    told = [one for one in known if one is not None]
    if not told or len(told) < len(known):
        return None
    reach = min(map(len, told))
    return nansum([one[:reach] for one in told])


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
        rivals=one.rivals[..., columns],
        best=one.best[:, columns],
        scale=one.scale[columns],
    )


def _concatenate(group: Sequence[AggregateBacktest]) -> AggregateBacktest:
    """Sums of one metric and the same origins side by side, so that they lean on each other as any panel does."""
    first = group[0]
    return first._replace(
        series=tuple(series for one in group for series in one.series),
        past=PastIntervals.joined([one.past for one in group]),
        rivals=np.concatenate([one.rivals for one in group], axis=3),
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
    found = verdicts(summed.trials.errors(one.bands) if one.origins else one.rivals[:, 0], one.rivals, one.looks, 0)
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
        "margin": other * (1.0 - np.exp(-verdict.noise[place])),
        "origins": origins,
    }


def _scores(one: AggregateBacktest, summed: PastIntervals) -> Iterator[pd.DataFrame]:
    """The leaderboard's rows of each sum, under its own name and as what is drawn."""
    rows = leaderboard(SUM, summed, one.bands, one.scale)
    places = rows.pop("series").to_numpy(dtype=int)
    rows = rows.assign(**{name: [getattr(one.series[place], name) for place in places] for name in Series._fields})
    yield from (rows, rows.assign(model=LICENSED))
