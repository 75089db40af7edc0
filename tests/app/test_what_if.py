"""What-ifs in the page: a form for each kind of change, its words, and changes taken out one by one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from app.views.capacity.what_if import FORMS, KINDS, sentence, words
from data.lake.tables import Lake
from data.schema import TABLES
from forecasting.planning import whatif
from tests.app.conftest import Opener
from tests.planned_lake import START, planned_lake
from tests.small_lake import SITES

Fill = Callable[[AppTest], object]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Amsterdam has an augment to come."""
    where = tmp_path_factory.mktemp("what-if") / "lake"
    made = planned_lake(where)
    step = {
        "site_id": "ams-01",
        "direction": "egress",
        "effective_from": START + pd.Timedelta(days=120),
        "capacity_gbps": 900.0,
        "status": "planned",
    }
    made.append("capacity", pa.Table.from_pylist([{**step, "cost_usd_month": None}], TABLES["capacity"].schema))
    return where


def add(page: AppTest, kind: str, fill: Fill) -> AppTest:
    page.selectbox("what-if-kind").select(kind).run()
    fill(page)
    next(button for button in page.button if button.label == "Add to the what-if").click().run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return "\n".join(element.value for kind in (page.markdown, page.caption, page.warning) for element in kind)


FILLED: dict[str, tuple[Fill, dict[str, object], str]] = {
    "growth": (
        lambda page: [
            page.number_input("what-if-percent").set_value(-10.0),
            page.selectbox("what-if-scope").select("eu-west"),
        ],
        {"percent": -10.0, "scope": "eu-west", "direction": None},
        "Demand grows by 10 % a year less than forecast, Europe West",
    ),
    "event": (
        lambda page: page.selectbox("what-if-scope").select("gru-01"),
        {"gbps": 0.0, "percent": 30.0, "hours": 4.0, "days": 3.0, "scope": "gru-01", "start": "2026-05-22T18:00"},
        "An event of +30 % for 4 hours a day on 3 days from 2026-05-22 18:00, Sao Paulo 1",
    ),
    "bitrate": (
        lambda page: page.number_input("what-if-bits").set_value(80.0),
        {"factor": 0.8, "weeks": 8.0, "start": "2026-08-06", "scope": "all"},
        "Each viewer is sent 80 % of today's bits from 2026-08-06, by degrees over 8 weeks, everywhere",
    ),
    "add_site": (
        lambda page: [
            page.text_input("what-if-new").set_value("fra-02"),
            page.selectbox("what-if-site-Beside").select("fra-01"),
            page.multiselect("what-if-relieves").select("fra-01"),
        ],
        {
            "site_id": "fra-02",
            "region_id": "eu-west",
            "lat": 50.1,
            "lon": 8.7,
            "gbps": 400.0,
            "start": "2026-08-06",
            "relieves": ["fra-01"],
            "share": 0.3,
        },
        "fra-02 opens on 2026-08-06 with 400 Gbps in Europe West and takes 30 % of the demand of Frankfurt 1",
    ),
    "close_site": (
        lambda page: page.selectbox("what-if-site-Site").select("nrt-02"),
        {"site_id": "nrt-02", "start": "2026-08-06"},
        "Tokyo 2 closes on 2026-08-06",
    ),
    "add_capacity": (
        lambda page: [
            page.selectbox("what-if-site-Site that grows").select("fra-01"),
            page.number_input("what-if-more").set_value(250.0),
            page.number_input("what-if-month").set_value(12_000.0),
        ],
        {"adds": [["fra-01", "2026-08-06", 250.0, 12000.0, 0.0]], "direction": "egress"},
        "250 Gbps of egress capacity more from 2026-08-06: Frankfurt 1, USD 12.0 k a month",
    ),
    "move_augment": (
        lambda page: page.number_input("what-if-days").set_value(-45.0),
        {"site_id": "ams-01", "days": -45.0},
        "The planned augments of Amsterdam 1 come 45 days sooner",
    ),
    "limit": (
        lambda page: page.selectbox("what-if-site-Where").select("fra-01"),
        {"limit": 0.9, "site_id": "fra-01"},
        "The limit is 90 % of capacity, Frankfurt 1",
    ),
}


def test_every_change_has_a_form_a_name_and_a_case_here() -> None:
    assert set(whatif.KINDS) == set(FORMS) == set(KINDS) == set(FILLED)


@pytest.mark.parametrize("kind", FILLED)
def test_a_form_adds_its_change_to_the_link_and_says_it(open_page: Opener, lake: Path, kind: str) -> None:
    fill, values, wording = FILLED[kind]
    page = add(open_page("capacity", lake), kind, fill)
    held = json.loads(page.query_params["whatif"])
    assert held == [{"kind": kind, **values}]
    assert page.query_params["grade"] == "changed"
    assert words(held[0], SITES) == wording
    assert ("With the what-if" in said(page)) != ("cannot be applied" in said(page))


def test_one_change_of_several_is_taken_out(open_page: Opener, lake: Path) -> None:
    held = [
        {"kind": "growth", "percent": 20},
        {"kind": "limit", "limit": 0.9},
        {"kind": "growth", "percent": 5, "scope": "sa"},
    ]
    page = open_page("capacity", lake, whatif=json.dumps(held))
    page.button("what-if-drop-1").click().run()
    assert [one["kind"] for one in json.loads(page.query_params["whatif"])] == ["growth", "growth"]
    page.button("what-if-clear").click().run()
    assert page.query_params["whatif"] == "none"


def test_a_new_site_needs_an_identifier(open_page: Opener, lake: Path) -> None:
    page = add(
        open_page("capacity", lake), "add_site", lambda page: page.text_input("what-if-new").set_value("Paris 2!")
    )
    assert "Give the new site an identifier" in said(page)
    assert page.query_params["whatif"] == "none"


def test_without_planned_augments_none_can_be_moved(open_page: Opener, lake: Path, tmp_path: Path) -> None:
    bare = tmp_path / "lake"
    shutil.copytree(lake, bare)
    rows = Lake(bare).read("capacity")
    Lake(bare).replace("capacity", rows.filter(pa.compute.equal(rows["status"], "installed")))
    page = open_page("capacity", bare)
    page.selectbox("what-if-kind").select("move_augment").run()
    assert "No augment of egress is planned" in said(page)
    assert next(button for button in page.button if button.label == "Add to the what-if").disabled


def test_a_change_out_of_reach_is_left_out_and_says_so(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, whatif='[{"kind":"event","gbps":1,"start":"2026-08-01","hours":1e300}]')
    assert not page.exception
    assert "is out of reach" in said(page)


def test_no_change_is_said_as_such() -> None:
    assert sentence([], SITES) == "as forecast"
