"""Declared capacity and planned augments, edited in the page: checked, shown as a difference, saved as a version, and
taken back.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import DatetimeColumn, NumberColumn, SelectboxColumn

from app.cached import declared
from app.cached.declared import Draft
from app.cached.planning import PlanQuery
from app.components import export, states, writing
from app.components.author import ask_author, author
from app.components.header import Frame
from app.components.ledger import ROW_PX
from app.components.place import site_names
from app.components.plan import declared_versions, working_copy
from app.components.plan.difference import difference_table, step_words
from app.components.plan.working_copy import WorkingCopy
from app.components.site_filter import filtered_sites

PLACE, LETTERS = "declared", 500  # letters of a note that is kept
MOST_PX = 460
_NOTE = "declared-note"
DIRECTIONS, STATUSES = ("egress", "ingest"), ("installed", "planned")


def draw(frame: Frame, _: PlanQuery) -> None:
    """The table, what was changed in it, the versions, and how it is done by file."""
    writing.tell(PLACE)
    can_write = declared.writable(frame.pin)
    copy = working_copy.held(frame, filtered_sites(frame))
    heading(frame, copy)
    if not can_write:
        read_only(frame)
    rows = working_copy.note(copy, editor(frame, copy, disabled=not can_write))
    if copy.touched:
        pending(frame, copy, rows)
    declared_versions.draw(frame, locked=copy.touched or not can_write)
    by_file(frame)


def heading(frame: Frame, copy: WorkingCopy) -> None:
    """Which version is edited, and the table to take away."""
    shown = f"version {copy.base}" if copy.base is not None else "nothing declared yet"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"##### Declared capacity, {shown}{', edited' if copy.touched else ''}")
        export.csv_button(copy.seed, "capacity", key="declared-csv")
    hidden = (
        f" {len(copy.hidden)} rows of other sites are hidden by the filters, and stay as they are."
        if len(copy.hidden)
        else ""
    )
    st.caption(
        f"Each row is a step: from its date on, the site has this capacity in this direction. Planned augments are steps to come. Dates are UTC.{hidden}"
    )


def read_only(frame: Frame) -> None:
    """Said where this server may not write the lake."""
    states.nothing(
        "This lake cannot be written from here",
        f"The server may read {frame.pin.url}, and not write it: capacity can be seen and exported, not edited.",
        {"Take in a table where the lake can be written": command(frame)},
        icon="lock",
    )


def editor(frame: Frame, copy: WorkingCopy, *, disabled: bool) -> pd.DataFrame:
    """The rows that pass the filters, to be edited."""
    edited: pd.DataFrame = st.data_editor(
        copy.seed,
        column_config=columns(frame, copy),
        num_rows="dynamic",
        hide_index=False,
        row_height=ROW_PX,
        height=MOST_PX,
        disabled=disabled,
        key=copy.key,
        alt=f"Declared capacity of {copy.seed['site_id'].nunique()} sites, {len(copy.seed)} steps, to be edited",
    )
    return edited


def columns(frame: Frame, copy: WorkingCopy) -> dict[str, Any]:
    """How each column reads and what may be chosen in it."""
    names = site_names(frame.catalogue, None)

    def called(key: object) -> str:
        return f"{names.get(str(key), str(key))} ({key})"

    passes = [key for key in names if copy.sites is None or key in copy.sites]
    others = sorted(set(copy.seed["site_id"].dropna()) - set(passes))
    sites = SelectboxColumn("Site", options=[*passes, *others], format_func=called, required=True, width=210)
    return {
        "_index": NumberColumn("Row", width=55),
        "site_id": sites,
        "direction": SelectboxColumn("Direction", options=DIRECTIONS, required=True, width=95),
        "effective_from": DatetimeColumn(
            "From, UTC", format="YYYY-MM-DD HH:mm", timezone="UTC", step=60, required=True, width=150
        ),
        "capacity_gbps": NumberColumn("Capacity, Gbps", format="localized", min_value=0.0, required=True, width=125),
        "status": SelectboxColumn("Status", options=STATUSES, default="installed", width=110),
        "cost_usd_month": NumberColumn(
            "USD a month",
            format="localized",
            min_value=0.0,
            width=125,
            help="What all of this capacity costs a month; may be empty",
        ),
    }


# What was edited
# ---------------------------------------------------------------------------------------------------------


def pending(frame: Frame, copy: WorkingCopy, rows: pd.DataFrame) -> None:
    """What the edit comes to: what stands in its way, or what it changes; and what can be done with it."""
    made = declared.draft(frame.pin, frame.scope, copy.base, rows)
    with st.container(border=True, key="declared-pending"):
        if made.faults:
            faults(frame, rows, made)
        else:
            changes(frame, made)
        disputed(frame, copy)
        conflict(frame, made)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            st.text_input(
                "Why, in a sentence",
                key=_NOTE,
                max_chars=LETTERS,
                placeholder="order 17, in service in March",
                width=320,
            )
            ask_author()
            ready = not made.faults and not made.difference.empty and copy.met is None
            st.button(
                "Save as a new version",
                key="declared-save",
                icon=":material/save:",
                disabled=not ready,
                on_click=_save,
                args=(frame, made),
            )
            st.button(
                "Discard the edit", key="declared-discard", type="tertiary", icon=":material/close:", on_click=_discard
            )


def faults(frame: Frame, rows: pd.DataFrame, made: Draft) -> None:
    """Row by row, what is wrong and what mends it."""
    found = [
        f"- **Row {one.row}**, {states.plain(step_words(rows.loc[one.row], frame))}: {states.plain(_in_words(one.fault))}"
        for one in declared.faults_by_row(rows)
    ]
    st.markdown(
        "**:material/error: These rows cannot be saved yet**\n\n"
        + "\n".join(found or [f"- {states.plain(fault)}" for fault in made.faults])
    )


def _in_words(fault: declared.Fault) -> str:
    seen = "is empty" if fault.value in ("", "null") else f"is {fault.value}"
    return f"{fault.column} {seen}, and may be {fault.bound}. Remedy: {fault.remedy}."


def changes(frame: Frame, made: Draft) -> None:
    """What saving would change, and what is seldom meant."""
    if made.difference.empty:
        st.markdown("Nothing differs from the version that was opened.")
        return
    counts = made.difference["change"].value_counts()
    st.markdown("**To be saved:** " + ", ".join(f"{count} {change}" for change, count in counts.items()))
    difference_table(frame, made.difference, "declared-difference")
    for one in made.warnings:
        said = f"{one.value}: {one.column} is usually {one.bound}. Likely cause: {one.cause}. Remedy: {one.remedy}."
        st.markdown(f":material/warning: {states.plain(said)}")


def disputed(frame: Frame, copy: WorkingCopy) -> None:
    """Steps that others changed too: somebody must decide before anything is saved."""
    if copy.met is None:
        return
    st.warning(
        "Others changed these steps as well. Below is what they did; decide before you save.",
        icon=":material/call_split:",
    )
    difference_table(frame, copy.met, "declared-met")
    with st.container(horizontal=True, gap="small"):
        st.button("Keep mine", key="declared-mine", on_click=working_copy.decide, kwargs={"theirs": False})
        st.button("Take theirs", key="declared-theirs", on_click=working_copy.decide, kwargs={"theirs": True})


def conflict(frame: Frame, made: Draft) -> None:
    """Somebody else saved meanwhile: what they changed, and the way on."""
    met = writing.conflict(PLACE)
    if met is None:
        return
    st.warning(
        f"Not saved: {states.plain(met.problem)} {states.plain(met.cause)}. Your edit is kept here.",
        icon=":material/call_split:",
    )
    difference_table(frame, met.theirs, "declared-conflict")
    st.button(
        "Put my edit onto the newest",
        key="declared-rebase",
        disabled=bool(made.faults),
        on_click=_rebase,
        args=(frame, made),
    )


def _save(frame: Frame, made: Draft) -> None:
    why = st.session_state[_NOTE]
    if (
        writing.carry_out(
            PLACE,
            lambda: declared.commit(frame.pin, made, author(), why),
            lambda version: f"Saved as version {version}",
        )
        is not None
    ):
        declared_versions.start_over()
        st.session_state[_NOTE] = ""


def _rebase(frame: Frame, made: Draft) -> None:
    writing.carry_out(
        PLACE, lambda: working_copy.rebase(frame, made), lambda _: "Your edit now stands on the newest version"
    )


def _discard() -> None:
    working_copy.forget()
    writing.set_aside(PLACE)


# By file
# -----------------------------------------------------------------------------------------------------------------


def command(frame: Frame) -> str:
    """The command that takes in a table of capacities."""
    return f"python -m data ingest PATH --table capacity --lake {frame.pin.url}"


def by_file(frame: Frame) -> None:
    """The same without the page."""
    with st.expander("By file", icon=":material/upload_file:"):
        st.caption(
            "The CSV above has the columns that this command reads: site_id, direction, effective_from, capacity_gbps, status, cost_usd_month. "
            "A row replaces the step of the same site, direction and date; steps that the file does not name stay."
        )
        st.code(command(frame), language="bash", wrap_lines=True)
