"""The failures of a plan case over the coming half year: each single site in turn, and a chosen failure played week by
week (what must go elsewhere, who takes it, what is shed).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import NOTHING_GBPS
from forecasting.planning.failures import (
    Failure,
    Relocation,
    SingleFailures,
    group_failure,
    path_failure,
    simulate_failure,
    single_failures,
    site_failure,
)
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.runout import RunOut

# Failures are played over half a year: beyond it a failure policy is a matter of the augment plan.
FAILURE_WEEKS = 26
FailureKind = Literal["site", "region", "partner", "path"]
# The column of `sites` that a failure of a group is about.
GROUP_COLUMN = {"region": "region_id", "partner": "partner"}


# Every single failure
# ----------------------------------------------------------------------------------------------------


class FailureReport(NamedTuple):
    """Every single failure of the coming half year.

    first_week: rows of SingleFailures.frame, what sheds most first. months: the worst of each month as
    SingleFailures.worst_by_month, and `passes`, the sites that pass their limit in any of its weeks. safe_until: when the
    network stops being N-1 safe.
    """

    first_week: pd.DataFrame
    months: pd.DataFrame
    safe_until: RunOut


def failure_report(case: PlanCase) -> FailureReport:
    """Fail each site of a case in turn, in each week of the coming half year."""
    failures = single_failures_of(case, loads=True)
    rows = failures.frame()
    first_week = rows[rows["week"] == case.demand.start].sort_values(
        ["shed_gbps", "probability", "key"], ascending=[False, False, True], ignore_index=True
    )
    months = failures.worst_by_month()
    month_of_row = rows["week"].dt.strftime("%Y-%m")
    passes = [
        _sites_that_pass(rows[(rows["key"] == key) & (month_of_row == f"{month:%Y-%m}")])
        for key, month in zip(months["key"], months["month"], strict=True)
    ]
    return FailureReport(first_week, months.assign(passes=passes), failures.safe_until())


def _sites_that_pass(weeks: pd.DataFrame) -> tuple[str, ...]:
    """The sites that pass their limit in any of some weeks."""
    return tuple(sorted({site for sites in weeks["passes"] for site in sites}))


def single_failures_of(case: PlanCase, *, loads: bool) -> SingleFailures:
    """Fail each site of a case in turn, in each week of the coming half year and each future; `loads` as in
    single_failures.
    """
    near = case.demand.until(FAILURE_WEEKS)
    return single_failures(
        near, case.capacity(near), case.policy.shares(near.keys), case.failover, ceiling=case.ceiling, loads=loads
    )


# A chosen failure
# ----------------------------------------------------------------------------------------------------


class FailureSpec(NamedTuple):
    """What fails: a site, all sites of a region or a partner, or the path to `key` from `source`."""

    kind: FailureKind
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


def play_failure(
    case: PlanCase,
    spec: FailureSpec,
    quantile: float,
    *,
    paths: pd.DataFrame,
    viewers_per_gbps: Mapping[str, float] | None,
) -> FailureTimeline | FailureRefusal:
    """A failure in each week of the half year, on the joint future at `quantile` of the week's total.

    paths: source_site_id, target_site_id, gbps and inflow_gbps of the flows that a path may be cut of. viewers_per_gbps: by
    site_id; None where no viewers are counted.
    """
    failure = failure_of(case, spec, paths)
    if isinstance(failure, FailureRefusal):
        return failure
    demand = case.demand.until(FAILURE_WEEKS)
    capacity, limits = case.capacity(demand), case.policy.shares(demand.keys)
    relocations = simulate_failure(failure, case.failover, demand, capacity, limits, quantile, case.ceiling)
    before = demand.scenario_at_quantile(quantile)
    sites = [
        _site_rows(relocation, demand.weeks[week], demand.keys, before[:, week], capacity[:, week], limits)
        for week, relocation in enumerate(relocations)
    ]
    moves = [_moves(relocation, demand, week) for week, relocation in enumerate(relocations)]
    return FailureTimeline(
        dict(failure.displaced),
        _week_rows(relocations, demand, viewers_per_gbps),
        pd.concat(sites, ignore_index=True),
        pd.concat(moves, ignore_index=True),
        _left_out(case, spec),
    )


def failure_of(case: PlanCase, spec: FailureSpec, paths: pd.DataFrame) -> Failure | FailureRefusal:
    """What is displaced, or why nothing is."""
    keys = case.demand.keys
    if spec.kind in GROUP_COLUMN:
        if not _members(case.sites, spec).intersection(keys):
            return FailureRefusal("none of its sites has futures")
        return group_failure(case.sites, GROUP_COLUMN[spec.kind], spec.key, keys)
    if spec.key not in keys:
        return FailureRefusal(
            f"it has no futures: {case.refused.get(spec.key, 'no traffic this way was ever measured')}"
        )
    return site_failure(spec.key) if spec.kind == "site" else _path_failure(case, spec, paths)


def _path_failure(case: PlanCase, spec: FailureSpec, paths: pd.DataFrame) -> Failure | FailureRefusal:
    if case.direction == "ingest":
        return FailureRefusal("a path takes viewers along, not broadcasters: choose egress")
    path = paths[(paths["source_site_id"] == spec.source) & (paths["target_site_id"] == spec.key)]
    if path.empty:
        return FailureRefusal("no flow came that way in the last 7 days")
    # A stream comes in once, however many watch it: the path's part of what comes in is its part of the viewers.
    return path_failure(spec.source, spec.key, *path[["gbps", "inflow_gbps"]].iloc[0])


def _members(sites: pd.DataFrame, spec: FailureSpec) -> set[str]:
    return set(sites.loc[sites[GROUP_COLUMN[spec.kind]] == spec.key, "site_id"].astype(str))


def _left_out(case: PlanCase, spec: FailureSpec) -> tuple[str, ...]:
    if spec.kind not in GROUP_COLUMN:
        return ()
    return tuple(sorted(_members(case.sites, spec).difference(case.demand.keys)))


def _site_rows(
    relocation: Relocation,
    week: pd.Timestamp,
    keys: tuple[str, ...],
    before: Reals,
    capacity: Reals,
    limits: Reals,
) -> pd.DataFrame:
    """The rows of one week; before, capacity (Gbps) and limits (shares): (keys,)."""
    shed = dict(zip(relocation.failed, relocation.shed, strict=True))
    rows = pd.DataFrame({"before_gbps": before, "capacity_gbps": capacity, "limit": limits})
    room = rows["capacity_gbps"].where(rows["capacity_gbps"] > 0.0)
    return rows.assign(
        week=week,
        site_id=list(keys),
        load_gbps=relocation.load,
        taken_gbps=relocation.moved.sum(axis=0),
        shed_gbps=[_beyond_tolerance(shed.get(key, 0.0)) for key in keys],
        before=rows["before_gbps"] / room,
        after=relocation.load / room,
        passed=[key in relocation.passed for key in keys],
    )


def _beyond_tolerance(gbps: float) -> float:
    """What lies within the solver's tolerance is nothing."""
    return float(gbps) if gbps > NOTHING_GBPS else 0.0


def _moves(relocation: Relocation, demand: Demand, week: int) -> pd.DataFrame:
    source, target = np.nonzero(relocation.moved > NOTHING_GBPS)
    rows = {
        "week": demand.weeks[week],
        "source": np.array(relocation.failed, dtype=object)[source],
        "target": np.array(demand.keys, dtype=object)[target],
    }
    return pd.DataFrame(rows | {"gbps": relocation.moved[source, target]})


def _week_rows(
    relocations: list[Relocation], demand: Demand, viewers_per_gbps: Mapping[str, float] | None
) -> pd.DataFrame:
    moved = np.array([each.moved.sum() for each in relocations])
    shed = np.array([_beyond_tolerance(each.shed.sum()) for each in relocations])
    shed_viewers = [
        np.nan if viewers_per_gbps is None else each.shed_viewers(viewers_per_gbps) if lost else 0.0
        for each, lost in zip(relocations, shed, strict=True)
    ]
    return pd.DataFrame(
        {
            "week": demand.weeks,
            "displaced_gbps": moved + shed,
            "moved_gbps": moved,
            "shed_gbps": shed,
            "shed_viewers": shed_viewers,
            "passed": [each.passed for each in relocations],
        }
    )
