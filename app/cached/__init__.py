"""What the pages read of the lake: every query of data.queries under its own name, run once for a version of the tables
that it reads, and the pin that says which versions are shown.

    cached.history(pin, scope, "site", "fra-01", ("egress_gbps",), start, end, "1h")
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pandas as pd

from app.cached.pins import current_pin, invalidate_pin, lake_url, progress
from app.cached.query_cache import memoize
from data import queries
from data.lake.query import EVERYTHING, Scope, SiteFilter
from data.lake.tables import Pin
from data.queries import Comparison, Extent, Fit, Futures, Run, Subject, ViewersPerGbps
from data.queries.anomalies import anomalies
from data.queries.forecasts import LEAD_DAYS
from data.queries.metrics import ERRORS, PAGE_SECONDS, exposition
from data.queries.series import Grain
from data.schema import Direction, Level, Series
from data.schema import dictionary as contract_in_words
from data.schema.errors import ConflictError, HeadroomError, ObjectStoreError

# What the pages know of the lake beside the queries below.
__all__ = [
    "EVERYTHING",
    "LEAD_DAYS",
    "Comparison",
    "ConflictError",
    "Direction",
    "Extent",
    "Fit",
    "Futures",
    "Grain",
    "HeadroomError",
    "Level",
    "ObjectStoreError",
    "Pin",
    "Run",
    "Scope",
    "Series",
    "SiteFilter",
    "Subject",
    "ViewersPerGbps",
    "anomalies",
    "current_pin",
    "invalidate_pin",
    "lake_url",
    "memoize",
    "progress",
]

# The network and its sites
extent = memoize(queries.extent)
catalogue = memoize(queries.catalogue)
search_index = memoize(queries.search_index)
sites_now = memoize(queries.sites_now)
headline = memoize(queries.headline)
map_at = memoize(queries.map_at)
flows_at = memoize(queries.flows_at)
ingest_paths = memoize(queries.ingest_paths)
viewers_per_gbps = memoize(queries.viewers_per_gbps)
usual = memoize(queries.usual)

# Series through time
history = memoize(queries.history)
gaps = memoize(queries.gaps)
capacity = memoize(queries.capacity)
planned_augments = memoize(queries.planned_augments)
capacity_steps = memoize(queries.capacity_steps)
site_capacity_steps = memoize(queries.site_capacity_steps)
events = memoize(queries.events)
samples_set_aside = memoize(queries.samples_set_aside)
site_series = memoize(queries.site_series)
site_hours = memoize(queries.site_hours)
weekly = memoize(queries.weekly)
weekly_peaks = memoize(queries.weekly_peaks)
partner_months = memoize(queries.partner_months)
hours_of_day = memoize(queries.hours_of_day)
compare = memoize(queries.compare)
drivers = memoize(queries.drivers)

# What runs have published
latest_run = memoize(queries.latest_run)
runs = memoize(queries.runs)
forecast = memoize(queries.forecast)
bands = memoize(queries.bands)
site_forecasts = memoize(queries.site_forecasts)
fit = memoize(queries.fit)
site_fits = memoize(queries.site_fits)
futures = memoize(queries.futures)
peaks = memoize(queries.peaks)

# How far a forecast may be trusted
licence = memoize(queries.licence)
licences = memoize(queries.licences)
scores = memoize(queries.scores)
accuracy = memoize(queries.accuracy)
series_accuracy = memoize(queries.series_accuracy)
calibration = memoize(queries.calibration)
coverage = memoize(queries.coverage)
backtest = memoize(queries.backtest)
residuals = memoize(queries.residuals)
drift = memoize(queries.drift)
hindsight = memoize(queries.hindsight)
run_against_run = memoize(queries.run_against_run)

# The state of the data
completeness = memoize(queries.completeness)
freshness = memoize(queries.freshness)
quarantined = memoize(queries.quarantined)
set_aside = memoize(queries.set_aside)
level_changes = memoize(queries.level_changes)
snapshots = memoize(queries.snapshots)
table_versions = memoize(queries.table_versions)


def dictionary() -> pd.DataFrame:
    """The data dictionary: table, column, type, unit, presence, values, meaning."""
    return pd.DataFrame(contract_in_words.rows())


def timed_page(page: str) -> AbstractContextManager[Any]:
    """Times the drawing of a page for /metrics."""
    return PAGE_SECONDS.labels(page).time()


def count_error(where: str) -> None:
    """Counts an error that somebody was shown, for /metrics."""
    ERRORS.labels(where).inc()


def metrics_text() -> bytes:
    """The text of /metrics: this server's figures and the lake's; a lake that cannot be read is a figure too."""
    try:
        return exposition(current_pin())
    except ObjectStoreError:
        return exposition(None, reachable=False)
    except HeadroomError:
        return exposition(None)
