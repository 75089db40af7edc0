"""Every single failure in every coming week and future: what is shed, who passes the limit, and until when the network
is N-1 safe.

One failed site shares out its demand by weight, and what a full helper cannot take goes on to the rest: the optimum of
the programme in failure.py, found for all weeks and futures of a site at once. The weekly peaks of a site and its
helpers are taken to fall together: within the reach of a round trip they mostly share their evening, and where they do
not the answer errs on the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import GLOBAL_KEY
from forecasting.planning.crossing import RunOut, answered, first_crossings, utilisation
from forecasting.planning.demand import Demand, Reals
from forecasting.planning.failover import Failover
from forecasting.planning.failover_allocation import NOTHING_GBPS
from forecasting.planning.failure import CEILING, headroom

# What is left to share out is nought below this share of what was asked.
SHARED_OUT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class SingleFailures:
    """What each site's failure does.

    shed: (failed, weeks, paths) Gbps; used: demand of the failed over the room for it, same shape; above 1 some is
    shed. passes: (failed, helper, weeks) share of futures in which the helper passes its limit because of it; empty
    where only the shed was asked for.
    """

    demand: Demand
    shed: Reals
    used: Reals
    passes: Reals

    def safe_until(self) -> RunOut:
        """When the network stops being N-1 safe: the first week in which some single failure sheds demand."""
        worst = self.used.max(axis=0, keepdims=True)
        return answered("global", GLOBAL_KEY, self.demand.start, self.demand.horizon, first_crossings(worst)[0])

    def run_outs(self) -> list[RunOut]:
        """When the failure of each site can no longer be carried."""
        days = first_crossings(self.used)
        return [
            answered("site", key, self.demand.start, self.demand.horizon, row)
            for key, row in zip(self.demand.keys, days, strict=True)
        ]

    def frame(self, viewers_per_gbps: Mapping[str, float] | None = None) -> pd.DataFrame:
        """A row for each failure and week: key, week, probability (share of futures that shed), shed_gbps,
        shed_gbps_p90, shed_viewers (NaN where no ratio is known) and passes (the sites that pass their limit in at
        least half of the futures).
        """
        count, weeks, _ = self.shed.shape
        keys, mean = np.repeat(np.array(self.demand.keys, dtype=object), weeks), self.shed.mean(axis=2)
        ratio = np.array([(viewers_per_gbps or {}).get(key, np.nan) for key in self.demand.keys])
        return pd.DataFrame(
            {
                "key": keys,
                "week": np.tile(self.demand.weeks, count),
                "probability": (self.shed > 0.0).mean(axis=2).ravel(),
                "shed_gbps": mean.ravel(),
                "shed_gbps_p90": np.quantile(self.shed, 0.9, axis=2).ravel(),
                "shed_viewers": (mean * ratio[:, None]).ravel(),
                "passes": [self.passed(failed, week) for failed in range(count) for week in range(weeks)],
            }
        ).astype({"week": "datetime64[us, UTC]"})

    def passed(self, failed: int, week: int, at_least: float = 0.5) -> tuple[str, ...]:
        """The sites that pass their limit in at least such a share of the futures."""
        if not self.passes.size:
            return ()
        return tuple(self.demand.keys[j] for j in np.flatnonzero(self.passes[failed, :, week] >= at_least))

    def worst_by_month(self) -> pd.DataFrame:
        """The failure that sheds most in each month, on average over the futures; where none sheds, the one with the
        least room.

        Columns: month (its first day), key, probability, shed_gbps, shed_gbps_p90, used (median of demand over room). A
        week belongs to its Monday's month; a month counts the worst of its weeks, future by future.
        """
        months = self.demand.weeks.strftime("%Y-%m-01")
        rows = [self._worst(month, np.flatnonzero(months == month)) for month in dict.fromkeys(months)]
        return pd.DataFrame(rows).astype({"month": "datetime64[us, UTC]"})

    def _worst(self, month: str, weeks: npt.NDArray[np.intp]) -> dict[str, object]:
        shed, used = self.shed[:, weeks].max(axis=1), self.used[:, weeks].max(axis=1)
        mean, median = shed.mean(axis=1), np.median(used, axis=1)
        worst = int(np.lexsort((median, mean))[-1])
        return {
            "month": pd.Timestamp(month, tz="UTC"),
            "key": self.demand.keys[worst],
            "probability": float((shed[worst] > 0.0).mean()),
            "shed_gbps": float(mean[worst]),
            "shed_gbps_p90": float(np.quantile(shed[worst], 0.9)),
            "used": float(median[worst]),
        }


def single_failures(
    demand: Demand, capacity: Reals, limits: Reals, failover: Failover, *, ceiling: float = CEILING, loads: bool = True
) -> SingleFailures:
    """Fail each site in turn. capacity: (keys, weeks), NaN where none is declared; limits: (keys,) shares; the failover
    has the demand's keys.

    Where `loads` is false only what is shed is reckoned, which is much faster: it needs no sharing out.
    """
    count, weeks = demand.gbps.shape[:2]
    room = headroom(demand.gbps, capacity[:, :, None], ceiling).reshape(count, -1)
    required = demand.gbps.reshape(count, -1)
    offered = failover.allowed.astype(float) @ room
    shed = np.maximum(required - offered, 0.0)
    shed[shed <= NOTHING_GBPS] = 0.0
    passes = np.zeros((0, 0, 0))
    if loads:
        bound = (limits[:, None] * capacity)[:, :, None] + NOTHING_GBPS
        spare = np.where(demand.gbps > bound, np.inf, bound - demand.gbps).reshape(count, -1)
        passes = np.array([_passes(failed, required[failed], room, spare, failover, weeks) for failed in range(count)])
    return SingleFailures(
        demand, shed.reshape(demand.gbps.shape), utilisation(required, offered).reshape(demand.gbps.shape), passes
    )


def _passes(failed: int, required: Reals, room: Reals, spare: Reals, failover: Failover, weeks: int) -> Reals:
    """Share of futures in which each site passes its limit, (keys, weeks)."""
    found = np.zeros((len(room), weeks))
    helpers = np.flatnonzero(failover.allowed[failed])
    if len(helpers):
        taken = fill(required, room[helpers], failover.weights(failed, helpers, room[helpers]))
        found[helpers] = (taken > spare[helpers]).reshape(len(helpers), weeks, -1).mean(axis=2)
    return found


def fill(required: Reals, room: Reals, weights: Reals) -> Reals:
    """What each helper takes, (helpers, cases), of `required` (cases): min(room, level x weight), with the level at
    which all that fits is taken.

    The sum over the helpers is concave and piecewise linear in the level, so that Newton's steps from below never pass
    the level sought and reach it after at most one step a helper. Only the cases that are not there yet are stepped.
    """
    wanted: Reals = np.minimum(required, room.sum(axis=0))
    total = weights.sum(axis=0)
    level = np.divide(wanted, total, out=np.zeros_like(wanted), where=total > 0.0)
    taken: Reals = np.minimum(room, level * weights)
    left = np.arange(len(wanted))
    for _ in range(len(room)):
        short = wanted[left] - taken[:, left].sum(axis=0)
        left, short = left[short > SHARED_OUT * wanted[left]], short[short > SHARED_OUT * wanted[left]]
        if not len(left):
            break
        rooms, shares = room[:, left], weights[:, left]
        rising = np.where(taken[:, left] < rooms, shares, 0.0).sum(axis=0)
        level[left] += np.divide(short, rising, out=np.zeros_like(short), where=rising > 0.0)
        taken[:, left] = np.minimum(rooms, level[left] * shares)
    return taken
