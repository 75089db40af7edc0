"""Networks that nobody made up, in a real browser: two public data sets become lakes by their recipes, and every view
opens on them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from playwright.sync_api import Page

from app.charts.map_layers import LAND
from tests.browser.conftest import ROOT, OpenPage
from tests.browser.pictures import drawn, land, picture

pytestmark = [pytest.mark.browser, pytest.mark.real, pytest.mark.slow]

FAULTS = ("Traceback", "cannot be shown", "Something went wrong", "Error:")
# The Region page draws one chart of the place and one for each of its sites, up to twelve.
CHARTS = {"/region": 13, "/region?site={site}&range=all": 1, "/data?section=completeness": 1}
SECTIONS = ("freshness", "snapshots", "versions", "dictionary")


class Network(NamedTuple):
    """A data set: its folder and recipe, a site that forecasts are made for, the year that it ends in, what its
    Overview and Capacity pages must say, and how
    many charts of coming weeks its Region page has: a fortnight foretells none, more than that the peak and the P95 of
    egress.
    """

    name: str
    site: str
    year: str
    says: str
    plan: str
    weeks: int


NETWORKS = (
    Network("abilene", "NYCMng", "2004", "All 12 sites are within their limits", "too little history to plan from", 0),
    Network(
        "p2p_live", "FR", "2020", "No capacity is declared for any site", "No capacity is declared for these sites", 2
    ),
)


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: network.name)
def network(request: pytest.FixtureRequest) -> Network:
    found: Network = request.param
    return found


@pytest.fixture(scope="module")
def real_lake(network: Network, datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set as a lake, by the documented command, and a run."""
    where = tmp_path_factory.mktemp(network.name) / "lake"
    command("data", "ingest", str(datasets / network.name), "--recipe", network.name, "--lake", str(where))
    command(
        "forecasting",
        "refresh",
        "--quiet",
        "--workers",
        "1",
        "--lake",
        str(where),
    )
    return where


def command(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-2000:]}"


def without_fault(page: Page, network: Network) -> str:
    """What the page says, which is no error, and that its telemetry is old."""
    shown = page.inner_text("body")
    assert [fault for fault in FAULTS if fault in shown] == []
    told = page.locator(".st-key-strip").inner_text()
    assert "stale" in told
    assert f"{network.year} 00:00 UTC" in told
    assert "simulated" not in told
    return shown


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_overview_opens(
    open_page: OpenPage, real_lake: Path, network: Network, scheme: Literal["light", "dark"], width: int
) -> None:
    page = open_page("/", on=real_lake, width=width, height=1200, scheme=scheme)
    assert network.says in without_fault(page, network)
    assert land(picture(page)) > 0.02, LAND[scheme]


@pytest.mark.parametrize("path", CHARTS)
def test_no_chart_is_empty(open_page: OpenPage, real_lake: Path, network: Network, path: str) -> None:
    page = open_page(path.format(site=network.site), on=real_lake, scheme="dark")
    without_fault(page, network)
    drawn(page, CHARTS[path] + network.weeks * path.startswith("/region"))
    if path.startswith("/region"):
        assert "expected" in page.locator(".st-key-place").inner_text(), (
            "the forecast is drawn beside what was measured"
        )


def test_every_section_of_the_data_opens(open_page: OpenPage, real_lake: Path, network: Network) -> None:
    page = open_page("/data", on=real_lake, width=390)
    for section in SECTIONS:
        page.get_by_role(
            "radio", name="Data dictionary" if section == "dictionary" else section.capitalize(), exact=True
        ).click()
        page.wait_for_url(f"**section={section}*")
        page.get_by_test_id("stDataFrame").locator("canvas").first.wait_for()
        without_fault(page, network)


@pytest.mark.parametrize(
    ("path", "says"),
    [("/models", "licensed"), ("/models?part=backtests", "Backtest"), ("/models?part=components", "Unpublished")],
)
def test_the_models_open(open_page: OpenPage, real_lake: Path, network: Network, path: str, says: str) -> None:
    page = open_page(
        f"{path}{'&' if '?' in path else '?'}site={network.site}&metric=egress_gbps", on=real_lake, scheme="dark"
    )
    page.locator(".js-plotly-plot .trace").first.wait_for(state="attached")
    assert says in without_fault(page, network)


@pytest.mark.parametrize("width", [1440, 390])
def test_the_plan_opens_or_says_why_it_cannot(
    open_page: OpenPage, real_lake: Path, network: Network, width: int
) -> None:
    page = open_page(f"/capacity?focus=site:{network.site}", on=real_lake, width=width)
    assert network.plan in without_fault(page, network)
