"""What if: changes to what is expected, added one by one, held in the URL, and shown on the whole page beside what holds without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from app import state, theme
from app.cached import HeadroomError, planning
from app.cached.planning import Question
from app.components import states
from app.components.header import Frame
from app.components.place import region_names, site_names
from data.schema import GLOBAL_KEY

KINDS = {"growth": "Growth", "event": "A new event", "close_site": "A site closes", "limit": "Another limit"}
LATER = pd.Timedelta(days=90)


class Outlooks(NamedTuple):
    """The rows of all levels after the what-if, and those without it where there is one."""

    rows: pd.DataFrame
    base: pd.DataFrame | None
    question: Question


def outlooks(frame: Frame, question: Question) -> Outlooks | None:
    """The plan with and without the what-if; without, and the reason said, where it cannot be applied. None where there are no futures."""
    base = planning.outlook(frame.pin, question._replace(changes=""), frame.scope)
    if base is None:
        return None
    if not question.changes:
        return Outlooks(base, None, question)
    try:
        changed = planning.outlook(frame.pin, question, frame.scope)
    except HeadroomError as error:
        st.warning(f"The what-if cannot be applied, and is left out: {states.plain(error)}", icon=":material/error:")
        st.button("Remove the what-if", on_click=_clear, key="what-if-clear-bad")
        changed = None
    return Outlooks(base, None, question._replace(changes="")) if changed is None else Outlooks(changed, base, question)


def panel(frame: Frame, question: Question) -> None:
    """The changes that hold, each in words, and a form for one more."""
    held = planning.changes(question.changes)
    with st.expander(
        "What if?" if not held else f"What if: {len(held)} change{'s' if len(held) > 1 else ''}", expanded=bool(held), icon=":material/alt_route:"
    ):
        if held:
            st.markdown("\n".join(f"- {states.plain(words(one, frame))}" for one in held))
            st.button("Remove the what-if", on_click=_clear, key="what-if-clear", type="tertiary", icon=":material/close:")
        kind = st.selectbox("Change", list(KINDS), format_func=KINDS.__getitem__, key="what-if-kind", width=200)
        with st.form("what-if", border=False, enter_to_submit=False):
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
                change = FORMS[kind](frame)
            if st.form_submit_button("Add to the what-if"):
                _add(question, {"kind": kind, **change})


def _add(question: Question, change: dict[str, object]) -> None:
    try:
        text = planning.with_change(question.changes, change)
    except HeadroomError as error:
        st.warning(states.plain(error))
        return
    if len(text) > state.WHATIF_LETTERS:
        st.warning("A what-if of so many changes does not fit into a link. Remove it, and begin with what matters most.")
        return
    state.update(whatif=text)
    st.rerun()


def _clear() -> None:
    state.update(whatif=None)


# One form for each kind of change --------------------------------------------------------------------------------------------


def _growth(frame: Frame) -> dict[str, object]:
    percent = st.number_input("More each year than forecast, %", -90.0, 500.0, 20.0, 5.0, key="what-if-percent", width=220)
    return {"percent": float(percent), "scope": _scope(frame)}


def _event(frame: Frame) -> dict[str, object]:
    gbps = st.number_input("On top of the busiest hour, Gbps", 1.0, 1e6, 500.0, 50.0, key="what-if-gbps", width=220)
    hours = st.number_input("Hours", 1.0, 2000.0, 6.0, 1.0, key="what-if-hours", width=110)
    return {"gbps": float(gbps), "start": _day(frame, "Starts"), "hours": float(hours), "scope": _scope(frame)}


def _close(frame: Frame) -> dict[str, object]:
    sites = site_names(frame.catalogue, None)
    site = st.selectbox("Site", list(sites), format_func=lambda key: sites.get(key, key), key="what-if-site", width=240)
    return {"site_id": site, "start": _day(frame, "Closes")}


def _limit(_: Frame) -> dict[str, object]:
    share = st.number_input("Share of capacity that may be used, %", 10.0, 100.0, 90.0, 5.0, key="what-if-limit", width=260)
    return {"limit": float(share) / 100}


FORMS: dict[str, Callable[[Frame], dict[str, object]]] = {"growth": _growth, "event": _event, "close_site": _close, "limit": _limit}


def _scope(frame: Frame) -> str:
    regions = region_names(frame.catalogue)
    return str(st.selectbox("Where", [GLOBAL_KEY, *regions], format_func=lambda key: regions.get(key, "Everywhere"), key="what-if-scope", width=220))


def _day(frame: Frame, label: str) -> str:
    chosen = st.date_input(label, (frame.extent.now + LATER).date(), key="what-if-day", width=140)
    return f"{chosen:%Y-%m-%d}"


# In words ----------------------------------------------------------------------------------------------------------------


def words(change: dict[str, Any], frame: Frame) -> str:
    """A change as people say it; kinds that only a link can hold by their values."""
    kind, scope = change["kind"], _named(change.get("scope"), frame)
    if kind == "growth":
        return f"Demand grows by {abs(change['percent']):g} % a year {'more' if change['percent'] >= 0 else 'less'} than forecast, {scope}"
    if kind == "event":
        return f"An event of {theme.gbps(change['gbps'])} for {change['hours']:g} hours from {change['start']}, {scope}"
    if kind == "close_site":
        return f"{_named(change['site_id'], frame)} closes on {change['start']}"
    if kind == "limit":
        return f"The limit is {100 * change['limit']:g} % of capacity{', ' + _named(change['site_id'], frame) if change.get('site_id') else ''}"
    return f"{kind}: {', '.join(f'{name} {value}' for name, value in change.items() if name != 'kind' and value is not None)}"


def _named(key: object, frame: Frame) -> str:
    names = {GLOBAL_KEY: "everywhere", **region_names(frame.catalogue), **site_names(frame.catalogue, None)}
    return names.get(str(key), str(key))
