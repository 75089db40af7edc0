"""What to buy: the cheapest purchases that keep the policy, why each is made, and what more or less certainty would
cost.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import state
from app.cached import HeadroomError, augmenting
from app.cached.augmenting import AugmentPlan, AugmentRequest
from app.cached.failures import failover_rule
from app.cached.planning import PlanQuery
from app.ui import empty_states
from app.ui.header import Frame
from app.ui.site_filter import filtered_sites
from app.views.capacity import catalogue, choices, purchases, save_plan, what_if

SURVIVES = {"nothing": "No failure", "n-1": "Any one site may fail"}
BUDGET_STEP = 50_000
_ASKED = "augments.asked"


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The wish, a button that starts the search, and the plan once it is found. Nothing is searched for before it is
    asked for.
    """
    planned = what_if.sites(frame, asked)
    if planned is None or choices.no_capacity(frame, planned[1]):
        return
    question = planned[0].question
    st.markdown("##### The cheapest plan that keeps the limit")
    st.caption(
        empty_states.plain(
            f"{choices.limit_words(question)}{'; with the what-if' if question.changes else ''}. {_about(frame, question)}"
        )
    )
    purchases.held(question)
    wish = choose(frame, question)
    key = (str(frame.pin), question, wish)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Find the cheapest plan", type="primary", icon=":material/shopping_cart_checkout:", key="augments-find"
        ):
            st.session_state[_ASKED] = key
        st.caption(
            "A search over whole units in each month: it takes seconds, 30 at most, and is kept for everybody who asks the same."
        )
    if st.session_state.get(_ASKED) == key:
        show(frame, question, wish)


def choose(frame: Frame, question: PlanQuery) -> AugmentRequest:
    """Draw the wish: months, certainty, failures, budget, and the steps on offer."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="augments-wish"):
        _select("months", "Plan for", 130, lambda count: f"{count} months")
        _select("certainty", "Each site keeps its limit in", 200, lambda share: f"{100 * float(share):g} % of futures")
        _select("survives", "While", 200, SURVIVES.__getitem__)
        st.number_input(
            "Budget, USD",
            0,
            state.BUDGET_MOST,
            None,
            BUDGET_STEP,
            placeholder="as much as it takes",
            width=200,
            help=f"What may be spent on {question.direction} within these months. Empty: as much as it takes",
            **state.bound("budget"),
        )
    steps = catalogue.choose(frame, question)
    return catalogue.wish(steps)._replace(sites=filtered_sites(frame))


def _select(name: str, label: str, width: int, words: Any) -> None:
    st.selectbox(label, state.CHOICES[name], format_func=words, width=width, **state.bound(name))


def _about(frame: Frame, question: PlanQuery) -> str:
    """Which sites the plan is about, and who helps whom."""
    chosen, rule = filtered_sites(frame), failover_rule(question.failover)
    if chosen is None:
        return f"For all sites; in a failure they help each other {rule}."
    return f"For the {len(chosen)} sites that pass the filters; in a failure they help only each other, {rule}."


def show(frame: Frame, question: PlanQuery, wish: AugmentRequest) -> None:
    """The plan, or why there is none."""
    plan: AugmentPlan | None = None
    try:
        with st.spinner("Searching for the cheapest plan", show_time=True):
            plan = augmenting.augment_plan(frame.pin, frame.scope, question, wish)
    except HeadroomError as error:
        st.warning(empty_states.plain(error), icon=":material/error:")
    if plan is None:
        return
    if plan.refused:
        remedy = "Fewer months, fewer steps on offer or no failure policy make the search shorter."
        empty_states.nothing(
            "No plan in the time given", f"{plan.refused[0].upper()}{plan.refused[1:]}. {remedy}", icon="timer_off"
        )
        return
    purchases.draw(frame, question, wish, plan)
    save_plan.save_form(frame, question)
