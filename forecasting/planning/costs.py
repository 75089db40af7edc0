"""What capacity costs and what of it lies idle: 95th-percentile billing, stranded capacity, time-zone diversity, and
the hours by region.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import DIRECTION_OF, GLOBAL_KEY
from forecasting.planning.augments import CapacityAddition, additions_frame
from forecasting.planning.catalogue import PriceLaw
from forecasting.planning.demand import WEEK, Statistic
from forecasting.planning.plan_case import PlanCase

MEGABITS = 1000.0
# A week of which less was seen than this may have missed its peak.
WHOLE_WEEK = 0.95
# A year ahead holds the next season's peak; nine futures in ten stay below what is planned for.
STRANDED_WEEKS, STRANDED_QUANTILE = 52, 0.9


def billing(months: pd.DataFrame, usd_a_mbps: float | None = None) -> pd.DataFrame:
    """The bill of each partner's month: the billed Gbps, and USD at one price.

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


class StrandedHeadroom(NamedTuple):
    """Stranded headroom by site.

    rows: as `stranded`. expected: whether the peaks are of the coming year's futures, else of measured weeks. declared: the
    sites with capacity; one of them without a known peak has no row. added_gbps: what a what-if adds to them within that
    year, in `rows`.
    """

    rows: pd.DataFrame
    expected: bool
    declared: frozenset[str]
    added_gbps: float = 0.0


def stranded_by_futures(case: PlanCase, capacity: pd.DataFrame) -> StrandedHeadroom:
    """Stranded capacity against the P90 of the highest week of the coming year.

    capacity: site_id, capacity_gbps and cost_usd_month of what is in force now. A what-if's additions within that year
    count as well, in capacity and in cost.
    """
    year = case.demand.until(STRANDED_WEEKS)
    peaks = dict(zip(year.keys, np.quantile(year.gbps.max(axis=1), STRANDED_QUANTILE, axis=1), strict=True))
    limits = dict(zip(year.keys, case.policy.shares(year.keys), strict=True))
    until = year.start + STRANDED_WEEKS * WEEK
    return _stranded_headroom(peaks, limits, capacity, [each for each in case.added if each.day < until], expected=True)


def stranded_by_weeks(
    weeks: pd.DataFrame, statistic: Statistic, limit: float, capacity: pd.DataFrame
) -> StrandedHeadroom:
    """Stranded capacity against the highest of some measured weeks (level, key, peak and p95); `capacity`
    as in stranded_by_futures.
    """
    peaks = weeks[weeks["level"] == "site"].groupby("key")[statistic].max().to_dict()
    return _stranded_headroom(peaks, dict.fromkeys(peaks, limit), capacity, [], expected=False)


def _stranded_headroom(
    peaks: Mapping[str, float],
    limits: Mapping[str, float],
    capacity: pd.DataFrame,
    additions: list[CapacityAddition],
    *,
    expected: bool,
) -> StrandedHeadroom:
    open_sites = capacity[capacity["capacity_gbps"] > 0].set_index("site_id")
    added = additions_frame(additions).groupby("site_id")[["gbps", "usd"]].sum().reindex(open_sites.index)
    added = added.astype(float).fillna(0.0)
    gbps = open_sites["capacity_gbps"].astype(float) + added["gbps"]
    usd = open_sites["cost_usd_month"].astype(float) + added["usd"]
    rows = stranded(peaks, gbps.to_dict(), usd.to_dict(), limits)
    return StrandedHeadroom(rows, expected, frozenset(open_sites.index), float(added["gbps"].sum()))


def priced(headroom: StrandedHeadroom, law: PriceLaw) -> StrandedHeadroom:
    """With priced_usd_month in the rows: the declared cost of what is stranded or, where none is declared, the law's; most
    USD first.
    """
    usual = headroom.rows["stranded_share"] * headroom.rows["capacity_gbps"].map(law.of).astype(float)
    rows = headroom.rows.assign(priced_usd_month=headroom.rows["stranded_usd_month"].fillna(usual))
    order = rows.sort_values(["priced_usd_month", "stranded_gbps"], ascending=False, ignore_index=True)
    return headroom._replace(rows=order)


def diversity_factors(weeks: pd.DataFrame, regions: Mapping[str, str]) -> pd.DataFrame:
    """`diversity` of the network, key "all", and of each region of more than one site (site_id to region_id); the network
    first, then by factor.
    """
    network = diversity(weeks, dict.fromkeys(regions, GLOBAL_KEY))
    by_region = diversity(weeks, regions).sort_values(["factor", "key"], ascending=[False, True])
    return pd.concat([network, by_region[by_region["sites"] > 1]], ignore_index=True)


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


class HoursOfDay(NamedTuple):
    """The hours of the UTC day: share of each region's own busiest hour, as `hour_strip`; the same hours in Gbps; and what
    each region could carry, Gbps.
    """

    share: pd.DataFrame
    gbps: pd.DataFrame
    capacity_gbps: dict[str, float]


def hours_by_region(hours: pd.DataFrame, capacity: pd.DataFrame, regions: Mapping[str, str]) -> HoursOfDay:
    """hours: as in hour_strip; capacity: site_id and capacity_gbps in force now; regions: region_id by site_id."""
    share = hour_strip(hours)
    gbps = hours.pivot_table(index="region_id", columns="hour", values="value").reindex(columns=range(24))
    open_sites = capacity[capacity["capacity_gbps"] > 0]
    of_region = open_sites["capacity_gbps"].groupby(open_sites["site_id"].map(dict(regions))).sum()
    return HoursOfDay(share, gbps.loc[share.index], of_region.to_dict())
