"""What a test sees of a page: the map as pixels, places of sites in the window, lines of charts, files that are saved,
and bytes on the wire.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from app import theme
from app.charts import map_view
from app.charts.map_layers import LAND
from app.charts.map_view import TILE_PX, Canvas, mercator
from tests.browser.conftest import DRAWN, settle

Picture = np.ndarray
# A try that has come to nothing after this long is made again: a software WebGL that shares its core takes seconds for
# a frame.
PATIENCE = 8.0
# Land takes more of every map of these tests than this.
SOME_LAND = 0.02


def the_map(page: Page) -> Locator:
    return page.get_by_test_id("stDeckGlJsonChart")


def picture(page: Page, shows: Callable[[Picture], bool] = lambda seen: True) -> Picture:
    """The map as pixels, once its land is drawn, it shows what is awaited, and it has stopped moving."""
    before, end = shot(page), time.monotonic() + DRAWN / 1000
    while time.monotonic() < end:
        page.wait_for_timeout(250)
        after = shot(page)
        if before.shape == after.shape and share(before, after) == 0 and land(after) > SOME_LAND and shows(after):
            return after
        before = after
    pytest.fail(
        f"the map does not come to rest, or never shows what is awaited: land on {land(before):.1%} of it, {page.url}"
    )


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


def land(seen: Picture) -> float:
    """Share of the pixels that are land, in either scheme."""
    return max(painted(seen, colours[0]) for colours in LAND.values())


def spot(page: Page, site_id: str, sites: pd.DataFrame, canvas: Canvas = map_view.WIDE) -> tuple[float, float]:
    """Where a site lies in the window, while the map looks where it looked when it opened. `sites` are those of the
    lake that is shown.
    """
    camera, box = map_view.fit(sites, canvas), the_map(page).bounding_box()
    assert box is not None
    site, world_px = sites.set_index("site_id").loc[site_id], TILE_PX * 2**camera.zoom
    across = (site["lon"] - camera.longitude) / 360 * world_px
    down = (mercator(camera.latitude) - mercator(site["lat"])) * world_px
    return box["x"] + box["width"] / 2 + float(across), box["y"] + box["height"] / 2 + float(down)


def covered(page: Page, seen: Picture, place: tuple[float, float], colour: str) -> bool:
    """Whether something lies on the land, which is of this colour, at a place in the window; the place is on the
    map.
    """
    box = the_map(page).bounding_box()
    assert box is not None
    left, top = int(place[0] - box["x"]), int(place[1] - box["y"])
    assert 2 < left < box["width"] - 3
    assert 2 < top < box["height"] - 3
    around = seen[top - 2 : top + 3, left - 2 : left + 3]
    return bool(np.abs(around - np.array(theme.rgb(colour))).max(axis=2).min() > 40)


def until(page: Page, act: Callable[[], None], done: Callable[[], bool]) -> None:
    """Act again until it has worked: what is picked on a canvas has to be drawn first, and a canvas does not say when
    it is.
    """
    end = time.monotonic() + DRAWN / 1000
    while time.monotonic() < end:
        with suppress(PlaywrightTimeout):  # what is to be clicked has gone: the last click was late, but it has worked
            act()
        again = time.monotonic() + PATIENCE
        while time.monotonic() < again:
            if done():
                return
            page.wait_for_timeout(200)
    pytest.fail(f"nothing came of it in {DRAWN / 1000:.0f} s on {page.url}")


def click_on_map(page: Page, x: float, y: float) -> None:
    """A click at a place in the window, at the pace of a graphics card.

    deck.gl looks up what lies below the pointer between press and release, for which a software WebGL takes half a
    second, and takes a press that lasts longer than a quarter for no click. So its clock, not its drawing, stands still
    meanwhile.
    """
    page.mouse.move(x - 30, y)
    page.mouse.move(x, y, steps=3)
    page.evaluate("() => { window.goes = Date.now; const at = Date.now(); Date.now = () => at; }")
    page.mouse.click(x, y)
    page.evaluate("() => { Date.now = window.goes; }")


def asked(page: Page) -> dict[str, str]:
    """What the URL says."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query, keep_blank_values=True).items()}


def reached(page: Page, path: str | None = None, **wanted: str) -> None:
    """Wait until the URL says so, and the page that belongs to it is drawn. A script that has not begun yet looks like
    one that is done.
    """
    end = time.monotonic() + DRAWN / 1000
    while not (path in {None, urlsplit(page.url).path} and wanted.items() <= asked(page).items()):
        assert time.monotonic() < end, f"{page.url} does not come to say {path or ''} {wanted}"
        page.wait_for_timeout(100)
    settle(page)


def lines(page: Page) -> list[int]:
    """Of each chart of the page, how many lines or heat maps are drawn: those with a shape, not those that are only
    named.
    """
    drawn: list[int] = page.evaluate("""() => [...document.querySelectorAll('.js-plotly-plot')].map(plot =>
        [...plot.querySelectorAll('.scatterlayer path.js-line')].filter(line => (line.getAttribute('d') || '').length > 8).length
        + plot.querySelectorAll('.heatmaplayer image').length)""")
    return drawn


def drawn(page: Page, charts: int, *, or_more: bool = False) -> None:
    """Wait until so many charts stand on the page, none of them empty."""
    end = time.monotonic() + DRAWN / 1000
    while not is_drawn(lines(page), charts, or_more=or_more):
        assert time.monotonic() < end, f"{charts} charts should be drawn; lines in each: {lines(page)}, {page.url}"
        page.wait_for_timeout(200)


def is_drawn(counts: list[int], charts: int, *, or_more: bool) -> bool:
    """Whether there are so many charts (or more), each with a line."""
    return (len(counts) >= charts if or_more else len(counts) == charts) and min(counts, default=1) > 0


def saved(page: Page, button: Locator) -> tuple[str, bytes]:
    """The name and the content of the file that a button gives."""
    with page.expect_download(timeout=DRAWN) as download:
        button.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()
