"""How wide the page is: Streamlit does not tell, and a map has to know what it is fitted to."""

from __future__ import annotations

import streamlit as st

# Streamlit stacks its columns below this width.
STACKED_PX = 640
# Speaks only where it has news, so that a wide page runs once.
_JS = """
export default function ({ data, setStateValue }) {
  const narrow = window.innerWidth < data.limit;
  if (narrow !== data.narrow) setStateValue("narrow", narrow);
}
"""
_measure = st.components.v2.component("headroom.viewport", html="<div></div>", js=_JS)
_KEY, _NARROW = "viewport", "viewport.narrow"


def is_narrow() -> bool:
    """Whether columns are stacked, as on a telephone. False until the browser has said otherwise."""
    known = bool(st.session_state.get(_NARROW))
    said = _measure(
        key=_KEY,
        data={"limit": STACKED_PX, "narrow": known},
        default={"narrow": known},
        on_narrow_change=_heard,
        height=1,
    )
    return bool(said.narrow)


def _heard() -> None:
    st.session_state[_NARROW] = bool(st.session_state[_KEY].narrow)
