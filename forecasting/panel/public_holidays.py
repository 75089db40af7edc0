"""Public holidays of the countries that the sites of a series lie in, as local days.

The calendar is that of the `holidays` package, which the prophet package uses too. Only the country of a site is known,
not its sub-division, so regional holidays are not among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
