"""Panels stacked over one time axis in one figure: zoom on one and all follow, hover on one and all answer in one
box.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, instant, ticks
from app.charts.marks import Note
from app.theme import PALETTES, TIME_TICKS, Palette, Scheme, Unit, label, template

HEADER, STRIP_LANE, MARKS_ROW, TICKS_ROW, BETWEEN, TOP = 42, 17, 17, 34, 12, 6
LOW = 200  # px; a lower panel has one line of heading, fewer ticks and no row for marks
LEFT, RIGHT = 54, 66
# px between cells side by side as a share of the width, for the ticks of the next; heading and ticks of a cell.
CELL_GAP, CELL_HEADER, CELL_TICKS = 0.045, 25, 22
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
    href: str = ""  # what the title opens
    aside: tuple[str, str] = ("", "")  # a word at the right of the heading, and its colour


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
    panels: Sequence[Panel],
    *,
    start: pd.Timestamp,
    end: pd.Timestamp,
    zone: str,
    scheme: Scheme,
    cells: Sequence[Panel] = (),
    columns: int = 4,
) -> go.Figure:
    """The panels below each other over one time axis from start to end (UTC, drawn in the zone), and below them `cells`
    of one height, so many side by side, whose axes follow it.
    """
    panels = [*panels[:-1], replace(panels[-1], dates=True)] if panels else []
    rows = list(_rows(panels))
    under = list(_cell_rows(cells, columns, rows[-1].bottom if rows else 0))
    stack = _Stack(_layout(start, end, zone, scheme, len(panels)), (under or rows)[-1].end, PALETTES[scheme])
    for number, (cell, place) in enumerate(zip(cells, under, strict=True)):
        _place_cell(stack, cell, place, number, len(panels), columns, end - start)
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


def _cell_rows(cells: Sequence[Panel], columns: int, at: int) -> Iterator[_Rows]:
    for number, cell in enumerate(cells):
        header = at + number // columns * (CELL_HEADER + cell.height + CELL_TICKS + BETWEEN)
        plot = header + CELL_HEADER
        yield _Rows(header, plot, plot, plot + cell.height, plot + cell.height + CELL_TICKS + BETWEEN)


def _layout(start: pd.Timestamp, end: pd.Timestamp, zone: str, scheme: Scheme, count: int) -> dict[str, Any]:
    palette = PALETTES[scheme]
    return {
        "template": template(scheme),
        "hovermode": "x unified",
        "hoversubplots": "single",  # the rows of all panels in one box would hide the chart
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
    stack.layout[own.replace("y", "yaxis")] = _value_axis(stack, panel, rows)
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
    _draw(stack, panel, names, "x", (*panel.notes, *_end_notes(panel)))
    stack.notes += _heading(stack, panel, rows)


def _draw(stack: _Stack, panel: Panel, names: dict[str, str], x: str, notes: Sequence[dict[str, Any]]) -> None:
    """The panel's traces, shapes and notes, on the axes that it has in the stack."""
    xs = {"x": x, "x domain": f"{x} domain"}
    stack.traces += [{**trace, "xaxis": x, "yaxis": names[trace.get("yaxis", "y")]} for trace in panel.traces]
    for kept, drawn in ((stack.shapes, panel.shapes), (stack.notes, notes)):
        kept += [{**one, "xref": xs[one["xref"]], "yref": names[one["yref"]]} for one in drawn]


def _place_cell(
    stack: _Stack, cell: Panel, rows: _Rows, number: int, panels: int, columns: int, span: pd.Timedelta
) -> None:
    """Adds one of the cells: a column of its own, with a time axis that follows the shared one."""
    axis = panels + number + 1
    x, y = ("x", "y") if axis == 1 else (f"x{axis}", f"y{axis}")
    width = (1 - (columns - 1) * CELL_GAP) / columns
    left = number % columns * (width + CELL_GAP)
    domain = [left, min(1.0, left + width)]
    shown = _time_axis() | {"domain": domain, "anchor": y, "nticks": 5, "tickformatstops": None}
    shown |= {"tickformat": "%H:%M" if span <= pd.Timedelta(2, "D") else "%-d %b"}
    follows = {key: stack.layout["xaxis"][key] for key in ("range", "hoverformat")} | {"matches": "x"}
    stack.layout[x.replace("x", "xaxis")] = (stack.layout["xaxis"] if axis == 1 else follows) | shown
    stack.layout[y.replace("y", "yaxis")] = _value_axis(stack, cell, rows) | {"anchor": x}
    _draw(stack, cell, {"y": y, "y domain": f"{y} domain"}, x, (*cell.notes, *_inside_notes(cell)))
    at = {"xref": "paper", "yref": "paper", "y": 1 - rows.header / stack.total, "yanchor": "top", "showarrow": False}
    small = f'<span style="color:{stack.palette.muted};font-size:11px">{label(cell.subtitle, 40)}</span>'
    title = {
        "x": left,
        "xanchor": "left",
        "xshift": -36,
        "text": f"{_title(cell, 24, stack.palette)}  {small}",
        "font": {"size": 13},
    }
    stack.notes.append(at | title)
    if cell.aside[0]:
        word = {"x": domain[1], "xanchor": "right", "text": label(cell.aside[0])}
        stack.notes.append(at | word | {"font": {"size": 11, "color": cell.aside[1]}})


def _title(panel: Panel, limit: int, palette: Palette) -> str:
    """The title as Plotly draws it, in the same tab where it is a link."""
    text = f"<b>{label(panel.title, limit)}</b>"
    style = f"color:{palette.words['egress']}"
    return f'<a href="{html.escape(panel.href)}" target="_self" style="{style}">{text}</a>' if panel.href else text


def _inside_notes(panel: Panel) -> Iterator[dict[str, Any]]:
    """Labels of lines over their right end, where there is no room beside it."""
    for end in panel.ends:
        at = {"xref": "x domain", "yref": "y", "x": 1, "y": end.y, "xanchor": "right", "yanchor": "bottom"}
        yield at | {"showarrow": False, "text": label(end.text, 22), "font": {"size": 10, "color": end.colour}}


def _value_axis(stack: _Stack, panel: Panel, rows: _Rows) -> dict[str, Any]:
    at, texts = ticks(panel.bottom, panel.top, panel.unit, 4 if panel.height > LOW else 2)
    return {
        "domain": stack.domain(rows.plot, rows.end),
        "range": [panel.bottom, panel.top],
        "tickvals": at,
        "ticktext": texts,
        "fixedrange": True,
    }


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


# Around the plot area of a chart that stands alone, in px.
CHART_HEADER, CHART_BELOW, CHART_RIGHT = 62, 34, 16
# Room between a name at the left and what it names, in px.
STANDOFF = 6


def layout(
    title: str, subtitle: str, *, plot: int, left: int, scheme: Scheme, right: int = CHART_RIGHT
) -> dict[str, Any]:
    """The layout of one chart with a plot area of this height in px and room at the left for what stands there."""
    return {
        "template": template(scheme),
        "height": CHART_HEADER + plot + CHART_BELOW,
        "margin": {"l": left, "r": right, "t": CHART_HEADER, "b": CHART_BELOW},
        "dragmode": False,
        "showlegend": False,
        "hovermode": "closest",
        "bargap": 0.25,
        "annotations": heading(title, subtitle, left, PALETTES[scheme]),
    }


def corner(left: int) -> Note:
    """Where the head of a chart stands: the top left corner, flush with the page; `left`: the chart's left margin in px."""
    return {
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "xshift": 8 - left,
        "yanchor": "top",
        "showarrow": False,
        "align": "left",
    }


def heading(title: str, subtitle: str, left: int, palette: Palette) -> list[Note]:
    """Title and subtitle, flush with the left edge."""
    at = corner(left)
    return [
        at | {"yshift": CHART_HEADER - 2, "text": f"<b>{label(title, 60)}</b>", "font": {"size": 15}},
        at | {"yshift": CHART_HEADER - 22, "text": label(subtitle, 80), "font": {"size": 12, "color": palette.muted}},
    ]


def names_axis(names: list[str], least: int) -> dict[str, Any]:
    """The y axis of rows with names, the first on top, and as high as `least` rows."""
    shown = {
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "ticklabelstandoff": STANDOFF,
        "showgrid": False,
        "fixedrange": True,
    }
    return {"range": [max(len(names), least) - 0.5, -0.5]} | shown


def level(y: float, palette: Palette) -> dict[str, Any]:
    """A thin line across the plot at a value of y."""
    return {
        "type": "line",
        "xref": "x domain",
        "yref": "y",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"color": palette.muted, "width": 1},
    }


def upright(
    x: float | str, palette: Palette, *, dash: str = "dot", colour: str = "", layer: str = "below"
) -> dict[str, Any]:
    """A thin line across the plot at a value of x; layer: below the traces, or above them."""
    line = {"color": colour or palette.muted, "width": 1, "dash": dash}
    return {
        "type": "line",
        "xref": "x",
        "yref": "y domain",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "layer": layer,
        "line": line,
    }


def above(x: float | str, text: str, palette: Palette, colour: str = "") -> Note:
    """A small word at the top of a line across the plot."""
    return {
        "xref": "x",
        "yref": "y domain",
        "x": x,
        "y": 1,
        "yanchor": "bottom",
        "showarrow": False,
        "text": label(text),
        "font": {"size": 11, "color": colour or palette.muted},
    }
