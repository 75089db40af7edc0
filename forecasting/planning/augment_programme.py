"""The augment programme: what a plan must keep, month by month, as arrays (needs, capacities, what can be bought and when
it can be there), and the cheapest units that keep it: a mixed-integer programme, solved by HiGHS, one independent part
after another.

Unknowns are the whole units of each option in service in each month, never fewer than the month before. Where no purchase
keeps a constraint, the programme is made elastic: first the least total shortfall, then the least cost of a plan that
falls short by no more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import block_array, coo_array, csr_array, eye_array, hstack
from scipy.sparse.csgraph import connected_components

from data.schema.errors import SettingError
from forecasting.planning.capacity import Policy, weekly_capacity
from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import CEILING, NOTHING_GBPS, Failover, headroom
from forecasting.planning.order_by import OrderPolicy

Whole = npt.NDArray[np.int64]
MONTHS = 12


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """Options of an augment plan: the policy holds in each of the coming months with probability `q` at each site, and while any
    one site is down if `n_minus_1`.

    `budget_usd` bounds what is spent within those months. Orders can be placed from `today` on, or from the first week
    planned where it is not given. The search stops after `seconds` with the best plan found and its gap.
    """

    policy: Policy = field(default_factory=Policy)
    q: float = 0.9
    months: int = MONTHS
    n_minus_1: bool = False
    ceiling: float = CEILING
    budget_usd: float | None = None
    ordering: OrderPolicy = field(default_factory=OrderPolicy)
    seconds: float = 20.0
    today: pd.Timestamp | None = None

    def __post_init__(self) -> None:
        if not (
            0.0 < self.q < 1.0
            and self.months >= 1
            and self.ceiling >= max(self.policy.limit, *self.policy.limits.values(), 0.0)
        ):
            raise SettingError(
                f"A plan for the {self.q:g} quantile of {self.months} months, filled to {self.ceiling:g} in a failure, is not usable.",
                remedy="give a quantile between 0 and 1, at least one month, and a ceiling at or above every limit",
            )


@dataclass(frozen=True, slots=True, eq=False)
class AugmentProblem:
    """Arrays of a plan. Sites without any declared capacity are left out.

    months: the first Monday of each. peaks: (keys, months, paths), the highest week of each month, Gbps; need: its
    quantile, (keys, months); capacity: the least in force in the month, 0 where `in_service` is false: the site is not in
    service yet. allowed: (failed, helper).
    Of each option: the position of its site, Gbps and costs of one unit, the first month that it can serve (len(months)
    where none), the most units.
    """

    request: AugmentOptions
    keys: tuple[str, ...]
    months: pd.DatetimeIndex
    peaks: Reals
    need: Reals
    capacity: Reals
    in_service: npt.NDArray[np.bool_]
    limits: Reals
    allowed: npt.NDArray[np.bool_]
    site: Whole
    gbps: Reals
    usd_month: Reals
    usd_once: Reals
    padded_days: Reals
    first: Whole
    most: Reals

    def added(self, units: Reals) -> Reals:
        """Capacity that `units` (options, months) in service add, (keys, months)."""
        added_gbps = np.zeros(self.need.shape)
        np.add.at(added_gbps, self.site, units * self.gbps[:, None])
        return added_gbps

    def in_force(self, units: Reals) -> Reals:
        """Capacity with the plan, (keys, months); 0 where the site is not in service."""
        return np.where(self.in_service, self.capacity + self.added(units), 0.0)

    def cost(self, units: Reals) -> float:
        """USD within the months: each unit once, and for each month in service."""
        return float(units[:, -1] @ self.usd_once + units.sum(axis=1) @ self.usd_month)


class Violation(NamedTuple):
    """A constraint that is not kept: the limit of a site, or the failure of it (kind n-1), by how much, in which month
    (position).
    """

    kind: Literal["limit", "n-1"]
    key: str
    month: int
    short_gbps: float


def build_problem(
    demand: Demand, steps: pd.DataFrame, catalogue: pd.DataFrame, failover: Failover | None, request: AugmentOptions
) -> AugmentProblem:
    """The problem of some demand, the contract's `capacity` and a catalogue.

    catalogue: site_id, gbps, cost_usd_month, lead_time_days; optional: cost_usd_once (0 where missing), most (units of
    it, as many as help where missing). SettingError where a step of the catalogue is not usable, the demand is of
    another statistic than the policy's, or N-1 is asked for without a failover.
    """
    if request.n_minus_1 and failover is None:
        raise SettingError(
            "A plan that survives a failure needs to know who takes over for whom.", remedy="give a failover"
        )
    request.policy.check(demand)
    capacity = weekly_capacity(
        steps, demand.keys, demand.direction, demand.weeks, planned=request.policy.planned, now=request.today
    )
    rows_with_capacity = [i for i, row in enumerate(capacity) if not np.isnan(row).all()]
    month, mondays = _months(demand.weeks, request.months)
    peaks = np.stack([demand.gbps[rows_with_capacity][:, month == m].max(axis=1) for m in range(len(mondays))], axis=1)
    in_service = np.stack(
        [~np.isnan(capacity[rows_with_capacity][:, month == m]).any(axis=1) for m in range(len(mondays))], axis=1
    )
    least = np.stack(
        [
            np.where(np.isnan(rows := capacity[rows_with_capacity][:, month == m]), 0.0, rows).min(axis=1)
            for m in range(len(mondays))
        ],
        axis=1,
    )
    keys = tuple(demand.keys[i] for i in rows_with_capacity)
    options = _options(catalogue, keys)
    allowed = (
        failover.allowed[np.ix_(rows_with_capacity, rows_with_capacity)]
        if failover is not None and request.n_minus_1
        else np.zeros((len(rows_with_capacity), len(rows_with_capacity)), dtype=bool)
    )
    need, limits = np.quantile(peaks, request.q, axis=2), request.policy.shares(keys)
    padded = np.array([request.ordering.padded(days) for days in options["lead_time_days"]])
    ordered = demand.start if request.today is None else max(demand.start, request.today.floor("D"))
    ready = ordered + pd.to_timedelta(np.ceil(padded), unit="D")
    site, gbps = options["site"].to_numpy(np.int64), options["gbps"].to_numpy(float)
    return AugmentProblem(
        request,
        keys,
        mondays,
        peaks,
        need,
        np.where(in_service, least, 0.0),
        in_service,
        limits,
        allowed,
        site,
        gbps,
        options["cost_usd_month"].to_numpy(float),
        options["cost_usd_once"].to_numpy(float),
        padded,
        np.asarray(mondays.searchsorted(ready, side="left"), dtype=np.int64),
        np.fmin(options["most"].to_numpy(float), _enough(peaks.max(axis=2), allowed, limits, site, gbps)),
    )


def violations(problem: AugmentProblem, units: Reals) -> list[Violation]:
    """Constraints that a plan, (options, months) units in service, does not keep: computed from the definition, not from
    the programme that found it.
    """
    capacity = problem.in_force(units)
    short = np.where(problem.in_service, problem.need - problem.limits[:, None] * capacity, 0.0)
    exceeded = [
        Violation("limit", problem.keys[i], int(m), float(short[i, m])) for i, m in np.argwhere(short > NOTHING_GBPS)
    ]
    return exceeded + [
        Violation("n-1", problem.keys[i], int(m), float(gap)) for i, m, gap in _unsafe(problem, capacity)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """The risk of a plan: expected Gbps-months above the limit; where N-1 is asked for, also those that the worst
    single failure of each month sheds.

    over: (keys, months) Gbps above the limit; short: (failed, months, paths) Gbps that helpers lack; worst: (months,
    paths) Gbps; the last two empty without N-1. Kept, so that what one purchase takes off the risk is quickly told.
    """

    problem: AugmentProblem
    capacity: Reals
    over: Reals
    short: Reals
    worst: Reals

    @classmethod
    def of(cls, problem: AugmentProblem, units: Reals) -> Exposure:
        """The risk with `units` (options, months) in service."""
        capacity, in_service, none = problem.in_force(units), problem.in_service, np.empty((0, 0))
        bound = problem.limits[:, None] * capacity
        over = (np.maximum(problem.peaks - bound[:, :, None], 0.0) * in_service[:, :, None]).mean(axis=2)
        if not problem.request.n_minus_1:
            return cls(problem, capacity, over, none, none)
        room = headroom(problem.peaks, capacity[:, :, None], problem.request.ceiling)
        short = problem.peaks - np.tensordot(problem.allowed.astype(float), room, axes=1)
        return cls(problem, capacity, over, short, np.maximum(short, 0.0).max(axis=0))

    @property
    def total(self) -> float:
        """Gbps-months."""
        return float(self.over.sum() + (self.worst.mean(axis=1).sum() if self.worst.size else 0.0))

    def more_without(self, site: int, gbps: Reals) -> float:
        """Gbps-months that come on top where a site has so much less capacity in each month (months,)."""
        problem, left = self.problem, np.maximum(self.capacity[site] - gbps, 0.0)[:, None]
        over = (
            np.maximum(problem.peaks[site] - problem.limits[site] * left, 0.0).mean(axis=1) * problem.in_service[site]
        )
        more = float((over - self.over[site]).sum())
        failing = problem.allowed[:, site]
        if not self.worst.size or not failing.any():
            return more
        ceiling, peaks = problem.request.ceiling, problem.peaks[site]
        lost = headroom(peaks, self.capacity[site][:, None], ceiling) - headroom(peaks, left, ceiling)
        return more + float(
            (np.maximum(self.worst, (self.short[failing] + lost).max(axis=0)) - self.worst).mean(axis=1).sum()
        )


def risk(problem: AugmentProblem, units: Reals) -> float:
    """Gbps-months at risk with `units` (options, months) in service, as `Exposure` reckons them."""
    return Exposure.of(problem, units).total


def _unsafe(problem: AugmentProblem, capacity: Reals) -> list[tuple[int, int, float]]:
    """Position of the failed site, month, and Gbps that its helpers cannot take."""
    if not problem.request.n_minus_1:
        return []
    short = problem.need - problem.allowed.astype(float) @ headroom(problem.need, capacity, problem.request.ceiling)
    return [(int(i), int(m), float(short[i, m])) for i, m in np.argwhere((short > NOTHING_GBPS) & problem.in_service)]


def _months(weeks: pd.DatetimeIndex, count: int) -> tuple[Whole, pd.DatetimeIndex]:
    """The month of each week, by its Monday, -1 after the last that counts; and the first Monday of each month."""
    position, names = pd.factorize(weeks.strftime("%Y-%m"))
    if len(names) < count:
        raise SettingError(
            f"The demand covers {len(names)} months, the plan asks for {count}.",
            remedy="plan fewer months, or forecast further ahead",
        )
    first = [int(np.argmax(position == m)) for m in range(count)]
    return np.where(position < count, position, -1), weeks[first]


def _options(catalogue: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The steps of the sites planned, with defaults and the position of their site."""
    at = {key: i for i, key in enumerate(keys)}
    filled = catalogue.assign(
        cost_usd_once=catalogue["cost_usd_once"].fillna(0.0) if "cost_usd_once" in catalogue else 0.0,
        most=catalogue["most"].astype(float) if "most" in catalogue else np.nan,
    )
    numbers = filled[["gbps", "cost_usd_month", "cost_usd_once", "lead_time_days"]].astype(float)
    if bad := list(filled.index[(numbers.isna() | (numbers < 0.0)).any(axis=1) | (numbers["gbps"] <= 0.0)]):
        raise SettingError(
            f"Row {bad[0]} of the catalogue, {filled.loc[bad[0]].to_dict()}, is not usable.",
            cause="a missing or negative number",
            remedy="give each step gbps above 0, and costs and lead time of at least 0",
        )
    offered = filled[filled["site_id"].isin(at)]
    return offered.assign(site=offered["site_id"].map(at)).reset_index(drop=True)


def _enough(highest: Reals, allowed: npt.NDArray[np.bool_], limits: Reals, site: Whole, gbps: Reals) -> Reals:
    """More units than this of an option help nobody: they would carry the site and any one that fails to it without
    what is there.
    """
    others = np.where(allowed, highest.max(axis=1)[:, None], 0.0).max(axis=0, initial=0.0)
    return np.asarray(np.ceil((highest.max(axis=1, initial=0.0) + others)[site] / (limits[site] * gbps)))


# Solving it
# ----------------------------------------------------------------------------------------------------------------------

# A plan within a hundredth of a percent of the least cost is not worth the search for a cheaper one; the gap is stated
# all the same.
GAP = 1e-4
# The least time that HiGHS is given for a part when the others have used up theirs.
LEAST_SECONDS = 0.5
# milp's word for: no solution exists.
INFEASIBLE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """units: (options, months) in service; bound: no plan that falls short by no more costs less, USD; elastic: some
    constraint could not be kept.

    short_gbps: by how much in all; avoidable_gbps: how much of it another plan might not lack at most, where the search
    for the least was cut off.
    unbound_usd: what the plan costs without the budget, where the budget does not pay for it.
    """

    units: Reals
    bound: float
    elastic: bool
    short_gbps: float = 0.0
    avoidable_gbps: float = 0.0
    unbound_usd: float | None = None


class PartSolution(NamedTuple):
    """A part's: values of its variables, the least that they could cost, whether it had to be made elastic, and as in
    Solution.
    """

    values: Reals
    bound: float
    elastic: bool = False
    short_gbps: float = 0.0
    avoidable_gbps: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ConstraintRows:
    """Constraints `matrix @ x + slack @ s >= low` over the variables (option, month) of `option` and `month`, each from
    0 to `most`.
    """

    option: Whole
    month: Whole
    cost: Reals
    most: Reals
    matrix: csr_array
    slack: csr_array
    low: Reals


def solve_programme(problem: AugmentProblem) -> Solution | None:
    """The cheapest plan; None where not one was found in the time given.

    A budget ties all sites together, and the search for what it buys best is long. So the plan without it comes first,
    part by part: where the budget pays for it, it is the answer, and where it is proved to cost more, no plan keeps
    every constraint.
    """
    request, ends = problem.request, time.monotonic() + problem.request.seconds
    if request.budget_usd is None:
        return _solved(problem, ends)
    free = _solved(replace(problem, request=replace(request, budget_usd=None)), ends)
    if free is not None and problem.cost(free.units) <= request.budget_usd:
        return free
    if free is None:
        return _solved(problem, ends)
    solution = _solved(problem, ends, hopeless=free.elastic or free.bound > request.budget_usd)
    return None if solution is None else replace(solution, unbound_usd=problem.cost(free.units))


def _solved(problem: AugmentProblem, ends: float, *, hopeless: bool = False) -> Solution | None:
    """The cheapest plan, part by part. hopeless: whether it is known that some constraint cannot be kept."""
    rows = _rows(problem)
    units, answers = np.zeros((len(problem.site), len(problem.months))), list[PartSolution]()
    parts = sorted(_parts(rows), key=lambda part: len(part[0]))
    for number, (columns, constraints) in enumerate(parts):
        seconds = max((ends - time.monotonic()) / (len(parts) - number), LEAST_SECONDS)
        answer = _part(rows, columns, constraints, seconds, hopeless=hopeless)
        if answer is None:
            return None
        units[rows.option[columns], rows.month[columns]] = np.round(answer.values)
        answers.append(answer)
    bound, short, avoidable = (
        float(sum(amounts)) for amounts in ([answer[at] for answer in answers] for at in (1, 3, 4))
    )
    return Solution(units, bound, any(answer.elastic for answer in answers), short, avoidable)


def _part(
    rows: ConstraintRows, columns: Whole, constraints: Whole, seconds: float, *, hopeless: bool
) -> PartSolution | None:
    """The cheapest values that keep every constraint of a part, or fall short by the least; None where none were found
    in time.
    """
    if not len(columns):
        return PartSolution(np.zeros(0), 0.0, elastic=True)
    ends = time.monotonic() + seconds
    matrix, low, cost = rows.matrix[constraints][:, columns], rows.low[constraints], rows.cost[columns]
    if not hopeless:
        strict = _milp(cost, np.ones(len(columns)), rows.most[columns], matrix, low, seconds)
        if strict.x is not None:
            return PartSolution(strict.x, float(strict.mip_dual_bound))
        if strict.status != INFEASIBLE:
            return None
    # A slack belongs to the row of its own constraint, and never need make up for more than that lacks without
    # purchases.
    own = np.unique(rows.slack[constraints].indices)
    wide, spare = hstack([matrix, rows.slack[constraints][:, own]]).tocsr(), len(own)
    whole, lacks = np.r_[np.ones(len(columns)), np.zeros(spare)], np.maximum(rows.low[own], 0.0)
    half = max((ends - time.monotonic()) / 2, LEAST_SECONDS)
    short = _milp(
        np.r_[np.zeros(len(columns)), np.ones(spare)], whole, np.r_[rows.most[columns], lacks], wide, low, half
    )
    if short.x is None:
        return None
    least = np.r_[rows.most[columns], short.x[len(columns) :] + NOTHING_GBPS]
    cheapest = _milp(np.r_[cost, np.zeros(spare)], whole, least, wide, low, half)
    chosen = cheapest if cheapest.x is not None else short
    bound = float(cheapest.mip_dual_bound or 0.0) if cheapest.x is not None else 0.0
    return PartSolution(
        chosen.x[: len(columns)],
        bound,
        True,
        float(short.fun),
        max(float(short.fun - (short.mip_dual_bound or 0.0)), 0.0),
    )


def _milp(cost: Reals, whole: Reals, most: Reals, matrix: csr_array, low: Reals, seconds: float) -> Any:
    options = {"time_limit": seconds, "mip_rel_gap": GAP}
    return milp(
        cost, integrality=whole, bounds=Bounds(0.0, most), constraints=LinearConstraint(matrix, lb=low), options=options
    )


def _parts(rows: ConstraintRows) -> list[tuple[Whole, Whole]]:
    """Variables and constraints that have to do with each other, part by part; a part that buys nothing, because
    nothing is short, is left out.
    """
    count, columns = rows.matrix.shape
    # The slack of a constraint binds it to the others that it helps.
    links = block_array([[None, rows.matrix, rows.slack], [rows.matrix.T, None, None], [rows.slack.T, None, None]])
    _, label = connected_components(links, directed=False)
    short = np.unique(label[:count][rows.low > 0.0])
    of_row, of_column = label[:count], label[count : count + columns]
    return [(np.flatnonzero(of_column == part), np.flatnonzero(of_row == part)) for part in short]


def _rows(problem: AugmentProblem) -> ConstraintRows:
    """All constraints: limits that are not kept as it is, failures that are not, units that never go, and the
    budget.
    """
    served = np.arange(len(problem.months))[None, :] >= problem.first[:, None]
    option, month = np.nonzero(served)
    last = month == len(problem.months) - 1
    cost = problem.usd_month[option] + np.where(last, problem.usd_once[option], 0.0)
    limits, short = _limit_rows(problem, option, month)
    failures, unsafe, helped = _failure_rows(problem, option, month)
    stays = _stay_rows(option, month)
    slack = block_array([[eye_array(len(short)), None], [helped[:, _cells(problem)], eye_array(len(unsafe))]]).tocsr()
    parts, lows = [limits, failures, stays], [short, unsafe, np.zeros(stays.shape[0])]
    if problem.request.budget_usd is not None:
        parts, lows = [*parts, csr_array(-cost[None, :])], [*lows, np.array([-problem.request.budget_usd])]
    stacked = block_array([[part] for part in parts]).tocsr()
    slack.resize((stacked.shape[0], slack.shape[1]))
    return ConstraintRows(option, month, cost, problem.most[option], stacked, slack, np.concatenate(lows))


def _cells(problem: AugmentProblem) -> Whole:
    """Flat positions (site, month) where the limit is not kept without purchases."""
    return np.flatnonzero(problem.in_service & (problem.need > problem.limits[:, None] * problem.capacity))


def _limit_rows(problem: AugmentProblem, option: Whole, month: Whole) -> tuple[csr_array, Reals]:
    """Gbps within the limit that each variable adds to each cell, and what the cell lacks."""
    cells = _cells(problem)
    cell_of_variable = problem.site[option] * len(problem.months) + month
    row, column = np.nonzero(cells[:, None] == cell_of_variable[None, :])
    gain = problem.limits[problem.site[option]] * problem.gbps[option]
    lacks = (problem.need - problem.limits[:, None] * problem.capacity).ravel()[cells]
    return coo_array((gain[column], (row, column)), shape=(len(cells), len(option))).tocsr(), lacks


def _failure_rows(problem: AugmentProblem, option: Whole, month: Whole) -> tuple[csr_array, Reals, csr_array]:
    """Headroom that each variable adds for each failure (site, month), what it lacks, and which cells' shortfall counts
    as room there.

    Where every limit is kept, headroom is never below nought, so that it may be added up as it is; a cell that falls
    short of its limit gives that back, where it stands above the ceiling and something can be bought for it. For what
    cannot be bettered the headroom is known.
    """
    count, months = problem.need.shape
    ceiling, reach = problem.request.ceiling, (problem.allowed[:, :, None] & problem.in_service[None]).astype(float)
    better = np.zeros((count, months), dtype=bool)
    better[problem.site[option], month] = True
    spare = ceiling * problem.capacity - problem.need
    over, spare = better & (spare < 0.0), np.where(better, spare, np.maximum(spare, 0.0))
    lacks = problem.need - np.einsum("fjm,jm->fm", reach, spare)
    really = problem.need - np.einsum("fjm,jm->fm", reach, np.maximum(spare, 0.0))
    failed, when = np.nonzero((really > 0.0) & problem.in_service & problem.request.n_minus_1)
    gain = reach[failed[:, None], problem.site[option][None, :], month[None, :]] * (when[:, None] == month[None, :])
    helped = np.zeros((len(failed), count, months))
    helped[np.arange(len(failed)), :, when] = (reach * over)[failed, :, when]
    return (
        csr_array(gain * (ceiling * problem.gbps[option])),
        lacks[failed, when],
        csr_array(helped.reshape(len(failed), count * months)),
    )


def _stay_rows(option: Whole, month: Whole) -> csr_array:
    """Constraint rows: what is in service in a month is in service in the next."""
    first = np.flatnonzero((option[1:] == option[:-1]) & (month[1:] == month[:-1] + 1))
    rows: npt.NDArray[np.int64] = np.arange(len(first))
    values = np.r_[-np.ones(len(first)), np.ones(len(first))]
    return coo_array((values, (np.r_[rows, rows], np.r_[first, first + 1])), shape=(len(first), len(option))).tocsr()
