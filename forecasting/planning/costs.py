"""What capacity costs and what of it lies idle: 95th-percentile billing, stranded capacity, time-zone diversity, and
the hours by region.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from data.schema import DIRECTION_OF, GLOBAL_KEY

MEGABITS = 1000.0
# A week of which less was seen than this may have missed its peak.
WHOLE_WEEK = 0.95


def billing(months: pd.DataFrame, usd_a_mbps: float | None = None) -> pd.DataFrame:
    """What each partner's month is billed by, and what it comes to at one price.

    months: partner, month, metric, p95 and apart (Gbps), completeness, as data.queries.partner_months gives them for
    ingest and egress. Columns: partner, month, ingest_gbps and egress_gbps (P95 of the partner's sum), billed_gbps (the
    greater of both, as ports are billed), apart_gbps (the sum of the sites'
    own P95s in that direction: what billing site by site comes to), completeness (of what is billed) and usd (NaN where
    no price is given).
    """
    rows = months.sort_values("p95", ascending=False, kind="stable")
    busier = rows.drop_duplicates(["partner", "month"]).rename(columns={"p95": "billed_gbps", "apart": "apart_gbps"})
    wide = (
        months.pivot_table(index=["partner", "month"], columns="metric", values="p95")
        .reindex(columns=list(DIRECTION_OF))
        .reset_index()
    )
    billed = wide.rename(columns=str).merge(
        busier[["partner", "month", "billed_gbps", "apart_gbps", "completeness"]], on=["partner", "month"]
    )
    price = np.nan if usd_a_mbps is None else usd_a_mbps
    return billed.assign(usd=billed["billed_gbps"] * MEGABITS * price).sort_values(
        ["partner", "month"], ignore_index=True
    )


def stranded(
    peaks_gbps: Mapping[str, float],
    capacity_gbps: Mapping[str, float],
    cost_usd_month: Mapping[str, float],
    limits: Mapping[str, float],
) -> pd.DataFrame:
    """Headroom that is paid for and not used, by site, most USD first.

    peaks_gbps: the highest demand that is planned for, e.g. the P90 of the coming year's peaks; limits: the share of
    capacity that it may reach, by site.
    Columns: site_id, capacity_gbps, peak_gbps, needed_gbps (peak over the limit), stranded_gbps (capacity beyond that,
    at least 0), stranded_share, stranded_usd_month (NaN where the cost is not known).
    """
    keys = sorted(set(peaks_gbps) & set(capacity_gbps))
    frame = pd.DataFrame(
        {
            "site_id": keys,
            "capacity_gbps": [capacity_gbps[key] for key in keys],
            "peak_gbps": [peaks_gbps[key] for key in keys],
        }
    ).astype({"capacity_gbps": float, "peak_gbps": float})
    frame["needed_gbps"] = frame["peak_gbps"] / frame["site_id"].map(dict(limits)).astype(float)
    frame["stranded_gbps"] = (frame["capacity_gbps"] - frame["needed_gbps"]).clip(lower=0.0)
    frame["stranded_share"] = (frame["stranded_gbps"] / frame["capacity_gbps"]).where(frame["capacity_gbps"] > 0.0, 0.0)
    frame["stranded_usd_month"] = frame["stranded_share"] * frame["site_id"].map(dict(cost_usd_month)).astype(float)
    return frame.sort_values(["stranded_usd_month", "stranded_gbps"], ascending=False, na_position="last").reset_index(
        drop=True
    )


def diversity(weeks: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """The diversity factor of each group of sites (site_id to region_id, or all to "all"): the sum of the sites' peaks
    over the peak of their sum.

    It is 1 where all peak together, more where time zones share the load. Median, lowest and highest over weeks.

    weeks: key, week, peak and completeness, as data.queries.model_inputs gives them for one metric; the group's own peak is
    that of its samples summed. A week counts where the group and every site that reported in any of them were seen
    whole. Columns: key, factor, low, high, sites, weeks, by key.
    """
    whole = weeks[weeks["completeness"] >= WHOLE_WEEK]
    sites = (
        whole[whole["level"] == "site"].assign(group=lambda rows: rows["key"].map(dict(groups))).dropna(subset="group")
    )
    own = whole[whole["level"] == ("global" if set(groups.values()) == {GLOBAL_KEY} else "region")].set_index(
        ["key", "week"]
    )["peak"]
    members = sites.groupby("group")["key"].nunique()
    sums = sites.groupby(["group", "week"])["peak"].agg(["sum", "size"])
    full = sums[sums["size"] == sums.index.get_level_values("group").map(members)]["sum"]
    factors = (full / own.rename_axis(full.index.names).reindex(full.index)).replace(np.inf, np.nan).dropna()
    factor_of_group = (
        factors.groupby("group").agg(factor="median", low="min", high="max", weeks="size").reset_index(names="key")
    )
    return factor_of_group.assign(sites=factor_of_group["key"].map(members))[
        ["key", "factor", "low", "high", "sites", "weeks"]
    ]


def hour_strip(hours: pd.DataFrame) -> pd.DataFrame:
    """How full each region is in each hour of the UTC day, as a share of its own busiest hour: rows are regions,
    columns 0 to 23.

    hours: region_id, hour, value, as data.queries.hours_of_day gives them. Rows stand in the order of their busiest
    hour, so that the strip shows the sun going round.
    """
    means = (
        hours.pivot_table(index="region_id", columns="hour", values="value").reindex(columns=range(24)).astype(float)
    )
    strip = means.div(means.max(axis=1), axis=0)
    return strip.loc[sorted(strip.index, key=lambda region: (int(np.nanargmax(strip.loc[region])), region))]
