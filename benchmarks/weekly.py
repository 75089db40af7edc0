"""How long does the peak of every week take, of all sites, regions and the network, from the 5-minute samples? Against
pandas on the same files.

    python -m benchmarks.weekly [--lake FOLDER] [--runs 5]

One JSON line, times in milliseconds. The pandas code is what a notebook would hold: it reads the columns that it needs
from the files of the lake and sums sites by stamp; it knows that all samples lie on one grain. Answers are compared
before anything is timed. Runs take turns, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.__main__ import BENCH
from data import queries
from data.lake.query import EVERYTHING
from data.lake.tables import Lake, Pin, files

METRIC = "egress_gbps"
ENOUGH = 0.9


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 where the answers differ."""
    parser = argparse.ArgumentParser(description="Weekly peaks, against pandas on the raw files.")
    parser.add_argument("--lake", default=str(BENCH / "demo"), help="a lake (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    pin = Lake(options.lake).pin()
    held = queries.extent(pin, EVERYTHING)
    if held is None:
        parser.error(f"the lake {options.lake} holds no telemetry")
    ways: dict[str, Callable[[], pd.DataFrame]] = {
        "weekly_ms": lambda: queries.weekly(pin, EVERYTHING, (METRIC,), held.first, held.now),
        "pandas_ms": lambda: by_pandas(pin),
    }
    same = agree(*(way() for way in ways.values()))
    times = {name: statistics.median(taken) for name, taken in timed(ways, options.runs).items()}
    line = {
        "bench": "weekly",
        "sites": held.sites,
        **times,
        "ratio": times["pandas_ms"] / times["weekly_ms"],
        "baseline": "pandas",
        "same": same,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    return 0 if same else 1


def by_pandas(pin: Pin) -> pd.DataFrame:
    """level, key, week, peak, p95."""
    paths = [path for path, _ in files(pin.url, "telemetry", pin.version("telemetry") or 0)]
    columns = ["site_id", "ts", METRIC]
    rows = pd.concat([pd.read_parquet(path, columns=columns, partitioning=None) for path in paths]).merge(
        queries.catalogue(pin, EVERYTHING)[["site_id", "region_id"]]
    )
    parts = []
    for level, keys in (("site", rows["site_id"]), ("region", rows["region_id"]), ("global", "all")):
        stamps = rows.assign(key=keys).groupby(["key", "ts"])[METRIC].agg(["sum", "count"]).reset_index()
        stamps = stamps[stamps["count"] >= ENOUGH * stamps.groupby("key")["count"].transform("max")]
        week = stamps["ts"].dt.floor("D") - pd.to_timedelta(stamps["ts"].dt.day_of_week, unit="D")
        groups = stamps.assign(week=week).groupby(["key", "week"])["sum"]
        parts.append(
            pd.DataFrame({"peak": groups.max(), "p95": groups.quantile(0.95)}).reset_index().assign(level=level)
        )
    return pd.concat(parts)


def agree(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    """Whether both have the same weeks and the same values."""
    names = ["level", "key", "week"]
    both = ours.merge(theirs, on=names, how="outer", suffixes=("", "_pandas"))
    return len(both) == len(ours) == len(theirs) and all(
        np.allclose(both[name], both[f"{name}_pandas"]) for name in ("peak", "p95")
    )


def timed(ways: dict[str, Callable[[], pd.DataFrame]], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each way, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            taken[name].append(1000 * (time.perf_counter() - start))
    return taken


if __name__ == "__main__":
    sys.exit(main())
