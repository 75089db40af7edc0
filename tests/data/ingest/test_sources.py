"""Snapshots in object stores and behind http, against servers of our own on this machine."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from data.ingest.column_mapping import read_options
from data.ingest.command import Inbox
from data.ingest.ledger import Outcome
from data.ingest.sources import find_snapshots, read_bytes
from data.lake.object_store import store_at
from data.lake.tables import Lake
from data.schema.errors import SettingError
from tests.data.ingest.ingest_frames import held, lake_of, sites, take, telemetry, write

BUCKET = "snapshots"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, and the environment that leads to it."""
    credentials = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": "us-east-1"}
    for name, value in {
        **credentials,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}"
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)


def put(key: str, data: bytes) -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=data)


def keys() -> set[str]:
    return {found["Key"] for found in boto3.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def test_a_prefix_is_taken_in_into_a_lake_beside_it(bucket: str, tmp_path: Path) -> None:
    put("drop/sites/all.parquet", write(tmp_path / "s.parquet", sites("a")).read_bytes())
    put("drop/2026/t.parquet", write(tmp_path / "t.parquet", telemetry()).read_bytes())
    put("drop/2026/_half/t.parquet", b"")
    put("drop/2026/bad.parquet", b"PAR1")
    put("drop/notes.md", b"")
    lake = Lake(f"{bucket}/lake")
    outcomes = take(lake, f"{bucket}/drop")
    assert [(outcome.source.name, outcome.table, outcome.state) for outcome in outcomes] == [
        ("all.parquet", "sites", "accepted"),
        ("t.parquet", "telemetry", "accepted"),
        ("bad.parquet", "unknown", "refused"),
    ]
    assert len(held(lake)) == 3
    assert outcomes[2].kept_at[0].startswith(f"{bucket}/quarantine/")
    assert outcomes[2].kept_at[0].removeprefix(f"{bucket}/") in keys()
    assert [outcome.state for outcome in take(lake, f"{bucket}/drop")] == ["known", "known", "refused"]


def test_an_object_is_taken_in_by_itself(bucket: str, tmp_path: Path) -> None:
    put("drop/t.parquet", write(tmp_path / "t.parquet", telemetry()).read_bytes())
    [outcome] = take(lake_of(tmp_path, "a"), f"{bucket}/drop/t.parquet")
    assert (outcome.state, outcome.source.url) == ("accepted", f"{bucket}/drop/t.parquet")


def test_an_inbox_in_a_store_is_polled(bucket: str, tmp_path: Path) -> None:
    lake, inbox = lake_of(tmp_path, "a"), Inbox(f"{bucket}/inbox", lambda _: [read_options()])
    assert inbox.poll(lake) == []
    put("inbox/t.parquet", write(tmp_path / "t.parquet", telemetry()).read_bytes())
    put("inbox/bad.parquet", b"PAR1")
    assert sorted(outcome.state for outcome in inbox.poll(lake)) == ["accepted", "refused"]
    assert keys() == {"inbox/t.parquet"}
    assert inbox.poll(lake) == []


@pytest.mark.parametrize("where", ["s3://snapshots/nothing/here", "s3://snapshots/nothing.parquet"])
def test_nothing_at_an_address_is_an_error(bucket: str, where: str) -> None:
    with pytest.raises(SettingError, match=f"{where}: .*Remedy: check the address, and the credentials"):
        find_snapshots([where])


def test_a_bucket_that_does_not_exist_is_an_error_in_one_line(bucket: str) -> None:
    with pytest.raises(SettingError, match="s3://elsewhere/x: ") as caught:
        find_snapshots(["s3://elsewhere/x"])
    assert "\n" not in str(caught.value)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server for the folder `www`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "www").mkdir()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / "www")
    ) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def fetched(lake: Lake, url: str) -> Outcome:
    return take(lake, url)[0]


def test_a_file_is_fetched_over_http_with_its_signature(web: str, tmp_path: Path) -> None:
    path = write(tmp_path / "www" / "t.parquet", telemetry())
    url = f"{web}/t.parquet?signature=a%2Fb&expires=9"
    [source] = find_snapshots([url])
    assert (source.name, read_bytes(source)) == ("t.parquet", path.read_bytes())
    assert fetched(lake_of(tmp_path, "a"), url).state == "accepted"


def test_a_name_over_http_does_not_climb_out_of_the_quarantine(web: str, tmp_path: Path) -> None:
    (tmp_path / "www" / "..%2f..%2fx.parquet").write_bytes(b"PAR1")
    outcome = fetched(lake_of(tmp_path, "a"), f"{web}/..%252f..%252fx.parquet")
    assert outcome.state == "refused"
    assert Path(outcome.kept_at[0]).resolve().parent == tmp_path / "quarantine"
    assert Path(outcome.kept_at[0]).read_bytes() == b"PAR1"


def test_a_page_that_is_not_there_is_an_error(web: str) -> None:
    with pytest.raises(SettingError, match=r"t\.parquet: .*not found"):
        find_snapshots([f"{web}/t.parquet"])


def test_parts_of_an_object_are_read_without_the_rest(bucket: str, tmp_path: Path) -> None:
    from data.ingest.sources import open_source

    put("big.parquet", write(tmp_path / "t.parquet", telemetry(count=50_000)).read_bytes())
    [source] = find_snapshots([f"{bucket}/big.parquet"])
    with open_source(source) as file:
        assert pq.ParquetFile(file).metadata.num_rows == 50_000
    assert store_at(bucket) is not None
