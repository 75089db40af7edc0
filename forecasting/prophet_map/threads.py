"""Who works at once: batches on threads of ours, the linear algebra within each on the thread that calls it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it, or within a function that it decorates, a product of matrices keeps to one thread.

    The matrices of a panel are small: threads of the library's own would spin for each other, and on a busy machine
    that costs ten times the product.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _tree_controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_tree_thread() -> Iterator[None]:
    """Within it, trees grow on one thread, so that the same rows give the same trees on every machine; scikit-learn
    must be imported by then.
    """
    with _tree_controller().limit(limits=1, user_api="openmp"):
        yield
