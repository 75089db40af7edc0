"""The Overview in a real browser: the map draws, keeps its view, plays and opens sites; and little goes over the wire."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, WebSocket, expect

from app import theme
from app.charts import map_view
from app.charts.map_layers import LAND
from app.charts.map_view import TILE_PX, Canvas, mercator
from app.components.network_map import OUTLINE
from tests import lakes, small_lake
from tests.browser.conftest import DRAWN, OpenPage, settle

pytestmark = pytest.mark.browser

# A window that holds the whole map: what is scrolled to lies between two pixels.
TALL = 1200
FIRST_VIEW, FILTER_CHANGE, STEP = 1_000_000, 300_000, 100_000
Picture = np.ndarray
SITES = pd.DataFrame([row[:7] for row in lakes.SITES], columns=["site_id", "name", "region_id", "region_name", "country", "lat", "lon"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sites on two continents, with flows, capacity and forecasts."""
    where = tmp_path_factory.mktemp("world") / "lake"
    lakes.full_lake(where, lakes.Plan(days=9))
    return where


def the_map(page: Page) -> Locator:
    return page.get_by_test_id("stDeckGlJsonChart")


def picture(page: Page) -> Picture:
    """The map as pixels, once it has stopped moving."""
    before = shot(page)
    for _ in range(40):
        page.wait_for_timeout(250)
        after = shot(page)
        if before.shape == after.shape and share(before, after) == 0:
            break
        before = after
    return before


def shot(page: Page) -> Picture:
    box = the_map(page).bounding_box()
    assert box is not None
    clip: Any = {side: round(box[side]) for side in ("x", "y", "width", "height")}
    png = page.screenshot(clip=clip, timeout=DRAWN)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share(one: Picture, other: Picture) -> float:
    """Share of the pixels that differ by more than the eye forgives."""
    return float((np.abs(one - other).max(axis=2) > 12).mean())


def painted(seen: Picture, colour: str) -> float:
    """Share of the pixels that have this colour."""
    return float((np.abs(seen - np.array(theme.rgb(colour))).max(axis=2) < 10).mean())


def spot(page: Page, site_id: str, sites: pd.DataFrame = SITES, canvas: Canvas = map_view.WIDE) -> tuple[float, float]:
    """Where a site lies in the window, while the map looks where it looked when it opened."""
    camera, box = map_view.fit(sites, canvas), the_map(page).bounding_box()
    assert box is not None
    site, world_px = sites.set_index("site_id").loc[site_id], TILE_PX * 2**camera.zoom
    across = (site["lon"] - camera.longitude) / 360 * world_px
    down = (mercator(camera.latitude) - mercator(site["lat"])) * world_px
    return box["x"] + box["width"] / 2 + float(across), box["y"] + box["height"] / 2 + float(down)


def covered(page: Page, seen: Picture, place: tuple[float, float], land: str) -> bool:
    """Whether something lies on the land at a place in the window, and the place is on the map."""
    box = the_map(page).bounding_box()
    assert box is not None
    left, top = int(place[0] - box["x"]), int(place[1] - box["y"])
    assert 2 < left < box["width"] - 3
    assert 2 < top < box["height"] - 3
    around = seen[top - 2 : top + 3, left - 2 : left + 3]
    return bool(np.abs(around - np.array(theme.rgb(land))).max(axis=2).min() > 40)


def until(page: Page, act: Callable[[], None], done: Callable[[], bool], tries: int = 5) -> None:
    """Act again until it has worked: on a busy machine a software WebGL may still be drawing what is to be picked."""
    for _ in range(tries):
        act()
        for _ in range(50):
            if done():
                return
            page.wait_for_timeout(250)
    pytest.fail(f"nothing came of it in {tries} tries on {page.url}")


def asked(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query, keep_blank_values=True).items()}


class Wire:
    """Bytes that the server sends over the websocket."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._count)

    def _count(self, frame: str | bytes) -> None:
        self.bytes += len(frame)

    def taken(self) -> int:
        """Bytes since it was last asked."""
        taken, self.bytes = self.bytes, 0
        return taken


def choose_region(page: Page, name: str) -> None:
    page.get_by_role("combobox", name="Region", exact=True).click()
    page.get_by_role("option", name=name).click()
    settle(page)


def moment(page: Page) -> str:
    return str(page.locator(".st-key-player").get_by_role("slider").get_attribute("aria-valuetext"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_draws_land_and_sites_without_asking_anyone_else(open_page: OpenPage, world: Path, scheme: theme.Scheme) -> None:
    page = open_page("/?layers=sites", on=world, height=TALL, scheme=scheme)
    fetched: list[str] = []
    page.on("response", lambda response: fetched.append(f"{response.status} {urlsplit(response.url).path}"))
    page.reload()
    settle(page)
    seen = picture(page)
    assert painted(seen, LAND[scheme][0]) > 0.1
    assert covered(page, seen, spot(page, "fra-01"), LAND[scheme][0])
    assert f"200 /{OUTLINE}" in fetched or f"304 /{OUTLINE}" in fetched


def test_pan_and_zoom_survive_every_switch_and_filter(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?layers=", on=world, height=TALL)
    opened = picture(page)
    x, y = spot(page, "fra-01")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 160, y + 60, steps=10)
    page.mouse.up()
    page.mouse.wheel(0, -400)
    moved = picture(page)
    assert share(opened, moved) > 0.05
    for name in ("Health", "Run-out"):
        page.get_by_role("radio", name=name, exact=True).click()
        settle(page)
        assert share(moved, picture(page)) == 0, name
    page.get_by_role("button", name="Sites", exact=True).click()
    settle(page)
    assert 0 < share(moved, picture(page)) < 0.05, "sites are drawn over the same land"
    page.get_by_role("button", name="Sites", exact=True).click()
    choose_region(page, "US East")
    assert asked(page)["region"] == "us-east"
    assert share(moved, picture(page)) == 0
    slider = page.locator(".st-key-player").get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    settle(page)
    assert asked(page)["at"] == "2026-03-17T12:00"
    assert share(moved, picture(page)) == 0


def test_little_goes_over_the_wire(open_page: OpenPage, world: Path) -> None:
    page = open_page("/", on=world)
    wire = Wire(page)
    page.reload()
    settle(page)
    assert 10_000 < wire.taken() < FIRST_VIEW
    choose_region(page, "US East")
    assert 1_000 < wire.taken() < FILTER_CHANGE
    page.get_by_role("radio", name="Run-out", exact=True).click()
    settle(page)
    assert 1_000 < wire.taken() < STEP
    slider = page.locator(".st-key-player").get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    settle(page)
    assert 1_000 < wire.taken() < STEP


def test_a_click_on_a_marker_opens_its_site_and_the_way_back_shows_the_whole_map(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?layers=sites", on=world, height=TALL)
    before = picture(page)
    x, y = spot(page, "mia-01")

    def click() -> None:
        page.mouse.move(x - 30, y)
        page.mouse.move(x, y, steps=3)
        page.wait_for_timeout(1000)
        page.mouse.down()
        page.wait_for_timeout(100)
        page.mouse.up()

    until(page, click, lambda: "/region" in page.url)
    settle(page)
    assert asked(page)["site"] == "mia-01"
    page.get_by_role("link", name="Overview").first.click()
    page.wait_for_url(re.compile(r"/\?"))
    settle(page)
    assert asked(page)["region"] == "all"
    page.mouse.move(5, 5)
    assert share(before, picture(page)) < 0.005, "no site is still chosen, and none is dimmed"


def test_a_name_in_the_table_opens_its_site(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?layers=", on=world, height=2000)
    grid = page.get_by_test_id("stDataFrame")
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box is not None

    def click() -> None:
        page.mouse.click(box["x"] + 90, box["y"] + 38 + 17)

    until(page, click, lambda: "/region" in page.url)
    assert asked(page)["site"] == "fra-01", "the worst comes first"


def test_a_tooltip_shows_a_hostile_name_as_it_is_written(open_page: OpenPage) -> None:
    page = open_page("/?layers=sites", height=TALL)
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
    for _ in range(120):
        if moment(page) != start and "expected" in page.locator(".st-key-player").inner_text():
            break
        page.wait_for_timeout(250)
    else:
        pytest.fail(f"the slider still stands at {start}")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    settle(page)
    held = moment(page)
    page.wait_for_timeout(2500)
    assert moment(page) == held
    assert asked(page)["at"] == pd.to_datetime(f"{held} 2026", format="%d %b %H:%M %Y").strftime("%Y-%m-%dT%H:%M")


def test_on_a_telephone_all_sites_are_in_view(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?layers=sites", on=world, width=390, height=1500)
    seen = picture(page)
    assert seen.shape[0] == map_view.NARROW.height
    assert painted(seen, LAND["light"][0]) > 0.03
    for site_id in ("chi-01", "waw-01", "mia-01"):
        assert covered(page, seen, spot(page, site_id, canvas=map_view.NARROW), LAND["light"][0]), site_id


def test_the_globe_draws(open_page: OpenPage, world: Path) -> None:
    page = open_page("/?map=globe&color=health&layers=sites,flows,labels", on=world, height=TALL)
    seen = picture(page)
    assert painted(seen, LAND["light"][0]) > 0.05
    assert painted(seen, LAND["light"][2]) > 0.1, "the ocean is a sphere of its own colour"
    assert painted(seen, theme.PALETTES["light"].ground) > 0.2, "around it is nothing"
