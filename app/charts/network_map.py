"""The network on a map: sites by what they carry and how they stand, flows between them, at one moment. Frames in, a
deck out.

Without a network outside: no base map is named, the outline is a file of the server. The deck is stable: the same layer
ids, view and camera whatever is filtered or coloured, so that the browser keeps pan and zoom.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import pydeck as pdk
from pydeck.bindings.json_tools import default_serialize

from app import theme
from app.charts import map_layers, map_marks, map_view
from app.charts.map_marks import Look, Row
from app.charts.map_view import MERCATOR_LIMIT, TILE_PX, Camera, Canvas, Projection, mercator

# The names are replaced by the browser, which escapes them.
# What of a site's row its marker needs; the rest goes with the layer that is picked.
DRAWN = ("id", "p", "r", "c", "l", "k")
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
        layers.append(map_layers.hover(rows, scheme, where))
        drawn = [{key: row[key] for key in DRAWN if key in row} for row in rows]
        is_health = look.colour == "health"
        layers.append(
            map_layers.shapes(drawn, where) if is_health else map_layers.circles(drawn, where, pickable=False)
        )
    if "labels" in drawing.layers and rows:
        layers.append(map_layers.labels(labels(rows, drawing.camera, drawing.canvas), scheme, where))
    return layers


def tooltip_style(scheme: theme.Scheme) -> dict[str, str]:
    """The tooltip as a box of the scheme, in a corner of the map: beside the pointer it would be cut off at the rim."""
    palette = theme.PALETTES[scheme]
    return {
        "backgroundColor": palette.surface,
        "color": palette.ink,
        "border": f"1px solid {palette.context}",
        "borderRadius": "4px",
        "fontFamily": theme.FONT,
        "fontSize": "13px",
        "maxWidth": "min(320px, 90%)",
        "margin": "6px",
        "transform": "none",
        "top": "auto",
        "bottom": "0",
        "overflowWrap": "anywhere",
        "zIndex": "2",
    }


SIZE_PX = 12
# Mean width of a letter at that size, and the room between a marker and its name.
LETTER_PX, GAP_PX = 6.3, 4.0
LONGEST = 28


class Box(NamedTuple):
    """A rectangle on the screen, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def within(self, other: Box) -> bool:
        """Whether it lies inside the other whole."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def labels(rows: Sequence[Row], camera: Camera, canvas: Canvas) -> list[Row]:
    """The names that can be read at the initial view, as rows: `n` text, `p` [lon, lat], `a` anchor, `o` offset in
    pixels.
    """
    x0, y0 = spot({"p": [camera.longitude, camera.latitude]}, camera)
    frame = Box(x0 - canvas.width / 2, y0 - canvas.height / 2, x0 + canvas.width / 2, y0 + canvas.height / 2)
    spots = [spot(row, camera) for row in rows]
    taken = [marker(row, x, y) for row, (x, y) in zip(rows, spots, strict=True)]
    found = []
    for at, (row, (x, y)) in enumerate(zip(rows, spots, strict=True)):
        # Its own marker never hides a name: the name stands beside it.
        others = taken[:at] + taken[at + 1 :]
        free = next(
            (
                side
                for side in sides(row, x, y)
                if side[0].within(frame) and not any(side[0].meets(box) for box in others)
            ),
            None,
        )
        if free is not None:
            taken.append(free[0])
            found.append(free[1])
    return found


def spot(row: Row, camera: Camera) -> tuple[float, float]:
    """Where a marker lies on a flat world at the camera's zoom, in pixels."""
    lon, lat = row["p"]
    world = TILE_PX * 2**camera.zoom
    return (lon / 360 + 0.5) * world, (1 - mercator(max(-MERCATOR_LIMIT, min(MERCATOR_LIMIT, lat)))) * world


def marker(row: Row, x: float, y: float) -> Box:
    """The square around a marker."""
    return Box(x - row["r"], y - row["r"], x + row["r"], y + row["r"])


def sides(row: Row, x: float, y: float) -> Iterator[tuple[Box, Row]]:
    """The two places of a name, right of its marker and left of it: the box that it fills, and its row."""
    text = row["n"] if len(row["n"]) <= LONGEST else f"{row['n'][: LONGEST - 3]}..."
    away, width = row["r"] + GAP_PX, LETTER_PX * len(text)
    for anchor, sign in (("start", 1), ("end", -1)):
        ends = sorted((x + sign * away, x + sign * (away + width)))
        yield (
            Box(ends[0], y - SIZE_PX / 2, ends[1], y + SIZE_PX / 2),
            {"n": text, "p": row["p"], "a": anchor, "o": [sign * away, 0]},
        )
