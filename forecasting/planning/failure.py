"""Where does the demand of a failed site, region, partner or path go, and what of it does not fit? A linear programme, solved by HiGHS.

The programme first sheds as little as it can; among all ways to shed so little it keeps nearest to the failover weights: the greatest ratio of what a helper
takes to its weight is as small as it can be. For one failed site that ratio has a closed form (single_failures.fill), which tests hold against this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linprog
from scipy.sparse import coo_array, hstack, vstack

from data.errors import SettingError
from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import Failover

# A failed-over site may be filled to the brim: the limit leaves room for this very case. What passes the limit is reported beside it.
CEILING = 1.0
# Below a millionth of a Gbps nothing was shed; HiGHS keeps its constraints to a tenth of that.
NOTHING_GBPS, SOLVED_GBPS = 1e-6, 1e-7


@dataclass(frozen=True, slots=True)
class Failure:
    """What fails: by site, the share of its demand that must go elsewhere. A site with a share of 1 is down and helps nobody."""

    name: str
    displaced: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.displaced or not all(0.0 < share <= 1.0 for share in self.displaced.values()):
            raise SettingError(f"The failure {self.name!r} displaces nothing, or more than all.", cause="an empty group of sites",
                               remedy="name at least one site with a share above 0, at most 1")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The network at one moment: demand, capacity (NaN where none is declared: such a site takes over nothing) and limits, each (keys,)."""

    keys: tuple[str, ...]
    demand: Reals
    capacity: Reals
    limits: Reals
    ceiling: float = CEILING

    def headroom(self) -> Reals:
        """What each site could take on top of its own, Gbps."""
        return headroom(self.demand, self.capacity, self.ceiling)


@dataclass(frozen=True, slots=True, eq=False)
class Relocation:
    """Where demand went.

    moved: (failed, keys) Gbps; shed: (failed,) Gbps; load: (keys,) Gbps that each site carries now; passed: sites above their limit that were not before.
    """

    failure: Failure
    failed: tuple[str, ...]
    moved: Reals
    shed: Reals
    load: Reals
    passed: tuple[str, ...]

    def shed_viewers(self, viewers_per_gbps: Mapping[str, float]) -> float:
        """Viewers of the failed sites who are not served, by each site's ratio of viewers to Gbps; not a number where a ratio is unknown."""
        return float(sum(gbps * viewers_per_gbps.get(key, np.nan) for key, gbps in zip(self.failed, self.shed, strict=True)))


def headroom(demand: Reals, capacity: Reals, ceiling: float) -> Reals:
    """Ceiling x capacity less demand, never below nought; nought where no capacity is declared."""
    return np.maximum(ceiling * np.nan_to_num(capacity, nan=0.0) - demand, 0.0)


def site_failure(site: str) -> Failure:
    """One site goes dark."""
    return Failure(site, {site: 1.0})


def group_failure(sites: pd.DataFrame, column: str, value: str, keys: Sequence[str]) -> Failure:
    """All sites of a region (column region_id) or a partner (column partner) go dark, of those that have demand (keys): the others have nothing to move."""
    members = sites.loc[(sites[column] == value) & sites["site_id"].isin(keys), "site_id"].astype(str)
    return Failure(value, dict.fromkeys(members, 1.0))


def path_failure(source: str, target: str, flow_gbps: float, egress_gbps: float) -> Failure:
    """The way from an ingest site to an egress site fails: the viewers that `target` serves over it are served elsewhere, the others stay."""
    share = min(flow_gbps / egress_gbps, 1.0) if egress_gbps > 0.0 else 0.0
    return Failure(f"{source} to {target}", {target: share})


def relocate(failure: Failure, failover: Failover, state: State) -> Relocation:
    """Solve the programme. SettingError where a failed site is not in the network."""
    at = {key: i for i, key in enumerate(state.keys)}
    if unknown := [key for key in failure.displaced if key not in at]:
        raise SettingError(f"{', '.join(unknown)} cannot fail: no demand is known there.", remedy=f"choose among {', '.join(state.keys)}")
    failed = np.array([at[key] for key in failure.displaced])
    share = np.zeros(len(state.keys))
    share[failed] = list(failure.displaced.values())
    kept = state.demand * (1.0 - share)
    room = np.where(share < 1.0, headroom(kept, state.capacity, state.ceiling), 0.0)
    moved = _programme(state.demand[failed] * share[failed], room, _weights(failover, failed, room))
    load = kept + moved.sum(axis=0)
    bound = state.limits * state.capacity + NOTHING_GBPS
    passed = tuple(key for key, over in zip(state.keys, (load > bound) & ~(state.demand > bound), strict=True) if over)
    shed = np.maximum(state.demand[failed] * share[failed] - moved.sum(axis=1), 0.0)
    return Relocation(failure, tuple(failure.displaced), moved, shed, load, passed)


def played(failure: Failure, failover: Failover, demand: Demand, capacity: Reals, limits: Reals, q: float = 0.9, ceiling: float = CEILING) -> list[Relocation]:
    """The same failure in each coming week, on the joint future at the q quantile of the week's network total. capacity: (keys, weeks)."""
    future = demand.typical(q)
    return [relocate(failure, failover, State(demand.keys, future[:, w], capacity[:, w], limits, ceiling)) for w in range(len(demand.weeks))]


def _weights(failover: Failover, failed: npt.NDArray[np.intp], room: Reals) -> Reals:
    """(failed, keys), 0 where a site may not help or has no room."""
    everyone = np.arange(len(room))
    return np.array([np.where(room > 0.0, failover.weights(int(site), everyone, room), 0.0) for site in failed])


def _programme(required: Reals, room: Reals, weights: Reals) -> Reals:
    """What moves, (failed, keys): least shed first, then nearest to the weights."""
    pairs = np.argwhere(weights > 0.0)
    moved = np.zeros(weights.shape)
    if not len(pairs) or not required.any():
        return moved
    source, helper = pairs.T
    count, failed, one = len(pairs), len(required), np.ones(len(pairs))
    columns = np.arange(count)
    by_source = coo_array((one, (source, columns)), shape=(failed, count))
    by_helper = coo_array((one, (helper, columns)), shape=(len(room), count))
    flows = vstack([by_source, by_helper]).tocsr()
    most = linprog(-one, A_ub=flows, b_ub=np.r_[required, room])
    # A flow over its fair share is at most the site's `ratio`; the sum of the ratios is what the second programme makes small.
    fair = weights[source, helper] / weights.sum(axis=1)[source] * required[source]
    ratios = coo_array((-fair, (columns, source)), shape=(count, failed))
    share = hstack([coo_array((one, (columns, columns)), shape=(count, count)), ratios])
    total = coo_array((-one, (np.zeros(count, dtype=int), columns)), shape=(1, count + failed))
    bounds = vstack([hstack([flows, coo_array((failed + len(room), failed))]), share, total]).tocsr()
    found = linprog(np.r_[np.zeros(count), np.ones(failed)], A_ub=bounds, b_ub=np.r_[required, room, np.zeros(count), SOLVED_GBPS + most.fun])
    # Where sizes lie so far apart that HiGHS cannot keep the total within its tolerance, what sheds least stands without the balance.
    moved[source, helper] = np.maximum(found.x[:count] if found.x is not None else most.x, 0.0)
    return moved
