"""The week that is shown of the coming half year: a slider that plays by itself."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app import state, theme
from app.components.ticker import Ticker

CLOCK = Ticker("weeks")
_SLIDER = "weeks.slider"


def player(weeks: Sequence[pd.Timestamp], badge: str) -> int:
    """Draw the controls; which of the weeks (their Mondays) they are at. `badge`: what the numbers of a week are, in a
    word or two.
    """
    at = _position(weeks)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="week-player"):
        if CLOCK.button("A week a step, from here to the end of the half year"):
            _keep(weeks[at], first=at == 0)
            st.rerun()
        st.button(
            "First",
            key="weeks.first",
            type="tertiary",
            disabled=at == 0,
            help="Back to the first week",
            on_click=_moved,
            args=(weeks, 0),
        )
        st.session_state[_SLIDER] = at
        st.select_slider(
            "Week",
            range(len(weeks)),
            key=_SLIDER,
            format_func=lambda step: theme.day(weeks[step], year=False),
            label_visibility="collapsed",
            on_change=_moved,
            args=(weeks,),
            width="stretch",
        )
        st.markdown(f"**Week of {theme.day(weeks[at])}** UTC :blue-badge[:material/timeline: {badge}]", width="content")
    return at


def position(weeks: Sequence[pd.Timestamp], moment: pd.Timestamp | None) -> int:
    """The week that holds a moment; the first or the last where it lies outside."""
    return 0 if moment is None else max(0, int(pd.DatetimeIndex(weeks).searchsorted(moment, side="right")) - 1)


def _position(weeks: Sequence[pd.Timestamp]) -> int:
    """Where the viewer or the link put it, one step further at each tick."""
    held = state.current().week
    here = min(
        st.session_state.get(_SLIDER, position(weeks, None if held is None else pd.Timestamp(held))), len(weeks) - 1
    )
    if not CLOCK.due():
        return int(here)
    if here == len(weeks) - 1:
        CLOCK.stop()
        st.rerun()
    return int(here) + 1


def _moved(weeks: Sequence[pd.Timestamp], at: int | None = None) -> None:
    chosen = st.session_state[_SLIDER] if at is None else at
    st.session_state[_SLIDER] = chosen
    _keep(weeks[chosen], first=chosen == 0)


def _keep(week: pd.Timestamp, *, first: bool) -> None:
    """Write the week into the URL. While it plays the URL is left alone: each step would become a page of the browser's
    history.
    """
    state.update(week=None if first else week.to_pydatetime())
