"""Sites side by side in one figure: one scale, in the order given, each with its state in the plan and its address."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from app.charts.panels import Panel, linked_figure
from app.theme import ACT, OK, UNKNOWN, WATCH, StateMark
from app.views.region.charts import Site, site_panels
from tests.app.charts.traffic import NOW, START, capacity, history, words


def site(name: str, limit: float | None, scale: float = 1.0, state: StateMark = OK) -> Site:
    steps = capacity() if limit is None else capacity((START, limit, "installed"))
    return Site(name, state, history().assign(value=lambda rows: scale * rows["value"]), steps, f"./region?site={name}")


def panels(*sites: Site) -> list[Panel]:
    return site_panels(sites, metric="egress_gbps", start=START, end=NOW, zone="UTC", scheme="light")


def figure(*sites: Site, columns: int = 4) -> go.Figure:
    return linked_figure([], start=START, end=NOW, zone="UTC", scheme="light", cells=panels(*sites), columns=columns)


def test_the_order_and_the_states_are_those_of_the_plan() -> None:
    given = [site("near", 500.0, state=ACT), site("full", 400.0, state=WATCH), site("blind", None, state=UNKNOWN)]
    shown = panels(*given)
    assert [panel.title for panel in shown] == ["near", "full", "blind"]
    assert [panel.aside[0] for panel in shown] == ["\u25a0 act, 78 %", "\u25b2 watch, 98 %", "no data"]


def test_all_share_one_scale_and_one_time_and_lie_in_columns() -> None:
    layout = figure(site("a", 300.0), site("b", 3900.0), site("c", 3900.0), columns=2).layout
    assert [layout[name].range[1] for name in ("yaxis", "yaxis2", "yaxis3")] == pytest.approx([140.4] * 3)
    assert [layout[name].matches for name in ("xaxis2", "xaxis3")] == ["x", "x"]
    assert layout.xaxis.domain[1] < layout.xaxis2.domain[0]
    assert layout.xaxis3.domain == layout.xaxis.domain
    assert layout.yaxis3.domain[1] < layout.yaxis.domain[0] == layout.yaxis2.domain[0]


def test_lines_are_utilisation_and_the_limit_is_drawn() -> None:
    (panel,) = panels(site("a", 390.0))
    assert np.nanmax(panel.traces[0]["y"]) == pytest.approx(100.0)
    (limit,) = panel.shapes
    assert (limit["y0"], limit["y1"]) == (100, 100)


def test_names_open_the_site_and_are_text_whatever_they_hold() -> None:
    name, reading = words(figure(site("<b>a</b>", 390.0, state=ACT)))
    assert "&lt;b&gt;a&lt;/b&gt;" in name
    assert 'href="./region?site=&lt;b&gt;a&lt;/b&gt;" target="_self"' in name
    assert reading == "\u25a0 act, 100 %"


def test_without_capacity_or_data_it_says_so() -> None:
    assert "no capacity declared" in words(figure(site("a", 400.0), site("b", None)))
    assert "nothing was measured" in words(figure(site("a", 100.0, np.nan)))


def test_where_no_site_has_a_capacity_traffic_itself_is_drawn() -> None:
    large, small = panels(site("b", None, 0.002), site("a", None, 0.001))
    assert [large.aside[0], small.aside[0]] == ["highest 780 Mbps", "highest 390 Mbps"]
    assert np.nanmax(large.traces[0]["y"]) == pytest.approx(780.0)
    assert (large.unit.word, list(large.shapes)) == ("Mbps", [])


@pytest.mark.parametrize(("limit", "top"), [(390.0, 108.0), (1000.0, 54.0), (3900.0, 10.8)])
def test_the_scale_is_low_where_nothing_comes_near_its_limit(limit: float, top: float) -> None:
    (panel,) = panels(site("a", limit))
    assert panel.top == pytest.approx(top)
    assert len(panel.shapes) == (top > 100)
