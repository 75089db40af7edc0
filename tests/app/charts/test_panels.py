"""Panels share one time axis: each has its place, its names and its labels."""

from __future__ import annotations

import itertools

import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.charts.panels import End, Panel, linked_figure, spread
from app.charts.quality import QualityChart, quality_panel
from app.charts.timeseries import TrafficChart, traffic_panel
from app.theme import Unit
from tests.app.charts.traffic import END, NOW, START, bands, events, forecast, history

UNIT = Unit(1.0, "Gbps")


def stack() -> list[Panel]:
    traffic = [
        TrafficChart(
            f"{metric} here", metric, "hourly mean", START, END, NOW, history(), forecast(), bands(), events=happened
        )
        for metric, happened in (("egress_gbps", events(("Cup", "tournament", -2, 1))), ("ingest_gbps", None))
    ]
    slow = history().assign(value=lambda rows: rows["value"] / 100)
    return [
        *(traffic_panel(spec) for spec in traffic),
        quality_panel(QualityChart("startup_seconds", "hourly mean", START, END, NOW, slow)),
    ]


def linked(panels: list[Panel]) -> go.Figure:
    return linked_figure(panels, start=START, end=END, zone="UTC", scheme="light")


def test_every_line_hangs_on_the_one_time_axis() -> None:
    figure = linked(stack())
    drawn = [trace for trace in figure.data if trace.y is not None and trace.y[0] is not None]
    assert {trace.xaxis for trace in drawn} == {"x"}
    assert {trace.yaxis for trace in drawn} == {"y", "y101", "y2", "y3"}
    followers = [
        axis for name, axis in figure.layout.to_plotly_json().items() if name.startswith("xaxis") and name != "xaxis"
    ]
    assert [axis["matches"] for axis in followers] == [
        "x",
        "x",
    ]  # egress and ingest show dates of their own; quality is last and has the axis itself


def test_a_hover_box_answers_for_one_panel() -> None:
    layout = linked(stack()).layout
    assert (layout.hovermode, layout.hoversubplots) == ("x unified", "single")


def test_the_time_axis_shows_the_range_asked_for_and_values_do_not_zoom() -> None:
    layout = linked(stack()).layout
    assert [pd.Timestamp(edge, tz="UTC") for edge in layout.xaxis.range] == [START, END]
    assert all(layout[name].fixedrange for name in ("yaxis", "yaxis2", "yaxis3", "yaxis101"))


def test_panels_lie_below_each_other_at_the_heights_asked_for() -> None:
    panels = stack()
    layout = linked(panels).layout
    inside = layout.height - layout.margin.t - layout.margin.b
    domains = [layout[name].domain for name in ("yaxis101", "yaxis", "yaxis2", "yaxis3")]
    assert all(upper[0] >= lower[1] for upper, lower in itertools.pairwise(domains))
    heights = [(domain[1] - domain[0]) * inside for domain in domains[1:]]
    assert heights == pytest.approx([panel.height for panel in panels], abs=1.5)
    assert domains[-1][0] == 0


def test_shapes_and_words_stand_on_the_axis_of_their_panel() -> None:
    figure = linked(stack())
    assert {shape.yref for shape in figure.layout.shapes} == {"y domain", "y2 domain", "y3 domain", "y3"}
    assert {note.yref for note in figure.layout.annotations} >= {"y", "y2", "y3", "paper"}


@given(st.lists(st.floats(-50, 150), min_size=1, max_size=4))
def test_labels_at_the_end_of_lines_never_touch(values: list[float]) -> None:
    placed = spread([End(str(n), y, "#000000") for n, y in enumerate(values)], 0.0, 100.0, 10.0)
    heights = [y for _, y in placed]
    assert all(after - before >= 10 - 1e-9 for before, after in itertools.pairwise(heights))
    assert heights[0] >= 5 - 1e-9
    assert heights[-1] <= 95 + 1e-9
    assert [end.y for end, _ in placed] == sorted(values)


def test_labels_with_room_stay_at_their_line() -> None:
    assert [y for _, y in spread([End("a", 20.0, "#000000"), End("b", 60.0, "#000000")], 0.0, 100.0, 10.0)] == [
        20.0,
        60.0,
    ]


def test_a_hostile_title_is_text() -> None:
    figure = linked(
        [
            Panel('<a href="javascript:x">y</a>', "<i>%{y}</i>", 100, UNIT, 1.0),
            Panel("t", "<i>%{y}</i>", 300, UNIT, 1.0),
        ]
    )
    texts = [note.text for note in figure.layout.annotations]
    assert len(texts) == 3
    assert not any("<a" in text or "<i" in text or "%{" in text for text in texts)
