"""Charts whose x axis is not time: heading, margins and axes as the panels have them."""

from __future__ import annotations

from typing import Any

from app.charts.marks import Note
from app.theme import PALETTES, Palette, Scheme, label, template

HEADER, BELOW, RIGHT = 62, 34, 16
# Room between a name at the left and what it names, in px.
STANDOFF = 6


def layout(title: str, subtitle: str, *, plot: int, left: int, scheme: Scheme, right: int = RIGHT) -> dict[str, Any]:
    """The layout of one chart with a plot area of this height in px and room at the left for what stands there."""
    return {
        "template": template(scheme),
        "height": HEADER + plot + BELOW,
        "margin": {"l": left, "r": right, "t": HEADER, "b": BELOW},
        "dragmode": False,
        "showlegend": False,
        "hovermode": "closest",
        "bargap": 0.25,
        "annotations": heading(title, subtitle, left, PALETTES[scheme]),
    }


def heading(title: str, subtitle: str, left: int, palette: Palette) -> list[Note]:
    """Title and subtitle, flush with the left edge."""
    at = {
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "xshift": -left + 8,
        "yanchor": "top",
        "showarrow": False,
        "align": "left",
    }
    return [
        at | {"yshift": HEADER - 2, "text": f"<b>{label(title, 60)}</b>", "font": {"size": 15}},
        at | {"yshift": HEADER - 22, "text": label(subtitle, 80), "font": {"size": 12, "color": palette.muted}},
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


def upright(x: float, palette: Palette, *, dash: str = "dot", colour: str = "") -> dict[str, Any]:
    """A thin line across the plot at a value of x."""
    line = {"color": colour or palette.muted, "width": 1, "dash": dash}
    return {
        "type": "line",
        "xref": "x",
        "yref": "y domain",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "line": line,
    }


def above(x: float, text: str, palette: Palette, colour: str = "") -> Note:
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
