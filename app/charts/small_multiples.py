"""Sites side by side on one scale: how full each one runs, or what each carries where no capacity is known at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, drawable, instant, ticks, times, values
from app.charts.marks import installed_capacity, nothing, utilisation
from app.theme import (
    NO_DATA,
    PALETTES,
    Palette,
    Scheme,
    StateMark,
    Unit,
    hue,
    label,
    metric_value,
    percent,
    state_colour,
    template,
    unit,
)

PERCENT = Unit(100.0, "%")
# Tops of the scale for networks that run far below their capacity, where the scale of a full one would show flat lines.
LOW_TOPS = (0.1, 0.25, 0.5)
POINTS = 120
HEIGHT, HEADER = 128, 24


@dataclass(frozen=True)
class Site:
    """One site: `history` (ts, value in Gbps), `capacity` (effective_from, capacity_gbps, status) and its state in the
    plan.
    """

    site_id: str
    name: str
    state: StateMark
    history: pd.DataFrame
    capacity: pd.DataFrame


@dataclass(frozen=True)
class Multiple:
    """One small chart, with what its heading tells in words.

    `highest` is the highest utilisation in its time (not a number without capacity or data). `of_capacity` is false
    where no site has a capacity, and traffic itself is drawn.
    """

    site_id: str
    name: str
    highest: float
    state: StateMark
    reading: str
    of_capacity: bool
    figure: go.Figure


@dataclass(frozen=True, slots=True)
class _Look:
    """What all charts share: the metric, whether utilisation or the metric itself is drawn, in which unit, the axes,
    and the colours.
    """

    metric: str
    of_capacity: bool
    unit: Unit
    axes: dict[str, Any]
    zone: str
    scheme: Scheme


def small_multiples(
    sites: Sequence[Site], *, metric: str, start: pd.Timestamp, end: pd.Timestamp, zone: str, scheme: Scheme
) -> list[Multiple]:
    """A chart for each site, in the order given, all with the same axes."""
    rows = [_within(site, start, end) for site in sites]
    of_capacity = any(one["used"].notna().any() for one in rows)
    drawn = [one[["ts", "used" if of_capacity else "value"]].set_axis(["ts", "value"], axis=1) for one in rows]
    peaks = [float(one["value"].max()) for one in drawn]
    highest = max((peak for peak in peaks if not np.isnan(peak)), default=0.0)
    shown, axis = _shares(highest) if of_capacity else _traffic(highest, metric)
    look = _Look(
        metric,
        of_capacity,
        shown,
        {"xaxis": _times(start, end, zone), "yaxis": axis | {"fixedrange": True}},
        zone,
        scheme,
    )
    return [_multiple(site, rows, peak, look) for site, rows, peak in zip(sites, drawn, peaks, strict=True)]


def _within(site: Site, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """ts, value and utilisation (`used`, a ratio) of the site between start and end."""
    history = site.history[(site.history["ts"] >= start) & (site.history["ts"] <= end)].sort_values(
        "ts", ignore_index=True
    )
    return history[["ts", "value"]].assign(
        used=utilisation(history["value"], installed_capacity(history["ts"], site.capacity))
    )


def _shares(highest: float) -> tuple[Unit, dict[str, Any]]:
    """The axis of utilisation: up to the limit, or lower where nothing comes near it."""
    full = 100 * next((low for low in LOW_TOPS if highest <= low), 1.0)
    return PERCENT, {
        "range": [0, 1.08 * max(full, 100 * highest)],
        "tickvals": [0, full / 2, full],
        "ticktext": ["0", f"{full / 2:g}", f"{full:g} %"],
    }


def _traffic(highest: float, metric: str) -> tuple[Unit, dict[str, Any]]:
    """The axis of the metric itself."""
    own = unit(metric, highest)
    top = 1.08 * highest * own.factor or 1.0
    at, texts = ticks(0.0, top, own, 2)
    return own, {"range": [0, top], "tickvals": at, "ticktext": texts}


def _times(start: pd.Timestamp, end: pd.Timestamp, zone: str) -> dict[str, Any]:
    span = (end - start) / pd.Timedelta(1, "D")
    axis = {
        "type": "date",
        "range": [instant(start, zone), instant(end, zone)],
        "nticks": 5,
        "tickangle": 0,
        "showgrid": False,
        "fixedrange": True,
    }
    return axis | {"tickformat": "%H:%M" if span <= 2 else "%-d %b", "hoverformat": f"%a %-d %b, %H:%M {label(zone)}"}


def _multiple(site: Site, drawn: pd.DataFrame, peak: float, look: _Look) -> Multiple:
    reading = _reading(peak, site.state, look)
    annotations = [
        *_words(site.name, reading, state_colour(site.state, look.scheme)),
        *_why_nothing(site, peak, look.scheme),
    ]
    figure = go.Figure({"data": list(_lines(drawn, look)), "layout": _layout(look) | {"annotations": annotations}})
    return Multiple(
        site.site_id, site.name, peak if look.of_capacity else np.nan, site.state, reading, look.of_capacity, figure
    )


def _reading(peak: float, state: StateMark, look: _Look) -> str:
    """State and highest utilisation, or the highest traffic."""
    if np.isnan(peak):
        return NO_DATA
    return (
        f"{state.glyph} {state.word}, {percent(peak)}"
        if look.of_capacity
        else f"highest {metric_value(look.metric, peak)}"
    )


def _lines(drawn: pd.DataFrame, look: _Look) -> Iterator[Trace]:
    few = drawable(drawn, ["value"], POINTS)
    if len(few):
        name, word = ("utilisation", "% used") if look.of_capacity else ("traffic", look.unit.word)
        line = {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "line": {"color": hue(look.metric, look.scheme), "width": 1.3},
            "connectgaps": False,
        }
        yield (
            line
            | times(few, look.zone)
            | {"y": values(few["value"], look.unit), "hovertemplate": f"%{{y:.2~r}} {word}<extra></extra>"}
        )


def _layout(look: _Look) -> dict[str, Any]:
    reached = look.of_capacity and look.axes["yaxis"]["range"][1] >= 100
    return look.axes | {
        "template": template(look.scheme),
        "height": HEIGHT,
        "margin": {"l": 44, "r": 8, "t": HEADER, "b": 20},
        "showlegend": False,
        "hovermode": "x unified",
        "dragmode": False,
        "shapes": [_limit(PALETTES[look.scheme])] if reached else [],
    }


def _limit(palette: Palette) -> dict[str, Any]:
    """The line of full capacity; the state is told by its word."""
    return {
        "type": "line",
        "xref": "x domain",
        "yref": "y",
        "x0": 0,
        "x1": 1,
        "y0": 100,
        "y1": 100,
        "line": {"color": palette.hues["capacity"], "width": 1},
    }


def _words(name: str, reading: str, colour: str) -> list[dict[str, Any]]:
    """Name at the left, the reading at the right."""
    top = {"xref": "paper", "yref": "paper", "y": 1, "yanchor": "bottom", "yshift": 4, "showarrow": False}
    named = top | {"x": 0, "xanchor": "left", "xshift": -36, "text": f"<b>{label(name, 22)}</b>", "font": {"size": 12}}
    return [named, top | {"x": 1, "xanchor": "right", "text": reading, "font": {"size": 11, "color": colour}}]


def _why_nothing(site: Site, peak: float, scheme: Scheme) -> list[dict[str, Any]]:
    """What stands in the middle of an empty chart."""
    measured = bool(site.history["value"].notna().any())
    return (
        [nothing(PALETTES[scheme], "no capacity declared" if measured else "nothing was measured")]
        if np.isnan(peak)
        else []
    )
