"""The shell in a real browser: links, keyboard, themes, narrow screens, and what goes over the wire."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from playwright.sync_api import Dialog, Page, expect

from data.lake.tables import Lake
from tests.browser.conftest import OpenPage, settle
from tests.small_lake import make_lake, publish_run

pytestmark = pytest.mark.browser

PAGES = ("/", "/region", "/data")


def asked(page: Page) -> dict[str, str]:
    """What the URL says."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query, keep_blank_values=True).items()}


def strip(page: Page) -> str:
    return page.locator(".st-key-strip").inner_text()


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return int(
        page.evaluate(
            "Math.max(...[document.documentElement, ...document.querySelectorAll('[data-testid=stMain]')].map(e => e.scrollWidth - e.clientWidth))"
        )
    )


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    ("scheme", "width", "ground"), [("light", 1440, "rgb(255, 255, 255)"), ("dark", 390, "rgb(16, 22, 29)")]
)
def test_a_page_opens_without_a_fault_and_never_scrolls_sideways(
    open_page: OpenPage, path: str, scheme: Literal["light", "dark"], width: int, ground: str
) -> None:
    page = open_page(path, scheme=scheme, width=width)
    assert "simulated network" in strip(page)
    assert "run 1" in strip(page)
    assert "wrong on this page" not in page.inner_text("body")
    assert page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor") == ground
    assert overflow(page) <= 0


def test_no_section_of_the_data_page_scrolls_sideways_on_a_narrow_screen(open_page: OpenPage) -> None:
    page = open_page("/data", width=390)
    for section in ("Completeness", "Snapshots", "Quarantine", "Versions", "Data dictionary"):
        page.get_by_text(section, exact=True).click()
        settle(page)
        assert overflow(page) <= 0, section


def test_the_url_is_completed_and_a_link_reproduces_the_page(open_page: OpenPage) -> None:
    page = open_page("/data")
    assert page.title() == "Data - Headroom"
    assert asked(page) == {"zone": "UTC", "section": "freshness", "table": "telemetry"}
    page.get_by_text("Data dictionary", exact=True).click()
    settle(page)
    assert asked(page)["section"] == "dictionary"
    again = open_page(urlsplit(page.url)._replace(scheme="", netloc="").geturl())
    assert asked(again) == asked(page)
    expect(again.get_by_role("combobox", name=re.compile("Table"))).to_be_visible()


def test_back_returns_to_what_was_shown_before(open_page: OpenPage) -> None:
    page = open_page("/data?zone=UTC&section=versions&table=telemetry")
    page.get_by_text("Snapshots", exact=True).click()
    settle(page)
    assert asked(page)["section"] == "snapshots"
    page.go_back()
    settle(page)
    assert asked(page)["section"] == "versions"
    assert "Older versions stay readable" in page.inner_text("body")


def test_the_zone_goes_along_to_another_page(open_page: OpenPage) -> None:
    page = open_page("/data?zone=viewer")
    assert "JST" in strip(page)
    page.get_by_role("link", name="Region").click()
    settle(page)
    assert urlsplit(page.url).path == "/region"
    assert asked(page)["zone"] == "viewer"
    assert "JST" in strip(page)


def test_search_works_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page("/data")
    box = page.get_by_role("combobox", name=re.compile("Find a site"))
    for _ in range(30):
        if box.evaluate("box => box === document.activeElement"):
            break
        page.keyboard.press("Tab")
    else:
        pytest.fail("the search box cannot be reached by the Tab key")
    page.keyboard.type("ashb")
    expect(page.get_by_role("option").first).to_contain_text("Ashburn")
    page.keyboard.press("Enter")
    page.wait_for_url("**/region?*")
    settle(page)
    assert (asked(page)["site"], asked(page)["region"]) == ("iad-01", "us-east")


def test_a_hostile_link_runs_nothing(open_page: OpenPage) -> None:
    page = open_page(
        "/region?site=%3Cscript%3Ewindow.struck%3D1%3C%2Fscript%3E&region=%3Cimg%20src%3Dx%20onerror%3D%22window.struck%3D1%22%3E&zone="
        + "x" * 10_000
    )
    assert page.evaluate("window.struck") is None
    assert "names a site that this lake does not have" in page.inner_text("body")
    assert asked(page)["site"] == "all"


def test_hostile_names_in_the_lake_run_nothing(open_page: OpenPage, hostile: Path) -> None:
    page = open_page("/region?site=iad-01", on=hostile)
    dialogs: list[str] = []

    def told(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", told)
    page.get_by_role("link", name="Overview").click()
    settle(page)
    assert '"><script>alert(1)</script>' in page.inner_text("body")
    assert dialogs == []


def test_an_empty_lake_is_waited_for_and_a_finished_refresh_appears(open_page: OpenPage, tmp_path: Path) -> None:
    where = tmp_path / "lake"
    page = open_page("/data", on=where)
    assert "No telemetry yet" in page.inner_text("body")
    assert f"python -m data demo --lake {where}" in page.inner_text("body")
    start = pd.Timestamp.now("UTC").floor("D")
    lake = make_lake(where, f"{start:%Y-%m-%d}", days=1, run=False)
    expect(page.locator(".st-key-strip")).to_contain_text("no forecast yet")
    note = {"done": 3, "total": 9, "message": ""}
    lake.write_note("refresh", {"state": "running", "updated": pd.Timestamp.now("UTC").isoformat(), **note})
    page.reload()
    expect(page.locator(".st-key-strip")).to_contain_text("Forecasts: 3 of 9 series")
    publish_run(lake, start)
    lake.write_note("refresh", {"state": "done", **note})
    expect(page.locator(".st-key-strip")).to_contain_text("run 88")
    expect(page.locator(".st-key-strip")).not_to_contain_text("Forecasts:")


def test_a_damaged_lake_is_told_in_words(open_page: OpenPage, tmp_path: Path) -> None:
    log = Lake(tmp_path / "lake")
    make_lake(tmp_path / "lake", "2026-11-01", days=1)
    for path in Path(log.url).glob("telemetry/date=*/*.parquet"):
        path.write_text("truncated")
    page = open_page("/data", on=tmp_path / "lake")
    shown = page.inner_text("body")
    assert "This page cannot be shown" in shown
    assert "What mends it:" in shown
    assert "Traceback" not in shown


def test_the_outline_of_the_map_is_served(open_page: OpenPage) -> None:
    page = open_page("/data")
    answer = page.request.get(urlsplit(page.url)._replace(path="/app/static/countries-110m.geojson", query="").geturl())
    assert answer.status == 200
    assert answer.json()["type"] == "FeatureCollection"
