"""The clock on the wall: models that count steps copy the right local hour over every change of the clocks, and count
as before where there is none.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forecasting.evaluation.model_selection import backtest_pool, select_and_calibrate
from forecasting.models.baselines import seasonal_naive
from forecasting.models.ensemble import BOOSTED, RECURSIVE, VARIANTS, YEARLY, pool
from forecasting.models.event_effects import with_event_effects
from forecasting.panel.events import EventRegressors
from forecasting.panel.history import History, Model, Reals
from forecasting.panel.local_time import in_local_time

HOUR = pd.Timedelta(hours=1)
SEASONS = (24, 168)
SPRING, AUTUMN = pd.Timestamp("2026-03-29 01:00", tz="UTC"), pd.Timestamp("2026-10-25 01:00", tz="UTC")
# Clocks that move by an hour, by half of one, by a whole day, twice within a few weeks, at other times of the year, and
# not at all.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Tokyo",
    "UTC",
)
YEARS = ("2011-01-01", "2013-01-01")


def lived(stamps: pd.DatetimeIndex, zone: str, series: int, noise: float = 0.02) -> Reals:
    """Sharp evenings by the zone's clock, (T, N)."""
    off = np.abs((stamps.tz_convert(zone).hour.to_numpy() - 8) % 24 - 12)
    return np.asarray(
        (10.0 * (0.15 + np.exp(-(off**2) / 8.0)))[:, None]
        * np.exp(noise * np.random.default_rng(1).normal(size=(len(stamps), series)))
    )


def before(now: pd.Timestamp, weeks: int, zone: str, series: int) -> History:
    """Weeks of hours up to now."""
    stamps = pd.date_range(end=now - HOUR, periods=weeks * 168, freq="h", unit="us")
    return History(stamps, lived(stamps, zone, series), SEASONS, zone=zone)


def missed(found: Reals, history: History) -> float:
    """The share by which a forecast misses."""
    truth = lived(history.ahead(len(found)), history.zone, found.shape[1], noise=0.0)
    return float(np.abs(found - truth).sum() / truth.sum())


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
@pytest.mark.parametrize("since", [-60, -1, 0, 1, 2, 60])
def test_every_model_without_a_curve_copies_the_right_local_hour(change: pd.Timestamp, since: int) -> None:
    history = before(change + since * HOUR, 7, "Europe/Berlin", 3)
    for name, model in pool(SEASONS).items():
        if name not in {*VARIANTS, *BOOSTED, *RECURSIVE, *YEARLY}:
            assert missed(model(history, 240), history) < 0.05, name


@pytest.mark.parametrize(("change", "since"), [(SPRING, -60), (AUTUMN, 60)])
def test_trees_depart_from_the_right_local_hour(change: pd.Timestamp, since: int) -> None:
    history = before(change + since * HOUR, 4, "Europe/Berlin", 9)
    for name in BOOSTED:
        assert missed(pool(SEASONS)[name](history, 168), history) < 0.05, name


def test_last_residuals_return_at_their_local_hour() -> None:
    history = before(AUTUMN - 60 * HOUR, 7, "Europe/Berlin", 3)
    carried, bare = (
        missed(pool(SEASONS)[name](history, 168), history)
        for name in ("prophet_log_flat_trend_residuals", "prophet_log_flat_trend")
    )
    assert carried < 0.7 * bare


@pytest.mark.parametrize("since", [-60, 60])
def test_what_is_drawn_keeps_local_evenings_and_its_bands_hold(since: int) -> None:
    history = before(AUTUMN + since * HOUR, 12, "Europe/Berlin", 3)
    drawn = select_and_calibrate(backtest_pool(history, 336, count=4))
    truth = lived(history.ahead(336), history.zone, 3)
    assert np.abs(drawn.point - truth)[72:].sum() < 0.05 * truth[72:].sum()
    assert ((truth >= drawn.quantiles[:, :, 0]) & (truth <= drawn.quantiles[:, :, 6]))[72:].mean() > 0.9


def test_events_are_known_by_utc_and_copied_by_nobody() -> None:
    history = before(AUTUMN + 60 * HOUR, 7, "Europe/Berlin", 1)
    starts = pd.DatetimeIndex([history.stamps[-1] + 6 * HOUR - pd.Timedelta(days=days) for days in (1, 8, 15, 30, 40)])
    cups = pd.DataFrame(
        {"kind": "cup", "start": starts, "end": starts + 6 * HOUR, "treatment": "regressor", "share": 1.0}
    )
    known = EventRegressors.of([cups], history.stamps.append(history.ahead(168)))
    assert known is not None
    lifted = History(
        history.stamps, history.measured * (1.0 + known(history.stamps)[:, 0]), SEASONS, zone=history.zone, known=known
    )
    told, plain = (models["naive"](lifted, 168) for models in map_both({"naive": seasonal_naive(168)}))
    assert missed(told, history) < 0.08 < missed(plain, history)


def map_both(models: dict[str, Model]) -> list[dict[str, Model]]:
    """Told of events, and not."""
    return [with_event_effects(in_local_time(models)), in_local_time(models)]


# The mapping
# --------------------------------------------------------------------------------------------------------------


@lru_cache
def turns(zone: str) -> list[pd.Timestamp]:
    """When the zone's clock is moved within the years, and one moment at which it is not."""
    quarters = pd.date_range(*YEARS, freq="15min", tz="UTC")
    moved = np.diff(quarters.tz_convert(zone).tz_localize(None).asi8 - quarters.tz_localize(None).asi8) != 0
    return [pd.Timestamp(quarters[100]), *quarters[1:][moved]]


class Clerk:
    """A model that forecasts what the clock will show, in hours, and keeps the histories that it was given."""

    def __init__(self) -> None:
        self.met: list[History] = []

    def __call__(self, history: History, steps: int) -> Reals:
        self.met.append(history)
        return reading(history.clock(history.ahead(steps)))


def reading(shown: pd.DatetimeIndex) -> Reals:
    """What a clock shows, in hours, (T, 1)."""
    return np.asarray((shown - pd.Timestamp("2000-01-01")) / HOUR)[:, None]


def moves(zone: str, history: History, steps: int) -> Reals:
    """By how many steps the clock is moved at each of the steps known and ahead."""
    stamps = history.stamps.append(history.ahead(steps))
    return np.asarray(np.diff(stamps.tz_convert(zone).tz_localize(None)) / history.step) - 1.0


@given(
    st.sampled_from(ZONES).flatmap(lambda zone: st.tuples(st.just(zone), st.sampled_from(turns(zone)))),
    st.sampled_from(["5min", "15min", "30min", "1h", "2h", "6h", "24h"]),
    st.integers(-60, 60),
    st.integers(1, 400),
    st.integers(1, 200),
)
@example(("Europe/Berlin", turns("Europe/Berlin")[2]), "15min", 2, 300, 40)
@example(("Pacific/Apia", turns("Pacific/Apia")[4]), "1h", -1, 300, 40)
@settings(max_examples=150, deadline=None)
def test_a_model_that_reads_the_clock_reads_it_right(
    where: tuple[str, pd.Timestamp], grain: str, since: int, known: int, steps: int
) -> None:
    zone, turn = where
    stamps = pd.date_range(end=turn + (since - 1) * pd.Timedelta(grain), periods=known, freq=grain, unit="us")
    history = History(stamps, reading(stamps.tz_convert(zone).tz_localize(None)), zone=zone)
    clerk = Clerk()
    found = in_local_time({"clerk": clerk})["clerk"](history, steps)
    np.testing.assert_array_equal(found, reading(history.clock(history.ahead(steps))))
    met, moved = clerk.met[0], moves(zone, history, steps)
    if not moved.any() or (moved != np.rint(moved)).any():
        assert met is history, "to the bit what it was"
    elif met is not history:
        shown, held = met.clock(met.stamps), np.isfinite(met.measured[:, 0])
        np.testing.assert_array_equal(met.measured[held], reading(shown[held]))
        assert set(shown[held]) == {stamp for stamp in history.clock(stamps) if stamp <= shown[-1]}
        assert known - held.sum() <= pd.Timedelta(hours=2) / history.step, "no more than the hours shown twice"


def test_an_hour_shown_twice_is_the_mean_of_both_and_a_skipped_one_is_missing() -> None:
    clerk = Clerk()
    for turn in (SPRING, AUTUMN):
        stamps = pd.date_range(turn - 5 * HOUR, periods=10, freq="h", unit="us")
        in_local_time({"clerk": clerk})["clerk"](History(stamps, np.arange(10.0)[:, None], zone="Europe/Berlin"), 3)
    spring, autumn = (met.measured[:, 0] for met in clerk.met)
    np.testing.assert_array_equal(spring, [0, 1, 2, 3, 4, np.nan, 5, 6, 7, 8, 9])
    np.testing.assert_array_equal(autumn, [0, 1, 2, 3, 4.5, 6, 7, 8, 9])


def test_histories_share_their_beginnings_by_the_clock_too() -> None:
    seen: list[History] = []

    def watching(history: History, steps: int) -> Reals:
        seen.extend([history, *(history.beginning(count) for count in (24, 240, 300))])
        return history.measured[-steps:]

    history = before(AUTUMN + 120 * HOUR, 2, "Europe/Berlin", 1)
    for origin in (len(history.stamps) - 24, len(history.stamps)):
        in_local_time({"watching": watching})["watching"](history.until(origin), 12)
    one, other = seen[:4], seen[4:]
    assert all(first is second for first, second in zip(one[1:], other[1:], strict=True))
    assert one[1] is history.beginning(24), "no clock had changed yet"
    for whole, *begun in (one, other):
        for count, beginning in zip((24, 240, 300), begun, strict=True):
            np.testing.assert_array_equal(beginning.measured, whole.measured[:count])
