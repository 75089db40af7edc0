"""How much of a series an event's scope covers, and what the events around it look like to a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import GLOBAL_KEY, Series

EVERYWHERE = "global"
HOUR, MICROSECOND = pd.Timedelta(hours=1), pd.Timedelta(microseconds=1)


def scope_shares(
    series: Series, regions: Mapping[str, str], weights: Mapping[tuple[str, str], float]
) -> dict[str, float]:
    """Which share of a series (above 0, at most 1) lies within each scope that touches it: "global", a region_id or a
    site_id.

    Sites are weighed by `weights`, their usual value by (site_id, metric): what strikes a tenth of a region's traffic
    moves the region by a tenth.
    """
    shares = (
        _site_and_region_shares(series, regions, weights)
        if series.level != "site"
        else {regions.get(series.key, EVERYWHERE): 1.0}
    )
    return {**shares, series.key: 1.0, EVERYWHERE: 1.0}


def _site_and_region_shares(
    series: Series, regions: Mapping[str, str], weights: Mapping[tuple[str, str], float]
) -> dict[str, float]:
    """The shares of the sites, and of their regions, in a region or the network."""
    sites = sites_of(series, regions, weights)
    total = sum(sites.values())
    shares: dict[str, float] = {}
    for site, weight in sites.items():
        for scope in {site, regions.get(site, site)}:
            shares[scope] = shares.get(scope, 0.0) + (weight / total if total > 0.0 else 0.0)
    return {scope: share for scope, share in shares.items() if share > 0.0}


def sites_of(series: Series, regions: Mapping[str, str], weights: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """The usual value of each site that makes up a series."""
    if series.level == "site":
        return {series.key: weights.get((series.key, series.metric), 1.0)}
    whole = series.key == GLOBAL_KEY
    return {
        site: weight
        for (site, metric), weight in weights.items()
        if metric == series.metric and (whole or regions.get(site) == series.key)
    }


def event_regressors(events: pd.DataFrame, stamps: pd.DatetimeIndex, step: pd.Timedelta) -> pd.DataFrame:
    """One column for each kind of event with the treatment "regressor": how much of each interval, and of the series,
    such events cover.

    `events` as `Panel.touching` gives them. Events of a kind share a column, because the coming ones are known by those
    that went by; two at once add up.
    """
    kinds = regressor_kinds([events])
    return pd.DataFrame(
        event_coverage([events], kinds, stamps, step)[:, :, 0],
        index=stamps,
        columns=[f"event_{kind}" for kind in kinds],
    )


def regressor_kinds(events: Sequence[pd.DataFrame]) -> list[str]:
    """The kinds of event with the treatment "regressor" that touch one of some series, in order."""
    both = (pair for frame in events for pair in zip(frame["kind"].tolist(), frame["treatment"].tolist(), strict=True))
    return sorted({str(kind) for kind, treatment in both if treatment == "regressor"})


def event_coverage(
    events: Sequence[pd.DataFrame], kinds: Sequence[str], stamps: pd.DatetimeIndex, step: pd.Timedelta
) -> npt.NDArray[np.float64]:
    """(H, K, N): how much of each interval, and of each series, events of each kind cover; `events` holds those of each
    series.
    """
    coverage, column = (
        np.zeros((len(stamps), len(kinds), len(events))),
        {kind: place for place, kind in enumerate(kinds)},
    )
    # Counted in whole microseconds: an engine asks this of every series, and arithmetic on stamps is slow.
    begins, width = _microseconds(stamps), step // MICROSECOND
    for series, frame in enumerate(events):
        starts, ends = (_microseconds(pd.DatetimeIndex(frame[name])) for name in ("start", "end"))
        firsts, lasts = np.searchsorted(begins, starts - width, side="right"), np.searchsorted(begins, ends)
        for at, (kind, treatment, share) in enumerate(
            zip(*(frame[name].tolist() for name in ("kind", "treatment", "share")), strict=True)
        ):
            inside = begins[firsts[at] : lasts[at]]
            if treatment == "regressor" and kind in column and len(inside):
                parts = (np.minimum(inside + width, ends[at]) - np.maximum(inside, starts[at])) / width
                coverage[firsts[at] : lasts[at], column[kind], series] += share * np.clip(parts, 0.0, 1.0)
    return coverage


def _microseconds(stamps: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    return np.asarray(stamps.as_unit("us").asi8)


@dataclass(frozen=True, slots=True)
class EventRegressors:
    """Events as regressors on a grid of hours from `first` on, (hours, K, N): how much of each hour, and of each
    series, events of each kind cover.
    """

    first: pd.Timestamp
    grid: npt.NDArray[np.float64]

    @classmethod
    def of(cls, events: Sequence[pd.DataFrame], hours: pd.DatetimeIndex) -> EventRegressors | None:
        """Of the events of each series, as `Panel.touching` gives them; None where there is none to learn from."""
        kinds = regressor_kinds(events)
        return cls(hours[0], event_coverage(events, kinds, hours, HOUR)) if kinds else None

    def __call__(self, stamps: pd.DatetimeIndex | npt.NDArray[np.datetime64]) -> npt.NDArray[np.float64]:
        """(h, K, N) at hours of the grid, UTC; zero beyond it."""
        index = pd.DatetimeIndex(stamps)
        at = np.asarray(((index if index.tz else index.tz_localize("UTC")) - self.first) / HOUR).astype(np.int64)
        is_inside = (at >= 0) & (at < len(self.grid))
        regressors = np.zeros((len(at), *self.grid.shape[1:]))
        regressors[is_inside] = self.grid[at[is_inside]]
        return regressors


Dates = npt.NDArray[np.datetime64]

# A holiday that is moved, or whose date was only estimated, is the same holiday.
QUALIFIER = re.compile(r" \((?:observed|estimated|substitute)[^)]*\)")
# A holiday of less than a tenth of a region or of the network is lost in its ordinary days.
SHARE_AT_LEAST = 0.1


class Holidays(NamedTuple):
    """The holidays of one series, a row for each: its name, the local date, and the share of the series that lies in
    countries that keep it (above 0, at most 1). zone: the IANA zone whose days they are.
    """

    zone: str
    names: tuple[str, ...]
    dates: Dates
    shares: npt.NDArray[np.float64]


@lru_cache(maxsize=1024)
def holiday_dates(country: str, first_year: int, last_year: int) -> Mapping[str, tuple[np.datetime64, ...]]:
    """Dates of each public holiday of a country (ISO 3166 alpha-2), by its name, in English where the package has it.

    Observed and estimated dates count as the holiday itself. A country that the package does not know has none.
    """
    import holidays  # it loads the calendars of all countries, which takes a second

    if country not in holidays.list_supported_countries():
        return {}
    calendar = holidays.country_holidays(
        country, years=range(first_year, last_year + 1), language="en_US", expand=False
    )
    dates: dict[str, list[np.datetime64]] = {}
    for date in sorted(calendar):
        for name in dict.fromkeys(QUALIFIER.sub("", name) for name in calendar.get_list(date)):
            dates.setdefault(name, []).append(np.datetime64(date, "D"))
    return {name: tuple(days) for name, days in dates.items()}


def holidays_of(countries: Mapping[str, float], zone: str, first_year: int, last_year: int) -> Holidays:
    """The holidays of a series that lies in these countries by these shares, in the days of a zone.

    Holidays of the same name and date count together; those of less than a tenth of the series are left out.
    """
    shares: dict[tuple[str, np.datetime64], float] = {}
    for country, share in countries.items():
        for name, dates in holiday_dates(country, first_year, last_year).items():
            for date in dates:
                shares[name, date] = shares.get((name, date), 0.0) + share
    rows = sorted((name, date, share) for (name, date), share in shares.items() if share >= SHARE_AT_LEAST)
    return Holidays(
        zone,
        tuple(name for name, _, _ in rows),
        np.array([date for _, date, _ in rows], dtype="datetime64[D]"),
        np.minimum(np.array([share for _, _, share in rows], dtype=float), 1.0),
    )


def any_holiday(calendar: Sequence[Holidays]) -> bool:
    """Whether one of the series has a holiday."""
    return any(len(holidays_of_series.dates) for holidays_of_series in calendar)
