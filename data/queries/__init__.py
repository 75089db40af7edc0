"""The questions that the app asks of the lake, and their answers as frames. Nothing else reads the lake for a page.

Every question takes a `Pin` (which versions) and a `Scope` (which sites the viewer may see). Stamps are UTC; missing is
null or NaN, never zero. A run is visible only once its row is in `runs`; everything published is of the newest run.
"""

from __future__ import annotations

from data.queries.costs import capacity_now, hours_of_day, partner_months
from data.queries.forecasts import (
    Fit,
    Futures,
    Run,
    backtest,
    bands,
    calibration,
    coverage,
    drift,
    fit,
    forecast,
    futures,
    hindsight,
    latest_run,
    licence,
    licences,
    peaks,
    residuals,
    run_against_run,
    runs,
    scores,
    site_fits,
    site_forecasts,
)
from data.queries.headline import headline
from data.queries.lake_state import Extent, extent, freshness, quarantined, snapshots, table_versions
from data.queries.model_inputs import loads, weekly
from data.queries.network import catalogue, flows_at, map_at, search_index
from data.queries.plan_tables import PlanTables, plan_tables
from data.queries.reads import Query, reads
from data.queries.series import (
    RefitInputs,
    capacity_steps,
    events,
    gaps,
    history,
    refit_inputs,
    site_capacity_steps,
    usual,
)
from data.queries.site_matrix import completeness, site_hours, site_series
from data.queries.sites import sites_now

__all__ = [
    "Extent",
    "Fit",
    "Futures",
    "PlanTables",
    "Query",
    "RefitInputs",
    "Run",
    "backtest",
    "bands",
    "calibration",
    "capacity_now",
    "capacity_steps",
    "catalogue",
    "completeness",
    "coverage",
    "drift",
    "events",
    "extent",
    "fit",
    "flows_at",
    "forecast",
    "freshness",
    "futures",
    "gaps",
    "headline",
    "hindsight",
    "history",
    "hours_of_day",
    "latest_run",
    "licence",
    "licences",
    "loads",
    "map_at",
    "partner_months",
    "peaks",
    "plan_tables",
    "quarantined",
    "reads",
    "refit_inputs",
    "residuals",
    "run_against_run",
    "runs",
    "scores",
    "search_index",
    "site_capacity_steps",
    "site_fits",
    "site_forecasts",
    "site_hours",
    "site_series",
    "sites_now",
    "snapshots",
    "table_versions",
    "usual",
    "weekly",
]
