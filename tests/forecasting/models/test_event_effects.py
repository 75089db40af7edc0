"""Models that know nothing of events, told of them: what an event did is taken out of the history, and what the coming
one will do is added.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.models.baselines import seasonal_median, seasonal_naive
from forecasting.models.event_effects import HolidayEffect, with_event_effects
from forecasting.panel.events import EventRegressors, Holidays, holidays_of
from forecasting.panel.history import History
from tests.forecasting.networks import NOW, daily, stamps_of

STAMPS = stamps_of(42)
LIFT = 1.8


def cups(*days_ago: float, kind: str = "tournament") -> pd.DataFrame:
    """Events of six hours, so many days before now; below zero they are to come."""
    starts = [NOW - pd.Timedelta(days=days) for days in days_ago]
    rows = {
        "kind": kind,
        "start": starts,
        "end": [start + pd.Timedelta(hours=6) for start in starts],
        "treatment": "regressor",
        "share": 1.0,
    }
    return pd.DataFrame(rows)


def lifted(events: pd.DataFrame, noise: float = 0.02) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    values = daily(STAMPS, noise=noise)
    for start, end in zip(events["start"], events["end"], strict=True):
        values[(start <= STAMPS) & (end > STAMPS)] *= LIFT
    return values[:, None]


def forecast(events: pd.DataFrame, told: pd.DataFrame) -> pd.Series:
    """A week ahead by the copy of last week, of a history that these events lifted, told of those."""
    grid = pd.date_range(STAMPS[0], periods=len(STAMPS) + 168, freq="h")
    history = History(STAMPS, lifted(events), (24, 168), known=EventRegressors.of([told], grid))
    model = with_event_effects({"naive": seasonal_naive(168)})["naive"]
    return pd.Series(model(history, 168)[:, 0], index=history.ahead(168))


def ratio(found: pd.Series, start: pd.Timestamp) -> float:
    truth = daily(pd.DatetimeIndex(found.index), noise=0.0)
    during = (found.index >= start) & (found.index < start + pd.Timedelta(hours=6))
    return float((found / truth)[during].mean())


def test_last_weeks_event_is_not_copied_and_the_next_one_is_expected() -> None:
    past = cups(3, 12, 24, 33)
    coming = cups(-2)
    found = forecast(past, pd.concat([past, coming], ignore_index=True))
    assert ratio(found, NOW + pd.Timedelta(days=4)) == pytest.approx(1.0, abs=0.08), "a week after the last event"
    assert ratio(found, NOW + pd.Timedelta(days=2)) == pytest.approx(LIFT, rel=0.1), "during the coming one"


def test_a_model_that_is_not_told_copies_the_event() -> None:
    past = cups(3, 12, 24, 33)
    history = History(STAMPS, lifted(past), (24, 168))
    found = pd.Series(
        with_event_effects({"naive": seasonal_naive(168)})["naive"](history, 168)[:, 0], index=history.ahead(168)
    )
    assert ratio(found, NOW + pd.Timedelta(days=4)) == pytest.approx(LIFT, rel=0.1)


def test_a_kind_that_was_hardly_seen_moves_nothing() -> None:
    seen = cups(12).assign(end=lambda held: held["start"] + pd.Timedelta(hours=2))
    found = forecast(cups(), pd.concat([seen, cups(-2)], ignore_index=True))
    assert ratio(found, NOW + pd.Timedelta(days=2)) == pytest.approx(1.0, abs=0.08)


def test_what_comes_after_an_origin_does_not_move_its_forecast() -> None:
    grid = pd.date_range(STAMPS[0], periods=len(STAMPS) + 168, freq="h")
    known = EventRegressors.of([cups(3, 12, 24, 33)], grid)
    values = lifted(cups(3, 12, 24, 33))
    spoilt = values.copy()
    spoilt[-240:] *= 7.0
    model = with_event_effects({"naive": seasonal_naive(168)})["naive"]
    one, other = (
        model(History(STAMPS, held, (24, 168), known=known).until(len(STAMPS) - 240), 168) for held in (values, spoilt)
    )
    assert np.array_equal(one, other)


def test_there_is_nothing_to_learn_from_notes() -> None:
    assert EventRegressors.of([cups(3).assign(treatment="note")], STAMPS) is None


def test_beyond_the_grid_nothing_happens() -> None:
    known = EventRegressors.of([cups(3)], STAMPS)
    assert known is not None
    late = pd.date_range(NOW + pd.Timedelta(days=9), periods=4, freq="h")
    assert known(late).shape == (4, 1, 1)
    assert not known(late).any()
    assert known(STAMPS).sum() == pytest.approx(6.0)
    assert np.array_equal(known(STAMPS.tz_localize(None).to_numpy()), known(STAMPS))


YEAR = pd.date_range("2024-12-01", "2026-01-20", freq="h", tz="UTC", inclusive="left", unit="us")
BERLIN = holidays_of({"DE": 1.0}, "Europe/Berlin", 2024, 2026)


def on_holidays(stamps: pd.DatetimeIndex, held: Holidays = BERLIN) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.isin(stamps.tz_convert(held.zone).tz_localize(None).to_numpy().astype("datetime64[D]"), held.dates)


def dipping(stamps: pd.DatetimeIndex, dip: float, noise: float = 0.05) -> pd.Series:
    """Demand that falls to the share `dip` on German holidays."""
    values = daily(stamps, noise=noise)
    return pd.Series(np.where(on_holidays(stamps), dip * values, values), index=stamps)


def christmas_forecast(values: pd.Series, holidays: tuple[Holidays, ...]) -> pd.Series:
    """Six weeks from the first of December by the median of the last four weeks; the first Christmas is history."""
    known = values[: pd.Timestamp("2025-12-01", tz="UTC")].iloc[:-1]
    history = History(pd.DatetimeIndex(known.index), known.to_numpy()[:, None], (24, 168), holidays=holidays)
    model = with_event_effects({"median": seasonal_median(168)})["median"]
    return pd.Series(model(history, 42 * 24)[:, 0], index=history.ahead(42 * 24))


def test_a_holiday_that_was_seen_dips_in_the_forecast_and_other_days_do_not() -> None:
    found = christmas_forecast(dipping(YEAR, 0.6), (BERLIN,))
    truth = daily(pd.DatetimeIndex(found.index), noise=0.0)
    held = on_holidays(pd.DatetimeIndex(found.index))
    assert held.sum() == 24 * 3, "both days of Christmas and New Year"
    assert float((found / truth)[held].mean()) == pytest.approx(0.6, abs=0.06)
    assert float((found / truth)[~held].mean()) == pytest.approx(1.0, abs=0.02)


def test_a_holiday_that_was_never_seen_has_no_effect() -> None:
    values = dipping(YEAR[pd.Timestamp("2025-07-01", tz="UTC") <= YEAR], 0.6)
    told, plain = christmas_forecast(values, (BERLIN,)), christmas_forecast(values, ())
    christmas = (told.index >= pd.Timestamp("2025-12-24", tz="UTC")) & on_holidays(pd.DatetimeIndex(told.index))
    assert told[christmas].to_numpy() == pytest.approx(plain[christmas].to_numpy())


def test_holidays_that_move_nothing_leave_the_forecast_as_it_is() -> None:
    values = pd.Series(daily(YEAR), index=YEAR)
    told, plain = christmas_forecast(values, (BERLIN,)), christmas_forecast(values, ())
    assert float((told / plain - 1.0).abs().max()) < 0.03


def test_last_weeks_holiday_is_not_copied() -> None:
    stamps = pd.date_range("2025-04-01", "2025-10-06", freq="h", tz="UTC", inclusive="left", unit="us")
    history = History(stamps, dipping(stamps, 0.5).to_numpy()[:, None], (24, 168), holidays=(BERLIN,))
    model = with_event_effects({"naive": seasonal_naive(168)})["naive"]
    found = pd.Series(model(history, 168)[:, 0], index=history.ahead(168))
    friday = found["2025-10-10"] / daily(pd.DatetimeIndex(found["2025-10-10"].index), noise=0.0)
    assert float(friday.mean()) == pytest.approx(1.0, abs=0.1), "a week after German Unity Day"


def test_a_series_without_a_value_and_one_of_zeros_know_no_holiday() -> None:
    values = np.stack([np.full(len(YEAR), np.nan), np.zeros(len(YEAR)), dipping(YEAR, 0.6).to_numpy()], axis=1)
    factor = HolidayEffect.learn(YEAR, values, (BERLIN, BERLIN, BERLIN)).factor(YEAR)
    assert np.array_equal(factor[:, :2], np.ones((len(YEAR), 2)))
    assert float(factor[on_holidays(YEAR), 2].mean()) == pytest.approx(0.6, abs=0.05)


def test_the_holidays_of_an_origins_future_do_not_move_its_forecast() -> None:
    values = dipping(YEAR, 0.6).to_numpy()[:, None]
    spoilt = values.copy()
    spoilt[-240:] *= 7.0
    model = with_event_effects({"naive": seasonal_naive(168)})["naive"]
    one, other = (
        model(History(YEAR, held, (24, 168), holidays=(BERLIN,)).until(len(YEAR) - 240), 168)
        for held in (values, spoilt)
    )
    assert np.array_equal(one, other)
