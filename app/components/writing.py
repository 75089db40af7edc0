"""Writes of a page: carried out in a callback, and what came of one said by the run that follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from app.cached import ConflictError, HeadroomError
from app.components.states import plain

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
