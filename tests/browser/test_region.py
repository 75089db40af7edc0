"""The Region page in a real browser: a link opens it, its charts are drawn and zoom together, and what they show can be
taken away.
"""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import WORLD, OpenPage, settle
from tests.browser.pictures import drawn, reached, saved, until

pytestmark = pytest.mark.browser

FIRST_VIEW, FILTER_CHANGE = 1_000_000, 300_000
AXES = """plot => Object.entries(plot._fullLayout).filter(([name]) => /^xaxis/.test(name)).map(([_, axis]) => axis.range.map(at => Date.parse(at)))"""
MAIN = "document.querySelector('[data-testid=stMain]')"
# Traffic and quality are one figure, all sites another; of a site, the coming weeks are.
FIGURES = 2


def main_chart(page: Page) -> Locator:
    return page.locator(".st-key-place .js-plotly-plot")


def spans(page: Page) -> list[list[float]]:
    """First and last moment of every time axis of the main chart, in milliseconds."""
    ranges: list[list[float]] = main_chart(page).evaluate(AXES)
    return ranges


def choose(page: Page, box: str, option: str, **reaches: str) -> None:
    """Choose from a list, which stands on top of the page and closes again when the page is scrolled or a script ends."""
    settle(page)
    page.evaluate(f"{MAIN}.scrollTo(0, 0)")
    wanted = page.get_by_role("option", name=option, exact=True)
    until(page, page.get_by_role("combobox", name=box, exact=True).click, lambda: wanted.count() > 0)
    wanted.click()
    reached(page, **reaches)


def zoom(page: Page) -> None:
    """Drag over the middle of the main chart."""
    box = main_chart(page).locator(".nsewdrag").first.bounding_box()
    assert box is not None
    across, down = [box["x"] + box["width"] * share for share in (0.3, 0.6)], box["y"] + box["height"] / 2
    page.mouse.move(across[0], down)
    page.mouse.down()
    page.mouse.move(across[1], down, steps=8)
    page.mouse.up()


def test_charts_zoom_together_are_saved_and_follow_every_switch_and_little_goes_over_the_wire(
    open_page: OpenPage,
) -> None:
    page = open_page("/region?region=eu-west&range=7d", height=1600)
    assert 10_000 < open_page.received(page) < FIRST_VIEW
    drawn(page, FIGURES)
    expect(page.get_by_text("Sites of Europe West, egress over capacity")).to_be_visible()
    week = spans(page)[0]
    open_page.received(page)
    page.get_by_role("radio", name="28 d", exact=True).click()
    reached(page, range="28d", region="eu-west")
    assert 1_000 < open_page.received(page) < FILTER_CHANGE
    assert spans(page)[0][1] - spans(page)[0][0] > 1.5 * (week[1] - week[0])
    expect(main_chart(page)).to_contain_text("hourly mean")
    open_page.received(page)
    choose(page, "Region", "US East", region="us-east")
    assert 1_000 < open_page.received(page) < FILTER_CHANGE
    choose(page, "Site", "Ashburn", site="iad-01", range="28d")
    drawn(page, FIGURES)
    expect(main_chart(page)).to_contain_text("Egress, Ashburn")

    before = spans(page)
    assert len(before) > 3
    until(page, lambda: zoom(page), lambda: spans(page)[0] != before[0])
    after = spans(page)
    assert all(axis == after[0] for axis in after), "all panels share one time axis"
    whole = before[0][1] - before[0][0]
    assert (after[0][1] - after[0][0]) / whole == pytest.approx(0.3, abs=0.03)
    assert (after[0][0] - before[0][0]) / whole == pytest.approx(0.3, abs=0.03)

    name, png = saved(page, page.get_by_role("button", name="PNG of Ashburn traffic"))
    picture = Image.open(io.BytesIO(png))
    assert (name, picture.format) == ("Ashburn-traffic.png", "PNG")
    assert picture.width > 2000, "twice as fine as the screen"
    colours: Any = picture.convert("RGB").getcolors(picture.width * picture.height)
    assert len(colours) > 50, "more than an empty ground"
    name, svg = saved(page, page.get_by_role("button", name="SVG of Ashburn traffic"))
    assert name == "Ashburn-traffic.svg"
    assert svg.startswith(b"<svg")
    assert b"Egress, Ashburn" in svg
    name, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV").first)
    assert name == "Ashburn-traffic.csv"
    rows = pd.read_csv(io.BytesIO(csv))
    assert {"ts", "egress_gbps [Gbps]", "ingest_gbps [Gbps]", "egress_gbps_upper_95 [Gbps]"} <= set(rows.columns)
    assert rows["egress_gbps [Gbps]"].notna().sum() >= 9 * 24 - 1
    page.get_by_text("The numbers as a table").click()
    expect(page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
    settle(page)
    _, csv = saved(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV").last)
    stamps = pd.to_datetime(pd.read_csv(io.BytesIO(csv))["ts"])
    assert stamps.is_monotonic_decreasing, "newest first"


def test_range_is_picked_from_the_calendar_and_typed_as_text(open_page: OpenPage) -> None:
    page = open_page("/region?region=eu-west&range=7d")
    now = pd.Timestamp(WORLD.end)
    page.get_by_role("radio", name="Dates", exact=True).click()
    reached(page, range="custom")
    typed = page.get_by_role("textbox", name="Dates as text")
    week = (now - pd.Timedelta(days=7)).date(), (now + pd.Timedelta(days=7)).date()
    expect(typed).to_have_value(f"{week[0]} to {week[1]}")
    page.get_by_role("button", name="Choose date range").click()
    for day in week[0], week[0] + pd.Timedelta(days=2):
        page.get_by_role("button", name=f"{day.day} {day:%B} {day.year}").click()
        settle(page)
    end = week[0] + pd.Timedelta(days=3)
    reached(page, start=f"{week[0]}T00:00", end=f"{end}T00:00")
    typed.fill("4d")
    typed.press("Enter")
    start, end = now - pd.Timedelta(days=4), now + pd.Timedelta(days=4)
    reached(page, start=f"{start:%Y-%m-%dT%H:%M}", end=f"{end:%Y-%m-%dT%H:%M}")
    typed.fill("1999-12-31 to 2000-01-01")
    typed.press("Enter")
    expect(page.get_by_text("the range starts there")).to_be_visible()
    typed.fill("next week")
    typed.press("Enter")
    expect(page.get_by_text("No range can be read")).to_be_visible()


def test_on_a_telephone_charts_are_as_wide_as_the_screen_allows_and_a_finger_scrolls_over_them(
    open_page: OpenPage, chromium: Browser
) -> None:
    telephone = chromium.new_context(
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
        user_agent="Mozilla/5.0 (Linux; Android 15) Chrome/150.0.0.0 Mobile Safari/537.36",
    )
    page = open_page("/region?region=eu-west", width=390, scheme="dark", context=telephone)
    drawn(page, FIGURES)
    wide: list[float] = page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.getBoundingClientRect().width)"
    )
    assert all(300 < width <= 390 for width in wide)

    before = spans(page)
    main_chart(page).evaluate("plot => plot.scrollIntoView({ block: 'center' })")
    scrolled = page.evaluate(f"{MAIN}.scrollTop")
    touch = telephone.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 200, "y": 500}]})
    for step in range(1, 9):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": 200, "y": 500 - 30 * step}]})
        page.wait_for_timeout(20)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(page, lambda: None, lambda: page.evaluate(f"{MAIN}.scrollTop") > scrolled + 50)
    assert spans(page) == before
