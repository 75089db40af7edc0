"""How fast is a refresh, against a plain loop that fits the same series with Prophet one after another?

    python -m benchmarks.refresh [--sites 48] [--days 180] [--workers 2] [--sample 6]

One JSON line. `seconds` is everything that `python -m forecasting refresh` does on a simulated lake, from reading to
the published run; `cpu_seconds` what it cost all processes, which a busy machine does not stretch as much. The plain
loop is Prophet as its documentation begins: default settings, fit on the hours, predict 90 days of hours with its 1,000
samples, and once more the band's 16 days of 5 minutes; measured on a few series, seconds a series.

`same_plan_over_ours` is the work of the same plan on Prophet over ours, in processor seconds. The refresh fits
Prophet's model twice (raw and logarithms) at each of its past origins and at the end; extrapolated from
the plain loop, that is 28 times its seconds a series for every series.

Measured when a third fit (a finer day) was among them, on two cores with nothing else to do (48 sites, 180 days, 136
series): 23.8 s, 45.3 processor seconds, with the plain loop at 1.9 s a series in the same minute; the same plan on
Prophet is 239 times the work. A quarter of it are the boosted trees, which the plan on Prophet would need as well and
is not charged with. The clock on the wall, evidence on sums and the far backtest made it a ninth more since: on a
machine that was half as fast, within ten minutes, 48.1 s and 91 processor seconds before, 54.1 s and 102 after them,
the same plan on Prophet 124 to 136 times the work.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries import extent
from forecasting.evaluation.backtest_batch import FAR, WEEKS_SHOWN
from forecasting.panel.panel import Panel
from forecasting.refresh import Summary, refresh
from forecasting.refresh.run import read_panel

# What a refresh does for each series, but for its baselines: fits of Prophet's model at each origin, and how many
# origins lie in the past.
FITS, ORIGINS = 2, WEEKS_SHOWN + FAR + 1


def main() -> None:
    """Make a lake, refresh it, run the plain loop, and print the line."""
    parser = argparse.ArgumentParser(description="Seconds of a refresh, against a plain loop over Prophet.")
    parser.add_argument("--sites", type=int, default=48)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sample", type=int, default=6, help="series of the plain loop")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-refresh-") as folder:
        lake = simulated(Path(folder) / "lake", options.sites, options.days)
        before = cpu_seconds()
        summary = refresh(lake, workers=options.workers)
        spent = cpu_seconds() - before
        plain = plain_seconds(panel(lake), options.sample)
    sys.stdout.write(json.dumps(line(options, summary, spent, plain)) + "\n")


def simulated(where: Path, sites: int, days: int) -> Lake:
    """A demo lake."""
    command = [
        sys.executable,
        "-m",
        "data",
        "demo",
        "--sites",
        str(sites),
        "--days",
        str(days),
        "--seed",
        "7",
        "--lake",
        str(where),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Lake(where)


def cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def panel(lake: Lake) -> Panel:
    """What the refresh fitted."""
    pin = lake.pin()
    held = extent(pin, EVERYTHING)
    if held is None:
        raise SystemExit("the simulated lake holds no telemetry")
    return read_panel(pin, held)


def plain_seconds(panel: Panel, sample: int) -> float:
    """Mean seconds a series of the plain loop, over series spread through the panel."""
    chosen = panel.series[:: max(1, len(panel.series) // sample)][:sample]
    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        for series in chosen:
            plain(panel.hourly[series].dropna())
    return (time.perf_counter() - began) / len(chosen)


def plain(hours: pd.Series) -> Sequence[pd.DataFrame]:
    """Prophet as its documentation begins."""
    from prophet import Prophet  # workers of the refresh import this module too, and have no use for it

    stamps = pd.DatetimeIndex(hours.index).tz_convert(None)
    model = Prophet().fit(pd.DataFrame({"ds": stamps, "y": hours.to_numpy()}))
    ahead = pd.date_range(stamps[-1], periods=90 * 24, freq="h")
    band = pd.date_range(stamps[-1] - pd.Timedelta(days=14), periods=16 * 288, freq="5min")
    return [model.predict(pd.DataFrame({"ds": wanted})) for wanted in (ahead, band)]


def line(options: argparse.Namespace, summary: Summary, cpu: float, plain: float) -> dict[str, float | str]:
    """What is printed."""
    series, fitted = len(summary.series_status), summary.count("fitted")
    figures = {
        "seconds": summary.seconds,
        "cpu_seconds": cpu,
        "series_per_second": series / summary.seconds,
        "plain_seconds_a_series": plain,
        "plain_over_ours": plain * fitted / summary.seconds,
        "same_plan_over_ours": plain * fitted * FITS * (ORIGINS + 1) / cpu,
    }
    size = {
        "sites": options.sites,
        "days": options.days,
        "workers": options.workers,
        "series": series,
        "fitted": fitted,
    }
    return {"benchmark": "refresh", **size, **{name: round(value, 3) for name, value in figures.items()}}


if __name__ == "__main__":
    main()
