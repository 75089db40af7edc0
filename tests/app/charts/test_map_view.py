"""Where the map looks: all sites in view, flat or as a globe, wide or narrow."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as any_

from app.charts import map_view
from app.charts.map_view import Canvas

ABILENE = pd.DataFrame(
    {
        "lat": [33.7, 41.9, 39.7, 29.8, 39.1, 34.1, 40.7, 37.4, 47.6, 38.9],
        "lon": [-84.4, -87.6, -104.9, -95.4, -94.6, -118.2, -74.0, -122.1, -122.3, -77.0],
    }
)
places = any_.lists(any_.tuples(any_.floats(-80, 80), any_.floats(-179, 179)).filter(any), min_size=2, max_size=30)


@given(places, any_.sampled_from([map_view.WIDE, map_view.NARROW]))
def test_all_sites_are_in_view(found: list[tuple[float, float]], canvas: Canvas) -> None:
    sites = pd.DataFrame(found, columns=["lat", "lon"])
    camera = map_view.fit(sites, canvas)
    world = map_view.TILE_PX * 2**camera.zoom
    across = (sites["lon"] - camera.longitude).abs().max() / 360 * world
    down = (sites["lat"].map(map_view.mercator) - map_view.mercator(camera.latitude)).abs().max() * world
    assert across <= canvas.width / 2 + 1
    assert down <= canvas.height / 2 + 1
    assert map_view.FARTHEST <= camera.zoom <= map_view.CLOSEST


def test_a_lake_of_one_country_opens_on_it() -> None:
    camera = map_view.fit(ABILENE)
    assert camera.latitude == pytest.approx(39.2, abs=0.5)
    assert camera.longitude == pytest.approx(-98.2, abs=0.5)
    assert 3.0 < camera.zoom < 4.0
    assert map_view.fit(ABILENE, map_view.NARROW).zoom < camera.zoom


def test_without_places_the_map_shows_the_world_and_a_lone_site_its_country() -> None:
    assert map_view.fit(pd.DataFrame({"lat": [None], "lon": [None]})) == map_view.WORLD
    lone = map_view.fit(pd.DataFrame({"lat": [50.1, None, 0.0], "lon": [8.7, 9.0, 0.0]}))
    assert (round(lone.latitude, 1), round(lone.longitude, 1), lone.zoom) == (50.1, 8.7, map_view.ALONE)


@given(any_.floats(-map_view.MERCATOR_LIMIT, map_view.MERCATOR_LIMIT))
def test_mercator_turns_back(lat: float) -> None:
    assert map_view.latitude(map_view.mercator(lat)) == pytest.approx(lat, abs=1e-9)


def test_a_globe_fills_its_frame() -> None:
    flat, globe = (map_view.view_state(map_view.WORLD, projection) for projection in ("flat", "globe"))
    assert globe.zoom > flat.zoom
    near = map_view.view_state(map_view.fit(ABILENE), "globe")
    assert near.zoom == map_view.fit(ABILENE).zoom
