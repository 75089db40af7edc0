"""What people write on the Capacity page, in a real browser: a scenario is kept and compared, and a capacity is edited,
saved, and seen by the plan.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.store import Scenarios, open_store, store_url
from data.store.capacity_edits import history, opened
from tests import lakes
from tests.browser.conftest import OpenPage, settle
from tests.futures import publish_futures

pytestmark = pytest.mark.browser

REGIONS = {site[0]: site[2] for site in lakes.SITES}
# Columns of the editor, after those of the row's mark and number; and milliseconds until a cell is chosen at the
# latest.
SITE, CAPACITY, CHOSEN = 2, 5, 20_000


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Twelve sites with futures; a lake of its own, for the test changes it."""
    where = tmp_path / "lake"
    made = lakes.full_lake(where, lakes.Plan(days=9))
    publish_futures(made, lakes.RUN, pd.Timestamp(lakes.Plan().end), dict.fromkeys(REGIONS, (60.0, 62.0)), REGIONS)
    return where


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


def test_a_scenario_is_kept_and_a_capacity_edited(open_page: OpenPage, lake: Path) -> None:
    page = open_page(
        "/capacity?sheet=scenarios&whatif=%5B%7B%22kind%22%3A%22growth%22%2C%22percent%22%3A40%7D%5D", on=lake
    )
    page.get_by_role("textbox", name="Your name").fill("Ada")
    page.get_by_role("textbox", name="Name of the scenario").fill("Forty percent")
    page.get_by_role("button", name="Save as a new one").click()
    expect(page.get_by_text("Open: Forty percent, revision 1; as kept")).to_be_visible()
    (kept,) = Scenarios(open_store(store_url(str(lake)))).listed(str(lake))
    assert (kept.name, kept.author, kept.body["changes"][0]["percent"]) == ("Forty percent", "Ada", 40.0)

    page.get_by_role("radio", name="Declared", exact=True).click()
    settle(page)
    before = opened(Lake(lake), EVERYTHING).rows.iloc[0]
    retype(page, CAPACITY, "777")
    expect(page.get_by_text("To be saved: 1 changed")).to_be_visible()
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("To be saved: 1 changed")).to_have_count(0)
    after = opened(Lake(lake), EVERYTHING).rows.iloc[0]
    assert (after["site_id"], after["capacity_gbps"]) == (before["site_id"], 777.0)
    assert history(Lake(lake))[["kind", "author"]].iloc[0].tolist() == ["edit", "Ada"]
