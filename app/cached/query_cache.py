"""The cache of query results: each query runs once for the versions of the tables that it reads.

The key is the query's full name, the pin of its declared tables, the viewer's scope and the arguments: scalars, never
frames. Results are cached as objects and handed out as shallow copies: under pandas' copy-on-write a page that changes
its copy leaves the cached frame alone, and a hit costs the same for 48 sites as for 500, which a pickled copy would not.
"""

from __future__ import annotations

import inspect
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from types import FunctionType, MappingProxyType
from typing import Any, ParamSpec, TypeVar

import pandas as pd
import streamlit as st

from data.lake.query import Query, Scope
from data.lake.tables import Pin
from data.queries.metrics import QUERY_SECONDS

P = ParamSpec("P")
R = TypeVar("R")

# A page of 48 sites caches 1 to 4 MB, the samples of a region over 32 days 3 MB, a plan's simulated demand 20 MB: a
# server of two dozen viewers at different places stays below it, and next to the 400 MB of a warm process it is no
# surprise.
CACHE_BYTES = 256_000_000


class SizedCache:
    """The results used last, within a budget of bytes.

    st.cache_resource bounds entries alone, of which one may hold 500 bytes or 80 MB; st.cache_data bounds bytes
    (`max_size`) and unpickles a copy at each hit, 36 ms for a million rows.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._computing: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The cached result, else the computed one. Of several sessions that need it at once one computes, and the
        others wait. An error is not cached, nor a result that alone passes the budget.
        """
        with self._lock:
            if key in self._entries:
                return self._touched(key)
            computing = self._computing.setdefault(key, threading.Lock())
        with computing:
            with self._lock:
                if key in self._entries:
                    return self._touched(key)
            try:
                result = compute()
                size = size_of((key, result))
                with self._lock:
                    self._store(key, result, size)
            finally:
                with self._lock:
                    self._computing.pop(key, None)
        return result

    def _touched(self, key: Hashable) -> Any:
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def _store(self, key: Hashable, result: Any, size: int) -> None:
        if size > self.max_bytes:
            return
        while self.used_bytes + size > self.max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.used_bytes -= freed
        self._entries[key] = result, size
        self.used_bytes += size


def size_of(value: object) -> int:
    """Bytes that an object holds, arrays and frames included, as pickled; the buffers of arrays are counted and not
    copied.
    """
    buffers: list[pickle.PickleBuffer] = []
    counter = _ByteCounter()
    _SizePickler(counter, protocol=5, buffer_callback=buffers.append).dump(value)
    return counter.count + sum(buffer.raw().nbytes for buffer in buffers)


class _ByteCounter:
    """A file that counts what is written to it, and keeps nothing."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, data: bytes | memoryview) -> int:
        size = memoryview(data).nbytes
        self.count += size
        return size


class _SizePickler(pickle.Pickler):
    """Also takes what pickle refuses and results hold: read-only mappings, and functions, which weigh nothing."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, MappingProxyType):
            return dict, (dict(obj),)
        return (int, ()) if isinstance(obj, FunctionType) else NotImplemented


def memoize(query: Query[P, R]) -> Query[P, R]:
    """The query with its results cached: called alike, `memoize(query)(pin, scope, ...)`. Arguments must be hashable."""
    signature = inspect.signature(query.function)

    @wraps(query.function)
    def cached(pin: Pin, scope: Scope, /, *args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(pin, scope, *args, **kwargs)
        bound.apply_defaults()

        def compute() -> R:
            with QUERY_SECONDS.labels(query.name).time():
                return query(pin, scope, *args, **kwargs)

        result: R = _shallow_copy(_cache().get((query.name, tuple(bound.arguments.values())), compute))
        return result

    return Query(cached, query.tables)


def _shallow_copy(result: Any) -> Any:
    return result.copy(deep=False) if isinstance(result, pd.DataFrame) else result


@st.cache_resource(show_spinner=False)
def _cache() -> SizedCache:
    """One for all sessions of the process."""
    return SizedCache(CACHE_BYTES)
