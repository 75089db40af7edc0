"""An object store that refuses, denies, throttles, hangs or lacks the bucket, over real sockets: what the service routes,
the pages and the commands say, and how soon.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import perf_counter

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.ui.empty_states import RETRY
from data.__main__ import main as data_command
from data.lake import object_store
from data.lake.query import EVERYTHING, query
from data.lake.tables import Lake, data_files
from data.schema.errors import LakeError, ObjectStoreError
from forecasting.__main__ import main as forecasting_command
from tests.app.conftest import MAIN
from tests.app.test_routes import figures, get
from tests.s3_server import S3Server
from tests.small_lake import make_lake

# What each fault is called, and what else its message says.
FAULTS = {
    "refused": ("connection refused", "AWS_ENDPOINT_URL"),
    "denied": ("access denied", "AWS_ACCESS_KEY_ID"),
    "throttled": ("throttled", "try again in a minute"),
    "hanging": ("no answer in time", "a firewall"),
    "no bucket": ("no such bucket", "make the bucket"),
}
# With the limits below, on a busy machine.
SOON = 20.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small lake."""
    where = tmp_path_factory.mktemp("store") / "lake"
    make_lake(where, "2026-03-01", days=2)
    return where


@pytest.fixture(scope="module")
def remote(s3_server: S3Server, folder: Path) -> str:
    """It in the bucket."""
    return s3_server.upload(folder, "faults/lake")


# The same limits on a scale of tests; the rest of a test keeps the product's own.
FEW_RETRIES = {"RETRIES": 1}
SHORT_LIMITS = {"ANSWER_SECONDS": 0.5, "RETRY_SECONDS": 0.5, **FEW_RETRIES}


Failing = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def failing(s3: str, s3_server: S3Server, remote: str, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Serve the remote lake to the app while its store has a fault."""

    @contextmanager
    def fault(kind: str) -> Iterator[None]:
        st.cache_resource.clear()
        status = {"denied": "403", "throttled": "503", "hanging": "hang"}.get(kind, "none")
        with pytest.MonkeyPatch.context() as patch, s3_server.failing(status):
            for name, value in (SHORT_LIMITS if kind == "hanging" else FEW_RETRIES).items():
                patch.setattr(object_store, name, value)
            if kind == "refused":
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    port = free.getsockname()[1]
                patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            monkeypatch.setenv("HEADROOM_LAKE", "s3://nowhere/lake" if kind == "no bucket" else remote)
            yield
        st.cache_resource.clear()

    return fault


@pytest.mark.parametrize("kind", FAULTS)
def test_the_service_routes_answer_soon_and_say_what_is_wrong(failing: Failing, kind: str) -> None:
    name, helps = FAULTS[kind]
    with failing(kind):
        started = perf_counter()
        status, _, body = get("/readyz")
        told = json.loads(body)
        assert (status, told["ready"]) == (503, False)
        assert f"cannot be used: {name}. Likely cause: " in told["reason"]
        assert helps in told["reason"]
        status, _, body = get("/metrics")
        assert status == 200
        assert figures(body)["headroom_lake_reachable"] == 0
        assert figures(body)["headroom_lake_readable"] == 0
        assert perf_counter() - started < SOON
    assert get("/readyz")[0] == (503 if kind == "no bucket" else 200)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_page_says_what_is_wrong_and_tries_again(failing: Failing, kind: str) -> None:
    with failing(kind):
        page = AppTest.from_file(MAIN, default_timeout=60).run()
        words = " ".join(markdown.value for markdown in page.markdown).replace("\\", "")
        assert "The lake cannot be reached" in words
        assert f"cannot be used: {FAULTS[kind][0]}" in words
        assert "**What mends it:**" in words
        assert not page.exception
    if kind == "denied":
        page.button(key=RETRY).click().run()
        assert not [markdown for markdown in page.markdown if "cannot be reached" in markdown.value]


@pytest.mark.parametrize("kind", FAULTS)
def test_commands_print_one_line_and_fail_soon(failing: Failing, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    with failing(kind):
        for command, run in (("data", data_command), ("forecasting", forecasting_command)):
            lake = "s3://nowhere/lake" if kind == "no bucket" else "s3://network/faults/lake"
            started = perf_counter()
            assert run(["status", "--lake", lake]) == 2
            assert perf_counter() - started < SOON
            error = capsys.readouterr().err
            assert f"python -m {command} status: The object store of {lake} cannot be used: " in " ".join(error.split())
            assert "Traceback" not in error


def test_a_fault_that_comes_between_the_pin_and_the_query_is_told_too(failing: Failing, remote: str) -> None:
    pin = Lake(remote).pin()
    data_files(remote, "quarantine", pin.version("quarantine") or 0)
    with failing("denied"), pytest.raises(ObjectStoreError, match="access denied"):
        query(pin, "SELECT count(*) FROM quarantine", ["quarantine"], scope=EVERYTHING)


def test_a_fault_in_the_middle_of_a_file_is_told_and_not_kept(
    failing: Failing, s3_server: S3Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB asks for the columns after the footers came."""
    monkeypatch.setattr("data.lake.object_cache.WHOLE_BYTES", 0)
    monkeypatch.setattr("data.lake.object_cache.FOOTER_BYTES", 16_000)
    pin, total = (
        Lake(s3_server.upload(folder, "faults/never-read")).pin(),
        "SELECT sum(egress_gbps_max) AS total FROM telemetry_1h",
    )
    query(pin, "SELECT max(ts) FROM telemetry_1h", ["telemetry_1h"], scope=EVERYTHING)
    with failing("throttled"), pytest.raises(ObjectStoreError, match="throttled"):
        query(pin, total, ["telemetry_1h"], scope=EVERYTHING)
    assert query(pin, total, ["telemetry_1h"], scope=EVERYTHING)["total"][0] > 0


def test_a_writer_is_told_of_the_fault_and_not_of_a_lost_race(failing: Failing, remote: str, tmp_path: Path) -> None:
    rows = Lake(remote).read("events")
    with failing("denied"), pytest.raises(ObjectStoreError, match="access denied"):
        Lake(remote).append("events", rows)


def test_the_libraries_words_for_each_fault_are_told_apart() -> None:
    told = object_store.store_fault("s3://bucket/lake", OSError("dns error: failed to lookup address"))
    assert told is not None
    assert "connection refused" in str(told)
    assert object_store.store_fault("/a/folder", OSError("dns error")) is None
    assert object_store.store_fault("s3://bucket/lake", OSError("Schema mismatch")) is None
    assert isinstance(told, LakeError)
