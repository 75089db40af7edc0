"""The catalogue of steps on offer where none is given: usual port sizes at prices fitted to the declared costs; and the
planned capacity steps that purchases become.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import Direction
from forecasting.planning.augments import CapacityAddition, additions_frame
from forecasting.planning.capacity import apply_augments
from forecasting.planning.order_by import USUAL_LEAD_DAYS

# Ethernet ports as they are sold most.
SIZES_GBPS = (10.0, 100.0, 400.0)
STEP_COLUMNS = ["gbps", "cost_usd_month", "cost_usd_once", "lead_time_days"]
# A price law has two unknowns: fewer declared costs than this, or costs of one size, do not tell it.
COSTS_AT_LEAST, SPREAD_AT_LEAST = 6, 2.0
# Assumed where the lake tells no cost: USD a month for the first Gbps, and how the cost of more grows. Larger
# commitments are cheaper by the Gbps.
ASSUMED_USD, ASSUMED_POWER = 1000.0, 0.92
CHEAPEST_POWER, DEAREST_POWER = 0.5, 1.0
CAPACITY_COLUMNS = ["site_id", "direction", "effective_from", "capacity_gbps", "status", "cost_usd_month"]


def whole_ports(gbps: float) -> float:
    """Capacity rounded up to whole ports of the smallest usual size, Gbps: 37 to 40."""
    return float(np.ceil(gbps / SIZES_GBPS[0] - 1e-9) * SIZES_GBPS[0])


class PriceLaw(NamedTuple):
    """USD a month of so many Gbps: usd x gbps ^ power. costs: how many declared costs tell so; 0 where it is
    assumed.
    """

    usd: float
    power: float
    costs: int

    def of(self, gbps: float) -> float:
        """USD a month, to three digits."""
        return float(f"{self.usd * gbps**self.power:.3g}")


def price_law(steps: pd.DataFrame, direction: Direction, regions: Mapping[str, str]) -> PriceLaw:
    """The law by which the contract's `capacity` is priced: least squares of the logarithms over every step whose cost
    is declared.

    How cost grows with size is told within each region (site_id to region_id): dear regions may have small sites, which
    says nothing of size.
    """
    priced = steps[(steps["direction"] == direction) & (steps["capacity_gbps"] > 0.0) & (steps["cost_usd_month"] > 0.0)]
    gbps, usd = priced["capacity_gbps"].to_numpy(float), priced["cost_usd_month"].to_numpy(float)
    if len(priced) < COSTS_AT_LEAST or gbps.max() < SPREAD_AT_LEAST * gbps.min():
        return PriceLaw(ASSUMED_USD, ASSUMED_POWER, 0)
    logs = pd.DataFrame({"gbps": np.log(gbps), "usd": np.log(usd)})
    apart = logs - logs.groupby(priced["site_id"].map(dict(regions)).fillna("").to_numpy()).transform("mean")
    spread = float(apart["gbps"].var(ddof=0))
    power = (
        float(np.clip((apart["gbps"] * apart["usd"]).mean() / spread, CHEAPEST_POWER, DEAREST_POWER))
        if spread > 0.0
        else ASSUMED_POWER
    )
    return PriceLaw(float(np.exp(np.mean(np.log(usd) - power * np.log(gbps)))), power, len(priced))


def usual_steps(law: PriceLaw) -> pd.DataFrame:
    """Usual sizes at the law's prices, in STEP_COLUMNS; a missing lead time is the site's own."""
    return pd.DataFrame([[size, law.of(size), 0.0, np.nan] for size in SIZES_GBPS], columns=STEP_COLUMNS)


def at_every_site(steps: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """The catalogue of build_problem where each site may buy each of `steps` (STEP_COLUMNS), with the site's
    own lead time where a step has none.
    """
    own = sites[["site_id"]].assign(own=sites["lead_time_days"].astype(float).fillna(USUAL_LEAD_DAYS))
    offered = own.merge(steps[STEP_COLUMNS], how="cross")
    return offered.assign(lead_time_days=offered["lead_time_days"].astype(float).fillna(offered["own"])).drop(
        columns="own"
    )


def declared_steps(added: Sequence[CapacityAddition], steps: pd.DataFrame, direction: Direction) -> pd.DataFrame:
    """Additions as rows of the contract's `capacity`: a planned step whenever something comes into
    service.

    A capacity holds until the next step, so the steps that are declared for later are given again, higher by what was
    bought before them; one of 0 Gbps, which closes the site, stays as it is. The cost is missing where that of the step
    below is.
    """
    bought = additions_frame(added)
    mine = steps[(steps["direction"] == direction) & steps["site_id"].isin(bought["site_id"])]
    return apply_augments(mine, bought).assign(direction=direction)[CAPACITY_COLUMNS]
