"""A pool of worker processes that ends when its owner does, however that comes about."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

from data.schema.errors import SettingError

# More would only wait for each other; a typing error for a handful should not start a thousand processes.
WORKERS_AT_MOST = 256
# More workers than this are not begun before there is work: what is read for a small lake does not keep them busy.
EARLY_AT_MOST = 8


@contextmanager
def pool(workers: int | None, *, early: bool = False) -> Iterator[Executor]:
    """Worker processes, one for each processor unless told otherwise. They are spawned, because a fork of a threaded
    process may hang.

    early: begin them at once, so that they import their packages while their owner still gets the work together.
    """
    count = workers if workers is not None else os.cpu_count() or 1
    if not 1 <= count <= WORKERS_AT_MOST:
        raise SettingError(
            f"{count} worker processes are not possible: from 1 to {WORKERS_AT_MOST}.",
            cause="--workers was mistyped",
            remedy="leave --workers out to use one for each processor",
        )
    before = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    finished = False
    try:
        for _ in range(min(count, EARLY_AT_MOST) if early else 0):
            executor.submit(os.getpid)
        yield executor
        finished = True
    finally:
        executor.shutdown(wait=finished, cancel_futures=True)
        if not finished:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()


def _begin() -> None:
    """Start a worker: Ctrl-C is its owner's to handle, and it must not outlive one that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_owner, daemon=True).start()


def _leave_with_owner() -> None:
    owner = multiprocessing.parent_process()
    if owner is not None:
        owner.join()
        os._exit(1)
