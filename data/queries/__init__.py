"""The questions that the app asks of the lake, and their answers as frames. Nothing else reads the lake for a page.

Every question takes a `Pin` (which versions) and a `Scope` (which sites the viewer may see). Stamps are UTC; missing is
null or NaN, never zero. A run is visible only once its row is in `runs`; everything published is of the newest run.
"""

from __future__ import annotations

from data.queries.costs import capacity_now, hours_of_day, partner_months
from data.queries.evaluation import backtest, calibration, coverage, licence, licences, peaks, residuals, scores
from data.queries.futures import Futures, futures
from data.queries.gaps import gaps
from data.queries.headline import headline
from data.queries.lake_extent import Extent, extent
from data.queries.loads import loads
from data.queries.network import catalogue, flows_at, map_at, search_index
from data.queries.plan_tables import PlanTables, plan_tables
from data.queries.published import Fit, Run, bands, fit, forecast, latest_run, runs, site_fits, site_forecasts
from data.queries.reads import Query, reads
from data.queries.run_history import drift, hindsight, run_against_run
from data.queries.series import RefitInputs, capacity_steps, events, history, refit_inputs, site_capacity_steps, usual
from data.queries.side_by_side import site_hours, site_series
from data.queries.sites import sites_now
from data.queries.state_of_data import completeness, freshness, quarantined, snapshots, table_versions
from data.queries.weekly import weekly

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
