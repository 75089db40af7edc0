"""The forms of a what-if: one for each kind of change, which gives the values that the change has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pandas as pd
import streamlit as st

from app import cached, state
from app.cached import Direction
from app.components.header import Frame
from app.components.place import region_names, site_names
from data.schema import GLOBAL_KEY, ID_PATTERN

KINDS = {
    "growth": "Growth",
    "event": "A new event",
    "bitrate": "Another bitrate or codec",
    "add_site": "A site opens",
    "close_site": "A site closes",
    "add_capacity": "More capacity",
    "move_augment": "Augments come later or sooner",
    "limit": "Another limit",
}
# An order that is placed now is in service by then.
LATER = pd.Timedelta(days=90)
_EVERY = ""  # no identifier is empty


def unusable(change: Mapping[str, object]) -> str | None:
    """Why the values of a form cannot be used, where the person who typed them can mend it."""
    name = change.get("site_id")
    if change["kind"] == "add_site" and not re.fullmatch(ID_PATTERN, str(name)):
        return "Give the new site an identifier: a letter or digit, then letters, digits, dot, dash, underscore; at most 64."
    return None


def _growth(frame: Frame) -> dict[str, object]:
    percent = st.number_input(
        "More each year than forecast, %", -90.0, 500.0, 20.0, 5.0, key="what-if-percent", width=220
    )
    return {"percent": float(percent), "scope": _scope(frame)}


def _event(frame: Frame) -> dict[str, object]:
    gbps = st.number_input("On top of the busiest hour, Gbps", 1.0, 1e6, 500.0, 50.0, key="what-if-gbps", width=220)
    hours = st.number_input("Hours", 1.0, 2000.0, 6.0, 1.0, key="what-if-hours", width=110)
    return {"gbps": float(gbps), "start": _day(frame, "Starts"), "hours": float(hours), "scope": _scope(frame)}


def _bitrate(frame: Frame) -> dict[str, object]:
    percent = st.number_input(
        "Bits for each viewer, % of today's", 1.0, 1000.0, 70.0, 5.0, key="what-if-bits", width=230
    )
    weeks = st.number_input("By degrees over, weeks", 0.0, 260.0, 8.0, 1.0, key="what-if-weeks", width=170)
    return {
        "factor": float(percent) / 100,
        "start": _day(frame, "Starts"),
        "weeks": float(weeks),
        "scope": _scope(frame),
    }


def _add_site(frame: Frame) -> dict[str, object]:
    """A site lies where a neighbour does, unless a place is given: enough for who fails over to it."""
    name = st.text_input("Identifier of the new site", placeholder="par-02", key="what-if-new", width=190)
    beside = _site(frame, "Beside", list(site_names(frame.catalogue, None)))
    gbps = st.number_input("Capacity, Gbps", 0.0, 1e6, 400.0, 100.0, key="what-if-size", width=140)
    day = _day(frame, "Opens")
    names = site_names(frame.catalogue, None)
    relieves = st.multiselect(
        "Takes demand from", list(names), format_func=lambda key: names.get(key, key), key="what-if-relieves", width=300
    )
    share = st.number_input("Share of it, %", 0.0, 100.0, 30.0, 5.0, key="what-if-share", width=120)
    place = frame.catalogue.set_index("site_id").loc[beside]
    lat = st.number_input("Latitude, if not there", -90.0, 90.0, None, key="what-if-lat", width=160)
    lon = st.number_input("Longitude", -180.0, 180.0, None, key="what-if-lon", width=130)
    there = {
        "lat": float(place["lat"]) if lat is None else float(lat),
        "lon": float(place["lon"]) if lon is None else float(lon),
    }
    shared: dict[str, object] = {"relieves": list(relieves), "share": float(share) / 100}
    return {
        "site_id": name.strip(),
        "region_id": str(place["region_id"]),
        **there,
        "gbps": float(gbps),
        "start": day,
        **shared,
    }


def _close_site(frame: Frame) -> dict[str, object]:
    return {"site_id": _site(frame, "Site", list(site_names(frame.catalogue, None))), "start": _day(frame, "Closes")}


def _add_capacity(frame: Frame) -> dict[str, object]:
    site = _site(frame, "Site that grows", list(site_names(frame.catalogue, None)))
    gbps = st.number_input("Adds, Gbps", 0.1, 1e6, 100.0, 10.0, key="what-if-more", width=140)
    day = _day(frame, "In service")
    month = st.number_input("USD a month, if known", 0.0, 1e10, None, 100.0, key="what-if-month", width=180)
    return {"adds": [[site, day, float(gbps), float(month or 0.0)]], "direction": _direction()}


def _move_augment(frame: Frame) -> dict[str, object] | None:
    direction = _direction()
    sites = cached.planned_augments(frame.pin, frame.scope, direction)
    if not sites:
        st.caption(f"No augment of {direction} is planned: the sheet of declared capacity takes one in.")
        return None
    site = _site(frame, "Site with planned augments", sites)
    days = st.number_input(
        "Later by, days; sooner: negative", -1000.0, 1000.0, 30.0, 10.0, key="what-if-days", width=220
    )
    return {"site_id": site, "days": float(days)}


def _limit(frame: Frame) -> dict[str, object]:
    share = st.number_input(
        "Share of capacity that may be used, %", 10.0, 100.0, 90.0, 5.0, key="what-if-limit", width=260
    )
    site = _site(frame, "Where", [_EVERY, *site_names(frame.catalogue, None)])
    return {"limit": float(share) / 100, **({"site_id": site} if site != _EVERY else {})}


FORMS: dict[str, Callable[[Frame], dict[str, object] | None]] = {
    "growth": _growth,
    "event": _event,
    "bitrate": _bitrate,
    "add_site": _add_site,
    "close_site": _close_site,
    "add_capacity": _add_capacity,
    "move_augment": _move_augment,
    "limit": _limit,
}


def _direction() -> Direction:
    return "ingest" if state.current().direction == "ingest" else "egress"


def _scope(frame: Frame) -> str:
    regions = region_names(frame.catalogue)
    return str(
        st.selectbox(
            "Where",
            [GLOBAL_KEY, *regions],
            format_func=lambda key: regions.get(key, "Everywhere"),
            key="what-if-scope",
            width=220,
        )
    )


def _site(frame: Frame, label: str, sites: list[str] | tuple[str, ...]) -> str:
    names = {_EVERY: "Every site", **site_names(frame.catalogue, None)}
    return str(
        st.selectbox(label, sites, format_func=lambda key: names.get(key, key), key=f"what-if-site-{label}", width=240)
    )


def _day(frame: Frame, label: str) -> str:
    chosen = st.date_input(label, (frame.extent.now + LATER).date(), key="what-if-day", width=140)
    return f"{chosen:%Y-%m-%d}"
