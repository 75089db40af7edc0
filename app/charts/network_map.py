"""The network on a map: sites by what they carry and how they stand, flows between them, at one moment. Frames in, a
deck out.

Without a network outside: no base map is named, the outline is a file of the server. The deck is stable: the same layer
ids, view and camera whatever is filtered or coloured, so that the browser keeps pan and zoom.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd
import pydeck as pdk
from pydeck.bindings.json_tools import default_serialize

from app import theme
from app.charts import map_labels, map_layers, map_marks, map_view
from app.charts.map_marks import Look
from app.charts.map_view import Camera, Canvas, Projection

# The names are replaced by the browser, which escapes them.
TOOLTIP = "<b>{n}</b><div style='white-space:pre-line'>{t}</div>"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn and where from: the layers switched on (sites, flows, labels), the projection, the address of the
    outline, the camera.
    """

    layers: Collection[str]
    projection: Projection
    outline: str
    camera: Camera
    canvas: Canvas = map_view.WIDE


class Deck(pdk.Deck):  # type: ignore[misc]
    """A deck that is sent without the blanks of a pretty print: they are half of it."""

    def to_json(self) -> str:
        """The spec as compact JSON, with keys in pydeck's order."""
        return json.dumps(self, default=default_serialize, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def deck(sites: pd.DataFrame, arcs: list[map_marks.Row], look: Look, drawing: Drawing) -> Deck:
    """The deck of one moment. `sites`: a frame of `map_marks.at_present` or `at_moment`; `arcs`: rows of
    `map_marks.flow_rows`, may be empty.
    """
    rows = map_marks.site_rows(sites, look)
    return Deck(
        layers=list(_layers(rows, arcs, look, drawing)),
        views=[map_view.view(drawing.projection)],
        initial_view_state=map_view.view_state(drawing.camera, drawing.projection, drawing.canvas),
        map_provider=None,
        tooltip={"html": TOOLTIP, "style": tooltip_style(look.scheme)},
    )


def _layers(rows: list[map_marks.Row], arcs: list[map_marks.Row], look: Look, drawing: Drawing) -> list[pdk.Layer]:
    """Bottom to top; a layer without rows is left out."""
    where, scheme = drawing.projection, look.scheme
    layers = [map_layers.ocean(scheme)] if where == "globe" else []
    layers.append(map_layers.outline(drawing.outline, scheme, where))
    if arcs and "flows" in drawing.layers:
        layers.append(map_layers.flows(arcs, scheme, where))
    if "sites" in drawing.layers and rows:
        layers += [map_layers.bounds(rows, where)] if any("h" in row for row in rows) else []
        layers.append(map_layers.shapes(rows, where) if look.colour == "health" else map_layers.circles(rows, where))
    if "labels" in drawing.layers and rows:
        layers.append(map_layers.labels(map_labels.labels(rows, drawing.camera, drawing.canvas), scheme, where))
    return layers


def tooltip_style(scheme: theme.Scheme) -> dict[str, str]:
    """The tooltip as a box of the scheme."""
    palette = theme.PALETTES[scheme]
    return {
        "backgroundColor": palette.surface,
        "color": palette.ink,
        "border": f"1px solid {palette.context}",
        "borderRadius": "4px",
        "fontFamily": theme.FONT,
        "fontSize": "13px",
        "maxWidth": "320px",
        "overflowWrap": "anywhere",
        "zIndex": "2",
    }
