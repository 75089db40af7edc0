"""How full may a site run before its viewers feel it? Rebuffering or startup time against utilisation, and the knee
from which it is worse by a fifth.

Two answers from the same binned samples. The curve is isotonic: quality never gets better as a site fills up, and
nothing else is assumed; it is fitted again to resampled days, because the samples of a day are no independent
witnesses. The knee is that of forecasting.planning.knee; it is told where it is known to three points of capacity
either side and leans on no single day. docs/planning.md says how near that comes on simulated networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import isotonic_regression

from forecasting.planning.demand import Reals
from forecasting.planning.knee import BIN, ROBUST, WORSE_BY, Bins, Knee, find_knee
from forecasting.prophet_map.threads import one_blas_thread

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
    """What is known of one site or region. knee, low, high: ratios of capacity, the median and the 5 to 95 % interval
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
    held = samples[["ts", "site_id", "utilisation", "quality"]].dropna()
    held = held[(held["utilisation"] > 0.0) & (held["quality"] >= 0.0)].assign(
        key=held["site_id"] if groups is None else held["site_id"].map(groups)
    )
    if groups is not None and len(held):
        held = held.assign(quality=held["quality"] / held["site_id"].map(_at_low_load(held)))
    parts = {str(key): rows for key, rows in held.groupby("key", observed=True)}
    keys = sorted(
        {
            str(key)
            for key in (samples["site_id"] if groups is None else samples["site_id"].map(groups).dropna()).unique()
        }
    )
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
    held = (bins.counts[:, below] > 0.0).any(axis=1)
    fitted = Bins(bins.used[below], bins.sums[held][:, below], bins.counts[held][:, below])
    knee = find_knee(fitted, np.maximum(level[below], LEAST * level[-1]), min(seen, WALL))
    # Below the wall the knee's own distribution has weighed what was seen against the noise.
    felt = bins.counts[:, ~below & (level > (1.0 + WORSE_BY) * _at_low(bins, level))]
    if reason := _doubt(knee, names[held]) if knee.sure >= SEEN else _felt(felt):
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


@one_blas_thread()
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
        np.bincount(flat, weights=one, minlength=shape[0] * shape[1]).reshape(shape)
        for one in (quality, np.ones(len(flat)))
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
    held = counts > 0.0
    fitted: Reals = isotonic_regression(sums[held] / counts[held], weights=counts[held]).x
    spread: Reals = fitted[np.maximum(np.cumsum(held) - 1, 0)]
    return spread
