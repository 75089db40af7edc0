"""Networks that nobody made up: two public data sets become lakes by their recipes, and every view opens on them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.conftest import Opener
from tests.conftest import SharedLake
from tests.real_lakes import NETWORKS, Network, real_lake

pytestmark = [pytest.mark.real, pytest.mark.slow]

FAULTS = ("Traceback", "cannot be shown", "Something went wrong", "Error:", "wrong on this page")


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: network.name)
def network(request: pytest.FixtureRequest) -> Network:
    chosen: Network = request.param
    return chosen


@pytest.fixture(scope="module")
def lake(network: Network, datasets: Path, shared_lake: SharedLake) -> Path:
    return real_lake(network, datasets, shared_lake)


def words(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.code, page.warning, page.info, page.success, page.error)
    values = [element.value for kind in kinds for element in kind]
    return "\n".join([*values, *(f"{metric.label} {metric.value} {metric.delta}" for metric in page.metric)])


def without_fault(page: AppTest, network: Network) -> str:
    """What the page says, which is no error, and that its telemetry is old."""
    assert not page.exception
    shown = words(page)
    assert [fault for fault in FAULTS if fault in shown] == []
    assert "stale" in shown
    assert f"{network.year} 00:00 UTC" in shown
    assert "simulated network" not in shown
    return shown


def test_the_overview_says_how_the_network_is(open_page: Opener, lake: Path, network: Network) -> None:
    assert network.says in without_fault(open_page("overview", lake), network)


def test_the_region_opens_on_all_sites_and_on_one(open_page: Opener, lake: Path, network: Network) -> None:
    without_fault(open_page("region", lake), network)
    without_fault(open_page("region", lake, site=network.site, range="all"), network)


@pytest.mark.parametrize("section", ["freshness", "completeness", "snapshots", "versions", "dictionary"])
def test_every_section_of_the_data_opens(open_page: Opener, lake: Path, network: Network, section: str) -> None:
    page = open_page("data", lake, section=section)
    without_fault(page, network)
    assert page.dataframe or page.get("plotly_chart")


@pytest.mark.parametrize(("part", "says"), [("verdict", "typically off by"), ("components", "Unpublished")])
def test_the_models_open(open_page: Opener, lake: Path, network: Network, part: str, says: str) -> None:
    page = open_page("models", lake, part=part, site=network.site, metric="egress_gbps")
    assert page.get("plotly_chart")
    assert says in without_fault(page, network)


def test_a_backtest_is_held_against_what_came(open_page: Opener, lake: Path, network: Network) -> None:
    page = open_page("models", lake, part="backtests", site=network.site, metric="egress_gbps")
    without_fault(page, network)
    chart = page.get("plotly_chart")[0].proto
    figure = json.loads(chart.spec)
    assert {"actual", "expected", "Prophet", "baseline", "95 % band, upper bound"} <= {
        trace.get("name") for trace in figure["data"]
    }
    assert "origin: nothing after it was known" in " ".join(note["text"] for note in figure["layout"]["annotations"])
    told = re.search(
        r"([\d.]+) % of (\d+) hours lay inside the 95 % interval, error ([\d.]+) % of what was measured", chart.alt
    )
    assert told, chart.alt
    covered, hours, error = map(float, told.groups())
    assert 60 <= covered <= 100
    assert hours >= 72
    assert 0 < error < 60


def test_the_plan_opens_or_says_why_it_cannot(open_page: Opener, lake: Path, network: Network) -> None:
    page = open_page("capacity", lake, focus=f"site:{network.site}")
    assert network.plan in without_fault(page, network)
