"""What capacity costs, kept: billing by partner and month, stranded headroom, diversity and the hours of the day."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from app.cached import MEASURED, Direction, Pin, Scope, _answer, catalogue, hours_of_day, partner_months
from app.cached.planning import TABLES, PlanQuery, case_of, measured_weeks
from data import queries
from data.schema import DIRECTION_OF, GLOBAL_KEY
from forecasting.planning.augments import additions_frame
from forecasting.planning.costs import billing, diversity, hour_strip, stranded
from forecasting.planning.demand import WEEK
from forecasting.planning.plan_case import PlanCase

__all__ = ["HoursOfDay", "StrandedHeadroom", "bills", "diversity_factors", "hours", "stranded_headroom"]

# Half a year of bills shows where they go; each month is read from its own samples, and a past one but once.
BILL_MONTHS = 6
# Four weeks even out single evenings, and follow the seasons.
HOURS_DAYS = pd.Timedelta(days=28)
# Where there is no telemetry, and so no now.
BEFORE_ALL = pd.Timestamp(0, tz="UTC")
# A year ahead holds the next season's peak; nine futures in ten stay below what is planned for.
AHEAD_WEEKS, PLANNED_FOR = 52, 0.9


class StrandedHeadroom(NamedTuple):
    """Stranded headroom by site, as costs.stranded; `expected`: whether peaks are of the coming year's futures, else of
    the measured quarter.

    `declared`: the sites with capacity; one of them without a known peak has no row. `added_gbps`: what the what-if
    adds to them within that year, in `rows`.
    """

    rows: pd.DataFrame
    expected: bool
    declared: frozenset[str]
    added_gbps: float = 0.0


class HoursOfDay(NamedTuple):
    """The hours of the UTC day: `share` of each region's own busiest hour, as costs.hour_strip; the same hours in Gbps;
    and what each region could carry.
    """

    share: pd.DataFrame
    gbps: pd.DataFrame
    capacity_gbps: dict[str, float]


def bills(pin: Pin, usd_a_mbps: float | None, scope: Scope) -> pd.DataFrame:
    """costs.billing of the last half year; the current month is as long as it has been seen."""
    return billing(_months(pin, scope), usd_a_mbps)


def hours(pin: Pin, direction: Direction, scope: Scope) -> HoursOfDay:
    """Which hours of the day each region is busy in, over the last four weeks."""
    return _answer(_hours, MEASURED, pin, scope, direction=direction)


def diversity_factors(pin: Pin, direction: Direction, scope: Scope) -> pd.DataFrame:
    """costs.diversity of the network, key "all", and of each region, over the measured weeks of the last quarter; the
    network first, then by factor.
    """
    return _answer(_diversity_factors, MEASURED, pin, scope, direction=direction)


def stranded_headroom(pin: Pin, question: PlanQuery, scope: Scope) -> StrandedHeadroom:
    """What is paid for and not needed, against the peak that is planned for, or the measured one where nothing is
    forecast.
    """
    return _answer(_stranded_headroom, TABLES, pin, scope, question=question)


def _months(pin: Pin, scope: Scope) -> pd.DataFrame:
    held = queries.extent(pin, scope)
    if held is None:
        return partner_months(pin, scope, tuple(DIRECTION_OF), BEFORE_ALL, BEFORE_ALL)
    first = held.last.floor("D").replace(day=1) - pd.DateOffset(months=BILL_MONTHS - 1)
    return partner_months(pin, scope, tuple(DIRECTION_OF), max(first, held.first), held.now)


def _hours(pin: Pin, scope: Scope, direction: Direction) -> HoursOfDay:
    held = queries.extent(pin, scope)
    end = BEFORE_ALL if held is None else held.now
    rows = hours_of_day(pin, scope, f"{direction}_gbps", end - HOURS_DAYS, end)
    gbps = rows.pivot_table(index="region_id", columns="hour", values="value").reindex(columns=range(24))
    share = hour_strip(rows)
    regions, capacity = _regions(pin, scope), _capacity(pin, scope, direction, end)
    return HoursOfDay(
        share, gbps.loc[share.index], capacity["capacity_gbps"].groupby(capacity.index.map(regions)).sum().to_dict()
    )


def _diversity_factors(pin: Pin, scope: Scope, direction: Direction) -> pd.DataFrame:
    weeks, regions = measured_weeks(pin, direction, scope), _regions(pin, scope)
    network = diversity(weeks, dict.fromkeys(regions, GLOBAL_KEY))
    by_region = diversity(weeks, regions).sort_values(["factor", "key"], ascending=[False, True])
    return pd.concat([network, by_region[by_region["sites"] > 1]], ignore_index=True)


def _stranded_headroom(pin: Pin, scope: Scope, question: PlanQuery) -> StrandedHeadroom:
    scene, extent = case_of(pin, scope, question), queries.extent(pin, scope)
    now = BEFORE_ALL if extent is None else extent.now
    if scene is not None:
        near = scene.demand.until(AHEAD_WEEKS)
        peaks = dict(zip(near.keys, np.quantile(near.gbps.max(axis=1), PLANNED_FOR, axis=1), strict=True))
        limits = dict(zip(near.keys, scene.policy.shares(near.keys), strict=True))
    else:
        weeks = measured_weeks(pin, question.direction, scope)
        peaks = weeks[weeks["level"] == "site"].groupby("key")[question.statistic].max().to_dict()
        limits = dict.fromkeys(peaks, question.limit)
    capacity = _capacity(pin, scope, question.direction, now)
    added = _added(scene, capacity)
    held, costs = (
        capacity[name].astype(float).add(added[more])
        for name, more in (("capacity_gbps", "gbps"), ("cost_usd_month", "usd"))
    )
    return StrandedHeadroom(
        stranded(peaks, held.to_dict(), costs.to_dict(), limits),
        scene is not None,
        frozenset(capacity.index),
        float(added["gbps"].sum()),
    )


def _added(scene: PlanCase | None, capacity: pd.DataFrame) -> pd.DataFrame:
    """gbps and usd, a month, that a what-if adds to each site of `capacity` within the year that its peak is planned
    for.
    """
    near = () if scene is None else [one for one in scene.added if one.day < scene.demand.start + AHEAD_WEEKS * WEEK]
    return (
        additions_frame(near)
        .groupby("site_id")[["gbps", "usd"]]
        .sum()
        .reindex(capacity.index)
        .astype(float)
        .fillna(0.0)
    )


def _capacity(pin: Pin, scope: Scope, direction: Direction, now: pd.Timestamp) -> pd.DataFrame:
    """capacity_gbps and cost_usd_month of what is installed now, by site_id; sites that are closed or declare none are
    left out.
    """
    found = queries.capacity_now(pin, scope, direction, now)
    return found[found["capacity_gbps"] > 0].set_index("site_id")


def _regions(pin: Pin, scope: Scope) -> dict[str, str]:
    """region_id by site_id."""
    sites = catalogue(pin, scope)
    return dict(zip(sites["site_id"].astype(str), sites["region_id"].astype(str), strict=True))
