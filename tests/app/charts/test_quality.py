"""Quality against what counts as good and bad."""

from __future__ import annotations

import numpy as np
import pytest

from app.charts.panels import Panel, linked_figure
from app.charts.quality import QUALITY_METRICS, QualityChart, quality_panel
from app.theme import hue
from data.schema import METRIC, QUALITY_LIMITS
from tests.app.charts.traffic import END, NOW, START, history, moments, named


def panel(metric: str, scale: float = 1e-5) -> Panel:
    return quality_panel(
        QualityChart(metric, "hourly mean", START, END, NOW, history().assign(value=lambda rows: scale * rows["value"]))
    )


def levels(shown: Panel) -> list[float]:
    return [shape["y0"] for shape in shown.shapes if shape["type"] == "line" and shape["yref"] == "y"]


@pytest.mark.parametrize(
    ("metric", "good", "bad", "labels"),
    [
        ("rebuffer_ratio", 0.5, 1.0, ["good 0.5 %", "bad 1 %"]),
        ("startup_seconds", 2.0, 4.0, ["good 2 s", "bad 4 s"]),
        ("playback_failure_ratio", 0.5, 1.0, ["good 0.5 %", "bad 1 %"]),
    ],
)
def test_limits_are_drawn_and_named(metric: str, good: float, bad: float, labels: list[str]) -> None:
    shown = panel(metric)
    assert levels(shown) == pytest.approx([good, bad])
    assert [end.text for end in shown.ends] == labels
    assert shown.top > bad


def test_no_limit_is_invented_for_starvation() -> None:
    shown = panel("ingest_starved_ratio")
    assert "ingest_starved_ratio" not in QUALITY_LIMITS
    assert (levels(shown), list(shown.ends)) == ([], [])


def test_a_bad_day_is_on_the_axis() -> None:
    assert panel("rebuffer_ratio", 1e-3).top == pytest.approx(1.15 * 39.0)


def test_ratios_are_percent_solid_and_end_now() -> None:
    figure = linked_figure([panel("rebuffer_ratio")], start=START, end=END, zone="UTC", scheme="light")
    (line,) = named(figure, "rebuffering")
    assert (line.line.color, line.line.dash, line.connectgaps) == (hue("rebuffer_ratio", "light"), "solid", False)
    np.testing.assert_allclose(line.y, 1e-3 * history()["value"], rtol=1e-6)
    assert moments(line).max() <= NOW.tz_localize(None)


@pytest.mark.parametrize("metric", QUALITY_METRICS)
def test_an_absent_metric_names_the_column_that_brings_it(metric: str) -> None:
    (note,) = panel(metric, np.nan).notes
    assert note["text"] == f"no {METRIC[metric].label.lower()} in this time<br>telemetry: {metric}"
