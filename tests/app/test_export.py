"""What one may take away: CSV that no spreadsheet runs, and pictures made in the browser."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from streamlit.testing.v1 import AppTest

from app.components.export import FORMULA, csv, file_name, guarded, settings

ROOT = Path(__file__).resolve().parents[2]
# A page with two linked panels and two single charts, as a view would draw them.
PAGE = """
import numpy as np
import pandas as pd
import streamlit as st

from app.charts.panels import linked_figure
from app.charts.timeseries import TrafficChart, traffic_chart, traffic_panel
from app.components import export

st.set_page_config(layout="wide")
now = pd.Timestamp("2026-11-20", tz="UTC")
ts = pd.date_range(now - pd.Timedelta(7, "D"), now, freq="h").as_unit("us")
history = pd.DataFrame({"ts": ts, "value": 100 + 10 * np.sin(np.arange(len(ts)))})
both = [TrafficChart(name, name, "hourly mean", ts[0], now, now, history) for name in ("egress_gbps", "ingest_gbps")]
figure = linked_figure([traffic_panel(one) for one in both], start=ts[0], end=now, zone="UTC", scheme="light")
export.chart(figure, key="place", name="Europe West", alt="Egress and ingest", data=lambda: history, units={"value": "Gbps"})
one = traffic_chart(both[0])
export.charts({"a": (one, "A"), "b": (one, "B")}, columns=2, key="sites", name="sites", data=history)
"""


def read(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


@pytest.mark.parametrize("start", FORMULA)
def test_text_that_a_spreadsheet_would_run_is_disarmed(start: str) -> None:
    hostile = f'{start}cmd|"/c calc"!A1'
    frame = pd.DataFrame({"name": [hostile, "plain"], "kind": pd.Categorical([hostile, "x"]), "mixed": [hostile, 4.5]})
    found = read(csv(frame))
    assert found["name"].str.startswith("'").tolist() == [True, False]
    assert found["name"][0].endswith('cmd|"/c calc"!A1')
    assert found["kind"].str.startswith("'").tolist() == [True, False]
    assert found["mixed"].tolist()[1] == "4.5"


def test_a_hostile_column_name_is_disarmed() -> None:
    assert csv(pd.DataFrame({"=cmd()": [1]})) == b"'=cmd()\n1\n"


def test_numbers_below_zero_stay_numbers() -> None:
    assert csv(pd.DataFrame({"change": [-1.5, 2.0]})) == b"change\n-1.5\n2.0\n"


@given(st.text(min_size=1))
def test_no_text_begins_like_a_formula(text: str) -> None:
    assert not guarded(text).startswith(FORMULA)
    assert guarded(text).removeprefix("'") == text.removeprefix("'")


def test_stamps_are_iso_with_the_zone_and_missing_is_empty() -> None:
    stamps = pd.Series([pd.Timestamp("2026-07-01 12:00", tz="UTC"), pd.NaT], dtype="datetime64[us, UTC]")
    frame = pd.DataFrame({"ts": stamps, "value": [1.25, None]})
    assert (
        csv(frame, {"value": "Gbps"}, "Europe/Berlin").decode()
        == "ts,value [Gbps]\n2026-07-01T14:00:00+02:00,1.25\n,\n"
    )


def test_names_of_all_the_world_survive() -> None:
    assert read(csv(pd.DataFrame({"city": ["S\u00e3o Paulo", "\u6771\u4eac"]})))["city"].tolist() == [
        "S\u00e3o Paulo",
        "\u6771\u4eac",
    ]


def test_values_are_not_rounded() -> None:
    assert float(read(csv(pd.DataFrame({"v": [0.1 + 0.2]})))["v"][0]) == 0.1 + 0.2


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Europe West, 3 to 9 Dec", "Europe-West-3-to-9-Dec"),
        ("../../etc/passwd", "etc-passwd"),
        ("", "headroom"),
        ("x" * 500, "x" * 100),
    ],
)
def test_file_names_are_plain(name: str, safe: str) -> None:
    assert file_name(name) == safe


def test_pictures_are_named_after_the_chart() -> None:
    assert settings("a/b")["toImageButtonOptions"] == {"format": "png", "filename": "a-b", "scale": 2}


def test_a_chart_has_its_alternative_text_and_its_csv() -> None:
    page = AppTest.from_string(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{PAGE}", default_timeout=60).run()
    assert not page.exception
    assert [chart.proto.alt for chart in page.get("plotly_chart")] == ["Egress and ingest", "A", "B"]
    assert len(page.get("download_button")) == 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page, served."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "page.py").write_text(PAGE, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(folder / "page.py"),
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    told = ["--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none", "--server.address", "127.0.0.1"]
    with subprocess.Popen(
        [*command, *told], env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/_stcore/health")
        yield address
        process.terminate()


def wait_for(address: str) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"nothing answers at {address}")


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])


@pytest.fixture
def page(server: str, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    yield opened(context.new_page(), server)
    context.close()


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    page.locator(".js-plotly-plot").nth(2).wait_for(timeout=60_000)
    page.get_by_role("button", name="CSV").nth(1).wait_for(timeout=60_000)
    return page


def axes(page: Page) -> list[str]:
    """The time ranges of the first figure's axes."""
    return page.evaluate(
        "() => { const l = document.querySelector('.js-plotly-plot')._fullLayout; return ['xaxis', 'xaxis2'].map((name) => l[name].range.join(' ')) }"
    )


def saved(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download(timeout=30_000) as download:
        page.get_by_role("button", name=button).first.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


@pytest.mark.browser
def test_the_browser_saves_png_svg_and_csv(page: Page, tmp_path: Path) -> None:
    box = page.locator(".js-plotly-plot").first.bounding_box()
    assert box
    picture = saved(page, "PNG of Europe West", tmp_path)
    assert picture.name == "Europe-West.png"
    with Image.open(picture) as image:
        assert image.size == pytest.approx((2 * box["width"], 2 * box["height"]), abs=4)
    drawing = saved(page, "SVG of Europe West", tmp_path)
    assert drawing.name == "Europe-West.svg"
    assert drawing.read_text(encoding="utf-8").startswith("<svg")
    again = saved(page, "PNG of Europe West", tmp_path)
    assert again.suffix == ".png"
    table = saved(page, "CSV", tmp_path).read_text(encoding="utf-8").splitlines()
    assert table[0] == "ts,value [Gbps]"
    assert len(table) == 170


@pytest.mark.browser
def test_a_group_of_charts_is_saved_chart_by_chart(page: Page) -> None:
    found: list[str] = []
    page.on("download", lambda download: found.append(download.suggested_filename))
    page.get_by_role("button", name="SVG of sites").click()
    page.wait_for_timeout(2000)
    assert sorted(found) == ["sites-a.svg", "sites-b.svg"]


@pytest.mark.browser
def test_zoom_on_one_panel_moves_its_neighbour(page: Page) -> None:
    whole = axes(page)
    box = page.locator(".js-plotly-plot").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 200, steps=4)
    page.mouse.up()
    page.wait_for_timeout(500)
    zoomed = axes(page)
    assert zoomed[0] == zoomed[1]
    assert zoomed != whole


@pytest.mark.browser
def test_a_finger_scrolls_the_page_over_a_chart(server: str, browser: Browser) -> None:
    telephone: dict[str, Any] = {"viewport": {"width": 390, "height": 700}, "has_touch": True, "is_mobile": True}
    context = browser.new_context(
        **telephone, user_agent="Mozilla/5.0 (Linux; Android 15) Chrome/150.0.0.0 Mobile Safari/537.36"
    )
    page = opened(context.new_page(), server)
    touch = context.new_cdp_session(page)
    before = axes(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 200, "y": 400}]})
    for step in range(1, 9):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": 200, "y": 400 - 30 * step}]})
        page.wait_for_timeout(20)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(800)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") > 50
    assert axes(page) == before
    context.close()
