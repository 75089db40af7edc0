"""The Region page in a real browser: a link opens it, its charts are drawn and zoom together, and what they show can be
taken away.
"""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, settle
from tests.browser.pictures import Wire, asked, drawn, reached, saved, until

pytestmark = pytest.mark.browser

FIRST_VIEW, FILTER_CHANGE = 1_000_000, 300_000
AXES = """plot => Object.entries(plot._fullLayout).filter(([name]) => /^xaxis/.test(name)).map(([_, axis]) => axis.range.map(at => Date.parse(at)))"""
# Sites of Europe West, all of which declare a capacity: as many charts stand side by side.
SITES = 6
# The coming weeks of a site: the peak of its egress, ingest and viewers; those of regions are not published here.
WEEKS = 3


def main_chart(page: Page) -> Locator:
    return page.locator(".st-key-place .js-plotly-plot")


def spans(page: Page) -> list[list[float]]:
    """First and last moment of every time axis of the main chart, in milliseconds."""
    ranges: list[list[float]] = main_chart(page).evaluate(AXES)
    return ranges


def choose(page: Page, box: str, option: str, **reaches: str) -> None:
    page.get_by_role("combobox", name=box, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
    reached(page, **reaches)


def test_a_link_opens_site_and_range_and_every_switch_goes_into_the_link(open_page: OpenPage) -> None:
    page = open_page("/region?site=iad-01&range=24h")
    drawn(page, 1 + WEEKS)
    expect(main_chart(page)).to_contain_text("Egress, Ashburn")
    expect(main_chart(page)).to_contain_text("5-minute mean")
    day = spans(page)[0]
    page.get_by_role("radio", name="28 d", exact=True).click()
    reached(page, range="28d", site="iad-01")
    expect(main_chart(page)).to_contain_text("hourly mean")
    assert spans(page)[0][1] - spans(page)[0][0] > 10 * (day[1] - day[0])
    choose(page, "Site", "Columbus", site="cmh-01")
    expect(main_chart(page)).to_contain_text("Egress, Columbus")
    choose(page, "Region", "Europe West", region="eu-west", site="all")
    drawn(page, 1 + SITES)
    expect(page.get_by_text("Sites of Europe West, egress over capacity")).to_be_visible()
    again = open_page(urlsplit(page.url)._replace(scheme="", netloc="").geturl())
    drawn(again, 1 + SITES)
    assert asked(again) == asked(page)


def test_zoom_on_one_chart_moves_its_neighbours(open_page: OpenPage) -> None:
    page = open_page("/region?site=fra-01&range=7d", height=1600)
    drawn(page, 1 + WEEKS)
    before = spans(page)
    assert len(before) > 3
    ground = main_chart(page).locator(".nsewdrag").first

    def drag() -> None:
        box = ground.bounding_box()
        assert box is not None
        across, down = [box["x"] + box["width"] * share for share in (0.3, 0.6)], box["y"] + box["height"] / 2
        page.mouse.move(across[0], down)
        page.mouse.down()
        page.mouse.move(across[1], down, steps=8)
        page.mouse.up()

    until(page, drag, lambda: spans(page)[0] != before[0])
    after = spans(page)
    assert all(axis == after[0] for axis in after), "all panels share one time axis"
    whole = before[0][1] - before[0][0]
    assert (after[0][1] - after[0][0]) / whole == pytest.approx(0.3, abs=0.03)
    assert (after[0][0] - before[0][0]) / whole == pytest.approx(0.3, abs=0.03)


def test_a_chart_is_saved_as_png_svg_and_csv(open_page: OpenPage) -> None:
    page = open_page("/region?site=fra-01&range=7d&grain=1h")
    drawn(page, 1 + WEEKS)
    name, png = saved(page, page.get_by_role("button", name="PNG of Frankfurt traffic"))
    picture = Image.open(io.BytesIO(png))
    assert (name, picture.format) == ("Frankfurt-traffic.png", "PNG")
    assert picture.width > 2000, "twice as fine as the screen"
    colours: Any = picture.convert("RGB").getcolors(picture.width * picture.height)
    assert len(colours) > 50, "more than an empty ground"
    name, svg = saved(page, page.get_by_role("button", name="SVG of Frankfurt traffic"))
    assert name == "Frankfurt-traffic.svg"
    assert svg.startswith(b"<svg")
    assert b"Egress, Frankfurt" in svg
    name, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV").first)
    assert name == "Frankfurt-traffic.csv"
    rows = pd.read_csv(io.BytesIO(csv))
    assert {"ts", "egress_gbps [Gbps]", "ingest_gbps [Gbps]", "egress_gbps_upper_95 [Gbps]"} <= set(rows.columns)
    assert rows["egress_gbps [Gbps]"].notna().sum() >= 7 * 24 - 1


def test_the_numbers_open_as_a_table(open_page: OpenPage) -> None:
    page = open_page("/region?site=mad-01&range=24h")
    page.get_by_text("Show the numbers as a table").click()
    expect(page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
    settle(page)
    _, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV").last)
    stamps = pd.to_datetime(pd.read_csv(io.BytesIO(csv))["ts"])
    assert stamps.is_monotonic_decreasing, "newest first"


def test_little_goes_over_the_wire(open_page: OpenPage) -> None:
    page = open_page("/data")
    wire = Wire(page)
    page.goto(urlsplit(page.url)._replace(path="/region", query="region=eu-west&range=7d").geturl())
    settle(page)
    drawn(page, 1 + SITES)
    assert 10_000 < wire.taken() < FIRST_VIEW
    page.get_by_role("radio", name="28 d", exact=True).click()
    reached(page, range="28d")
    assert 1_000 < wire.taken() < FILTER_CHANGE
    choose(page, "Region", "US East", region="us-east")
    assert 1_000 < wire.taken() < FILTER_CHANGE


def test_on_a_telephone_every_chart_is_as_wide_as_the_screen_allows(open_page: OpenPage) -> None:
    page = open_page("/region?region=eu-west", width=390, scheme="dark")
    drawn(page, 1 + SITES)
    wide: list[float] = page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.getBoundingClientRect().width)"
    )
    assert all(300 < width <= 390 for width in wide)
