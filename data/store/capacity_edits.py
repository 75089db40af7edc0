"""Editing capacity and planned augments: checked, shown as a difference, kept as a new version of the table, and taken
back by another one.

An editor opens a version and sends back all rows that they saw. What others changed meanwhile is never overwritten: the
second to save is shown both. Figures by hour and day follow with the next ingest, or at once by
`refresh_rollups` (data/lake/rollups.py): a site that is closed is expected no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.lake.object_store import STORE_ERRORS
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Change, Lake, TableState
from data.queries.lake_state import extent
from data.schema import TABLES, Column, Fault, validate
from data.schema.errors import ConflictError, ContractError, LakeError
from data.schema.validation import arrow_from_pandas, clean_text, excerpt

CAPACITY = TABLES["capacity"]
KEY = list(CAPACITY.key)
VALUES = [c.name for c in CAPACITY.columns if c.name not in CAPACITY.key]
DIFFERENCE = ["change", *KEY, *(f"{name}_{when}" for name in VALUES for when in ("before", "after"))]
WORDS = {"left_only": "removed", "right_only": "added", "both": "changed"}
# A note says why, in a sentence or two.
NOTE_LIMIT = 500

Kind = Literal["edit", "undo", "other"]


class Opened(NamedTuple):
    """The capacity table as an editor gets it: the version that it is, and its rows within the scope, by site,
    direction and date.
    """

    version: int | None
    rows: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Draft:
    """An edit before it is kept.

    `base` is the version that was edited, `rows` the whole table as it would become. `difference` has a row for each
    step added, changed or removed: change, the key, and each value _before and _after. `faults` stand in the way;
    `warnings` are to be read first.
    """

    base: int | None
    rows: pa.Table
    difference: pd.DataFrame
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)


class RowFault(NamedTuple):
    """A fault of one row of an edit, which goes by its label in the frame's index."""

    row: object
    fault: Fault


def opened(lake: Lake, scope: Scope) -> Opened:
    """The newest capacity, to be edited."""
    version = lake.version("capacity")
    rows = _frame(_held(lake, version))
    return Opened(version, rows if scope.all else rows[rows["site_id"].isin(scope.sites or ())].reset_index(drop=True))


def draft(lake: Lake, base: int | None, edited: pd.DataFrame, scope: Scope) -> Draft:
    """The edit that puts `edited` in the place of the rows of version `base` that the scope sees; rows that it does
    not see stay.

    Rows without any value are left out, as an editor's empty last line is. An empty status is "installed".
    """
    before = _frame(_held(lake, base))
    findings = validate(CAPACITY, arrow_from_pandas(edited.dropna(how="all")))
    rows = _frame(_filled(findings.good))
    faults = [*findings.faults, *_unseen(rows, scope), *_repeated(rows)]
    hidden = (
        before
        if findings.refused
        else before.head(0)
        if scope.all
        else before[~before["site_id"].isin(scope.sites or ())]
    )
    after = pd.concat([hidden, rows]).sort_values(KEY, ignore_index=True)
    changes = difference(before, after) if not faults else difference(before, before)
    return Draft(base, _table(after), changes, faults, [] if faults else list(_warnings(lake, after, changes)))


def faults_by_row(edited: pd.DataFrame) -> list[RowFault]:
    """What is wrong with which row of an edit, in their order: rows that break the contract, and rows that say the same
    step twice.
    """
    rows = edited.dropna(how="all")
    twice = rows[rows.duplicated(KEY) & rows[KEY].notna().all(axis=1)]
    again = [
        RowFault(label, fault)
        for label in twice.index
        for fault in _repeated(rows[(rows[KEY] == twice.loc[label, KEY]).all(axis=1)])
    ]
    places = {label: place for place, label in enumerate(rows.index)}
    return sorted([*_row_faults(rows), *again], key=lambda row_fault: places[row_fault.row])


def _row_faults(rows: pd.DataFrame) -> Iterator[RowFault]:
    """Faults of rows, found by halving the table, so that one of thousands of good rows costs one look."""
    faults = validate(CAPACITY, arrow_from_pandas(rows)).faults if len(rows) else []
    if len(rows) > 1 and faults:
        yield from _row_faults(rows.iloc[: len(rows) // 2])
        yield from _row_faults(rows.iloc[len(rows) // 2 :])
    else:
        yield from (RowFault(rows.index[0], fault) for fault in faults)


def difference(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The steps that differ between two states of the table, in the columns of DIFFERENCE, by key."""
    if before.empty and after.empty:  # pandas cannot join two columns of text that hold nothing
        return before[KEY].assign(
            change="", **{f"{name}_{when}": before[name] for name in VALUES for when in ("before", "after")}
        )[DIFFERENCE]
    both = before.merge(after, on=KEY, how="outer", suffixes=("_before", "_after"), indicator=True)
    same = pd.Series(data=True, index=both.index)
    for name in VALUES:
        before_value, after_value = both[f"{name}_before"], both[f"{name}_after"]
        same &= (before_value == after_value) | (before_value.isna() & after_value.isna())
    differs = both[~same | (both["_merge"] != "both")]
    return differs.assign(change=differs["_merge"].astype(str).map(WORDS)).sort_values(KEY, ignore_index=True)[
        DIFFERENCE
    ]


def commit(lake: Lake, edit: Draft, *, author: str, note: str = "") -> int:
    """Keep an edit as a new version, which is returned; the newest one where nothing differs.

    Raises ContractError where the draft has faults, and ConflictError where others changed the table since `edit.base`:
    `yours` and `theirs` are both differences to that version. `onto_newest` brings the draft up to date.
    """
    return _kept(lake, edit, {"kind": "edit", **_signed(author, note)})


def restore(lake: Lake, version: int, base: int | None, *, author: str, note: str = "") -> int:
    """Make an earlier version the newest one again, as a new version, if `base` still is the newest. LakeError where it
    can no longer be read.
    """
    return _kept(lake, undoing(lake, version, base), {"kind": "undo", "restored": version, **_signed(author, note)})


def undoing(lake: Lake, version: int, base: int | None) -> Draft:
    """The difference that `restore` would make."""
    return draft(lake, base, _frame(_held(lake, version)), EVERYTHING)


def met(lake: Lake, edit: Draft, version: int | None) -> pd.DataFrame:
    """Changes of others from `edit.base` to a version to the steps that the edit changes, as a difference."""
    theirs = difference(_frame(_held(lake, edit.base)), _frame(_held(lake, version)))
    return theirs[theirs.set_index(KEY).index.isin(edit.difference.set_index(KEY).index)]


def onto_newest(lake: Lake, edit: Draft, scope: Scope) -> Draft:
    """The same edit made to the newest version. Steps that others changed too become faults, which name them: somebody
    must decide.
    """
    base = lake.version("capacity")
    newest = _frame(_held(lake, base))
    edited_keys = edit.difference.set_index(KEY).index
    wanted = _frame(edit.rows).set_index(KEY)
    merged = pd.concat(
        [newest.set_index(KEY).drop(edited_keys, errors="ignore"), wanted[wanted.index.isin(edited_keys)]]
    ).reset_index()
    whole = draft(lake, base, merged, EVERYTHING)
    faults = [*edit.faults, *whole.faults, *_unseen(edit.difference, scope)]
    faults += _fault(
        met(lake, edit, base),
        "",
        "a step that nobody else has changed",
        "two people edited it at once",
        "compare both, and edit the newest version",
    )
    return Draft(base, whole.rows, whole.difference, faults, whole.warnings)


def history(lake: Lake) -> pd.DataFrame:
    """version, committed (UTC), kind (edit, undo, other: an ingest), author, note, added, changed, removed, restored of
    every version, newest first.

    Null where a commit does not say. Versions that only moved files are left out.
    """
    columns = ["version", "committed", "kind", "author", "note", "added", "changed", "removed", "restored"]
    entries = [entry for entry in lake.history("capacity") if entry["operation"] in {"WRITE", "CREATE TABLE"}]
    rows = [
        {
            "kind": "other",
            **{name: entry["about"].get(name) for name in columns if name in entry["about"]},
            **_place(entry),
        }
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[-4:], "Int64"))


def _place(entry: dict[str, Any]) -> dict[str, Any]:
    return {"version": entry["version"], "committed": entry["committed"]}


# Keeping
# -------------------------------------------------------------------------------------------------------------------


def _kept(lake: Lake, edit: Draft, about: dict[str, Any]) -> int:
    if edit.faults:
        raise ContractError(f"The edit has {len(edit.faults)} faults; the first: {edit.faults[0]}")
    counts = edit.difference["change"].value_counts()
    said = {**about, **{word: int(counts.get(word, 0)) for word in WORDS.values()}}

    def make(table: TableState) -> Change | None:
        if table.version != edit.base:
            _refuse_overwriting(lake, edit, table.version)
        return None if edit.difference.empty else Change(edit.rows, whole=True, about=said)

    try:
        return lake.commit("capacity", make)
    except STORE_ERRORS as error:
        raise LakeError(
            f"The capacity table of the lake {lake.url} cannot be written: {error}.",
            cause="the lake is read-only, full, or refuses this program",
            remedy="let this program write there, or take the change in by `python -m data ingest` where it may",
        ) from error


def _refuse_overwriting(lake: Lake, edit: Draft, now: int) -> None:
    """ConflictError where the rows differ; a version may also differ by its files alone."""
    theirs = difference(_frame(_held(lake, edit.base)), _frame(_held(lake, now)))
    if theirs.empty:
        return
    last = lake.committed("capacity", now)
    who = excerpt(last["about"].get("author") or "an ingest")
    raise ConflictError(
        f"The capacity table is at version {now}, and you edited version {edit.base}: {len(theirs)} steps differ, {_named(theirs)} first.",
        yours=edit.difference,
        theirs=theirs,
        cause=f"{who} wrote it at {last['committed']:%Y-%m-%d %H:%M:%S} UTC",
        remedy="compare both, then put yours onto the newest version",
    )


def _signed(author: str, note: str) -> dict[str, str]:
    signed = {"author": clean_text("author", author, empty=True, error=ContractError)}
    return {**signed, "note": clean_text("note", note, limit=NOTE_LIMIT, empty=True, error=ContractError)}


def _held(lake: Lake, version: int | None) -> pa.Table:
    return CAPACITY.schema.empty_table() if version is None else _filled(lake.read("capacity", version))


def _filled(rows: pa.Table) -> pa.Table:
    place = rows.column_names.index("status")
    filled: Column | None = CAPACITY.column("status")
    return rows.set_column(place, "status", pc.fill_null(rows["status"], filled.filled if filled else ""))


def _frame(rows: pa.Table) -> pd.DataFrame:
    return rows.to_pandas().sort_values(KEY, ignore_index=True)


def _table(rows: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows, CAPACITY.schema, preserve_index=False)


# What makes sense
# ----------------------------------------------------------------------------------------------------------


def _unseen(rows: pd.DataFrame, scope: Scope) -> Iterator[Fault]:
    if not scope.all:
        yield from _fault(
            rows[~rows["site_id"].isin(scope.sites or ())],
            "site_id",
            "a site that you may edit",
            "another site was typed",
            "choose one of yours",
        )


def _repeated(rows: pd.DataFrame) -> Iterator[Fault]:
    twice = rows[rows.duplicated(KEY)]
    yield from _fault(
        twice,
        "effective_from",
        "one step at a time for a site and direction",
        "a row was copied",
        "change its date, or remove one of them",
    )


def _warnings(lake: Lake, rows: pd.DataFrame, changes: pd.DataFrame) -> Iterator[Fault]:
    """Warnings of what is seldom meant, of the steps that the edit touches."""
    touched = rows.set_index(KEY).index.isin(changes.set_index(KEY).index)
    before = rows.groupby(["site_id", "direction"])[["capacity_gbps", "status"]].shift()
    idle = (before == rows[["capacity_gbps", "status"]]).all(axis=1)
    yield from _fault(
        rows[touched & idle],
        "capacity_gbps",
        "another capacity than before the step",
        "a row was copied",
        "remove the step, or change it",
    )
    closing = rows[touched & (rows["capacity_gbps"] == 0)]
    yield from _fault(
        closing,
        "capacity_gbps",
        "above 0 while a site is open",
        "the site is to be closed",
        "nothing if it is; else give its capacity",
    )
    site_ids = set(lake.read("sites")["site_id"].to_pylist())
    unknown = rows[touched & ~rows["site_id"].isin(site_ids)]
    yield from _fault(
        unknown if site_ids else unknown.head(0),
        "site_id",
        "a site of the table sites",
        "a typing error, or a site to come",
        "add it to sites",
    )
    telemetry = extent(lake.pin(), EVERYTHING)
    if telemetry is not None:
        yield from _out_of_time(rows[touched], telemetry.now.to_pydatetime())


def _out_of_time(rows: pd.DataFrame, now: datetime) -> Iterator[Fault]:
    ahead, planned = rows["effective_from"] > now, rows["status"] == "planned"
    until = f"{now:%Y-%m-%d %H:%M} UTC, the end of the telemetry"
    late = rows[planned & ~ahead]
    yield from _fault(
        late,
        "effective_from",
        f"after {until}, for a planned step",
        "the augment is late, or in service",
        "move its date, or call it installed",
    )
    early = rows[~planned & ahead]
    yield from _fault(
        early, "effective_from", f"at most {until}, for an installed step", "the augment is to come", "call it planned"
    )


def _fault(rows: pd.DataFrame, column: str, bound: str, cause: str, remedy: str) -> Iterator[Fault]:
    """The fault of these rows, where there are any; it names the first."""
    if not rows.empty:
        yield Fault("rows", column, excerpt(_named(rows)), bound, len(rows), cause, remedy)


def _named(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['site_id']} {first['direction']} from {first['effective_from']:%Y-%m-%d %H:%M}"
