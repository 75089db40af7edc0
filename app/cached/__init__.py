"""The lake's answers, kept: the questions of data.queries under the same names, each asked once for a version of the
tables that it reads.

Keys are scalars (the lake, the versions of the tables that the question uses, the viewer's scope, the arguments), never
frames. The answers are
kept as objects and handed out as shallow copies: under pandas' copy-on-write a page that changes its copy leaves the
kept frame alone, and a hit costs the same for 48 sites as for 500, which a pickled copy would not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, TypeVar

import pandas as pd
import streamlit as st

from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake, Pin
from data.queries import Counts, Extent, Fit, Futures, Run
from data.queries.headline import count
from data.queries.metrics import ERRORS, PAGE_SECONDS, QUERY_SECONDS, exposition
from data.queries.run_history import LEAD_DAYS
from data.queries.series import Grain
from data.schema import TABLES, Direction, Level, Series
from data.schema import dictionary as contract_in_words
from data.schema.errors import ConflictError, HeadroomError
from forecasting.models import refit as refitting
from forecasting.models.engine import HORIZON
from forecasting.models.refit import Refit, Wish
from forecasting.panel.panel import Panel

# What the pages know of the lake beside the answers.
__all__ = [
    "EVERYTHING",
    "LEAD_DAYS",
    "ConflictError",
    "Counts",
    "Direction",
    "Extent",
    "Fit",
    "Grain",
    "HeadroomError",
    "Level",
    "Pin",
    "Refit",
    "Run",
    "Scope",
    "Series",
    "Wish",
    "count",
]

Answer = TypeVar("Answer")

DEFAULT_LAKE = "var/lake"
# A new version is seen within this many seconds; looking costs a few file probes.
VERSIONS_SECONDS = 3
# An answer is at most a few MB (a year of hours, or a month of all sites), most are a few kB.
ANSWERS_KEPT = 512

MEASURED = ("telemetry", "telemetry_1h", "telemetry_1d", "sites", "capacity", "snapshots")
PUBLISHED = ("runs", "forecasts", "bands", "fits")
PATHS = ("runs", "paths", "sites")
TESTED = ("runs", "backtests", "telemetry_1h")


def lake_url() -> str:
    """Where the lake lies: HEADROOM_LAKE, else var/lake."""
    return os.environ.get("HEADROOM_LAKE") or DEFAULT_LAKE


def current_pin() -> Pin:
    """The newest version of every table, looked up at most every few seconds."""
    pin: Pin = _pin(lake_url())
    return pin


def look_anew() -> None:
    """See versions that this process has just written at once."""
    _pin.clear()


def progress() -> dict[str, Any] | None:
    """How far a refresh has come: state, done, total, started, updated, message; None where none has run."""
    note: dict[str, Any] | None = _progress(lake_url())
    return note


def extent(pin: Pin, scope: Scope = EVERYTHING) -> Extent | None:
    """What the lake holds, and what "now" is."""
    return _answer(queries.extent, MEASURED, pin, scope)


def catalogue(pin: Pin, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """Every site."""
    return _answer(queries.catalogue, ("sites",), pin, scope)


def sites_now(pin: Pin, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """Every site as it stands now."""
    return _answer(queries.sites_now, MEASURED + PUBLISHED, pin, scope)


def headline(pin: Pin, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The network's headline numbers with a week of hours."""
    return _answer(queries.headline, MEASURED, pin, scope)


def map_at(pin: Pin, scope: Scope, ts: datetime) -> pd.DataFrame:
    """Every site at the hour that holds `ts`, measured or expected."""
    return _answer(queries.map_at, MEASURED + PUBLISHED, pin, scope, ts=pd.Timestamp(ts).floor("h"))


def flows_at(pin: Pin, scope: Scope, ts: datetime) -> pd.DataFrame:
    """The largest flows of the hour that holds `ts`."""
    return _answer(queries.flows_at, (*MEASURED, "flows_1h"), pin, scope, ts=pd.Timestamp(ts).floor("h"))


def search_index(pin: Pin, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """Everything that a viewer may look for."""
    return _answer(queries.search_index, ("sites",), pin, scope)


def history(
    pin: Pin,
    level: Level,
    key: str,
    metrics: tuple[str, ...],
    start: datetime,
    end: datetime,
    grain: Grain,
    scope: Scope = EVERYTHING,
) -> pd.DataFrame:
    """Metrics of a series on a complete axis."""
    return _answer(
        queries.history, MEASURED, pin, scope, level=level, key=key, metrics=metrics, start=start, end=end, grain=grain
    )


def capacity_steps(pin: Pin, level: Level, key: str, direction: Direction, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The capacity of a series as steps in time."""
    return _answer(queries.capacity_steps, ("capacity", "sites"), pin, scope, level=level, key=key, direction=direction)


def events(pin: Pin, level: Level, key: str, start: datetime, end: datetime, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """What is known to touch a series between two moments."""
    return _answer(queries.events, ("events", "sites"), pin, scope, level=level, key=key, start=start, end=end)


def gaps(pin: Pin, level: Level, key: str, start: datetime, end: datetime, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """Stretches of a series without data."""
    return _answer(queries.gaps, MEASURED, pin, scope, level=level, key=key, start=start, end=end)


def site_series(
    pin: Pin, region_id: str | None, metric: str, start: datetime, end: datetime, scope: Scope = EVERYTHING
) -> pd.DataFrame:
    """One metric of all sites of a region, by hour."""
    return _answer(queries.site_series, MEASURED, pin, scope, region_id=region_id, metric=metric, start=start, end=end)


def latest_run(pin: Pin, scope: Scope = EVERYTHING) -> Run | None:
    """The newest published run."""
    return _answer(queries.latest_run, ("runs",), pin, scope)


def runs(pin: Pin, limit: int = 20, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The newest runs."""
    return _answer(queries.runs, ("runs",), pin, scope, limit=limit)


def forecast(pin: Pin, series: Series, start: datetime, end: datetime, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The newest run's hourly forecast of a series."""
    return _answer(queries.forecast, PUBLISHED, pin, scope, series=series, start=start, end=end)


def bands(pin: Pin, series: Series, start: datetime, end: datetime, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The newest run's bands of a series."""
    return _answer(queries.bands, PUBLISHED, pin, scope, series=series, start=start, end=end)


def fit(pin: Pin, series: Series, scope: Scope = EVERYTHING) -> Fit | None:
    """What became of a series in the newest run."""
    return _answer(queries.fit, PUBLISHED, pin, scope, series=series)


def futures(pin: Pin, level: Level, metric: str, statistic: str, scope: Scope = EVERYTHING) -> Futures | None:
    """The newest run's futures of all places of a level."""
    return _answer(queries.futures, PATHS, pin, scope, level=level, metric=metric, statistic=statistic)


def weekly(
    pin: Pin, metrics: tuple[str, ...], start: datetime, end: datetime, scope: Scope = EVERYTHING
) -> pd.DataFrame:
    """The measured peak and P95 of every week, of sites, regions and the network."""
    return _answer(queries.weekly, MEASURED, pin, scope, metrics=metrics, start=start, end=end)


def partner_months(
    pin: Pin, metrics: tuple[str, ...], start: datetime, end: datetime, scope: Scope = EVERYTHING
) -> pd.DataFrame:
    """The P95 of each partner's sum, by month."""
    return _answer(queries.partner_months, MEASURED, pin, scope, metrics=metrics, start=start, end=end)


def hours_of_day(pin: Pin, metric: str, start: datetime, end: datetime, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """What each region carries in each hour of the UTC day."""
    return _answer(queries.hours_of_day, MEASURED, pin, scope, metric=metric, start=start, end=end)


def licence(pin: Pin, series: Series, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """Which model is drawn for a series at each horizon, and why."""
    return _answer(queries.licence, ("runs", "licences"), pin, scope, series=series)


def licences(pin: Pin, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The licences of all series."""
    return _answer(queries.licences, ("runs", "licences"), pin, scope)


def scores(pin: Pin, series: Series, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """How every model did for a series."""
    return _answer(queries.scores, ("runs", "scores"), pin, scope, series=series)


def calibration(pin: Pin, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """How often the intervals and peak quantiles of all series held."""
    return _answer(queries.calibration, ("runs", "scores"), pin, scope)


def coverage(pin: Pin, series: Series, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """How often the intervals of a series held at each past origin."""
    return _answer(queries.coverage, TESTED, pin, scope, series=series)


def backtest(pin: Pin, series: Series, origin: datetime, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """What one past origin would have forecast, and what came."""
    return _answer(queries.backtest, TESTED, pin, scope, series=series, origin=origin)


def residuals(pin: Pin, series: Series, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """What came less what was expected, over all backtests of a series."""
    return _answer(queries.residuals, TESTED, pin, scope, series=series)


def peaks(pin: Pin, series: Series, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """Quantiles of the peak of each coming week."""
    return _answer(queries.peaks, ("runs", "peaks"), pin, scope, series=series)


def drift(pin: Pin, series: Series, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The backtest error of a series from run to run."""
    return _answer(queries.drift, ("runs", "scores"), pin, scope, series=series)


def hindsight(pin: Pin, series: Series, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """What earlier runs published for a series against what came in the week after each."""
    return _answer(queries.hindsight, MEASURED + PUBLISHED, pin, scope, series=series)


def run_against_run(pin: Pin, run: int, against: int, series: Series, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The scores of two runs side by side."""
    return _answer(queries.run_against_run, ("runs", "scores"), pin, scope, run=run, against=against, series=series)


def usual(pin: Pin, metric: str, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """What each site usually carries."""
    return _answer(queries.usual, ("sites", "telemetry_1d"), pin, scope, metric=metric)


def refit(pin: Pin, series: Series, wish: Wish, scope: Scope = EVERYTHING) -> Refit | None:
    """A series fitted anew with other settings, unpublished; None where there is no telemetry."""
    return _answer(_refit, (*MEASURED, "events"), pin, scope, series=series, wish=wish)


def _refit(pin: Pin, scope: Scope, series: Series, wish: Wish) -> Refit | None:
    panel = _answer(_panel, (*MEASURED, "events"), pin, scope, series=series)
    return None if panel is None else refitting.refit(panel, series, wish)


def _panel(pin: Pin, scope: Scope, series: Series) -> Panel | None:
    """All that a refit reads, so that another setting asks the lake for nothing."""
    held = extent(pin, scope)
    if held is None:
        return None
    hours = queries.history(pin, series.level, series.key, (series.metric,), held.first, held.now, "1h", scope)
    known = queries.events(pin, series.level, series.key, held.first, held.now + HORIZON, scope)
    values = hours.rename(columns={f"{series.metric}_mean": "value"})[["ts", "value", "completeness"]]
    return refitting.panel_of_one(series, values, known, usual(pin, series.metric, scope), held.now)


def completeness(pin: Pin, days: int, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """How much of each day arrived from each site."""
    return _answer(queries.completeness, MEASURED, pin, scope, days=days)


def freshness(pin: Pin, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """How old the newest sample of each site is."""
    return _answer(queries.freshness, MEASURED, pin, scope)


def quarantined(pin: Pin, limit: int = 500, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The newest refusals with their reasons."""
    return _answer(queries.quarantined, ("quarantine",), pin, scope, limit=limit)


def snapshots(pin: Pin, limit: int = 200, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The newest snapshots seen."""
    return _answer(queries.snapshots, ("snapshots",), pin, scope, limit=limit)


def table_versions(pin: Pin, scope: Scope = EVERYTHING) -> pd.DataFrame:
    """The newest version of each table; it tells nothing of single sites, so every scope sees it."""
    return _answer(queries.table_versions, tuple(TABLES), pin, scope)


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
    except HeadroomError:
        return exposition(None)


def _answer(ask: Callable[..., Answer], tables: tuple[str, ...], pin: Pin, scope: Scope, **arguments: Any) -> Answer:
    """The kept answer; the question sees only the tables that stand in its key, so that it cannot depend on another."""
    narrow = pin.only(tables)
    sites = None if scope.sites is None else sorted(scope.sites)
    answer: Answer = _handed_out(
        _kept(ask.__name__.lstrip("_"), repr((narrow, sites, arguments)), lambda: ask(narrow, scope=scope, **arguments))
    )
    return answer


def _handed_out(kept: Any) -> Any:
    return kept.copy(deep=False) if isinstance(kept, pd.DataFrame) else kept


@st.cache_resource(show_spinner=False, max_entries=ANSWERS_KEPT)
def _kept(question: str, key: str, _ask: Callable[[], Any]) -> Any:
    with QUERY_SECONDS.labels(question).time():
        return _ask()


@st.cache_resource(show_spinner=False, ttl=VERSIONS_SECONDS, max_entries=8)
def _pin(url: str) -> Pin:
    return Lake(url).pin()


@st.cache_resource(show_spinner=False, ttl=VERSIONS_SECONDS, max_entries=8)
def _progress(url: str) -> dict[str, Any] | None:
    return Lake(url).read_note("refresh")
