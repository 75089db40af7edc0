"""Networks that nobody made up, in a real browser: the map and every kind of chart are drawn, on a wide light screen and
on a narrow dark one. What the pages say is tested without a browser, in tests/app/test_real_pages.py.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import OpenPage, settle
from tests.browser.pictures import drawn, land, picture
from tests.real_lakes import Network, SharedLake, for_each_network, real_lake

pytestmark = [pytest.mark.browser, pytest.mark.real, pytest.mark.slow]

FAULTS = ("Traceback", "cannot be shown", "Something went wrong", "Error:")


@for_each_network
def test_maps_and_charts_are_drawn(
    open_page: OpenPage, network: Network, datasets: Path, shared_lake: SharedLake
) -> None:
    lake = real_lake(network, datasets, shared_lake)
    page = open_page("/", on=lake, height=1200)
    assert land(picture(page)) > 0.02
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 1200})
    page.reload()
    settle(page)
    assert land(picture(page)) > 0.02
    address = urlsplit(page.url)
    charts = {
        "/region": network.charts,
        f"/region?site={network.site}&range=all": 1,
        "/data?section=completeness": 1,
    }
    for path, count in charts.items():
        page.goto(f"{address.scheme}://{address.netloc}{path}")
        settle(page)
        drawn(page, count, or_more=True)
        shown = page.inner_text("body")
        assert [fault for fault in FAULTS if fault in shown] == []
        if path.startswith("/region"):
            assert "expected" in page.locator(".st-key-place").inner_text(), "the forecast stands beside the measured"
