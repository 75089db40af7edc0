"""Run-out of each site, region and the network under a policy, as a distribution.

A run-out is the first crossing of what the policy lets a place carry, told as a distribution over the simulated
futures; where nothing can be said, the reason stands in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from data.schema import Level
from forecasting.planning.capacity import Policy, usable_capacity
from forecasting.planning.demand import WEEK_DAYS, Demand, Diversity, Reals, rank

# over: at least half of the futures, or the last measured week, pass the limit from the start. within: at least half do
# by the horizon. possible: at least a tenth do by then, but not half. beyond: fewer. refused: nothing can be said, and
# the reason says why.
RunOutKind = Literal["over", "within", "possible", "beyond", "refused"]
EARLY, MEDIAN, LATE = 0.1, 0.5, 0.9
NO_CAPACITY = "no capacity is declared"
NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True, eq=False)
class RunOut:
    """Run-out date as a distribution over futures: when demand passes the limit.

    days: days from `start` to the crossing in each future, ascending; 0 where it is over from the start, infinite where
    it is not by `horizon`; empty where refused. A date is None where the futures asked for do not cross by the horizon:
    the date is after it.
    """

    level: Level
    key: str
    answer: RunOutKind
    start: pd.Timestamp
    horizon: pd.Timestamp
    days: Reals
    reason: str = ""

    def date(self, q: float) -> pd.Timestamp | None:
        """The day by which a share q of the futures has crossed, or None: not by the horizon, or refused."""
        if self.answer == "refused":
            return None
        days = float(self.days[rank(q, len(self.days))])
        return self.start + pd.Timedelta(days=days).floor("D") if np.isfinite(days) else None

    @property
    def p10(self) -> pd.Timestamp | None:
        return self.date(EARLY)

    @property
    def p50(self) -> pd.Timestamp | None:
        return self.date(MEDIAN)

    @property
    def p90(self) -> pd.Timestamp | None:
        return self.date(LATE)

    def probability_by(self, when: pd.Timestamp) -> float:
        """Share of the futures that cross by a moment; not a number where refused. After the horizon it is that of the
        horizon: at least so much.
        """
        return float(self.probabilities(pd.DatetimeIndex([when]))[0])

    def probabilities(self, stamps: pd.DatetimeIndex) -> Reals:
        """Share of the futures that cross by each moment."""
        if self.answer == "refused":
            return np.full(len(stamps), np.nan)
        ahead = np.asarray((stamps - self.start) / pd.Timedelta(days=1), dtype=float)
        return np.searchsorted(self.days, ahead, side="right") / len(self.days)

    def __str__(self) -> str:
        if self.answer == "refused":
            return f"not known: {self.reason}"
        if self.answer == "over":
            return "already over"
        if self.answer == "beyond":
            return f"not before {self.horizon:%Y-%m-%d}"
        return (
            f"{_day(self.p10, self.horizon)} to {_day(self.p90, self.horizon)}, median {_day(self.p50, self.horizon)}"
        )


def _day(date: pd.Timestamp | None, horizon: pd.Timestamp) -> str:
    return f"{date:%Y-%m-%d}" if date is not None else f"after {horizon:%Y-%m-%d}"


def run_outs(
    demand: Demand,
    steps: pd.DataFrame,
    policy: Policy,
    *,
    measured: Mapping[str, float] | None = None,
    now: pd.Timestamp | None = None,
) -> list[RunOut]:
    """The run-out of each site of the demand, in order.

    steps: the contract's `capacity`. measured: the policy's statistic of the last whole week, Gbps: a site that stood
    above its limit then is over, whatever the paths say. now: as in weekly_capacity. SettingError where the demand is
    of another statistic than the policy's.
    """
    room = usable_capacity(steps, demand, policy, now)
    return run_outs_against("site", demand, room, measured)


def group_run_outs(
    demand: Demand,
    steps: pd.DataFrame,
    policy: Policy,
    groups: Mapping[str, str],
    *,
    level: Level = "region",
    diversity: Diversity | None = None,
    measured: Mapping[str, float] | None = None,
    now: pd.Timestamp | None = None,
) -> list[RunOut]:
    """The run-out of each group (groups: its key by site_id), by key: the sum of its sites' demand against the sum of
    what the policy lets them carry; refused where one of them declares no capacity.

    diversity: as in Demand.summed. measured, now: as in run_outs, by group.
    """
    room = usable_capacity(steps, demand, policy, now)
    summed = demand.summed(groups, diversity)
    members = [[groups.get(key) == name for key in demand.keys] for name in summed.keys]
    rooms = np.array([np.nansum(room[mask], axis=0) for mask in members]).reshape(len(summed.keys), len(demand.weeks))
    by_key = {answer.key: answer for answer in run_outs_against(level, summed, rooms, measured)}
    bare = [key for key, row in zip(demand.keys, room, strict=True) if np.isnan(row).all()]
    for name in summed.keys:
        if without := [key for key in bare if groups.get(key) == name]:
            reason = f"no capacity declared for {listed(without)}"
            by_key[name] = refusal(level, name, demand.start, demand.horizon, reason)
    return [by_key[key] for key in sorted(by_key)]


def run_outs_against(
    level: Level, demand: Demand, room: Reals, measured: Mapping[str, float] | None = None
) -> list[RunOut]:
    """The run-out of each key against what it may carry, Gbps, (keys, weeks): refused where that is never known.
    measured: as in run_outs.
    """
    days = first_crossings(utilisation(demand.gbps, room[:, :, None]))
    days[[(measured or {}).get(key, 0.0) > room[i, 0] for i, key in enumerate(demand.keys)]] = 0.0
    span = demand.start, demand.horizon
    return [
        refusal(level, key, *span, NO_CAPACITY)
        if np.isnan(room[i]).all()
        else run_out_of_paths(level, key, *span, days[i])
        for i, key in enumerate(demand.keys)
    ]


def listed(names: Sequence[str]) -> str:
    """A few names in full, and how many more there are."""
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def refusal(level: Level, key: str, start: pd.Timestamp, horizon: pd.Timestamp, reason: str) -> RunOut:
    """A refused run-out, with its reason."""
    return RunOut(level, key, "refused", start, horizon, np.empty(0), reason)


def run_out_of_paths(level: Level, key: str, start: pd.Timestamp, horizon: pd.Timestamp, days: Reals) -> RunOut:
    """The answer of paths that cross after so many days (0: from the start, infinite: not by the horizon), in any
    order.
    """
    ordered = np.sort(days)
    early, median = ordered[rank(EARLY, len(ordered))], ordered[rank(MEDIAN, len(ordered))]
    kind: RunOutKind = (
        "over" if median <= 0.0 else "within" if np.isfinite(median) else "possible" if np.isfinite(early) else "beyond"
    )
    return RunOut(level, key, kind, start, horizon, ordered)


def utilisation(demand: Reals, room: Reals) -> Reals:
    """Demand over what there is for it. No demand uses nothing, even of nothing; any demand uses nothing at all without
    end; NaN where the room is unknown.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Reals = demand / room
    if (room == 0.0).any():
        ratio[(demand == 0.0) & (room == 0.0)] = 0.0
    return ratio


def first_crossings(used: Reals) -> Reals:
    """Days from the start to the first crossing of 1 in each path: `used` is (..., weeks, paths), the result (...,
    paths); infinite where none crosses.

    A path that is over in the first week crosses at 0. Otherwise a week's value is taken to be reached at its end, and
    the crossing lies on the straight line
    from the week before: so it moves smoothly with demand and capacity, never the wrong way, and never out of the week
    that crosses. Weeks whose value is not known (NaN) neither cross nor hold back.
    """
    over = used > 1.0
    week = over.argmax(axis=-2)
    at, before = (
        np.take_along_axis(used, w[..., None, :], axis=-2)[..., 0, :] for w in (week, np.maximum(week - 1, 0))
    )
    crosses, rises, before = over.any(axis=-2), week > 0, np.nan_to_num(before, nan=0.0)
    part = np.divide(1.0 - before, at - before, out=np.zeros_like(at), where=crosses & rises)
    return np.where(crosses, WEEK_DAYS * (week + part), np.inf)
