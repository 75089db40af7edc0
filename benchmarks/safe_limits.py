"""How near do safe limits come? On simulated networks, whose knees are known.

    python -m benchmarks.safe_limits [--networks 8101,8102] [--sites 36] [--days 60] [--noise 0] [--metrics
    rebuffer_ratio,startup_seconds]

The simulator strains a site from its own knee on, softly: startup time is worse by 14 % there, rebuffering by 16 to 54
%, failures by 8 to 18 %. What is found is where quality is worse by a fifth, whatever the metric; both truths are
compared with it. `--noise` adds so much (a standard deviation, relative) to each day and to each sample of the quality
that viewers report.

One JSON line for each metric. Against the simulator's knee: `found`, `within_3` (the share of them within 3 points of
capacity), `median_error` and `worst`, in points; `busy`, sites that stood above it on five days or more, and
`busy_found`; `unseen` and of these `unseen_beyond`, which ran more than 3 points beyond it.
Against where quality is worse by a fifth: `held_90`, the share of intervals that hold it, and `safe`, of the limits
offered that lie at or below it. `refused`,
by reason: `leans` on one day, `wide` interval, `wall`: felt only where traffic no longer measures what is asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from data.simulator.capacity import OPENED_DAYS_AGO, CapacityStep, capacity_on
from data.simulator.network import (
    Network,
    build_network,
    delivered,
    failure_ratio,
    network_day,
    rebuffer_ratio,
    startup_seconds,
    strain,
)
from data.simulator.options import DAY_MINUTES, TICKS_A_DAY, SimulationOptions, minutes
from forecasting.peaks.weekly_statistics import Reals
from forecasting.planning.safe_utilisation import NEAR, WORSE_BY, SafeUtilisation, safe_utilisation

END = datetime(2026, 11, 1, tzinfo=UTC)
NETWORKS = ",".join(str(seed) for seed in range(8101, 8141))
# Of each metric: how it rises with strain, and what the simulator calls it.
RISES = {
    "rebuffer_ratio": (rebuffer_ratio, "rebuffer"),
    "startup_seconds": (startup_seconds, "startup"),
    "playback_failure_ratio": (failure_ratio, "failure"),
}
# Of the ordinary weekly peak over capacity, and of how many sites.
BUSY_UTILISATION, BUSY_SHARES = (0.93, 0.82, 0.72, 0.56), (1 / 12, 2 / 12, 4 / 12, 5 / 12)
BUSY_DAYS, LEAST_BUSY_FOUND = 5, 0.95
REASONS = {"leans": "alone says so", "wide": "that may be", "wall": "too few to tell"}
LOADS = np.arange(0.6, 1.2, 0.0002)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="Knees of simulated networks, against the truth.")
    parser.add_argument("--networks", default=NETWORKS, help="seeds, joined by commas (default: forty)")
    parser.add_argument("--sites", type=int, default=36)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--metrics", default=",".join(RISES), help="names, joined by commas (default: %(default)s)")
    options = parser.parse_args(arguments)
    names, started = options.metrics.split(","), time.perf_counter()
    found = pd.concat(
        [cases(int(seed), options.sites, options.days, names, options.noise) for seed in options.networks.split(",")],
        ignore_index=True,
    )
    kept = True
    for name in names:
        line = scores(found[found["metric"] == name])
        kept = kept and bool(line["kept"])
        settings = {"metric": name, "days": options.days, "noise": options.noise}
        sys.stdout.write(
            json.dumps({"bench": "safe_limits", **settings, **line, "seconds": round(time.perf_counter() - started, 1)})
            + "\n"
        )
    return 0 if kept else 1


def cases(seed: int, sites: int, days: int, metrics: Sequence[str], noise: float = 0.0) -> pd.DataFrame:
    """metric, site_id, answer (SafeUtilisation), knee (the simulator's), worse (where quality is worse by a fifth),
    days_above (the knee), of one network.
    """
    network = busy(build_network(SimulationOptions(END, sites=sites, days=days, seed=seed)))
    samples = measured(network, days)
    above = samples["utilisation"] > samples["site_id"].map(
        dict(zip(network.world.site_ids, network.quality.knee, strict=True))
    )
    held = (
        samples[above]
        .groupby("site_id")["ts"]
        .agg(lambda stamps: stamps.dt.floor("D").nunique())
        .reindex(list(network.world.site_ids), fill_value=0)
    )
    rng, parts = np.random.default_rng(seed), []
    for metric in metrics:
        quality = samples[metric] * extra(rng, len(samples) // TICKS_A_DAY, noise)
        answers = {one.key: one for one in safe_utilisation(samples.assign(quality=quality))}
        truth = {"knee": network.quality.knee, "worse": worse_from(network, metric), "days_above": held.to_numpy()}
        parts.append(
            pd.DataFrame(
                {
                    "metric": metric,
                    "site_id": network.world.site_ids,
                    "answer": [answers[key] for key in network.world.site_ids],
                    **truth,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def busy(network: Network) -> Network:
    """The network with the egress capacity of one that runs full: a twelfth of the sites are over their limit, a sixth
    near it. A sound network passes too few knees to learn from.
    """
    demand, rng = network.demand, np.random.default_rng([network.options.seed, 1])
    peaks = demand.peak_viewers(demand.anchor) * network.quality.bitrate_mbps / 1000.0
    utilisation = rng.choice(BUSY_UTILISATION, p=BUSY_SHARES, size=len(peaks))
    opened = demand.anchor - OPENED_DAYS_AGO * DAY_MINUTES
    egress = [CapacityStep(site, "egress", opened, float(gbps)) for site, gbps in enumerate(peaks / utilisation)]
    return replace(network, steps=[*egress, *(step for step in network.steps if step.direction == "ingest")])


def measured(network: Network, days: int) -> pd.DataFrame:
    """ts, site_id, utilisation and each metric, of the last days: what the network reports, site after site within a
    day.
    """
    last, parts = minutes(network.options.end) // DAY_MINUTES, []
    for day in range(last - days, last):
        state = network_day(network, day)
        used = state.egress_gbps / capacity_on(network.steps, network.world, "egress", day * DAY_MINUTES)[:, None]
        stamps = pd.date_range(pd.Timestamp(day, unit="D", tz="UTC"), periods=TICKS_A_DAY, freq="5min")
        reported = {metric: getattr(state, name).ravel() for metric, (_, name) in RISES.items()}
        ids = np.repeat(network.world.site_ids, TICKS_A_DAY)
        parts.append(
            pd.DataFrame({"ts": np.tile(stamps, len(used)), "site_id": ids, "utilisation": used.ravel(), **reported})
        )
    return pd.concat(parts, ignore_index=True)


def extra(rng: np.random.Generator, site_days: int, noise: float) -> Reals:
    """A factor for each sample: one part is common to a site's day."""
    day, sample = rng.standard_normal((site_days, 1)), rng.standard_normal((site_days, TICKS_A_DAY))
    return np.asarray(np.exp(noise * (day + sample)).ravel(), dtype=float)


def worse_from(network: Network, metric: str) -> Reals:
    """The utilisation from which each site's quality is worse by a fifth than without load."""
    rise, name = RISES[metric]
    used, places = delivered(LOADS), []
    for knee, base in zip(network.quality.knee, getattr(network.quality, name), strict=True):
        places.append(used[np.searchsorted(rise(strain(LOADS, knee), base), (1.0 + WORSE_BY) * base)])
    return np.array(places)


def scores(found: pd.DataFrame) -> dict[str, float | bool]:
    """The figures of some cases."""
    told = found.assign(
        **{name: [getattr(one, name) for one in found["answer"]] for name in ("state", "low", "high", "seen_up_to")}
    )
    knees, calm = told[told["state"] == "found"], told[told["state"] == "unseen"]
    errors = (np.array([one.knee for one in knees["answer"]]) - knees["knee"]).abs()
    busy = told[told["days_above"] >= BUSY_DAYS]
    within, among = float((errors <= NEAR).mean()), int((busy["state"] == "found").sum())
    return {
        "sites": len(told),
        "found": len(knees),
        "within_3": round(within, 4),
        "median_error": round(100 * float(errors.median()), 2),
        "worst": round(100 * float(errors.max()), 2),
        "busy": len(busy),
        "busy_found": among,
        "held_90": round(float(knees["worse"].between(knees["low"], knees["high"]).mean()), 3),
        "safe": round(float((knees["low"] <= knees["worse"]).mean()), 3),
        "unseen": len(calm),
        "unseen_beyond": int((calm["seen_up_to"] > calm["knee"] + NEAR).sum()),
        **refusals(told["answer"]),
        "kept": within == 1.0 and among >= LEAST_BUSY_FOUND * len(busy),
    }


def refusals(answers: pd.Series) -> dict[str, int]:
    """How many are refused, and how many for each reason."""
    reasons = [one.reason for one in answers if isinstance(one, SafeUtilisation) and one.state == "refused"]
    return {
        "refused": len(reasons),
        **{name: sum(words in reason for reason in reasons) for name, words in REASONS.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
