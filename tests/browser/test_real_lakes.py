"""A network that nobody made up, in a real browser: its map and its charts are drawn on a dark screen. What the
pages of it and of another say is tested without a browser, in tests/app/test_real_pages.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.pictures import drawn, land, picture, reached
from tests.conftest import SharedLake
from tests.real_lakes import NETWORKS, real_lake

pytestmark = [pytest.mark.browser, pytest.mark.real, pytest.mark.slow]

# Traffic with its quality, and the sites side by side.
CHARTS = 2


def test_map_and_charts_are_drawn(open_page: OpenPage, datasets: Path, shared_lake: SharedLake) -> None:
    page = open_page("/", on=real_lake(NETWORKS[0], datasets, shared_lake), height=1200, scheme="dark")
    assert land(picture(page)) > 0.02
    page.get_by_role("link", name="Region").first.click()
    reached(page, "/region")
    drawn(page, CHARTS, or_more=True)
    assert "wrong on this page" not in page.inner_text("body")
    assert "expected" in page.locator(".st-key-place").inner_text(), "the forecast stands beside the measured"
