"""What does this region or site carry, what should it carry, and what is off?"""

from __future__ import annotations

import streamlit as st

from app.components import place, place_charts, place_numbers, window
from app.components.header import Frame


def show(frame: Frame) -> None:
    """The place and the time at choice; its numbers; traffic, forecast and quality over one time axis; its sites; the
    numbers behind.
    """
    with st.container(horizontal=True, vertical_alignment="top", gap="small", key="region-choices"):
        where = place.choose(frame)
        when = window.choose(frame)
    place_numbers.draw(frame, where, when)
    drawn = place_charts.draw(frame, where, when)
    place_charts.sites_side_by_side(frame, where, when)
    place_charts.table(frame, where, drawn)
