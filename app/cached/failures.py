"""Failures: each site in turn over the coming half year, a chosen failure week by week, what there is to choose from, and
the table of who takes over for whom.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import pandas as pd

from app.cached import Pin, Scope, ingest_paths, memoize, viewers_per_gbps
from app.cached.planning import PlanQuery, case_of
from data import queries
from data.ingest.named_columns import named_frame, read_table
from data.queries import reads
from data.schema.errors import SettingError
from forecasting.planning.failover import (
    FAILOVER_COLUMNS,
    FAILOVER_SETTING,
    ROUND_TRIP_MS,
    DeclaredFailover,
    failover_rule,
    parse_failover,
    reach_km,
)
from forecasting.planning.failures import (
    FailureRefusal,
    FailureReport,
    FailureSpec,
    FailureTimeline,
    failure_report,
    play_failure,
)

__all__ = [
    "FAILOVER_COLUMNS",
    "FAILOVER_SETTING",
    "ROUND_TRIP_MS",
    "DeclaredFailover",
    "FailureRefusal",
    "FailureReport",
    "FailureSpec",
    "FailureTimeline",
    "failover_rule",
    "reach_km",
    "server_failover",
    "simulate",
    "single_failures",
    "uploaded_failover",
]

# Every draw of the page asks for its table, and one of a hundred sites takes 30 ms to check.
TABLES_KEPT = 16


@memoize
@reads(case_of)
def single_failures(pin: Pin, scope: Scope, query: PlanQuery, quantile: float) -> FailureReport | None:
    """Every single failure of the next half year, on the joint future that `simulate` plays; None where the newest run
    has no futures of sites.
    """
    case = case_of(pin, scope, query)
    return None if case is None else failure_report(case, quantile)


@memoize
@reads(case_of, queries.ingest_paths, queries.viewers_per_gbps)
def simulate(
    pin: Pin, scope: Scope, query: PlanQuery, spec: FailureSpec, quantile: float
) -> FailureTimeline | FailureRefusal | None:
    """A failure played over the half year, on the joint future at `quantile` of each week's total; None where the
    newest run has no futures of sites.

    HeadroomError where the query's changes cannot be applied.
    """
    case = case_of(pin, scope, query)
    if case is None:
        return None
    viewers = viewers_per_gbps(pin, scope) if query.direction == "egress" else None
    return play_failure(
        case,
        spec,
        quantile,
        paths=ingest_paths(pin, scope),
        viewers_per_gbps=None if viewers is None else viewers.ratio,
    )


def server_failover(sites: pd.DataFrame) -> DeclaredFailover | None:
    """The failover table that HEADROOM_FAILOVER names, None where it names none; SettingError where it is not usable."""
    path = os.environ.get(FAILOVER_SETTING)
    return uploaded_failover(Path(path).name, _content(Path(path)), sites) if path else None


def _content(path: Path) -> bytes:
    """The bytes of the server's table, by which its rows are kept; SettingError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(
            f"The failover table {path} cannot be read: {error.strerror or error}.",
            cause=f"the path in {FAILOVER_SETTING} names another place",
            remedy="name a CSV or Parquet file",
        ) from error


def uploaded_failover(name: str, content: bytes, sites: pd.DataFrame) -> DeclaredFailover:
    """The failover table in a file's content, checked against the lake's sites; SettingError with the first fault."""
    return _parsed(name, content, frozenset(sites["site_id"]))


@lru_cache(maxsize=TABLES_KEPT)
def _parsed(name: str, content: bytes, known: frozenset[str]) -> DeclaredFailover:
    return parse_failover(name, named_frame(read_table(name, content), FAILOVER_COLUMNS, (), name), known)
