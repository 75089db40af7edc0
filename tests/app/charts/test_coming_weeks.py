"""The weeks to come: both statistics, every week and every quantile that is published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from app.charts.panels import linked_figure
from app.views.region.charts import LEVELS, WEEK, WeeksChart, weeks_panel, weeks_table
from tests.app.charts.traffic import capacity, moments, named, words

MONDAY = pd.Timestamp("2026-11-23", tz="UTC")
MONDAYS = pd.date_range(MONDAY, periods=26, freq="7D", unit="us")
RISING = 300.0 + np.arange(26)
WEEKS = pd.DataFrame(
    {
        "week": MONDAYS,
        **{level: RISING * factor for level, factor in zip(LEVELS, (0.8, 0.9, 1.0, 1.2, 1.3), strict=True)},
    }
)
MEASURED = pd.DataFrame({"week": pd.date_range(end=MONDAY - WEEK, periods=13, freq="7D", unit="us"), "peak": 290.0})
CHART = WeeksChart("Egress, peak of each week", "egress_gbps", "peak", WEEKS, capacity(), MEASURED.head(0))
PAST = replace(CHART, measured=MEASURED)


def drawn(chart: WeeksChart) -> go.Figure:
    return linked_figure([weeks_panel(chart)], start=chart.start, end=chart.end, zone=chart.zone, scheme="light")


def test_every_week_has_its_median_and_both_ranges() -> None:
    figure = drawn(CHART)
    (medians,) = named(figure, "peak of week, median")
    assert list(medians.y) == pytest.approx(RISING.tolist())
    np.testing.assert_allclose(medians.customdata, WEEKS[["q10", "q90", "q05", "q95"]], rtol=1e-6)
    assert "80 % %{customdata[0]:.3~r} to %{customdata[1]:.3~r} Gbps" in medians.hovertemplate
    for name, level in (
        ("90 % range, upper bound", "q95"),
        ("90 % range, lower bound", "q05"),
        ("80 % range, upper bound", "q90"),
    ):
        (edge,) = named(figure, name)
        np.testing.assert_allclose(edge.y, np.repeat(WEEKS[level], 2), rtol=1e-6)


def test_a_week_is_a_step_from_monday_to_monday_in_the_chosen_zone() -> None:
    (step,) = named(drawn(replace(CHART, zone="Asia/Tokyo")), "median")
    begins = moments(step)
    assert begins[0] == pd.Timestamp("2026-11-23 09:00")
    assert begins[1] == begins[2] == pd.Timestamp("2026-11-30 09:00")
    assert begins[-1] - begins[0] == 26 * WEEK


def test_capacity_is_drawn_with_its_words_away_from_the_medians_or_named_at_the_top() -> None:
    low, high, far = (
        drawn(replace(CHART, capacity=capacity((MONDAY, gbps, "installed")))) for gbps in (250.0, 400.0, 2000.0)
    )
    assert [
        note.yanchor for figure in (low, high) for note in figure.layout.annotations if "capacity" in note.text
    ] == ["top", "bottom"]
    assert any("capacity 2.00 Tbps (highest drawn: " in text for text in words(far))
    assert far.layout.yaxis.range[1] < 1000


def test_measured_weeks_stand_before_those_to_come_and_are_on_the_axis() -> None:
    figure = drawn(PAST)
    (marks,) = named(figure, "measured peak of week")
    assert list(marks.y) == [290.0] * 13
    assert PAST.start == MONDAY - 13 * WEEK
    ground = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert pd.Timestamp(ground.x0, tz="UTC") == MONDAY
    high = replace(CHART, measured=MEASURED.assign(peak=1000.0))
    assert weeks_panel(high).top == pytest.approx(1.12)
    assert weeks_panel(CHART).top == pytest.approx(1.12 * WEEKS["q95"].max())


def test_the_table_holds_every_quantile_of_both_statistics_of_each_metric() -> None:
    other = replace(CHART, statistic="p95", weeks=WEEKS.assign(**{level: 0.5 * WEEKS[level] for level in LEVELS}))
    ingest = replace(CHART, metric="ingest_gbps", weeks=WEEKS.head(3))
    table = weeks_table([PAST, other, ingest])
    assert list(table.columns) == [
        "week",
        "statistic",
        *(f"egress_gbps_{level}" for level in ("measured", *LEVELS)),
        *(f"ingest_gbps_{level}" for level in ("measured", *LEVELS)),
    ]
    assert len(table) == 52 + 13
    p95 = table[table["statistic"] == "p95"].reset_index(drop=True)
    np.testing.assert_allclose(p95["egress_gbps_q05"], 0.5 * WEEKS["q05"])
    assert table["ingest_gbps_q50"].notna().sum() == 3
