"""A refit while somebody waits: it finds what is there, and answers differently to what is asked differently."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.schema import Series
from forecasting.models.refit import Refit, RefitOptions, panel_of_one, refit
from forecasting.panel.panel import Panel
from tests.forecasting.networks import NOW, Reals, event, no_events

FRANKFURT = Series("site", "fra-01", "egress_gbps")
SITES = pd.DataFrame(
    {
        "site_id": ["fra-01", "ams-01"],
        "region_id": ["eu", "eu"],
        "timezone": ["Europe/Berlin", None],
        "usual": [100.0, None],
    }
)
HOURS = pd.date_range(NOW.floor("h") - pd.Timedelta(days=70), NOW, freq="h", inclusive="left", unit="us")
# Three hours of a cup on five of ten Saturdays, with half as much again.
CUPS = [event(f"{day} 18:00", 3) for day in ("2026-01-24", "2026-02-07", "2026-02-21", "2026-03-07", "2026-03-14")]


def demand(*, cups: bool = True) -> Reals:
    """A day's wave by local time about 100 Gbps, a fifth more on weekends, and the cups."""
    local = HOURS.tz_convert("Europe/Berlin")
    log = 0.4 * np.sin(2 * np.pi * local.hour.to_numpy() / 24) + 0.2 * (local.day_of_week >= 5)
    during = sum(((known["start"] <= HOURS) & (known["end"] > HOURS)).astype(float) for known in CUPS)
    noise = np.random.default_rng(4).normal(0, 0.01, len(HOURS))
    return np.asarray(100.0 * np.exp(log + noise + (np.log(1.5) * during if cups else 0.0)))


def panel(
    values: Reals | None = None, *, series: Series = FRANKFURT, events: tuple[dict[str, Any], ...] = (*CUPS,)
) -> Panel:
    hours = pd.DataFrame({"ts": HOURS, "value": demand() if values is None else values, "completeness": 1.0})
    return panel_of_one(series, hours, no_events(*events), SITES, NOW)


@pytest.fixture(scope="module")
def usual() -> Refit:
    return refit(panel(), FRANKFURT, RefitOptions())


def test_the_curve_covers_the_window_and_ninety_days_more(usual: Refit) -> None:
    assert usual.curve["ts"].iloc[0] == HOURS[0]
    assert usual.curve["ts"].iloc[-1] == NOW.floor("h") + pd.Timedelta(days=90) - pd.Timedelta(hours=1)
    assert usual.hours == len(HOURS)
    assert (usual.zone, usual.refused) == ("Europe/Berlin", "")


def test_it_finds_what_was_put_in(usual: Refit) -> None:
    fitted = usual.curve.set_index("ts")["yhat"].reindex(HOURS)
    assert np.median(np.abs(fitted / demand() - 1)) < 0.02
    day = usual.day.set_index("hour")["effect"]
    assert (day.idxmax(), day.idxmin()) == (6, 18)
    week = usual.week["effect"].to_numpy().reshape(7, 24).mean(axis=1)
    assert week[5:].min() - week[:5].max() == pytest.approx(np.expm1(0.2), abs=0.04)
    cup = usual.events.set_index("kind").loc["tournament"]
    assert cup["hours"] == 15
    assert cup["effect"] == pytest.approx(0.5, abs=0.06)


def test_day_and_week_do_not_say_the_same_twice(usual: Refit) -> None:
    """The week is what is left once every hour of the day has had its mean."""
    logs = np.log1p(usual.week["effect"].to_numpy()).reshape(7, 24)
    np.testing.assert_allclose(logs.mean(axis=0), 0.0, atol=1e-9)


def test_an_event_to_come_is_expected_unless_it_is_left_out(usual: Refit) -> None:
    coming = event("2026-03-25 12:00", 3)
    known = panel(events=(*CUPS, coming))
    hours = pd.date_range(coming["start"], periods=3, freq="h")
    with_it = refit(known, FRANKFURT, RefitOptions()).curve.set_index("ts")["yhat"]
    without_it = refit(known, FRANKFURT, RefitOptions(without=coming["event_id"])).curve.set_index("ts")["yhat"]
    np.testing.assert_allclose((with_it / without_it).loc[hours], 1 + usual.events["effect"].iloc[0], rtol=1e-6)
    others = with_it.index.difference(hours)
    np.testing.assert_allclose(with_it.loc[others], without_it.loc[others], rtol=1e-9)


def test_as_though_no_event_had_been_known() -> None:
    blind = refit(panel(), FRANKFURT, RefitOptions(without="all"))
    assert blind.events.empty
    saturday = pd.Timestamp("2026-03-21 18:00", tz="UTC")
    seeing, unseeing = (
        refit(panel(), FRANKFURT, RefitOptions(without=name)).curve.set_index("ts")["yhat"][saturday]
        for name in ("", "all")
    )
    assert unseeing > 1.02 * seeing  # half of the Saturdays had a cup, and now every one is thought to


def test_a_mask_that_is_left_out_is_learned_from() -> None:
    outage = event("2026-03-16 00:00", 72, treatment="mask", kind="outage")
    values = np.where((outage["start"] <= HOURS) & (outage["end"] > HOURS), 0.5 * demand(), demand())
    masked, learned = (
        refit(panel(values, events=(*CUPS, outage)), FRANKFURT, RefitOptions(without=name))
        for name in ("", outage["event_id"])
    )
    assert learned.hours - masked.hours == 72
    assert learned.curve["yhat"].tail(24).mean() < masked.curve["yhat"].tail(24).mean()


def test_an_event_that_is_merely_noted_can_be_tried_as_a_regressor() -> None:
    noted = [{**cup, "treatment": "note"} for cup in CUPS[:-1]] + [
        {**event("2026-03-14 18:00", 12), "treatment": "note", "kind": "release"}
    ]
    usual, tried, other = (
        refit(panel(events=tuple(noted)), FRANKFURT, RefitOptions(without=name))
        for name in ("", noted[-1]["event_id"], noted[0]["event_id"])
    )
    assert usual.events.empty
    assert tried.events["kind"].tolist() == ["release"]
    assert tried.events["hours"].tolist() == [12]
    assert other.events.empty  # three hours are too few to learn from
    np.testing.assert_array_equal(other.curve["yhat"], usual.curve["yhat"])


def test_a_shorter_window_forgets_what_lies_before_it() -> None:
    stepped = np.where(NOW - pd.Timedelta(days=28) > HOURS, 0.5, 1.0) * demand(cups=False)
    short = refit(panel(stepped), FRANKFURT, RefitOptions(days=28))
    assert short.hours == 28 * 24
    assert short.curve["ts"].iloc[0] >= NOW - pd.Timedelta(days=28)
    np.testing.assert_allclose(short.trend["value"], short.trend["value"].iloc[0], rtol=0.1)


def test_a_looser_prior_bends_more() -> None:
    stepped = np.where(NOW - pd.Timedelta(days=40) > HOURS, 0.7, 1.0) * demand(cups=False)
    stiff, loose = (
        refit(panel(stepped), FRANKFURT, RefitOptions(prior=prior)).trend["value"].diff().diff().abs().sum()
        for prior in (0.001, 0.5)
    )
    assert loose > 2 * stiff


def test_a_region_feels_an_event_as_far_as_it_carries_the_site() -> None:
    region = Series("region", "eu", "egress_gbps")
    sites = SITES.assign(usual=[75.0, 25.0])
    known = no_events(*({**cup, "scope": "fra-01"} for cup in CUPS))
    hours = pd.DataFrame({"ts": HOURS, "value": demand(), "completeness": 1.0})
    found = refit(panel_of_one(region, hours, known, sites, NOW), region, RefitOptions())
    assert found.events["hours"].iloc[0] == pytest.approx(0.75 * 15)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full(len(HOURS), np.nan), "no usable value"),
        (np.full(len(HOURS), 7.0), "always 7"),
        (np.where(NOW - pd.Timedelta(days=3) < HOURS, 5.0 + np.arange(len(HOURS)), np.nan), "usable hours of history"),
    ],
)
def test_too_little_to_go_on_is_refused_with_its_reason(values: Reals, reason: str) -> None:
    found = refit(panel(values), FRANKFURT, RefitOptions())
    assert reason in found.refused
    assert all(frame.empty for frame in (found.curve, found.trend, found.day, found.week, found.events))


def test_holes_and_half_measured_hours_are_left_out() -> None:
    hours = pd.DataFrame(
        {"ts": HOURS, "value": demand(), "completeness": np.where(np.arange(len(HOURS)) % 10 == 0, 0.4, 1.0)}
    )
    found = refit(panel_of_one(FRANKFURT, hours, no_events(*CUPS), SITES, NOW), FRANKFURT, RefitOptions())
    assert found.hours == (hours["completeness"] == 1.0).sum()
    assert np.isfinite(found.curve["yhat"]).all()
    assert (found.curve["yhat"] >= 0).all()
