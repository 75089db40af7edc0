"""The versions of the declared capacity: who saved which, when and why, and an older one brought back."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import theme
from app.cached import HeadroomError, declared
from app.components import states, writing
from app.components.author import ask_author, author
from app.components.header import Frame
from app.components.ledger import HEADER_PX, ROW_PX
from app.components.plan import working_copy
from app.components.plan.difference import difference_table

PLACE, MOST_PX = "declared", 260
_OLDER = "declared-version"


def draw(frame: Frame, *, locked: bool) -> None:
    """The list, and the way back. `locked`: an edit is pending, or the lake cannot be written."""
    found = declared.history(frame.pin, frame.scope)
    if found.empty:
        return
    st.markdown("##### Versions")
    met = writing.conflict(PLACE)
    if met is not None and not locked:  # of bringing a version back; that of an edit is settled beside the edit
        writing.set_aside(PLACE)
        st.warning(
            f"Not brought back: {states.plain(met.cause)}. The list shows it; choose once more.",
            icon=":material/call_split:",
        )
    rows = table(frame, found)
    st.dataframe(
        rows,
        column_config=COLUMNS,
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="declared-versions",
        alt=f"{len(rows)} versions of the declared capacity, newest first",
    )
    older = [int(version) for version in found["version"].iloc[1:]]
    if older:
        _way_back(frame, older, int(found["version"].iloc[0]), locked=locked)


def table(frame: Frame, found: pd.DataFrame) -> pd.DataFrame:
    """Version, Saved, What, By, Note, Added, Changed, Removed."""
    return pd.DataFrame(
        {
            "Version": found["version"],
            "Saved": [theme.stamp(pd.Timestamp(when), frame.zone) for when in found["committed"]],
            "What": [_what(kind, restored) for kind, restored in zip(found["kind"], found["restored"], strict=True)],
            "By": found["author"].replace("", None),
            "Note": found["note"].replace("", None),
            "Added": found["added"],
            "Changed": found["changed"],
            "Removed": found["removed"],
        }
    )


COLUMNS = {
    "Version": NumberColumn(width=65),
    "Saved": TextColumn(width=140),
    "What": TextColumn(width=150),
    "By": TextColumn(width=130),
    "Note": TextColumn(width=300),
    "Added": NumberColumn(width=65),
    "Changed": NumberColumn(width=70),
    "Removed": NumberColumn(width=75),
}


def _what(kind: str, restored: object) -> str:
    return {"edit": "edited in the page", "undo": f"version {restored} again"}.get(kind, "taken in from a file")


def _way_back(frame: Frame, older: list[int], newest: int, *, locked: bool) -> None:
    """Choose an older version, see what it would change, and bring it back."""
    if st.session_state.get(_OLDER) not in older:
        st.session_state[_OLDER] = older[0]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            "Older version", older, format_func=lambda version: f"Version {version}", key=_OLDER, width=160
        )
        why = (
            "Save or discard the edit first"
            if locked
            else "As a new version: nothing is lost, and this can be undone as well"
        )
        st.button(
            "Bring it back",
            key="declared-undo",
            icon=":material/undo:",
            disabled=locked,
            help=why,
            on_click=_restore,
            args=(frame, chosen, newest),
        )
        if not locked:
            ask_author()
    try:
        change = declared.undoing(frame.pin, frame.scope, chosen, newest)
    except HeadroomError as error:
        st.caption(states.plain(f"Version {chosen} can no longer be read: {error.remedy}."))
        return
    if change.empty:
        st.caption(f"Version {chosen} holds the same steps as version {newest}.")
        return
    with st.expander(f"What that changes: {len(change)} steps", icon=":material/difference:"):
        difference_table(frame, change, "declared-undoing")


def _restore(frame: Frame, version: int, newest: int) -> None:
    done = writing.carry_out(
        PLACE,
        lambda: declared.restore(frame.pin, version, newest, author(), ""),
        lambda made: f"Version {version} is back, as version {made}",
    )
    if done is not None:
        start_over()


def start_over() -> None:
    """Forget what was edited and chosen: the newest version is another one now."""
    working_copy.forget()
    st.session_state.pop(_OLDER, None)
