"""Is the server alive, and is it any use?

GET /healthz   200 {"status": "ok"} as long as the process answers; it looks at nothing else.
GET /readyz    200 when the lake can be read and holds telemetry:
                   {"ready": true, "lake": "var/lake",
                    "telemetry": {"version": 412, "until": "2026-11-20T09:25:00+00:00", "age_seconds": 240.1,
                    "grain_seconds": 300}, "run": {"number": 88, "run_id": "...", "telemetry_until": "...", "started":
                    "...", "age_seconds": 1200.5}}
               "run" is null until a refresh has published one: the pages work without.
               503 {"ready": false, "lake": "var/lake", "reason": "what is missing, and what mends it"} when not.

Old telemetry is still telemetry, so a stale lake is ready; an alarm on staleness compares age_seconds with the grain,
here or in /metrics.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app import cached
from app.cached import EVERYTHING, Extent, HeadroomError, Run


async def healthz(_: Request) -> JSONResponse:
    """Answered on the event loop itself: if that hangs, so does this."""
    return JSONResponse({"status": "ok"})


def readyz(_: Request) -> JSONResponse:
    """A plain function: Starlette runs it on a thread of its own, so that a slow store does not hold the pages up."""
    lake = cached.lake_url()
    try:
        pin = cached.current_pin()
        extent, run = cached.extent(pin, EVERYTHING), cached.latest_run(pin, EVERYTHING)
    except HeadroomError as error:
        cached.count_error("readyz")
        return _not_ready(lake, str(error))
    if extent is None:
        return _not_ready(
            lake,
            "The lake holds no telemetry. Remedy: `python -m data ingest PATH`, or `python -m data demo` for a simulated network.",
        )
    clock = pd.Timestamp.now("UTC")
    return JSONResponse({"ready": True, "lake": lake, "telemetry": _telemetry(extent, clock), "run": _run(run, clock)})


def _not_ready(lake: str, reason: str) -> JSONResponse:
    return JSONResponse({"ready": False, "lake": lake, "reason": reason}, status_code=503)


def _telemetry(extent: Extent, clock: pd.Timestamp) -> dict[str, Any]:
    age = (clock - extent.now).total_seconds()
    return {
        "version": extent.telemetry_version,
        "until": extent.now.isoformat(),
        "age_seconds": round(age, 1),
        "grain_seconds": extent.grain_seconds,
    }


def _run(run: Run | None, clock: pd.Timestamp) -> dict[str, Any] | None:
    if run is None:
        return None
    times = {"telemetry_until": run.telemetry_until.isoformat(), "started": run.started.isoformat()}
    return {
        "number": int(run.number),
        "run_id": run.run_id,
        **times,
        "age_seconds": round((clock - run.started).total_seconds(), 1),
    }


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics(_: Request) -> Response:
    """The metrics in Prometheus' text format. Not a coroutine: the gauges read the lake, which would block the event loop."""
    return Response(cached.metrics_text(), media_type=CONTENT_TYPE)
