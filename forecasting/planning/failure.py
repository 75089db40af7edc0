"""Where does the demand of a failed site, region, partner or path go, and what of it does not fit?

As little as possible is shed, as fairly as reach allows, and what moves keeps as near to the failover weights as the
room of the helpers lets it. sharing.py solves it, by a linear programme and Newton's method; for one failed site there
is a closed form (single_failures.fill), which tests hold against this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.schema.errors import SettingError
from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import Failover
from forecasting.planning.failover_allocation import NOTHING_GBPS, share_out

# A failed-over site may be filled to the brim: the limit leaves room for this very case. What passes the limit is
# reported beside it.
CEILING = 1.0


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
class State:
    """The network at one moment: demand, capacity (NaN where none is declared: such a site takes over nothing) and
    limits, each (keys,).
    """

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


def headroom(demand: Reals, capacity: Reals, ceiling: float) -> Reals:
    """Ceiling x capacity less demand, never below nought; nought where no capacity is declared."""
    return np.maximum(ceiling * np.nan_to_num(capacity, nan=0.0) - demand, 0.0)


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


def relocate(failure: Failure, failover: Failover, state: State) -> Relocation:
    """Where demand goes at one moment. SettingError where a failed site is not in the network."""
    return _relocated(
        failure, failover, state.keys, state.demand[:, None], state.capacity[:, None], state.limits, state.ceiling
    )[0]


def played(
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
    return _relocated(failure, failover, demand.keys, demand.typical(q), capacity, limits, ceiling)


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
    kept, required = demand * (1.0 - share), demand[failed] * share[failed]
    room = np.where(share < 1.0, headroom(kept, capacity, ceiling), 0.0)
    everyone = np.arange(len(keys))
    moved = share_out(required, room, np.array([failover.weights(int(site), everyone, room) for site in failed]))
    shed, load, bound = (
        np.maximum(required - moved.sum(axis=1), 0.0),
        kept + moved.sum(axis=0),
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
