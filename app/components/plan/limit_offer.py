"""What was learned of a place, as the limit: of all sites in the policy, or of one site in the what-if. Both stand in
the link.
"""

from __future__ import annotations

import streamlit as st

from app import state, theme
from app.cached import planning
from app.cached.limits import SafeUtilisation
from app.cached.planning import PlanQuery
from app.charts.safe_limit import usable
from app.components import states
from app.components.header import Frame
from app.components.plan.what_if_words import words


def draw(frame: Frame, asked: PlanQuery, level: str, key: str, name: str, answer: SafeUtilisation) -> None:
    """Buttons for a knee that was found; and which limits of single sites hold already."""
    if answer.state == "found":
        share = usable(answer)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**Use {theme.percent(share)} as the limit**")
            if level == "site":
                st.button(
                    f"of {states.plain(name)}",
                    on_click=of_one,
                    args=(key, share),
                    key="limit-one",
                    icon=":material/place:",
                )
            st.button(
                "of all sites",
                on_click=of_all,
                args=(share,),
                key="limit-all",
                icon=":material/public:",
                disabled=not _may_be(share),
            )
            if not _may_be(share):
                st.caption(f"The policy's limit is at least {theme.percent(state.LEAST_LIMIT)}.")
    if held := [one for one in planning.changes(asked.changes) if one["kind"] == "limit"]:
        told = "; ".join(states.plain(words(one, frame.catalogue)) for one in held)
        st.caption(f":material/alt_route: In the what-if: {told}. What runs out, failures and augments reckon with it.")


def _may_be(share: float) -> bool:
    return state.LEAST_LIMIT <= share <= state.MOST_LIMIT


def of_all(share: float) -> None:
    """The policy's limit."""
    state.update(limit=share)


def of_one(site: str, share: float) -> None:
    """A change of the what-if, in the place of an earlier one for the same site."""
    kept = [
        one
        for one in planning.changes(state.current().whatif or "")
        if (one["kind"], one.get("site_id")) != ("limit", site)
    ]
    text = ""
    for change in [*kept, {"kind": "limit", "limit": share, "site_id": site}]:
        text = planning.with_change(text, change)
    if state.fits(text):
        state.update(whatif=text)
