"""Pages of a lake in an object store fetch what they show: of runs the newest, of telemetry its last days."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.pages import VIEWS
from data.lake import object_cache
from data.lake.tables import Lake
from tests.app.conftest import MAIN
from tests.futures import publish_futures
from tests.judged_runs import judged_lake
from tests.s3_server import S3Server

END = pd.Timestamp("2026-03-20", tz="UTC")
DAYS = 44
# A week of samples says how sites stand, the week before the forecast what their peaks were.
DAYS_SHOWN = 15
# Of a lake that keeps but two runs and seven weeks; on 48 sites, 180 days and ten runs a page fetches a thirtieth.
SHARE = 0.5


@pytest.fixture(scope="module")
def stored(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, int]:
    """URL of a lake in the bucket, the identifier of its older run, and the bytes of its data files."""
    folder = tmp_path_factory.mktemp("pages") / "lake"
    lake = judged_lake(folder, days=DAYS, end=f"{END:%Y-%m-%d}")
    runs = lake.read("runs").sort_by("number")["run_id"].to_pylist()
    regions = dict(zip(*(lake.read("sites")[name].to_pylist() for name in ("site_id", "region_id")), strict=True))
    for run in runs:
        publish_futures(lake, run, END, dict.fromkeys(regions, (300.0, 600.0)), regions)
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    return s3_server.upload(folder, "pages/lake"), runs[0], size


@pytest.mark.parametrize("page", [view.name for view in VIEWS])
def test_a_page_fetches_the_newest_run_and_the_last_days_alone(
    s3: str, s3_server: S3Server, stored: tuple[str, str, int], monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    url, older, size = stored
    monkeypatch.setenv("HEADROOM_LAKE", url)
    monkeypatch.setattr(object_cache, "_FILES", {})
    st.cache_resource.clear()
    s3_server.count_anew()
    test = AppTest.from_file(MAIN, default_timeout=120)
    test._page_hash = calc_hash(page)
    test.run()
    assert not test.exception
    assert not [markdown for markdown in test.markdown if "cannot be" in markdown.value]
    counts = s3_server.counts()
    fetched = [file for file in counts["files"] if "/pages/lake/" in file]
    assert [file for file in fetched if f"run_id={older}" in file] == []
    days = {day for file in fetched for day in re.findall(r"/telemetry/date=([\d-]+)/", file)}
    first = f"{END - pd.Timedelta(days=DAYS):%Y-%m-%d}"
    shown = {day for day in days if day != first}
    if page == "capacity":  # it draws the measured weeks of a quarter, which is longer than this lake
        return
    assert len(shown) <= DAYS_SHOWN, sorted(shown)
    data = sum(sent for name, (_, sent) in counts["of"].items() if not name.endswith(" log"))
    assert data < SHARE * size


def test_a_second_visit_fetches_nothing_but_the_versions(
    s3: str, s3_server: S3Server, stored: tuple[str, str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_LAKE", stored[0])
    for _ in range(2):
        st.cache_resource.clear()
        s3_server.count_anew()
        AppTest.from_file(MAIN, default_timeout=120).run()
    assert [file for file in s3_server.counts()["files"] if file.endswith(".parquet")] == []


def test_the_versions_cost_two_requests_a_table_once_they_were_seen(
    s3: str, s3_server: S3Server, stored: tuple[str, str, int]
) -> None:
    lake = Lake(stored[0])
    pin = lake.pin()
    s3_server.count_anew()
    assert lake.pin() == pin
    counts = s3_server.counts()
    assert counts["bytes"] < 20_000
    seen = {
        name: requests
        for name, (requests, _) in counts["of"].items()
        if name.removesuffix(" log") in dict(pin.versions)
    }
    assert {name: requests for name, requests in seen.items() if requests > 3} == {}
