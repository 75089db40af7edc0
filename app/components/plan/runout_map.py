"""The sites on a map, coloured by when they run out; a click looks at one."""

from __future__ import annotations

import streamlit as st

from app import cached, state, theme
from app.cached import planning
from app.charts import map_legend, map_marks, map_view
from app.charts.map_marks import Look
from app.charts.map_view import Canvas
from app.charts.network_map import Drawing, deck
from app.components.header import Frame
from app.components.network_map import OUTLINE, legend_words, picked
from app.components.plan.what_if import Outlooks
from app.components.site_filter import filtered_sites
from app.components.viewport import is_narrow

# Beside the dates the map has two fifths of the page.
BESIDE = Canvas(500, 360, 40)
_CHOSEN = "runout-map.chosen"


def draw(frame: Frame, found: Outlooks) -> None:
    """The map of the outlook's dates. A what-if may add sites, which have no place on it."""
    chosen, sites = filtered_sites(frame), planning.with_plan(cached.sites_now(frame.pin, frame.scope), found.rows)
    if chosen is not None:
        sites = sites[sites["site_id"].isin(chosen)].reset_index(drop=True)
    canvas = map_view.NARROW if is_narrow() else BESIDE
    shown = map_marks.at_present(sites)
    look = Look(
        "runout",
        frame.scheme,
        map_marks.scale(sites, small=True),
        frame.extent.now,
        present=True,
    )
    drawn = deck(shown, [], look, Drawing(("sites",), "flat", OUTLINE, map_view.fit(frame.catalogue, canvas), canvas))
    alt = map_legend.described(shown, look, theme.stamp(frame.extent.now, frame.zone))
    event = st.pydeck_chart(
        drawn, height=canvas.height, on_select="rerun", selection_mode="single-object", key="runout-map", alt=alt
    )
    st.markdown(legend_words(map_legend.legend(shown, [], look)))
    clicked, before = picked(event), st.session_state.get(_CHOSEN)
    st.session_state[_CHOSEN] = clicked
    if clicked and clicked != before:
        state.update(focus=f"site:{clicked}")
