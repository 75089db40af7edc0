"""No question ever tells a viewer of a site outside the viewer's scope."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import queries
from data.contract import Series
from data.duck import Scope
from data.lake import Lake
from tests.lakes import SITES

NAMES = {site: {site, name} for site, name, *_ in SITES}
OF_A_SERIES = ("fit", "licence", "scores", "coverage", "residuals", "peaks", "drift", "hindsight")
QUESTIONS: dict[str, Callable[..., Any]] = {name: ask for name, ask in vars(queries).items() if name in queries.__all__ and inspect.isfunction(ask)}


def cases(now: pd.Timestamp) -> dict[str, list[dict[str, Any]]]:
    """Arguments of the questions that need some; for levels and keys both inside and outside of most scopes."""
    recent = {"start": now - pd.Timedelta(days=3), "end": now}
    series = [{"level": level, "key": key} for level, key in (("site", "par-01"), ("site", "mad-01"), ("region", "eu-west"), ("global", "all"))]
    published = [{"series": Series(s["level"], s["key"], "egress_gbps"), "start": now, "end": now + pd.Timedelta(days=1)} for s in series]  # type: ignore[arg-type]
    return {
        "map_at": [{"ts": now - pd.Timedelta(hours=30)}, {"ts": now + pd.Timedelta(hours=30)}],
        "flows_at": [{"ts": now - pd.Timedelta(hours=3)}, {"ts": now + pd.Timedelta(days=3)}],
        "history": [{**s, **recent, "metrics": ("egress_gbps",), "grain": "1h"} for s in series],
        "capacity_steps": [{**s, "direction": "egress"} for s in series],
        "events": [{**s, "start": now - pd.Timedelta(days=30), "end": now} for s in series],
        "gaps": [{**s, **recent} for s in series],
        "site_series": [{**recent, "metric": "egress_gbps", "region_id": region} for region in ("eu-west", None)],
        "forecast": published,
        "bands": published,
        "backtest": [{"series": each["series"], "origin": now - pd.Timedelta(days=7)} for each in published],
        "run_against_run": [{"series": each["series"], "run": 1, "against": 2} for each in published],
        **{name: [{"series": each["series"]} for each in published] for name in OF_A_SERIES},
        "completeness": [{"days": 3}],
        "usual": [{"metric": "egress_gbps"}],
