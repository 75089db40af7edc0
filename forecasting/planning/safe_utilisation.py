"""How full may a site run before its viewers feel it? Rebuffering or startup time against utilisation, and the knee from which it rises.

Two fits to the same binned samples. The curve is isotonic: quality never gets better as a site fills up, and nothing else is assumed. The knee is the corner of
a smooth hinge, base + rise x softplus((u - knee) / width) ^ 1.5, whose corner and width are those with the least squared relative error on a grid. Both are
fitted again to resampled days, because the samples of a day are no independent witnesses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import isotonic_regression

from forecasting.planning.demand import Reals

# found: the knee was seen, with viewers beyond it. unseen: quality holds up to the highest utilisation seen. refused: too little to go on.
State = Literal["found", "unseen", "refused"]
BIN = 0.01
RESAMPLES, SEED = 200, 1
INTERVAL = (0.05, 0.95)
KNEES = np.arange(0.40, 0.990, 0.0025)
WIDTHS = (0.005, 0.01, 0.02, 0.04)
# Queues make quality rise faster than the load, and slower than its square; a power that is fitted as well takes the corner along with it.
POWER = 1.5
# A knee counts where quality at the top is worse by half than at the base and something was seen beyond the corner, in so many of the resamples that it must
# have shown on two days: a single day is in 63 % of them, one of two days in 86 %.
WORSE_BY, SEEN_BEYOND, SURE = 0.5, 0.02, 0.85
# Beyond so many times the base the curve is a wall, which says nothing about where the rise began.
STEEP = 4.0
# A week's days, and enough of the range to tell a slope from a level.
DAYS_AT_LEAST, BINS_AT_LEAST = 7, 8
# An outage's samples say nothing about load: beyond so many robust standard deviations of their bin they count as that much.
FAR = 4.0
ROBUST = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class SafeUtilisation:
    """What is known of one site or region. knee, low, high: ratios of capacity, the median and the 5 to 95 % interval over resamples; NaN unless found.

    limit: what may be offered as a limit: the lower end of the knee's interval; the highest utilisation seen where no knee was; NaN where refused. curve:
    utilisation, quality, low, high, samples; empty where refused.
    """

    key: str
    state: State
    knee: float
    low: float
    high: float
    limit: float
    seen_up_to: float
    curve: pd.DataFrame
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Bins:
    """Samples by day and bin of utilisation: centres (bins,), sums of quality and counts (days, bins)."""

    centres: Reals
    sums: Reals
    counts: Reals


def safe_utilisation(samples: pd.DataFrame, groups: Mapping[str, str] | None = None, seed: int = SEED) -> list[SafeUtilisation]:
    """The knee of each site, or of each group of sites (site_id to region_id, for instance), by key.

    samples: ts, site_id, utilisation (ratio of capacity) and quality (rebuffer ratio, or startup seconds; higher is worse). In a group each site's quality is
    taken relative to what it is at low load, so that a site with worse lines at home does not pass for a full one.
    """
    held = samples[["ts", "site_id", "utilisation", "quality"]].dropna()
    held = held[(held["utilisation"] > 0.0) & (held["quality"] >= 0.0)].assign(key=held["site_id"] if groups is None else held["site_id"].map(groups))
    if groups is not None and len(held):
        held = held.assign(quality=held["quality"] / held["site_id"].map(_at_low_load(held)))
    parts = {str(key): rows for key, rows in held.groupby("key", observed=True)}
    keys = sorted({str(key) for key in (samples["site_id"] if groups is None else samples["site_id"].map(groups).dropna()).unique()})
    return [_of_one(key, parts.get(key, held.iloc[:0]), seed) for key in keys]


def safe_frame(found: list[SafeUtilisation]) -> pd.DataFrame:
    """One row a key: key, state, knee, low, high, limit, seen_up_to, reason."""
    names = ["key", "state", "knee", "low", "high", "limit", "seen_up_to", "reason"]
    return pd.DataFrame([[getattr(one, name) for name in names] for one in found], columns=names)


def _at_low_load(held: pd.DataFrame) -> pd.Series:
    """Quality of each site in the emptier half of its own samples."""
    empty = held["utilisation"] <= held.groupby("site_id", observed=True)["utilisation"].transform("median")
    return held[empty].groupby("site_id", observed=True)["quality"].median().replace(0.0, np.nan)


def _of_one(key: str, rows: pd.DataFrame, seed: int) -> SafeUtilisation:
    bins = _binned(rows.dropna())
    seen = float(rows["utilisation"].max()) if len(rows) else np.nan
    if len(bins.sums) < DAYS_AT_LEAST or len(bins.centres) < BINS_AT_LEAST:
        reason = f"{len(bins.sums)} days and {len(bins.centres)} points of utilisation with quality; {DAYS_AT_LEAST} and {BINS_AT_LEAST} are needed"
        return SafeUtilisation(key, "refused", np.nan, np.nan, np.nan, np.nan, seen, pd.DataFrame(), reason)
    days = len(bins.sums)
    drawn = np.random.default_rng(seed).multinomial(days, np.full(days, 1.0 / days), RESAMPLES).astype(float)
    weights = np.vstack([np.ones(days), drawn])
    sums, counts = weights @ bins.sums, weights @ bins.counts
    curves = np.array([_monotone(total, count) for total, count in zip(sums, counts, strict=True)])
    knees, sure = _knees(bins.centres, sums, counts, curves)
    low, high = np.quantile(curves[1:], INTERVAL, axis=0)
    curve = pd.DataFrame({"utilisation": bins.centres, "quality": curves[0], "low": low, "high": high, "samples": counts[0].astype(int)})
    found = knees[1:][sure[1:]]
    if not sure[0] or len(found) < SURE * RESAMPLES:
        return SafeUtilisation(key, "unseen", np.nan, np.nan, np.nan, seen, seen, curve, f"no knee up to {seen:.0%}")
    # The samples do not tell where within its bin a corner lies.
    first, last = np.quantile(found, INTERVAL) + np.array([-BIN, BIN])
    return SafeUtilisation(key, "found", float(np.median(found)), float(first), float(last), float(first), seen, curve)


def _binned(rows: pd.DataFrame) -> _Bins:
    """Sums by UTC day and point of utilisation, far samples brought in."""
    if rows.empty:
        return _Bins(np.empty(0), np.empty((0, 0)), np.empty((0, 0)))
    number, places = pd.factorize((rows["utilisation"] / BIN).to_numpy().astype(int), sort=True)
    day, names = pd.factorize(rows["ts"].dt.floor("D"), sort=True)
    quality = _brought_in(rows["quality"].to_numpy(float), number, len(places))
    flat, shape = day * len(places) + number, (len(names), len(places))
    sums, counts = (np.bincount(flat, weights=one, minlength=shape[0] * shape[1]).reshape(shape) for one in (quality, np.ones(len(flat))))
    return _Bins((places + 0.5) * BIN, np.asarray(sums, dtype=float), np.asarray(counts, dtype=float))


def _brought_in(quality: Reals, number: npt.NDArray[np.int64], count: int) -> Reals:
    """Values at most `FAR` robust standard deviations from the median of their bin."""
    values = pd.Series(quality)
    middle = values.groupby(number).transform("median")
    spread = ROBUST * (values - middle).abs().groupby(number).transform("median")
    return np.asarray(values.clip(middle - FAR * spread, middle + FAR * spread), dtype=float)


def _monotone(sums: Reals, counts: Reals) -> Reals:
    """The isotonic curve; bins without samples have that of their neighbours below, or above at the lower end."""
    held = counts > 0.0
    fitted: Reals = isotonic_regression(sums[held] / counts[held], weights=counts[held]).x
    spread: Reals = fitted[np.maximum(np.cumsum(held) - 1, 0)]
    return spread


def _knees(centres: Reals, sums: Reals, counts: Reals, curves: Reals) -> tuple[Reals, npt.NDArray[np.bool_]]:
    """The corner of each resample's hinge, and whether it counts, each (resamples,)."""
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0.0)
    # Noise grows with what it is noise of: errors are relative to the monotone curve.
    weights = np.where(curves <= STEEP * curves[:, :1], counts, 0.0) / np.maximum(curves, np.finfo(float).tiny) ** 2
    best = np.full(len(sums), np.inf)
    knees, worse = np.zeros(len(sums)), np.zeros(len(sums))
    for hinges in _hinges(centres):
        error, rise, base = _fits(hinges, means, weights)
        column = error.argmin(axis=1)
        rows = np.arange(len(sums))
        better = error[rows, column] < best
        best = np.where(better, error[rows, column], best)
        knees = np.where(better, KNEES[column], knees)
        gain = rise[rows, column] * hinges[-1, column] / np.maximum(base[rows, column], np.finfo(float).tiny)
        worse = np.where(better, gain, worse)
    top = centres[len(centres) - 1 - (counts[:, ::-1] > 0.0).argmax(axis=1)]
    return knees, (worse >= WORSE_BY) & (top - knees >= SEEN_BEYOND)


def _hinges(centres: Reals) -> Iterator[Reals]:
    """For each width, the hinge of every corner at every bin, (bins, corners)."""
    for width in WIDTHS:
        soft = width * np.logaddexp(0.0, (centres[:, None] - KNEES[None, :]) / width)
        yield soft**POWER


def _fits(hinges: Reals, means: Reals, weights: Reals) -> tuple[Reals, Reals, Reals]:
    """Weighted least squares of base + rise x hinge with a rise of at least 0: error, rise and base, each (resamples, corners)."""
    total = weights.sum(axis=1)[:, None]
    one, two = weights @ hinges, weights @ hinges**2
    level, cross = (weights * means).sum(axis=1)[:, None], (weights * means) @ hinges
    square = (weights * means**2).sum(axis=1)[:, None]
    spread = np.maximum(two - one**2 / total, np.finfo(float).tiny)
    rise = np.maximum((cross - one * level / total) / spread, 0.0)
    base = (level - rise * one) / total
    return square - level**2 / total - rise**2 * spread, rise, base
