"""The failure map in a real browser: it draws what fails, a click lets another site fail and leaves nothing marked, the
weeks play, and the view stays.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from app import theme
from app.charts import map_view
from app.charts.map_layers import LAND
from tests import lakes
from tests.browser.conftest import OpenPage, settle
from tests.browser.pictures import click_on_map, covered, painted, picture, reached, spot, until

pytestmark = pytest.mark.browser

# A window that holds the whole map: what is scrolled to lies between two pixels.
TALL = 1600
SITES = pd.DataFrame(
    [row[:7] for row in lakes.SITES], columns=["site_id", "name", "region_id", "region_name", "country", "lat", "lon"]
)


def week(page: Page) -> str:
    return str(page.locator(".st-key-week-player").get_by_role("slider").get_attribute("aria-valuetext"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_failed_region_is_crossed_out(open_page: OpenPage, world: Path, scheme: theme.Scheme) -> None:
    page = open_page("/capacity?sheet=failures&fails=region:us-east", on=world, height=TALL, scheme=scheme)
    cross = theme.PALETTES[scheme].words["capacity"]
    seen = picture(page, lambda seen: painted(seen, cross) > 0)
    for site in ("mia-01", "chi-01"):
        assert covered(page, seen, spot(page, site, SITES), LAND[scheme][0])


def test_a_click_lets_another_site_fail_and_the_weeks_play(open_page: OpenPage, world: Path) -> None:
    page = open_page("/capacity?sheet=failures", on=world, height=TALL)
    picture(page)
    until(page, lambda: click_on_map(page, *spot(page, "mia-01", SITES)), lambda: "fails=site%3Amia-01" in page.url)
    reached(page, fails="site:mia-01")
    expect(page.get_by_role("combobox", name="What fails")).to_have_value("Miami")
    first = week(page)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".st-key-week-player").get_by_role("slider")).not_to_have_attribute("aria-valuetext", first)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    settle(page)
    held = week(page)
    page.wait_for_timeout(2500)
    assert week(page) == held != first


def test_on_a_telephone_the_map_is_in_view(open_page: OpenPage, world: Path) -> None:
    page = open_page("/capacity?sheet=failures&fails=site:par-01", on=world, width=390, height=2600)
    seen = picture(page, lambda seen: bool(seen.shape[0] == map_view.NARROW.height))
    assert painted(seen, LAND["light"][0]) > 0.03
