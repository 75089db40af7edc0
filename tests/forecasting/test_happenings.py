"""Models that know nothing of events, told of them: what an event did is taken out of the history, and what the coming
one will do is added.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.models.baselines import seasonal_naive
from forecasting.models.event_effects import EventColumns, told_of_events
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
    history = History(STAMPS, lifted(events), (24, 168), known=EventColumns.of([told], grid))
    model = told_of_events({"naive": seasonal_naive(168)})["naive"]
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
        told_of_events({"naive": seasonal_naive(168)})["naive"](history, 168)[:, 0], index=history.ahead(168)
    )
    assert ratio(found, NOW + pd.Timedelta(days=4)) == pytest.approx(LIFT, rel=0.1)


def test_a_kind_that_was_hardly_seen_moves_nothing() -> None:
    seen = cups(12).assign(end=lambda held: held["start"] + pd.Timedelta(hours=2))
    found = forecast(cups(), pd.concat([seen, cups(-2)], ignore_index=True))
    assert ratio(found, NOW + pd.Timedelta(days=2)) == pytest.approx(1.0, abs=0.08)


def test_what_comes_after_an_origin_does_not_move_its_forecast() -> None:
    grid = pd.date_range(STAMPS[0], periods=len(STAMPS) + 168, freq="h")
    known = EventColumns.of([cups(3, 12, 24, 33)], grid)
    values = lifted(cups(3, 12, 24, 33))
    spoilt = values.copy()
    spoilt[-240:] *= 7.0
    model = told_of_events({"naive": seasonal_naive(168)})["naive"]
    one, other = (
        model(History(STAMPS, held, (24, 168), known=known).until(len(STAMPS) - 240), 168) for held in (values, spoilt)
    )
    assert np.array_equal(one, other)


def test_there_is_nothing_to_learn_from_notes() -> None:
    assert EventColumns.of([cups(3).assign(treatment="note")], STAMPS) is None


def test_beyond_the_grid_nothing_happens() -> None:
    known = EventColumns.of([cups(3)], STAMPS)
    assert known is not None
    late = pd.date_range(NOW + pd.Timedelta(days=9), periods=4, freq="h")
    assert known(late).shape == (4, 1, 1)
    assert not known(late).any()
    assert known(STAMPS).sum() == pytest.approx(6.0)
    assert np.array_equal(known(STAMPS.tz_localize(None).to_numpy()), known(STAMPS))
