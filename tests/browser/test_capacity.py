"""The Capacity page in a real browser: a choice changes link and chart, orders are saved as files, a click on the
failure map lets another site fail, the weeks play, and what people write is kept.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app import theme
from app.charts.map_layers import LAND
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.store.capacity_edits import history, opened
from tests import lakes
from tests.browser.conftest import HOSTILE, REGIONS, OpenPage, settle
from tests.browser.pictures import click_on_map, covered, painted, picture, reached, saved, spot, until
from tests.small_lake import make_lake, publish_run

pytestmark = pytest.mark.browser

# A window that holds the whole map: what is scrolled to lies between two pixels.
TALL = 1600
SITES = pd.DataFrame(
    [row[:7] for row in lakes.SITES], columns=["site_id", "name", "region_id", "region_name", "country", "lat", "lon"]
)
# What the map is fitted to when the east fails: its sites with futures, for nobody else is near enough to take over.
FAILED = SITES[(SITES["region_id"] == "us-east") & (SITES["site_id"] != HOSTILE)]
# Columns of the editor, after those of the row's mark and number; and milliseconds until a cell is chosen at the
# latest.
SITE, CAPACITY, CHOSEN = 2, 5, 20_000


def test_a_choice_changes_chart_and_link_and_the_plan_is_saved_as_table_calendar_and_file(open_page: OpenPage) -> None:
    page = open_page("/capacity?focus=site:par-01")
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    expect(page.locator(".js-plotly-plot").nth(1)).to_contain_text("Egress of Paris against its limit")
    downloads = page.get_by_test_id("stDownloadButton")
    name, csv = saved(page, downloads.get_by_role("button", name="CSV").first)
    assert name == "plan.csv"
    rows = pd.read_csv(io.BytesIO(csv)).set_index("key")
    assert set(rows.index) == set(REGIONS)
    assert pd.isna(rows.loc["dfw-01", "run_out_p50"])
    name, text = saved(page, downloads.get_by_role("button", name="ICS"))
    assert name == "orders.ics"
    assert b"for par-01" in text
    _, plan = saved(page, downloads.get_by_role("button", name="JSON"))
    assert {row["key"] for row in json.loads(plan)["rows"]} == set(REGIONS)
    name, png = saved(page, page.get_by_role("button", name="PNG of Run-out map"))
    assert name == "Run-out-map.png"
    drawn = Image.open(io.BytesIO(png)).convert("RGB")
    colours = drawn.crop((0, 60, drawn.width, drawn.height // 2)).getcolors(drawn.width * drawn.height) or []
    assert len(colours) > 5, "land and sites, not a blank"
    page.get_by_role("radio", name="Weekly P95", exact=True).click()
    reached(page, statistic="p95", focus="site:par-01")
    expect(page.locator(".js-plotly-plot").nth(1)).to_contain_text("P95 of each week")
    # An event of 30 % on three days at a site, and what it changes.
    page.get_by_text("What if?", exact=True).click()
    place = page.get_by_role("combobox", name="Where")
    place.click()
    page.keyboard.type("Paris")
    page.keyboard.press("Enter")
    settle(page)
    page.get_by_role("button", name="Add to the what-if").click()
    reached(page, grade="changed")
    expect(page.get_by_text("An event of +30 % for 4 hours a day on 3 days")).to_be_visible()
    expect(page.get_by_text("With the what-if")).to_be_visible()


def week(page: Page) -> str:
    return str(page.locator(".st-key-week-player").get_by_role("slider").get_attribute("aria-valuetext"))


def test_a_failed_region_is_crossed_out_a_click_lets_another_site_fail_and_the_weeks_play(open_page: OpenPage) -> None:
    page = open_page("/capacity?sheet=failures&fails=region:us-east", height=TALL, scheme="dark")
    cross = theme.PALETTES["dark"].words["capacity"]
    seen = picture(page, lambda seen: painted(seen, cross) > 0)
    for site in ("mia-01", "chi-01"):
        assert covered(page, seen, spot(page, site, FAILED), LAND["dark"][0])
    until(page, lambda: click_on_map(page, *spot(page, "mia-01", FAILED)), lambda: "fails=site%3Amia-01" in page.url)
    reached(page, fails="site:mia-01")
    expect(page.get_by_role("combobox", name="What fails")).to_have_value("Miami")
    first = week(page)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".st-key-week-player").get_by_role("slider")).not_to_have_attribute("aria-valuetext", first)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    settle(page)
    held = week(page)
    page.wait_for_timeout(2000)
    assert week(page) == held != first


def retype(page: Page, column: int, text: str) -> None:
    """Choose the site of the editor's first row by a click, walk to a column, and type over what stands there."""
    box = page.get_by_test_id("stDataFrame").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 250, box["y"] + 55)
    for place in range(SITE, column + 1):
        expect(page.get_by_test_id(f"glide-cell-{place}-0").first).to_have_attribute(
            "aria-selected", "true", timeout=CHOSEN
        )
        page.keyboard.press("ArrowRight" if place < column else "Enter")
    field = page.locator("#portal input")
    expect(field).to_be_focused(timeout=CHOSEN)
    page.keyboard.press("Control+A")
    page.keyboard.type(text, delay=30)
    expect(field).to_have_value(text, timeout=CHOSEN)
    # The grid takes what its field says a render later than the field shows it.
    page.evaluate("new Promise(idle => requestIdleCallback(() => requestAnimationFrame(() => setTimeout(idle, 200))))")
    page.keyboard.press("Enter")
    settle(page)


def test_an_empty_lake_fills_while_it_is_looked_at_and_its_capacity_is_edited(
    open_page: OpenPage, tmp_path: Path
) -> None:
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

    page.get_by_role("link", name="Capacity").click()
    reached(page, "/capacity")
    page.get_by_role("radio", name="Declared", exact=True).click()
    reached(page, sheet="declared")
    page.get_by_role("textbox", name="Your name").fill("Ada")
    before = opened(Lake(where), EVERYTHING).rows.iloc[0]
    retype(page, CAPACITY, "777")
    expect(page.get_by_text("To be saved: 1 changed")).to_be_visible()
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("To be saved: 1 changed")).to_have_count(0)
    after = opened(Lake(where), EVERYTHING).rows.iloc[0]
    assert (after["site_id"], after["capacity_gbps"]) == (before["site_id"], 777.0)
    assert history(Lake(where))[["kind", "author"]].iloc[0].tolist() == ["edit", "Ada"]
