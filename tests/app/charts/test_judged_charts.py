"""Leaderboards, calibration, residuals, parts and drift: the specification says what the numbers say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as any_

from app.charts.panels import linked_figure
from app.theme import PALETTES, hue, percent
from app.views.models.charts import (
    BASELINE,
    BEST,
    DRAWN,
    YOUNG_HOURS,
    CalibrationChart,
    CoverageChart,
    Leaderboard,
    best_first,
    by_hour_of_week,
    calibration_chart,
    coverage_panel,
    day_chart,
    distribution_chart,
    drift_panel,
    error_since_panel,
    events_chart,
    hour_of_week_chart,
    leaderboard,
    week_chart,
    wilson,
)
from tests.app.charts.judged import calibration, residuals, scores
from tests.app.charts.traffic import words

BOARD = Leaderboard("1-7 d", "mase", "egress_gbps", scores(), "blend", "seasonal_naive_168")


# Leaderboard
# -----------------------------------------------------------------------------------------------------------------


def test_the_best_the_drawn_and_the_baseline_are_marked_in_words() -> None:
    (bars,) = leaderboard(BOARD).data
    said = dict(zip(leaderboard(BOARD).layout.yaxis.ticktext, bars.text, strict=True))
    assert said["weighted blend of models"] == f"0.800  {BEST[0]}{DRAWN[0]} best, drawn"
    assert said["same hour last week"] == f"1.00  {BASELINE[0]} best baseline"
    assert said["Prophet"].strip() == "1.40"


def test_what_was_drawn_at_each_origin_is_no_candidate_for_the_best() -> None:
    (bars,) = leaderboard(BOARD).data
    assert leaderboard(BOARD).layout.yaxis.ticktext[0] == "as drawn at the time"
    assert BEST[0] not in bars.text[0]
    assert DRAWN[0] in bars.text[0]


def test_only_what_is_drawn_is_in_colour() -> None:
    (bars,) = leaderboard(BOARD).data
    drawn = [
        name in ("weighted blend of models", "as drawn at the time")
        for name in leaderboard(BOARD).layout.yaxis.ticktext
    ]
    assert [colour == hue("egress_gbps", "light") for colour in bars.marker.color] == drawn


@pytest.mark.parametrize(
    ("score", "values", "order"),
    [
        ("mase", {"a": 0.9, "b": 0.8}, ["b", "a"]),
        ("bias", {"a": -0.05, "b": 0.01, "c": 0.2}, ["b", "a", "c"]),
        ("coverage_80", {"a": 0.95, "b": 0.70, "c": 0.79}, ["c", "b", "a"]),
    ],
)
def test_best_is_what_the_score_means_by_it(score: str, values: dict[str, float], order: list[str]) -> None:
    assert best_first(scores(values), score)["model"].tolist() == order


def test_shares_are_in_percent_and_a_negative_bias_is_on_the_axis() -> None:
    figure = leaderboard(Leaderboard("1-7 d", "bias", "egress_gbps", scores({"a": -0.05, "b": 0.01})))
    assert figure.layout.xaxis.range[0] < -5.0
    assert figure.data[0].text[0].startswith("1.0 %")


def test_a_hostile_model_name_is_text() -> None:
    figure = leaderboard(Leaderboard("1-7 d", "mase", "egress_gbps", scores({"<b>x</b>": 1.0})))
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;x&lt;/b&gt;"


# Calibration
# -----------------------------------------------------------------------------------------------------------------


def coverage(eighty: list[float], ninety_five: list[float]) -> CoverageChart:
    ts = pd.date_range("2026-03-01", periods=len(eighty), freq="D", tz="UTC")
    return CoverageChart(
        "Coverage",
        "share",
        "egress_gbps",
        pd.DataFrame({"ts": ts, "hours": 168, "coverage_80": eighty, "coverage_95": ninety_five}),
    )


def test_both_intervals_are_drawn_with_their_nominal_lines() -> None:
    panel = coverage_panel(coverage([0.7, 0.85], [0.9, 0.97]))
    assert [shape["y0"] for shape in panel.shapes] == [80.0, 95.0]
    assert panel.subtitle.endswith("dotted: nominal")
    np.testing.assert_allclose(panel.traces[0]["y"], [70.0, 85.0])
    assert panel.traces[0]["marker"]["symbol"] != panel.traces[1]["marker"]["symbol"]


def test_a_bad_week_is_on_the_axis_and_a_good_one_does_not_blow_up_chance() -> None:
    assert coverage_panel(coverage([0.2], [0.4])).bottom <= 20.0
    assert coverage_panel(coverage([0.8], [0.95])).bottom == 50.0
    ts = pd.date_range("2026-03-01", periods=3, freq="D", tz="UTC")
    linked_figure(
        [coverage_panel(coverage([0.8, float("nan"), 0.9], [0.95, float("nan"), 1.0]))],
        start=ts[0],
        end=ts[-1],
        zone="UTC",
        scheme="dark",
    )


@pytest.mark.parametrize("of_peaks", [False, True])
def test_observed_stands_against_nominal_by_horizon(of_peaks: bool) -> None:
    rows = calibration(of_peaks)
    figure = calibration_chart(CalibrationChart("Intervals", "share", "egress_gbps", rows, of_peaks))
    shares = sorted(set(rows["nominal"]))
    assert [shape.x0 for shape in figure.layout.shapes] == pytest.approx([100 * share for share in shares])
    assert len({trace.marker.symbol for trace in figure.data}) == len(shares)
    for trace, share in zip(figure.data, shares, strict=True):
        np.testing.assert_allclose(trace.x, 100 * rows.loc[rows["nominal"] == share, "observed"])
    assert (figure.data[0].error_x.array is not None) == of_peaks


@given(any_.integers(1, 500), any_.floats(0, 1))
def test_chance_holds_the_share_and_shrinks_with_trials(trials: int, share: float) -> None:
    low, high = wilson(np.array([share]), np.array([float(trials)]))
    lower, higher = wilson(np.array([share]), np.array([4.0 * trials]))
    assert 0.0 <= low[0] <= share + 1e-12
    assert share - 1e-12 <= high[0] <= 1.0
    assert higher[0] - lower[0] < high[0] - low[0]


def test_chance_is_the_textbooks() -> None:
    low, high = wilson(np.array([0.5]), np.array([10.0]))
    assert (low[0], high[0]) == pytest.approx((0.2366, 0.7634), abs=1e-3)


# Residuals
# -------------------------------------------------------------------------------------------------------------------


def test_a_shape_that_the_model_missed_stands_out_at_its_hour() -> None:
    week = by_hour_of_week(residuals(), "UTC").set_index("hour")
    assert week["median"].idxmax() == 5 * 24 + 12
    assert week["count"].eq(4).all()
    assert by_hour_of_week(residuals(), "Asia/Tokyo").set_index("hour")["median"].idxmax() == 5 * 24 + 21


def test_residuals_are_drawn_by_hour_with_their_range() -> None:
    figure = hour_of_week_chart(residuals(), metric="egress_gbps", zone="UTC", scheme="light")
    low, high, median = figure.data
    assert (np.asarray(low.y) <= np.asarray(median.y)).all()
    assert (np.asarray(high.y) >= np.asarray(median.y)).all()
    assert high.fill == "tonexty"
    assert median.text[132] == "Sat 12:00"


def test_the_distribution_counts_every_hour_and_says_which_way_it_leans() -> None:
    figure = distribution_chart(residuals(), metric="egress_gbps", scheme="light")
    assert int(np.sum(figure.data[0].y)) == len(residuals())
    lean = percent(residuals()["residual"].sum() / residuals()["value"].sum())
    assert any(f"{lean} more came than was expected" in text for text in words(figure))
    less = distribution_chart(residuals(bias=-5.0), metric="egress_gbps", scheme="light")
    assert any("less came than was expected" in text for text in words(less))


# Parts and drift
# -------------------------------------------------------------------------------------------------------------


def test_parts_are_shares_of_the_level() -> None:
    day = day_chart(
        pd.DataFrame({"hour": range(24), "effect": 0.25}), metric="egress_gbps", zone="Asia/Tokyo", scheme="light"
    )
    week = week_chart(
        pd.DataFrame({"hour": range(168), "effect": -0.1}), metric="egress_gbps", zone="Asia/Tokyo", scheme="light"
    )
    assert set(day.data[0].y) == {25.0}
    assert set(week.data[0].y) == {-10.0}
    assert any("Asia/Tokyo" in text for text in words(day))
    assert week.data[0].text[25] == "Tue 01:00"


def test_events_are_ranked_and_say_how_long_they_were_seen() -> None:
    figure = events_chart(
        pd.DataFrame({"kind": ["release", "tournament"], "effect": [0.1, 0.3], "hours": [6.0, 40.0]}),
        metric="egress_gbps",
        scheme="light",
    )
    assert list(figure.layout.yaxis.ticktext) == ["tournament", "release"]
    assert list(figure.data[0].text) == ["+30 %, 40 h seen", "+10 %, 6 h seen"]


def test_drift_has_a_line_for_each_horizon() -> None:
    started = pd.date_range("2026-03-01", periods=3, freq="D", tz="UTC")
    rows = pd.DataFrame(
        [(n + 1, started[n], horizon, 0.8 + 0.1 * n) for n in range(3) for horizon in ("0-24 h", "1-7 d")],
        columns=["number", "started", "horizon", "value"],
    )
    panel = drift_panel(rows, metric="egress_gbps", zone="UTC", scheme="light")
    assert [trace["name"] for trace in panel.traces] == ["0-24 h", "1-7 d"]
    assert [end.text for end in panel.ends] == ["0-24 h", "1-7 d"]
    assert panel.top > 1.0
    assert panel.traces[0]["text"] == ["run 1", "run 2", "run 3"]
    assert panel.ends[0].colour == PALETTES["light"].words["egress"]


SINCE = pd.DataFrame(
    {
        "ts": pd.date_range("2026-03-01", periods=3, freq="D", tz="UTC"),
        "hours": [168, 24, 3],
        "wape": [0.1, 0.2, 0.9],
        "coverage_80": [0.8, 0.7, 0.0],
        "coverage_95": [0.95, 0.9, 0.3],
    }
)


def test_what_was_published_is_joined_only_where_enough_has_come() -> None:
    panel = error_since_panel(SINCE, metric="egress_gbps", zone="UTC", scheme="light")
    joined, young = panel.traces
    np.testing.assert_allclose(joined["y"], [10.0, 20.0])
    np.testing.assert_allclose(young["y"], [90.0], rtol=1e-6)
    assert (joined["mode"], young["mode"]) == ("lines+markers", "markers")
    assert young["marker"]["symbol"] == f"{joined['marker']['symbol']}-open"
    assert joined["text"] == ["168 h", "24 h"]
    assert young["text"] == ["3 h"]
    assert "too young" in young["hovertemplate"]
    assert panel.top > 90.0
    assert [end.y for end in panel.ends] == [20.0]


def test_coverage_of_young_runs_stands_alone_and_of_backtests_is_joined() -> None:
    chart = CoverageChart("Coverage", "share", "egress_gbps", SINCE, least=YOUNG_HOURS)
    panel = coverage_panel(chart)
    assert [len(trace["y"]) for trace in panel.traces] == [2, 1, 2, 1]
    assert [end.y for end in panel.ends] == pytest.approx([70.0, 90.0])
    assert panel.bottom == 0.0
    assert not any(trace["cliponaxis"] for trace in panel.traces), "a mark at zero is whole"
    assert [len(trace["y"]) for trace in coverage_panel(replace(chart, least=0)).traces] == [3, 3]


def test_runs_that_are_all_too_young_have_marks_and_no_line() -> None:
    panel = error_since_panel(SINCE.tail(1), metric="egress_gbps", zone="UTC", scheme="dark")
    assert [trace["mode"] for trace in panel.traces] == ["markers"]
    assert panel.ends == []
