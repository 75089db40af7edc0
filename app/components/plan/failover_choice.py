"""By which weights demand fails over: distance and headroom, or a table that the operator declares."""

from __future__ import annotations

import streamlit as st

from app import state
from app.cached import HeadroomError, failover_tables
from app.cached.failing import ROUND_TRIP_MS, reach_km
from app.cached.failover_tables import COLUMNS, SETTING, Declared
from app.components import states
from app.components.header import Frame

WEIGHTS = {"nearby": "By distance and headroom", "declared": "As declared"}
_UPLOAD = "failover.upload"


def choose(frame: Frame) -> Declared | None:
    """Draw the choice; the declared table where it is asked for and there is one, None for distance and headroom."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="failover"):
        st.segmented_control("Failover weights", list(WEIGHTS), format_func=WEIGHTS.__getitem__, label_visibility="collapsed", **state.bound("weights"))
        with st.popover("Failover table", icon=":material/table:", type="tertiary"):
            _offer()
    if state.current().weights != "declared":
        return None
    try:
        found = _uploaded(frame) or failover_tables.configured(frame.catalogue)
    except HeadroomError as error:
        st.warning(f"The failover table cannot be used, and distance and headroom hold: {states.plain(error)}", icon=":material/error:")
        return None
    if found is None:
        st.warning("No failover table is declared: distance and headroom hold. Upload one beside the choice.", icon=":material/table:")
    return found


def _offer() -> None:
    st.markdown(
        f"A CSV or Parquet file with the columns `{'`, `'.join(COLUMNS)}`: of the demand of `site_id` each helper takes a part in proportion to its weight, "
        "as far as it has room. A pair that is not in it does not help."
    )
    st.file_uploader("Failover table", type=["csv", "parquet"], key=_UPLOAD, label_visibility="collapsed", on_change=_declared)
    st.caption(f"It is held for this session; a link does not carry it. For everybody, name a file of the server in `{SETTING}`.")


def _declared() -> None:
    """Who uploads a table wants it."""
    if st.session_state.get(_UPLOAD) is not None:
        state.update(weights="declared")


def _uploaded(frame: Frame) -> Declared | None:
    file = st.session_state.get(_UPLOAD)
    return None if file is None else failover_tables.read(file.name, file.getvalue(), frame.catalogue)


def words(table: Declared | None) -> str:
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
