"""The scorecard: verdicts, orders and calibration against what came, by hand, by brute force, and as invariants; what
is not over is never a miss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as any_

from forecasting.planning.demand import WEEK
from forecasting.planning.scorecard import (
    calibration,
    in_service,
    interval_verdict,
    measured_values,
    peak_hits,
    replay,
    score_plan,
    usable_by_week,
)

START = pd.Timestamp("2026-03-16", tz="UTC")
HORIZON = START + 20 * WEEK
TODAY = START + pd.Timedelta(days=2)
SITES = pd.DataFrame({"site_id": ["fra", "ams", "gru"], "region_id": ["eu", "eu", "sa"]})
STEPS = pd.DataFrame(
    [
        ("fra", "egress", "2020-01-01", 100.0, "installed"),
        ("fra", "egress", "2026-04-13", 200.0, "installed"),
        ("ams", "egress", "2020-01-01", 50.0, "installed"),
        ("ams", "egress", "2026-03-30", 500.0, "planned"),
    ],
    columns=["site_id", "direction", "effective_from", "capacity_gbps", "status"],
).assign(effective_from=lambda held: pd.to_datetime(held["effective_from"], utc=True).astype("datetime64[us, UTC]"))


def day(days: float) -> pd.Timestamp:
    return START + pd.Timedelta(days=days)


def planned(
    answer: str = "within", p10: float | None = None, p50: float | None = None, p90: float | None = None, **more: Any
) -> pd.DataFrame:
    """A plan of one row; dates as days from the start."""
    dates = {
        f"run_out_{name}": pd.NaT if at is None else day(at) for name, at in (("p10", p10), ("p50", p50), ("p90", p90))
    }
    row = {
        "level": "site",
        "key": "fra",
        "direction": "egress",
        "answer": answer,
        "reason": None,
        **dates,
        "order_by": pd.NaT,
        "cost_usd_month": np.nan,
    }
    return pd.DataFrame([row | more])


def weekly(values: list[float], whole: bool = True) -> pd.DataFrame:
    """Measured weeks of fra from the start; NaN where a week is missing."""
    rows = [
        ("site", "fra", "egress", START + at * WEEK, value, whole)
        for at, value in enumerate(values)
        if not np.isnan(value)
    ]
    return pd.DataFrame(rows, columns=["level", "key", "direction", "week", "value", "whole"])


def room(gbps: float = 80.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "level": "site",
            "key": "fra",
            "direction": "egress",
            "week": [START + at * WEEK for at in range(20)],
            "room_gbps": gbps,
        }
    )


def scored(plan: pd.DataFrame, values: list[float], **held: Any) -> dict[str, Any]:
    found = score_plan(plan, weekly(values, **held), room(), START, HORIZON, TODAY).iloc[0]
    return {str(name): value for name, value in found.items()}


def test_a_crossing_lies_on_the_line_from_the_week_before_as_predictions_do() -> None:
    found = scored(planned(p10=7, p50=20, p90=40), [60.0, 70.0, 90.0])
    assert found["ran_out"] == day(
        17
    )  # half-way from 70 to 90 in the third week, whose value is reached at its end: 14 + 3.5 days, whole days
    assert found["known_until"] == day(21)
    assert found["verdict"] == "inside"
    assert found["late_days"] == -3.0


@pytest.mark.parametrize(
    ("plan", "values", "verdict"),
    [
        (planned(p10=20, p50=30, p90=40), [90.0], "earlier"),
        (planned("over", 0, 0, 0), [90.0], "inside"),
        (planned(p10=2, p50=4, p90=8), [70.0, 70.0, 70.0, 90.0], "later"),
        (planned(p10=2, p50=4, p90=8), [70.0, 70.0], "later"),  # not yet, and the interval has gone by
        (planned(p10=2, p50=4, p90=15), [70.0, 70.0], "open"),
        (planned("possible", p10=2), [70.0] * 6, "open"),
        (planned("beyond"), [70.0] * 6, "open"),
        (planned("beyond"), [70.0] * 20, "inside"),
        (planned("beyond"), [70.0, 90.0], "earlier"),
        (planned("possible", p10=2), [70.0, 90.0], "inside"),
        (planned("refused"), [90.0], "refused"),
        (planned(p10=2, p50=4, p90=8), [], "open"),
    ],
)
def test_the_verdict_follows_from_the_interval_and_what_is_known(
    plan: pd.DataFrame, values: list[float], verdict: str
) -> None:
    assert scored(plan, values)["verdict"] == verdict


def test_a_week_with_holes_can_prove_a_crossing_and_nothing_else() -> None:
    assert scored(planned(p10=1, p50=2, p90=3), [70.0, 70.0], whole=False)["verdict"] == "open"
    assert scored(planned(p10=0, p50=2, p90=30), [70.0, 90.0], whole=False)["ran_out"] == day(
        13
    )  # the week before says nothing: the line begins at nought


def test_an_order_is_in_service_after_its_padded_lead_time_from_the_day_that_it_could_be_placed() -> None:
    due = planned(p10=100, p50=110, p90=120, order_by=day(40)).iloc[0].to_dict()
    assert in_service(due, TODAY) == day(100)
    overdue = planned(p10=10, p50=20, p90=30, order_by=day(-50)).iloc[0].to_dict()
    assert in_service(overdue, TODAY) == TODAY.floor("D") + pd.Timedelta(days=60)
    assert in_service(planned("beyond").iloc[0].to_dict(), TODAY) is None


def test_ordering_too_early_costs_and_too_late_does_not_stand_idle() -> None:
    plan = planned(p10=14, p50=30, p90=60, order_by=day(4), cost_usd_month=3000.0)
    early = scored(plan, [70.0] * 5 + [90.0])
    assert early["early_days"] == (day(38) - day(14)) / pd.Timedelta(
        days=1
    )  # the line from 70 to 90 passes 80 half-way through the sixth week
    assert early["idle_usd"] == pytest.approx(3000.0 * 24 / (365.25 / 12))
    late = scored(plan, [90.0])
    assert (late["early_days"], late["idle_days"], late["idle_usd"]) == (-14.0, 0.0, 0.0)
    unknown = scored(plan, [70.0] * 4)
    assert np.isnan(unknown["early_days"])
    assert unknown["idle_days"] == 14.0  # at least so long: it has not run out by day 28


def test_room_is_the_limit_of_what_was_in_force_and_a_group_has_that_of_its_sites() -> None:
    plan = pd.concat(
        [
            planned(key=key, level=level)
            for level, key in (("site", "fra"), ("site", "ams"), ("site", "gru"), ("region", "eu"), ("global", "all"))
        ]
    )
    weeks = pd.date_range(START, periods=6, freq=WEEK, unit="us")
    found = usable_by_week(STEPS, SITES, plan, weeks, 0.8, {"ams": 0.5}).pivot_table(
        index="week", columns=["level", "key"], values="room_gbps", dropna=False
    )
    assert found[("site", "fra")].tolist() == [80.0] * 4 + [160.0] * 2
    assert found[("site", "ams")].tolist() == [25.0] * 6  # what was only planned carried nothing
    assert found[("site", "gru")].isna().all()
    assert found[("region", "eu")].tolist() == [105.0] * 4 + [185.0] * 2
    assert found[("global", "all")].equals(found[("region", "eu")].rename(("global", "all")))


def test_weeks_that_are_not_over_are_not_measured_yet() -> None:
    rows = pd.DataFrame(
        {
            "level": "site",
            "key": "fra",
            "metric": "egress_gbps",
            "week": [START, START + WEEK],
            "peak": 5.0,
            "p95": 4.0,
            "completeness": [1.0, 0.5],
        }
    )
    now = START + 2 * WEEK
    assert list(measured_values(rows, "peak", now)["whole"]) == [True, False]
    assert list(measured_values(rows, "p95", now)["value"]) == [4.0]  # the P95 of half a week is nothing
    assert len(measured_values(rows, "peak", now - pd.Timedelta(minutes=5))) == 1
    assert measured_values(rows, "peak", now)["direction"].eq("egress").all()


def test_calibration_is_the_share_that_brute_force_counts() -> None:
    rng = np.random.default_rng(5)
    low, middle, high = np.sort(rng.uniform(0, 100, (3, 60)), axis=0)
    key, week = np.repeat(["a", "b", "c", "d"], 15), np.tile([START + at * WEEK for at in range(15)], 4)
    series = {"level": "site", "key": key, "direction": "egress", "week": week}
    peaks, came = (
        pd.DataFrame({**series, "q10": low, "q50": middle, "q90": high}),
        pd.DataFrame({**series, "value": rng.uniform(0, 100, 60), "whole": True}),
    )
    came = came[came["week"] < START + 9 * WEEK]
    found = calibration(peak_hits(peaks, came)).set_index(["ahead", "quantile"])
    for ahead in range(9):
        for name, share in (("q10", 0.1), ("q50", 0.5), ("q90", 0.9)):
            mine = [
                v <= q
                for v, q, w in zip(came["value"], peaks.loc[came.index, name], came["week"], strict=True)
                if w == START + ahead * WEEK
            ]
            assert found.loc[(ahead, share), "observed"] == pytest.approx(sum(mine) / len(mine))
            assert found.loc[(ahead, share), "count"] == 4
    assert (9, 0.5) not in found.index
    assert calibration(peak_hits(peaks, came.head(0))).empty


days_ahead = any_.lists(any_.integers(0, 130), min_size=3, max_size=3).map(sorted)
values = any_.lists(any_.floats(10.0, 150.0) | any_.just(float("nan")), max_size=20)


@given(days_ahead, any_.integers(0, 3), values, any_.integers(0, 20))
def test_what_is_decided_stays_decided_as_weeks_go_by(
    dates: list[int], unknown: int, came: list[float], known: int
) -> None:
    interval: list[float | None] = [*dates[: 3 - unknown], *[None] * unknown]
    plan = planned("within", *interval)
    first, last = scored(plan, came[:known]), scored(plan, came)
    if first["verdict"] != "open":
        assert last["verdict"] == first["verdict"]
    if first["verdict"] != "later" and not pd.isna(first["ran_out"]):
        assert last["ran_out"] == first["ran_out"]
    assert first["verdict"] == "open" or known > 0


@given(values, any_.floats(1.0, 3.0))
def test_more_room_never_makes_it_run_out_sooner(came: list[float], more: float) -> None:
    plan = planned("beyond")
    tight, wide = (
        score_plan(plan, weekly(came), room(gbps), START, HORIZON, TODAY)["ran_out"].iloc[0]
        for gbps in (60.0, 60.0 * more)
    )
    assert pd.isna(wide) or tight <= wide


@given(days_ahead, any_.integers(0, 140))
def test_exactly_one_verdict_holds_for_a_known_day(dates: list[int], at: int) -> None:
    row = planned("within", *dates).iloc[0].to_dict()
    ran_out = day(at)
    verdict = interval_verdict(row, ran_out, ran_out, HORIZON)
    assert verdict == ("earlier" if at < dates[0] else "later" if at > dates[2] else "inside")


def test_a_past_forecast_is_replayed_against_the_limit_of_what_was_installed() -> None:
    """Frankfurt may carry 80 of 100 Gbps in the weeks that began before its step; Amsterdam 40 of 50, for a planned step is none."""
    weeks = pd.date_range("2026-03-17 09:00", periods=5, freq=WEEK, tz="UTC", unit="us")
    rows = pd.concat(
        [
            pd.DataFrame({"key": key, "start": weeks, "expected": expected, "high": high, "came": came})
            for key, expected, high, came in (
                ("fra", 75.0, 85.0, [70.0, 90.0, 70.0, 150.0, np.nan]),
                ("ams", 30.0, 35.0, [30.0, 30.0, 45.0, 30.0, np.nan]),
                ("gru", 30.0, 35.0, 30.0),
            )
        ],
        ignore_index=True,
    )
    played = replay(rows, STEPS, "egress", 0.8)
    assert played is not None
    table = played.rows.set_index("key")
    assert table["verdict"].to_dict() == {"ams": "missed", "fra": "foreseen"}
    assert (table.loc["fra", "came_week"], table.loc["ams", "came_week"]) == (weeks[1], weeks[2])
    assert (table.loc["fra", "limit_gbps"], table.loc["ams", "limit_gbps"]) == (80.0, 40.0)
    assert pd.isna(table.loc["fra", "expected_week"])
    assert (played.start, played.weeks) == (weeks[0], 5)
    assert played.under_high == pytest.approx(10 / 13)
    assert replay(rows.assign(came=np.nan), STEPS, "egress", 0.8) is None
