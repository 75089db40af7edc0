"""The layers of the map, bottom to top: ocean (globe), outline, flows, bounds of what is expected, sites, labels.

Ids never change, or the browser would build a layer anew and forget what was picked.
"""

from __future__ import annotations

import base64
from typing import Any

import pydeck as pdk
from pydeck.types import String

from app import theme
from app.charts.map_marks import Row
from app.charts.map_view import Projection
from app.theme import Scheme

# Under the land on a globe: its wide flat triangles would dip below a sphere of the same size and leave holes.
OCEAN_DEPTH_M = -50_000.0
OCEAN = [
    [lon, lat, OCEAN_DEPTH_M]
    for lat, lons in ((90, range(-180, 181, 90)), (-90, range(180, -181, -90)))
    for lon in lons
]
# On a globe flows rise above the ground, so that the far side hides what lies on it.
FLOW_RISE = 0.15
# Flows are context: sites that need a look stand before them.
FLOW_ALPHA = 90
# Width of the ring around the marker under the pointer.
HOVER_PX = 3
# Land and outline: a step away from the ground, quieter than any marker.
LAND: dict[Scheme, tuple[str, str, str]] = {
    "light": ("#e3e8ed", "#ffffff", "#f7f9fb"),
    "dark": ("#202b36", "#10161d", "#141c25"),
}

CELL_PX = 128
# Circle, triangle and square of the same area, so that a shape is not mistaken for a size.
CIRCLE_PX, SQUARE_PX, TRIANGLE_PX = 40.0, 70.9, 107.7
# Half the width of the cross of what has failed; its ends are as far from the middle as a circle's rim.
CROSS_PX = 34.0
SHAPES = ("circle", "triangle-up", "square", "circle-open", "cross")


def ocean(scheme: Scheme) -> pdk.Layer:
    """The sphere below the land of a globe; it hides the far side."""
    return pdk.Layer(
        "SolidPolygonLayer",
        data=[{"p": OCEAN}],
        id="ocean",
        get_polygon="p",
        filled=True,
        get_fill_color=[*theme.rgb(LAND[scheme][2])],
    )


def outline(url: str, scheme: Scheme, projection: Projection) -> pdk.Layer:
    """Countries from the server's own file, which the browser fetches once and keeps."""
    land, border, _ = LAND[scheme]
    return pdk.Layer(
        "GeoJsonLayer",
        data=url,
        id="outline",
        filled=True,
        stroked=True,
        get_fill_color=[*theme.rgb(land)],
        get_line_color=[*theme.rgb(border)],
        line_width_min_pixels=0.6,
        parameters=on_globe(projection),
    )


def flows(rows: list[Row], scheme: Scheme, projection: Projection) -> pdk.Layer:
    """Arcs along great circles, from the hue of ingest where traffic enters to that of egress where it leaves."""
    hues = theme.PALETTES[scheme].hues
    globe = projection == "globe"
    return pdk.Layer(
        "ArcLayer",
        data=rows,
        id="flows",
        get_source_position="s",
        get_target_position="d",
        great_circle=True,
        get_height=FLOW_RISE if globe else 0,
        get_width="w",
        get_source_color=[*theme.rgb(hues["ingest"]), FLOW_ALPHA],
        get_target_color=[*theme.rgb(hues["egress"]), FLOW_ALPHA],
        pickable=True,
        parameters={"cullMode": "none"} if globe else {},
    )


def bounds(rows: list[Row], projection: Projection) -> pdk.Layer:
    """A thin ring around each site at the upper bound of what is expected of it."""
    rings = [{key: row[key] for key in ("p", "h", "l")} for row in rows if "h" in row]
    return pdk.Layer(
        "ScatterplotLayer",
        data=rings,
        id="bounds",
        get_position="p",
        get_radius="h",
        radius_units=String("pixels"),
        filled=False,
        stroked=True,
        get_line_color="l",
        get_line_width=1,
        line_width_units=String("pixels"),
        **lying(projection),
    )


def hover(rows: list[Row], scheme: Scheme, projection: Projection) -> pdk.Layer:
    """A disc under each marker that cannot be seen until the pointer is on it: then it is a ring around the marker,
    whose own colour stays. Its rows carry what a pick and the tooltip say.
    """
    return pdk.Layer(
        "ScatterplotLayer",
        data=[{key: row[key] for key in ("id", "n", "t", "p", "r")} for row in rows],
        id="hover",
        get_position="p",
        get_radius=f"r + {HOVER_PX}",
        radius_units=String("pixels"),
        get_fill_color=[0, 0, 0, 0],
        pickable=True,
        auto_highlight=True,
        highlight_color=[*theme.rgb(theme.PALETTES[scheme].ink), 255],
        **lying(projection),
    )


def circles(rows: list[Row], projection: Projection, *, pickable: bool = True) -> pdk.Layer:
    """Sites as circles, coloured along a scale."""
    return pdk.Layer(
        "ScatterplotLayer",
        data=rows,
        id="sites",
        get_position="p",
        get_radius="r",
        radius_units=String("pixels"),
        get_fill_color="c",
        stroked=True,
        get_line_color="l",
        get_line_width=1.2,
        line_width_units=String("pixels"),
        pickable=pickable,
        **lying(projection),
    )


def shapes(rows: list[Row], projection: Projection) -> pdk.Layer:
    """Sites as shapes by state, each of the area that its circle would have."""
    return pdk.Layer(
        "IconLayer",
        data=rows,
        id="states",
        icon_atlas=String(ATLAS),
        icon_mapping=PLACES,
        get_icon="k",
        get_position="p",
        get_size=f"r * {CELL_PX / CIRCLE_PX}",
        size_units=String("pixels"),
        get_color="c",
        **upright(projection),
    )


def labels(rows: list[Row], scheme: Scheme, projection: Projection) -> pdk.Layer:
    """Names beside their sites."""
    palette = theme.PALETTES[scheme]
    return pdk.Layer(
        "TextLayer",
        data=rows,
        id="labels",
        get_position="p",
        get_text="n",
        get_text_anchor="a",
        get_pixel_offset="o",
        get_size=12,
        get_color=[*theme.rgb(palette.ink)],
        font_family=String(theme.FONT),
        character_set=String("auto"),
        background=True,
        get_background_color=[*theme.rgb(palette.ground), 170],
        background_padding=[2, 0, 2, 0],
        background_border_radius=2,
        **upright(projection),
    )


def lying(projection: Projection) -> dict[str, Any]:
    """Circles face the viewer on a flat map and lie on a globe, or the globe would cut them in half."""
    return {"billboard": projection == "flat", "parameters": on_globe(projection)}


def upright(projection: Projection) -> dict[str, Any]:
    """The same for pictures and letters, which a globe shows upside down and from behind."""
    if projection == "flat":
        return {"billboard": True, "get_angle": 0}
    return {"billboard": False, "get_angle": 180, "parameters": {**on_globe(projection), "cullMode": "front"}}


def on_globe(projection: Projection) -> dict[str, Any]:
    """What lies on a globe is drawn over it, and left out where it faces away."""
    return {"depthCompare": "always", "cullMode": "back"} if projection == "globe" else {}


def _atlas() -> str:
    """The shapes side by side as a picture within the spec: nothing is fetched for it."""
    middle = CELL_PX / 2
    rise = TRIANGLE_PX * 3**0.5 / 6
    x = [middle + CELL_PX * at for at in range(len(SHAPES))]
    half, side = TRIANGLE_PX / 2, SQUARE_PX / 2
    drawn = (
        f'<circle cx="{x[0]}" cy="{middle}" r="{CIRCLE_PX}" fill="#fff"/>'
        f'<path d="M{x[1]} {middle - 2 * rise} l{half} {3 * rise} h{-TRIANGLE_PX} z" fill="#fff"/>'
        f'<rect x="{x[2] - side}" y="{middle - side}" width="{SQUARE_PX}" height="{SQUARE_PX}" fill="#fff"/>'
        f'<circle cx="{x[3]}" cy="{middle}" r="{CIRCLE_PX - 6}" fill="none" stroke="#fff" stroke-width="12"/>'
        f'<path d="M{x[4] - CROSS_PX} {middle - CROSS_PX} l{2 * CROSS_PX} {2 * CROSS_PX} m0 {-2 * CROSS_PX} l{-2 * CROSS_PX} {2 * CROSS_PX}" '
        'fill="none" stroke="#fff" stroke-width="20"/>'
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{CELL_PX * len(SHAPES)}" height="{CELL_PX}">{drawn}</svg>'
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


ATLAS = _atlas()
PLACES = {
    name: {"x": at * CELL_PX, "y": 0, "width": CELL_PX, "height": CELL_PX, "mask": True}
    for at, name in enumerate(SHAPES)
}
