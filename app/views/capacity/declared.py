"""Declared capacity and planned augments, edited in the page: checked, shown as a difference, saved as a version, and
taken back.

The working copy is what somebody edits, kept in their session until it is saved or set aside. The editor shows the rows
that pass the filters; those that do not are kept beside them, and so are edits made before a filter was changed. An
editor's edits are by place in the table that it was given, so that table stays as it is until the editor is made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st
from streamlit.column_config import DatetimeColumn, NumberColumn, SelectboxColumn, TextColumn

from app import theme
from app.cached import HeadroomError, SiteFilter, declared
from app.cached.declared import KEY, VALUES, Draft
from app.cached.planning import PlanQuery
from app.ui import empty_states, export, writing
from app.ui.header import Frame
from app.ui.place import site_names
from app.ui.site_filter import filtered_sites
from app.ui.tables import HEADER_PX, ROW_PX, row_cards
from app.ui.writing import ask_author, author

PLACE, LETTERS = "declared", 500  # letters of a note that is kept
MOST_PX = 460
_NOTE = "declared-note"
DIRECTIONS, STATUSES = ("egress", "ingest"), ("installed", "planned")


def draw(frame: Frame, _: PlanQuery) -> None:
    """The table, what was changed in it, the versions, and how to bring one back."""
    writing.tell(PLACE)
    can_write = declared.writable(frame.pin)
    copy = working_copy(frame, filtered_sites(frame))
    heading(frame, copy)
    if not can_write:
        read_only(frame)
    rows = take_down(copy, editor(frame, copy, disabled=not can_write))
    if copy.touched:
        pending(frame, copy, rows)
    draw_versions(frame, locked=copy.touched or not can_write)


def heading(frame: Frame, copy: WorkingCopy) -> None:
    """Which version is edited, and the table to take away."""
    shown = f"version {copy.base}" if copy.base is not None else "nothing declared yet"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"## Declared capacity, {shown}{', edited' if copy.touched else ''}")
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
    empty_states.nothing(
        "This lake cannot be written from here",
        f"The server may read {frame.pin.url}, and not write it: capacity can be seen and exported, not edited.",
        {
            "Take in a table where the lake can be written": f"python -m data ingest PATH --table capacity --lake {frame.pin.url}"
        },
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
            _note_field("Why, in a sentence", _NOTE)
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


def _note_field(label: str, key: str) -> None:
    """A field for the reason, which is kept while other sheets are looked at: Streamlit forgets what is not drawn."""
    st.session_state[key] = st.session_state.get(key, st.session_state.get(f"{key}.kept", ""))
    st.text_input(label, key=key, max_chars=LETTERS, placeholder="order 17, in service in March", width=320)
    st.session_state[f"{key}.kept"] = st.session_state[key]


def _keep_note(key: str, text: str) -> None:
    st.session_state[key] = st.session_state[f"{key}.kept"] = text


def faults(frame: Frame, rows: pd.DataFrame, made: Draft) -> None:
    """Row by row, what is wrong and what mends it."""
    found = [
        f"- **Row {one.row}**, {empty_states.plain(step_words(rows.loc[one.row], frame))}: {empty_states.plain(_in_words(one.fault))}"
        for one in declared.faults_by_row(rows)
    ]
    st.markdown(
        "**:material/error: These rows cannot be saved yet**\n\n"
        + "\n".join(found or [f"- {empty_states.plain(fault)}" for fault in made.faults])
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
        st.markdown(f":material/warning: {empty_states.plain(said)}")


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
        st.button("Keep mine", key="declared-mine", on_click=decide, kwargs={"theirs": False})
        st.button("Take theirs", key="declared-theirs", on_click=decide, kwargs={"theirs": True})


def conflict(frame: Frame, made: Draft) -> None:
    """Somebody else saved meanwhile: what they changed, and the way on."""
    met = writing.conflict(PLACE)
    if met is None:
        return
    st.warning(
        f"Not saved: {empty_states.plain(met.problem)} {empty_states.plain(met.cause)}. Your edit is kept here.",
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
        start_over()
        _keep_note(_NOTE, "")


def _rebase(frame: Frame, made: Draft) -> None:
    writing.carry_out(PLACE, lambda: rebase(frame, made), lambda _: "Your edit now stands on the newest version")


def _discard() -> None:
    forget()
    writing.set_aside(PLACE)


# Versions
# ----------------------------------------------------------------------------------------------------

VERSIONS_PX = 260
_OLDER, _UNDO_NOTE = "declared-version", "declared-undo-note"
# A version that differs by more steps than this is brought back only where somebody says that it may.
LARGE_RESTORE = 10


def draw_versions(frame: Frame, *, locked: bool) -> None:
    """The list, and the way back. `locked`: an edit is pending, or the lake cannot be written."""
    found = declared.history(frame.pin, frame.scope)
    if found.empty:
        return
    st.markdown("## Versions")
    met = writing.conflict(PLACE)
    if met is not None and not locked:  # of bringing a version back; that of an edit is settled beside the edit
        writing.set_aside(PLACE)
        st.warning(
            f"Not brought back: {empty_states.plain(met.cause)}. The list shows it; choose once more.",
            icon=":material/call_split:",
        )
    rows = versions_table(frame, found)
    if frame.narrow:
        row_cards(
            rows.assign(Version=[f"Version {version}" for version in rows["Version"]]),
            "Version",
            {},
            key="declared-versions",
        )
    else:
        st.dataframe(
            rows,
            column_config=VERSION_COLUMNS,
            hide_index=True,
            placeholder="-",
            row_height=ROW_PX,
            height=min(VERSIONS_PX, HEADER_PX + ROW_PX * len(rows)),
            key="declared-versions",
            alt=f"{len(rows)} versions of the declared capacity, newest first",
        )
    older = [int(version) for version in found["version"].iloc[1:]]
    if older:
        _way_back(frame, older, int(found["version"].iloc[0]), locked=locked)


def versions_table(frame: Frame, found: pd.DataFrame) -> pd.DataFrame:
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


VERSION_COLUMNS = {
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
        try:
            change = declared.undoing(frame.pin, frame.scope, chosen, newest)
        except HeadroomError as error:
            st.caption(empty_states.plain(f"Version {chosen} can no longer be read: {error.remedy}."))
            change = None
        is_large = change is not None and len(change) > LARGE_RESTORE
        agreed = not is_large or st.checkbox(
            f"Change {0 if change is None else len(change)} steps at once", key=f"declared-agree-{chosen}-{newest}"
        )
        why = (
            "Save or discard the edit first"
            if locked
            else "It changes many steps: say that it may"
            if not agreed
            else "As a new version: nothing is lost, and this can be undone as well"
        )
        st.button(
            "Bring it back",
            key="declared-undo",
            icon=":material/undo:",
            disabled=locked or not agreed,
            help=why,
            on_click=_restore,
            args=(frame, chosen, newest),
        )
        if not locked:
            _note_field("Why bring it back", _UNDO_NOTE)
            ask_author()
    if change is None:
        return
    if change.empty:
        st.caption(f"Version {chosen} holds the same steps as version {newest}.")
        return
    with st.expander(f"What that changes: {len(change)} steps", icon=":material/difference:"):
        difference_table(frame, change, "declared-undoing")


def _restore(frame: Frame, version: int, newest: int) -> None:
    done = writing.carry_out(
        PLACE,
        lambda: declared.restore(frame.pin, version, newest, author(), st.session_state.get(_UNDO_NOTE, "")),
        lambda made: f"Version {version} is back, as version {made}",
    )
    if done is not None:
        start_over()
        _keep_note(_UNDO_NOTE, "")


def start_over() -> None:
    """Forget what was edited and chosen: the newest version is another one now."""
    forget()
    st.session_state.pop(_OLDER, None)


DIFFERENCE_MOST_PX = 300
SIGNS = {"added": "+ added", "removed": "- removed", "changed": "* changed"}
WHOLE_DAY = "00:00"


def difference_table(frame: Frame, rows: pd.DataFrame, key: str) -> None:
    """A difference as capacity_edits makes them."""
    steps = difference_rows(rows, site_names(frame.catalogue, None))
    if frame.narrow:
        row_cards(steps, "Site", {}, key=key)
        return
    st.dataframe(
        steps,
        column_config=DIFFERENCE_COLUMNS,
        hide_index=True,
        row_height=ROW_PX,
        height=min(DIFFERENCE_MOST_PX, HEADER_PX + ROW_PX * len(steps)),
        key=key,
        alt=f"{len(steps)} steps that differ",
    )


def difference_rows(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Change, Site, Direction, From, and Capacity, Status and Cost as they were and become."""
    told = rows.to_dict("records")
    return pd.DataFrame(
        {
            "Change": [SIGNS[row["change"]] for row in told],
            "Site": [names.get(row["site_id"], row["site_id"]) for row in told],
            "Direction": rows["direction"].to_numpy(object),
            "From": [moment(row["effective_from"]) for row in told],
            "Capacity": [_turned(row, "capacity_gbps", theme.gbps) for row in told],
            "Status": [_turned(row, "status", str) for row in told],
            "USD a month": [_turned(row, "cost_usd_month", lambda usd: f"{usd:,.0f}") for row in told],
        }
    )


DIFFERENCE_COLUMNS = {
    "Change": TextColumn(width=90),
    "Site": TextColumn(width=170),
    "Direction": TextColumn(width=85),
    "From": TextColumn("From, UTC", width=140),
    "Capacity": TextColumn(width=180),
    "Status": TextColumn(width=170),
    "USD a month": TextColumn(width=170),
}


def step_words(row: Mapping[str, Any] | pd.Series, frame: Frame) -> str:
    """A step in words: 'Frankfurt 1, egress, from 3 Dec 2026'; what is not there yet is a dash."""
    site = row["site_id"]
    name = site_names(frame.catalogue, None).get(site, site) if pd.notna(site) else "no site"
    direction = row["direction"] if pd.notna(row["direction"]) else "no direction"
    return f"{name}, {direction}, from {moment(row['effective_from'])}"


def moment(when: Any) -> str:
    """A date, with its time where that is not midnight."""
    if pd.isna(when):
        return "no date"
    told = theme.stamp(pd.Timestamp(when), "UTC")
    return told.removesuffix(f" {WHOLE_DAY}")


def _turned(row: Mapping[Any, Any], name: str, said: Any) -> str:
    """What a value was and becomes; one word where it stays."""
    before, after = ("" if pd.isna(value) else said(value) for value in (row[f"{name}_before"], row[f"{name}_after"]))
    if row["change"] == "changed" and before != after:
        return f"{before or 'empty'} to {after or 'empty'}"
    return after or before or "-"


# The working copy
# ----------------------------------------------------------------------------------------------------

_COPY, _COUNT = "declared.copy", "declared.count"
# A new row is empty at first, which only nullable numbers can be.
NUMBERS = ("capacity_gbps", "cost_usd_month")
NO_EDITS: dict[str, Any] = {"edited_rows": {}, "added_rows": [], "deleted_rows": []}


@dataclass(frozen=True, slots=True, eq=False)
class WorkingCopy:
    """Version `base` as it is edited.

    seed: the rows that the editor was given; hidden: those that its filter leaves out. carried: whether they differ
    from the version already. key: the editor's, of its own for each seed. sites: the filter. met: what others did to
    the steps that the edit changes too, and nobody has decided on yet.
    """

    base: int | None
    seed: pd.DataFrame
    hidden: pd.DataFrame
    sites: SiteFilter
    key: str
    carried: bool = False
    met: pd.DataFrame | None = None

    @property
    def touched(self) -> bool:
        """Whether anything was edited."""
        return self.carried or any(st.session_state.get(self.key, NO_EDITS).values())

    def whole(self, shown: pd.DataFrame) -> pd.DataFrame:
        """All rows that may be edited, those in the editor as it has them."""
        return pd.concat([self.hidden, shown]) if len(self.hidden) else shown


class Drawn(NamedTuple):
    """All rows as the editor last had them, and whether anything was edited by then."""

    rows: pd.DataFrame
    touched: bool


def working_copy(frame: Frame, sites: SiteFilter) -> WorkingCopy:
    """The session's working copy. Without edits it follows the newest version; with edits it keeps to the version that
    they were made to.
    """
    copy: WorkingCopy | None = st.session_state.get(_COPY)
    if copy is None:
        return _opened(frame, sites)
    # The editor forgets its edits once it has not been drawn, as when another sheet was looked at.
    left = _drawn(copy).touched and copy.key not in st.session_state
    if not (copy.touched or left):
        same = copy.base == frame.pin.version("capacity") and copy.sites == sites
        return copy if same else _opened(frame, sites)
    if left or copy.sites != sites:
        return _kept(copy.base, _drawn(copy).rows, sites, carried=True, met=copy.met)
    return copy


def take_down(copy: WorkingCopy, shown: pd.DataFrame) -> pd.DataFrame:
    """Take down what the editor has, and give all rows."""
    rows = copy.whole(shown)
    st.session_state[f"{copy.key}.drawn"] = Drawn(rows, copy.touched)
    return rows


def _opened(frame: Frame, sites: SiteFilter) -> WorkingCopy:
    base, rows = declared.opened(frame.pin, frame.scope)
    forget()
    return _kept(base, rows, sites, carried=False)


def _drawn(copy: WorkingCopy) -> Drawn:
    found: Drawn = st.session_state.get(f"{copy.key}.drawn", Drawn(copy.whole(copy.seed), copy.carried))
    return found


def forget() -> None:
    """Set the edit aside: the next look opens the newest version."""
    copy: WorkingCopy | None = st.session_state.pop(_COPY, None)
    if copy is not None:
        st.session_state.pop(f"{copy.key}.drawn", None)


def rebase(frame: Frame, edit: Draft) -> None:
    """Make the edit to the newest version; what others changed too is to be decided on."""
    copy: WorkingCopy = st.session_state[_COPY]
    moved = declared.onto_newest(frame.pin, frame.scope, edit)
    forget()
    _kept(moved.base, moved.rows, copy.sites, carried=True, met=moved.met if len(moved.met) else None)


def decide(*, theirs: bool) -> None:
    """Keep what was edited where others edited too, or take theirs."""
    copy: WorkingCopy = st.session_state[_COPY]
    if theirs and copy.met is not None:
        rows = with_theirs(_drawn(copy).rows, copy.met)
        forget()
        _kept(copy.base, rows, copy.sites, carried=True)
    else:
        st.session_state[_COPY] = replace(copy, met=None)


def with_theirs(rows: pd.DataFrame, met: pd.DataFrame) -> pd.DataFrame:
    """The rows with the steps of a difference as it leaves them."""
    others = rows[~rows.set_index(KEY).index.isin(met.set_index(KEY).index)]
    after = met[met["change"] != "removed"].rename(columns={f"{name}_after": name for name in VALUES})
    return pd.concat([others, after[[*KEY, *VALUES]].astype(rows.dtypes[[*KEY, *VALUES]].to_dict())], ignore_index=True)


def _kept(
    base: int | None,
    rows: pd.DataFrame,
    sites: SiteFilter,
    *,
    carried: bool,
    met: pd.DataFrame | None = None,
) -> WorkingCopy:
    """A working copy with an editor of its own. A row whose site is not chosen yet, or that the editor left empty,
    passes every filter.
    """
    passes = rows["site_id"].isna() | (rows["site_id"].isin(sites) if sites is not None else True)
    seed = rows[passes].sort_values(KEY, kind="stable")
    st.session_state[_COUNT] = count = st.session_state.get(_COUNT, 0) + 1
    seed = seed.astype(dict.fromkeys(NUMBERS, "Float64"))
    shown, hidden = (
        seed.set_axis(pd.RangeIndex(1, len(seed) + 1)),
        rows[~passes].set_axis(pd.RangeIndex(-int((~passes).sum()), 0)),
    )
    copy = WorkingCopy(base, shown, hidden, sites, f"declared-editor-{count}", carried, met)
    st.session_state[_COPY] = copy
    return copy
