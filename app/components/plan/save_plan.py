"""Keep the plan as it stands: under a name, with its author, to be scored by what comes."""

from __future__ import annotations

import streamlit as st

from app.cached import EVERYTHING, HeadroomError, latest_run, scorecards
from app.cached.planning import Question
from app.components import states
from app.components.header import Frame
from app.components.plan.choices import limit_words

# Streamlit forgets a field that is not drawn; who saves a second plan is still the same.
_AUTHOR, _FIELD, _SAVED = "plan.author", "save.author", "save.said"


def save_form(frame: Frame, asked: Question) -> None:
    """The form; it says what is kept, and what is not."""
    if latest_run(frame.pin, frame.scope) is None or frame.scope != EVERYTHING:
        return
    with st.expander("Save the plan", icon=":material/save:", expanded=bool(st.session_state.get(_SAVED))):
        st.caption(
            states.plain(
                f"Kept: both directions, from the newest run; policy: {limit_words(asked)}.{' The what-if is not part of it.' if asked.changes else ''}"
            )
        )
        with st.form("save-plan", border=False, enter_to_submit=False), st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            name = st.text_input("Name", key="save.name", width=260, placeholder="Winter orders")
            st.session_state.setdefault(_FIELD, st.session_state.get(_AUTHOR, ""))
            author = st.text_input("Author", key=_FIELD, width=200)
            pressed = st.form_submit_button("Save")
        if pressed:
            _save(frame, asked, name, author)
        if said := st.session_state.pop(_SAVED, ""):
            st.success(said, icon=":material/check:")


def _save(frame: Frame, asked: Question, name: str, author: str) -> None:
    st.session_state[_AUTHOR] = author
    try:
        with st.spinner("Saving the plan"):
            note = scorecards.save(frame.pin, asked, name, author)
    except HeadroomError as error:
        st.warning(states.plain(error), icon=":material/error:")
        return
    st.session_state[_SAVED] = f"Kept as **{states.plain(note.name)}**."
    st.rerun()
