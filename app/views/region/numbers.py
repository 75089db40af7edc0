"""A place in four numbers: what it carries now, against a week ago, and how full it is."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import streamlit as st

from app import cached, theme
from app.charts import marks
from app.ui.header import Frame
from app.ui.place import Place
from app.ui.series import WEEK, measured
from app.ui.tile import has_values, tile
from app.ui.time_range import Window
from data.schema import DEMAND_METRICS, DIRECTION_OF, METRIC

HOUR = timedelta(hours=1)
# A value older than this says nothing about now (the same bound as on the Overview).
SILENT = timedelta(hours=3)
HELP = "Egress or ingest over the capacity installed, whichever is fuller; the newest hour."


def draw(frame: Frame, place: Place, window: Window) -> None:
    """The numbers side by side, each with its last week; the page names what is left out."""
    hours = two_weeks(frame, place)
    with st.container(horizontal=True, gap="xsmall", key="place-numbers"):
        for metric in carried(frame, place, window, hours):
            column = hours[f"{metric}_mean"]
            now, then = now_and_then(column, frame.extent.now)
            tile(METRIC[metric].label, theme.metric_value(metric, now), theme.change(now, then), _week(column))
        used = utilisation(frame, place, hours)
        if has_values(used):
            now, then = now_and_then(used, frame.extent.now)
            tile("Utilisation", theme.percent(now), theme.change_points(now, then), _week(100 * used), HELP)


def carried(frame: Frame, place: Place, window: Window, hours: pd.DataFrame) -> list[str]:
    """Egress, and what else the place carried: an edge site takes nothing in, and a tile that says so for ever says
    nothing.

    A place that has fallen silent keeps the tiles of what it carried in the time shown.
    """
    others = (metric for metric in DEMAND_METRICS if metric != "egress_gbps")
    return [
        "egress_gbps",
        *(
            m
            for m in others
            if has_values(hours[f"{m}_mean"]) or has_values(measured(frame, place, window, m)["value"])
        ),
    ]


def _week(hours: pd.Series) -> list[float]:
    return [float(value) for value in hours.tail(168)]


def two_weeks(frame: Frame, place: Place) -> pd.DataFrame:
    """Hourly means of the last fifteen days, by ts."""
    now = frame.extent.now
    start = now.floor("h") - 2 * WEEK - timedelta(days=1)
    return cached.history(frame.pin, frame.scope, place.level, place.key, DEMAND_METRICS, start, now, "1h").set_index(
        "ts"
    )


def now_and_then(hours: pd.Series, now: pd.Timestamp) -> tuple[float | None, float | None]:
    """The newest value of the last three hours, and the one a week before it; None where there is none."""
    recent = hours[hours.index >= now - SILENT].dropna()
    if recent.empty:
        return None, None
    before = hours.get(recent.index[-1] - WEEK)
    return float(recent.iloc[-1]), None if theme.missing(before) else float(before)


def utilisation(frame: Frame, place: Place, hours: pd.DataFrame) -> pd.Series:
    """The higher of egress and ingest over the capacity installed at each hour; null where no capacity is declared."""
    shares = []
    for metric, direction in DIRECTION_OF.items():
        steps = cached.capacity_steps(frame.pin, frame.scope, place.level, place.key, direction)
        limits = marks.installed_capacity(hours.index.to_series(), steps)
        shares.append(pd.Series(marks.utilisation(hours[f"{metric}_mean"], limits), hours.index))
    return pd.concat(shares, axis=1).max(axis=1)
