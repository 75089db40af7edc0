"""The Data page in a real browser: every section opens from its link, draws what it has, and gives it away as a
file.
"""

from __future__ import annotations

import io

import pandas as pd
import pytest
from playwright.sync_api import expect

from data.schema import TABLES
from tests import lakes
from tests.browser.conftest import OpenPage, settle
from tests.browser.pictures import Wire, drawn, reached, saved

pytestmark = pytest.mark.browser

FIRST_VIEW, FILTER_CHANGE = 1_000_000, 300_000


def test_every_table_is_drawn_and_saved_with_what_it_shows(open_page: OpenPage) -> None:
    page = open_page("/data?section=freshness")
    tables = {}
    for section in ("freshness", "snapshots", "quarantine", "versions"):
        if section != "freshness":
            page.get_by_role("radio", name=section.capitalize(), exact=True).click()
        reached(page, section=section)
        expect(page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
        name, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV"))
        assert name == f"{section}.csv"
        tables[section] = pd.read_csv(io.BytesIO(csv))
    assert set(tables["freshness"]["site_id"]) == {site[0] for site in lakes.SITES}
    assert tables["quarantine"]["remedy"].notna().all()
    assert {"telemetry", "sites", "runs"} <= set(tables["versions"]["table"])
    assert len(tables["snapshots"]) > 0


def test_completeness_is_a_heat_map_that_can_be_saved(open_page: OpenPage) -> None:
    page = open_page("/data?section=completeness")
    drawn(page, 1)
    expect(page.locator(".js-plotly-plot")).to_contain_text("Completeness by site and day")
    _, png = saved(page, page.get_by_role("button", name="PNG of completeness"))
    assert png.startswith(b"\x89PNG")
    _, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV"))
    days = pd.read_csv(io.BytesIO(csv))
    silent = days[days["site_id"] == "mad-01"]["completeness [ratio]"]
    assert silent.min() < 0.95
    assert silent.max() == 1


def test_a_link_opens_one_table_of_the_dictionary_and_another_is_a_choice_away(open_page: OpenPage) -> None:
    page = open_page("/data?section=dictionary&table=capacity")
    _, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV"))
    assert pd.read_csv(io.BytesIO(csv))["column"].tolist() == [column.name for column in TABLES["capacity"].columns]
    page.get_by_role("combobox", name="Table", exact=True).click()
    page.get_by_role("option", name="events", exact=True).click()
    reached(page, table="events")
    name, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV"))
    assert name == "dictionary-events.csv"
    assert pd.read_csv(io.BytesIO(csv))["column"].tolist() == [column.name for column in TABLES["events"].columns]


def test_little_goes_over_the_wire(open_page: OpenPage) -> None:
    page = open_page("/data")
    wire = Wire(page)
    page.reload()
    settle(page)
    assert 5_000 < wire.taken() < FIRST_VIEW
    page.get_by_role("radio", name="Completeness", exact=True).click()
    reached(page, section="completeness")
    drawn(page, 1)
    assert 1_000 < wire.taken() < FILTER_CHANGE
