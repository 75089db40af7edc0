"""The parts of Prophet's model as its users know them: the day, the week and the events, each as a share of the level.
Nobody has
published them: they are those of a refit, and say so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.plain import layout, level, names_axis
from app.charts.residuals import DAYS, week_axis
from app.theme import PALETTES, Scheme, hue, label, percent

LEFT, PLOT, ROW, EVENT_LEFT = 54, 170, 28, 110


def day_chart(day: pd.DataFrame, *, metric: str, zone: str, scheme: Scheme) -> go.Figure:
    """`day`: hour, effect. What each hour of the day adds to the level."""
    axis = {
        "xaxis": {
            "range": [0, 23],
            "tickvals": [0, 6, 12, 18, 23],
            "ticktext": ["00:00", "06:00", "12:00", "18:00", "23:00"],
            "showgrid": False,
            "fixedrange": True,
        }
    }
    texts = [f"{int(hour):02}:00" for hour in day["hour"]]
    return _line(day, "Day, unpublished refit", f"% of the level, clock of {zone}", texts, axis, metric, scheme)


def week_chart(week: pd.DataFrame, *, metric: str, zone: str, scheme: Scheme) -> go.Figure:
    """`week`: hour (0 to 167), effect. What the hour of the week adds to that of the day."""
    texts = [f"{DAYS[int(hour) // 24]} {int(hour) % 24:02}:00" for hour in week["hour"]]
    return _line(
        week, "Week, unpublished refit", f"% beside the day's, clock of {zone}", texts, week_axis(), metric, scheme
    )


def _line(
    part: pd.DataFrame, title: str, subtitle: str, texts: list[str], axis: dict[str, Any], metric: str, scheme: Scheme
) -> go.Figure:
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": part["hour"],
        "y": 100 * part["effect"],
        "text": texts,
        "line": {"color": hue(metric, scheme), "width": 1.8},
        "hovertemplate": "%{text}: <b>%{y:+.3~r} %</b><extra></extra>",
    }
    base = layout(title, subtitle, plot=PLOT, left=LEFT, scheme=scheme)
    looks = {
        "hovermode": "x",
        "shapes": [level(0.0, PALETTES[scheme])],
        "yaxis": {"nticks": 5, "ticksuffix": " %", "fixedrange": True},
    }
    return go.Figure({"data": [line], "layout": base | looks | axis})


def events_chart(events: pd.DataFrame, *, metric: str, scheme: Scheme) -> go.Figure:
    """`events`: kind, effect, hours. What an hour within an event of each kind adds."""
    palette, rows = PALETTES[scheme], events.sort_values("effect", ascending=False, ignore_index=True)
    base = layout(
        "Events, unpublished refit", "% added while one lasts, by kind", plot=PLOT, left=EVENT_LEFT, scheme=scheme
    )
    effects = 100 * rows["effect"].to_numpy(dtype=float)
    texts = [
        f"{'+' if effect >= 0 else '-'}{percent(abs(effect) / 100)}, {hours:.0f} h seen"
        for effect, hours in zip(effects, rows["hours"], strict=True)
    ]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": effects,
        "y": np.arange(len(rows)),
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": hue(metric, scheme)},
        "textfont": {"size": 12, "color": palette.ink},
        "hoverinfo": "skip",
        "width": 0.6,
    }
    low, high = min(0.0, float(effects.min(initial=0.0))), max(0.0, float(effects.max(initial=0.0)))
    span = (high - low) or 1.0
    names = [label(kind, 14) for kind in rows["kind"]]
    axes = {
        "xaxis": {"range": [low - 0.1 * span, high + 0.8 * span], "ticksuffix": " %", "nticks": 4, "fixedrange": True},
        "yaxis": names_axis(names, 3),
    }
    return go.Figure({"data": [bars], "layout": base | axes})
