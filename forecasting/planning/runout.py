"""When does each site, region and the network run out under a policy, and how sure is that?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from data.schema import GLOBAL_KEY, Level
from forecasting.planning.capacity import Policy, usable_capacity
from forecasting.planning.crossing import RunOut, answered, first_crossings, refusal, utilisation
from forecasting.planning.demand import Demand, Diversity, Reals

NO_CAPACITY = "no capacity is declared"
NAMED_AT_MOST = 3


def run_outs(
    demand: Demand,
    steps: pd.DataFrame,
    policy: Policy,
    *,
    refused: Mapping[str, str] | None = None,
    measured: Mapping[str, float] | None = None,
) -> list[RunOut]:
    """The answer for each site of the demand, then for each refused one (site_id to reason), in order.

    steps: the contract's `capacity`. measured: the policy's statistic of the last whole week, Gbps: a site that stood
    above its limit then is over, whatever the paths say. SettingError where the demand is of another statistic than the
    policy's.
    """
    room = usable_capacity(steps, demand, policy)
    found = answers("site", demand, room, over_now(demand.keys, room, measured or {}))
    return [
        *found,
        *(refusal("site", key, demand.start, demand.horizon, reason) for key, reason in (refused or {}).items()),
    ]


def group_run_outs(
    demand: Demand,
    steps: pd.DataFrame,
    policy: Policy,
    groups: Mapping[str, str],
    *,
    refused: Mapping[str, str] | None = None,
    diversity: Diversity | None = None,
    measured: Mapping[str, float] | None = None,
) -> list[RunOut]:
    """The answer for each region (groups: region_id by site_id), and for the network where the one group is "all": the
    sum of the sites' demand against the sum of what the policy lets them carry. Refused where a site is without
    forecast or capacity. `diversity` as in Demand.summed; `measured` as in run_outs, by group.
    """
    room = usable_capacity(steps, demand, policy)
    bare = [key for key, row in zip(demand.keys, room, strict=True) if np.isnan(row).all()]
    summed = demand.summed(groups, diversity)
    rooms = np.array(
        [np.nansum(room[[groups.get(key) == name for key in demand.keys]], axis=0) for name in summed.keys]
    )
    rooms = rooms.reshape(len(summed.keys), len(demand.weeks))
    reasons = _unknown_parts(groups, refused or {}, bare)
    found = {
        answer.key: answer for answer in answers("region", summed, rooms, over_now(summed.keys, rooms, measured or {}))
    }
    found |= {key: refusal("region", key, demand.start, demand.horizon, reason) for key, reason in reasons.items()}
    return [_levelled(found[key]) for key in sorted(found)]


def network_run_out(
    demand: Demand,
    steps: pd.DataFrame,
    policy: Policy,
    *,
    refused: Mapping[str, str] | None = None,
    diversity: Reals | float = 1.0,
) -> RunOut:
    """The answer for the whole network."""
    everyone = dict.fromkeys((*demand.keys, *(refused or {})), GLOBAL_KEY)
    return group_run_outs(demand, steps, policy, everyone, refused=refused, diversity={GLOBAL_KEY: diversity})[0]


def over_share(demand: Demand, steps: pd.DataFrame, policy: Policy) -> Reals:
    """Share of futures that stand above the limit in each week, (keys, weeks); NaN where no capacity is declared.

    A run-out is the first crossing, which capacity that comes later does not undo; what stands above the limit then
    falls again.
    """
    room = usable_capacity(steps, demand, policy)
    share = (utilisation(demand.gbps, room[:, :, None]) > 1.0).mean(axis=2)
    return np.where(np.isnan(room), np.nan, share)


def answers(level: Level, demand: Demand, room: Reals, over: Sequence[bool] | None = None) -> list[RunOut]:
    """The answer of each key against what it may carry (keys, weeks): refused where that is never known."""
    days = first_crossings(utilisation(demand.gbps, room[:, :, None]))
    if over is not None:
        days[np.asarray(over, dtype=bool)] = 0.0
    bare = [bool(np.isnan(row).all()) for row in room]
    span = demand.start, demand.horizon
    return [
        refusal(level, key, *span, NO_CAPACITY) if bare[i] else answered(level, key, *span, days[i])
        for i, key in enumerate(demand.keys)
    ]


def over_now(keys: Sequence[str], room: Reals, measured: Mapping[str, float]) -> list[bool]:
    """Which keys carried more, in the last week measured, than they may in the first week planned."""
    return [bool(measured.get(key, 0.0) > room[i, 0]) for i, key in enumerate(keys)]


def runout_frame(found: Sequence[RunOut]) -> pd.DataFrame:
    """One row an answer: level, key, answer, p10, p50, p90 (NaT after the horizon), horizon, within (share of futures
    that cross by it), reason.
    """
    rows = [
        {
            "level": one.level,
            "key": one.key,
            "answer": one.answer,
            "p10": one.p10,
            "p50": one.p50,
            "p90": one.p90,
            "horizon": one.horizon,
            "within": one.probability_by(one.horizon),
            "reason": one.reason,
        }
        for one in found
    ]
    columns = ["level", "key", "answer", "p10", "p50", "p90", "horizon", "within", "reason"]
    return pd.DataFrame(rows, columns=columns).astype(
        dict.fromkeys(("p10", "p50", "p90", "horizon"), "datetime64[us, UTC]")
    )


def _unknown_parts(groups: Mapping[str, str], refused: Mapping[str, str], bare: Sequence[str]) -> dict[str, str]:
    """Why a group cannot be answered, by group: sites without a forecast, sites without capacity."""
    found: dict[str, list[str]] = {}
    for sites, lacking in ((list(refused), "no forecast"), (bare, "no capacity declared")):
        for name in sorted({groups[site] for site in sites if site in groups}):
            among = [site for site in sites if groups.get(site) == name]
            found.setdefault(name, []).append(f"{lacking} for {listed(among)}")
    return {name: "; ".join(parts) for name, parts in found.items()}


def listed(names: Sequence[str]) -> str:
    """A few names in full, and how many more there are."""
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _levelled(answer: RunOut) -> RunOut:
    """The group "all" is the network."""
    return replace(answer, level="global") if answer.key == GLOBAL_KEY else answer
