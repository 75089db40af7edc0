"""When a series is refused, and why."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.models.engine import ForecastOptions
from forecasting.panel.completeness import HOURS_AT_LEAST, constant_reason, refusal_reason
from tests.forecasting.networks import NOW, daily, panel_of, rows, stamps_of

# A busy machine is no fault of the code.
unhurried = settings(deadline=None, max_examples=60)


def hours(days: float, values: object = None) -> pd.Series:
    stamps = stamps_of(days)
    return pd.Series(daily(stamps) if values is None else values, index=stamps, dtype=float)


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (hours(30, np.nan), "no usable value"),
        (hours(6.9), "166 usable hours of history; at least 168 are needed"),
        (hours(30).iloc[:1], "silent since 2026-02-18 13:00 UTC; 29 days"),
        (
            hours(30).where(hours(30).index < NOW - pd.Timedelta(days=8)),
            "silent since 2026-03-12 12:00 UTC; 8 days, of which 7 are bridged: send its rows, or close the site",
        ),
        (
            hours(30).where(np.arange(720) % 5 < 2),
            "40% of the hours since 2026-02-18 are usable; at least 50% are needed",
        ),
    ],
)
def test_a_refusal_names_what_is_missing(held: pd.Series, reason: str) -> None:
    assert (refusal_reason(held, NOW) or "").startswith(reason)


def test_a_closed_site_is_refused_as_closed_unless_it_carries_traffic_all_the_same() -> None:
    closing = NOW - pd.Timedelta(days=3)
    held = hours(30)
    for rest in (np.nan, 0.0):
        left = held.where(held.index < closing, rest)
        assert refusal_reason(left, NOW, closing) == "closed since 2026-03-17 by its capacity of 0"
        assert refusal_reason(left, NOW) is None
    assert refusal_reason(held, NOW, closing) is None


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_a_constant_is_accepted_and_named_to_models_that_need_something_to_learn(value: float) -> None:
    assert refusal_reason(hours(30, value), NOW) is None
    assert constant_reason(hours(30, value)) == f"always {value:g}: there is nothing to learn"
    assert constant_reason(hours(30)) is None


@pytest.mark.parametrize("held", [hours(7), hours(30), hours(30).where(np.arange(720) % 2 < 1), hours(400)])
def test_enough_is_accepted(held: pd.Series) -> None:
    assert refusal_reason(held, NOW) is None


@unhurried
@given(arrays(bool, st.sampled_from([168, 240, 480])))
def test_what_is_accepted_has_a_week_of_hours_and_half_of_its_life(present: npt.NDArray[np.bool_]) -> None:
    held = hours(len(present) / 24).where(present)
    if refusal_reason(held, NOW) is None:
        assert held.count() >= HOURS_AT_LEAST
        assert held.count() >= 0.5 * len(held.loc[held.first_valid_index() :])


def test_a_plan_covers_ninety_days_by_the_hour_and_the_band_at_the_grain() -> None:
    late = NOW + pd.Timedelta(minutes=25)
    panel = panel_of(rows("fra-01", stamps_of(9), daily(stamps_of(9))), now=late, grain="5min")
    ahead, band = ForecastOptions().hours(panel), ForecastOptions().band(panel)
    assert (ahead[0], len(ahead), str(ahead.tz)) == (NOW, 90 * 24, "UTC")
    assert (band[0], len(band), str(band.tz)) == (late - pd.Timedelta(days=14), 16 * 288, "UTC")
