"""What people come for, by clicks alone, at a desk and on a dark telephone: is the network healthy, what must one partner
deliver, what does an event change, what if a site fails, how do two regions compare; and the way back.
"""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, overflow, settle
from tests.browser.pictures import reached

pytestmark = pytest.mark.browser
Scheme = Literal["light", "dark"]


def go(page: Page, name: str) -> None:
    """Open another page by the navigation, which a telephone folds behind a button."""
    narrow = page.viewport_size is not None and page.viewport_size["width"] < 640
    if narrow:
        page.get_by_test_id("stExpandSidebarButton").click()
        page.wait_for_timeout(500)
    page.get_by_role("link", name=name, exact=True).first.click()
    reached(page, "/" if name == "Overview" else f"/{name.lower()}")
    if narrow:
        expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")


def pick(page: Page, label: str | re.Pattern[str], option: str) -> None:
    """Choose an option of a list by typing its first letters."""
    page.get_by_role("combobox", name=label).click()
    page.keyboard.type(option)
    page.keyboard.press("Enter")
    settle(page)


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_people_get_their_answers_by_clicks(open_page: OpenPage, width: int, height: int, scheme: Scheme) -> None:
    narrow = width < 640
    page = open_page("/", width=width, height=height, scheme=scheme)
    verdict = page.get_by_text(re.compile(r"^12 sites: .*over their limit|^12 sites: .*over its limit"))
    expect(verdict).to_be_in_viewport()

    # An event of three days, 30 % more, at one site: the page goes to what changes.
    go(page, "Capacity")
    page.locator("summary", has_text="What if").click()
    pick(page, "Where", "Paris")
    page.get_by_role("button", name="Add to the what-if").click()
    reached(page, grade="changed")
    expect(page.locator(".st-key-what-if-drop-0")).to_be_visible()

    # A site fails.
    page.get_by_role("radio", name="Failures", exact=True).click()
    reached(page, sheet="failures")
    pick(page, "What fails", "Frankfurt")
    expect(page.get_by_text(re.compile("^If Frankfurt fails"))).to_be_visible()
    assert overflow(page) <= 0

    # Two regions, week against week by hour of week; and the way back.
    go(page, "Region")
    pick(page, re.compile("Compare with"), "US East")
    page.keyboard.press("Escape")
    page.get_by_role("radio", name="By hour of week").click()
    settle(page)
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    assert overflow(page) <= 0
    page.go_back()
    settle(page)
    assert "/region" in page.url

    # A partner's sites, dates and Gbps.
    go(page, "Overview")
    if narrow:
        page.get_by_role("button", name=re.compile("Filters")).click()
    pick(page, re.compile("Partner"), "Northwind")
    reached(page, partner="Northwind")
    page.keyboard.press("Escape")
    go(page, "Capacity")
    reached(page, partner="Northwind", sheet="failures")
    page.get_by_role("radio", name="What runs out", exact=True).click()
    reached(page, partner="Northwind", sheet="runout")
    expect(page.get_by_text(re.compile("1 of 5 sites is over 80 % of its egress capacity"))).to_be_visible()
    expect(page.get_by_text(re.compile("Fjord|Meridian"))).to_have_count(0)
