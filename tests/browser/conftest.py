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
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.lakes import Plan, full_lake

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
expect.set_options(timeout=DRAWN)

# Software WebGL shares two cores with the other tests: what fails once is tried again, what fails three times is a
# fault.
TRIES_MORE = 2

Serve = Callable[[Path], str]
OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests get another chance; pytest says how often it was needed."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=TRIES_MORE))


@dataclass
class Check:
    """What a page may not do: errors on the console, errors in scripts, requests that fail, requests to anyone but its
    server.
    """

    host: str
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"error in a script: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)

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


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """Serve a lake: its address. One server for each lake, all ended with the session."""
    servers: dict[Path, tuple[str, subprocess.Popen[bytes]]] = {}

    def served(lake: Path) -> str:
        if lake not in servers:
            servers[lake] = _start(lake)
        return servers[lake][0]

    yield served
    for _, process in servers.values():
        process.terminate()
        process.wait(timeout=20)


def _start(lake: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """A server on a free port, once it answers; a lake without telemetry is served too, so that readiness is not asked
    for.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "HEADROOM_LAKE": str(lake)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + STARTED
    while not _answers(f"{address}/readyz"):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            pytest.fail(f"the server did not start on {address}: {' '.join(command)}")
        time.sleep(0.2)
    return address, process


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
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sites, sixteen days until now, and one run of forecasts."""
    where = tmp_path_factory.mktemp("served") / "lake"
    full_lake(where, Plan(end=pd.Timestamp.now("UTC").floor("5min").to_pydatetime()))
    return where


@pytest.fixture
def open_page(chromium: Browser, serve: Serve, lake: Path) -> Iterator[OpenPage]:
    """Open a path in a browser of its own and wait until it is drawn; any fault that the page ever shows fails the
    test.
    """
    opened: list[tuple[Check, Page]] = []

    def at(
        path: str = "/",
        *,
        on: Path = lake,
        width: int = 1440,
        height: int = 900,
        scheme: Literal["light", "dark"] = "light",
        zone: str = "Asia/Tokyo",
    ) -> Page:
        address = serve(on)
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, timezone_id=zone, locale="en-GB"
        )
        context.set_default_timeout(DRAWN)
        page, check = context.new_page(), Check(urlsplit(address).netloc)
        opened.append((check, page))
        check.watch(page)
        page.goto(address + path)
        settle(page)
        return page

    yield at
    for _, page in opened:
        page.context.close()
    assert [fault for check, _ in opened for fault in dict.fromkeys(check.faults)] == []


def settle(page: Page, calm: int = 600) -> None:
    """Wait until no script has run for `calm` milliseconds."""
    page.wait_for_selector('[data-testid="stApp"]', timeout=DRAWN)
    quiet, until = 0, time.monotonic() + DRAWN / 1000
    while quiet < calm:
        assert time.monotonic() < until, f"{page.url} is still being drawn after {DRAWN / 1000:.0f} s"
        page.wait_for_timeout(150)
        quiet = 0 if page.locator(BUSY).count() else quiet + 150
