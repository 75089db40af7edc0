"""The Capacity page in a real browser: a link opens it, its charts stand, a choice changes link and chart, and the
orders are saved as files.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import REGIONS, OpenPage
from tests.browser.pictures import reached, saved

pytestmark = pytest.mark.browser


def test_a_link_opens_the_plan_and_a_choice_changes_chart_and_link(open_page: OpenPage, world: Path) -> None:
    page = open_page("/capacity?focus=site:par-01", on=world)
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    expect(page.locator(".js-plotly-plot").nth(1)).to_contain_text("Egress of Paris against its limit")
    page.get_by_role("radio", name="Weekly P95", exact=True).click()
    reached(page, statistic="p95", focus="site:par-01")
    expect(page.locator(".js-plotly-plot").nth(1)).to_contain_text("P95 of each week")


def test_the_plan_is_saved_as_table_calendar_and_file(open_page: OpenPage, world: Path) -> None:
    page = open_page("/capacity", on=world)
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    downloads = page.get_by_test_id("stDownloadButton")
    name, csv = saved(page, downloads.get_by_role("button", name="CSV").first)
    assert name == "run-outs.csv"
    rows = pd.read_csv(io.BytesIO(csv)).set_index("key")
    assert set(rows.index) == set(REGIONS)
    assert rows.loc["dfw-01", "Run-out"] == "not known: too little to go on"
    name, text = saved(page, downloads.get_by_role("button", name="ICS"))
    assert name == "orders.ics"
    assert b"for par-01" in text
    _, plan = saved(page, downloads.get_by_role("button", name="JSON"))
    assert {one["key"] for one in json.loads(plan)} == set(REGIONS)


def test_a_plan_of_purchases_is_counted_in_and_its_link_shows_the_same_to_others(
    open_page: OpenPage, world: Path
) -> None:
    page = open_page("/capacity?sheet=augments&steps=100:7000:0:0", on=world)
    page.get_by_role("button", name="Find the cheapest plan").click()
    page.get_by_role("button", name="Count it in").click()
    change = "of egress capacity more"
    expect(page.get_by_text(change)).to_be_visible()
    reached(page, sheet="runout")
    other = open_page(page.url[page.url.index("/capacity") :], on=world)
    expect(other.get_by_text(change)).to_have_text(page.get_by_text(change).inner_text())
    expect(other.get_by_test_id("stMetric").filter(has_text="Over in a year's time")).to_contain_text("1 without it")
