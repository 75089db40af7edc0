"""The shell in a real browser: links, history, keyboard, and hostile text."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import HOSTILE, SCRIPT, OpenPage, settle
from tests.browser.pictures import asked, reached

pytestmark = pytest.mark.browser


def strip(page: Page) -> str:
    return page.locator(".st-key-strip").inner_text()


def test_a_link_reproduces_the_page_back_returns_and_search_works_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page("/data?zone=viewer")
    assert page.title() == "Data - Headroom"
    assert "simulated network" in strip(page)
    assert "run 1" in strip(page)
    assert "JST" in strip(page), "the viewer sits in Tokyo"
    assert asked(page) == {"zone": "viewer", "section": "freshness", "table": "telemetry"}
    opened = page.evaluate("history.length")
    page.get_by_text("Data dictionary", exact=True).click()
    reached(page, section="dictionary")
    assert page.evaluate("history.length") == opened + 1, "one click is one entry"
    again = open_page(urlsplit(page.url)._replace(scheme="", netloc="").geturl())
    assert asked(again) == asked(page)
    expect(again.get_by_role("combobox", name=re.compile("Table"))).to_be_visible()

    again.get_by_text("Versions", exact=True).click()
    reached(again, section="versions")
    assert "Older versions stay readable" in again.inner_text("body")
    again.go_back()
    reached(again, section="dictionary")
    expect(again.get_by_role("combobox", name=re.compile("Table"))).to_be_visible()

    again.keyboard.press("?")
    expect(again.get_by_text("Copy link")).to_be_visible()
    expect(
        again.locator(".st-key-share, [data-testid=stPopoverBody]").get_by_text("section=dictionary")
    ).to_be_visible()
    again.keyboard.press("Escape")
    box = again.get_by_role("combobox", name=re.compile("Find a site"))
    again.keyboard.press("/")
    expect(box).to_be_focused()
    again.keyboard.type("ashb")
    expect(again.get_by_role("option").first).to_contain_text("Ashburn")
    again.keyboard.press("Enter")
    again.wait_for_url("**/region?*")
    settle(again)
    assert {"site": "iad-01", "region": "us-east", "zone": "viewer"}.items() <= asked(again).items()
    assert "JST" in strip(again), "the zone goes along to another page"
    again.go_back()
    reached(again, section="dictionary")
    assert again.title() == "Data - Headroom", "a page that was left is one press away"

    again.locator(".st-key-welcome-dismiss button").click()
    expect(again.locator(".st-key-welcome")).to_have_count(0)
    again.reload()
    settle(again)
    expect(again.locator(".st-key-welcome")).to_have_count(0)
    footer = again.locator(".st-key-print-footer")
    expect(footer).to_be_hidden()
    again.emulate_media(media="print")
    expect(footer).to_contain_text("Headroom, Data \u00b7 all sites \u00b7 as of")
    expect(again.locator(".st-key-share")).to_be_hidden()


def test_hostile_links_and_names_run_nothing(open_page: OpenPage) -> None:
    image = "%3Cimg%20src%3Dx%20onerror%3D%22window.struck%3D1%22%3E"
    script = "%3Cscript%3Ewindow.struck%3D1%3C%2Fscript%3E"
    page = open_page(f"/region?site={script}&region={image}&zone={'x' * 10_000}")
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    assert page.evaluate("window.struck") is None
    assert "names a site that this lake does not have" in page.inner_text("body")
    assert asked(page)["site"] == "all"
    page.get_by_role("combobox", name="Region", exact=True).click()
    page.get_by_role("option", name="US East", exact=True).click()
    reached(page, region="us-east")
    page.get_by_role("combobox", name="Site", exact=True).click()
    page.get_by_role("option", name=SCRIPT, exact=True).click()
    reached(page, site=HOSTILE)
    assert SCRIPT in page.inner_text("body")
