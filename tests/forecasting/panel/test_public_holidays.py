"""Public holidays of countries as local days, against the prophet package's own, and those of a panel's series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from prophet import Prophet

from benchmarks.prophet_reference import quiet
from data.schema import GLOBAL_KEY, Series
from forecasting.panel.events import QUALIFIER, any_holiday, holiday_dates, holidays_of
from forecasting.panel.panel import Panel
from tests.forecasting.networks import daily, panel_of, rows, stamps_of

COUNTRIES = {"fra-01": "DE", "ams-01": "NL", "nrt-01": "JP"}


def panel() -> Panel:
    """Two sites in Europe, of 10 and 1 Gbps, and one of 10 in Japan."""
    stamps = stamps_of(30)
    levels = {"fra-01": 10.0, "ams-01": 1.0, "nrt-01": 10.0}
    frames = [rows(site, stamps, daily(stamps, level)) for site, level in levels.items()]
    whole = rows(GLOBAL_KEY, stamps, daily(stamps, 21.0), level="global")
    zones = {"fra-01": "Europe/Berlin", "ams-01": "Europe/Amsterdam", "nrt-01": "Asia/Tokyo"}
    return replace(panel_of(*frames, whole), countries=COUNTRIES, zones=zones)


@pytest.mark.parametrize("country", ["US", "DE", "BR", "JP"])
def test_dates_are_those_of_prophet(country: str) -> None:
    model = Prophet()
    model.add_country_holidays(country)
    with quiet():
        theirs = model.construct_holiday_dataframe(pd.Series(pd.date_range("2025-01-01", "2026-12-31")))
    theirs = theirs[theirs["ds"].dt.year.between(2025, 2026)]
    expected = {(QUALIFIER.sub("", name), day) for name, day in zip(theirs["holiday"], theirs["ds"], strict=True)}
    ours = holiday_dates(country, 2025, 2026)
    assert {(name, pd.Timestamp(day)) for name, days in ours.items() for day in days} == expected


def test_an_observed_date_counts_as_the_holiday() -> None:
    dates = holiday_dates("US", 2026, 2026)["Independence Day"]
    assert [str(date) for date in dates] == ["2026-07-03", "2026-07-04"]


def test_a_country_that_is_not_known_has_no_holiday() -> None:
    assert not holiday_dates("XX", 2026, 2026)
    assert not any_holiday([holidays_of({"XX": 1.0}, "UTC", 2026, 2026), holidays_of({}, "UTC", 2026, 2026)])


def test_shares_of_one_holiday_add_up_and_small_ones_are_left_out() -> None:
    held = holidays_of({"DE": 0.5, "NL": 0.2, "JP": 0.05}, "Europe/Berlin", 2026, 2026)
    shares = {(name, str(date)): share for name, date, share in zip(held.names, held.dates, held.shares, strict=True)}
    assert shares["New Year's Day", "2026-01-01"] == pytest.approx(0.75)
    assert shares["German Unity Day", "2026-10-03"] == pytest.approx(0.5)
    assert shares["King's Day", "2026-04-27"] == pytest.approx(0.2)
    assert not {name for name in held.names if name in holiday_dates("JP", 2026, 2026)} - {"New Year's Day"}


def test_a_site_has_the_holidays_of_its_country_in_its_own_days() -> None:
    held = panel().holidays(Series("site", "nrt-01", "egress_gbps"))
    assert held.zone == "Asia/Tokyo"
    assert set(held.names) == set(holiday_dates("JP", 2026, 2027))
    assert (held.shares == 1.0).all()
    assert np.datetime64("2027-01-01") in held.dates


def test_the_network_has_those_of_its_sites_by_their_traffic() -> None:
    held = panel().holidays(Series("global", GLOBAL_KEY, "egress_gbps"))
    shares = dict(zip(held.names, held.shares, strict=True))
    assert shares["German Unity Day"] == pytest.approx(10.0 / 21.0, abs=0.02)
    assert shares["Foundation Day"] == pytest.approx(10.0 / 21.0, abs=0.02)
    assert "King's Day" not in shares, "one Gbps of 21"


def test_a_panel_without_countries_has_none() -> None:
    bare = replace(panel(), countries={})
    assert not any_holiday([bare.holidays(series) for series in bare.series])
