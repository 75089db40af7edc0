"""When a series is refused, and why."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.models.engine import HOURS_AT_LEAST, ForecastOptions, refusal_reason
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
        (hours(30).iloc[:1], "silent for 29 days"),
        (
            hours(30).where(hours(30).index < NOW - pd.Timedelta(days=8)),
            "silent for 8 days, since 2026-03-12 11:00 UTC; at most 7 are bridged",
        ),
        (
            hours(30).where(np.arange(720) % 5 < 2),
            "40% of the hours since 2026-02-18 are usable; at least 50% are needed",
        ),
        (hours(30, 0.0), "always 0: there is nothing to learn"),
        (hours(30, 7.5), "always 7.5: there is nothing to learn"),
    ],
)
def test_a_refusal_names_what_is_missing(held: pd.Series, reason: str) -> None:
    assert (refusal_reason(held, NOW) or "").startswith(reason)


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
