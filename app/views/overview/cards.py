"""Where to look first: the sites that need it most, each with the reason in one sentence and its week in a line."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.cached.planning import NetworkSummary
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.views.overview.charts import sparkline
from data.schema import UTILISATION_LIMIT

MOST, PICTURE_PX = 6, 104
AHEAD = pd.Timedelta(days=7)


def cards(frame: Frame, sites: pd.DataFrame, summary: NetworkSummary) -> None:
    """Up to six cards, each a target that opens its site, then in a sentence each what is well and what cannot be
    planned. `sites`: planning.site_states, most urgent first; `summary`: of them.
    """
    st.markdown("## Where to look first")
    cannot = (sites["state"] == "unknown") & sites["silence"].isna()
    urgent = sites[(sites["state"] != "ok") & ~cannot].head(MOST)
    now = frame.extent.now
    ahead = cached.site_forecasts(frame.pin, frame.scope, "egress_gbps", tuple(urgent["site_id"]), now, now + AHEAD)
    with st.container(gap="xsmall"):
        for _, site in urgent.iterrows():
            _card(frame, site, ahead[ahead["site_id"] == site["site_id"]])
    if urgent.empty and (well := summary.states.get("ok", 0)):
        _all_well(well, summary)
    if summary.unplanned:
        _unplanned(summary)
    if summary.undeclared:
        _undeclared(summary)


def _all_well(well: int, summary: NetworkSummary) -> None:
    whose = f"All {well}" if well == summary.sites else f"The other {well}"
    st.markdown(f":material/check_circle: {whose} sites are within their limits.")


def _unplanned(summary: NetworkSummary) -> None:
    """One card for all sites without futures to plan from, and why."""
    with st.container(border=True, gap=None):
        many = "1 site" if summary.unplanned == 1 else f"{summary.unplanned} sites"
        st.markdown(f":material/help: **{many} cannot be planned yet**")
        st.caption(plain(f"{sentence(summary.refusal)} Until then only what is measured is known of them."))


def sentence(text: str | None) -> str:
    """A reason as a sentence of its own."""
    return "" if not text else f"{text[0].upper()}{text[1:].rstrip('.')}."


def _undeclared(summary: NetworkSummary) -> None:
    """What a declared capacity would add, and how it is supplied."""
    whole = summary.undeclared == summary.sites
    whose = "any site" if whole else f"{summary.undeclared} of {summary.sites} sites"
    st.markdown(
        f":material/help: **No capacity is declared for {whose}**: how full they run, and when they run out, is unknown."
    )
    st.caption(
        "Take in a table of capacities: site_id, direction (egress or ingest), effective_from, capacity_gbps, status (installed or planned)."
    )
    st.code("python -m data ingest PATH --table capacity", language="bash", wrap_lines=True)


def _card(frame: Frame, site: pd.Series, ahead: pd.DataFrame) -> None:
    """The name is a button whose target is the whole card (app/static/shell.css)."""
    of = theme.STATES[site["state"]]
    with st.container(border=True, gap=None, key=f"card-{site['site_id']}"):
        if st.button(
            f"{of.glyph} **{plain(site['name'])}**: {of.word}", key=f"open-{site['site_id']}", type="tertiary"
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
