"""What if: changes to what is expected, added one by one, held in the URL, and shown on the whole page beside what
holds without them.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import streamlit as st

from app import state
from app.cached import HeadroomError, planning
from app.cached.planning import PlanQuery
from app.components import states
from app.components.header import Frame
from app.components.plan import choices
from app.components.plan.what_if_forms import FORMS, KINDS, unusable
from app.components.plan.what_if_words import words
from app.components.site_filter import no_site_passes


class Outlooks(NamedTuple):
    """The rows of all levels after the what-if, and those without it where there is one."""

    rows: pd.DataFrame
    base: pd.DataFrame | None
    question: PlanQuery


def outlooks(frame: Frame, question: PlanQuery) -> Outlooks | None:
    """The plan with and without the what-if; without, and the reason said, where it cannot be applied. None where there
    are no futures.
    """
    base = planning.run_out_table(frame.pin, frame.scope, question._replace(changes=""))
    if base is None:
        return None
    if not question.changes:
        return Outlooks(base, None, question)
    try:
        changed = planning.run_out_table(frame.pin, frame.scope, question)
    except HeadroomError as error:
        st.warning(f"The what-if cannot be applied, and is left out: {states.plain(error)}", icon=":material/error:")
        st.button("Remove the what-if", on_click=_clear, key="what-if-clear-bad")
        changed = None
    return Outlooks(base, None, question._replace(changes="")) if changed is None else Outlooks(changed, base, question)


def sites(frame: Frame, asked: PlanQuery) -> tuple[Outlooks, pd.DataFrame] | None:
    """The plan, and its rows of the sites that pass the filters, worst first; None where there are none, which the page
    then says.
    """
    found = outlooks(frame, asked)
    if found is None:
        choices.no_futures(frame, asked)
        return None
    rows = choices.sites_of(frame, found.rows)
    if rows.empty:
        no_site_passes()
        return None
    return found, rows


def panel(frame: Frame, question: PlanQuery) -> None:
    """The changes that hold, each in words, and a form for one more."""
    held = planning.changes(question.changes)
    title = "What if?" if not held else f"What if: {len(held)} change{'s' if len(held) > 1 else ''}"
    with st.expander(title, expanded=bool(held), icon=":material/alt_route:"):
        for at, one in enumerate(held):
            _held(frame, question, at, one)
        if len(held) > 1:
            st.button(
                "Remove the what-if", on_click=_clear, key="what-if-clear", type="tertiary", icon=":material/close:"
            )
        kind = st.selectbox("Change", list(KINDS), format_func=KINDS.__getitem__, key="what-if-kind", width=220)
        with st.form("what-if", border=False, enter_to_submit=False):
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
                change = FORMS[kind](frame)
            if st.form_submit_button("Add to the what-if", disabled=change is None) and change is not None:
                _add(question, {"kind": kind, **change})


def _held(frame: Frame, question: PlanQuery, at: int, change: dict[str, object]) -> None:
    """One change in words, with a button that takes it out."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(states.plain(words(change, frame.catalogue)), width="content")
        st.button(
            "Remove",
            key=f"what-if-drop-{at}",
            type="tertiary",
            icon=":material/close:",
            on_click=_drop,
            args=(question, at),
        )


def _add(question: PlanQuery, change: dict[str, object]) -> None:
    if why := unusable(change):
        st.warning(states.plain(why))
        return
    try:
        text = planning.with_change(question.changes, change)
    except HeadroomError as error:
        st.warning(states.plain(error))
        return
    if not state.fits(text):
        st.warning(
            "A what-if of so many changes does not fit into a link. Remove it, and begin with what matters most."
        )
        return
    state.update(whatif=text)
    st.rerun()


def _drop(question: PlanQuery, at: int) -> None:
    state.update(whatif=planning.without_change(question.changes, at) or None)


def _clear() -> None:
    state.update(whatif=None)
