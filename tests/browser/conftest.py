"""A real server on a lake, and a real Chromium that reports every fault of a page."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pandas as pd
import pyarrow as pa
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.conftest import LAKES, RUN_FOLDER, SERVERS, SharedLake, alone, end, is_running
from tests.futures import publish_futures
from tests.lakes import RUN, SITES, Plan, full_lake

ROOT = Path(__file__).resolve().parents[2]
# A slow machine that runs several tests at once takes this long to start a server, and to draw a page with a map.
STARTED, DRAWN = 180.0, 120_000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Who draws WebGL without a graphics card: Mesa, where it is installed, in a third of the processor time of Chromium's
# own.
MESA, OWN = (
    ["--use-gl=angle", "--use-angle=gl-egl", "--ignore-gpu-blocklist"],
    ["--use-angle=swiftshader-webgl", "--enable-unsafe-swiftshader"],
)
DRAWS = "document.createElement('canvas').getContext('webgl2') !== null"
BUSY = '[data-testid="stApp"][data-test-script-state="running"], [data-testid="stApp"][data-test-script-state="initial"], [data-testid="stSkeleton"]'
OVERFLOW = "Math.max(...[document.documentElement, ...document.querySelectorAll('[data-testid=stMain]')].map(e => e.scrollWidth - e.clientWidth))"
BACKGROUND = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 22, 29)"}
WORLD = Plan(days=9)
# The site whose name would be a script, and its name.
HOSTILE, SCRIPT = "dfw-01", '"><script>alert(1)</script>'
REGIONS = {site[0]: site[2] for site in SITES}
expect.set_options(timeout=DRAWN)

# Software WebGL shares two cores with the other tests: what fails once is tried again, what fails three times is a
# fault.
TRIES_MORE = 2

Serve = Callable[[Path], str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests get another chance; pytest says how often it was needed."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=TRIES_MORE))


@dataclass
class Traffic:
    """What goes between a page and servers: faults (errors on the console or in scripts, requests that fail or go to
    anyone but its server), paths that were answered, and bytes over the websocket.
    """

    host: str
    faults: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    received: int = 0

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"error in a script: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", lambda response: self.answered.append(f"{response.status} {urlsplit(response.url).path}"))
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"error on the console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")) and urlsplit(request.url).netloc != self.host:
            self.faults.append(f"a request to another host: {request.url}")

    def _failed(self, request: Request) -> None:
        # A page that is closed or left takes its requests with it; that is no fault of the page.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"a request failed: {request.url}: {request.failure}")

    def _count(self, frame: str | bytes) -> None:
        self.received += len(frame)


class OpenPage:
    """Opens paths in new tabs, and keeps what each tab said, asked and fetched."""

    def __init__(self, context: BrowserContext, serve: Serve, lake: Path) -> None:
        self._context, self._serve, self._lake = context, serve, lake
        self.traffic: dict[Page, Traffic] = {}

    def __call__(
        self,
        path: str = "/",
        *,
        on: Path | None = None,
        width: int = 1440,
        height: int = 900,
        scheme: Literal["light", "dark"] = "light",
        context: BrowserContext | None = None,
    ) -> Page:
        """Open a path and wait until it is drawn: in the colours of its scheme, without a fault, no wider than the
        window.
        """
        address = self._serve(on or self._lake)
        page = (context or self._context).new_page()
        self.traffic[page] = Traffic(urlsplit(address).netloc)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        self.traffic[page].watch(page)
        page.goto(address + path)
        settle(page)
        assert page.evaluate(BACKGROUND) == GROUNDS[scheme]
        assert overflow(page) <= 0, f"{path} scrolls sideways"
        assert "wrong on this page" not in page.inner_text("body")
        return page

    def received(self, page: Page) -> int:
        """Bytes that the server sent over the websocket since it was last asked."""
        traffic = self.traffic[page]
        received, traffic.received = traffic.received, 0
        return received


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return int(page.evaluate(OVERFLOW))


@pytest.fixture(scope="session")
def shared_servers() -> dict[Path, str]:
    """Addresses of the servers of lakes that all workers share, as far as this worker knows them."""
    return {}


@pytest.fixture
def serve(shared_servers: dict[Path, str]) -> Iterator[Serve]:
    """Serve a lake: its address. A lake that all workers share has one server for all of them, which ends with the
    run; any other has a server that ends with the test.
    """
    own: dict[Path, tuple[str, int]] = {}

    def served(lake: Path) -> str:
        if (Path(os.environ[RUN_FOLDER]) / LAKES) not in lake.parents:
            if lake not in own:
                own[lake] = start_server(lake)
            return own[lake][0]
        if lake not in shared_servers:
            shared_servers[lake] = _shared_server(lake)
        return shared_servers[lake]

    yield served
    for _, pid in own.values():
        end(pid)


def _shared_server(lake: Path) -> str:
    """The address of the one server of a lake that all workers share; whoever needs it first starts it."""
    with alone(f"{SERVERS}/{lake.parent.name}.pid") as note:
        address = note.with_suffix(".address")
        if not address.exists():
            url, pid = start_server(lake)
            note.write_text(str(pid), encoding="utf-8")
            address.write_text(url, encoding="utf-8")
        return address.read_text(encoding="utf-8")


def start_server(lake: Path, script: Path = ROOT / "streamlit_app.py") -> tuple[str, int]:
    """Address and process number of a server on a free port, once it answers; a lake without telemetry is served too,
    so that readiness is not asked for.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    # A shell starts it and goes: whoever ends it need not be the worker that asked for it.
    started = subprocess.run(
        ["/bin/sh", "-c", '"$@" >/dev/null 2>&1 & echo $!', "sh", *command],
        cwd=ROOT,
        env={**os.environ, "HEADROOM_LAKE": str(lake), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    address, pid = f"http://127.0.0.1:{port}", int(started.stdout)
    until = time.monotonic() + STARTED
    while not _answers(f"{address}/readyz"):
        if not is_running(pid) or time.monotonic() > until:
            end(pid)
            pytest.fail(f"the server did not start on {address}: {' '.join(command)}")
        time.sleep(0.2)
    return address, pid


def _answers(url: str) -> bool:
    """Whether anything at all is answered; HTTPError, for instance 503 of an empty lake, is an answer too."""
    try:
        with urlopen(url, timeout=10):
            return True
    except URLError as error:
        return hasattr(error, "code")
    except OSError:
        return False


@pytest.fixture(scope="session")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """One headless browser for all tests, with a software WebGL."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS + MESA)
        if not _draws(browser):
            browser.close()
            browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS + OWN)
        yield browser
        browser.close()


def _draws(browser: Browser) -> bool:
    """Whether it has a WebGL at all."""
    page = browser.new_page()
    found = bool(page.evaluate(DRAWS))
    page.close()
    return found


@pytest.fixture(scope="session")
def context(chromium: Browser) -> BrowserContext:
    """One profile for all pages: what one page has loaded and compiled, the next need not. Half of the processor time
    of a page went into that. The viewer sits in Tokyo, and cares for no animation, each frame of which is drawn by the
    processor.
    """
    profile = chromium.new_context(timezone_id="Asia/Tokyo", locale="en-GB", reduced_motion="reduce")
    profile.set_default_timeout(DRAWN)
    return profile


@pytest.fixture(scope="session")
def lake(shared_lake: SharedLake) -> Path:
    """Twelve sites on two continents, of which Paris passes 80 % of its 157 Gbps within the year, and Dallas declares no
    capacity and has a name that would be a script; with flows, forecasts and simulated peaks.
    """

    def build(where: Path) -> None:
        made = full_lake(where, WORLD)
        lines = dict.fromkeys(REGIONS, (60.0, 62.0)) | {"par-01": (100.0, 220.0)}
        publish_futures(made, RUN, pd.Timestamp(WORLD.end), lines, REGIONS)
        sites = made.read("sites").to_pandas()
        sites.loc[sites["site_id"] == HOSTILE, "name"] = SCRIPT
        made.replace("sites", pa.Table.from_pandas(sites, preserve_index=False))

    return shared_lake("world", build)


@pytest.fixture
def open_page(context: BrowserContext, serve: Serve, lake: Path) -> Iterator[OpenPage]:
    """Open a path in a new tab and wait until it is drawn; any fault that the page ever shows fails the test."""
    pages = OpenPage(context, serve, lake)
    yield pages
    for page in pages.traffic:
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        page.close()
    context.clear_cookies()
    assert [fault for traffic in pages.traffic.values() for fault in dict.fromkeys(traffic.faults)] == []


def settle(page: Page, calm: int = 600) -> None:
    """Wait until no script has run for `calm` milliseconds."""
    page.wait_for_selector('[data-testid="stApp"]', timeout=DRAWN)
    quiet, until = 0, time.monotonic() + DRAWN / 1000
    while quiet < calm:
        assert time.monotonic() < until, f"{page.url} is still being drawn after {DRAWN / 1000:.0f} s"
        page.wait_for_timeout(150)
        quiet = 0 if page.locator(BUSY).count() else quiet + 150
