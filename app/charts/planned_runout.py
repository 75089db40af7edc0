"""The plan's run-out dates where the map looks for those of the forecast."""

from __future__ import annotations

import pandas as pd

from app.charts.plan_rows import worst_first

RUNOUT = ["runout", "runout_early", "runout_mid", "runout_late"]
KINDS = {"over": "over", "within": "within", "possible": "within", "beyond": "beyond"}


def with_plan(sites: pd.DataFrame, outlook: pd.DataFrame, no_capacity: str) -> pd.DataFrame:
    """The sites (a frame of sites_now), with their run-out as an outlook has it: of several rows of a site, one for
    each direction, the one that comes first.

    A site that the outlook does not know has no forecast. `no_capacity`: the reason for which a refused site is one
    without a declared capacity.
    """
    rows = worst_first(outlook[outlook["level"] == "site"]).drop_duplicates("key")
    kinds = (
        rows["answer"]
        .map(KINDS)
        .where(
            rows["answer"] != "refused", rows["reason"].eq(no_capacity).map({True: "no capacity", False: "no forecast"})
        )
    )
    dates = {"runout_early": rows["p10"], "runout_mid": rows["p50"], "runout_late": rows["p90"]}
    known = pd.DataFrame({"site_id": rows["key"], "runout": kinds, **dates})
    found = sites.drop(columns=RUNOUT, errors="ignore").merge(known, on="site_id", how="left")
    return found.assign(runout=found["runout"].fillna("no forecast"))
