"""The working copy of the declared capacity: what somebody edits, held in their session until it is saved or set aside.

The editor shows the rows that pass the filters; those that do not are kept beside them, and so are edits made before a
filter was changed. An editor's edits are by place in the table that it was given, so that table stays as it is until
the editor is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from app.cached import SiteFilter, declared
from app.cached.declared import KEY, VALUES, Draft
from app.ui.header import Frame

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


def held(frame: Frame, sites: SiteFilter) -> WorkingCopy:
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


def note(copy: WorkingCopy, shown: pd.DataFrame) -> pd.DataFrame:
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
