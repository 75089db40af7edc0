"""Holidays as columns, against the prophet package's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from prophet import Prophet

from benchmarks.prophet_reference import quiet
from data.schema.errors import SettingError
from forecasting.panel.public_holidays import holiday_columns
from forecasting.prophet_map.fit import Season, Spec, fit


@pytest.mark.parametrize("country", ["US", "DE", "BR", "JP"])
def test_the_columns_are_prophets(country: str) -> None:
    stamps = pd.date_range("2025-11-20", "2026-02-10", freq="6h")
    found = holiday_columns(country, stamps)
    model = Prophet()
    model.add_country_holidays(country)
    dates = pd.Series(stamps)
    with quiet():
        theirs, _, _ = model.make_holiday_features(dates, model.construct_holiday_dataframe(dates))
    theirs = theirs.set_axis([name.removesuffix("_delim_+0") for name in theirs.columns], axis=1)
    assert sorted(found) == sorted(theirs)
    assert (found.to_numpy() == theirs[found.columns].to_numpy()).all()
    assert found.to_numpy().sum() > 0


def test_a_day_is_that_of_the_clock() -> None:
    utc = pd.date_range("2026-07-04", periods=48, freq="h", tz="UTC")
    there = holiday_columns("US", utc.tz_convert("America/New_York"))["Independence Day"]
    assert there.to_numpy().nonzero()[0].tolist() == list(range(4, 28))


def test_a_forecast_has_the_columns_of_its_history() -> None:
    known = list(holiday_columns("US", pd.date_range("2025-11-20", "2026-01-10", freq="D")))
    ahead = holiday_columns("US", pd.date_range("2027-03-01", periods=10, freq="D"), known)
    assert list(ahead) == known
    assert (ahead == 0.0).all(axis=None)


def test_a_holiday_is_learned() -> None:
    stamps = pd.date_range("2023-01-01", periods=1000, freq="D")
    columns = holiday_columns("US", stamps)
    quiet = columns["Thanksgiving Day"].to_numpy()
    values = (100.0 + 5.0 * np.sin(2.0 * np.pi * np.arange(1000) / 7.0)) * np.where(quiet > 0.0, 0.6, 1.0)
    curves = fit(stamps, values[:, None], Spec((Season("weekly", 168.0, 3),)), columns.to_numpy())
    ahead = pd.date_range("2026-11-26", periods=1)
    effect = curves.components(ahead, holiday_columns("US", ahead, list(columns)).to_numpy())["regressors"]
    assert effect[0, 0] == pytest.approx(-40.0, abs=4.0)


def test_a_country_that_is_not_known_is_named() -> None:
    with pytest.raises(SettingError, match=r"No holidays are known of 'Mars'.*ISO 3166"):
        holiday_columns("Mars", pd.date_range("2026-01-01", periods=3))
