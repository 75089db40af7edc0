"""Sites side by side: one scale, in the order given, each with its state in the plan."""

from __future__ import annotations

import numpy as np
import pytest

from app.theme import ACT, OK, UNKNOWN, WATCH, StateMark
from app.views.region.charts import Multiple, Site, small_multiples
from tests.app.charts.traffic import NOW, START, capacity, history, words


def site(name: str, limit: float | None, scale: float = 1.0, state: StateMark = OK) -> Site:
    steps = capacity() if limit is None else capacity((START, limit, "installed"))
    return Site(name, name, state, history().assign(value=lambda rows: scale * rows["value"]), steps)


def drawn(*sites: Site) -> list[Multiple]:
    return small_multiples(sites, metric="egress_gbps", start=START, end=NOW, zone="UTC", scheme="light")


def test_the_order_and_the_states_are_those_of_the_plan() -> None:
    given = [site("near", 500.0, state=ACT), site("full", 400.0, state=WATCH), site("blind", None, state=UNKNOWN)]
    multiples = drawn(*given)
    assert [one.site_id for one in multiples] == ["near", "full", "blind"]
    assert [one.state for one in multiples] == [ACT, WATCH, UNKNOWN]
    assert [one.reading for one in multiples] == ["\u25a0 act, 78 %", "\u25b2 watch, 98 %", "no data"]
    assert [one.highest for one in multiples] == pytest.approx([0.78, 0.975, np.nan], nan_ok=True)


def test_all_have_the_same_axes() -> None:
    found = drawn(site("a", 300.0), site("b", 3900.0))
    assert len({tuple(one.figure.layout.yaxis.range) for one in found}) == 1
    assert len({tuple(one.figure.layout.xaxis.range) for one in found}) == 1
    assert found[0].figure.layout.yaxis.range[1] > 130


def test_lines_are_utilisation_and_the_limit_is_drawn() -> None:
    (one,) = drawn(site("a", 390.0))
    assert np.nanmax(one.figure.data[0].y) == pytest.approx(100.0)
    (limit,) = one.figure.layout.shapes
    assert (limit.y0, limit.y1) == (100, 100)


def test_titles_say_name_state_and_highest() -> None:
    (one,) = drawn(site("<b>a</b>", 390.0, state=ACT))
    assert words(one.figure) == ["<b>&lt;b&gt;a&lt;/b&gt;</b>", "\u25a0 act, 100 %"]


def test_without_capacity_or_data_it_says_so() -> None:
    _, blind = drawn(site("a", 400.0), site("b", None))
    assert {"no capacity declared", "no data"} <= set(words(blind.figure))
    assert {"nothing was measured", "no data"} <= set(words(drawn(site("a", 100.0, np.nan))[0].figure))
    assert "nothing was measured" in words(drawn(site("a", None, np.nan))[0].figure)


def test_where_no_site_has_a_capacity_traffic_itself_is_drawn() -> None:
    small, large = site("a", None, 0.001), site("b", None, 0.002)
    found = drawn(large, small)
    assert not any(one.of_capacity for one in found)
    assert [one.reading for one in found] == ["highest 780 Mbps", "highest 390 Mbps"]
    assert np.nanmax(found[0].figure.data[0].y) == pytest.approx(780.0)
    assert found[0].figure.layout.yaxis.ticktext[-1].endswith(" Mbps")
    assert not found[0].figure.layout.shapes


@pytest.mark.parametrize(
    ("limit", "texts"), [(390.0, ["0", "50", "100 %"]), (1000.0, ["0", "25", "50 %"]), (3900.0, ["0", "5", "10 %"])]
)
def test_the_scale_is_low_where_nothing_comes_near_its_limit(limit: float, texts: list[str]) -> None:
    (one,) = drawn(site("a", limit))
    assert list(one.figure.layout.yaxis.ticktext) == texts
    assert len(one.figure.layout.shapes) == (texts[-1] == "100 %")
