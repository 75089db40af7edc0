"""An S3 server for tests and benchmarks: moto's, which counts what it sends and fails on demand.

    python -m tests.s3_server PORT

GET /_counts          {"requests": 12, "bytes": 34567, "of": {"telemetry": [7, 30000], "telemetry log": [5, 4567]}, "files":
                      [...]}: bodies sent since the last PUT /_counts, requests and bytes of each table's files and
                      Delta log, and the files that were asked for
PUT /_counts          start counting anew
PUT /_fault/STATUS    answer every later request with this status (403, 503 ...) and S3's error document
PUT /_fault/hang      accept every later request and never answer
PUT /_fault/none      serve again
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import stamina
from botocore.exceptions import EndpointConnectionError

CODES = {"403": ("403 Forbidden", "AccessDenied"), "503": ("503 Slow Down", "SlowDown")}
HANG_SECONDS = 600.0


class CountingServer:
    """WSGI middleware: counts the requests and the bytes of the bodies, and answers with a fault where one is set."""

    def __init__(self, app: Any, tables: Collection[str]) -> None:
        self._app, self._tables = app, tables
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._files: set[str] = set()
        self._fault = "none"
        self._served_again = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/_counts":
            return self._tell(start, restart=method == "PUT")
        if path.startswith("/_fault/"):
            self._fault = path.rpartition("/")[2]
            self._served_again.set()
            self._served_again = threading.Event()
            return self._tell(start, restart=False)
        if self._fault == "hang":
            self._served_again.wait(HANG_SECONDS)
        elif self._fault != "none":
            return self._counted(self._refuse(start), path)
        return self._counted(self._app(environ, start), path, head=method == "HEAD")

    def _tell(self, start: Any, *, restart: bool) -> list[bytes]:
        with self._lock:
            requests, sent = (sum(counts[i] for counts in self._counts.values()) for i in (0, 1))
            body = json.dumps(
                {"requests": requests, "bytes": sent, "of": self._counts, "files": sorted(self._files)}
            ).encode()
            if restart:
                self._counts, self._files = {}, set()
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _refuse(self, start: Any) -> list[bytes]:
        status, code = CODES[self._fault]
        body = f"<Error><Code>{code}</Code><Message>set by the test</Message></Error>".encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    def _counted(self, body: Iterable[bytes], path: str, *, head: bool = False) -> Iterator[bytes]:
        table = next((part for part in path.split("/") if part in self._tables), "other")
        with self._lock:
            counts = self._counts.setdefault(f"{table} log" if "/_delta_log" in path else table, [0, 0])
            counts[0] += 1
            self._files.add(path)
        for part in body:
            if not head:
                with self._lock:
                    counts[1] += len(part)
            yield part


# The other side
# ---------------------------------------------------------------------------------------------------------------------

BUCKET = "network"


@dataclass(frozen=True)
class S3Server:
    """A running server with an empty bucket, and the settings by which clients find it."""

    endpoint: str
    url: str = f"s3://{BUCKET}"

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables for clients."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """A client of another library than ours."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def upload(self, folder: Path, prefix: str) -> str:
        """Copy a folder into the bucket; its URL there."""
        client = self.client()
        for path in folder.rglob("*"):
            if path.is_file():
                client.upload_file(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")
        return f"{self.url}/{prefix}"

    def count_anew(self) -> None:
        """Forget what was sent so far."""
        self._request("/_counts", "PUT")

    def counts(self) -> dict[str, Any]:
        """Requests and bytes since `count_anew`: requests, bytes, and of each table (`of`)."""
        counts: dict[str, Any] = json.loads(self._request("/_counts"))
        return counts

    @contextmanager
    def failing(self, fault: str) -> Iterator[None]:
        """Answer with a fault (403, 503, hang) meanwhile."""
        self._request(f"/_fault/{fault}", "PUT")
        try:
            yield
        finally:
            self._request("/_fault/none", "PUT")

    def _request(self, path: str, method: str = "GET") -> bytes:
        with urlopen(Request(f"{self.endpoint}{path}", method=method), timeout=30) as answer:
            return bytes(answer.read())


@contextmanager
def running() -> Iterator[S3Server]:
    """A server in a process of its own, because some calls of deltalake hold Python's lock while they wait for an
    answer.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.s3_server", str(port)],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = S3Server(f"http://127.0.0.1:{port}")
    try:
        for attempt in stamina.retry_context(
            on=EndpointConnectionError, attempts=None, timeout=60, wait_initial=0.2, wait_max=0.5
        ):
            with attempt:
                server.client().create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    """Serve until terminated."""
    # A second or two to import, which only this process needs.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    from data.schema import TABLES

    run_simple(
        "127.0.0.1",
        int(sys.argv[1]),
        CountingServer(DomainDispatcherApplication(create_backend_app), TABLES),
        threaded=True,
        request_handler=MotoRequestHandler,
    )


if __name__ == "__main__":
    main()
