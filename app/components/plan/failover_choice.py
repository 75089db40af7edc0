"""By which weights demand fails over: as the operator declares it, where that is so and nobody asks otherwise; by
distance and headroom elsewhere.
"""

from __future__ import annotations

import streamlit as st

from app import state
from app.cached import HeadroomError
from app.cached.failures import (
    FAILOVER_COLUMNS,
    FAILOVER_SETTING,
    ROUND_TRIP_MS,
    DeclaredFailover,
    reach_km,
    server_failover,
    uploaded_failover,
)
from app.components import states
from app.components.header import Frame

WEIGHTS = {"declared": "As declared", "nearby": "By distance and headroom"}

# Streamlit forgets a file whose field is not drawn; a table holds on every sheet.
_UPLOAD, _HELD = "failover.upload", "failover.held"


def in_force(frame: Frame) -> DeclaredFailover | None:
    """The table by which the whole page is reckoned; None for distance and headroom. Says so where one cannot be
    used.
    """
    if state.current().weights != "declared":
        return None
    try:
        return _declared(frame)
    except HeadroomError as error:
        st.warning(
            f"The failover table cannot be used, and distance and headroom hold: {states.plain(error)}",
            icon=":material/error:",
        )
    return None


def choose(table: DeclaredFailover | None) -> None:
    """Draw the choice, where there is a table to choose, and the field for one. `table`: the one in force."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="failover"):
        if table is not None or state.current().weights != "declared":
            st.segmented_control(
                "Failover weights",
                list(WEIGHTS),
                format_func=WEIGHTS.__getitem__,
                label_visibility="collapsed",
                **state.bound("weights"),
            )
        else:
            st.caption("No failover table holds: demand goes by distance and headroom.", width="content")
        with st.popover("Failover table", icon=":material/table:", type="tertiary"):
            _offer()


def _declared(frame: Frame) -> DeclaredFailover | None:
    """The session's own table, else the server's."""
    held: tuple[str, bytes] | None = st.session_state.get(_HELD)
    return server_failover(frame.catalogue) if held is None else uploaded_failover(*held, frame.catalogue)


def _offer() -> None:
    st.markdown(
        f"A CSV or Parquet file with the columns `{'`, `'.join(FAILOVER_COLUMNS)}`: of the demand of `site_id` each helper "
        "takes a part in proportion to its weight, "
        "as far as it has room. A pair that is not in it does not help."
    )
    st.file_uploader(
        "Failover table", type=["csv", "parquet"], key=_UPLOAD, label_visibility="collapsed", on_change=_uploaded
    )
    if _HELD in st.session_state:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"{states.plain(st.session_state[_HELD][0])} holds for this session.", width="content")
            st.button("Remove", key="failover.remove", type="tertiary", icon=":material/close:", on_click=_remove)
    st.caption(
        f"It is held for this session; a link does not carry it. For everybody, name a file of the server in `{FAILOVER_SETTING}`."
    )


def _uploaded() -> None:
    """Who uploads a table wants it; who takes it back does not."""
    file = st.session_state[_UPLOAD]
    if file is None:
        _remove()
        return
    st.session_state[_HELD] = (file.name, file.getvalue())
    state.update(weights="declared")


def _remove() -> None:
    st.session_state.pop(_HELD, None)


def words(table: DeclaredFailover | None) -> str:
    """Where demand goes, as a sentence of plain text."""
    if table is not None:
        return (
            f"The demand of what fails goes to the helpers that {table.name} declares, by their weights, as far as they have room; "
            "no latency bound is applied to them."
        )
    return (
        f"The demand of what fails goes to sites within {ROUND_TRIP_MS:g} ms round trip ({reach_km():,.0f} km), by headroom over distance; "
        "they may fill up to their capacity, and the rest is shed."
    )
