"""The Data page in a real browser, on a dark telephone: every section is drawn, is no wider than the screen, and is
given away as a file.
"""

from __future__ import annotations

import io

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from data.schema import TABLES
from tests import lakes
from tests.browser.conftest import OpenPage, overflow
from tests.browser.pictures import drawn, reached, saved

pytestmark = pytest.mark.browser

FIRST_VIEW, FILTER_CHANGE = 1_000_000, 300_000
TABLES_SHOWN = ("freshness", "snapshots", "quarantine", "versions")


def choose(page: Page, section: str) -> None:
    page.get_by_role("radio", name=section, exact=True).click()
    reached(page, section=section.rsplit(maxsplit=1)[-1].lower())
    assert overflow(page) <= 0, section


def csv_of(page: Page) -> tuple[str, pd.DataFrame]:
    name, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV"))
    return name, pd.read_csv(io.BytesIO(csv))


def test_every_section_is_drawn_fits_the_screen_and_is_saved_with_what_it_shows(open_page: OpenPage) -> None:
    page = open_page("/data", width=390, scheme="dark")
    assert 5_000 < open_page.received(page) < FIRST_VIEW
    choose(page, "Completeness")
    drawn(page, 1)
    assert 1_000 < open_page.received(page) < FILTER_CHANGE
    expect(page.locator(".js-plotly-plot")).to_contain_text("Completeness by site and day")
    _, png = saved(page, page.get_by_role("button", name="PNG of completeness"))
    assert png.startswith(b"\x89PNG")
    _, days = csv_of(page)
    silent = days[days["site_id"] == "mad-01"]["completeness [ratio]"]
    assert silent.min() < 0.95
    assert silent.max() == 1

    tables = {}
    for section in TABLES_SHOWN:
        choose(page, section.capitalize())
        expect(page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
        name, tables[section] = csv_of(page)
        assert name == f"{section}.csv"
    assert set(tables["freshness"]["site_id"]) == {site[0] for site in lakes.SITES}
    assert tables["quarantine"]["remedy"].notna().all()
    assert {"telemetry", "sites", "runs"} <= set(tables["versions"]["table"])
    assert len(tables["snapshots"]) > 0

    choose(page, "Data dictionary")
    page.get_by_role("combobox", name="Table", exact=True).click()
    page.get_by_role("option", name="events", exact=True).click()
    reached(page, table="events")
    name, columns = csv_of(page)
    assert name == "dictionary-events.csv"
    assert columns["column"].tolist() == [column.name for column in TABLES["events"].columns]
