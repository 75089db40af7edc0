"""The places of the simulated network, as data (public ingest cities, edge metros, regions, partners), and the sites of
one network: where they stand, who is near whom, and the table `sites`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, zip_longest
from typing import NamedTuple

import airportsdata
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.schema import TABLES, types
from data.schema.errors import SettingError
from data.simulator.options import random_stream

# Places --------------------------------------------------------------------------------------------------------------


class Metro(NamedTuple):
    """A city by the IATA code of its airport, with its share of the audience (relative)."""

    code: str
    city: str
    weight: float
    lat: float | None = None  # where the airport stands too far from the city
    lon: float | None = None


# Twitch's public ingest cities, in an order that covers the globe early, so that a small network is a global one too.
INGEST: tuple[Metro, ...] = (
    Metro("FRA", "Frankfurt", 6.0),
    Metro("IAD", "Ashburn", 6.0, 39.0438, -77.4874),
    Metro("GRU", "Sao Paulo", 4.6),
    Metro("HND", "Tokyo", 4.0),
    Metro("SYD", "Sydney", 1.8),
    Metro("BOM", "Mumbai", 1.5),
    Metro("PDT", "Boardman", 2.2, 45.8399, -119.7006),
    Metro("CDG", "Paris", 4.6),
    Metro("SIN", "Singapore", 1.9),
    Metro("ARN", "Stockholm", 2.4),
    Metro("ICN", "Seoul", 3.0),
    Metro("DUB", "Dublin", 1.5),
    Metro("CMH", "Columbus", 2.2),
)

EDGE: tuple[Metro, ...] = (
    Metro("LAX", "Los Angeles", 5.2),
    Metro("LHR", "London", 5.0),
    Metro("TPE", "Taipei", 2.3),
    Metro("MEX", "Mexico City", 2.9),
    Metro("MAD", "Madrid", 3.4),
    Metro("JFK", "New York", 4.8),
    Metro("DEL", "New Delhi", 1.1),
    Metro("AMS", "Amsterdam", 3.0),
    Metro("ORD", "Chicago", 3.6),
    Metro("EZE", "Buenos Aires", 2.4),
    Metro("WAW", "Warsaw", 2.6),
    Metro("DFW", "Dallas", 3.3),
    Metro("BKK", "Bangkok", 1.1),
    Metro("MXP", "Milan", 2.6),
    Metro("JNB", "Johannesburg", 0.7),
    Metro("SEA", "Seattle", 2.2),
    Metro("MEL", "Melbourne", 1.3),
    Metro("HKG", "Hong Kong", 1.4),
    Metro("YYZ", "Toronto", 2.3),
    Metro("MIA", "Miami", 2.4),
    Metro("IST", "Istanbul", 2.2),
    Metro("SCL", "Santiago", 1.5),
    Metro("DXB", "Dubai", 0.9),
    Metro("KIX", "Osaka", 1.9),
    Metro("VIE", "Vienna", 1.6),
    Metro("SJC", "San Jose", 2.7),
    Metro("ATL", "Atlanta", 2.6),
    Metro("CPH", "Copenhagen", 1.6),
    Metro("BOG", "Bogota", 1.5),
    Metro("MNL", "Manila", 1.0),
    Metro("PRG", "Prague", 1.6),
    Metro("GIG", "Rio de Janeiro", 1.9),
    Metro("DEN", "Denver", 1.9),
    Metro("MRS", "Marseille", 1.5),
    Metro("RUH", "Riyadh", 1.0),
    Metro("HEL", "Helsinki", 1.3),
    Metro("CGK", "Jakarta", 1.2),
    Metro("AKL", "Auckland", 0.6),
    Metro("OSL", "Oslo", 1.2),
    Metro("YUL", "Montreal", 1.6),
    Metro("LIM", "Lima", 1.4),
    Metro("LIS", "Lisbon", 1.3),
    Metro("PHX", "Phoenix", 1.7),
    Metro("BUD", "Budapest", 1.3),
    Metro("SGN", "Ho Chi Minh City", 0.9),
    Metro("BRU", "Brussels", 1.2),
    Metro("MAN", "Manchester", 1.5),
    Metro("BLR", "Bangalore", 0.9),
    Metro("IAH", "Houston", 1.9),
    Metro("FOR", "Fortaleza", 1.2),
    Metro("ZRH", "Zurich", 1.3),
    Metro("KUL", "Kuala Lumpur", 0.9),
    Metro("CAI", "Cairo", 0.7),
    Metro("OTP", "Bucharest", 1.2),
    Metro("BER", "Berlin", 1.8),
    Metro("YVR", "Vancouver", 1.1),
    Metro("PER", "Perth", 0.5),
    Metro("MUC", "Munich", 1.5),
    Metro("BOS", "Boston", 1.6),
    Metro("QRO", "Queretaro", 1.0),
    Metro("SOF", "Sofia", 0.9),
    Metro("ATH", "Athens", 0.9),
    Metro("TLV", "Tel Aviv", 0.8),
    Metro("BNE", "Brisbane", 0.7),
    Metro("MSP", "Minneapolis", 1.2),
    Metro("BCN", "Barcelona", 1.3),
    Metro("FCO", "Rome", 1.2),
    Metro("LAS", "Las Vegas", 1.0),
    Metro("CWB", "Curitiba", 0.9),
    Metro("HAM", "Hamburg", 1.0),
    Metro("FUK", "Fukuoka", 0.8),
    Metro("MAA", "Chennai", 0.7),
    Metro("LOS", "Lagos", 0.4),
    Metro("PHL", "Philadelphia", 1.3),
    Metro("SLC", "Salt Lake City", 0.9),
    Metro("POA", "Porto Alegre", 0.8),
    Metro("DTW", "Detroit", 1.1),
    Metro("DUS", "Dusseldorf", 1.1),
    Metro("NBO", "Nairobi", 0.3),
    Metro("UIO", "Quito", 0.6),
    Metro("CLT", "Charlotte", 1.0),
    Metro("HAN", "Hanoi", 0.6),
    Metro("JED", "Jeddah", 0.5),
    Metro("MCO", "Orlando", 1.1),
    Metro("ADL", "Adelaide", 0.4),
    Metro("CMN", "Casablanca", 0.4),
    Metro("STL", "St Louis", 0.8),
    Metro("MVD", "Montevideo", 0.5),
    Metro("CTS", "Sapporo", 0.5),
    Metro("DOH", "Doha", 0.3),
    Metro("HYD", "Hyderabad", 0.6),
    Metro("TPA", "Tampa", 0.9),
    Metro("AUS", "Austin", 0.9),
    Metro("SAN", "San Diego", 1.0),
    Metro("PUS", "Busan", 0.8),
    Metro("CPT", "Cape Town", 0.4),
    Metro("BSB", "Brasilia", 0.8),
    Metro("KWI", "Kuwait City", 0.3),
    Metro("CCU", "Kolkata", 0.4),
    Metro("SJU", "San Juan", 0.4),
)
# Places beyond the list above come from the gazetteer, each with this share.
FILL_WEIGHT = 0.12


class Region(NamedTuple):
    """A part of the world, and what is typical of it: delivered bitrate, lead time, price, and quality where nothing is
    congested.
    """

    region_id: str
    name: str
    countries: str
    timezone: str  # the evening that a regional tournament is scheduled for
    bitrate_mbps: float
    lead_time_days: int
    usd_a_gbps: float
    rebuffer_ratio: float
    startup_seconds: float


REGIONS: tuple[Region, ...] = (
    Region("na-east", "North America East", "US CA", "America/New_York", 3.7, 45, 95, 0.0030, 1.05),
    Region("na-west", "North America West", "US CA", "America/Los_Angeles", 3.7, 45, 105, 0.0030, 1.05),
    Region(
        "latam",
        "Latin America",
        "MX BR AR CL CO PE UY PY BO EC CR PA GT HN SV NI DO PR JM BS TT BB",
        "America/Sao_Paulo",
        3.1,
        70,
        410,
        0.0034,
        1.45,
    ),
    Region("eu-west", "Western Europe", "GB IE FR NL BE LU ES PT", "Europe/Paris", 3.6, 40, 85, 0.0029, 1.0),
    Region(
        "eu-central",
        "Central and Northern Europe",
        "DE AT CH PL CZ SK HU RO BG GR IT SE NO DK FI IS EE LV LT SI HR RS BA MK AL ME TR CY MT",
        "Europe/Berlin",
        3.5,
        45,
        90,
        0.0031,
        1.05,
    ),
    Region(
        "amesa",
        "Africa, Middle East and South Asia",
        "IN PK BD LK NP AE SA QA KW OM BH JO IL EG MA TN ZA KE NG GH TZ UG ET SN CI RW ZM NA BW MU",
        "Asia/Kolkata",
        2.7,
        75,
        620,
        0.0036,
        1.5,
    ),
    Region("asia-ne", "North-East Asia", "JP KR TW HK", "Asia/Tokyo", 3.8, 55, 320, 0.0026, 0.95),
    Region(
        "asia-se",
        "South-East Asia and Oceania",
        "SG MY TH ID PH VN KH AU NZ FJ PG",
        "Asia/Singapore",
        3.1,
        60,
        480,
        0.0033,
        1.35,
    ),
)
# West of this meridian, North America is na-west.
NA_DIVIDE_LON = -100.0

# Names that nobody can take for a company.
PARTNERS: tuple[str, ...] = ("Fictional Fibre", "Imaginary Colocation", "Makebelieve Metro Networks", "Pretend Peering")
# One of them has more than its share of trouble.
TROUBLED_PARTNER = "Fictional Fibre"

CUPS: tuple[str, ...] = (
    "Meridian Cup",
    "Harbour Masters",
    "Nightfall Invitational",
    "Paper Crown Open",
    "Longshot Series",
    "Tin Dragon Championship",
)
RELEASES: tuple[str, ...] = ("Ironwake", "Starling Season", "Saltmarsh", "Ninefold", "Quiet Engine", "Copper Hollow")


# The sites of one network --------------------------------------------------------------------------------------------

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
    return types.distances_km([s.lat for s in sites], [s.lon for s in sites])


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
    served_countries = {country for region in REGIONS for country in region.countries.split()}
    names = {metro.code for metro in listed}
    codes = [
        c
        for c, row in _gazetteer().items()
        if "International" in str(row["name"]) and row["city"] and row["country"] in served_countries and c not in names
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
    rng = random_stream(seed, "site", zlib.crc32(metro.code.encode()))
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
