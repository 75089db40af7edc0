"""Keep the plan as it stands: under a name, with its author and what is to be bought, to be scored by what comes."""

from __future__ import annotations

import streamlit as st

from app import state, theme
from app.cached import EVERYTHING, Direction, HeadroomError, augmenting, latest_run, scorecards
from app.cached.augmenting import AugmentRequest
from app.cached.planning import PlanQuery
from app.ui import empty_states
from app.ui.header import Frame
from app.ui.site_filter import filtered_sites
from app.views.capacity.catalogue import steps_of, wish
from app.views.capacity.choices import limit_words
from data.schema import DIRECTION_OF

# Streamlit forgets a field that is not drawn; who saves a second plan is still the same.
_AUTHOR, _FIELD, _SAVED = "plan.author", "save.author", "save.said"


def save_form(frame: Frame, asked: PlanQuery) -> None:
    """The form; it says what is kept, and what is not."""
    if latest_run(frame.pin, frame.scope) is None or frame.scope != EVERYTHING:
        return
    with st.expander("Save the plan", icon=":material/save:", expanded=bool(st.session_state.get(_SAVED))):
        left_out = (
            " The what-if and the filters are not part of it."
            if asked.changes or filtered_sites(frame) is not None
            else ""
        )
        st.caption(
            empty_states.plain(f"Kept: both directions, from the newest run; policy: {limit_words(asked)}.{left_out}")
        )
        with st.form("save-plan", border=False, enter_to_submit=False):
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
                name = st.text_input("Name", key="save.name", width=260, placeholder="Winter orders")
                st.session_state.setdefault(_FIELD, st.session_state.get(_AUTHOR, ""))
                author = st.text_input("Author", key=_FIELD, width=200)
                pressed = st.form_submit_button("Save")
            bought = st.checkbox(f"With the cheapest purchases: {wish_words()}", value=True, key="save.bought")
        if pressed:
            _save(frame, asked, name, author, wishes(frame, asked) if bought else None)
        if said := st.session_state.pop(_SAVED, ""):
            st.success(said, icon=":material/check:")


def wish_words() -> str:
    """What the purchases are asked to keep, as the Augments sheet has it."""
    now = state.current()
    budget = "" if now.budget is None else f", for {theme.usd(now.budget)} in each direction"
    fails = ", while any one site may fail" if now.survives == "n-1" else ""
    return f"{now.months} months, {100 * float(now.certainty):g} % of futures{fails}{budget}, as set under Augments"


def wishes(frame: Frame, asked: PlanQuery) -> dict[Direction, AugmentRequest]:
    """The wish of the Augments sheet for both directions, of all sites. Steps that were edited are those of the
    direction that is shown.
    """
    edited = state.current().steps
    found = {
        direction: augmenting.offer(frame.pin, frame.scope, direction).steps for direction in DIRECTION_OF.values()
    }
    if edited:
        found[asked.direction] = steps_of(edited)
    return {direction: wish(steps) for direction, steps in found.items()}


def _save(
    frame: Frame, asked: PlanQuery, name: str, author: str, wanted: dict[Direction, AugmentRequest] | None
) -> None:
    st.session_state[_AUTHOR] = author
    try:
        with st.spinner(
            "Saving the plan" if wanted is None else "Searching for the cheapest purchases of both directions",
            show_time=True,
        ):
            kept = scorecards.save(frame.pin, frame.scope, asked, name, author, wanted)
    except HeadroomError as error:
        st.warning(empty_states.plain(error), icon=":material/error:")
        return
    bought = (
        ""
        if wanted is None
        else f", with {kept.purchases} purchases"
        + "".join(f"; {way}: {empty_states.plain(why)}" for way, why in kept.refused.items())
    )
    st.session_state[_SAVED] = f"Kept as **{empty_states.plain(kept.note.name)}**{bought}."
    st.rerun()
