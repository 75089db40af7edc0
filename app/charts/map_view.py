"""Where the map looks when it opens: at all sites of the lake, flat or on a globe.

The view depends on the lake and the width of the page alone. The browser resets pan and zoom when the initial view
changes, so nothing that a viewer filters or switches may enter here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import pydeck as pdk

Projection = Literal["flat", "globe"]

# A Mercator world is this wide at zoom 0.
TILE_PX = 512
# Nothing is learnt from a map of one street; a lone site is shown with its country around it.
CLOSEST, ALONE = 6.0, 4.0
# Without a limit of its own a flat map stops at zoom 0, where the world is wider than a telephone.
FARTHEST = -1.0
# Mercator runs to infinity at the poles; web maps stop here.
MERCATOR_LIMIT = 85.0


@dataclass(frozen=True, slots=True)
class Canvas:
    """The size that the map is fitted to, in pixels, with room for markers and labels at the rim."""

    width: int
    height: int
    margin: int


WIDE = Canvas(860, 520, 60)
NARROW = Canvas(350, 280, 30)


@dataclass(frozen=True, slots=True)
class Camera:
    """Centre in degrees, and the zoom of a flat map."""

    latitude: float
    longitude: float
    zoom: float


# Zoom by which a globe fills the height of its frame, over the zoom at which a flat world does.
GLOBE_FILLS = 1.6
WORLD = Camera(20.0, 10.0, 0.8)


def fit(sites: pd.DataFrame, canvas: Canvas = WIDE) -> Camera:
    """The camera that shows all sites that have a place (lat, lon in degrees); the world where there are none."""
    placed = located(sites)[["lat", "lon"]].astype(float)
    if placed.empty:
        return WORLD
    ys = placed["lat"].clip(-MERCATOR_LIMIT, MERCATOR_LIMIT).map(mercator)
    middle = (ys.min() + ys.max()) / 2
    wide, high = (placed["lon"].max() - placed["lon"].min()) / 360, ys.max() - ys.min()
    zooms = [
        math.log2((room - 2 * canvas.margin) / (TILE_PX * share))
        for room, share in ((canvas.width, wide), (canvas.height, high))
        if share > 0
    ]
    # The browser does not let a flat map become lower than its frame.
    lowest = max(FARTHEST, math.log2(canvas.height / TILE_PX))
    zoom = min(CLOSEST, max(lowest, min(zooms))) if zooms else ALONE
    longitude = (placed["lon"].max() + placed["lon"].min()) / 2
    return Camera(round(latitude(middle), 3), round(float(longitude), 3), round(zoom, 2))


def located(sites: pd.DataFrame) -> pd.DataFrame:
    """The sites that have a place. Nothing stands in the sea at 0, 0: that is how sites without a place of their own
    are written.
    """
    nowhere = (sites["lat"] == 0) & (sites["lon"] == 0)
    return sites[sites["lat"].notna() & sites["lon"].notna() & ~nowhere]


def mercator(lat: float) -> float:
    """Height of a latitude on a Mercator world: 0 at its southern rim, 1 at its northern one."""
    return 0.5 + math.log(math.tan(math.pi / 4 + math.radians(lat) / 2)) / (2 * math.pi)


def latitude(height: float) -> float:
    """The latitude at a height on a Mercator world; the inverse of `mercator`."""
    return math.degrees(2 * math.atan(math.exp((height - 0.5) * 2 * math.pi)) - math.pi / 2)


def view(projection: Projection) -> pdk.View:
    """The view of a projection. Its id stays the same, or the browser would forget where the viewer had panned to."""
    kind = "GlobeView" if projection == "globe" else "MapView"
    return pdk.View(type=kind, id=projection, controller=True)


def view_state(camera: Camera, projection: Projection, canvas: Canvas = WIDE) -> pdk.ViewState:
    """The initial view; a globe opens whole unless the sites lie close together."""
    zoom = camera.zoom
    if projection == "globe":
        whole = math.log2(canvas.height / TILE_PX) + GLOBE_FILLS
        zoom = round(max(whole, zoom), 2)
    return pdk.ViewState(
        latitude=camera.latitude, longitude=camera.longitude, zoom=zoom, min_zoom=FARTHEST, bearing=0, pitch=0
    )
