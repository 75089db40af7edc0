"""Order-by dates: the early quantile less the padded lead time; the calendar keeps RFC 5545."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from data.schema.errors import SettingError
from forecasting.planning.order_by import Entry, OrderPolicy, calendar, order_by
from forecasting.planning.runout import run_out_of_paths
from tests.forecasting.planning.networks import START

HORIZON = START + pd.Timedelta(weeks=78)
TODAY = pd.Timestamp("2027-01-05 09:30", tz="UTC")


def test_order_by_is_the_early_quantile_less_twice_the_lead_time_and_five_days() -> None:
    answer = run_out_of_paths("site", "a", START, HORIZON, np.linspace(200.0, 400.0, 101))
    assert answer.p10 == START + pd.Timedelta(days=220)
    assert order_by(answer, 60.0, OrderPolicy()) == START + pd.Timedelta(days=220 - 125)
    assert order_by(answer, 60.0, OrderPolicy(early=0.5, times=1.0, plus_days=0.0)) == START + pd.Timedelta(
        days=300 - 60
    )


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=400))
def test_a_calendar_is_read_back_as_it_was_written(title: str) -> None:
    text = calendar([Entry("order-a@headroom", START, title, "first\r\nsecond; a, b\\c")], TODAY)
    (event,) = Calendar.from_ical(text).walk("VEVENT")
    assert (event["UID"], event["SUMMARY"], event["DESCRIPTION"]) == (
        "order-a@headroom",
        title,
        "first\nsecond; a, b\\c",
    )
    assert (event.decoded("DTSTART"), event.decoded("DTEND")) == (START.date(), START.date() + timedelta(days=1))
    assert event.decoded("DTSTAMP") == TODAY.to_pydatetime()
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))


def test_order_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingError, match="factor of at least 1"):
        OrderPolicy(times=0.5)
