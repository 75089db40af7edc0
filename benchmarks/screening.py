"""How many true samples does a refresh set aside, and how many that were made up does it find?

    python -m benchmarks.screening [--datasets ../shared/datasets] [--each 25]

One JSON line for each set: `samples` above zero, `set_aside` of them, `per_10000` (bar: under 1), `level_changes`. The
true series are taken as they are; those that hold traffic of live events are worldcup98 and the simulated tournaments.
`recall` has the share of made-up runs that were set aside whole, by factor and length: so many samples in a row, drawn at
random with a fixed seed, times 10, 100 or 1,000. `recall_above` is that of the runs that lie above all else that the series
holds: what lies below moves no peak. Every set is measured with the capacity that its places declare, and without any.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.holdout import SETS, measured
from data.simulator.options import SimulationOptions
from data.simulator.simulation import simulate
from forecasting.panel.screening import screen_series

FACTORS, LENGTHS = (10, 100, 1000), (1, 2, 3)
# Networks with two to four weeks of match days each.
NETWORKS, SITES, DAYS = (11, 12), 12, 56
MBPS = 1e-3
Values = Mapping[str, tuple[pd.Series, float]]


def main() -> None:
    """Measure, and print a line for each set."""
    parser = argparse.ArgumentParser(description="True and made-up samples that are set aside.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--each", type=int, default=25, help="made-up runs of each kind and set (default: %(default)s)")
    options = parser.parse_args()
    for name, grain, series in sets(options.datasets):
        for with_capacity in (True, False) if any(np.isfinite(limit) for _, limit in series.values()) else (False,):
            known = series if with_capacity else {key: (values, np.nan) for key, (values, _) in series.items()}
            line = {"benchmark": "screening", "data": name, "grain": grain, "capacity": with_capacity}
            sys.stdout.write(json.dumps({**line, **kept(known), **recall(name, known, options.each)}) + "\n")
            sys.stdout.flush()


def sets(datasets: Path) -> Iterator[tuple[str, str, Values]]:
    """Name, grain, and the values and capacity (NaN where unknown) of every series."""
    limits = pd.read_parquet(datasets / "abilene/nodes.parquet").set_index("node")["capacity_gbps"]
    limits.index = limits.index.str.lower()
    crowd = pd.read_parquet(datasets / "worldcup98/requests_5min.parquet").set_index("ts")["requests"].astype(float)
    collected: dict[str, Values] = {
        name: {
            str(series): (values, float(limits.get(series.key, np.nan)) if name == "abilene" else np.nan)
            for series, values in measured(datasets, real).items()
        }
        for name, real in SETS.items()
    }
    collected["worldcup98"] = {"requests": (crowd.tz_localize("UTC"), np.nan)}
    collected["simulated"] = simulated()
    for name, series in collected.items():
        yield name, "5min", series
        yield name, "1h", {key: (values.resample("h").mean(), limit) for key, (values, limit) in series.items()}


def simulated() -> Values:
    """Egress and viewers of every site of two networks, with the greatest capacity in force."""
    series: dict[str, tuple[pd.Series, float]] = {}
    for seed in NETWORKS:
        network = simulate(SimulationOptions(end=datetime(2026, 7, 20, tzinfo=UTC), sites=SITES, days=DAYS, seed=seed))
        rows = pd.concat(
            [day.select(["ts", "site_id", "egress_gbps", "viewers"]).to_pandas() for day in network.telemetry_days()]
        )
        steps = network.capacity.to_pandas()
        limits = (
            steps[(steps["direction"] == "egress") & (steps["status"] != "planned")]
            .groupby("site_id")["capacity_gbps"]
            .max()
        )
        for site, of_site in rows.set_index("ts").groupby("site_id"):
            series[f"{seed}/{site}/egress"] = of_site["egress_gbps"].dropna(), float(limits.get(site, np.nan))
            series[f"{seed}/{site}/viewers"] = of_site["viewers"].dropna(), np.nan
    return series


def kept(series: Values) -> dict[str, float]:
    """What is set aside of the true samples."""
    samples = sum(int((values > 0.0).sum()) for values, _ in series.values())
    screened = [screen_series(values.dropna(), limit) for values, limit in series.values()]
    aside = sum(len(each.set_aside) for each in screened)
    changes = sum(len(each.level_changes) for each in screened)
    return {
        "series": len(series),
        "samples": samples,
        "set_aside": aside,
        "per_10000": round(1e4 * aside / samples, 3),
        "level_changes": changes,
    }


def recall(name: str, series: Values, each: int) -> dict[str, dict[str, float]]:
    """The shares of made-up runs that are set aside whole, of all and of those above all else, by factor and length."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    # A place that hardly ever carries anything has no usual value.
    usable = [(values.dropna(), limit) for values, limit in series.values() if (values > 0.0).mean() > 0.9]
    every, above = dict[str, float](), dict[str, float]()
    for factor in FACTORS:
        for length in LENGTHS:
            found = list[tuple[bool, bool]]()
            while len(found) < each:
                values, limit = usable[rng.integers(len(usable))]
                first = int(rng.integers(len(values) - length))
                run = slice(first, first + length)
                made_up = values.copy()
                made_up.iloc[run] *= factor
                if made_up.iloc[run].min() > 0.0:
                    aside = made_up.index[run].isin(screen_series(made_up, limit).set_aside["ts"]).all()
                    found.append((bool(aside), bool(made_up.iloc[run].min() > values.max())))
            label = f"{factor}x{length}"
            every[label] = round(float(np.mean([aside for aside, _ in found])), 3)
            if any(is_above for _, is_above in found):
                above[label] = round(float(np.mean([aside for aside, is_above in found if is_above])), 3)
    return {"recall": every, "recall_above": above}


if __name__ == "__main__":
    main()
