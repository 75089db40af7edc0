"""Capacity as it is declared: opened for an edit, checked, kept as a new version, taken back. Writes are seen by the
pages at once.

Every function raises HeadroomError where the lake cannot be read or written; those that write ConflictError where
somebody else did first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from app.cached import Pin, Scope, invalidate_pin, memoize
from data.lake.tables import Lake
from data.queries import reads
from data.schema.validation import Fault
from data.store import capacity_edits
from data.store.capacity_edits import KEY, VALUES, Draft, Opened, RowFault, faults_by_row

__all__ = [
    "KEY",
    "VALUES",
    "Draft",
    "Fault",
    "Opened",
    "Rebased",
    "RowFault",
    "commit",
    "draft",
    "faults_by_row",
    "history",
    "onto_newest",
    "opened",
    "restore",
    "undoing",
    "writable",
]


class Rebased(NamedTuple):
    """An edit made to the newest version: which that is, all rows as they become, and what others did to the steps that
    the edit changes too.
    """

    base: int | None
    rows: pd.DataFrame
    met: pd.DataFrame


def opened(pin: Pin, scope: Scope) -> Opened:
    """The newest version and its rows."""
    return capacity_edits.opened(Lake(pin.url), scope)


def draft(pin: Pin, scope: Scope, base: int | None, edited: pd.DataFrame) -> Draft:
    """What an edit of a version comes to: what it changes, what stands in its way, what is seldom meant."""
    return capacity_edits.draft(Lake(pin.url), base, edited, scope)


def onto_newest(pin: Pin, scope: Scope, edit: Draft) -> Rebased:
    """An edit without faults, made to the newest version."""
    lake = Lake(pin.url)
    moved = capacity_edits.onto_newest(lake, edit, scope)
    return Rebased(moved.base, _in_scope(moved.rows.to_pandas(), scope), capacity_edits.met(lake, edit, moved.base))


def commit(pin: Pin, edit: Draft, author: str, note: str) -> int:
    """Keep an edit as a new version."""
    try:
        return capacity_edits.commit(Lake(pin.url), edit, author=author, note=note)
    finally:
        invalidate_pin()


def restore(pin: Pin, version: int, base: int | None, author: str, note: str) -> int:
    """Make an earlier version the newest again, if `base` still is the newest."""
    try:
        return capacity_edits.restore(Lake(pin.url), version, base, author=author, note=note)
    finally:
        invalidate_pin()


@memoize
@reads("capacity", "sites")
def undoing(pin: Pin, scope: Scope, version: int, base: int | None) -> pd.DataFrame:
    """The difference that restoring a version would make to another, of the sites in scope."""
    difference = capacity_edits.undoing(Lake(pin.url), version, base).difference
    return _in_scope(difference, scope)


@memoize
@reads("capacity")
def history(pin: Pin, scope: Scope) -> pd.DataFrame:
    """Every version, newest first, with who, when and why, as capacity_edits.history. It tells nothing of single sites:
    every scope sees it.
    """
    return capacity_edits.history(Lake(pin.url))


def _in_scope(rows: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    return rows if scope.sites is None else rows[rows["site_id"].isin(scope.sites)].reset_index(drop=True)


def writable(pin: Pin) -> bool:
    """Whether the lake can be written, as far as can be seen without trying: an object store says so only then."""
    return "://" in pin.url or os.access(Path(pin.url), os.W_OK)
