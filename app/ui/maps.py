"""The network on a map with its controls: what is drawn, by what it is coloured, and when. A part of the page that runs
by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.cached import SiteFilter
from app.charts import map_marks, map_view
from app.charts.map_marks import Colour, Entry, Look
from app.charts.map_view import Projection
from app.charts.network_map import Drawing, deck
from app.ui import export, map_player
from app.ui.header import Frame
from data.schema import UTILISATION_LIMIT

# Relative: it holds at every page and under any base path.
OUTLINE = "app/static/countries-110m.geojson"
COLOURS = {"health": "Health", "utilisation": "Utilisation", "runout": "Run-out"}
PROJECTIONS = {"flat": "Flat", "globe": "Globe"}
LAYERS = {"sites": "Sites", "flows": "Flows", "labels": "Labels"}
# The layer whose objects are sites.
PICKED = "hover"


def network_map(frame: Frame, chosen: SiteFilter, sites: pd.DataFrame) -> None:
    """`sites`: planning.site_states of the filter `chosen`. Switches and the slider draw the map
    alone anew, not the page.
    """
    st.fragment(_panel, run_every=map_player.CLOCK.interval())(frame, chosen, sites)


def _panel(frame: Frame, chosen: SiteFilter, sites: pd.DataFrame) -> None:
    _switches(has_flows=frame.pin.version("flows_1h") is not None)
    picture = st.container(gap="xsmall", key="map-picture")
    hours = map_player.player(frame)
    with picture:
        clicked = _picture(frame, chosen, sites, hours)
    if clicked:
        map_player.CLOCK.stop()
        state.open_page("region", site=clicked)


def _switches(*, has_flows: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", gap="small", key="map-switches"):
        layers = [name for name in LAYERS if has_flows or name != "flows"]
        bound = state.bound("layers")
        st.session_state[bound["key"]] = [name for name in st.session_state[bound["key"]] if name in layers]
        st.pills(
            "Layers",
            layers,
            selection_mode="multi",
            format_func=LAYERS.__getitem__,
            label_visibility="collapsed",
            **bound,
        )
        st.segmented_control(
            "Colour by",
            list(COLOURS),
            format_func=COLOURS.__getitem__,
            label_visibility="collapsed",
            **state.bound("color"),
        )
        st.segmented_control(
            "Map",
            list(PROJECTIONS),
            format_func=PROJECTIONS.__getitem__,
            label_visibility="collapsed",
            **state.bound("map"),
        )


def _picture(frame: Frame, chosen: SiteFilter, sites: pd.DataFrame, hours: int) -> str | None:
    """The map of one moment and its legend; the site that was clicked."""
    view, moment = state.current(), map_player.base(frame) + hours * map_player.HOUR
    shown = (
        map_marks.at_moment(sites, cached.map_at(frame.pin, frame.scope, moment))
        if hours
        else map_marks.at_present(sites)
    )
    arcs = (
        map_marks.flow_rows(cached.flows_at(frame.pin, frame.scope, moment, chosen), shown)
        if "flows" in view.layers
        else []
    )
    canvas = map_view.NARROW if frame.narrow else map_view.WIDE
    size = map_marks.scale(sites, small=canvas is map_view.NARROW)
    look = Look(cast("Colour", view.color), frame.scheme, size, frame.extent.now, present=hours == 0)
    drawn = deck(
        shown,
        arcs,
        look,
        Drawing(view.layers, cast("Projection", view.map), OUTLINE, map_view.fit(frame.catalogue, canvas), canvas),
    )
    alt = map_marks.described(shown, look, theme.stamp(moment, frame.zone))
    event = st.pydeck_chart(
        drawn, height=canvas.height, on_select="rerun", selection_mode="single-object", key="network-map", alt=alt
    )
    st.markdown(f"**{map_marks.title(look)}** \u2002 {legend_words(map_marks.legend(shown, arcs, look))}")
    if view.color == "runout" and bool(sites["answer"].notna().any()):
        st.caption(
            f"The date on which the peak of a week passes {theme.percent(UTILISATION_LIMIT)} of egress or ingest "
            "capacity, whichever comes first."
        )
    if missing := map_marks.unplaced(sites):
        st.caption(
            f":material/wrong_location: {missing}; the table has {'it' if missing.startswith('1 ') else 'them'}."
        )
    _downloads(shown, map_marks.legend(shown, arcs, look), moment, frame)
    return picked(event)


def legend_words(entries: list[Entry]) -> str:
    """The legend as Markdown: each glyph in its colour, then what it means, never torn apart at the end of a line."""
    return " \u2002 ".join(
        f':color[{entry.glyph}]{{foreground="{entry.colour}"}}\u00a0{_unbroken(entry.words)}' for entry in entries
    )


def _unbroken(words: str) -> str:
    """Words that stay on one line."""
    return words.replace(" ", "\u00a0")


def picked(event: Mapping[str, Any]) -> str | None:
    """The site_id of the marker that was clicked."""
    objects = event["selection"]["objects"]
    return next((str(found["id"]) for found in objects.get(PICKED, [])), None)


# What the map's file says of each site.
MAP_COLUMNS = (
    "site_id",
    "name",
    "region_name",
    "partner",
    "lat",
    "lon",
    "egress_gbps",
    "ingest_gbps",
    "egress_capacity_gbps",
    "ingest_capacity_gbps",
    "utilisation",
    "peak_24h_utilisation",
    "state",
    "expected",
    "low",
    "high",
)


def _downloads(shown: pd.DataFrame, legend: list[Entry], moment: pd.Timestamp, frame: Frame) -> None:
    """The map as a picture with its legend, and what it is drawn from."""
    name = f"Network map, {theme.stamp(moment, frame.zone)}"
    columns = [column for column in MAP_COLUMNS if column in shown]
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall"):
        export.map_picture("map-picture", name, [(entry.glyph, entry.colour, entry.words) for entry in legend])
        export.csv_button(shown[columns], name, "map-csv", zone=frame.zone)
