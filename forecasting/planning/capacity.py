"""Capacity steps of the contract as what is in force in each week, and the policy that says how much of it may be used.

`counts` is the rule in NumPy; `data.lake.capacity_in_force` has the same rule in
SQL, and a test holds the two equal.

In force at t is the newest installed step at or before t. A planned step counts from its date only where that date lies
after "now": one whose date has passed is late, not built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import UTILISATION_LIMIT, Direction
from data.schema.errors import SettingError
from forecasting.planning.demand import WEEK, Demand, Reals, Statistic

Whole = npt.NDArray[np.int64]
MICROSECOND = pd.Timedelta(1, "us")
DAY = pd.Timedelta(days=1)
LATE_COLUMNS = ["site_id", "direction", "effective_from", "capacity_gbps", "days_late"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Planning policy, what a site may carry: the weekly statistic (peak or P95) stays at or below `limit` x capacity, or the site's own
    share in `limits`.

    `planned` says whether augments that are planned and not yet installed count as capacity.
    """

    statistic: Statistic = "peak"
    limit: float = UTILISATION_LIMIT
    limits: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    planned: bool = True

    def __post_init__(self) -> None:
        if self.statistic not in get_args(Statistic):
            raise SettingError(
                f"There is no weekly statistic {self.statistic!r}.",
                remedy=f"give one of {', '.join(get_args(Statistic))}",
            )
        for key, share in {"limit": self.limit, **self.limits}.items():
            if not 0.0 < share <= 1.0:
                raise SettingError(
                    f"The limit {share:g} ({key}) is not a share of capacity.",
                    cause="a percentage",
                    remedy="give a share above 0, at most 1",
                )

    def check(self, demand: Demand) -> None:
        """SettingError where the demand is of another statistic than the policy's."""
        if demand.statistic != self.statistic:
            raise SettingError(
                f"The demand is the {demand.statistic} of each week, the policy is about its {self.statistic}.",
                remedy="give the paths of the policy's statistic",
            )

    def as_dict(self) -> dict[str, Any]:
        """The policy in plain values, as a store keeps it."""
        return {
            "statistic": self.statistic,
            "limit": self.limit,
            "limits": dict(self.limits),
            "planned": self.planned,
        }

    def shares(self, keys: Sequence[str]) -> Reals:
        """The limit of each site, (keys,)."""
        return np.array([self.limits.get(key, self.limit) for key in keys])


def is_planned(steps: pd.DataFrame) -> pd.Series:
    """Which rows of the contract's `capacity` are planned; what has no status is installed."""
    return (steps["status"] == "planned").fillna(False).astype(bool)


def counts(steps: pd.DataFrame, now: pd.Timestamp, *, planned: bool = True) -> pd.Series:
    """Which rows of the contract's `capacity` count: installed ones, and, where `planned`, those planned for after
    `now`.
    """
    return ~is_planned(steps) | (planned & (steps["effective_from"] > now))


def in_force(steps: pd.DataFrame, at: pd.Timestamp, now: pd.Timestamp) -> pd.Series:
    """capacity_gbps in force at a moment, by (site_id, direction)."""
    rows = steps[counts(steps, now) & (steps["effective_from"] <= at)].sort_values("effective_from", kind="stable")
    return rows.drop_duplicates(["site_id", "direction"], keep="last").set_index(["site_id", "direction"])[
        "capacity_gbps"
    ]


def late_augments(steps: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """Planned augments whose date has passed and that nothing installed since stands for, most overdue first: site_id,
    direction, effective_from, capacity_gbps, days_late.
    """
    planned = is_planned(steps)
    passed = steps["effective_from"] <= now
    names = ["site_id", "direction"]
    newest = steps[~planned & passed].groupby(names)["effective_from"].max()
    late = steps[planned & passed].merge(newest.rename("_installed").reset_index(), on=names, how="left")
    late = late[~(late["_installed"] >= late["effective_from"])]
    late = late.assign(days_late=(now.floor("D") - late["effective_from"].dt.floor("D")) // DAY)
    return late.sort_values(["effective_from", *names], ignore_index=True)[LATE_COLUMNS]


def weekly_capacity(
    steps: pd.DataFrame,
    keys: Sequence[str],
    direction: Direction,
    weeks: pd.DatetimeIndex,
    *,
    planned: bool,
    now: pd.Timestamp | None = None,
) -> Reals:
    """Capacity of each key and week, Gbps, (keys, weeks), from the contract's `capacity`; NaN before the first step of
    a key.

    A week has the least capacity in force at any time of it: its peak may fall before an augment, or after a closure.
    Planned steps after `now` (the first week where it is not given) count from their date where `planned`, otherwise
    not at all.
    """
    counted = counts(steps, weeks[0] if now is None else now, planned=planned)
    in_direction = steps[(steps["direction"] == direction) & counted].sort_values(
        ["site_id", "effective_from"], kind="stable"
    )
    sites, starts = (
        in_direction["site_id"].to_numpy(str),
        pd.DatetimeIndex(in_direction["effective_from"]).as_unit("us").asi8,
    )
    gbps, mondays = in_direction["capacity_gbps"].to_numpy(float), weeks.as_unit("us").asi8
    first, last = (
        sites.searchsorted(np.array(keys, dtype=str), "left"),
        sites.searchsorted(np.array(keys, dtype=str), "right"),
    )
    return np.array(
        [_weekly_minimum(starts[a:b], gbps[a:b], mondays) for a, b in zip(first, last, strict=True)]
    ).reshape(len(keys), len(weeks))


def _weekly_minimum(starts: Whole, gbps: Reals, mondays: Whole) -> Reals:
    """The least of what was in force on Monday and of all steps within the week; stamps in microseconds."""
    levels = np.r_[np.nan, gbps]
    monday, sunday = starts.searchsorted(mondays, "right"), starts.searchsorted(mondays + WEEK // MICROSECOND, "left")
    least: Reals = levels[monday]
    for week in np.flatnonzero((sunday > monday) & (monday > 0)):
        least[week] = levels[monday[week] : sunday[week] + 1].min()
    return least


def apply_augments(
    steps: pd.DataFrame, bought: pd.DataFrame, status: Literal["installed", "planned"] = "planned"
) -> pd.DataFrame:
    """Capacity steps of one direction with purchases applied: the rows that are new or higher, in the columns of `steps`;
    what is bought has the status given.

    bought: site_id, effective_from, gbps, and usd, a month. A capacity holds until the next step, so that every step
    after a purchase is given again, higher by all that was bought by then; so is its cost_usd_month, where it has one.
    One of 0 Gbps, which closes a site, stays as it is: what is bought for a site that is not in service counts from the
    step that opens it.
    """
    names = ["site_id", "effective_from"]
    declared = steps.sort_values(names, kind="stable").drop_duplicates(names, keep="last").reset_index(drop=True)
    stamped = bought.astype({"effective_from": declared["effective_from"].dtype, "gbps": float, "usd": float})
    unbought = pd.DataFrame({**declared[names], "gbps": 0.0, "usd": 0.0, "at": declared.index.astype(float)})
    # What is bought stands first, so that a step of the same moment is given again with it, and takes its place.
    rows = pd.concat([stamped.assign(at=np.nan)[unbought.columns], unbought], ignore_index=True).sort_values(
        names, kind="stable"
    )
    of_site = rows.groupby("site_id")
    rows = rows.assign(at=of_site["at"].ffill(), gbps=of_site["gbps"].cumsum(), usd=of_site["usd"].cumsum())
    rows = rows.drop_duplicates(names, keep="last").dropna(subset="at").reset_index(drop=True)
    below = declared.iloc[rows["at"].astype(int)].reset_index(drop=True)
    arrives = pd.MultiIndex.from_frame(rows[names]).isin(pd.MultiIndex.from_frame(stamped[names]))
    raised = below.assign(
        effective_from=rows["effective_from"],
        capacity_gbps=below["capacity_gbps"] + rows["gbps"],
        status=np.where(arrives, status, below["status"].fillna("installed")),
    )
    if "cost_usd_month" in raised:
        raised["cost_usd_month"] = below["cost_usd_month"].astype(float) + rows["usd"]
    return raised[(rows["gbps"] > 0.0) & (below["capacity_gbps"] > 0.0)]


def usable_capacity(steps: pd.DataFrame, demand: Demand, policy: Policy, now: pd.Timestamp | None = None) -> Reals:
    """Capacity in force times the policy's limit, of each key of a demand in each of its weeks, Gbps, (keys, weeks); NaN where no capacity
    is declared. `now` as in weekly_capacity.

    SettingError where the demand is of another statistic than the policy's.
    """
    policy.check(demand)
    return policy.shares(demand.keys)[:, None] * weekly_capacity(
        steps, demand.keys, demand.direction, demand.weeks, planned=policy.planned, now=now
    )
