"""What does planning cost? Every single failure, that of a partner, a what-if and an augment plan, each beside a plain
implementation of the same answer.

    python -m benchmarks.planning [--sites 100] [--weeks 26] [--paths 200] [--runs 5] [--only
    failures,group,whatif,augments]

One JSON line a question. The network is made up: sites in clusters on the globe, demand that grows by a quarter a year,
capacity a third above today's peaks. The plain failures share out the demand of one site in one week of one future
after another, in NumPy, by filling and sharing the rest until nothing is left; the programme is solved anew each time.
Both are timed on a random part of the cases, compared there value by value, and extrapolated to all. The plain failure
of a partner is a programme a week, which HiGHS solves for the least that is shed: how that divides, and where the rest
goes, are left to chance. The plain what-if walks through the weeks of each path of each site, region and the network,
and through the sites that could take over in each failure; it is timed on some of the paths. The plain augment plan
buys, site by site and month by month, the one kind of step that comes cheapest, which is what a spreadsheet does: its
cost says what the programme saves. Absolute times mean little on a shared machine; `cpu_seconds` is what a busy one
does not stretch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linprog
from scipy.sparse import coo_array, vstack

from forecasting.planning.augment_programme import AugmentOptions, build_problem
from forecasting.planning.augments import solve_augments
from forecasting.planning.capacity import Policy
from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import nearby
from forecasting.planning.failures import (
    FAILURE_WEEKS,
    NetworkLoad,
    group_failure,
    relocate,
    simulate_failure,
    single_failures,
    site_failure,
)
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.whatif import Event, Growth, applied, evaluate_scenario, single_step_cost

FAILURE_BAR, GROUP_BAR, WHATIF_BAR, PLAN_BAR = 5.0, 0.25, 0.5, 30.0
HORIZON_WEEKS = 78
PLAIN_CASES, PROGRAMME_CASES, PLAIN_PATHS = 2000, 60, 4
LIMIT = 0.8
# So few helpers are within this reach that failures decide what is bought.
SHORT_ROUND_TRIP_MS = 20.0


class Timed(NamedTuple):
    """Medians of some runs, in seconds."""

    seconds: float
    cpu_seconds: float


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 where an answer differs or a bar is missed."""
    parser = argparse.ArgumentParser(
        description="Failures, a what-if and an augment plan, beside plain implementations."
    )
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--weeks", type=int, default=FAILURE_WEEKS)
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--only", default="failures,group,whatif,augments", help="names, joined by commas (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    scene = network(options.sites, max(options.weeks, HORIZON_WEEKS), options.paths)
    passed = True
    for name in options.only.split(","):
        line = {"failures": failures, "group": group, "whatif": whatif, "augments": augments}[name](scene, options)
        sys.stdout.write(
            json.dumps({"bench": "planning", "sites": options.sites, "paths": options.paths, **line}) + "\n"
        )
        sys.stdout.flush()
        passed &= bool(line["passed"])
    return 0 if passed else 1


def network(count: int, weeks: int, paths: int, seed: int = 7) -> PlanCase:
    """A made-up network with a catalogue of three steps at each site."""
    rng = np.random.default_rng(seed)
    ids, region = tuple(f"s{i:03d}" for i in range(count)), np.arange(count) % 5
    lat, lon = (
        np.array([48.0, 38.0, 1.0, -20.0, 36.0])[region] + rng.normal(0, 5, count),
        np.array([9.0, -95.0, 105.0, -50.0, 135.0])[region] + rng.normal(0, 9, count),
    )
    sites = pd.DataFrame(
        {
            "site_id": ids,
            "region_id": [f"r{i}" for i in region],
            "partner": np.where(np.arange(count) % 4, "acme", "bolt"),
            "lat": lat,
            "lon": lon,
        }
    )
    level, shared = (
        200.0 * np.exp(rng.normal(0, 0.8, (count, 1, 1))),
        rng.normal(0, 0.012, (1, weeks, paths)).cumsum(axis=1),
    )
    slope = (rng.normal(0.22, 0.15, (count, 1, 1)) + rng.normal(0, 0.06, (count, 1, paths))) / 52
    gbps = level * np.exp(slope * np.arange(weeks)[None, :, None] + shared + rng.normal(0, 0.04, (count, weeks, paths)))
    demand = Demand(
        ids, "egress", "peak", pd.date_range("2027-01-04", periods=weeks, freq="7D", tz="UTC", unit="us"), gbps
    )
    capacity = gbps[:, 0].mean(axis=1) * rng.uniform(1.2, 2.0, count)
    steps = pd.DataFrame(
        {
            "site_id": ids,
            "direction": "egress",
            "effective_from": pd.Timestamp("2020-01-01", tz="UTC"),
            "capacity_gbps": capacity,
            "status": "installed",
        }
    )
    sold = [
        (ids[i], max(10.0, round(share * capacity[i], -1)), rng.uniform(0.8, 1.2), float(rng.integers(5, 25)))
        for i in range(count)
        for share in (0.1, 0.25, 0.6)
    ]
    catalogue = pd.DataFrame(
        [(site, gbps, round(700 * gbps**0.92 * price), lead) for site, gbps, price, lead in sold],
        columns=["site_id", "gbps", "cost_usd_month", "lead_time_days"],
    )
    return PlanCase(demand, steps, sites, Policy(limit=LIMIT), nearby(sites, ids), catalogue)


def timed(ask: Callable[[], object], runs: int) -> Timed:
    """Median seconds, by the clock and of this process's processors."""
    clock, cpu = [], []
    for _ in range(runs):
        begun, spent = time.perf_counter(), time.process_time()
        ask()
        clock.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - spent)
    return Timed(statistics.median(clock), statistics.median(cpu))


# Every single failure
# --------------------------------------------------------------------------------------------------------


def failures(scene: PlanCase, options: argparse.Namespace) -> dict[str, object]:
    """All sites x weeks x paths, against a loop in NumPy and the programme, case by case."""
    demand = scene.demand.until(options.weeks)
    capacity, limits = scene.capacity(demand), scene.policy.shares(demand.keys)
    ours = timed(lambda: single_failures(demand, capacity, limits, scene.failover), options.runs)
    found = single_failures(demand, capacity, limits, scene.failover)
    rng, shape = np.random.default_rng(1), demand.gbps.shape
    cases = [tuple(int(rng.integers(size)) for size in shape) for _ in range(PLAIN_CASES)]

    def plain(number: int) -> list[float]:
        return [
            plain_failure(f, demand.gbps[:, w, p], capacity[:, w], scene.failover.pull[f], limits)[1]
            for f, w, p in cases[:number]
        ]

    def programme(number: int) -> list[float]:
        states = (
            (f, NetworkLoad(demand.keys, demand.gbps[:, w, p], capacity[:, w], limits)) for f, w, p in cases[:number]
        )
        return [float(relocate(site_failure(demand.keys[f]), scene.failover, state).shed[0]) for f, state in states]

    shed = np.array([found.shed[case] for case in cases])
    equal = bool(
        np.allclose(plain(PLAIN_CASES), shed, atol=1e-5)
        and np.allclose(programme(PROGRAMME_CASES), shed[:PROGRAMME_CASES], atol=1e-5)
    )
    total = int(np.prod(shape))
    by_loop, by_programme = (
        timed(lambda: plain(PLAIN_CASES), 1).seconds * total / PLAIN_CASES,
        timed(lambda: programme(PROGRAMME_CASES), 1).seconds * total / PROGRAMME_CASES,
    )
    return {
        "question": "every single failure",
        "weeks": options.weeks,
        "cases": total,
        "helpers": round(float(scene.failover.allowed.sum(axis=1).mean()), 1),
        "equal": equal,
        "seconds": round(ours.seconds, 3),
        "cpu_seconds": round(ours.cpu_seconds, 3),
        "bar_seconds": FAILURE_BAR,
        "loop_seconds": round(by_loop, 1),
        "ratio": round(by_loop / ours.seconds),
        "programme_seconds": round(by_programme),
        "programme_ratio": round(by_programme / ours.seconds),
        "passed": equal and ours.seconds < FAILURE_BAR,
    }


def plain_failure(failed: int, demand: Reals, capacity: Reals, pull: Reals, limits: Reals) -> tuple[list[int], float]:
    """One site, one week, one future: who passes the limit, and what is shed."""
    room = np.maximum(capacity - demand, 0.0)
    weights, taken, left = pull * room, np.zeros(len(demand)), float(demand[failed])
    for _ in range(len(demand)):
        open_ = np.flatnonzero((weights > 0.0) & (taken < room))
        if left <= 1e-9 or not len(open_):
            break
        share = np.minimum(left * weights[open_] / weights[open_].sum(), room[open_] - taken[open_])
        taken[open_] += share
        left -= float(share.sum())
    over = (demand + taken > limits * capacity) & (demand <= limits * capacity)
    return list(np.flatnonzero(over)), left


# The failure of a partner
# ---------------------------------------------------------------------------------------------------


def group(scene: PlanCase, options: argparse.Namespace) -> dict[str, object]:
    """All sites of a partner, week by week, against a programme a week for the least that can be shed."""
    demand = scene.demand.until(options.weeks)
    capacity, limits = scene.capacity(demand), scene.policy.shares(demand.keys)
    failure = group_failure(scene.sites, "partner", "bolt", demand.keys)
    ours = timed(lambda: simulate_failure(failure, scene.failover, demand, capacity, limits), options.runs)
    failed, before = demand.positions(list(failure.displaced)), demand.scenario_at_quantile(0.9)
    room = np.maximum(capacity - before, 0.0)
    room[failed] = 0.0
    reach = scene.failover.allowed[failed]

    def plain() -> list[float]:
        return [plain_shed(before[failed, week], room[:, week], reach) for week in range(len(demand.weeks))]

    by_programme = timed(plain, options.runs)
    shed = [float(one.shed.sum()) for one in simulate_failure(failure, scene.failover, demand, capacity, limits)]
    equal = bool(np.allclose(shed, plain(), atol=1e-5))
    return {
        "question": "the failure of a partner",
        "weeks": options.weeks,
        "failed": len(failed),
        "equal": equal,
        "seconds": round(ours.seconds, 4),
        "cpu_seconds": round(ours.cpu_seconds, 4),
        "bar_cpu_seconds": GROUP_BAR,
        "programme_seconds": round(by_programme.seconds, 3),
        "ratio": round(by_programme.seconds / ours.seconds, 1),
        "shed_gbps": round(sum(shed)),
        "passed": equal and ours.cpu_seconds < GROUP_BAR,
    }


def plain_shed(required: Reals, room: Reals, reach: npt.NDArray[np.bool_]) -> float:
    """The least that some sites shed in a week."""
    source, helper = np.nonzero(reach)
    one, at = np.ones(len(source)), np.arange(len(source))
    flows = vstack(
        [
            coo_array((one, (rows, at)), shape=(size, len(source)))
            for rows, size in ((source, len(required)), (helper, len(room)))
        ]
    )
    return float(required.sum() + linprog(-one, A_ub=flows.tocsr(), b_ub=np.r_[required, room]).fun)


# A what-if
# -------------------------------------------------------------------------------------------------------------------


def whatif(scene: PlanCase, options: argparse.Namespace) -> dict[str, object]:
    """Growth and a tournament: run-out of every site, region and the network, N-1 safety and cost; against loops over
    paths and weeks.
    """
    changes = (Growth(10.0), Event(800.0, "2027-06-05", 48.0, "r0"))
    ours = timed(lambda: evaluate_scenario(applied(scene, changes)).run_outs(), options.runs)
    changed = applied(scene, changes)
    days = np.array([answer.days.sum() for answer in evaluate_scenario(changed).plan.at("site")])
    begun = time.perf_counter()
    plain_days = plain_outcome(changed, PLAIN_PATHS)
    seconds = (time.perf_counter() - begun) * options.paths / PLAIN_PATHS
    some = PlanCase(
        Demand(changed.demand.keys, "egress", "peak", changed.demand.weeks, changed.demand.gbps[:, :, :PLAIN_PATHS]),
        changed.steps,
        changed.sites,
        changed.policy,
        changed.failover,
    )
    equal = bool(
        np.allclose(plain_days, np.array([answer.days for answer in evaluate_scenario(some).plan.at("site")]))
    ) and bool(np.isfinite(days).any())
    return {
        "question": "a what-if",
        "weeks": HORIZON_WEEKS,
        "equal": equal,
        "seconds": round(ours.seconds, 3),
        "cpu_seconds": round(ours.cpu_seconds, 3),
        "bar_cpu_seconds": WHATIF_BAR,
        "loop_seconds": round(seconds, 1),
        "ratio": round(seconds / ours.seconds),
        "passed": equal and ours.cpu_seconds < WHATIF_BAR,
    }


def plain_outcome(scene: PlanCase, paths: int) -> Reals:
    """Days to each site's crossing in the first paths; the regions', the network's and N-1's are reckoned and thrown
    away.
    """
    demand, room = scene.demand, scene.policy.shares(scene.demand.keys)[:, None] * scene.capacity(scene.demand)
    regions = scene.regions
    groups = [
        [i for i, key in enumerate(demand.keys) if regions[key] == name] for name in sorted(set(regions.values()))
    ] + [list(range(len(demand.keys)))]
    for path in range(paths):
        for members in groups:
            plain_crossing(demand.gbps[members, :, path].sum(axis=0), room[members].sum(axis=0))
        for week in range(FAILURE_WEEKS):
            spare = np.maximum(room[:, week] / LIMIT - demand.gbps[:, week, path], 0.0)
            _ = [demand.gbps[f, week, path] - spare[scene.failover.allowed[f]].sum() for f in range(len(demand.keys))]
    return np.sort(
        [[plain_crossing(demand.gbps[i, :, path], room[i]) for path in range(paths)] for i in range(len(demand.keys))],
        axis=1,
    )


def plain_crossing(demand: Reals, room: Reals) -> float:
    """Days until one path passes what is allowed."""
    before = 0.0
    for week, (asked, allowed) in enumerate(zip(demand.tolist(), room.tolist(), strict=True)):
        used = asked / allowed
        if used > 1.0:
            return 0.0 if week == 0 else 7.0 * (week + (1.0 - before) / (used - before))
        before = used
    return float("inf")


# The augment plan
# ------------------------------------------------------------------------------------------------------------


def augments(scene: PlanCase, options: argparse.Namespace) -> dict[str, object]:
    """Twelve months without and with N-1: time and gap, and what the plan costs beside the cheapest single kind of step
    at each site, which keeps no N-1.
    """
    if scene.catalogue is None:
        raise ValueError("the made-up network has a catalogue")
    found: dict[str, object] = {}
    near = nearby(scene.sites, scene.demand.keys, SHORT_ROUND_TRIP_MS)
    for name, n_minus_1 in (("", False), ("n_minus_1_", True)):
        request = AugmentOptions(policy=scene.policy, n_minus_1=n_minus_1)
        begun = time.perf_counter()
        plan = solve_augments(build_problem(scene.demand, scene.steps, scene.catalogue, near, request))
        found |= {
            f"{name}seconds": round(time.perf_counter() - begun, 2),
            f"{name}gap": round(plan.gap, 6),
            f"{name}proved": plan.proved,
            f"{name}purchases": len(plan.purchases),
            f"{name}broken": len(plan.broken),
            f"{name}cost_usd": round(plan.cost_usd),
        }
    plain = single_step_cost(scene, AugmentOptions())
    spent = max(float(str(found["seconds"])), float(str(found["n_minus_1_seconds"])))
    told = bool(np.isfinite(float(str(found["gap"]))) and np.isfinite(float(str(found["n_minus_1_gap"]))))
    return {
        "question": "the augment plan",
        "months": 12,
        **found,
        "round_trip_ms": SHORT_ROUND_TRIP_MS,
        "bar_seconds": PLAN_BAR,
        "single_step_cost_usd": round(plain),
        "saved": round(1.0 - float(str(found["cost_usd"])) / plain, 4),
        "passed": told and spent < PLAN_BAR,
    }


if __name__ == "__main__":
    sys.exit(main())
