"""Which versions of the lake's tables the pages show, and how far a refresh has come: looked up every few seconds."""

from __future__ import annotations

import os
from typing import Any

import streamlit as st

from data.lake.tables import Lake, Pin
from data.schema.errors import ObjectStoreError

DEFAULT_LAKE = "var/lake"
# A new version is seen within this many seconds; looking costs a few file probes.
VERSIONS_SECONDS = 3


def lake_url() -> str:
    """Where the lake lies: HEADROOM_LAKE, else var/lake."""
    return os.environ.get("HEADROOM_LAKE") or DEFAULT_LAKE


def current_pin() -> Pin:
    """The newest version of every table, looked up at most every few seconds. ObjectStoreError where its store cannot be
    used.
    """
    pin: Pin | ObjectStoreError = _newest_pin(lake_url())
    if isinstance(pin, ObjectStoreError):
        raise pin.with_traceback(None)
    return pin


def invalidate_pin() -> None:
    """Look up the versions anew at the next call: what this process has just written is seen at once."""
    _newest_pin.clear()


def progress() -> dict[str, Any] | None:
    """How far a refresh has come: state, done, total, started, updated, message; None where none has run."""
    note: dict[str, Any] | None = _refresh_note(lake_url())
    return note


@st.cache_resource(show_spinner=False, ttl=VERSIONS_SECONDS, max_entries=8)
def _newest_pin(url: str) -> Pin | ObjectStoreError:
    """A fault of the store is kept too: sessions that wait for a store that hangs would else wait one after the other."""
    try:
        return Lake(url).pin()
    except ObjectStoreError as fault:
        return fault


@st.cache_resource(show_spinner=False, ttl=VERSIONS_SECONDS, max_entries=8)
def _refresh_note(url: str) -> dict[str, Any] | None:
    return Lake(url).read_note("refresh")
