"""What does this region or site carry, what should it carry, and what is off?"""

from __future__ import annotations

import streamlit as st

from app.ui import place, time_range
from app.ui.header import Frame
from app.views.region import compare, numbers, traffic


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
    numbers.draw(frame, where)
    drawn = traffic.draw(frame, where, when)
    traffic.sites_side_by_side(frame, where, when)
    compare.draw(frame, where, when)
    traffic.table(frame, where, drawn)
