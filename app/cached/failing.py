"""What a chosen failure does, kept: played over the coming half year; and the failures that there are to choose
from.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from app.cached import MEASURED, Pin, Scope, _answer, catalogue
from app.cached.planning import TABLES, PlanQuery, case_of
from data.queries.network import ViewersPerGbps
from data.queries.network import ingest_paths as _ingest_paths
from data.queries.network import viewers_per_gbps as _viewers_per_gbps
from forecasting.planning.demand import Demand
from forecasting.planning.failover import NOTHING_GBPS, ROUND_TRIP_MS, reach_km
from forecasting.planning.failures import (
    Failure,
    Relocation,
    group_failure,
    path_failure,
    simulate_failure,
    site_failure,
)
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.whatif import FAILURE_WEEKS

__all__ = [
    "ROUND_TRIP_MS",
    "FailureRefusal",
    "FailureSpec",
    "FailureTimeline",
    "ViewersPerGbps",
    "ingest_paths",
    "reach_km",
    "simulate",
]

Kind = Literal["site", "region", "partner", "path"]
FLOWS = (*MEASURED, "flows_1h")
COLUMN = {"region": "region_id", "partner": "partner"}


class FailureSpec(NamedTuple):
    """What fails: a site, all sites of a region or a partner, or the path to `key` from `source`."""

    kind: Kind
    key: str
    source: str = ""


class FailureRefusal(NamedTuple):
    """Why a failure cannot be played."""

    reason: str


class FailureTimeline(NamedTuple):
    """A failure in each coming week.

    share: by failed site, the part of its demand that must go elsewhere. weeks: week, displaced_gbps, moved_gbps,
    shed_gbps, shed_viewers (NaN where no ratio is known) and passed (names of sites above their limit that were not
    before). sites: week, site_id, before_gbps, load_gbps, taken_gbps, shed_gbps, capacity_gbps, before, after (shares
    of capacity, NaN without one), limit and passed. moves: week, source, target, gbps. left_out: sites that fail with
    the others but whose demand is not known.
    """

    share: dict[str, float]
    weeks: pd.DataFrame
    sites: pd.DataFrame
    moves: pd.DataFrame
    left_out: tuple[str, ...]
    viewers: ViewersPerGbps | None


def simulate(
    pin: Pin, question: PlanQuery, fails: FailureSpec, quantile: float, scope: Scope
) -> FailureTimeline | FailureRefusal | None:
    """A failure played over the half year, on the joint future at `quantile` of each week's total; None where the
    newest run has no futures of sites.

    HeadroomError where the question's changes cannot be applied.
    """
    return _answer(_play, (*TABLES, "flows_1h"), pin, scope, question=question, fails=fails, quantile=quantile)


def ingest_paths(pin: Pin, scope: Scope) -> pd.DataFrame:
    """The paths that may fail, largest first."""
    return _answer(_ingest_paths, FLOWS, pin, scope)


def _play(
    pin: Pin, scope: Scope, question: PlanQuery, fails: FailureSpec, quantile: float
) -> FailureTimeline | FailureRefusal | None:
    scene = case_of(pin, scope, question)
    if scene is None:
        return None
    near = scene.demand.until(FAILURE_WEEKS)
    failure = _failure(pin, scope, scene, fails)
    if isinstance(failure, FailureRefusal):
        return failure
    capacity, limits = scene.capacity(near), scene.policy.shares(near.keys)
    found = simulate_failure(failure, scene.failover, near, capacity, limits, quantile, scene.ceiling)
    viewers = _answer(_viewers_per_gbps, MEASURED, pin, scope) if question.direction == "egress" else None
    before = near.scenario_at_quantile(quantile)
    sites = pd.concat(
        [
            _sites(
                one,
                near.weeks[at],
                near.keys,
                pd.DataFrame({"before_gbps": before[:, at], "capacity_gbps": capacity[:, at], "limit": limits}),
            )
            for at, one in enumerate(found)
        ],
        ignore_index=True,
    )
    moves = pd.concat([_moves(one, near, at) for at, one in enumerate(found)], ignore_index=True)
    return FailureTimeline(
        dict(failure.displaced),
        _weeks(found, near, viewers),
        sites,
        moves,
        _left_out(catalogue(pin, scope), fails, near),
        viewers,
    )


def _failure(pin: Pin, scope: Scope, scene: PlanCase, fails: FailureSpec) -> Failure | FailureRefusal:
    """What is displaced, or why nothing is."""
    keys, sites = scene.demand.keys, scene.sites
    if fails.kind in COLUMN:
        members = sites.loc[sites[COLUMN[fails.kind]] == fails.key, "site_id"]
        return (
            group_failure(sites, COLUMN[fails.kind], fails.key, keys)
            if set(members) & set(keys)
            else FailureRefusal("none of its sites has futures")
        )
    if fails.key not in keys:
        return FailureRefusal(
            f"it has no futures: {scene.refused.get(fails.key, 'no traffic this way was ever measured')}"
        )
    if fails.kind == "site":
        return site_failure(fails.key)
    if scene.demand.direction == "ingest":
        return FailureRefusal("a path takes viewers along, not broadcasters: choose egress")
    paths = _answer(_ingest_paths, FLOWS, pin, scope)
    row = paths[(paths["source_site_id"] == fails.source) & (paths["target_site_id"] == fails.key)]
    # A stream comes in once, however many watch it: the path's part of what comes in is its part of the viewers.
    return (
        path_failure(fails.source, fails.key, *row[["gbps", "inflow_gbps"]].iloc[0])
        if len(row)
        else FailureRefusal("no flow came that way in the last 7 days")
    )


def _left_out(sites: pd.DataFrame, fails: FailureSpec, demand: Demand) -> tuple[str, ...]:
    if fails.kind not in COLUMN:
        return ()
    members = sites.loc[sites[COLUMN[fails.kind]] == fails.key, "site_id"].astype(str)
    return tuple(sorted(set(members) - set(demand.keys)))


def _sites(found: Relocation, week: pd.Timestamp, keys: tuple[str, ...], held: pd.DataFrame) -> pd.DataFrame:
    """The rows of one week; `held`: before_gbps, capacity_gbps and limit by key."""
    shed, room = (
        dict(zip(found.failed, found.shed, strict=True)),
        held["capacity_gbps"].where(held["capacity_gbps"] > 0.0),
    )
    return held.assign(
        week=week,
        site_id=list(keys),
        load_gbps=found.load,
        taken_gbps=found.moved.sum(axis=0),
        shed_gbps=[_some(shed.get(key, 0.0)) for key in keys],
        before=held["before_gbps"] / room,
        after=found.load / room,
        passed=[key in found.passed for key in keys],
    )


def _some(gbps: float) -> float:
    """What lies within the solver's tolerance is nothing."""
    return float(gbps) if gbps > NOTHING_GBPS else 0.0


def _moves(found: Relocation, demand: Demand, at: int) -> pd.DataFrame:
    source, target = np.nonzero(found.moved > NOTHING_GBPS)
    rows = {
        "week": demand.weeks[at],
        "source": np.array(found.failed, dtype=object)[source],
        "target": np.array(demand.keys, dtype=object)[target],
    }
    return pd.DataFrame(rows | {"gbps": found.moved[source, target]})


def _weeks(found: list[Relocation], demand: Demand, viewers: ViewersPerGbps | None) -> pd.DataFrame:
    moved, shed = np.array([one.moved.sum() for one in found]), np.array([_some(one.shed.sum()) for one in found])
    unserved = [
        (one.shed_viewers(viewers.ratio) if lost else 0.0) if viewers else np.nan
        for one, lost in zip(found, shed, strict=True)
    ]
    return pd.DataFrame(
        {
            "week": demand.weeks,
            "displaced_gbps": moved + shed,
            "moved_gbps": moved,
            "shed_gbps": shed,
            "shed_viewers": unserved,
            "passed": [one.passed for one in found],
        }
    )
