"""The map of a region, or of the surroundings of a site, at one moment, with the flows in and out; coloured as on the
Overview. A part of the page that runs by itself.
"""

from __future__ import annotations

from typing import cast

import streamlit as st

from app import cached, state, theme
from app.cached import planning
from app.charts import map_marks, map_view
from app.charts.map_marks import Colour, Look
from app.charts.map_view import Canvas
from app.charts.network_map import Drawing, deck
from app.ui import map_player
from app.ui.header import Frame
from app.ui.maps import OUTLINE, legend_words, picked
from app.ui.place import Place

WIDE = Canvas(700, 280, 50)
LAYERS = ("sites", "flows", "labels")


def draw(frame: Frame, place: Place) -> None:
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
