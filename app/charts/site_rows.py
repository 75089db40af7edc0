"""The sites as a table, worst first: numbers that sort, intervals in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from app import theme
from app.charts.map_marks import FORECAST_RUNOUT, RunoutScale, records, runout_words

# A sparkline in a cell is some 100 pixels wide: the highest of every few hours draws the same line in a fraction of the
# bytes.
HOURS_A_POINT = 3
KINDS = {"over": 0, "within": 1}
ORDER = {"act": 0, "watch": 1, "unknown": 2, "ok": 3}
STATE_WORDS = {"ok": theme.OK, "watch": theme.WATCH, "act": theme.ACT, "unknown": theme.UNKNOWN}
_DAY = pd.Timedelta(days=1)


def worst_first(sites: pd.DataFrame) -> pd.DataFrame:
    """Sites that need a look first: by state, then those that have run out, then by how soon they do, then by how full
    they are.
    """
    within = sites["runout"] == "within"
    keys = {
        "_state": sites["state"].map(ORDER).fillna(ORDER["unknown"]),
        "_kind": sites["runout"].map(KINDS).fillna(len(KINDS)),
        "_early": sites["runout_early"].where(within),
        "_full": -sites["utilisation"].astype(float),
    }
    ordered = sites.assign(**keys).sort_values([*keys, "site_id"], na_position="last")
    return ordered.drop(columns=list(keys)).reset_index(drop=True)


def site_table(sites: pd.DataFrame, now: pd.Timestamp, runout: RunoutScale = FORECAST_RUNOUT) -> pd.DataFrame:
    """What the table of all sites shows, in the order of `sites` (a frame of sites_now; `runout`: the scale of its
    run-out).

    site_id, Site, Health, Region, Partner, Egress (Gbps), Utilisation (percent), Last 7 days (list), Peak in 28 days
    and Run-out (intervals as text), Peak of capacity (percent), Days left (to the early bound of the run-out; 0 where
    it is over), Complete (percent of the last 24 h).
    """
    return pd.DataFrame(
        {
            "site_id": sites["site_id"],
            "Site": sites["name"],
            "Health": [f"{STATE_WORDS[state].glyph} {STATE_WORDS[state].word}" for state in sites["state"]],
            "Region": sites["region_name"].fillna(sites["region_id"]),
            "Partner": sites["partner"],
            "Egress": sites["egress_gbps"],
            "Utilisation": 100 * sites["utilisation"],
            "Last 7 days": [thinned(week) for week in sites["week"]],
            "Peak in 28 days": [
                peak(low, high) for low, high in zip(sites["peak_28d_low"], sites["peak_28d_high"], strict=True)
            ],
            "Peak of capacity": 100
            * sites["peak_28d_mid"]
            / sites["egress_capacity_gbps"].where(sites["egress_capacity_gbps"] > 0),
            "Run-out": [
                runout_words(site, now, runout) for site in records(sites[["runout", "runout_early", "runout_late"]])
            ],
            "Days left": days_left(sites, now),
            "Complete": 100 * sites["completeness_24h"],
        }
    )


def thinned(week: Sequence[float | None] | None) -> list[float] | None:
    """The highest of every few hours, to four significant digits; none for a week without any value.

    Where all of them are missing the line goes straight on: a cell that is handed a hole shows its numbers as text and
    no line at all.
    """
    hours = np.array([] if week is None else week, dtype=float)
    points = np.fmax.reduceat(hours, np.arange(0, len(hours), HOURS_A_POINT)) if len(hours) else hours
    known = np.flatnonzero(~np.isnan(points))
    return None if known.size == 0 else rounded(np.interp(np.arange(len(points)), known, points[known])).tolist()


def rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Four significant digits: enough for a cell, for sites of Mbps as for sites of Tbps."""
    size = 10.0 ** (3.0 - np.floor(np.log10(np.where(values > 0.0, values, 1.0))))
    return np.round(values * size) / size


def peak(low: float, high: float) -> str:
    """The 80 % interval of the highest hour ahead: '812 to 930 Gbps'."""
    if theme.missing(low) or theme.missing(high):
        return "no forecast"
    ends = theme.gbps(low).split(), theme.gbps(high).split()
    return (
        f"{ends[0][0]} to {' '.join(ends[1])}"
        if ends[0][1] == ends[1][1]
        else f"{' '.join(ends[0])} to {' '.join(ends[1])}"
    )


def days_left(sites: pd.DataFrame, now: pd.Timestamp) -> pd.Series:
    """Days until a site may first pass 80 % of its capacity; null where that is not in sight or not known."""
    days = ((sites["runout_early"] - now) / _DAY).where(sites["runout"] == "within")
    return days.mask(sites["runout"] == "over", 0.0).clip(lower=0.0).round()
