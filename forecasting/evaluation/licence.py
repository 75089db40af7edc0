"""The licence: what may be drawn for a series and a band of horizons, and why.

The blend is drawn where it beat the best baseline out of sample, by more than the noise of that comparison; else the
best baseline is. The comparison is paired by origin, as a logarithm of the two errors' ratio, so that a hard week
counts no more than an easy one; and as no origin weighs on the blend that it judges, none weighs on which baseline it
judges as the best. A series with few origins leans on the others of its panel by as much as they agree (a
random-effects mean, DerSimonian and Laird, 1986); what stands apart from them, such as a site that is idle or never
changes, is counted as no further off than the rest of the panel may be (winsorised), so that it takes no licence from
the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.evaluation.backtest import HorizonBand
from forecasting.panel.history import Reals

BLEND = "blend"
# The margin must exceed this many standard errors: one is where the error on parts kept for choosing was least
# (docs/methods.md).
STANDARD_ERRORS = 1.0
# Origins below which a series alone proves nothing, and below which a panel of at least so many series does not either.
ORIGINS_ALONE, ORIGINS_TOGETHER, SERIES_TOGETHER = 3, 2, 5
# This share of a series' usual error is added to both errors: on a day when nothing happened any two forecasts are
# good, however small the one's error is.
ERROR_OFFSET = 0.05
# A series' gain counts as no further from the panel's middle than this many times the usual distance.
WINSOR_LIMIT = 3.0
# The median absolute deviation of a normal distribution, as a share of its standard deviation, is one over this.
NORMAL = 1.4826
# A variance over few origins leans on the panel's by this many.
SHARED_ORIGINS = 2.0
TOO_SHORT = "the history is too short for backtests"


class Verdict(NamedTuple):
    """The comparison in one band: for each series the best baseline's place, the gain (log ratio of errors, above zero
    where the blend was better), its noise (standard error), the mean errors of the blend, of the best baseline, and of
    the baselines that it is compared with, which the other origins name for each origin; and the number of its origins.
    NaN and 0 where nothing could be compared.
    """

    baseline: npt.NDArray[np.intp]
    gain: Reals
    noise: Reals
    blend_error: Reals
    baseline_error: Reals
    rival_error: Reals
    origins: npt.NDArray[np.intp]

    @property
    def licensed(self) -> npt.NDArray[np.bool_]:
        """Whether the blend may be drawn: the gain passes its noise, and the series' own mean errors, which lean on no
        other series, do not deny it.
        """
        noise = STANDARD_ERRORS * np.nan_to_num(self.noise)
        return (np.nan_to_num(self.gain, nan=-np.inf) > noise) & (self.blend_error < np.exp(noise) * self.rival_error)


class Licence(NamedTuple):
    """What is drawn for one series in one band, and why, in a sentence with the numbers."""

    horizon: str
    drawn: str
    baseline: str
    gain: float
    noise: float
    origins: int
    sentence: str


def verdicts(blend: Reals, baselines: Reals, looks: Reals, default: int) -> list[Verdict]:
    """One for each band: mean absolute errors of the blend (K, B, N) and of the baselines (K, M, B, N) at the same
    origins, and disjoint looks at each band.

    A band that too few origins saw takes over the verdict of the band before it, with no origin of its own; where there
    is none, nothing is proven and the baseline `default` stands.
    """
    found: list[Verdict] = []
    for band in range(blend.shape[1]):
        seen = _some(np.isfinite(blend[:, band])) & np.all(_some(np.isfinite(baselines[:, :, band])), axis=1)
        enough = np.count_nonzero(seen) >= (ORIGINS_TOGETHER if blend.shape[2] >= SERIES_TOGETHER else ORIGINS_ALONE)
        if enough:
            found.append(_compared(blend[seen, band], baselines[seen][:, :, band], float(looks[band])))
        else:
            found.append(
                found[-1]._replace(origins=np.zeros(blend.shape[2], dtype=np.intp))
                if found
                else _unproven(blend.shape[2], default)
            )
    return found


def _some(held: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether any series holds."""
    return np.asarray(np.any(held, axis=-1))


def _unproven(series: int, default: int) -> Verdict:
    blank = np.full(series, np.nan)
    return Verdict(
        np.full(series, default, dtype=np.intp), blank, blank, blank, blank, blank, np.zeros(series, dtype=np.intp)
    )


def _compared(blend: Reals, baselines: Reals, looks: float) -> Verdict:
    """The verdict on errors of the same origins: blend (K, N), baselines (K, M, N)."""
    best, rivals = _best(_means(baselines)), _best(_means_of_others(baselines))
    other = np.take_along_axis(baselines, rivals[:, None], axis=1)[:, 0]
    logs = np.log(_offset_ratio(other, blend))
    gain = _means(logs)
    noise = _variance(logs) / max(min(len(blend), looks), 1.0)
    gain, noise = _partial_pooling(gain, noise) if blend.shape[1] >= SERIES_TOGETHER else (gain, noise)
    mine = np.take_along_axis(baselines, np.broadcast_to(best, (len(blend), 1, len(best))), axis=1)[:, 0]
    return Verdict(
        best,
        gain,
        np.sqrt(noise),
        _means(blend),
        _means(mine),
        _means(other),
        np.count_nonzero(np.isfinite(logs), axis=0),
    )


def _best(usual: Reals) -> npt.NDArray[np.intp]:
    """The baseline of the least mean error, (..., M, N) to (..., N)."""
    return np.asarray(np.argmin(np.where(np.isnan(usual), np.inf, usual), axis=-2))


def _means_of_others(values: Reals) -> Reals:
    """For each origin the means over all others, (K, M, N) to the same; NaN where there is none."""
    held = ~np.isnan(values)
    each = np.where(held, values, 0.0)
    count = held.sum(axis=0) - held
    return np.where(count > 0, (each.sum(axis=0) - each) / np.maximum(count, 1), np.nan)


def _offset_ratio(other: Reals, blend: Reals) -> Reals:
    """The ratio of two errors (K, N), each with a share of the series' usual error added; one where there is never
    any.
    """
    ease = ERROR_OFFSET * _means(0.5 * (other + blend))
    ease = np.where(ease > 0.0, ease, 1.0)
    return np.asarray((other + ease) / (blend + ease))


def _means(values: Reals) -> Reals:
    """Means over the origins, NaN left out."""
    held = ~np.isnan(values)
    count = held.sum(axis=0)
    return np.where(count > 0, np.where(held, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _variance(logs: Reals) -> Reals:
    """The variance over origins of each series, leaning on the panel's median variance; NaN without an origin."""
    count = (~np.isnan(logs)).sum(axis=0)
    squares = _means((logs - _means(logs)) ** 2) * count
    own = squares / np.maximum(count - 1, 1)
    usual = np.median(own[count > 1]) if (count > 1).any() else np.nan
    weight = np.maximum(count - 1, 0)
    return np.asarray((np.where(count > 1, own, 0.0) * weight + SHARED_ORIGINS * usual) / (weight + SHARED_ORIGINS))


def _partial_pooling(gain: Reals, noise: Reals) -> tuple[Reals, Reals]:
    """Gains and squared noises that lean on the panel's mean gain, by as much as the series agree."""
    known = np.isfinite(gain) & np.isfinite(noise)
    if known.sum() < SERIES_TOGETHER:
        return gain, noise
    usual = float(np.median(noise[known]))
    near = _winsorised(gain[known], usual)
    between = max(float(near.var(ddof=1)) - usual, 1e-9)
    own, middle = 1.0 / np.maximum(noise, 1e-12), float(near.mean())
    precision = own + 1.0 / between
    return (own * gain + middle / between) / precision, 1.0 / precision + (between + usual) / known.sum()


def _winsorised(gain: Reals, noise: float) -> Reals:
    """Gains, none further from their median than is usual among them; `noise` is the usual squared noise."""
    middle = float(np.median(gain))
    reach = WINSOR_LIMIT * max(NORMAL * float(np.median(np.abs(gain - middle))), float(np.sqrt(noise)))
    return np.asarray(np.clip(gain, middle - reach, middle + reach))


def licences(
    found: Sequence[Verdict], bands: Sequence[HorizonBand], baselines: Sequence[str], series: int
) -> list[Licence]:
    """The licences of one series, one for each band."""
    return [_licence(verdict, band.name, baselines, series) for verdict, band in zip(found, bands, strict=True)]


def _licence(verdict: Verdict, horizon: str, baselines: Sequence[str], series: int) -> Licence:
    name, drawn = baselines[verdict.baseline[series]], bool(verdict.licensed[series])
    gain, noise = float(verdict.gain[series]), float(verdict.noise[series])
    return Licence(
        horizon,
        BLEND if drawn else name,
        name,
        gain,
        noise,
        int(verdict.origins[series]),
        _reason(verdict, name, drawn, series),
    )


def _reason(verdict: Verdict, name: str, drawn: bool, series: int) -> str:
    if not verdict.origins[series] and np.isfinite(verdict.gain[series]):
        return f"{'The blend' if drawn else name} is drawn, as nearer to now: {TOO_SHORT} this far ahead."
    if not np.isfinite(verdict.gain[series]):
        return f"{name} is drawn: {TOO_SHORT} that could prove anything better."
    gain, noise, numbers, lower = _compared_in_words(verdict, series)
    if drawn:
        alone = "" if lower else "; on this series alone no lower, within the noise"
        return f"The blend is drawn: it beat {name}, the best baseline, by {gain:.0f} % give or take {noise:.0f} ({numbers}{alone})."
    proof = "no proof" if lower else "no proof, for its own mean error was no lower"
    return f"{name} is drawn: against this baseline the blend {_outcome(gain)} give or take {noise:.0f}, {proof} ({numbers})."


def reason_of_sum(verdict: Verdict, name: str, sites: int, series: int) -> str:
    """The decision on a sum of sites, which is drawn in any case, against the baseline of that name; the verdict's
    blend is the sum.
    """
    told = (
        f"The sum of its {sites} sites' forecasts is drawn" if sites != 1 else "The forecast of its only site is drawn"
    )
    if not verdict.origins[series] or not np.isfinite(verdict.gain[series]):
        return f"{told}, untested: {TOO_SHORT}{' this far ahead' if np.isfinite(verdict.gain[series]) else ''}."
    gain, noise, numbers, lower = _compared_in_words(verdict, series)
    if verdict.licensed[series]:
        alone = "" if lower else "; alone no lower, within the noise"
        return (
            f"{told}: it beat {name}, its best baseline, by {gain:.0f} % give or take {noise:.0f} ({numbers}{alone})."
        )
    return f"{told}: against {name}, its best baseline, it {_outcome(gain)} give or take {noise:.0f}, no proof ({numbers.removeprefix('mean absolute ')})."


def _compared_in_words(verdict: Verdict, series: int) -> tuple[float, float, str, bool]:
    """Gain and noise in percent, both errors in words, and whether the first was lower."""
    gain, noise = (float(100.0 * (1.0 - np.exp(-value))) for value in (verdict.gain[series], verdict.noise[series]))
    own, other = verdict.blend_error[series], verdict.baseline_error[series]
    return (
        gain,
        noise,
        f"mean absolute error {own:.3g} against {other:.3g} over {verdict.origins[series]} origins",
        bool(own < other),
    )


def _outcome(gain: float) -> str:
    return f"gained {gain:.0f} %" if gain >= 0.0 else f"erred {-gain:.0f} % more,"
