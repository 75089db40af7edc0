"""What this process counts and times, and how the lake stands, in Prometheus' terms.

The server counts its own pages, questions and errors. An ingest or a refresh is another process, so its figures are
read from what it left in the lake, at the moment that somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from data.lake.object_store import TRAFFIC
from data.lake.query import EVERYTHING, query
from data.lake.tables import Lake, Pin
from data.queries import extent, latest_run

# A page is felt as instant under 0.1 s and loses its reader over 10.
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

PAGE_SECONDS = Histogram("headroom_page_seconds", "Time to draw a page, in the server", ["page"], buckets=SECONDS)
QUERY_SECONDS = Histogram(
    "headroom_query_seconds",
    "Time to answer a question from the lake; answers that were kept do not count",
    ["question"],
    buckets=SECONDS,
)
ERRORS = Counter("headroom_errors", "Errors shown to a viewer or to a probe", ["where"])

Families = Iterator[GaugeMetricFamily | CounterMetricFamily]


class LakeCollector(Collector):
    """The gauges of one pinned lake; None is a lake that cannot be read, `reachable` whether its store answers."""

    def __init__(self, pin: Pin | None, *, reachable: bool = True) -> None:
        self._pin, self._reachable = pin, reachable

    def collect(self) -> Families:
        yield _counter(
            "headroom_store_requests", "Ranges fetched from the object store by this server", TRAFFIC.requests
        )
        yield _counter("headroom_store_bytes", "Bytes fetched from the object store by this server", TRAFFIC.bytes)
        yield _gauge(
            "headroom_lake_reachable",
            "1 where the folder or object store of the lake answers, 0 where it refuses, denies, throttles or hangs",
            float(self._reachable),
        )
        yield _gauge(
            "headroom_lake_readable", "1 where the lake can be read, 0 where not", float(self._pin is not None)
        )
        if self._pin is not None:
            yield from _telemetry(self._pin)
            yield from _ingest(self._pin)
            yield from _refresh(self._pin)


def exposition(pin: Pin | None, *, reachable: bool = True) -> bytes:
    """All figures as text: those of this process, then those of the lake."""
    lake = CollectorRegistry()
    lake.register(LakeCollector(pin, reachable=reachable))
    return generate_latest(REGISTRY) + generate_latest(lake)


def _telemetry(pin: Pin) -> Families:
    telemetry = extent(pin, EVERYTHING)
    if telemetry is None:
        return
    yield _gauge("headroom_telemetry_end_timestamp_seconds", "End of the telemetry", telemetry.now.timestamp())
    yield _gauge(
        "headroom_telemetry_received_timestamp_seconds",
        "Arrival of the newest sample",
        telemetry.received_at.timestamp(),
    )
    yield _gauge("headroom_telemetry_grain_seconds", "Step between samples", telemetry.grain_seconds)
    yield _gauge("headroom_telemetry_version", "Version of the table telemetry", telemetry.telemetry_version)
    yield _gauge("headroom_sites", "Sites in the lake", telemetry.sites)


def _ingest(pin: Pin) -> Families:
    """Metrics of ingest, from the ledger of snapshots."""
    counts = "count(*) AS snapshots, sum(rows_accepted) AS accepted, sum(rows_quarantined) AS refused, max(ingested_at) AS newest"
    ledger = query(
        pin,
        f'SELECT "table", state, {counts} FROM snapshots GROUP BY "table", state ORDER BY "table", state',
        ["snapshots"],
        scope=EVERYTHING,
    )
    if ledger.empty:
        return
    yield _by(
        "headroom_ingest_snapshots",
        "Snapshots in the ledger",
        ["table", "state"],
        ledger[["table", "state", "snapshots"]],
    )
    rows = ledger.groupby("table", as_index=False)[["accepted", "refused"]].sum().melt("table")
    yield _by("headroom_ingest_rows", "Rows read from snapshots, by what became of them", ["table", "outcome"], rows)
    yield _gauge(
        "headroom_ingest_newest_timestamp_seconds",
        "When the newest snapshot was taken in",
        ledger["newest"].max().timestamp(),
    )
    refused = query(pin, "SELECT count(*) AS faults FROM quarantine", ["quarantine"], scope=EVERYTHING)
    yield _gauge("headroom_quarantine_faults", "Faults of what lies in quarantine", refused["faults"][0])
    last = Lake(pin.url).read_note("ingest")
    seconds = None if last is None else last.get("seconds")
    if isinstance(seconds, int | float):
        yield _gauge("headroom_ingest_seconds", "How long the newest ingest took", seconds)


def _refresh(pin: Pin) -> Families:
    """Metrics of the newest published run."""
    run = latest_run(pin, EVERYTHING)
    if run is None:
        return
    series = pd.DataFrame([(status, getattr(run, status)) for status in ("fitted", "refused", "failed")])
    yield _gauge("headroom_run_number", "Number of the newest run", run.number)
    yield _gauge("headroom_run_started_timestamp_seconds", "When the newest run started", run.started.timestamp())
    yield _gauge("headroom_refresh_seconds", "How long the newest run took", run.seconds)
    yield _by("headroom_refresh_series", "Series of the newest run, by what became of them", ["status"], series)


def _counter(name: str, meaning: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(name, meaning, value=value)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=float(value))


def _by(name: str, meaning: str, labels: list[str], rows: pd.DataFrame) -> GaugeMetricFamily:
    """A gauge with labels; `rows` holds their values, and the gauge's in its last column."""
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for *values, number in rows.itertuples(index=False, name=None):
        family.add_metric([str(value) for value in values], float(number))
    return family
