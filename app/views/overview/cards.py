"""Where to look first: the sites that need it most, each with the reason in one sentence and its week in a line."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.views.overview.charts import sparkline
from data.schema import UTILISATION_LIMIT

MOST, PICTURE_PX = 6, 104
AHEAD = pd.Timedelta(days=7)


def cards(frame: Frame, sites: pd.DataFrame) -> None:
    """Up to six cards. `sites`: planning.site_states, most urgent first. One without a declared capacity is no card of
    its own: one sentence tells of them all.
    """
    st.markdown("##### Where to look first")
    bare = (sites["state"] == "unknown") & (sites["runout"] == "no capacity") & sites["silence"].isna()
    urgent = sites[(sites["state"] != "ok") & ~bare].head(MOST)
    if urgent.empty:
        _all_well(sites)
    now = frame.extent.now
    ahead = cached.site_forecasts(frame.pin, frame.scope, "egress_gbps", tuple(urgent["site_id"]), now, now + AHEAD)
    with st.container(gap="xsmall"):
        for _, site in urgent.iterrows():
            _card(frame, site, ahead[ahead["site_id"] == site["site_id"]])


def _all_well(sites: pd.DataFrame) -> None:
    """What was held against limits and found within them, and what could not be, for want of a capacity."""
    bare = int((sites["utilisation"].isna() & sites["egress_capacity_gbps"].isna()).sum())
    if bare < len(sites):
        st.markdown(
            f":material/check_circle: {'The other' if bare else 'All'} {len(sites) - bare} sites are within their limits."
        )
    if bare:
        whose = "any site" if bare == len(sites) else f"{bare} of {len(sites)} sites"
        st.markdown(
            f":material/help: **No capacity is declared for {whose}**: how full they run, and when they run out, is unknown."
        )
        st.caption(
            "Take in a table of capacities: site_id, direction (egress or ingest), effective_from, capacity_gbps, status (installed or planned)."
        )
        st.code("python -m data ingest PATH --table capacity", language="bash", wrap_lines=True)


def _card(frame: Frame, site: pd.Series, ahead: pd.DataFrame) -> None:
    of = theme.STATES[site["state"]]
    with st.container(border=True, gap=None, key=f"card-{site['site_id']}"):
        if st.button(
            f"{of.glyph} **{plain(site['name'])}**: {of.word}",
            key=f"open-{site['site_id']}",
            type="tertiary",
            help=f"Open {plain(site['name'])}",
        ):
            state.open_page("region", site=site["site_id"])
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.container().caption(plain(site["reason"]))
            _picture(frame, site, ahead)


def _picture(frame: Frame, site: pd.Series, ahead: pd.DataFrame) -> None:
    """The week so far, and the next one with its 80 % band where there is a forecast."""
    capacity = site["egress_capacity_gbps"]
    limit = None if theme.missing(capacity) else UTILISATION_LIMIT * float(capacity)
    parts = (
        "the last 7 days",
        "the next 7 with their 80 % interval" if len(ahead) else "",
        f"{UTILISATION_LIMIT:.0%} of capacity" if limit else "",
    )
    alt = f"Egress of {site['name']}: {', '.join(part for part in parts if part)}"
    st.image(sparkline(site["week"], ahead, limit, frame.scheme), width=PICTURE_PX, alt=alt)
