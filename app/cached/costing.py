"""What capacity costs: billing by partner and month, stranded headroom, diversity and the hours of the day."""

from __future__ import annotations

import pandas as pd

from app.cached import Pin, Scope, SiteFilter, catalogue, extent, hours_of_day, memoize, partner_months
from app.cached.planning import PlanQuery, case_of, measured_weeks
from data import queries
from data.queries import reads
from data.queries.lake_state import last_days, last_months
from data.schema import DIRECTION_OF, Direction
from forecasting.planning.catalogue import price_law
from forecasting.planning.costs import (
    HoursOfDay,
    StrandedHeadroom,
    billing,
    hours_by_region,
    priced,
    stranded_by_futures,
    stranded_by_weeks,
)
from forecasting.planning.costs import diversity_factors as factors_of

__all__ = ["HoursOfDay", "StrandedHeadroom", "bills", "diversity_factors", "hours", "stranded_headroom"]

# Half a year of bills shows where they go; each month is read from its own samples, and a past one but once.
BILL_MONTHS = 6
# Four weeks even out single evenings, and follow the seasons.
HOURS_DAYS = 28


@reads(queries.extent, queries.partner_months)
def bills(pin: Pin, scope: Scope, usd_a_mbps: float | None, sites: SiteFilter) -> pd.DataFrame:
    """costs.billing of the last half year; the current month is as long as it has been seen."""
    start, end = last_months(extent(pin, scope), BILL_MONTHS)
    return billing(partner_months(pin, scope, tuple(DIRECTION_OF), start, end, sites), usd_a_mbps)


@memoize
@reads(queries.extent, queries.hours_of_day, queries.capacity_now, queries.catalogue)
def hours(pin: Pin, scope: Scope, direction: Direction, sites: SiteFilter) -> HoursOfDay:
    """Which hours of the day each region is busy in, over the last four weeks."""
    start, end = last_days(extent(pin, scope), HOURS_DAYS)
    rows = hours_of_day(pin, scope, f"{direction}_gbps", start, end, sites)
    return hours_by_region(rows, queries.capacity_now(pin, scope, direction, end), _regions(pin, scope, sites))


@memoize
@reads(measured_weeks, queries.catalogue)
def diversity_factors(pin: Pin, scope: Scope, direction: Direction, sites: SiteFilter) -> pd.DataFrame:
    """costs.diversity_factors of the network and each region, over the measured weeks of the last quarter."""
    return factors_of(measured_weeks(pin, scope, direction, sites), _regions(pin, scope, sites))


@memoize
@reads(case_of, measured_weeks, queries.extent, queries.capacity_now, queries.capacity, queries.catalogue)
def stranded_headroom(pin: Pin, scope: Scope, query: PlanQuery) -> StrandedHeadroom:
    """What is paid for and not needed, against the peak that is planned for, or the measured one where nothing is
    forecast; priced, where a price is not declared, by the law that the others follow (catalogue.price_law).
    """
    case = case_of(pin, scope, query)
    _, now = last_days(extent(pin, scope), 1)
    capacity = queries.capacity_now(pin, scope, query.direction, now)
    law = price_law(queries.capacity(pin, scope), query.direction, _regions(pin, scope, None))
    if case is not None:
        return priced(stranded_by_futures(case, capacity), law)
    weeks = measured_weeks(pin, scope, query.direction)
    return priced(stranded_by_weeks(weeks, query.statistic, query.limit, capacity), law)


def _regions(pin: Pin, scope: Scope, sites: SiteFilter) -> dict[str, str]:
    """region_id by site_id, of the sites of a filter."""
    known = catalogue(pin, scope)
    regions = dict(zip(known["site_id"].astype(str), known["region_id"].astype(str), strict=True))
    return {site: region for site, region in regions.items() if sites is None or site in sites}
