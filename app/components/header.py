"""The strip on top of every page: search, how fresh the data are and which version is shown, and the zone of the
times.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import streamlit as st

from app import cached, state
from app.cached import Extent, Pin, Scope
from app.components import states, status
from app.state import State
from app.theme import Scheme

_SEARCH, _FOUND = "header.search", "header.found"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a view is given: the pinned lake, how far it reaches, its sites, the state, and how to draw.

    `zone` is the IANA name of the zone to draw times in.
    """

    pin: Pin
    extent: Extent
    catalogue: pd.DataFrame
    state: State
    zone: str
    scheme: Scheme
    scope: Scope


def page_header(pin: Pin, scope: Scope, page: str) -> Frame | None:
    """Draw the strip; None where the lake holds no telemetry, which the page then says. `scope`: what the viewer may
    see.
    """
    extent = cached.extent(pin, scope)
    if extent is None:
        states.no_telemetry(pin.url)
        status.wait_for_telemetry(scope)
        return None
    catalogue = cached.catalogue(pin, scope)
    chosen = state.read(catalogue, page)
    _follow_search(catalogue)
    zone = zone_of(chosen, catalogue, st.context.timezone)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="strip"):
        search(cached.search_index(pin, scope))
        status.status(pin, scope, extent, zone)
        _zone_switch()
    for note in chosen.notes:
        st.caption(f":material/link_off: {note}")
    return Frame(pin, extent, catalogue, chosen, zone, scheme(), scope)


def scheme() -> Scheme:
    """The viewer's theme."""
    return "dark" if st.context.theme.type == "dark" else "light"


def zone_of(chosen: State, catalogue: pd.DataFrame, viewer: str | None) -> str:
    """The zone to draw times in. "site" is the zone of the site, or the one that all sites of the region share; else
    UTC.
    """
    if chosen.zone == "viewer":
        return _known_zone(viewer)
    if chosen.zone == "UTC" or (chosen.site is None and chosen.region is None):
        return "UTC"
    column, key = ("site_id", chosen.site) if chosen.site else ("region_id", chosen.region)
    zones = catalogue.loc[catalogue[column] == key, "timezone"].unique()
    return _known_zone(zones[0]) if len(zones) == 1 else "UTC"


def _known_zone(name: str | None) -> str:
    try:
        return ZoneInfo(name).key if name else "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"


def search(index: pd.DataFrame) -> None:
    """Find a site, region, city or partner by any part of its name, and open it."""
    labels = (
        index["label"] + " \u00b7 " + index["kind"] + (", " + index["detail"]).where(index["detail"] != "", "")
    ).to_numpy(dtype=object)
    st.selectbox(
        "Find a site, city, region or partner",
        range(len(labels)),
        index=None,
        format_func=labels.__getitem__,
        placeholder="Find a site, city, partner",
        key=_SEARCH,
        on_change=_found,
        args=(index,),
        label_visibility="collapsed",
        width=300,
    )


def _found(index: pd.DataFrame) -> None:
    """Note what was chosen, and clear the box. The page is left in the run that follows, for a callback cannot."""
    chosen = st.session_state[_SEARCH]
    if chosen is not None:
        st.session_state[_FOUND] = (index["kind"].iloc[chosen], index["key"].iloc[chosen])
    st.session_state[_SEARCH] = None


def _follow_search(catalogue: pd.DataFrame) -> None:
    """Open what the search has found."""
    if found := st.session_state.pop(_FOUND, None):
        page, changes = target(found[0], found[1], catalogue)
        state.open_page(page, **changes)


def target(kind: str, key: str, catalogue: pd.DataFrame) -> tuple[str, dict[str, str | None]]:
    """Where something that was found is shown: a page, and what changes in the state. A city of several sites opens
    their region.
    """
    if kind == "partner":
        return "overview", {"partner": key, "region": None, "site": None}
    if kind == "city":
        sites = catalogue[catalogue["city"] == key]
        kind, key = ("site", sites["site_id"].iloc[0]) if len(sites) == 1 else ("region", sites["region_id"].iloc[0])
    if kind == "region":
        return "region", {"region": key, "site": None}
    return "region", {"region": catalogue.loc[catalogue["site_id"] == key, "region_id"].iloc[0], "site": key}


def _zone_switch() -> None:
    words = {"UTC": "UTC", "site": "Site time", "viewer": "My time"}
    st.selectbox(
        "Zone of the times",
        state.CHOICES["zone"],
        format_func=words.__getitem__,
        label_visibility="collapsed",
        width=125,
        **state.bound("zone"),
    )
