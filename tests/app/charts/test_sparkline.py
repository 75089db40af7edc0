"""The week in a line: a picture that joins nothing across a gap, and never draws what is missing."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as any_

from app import theme
from app.views.overview.charts import HEIGHT, PAD, WIDTH, runs, sparkline

NOTHING = pd.DataFrame({"yhat": [], "q10": [], "q90": []})
AHEAD = pd.DataFrame({"yhat": [5.0, 6.0, 7.0], "q10": [4.0, 4.5, 5.0], "q90": [6.0, 8.0, 10.0]})


def drawn(svg: str, tag: str) -> list[dict[str, str]]:
    """The shapes of one kind. Parsing is half the test: a broken picture is an empty box."""
    return [dict(element.attrib) for element in ET.fromstring(svg).iter() if element.tag.endswith(f"}}{tag}")]


def points(shape: dict[str, str]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.-]+),([\d.-]+)", shape["points"])]


def test_a_gap_breaks_the_line() -> None:
    lines = drawn(sparkline([1.0, 2.0, None, float("nan"), 3.0, 4.0], NOTHING, None, "light"), "polyline")
    assert [len(points(line)) for line in lines] == [2, 2]


def test_an_hour_alone_is_a_dot() -> None:
    svg = sparkline([None, 2.0, None, 1.0, 1.0], NOTHING, None, "light")
    assert len(drawn(svg, "circle")) == 1
    assert len(drawn(svg, "polyline")) == 1


@given(any_.lists(any_.none() | any_.floats(0, 1e6), max_size=60))
def test_all_that_is_known_is_drawn_and_nothing_else(week: list[float | None]) -> None:
    svg = sparkline(week, NOTHING, None, "light")
    count = sum(len(points(line)) for line in drawn(svg, "polyline")) + len(drawn(svg, "circle"))
    assert count == (sum(value is not None for value in week) if any(week) else 0)


@given(any_.lists(any_.none() | any_.tuples(any_.floats(0, 9), any_.floats(0, 9)), max_size=30))
def test_stretches_hold_every_point_once(found: list[tuple[float, float] | None]) -> None:
    assert [point for run in runs(found) for point in run] == [point for point in found if point is not None]


def test_values_stand_to_scale_from_zero() -> None:
    line = points(drawn(sparkline([0.0, 5.0, 10.0], NOTHING, None, "light"), "polyline")[0])
    assert [y for _, y in line] == [HEIGHT - PAD, HEIGHT / 2, PAD]
    assert [x for x, _ in line] == [PAD, WIDTH / 2, WIDTH - PAD]


def test_what_is_expected_is_dashed_within_its_band_on_a_ground_of_its_own() -> None:
    svg = sparkline([5.0, 5.0], AHEAD, None, "dark")
    solid, dashed = sorted(drawn(svg, "polyline"), key=lambda line: "stroke-dasharray" in line)
    assert len(points(solid)) == 2
    assert len(points(dashed)) == 3
    band = points(drawn(svg, "polygon")[0])
    assert min(y for _, y in band) == PAD, "the upper bound is the highest value of all"
    assert drawn(svg, "rect")[0]["fill"] == theme.PALETTES["dark"].future
    assert float(drawn(svg, "rect")[0]["x"]) == points(dashed)[0][0] > points(solid)[-1][0]


@pytest.mark.parametrize(("limit", "count"), [(8.0, 1), (12.0, 1), (19.9, 1), (25.0, 0), (None, 0)])
def test_a_limit_is_drawn_where_it_does_not_press_the_traffic_flat(limit: float | None, count: int) -> None:
    lines = drawn(sparkline([5.0, 10.0], NOTHING, limit, "light"), "line")
    assert len(lines) == count
    assert all(line["stroke"] == theme.PALETTES["light"].hues["capacity"] for line in lines)
    assert all(0 <= float(line["y1"]) <= HEIGHT for line in lines)


@pytest.mark.parametrize("week", [[], [None, None], [math.nan], [0.0, 0.0]])
def test_nothing_to_draw_is_an_empty_picture(week: list[float | None]) -> None:
    assert len(ET.fromstring(sparkline(week, NOTHING, 5.0, "light"))) == 0
