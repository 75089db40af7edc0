"""Curves of other models and peaks of the week, on the main chart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from app.charts.comparison import IN_SIGHT, week_peaks, weeks_between
from app.charts.tables import chart_table
from app.charts.timeseries import TrafficChart, traffic_chart
from app.theme import PALETTES, Unit
from tests.app.charts.traffic import END, HOUR, NOW, START, capacity, forecast, history, moments, named, words

GBPS = Unit(1.0, "Gbps")
MONDAY = pd.Timestamp("2026-11-23", tz="UTC")
PEAKS = pd.DataFrame(
    [
        (MONDAY + 7 * n * pd.Timedelta(days=1), statistic, factor * 300.0, factor * 330.0, factor * 345.0)
        for n in range(4)
        for statistic, factor in (("peak", 1.0), ("p95", 0.9))
    ],
    columns=["week", "statistic", "q50", "q90", "q95"],
)
BESIDE = forecast().assign(prophet=lambda rows: 1.2 * rows["yhat"], baseline=lambda rows: rows["yhat"])[
    ["ts", "prophet", "baseline"]
]
CHART = TrafficChart(
    "Egress", "egress_gbps", "hourly mean", START, END, NOW, history(), forecast(), peaks=PEAKS, beside=BESIDE
)


def test_other_curves_are_grey_labelled_and_told_apart_by_their_dash() -> None:
    figure = traffic_chart(CHART)
    (prophet,), (baseline,) = named(figure, "Prophet"), named(figure, "baseline")
    assert prophet.line.dash != baseline.line.dash
    assert prophet.line.color == baseline.line.color == PALETTES["light"].muted
    assert {"Prophet", "baseline", "expected"} <= set(words(figure))
    assert moments(prophet)[0] == NOW.tz_localize(None)
    assert float(np.nanmax(prophet.y)) == pytest.approx(1.2 * float(np.nanmax(baseline.y)), rel=1e-3)


def test_a_curve_without_a_value_is_not_drawn() -> None:
    figure = traffic_chart(replace(CHART, beside=BESIDE.assign(prophet=np.nan)))
    assert named(figure, "Prophet") == []
    assert "Prophet" not in words(figure)


def test_a_curve_that_runs_away_does_not_squash_the_rest() -> None:
    away = traffic_chart(replace(CHART, beside=BESIDE.assign(prophet=lambda rows: 40 * rows["prophet"])))
    assert away.layout.yaxis.range[1] <= 1.7 * traffic_chart(CHART).layout.yaxis.range[1]


def test_each_week_in_sight_has_a_step_at_its_median_and_a_whisker_to_its_upper_quantile() -> None:
    (strokes,) = named(traffic_chart(CHART), "peak of week")
    (medians,) = named(traffic_chart(CHART), "peak of week, median")
    assert list(medians.y) == pytest.approx([300.0, 300.0])
    assert sorted({float(y) for y in strokes.y if np.isfinite(y)}) == pytest.approx([300.0, 330.0, 345.0])
    np.testing.assert_allclose(medians.customdata, [[330.0, 345.0]] * 2)
    assert traffic_chart(CHART).layout.yaxis.range[1] > 345.0
    assert "peak of week" in words(traffic_chart(CHART))


def test_strokes_do_not_join_from_week_to_week() -> None:
    line, _ = week_peaks(weeks_between(PEAKS, NOW, END), "UTC", GBPS, "#000000")
    assert (np.diff(np.flatnonzero(np.isnan(line["y"]))) == 3).all()


@pytest.mark.parametrize("days", [0.5, 2.0])
def test_a_week_of_which_too_little_is_in_sight_is_left_out(days: float) -> None:
    seen = weeks_between(PEAKS, NOW, MONDAY + pd.Timedelta(days=days))
    assert len(seen) == int(pd.Timedelta(days=days) >= IN_SIGHT)


def test_a_week_is_cut_to_what_is_in_sight() -> None:
    seen = weeks_between(PEAKS, MONDAY + 24 * HOUR, END)
    assert seen["first"].iloc[0] == MONDAY + 24 * HOUR
    assert seen["last"].iloc[-1] == END
    assert ((seen["middle"] > seen["first"]) & (seen["middle"] < seen["last"])).all()


def test_the_words_of_the_peak_make_way_for_those_of_a_capacity() -> None:
    usual, near = (
        traffic_chart(replace(CHART, capacity=capacity((START, gbps, "installed")))) for gbps in (500.0, 350.0)
    )
    heights = [
        next(note.y for note in figure.layout.annotations if note.text == "peak of week") for figure in (usual, near)
    ]
    assert heights == [345.0, 300.0]


def test_without_them_the_chart_is_as_it_was() -> None:
    bare = traffic_chart(TrafficChart("Egress", "egress_gbps", "hourly mean", START, END, NOW, history(), forecast()))
    assert not {"Prophet", "baseline", "peak of week"} & {trace.name for trace in bare.data}
    assert "peak of week" not in words(bare)


def test_the_table_holds_the_curves_and_the_quantiles_where_the_week_begins() -> None:
    table = chart_table([CHART]).set_index("ts")
    assert table.loc[NOW + HOUR, "egress_gbps_prophet"] == pytest.approx(
        1.2 * table.loc[NOW + HOUR, "egress_gbps_expected"]
    )
    assert table.loc[MONDAY, "egress_gbps_peak_q90"] == 330.0
    assert table["egress_gbps_peak_q90"].notna().sum() == 2
    assert "egress_gbps_peak_q90" not in chart_table([replace(CHART, peaks=PEAKS.head(0))])
