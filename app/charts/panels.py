"""Panels stacked over one time axis in one figure: zoom on one and all follow, hover on one and all answer in one
box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, instant, ticks
from app.theme import PALETTES, TIME_TICKS, Scheme, Unit, label, template

HEADER, STRIP_LANE, MARKS_ROW, TICKS_ROW, BETWEEN, TOP = 42, 17, 17, 34, 12, 6
LOW = 200  # px; a lower panel has one line of heading, fewer ticks and no row for marks
LEFT, RIGHT = 54, 66
LINE = 13  # px that a line of small type takes
ENDS = 4  # lines that are labelled at their end; more want a legend


@dataclass(frozen=True, slots=True)
class End:
    """A label at the right end of a line: its text, the line's last value in the axis' unit, and the colour."""

    text: str
    y: float
    colour: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of a stack, in the unit of its own y axis.

    Traces, shapes and annotations say "y" (or "y domain") for the panel's axis and "y strip" for the rows of events
    above it; `linked_figure` puts in the names that the axes have in the stack.
    """

    title: str
    subtitle: str
    height: int
    unit: Unit
    top: float
    bottom: float = 0.0
    traces: Sequence[Trace] = ()
    shapes: Sequence[dict[str, Any]] = ()
    notes: Sequence[dict[str, Any]] = ()
    ends: Sequence[End] = ()
    lanes: int = 0
    dates: bool = True  # whether the time is written below this panel


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the rows of a panel lie, in px from the top of the figure's plot area."""

    header: int
    strip: int
    plot: int
    end: int
    bottom: int


@dataclass(slots=True)
class _Stack:
    """The figure while it grows."""

    layout: dict[str, Any]
    total: int
    palette: Any
    traces: list[Trace] = field(default_factory=list)
    shapes: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)

    def domain(self, upper: float, lower: float) -> list[float]:
        return [max(0.0, 1 - lower / self.total), min(1.0, 1 - upper / self.total)]


def linked_figure(
    panels: Sequence[Panel], *, start: pd.Timestamp, end: pd.Timestamp, zone: str, scheme: Scheme
) -> go.Figure:
    """The panels below each other over one time axis from start to end (UTC, drawn in the zone)."""
    panels = [*panels[:-1], replace(panels[-1], dates=True)]
    rows = list(_rows(panels))
    stack = _Stack(_layout(start, end, zone, scheme, len(panels)), rows[-1].end, PALETTES[scheme])
    for number, panel, place in reversed(
        [*zip(range(1, len(rows) + 1), panels, rows, strict=True)]
    ):  # a hover box lists the last trace first
        _place(stack, panel, place, number, last=number == len(panels))
    margins = {"l": LEFT, "r": RIGHT if any(panel.ends for panel in panels) else 16, "t": TOP, "b": TICKS_ROW}
    stack.layout |= {
        "height": stack.total + TOP + TICKS_ROW,
        "margin": margins,
        "shapes": stack.shapes,
        "annotations": stack.notes,
    }
    return go.Figure({"data": stack.traces, "layout": stack.layout})


def _rows(panels: Sequence[Panel]) -> Iterator[_Rows]:
    at = 0
    for panel in panels:
        strip = at + (HEADER if panel.height > LOW else HEADER // 2 + 4)
        plot = strip + panel.lanes * STRIP_LANE + (MARKS_ROW if panel.height > LOW else 0)
        end = plot + panel.height
        yield _Rows(at, strip, plot, end, at := end + (TICKS_ROW if panel.dates else 0) + BETWEEN)


def _layout(start: pd.Timestamp, end: pd.Timestamp, zone: str, scheme: Scheme, count: int) -> dict[str, Any]:
    palette = PALETTES[scheme]
    return {
        "template": template(scheme),
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "hoverdistance": 30,
        "dragmode": "zoom",
        "barmode": "overlay",
        "uniformtext": {
            "minsize": 11,
            "mode": "hide",
        },  # a label that does not fit its place is left out by the browser, which knows the width
        "showlegend": False,
        "xaxis": _time_axis()
        | {
            "range": [instant(start, zone), instant(end, zone)],
            "anchor": "y" if count == 1 else f"y{count}",
            "hoverformat": f"%a %-d %b %Y, %H:%M {label(zone)}",
            "showspikes": True,
            "spikemode": "across",
            "spikesnap": "cursor",
            "spikethickness": 1,
            "spikedash": "solid",
            "spikecolor": palette.muted,
        },
    }


def _time_axis() -> dict[str, Any]:
    return {
        "type": "date",
        "showgrid": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickformatstops": TIME_TICKS,
        "tickangle": 0,
    }


def _place(stack: _Stack, panel: Panel, rows: _Rows, number: int, *, last: bool) -> None:
    """Adds one panel to the stack, with the names that its axes have there."""
    own = "y" if number == 1 else f"y{number}"
    names = {"y": own, "y domain": f"{own} domain", "y strip": f"y{100 + number}"}
    at, texts = ticks(panel.bottom, panel.top, panel.unit, 4 if panel.height > LOW else 2)
    value_axis = {
        "domain": stack.domain(rows.plot, rows.end),
        "range": [panel.bottom, panel.top],
        "tickvals": at,
        "ticktext": texts,
        "fixedrange": True,
    }
    stack.layout[own.replace("y", "yaxis")] = value_axis
    if panel.lanes:
        lanes = stack.domain(rows.strip, rows.strip + panel.lanes * STRIP_LANE)
        stack.layout[f"yaxis{100 + number}"] = {
            "domain": lanes,
            "range": [panel.lanes, 0],
            "visible": False,
            "fixedrange": True,
        }
    if panel.dates and not last:
        _write_dates(stack, rows, number)
    stack.traces += [{**trace, "xaxis": "x", "yaxis": names[trace.get("yaxis", "y")]} for trace in panel.traces]
    stack.shapes += [{**shape, "yref": names[shape["yref"]]} for shape in panel.shapes]
    stack.notes += [{**note, "yref": names[note["yref"]]} for note in (*panel.notes, *_end_notes(panel))]
    stack.notes += _heading(stack, panel, rows)


def _write_dates(stack: _Stack, rows: _Rows, number: int) -> None:
    """The time below a panel that is not the last: an axis of no height that follows the one all share."""
    stack.layout[f"xaxis{number + 1}"] = _time_axis() | {"matches": "x", "anchor": f"y{200 + number}"}
    stack.layout[f"yaxis{200 + number}"] = {
        "domain": stack.domain(rows.end, rows.end + 1),
        "visible": False,
        "fixedrange": True,
    }
    stack.traces.append(
        {
            "type": "scatter",
            "x": [None],
            "y": [None],
            "xaxis": f"x{number + 1}",
            "yaxis": f"y{200 + number}",
            "hoverinfo": "skip",
        }
    )


def _heading(stack: _Stack, panel: Panel, rows: _Rows) -> list[dict[str, Any]]:
    at = {
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "xanchor": "left",
        "xshift": -LEFT + 8,
        "yanchor": "top",
        "showarrow": False,
    }
    y = 1 - rows.header / stack.total
    if panel.height <= LOW:
        small = f'<span style="color:{stack.palette.muted};font-size:12px">{label(panel.subtitle, 80)}</span>'
        return [at | {"y": y, "text": f"<b>{label(panel.title, 40)}</b>  {small}", "font": {"size": 13}}]
    return [
        at | {"y": y, "text": f"<b>{label(panel.title, 60)}</b>", "font": {"size": 15}},
        at
        | {
            "y": y,
            "yshift": -20,
            "text": label(panel.subtitle, 80),
            "font": {"size": 12, "color": stack.palette.muted},
        },
    ]


def _end_notes(panel: Panel) -> Iterator[dict[str, Any]]:
    """Labels at the right end of the lines, moved apart where they would touch."""
    span = panel.top - panel.bottom
    for end, y in spread(panel.ends[:ENDS], panel.bottom, panel.top, LINE * span / panel.height):
        yield {
            "xref": "x domain",
            "yref": "y",
            "x": 1,
            "y": y,
            "xanchor": "left",
            "yanchor": "middle",
            "xshift": 4,
            "showarrow": False,
            "text": label(end.text, 22),
            "font": {"size": 11, "color": end.colour},
            "align": "left",
        }


def spread(ends: Sequence[End], low: float, high: float, gap: float) -> list[tuple[End, float]]:
    """Each end with the place of its label: in the order of their values, at least `gap` apart, between low and
    high.
    """
    placed: list[tuple[End, float]] = []
    floor = low + gap / 2
    for end in sorted(ends, key=lambda end: end.y):
        y = max(min(end.y, high - gap / 2), floor)
        placed.append((end, y))
        floor = y + gap
    ceiling = high - gap / 2
    for number in reversed(range(len(placed))):
        end, y = placed[number]
        placed[number] = end, min(y, ceiling)
        ceiling = placed[number][1] - gap
    return placed
