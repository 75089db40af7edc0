"""GET /metrics: what the server counts and times, and how the lake stands, in Prometheus' text format."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app import cached

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics(_: Request) -> Response:
    """A plain function, for the gauges of the lake are read when asked for."""
    return Response(cached.metrics_text(), media_type=CONTENT_TYPE)
