"""Do the weekly peaks come as often as their quantiles say, and do forecasts of sites add up to a better one of the
network?

    python -m benchmarks.peaks [--datasets ../shared/datasets] [--networks 201,202,203,204] [--only
    simulator,p2p_live,zabbix,years,agreement]

One JSON line for each data set, metric and statistic (`peak`, `p95`): weekly answers of 1 to 4 weeks ahead from every
Monday on, each calibrated on what had come by then alone. `below_90` is the share of weeks at or under the 0.9
quantile, `paths_90` the same of the paths before calibration; `median_error` the median relative error of the 0.5
quantile, `last_week_error` that of last week's value repeated. Simulated networks: 13 months of 5-minute telemetry, the
origins of the last half year; p2p_live and zabbix: those with three measured weeks or more. `agreement` lines: WAPE of
hourly forecasts held back at the end, of the sums by a fit of their own, by adding up the sites, and reconciled.

Ageing, the weight of other horizons and the feedback (calibration.py) and the priors of the trend (paths.py) were
chosen on the simulated networks 101 to 103, and are reported on 201 to 204; p2p_live and zabbix were looked at while
choosing, so theirs are no held-back figures, nor are those of `years`. How medians follow the last weeks
(recent_weeks.py) was chosen on these three and on 101 and 103.

Below the 0.9 and the 0.95 quantile, near (1 to 4 weeks ahead) and far (8 to 13), and the relative error of the median
(peak, P95):

    data             answers   peak 0.9, 0.95   P95 0.9, 0.95   the median       last week repeated
    201 to 204        52,528   0.918  0.964     0.941  0.979    4.6 %, 3.8 %     6.4 %, 4.7 %
    the same, far     35,912   0.944  0.978     0.960  0.987    5.2 %, 4.4 %     8.6 %, 7.2 %
    p2p_live             648   0.966  0.981     0.960  0.966    13.3 %, 9.7 %    13.3 %, 9.7 %
    zabbix               164   0.951  0.963     0.866  0.878    0.2 %, 7.0 %     0.2 %, 7.0 %
    years              1,960   0.931  0.965     0.914  0.969    10.8 %, 10.9 %   10.8 %, 10.9 %
    years, far         1,340   0.863  0.954     0.864  0.933    19.2 %, 21.3 %   19.2 %, 21.3 %

p2p_live has six weeks, so its answers hang together: one metric alone is at 0.84 to 1.00. Adding up the sites beats a fit
of the sum on 10 of 12 simulated network series (mean WAPE of the network 0.034 against 0.036) and is level with it on
abilene (0.085 each); reconciled forecasts lie between and are worse for the sites. So sums are served.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.holdout import SETS, measured
from data.schema import DEMAND_METRICS, MIN_PEAK_WEEKS
from data.simulator.options import TICKS_A_DAY, SimulationOptions
from data.simulator.simulation import simulate as simulation
from forecasting.panel.history import nan_sum
from forecasting.peaks.calibration import (
    DIRECT,
    LEVELS,
    MIDDLE,
    WeeklyBacktest,
    Whole,
    calibrated,
    log_errors,
    offsets,
    pooled,
)
from forecasting.peaks.simulation import HOUR, SEASONS, STATISTICS, STIFF, SimulationHistory
from forecasting.peaks.weekly_peaks import PEAK_HISTORY, follow_recent_weeks, weekly_backtest
from forecasting.peaks.weekly_statistics import WEEK, Reals, Stamps, grain, weekly
from forecasting.prophet_map.fit import Spec, fit

SITES, DAYS, END = 16, 400, datetime(2026, 11, 2, tzinfo=UTC)
# The first four weeks ahead, and from 8 to 13; the others are those that the product checks between them.
AHEAD = np.array([1, 2, 3, 4, 6, 8, 9, 11, 13])
REACHES = {"near": (1, 4), "far": (8, 13)}
HALF_A_YEAR = 26
# An origin with fewer measured weeks has no past forecast to be calibrated on; the first week of both real sets is cut
# off.
FIRST = 1 + MIN_PEAK_WEEKS


class Case(NamedTuple):
    """A history to forecast from its position `first` on, and which series calibrate each other."""

    data: str
    metric: str
    history: SimulationHistory
    groups: Whole
    first: int


def main() -> None:
    """Measure what is asked for, one line for each figure."""
    parser = argparse.ArgumentParser(description="Coverage of weekly peaks, and agreement across levels.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    parser.add_argument(
        "--networks", default="201,202,203,204", help="seeds of simulated networks (default: %(default)s)"
    )
    parser.add_argument("--only", default="simulator,p2p_live,zabbix,years,agreement")
    options = parser.parse_args()
    seeds, only = [int(seed) for seed in options.networks.split(",")], options.only.split(",")
    simulated = [case for seed in seeds for case in networks(seed)] if {"simulator", "agreement"} & set(only) else []
    real = {"p2p_live": p2p_live, "zabbix": zabbix, "years": years}
    cases = [
        *(simulated if "simulator" in only else []),
        *(case for name, read in real.items() if name in only for case in read(options.datasets)),
    ]
    together: dict[tuple[str, str, str], list[pd.DataFrame]] = {}
    for case in cases:
        rows = answers(case)
        for (name, (first, last)), statistic in product(REACHES.items(), STATISTICS):
            part = rows[(rows["statistic"] == statistic) & rows["ahead"].between(first, last)]
            if len(part):
                together.setdefault((case.data.split("-")[0], statistic, name), []).append(part)
                line = {"data": case.data, "metric": case.metric, "statistic": statistic, "ahead": name}
                say("peaks", {**line, **summary(part)})
    for (data, statistic, name), parts in together.items():
        line = {"data": data, "metric": "all", "statistic": statistic, "ahead": name}
        say("peaks", {**line, **summary(pd.concat(parts))})
    if "agreement" in only:
        for data, metric, stamps, sites, groups, held in [*abilene(options.datasets), *held_back(simulated)]:
            say("agreement", {"data": data, "metric": metric, **agreement(stamps, sites, groups, held)})


def say(benchmark: str, line: dict[str, object]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps({"benchmark": benchmark, **line}) + "\n")
    sys.stdout.flush()


# Data
# ----------------------------------------------------------------------------------------------------------------------


def networks(seed: int) -> Iterator[Case]:
    """The demand metrics of a simulated network, with its regions and itself."""
    world = simulation(SimulationOptions(END, sites=SITES, days=DAYS, seed=seed))
    place = {site: number for number, site in enumerate(world.network.world.site_ids)}
    first = np.datetime64(END.replace(tzinfo=None), "us") - np.timedelta64(DAYS, "D")
    stamps = first + np.arange(DAYS * TICKS_A_DAY) * np.timedelta64(5, "m")
    values = {metric: np.full((len(stamps), SITES), np.nan) for metric in DEMAND_METRICS}
    for day in world.days():
        row = ((day.telemetry["ts"].to_numpy().astype("datetime64[us]") - first) / np.timedelta64(5, "m")).astype(
            np.int64
        )
        column = [place[site] for site in day.telemetry["site_id"].to_pylist()]
        for metric, grid in values.items():
            grid[row, column] = day.telemetry[metric].to_numpy()
    for metric, grid in values.items():
        held = np.isfinite(grid).any(axis=0)
        region = world.network.world.region[held]
        groups = [np.flatnonzero(region == one) for one in np.unique(region)]
        history = history_of(stamps, grid[:, held], [*groups, np.arange(held.sum())])
        yield Case(f"simulator-{seed}", metric, history, levels_of(history), history.whole_weeks - HALF_A_YEAR)


def p2p_live(datasets: Path) -> Iterator[Case]:
    """Countries and their total."""
    real = SETS["p2p_live"]
    truth = measured(datasets, real)
    for metric in real.columns.values():
        sites = {
            series.key: values for series, values in truth.items() if series.level == "site" and series.metric == metric
        }
        stamps = next(iter(sites.values())).index.tz_localize(None).to_numpy("datetime64[us]")
        history = history_of(stamps, np.column_stack(list(sites.values())), [np.arange(len(sites))])
        yield Case("p2p_live", metric, history, np.zeros(history.series, dtype=np.int64), FIRST)


def zabbix(datasets: Path) -> Iterator[Case]:
    """One interface: hourly means, whose P95 is theirs, and peaks of the minutes."""
    rows = pd.read_parquet(datasets / "zabbix_link/hourly.parquet").set_index("ts").asfreq("h")
    stamps, mean, highest = (
        rows.index.to_numpy("datetime64[us]"),
        rows[["avg_mbps"]].to_numpy(float),
        rows[["max_mbps"]].to_numpy(float),
    )
    history = SimulationHistory(stamps, mean, (), weekly(stamps, mean)._replace(peak=weekly(stamps, highest).peak))
    yield Case("zabbix", "avg_mbps", history, np.zeros(1, dtype=np.int64), FIRST)


def years(datasets: Path) -> Iterator[Case]:
    """The hourly series, each alone, in the last 13 months and the 13 months that end 330 days before."""
    rows = pd.read_parquet(datasets / "years/hourly.parquet")
    for name, part in rows.groupby("series_id"):
        hours = part.set_index("ts")[["y"]].asfreq("h")
        for end in (hours.index[-1] - pd.Timedelta(days=330), hours.index[-1]):
            window = hours.loc[end - PEAK_HISTORY : end]
            stamps, values = window.index.to_numpy("datetime64[us]"), window.to_numpy(float)
            history = SimulationHistory(stamps, values, (), weekly(stamps, values))
            yield Case("years", str(name), history, np.zeros(1, dtype=np.int64), history.whole_weeks - HALF_A_YEAR)


def history_of(stamps: Stamps, samples: Reals, groups: list[Whole]) -> SimulationHistory:
    """A history from samples of sites; a group's sample is the sum of the sites that were measured."""
    sums = np.column_stack([np.nansum(samples[:, members], axis=1) for members in groups])
    every = int(HOUR / grain(stamps))
    with warnings.catch_warnings():
        # An hour without any sample is NaN, and stays so.
        warnings.simplefilter("ignore", RuntimeWarning)
        hourly = np.nanmean(samples.reshape(-1, every, samples.shape[1]), axis=1)
    return SimulationHistory(stamps[::every], hourly, tuple(groups), weekly(stamps, np.hstack([samples, sums])))


def levels_of(history: SimulationHistory) -> Whole:
    """Sites calibrate sites, sums calibrate sums."""
    return np.asarray(np.arange(history.series) >= history.hourly.shape[1], dtype=np.int64)


# Coverage
# ------------------------------------------------------------------------------------------------------------------


def answers(case: Case) -> pd.DataFrame:
    """One row for each weekly answer: what came, last week's value, and the quantiles before and after calibration."""
    simulated = weekly_backtest(case.history, recent=case.history.whole_weeks, ahead=AHEAD)
    past = follow_recent_weeks(case.history, case.groups, simulated).past
    bounds = calibrated(past.predicted, offsets_of_all_horizons(past, case.groups, case.history.whole_weeks))
    before = np.broadcast_to(case.history.measured[past.origins - 1][:, None], past.actual.shape)
    columns = {"actual": past.actual, "last_week": before}
    columns |= {
        f"{name}_{round(100 * level)}": values[:, :, :, number]
        for name, values in (("paths", simulated.predicted), ("q", bounds))
        for number, level in enumerate(LEVELS)
    }
    columns["statistic"] = np.broadcast_to(np.array(STATISTICS)[None, None, :, None], past.actual.shape)
    columns["ahead"] = np.broadcast_to(past.ahead[None, :, None, None], past.actual.shape)
    kept = past.origins >= case.first
    rows = pd.DataFrame({name: values[kept].ravel() for name, values in columns.items()})
    return rows[rows["actual"].notna() & rows["q_50"].notna()]


def offsets_of_all_horizons(past: WeeklyBacktest, groups: Whole, now: int) -> Reals:
    """Offsets at each past origin, (O, A, 2, L, M): near ones as the product's, far ones by the same rule from what was
    known there, with the feedback of the last near one.
    """
    moves = np.array(offsets(past, groups, now)[:-1])
    near = int(np.searchsorted(past.ahead, DIRECT, side="right"))
    errors = log_errors(past)
    for position, origin in enumerate(past.origins):
        fed_back = moves[position, near - 1] - pooled(past, errors, groups, int(origin), near - 1)
        for at in range(near, len(past.ahead)):
            if np.isfinite(past.predicted[position, at]).any():
                moves[position, at] = pooled(past, errors, groups, int(origin), at) + fed_back
    return moves


def summary(rows: pd.DataFrame) -> dict[str, object]:
    """Shares of weeks at or under each quantile, and errors."""
    came = rows["actual"]
    shares = {f"below_{q}": (came <= rows[f"q_{q}"]).mean() for q in (5, 10, 50, 90, 95)} | {
        f"paths_{q}": (came <= rows[f"paths_{q}"]).mean() for q in (90, 95)
    }
    errors = {
        "median_error": (rows[f"q_{round(100 * LEVELS[MIDDLE])}"] / came - 1).abs().median(),
        "last_week_error": (rows["last_week"] / came - 1).abs().median(),
    }
    return {
        "weeks": len(rows),
        **{name: round(float(value), 3 if name in shares else 4) for name, value in {**shares, **errors}.items()},
    }


# Agreement
# -----------------------------------------------------------------------------------------------------------------


def abilene(datasets: Path) -> Iterator[tuple[str, str, Stamps, Reals, list[Whole], int]]:
    """Twelve sites and their total; of 14 days the last 4 are held back."""
    truth = measured(datasets, SETS["abilene"])
    for metric in SETS["abilene"].columns.values():
        sites = pd.DataFrame(
            {s.key: v.resample("h").mean() for s, v in truth.items() if s.level == "site" and s.metric == metric}
        )
        yield (
            "abilene",
            metric,
            sites.index.tz_localize(None).to_numpy("datetime64[us]"),
            sites.to_numpy(),
            [np.arange(sites.shape[1])],
            4 * 24,
        )


def held_back(cases: list[Case]) -> Iterator[tuple[str, str, Stamps, Reals, list[Whole], int]]:
    """Simulated networks, the last 4 weeks held back; missing hours are filled by those of the week before, so that
    sums always mean the same.
    """
    for case in cases:
        sites = pd.DataFrame(case.history.hourly)
        full = sites.fillna(sites.shift(int(WEEK / HOUR))).bfill().to_numpy()
        yield case.data, case.metric, case.history.stamps, full, list(case.history.groups), 4 * int(WEEK / HOUR)


def agreement(stamps: Stamps, sites: Reals, groups: list[Whole], held: int) -> dict[str, object]:
    """WAPE of the network (the last group) and of all groups: direct, bottom-up and reconciled; and what reconciliation
    does to the sites.
    """
    truth = bottom_up(sites, groups)
    known = pd.DatetimeIndex(stamps[:-held])
    spec = Spec(
        SEASONS,
        log=True,
        growth="linear" if stamps[-1] - stamps[0] > HALF_A_YEAR * WEEK else "flat",
        changepoint_prior=STIFF,
    )
    curves = fit(known, truth[:-held], spec)
    direct, variances = (
        curves.predict(pd.DatetimeIndex(stamps[-held:])),
        (truth[:-held] - curves.predict(known)).var(axis=0),
    )
    found = {
        "direct": direct,
        "bottom_up": bottom_up(direct[:, : sites.shape[1]], groups),
        "reconciled": mint_diagonal(direct, groups, variances),
    }
    parts = {"network": slice(-1, None), "groups": slice(sites.shape[1], None), "sites": slice(0, sites.shape[1])}
    return {
        f"{part}_{name}": round(wape(truth[-held:, of], values[:, of]), 4)
        for part, of in parts.items()
        for name, values in found.items()
    }


def bottom_up(sites: Reals, groups: Sequence[Whole]) -> Reals:
    """(H, N + G): forecasts of N sites, (H, N), and their sums over G groups of positions.

    A site without a forecast (NaN) is left out of the sums; a group without any is NaN.
    """
    return np.column_stack([sites, *(nan_sum(sites[:, members].T) for members in groups)])


def mint_diagonal(forecasts: Reals, groups: Sequence[Whole], variances: Reals) -> Reals:
    """(H, N + G): the forecasts of sites and groups, (H, N + G), moved as little as makes them add up, those with a
    large error variance, (N + G,), the most.

    Never negative: what falls below zero is zero, and the sums are taken after it. Raises ValueError where a value or a
    variance is not finite, or no variance is above zero.
    """
    count = forecasts.shape[1] - len(groups)
    if not np.isfinite(forecasts).all() or not (np.isfinite(variances) & (variances > 0.0)).all():
        raise ValueError("forecasts must be finite and variances above zero: leave out the series that have none")
    if not groups:
        return np.maximum(forecasts, 0.0)
    member = np.zeros((len(groups), count))
    for row, members in zip(member, groups, strict=True):
        row[members] = 1.0
    weighted = member * variances[:count]
    lacking = forecasts[:, count:] - forecasts[:, :count] @ member.T
    moved = np.linalg.solve(weighted @ member.T + np.diag(variances[count:]), lacking.T)
    return bottom_up(np.maximum(forecasts[:, :count] + moved.T @ weighted, 0.0), groups)


def wape(truth: Reals, values: Reals) -> float:
    """Sum of absolute errors over the sum of the values."""
    return float(np.abs(truth - values).sum() / np.abs(truth).sum())


if __name__ == "__main__":
    main()
