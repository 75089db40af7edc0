"""Which place a page is about: the whole network, a region, or a site."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from app import state
from app.ui.header import Frame
from data.schema import GLOBAL_KEY, Level

_REGION, _SITE = "place.region", "place.site"
_ALL = ""  # no identifier is empty


@dataclass(frozen=True, slots=True)
class Place:
    """A place: the level and key of its series, its name, and the region it lies in (None for the network)."""

    level: Level
    key: str
    name: str
    region_id: str | None


def chosen(frame: Frame) -> Place:
    """The place that the state names."""
    sites, now = frame.catalogue, state.current()
    if now.site is not None:
        row = sites[sites["site_id"] == now.site].iloc[0]
        return Place("site", now.site, str(row["name"]), str(row["region_id"]))
    if now.region is not None:
        return Place("region", now.region, region_names(sites)[now.region], now.region)
    return Place("global", GLOBAL_KEY, "All regions", None)


def region_names(catalogue: pd.DataFrame) -> dict[str, str]:
    """Name of each region by its identifier, by name; the identifier stands where there is no name."""
    pairs = catalogue[["region_id", "region_name"]].drop_duplicates("region_id")
    names = {
        str(r.region_id): str(r.region_id if pd.isna(r.region_name) else r.region_name) for r in pairs.itertuples()
    }
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))


def site_names(catalogue: pd.DataFrame, region_id: str | None) -> dict[str, str]:
    """Name of each site of a region (None: of all) by its identifier, by name."""
    mine = catalogue if region_id is None else catalogue[catalogue["region_id"] == region_id]
    names = {str(r.site_id): str(r.name_) for r in mine.rename(columns={"name": "name_"}).itertuples()}
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))


def choose(frame: Frame) -> Place:
    """Draw the two choices, region and then site, and return the place."""
    now = state.current()
    regions, sites = region_names(frame.catalogue), site_names(frame.catalogue, now.region)
    st.session_state[_REGION], st.session_state[_SITE] = now.region or _ALL, now.site or _ALL
    st.selectbox(
        "Region",
        [_ALL, *regions],
        format_func=lambda key: regions.get(key, "All regions"),
        key=_REGION,
        on_change=_region_chosen,
        width=170,
    )
    st.selectbox(
        "Site",
        [_ALL, *sites],
        format_func=lambda key: sites.get(key, "All sites"),
        key=_SITE,
        on_change=_site_chosen,
        width=190,
    )
    return chosen(frame)


def _region_chosen() -> None:
    state.update(region=st.session_state[_REGION] or None, site=None)


def _site_chosen() -> None:
    state.update(site=st.session_state[_SITE] or None)
