"""A plan of purchases counted in: its capacity becomes part of the what-if, so that every sheet shows the world with
the plan carried out.
"""

from __future__ import annotations

import streamlit as st

from app import state
from app.cached import augmenting
from app.cached.augmenting import AugmentPlan
from app.cached.planning import PlanQuery

# Where the effect of a plan is seen first.
SHEET = "runout"


def offer(question: PlanQuery, plan: AugmentPlan) -> None:
    """The button that counts the purchases in, and what that shows."""
    if not plan.purchases:
        return
    text = augmenting.with_purchases(question, plan)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Count it in",
            key="plan-count-in",
            icon=":material/add_task:",
            disabled=not state.fits(text),
            on_click=state.update,
            kwargs={"whatif": text, "sheet": SHEET},
        )
        if state.fits(text):
            st.caption(
                "What does the plan buy? As a what-if, its capacity counts from its days in service on: in what runs out, failures, scenarios and cost, "
                "beside what holds without it."
            )
        else:
            st.caption(
                "So many purchases do not fit into a link. Filter by region or partner, or take the capacity table in."
            )


def held(question: PlanQuery) -> None:
    """Said where the what-if adds capacity already: the plan then buys on top of it."""
    without = augmenting.taken_out(question)
    if without is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            ":material/add_task: The what-if counts capacity in already: a plan now buys on top of it.", width="content"
        )
        st.button(
            "Take it out",
            key="plan-take-out",
            type="tertiary",
            icon=":material/close:",
            on_click=state.update,
            kwargs={"whatif": without or None},
        )
