"""Distances between sites on the globe."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from haversine import Unit, haversine_vector

EARTH_KM = 6371.0


def distances_km(lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Great-circle distances in km between all pairs of places, (places, places); lat and lon in degrees, (places,)."""
    places: Any = np.column_stack([np.asarray(lat, dtype=float), np.asarray(lon, dtype=float)])
    # Longitudes beyond 180 degrees, as some catalogues write them, are the same places.
    return np.asarray(EARTH_KM * haversine_vector(places, places, Unit.RADIANS, comb=True, normalize=True))
