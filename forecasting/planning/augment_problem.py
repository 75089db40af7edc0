"""What an augment plan must keep, month by month, as arrays: needs, capacities, what can be bought and when it can be
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema.errors import SettingError
from forecasting.planning.capacity import Policy, weekly_capacity
from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import Failover
from forecasting.planning.failover_allocation import NOTHING_GBPS
from forecasting.planning.failures import CEILING, headroom
from forecasting.planning.ordering import OrderPolicy

Whole = npt.NDArray[np.int64]
MONTHS = 12


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """What to plan for: the policy holds in each of the coming months with probability `q` at each site, and while any
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
    quantile, (keys, months); capacity: the least in force in the month, 0 where `known` is false: the site is not in
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
    known: npt.NDArray[np.bool_]
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
        found = np.zeros(self.need.shape)
        np.add.at(found, self.site, units * self.gbps[:, None])
        return found

    def in_force(self, units: Reals) -> Reals:
        """Capacity with the plan, (keys, months); 0 where the site is not in service."""
        return np.where(self.known, self.capacity + self.added(units), 0.0)

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
    kept = [i for i, row in enumerate(capacity) if not np.isnan(row).all()]
    month, mondays = _months(demand.weeks, request.months)
    peaks = np.stack([demand.gbps[kept][:, month == m].max(axis=1) for m in range(len(mondays))], axis=1)
    known = np.stack([~np.isnan(capacity[kept][:, month == m]).any(axis=1) for m in range(len(mondays))], axis=1)
    least = np.stack(
        [np.where(np.isnan(rows := capacity[kept][:, month == m]), 0.0, rows).min(axis=1) for m in range(len(mondays))],
        axis=1,
    )
    keys = tuple(demand.keys[i] for i in kept)
    options = _options(catalogue, keys)
    allowed = (
        failover.allowed[np.ix_(kept, kept)]
        if failover is not None and request.n_minus_1
        else np.zeros((len(kept), len(kept)), dtype=bool)
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
        np.where(known, least, 0.0),
        known,
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
    """What a plan, (options, months) units in service, does not keep: reckoned from the definition, not from the
    programme that found it.
    """
    capacity = problem.in_force(units)
    short = np.where(problem.known, problem.need - problem.limits[:, None] * capacity, 0.0)
    found = [
        Violation("limit", problem.keys[i], int(m), float(short[i, m])) for i, m in np.argwhere(short > NOTHING_GBPS)
    ]
    return found + [Violation("n-1", problem.keys[i], int(m), float(gap)) for i, m, gap in _unsafe(problem, capacity)]


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
        capacity, known, none = problem.in_force(units), problem.known, np.empty((0, 0))
        bound = problem.limits[:, None] * capacity
        over = (np.maximum(problem.peaks - bound[:, :, None], 0.0) * known[:, :, None]).mean(axis=2)
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
        over = np.maximum(problem.peaks[site] - problem.limits[site] * left, 0.0).mean(axis=1) * problem.known[site]
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
    return [(int(i), int(m), float(short[i, m])) for i, m in np.argwhere((short > NOTHING_GBPS) & problem.known)]


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
    held = filled[filled["site_id"].isin(at)]
    return held.assign(site=held["site_id"].map(at)).reset_index(drop=True)


def _enough(highest: Reals, allowed: npt.NDArray[np.bool_], limits: Reals, site: Whole, gbps: Reals) -> Reals:
    """More units than this of an option help nobody: they would carry the site and any one that fails to it without
    what is there.
    """
    others = np.where(allowed, highest.max(axis=1)[:, None], 0.0).max(axis=0, initial=0.0)
    return np.asarray(np.ceil((highest.max(axis=1, initial=0.0) + others)[site] / (limits[site] * gbps)))
