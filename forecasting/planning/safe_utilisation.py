"""Safe utilisation: how full a site may run before its viewers feel it, as the knee of quality against utilisation.

Two answers from the same binned samples. The curve is isotonic: quality never gets better as a site fills up, and
nothing else is assumed; it is fitted again to resampled days, because the samples of one day are not independent. The
knee is the utilisation from which quality is worse by a fifth than at low load; it is offered where it is known to three
points of capacity either side and rests on no single day. docs/measurements.md says how near that comes on simulated
networks.

The knee's model: quality is level up to a corner and rises beyond it, base + rise x softplus((u - corner) / width) ^
power. Where the corner lies depends on width and power, which samples seldom tell apart; where the curve passes a given
rise does not, wherever it was seen. So every corner, width and power of a grid is weighed by how well it fits
(generalised least squares, base and rise at their best), and the knee is the utilisation at which each says that quality
is worse by `WORSE_BY`: a distribution, of which the median is the answer. The noise is relative to the level and has two
parts, one of each day as a whole and one of each of its points; both are read from how days differ. What a fit leaves out
shows in the jackknife: the knee is found again without each day, and with few days beyond it the spread counts as
Student's t has it (C. A. Cameron and D. L. Miller, A practitioner's guide to cluster-robust inference, 2015, section VI).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.stats import t as student
from threadpoolctl import ThreadpoolController

from forecasting.planning.demand import Reals

# The matrices of one place are small: threads of the library's own would only wait for each other.
BLAS = ThreadpoolController()

# found: the knee was seen, with viewers beyond it. unseen: quality holds up to the highest utilisation seen. refused:
# too little to go on, or quality suffers and it is not known from where.
State = Literal["found", "unseen", "refused"]
RESAMPLES, SEED = 200, 1
INTERVAL = (0.05, 0.95)
# A limit is set in whole points; one that is not known to three of them either side is none.
NEAR = 0.03
# How probably the knee lies within what was seen: less, and none was; more, and it was.
SEEN, SURE = 0.5, 0.95
# Close to line rate traffic no longer measures what is asked for: players step down, and quality falls off a wall that
# says nothing about where the rise began.
WALL = 0.95
# A week's days, and enough of the range to tell a slope from a level.
DAYS_AT_LEAST, BINS_AT_LEAST = 7, 8
# An outage's samples say nothing about load: beyond so many robust standard deviations of their bin they count as that
# much.
FAR = 4.0
# Where nothing is felt at low load, noise is relative to this share of what is felt at the top.
LEAST = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class SafeUtilisation:
    """Safe utilisation of one site or region. knee, low, high: ratios of capacity, the median and the 5 to 95 % interval
    over resamples; NaN unless found.

    limit: what may be offered as a limit: the lower end of the knee's interval; the highest utilisation seen where no
    knee was; NaN where refused. curve: utilisation, quality, low, high, samples; empty where there is too little for
    one.
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


def safe_utilisation(
    samples: pd.DataFrame, groups: Mapping[str, str] | None = None, seed: int = SEED
) -> list[SafeUtilisation]:
    """The knee of each site, or of each group of sites (site_id to region_id, for instance), by key.

    samples: ts, site_id, utilisation (ratio of capacity) and quality (rebuffer ratio, or startup seconds; higher is
    worse). In a group each site's quality is taken relative to what it is at low load, so that a site with worse lines
    at home does not pass for a full one.
    """
    usable = samples[["ts", "site_id", "utilisation", "quality"]].dropna()
    usable = usable[(usable["utilisation"] > 0.0) & (usable["quality"] >= 0.0)].assign(
        key=usable["site_id"] if groups is None else usable["site_id"].map(groups)
    )
    if groups is not None and len(usable):
        usable = usable.assign(quality=usable["quality"] / usable["site_id"].map(_at_low_load(usable)))
    parts = {str(key): rows for key, rows in usable.groupby("key", observed=True)}
    keys = sorted(
        {
            str(key)
            for key in (samples["site_id"] if groups is None else samples["site_id"].map(groups).dropna()).unique()
        }
    )
    with BLAS.limit(limits=1, user_api="blas"):
        return [_estimate(key, parts.get(key, usable.iloc[:0]), seed) for key in keys]


def _at_low_load(usable: pd.DataFrame) -> pd.Series:
    """Quality of each site in the emptier half of its own samples."""
    empty = usable["utilisation"] <= usable.groupby("site_id", observed=True)["utilisation"].transform("median")
    return usable[empty].groupby("site_id", observed=True)["quality"].median().replace(0.0, np.nan)


def _estimate(key: str, rows: pd.DataFrame, seed: int) -> SafeUtilisation:
    rows = rows.dropna()
    bins, names = _binned(rows)
    below, days = bins.used < WALL, rows["ts"][rows["utilisation"] < WALL].dt.floor("D").nunique()
    seen = float(rows["utilisation"].max()) if len(rows) else np.nan
    if days < DAYS_AT_LEAST or below.sum() < BINS_AT_LEAST:
        reason = f"{days} days and {below.sum()} points of utilisation with quality; {DAYS_AT_LEAST} and {BINS_AT_LEAST} are needed"
        return _unknown(key, "refused", seen, pd.DataFrame(), reason)
    curve = _curve(bins, seed)
    level = curve["quality"].to_numpy(float)
    if level[-1] == 0.0:
        return _unknown(key, "unseen", seen, curve, f"no knee up to {_percent(seen)}")
    # A site may stand at the wall for a whole day, which then says nothing.
    days_below_wall = (bins.counts[:, below] > 0.0).any(axis=1)
    fitted = Bins(bins.used[below], bins.sums[days_below_wall][:, below], bins.counts[days_below_wall][:, below])
    knee = find_knee(fitted, np.maximum(level[below], LEAST * level[-1]), min(seen, WALL))
    # Below the wall the knee's own distribution has weighed what was seen against the noise.
    felt = bins.counts[:, ~below & (level > (1.0 + WORSE_BY) * _at_low(bins, level))]
    if reason := _doubt(knee, names[days_below_wall]) if knee.sure >= SEEN else _felt(felt):
        return _unknown(key, "refused", seen, curve, reason)
    if knee.sure < SEEN:
        return _unknown(key, "unseen", seen, curve, f"no knee up to {_percent(seen)}")
    return SafeUtilisation(key, "found", knee.at, knee.low, knee.high, knee.low, seen, curve)


def _unknown(key: str, state: State, seen: float, curve: pd.DataFrame, reason: str) -> SafeUtilisation:
    return SafeUtilisation(
        key, state, np.nan, np.nan, np.nan, seen if state == "unseen" else np.nan, seen, curve, reason
    )


def _doubt(knee: Knee, days: pd.DatetimeIndex) -> str:
    """Why a knee within what was seen is not known well enough; nothing where it is."""
    about = f"quality is worse by a fifth from about {_percent(knee.at)} on, but "
    moved = np.where(knee.unseen, np.inf, np.abs(knee.without - knee.at))
    if moved.max() > NEAR:
        return f"{about}{days[moved.argmax()]:%-d %B} alone says so"
    if knee.sure < SURE or max(knee.at - knee.low, knee.high - knee.at) > NEAR:
        return f"{about}that may be {_percent(max(knee.low, 0.0))} or {_percent(min(knee.high, 1.0))}: more busy days are needed"
    return ""


def _felt(counts: Reals) -> str:
    """Why samples (days, bins) at the wall in which quality suffers do not make a knee; nothing where there are
    none.
    """
    on = int((counts.sum(axis=1) > 0.0).sum())
    return (
        f"quality is worse by a fifth from {_percent(WALL)} on, on {on} day{'s' if on > 1 else ''}: too few to tell where that begins"
        if on
        else ""
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _curve(bins: Bins, seed: int) -> pd.DataFrame:
    """The monotone curve with its band over resampled days."""
    days = len(bins.sums)
    drawn = np.random.default_rng(seed).multinomial(days, np.full(days, 1.0 / days), RESAMPLES).astype(float)
    weights = np.vstack([np.ones(days), drawn])
    sums, counts = weights @ bins.sums, weights @ bins.counts
    curves = np.array([_monotone(total, count) for total, count in zip(sums, counts, strict=True)])
    low, high = np.quantile(curves[1:], INTERVAL, axis=0)
    return pd.DataFrame(
        {"utilisation": bins.used, "quality": curves[0], "low": low, "high": high, "samples": counts[0].astype(int)}
    )


def _at_low(bins: Bins, monotone: Reals) -> float:
    """Quality in the emptier half of the samples."""
    counts = bins.counts.sum(axis=0)
    return float(np.average(monotone, weights=counts * (counts.cumsum() - counts < 0.5 * counts.sum())))


def _binned(rows: pd.DataFrame) -> tuple[Bins, pd.DatetimeIndex]:
    """Sums by day and point of utilisation, far samples brought in; and the days. A day begins in the emptiest hour, so
    that no evening falls on two.
    """
    if rows.empty:
        return Bins(np.empty(0), np.empty((0, 0)), np.empty((0, 0))), pd.DatetimeIndex([])
    used = rows["utilisation"].to_numpy(float)
    emptiest = int(rows["utilisation"].groupby(rows["ts"].dt.hour).mean().idxmin())
    number, places = pd.factorize((used / BIN).astype(int), sort=True)
    day, names = pd.factorize((rows["ts"] - pd.Timedelta(hours=emptiest)).dt.floor("D"), sort=True)
    quality = _brought_in(rows["quality"].to_numpy(float), number, len(places))
    flat, shape = day * len(places) + number, (len(names), len(places))
    sums, counts = (
        np.bincount(flat, weights=weight, minlength=shape[0] * shape[1]).reshape(shape)
        for weight in (quality, np.ones(len(flat)))
    )
    return Bins(
        np.bincount(number, used) / np.bincount(number), np.asarray(sums, dtype=float), np.asarray(counts, dtype=float)
    ), pd.DatetimeIndex(names)


def _brought_in(quality: Reals, number: npt.NDArray[np.int64], count: int) -> Reals:
    """Values at most `FAR` robust standard deviations from the median of their bin."""
    values = pd.Series(quality)
    middle = values.groupby(number).transform("median")
    spread = ROBUST * (values - middle).abs().groupby(number).transform("median")
    return np.asarray(values.clip(middle - FAR * spread, middle + FAR * spread), dtype=float)


def _monotone(sums: Reals, counts: Reals) -> Reals:
    """The isotonic curve; bins without samples have that of their neighbours below, or above at the lower end."""
    is_seen = counts > 0.0
    fitted: Reals = isotonic_regression(sums[is_seen] / counts[is_seen], weights=counts[is_seen]).x
    spread: Reals = fitted[np.maximum(np.cumsum(is_seen) - 1, 0)]
    return spread


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


def find_knee(bins: Bins, level: Reals, seen: float) -> Knee:
    """The knee of one place. level (bins,): the monotone curve, above 0, that noise is relative to; seen: the highest
    utilisation.
    """
    products = _products(bins, level)
    # All days first, then all but each.
    fitted = _Products(*(np.vstack([product.sum(axis=0), product.sum(axis=0) - product]) for product in products))
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
    is_seen = bins.counts > 0.0
    quality = np.divide(bins.sums, bins.counts * level, out=np.zeros_like(bins.sums), where=is_seen)
    of_day, of_point = _noise(np.where(is_seen, quality, np.nan), bins.counts)
    weights = np.where(is_seen, 1.0 / (of_point**2 * _thinner(bins.counts)), 0.0)
    shared = (1.0 / (1.0 / of_day**2 + weights.sum(axis=1)))[:, None]
    hinge, level_term, weighted = _hinges(bins.used) / level[:, None], (1.0 / level)[:, None], weights * quality
    h, i, y = weights @ hinge, weights @ level_term, weighted.sum(axis=1)[:, None]
    return _Products(
        weights @ hinge**2 - shared * h**2,
        weights @ (hinge * level_term) - shared * h * i,
        weighted @ hinge - shared * h * y,
        weights @ level_term**2 - shared * i**2,
        weighted @ level_term - shared * i * y,
        (weighted * quality).sum(axis=1)[:, None] - shared * y**2,
    )


def _noise(quality: Reals, counts: Reals) -> tuple[float, float]:
    """Standard deviations, relative to the level: of days as wholes, and of single samples within a day. By medians, so
    that no outage counts.
    """
    days = np.nanmedian(quality, axis=1)
    points = (quality - days[:, None]) / np.sqrt(_thinner(counts))
    of_day, of_point = (
        ROBUST * float(np.nanmedian(np.abs(deviation))) for deviation in (days - np.median(days), points)
    )
    return max(of_day, LEAST_NOISE), max(of_point, LEAST_NOISE)


def _thinner(counts: Reals) -> Reals:
    """Variance of a mean of so many neighbouring samples: they tell much the same, and many of them half of what a
    single one leaves open.
    """
    return np.asarray(0.5 * (1.0 + 1.0 / np.maximum(counts, 1.0)))


def _hinges(used: Reals) -> Reals:
    """(bins, widths x powers x corners)."""
    soft = [width * np.logaddexp(0.0, (used[:, None] - CORNERS) / width) / (10.0 * BIN) for width in WIDTHS]
    return np.concatenate([hinge**power for hinge in soft for power in POWERS], axis=1)


def _fits(products: _Products) -> tuple[Reals, Reals, Reals]:
    """Least squares of base + rise x hinge with a rise of at least 0: error, rise and base, each (rows, hinges)."""
    hh, h1, hy, level_level, y1, yy = products
    spread = hh - h1**2 / level_level
    # A corner beyond all samples has a hinge of nought: it says that nothing rises.
    is_determined = spread > ROUNDING * level_level
    rise = np.where(
        is_determined, np.maximum((hy - h1 * y1 / level_level) / np.where(is_determined, spread, 1.0), 0.0), 0.0
    )
    return yy - y1**2 / level_level - rise**2 * spread, rise, (y1 - rise * h1) / level_level


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
    weight_of_place = np.bincount(bin_of.ravel(), weights.ravel(), len(places) * count).reshape(-1, count)
    return np.asarray(weight_of_place / weight_of_place.sum(axis=1, keepdims=True), dtype=float)


def _quantile(shares: Reals, q: float) -> float:
    """Within a step the weight is taken to be even."""
    return float(np.interp(q, np.append(0.0, np.cumsum(shares)), np.append(PLACES, 2 * PLACES[-1] - PLACES[-2])))
