"""The cheapest units that keep every constraint: a mixed-integer programme, solved by HiGHS, one independent part after
another.

Unknowns are the whole units of each option in service in each month, never fewer than the month before. Where no
purchase keeps a constraint, the programme is
made elastic: first the least total shortfall, then the least cost of a plan that falls short by no more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import block_array, coo_array, csr_array, eye_array, hstack
from scipy.sparse.csgraph import connected_components

from forecasting.planning.augment_problem import AugmentProblem, Whole
from forecasting.planning.demand import Reals
from forecasting.planning.failover_allocation import NOTHING_GBPS

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


class Answer(NamedTuple):
    """A part's: values of its variables, the least that they could cost, whether it had to be made elastic, and as in
    Solution.
    """

    values: Reals
    bound: float
    elastic: bool = False
    short_gbps: float = 0.0
    avoidable_gbps: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
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
    found = _solved(problem, ends, hopeless=free.elastic or free.bound > request.budget_usd)
    return None if found is None else replace(found, unbound_usd=problem.cost(free.units))


def _solved(problem: AugmentProblem, ends: float, *, hopeless: bool = False) -> Solution | None:
    """The cheapest plan, part by part. hopeless: whether it is known that some constraint cannot be kept."""
    rows = _rows(problem)
    units, answers = np.zeros((len(problem.site), len(problem.months))), list[Answer]()
    parts = sorted(_parts(rows), key=lambda part: len(part[0]))
    for number, (columns, kept) in enumerate(parts):
        seconds = max((ends - time.monotonic()) / (len(parts) - number), LEAST_SECONDS)
        found = _part(rows, columns, kept, seconds, hopeless=hopeless)
        if found is None:
            return None
        units[rows.option[columns], rows.month[columns]] = np.round(found.values)
        answers.append(found)
    bound, short, avoidable = (float(sum(amounts)) for amounts in ([one[at] for one in answers] for at in (1, 3, 4)))
    return Solution(units, bound, any(one.elastic for one in answers), short, avoidable)


def _part(rows: Rows, columns: Whole, kept: Whole, seconds: float, *, hopeless: bool) -> Answer | None:
    """The cheapest values that keep every constraint of a part, or fall short by the least; None where none were found
    in time.
    """
    if not len(columns):
        return Answer(np.zeros(0), 0.0, elastic=True)
    ends = time.monotonic() + seconds
    matrix, low, cost = rows.matrix[kept][:, columns], rows.low[kept], rows.cost[columns]
    if not hopeless:
        strict = _milp(cost, np.ones(len(columns)), rows.most[columns], matrix, low, seconds)
        if strict.x is not None:
            return Answer(strict.x, float(strict.mip_dual_bound))
        if strict.status != INFEASIBLE:
            return None
    # A slack belongs to the row of its own constraint, and never need make up for more than that lacks without
    # purchases.
    own = np.unique(rows.slack[kept].indices)
    wide, spare = hstack([matrix, rows.slack[kept][:, own]]).tocsr(), len(own)
    whole, lacks = np.r_[np.ones(len(columns)), np.zeros(spare)], np.maximum(rows.low[own], 0.0)
    half = max((ends - time.monotonic()) / 2, LEAST_SECONDS)
    short = _milp(
        np.r_[np.zeros(len(columns)), np.ones(spare)], whole, np.r_[rows.most[columns], lacks], wide, low, half
    )
    if short.x is None:
        return None
    least = np.r_[rows.most[columns], short.x[len(columns) :] + NOTHING_GBPS]
    found = _milp(np.r_[cost, np.zeros(spare)], whole, least, wide, low, half)
    chosen = found if found.x is not None else short
    bound = float(found.mip_dual_bound or 0.0) if found.x is not None else 0.0
    return Answer(
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


def _parts(rows: Rows) -> list[tuple[Whole, Whole]]:
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


def _rows(problem: AugmentProblem) -> Rows:
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
    return Rows(option, month, cost, problem.most[option], stacked, slack, np.concatenate(lows))


def _cells(problem: AugmentProblem) -> Whole:
    """Flat positions (site, month) where the limit is not kept without purchases."""
    return np.flatnonzero(problem.known & (problem.need > problem.limits[:, None] * problem.capacity))


def _limit_rows(problem: AugmentProblem, option: Whole, month: Whole) -> tuple[csr_array, Reals]:
    """Gbps within the limit that each variable adds to each cell, and what the cell lacks."""
    cells = _cells(problem)
    held = problem.site[option] * len(problem.months) + month
    row, column = np.nonzero(cells[:, None] == held[None, :])
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
    ceiling, reach = problem.request.ceiling, (problem.allowed[:, :, None] & problem.known[None]).astype(float)
    better = np.zeros((count, months), dtype=bool)
    better[problem.site[option], month] = True
    spare = ceiling * problem.capacity - problem.need
    over, spare = better & (spare < 0.0), np.where(better, spare, np.maximum(spare, 0.0))
    lacks = problem.need - np.einsum("fjm,jm->fm", reach, spare)
    really = problem.need - np.einsum("fjm,jm->fm", reach, np.maximum(spare, 0.0))
    failed, when = np.nonzero((really > 0.0) & problem.known & problem.request.n_minus_1)
    gain = reach[failed[:, None], problem.site[option][None, :], month[None, :]] * (when[:, None] == month[None, :])
    helped = np.zeros((len(failed), count, months))
    helped[np.arange(len(failed)), :, when] = (reach * over)[failed, :, when]
    return (
        csr_array(gain * (ceiling * problem.gbps[option])),
        lacks[failed, when],
        csr_array(helped.reshape(len(failed), count * months)),
    )


def _stay_rows(option: Whole, month: Whole) -> csr_array:
    """What is in service in a month is in service in the next."""
    first = np.flatnonzero((option[1:] == option[:-1]) & (month[1:] == month[:-1] + 1))
    rows: npt.NDArray[np.int64] = np.arange(len(first))
    values = np.r_[-np.ones(len(first)), np.ones(len(first))]
    return coo_array((values, (np.r_[rows, rows], np.r_[first, first + 1])), shape=(len(first), len(option))).tocsr()
