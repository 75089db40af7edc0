"""A place, chosen: the network, a region or a site; and the series that are drawn of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd
import streamlit as st

from app import cached, state
from app.cached import Series
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.time_range import Window
from data.schema import DIRECTION_OF, GLOBAL_KEY, METRIC, Level

_REGION, _SITE = "place.region", "place.site"
_ALL = ""  # no identifier is empty


@dataclass(frozen=True, slots=True)
class Place:
    """A place: the level and key of its series, its name, and the region it lies in (None for the network)."""

    level: Level
    key: str
    name: str
    region_id: str | None


def chosen(frame: Frame) -> Place:
    """The place that the state names."""
    sites, now = frame.catalogue, state.current()
    if now.site is not None:
        row = sites[sites["site_id"] == now.site].iloc[0]
        return Place("site", now.site, str(row["name"]), str(row["region_id"]))
    if now.region is not None:
        return Place("region", now.region, region_names(sites)[now.region], now.region)
    return Place("global", GLOBAL_KEY, "All regions", None)


def region_names(catalogue: pd.DataFrame) -> dict[str, str]:
    """Name of each region by its identifier, by name; the identifier stands where there is no name."""
    pairs = catalogue[["region_id", "region_name"]].drop_duplicates("region_id")
    names = {
        str(r.region_id): str(r.region_id if pd.isna(r.region_name) else r.region_name) for r in pairs.itertuples()
    }
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))


def site_names(catalogue: pd.DataFrame, region_id: str | None) -> dict[str, str]:
    """Name of each site of a region (None: of all) by its identifier, by name."""
    mine = catalogue if region_id is None else catalogue[catalogue["region_id"] == region_id]
    names = {str(r.site_id): str(r.name_) for r in mine.rename(columns={"name": "name_"}).itertuples()}
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))


def choose(frame: Frame) -> Place:
    """Draw the two choices, region and then site, and return the place."""
    now = state.current()
    regions, sites = region_names(frame.catalogue), site_names(frame.catalogue, now.region)
    st.session_state[_REGION], st.session_state[_SITE] = now.region or _ALL, now.site or _ALL
    st.selectbox(
        "Region",
        [_ALL, *regions],
        format_func=lambda key: regions.get(key, "All regions"),
        key=_REGION,
        on_change=_region_chosen,
        width=170,
    )
    st.selectbox(
        "Site",
        [_ALL, *sites],
        format_func=lambda key: sites.get(key, "All sites"),
        key=_SITE,
        on_change=_site_chosen,
        width=190,
    )
    return chosen(frame)


def _region_chosen() -> None:
    state.update(region=st.session_state[_REGION] or None, site=None)


def _site_chosen() -> None:
    state.update(site=st.session_state[_SITE] or None)


WEEK = timedelta(days=7)
_STEP = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}


@dataclass(frozen=True)
class Traffic:
    """One metric of a place over a window; frames as the charts take them (see TrafficChart). `reason` says why there
    is no forecast, or what it is without.

    `beside` holds the other models' curves that are asked for, `licence` what decided which one is drawn.
    """

    metric: str
    history: pd.DataFrame
    bands: pd.DataFrame
    forecast: pd.DataFrame
    last_week: pd.DataFrame
    capacity: pd.DataFrame
    beside: pd.DataFrame
    peaks: pd.DataFrame
    licence: pd.DataFrame
    reason: str | None

    @property
    def measured(self) -> bool:
        return bool(self.history["value"].notna().any())


def traffic(frame: Frame, place: Place, window: Window, metric: str) -> Traffic:
    """Ask for all that a chart of this metric shows, and no more than the state asks for."""
    show = state.current().show
    expected = "forecast" in show
    series = Series(place.level, place.key, metric)
    direction = DIRECTION_OF.get(metric)
    ahead = (
        in_grain(cached.forecast(frame.pin, frame.scope, series, window.now, window.end), window.grain, finest="1h")
        if expected
        else NO_FORECAST
    )
    return Traffic(
        metric,
        measured(frame, place, window, metric),
        in_grain(cached.bands(frame.pin, frame.scope, series, window.start, window.end), window.grain)
        if expected
        else NO_BANDS,
        ahead,
        last_week(frame, place, window, metric) if "last_week" in show and window.ghost else NO_VALUES,
        cached.capacity_steps(frame.pin, frame.scope, place.level, place.key, direction) if direction else NO_CAPACITY,
        ahead[["ts", *(name for name in BESIDE if name in show)]],
        cached.peaks(frame.pin, frame.scope, series) if expected and "peaks" in show else NO_PEAKS,
        cached.licence(frame.pin, frame.scope, series),
        why_no_forecast(frame, series),
    )


def measured(frame: Frame, place: Place, window: Window, metric: str) -> pd.DataFrame:
    """ts, value, completeness and, at coarser grains, max (the highest sample of each interval)."""
    rows = finished(
        cached.history(
            frame.pin, frame.scope, place.level, place.key, (metric,), window.start, window.past_end, window.grain
        ),
        window,
    )
    wanted = {"ts": "ts", f"{metric}_mean": "value", f"{metric}_max": "max", "completeness": "completeness"}
    if window.grain == "5min":
        del wanted[f"{metric}_max"]
    return rows[list(wanted)].rename(columns=wanted)


def last_week(frame: Frame, place: Place, window: Window, metric: str) -> pd.DataFrame:
    """The same stretch a week earlier, moved onto the window: ts, value."""
    start, end = window.start - WEEK, min(window.end - WEEK, window.now)
    rows = finished(
        cached.history(frame.pin, frame.scope, place.level, place.key, (metric,), start, end, window.grain), window
    )
    return pd.DataFrame({"ts": rows["ts"] + WEEK, "value": rows[f"{metric}_mean"]})


def finished(rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Without the hour or day that is not over: the mean of a morning is no mean of a day, and would look like a
    fall.
    """
    return rows[rows["ts"] + _STEP[window.grain] <= window.now] if window.grain in _STEP else rows


def in_grain(published: pd.DataFrame, grain: str, finest: str = "5min") -> pd.DataFrame:
    """What a run published at its own grain, averaged to the grain of the chart where that is coarser; only hours and
    days that it covers whole.

    The mean of bounds is wider than the bounds of the mean: a band drawn by hour or by day errs on the wide side.
    """
    if published.empty or grain not in _STEP or grain == finest:
        return published
    parts = published.groupby(published["ts"].dt.floor(_STEP[grain]))
    whole = parts.size() * published["ts"].diff().min() >= _STEP[grain]
    return parts.mean(numeric_only=True)[whole].rename_axis("ts").reset_index()


def why_no_forecast(frame: Frame, series: Series) -> str | None:
    """One sentence of Markdown: why the newest run has no forecast of the series, or what its forecast is without; None
    where there is nothing to say.
    """
    if cached.latest_run(frame.pin, frame.scope) is None:
        return "No forecast has been published yet; `python -m forecasting refresh` makes one."
    fit = cached.fit(frame.pin, frame.scope, series)
    label = METRIC[series.metric].label
    if fit is None:
        return f"{label} of this place was not part of the last refresh."
    if fit.status != "fitted":
        return f"{label} has no forecast: {plain(fit.reason)}"
    return None if fit.reason is None else f"{label} of the coming weeks: {plain(fit.reason)}."


def _frame(**columns: str) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


_STAMP = "datetime64[us, UTC]"
_BOUNDS = dict.fromkeys(("expected", "lower_80", "upper_80", "lower_95", "upper_95"), "float64")
NO_BANDS = _frame(ts=_STAMP, **_BOUNDS)
# Columns of the forecast that hold the curve of another model.
BESIDE = ("prophet", "baseline")
NO_FORECAST = _frame(
    ts=_STAMP, **dict.fromkeys(("yhat", "q025", "q10", "q25", "q50", "q75", "q90", "q975", *BESIDE), "float64")
)
NO_PEAKS = _frame(week=_STAMP, statistic="str", **dict.fromkeys(("q05", "q10", "q50", "q90", "q95"), "float64"))
NO_VALUES = _frame(ts=_STAMP, value="float64")
NO_EVENTS = _frame(event_id="str", kind="str", title="str", start=_STAMP, end=_STAMP, scope="str", treatment="str")
NO_CAPACITY = _frame(effective_from=_STAMP, capacity_gbps="float64", status="str")
