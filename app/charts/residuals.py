"""What came less what was expected: by hour of the week, and how it is distributed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace
from app.charts.plain import above, layout, level, upright
from app.theme import BAND_80, PALETTES, Scheme, fade, hue, label, percent, significant, unit

LEFT, PLOT, BINS, DAY_HOURS = 54, 190, 40, 24
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# A few hours far off would squash the rest of a distribution: the outermost parts in a thousand on each side share the
# last bar.
OUTERMOST = 0.005


def by_hour_of_week(residuals: pd.DataFrame, zone: str) -> pd.DataFrame:
    """hour (0 to 167 from Monday 00:00 of the zone), median, low, high (0.1 and 0.9 quantile), count; from ts,
    residual.
    """
    local = residuals["ts"].dt.tz_convert(zone)
    groups = residuals["residual"].groupby((local.dt.day_of_week * DAY_HOURS + local.dt.hour).rename("hour"))
    return groups.agg(
        median="median", low=lambda part: part.quantile(0.1), high=lambda part: part.quantile(0.9), count="size"
    ).reset_index()


def hour_of_week_chart(residuals: pd.DataFrame, *, metric: str, zone: str, scheme: Scheme) -> go.Figure:
    """The median of each hour of the week over the range that holds four in five; a shape here is something that the
    model has not learned.
    """
    palette, week = PALETTES[scheme], by_hour_of_week(residuals, zone)
    axis = unit(metric, float(residuals["yhat"].max()))
    base = layout(
        "Residuals by hour of week", f"{axis.word}, median and 80 % range, {zone}", plot=PLOT, left=LEFT, scheme=scheme
    )
    colour, texts = (
        hue(metric, scheme),
        [f"{DAYS[int(hour) // DAY_HOURS]} {int(hour) % DAY_HOURS:02}:00" for hour in week["hour"]],
    )
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": week["hour"]}
    fill = {"fill": "tonexty", "fillcolor": fade(colour, BAND_80), "name": "80 % range"}
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "median",
        "x": week["hour"],
        "y": week["median"] * axis.factor,
        "line": {"color": colour, "width": 1.5},
        "text": texts,
        "hovertemplate": f"%{{text}}: <b>%{{y:.3~r}} {axis.word}</b><extra></extra>",
    }
    axes = {"hovermode": "x", "shapes": [level(0.0, palette)], "yaxis": {"nticks": 5, "fixedrange": True}} | week_axis()
    return go.Figure(
        {
            "data": [edge | {"y": week["low"] * axis.factor}, edge | fill | {"y": week["high"] * axis.factor}, line],
            "layout": base | axes,
        }
    )


def week_axis() -> dict[str, Any]:
    """The x axis of a week in hours, named by its days."""
    noons = [day * DAY_HOURS + DAY_HOURS // 2 for day in range(len(DAYS))]
    return {
        "xaxis": {
            "range": [0, 7 * DAY_HOURS],
            "tickvals": noons,
            "ticktext": list(DAYS),
            "showgrid": False,
            "fixedrange": True,
        }
    }


def distribution_chart(residuals: pd.DataFrame, *, metric: str, scheme: Scheme) -> go.Figure:
    """How many hours lay how far off, with the middle and the ends of the range that holds four in five."""
    palette, axis = PALETTES[scheme], unit(metric, float(residuals["yhat"].max()))
    off = residuals["residual"].to_numpy(dtype=float) * axis.factor
    base = layout("Residuals, distribution", _middle(residuals, axis.word), plot=PLOT, left=LEFT, scheme=scheme)
    low, middle, high = np.quantile(off, [0.1, 0.5, 0.9])
    marks = [above(low, "10 %", palette), above(middle, "median", palette), above(high, "90 %", palette)]
    lines = [upright(x, palette, dash=dash) for x, dash in ((low, "dot"), (middle, "solid"), (high, "dot"))]
    words = {"shapes": lines, "annotations": [*base["annotations"], *marks]}
    axes = {
        "xaxis": {"nticks": 6, "fixedrange": True, "ticksuffix": f" {label(axis.word)}", "showticksuffix": "last"},
        "yaxis": {"nticks": 4, "fixedrange": True},
    }
    return go.Figure(
        {"data": [_bars(off, hue(metric, scheme), axis.word)], "layout": base | words | axes | {"bargap": 0.05}}
    )


def _middle(residuals: pd.DataFrame, word: str) -> str:
    bias = residuals["residual"].sum() / residuals["value"].sum() if residuals["value"].sum() else float("nan")
    return f"hours by {word} off; in all {percent(abs(bias))} {'more' if bias >= 0 else 'less'} came than was expected"


def _bars(off: np.ndarray[Any, np.dtype[np.float64]], colour: str, word: str) -> Trace:
    low, high = np.quantile(off, [OUTERMOST, 1 - OUTERMOST])
    counts, edges = np.histogram(np.clip(off, low, high), bins=BINS)
    texts = [f"{significant(first)} to {significant(last)} {word}" for first, last in pairwise(edges)]
    return {
        "type": "bar",
        "x": (edges[:-1] + edges[1:]) / 2,
        "y": counts,
        "width": np.diff(edges),
        "marker": {"color": colour},
        "text": texts,
        "textposition": "none",
        "hovertemplate": "%{text}: %{y} hours<extra></extra>",
    }
