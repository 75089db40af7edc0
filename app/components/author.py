"""Who writes: whoever has logged in, where the server asks for that, else whoever they say they are, remembered for the
session.
"""

from __future__ import annotations

import streamlit as st

from app.components.states import plain

_NAME, _KEPT = "author.name", "author.kept"
LETTERS = 200  # of a name that is kept


def author() -> str:
    """The name under which changes are kept; empty where nobody says."""
    return signed_in() or str(st.session_state.get(_KEPT, ""))


def ask_author() -> None:
    """Draw who writes: the login, or a field for a name."""
    if name := signed_in():
        st.caption(f":material/person: {plain(name)}")
        return
    if st.user.get("is_logged_in") is False:
        st.button("Log in", key="author.login", icon=":material/login:", on_click=st.login)
    st.session_state[_NAME] = author()
    st.text_input(
        "Your name", key=_NAME, max_chars=LETTERS, on_change=_keep, placeholder="kept with what you change", width=220
    )


def signed_in() -> str:
    """The name, or else the address, of whoever has logged in; empty where nobody has."""
    return str(st.user.get("name") or st.user.get("email") or "") if st.user.get("is_logged_in") else ""


def _keep() -> None:
    st.session_state[_KEPT] = st.session_state[_NAME].strip()
