"""Does a forecast of 90 days carry growth and a year, and do its bands hold what they say?

    python -m benchmarks.long_range [--datasets ../shared/datasets] [--networks 501,502] [--sites 12] [--only lakes,years]

One JSON line for each figure. `lakes`: simulated networks of 400 days, egress by the hour with the announced events,
refreshed at five cuts, 30 days apart, each against the 90 days that came: all levels, as a run publishes them. `years`:
the real series of `../shared/datasets/years`, each alone as `python -m forecasting forecast` takes it, 90 days ahead
from origins 60 days apart with at least 400 days known.

`mase`: the mean over series and origins of the mean absolute error in units of the mean change from one season to the
next, a day for hourly series and a week for daily ones. `bias`: the mean over series of the absolute mean error of all
origins, as a share of the mean absolute error. `coverage_80`, `coverage_95`: shares of steps within the bands.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.accuracy import say
from data.schema import GLOBAL_KEY, Series
from data.simulator.options import TICKS_A_DAY, SimulationOptions
from data.simulator.simulation import Simulation
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import horizon_bands
from forecasting.evaluation.model_selection import ORIGINS, backtest_pool, select_and_calibrate
from forecasting.models.engine import IDENTITY, ForecastOptions
from forecasting.panel.history import History, Reals
from forecasting.panel.panel import HOUR, Panel, Sources, build
from forecasting.refresh.licensed_engine import LicensedEngine
from forecasting.refresh.workers import pool

END, DAYS, HORIZON_DAYS = datetime(2026, 11, 2, tzinfo=UTC), 400, 90
CUTS, DAYS_BETWEEN_CUTS = 5, 30
METRIC = "egress_gbps"
DAY = 24
# Of the real series: days that an origin knows at least, and days from one origin to the next.
KNOWN_DAYS, DAYS_BETWEEN_ORIGINS = 400, 60
SEASONS = {"hourly": (24, 168), "daily": (7,)}
QUANTILES = ("q10", "q90", "q025", "q975")
SCORES = ("error", "signed", "in_80", "in_95")


def main() -> None:
    """Measure what is asked for, and print a line for each figure."""
    parser = argparse.ArgumentParser(description="Errors, bias and coverage of forecasts up to 90 days ahead.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--networks", default="501,502", help="seeds of simulated networks (default: %(default)s)")
    parser.add_argument("--sites", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="lakes,years")
    options = parser.parse_args()
    parts = options.only.split(",")
    with pool(options.workers) as executor:
        if "lakes" in parts:
            frames = []
            for seed in map(int, options.networks.split(",")):
                began = time.perf_counter()
                frames.append(lake_scores(seed, options.sites, executor))
                print_scores("lakes", frames[-1], network=seed, seconds=round(time.perf_counter() - began, 1))
            print_scores("lakes", pd.concat(frames), network="all")
        if "years" in parts:
            if not options.datasets.is_dir():
                sys.exit(f"no real data sets at {options.datasets}; name their folder with --datasets")
            frames = [year_scores(*one, executor) for one in real_series(options.datasets)]
            for frame in frames:
                print_scores("years", frame, series=frame["series"].iloc[0])
            for grain, part in pd.concat(frames).groupby("level"):
                print_scores("years", part, series=f"all {grain}")


def print_scores(part: str, rows: pd.DataFrame, **about: Any) -> None:
    """A line for each level and band of horizons."""
    for (level, horizon), scores in rows.groupby(["level", "horizon"], sort=False):
        by_series = scores.groupby("series")[list(SCORES)].mean()
        say(
            {
                "benchmark": "long_range",
                "data": part,
                **about,
                "level": level,
                "horizon": horizon,
                "series": len(by_series),
                "origins": len(scores),
                "mase": round(float(by_series["error"].mean()), 4),
                "bias": round(float((by_series["signed"].abs() / by_series["error"]).mean()), 3),
                "coverage_80": round(float(by_series["in_80"].mean()), 3),
                "coverage_95": round(float(by_series["in_95"].mean()), 3),
            }
            | ({"series": about["series"]} if "series" in about else {})
        )


def scored(point: Reals, bounds: Reals, actual: Reals, scale: Reals, step: pd.Timedelta) -> Iterator[dict[str, Any]]:
    """For each band of horizons and series: its place, scaled errors, and shares within the bands; point and actual are
    (H, N), bounds (H, N, 4) the `QUANTILES`.
    """
    for band in horizon_bands(step, len(actual)):
        steps = slice(band.first, band.last)
        signed = (point[steps] - actual[steps]) / scale
        within = [
            (actual[steps] >= bounds[steps, :, low]) & (actual[steps] <= bounds[steps, :, high])
            for low, high in ((0, 1), (2, 3))
        ]
        measured = np.isfinite(actual[steps])
        for place in np.flatnonzero(measured.any(axis=0) & np.isfinite(point[steps]).all(axis=0)):
            rows = measured[:, place]
            yield {
                "place": int(place),
                "horizon": band.name,
                "error": float(np.abs(signed[rows, place]).mean()),
                "signed": float(signed[rows, place].mean()),
                "in_80": float(within[0][rows, place].mean()),
                "in_95": float(within[1][rows, place].mean()),
            }


# Simulated lakes
# ----------------------------------------------------------------------------------------------------------------------


def lake_scores(seed: int, sites: int, executor: Executor) -> pd.DataFrame:
    """Scores of every series of a network at all cuts."""
    world = Simulation(SimulationOptions(END, sites=sites, days=DAYS, seed=seed))
    hours = hourly_egress(world)
    frames = []
    for back in range(CUTS)[::-1]:
        now = pd.Timestamp(END) - timedelta(days=HORIZON_DAYS + back * DAYS_BETWEEN_CUTS)
        panel = panel_until(world, hours, now)
        ahead = pd.concat(result.forecasts for result in LicensedEngine().forecast(panel, ForecastOptions(), executor))
        frames.append(panel_scores(panel, hours, ahead).assign(cut=str(now.date())))
    frame = pd.concat(frames)
    return frame.assign(series=frame["series"] + f" {seed}")


def hourly_egress(world: Simulation) -> pd.DataFrame:
    """Hourly means of each site, its region and the network: a column for each `Series`, index UTC; a sum is of the
    sites that were measured.
    """
    keys = world.network.world.site_ids
    place = {site: number for number, site in enumerate(keys)}
    first = np.datetime64(world.options.start.replace(tzinfo=None), "us")
    grid = np.full((world.options.days * TICKS_A_DAY, len(keys)), np.nan)
    for day in world.telemetry_days():
        row = ((day["ts"].to_numpy().astype("datetime64[us]") - first) / np.timedelta64(5, "m")).astype(np.int64)
        grid[row, [place[site] for site in day["site_id"].to_pylist()]] = day[METRIC].to_numpy()
    stamps = pd.date_range(world.options.start, periods=len(grid), freq="5min", unit="us", name="ts")
    of_sites = pd.DataFrame(grid, stamps, keys).resample("h").mean()
    regions = world.sites.to_pandas().set_index("site_id")["region_id"]
    of_regions = of_sites.T.groupby(regions).sum(min_count=1).T
    network = of_sites.sum(axis=1, min_count=1).to_frame(GLOBAL_KEY)
    columns = [
        *(Series("site", str(key), METRIC) for key in of_sites),
        *(Series("region", str(key), METRIC) for key in of_regions),
        Series("global", GLOBAL_KEY, METRIC),
    ]
    return pd.concat([of_sites, of_regions, network], axis=1).set_axis(columns, axis=1)


def panel_until(world: Simulation, hours: pd.DataFrame, now: pd.Timestamp) -> Panel:
    """What a lake of these hours holds at a moment."""
    known = hours[hours.index < now]
    rows = pd.concat(
        pd.DataFrame({"level": one.level, "key": one.key, "ts": known.index, METRIC: known[one].to_numpy()})
        for one in known
    ).assign(completeness=1.0)
    sites = world.sites.to_pandas().set_index("site_id")
    return build(
        Sources(
            rows,
            rows[rows["ts"] >= now - timedelta(days=28)].drop(columns="completeness"),
            sites["region_id"].to_dict(),
            world.events.to_pandas(),
            now,
            HOUR,
            sites["timezone"].to_dict(),
            countries=sites["country"].to_dict(),
        ),
        [METRIC],
    )


def panel_scores(panel: Panel, hours: pd.DataFrame, forecasts: pd.DataFrame) -> pd.DataFrame:
    """Scores of a run's forecasts by level, against the hours that came."""
    rows = []
    for key, part in forecasts.groupby(IDENTITY):
        series, ahead = Series(*key), part.set_index("ts").sort_index()
        actual = hours[series].reindex(ahead.index).to_numpy(float)[:, None]
        scale = metrics.seasonal_scale(panel.hourly[[series]].to_numpy(float), DAY)
        point, bounds = ahead["yhat"].to_numpy()[:, None], ahead[list(QUANTILES)].to_numpy()[:, None]
        rows += [
            {"series": f"{series.level} {series.key}", "level": series.level, **score}
            for score in scored(point, bounds, actual, scale, HOUR)
        ]
    return pd.DataFrame(rows)


# Real series of years
# ----------------------------------------------------------------------------------------------------------------------


def real_series(datasets: Path) -> Iterator[tuple[str, str, pd.Series]]:
    """The grain, the name and the values of each real series."""
    for grain in SEASONS:
        rows = pd.read_parquet(datasets / "years" / f"{grain}.parquet")
        for name, part in rows.groupby("series_id"):
            yield grain, str(name), part.set_index("ts")["y"].asfreq("h" if grain == "hourly" else "D")


def year_scores(grain: str, name: str, values: pd.Series, executor: Executor) -> pd.DataFrame:
    """Scores of one series at all origins."""
    day = round(pd.Timedelta(days=1) / pd.Timedelta(values.index.freq))
    origins = range(KNOWN_DAYS * day, len(values) - HORIZON_DAYS * day + 1, DAYS_BETWEEN_ORIGINS * day)
    jobs = [executor.submit(origin_scores, values, SEASONS[grain], origin, HORIZON_DAYS * day) for origin in origins]
    frame = pd.concat(job.result() for job in jobs)
    return frame.assign(series=f"{name} {grain}", level=grain)


def origin_scores(values: pd.Series, seasons: tuple[int, ...], origin: int, horizon: int) -> pd.DataFrame:
    """Scores of the forecast from one origin."""
    history = History(pd.DatetimeIndex(values.index[:origin]), values.to_numpy(float)[:origin, None], seasons)
    selected = select_and_calibrate(backtest_pool(history, horizon, count=ORIGINS))
    actual = values.to_numpy(float)[origin : origin + horizon, None]
    scale = metrics.seasonal_scale(history.measured, history.short)
    bounds = selected.quantiles[:, :, [1, 5, 0, 6]]
    rows = list(scored(selected.point, bounds, actual, scale, history.step))
    return pd.DataFrame(rows).assign(origin=str(values.index[origin]))


if __name__ == "__main__":
    main()
