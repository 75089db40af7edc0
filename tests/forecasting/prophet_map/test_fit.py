"""The panel's curves: against the prophet package on mixed series, and by what must hold whatever the series."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.prophet_reference import DAILY, WEEKLY, Case, Found, by_panel, by_prophet, mixed, scaled
from forecasting.prophet_map.design import days_of, grouped, seasonal
from forecasting.prophet_map.fit import Curves, Season, Spec, fit
from forecasting.prophet_map.moments import Shared, downdated, moments

Reals = npt.NDArray[np.float64]
PLAIN = Spec((DAILY, WEEKLY))
MODELS = {
    "additive": PLAIN,
    "log": replace(PLAIN, log=True),
    "flat": replace(PLAIN, growth="flat"),
}
unhurried = settings(deadline=None, max_examples=25)


class Compared(NamedTuple):
    case: Case
    ours: Found
    curves: Curves
    theirs: Found
    level: float


def chosen() -> list[Case]:
    """A series of every kind, and of two kinds once more without changepoints, where Prophet's optimiser meets no kink
    and arrives.
    """
    cases = list(mixed(14, days=21))
    smooth = [
        replace(case, name=f"{case.name}, straight", spec=replace(case.spec, changepoints=0))
        for case in (cases[1], cases[4])
    ]
    return cases + smooth


@pytest.fixture(scope="module")
def compared() -> list[Compared]:
    found = []
    for case in chosen():
        ours, curves = by_panel(case)
        found.append(Compared(case, ours, curves, by_prophet(case), float(np.nanmean(np.abs(scaled(case))))))
    return found


def smooth(one: Compared) -> bool:
    return one.case.spec.growth == "flat" or one.case.spec.changepoints == 0


def test_the_posterior_is_never_lower_than_prophets(compared: list[Compared]) -> None:
    # Prophet's parameters come rounded to 8 digits.
    assert [one.case.name for one in compared if one.ours.objective > one.theirs.objective + 1e-4] == []


def test_the_objective_told_is_that_of_the_density(compared: list[Compared]) -> None:
    for one in compared:
        assert one.curves.objective[0] == pytest.approx(one.ours.objective, abs=1e-4)


def test_where_prophet_meets_no_kink_everything_agrees(compared: list[Compared]) -> None:
    for one in filter(smooth, compared):
        assert np.abs(one.ours.fitted - one.theirs.fitted).max() < 1e-3 * one.level, one.case.name
        assert np.abs(one.ours.ahead - one.theirs.ahead).max() < 1e-3 * one.level, one.case.name


def test_with_changepoints_the_curves_stay_close(compared: list[Compared]) -> None:
    for one in compared:
        assert np.abs(one.ours.fitted - one.theirs.fitted).mean() < 0.01 * one.level, one.case.name
        assert np.abs(one.ours.ahead - one.theirs.ahead).mean() < 0.03 * one.level, one.case.name


def test_the_components_are_prophets(compared: list[Compared]) -> None:
    for one in compared:
        assert one.ours.parts.keys() == one.theirs.parts.keys()
        for name, part in one.ours.parts.items():
            assert np.abs(part - one.theirs.parts[name]).mean() < (2e-3 if smooth(one) else 0.04) * one.level, (
                one.case.name,
                name,
            )


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_components_make_the_curve(spec: Spec) -> None:
    stamps, values = panel(6)
    events = (np.arange(len(stamps)) % 100 < 4).astype(float)[:, None]
    curves = fit(stamps, values, spec, events)
    parts = curves.components(stamps, events)
    whole = sum(parts.values())
    assert list(parts) == ["trend", "daily", "weekly", "regressors"]
    assert whole == pytest.approx(curves.fitted_curve(stamps, events))


def panel(count: int, hours: int = 24 * 15, seed: int = 0) -> tuple[pd.DatetimeIndex, Reals]:
    """Series with a day's shape, gaps in some and a late start in others."""
    rng = np.random.default_rng(seed)
    stamps = pd.date_range("2026-03-02", periods=hours, freq="h", tz="UTC")
    at = np.arange(hours)[:, None]
    shape = (
        1.5
        + np.sin(2.0 * np.pi * (at - rng.uniform(0.0, 24.0, count)) / 24.0)
        + rng.normal(0.0, 0.4, count) * at / hours
    )
    values = rng.lognormal(2.0, 2.0, count) * np.maximum(shape, 0.05) * np.exp(rng.normal(0.0, 0.1, (hours, count)))
    for series in range(0, count, 3):
        values[rng.integers(0, hours, 20), series] = np.nan
    for series in range(1, count, 3):
        values[: rng.integers(1, hours // 3), series] = np.nan
    return stamps, values


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_a_series_alone_is_as_in_a_panel_in_any_order(spec: Spec) -> None:
    stamps, values = panel(7)
    ahead = pd.date_range(stamps[-1], periods=200, freq="h")
    together = fit(stamps, values, spec)
    order = np.random.default_rng(1).permutation(7)
    mixed_up = fit(stamps, values[:, order], spec)
    assert mixed_up.predict(ahead) == pytest.approx(together.predict(ahead)[:, order], rel=1e-5)
    for series in range(7):
        alone = fit(stamps, values[:, [series]], spec)
        assert alone.predict(ahead)[:, 0] == pytest.approx(together.predict(ahead)[:, series], rel=1e-5)
        assert alone.objective[0] == pytest.approx(together.objective[series], abs=1e-5)


def test_rows_in_any_order_and_rows_without_values_change_nothing() -> None:
    stamps, values = panel(4)
    found = fit(stamps, values, PLAIN).predict(stamps)
    order = np.random.default_rng(1).permutation(len(stamps))
    longer = stamps.append(pd.date_range(stamps[-1], periods=50, freq="h")[1:])
    padded = np.vstack([values, np.full((49, 4), np.nan)])
    assert fit(stamps[order], values[order], PLAIN).predict(stamps) == pytest.approx(found, rel=1e-6)
    assert fit(longer, padded, PLAIN).predict(stamps) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("prior", [0.05, 500.0])
def test_stamps_that_repeat_and_changepoints_that_coincide_do_no_harm(spec: Spec, prior: float) -> None:
    stamps = pd.date_range("2026-03-02", periods=8, freq="h").repeat(150)
    rng = np.random.default_rng(3)
    values = (5.0 + np.arange(8).repeat(150) + rng.normal(0.0, 0.1, 1200))[:, None]
    curves = fit(stamps, values, replace(spec, seasons=(Season("daily", 24.0, 1),), changepoint_prior=prior))
    assert curves.predict(stamps)[:, 0] == pytest.approx(
        5.0 + np.arange(8).repeat(150), abs=0.4 if spec.hinges else 1.5
    )


def test_the_unit_does_not_matter() -> None:
    stamps, values = panel(3)
    for spec in MODELS.values():
        assert fit(stamps, values * 1e12, spec).predict(stamps) / 1e12 == pytest.approx(
            fit(stamps, values, spec).predict(stamps), rel=1e-6
        )


@unhurried
@given(st.integers(0, 10_000), st.floats(0.01, 0.95))
def test_a_downdated_gram_is_that_of_the_rows_kept(seed: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    stamps = pd.date_range("2026-03-02", periods=300, freq="h")
    columns = np.hstack([np.ones((300, 1)), seasonal(days_of(stamps), [DAILY, WEEKLY])])
    observed = rng.random(300) >= missing
    kept = columns[observed]
    assert downdated(columns.T @ columns, columns, observed) == pytest.approx(kept.T @ kept, abs=1e-9)


@pytest.mark.parametrize("alike", [1, 12], ids=["each with changepoints of its own", "many that share them"])
def test_moments_are_those_of_the_design_written_out(alike: int) -> None:
    stamps, values = panel(5, hours=200)
    values = np.repeat(values, alike, axis=1)
    days, observed = days_of(stamps), np.isfinite(values)
    base = np.hstack([np.ones((200, 1)), seasonal(days, PLAIN.seasons)])
    groups = grouped(days, observed, PLAIN, np.empty((200, 0)))
    held = moments(Shared.of(days, base), np.where(observed, values, 0.0), groups, PLAIN)
    for series in range(0, 5 * alike, alike):
        rows = observed[:, series]
        first, last = np.flatnonzero(rows)[[0, -1]]
        time = (days[rows] - days[first]) / (days[last] - days[first])
        places = np.linspace(0, int(0.8 * rows.sum()) - 1, 26).round().astype(int)[1:]
        hinges = np.maximum(time[:, None] - time[places], 0.0)
        smooth_columns = np.column_stack([base[rows, :1], time, base[rows, 1:]])
        assert held.smooth[series] == pytest.approx(smooth_columns.T @ smooth_columns, abs=1e-8)
        assert held.cross[series] == pytest.approx(smooth_columns.T @ hinges, abs=1e-8)
        assert held.hinge[series] == pytest.approx(hinges.T @ hinges, abs=1e-8)
        assert held.to_hinge[series] == pytest.approx(hinges.T @ values[rows, series], rel=1e-9)


FAULTS = {
    "empty": np.full(360, np.nan),
    "single": np.where(np.arange(360) == 77, 5.0, np.nan),
    "pair": np.where(np.arange(360) >= 358, np.arange(360.0), np.nan),
    "few": np.where(np.arange(360) >= 345, 3.0 + np.arange(360) % 4, np.nan),
    "constant": np.full(360, 3.0),
    "zero": np.zeros(360),
    "huge": 1e12 * (1.5 + np.sin(np.arange(360) / 4.0)),
    "two-valued": np.where(np.arange(360) % 24 < 12, 1.0, 5.0),
    "straight": 1.0 + 0.01 * np.arange(360),
    "wave": 2.0 + np.sin(2.0 * np.pi * np.arange(360) / 24.0),
    "jump": np.where(np.arange(360) < 200, 1.0, 100.0),
    "spike": np.where(np.arange(360) == 100, 1e9, 1.0 + np.arange(360) % 5),
    "late": np.where(np.arange(360) == 359, 1.0, 0.0),
    "negative": -2.0 - np.sin(np.arange(360) / 4.0),
}


@pytest.mark.parametrize(
    "seasons",
    [(DAILY, WEEKLY), (Season("daily", 24.0, 8), Season("weekly", 168.0, 40)), ()],
    ids=["usual", "wide", "none"],
)
@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_spoiled_series_have_sane_curves_and_spoil_no_other(spec: Spec, seasons: tuple[Season, ...]) -> None:
    spec = replace(spec, seasons=seasons)
    stamps, sound = panel(1)
    values = np.column_stack([sound, *FAULTS.values()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curves = fit(stamps, values, spec)
    found = curves.predict(stamps)
    empty = 1 + list(FAULTS).index("empty")
    assert np.isnan(found[:, empty]).all()
    assert np.isfinite(np.delete(found, empty, axis=1)).all()
    assert found[:, 0] == pytest.approx(fit(stamps, sound, spec).predict(stamps)[:, 0], rel=1e-5)
    for name, value in (("constant", 3.0), ("zero", 0.0), ("single", 5.0)):
        assert found[:, 1 + list(FAULTS).index(name)] == pytest.approx(np.full(360, value))
    assert np.abs(found[:, 1 + list(FAULTS).index("huge")]).max() < 1e14


@pytest.mark.parametrize(
    ("values", "events", "words"),
    [
        (np.ones((5, 2)), None, r"values of shape \(5, 2\) for 6 stamps"),
        (np.full((6, 2), np.inf), None, "finite or NaN"),
        (np.ones((6, 0)), None, "at least one series"),
        (np.ones((6, 2)), np.ones((5, 1)), r"regressors have the shape \(5, 1\); \(6, 1\)"),
    ],
)
def test_what_does_not_fit_together_is_refused(values: Reals, events: Reals | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(pd.date_range("2026-01-01", periods=6, freq="h"), values, PLAIN, events)


def test_a_regressor_of_one_series_is_not_anothers() -> None:
    stamps, values = panel(2)
    events = np.zeros((len(stamps), 1, 2))
    events[100:120, 0, 0] = events[250:270, 0, 0] = 1.0
    values[:, 0] *= 1.0 + events[:, 0, 0]
    curves = fit(stamps, values, MODELS["log"], events)
    assert np.exp(curves.components(stamps, events)["regressors"][110, 0]) == pytest.approx(2.0, rel=0.05)
    assert curves.regressors[1, 0] == 0.0
