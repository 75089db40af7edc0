"""Demand as joint simulated paths: what each site is asked to carry in each coming week, all sites of a path in the
same future.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import GLOBAL_KEY, Direction
from data.schema.errors import SettingError

Reals = npt.NDArray[np.float64]
Statistic = Literal["peak", "p95"]
# By group the sum of its sites' peaks over the peak of their sum: one number (a factor of costs.diversity), or (weeks,
# paths) of them (coincidence_factor).
Diversity = Mapping[str, Reals | float]
WEEK = pd.Timedelta(days=7)
WEEK_DAYS = 7.0


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """Weekly demand, Gbps, as (keys, weeks, paths): entry [i, w, p] is the statistic of week w at key i in future p.

    keys: site_ids, or what `summed` made of them. weeks: the Mondays 00:00 UTC from the first week planned, one after
    another. A key without a forecast is
    not here at all: the reason stands beside it, as `refused`. SettingError where the parts do not fit together or a value is
    negative or not finite.
    """

    keys: tuple[str, ...]
    direction: Direction
    statistic: Statistic
    weeks: pd.DatetimeIndex
    gbps: Reals

    def __post_init__(self) -> None:
        object.__setattr__(self, "gbps", np.asarray(self.gbps, dtype=np.float64))
        shape = self.gbps.shape
        if len(shape) != 3 or shape[:2] != (len(self.keys), len(self.weeks)) or 0 in shape[1:]:
            raise SettingError(
                f"Paths of shape {shape} do not fit {len(self.keys)} keys and {len(self.weeks)} weeks.",
                cause="axes in another order",
                remedy="give (keys, weeks, paths), with at least one week and one path",
            )
        if not _mondays(self.weeks):
            raise SettingError(
                f"Weeks from {self.weeks[0]} are not consecutive Mondays 00:00 UTC.",
                remedy="start each week on its Monday, in UTC",
            )
        if shape[0] and not (np.isfinite(self.gbps).all() and self.gbps.min() >= 0.0):
            raise SettingError(
                "A path holds a value that is negative or not finite; demand is at least 0 Gbps.",
                cause="a series without a forecast",
                remedy="leave the series out and name it among the refused",
            )

    @property
    def start(self) -> pd.Timestamp:
        return self.weeks[0]

    @property
    def horizon(self) -> pd.Timestamp:
        """The end of the last week."""
        return self.weeks[-1] + WEEK

    @property
    def paths(self) -> int:
        return int(self.gbps.shape[2])

    def only(self, keys: Sequence[str]) -> Demand:
        """The demand of some keys, in the order given."""
        return replace(self, keys=tuple(keys), gbps=self.gbps[self.positions(keys)])

    def positions(self, keys: Sequence[str]) -> list[int]:
        """Positions of the keys along the first axis; SettingError for one that is missing."""
        at = {key: i for i, key in enumerate(self.keys)}
        if unknown := [key for key in keys if key not in at]:
            raise SettingError(
                f"No demand is known for {', '.join(unknown)}.",
                cause="a site without a forecast",
                remedy=f"choose among {', '.join(self.keys)}",
            )
        return [at[key] for key in keys]

    def until(self, weeks: int) -> Demand:
        """The first weeks alone."""
        return replace(self, weeks=self.weeks[:weeks], gbps=self.gbps[:, :weeks])

    def with_gbps(self, gbps: Reals) -> Demand:
        """The same futures with other values; what would fall below zero is zero."""
        return replace(self, gbps=np.maximum(gbps, 0.0))

    def scaled(self, factor: Reals | float) -> Demand:
        """Multiplied by anything that broadcasts to (keys, weeks, paths)."""
        return self.with_gbps(self.gbps * factor)

    def plus(self, gbps: Reals | float) -> Demand:
        """With anything added that broadcasts to (keys, weeks, paths)."""
        return self.with_gbps(self.gbps + gbps)

    def summed(self, groups: Mapping[str, str], diversity: Diversity | None = None) -> Demand:
        """Sums along the sites by group (site_id to group; a site without one is left out), path by path, so that what
        moves together stays together.

        The peaks of sites in other time zones do not fall in the same hour, and the peak of a sum is less than the sum
        of peaks: `diversity` brings the sum down to it. Without it the sum is an upper bound.
        """
        names = tuple(sorted({groups[key] for key in self.keys if key in groups}))
        member = np.array([[groups.get(key) == name for key in self.keys] for name in names], dtype=float).reshape(
            len(names), len(self.keys)
        )
        sums = np.tensordot(member, self.gbps, axes=1)
        for row, name in enumerate(names):
            sums[row] /= (diversity or {}).get(name, 1.0)
        return replace(self, keys=names, gbps=sums)

    def total(self, diversity: Reals | float = 1.0) -> Demand:
        """The network as the one key "all"."""
        return self.summed(dict.fromkeys(self.keys, GLOBAL_KEY), {GLOBAL_KEY: diversity})

    def quantile(self, q: float) -> Reals:
        """The q quantile of each key and week on its own, (keys, weeks)."""
        return np.asarray(np.quantile(self.gbps, q, axis=2))

    def scenario_at_quantile(self, q: float) -> Reals:
        """One joint future a week, (keys, weeks): the path whose sum over all keys stands at the q quantile of that
        week's sums.
        """
        order = np.argsort(self.gbps.sum(axis=0), axis=1, kind="stable")
        chosen = order[:, rank(q, self.paths)]
        return np.asarray(np.take_along_axis(self.gbps, chosen[None, :, None], axis=2)[:, :, 0])


def coincidence_factor(sites: Demand, whole: Demand, groups: Mapping[str, str]) -> dict[str, Reals]:
    """The diversity of each group, (weeks, paths), where a run has futures of the groups as well: with it the sum of
    the sites is the group's own future.

    A group of one site is that site, and has none.

    `whole` has the groups as keys, and the weeks and paths of `sites`. What a what-if then does to the sites, their sum
    follows.
    """
    sums = sites.summed(groups)
    members = Counter(groups[key] for key in sites.keys if key in groups)
    shared = [key for key in sums.keys if key in whole.keys and members[key] > 1]
    above, below = sums.only(shared).gbps, whole.only(shared).gbps
    factors = np.divide(above, below, out=np.ones_like(above), where=(above > 0.0) & (below > 0.0))
    return dict(zip(shared, factors, strict=True))


def rank(q: float, count: int) -> int:
    """Which of `count` ascending values is the q quantile: the first with at least a share q of them at or below it."""
    return min(max(int(np.ceil(q * count - 1e-9)), 1), count) - 1


def _mondays(weeks: pd.DatetimeIndex) -> bool:
    if str(weeks.tz) != "UTC":
        return False
    steps = (weeks[1:] - weeks[:-1]) == WEEK
    return bool(weeks[0].weekday() == 0 and weeks[0] == weeks[0].normalize() and steps.all())
