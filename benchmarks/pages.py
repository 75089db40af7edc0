"""How long does a page take, on a small lake and on a large one, and what goes over the wire?

    python -m benchmarks.pages [--lake var/lake] [--large var/large] [--runs 20]

One JSON line for each figure:
    script   time inside the script of a warm page: what was asked of the lake is kept, the page is drawn anew (median
    and 95th percentile of `runs`);
             `first_ms` is the page's first drawing on that lake in this process, with nothing kept
    ratio    warm median on the large lake over that on the small one; bar 2
    click    from a click to a page that stands, in a browser: median and 95th percentile of `runs` clicks that go to and
             fro, the server's script time and the bytes of one click (bar 1,000 ms)
    wire     bytes that a browser with nothing kept receives until a first view stands: over HTTP as transferred, over the
             websocket (bar 1 MB) the frames' own length, before the transport compresses them, and both together (bar
             3.5 MB); and over the websocket after one filter change (bar 300 kB)

Measured ratios, 48 sites x 180 days against 500 sites x 365 days (52.5 million rows), both with a published run, on two
processors with nothing else to do: Overview 1.41, Region 1.01, of a region 1.18, of a site 1.07, Capacity 1.27, Models
1.25, Data 1.17. First views 19 to 284 kB, on the large lake 90 to 628 kB; changes 33 to 261 kB, on the large lake 34 to
279 kB.

The script is timed where the server times it (headroom_page_seconds), inside Streamlit's own runner of scripts; the
browser's work is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import streamlit as st
from playwright.sync_api import Browser, Page, sync_playwright
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app import cached
from app.pages import VIEWS
from data.lake.query import EVERYTHING
from data.queries.metrics import PAGE_SECONDS

ROOT = Path(__file__).resolve().parents[1]
RATIO_BAR, FIRST_BAR, VISIT_BAR, CHANGE_BAR = 2.0, 1_000_000, 3_500_000, 300_000
# Every page as it opens; the region's also at a region and at a site.
PLACES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    *((view.name, view.name, ()) for view in VIEWS),
    ("region of a region", "region", ("region",)),
    ("region of a site", "region", ("site",)),
)
# What is clicked as one filter change.
CHANGES = {
    "overview": "Health",
    "region": "28 d",
    "capacity": "Failures",
    "models": "Backtests",
    "data": "Completeness",
}
# Clicks on each page, by their words: each is pressed in turn, so that every press changes something.
CLICKS: dict[str, tuple[tuple[str, str], ...]] = {
    "overview": (("Utilisation", "Health"),),
    "region": (("28 d", "7 d"),),
    "capacity": (("Failures", "What runs out"), ("Augments", "What runs out"), ("Cost", "What runs out")),
    "models": (("Backtests", "Drawn and why"),),
    "data": (("Completeness", "Freshness"),),
}
CLICK_BAR = 1000.0
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
BUSY = '[data-testid="stApp"][data-test-script-state="running"], [data-testid="stApp"][data-test-script-state="initial"], [data-testid="stSkeleton"]'
CALM, PATIENCE = 2.0, 180.0


def main() -> None:
    """Measure what the arguments name, and print one JSON line for each figure."""
    parser = argparse.ArgumentParser(description="Script time and bytes of each page.")
    parser.add_argument(
        "--lake", default=cached.lake_url(), help="the small lake (default: HEADROOM_LAKE, or var/lake)"
    )
    parser.add_argument(
        "--large", help="a lake of 500 sites x 365 days: python -m data demo --sites 500 --days 365 --lake var/large"
    )
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    lakes = {"small": arguments.lake} | ({"large": arguments.large} if arguments.large else {})
    for label, page, deeper in PLACES:
        scripts(lakes, label, page, deeper, arguments.runs)
    for name, lake in lakes.items():
        in_browser(name, lake, arguments.runs)


def tell(figure: str, **values: object) -> None:
    """Print one figure."""
    sys.stdout.write(json.dumps({"bench": "pages", "figure": figure, **values}) + "\n")
    sys.stdout.flush()


# In the server
# ----------------------------------------------------------------------------------------------------------


def scripts(lakes: dict[str, str], label: str, page: str, deeper: tuple[str, ...], runs: int) -> None:
    """Time the warm script of a page. The lakes take turns, so that whatever else the machine does falls on all of
    them.
    """
    st.cache_resource.clear()
    tests = {name: opened(lake, page, deeper) for name, lake in lakes.items()}
    firsts = {name: drawn(test, page, lakes[name]) for name, test in tests.items()}
    times: dict[str, list[float]] = {name: [] for name in lakes}
    for _ in range(runs):
        for name, test in tests.items():
            times[name].append(drawn(test, page, lakes[name]))
    medians = {name: statistics.median(warm) for name, warm in times.items()}
    for name, warm in times.items():
        p95 = statistics.quantiles(warm, n=20, method="inclusive")[-1]
        tell(
            "script",
            lake=name,
            at=label,
            runs=runs,
            median_ms=round(medians[name], 1),
            p95_ms=round(p95, 1),
            first_ms=round(firsts[name], 1),
        )
    if "large" in medians:
        ratio = medians["large"] / medians["small"]
        tell("ratio", at=label, large_over_small=round(ratio, 2), bar=RATIO_BAR, passed=ratio <= RATIO_BAR)


def opened(lake: str, page: str, deeper: tuple[str, ...]) -> AppTest:
    """A session that stands on a page; `deeper` are fields of its URL that take their value from the first site of the
    lake.
    """
    os.environ["HEADROOM_LAKE"] = lake
    test = AppTest.from_file(ROOT / "app" / "main.py", default_timeout=PATIENCE)
    site = cached.catalogue(cached.current_pin(), EVERYTHING).sort_values("site_id").iloc[0]
    test.query_params.update({field: str(site[f"{field}_id"]) for field in deeper})
    # AppTest goes to pages that are files; ours are functions, which Streamlit knows by the hash of their path.
    test._page_hash = calc_hash(page)
    return test


def drawn(test: AppTest, page: str, lake: str) -> float:
    """Run a page's script once: milliseconds by the server's own clock."""
    os.environ["HEADROOM_LAKE"] = lake
    before = _spent(page)
    test.run()
    if test.exception:
        sys.exit(f"the page {page} failed: {test.exception[0].message}")
    return 1000 * (_spent(page) - before)


def _spent(page: str) -> float:
    return sum(
        s.value
        for family in PAGE_SECONDS.collect()
        for s in family.samples
        if s.name.endswith("_sum") and s.labels["page"] == page
    )


# In a browser
# ----------------------------------------------------------------------------------------------------------


def in_browser(name: str, lake: str, runs: int) -> None:
    """Bytes of each page's first view and of one filter change; how long clicks take."""
    found = next(filter(None, map(shutil.which, filter(None, (os.environ.get("HEADROOM_CHROME"), *BROWSERS)))), None)
    if found is None:
        return tell("wire", lake=name, skipped="no Chrome or Chromium")
    with served(lake) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=BROWSER_ARGUMENTS)
        for view in VIEWS:
            first, http, change = transferred(
                browser, f"{address}/{'' if view is VIEWS[0] else view.name}", CHANGES.get(view.name)
            )
            tell("wire", lake=name, at=view.name, first_view_bytes=first, bar=FIRST_BAR, passed=first < FIRST_BAR)
            visit = {"http_bytes": http, "visit_bytes": first + http}
            tell("wire", lake=name, at=view.name, **visit, bar=VISIT_BAR, passed=first + http < VISIT_BAR)
            if change is not None:
                tell(
                    "wire",
                    lake=name,
                    at=view.name,
                    filter_change_bytes=change,
                    bar=CHANGE_BAR,
                    passed=change < CHANGE_BAR,
                )
        for view in VIEWS:
            for pair in CLICKS.get(view.name, ()):
                clicks(browser, address, name, "" if view is VIEWS[0] else view.name, pair, runs)
        browser.close()
    return None


def clicks(browser: Browser, address: str, lake: str, path: str, pair: tuple[str, str], runs: int) -> None:
    """Time clicks that go to and fro between two choices of a page; the first of each, with nothing kept, apart."""
    page, received = browser.new_page(viewport={"width": 1440, "height": 900}), [0]
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    page.goto(f"{address}/{path}")
    stand(page)
    firsts = [clicked(page, words) for words in pair]
    received[:], spent = [0], _script_seconds(address)
    times = [clicked(page, pair[run % 2]) for run in range(runs)]
    median = statistics.median(times)
    tell(
        "click",
        lake=lake,
        at=path or VIEWS[0].name,
        click=" / ".join(pair),
        runs=runs,
        median_ms=round(median, 1),
        p95_ms=round(statistics.quantiles(times, n=20, method="inclusive")[-1], 1),
        first_ms=round(max(firsts), 1),
        script_ms=round(1000 * (_script_seconds(address) - spent) / runs, 1),
        bytes=round(sum(received) / runs),
        bar=CLICK_BAR,
        passed=median <= CLICK_BAR,
    )
    page.close()


def clicked(page: Page, words: str) -> float:
    """Click, and wait until no script has run for 0.4 s: milliseconds from the click to the end of the last."""
    page.get_by_text(words, exact=True).first.click()
    start = last = time.monotonic()
    while time.monotonic() - last < 0.4 and time.monotonic() - start < PATIENCE:
        if page.locator(BUSY).count():
            last = time.monotonic()
        page.wait_for_timeout(20)
    return 1000 * (last - start)


def _script_seconds(address: str) -> float:
    """Seconds that the server has spent in the scripts of pages."""
    with urlopen(f"{address}/metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("headroom_page_seconds_sum"))


def transferred(browser: Browser, url: str, change: str | None) -> tuple[int, int, int | None]:
    """Bytes received over the websocket and over HTTP until the page stands, and over the websocket from then until it
    stands again after a click on `change`.
    """
    page, received, loaded = browser.new_page(viewport={"width": 1440, "height": 900}), [0], [0]
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda event: loaded.append(int(event["encodedDataLength"])))
    page.goto(url)
    stand(page)
    first, http = sum(received), sum(loaded)
    if change is not None:
        page.get_by_text(change, exact=True).first.click()
        stand(page)
    page.close()
    return first, http, None if change is None else sum(received) - first


def stand(page: Page) -> None:
    """Wait until no script has run for a while."""
    page.wait_for_selector('[data-testid="stApp"]', timeout=PATIENCE * 1000)
    quiet, until = 0.0, time.monotonic() + PATIENCE
    while quiet < CALM and time.monotonic() < until:
        page.wait_for_timeout(200)
        quiet = 0.0 if page.locator(BUSY).count() else quiet + 0.2


@contextmanager
def served(lake: str) -> Iterator[str]:
    """A server on the lake, while it is needed: its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    named = lake if "://" in lake else str(Path(lake).resolve())
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "HEADROOM_LAKE": named}, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(f"http://127.0.0.1:{port}/readyz") and time.monotonic() < until:
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PATIENCE):
            return True
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    main()
