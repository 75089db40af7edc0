"""The Overview in a real browser: the map draws, keeps its view, plays and opens sites; and little goes over the
wire.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
from playwright.sync_api import Page, Position, expect

from app import theme
from app.charts import map_view
from app.charts.map_layers import LAND
from app.components import site_table
from app.components.network_map import OUTLINE
from tests import lakes, small_lake
from tests.browser.conftest import OpenPage, settle
from tests.browser.pictures import (
    PATIENCE,
    Wire,
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

# A window that holds the whole map: what is scrolled to lies between two pixels.
TALL = 1200
FIRST_VIEW, FILTER_CHANGE, STEP = 1_000_000, 300_000, 100_000
SITES = pd.DataFrame(
    [row[:7] for row in lakes.SITES], columns=["site_id", "name", "region_id", "region_name", "country", "lat", "lon"]
)


def choose_us_east(page: Page) -> None:
    page.get_by_role("combobox", name="Region", exact=True).click()
    page.get_by_role("option", name="US East").click()
    reached(page, region="us-east")


def colour_by(page: Page, name: str, value: str) -> None:
    page.get_by_role("radio", name=name, exact=True).click()
    reached(page, color=value)


def step_on(page: Page) -> None:
    """One step of the slider further, by the keyboard."""
    page.locator(".st-key-player").get_by_role("slider").press("ArrowRight")
    reached(page, at="2026-03-17T12:00")


def moment(page: Page) -> str:
    return str(page.locator(".st-key-player").get_by_role("slider").get_attribute("aria-valuetext"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_draws_land_and_sites_without_asking_anyone_else(
    open_page: OpenPage, world: Path, scheme: theme.Scheme
) -> None:
    page = open_page("/?layers=sites", on=world, height=TALL, scheme=scheme)
    fetched: list[str] = []
    page.on("response", lambda response: fetched.append(f"{response.status} {urlsplit(response.url).path}"))
    page.reload()
    settle(page)
    seen = picture(page, lambda seen: covered(page, seen, spot(page, "fra-01", SITES), LAND[scheme][0]))
    assert painted(seen, LAND[scheme][0]) > 0.1
    assert f"200 /{OUTLINE}" in fetched or f"304 /{OUTLINE}" in fetched


def test_pan_and_zoom_survive_every_switch_and_filter(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?layers=", on=world, height=TALL)
    opened = picture(page)
    x, y = spot(page, "fra-01", SITES)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 160, y + 60, steps=10)
    page.mouse.up()
    panned = picture(page, lambda seen: share(opened, seen) > 0.05)
    page.mouse.wheel(0, -400)
    moved = picture(page, lambda seen: share(panned, seen) > 0.05)
    for name, value in (("Health", "health"), ("Run-out", "runout")):
        colour_by(page, name, value)
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


def test_little_goes_over_the_wire(open_page: OpenPage, world: Path) -> None:
    page = open_page("/", on=world)
    wire = Wire(page)
    page.reload()
    settle(page)
    assert 10_000 < wire.taken() < FIRST_VIEW
    choose_us_east(page)
    assert 1_000 < wire.taken() < FILTER_CHANGE
    colour_by(page, "Run-out", "runout")
    assert 1_000 < wire.taken() < STEP
    step_on(page)
    assert 1_000 < wire.taken() < STEP


def test_a_click_on_a_marker_opens_its_site_and_the_way_back_shows_the_whole_map(
    open_page: OpenPage, world: Path
) -> None:
    page = open_page("/?layers=sites", on=world, height=TALL)
    before = picture(page)
    until(page, lambda: click_on_map(page, *spot(page, "mia-01", SITES)), lambda: "/region" in page.url)
    reached(page, "/region", site="mia-01")
    page.get_by_role("link", name="Overview").first.click()
    reached(page, "/", region="all")
    page.mouse.move(5, 5)
    picture(page, lambda seen: share(before, seen) < 0.005)  # no site is still chosen, and none is dimmed


def test_a_name_in_the_table_opens_its_site(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?layers=", on=world, height=2000)
    grid = page.get_by_test_id("stDataFrame")
    first_row: Position = {"x": 90, "y": site_table.HEADER_PX + site_table.ROW_PX // 2}
    until(page, lambda: grid.click(position=first_row, timeout=1000 * PATIENCE), lambda: "/region" in page.url)
    reached(page, "/region", site="fra-01")  # the worst comes first


def test_a_tooltip_shows_a_hostile_name_as_it_is_written(open_page: OpenPage, hostile: Path) -> None:
    page = open_page("/?layers=sites", on=hostile, height=TALL)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    picture(page)
    x, y = spot(page, "iad-01", small_lake.SITES)

    def hover() -> None:
        page.mouse.move(x + 60, y - 60)
        page.mouse.move(x, y, steps=4)

    tooltip = page.locator(".deck-tooltip")
    until(page, hover, lambda: tooltip.count() > 0 and tooltip.is_visible())
    text = tooltip.inner_text()
    assert text.splitlines()[0] == '"><script>alert(1)</script>'
    assert text.splitlines()[1] == "=cmd()"
    assert tooltip.locator("script").count() == 0


def test_playing_moves_the_slider_and_pausing_holds_it(open_page: OpenPage, world: Path) -> None:
    page = open_page("/", on=world)
    start = moment(page)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    expect(page.locator(".st-key-player").get_by_role("slider")).not_to_have_attribute("aria-valuetext", start)
    expect(page.locator(".st-key-player")).to_contain_text("expected")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    settle(page)
    held = moment(page)
    page.wait_for_timeout(2500)
    assert moment(page) == held
    assert asked(page)["at"] == pd.to_datetime(f"{held} 2026", format="%d %b %H:%M %Y").strftime("%Y-%m-%dT%H:%M")


def test_on_a_telephone_all_sites_are_in_view(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?layers=sites", on=world, width=390, height=1500)
    seen = picture(page, lambda seen: bool(seen.shape[0] == map_view.NARROW.height))
    assert painted(seen, LAND["light"][0]) > 0.03
    for site_id in ("chi-01", "waw-01", "mia-01"):
        assert covered(page, seen, spot(page, site_id, SITES, map_view.NARROW), LAND["light"][0]), site_id


def test_the_globe_draws(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?map=globe&color=health&layers=sites,flows,labels", on=world, height=TALL)
    seen = picture(page)
    assert painted(seen, LAND["light"][0]) > 0.05
    assert painted(seen, LAND["light"][2]) > 0.1, "the ocean is a sphere of its own colour"
    assert painted(seen, theme.PALETTES["light"].ground) > 0.2, "around it is nothing"
