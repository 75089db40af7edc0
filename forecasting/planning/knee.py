"""From which utilisation is quality worse by a fifth? Where that lies, how surely, and whether one day alone says so.

Quality is taken to be level up to a corner and to rise beyond it: base + rise x softplus((u - corner) / width) ^ power.
Where such a corner lies depends on the width and the power, which samples seldom tell apart; where the curve passes a
given rise does not, wherever it was seen. So every corner, width and power of a grid is weighed by how well it fits
(generalised least squares, base and rise at their best), and the knee is the utilisation at which each says that
quality is worse by `WORSE_BY`: a distribution, of which the median is told.

The noise is relative to the level and has two parts, one of each day as a whole and one of each of its points; both are
read from how days differ. What a fit
leaves out shows in the jackknife: the knee is found again without each day, and with few days beyond it the spread
counts as Student's t has it (C. A. Cameron and D. L. Miller, A practitioner's guide to cluster-robust inference, 2015,
section VI).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from forecasting.planning.demand import Reals
from forecasting.prophet_map.threads import one_blas_thread

BIN = 0.01
# Viewers who stall a fifth more often than at low load feel it; less is lost in what quality does from evening to
# evening without any load.
WORSE_BY = 0.2
CORNERS = np.arange(0.40, 1.025, BIN)
# From a sharp corner to one that takes a tenth of capacity to turn, and from queues that grow with the load to such as
# grow with its square.
WIDTHS = (0.005, 0.01, 0.02, 0.03, 0.04)
POWERS = (1.0, 1.5, 2.0)
# The step in which places of the knee are told apart; the last one stands for all beyond.
PLACES = np.arange(0.40, 1.0225, 0.0025)
TAIL = 0.05
# Noise is not taken to be less than this: a metric that is rounded would seem to have none.
LEAST_NOISE = 0.01
# Median absolute deviations as standard deviations.
ROBUST = 1.4826
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Samples by day and bin of utilisation: mean utilisation (bins,), sums of quality and counts (days, bins)."""

    used: Reals
    sums: Reals
    counts: Reals


class Knee(NamedTuple):
    """at, low, high: ratios of capacity, the median and the 5 to 95 % interval. sure: how probable it is that the knee
    lies within what was seen.

    without: where it would lie without each of the days (days,); unseen: on which of them it would not have been seen
    (days,).
    """

    at: float
    low: float
    high: float
    sure: float
    without: Reals
    unseen: Reals


class _Products(NamedTuple):
    """Inner products of quality y, the level 1 and the hinges h under the noise of a day: one row a day; one column a
    hinge, or one for all.
    """

    hh: Reals
    h1: Reals
    hy: Reals
    one: Reals
    y1: Reals
    yy: Reals


@one_blas_thread()
def find_knee(bins: Bins, level: Reals, seen: float) -> Knee:
    """The knee of one place. level (bins,): the monotone curve, above 0, that noise is relative to; seen: the highest
    utilisation.
    """
    products = _products(bins, level)
    # All days first, then all but each.
    fitted = _Products(*(np.vstack([one.sum(axis=0), one.sum(axis=0) - one]) for one in products))
    error, rise, base = _fits(fitted)
    likelihood = np.exp(-0.5 * (error - error.min(axis=1, keepdims=True)))
    shares = _shares(_passed(rise, base), likelihood)
    within = shares[:, PLACES + 0.5 * (PLACES[1] - PLACES[0]) <= seen].sum(axis=1)
    low, at, high = (_quantile(shares[0], q) for q in (TAIL, 0.5, 1.0 - TAIL))
    without = np.array([_quantile(row, 0.5) for row in shares[1:]])
    beyond = int((bins.counts[:, bins.used >= at - 0.5 * BIN] > 0.0).any(axis=1).sum())
    reach = student.ppf(1.0 - TAIL, max(beyond - 1, 1)) * np.sqrt((len(without) - 1) * without.var())
    # The samples of a bin do not tell where within it a rise begins.
    return Knee(
        at,
        min(low, at - reach) - 0.5 * BIN,
        max(high, at + reach) + 0.5 * BIN,
        float(within[0]),
        without,
        within[1:] < 0.5,
    )


def _products(bins: Bins, level: Reals) -> _Products:
    """Weights are those of a variance that is common to a day and one of its own for each bin (Sherman and
    Morrison).
    """
    held = bins.counts > 0.0
    quality = np.divide(bins.sums, bins.counts * level, out=np.zeros_like(bins.sums), where=held)
    of_day, of_point = _noise(np.where(held, quality, np.nan), bins.counts)
    weights = np.where(held, 1.0 / (of_point**2 * _thinner(bins.counts)), 0.0)
    shared = (1.0 / (1.0 / of_day**2 + weights.sum(axis=1)))[:, None]
    hinge, one, weighted = _hinges(bins.used) / level[:, None], (1.0 / level)[:, None], weights * quality
    h, i, y = weights @ hinge, weights @ one, weighted.sum(axis=1)[:, None]
    return _Products(
        weights @ hinge**2 - shared * h**2,
        weights @ (hinge * one) - shared * h * i,
        weighted @ hinge - shared * h * y,
        weights @ one**2 - shared * i**2,
        weighted @ one - shared * i * y,
        (weighted * quality).sum(axis=1)[:, None] - shared * y**2,
    )


def _noise(quality: Reals, counts: Reals) -> tuple[float, float]:
    """Standard deviations, relative to the level: of days as wholes, and of single samples within a day. By medians, so
    that no outage counts.
    """
    days = np.nanmedian(quality, axis=1)
    points = (quality - days[:, None]) / np.sqrt(_thinner(counts))
    of_day, of_point = (ROBUST * float(np.nanmedian(np.abs(one))) for one in (days - np.median(days), points))
    return max(of_day, LEAST_NOISE), max(of_point, LEAST_NOISE)


def _thinner(counts: Reals) -> Reals:
    """Variance of a mean of so many neighbouring samples: they tell much the same, and many of them half of what a
    single one leaves open.
    """
    return np.asarray(0.5 * (1.0 + 1.0 / np.maximum(counts, 1.0)))


def _hinges(used: Reals) -> Reals:
    """(bins, widths x powers x corners)."""
    soft = [width * np.logaddexp(0.0, (used[:, None] - CORNERS) / width) / (10.0 * BIN) for width in WIDTHS]
    return np.concatenate([one**power for one in soft for power in POWERS], axis=1)


def _fits(products: _Products) -> tuple[Reals, Reals, Reals]:
    """Least squares of base + rise x hinge with a rise of at least 0: error, rise and base, each (rows, hinges)."""
    hh, h1, hy, one, y1, yy = products
    spread = hh - h1**2 / one
    # A corner beyond all samples has a hinge of nought: it says that nothing rises.
    told = spread > ROUNDING * one
    rise = np.where(told, np.maximum((hy - h1 * y1 / one) / np.where(told, spread, 1.0), 0.0), 0.0)
    return yy - y1**2 / one - rise**2 * spread, rise, (y1 - rise * h1) / one


def _passed(rise: Reals, base: Reals) -> Reals:
    """Where each fitted hinge passes `WORSE_BY` of its base, (rows, hinges); infinity where it never does."""
    shape = (len(rise), len(WIDTHS), len(POWERS), len(CORNERS))
    width, power = np.array(WIDTHS)[:, None, None], np.array(POWERS)[:, None]
    passes = (rise > 0.0) & (base > 0.0)
    gain = np.where(passes, WORSE_BY * base, 1.0) / np.where(passes, rise, 1.0)
    soft = np.clip(10.0 * BIN * gain.reshape(shape) ** (1.0 / power) / width, 1e-9, 1e9)
    # The inverse of log(1 + exp(x)).
    place = CORNERS + width * (soft + np.log(-np.expm1(-soft)))
    return np.where(passes, place.reshape(rise.shape), np.inf)


def _shares(places: Reals, weights: Reals) -> Reals:
    """How the weight of each row falls on `PLACES`, (rows, places), summing to 1."""
    count, step = len(PLACES), PLACES[1] - PLACES[0]
    bin_of = (
        np.clip((np.minimum(places, 2.0) - PLACES[0]) / step, 0, count - 1).astype(int)
        + count * np.arange(len(places))[:, None]
    )
    found = np.bincount(bin_of.ravel(), weights.ravel(), len(places) * count).reshape(-1, count)
    return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=float)


def _quantile(shares: Reals, q: float) -> float:
    """Within a step the weight is taken to be even."""
    return float(np.interp(q, np.append(0.0, np.cumsum(shares)), np.append(PLACES, 2 * PLACES[-1] - PLACES[-2])))
