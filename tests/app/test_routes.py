"""The service routes: alive, ready, counted; on lakes that are whole, absent, empty or damaged."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import brotli
import pytest
import streamlit as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Message
from streamlit.file_util import get_static_dir

from app import cached
from app.pages import VIEWS
from app.routes import routes
from app.routes.assets import CompressedAssets
from app.routes.security import SecurityHeaders
from data import queries

SERVER = Starlette(
    routes=routes([view.name for view in VIEWS]), middleware=[Middleware(SecurityHeaders), Middleware(CompressedAssets)]
)
Answer = tuple[int, dict[str, str], str]
Ask = Callable[[str, Path], Answer]


def get(path: str, query: str = "") -> Answer:
    """Status, headers and body of a GET."""
    status, headers, body = fetch(path, query)
    return status, headers, body.decode()


def fetch(path: str, query: str = "", accepts: str = "") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and bytes of a GET that accepts these encodings, over ASGI itself."""
    sent: list[Message] = []

    requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        return requests.pop() if requests else await asyncio.Future()  # nothing more comes until the answer is sent

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
    }
    # A thread of its own: the browser tests' loop may be running in this one.
    with ThreadPoolExecutor(1) as apart:
        apart.submit(
            asyncio.run,
            SERVER(
                {**scope, "headers": [(b"accept-encoding", accepts.encode())], "server": ("127.0.0.1", 8501)},
                receive,
                send,
            ),
        ).result()
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """GET a path of a server that serves a given lake."""

    def asked(path: str, lake: Path) -> Answer:
        monkeypatch.setenv("HEADROOM_LAKE", str(lake))
        st.cache_resource.clear()
        return get(path)

    return asked


def damaged(lake: Path, where: Path, pattern: str, content: str | None) -> Path:
    """A copy of a lake whose files of a pattern hold something else, or are gone."""
    shutil.copytree(lake, where)
    for path in where.glob(pattern):
        path.unlink()
        if content is not None:
            path.write_text(content)
    return where


def figures(text: str) -> dict[str, float]:
    """Value of each sample by its name and labels."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join([s.name, *(f"{k}={v}" for k, v in sorted(s.labels.items()))]): s.value for s in samples}


@pytest.mark.parametrize("lake", ["full", "empty"])
def test_healthz_looks_at_nothing(ask: Ask, lakes: dict[str, Path], lake: str) -> None:
    status, headers, body = ask("/healthz", lakes[lake])
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["content-type"] == "application/json"


def test_readyz_names_telemetry_and_run(ask: Ask, lakes: dict[str, Path]) -> None:
    status, _, body = ask("/readyz", lakes["full"])
    told = json.loads(body)
    assert status == 200
    assert told["ready"] is True
    assert told["lake"] == str(lakes["full"])
    assert told["telemetry"]["grain_seconds"] == 300
    assert told["telemetry"]["until"].endswith("T00:00:00+00:00")
    assert told["run"]["number"] == 88
    assert told["run"]["age_seconds"] == pytest.approx(told["telemetry"]["age_seconds"] + 300, abs=5)


def test_readyz_is_ready_without_a_run_and_on_old_telemetry(ask: Ask, lakes: dict[str, Path]) -> None:
    assert json.loads(ask("/readyz", lakes["partial"])[2])["run"] is None
    status, _, body = ask("/readyz", lakes["stale"])
    assert status == 200
    assert json.loads(body)["telemetry"]["age_seconds"] > 20 * 365 * 86_400


@pytest.mark.parametrize(
    ("pattern", "content", "reason"),
    [
        ("telemetry/_delta_log/*.json", "garbage", "Table 'telemetry' of the lake"),
        ("telemetry/date=*/*.parquet", None, "Files of the lake"),
        ("telemetry/date=*/*.parquet", "truncated", "too small to be a Parquet file"),
    ],
)
def test_readyz_says_what_is_wrong_with_a_damaged_lake(
    ask: Ask, lakes: dict[str, Path], tmp_path: Path, pattern: str, content: str | None, reason: str
) -> None:
    status, _, body = ask("/readyz", damaged(lakes["full"], tmp_path / "damaged", pattern, content))
    told: dict[str, Any] = json.loads(body)
    assert (status, told["ready"]) == (503, False)
    assert reason in told["reason"]
    assert "Remedy:" in told["reason"]


def test_readyz_of_no_lake_says_which_command_helps(ask: Ask, lakes: dict[str, Path]) -> None:
    status, _, body = ask("/readyz", lakes["empty"])
    assert status == 503
    assert "holds no telemetry" in json.loads(body)["reason"]
    assert "python -m data ingest" in json.loads(body)["reason"]


def test_readyz_is_quick_once_asked(ask: Ask, lakes: dict[str, Path]) -> None:
    ask("/readyz", lakes["full"])
    started = perf_counter()
    assert get("/readyz")[0] == 200
    assert perf_counter() - started < 0.5


def test_metrics_tell_of_the_lake(ask: Ask, lakes: dict[str, Path]) -> None:
    status, headers, body = ask("/metrics", lakes["full"])
    found = figures(body)
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert found["headroom_lake_readable"] == 1
    assert found["headroom_run_number"] == 88
    assert found["headroom_refresh_seconds"] == 61
    assert found["headroom_refresh_series status=fitted"] == 30
    assert found["headroom_ingest_snapshots state=partial table=telemetry"] == 1
    assert found["headroom_ingest_rows outcome=refused table=telemetry"] == 12


def test_metrics_count_queries_pages_and_errors(ask: Ask, lakes: dict[str, Path]) -> None:
    before = figures(ask("/metrics", lakes["full"])[2])
    get("/readyz")
    cached.count_error("a test")
    with cached.timed_page("a test"):
        pass
    after = figures(get("/metrics")[2])
    asked = f"headroom_query_seconds_count question={queries.extent.name}"
    assert after[asked] == before.get(asked, 0) + 1
    assert after["headroom_errors_total where=a test"] == before.get("headroom_errors_total where=a test", 0) + 1
    assert (
        after["headroom_page_seconds_count page=a test"] == before.get("headroom_page_seconds_count page=a test", 0) + 1
    )


def test_metrics_of_a_lake_that_cannot_be_read_are_metrics(ask: Ask, lakes: dict[str, Path], tmp_path: Path) -> None:
    status, _, body = ask(
        "/metrics", damaged(lakes["full"], tmp_path / "damaged", "telemetry/_delta_log/*.json", "garbage")
    )
    assert (status, figures(body)["headroom_lake_readable"]) == (200, 0)


def test_each_page_gets_a_document_that_knows_its_server(lakes: dict[str, Path]) -> None:
    for path in ("/", "/region", "/data"):
        status, headers, body = get(path)
        assert (status, headers["cache-control"]) == (200, "no-cache")
        assert "<title>Headroom</title>" in body
        assert body.index("BACKEND_BASE_URL") < body.index("app/static/shell.js?") < body.index('type="module"')


def test_the_first_page_also_answers_to_its_name(lakes: dict[str, Path]) -> None:
    status, headers, _ = get("/overview", "zone=site&region=sa")
    assert (status, headers["location"]) == (307, "./?zone=site&region=sa")


def test_a_path_of_nothing_is_nobodys(lakes: dict[str, Path]) -> None:
    assert get("/nothing")[0] == 404


@pytest.mark.parametrize(
    ("accepts", "encoding", "decode"),
    [
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
        ("gzip;q=0.8", "gzip", gzip.decompress),
    ],
)
def test_the_front_end_s_scripts_are_sent_compressed_and_kept(
    accepts: str, encoding: str, decode: Callable[[bytes], bytes]
) -> None:
    script = max((Path(get_static_dir()) / "static" / "js").glob("index.*.js"), key=lambda path: path.stat().st_size)
    status, headers, body = fetch(f"/static/js/{script.name}", accepts=accepts)
    assert (status, headers["content-encoding"]) == (200, encoding)
    assert decode(body) == script.read_bytes()
    assert len(body) < 0.4 * script.stat().st_size
    assert headers["cache-control"].endswith("immutable")
    assert headers["content-type"].startswith("text/javascript")


def test_every_answer_tells_the_browser_to_ask_no_other_host() -> None:
    for path in ("/", "/region", "/healthz", "/nowhere"):
        headers = fetch(path)[1]
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'self'"
        assert not any(
            source.startswith(("http", "*", "'unsafe-eval'"))
            for sources in policy.values()
            for source in sources.split()
        )
        assert "'unsafe-inline'" not in policy["script-src"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_what_is_no_script_or_accepts_nothing_goes_on_to_the_application() -> None:
    # The routes alone, which hold no such file: 404 says that they were asked.
    script = next((Path(get_static_dir()) / "static" / "js").glob("index.*.js")).name
    assert fetch(f"/static/js/{script}")[0] == 404
    assert fetch("/static/js/../../index.html", accepts="br")[0] == 404
    assert fetch("/healthz", accepts="br")[0] == 200
