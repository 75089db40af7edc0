"""The plan of a whole network: run-out and order-by of every site, region and the network, both directions, from
futures as a run published them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.schema import GLOBAL_KEY, Level
from forecasting.planning.capacity import Policy
from forecasting.planning.crossing import RunOut, refusal
from forecasting.planning.demand import Demand, coincidence_factor
from forecasting.planning.ordering import OrderPolicy, by_urgency, plan_frame
from forecasting.planning.runout import group_run_outs, run_outs, runout_frame

COLUMNS = [
    "level",
    "key",
    "direction",
    "state",
    "order_by",
    "days_left",
    "lead_days",
    "padded_days",
    "p10",
    "p50",
    "p90",
    "horizon",
    "probability",
    "answer",
    "reason",
]
NO_FUTURES = "too little history of the sum of its sites"
# What a saved plan is scored by, beside its dates.
KEPT_QUANTILES = {"q10": 0.1, "q50": 0.5, "q90": 0.9}


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """One direction as a run published it: joint futures of the sites, of the regions and of the network. These are
    peaks of sums, not sums of peaks.

    refused: reason by site_id, of sites that carry traffic but have no futures. unmeasured: the same of sites with
    capacity that never carried any; they count in no sum. measured: by level and key, the statistic of the last whole
    week, Gbps.
    """

    sites: Demand
    regions: Demand
    network: Demand
    refused: Mapping[str, str]
    unmeasured: Mapping[str, str]
    measured: Mapping[Level, Mapping[str, float]]

    @property
    def levels(self) -> dict[Level, Demand]:
        """The futures by level."""
        return {"site": self.sites, "region": self.regions, "global": self.network}


def network_answers(
    held: Published, steps: pd.DataFrame, policy: Policy, regions: Mapping[str, str]
) -> dict[Level, list[RunOut]]:
    """The answers of one direction by level. regions: region_id by site_id; steps: the contract's `capacity`."""
    carrying = (*held.sites.keys, *held.refused)
    unmeasured = [
        refusal("site", key, held.sites.start, held.sites.horizon, reason) for key, reason in held.unmeasured.items()
    ]
    return {
        "site": [
            *run_outs(held.sites, steps, policy, refused=held.refused, measured=held.measured.get("site")),
            *unmeasured,
        ],
        "region": _group_answers(
            "region", held, steps, policy, {key: regions[key] for key in carrying if key in regions}
        ),
        "global": _group_answers("global", held, steps, policy, dict.fromkeys(carrying, GLOBAL_KEY)),
    }


def _group_answers(
    level: Level, held: Published, steps: pd.DataFrame, policy: Policy, groups: Mapping[str, str]
) -> list[RunOut]:
    """The answers of groups by their own futures; a sum of peaks does not stand in for futures that are not there."""
    whole, measured = held.levels[level], held.measured.get(level)
    shared = coincidence_factor(held.sites, whole, groups)
    found = group_run_outs(held.sites, steps, policy, groups, refused=held.refused, diversity=shared, measured=measured)
    known = {*whole.keys, *(one.key for one in found if one.answer == "refused")}
    return [one if one.key in known else refusal(level, one.key, one.start, one.horizon, NO_FUTURES) for one in found]


def network_plan(
    directions: Sequence[Published],
    steps: pd.DataFrame,
    sites: pd.DataFrame,
    policy: Policy,
    ordering: OrderPolicy,
    today: pd.Timestamp,
) -> pd.DataFrame:
    """What to order by when, most urgent first, in COLUMNS: as ordering.plan_frame, with direction, horizon and the
    probability of running out by it.

    sites: the contract's, of which site_id, region_id and lead_time_days count.
    """
    regions = dict(zip(sites["site_id"].astype(str), sites["region_id"].astype(str), strict=True))
    leads, frames = lead_times(sites), []
    for held in directions:
        for level, found in network_answers(held, steps, policy, regions).items():
            dates = runout_frame(found).rename(columns={"within": "probability"})[["key", "horizon", "probability"]]
            plan = plan_frame(found, leads[level], today, ordering).merge(dates, on="key", validate="one_to_one")
            frames.append(plan.assign(direction=held.sites.direction))
    return by_urgency(pd.concat(frames, ignore_index=True))[COLUMNS] if frames else pd.DataFrame(columns=COLUMNS)


def lead_times(sites: pd.DataFrame) -> dict[Level, dict[str, float]]:
    """Days from an order to capacity in service by level and key, where known. A region, and the network, waits for the
    slowest of its sites.
    """
    known = sites.dropna(subset="lead_time_days")
    of_sites = dict(zip(known["site_id"].astype(str), known["lead_time_days"].astype(float), strict=True))
    of_regions = {str(key): float(days) for key, days in known.groupby("region_id")["lead_time_days"].max().items()}
    return {"site": of_sites, "region": of_regions, "global": {GLOBAL_KEY: max(of_sites.values())} if of_sites else {}}


def peak_quantiles(held: Published) -> pd.DataFrame:
    """level, key, direction, week and KEPT_QUANTILES of all futures of a direction, Gbps."""
    frames = []
    for level, demand in held.levels.items():
        keys, weeks = (
            np.repeat(np.array(demand.keys, dtype=object), len(demand.weeks)),
            np.tile(demand.weeks, len(demand.keys)),
        )
        values = (
            {name: demand.quantile(q).ravel() for name, q in KEPT_QUANTILES.items()}
            if demand.keys
            else dict.fromkeys(KEPT_QUANTILES, np.empty(0))
        )
        frames.append(
            pd.DataFrame(
                {"level": level, "key": keys, "direction": demand.direction, "week": pd.DatetimeIndex(weeks), **values}
            )
        )
    return pd.concat(frames, ignore_index=True)
