"""What the charts and tables of a place draw from: its measurements, expectations, capacity, events and gaps over a
window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from app import cached, state
from app.cached import Series
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.place import Place
from app.ui.time_range import Window
from data.schema import DIRECTION_OF, METRIC

WEEK = timedelta(days=7)
_STEP = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}


@dataclass(frozen=True)
class Traffic:
    """One metric of a place over a window; frames as the charts take them (see TrafficChart). `reason` says why there
    is no forecast.

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
    """One sentence of Markdown, or None where the newest run has a forecast of the series."""
    if cached.latest_run(frame.pin, frame.scope) is None:
        return "No forecast has been published yet; `python -m forecasting refresh` makes one."
    fit = cached.fit(frame.pin, frame.scope, series)
    label = METRIC[series.metric].label
    if fit is None:
        return f"{label} of this place was not part of the last refresh."
    return None if fit.status == "fitted" else f"{label} has no forecast: {plain(fit.reason)}"


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
