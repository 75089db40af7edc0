"""A place in four numbers, each the peak of the last day against the same day a week before, beside its map."""

from __future__ import annotations

import streamlit as st

from app import cached, theme
from app.cached import SiteFilter, planning
from app.ui.header import Frame
from app.ui.place import Place
from app.ui.tile import has_values, tile
from app.views.region import region_map
from data.schema import DEMAND_METRICS, METRIC

HELP = "Highest hourly mean of the last 24 hours, against the same 24 hours a week before. The line: the last 7 days."
USED_HELP = f"{HELP[:-1]}; over the capacity installed"
# What a number is against.
DAY_BEFORE = "last week"


def draw(frame: Frame, place: Place) -> None:
    """The numbers, and beside them (on a telephone below) the map."""
    left, right = (st.container(), st.container()) if frame.narrow else st.columns([2, 3], gap="small")
    with left:
        _tiles(frame, place)
    with right:
        region_map.draw(frame, place)


def _tiles(frame: Frame, place: Place) -> None:
    """Egress, and what else the place carried in the week; then how full it was, where a capacity is declared."""
    rows = cached.headline(frame.pin, frame.scope, sites_of(frame, place)).set_index("metric")
    known = [m for m in DEMAND_METRICS if m == "egress_gbps" or (m in rows.index and has_values(rows.loc[m, "series"]))]
    shown = [*known, *(m for m in ("utilisation",) if m in rows.index and has_values(rows.loc[m, "series"]))]
    for first in range(0, len(shown), 2):
        with st.container(horizontal=True, gap="xsmall", key=f"place-numbers-{first}"):
            for metric in shown[first : first + 2]:
                if metric == "utilisation":
                    _utilisation(frame, place)
                    continue
                row = rows.loc[metric]
                tile(
                    f"{METRIC[metric].label}, peak 24 h",
                    theme.metric_value(metric, row["peak_24h"]),
                    theme.change(row["peak_24h"], row["peak_24h_week_ago"], DAY_BEFORE),
                    row["series"],
                    f"{HELP}  \nNewest hour: {theme.metric_value(metric, row['value'])}.",
                )


def _utilisation(frame: Frame, place: Place) -> None:
    """Of a site as the Overview has it: the fuller of egress and ingest; of many sites, their egress over their
    capacity.
    """
    row = cached.headline(frame.pin, frame.scope, sites_of(frame, place)).set_index("metric").loc["utilisation"]
    if place.level == "site":
        sites = planning.site_states(frame.pin, frame.scope).set_index("site_id")
        share = sites["peak_24h_utilisation"].get(place.key)
        help_ = f"{USED_HELP}, egress or ingest, whichever is fuller."
    else:
        share, help_ = row["peak_24h"], f"{USED_HELP}, egress of the sites that declare one."
    against = theme.change_points(row["peak_24h"], row["peak_24h_week_ago"], DAY_BEFORE)
    series = [None if value is None else 100 * value for value in row["series"]]
    tile("Utilisation, peak 24 h", theme.percent(share), against, series, help_)


def sites_of(frame: Frame, place: Place) -> SiteFilter:
    """The sites of a place as a filter; None for the network."""
    if place.level == "site":
        return (place.key,)
    if place.region_id is None:
        return None
    return tuple(frame.catalogue.loc[frame.catalogue["region_id"] == place.region_id, "site_id"])
