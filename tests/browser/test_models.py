"""The Models page in a real browser: from the network to one series, its backtests, a refit and the runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from data import queries
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from tests.browser.conftest import OpenPage, overflow, settle
from tests.browser.pictures import asked
from tests.conftest import SharedLake
from tests.judged_runs import judged_lake

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def judged(shared_lake: SharedLake) -> Path:
    """Six sites, forty-four days, and two runs with licences, backtests and scores."""
    return shared_lake("judged", judged_lake)


def open_part(page: Page, label: str) -> None:
    page.get_by_text(label, exact=True).first.click()
    settle(page)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    assert overflow(page) <= 0, label
    assert "wrong on this page" not in page.inner_text("body"), label


def test_every_part_from_the_network_to_the_runs_on_a_dark_telephone(open_page: OpenPage, judged: Path) -> None:
    page = open_page("/models?site=nrt-01&open=models", on=judged, scheme="dark", width=390)
    body = page.locator("body")
    expect(body).to_contain_text("Egress of Tokyo 1, next 7 days: typically off by")
    expect(page.locator(".st-key-rivals-error .js-plotly-plot")).to_contain_text("2 to 7 days ahead")
    page.get_by_text("How it was decided").click()
    expect(page.locator(".st-key-licence")).to_contain_text("last week")
    expect(page.locator(".st-key-leaderboard-0 .js-plotly-plot")).to_be_visible()
    open_part(page, "Backtests")
    expect(page.locator(".st-key-backtest .js-plotly-plot")).to_contain_text("origin: nothing after it was known")
    expect(page.locator(".st-key-coverage .js-plotly-plot")).to_be_visible()
    open_part(page, "Components")
    expect(page.locator(".st-key-refit .js-plotly-plot")).to_contain_text("published and refitted")
    expect(body).to_contain_text("Unpublished")
    open_part(page, "Runs")
    expect(page.locator(".st-key-drift .js-plotly-plot")).to_be_visible()
    with page.expect_download() as picture:
        page.get_by_role("button", name="SVG of Tokyo 1 drift").click()
    assert picture.value.suggested_filename == "Tokyo-1-drift.svg"
    drawing = Path(picture.value.path()).read_text(encoding="utf-8")
    for said in ("Backtest error from run to run", "as of 2026-03-20 00:00 UTC, version 1, run 2"):
        assert said in drawing
    assert {"part": "runs", "site": "nrt-01"}.items() <= asked(page).items()


def test_a_click_on_a_name_shows_its_series_and_another_place_can_be_chosen_after_it(
    open_page: OpenPage, judged: Path
) -> None:
    level, key = queries.series_accuracy(Lake(judged).pin(), EVERYTHING).loc[0, ["level", "key"]]
    page = open_page("/models?open=series", on=judged)
    page.locator(".dvn-scroller").click(position={"x": 60, "y": 55})
    expect(page).to_have_url(re.compile(f"{level}={key}"))
    settle(page)
    page.get_by_role("combobox", name=re.compile("Metric")).click()
    page.get_by_role("option", name="Viewers").click()
    expect(page).to_have_url(re.compile("metric=viewers"))
