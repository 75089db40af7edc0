"""Forecast of the peak and P95 of each coming week, of every site, region and the network: calibrated quantiles and
the joint paths behind them, also as rows of a lake.

A series that is refused has no part in it. Regions and the network are the sums of the sites that have weekly peaks
(`Panel.week_sums`), in the weeks that were measured as in those to come.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import MIN_PEAK_WEEKS, MIN_WEEK_COMPLETENESS, PEAK_QUANTILES, Series
from forecasting.models.engine import NOTHING, NUMERICAL_FAULTS, failure_reason
from forecasting.panel.events import EventRegressors
from forecasting.panel.panel import HOUR, Panel
from forecasting.peaks.calibration import (
    DIRECT,
    LEVELS,
    MIDDLE,
    WeeklyBacktest,
    Whole,
    calibrated,
    extend_offsets,
    offsets,
    persistence,
    reorder_ranks,
    shift_ranks,
)
from forecasting.peaks.recent_weeks import Followed, RecentWeeks, follow, log_measured, moves_ahead
from forecasting.peaks.simulation import (
    SLOPE_WEEKS,
    STATISTICS,
    WEEKS_AT_LEAST,
    JointPaths,
    Simulation,
    SimulationHistory,
    simulate,
)
from forecasting.peaks.weekly_statistics import WEEK, Reals, Stamps, Weekly, monday, weekly

# The weeks ahead at which past forecasts are checked: the first four directly, further ones ever more thinly, up to
# half a year.
CHECKED = np.array([1, 2, 3, 4, 6, 9, 13, 18, 26])
# Every week of the last sixteen is forecast anew from each of the four weeks before it; older origins, which alone
# reach far ahead, are taken once in four weeks.
RECENT, EVERY = 16, 4
# Fewer paths tell a past quantile well enough.
TRIAL_PATHS = 100
# Half a year of peaks is shown; eighteen months of paths is as far as a plan asks.
WEEKS_SHOWN, WEEKS_PLANNED = 26, 78
# Weeks that peaks are simulated from: older ones say nothing of the coming ones that the last thirteen months do not.
PEAK_HISTORY = pd.Timedelta(days=400)
# The levels that a capacity is planned by.
SCORED_LEVELS = {"coverage_90": 0.9, "coverage_95": 0.95}
# What the scores of each statistic are told apart by, in the order of STATISTICS.
SCORED = ("peaks", "peaks-p95")
# With fewer origins a share of hits says nothing.
HITS_AT_LEAST = 4


class PeakForecast(NamedTuple):
    """Weeks to come: `weeks` (W,) are Mondays, `quantiles` (W, 2, L, M) at calibration.LEVELS of the peak and the P95
    of N sites and G groups.

    `paths` hold the same quantiles: they are the simulated ones, moved rank by rank. NaN for a series with too little
    history. `moves` are the offsets of calibration, at the origins of the trials and now; `past` the trials that they
    calibrate.
    """

    weeks: Stamps
    quantiles: Reals
    paths: JointPaths
    moves: Reals
    past: WeeklyBacktest


def forecast_peaks(
    history: SimulationHistory,
    groups: Whole,
    weeks: int = 26,
    draw: Simulation = Simulation(),  # noqa: B008
    past: WeeklyBacktest | None = None,
) -> PeakForecast:
    """Calibrated quantiles and paths of the first weeks ahead.

    groups: (N + G,), labels; series of one label lend each other their past weeks in calibration. `past` are trials of
    the same history, made here where absent.
    """
    past = weekly_backtest(history, Simulation(TRIAL_PATHS, draw.seed)) if past is None else past
    past, weights = follow_recent_weeks(history, groups, past)
    moves = offsets(past, groups, history.whole_weeks)
    checked = np.isfinite(past.actual).any(axis=(0, 2, 3))
    paths = simulate(history, weeks, draw)
    recent = RecentWeeks.before(history.whole_weeks, log_measured(history.measured))
    by = moves_ahead(
        weights[checked], past.ahead[checked], quantiles(paths)[:, :, MIDDLE], recent, history.known is not None
    )
    by = by[:, :, None] + extend_offsets(moves[-1, checked], past.ahead[checked], np.arange(1, weeks + 1))
    paths = shift_ranks(paths, by)
    paths = reorder_ranks(paths, persistence(past), int(past.ahead[checked][-1]) if checked.any() else 1, draw.seed)
    short = np.isfinite(history.weekly.peak).sum(axis=0) < MIN_PEAK_WEEKS
    paths = paths._replace(
        peak=np.where(short[:, None], np.nan, paths.peak), p95=np.where(short[:, None], np.nan, paths.p95)
    )
    # What was always the same is expected to stay: neither zero nor a constant has a shape to simulate.
    for site in np.flatnonzero(_is_constant(history.hourly) & ~short[: history.hourly.shape[1]]):
        paths.peak[:, site] = paths.p95[:, site] = history.hourly[np.isfinite(history.hourly[:, site]), site][0]
    return PeakForecast(paths.weeks, quantiles(paths), paths, moves, past)


def follow_recent_weeks(history: SimulationHistory, groups: Whole, past: WeeklyBacktest) -> Followed:
    """The trials of a history with medians that follow what was measured last, as far as past weeks say."""
    return follow(past, history.measured, groups, history.whole_weeks, history.known is not None)


def _is_constant(hourly: Reals) -> npt.NDArray[np.bool_]:
    """Which sites (N,) were always measured at the same value."""
    lowest, highest = np.fmin.reduce(hourly), np.fmax.reduce(hourly)
    return np.asarray(np.isfinite(lowest) & (lowest == highest))


def weekly_backtest(
    history: SimulationHistory,
    draw: Simulation = Simulation(TRIAL_PATHS),  # noqa: B008
    recent: int = RECENT,
    every: int = EVERY,
    ahead: Whole = CHECKED,
) -> WeeklyBacktest:
    """Forecasts of weeks that have come, each from what was known at its origin: all of the `recent` last origins, and
    each `every`-th before them.

    Where history is long enough, origins that could not yet follow a slope are left out: they err otherwise than the
    forecast that is calibrated.
    """
    last = history.whole_weeks
    first = SLOPE_WEEKS if last >= SLOPE_WEEKS + recent else WEEKS_AT_LEAST
    origins = np.array(
        [week for week in range(first, last) if week >= last - recent or (last - week) % every == 0], dtype=np.int64
    )
    shape = (len(origins), len(ahead), len(STATISTICS))
    predicted, actual = (
        np.full((*shape, len(LEVELS), history.series), np.nan),
        np.full((*shape, history.series), np.nan),
    )
    measured = history.measured
    for position, origin in enumerate(origins):
        reach = int(np.searchsorted(ahead, last - origin, side="right"))
        if reach:
            paths = simulate(history.until(int(origin)), ahead[:reach], Simulation(draw.paths, draw.seed + int(origin)))
            predicted[position, :reach] = quantiles(paths)
            actual[position, :reach] = measured[origin + ahead[:reach] - 1]
    return WeeklyBacktest(origins, ahead, predicted, actual)


def quantiles(paths: JointPaths) -> Reals:
    """Quantiles at LEVELS, (W, 2, L, M), by Hazen's rule: of a sum they are those of its own paths."""
    both = np.stack([paths.peak, paths.p95], axis=1)
    return np.ascontiguousarray(np.moveaxis(np.quantile(both, LEVELS, axis=-1, method="hazen"), 0, 2))


# Rows of a lake
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeakInputs:
    """What the weeks of one metric are drawn from: the sites' hours as in `SimulationHistory`, and what the series beyond
    them are called.

    refused: the series that have no rows.
    """

    series: tuple[Series, ...]
    history: SimulationHistory
    labels: tuple[str, ...]
    draw: Simulation
    refused: frozenset[Series] = frozenset()

    def without(self, sites: Collection[int]) -> PeakInputs:
        """The same without some sites (positions), which are refused; their sums are those of the other sites, of hours
        in place of the finest samples.
        """
        count, lost = self.history.hourly.shape[1], list(sites)
        hourly, (weeks, *weekly_values) = self.history.hourly.copy(), self.history.weekly
        hourly[:, lost] = np.nan
        peak, p95, completeness = (values.copy() for values in weekly_values)
        peak[:, lost], p95[:, lost], completeness[:, lost] = np.nan, np.nan, 0.0
        groups = tuple(
            np.array([site for site in group if site not in sites], dtype=int) for group in self.history.groups
        )
        for at, (before, after) in enumerate(zip(self.history.groups, groups, strict=True), count):
            if len(after) < len(before):
                sums = weekly(self.history.stamps, hourly[:, after].sum(axis=1)[:, None])
                peak[:, at], p95[:, at], completeness[:, at] = sums.peak[:, 0], sums.p95[:, 0], sums.completeness[:, 0]
        empty = {count + at for at, group in enumerate(groups) if not len(group)}
        history = replace(self.history, hourly=hourly, groups=groups, weekly=Weekly(weeks, peak, p95, completeness))
        return replace(self, history=history, refused=self.refused | {self.series[at] for at in {*lost, *empty}})


class PeakResult(NamedTuple):
    """Rows without run_id: `peaks` and `simulated_peaks`, and the `scores` of past peaks."""

    peaks: pd.DataFrame
    simulated_peaks: pd.DataFrame
    scores: pd.DataFrame


def peak_inputs(panel: Panel, metric: str, seed: int) -> PeakInputs | None:
    """The sites of a metric with the regions and the network that several of them make up; None where no site is
    forecast.
    """
    first = max(pd.Timestamp(panel.hourly.index[0]), panel.start - PEAK_HISTORY)
    hours = panel.hourly.loc[first:]
    sites = [one for one in panel.series if one.level == "site" and one.metric == metric and one not in panel.refused]
    if not sites or len(hours) < 2:
        return None
    groups = [
        (group, [sites.index(site) for site in members])
        for group, members in sorted(panel.week_sums.items(), key=lambda item: (item[0].level != "region", item[0].key))
        if group.metric == metric and len(members) > 1 and group not in panel.refused
    ]
    series = (*sites, *(name for name, _ in groups))
    stamps = hours.index.tz_convert(None).to_numpy().astype("datetime64[us]")
    weeks = np.arange(monday(stamps[0]), stamps[-1] + np.timedelta64(1, "us"), WEEK)
    grid = pd.date_range(
        pd.Timestamp(weeks[0], tz="UTC"), periods=(len(weeks) + WEEKS_PLANNED + 1) * 168, freq=HOUR, unit="us"
    )
    known = EventRegressors.of([panel.touching(one) for one in sites], grid)
    positions = tuple(np.array(members) for _, members in groups)
    history = SimulationHistory(
        stamps, hours[sites].to_numpy(float), positions, _weekly(panel.weeks, series, weeks), known
    )
    labels = tuple("site" if one.level == "site" else one.level for one in series)
    return PeakInputs(series, history, labels, Simulation(seed=seed))


def _weekly(rows: pd.DataFrame, series: Sequence[Series], weeks: Stamps) -> Weekly:
    """The weeks of some series side by side, missing where too few samples came."""
    whole = rows[rows["completeness"] >= MIN_WEEK_COMPLETENESS].copy()
    index = pd.DatetimeIndex(weeks).tz_localize("UTC")
    whole["column"] = pd.MultiIndex.from_frame(whole[list(Series._fields)]).to_flat_index()
    columns = [tuple(one) for one in series]
    wide = [
        whole.pivot_table(index="week", columns="column", values=name)
        .reindex(index=index, columns=columns)
        .to_numpy(float)
        for name in STATISTICS
    ]
    return Weekly(weeks, wide[0], wide[1], np.isfinite(wide[0]).astype(float))


def forecast_peaks_isolating_failures(inputs: PeakInputs) -> tuple[PeakResult, dict[Series, str]]:
    """The coming weeks of one metric without the sites that arithmetic fails on, in sums as well; runs in a worker.

    Returns the rows, and the reason for each series that has none because of a failure: one odd series does not decide
    for the others.
    """
    try:
        return forecast_weekly_peaks(inputs), {}
    except NUMERICAL_FAULTS as error:
        together = failure_reason(error)
    failing = _failing_sites(inputs, range(inputs.history.hourly.shape[1]))
    rest = inputs.without(failing)
    reasons = {one: failing.get(at, together) for at, one in enumerate(inputs.series) if one in rest.refused}
    try:
        return forecast_weekly_peaks(rest), {one: reasons[one] for one in reasons if one not in inputs.refused}
    except NUMERICAL_FAULTS as error:
        return PeakResult(NOTHING, NOTHING, NOTHING), dict.fromkeys(inputs.series, failure_reason(error))


def _failing_sites(inputs: PeakInputs, sites: range) -> dict[int, str]:
    """The sites (positions) that arithmetic fails on where they are alone, with the reasons; found by halves."""
    try:
        forecast_weekly_peaks(inputs.without([at for at in range(inputs.history.hourly.shape[1]) if at not in sites]))
    except NUMERICAL_FAULTS as error:
        if len(sites) == 1:
            return {sites[0]: failure_reason(error)}
        middle = len(sites) // 2
        return _failing_sites(inputs, sites[:middle]) | _failing_sites(inputs, sites[middle:])
    return {}


def forecast_weekly_peaks(inputs: PeakInputs) -> PeakResult:
    """Simulate and calibrate the coming weeks of one metric."""
    groups = np.unique(inputs.labels, return_inverse=True)[1]
    past = weekly_backtest(inputs.history, Simulation(TRIAL_PATHS, inputs.draw.seed))
    forecast = forecast_peaks(inputs.history, groups, WEEKS_PLANNED, inputs.draw, past)
    return PeakResult(
        *(
            _without_refused(rows, inputs.refused)
            for rows in (_peaks(inputs, forecast), _paths(inputs, forecast), _scores(inputs, forecast))
        )
    )


def _without_refused(rows: pd.DataFrame, refused: frozenset[Series]) -> pd.DataFrame:
    """The rows of all series but those that are refused."""
    return rows[~pd.MultiIndex.from_frame(rows[list(Series._fields)]).isin(refused)] if refused and len(rows) else rows


def _peaks(inputs: PeakInputs, forecast: PeakForecast) -> pd.DataFrame:
    shown = forecast.quantiles[:WEEKS_SHOWN]
    rows = _identified(inputs, forecast.weeks[:WEEKS_SHOWN])
    values = np.moveaxis(shown, (3, 0, 1, 2), (0, 1, 2, 3)).reshape(-1, len(LEVELS))
    return rows.assign(**{name: values[:, place] for place, name in enumerate(PEAK_QUANTILES)})[
        np.isfinite(values).all(axis=1)
    ]


def _paths(inputs: PeakInputs, forecast: PeakForecast) -> pd.DataFrame:
    both = np.stack([forecast.paths.peak, forecast.paths.p95], axis=1)
    values = np.moveaxis(both, (2, 0, 1, 3), (0, 1, 2, 3)).reshape(-1, both.shape[3]).astype(np.float32)
    return _identified(inputs, forecast.weeks).assign(samples=list(values))[np.isfinite(values).all(axis=1)]


def _identified(inputs: PeakInputs, weeks: Stamps) -> pd.DataFrame:
    """level, key, metric, week, statistic of every series, week and statistic, in that order."""
    each = len(weeks) * len(STATISTICS)
    identity = {name: np.repeat([getattr(one, name) for one in inputs.series], each) for name in Series._fields}
    stamps = (
        pd.DatetimeIndex(np.tile(np.repeat(weeks, len(STATISTICS)), len(inputs.series)))
        .tz_localize("UTC")
        .as_unit("us")
    )
    return pd.DataFrame({**identity, "week": stamps, "statistic": np.tile(STATISTICS, len(weeks) * len(inputs.series))})


def _scores(inputs: PeakInputs, forecast: PeakForecast) -> pd.DataFrame:
    """How often peak and P95 of past weeks, 1 to 4 weeks ahead, stayed below the calibrated quantiles, each calibrated
    from what was known at its origin.
    """
    rows: list[dict[str, object]] = []
    past = forecast.past
    bounds = calibrated(past.predicted, forecast.moves[:-1])
    for (statistic, model), (at, weeks), (name, level) in product(
        enumerate(SCORED), enumerate(past.ahead[past.ahead <= DIRECT]), SCORED_LEVELS.items()
    ):
        place = int(np.flatnonzero(level == LEVELS)[0])
        came = past.actual[:, at, statistic]
        bound = bounds[:, at, statistic, place]
        known = np.isfinite(bound) & np.isfinite(came)
        held = ((came <= bound) & known).sum(axis=0)
        for one, hits, count in zip(inputs.series, held, known.sum(axis=0), strict=True):
            if count >= HITS_AT_LEAST:
                rows.append(
                    {
                        **one._asdict(),
                        "model": model,
                        "horizon": f"week {weeks}",
                        "score": name,
                        "value": hits / count,
                        "origins": int(count),
                    }
                )
    return pd.DataFrame(rows)
