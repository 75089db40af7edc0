"""Failures: where the demand of a failed site, region, partner or path goes, what of it is shed, and until when the
network is N-1 safe.

`relocate` and `simulate_failure` play one failure of any size: as little as possible is shed, as fairly as reach allows,
and what moves keeps as near to the failover weights as the helpers' headroom lets it (failover.py: a linear
programme and Newton's method).

`single_failures` fails each site in turn, in every coming week and future: what is shed and who passes the limit. One
failed site has a closed form, `water_fill`, which tests hold against the programme. The weekly peaks of a site and its
helpers are taken to fall together: within the reach of a round trip they mostly share their evening, and where they do
not the answer errs on the safe side. `failure_report` and `play_failure` are these two for a plan case and its coming half
year, in the tables that pages and exports show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import GLOBAL_KEY
from data.schema.errors import SettingError
from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import CEILING, NOTHING_GBPS, Failover, allocate, headroom
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.runout import RunOut, first_crossings, run_out_of_paths, utilisation


@dataclass(frozen=True, slots=True)
class Failure:
    """What fails: by site, the share of its demand that must go elsewhere. A site with a share of 1 is down and helps
    nobody.
    """

    name: str
    displaced: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.displaced or not all(0.0 < share <= 1.0 for share in self.displaced.values()):
            raise SettingError(
                f"The failure {self.name!r} displaces nothing, or more than all.",
                cause="an empty group of sites",
                remedy="name at least one site with a share above 0, at most 1",
            )


@dataclass(frozen=True, slots=True, eq=False)
class NetworkLoad:
    """The network at one moment: demand, capacity (NaN where none is declared: such a site takes over nothing) and
    limits, each (keys,).
    """

    keys: tuple[str, ...]
    demand: Reals
    capacity: Reals
    limits: Reals
    ceiling: float = CEILING

    def headroom(self) -> Reals:
        """Headroom of each site, Gbps."""
        return headroom(self.demand, self.capacity, self.ceiling)


@dataclass(frozen=True, slots=True, eq=False)
class Relocation:
    """Result of a failure at one moment: where demand moved, what was shed, what every site then carries.

    moved: (failed, keys) Gbps; shed: (failed,) Gbps; load: (keys,) Gbps that each site carries now; passed: sites above
    their limit that were not before.
    """

    failure: Failure
    failed: tuple[str, ...]
    moved: Reals
    shed: Reals
    load: Reals
    passed: tuple[str, ...]

    def shed_viewers(self, viewers_per_gbps: Mapping[str, float]) -> float:
        """Viewers of the failed sites who are not served, by each site's ratio of viewers to Gbps; not a number where a
        ratio is unknown.
        """
        return float(
            sum(gbps * viewers_per_gbps.get(key, np.nan) for key, gbps in zip(self.failed, self.shed, strict=True))
        )


def site_failure(site: str) -> Failure:
    """One site goes dark."""
    return Failure(site, {site: 1.0})


def group_failure(sites: pd.DataFrame, column: str, value: str, keys: Sequence[str]) -> Failure:
    """All sites of a region (column region_id) or a partner (column partner) go dark, of those that have demand (keys):
    the others have nothing to move.
    """
    members = sites.loc[(sites[column] == value) & sites["site_id"].isin(keys), "site_id"].astype(str)
    return Failure(value, dict.fromkeys(members, 1.0))


def path_failure(source: str, target: str, flow_gbps: float, egress_gbps: float) -> Failure:
    """The way from an ingest site to an egress site fails: the viewers that `target` serves over it are served
    elsewhere, the others stay.
    """
    share = min(flow_gbps / egress_gbps, 1.0) if egress_gbps > 0.0 else 0.0
    return Failure(f"{source} to {target}", {target: share})


def relocate(failure: Failure, failover: Failover, state: NetworkLoad) -> Relocation:
    """Reallocate demand after a failure at one moment. SettingError where a failed site is not in the network."""
    return _relocated(
        failure, failover, state.keys, state.demand[:, None], state.capacity[:, None], state.limits, state.ceiling
    )[0]


def simulate_failure(
    failure: Failure,
    failover: Failover,
    demand: Demand,
    capacity: Reals,
    limits: Reals,
    q: float = 0.9,
    ceiling: float = CEILING,
) -> list[Relocation]:
    """The same failure in each coming week, on the joint future at the q quantile of the week's network total.
    capacity: (keys, weeks).
    """
    return _relocated(failure, failover, demand.keys, demand.scenario_at_quantile(q), capacity, limits, ceiling)


def _relocated(
    failure: Failure,
    failover: Failover,
    keys: tuple[str, ...],
    demand: Reals,
    capacity: Reals,
    limits: Reals,
    ceiling: float,
) -> list[Relocation]:
    """All weeks at once. demand and capacity: (keys, weeks)."""
    at = {key: i for i, key in enumerate(keys)}
    if unknown := [key for key in failure.displaced if key not in at]:
        raise SettingError(
            f"{', '.join(unknown)} cannot fail: no demand is known there.", remedy=f"choose among {', '.join(keys)}"
        )
    failed = np.array([at[key] for key in failure.displaced])
    share = np.zeros((len(keys), 1))
    share[failed, 0] = list(failure.displaced.values())
    staying, required = demand * (1.0 - share), demand[failed] * share[failed]
    room = np.where(share < 1.0, headroom(staying, capacity, ceiling), 0.0)
    everyone = np.arange(len(keys))
    moved = allocate(required, room, np.array([failover.weights(int(site), everyone, room) for site in failed]))
    shed, load, bound = (
        np.maximum(required - moved.sum(axis=1), 0.0),
        staying + moved.sum(axis=0),
        limits[:, None] * capacity + NOTHING_GBPS,
    )
    passed = (load > bound) & ~(demand > bound)
    return [
        Relocation(
            failure,
            tuple(failure.displaced),
            moved[:, :, week],
            shed[:, week],
            load[:, week],
            tuple(keys[i] for i in np.flatnonzero(passed[:, week])),
        )
        for week in range(demand.shape[1])
    ]


# What is left to share out is nought below this share of what was asked.
SHARED_OUT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class SingleFailures:
    """Every single-site failure, in every week and future: demand shed, use of the helpers' room, limits passed.

    shed: (failed, weeks, paths) Gbps; used: demand of the failed over the room for it, same shape; above 1 some is
    shed. passes: (failed, helper, weeks) share of futures in which the helper passes its limit because of it; empty
    where only the shed was asked for.
    """

    demand: Demand
    shed: Reals
    used: Reals
    passes: Reals

    def safe_until(self) -> RunOut:
        """Run-out of N-1 safety: the first week in which some single failure sheds demand."""
        worst = self.used.max(axis=0, keepdims=True)
        return run_out_of_paths("global", GLOBAL_KEY, self.demand.start, self.demand.horizon, first_crossings(worst)[0])

    def run_outs(self) -> list[RunOut]:
        """Run-out of each site's failure: when it can no longer be carried without shedding."""
        days = first_crossings(self.used)
        return [
            run_out_of_paths("site", key, self.demand.start, self.demand.horizon, row)
            for key, row in zip(self.demand.keys, days, strict=True)
        ]

    def frame(self, viewers_per_gbps: Mapping[str, float] | None = None) -> pd.DataFrame:
        """A row for each failure and week: key, week, probability (share of futures that shed), shed_gbps,
        shed_gbps_p90, shed_viewers (NaN where no ratio is known) and passes (the sites that pass their limit in at
        least half of the futures).
        """
        count, weeks, _ = self.shed.shape
        keys, mean = np.repeat(np.array(self.demand.keys, dtype=object), weeks), self.shed.mean(axis=2)
        ratio = np.array([(viewers_per_gbps or {}).get(key, np.nan) for key in self.demand.keys])
        return pd.DataFrame(
            {
                "key": keys,
                "week": np.tile(self.demand.weeks, count),
                "probability": (self.shed > 0.0).mean(axis=2).ravel(),
                "shed_gbps": mean.ravel(),
                "shed_gbps_p90": np.quantile(self.shed, 0.9, axis=2).ravel(),
                "shed_viewers": (mean * ratio[:, None]).ravel(),
                "passes": [self.passed(failed, week) for failed in range(count) for week in range(weeks)],
            }
        ).astype({"week": "datetime64[us, UTC]"})

    def passed(self, failed: int, week: int, at_least: float = 0.5) -> tuple[str, ...]:
        """The sites that pass their limit in at least such a share of the futures."""
        if not self.passes.size:
            return ()
        return tuple(self.demand.keys[j] for j in np.flatnonzero(self.passes[failed, :, week] >= at_least))

    def worst_by_month(self) -> pd.DataFrame:
        """The failure that sheds most in each month, on average over the futures; where none sheds, the one with the
        least room.

        Columns: month (its first day), key, probability, shed_gbps, shed_gbps_p90, used (median of demand over room). A
        week belongs to its Monday's month; a month counts the worst of its weeks, future by future.
        """
        months = self.demand.weeks.strftime("%Y-%m-01")
        rows = [self._worst(month, np.flatnonzero(months == month)) for month in dict.fromkeys(months)]
        return pd.DataFrame(rows).astype({"month": "datetime64[us, UTC]"})

    def _worst(self, month: str, weeks: npt.NDArray[np.intp]) -> dict[str, object]:
        shed, used = self.shed[:, weeks].max(axis=1), self.used[:, weeks].max(axis=1)
        mean, median = shed.mean(axis=1), np.median(used, axis=1)
        worst = int(np.lexsort((median, mean))[-1])
        return {
            "month": pd.Timestamp(month, tz="UTC"),
            "key": self.demand.keys[worst],
            "probability": float((shed[worst] > 0.0).mean()),
            "shed_gbps": float(mean[worst]),
            "shed_gbps_p90": float(np.quantile(shed[worst], 0.9)),
            "used": float(median[worst]),
        }


def single_failures(
    demand: Demand, capacity: Reals, limits: Reals, failover: Failover, *, ceiling: float = CEILING, loads: bool = True
) -> SingleFailures:
    """Fail each site in turn. capacity: (keys, weeks), NaN where none is declared; limits: (keys,) shares; the failover
    has the demand's keys.

    Where `loads` is false only what is shed is reckoned, which is much faster: it needs no sharing out.
    """
    count, weeks = demand.gbps.shape[:2]
    room = headroom(demand.gbps, capacity[:, :, None], ceiling).reshape(count, -1)
    required = demand.gbps.reshape(count, -1)
    offered = failover.allowed.astype(float) @ room
    shed = np.maximum(required - offered, 0.0)
    shed[shed <= NOTHING_GBPS] = 0.0
    passes = np.zeros((0, 0, 0))
    if loads:
        bound = (limits[:, None] * capacity)[:, :, None] + NOTHING_GBPS
        spare = np.where(demand.gbps > bound, np.inf, bound - demand.gbps).reshape(count, -1)
        passes = np.array([_passes(failed, required[failed], room, spare, failover, weeks) for failed in range(count)])
    return SingleFailures(
        demand, shed.reshape(demand.gbps.shape), utilisation(required, offered).reshape(demand.gbps.shape), passes
    )


def _passes(failed: int, required: Reals, room: Reals, spare: Reals, failover: Failover, weeks: int) -> Reals:
    """Share of futures in which each site passes its limit, (keys, weeks)."""
    share = np.zeros((len(room), weeks))
    helpers = np.flatnonzero(failover.allowed[failed])
    if len(helpers):
        taken = water_fill(required, room[helpers], failover.weights(failed, helpers, room[helpers]))
        share[helpers] = (taken > spare[helpers]).reshape(len(helpers), weeks, -1).mean(axis=2)
    return share


def water_fill(required: Reals, room: Reals, weights: Reals) -> Reals:
    """Water-filling allocation, (helpers, cases), of `required` (cases): min(room, level x weight), with the level at
    which all that fits is taken.

    The sum over the helpers is concave and piecewise linear in the level, so that Newton's steps from below never pass
    the level sought and reach it after at most one step a helper. Only the cases that are not there yet are stepped.
    """
    wanted: Reals = np.minimum(required, room.sum(axis=0))
    total = weights.sum(axis=0)
    level = np.divide(wanted, total, out=np.zeros_like(wanted), where=total > 0.0)
    taken: Reals = np.minimum(room, level * weights)
    left = np.arange(len(wanted))
    for _ in range(len(room)):
        short = wanted[left] - taken[:, left].sum(axis=0)
        left, short = left[short > SHARED_OUT * wanted[left]], short[short > SHARED_OUT * wanted[left]]
        if not len(left):
            break
        rooms, shares = room[:, left], weights[:, left]
        rising = np.where(taken[:, left] < rooms, shares, 0.0).sum(axis=0)
        level[left] += np.divide(short, rising, out=np.zeros_like(short), where=rising > 0.0)
        taken[:, left] = np.minimum(rooms, level[left] * shares)
    return taken


# Failures are played over half a year: beyond it a failure policy is a matter of the augment plan.
FAILURE_WEEKS = 26
FailureKind = Literal["site", "region", "partner", "path"]
# The column of `sites` that a failure of a group is about.
GROUP_COLUMN = {"region": "region_id", "partner": "partner"}


# Every single failure
# ----------------------------------------------------------------------------------------------------


class FailureReport(NamedTuple):
    """Every single failure of the coming half year.

    first_week: rows of SingleFailures.frame of the joint future at the quantile asked for, what sheds most first; but
    probability, which is over all futures. months: the worst of each month as SingleFailures.worst_by_month of the same
    future, with the probability over all, and `passes`, the sites that pass their limit in any of its weeks.
    safe_until: when the network stops being N-1 safe, over all futures.
    """

    first_week: pd.DataFrame
    months: pd.DataFrame
    safe_until: RunOut

    @property
    def shedding(self) -> int:
        """How many single failures shed something in the first week."""
        return int((self.first_week["shed_gbps"] > 0.0).sum())


def failure_report(case: PlanCase, quantile: float = 0.9) -> FailureReport:
    """Fail each site of a case in turn, in each week of the coming half year, on the joint future at `quantile` of the
    week's total: what play_failure plays.
    """
    all_futures = single_failures_of(case, loads=False)
    demand = all_futures.demand
    played = replace(case, demand=demand.with_gbps(demand.scenario_at_quantile(quantile)[:, :, None]))
    failures = single_failures_of(played, loads=True)
    rows = failures.frame().assign(probability=(all_futures.shed > 0.0).mean(axis=2).ravel())
    first_week = rows[rows["week"] == case.demand.start].sort_values(
        ["shed_gbps", "probability", "key"], ascending=[False, False, True], ignore_index=True
    )
    months = failures.worst_by_month()
    month_of_week, month_of_row = demand.weeks.strftime("%Y-%m"), rows["week"].dt.strftime("%Y-%m")
    worst = list(zip(months["key"], months["month"].dt.strftime("%Y-%m"), strict=True))
    passes = [_sites_that_pass(rows[(rows["key"] == key) & (month_of_row == month)]) for key, month in worst]
    shed = [all_futures.shed[demand.keys.index(key)][month_of_week == month].max(axis=0) for key, month in worst]
    probability = [float((each > 0.0).mean()) for each in shed]
    return FailureReport(first_week, months.assign(passes=passes, probability=probability), all_futures.safe_until())


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
    """The failure that a spec names, or the reason why it displaces nothing."""
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
    """Gbps with what lies within the solver's tolerance set to 0."""
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
