"""What does this region or site carry, what should it carry, and what is off?"""

from __future__ import annotations

from typing import cast

import streamlit as st

from app import cached, state, theme
from app.cached import SiteFilter, planning
from app.charts import map_marks, map_view
from app.charts.map_marks import Colour, Look
from app.charts.map_view import Canvas
from app.charts.network_map import Drawing, deck
from app.ui import map_player, place, time_range
from app.ui.header import Frame
from app.ui.maps import OUTLINE, legend_words, picked
from app.ui.place import Place
from app.ui.site_filter import reporting_sites
from app.ui.tile import has_values, tile
from app.views.region import compare, traffic
from data.schema import DEMAND_METRICS, METRIC


def show(frame: Frame) -> None:
    """The place and the time at choice; its numbers and map; traffic, forecast and quality over one time
    axis; its sites; what it is compared with; the numbers behind.
    """
    with st.container(horizontal=True, vertical_alignment="top", gap="small", key="region-choices"):
        where = place.choose(frame)
        if frame.narrow:
            with st.popover("Range, grain and lines", icon=":material/tune:", width="stretch"):
                when = time_range.choose(frame)
        else:
            when = time_range.choose(frame)
    numbers_and_map(frame, where)
    drawn = traffic.draw(frame, where, when)
    traffic.sites_side_by_side(frame, where, when)
    compare.draw(frame, where, when)
    traffic.table(frame, where, drawn)


HELP = "Highest hourly mean of the last 24 hours, against the same 24 hours a week before. The line: the last 7 days."
USED_HELP = f"{HELP[:-1]}; over the capacity installed"
# What a number is against.
DAY_BEFORE = "last week"


def numbers_and_map(frame: Frame, place: Place) -> None:
    """The numbers, and beside them (on a telephone below) the map."""
    left, right = (st.container(), st.container()) if frame.narrow else st.columns([2, 3], gap="small")
    with left:
        _tiles(frame, place)
    with right:
        region_map(frame, place)


def _tiles(frame: Frame, place: Place) -> None:
    """Egress, and what else the place carried in the week; then how full it was, where a capacity is declared."""
    rows = cached.headline(frame.pin, frame.scope, reporting_sites(frame, sites_of(frame, place))).set_index("metric")
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
    row = (
        cached.headline(frame.pin, frame.scope, reporting_sites(frame, sites_of(frame, place)))
        .set_index("metric")
        .loc["utilisation"]
    )
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


WIDE = Canvas(700, 280, 50)
LAYERS = ("sites", "flows", "labels")


def region_map(frame: Frame, place: Place) -> None:
    """The map and its moment. A site that is clicked is opened."""
    st.fragment(_panel, run_every=map_player.CLOCK.interval())(frame, place)


def _panel(frame: Frame, place: Place) -> None:
    picture = st.container(gap="xsmall", key="region-map-picture")
    hours = map_player.player(frame)
    with picture:
        clicked = _picture(frame, place, hours)
    if clicked and clicked != place.key:
        map_player.CLOCK.stop()
        state.open_page("region", site=clicked)


def _picture(frame: Frame, place: Place, hours: int) -> str | None:
    """The site that was clicked."""
    moment = map_player.base(frame) + hours * map_player.HOUR
    sites = planning.site_states(frame.pin, frame.scope)
    shown = (
        map_marks.at_moment(sites, cached.map_at(frame.pin, frame.scope, moment))
        if hours
        else map_marks.at_present(sites)
    )
    mine = sites if place.region_id is None else sites[sites["region_id"] == place.region_id]
    if place.level == "site":
        mine = mine[mine["site_id"] == place.key]
    flows = cached.flows_at(frame.pin, frame.scope, moment)
    touching = flows["source_site_id"].isin(mine["site_id"]) | flows["target_site_id"].isin(mine["site_id"])
    arcs = map_marks.flow_rows(flows[touching], shown)
    canvas = map_view.NARROW if frame.narrow else WIDE
    look = Look(
        cast("Colour", state.current().color),
        frame.scheme,
        map_marks.scale(sites, small=True),
        frame.extent.now,
        present=hours == 0,
    )
    drawing = Drawing(LAYERS, "flat", OUTLINE, map_view.fit(mine, canvas), canvas)
    event = st.pydeck_chart(
        deck(shown, arcs, look, drawing),
        height=canvas.height,
        on_select="rerun",
        selection_mode="single-object",
        # A site that was clicked stays selected: on its own page another map stands.
        key=f"region-map-{place.level}-{place.key}",
        alt=map_marks.described(shown, look, theme.stamp(moment, frame.zone)),
    )
    st.markdown(legend_words(map_marks.legend(shown, arcs, look)))
    return picked(event)
