"""The store of scenarios and plans that goes with a lake, kept open: opening it looks for migrations, which every draw
of a page need not wait for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.cached import Pin
from data.schema.errors import StoreError
from data.store import Store, open_store, store_url


@contextmanager
def store_of(pin: Pin) -> Iterator[Store]:
    """The store of a lake; one that has failed is opened anew the next time, as its file may have been replaced. Raises
    StoreError where it cannot be used.
    """
    url = store_url(pin.url)
    try:
        yield _store(url)
    except StoreError:
        _store.clear(url)
        raise


@st.cache_resource(show_spinner=False, max_entries=4, on_release=Store.close)
def _store(url: str) -> Store:
    return open_store(url)
