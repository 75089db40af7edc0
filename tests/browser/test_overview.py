"""The Overview in a real browser: the map draws, keeps its view, plays and opens sites; and little goes over the
wire.
"""

from __future__ import annotations

import re

import pandas as pd
import pytest
from playwright.sync_api import Page, Position, expect

from app import theme
from app.charts import map_view
from app.charts.map_layers import LAND
from app.ui import tables
from app.ui.maps import OUTLINE
from tests import lakes
from tests.browser.conftest import HOSTILE, SCRIPT, OpenPage, settle
from tests.browser.pictures import (
    PATIENCE,
    asked,
    click_on_map,
    covered,
    painted,
    picture,
    reached,
    share,
    spot,
    until,
)

pytestmark = pytest.mark.browser

# A window that holds the whole page: what is scrolled to lies between two pixels.
TALLER = 2000
FIRST_VIEW, FILTER_CHANGE, STEP = 1_000_000, 300_000, 100_000
SITES = pd.DataFrame(
    [row[:7] for row in lakes.SITES], columns=["site_id", "name", "region_id", "region_name", "country", "lat", "lon"]
)


def choose_us_east(page: Page) -> None:
    filters = page.get_by_role("button", name=re.compile("Filters"))
    if filters.count():
        filters.click()
    page.get_by_role("combobox", name="Region", exact=True).click()
    page.get_by_role("option", name="US East").click()
    reached(page, region="us-east")
    page.mouse.move(5, 5)
    if filters.count():
        page.keyboard.press("Escape")


def choose(page: Page, name: str, **reaches: str) -> None:
    page.get_by_role("radio", name=name, exact=True).click()
    page.mouse.move(5, 5)
    reached(page, **reaches)


def step_on(page: Page) -> None:
    """One step of the slider further, by the keyboard."""
    page.locator(".st-key-player").get_by_role("slider").press("ArrowRight")
    reached(page, at="2026-03-17T12:00")


def moment(page: Page) -> str:
    return str(page.locator(".st-key-player").get_by_role("slider").get_attribute("aria-valuetext"))


def test_the_map_shows_names_as_they_are_written_and_marker_and_table_open_their_sites(open_page: OpenPage) -> None:
    page = open_page("/?layers=sites", height=TALLER)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    before = picture(page, lambda seen: covered(page, seen, spot(page, "fra-01", SITES), LAND["light"][0]))
    assert painted(before, LAND["light"][0]) > 0.1
    assert f"200 /{OUTLINE}" in open_page.traffic[page].answered, "the outline of the land comes from the page's server"

    x, y = spot(page, HOSTILE, SITES)

    def hover() -> None:
        page.mouse.move(x + 60, y - 60)
        page.mouse.move(x, y, steps=4)

    tooltip = page.locator(".deck-tooltip")
    until(page, hover, lambda: tooltip.count() > 0 and tooltip.is_visible())
    assert tooltip.inner_text().splitlines()[:2] == [SCRIPT, "US East, Meridian"]
    assert tooltip.locator("script").count() == 0

    until(page, lambda: click_on_map(page, *spot(page, "mia-01", SITES)), lambda: "/region" in page.url)
    reached(page, "/region", site="mia-01")
    page.get_by_role("link", name="Overview").first.click()
    reached(page, "/", region="all")
    page.mouse.move(5, 5)
    picture(page, lambda seen: share(before, seen) < 0.005)  # no site is still chosen, and none is dimmed

    grid = page.get_by_test_id("stDataFrame").last
    first_row: Position = {"x": 40, "y": tables.HEADER_PX + tables.ROW_PX // 2}
    until(page, lambda: grid.click(position=first_row, timeout=1000 * PATIENCE), lambda: "/region" in page.url)
    reached(page, "/region", site="fra-01")  # the worst comes first


def test_pan_and_zoom_survive_every_switch_and_filter_and_the_globe_draws(open_page: OpenPage) -> None:
    page = open_page("/?layers=", height=TALLER)
    opened = picture(page)
    x, y = spot(page, "fra-01", SITES)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 160, y + 60, steps=10)
    page.mouse.up()
    panned = picture(page, lambda seen: share(opened, seen) > 0.05)
    page.mouse.wheel(0, -400)
    page.mouse.move(5, 5)  # the map's toolbar goes with the pointer
    moved = picture(page, lambda seen: share(panned, seen) > 0.05)
    for name, value in (("Health", "health"), ("Run-out", "runout")):
        choose(page, name, color=value)
        assert share(moved, picture(page)) == 0, name
    page.get_by_role("button", name="Sites", exact=True).click()
    reached(page, layers="sites")
    assert share(moved, picture(page, lambda seen: share(moved, seen) > 0)) < 0.05, "sites are drawn over the same land"
    page.get_by_role("button", name="Sites", exact=True).click()
    reached(page, layers="")
    choose_us_east(page)
    picture(page, lambda seen: share(moved, seen) == 0)
    step_on(page)
    assert share(moved, picture(page)) == 0
    choose(page, "Globe", map="globe")
    globe = picture(page, lambda seen: painted(seen, theme.PALETTES["light"].ground) > 0.2)  # around it is nothing
    assert painted(globe, LAND["light"][0]) > 0.05
    assert painted(globe, LAND["light"][2]) > 0.1, "the ocean is a sphere of its own colour"


def test_a_dark_telephone_has_all_sites_in_view_plays_and_little_goes_over_the_wire(open_page: OpenPage) -> None:
    page = open_page("/", width=390, height=1500, scheme="dark")
    assert 10_000 < open_page.received(page) < FIRST_VIEW
    seen = picture(page, lambda seen: bool(seen.shape[0] == map_view.NARROW.height))
    assert painted(seen, LAND["dark"][0]) > 0.03
    for site_id in ("chi-01", "waw-01", "mia-01"):
        assert covered(page, seen, spot(page, site_id, SITES, map_view.NARROW), LAND["dark"][0]), site_id
    open_page.received(page)
    choose_us_east(page)
    assert 1_000 < open_page.received(page) < FILTER_CHANGE
    choose(page, "Run-out", color="runout")
    assert 1_000 < open_page.received(page) < STEP
    step_on(page)
    assert 1_000 < open_page.received(page) < STEP

    start = moment(page)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    expect(page.locator(".st-key-player").get_by_role("slider")).not_to_have_attribute("aria-valuetext", start)
    expect(page.locator(".st-key-player")).to_contain_text("expected")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    settle(page)
    held = moment(page)
    page.wait_for_timeout(2000)
    assert moment(page) == held
    assert asked(page)["at"] == pd.to_datetime(f"{held} 2026", format="%d %b %H:%M %Y").strftime("%Y-%m-%dT%H:%M")
