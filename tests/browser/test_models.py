"""The Models page in a real browser: from the network to one series, its backtests, a refit, and back by the link."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from data import queries
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from tests.browser.conftest import OpenPage, SharedLake, settle
from tests.judged_runs import judged_lake

pytestmark = pytest.mark.browser

OVERFLOW = "Math.max(...[document.documentElement, ...document.querySelectorAll('[data-testid=stMain]')].map(e => e.scrollWidth - e.clientWidth))"


@pytest.fixture(scope="session")
def judged(shared_lake: SharedLake) -> Path:
    """Six sites, forty-four days, and two runs with licences, backtests and scores."""
    return shared_lake("judged", judged_lake)


def asked(page: Page, name: str) -> str:
    return parse_qs(urlsplit(page.url).query)[name][0]


def open_part(page: Page, label: str) -> None:
    page.get_by_text(label, exact=True).first.click()
    settle(page)


def test_from_the_network_to_a_refit_and_back_by_its_link(open_page: OpenPage, judged: Path) -> None:
    page = open_page("/models?site=nrt-01", on=judged)
    body = page.locator("body")
    expect(body).to_contain_text("Licensed, 0-24 h")
    expect(body).to_contain_text("Where to look")
    expect(page.locator(".st-key-licence")).to_contain_text("seasonal naive")
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
    assert (asked(page, "part"), asked(page, "site")) == ("runs", "nrt-01")
    again = open_page(urlsplit(page.url)._replace(scheme="", netloc="").geturl(), on=judged)
    expect(again.locator(".st-key-drift .js-plotly-plot")).to_be_visible()


def test_a_selected_row_shows_its_series_and_another_place_can_be_chosen_after_it(
    open_page: OpenPage, judged: Path
) -> None:
    rows = queries.calibration(Lake(judged).pin(), EVERYTHING)
    inside = (
        rows[(rows["model"] == "licensed") & (rows["nominal"] == 0.95)]
        .groupby(["level", "key", "metric"])["observed"]
        .mean()
    )
    level, key, _ = inside.idxmin()
    page = open_page("/models", on=judged)
    page.locator(".st-key-trust-series .dvn-scroller").click(position={"x": 18, "y": 55})
    expect(page).to_have_url(re.compile(f"{level}={key}"))
    settle(page)
    page.get_by_role("combobox", name=re.compile("Metric")).click()
    page.get_by_role("option", name="Viewers").click()
    expect(page).to_have_url(re.compile("metric=viewers"))


def test_no_part_scrolls_sideways_on_a_narrow_dark_screen(open_page: OpenPage, judged: Path) -> None:
    page = open_page("/models?site=nrt-01", on=judged, scheme="dark", width=390)
    for part in ("Drawn and why", "Backtests", "Components", "Runs"):
        open_part(page, part)
        expect(page.locator(".js-plotly-plot").first).to_be_visible()
        assert int(page.evaluate(OVERFLOW)) <= 0, part
        assert "wrong on this page" not in page.inner_text("body"), part


def test_the_region_page_says_what_is_drawn(open_page: OpenPage, judged: Path) -> None:
    page = open_page("/region?site=nrt-01&range=28d&show=forecast,peaks,prophet,baseline", on=judged)
    expect(page.locator("body")).to_contain_text("Egress, drawn:")
    expect(page.locator(".st-key-place .js-plotly-plot")).to_contain_text("peak of week")
