"""How far a trend may stray after the history, by Prophet's law: changes of slope at a Poisson's times, as many as in
the history, their sizes Laplace's.

After a time t (the history being 1) with S changes in the history, a future trend lies off the fitted one by lambda t
V: V is a sum of K terms L U, K Poisson's with mean a = S t, L Laplace's with scale 1, U uniform on (0, 1), which is
when in that time the change came. The characteristic function of V is exp(a (arctan(w) / w - 1)), so quantiles of trend
and noise together need no sampling: they are tabulated once by Fourier inversion, over a and over how the spread of the
trend compares with that of the noise. Between the table's nodes logarithms are interpolated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from forecasting.panel.history import Reals

# The standard deviation of L U is the root of 2 x 1/3.
CHANGE_VARIANCE = 2.0 / 3.0
# The table's nodes: logarithms of the expected number of changes, and of the trend's standard deviation over the
# noise's. Below, the noise is all; above, it is hardly anything.
CHANGES = np.linspace(np.log(0.005), np.log(500.0), 40)
RATIOS = np.linspace(np.log(0.03), np.log(30.0), 36)
# Frequencies far enough for the noise to fade at the largest ratio, and dense enough that what lies 60 standard
# deviations away does not fold back.
FREQUENCIES = np.arange(0.05, 5.5 * 30.0, 0.1)
# What is smaller than exp of this is zero; left as the least of floats, it would slow every product.
NOTHING = -50.0
# Quantiles that are looked up at once: what that needs stays in a core's cache.
TOGETHER = 8192
# Where the distribution is evaluated: finely near the middle, where a trend that seldom changes leaves the noise alone.
PLACES = np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 500)])


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


def predictive_offsets(ahead: Reals, change: Reals, bends: Reals, sigma: Reals, levels: Sequence[float]) -> Reals:
    """Quantiles of trend and noise about the curve, (H, N, Q).

    ahead: (H, N), time after the history on each series' own axis, zero or less within it; change: (H, N), the mean
    size of a change of slope; bends: (N,), how many the history had room for; sigma: (N,), the noise.
    """
    found = np.zeros((len(levels), *ahead.shape))
    sigma, change = np.broadcast_to(sigma, ahead.shape), np.broadcast_to(change, ahead.shape)
    step = max(TOGETHER // max(ahead.shape[1], 1), 1)
    for rows in (slice(at, at + step) for at in range(0, len(ahead), step)):
        _write(found[:, rows], np.maximum(ahead[rows], 0.0), change[rows], bends, sigma[rows], levels)
    return np.moveaxis(found, 0, 2)


def _write(found: Reals, ahead: Reals, change: Reals, bends: Reals, sigma: Reals, levels: Sequence[float]) -> None:
    """Write the offsets of some rows, (Q, h, N); the middle stays zero."""
    expected = bends * ahead
    spread = change * ahead * np.sqrt(CHANGE_VARIANCE * expected)
    every = np.hypot(spread, sigma)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = _table_positions(np.log(expected), CHANGES), _table_positions(np.log(spread / sigma), RATIOS)
    for upper in {_upper(level) for level in levels if level != 0.5}:
        width = every * _interpolate_table(at, upper)
        for place in (place for place, level in enumerate(levels) if _upper(level) == upper):
            np.multiply(width, np.sign(levels[place] - 0.5), out=found[place])


def _upper(level: float) -> float:
    """The level, or the one that lies as far above the middle."""
    return round(max(level, 1.0 - level), 12)


def _table_positions(wanted: Reals, nodes: Reals) -> tuple[npt.NDArray[np.intp], Reals]:
    """The node before each place, and how far on the way to the next it lies; beyond the ends, the end."""
    place = np.fmin(np.fmax((wanted - nodes[0]) / (nodes[1] - nodes[0]), 0.0), len(nodes) - 1.0)
    before = np.minimum(place.astype(np.intp), len(nodes) - 2)
    return before, place - before


def _interpolate_table(
    at: tuple[tuple[npt.NDArray[np.intp], Reals], tuple[npt.NDArray[np.intp], Reals]], level: float
) -> Reals:
    """The quantile between the table's nodes, in standard deviations of trend and noise together."""
    table = quantile_table(level)
    (row, down), (column, along) = at
    flat, place = table.ravel(), row * table.shape[1] + column
    upper = flat[place] * (1.0 - along) + flat[place + 1] * along
    place = place + table.shape[1]
    lower = flat[place] * (1.0 - along) + flat[place + 1] * along
    return np.asarray(np.exp(upper * (1.0 - down) + lower * down))


@lru_cache(maxsize=64)
def quantile_table(level: float) -> Reals:
    """Logarithms of the quantile at the nodes (CHANGES, RATIOS), for a level of at least 0.5, in standard deviations of
    trend and noise together.
    """
    found = [np.interp(level, distribution, PLACES) for distribution in _distributions()]
    return np.log(np.maximum(found, 1e-12)).reshape(len(CHANGES), len(RATIOS))


@lru_cache(maxsize=1)
@one_blas_thread()
def _distributions() -> Reals:
    """(nodes, PLACES): the distribution function of trend and noise together, scaled to a standard deviation of 1
    (Gil-Pelaez, 1951).
    """
    kernel = np.sin(np.outer(FREQUENCIES, PLACES)) / FREQUENCIES[:, None] * (FREQUENCIES[1] - FREQUENCIES[0]) / np.pi
    ratio = np.exp(RATIOS)[:, None]
    whole = np.hypot(1.0, ratio)
    noise = -0.5 * (FREQUENCIES / whole) ** 2
    rows = []
    for expected in np.exp(CHANGES):
        scaled = ratio / whole / np.sqrt(CHANGE_VARIANCE * expected) * FREQUENCIES
        exponent = noise + expected * (np.arctan(scaled) / scaled - 1.0)
        rows.append(0.5 + np.exp(np.where(exponent > NOTHING, exponent, -np.inf)) @ kernel)
    return np.maximum.accumulate(np.concatenate(rows), axis=1)


def sample_trend_deviations(ahead: Reals, change: float, bends: float, paths: int, rng: np.random.Generator) -> Reals:
    """(H, paths): deviations of one series' trend, sampled; ahead (H,) is ascending time after the history on its own
    axis, change the size of a change.
    """
    found = np.zeros((len(ahead), paths))
    later = np.flatnonzero(ahead > 0.0)
    if not len(later) or not bends or change <= 0.0:
        return found
    times = ahead[later]
    path = np.repeat(np.arange(paths), rng.poisson(bends * times[-1], paths))
    when, size = rng.uniform(0.0, times[-1], len(path)), rng.laplace(0.0, change, len(path))
    # A change of slope d at c adds d (t - c) at each later t: sum the slopes and the offsets of the changes up to each
    # step.
    place = np.searchsorted(times, when) * paths + path
    slope, offset = (
        np.bincount(place, weight, minlength=len(times) * paths).reshape(-1, paths) for weight in (size, size * when)
    )
    found[later] = np.cumsum(slope, axis=0) * times[:, None] - np.cumsum(offset, axis=0)
    return found
