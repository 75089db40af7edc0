"""Series with too little history: refused with a reason, or drawn after their group."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.evaluation.cold_start import borrow_shape, refusals, young
from forecasting.evaluation.model_selection import backtest_pool, select_and_calibrate
from tests.forecasting.panels import demand, history

STEPS, HORIZON = 300, 24


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (slice(0, 0), "no usable value: all are missing"),
        (slice(-1, None), "1 usable values; at least 12 are needed"),
        (slice(-11, None), "11 usable values; at least 12 are needed"),
        (slice(-12, None), None),
        (slice(None, None, 3), "33% of the values since its first one are usable; at least 50% are needed"),
        (slice(None), None),
    ],
)
def test_the_floor_of_history(kept: slice, reason: str | None) -> None:
    values = np.full((STEPS, 1), np.nan)
    values[kept] = demand(STEPS, 1)[kept]
    assert refusals(history(values)) == [reason]


def test_a_young_series_takes_the_shape_of_its_group_at_its_own_level_with_wider_bands() -> None:
    values = demand(STEPS + HORIZON, 4, noise=0.02)
    values[:, 3] = 0.1 * values[:, :3].sum(axis=1)
    truth = values[STEPS:, 3].copy()
    values[: STEPS - 20, 3] = np.nan
    known = history(values[:STEPS])
    found = select_and_calibrate(backtest_pool(known, HORIZON))
    borrowed = borrow_shape(known, found.point, found.quantiles, ["west"] * 4)
    assert young(known) == [False, False, False, True]
    np.testing.assert_allclose(borrowed.point[:, 3], truth, rtol=0.25)
    np.testing.assert_array_equal(borrowed.point[:, :3], found.point[:, :3])
    widths = (borrowed.quantiles[:, :, 6] - borrowed.quantiles[:, :, 0]) / borrowed.point
    assert (widths[:, 3] > widths[:, :3].mean(axis=1)).all()
    assert (np.diff(borrowed.quantiles, axis=2) >= 0.0).all()
    assert borrowed.notes[:3] == [None, None, None]
    assert (
        borrowed.notes[3] == "3 cycles of its own; the shape is that of 3 series of west, with bands 1.5 times as wide"
    )


def test_a_group_without_a_grown_member_lends_nothing() -> None:
    values = demand(STEPS, 2)
    values[: STEPS - 20, 1] = np.nan
    known = history(values)
    found = select_and_calibrate(backtest_pool(known, HORIZON))
    borrowed = borrow_shape(known, found.point, found.quantiles, ["west", "east"])
    np.testing.assert_array_equal(borrowed.point, found.point)
    assert borrowed.notes == [None, None]


def test_a_mate_that_was_dark_while_the_young_series_was_measured_lends_nothing_and_hinders_nothing() -> None:
    values = demand(STEPS, 4, noise=0.02)
    values[:, 3] = 0.1 * values[:, :2].sum(axis=1)
    values[: STEPS - 20, 3], values[STEPS - 20 :, 2] = np.nan, np.nan
    known = history(values)
    borrowed = borrow_shape(known, np.ones((HORIZON, 4)), np.ones((HORIZON, 4, 7)), ["west"] * 4)
    np.testing.assert_allclose(borrowed.point[:, 3], 0.2)
    assert borrowed.notes[3] is not None
    assert "the shape is that of 2 series of west" in borrowed.notes[3]
