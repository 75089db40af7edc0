"""Is the network healthy now, and where does it run out next?"""

from __future__ import annotations

import streamlit as st

from app.cached import planning
from app.ui.header import Frame
from app.ui.maps import network_map
from app.ui.site_filter import filtered_sites, no_site_passes, site_filter
from app.views.overview.cards import cards
from app.views.overview.headline import headline
from app.views.overview.site_table import leaderboards, site_table


def show(frame: Frame) -> None:
    """The verdict and its numbers, the map and who has most of the trouble beside where to look first, and every site."""
    chosen = filtered_sites(frame)
    sites = planning.site_states(frame.pin, frame.scope, chosen)
    if sites.empty:
        site_filter(frame)
        no_site_passes()
        return
    summary = planning.summarise_sites(sites)
    headline(frame, chosen, sites, summary)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        site_filter(frame)
        network_map(frame, chosen, sites)
        leaderboards(frame, planning.site_states(frame.pin, frame.scope))
    with right:
        cards(frame, sites, summary)
    site_table(frame, sites)
