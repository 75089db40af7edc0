"""A plan case: all inputs of a plan in one direction, and how they are built from what a run published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import GLOBAL_KEY, MIN_PEAK_WEEKS, MIN_WEEK_COMPLETENESS, Direction, Level, week_start
from forecasting.planning.augments import CapacityAddition
from forecasting.planning.capacity import Policy, weekly_capacity
from forecasting.planning.demand import WEEK, Demand, Diversity, Reals, Statistic, coincidence_factor
from forecasting.planning.failover import CEILING, Failover, nearby
from forecasting.planning.order_by import USUAL_LEAD_DAYS, OrderPolicy

NO_TELEMETRY = "capacity is declared, but no traffic was ever measured"
NO_GROUP_FUTURES = "too little history of the sum of its sites"
# How far a run simulates, where none of its series has futures to say so.
WEEKS_PLANNED = 78


class PublishedFutures(Protocol):
    """Simulated futures as a run published them: draws (keys, weeks, paths) of a weekly statistic."""

    @property
    def keys(self) -> tuple[str, ...]: ...
    @property
    def weeks(self) -> pd.DatetimeIndex: ...
    @property
    def draws(self) -> npt.NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True, eq=False)
class PlanCase:
    """Demand against capacity under a policy, in one direction.

    steps: the contract's `capacity`; sites: the contract's `sites`; failover: with the demand's keys.
    catalogue: as in build_problem, or None where no step is on offer.
    refused: reason by site_id, of sites without futures: their region and the network are answered without them.
    usual: by site_id, what it usually carries, Gbps, for the share of those sites. notes: by site_id, what a run says of
    the weekly peaks of a site with futures, such as which hours it always lacks. refused_groups: reason by key, of
    regions (and the network) without futures of their own.
    diversity: by region_id, and "all" for the network, as in Demand.summed. published: futures of regions and of the
    network as the run has them. measured: by level and key, the statistic of the last whole week, Gbps.
    incidents: by site_id, the sentence of what is open; unheard: the same of sites whose telemetry is silent.
    now: the end of the telemetry, from which on augments are planned and orders can be placed; the first week of the
    demand where it is not given. added: what a what-if has added to `steps`, for its cost.
    """

    demand: Demand
    steps: pd.DataFrame
    sites: pd.DataFrame
    policy: Policy
    failover: Failover
    catalogue: pd.DataFrame | None = None
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    usual: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    refused_groups: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    diversity: Diversity = field(default_factory=lambda: MappingProxyType({}))
    published: Mapping[Level, Demand] = field(default_factory=lambda: MappingProxyType({}))
    measured: Mapping[Level, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))
    incidents: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unheard: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ordering: OrderPolicy = field(default_factory=OrderPolicy)
    now: pd.Timestamp | None = None
    ceiling: float = CEILING
    added: tuple[CapacityAddition, ...] = ()

    @property
    def direction(self) -> Direction:
        return self.demand.direction

    @property
    def moment(self) -> pd.Timestamp:
        """`now`, or the first week of the demand."""
        return self.demand.start if self.now is None else self.now

    @property
    def regions(self) -> dict[str, str]:
        """region_id by site_id."""
        return dict(zip(self.sites["site_id"].astype(str), self.sites["region_id"].astype(str), strict=True))

    def groups(self, level: Level) -> dict[str, str]:
        """The key of the series of a level that each site is part of, by site_id: the sites that carry traffic, with
        futures or refused.
        """
        sites = [*self.demand.keys, *self.refused]
        if level == "site":
            return {site: site for site in sites}
        if level == "global":
            return dict.fromkeys(sites, GLOBAL_KEY)
        regions = self.regions
        return {site: regions[site] for site in sites if site in regions}

    def capacity(self, demand: Demand) -> Reals:
        """Capacity in force in the weeks of some demand, (keys, weeks)."""
        return weekly_capacity(
            self.steps, demand.keys, demand.direction, demand.weeks, planned=self.policy.planned, now=self.moment
        )

    def lead_days(self, level: Level) -> dict[str, float]:
        """Days from an order to capacity in service, by key; a site that declares none takes the usual time. A region,
        and the network, waits for the slowest of the sites that it is answered by, or of all where it is by none.
        """
        ids = self.sites["site_id"].astype(str)
        leads = self.sites["lead_time_days"] if "lead_time_days" in self.sites else pd.Series(np.nan, self.sites.index)
        days = leads.astype(float).fillna(USUAL_LEAD_DAYS)
        if level == "site":
            return dict(zip(ids, days.astype(float), strict=True))
        keys = self.sites["region_id"].astype(str) if level == "region" else pd.Series(GLOBAL_KEY, self.sites.index)
        answering = ids.isin(self.demand.keys)
        slowest = days.groupby(keys).max().to_dict() | days[answering].groupby(keys[answering]).max().to_dict()
        return {str(key): float(most) for key, most in slowest.items()}


class PublishedTables(Protocol):
    """What a run published and the lake holds for a plan of one direction and statistic: data.queries.PlanTables.

    futures: by level, None where there are none. status: key, status, reason, observations (hours) of the sites in the
    run. weeks: rows of data.queries.weekly of the last whole week. usual: by site_id, what it usually carries, Gbps.
    now: the end of the telemetry.
    """

    @property
    def futures(self) -> Mapping[Level, PublishedFutures | None]: ...
    @property
    def status(self) -> pd.DataFrame: ...
    @property
    def capacity(self) -> pd.DataFrame: ...
    @property
    def sites(self) -> pd.DataFrame: ...
    @property
    def weeks(self) -> pd.DataFrame: ...
    @property
    def usual(self) -> Mapping[str, float]: ...
    @property
    def now(self) -> pd.Timestamp: ...


def build_case(
    direction: Direction,
    statistic: Statistic,
    tables: PublishedTables,
    health: pd.DataFrame,
    *,
    narrow: bool = False,
) -> PlanCase | None:
    """The case of one direction as a run published it, under the usual policy; None where no site carries any of it.

    health: rows of data.queries.sites_now, for the open incident and the silence of each site. narrow: whether a scope
    hides the futures of regions and the network, which are then answered from the sum of their sites, an upper bound.
    """
    capacity, sites, weeks, now = tables.capacity, tables.sites, tables.weeks, tables.now
    by_site = health.set_index("site_id")
    incidents, unheard = (by_site[name].dropna().to_dict() for name in ("incident", "silence"))
    demand = _demand(tables.futures.get("site"), direction, statistic, now)
    # A run may hold futures of a site that it refused, such as a silent one.
    refused = {
        str(row.key): refusal_reason(row)
        for row in tables.status.sort_values("key").itertuples(index=False)
        if row.status == "refused" or row.key not in demand.keys
    }
    demand = demand.only([key for key in demand.keys if key not in refused])
    reasons = tables.status.set_index("key")["reason"].dropna()
    if not demand.keys and not refused:
        return None
    declared = set(capacity.loc[capacity["direction"] == direction, "site_id"].astype(str))
    unmeasured = sorted(declared.intersection(sites["site_id"]).difference(demand.keys, refused))
    mine = weeks[weeks["metric"] == f"{direction}_gbps"]
    case = PlanCase(
        demand,
        capacity,
        sites,
        Policy(statistic),
        nearby(sites, demand.keys),
        refused={**refused, **dict.fromkeys(unmeasured, NO_TELEMETRY)},
        usual=tables.usual,
        notes={str(site): str(reason) for site, reason in reasons.items() if site in demand.keys},
        measured=_measured(mine, statistic),
        incidents=incidents,
        unheard=unheard,
        now=now,
    )
    return case if narrow or not demand.keys else _with_groups(case, tables.futures)


def refusal_reason(status: Any) -> str:
    """Why a series has no futures; of what became of it in a run: status, reason, observations (hours)."""
    if status.status != "fitted" or pd.notna(status.reason):
        return str(status.reason)
    return f"too little history: {status.observations / 24:.0f} days; {MIN_PEAK_WEEKS} whole weeks are needed"


def _demand(futures: PublishedFutures | None, direction: Direction, statistic: Statistic, now: pd.Timestamp) -> Demand:
    """Futures as demand; without any, of no key, over the weeks that a refresh would draw."""
    if futures is not None:
        return Demand(futures.keys, direction, statistic, futures.weeks, np.maximum(futures.draws, 0.0))
    weeks = pd.date_range(week_start(now), periods=WEEKS_PLANNED, freq=WEEK, unit="us")
    return Demand((), direction, statistic, weeks, np.empty((0, len(weeks), 1)))


def _with_groups(case: PlanCase, futures: Mapping[Level, PublishedFutures | None]) -> PlanCase:
    """The case with the futures of regions and the network: how much less they peak than the sum of their sites, and
    which of them have none. A sum of peaks does not stand in for futures that are not there.
    """
    demand = case.demand
    published: dict[Level, Demand] = {}
    diversity: dict[str, Reals | float] = {}
    refused: dict[str, str] = {}
    for level in ("region", "global"):
        groups = {key: name for key, name in case.groups(level).items() if key in demand.keys}
        whole = _demand(futures.get(level), demand.direction, demand.statistic, demand.start)
        published[level] = whole
        diversity |= coincidence_factor(demand, whole, groups)
        members = pd.Series(groups, dtype=object).value_counts()
        several = members.index[members > 1]
        refused |= dict.fromkeys(sorted(set(several).difference(whole.keys)), NO_GROUP_FUTURES)
    return replace(case, published=published, diversity=diversity, refused_groups=refused)


def whole_weeks(weeks: pd.DataFrame) -> pd.DataFrame:
    """The rows of data.queries.weekly of weeks of which enough was measured, with ts, the end of the week."""
    whole = weeks[weeks["completeness"] >= MIN_WEEK_COMPLETENESS]
    return whole.assign(ts=whole["week"] + WEEK)


def _measured(weeks: pd.DataFrame, statistic: Statistic) -> dict[Level, dict[str, float]]:
    """By level and key: the statistic of the last whole week, where enough of it was measured."""
    by_level: dict[Level, dict[str, float]] = {}
    for row in whole_weeks(weeks).itertuples(index=False):
        by_level.setdefault(row.level, {})[str(row.key)] = float(getattr(row, statistic))
    return by_level
