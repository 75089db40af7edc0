"""Every page against the rules of axe-core, in both themes."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from app.state import CARRIED
from tests.browser.conftest import OpenPage, settle
from tests.conftest import SharedLake
from tests.judged_runs import judged_lake

pytestmark = pytest.mark.browser

GRAVE = {"serious", "critical"}
# Faults of Streamlit's own: rule, and what stands in the path of the element.
ALLOWED = {
    # The line in a metric is drawn by Vega, whose marks have roles and no names; the metric itself says its value.
    ("svg-img-alt", "metric_chart"),
}


def faults(page: Page) -> list[str]:
    """Each element that breaks a rule gravely, or the order of headings."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]}"
        for rule in found
        if rule["impact"] in GRAVE or rule["id"] == "heading-order"
        for node in rule["nodes"]
        if not any(rule["id"] == name and part in str(node["target"]) for name, part in ALLOWED)
    ]


@pytest.mark.parametrize("path", sorted(CARRIED))
def test_a_page_breaks_no_grave_rule_in_either_theme_and_has_one_heading_of_the_first_level(
    open_page: OpenPage, shared_lake: SharedLake, path: str
) -> None:
    on: Path | None = shared_lake("judged", judged_lake) if path == "models" else None
    page = open_page(f"/{path}?open=series,licence", on=on)
    assert [title.casefold() for title in page.locator("h1").all_inner_texts()] == [path]
    assert faults(page) == []
    page.emulate_media(color_scheme="dark")
    settle(page)
    assert faults(page) == []
