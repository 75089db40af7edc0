"""Where the simulated network stands: its sites, who is near whom, and the table of sites."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, zip_longest

import airportsdata
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.schema import TABLES, geography
from data.schema.errors import SettingError
from data.simulator.metros import EDGE, FILL_WEIGHT, INGEST, NA_DIVIDE_LON, PARTNERS, REGIONS, Metro, Region
from data.simulator.plan import draws

Real = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# A place of the gazetteer nearer than this to a chosen one is the same metro.
APART_KM = 60.0
# How many sites take over when one fails.
NEIGHBOURS = 4


@dataclass(frozen=True, slots=True)
class Site:
    """One simulated point of presence."""

    site_id: str
    city: str
    country: str
    lat: float
    lon: float
    timezone: str
    region: int
    partner: str
    ingest: bool
    weight: float
    lead_time_days: float


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The sites in order of site_id, and what follows from where they stand (arrays in that order); equal only to
    itself.
    """

    sites: tuple[Site, ...]
    weight: Real
    region: Whole
    ingest: Whole  # positions of the ingest sites
    # [failed, helper]: share of the failed site's demand that the helper takes; rows sum to 1, or 0 for a lone site
    takeover: Real
    ingest_takeover: Real  # the same among ingest sites
    served_by: Whole  # for each site, the position in `ingest` of the one nearest to it

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def site_ids(self) -> list[str]:
        return [site.site_id for site in self.sites]

    @property
    def regions(self) -> list[Region]:
        """The region of each site."""
        return [REGIONS[site.region] for site in self.sites]


def build_world(count: int, seed: int) -> World:
    """The first `count` places: ingest cities and edge metros in turn, then the rest of the metros, then the
    gazetteer.
    """
    chosen = [place for place, _ in zip(_places(), range(count), strict=False)]
    if len(chosen) < count:
        raise SettingError(
            f"{count} sites were asked for; the gazetteer knows {len(chosen)}.",
            cause="a network larger than the simulator's world",
            remedy=f"give --sites {len(chosen)} or fewer",
        )
    sites = tuple(sorted((_site(metro, seed) for metro in chosen), key=lambda site: site.site_id))
    weight = np.array([site.weight for site in sites])
    ingest = np.array([i for i, site in enumerate(sites) if site.ingest])
    km = distances_km(sites)
    return World(
        sites,
        weight,
        np.array([site.region for site in sites]),
        ingest,
        _takeover(km, weight),
        _takeover(km[np.ix_(ingest, ingest)], weight[ingest]),
        km[:, ingest].argmin(axis=1),
    )


def sites_table(world: World) -> pa.Table:
    """The contract's `sites`."""
    rows = [
        {
            "site_id": s.site_id,
            "name": f"{s.city} 01",
            "region_id": REGIONS[s.region].region_id,
            "region_name": REGIONS[s.region].name,
            "city": s.city,
            "country": s.country,
            "lat": s.lat,
            "lon": s.lon,
            "timezone": s.timezone,
            "partner": s.partner,
            "roles": "ingest,edge" if s.ingest else "edge",
            "lead_time_days": s.lead_time_days,
        }
        for s in world.sites
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["sites"].schema)


def distances_km(sites: tuple[Site, ...]) -> Real:
    """Great-circle distances between all sites, (sites, sites)."""
    return geography.distances_km([s.lat for s in sites], [s.lon for s in sites])


def _takeover(km: Real, weight: Real) -> Real:
    """Near and large sites help most: share by weight over distance, among the nearest few."""
    pull = weight / (km + 100.0)
    np.fill_diagonal(pull, 0.0)
    if len(weight) > NEIGHBOURS + 1:
        order = km + np.where(np.eye(len(km), dtype=bool), np.inf, 0.0)
        limit = np.partition(order, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1 : NEIGHBOURS]
        pull[order > limit] = 0.0
    total = pull.sum(axis=1, keepdims=True)
    return np.asarray(pull / np.where(total > 0, total, 1.0))


@lru_cache(maxsize=1)
def _gazetteer() -> dict[str, dict[str, object]]:
    return {code: dict(row) for code, row in airportsdata.load("IATA").items()}


def _places() -> Iterator[Metro]:
    """All places in order of preference, without end until the gazetteer is spent."""
    listed = [metro for metro in chain.from_iterable(zip_longest(INGEST, EDGE)) if metro]
    yield from listed
    seen = [_position(metro) for metro in listed]
    for metro in _fill(set(listed)):
        place = _position(metro)
        if all(_km(place, other) > APART_KM for other in seen):
            seen.append(place)
            yield metro


def _fill(listed: set[Metro]) -> Iterator[Metro]:
    """International airports of the regions' countries, in an order that is scattered over the globe but always the
    same.
    """
    known = {country for region in REGIONS for country in region.countries.split()}
    names = {metro.code for metro in listed}
    codes = [
        c
        for c, row in _gazetteer().items()
        if "International" in str(row["name"]) and row["city"] and row["country"] in known and c not in names
    ]
    for code in sorted(codes, key=lambda c: (zlib.crc32(c.encode()), c)):
        yield Metro(code, str(_gazetteer()[code]["city"]), FILL_WEIGHT)


def _position(metro: Metro) -> tuple[float, float]:
    row = _gazetteer()[metro.code]
    lat = metro.lat if metro.lat is not None else float(str(row["lat"]))
    lon = metro.lon if metro.lon is not None else float(str(row["lon"]))
    return round(lat, 4), round(lon, 4)


def _km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance on a flat Earth: good enough to tell whether two airports serve one metro."""
    return 111.2 * float(np.hypot(a[0] - b[0], (a[1] - b[1]) * np.cos(np.radians((a[0] + b[0]) / 2))))


def _site(metro: Metro, seed: int) -> Site:
    row, (lat, lon) = _gazetteer()[metro.code], _position(metro)
    region = _region_of(str(row["country"]), lon)
    rng = draws(seed, "site", zlib.crc32(metro.code.encode()))
    lead = float(np.clip(5 * round(REGIONS[region].lead_time_days * rng.uniform(0.7, 1.3) / 5), 30, 150))
    return Site(
        f"{metro.code.lower()}-01",
        metro.city,
        str(row["country"]),
        lat,
        lon,
        str(row["tz"]),
        region,
        str(rng.choice(PARTNERS)),
        metro in INGEST,
        metro.weight * rng.uniform(0.85, 1.15),
        lead,
    )


def _region_of(country: str, lon: float) -> int:
    if country in ("US", "CA"):
        return 1 if lon < NA_DIVIDE_LON else 0
    return next(i for i, region in enumerate(REGIONS) if country in region.countries.split())
