"""Writes of a page: who writes, the write itself in a callback, and what came of it said by the run that follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from app.cached import ConflictError, HeadroomError
from app.ui.empty_states import plain

Done = TypeVar("Done")


def carry_out(place: str, act: Callable[[], Done], said: Callable[[Done], str]) -> Done | None:
    """Do it; None where it failed. `place` tells the sheets of a page apart; what an earlier write left to say there is
    over.
    """
    for kind in ("done", "fault", "conflict"):
        st.session_state.pop(f"{place}.{kind}", None)
    try:
        done = act()
    except ConflictError as conflict:
        st.session_state[f"{place}.conflict"] = conflict
    except HeadroomError as fault:
        st.session_state[f"{place}.fault"] = fault
    else:
        st.session_state[f"{place}.done"] = said(done)
        return done
    return None


def tell(place: str) -> None:
    """Say what came of the last write: for a moment where it went well, until the next one where it did not."""
    if done := st.session_state.pop(f"{place}.done", None):
        st.toast(plain(done), icon=":material/check:")
    fault: HeadroomError | None = st.session_state.get(f"{place}.fault")
    if fault is not None:
        cause, remedy = (
            f" **{word}:** {plain(text)}." if text else ""
            for word, text in (("Likely cause", fault.cause), ("What mends it", fault.remedy))
        )
        st.error(f"Nothing was changed. {plain(fault.problem)}{cause}{remedy}", icon=":material/error:")


def conflict(place: str) -> ConflictError | None:
    """The conflict that the last write met, until it is settled by another or set aside."""
    met: ConflictError | None = st.session_state.get(f"{place}.conflict")
    return met


def set_aside(place: str) -> None:
    """Forget the conflict."""
    st.session_state.pop(f"{place}.conflict", None)


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
