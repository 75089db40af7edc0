"""The licence: whether the blend beat the best baseline of a series in a band of horizons, how much of what is drawn is
the blend, and why.

The blend is licensed where it beat the best baseline out of sample, by more than the standard error of that comparison.
What is drawn is a mixture of the two, in which the blend's share rises with gain over standard error (a logistic
function): to draw the baseline alone wherever nothing is proven costs accuracy. The comparison is paired by origin, as a
logarithm of the two errors' ratio, so that a hard week counts no more than an easy one; and as no origin informs the blend that it scores, none informs which
baseline it scores as the best. A series with few origins is pulled towards the others of its panel by as much as they
agree (a random-effects mean, DerSimonian and Laird, 1986); what is far from them, such as a site that is idle or never
changes, is counted as no further off than the rest of the panel may be (winsorised), so that it takes no licence from
the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from data.schema import model_words
from forecasting.evaluation.backtest import FURTHEST, HorizonBand
from forecasting.panel.history import Reals

BLEND = "blend"
# What a licence calls a mixture of the blend with a baseline that it has not been proven to beat.
MIXTURE = "mixture"
# The blend's share of what is drawn is logistic(SHARE_SLOPE (z + SHARE_OFFSET)), z being gain over standard error: 0.70
# where both erred alike, 0.93 where the licence begins. Where origins know the blend but cannot yet be compared with a
# baseline, it is a half. On the parts kept for choosing, 1 to 3 and 0 to 1 in place of these differ by less than 0.4 %
# (docs/methods.md).
SHARE_SLOPE, SHARE_OFFSET = 1.7, 0.5
UNCOMPARED_SHARE = 0.5
# Beyond a month no baseline grows or knows a year, and past origins hardly show it yet: there the blend has 0.93 where both
# erred alike. On series of years that took 3 % off the error (docs/methods.md).
FAR_SHARE_OFFSET = 1.5
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
# A variance over few origins is shrunk to the panel's, which counts as this many.
SHARED_ORIGINS = 2.0
# A share below this rounds to nothing, and is not worth a word.
NEGLIGIBLE_SHARE = 0.005
# Errors that never differ have no standard error to divide by.
LEAST_STANDARD_ERROR = 1e-9
TOO_SHORT = "the history is too short for backtests"


class Verdict(NamedTuple):
    """The comparison with the baselines in one band, for each series.

    baseline: the best baseline's place. share: of the blend in what is drawn, the rest being the best baseline. gain:
    log ratio of errors, above zero where the blend was better, and its standard error. blend_error, baseline_error: mean
    errors of the blend and of the best baseline; rival_error: of the baselines that it is compared with, which the other
    origins name for each origin. origins: how many. NaN and 0 where nothing could be compared.
    """

    baseline: npt.NDArray[np.intp]
    share: Reals
    gain: Reals
    standard_error: Reals
    blend_error: Reals
    baseline_error: Reals
    rival_error: Reals
    origins: npt.NDArray[np.intp]

    @property
    def licensed(self) -> npt.NDArray[np.bool_]:
        """Whether the blend is proven to beat the best baseline: the gain passes its margin, and the series' own mean
        errors, which know of no other series, do not deny it.
        """
        margin = STANDARD_ERRORS * np.nan_to_num(self.standard_error)
        return (np.nan_to_num(self.gain, nan=-np.inf) > margin) & (self.blend_error < np.exp(margin) * self.rival_error)


class Licence(NamedTuple):
    """What is published for one series in one band, and why, in a sentence with the numbers.

    drawn: BLEND where it is licensed, else MIXTURE, or the baseline's name where the blend's share is negligible. share: of the
    blend in it. noise: the standard error of the gain.
    """

    horizon: str
    drawn: str
    baseline: str
    share: float
    gain: float
    noise: float
    origins: int
    sentence: str


def share_offsets(bands: Sequence[HorizonBand]) -> list[float]:
    """The `SHARE_OFFSET` of each band."""
    return [FAR_SHARE_OFFSET if band.name == FURTHEST else SHARE_OFFSET for band in bands]


def verdicts(
    blend: Reals, baselines: Reals, windows: Reals, default: int, offsets: Sequence[float] | None = None
) -> list[Verdict]:
    """One for each band: mean absolute errors of the blend (K, B, N) and of the baselines (K, M, B, N) at the same
    origins, and the effective number of windows of each band; offsets: `share_offsets` of the bands, all those of the
    nearer ones by default.

    A band that too few origins saw takes over the verdict of the band before it, with no origin of its own; where there
    is none, nothing is proven and the baseline `default` is mixed with the blend, or stands alone where no origin saw
    the blend either.
    """
    series = blend.shape[2]
    origins_needed = ORIGINS_TOGETHER if series >= SERIES_TOGETHER else ORIGINS_ALONE
    by_band: list[Verdict] = []
    for band in range(blend.shape[1]):
        has_blend = np.isfinite(blend[:, band]).any(axis=-1)
        has_baselines = np.all(np.isfinite(baselines[:, :, band]).any(axis=-1), axis=1)
        compared = has_blend & has_baselines
        if np.count_nonzero(compared) >= origins_needed:
            offset = SHARE_OFFSET if offsets is None else offsets[band]
            by_band.append(
                _compare(blend[compared, band], baselines[compared][:, :, band], float(windows[band]), offset)
            )
        elif by_band:
            by_band.append(by_band[-1]._replace(origins=np.zeros(series, dtype=np.intp)))
        else:
            by_band.append(_unproven(series, default, UNCOMPARED_SHARE if has_blend.any() else 0.0))
    return by_band


def _unproven(series: int, default: int, share: float) -> Verdict:
    blank = np.full(series, np.nan)
    return Verdict(
        np.full(series, default, dtype=np.intp),
        np.full(series, share),
        *(blank, blank, blank, blank, blank),
        np.zeros(series, dtype=np.intp),
    )


def _compare(blend: Reals, baselines: Reals, windows: float, offset: float) -> Verdict:
    """The verdict on errors of the same origins: blend (K, N), baselines (K, M, N)."""
    best, rivals = _best(_means(baselines)), _best(_means_of_others(baselines))
    rival_errors = np.take_along_axis(baselines, rivals[:, None], axis=1)[:, 0]
    log_ratios = np.log(_offset_ratio(rival_errors, blend))
    gain = _means(log_ratios)
    variance = _variance(log_ratios) / max(min(len(blend), windows), 1.0)
    if blend.shape[1] >= SERIES_TOGETHER:
        gain, variance = _partial_pooling(gain, variance)
    best_errors = np.take_along_axis(baselines, np.broadcast_to(best, (len(blend), 1, len(best))), axis=1)[:, 0]
    standard_error, mean_rival_error = np.sqrt(variance), _means(rival_errors)
    # A baseline that never erred, as on a series that never changes, is drawn as it is.
    share = np.where(mean_rival_error > 0.0, _share(gain, standard_error, offset), 0.0)
    return Verdict(
        best,
        share,
        gain,
        standard_error,
        _means(blend),
        _means(best_errors),
        mean_rival_error,
        np.count_nonzero(np.isfinite(log_ratios), axis=0),
    )


def _share(gain: Reals, standard_error: Reals, offset: float) -> Reals:
    """The blend's share of what is drawn, (N); a half where nothing could be compared."""
    z = gain / np.maximum(standard_error, LEAST_STANDARD_ERROR)
    share = expit(SHARE_SLOPE * (z + offset))
    return np.where(np.isnan(share), UNCOMPARED_SHARE, share)


def _best(usual: Reals) -> npt.NDArray[np.intp]:
    """The baseline of the least mean error, (..., M, N) to (..., N)."""
    return np.asarray(np.argmin(np.where(np.isnan(usual), np.inf, usual), axis=-2))


def _means_of_others(values: Reals) -> Reals:
    """For each origin the means over all others, (K, M, N) to the same; NaN where there is none."""
    is_known = ~np.isnan(values)
    known = np.where(is_known, values, 0.0)
    count = is_known.sum(axis=0) - is_known
    return np.where(count > 0, (known.sum(axis=0) - known) / np.maximum(count, 1), np.nan)


def _offset_ratio(other: Reals, blend: Reals) -> Reals:
    """The ratio of two errors (K, N), each with a share of the series' usual error added; one where there is never
    any.
    """
    offset = ERROR_OFFSET * _means(0.5 * (other + blend))
    offset = np.where(offset > 0.0, offset, 1.0)
    return np.asarray((other + offset) / (blend + offset))


def _means(values: Reals) -> Reals:
    """Means over the origins, NaN left out."""
    is_known = ~np.isnan(values)
    count = is_known.sum(axis=0)
    return np.where(count > 0, np.where(is_known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _variance(logs: Reals) -> Reals:
    """The variance over origins of each series, shrunk to the panel's median variance; NaN without an origin."""
    count = (~np.isnan(logs)).sum(axis=0)
    squares = _means((logs - _means(logs)) ** 2) * count
    own = squares / np.maximum(count - 1, 1)
    usual = np.median(own[count > 1]) if (count > 1).any() else np.nan
    weight = np.maximum(count - 1, 0)
    return np.asarray((np.where(count > 1, own, 0.0) * weight + SHARED_ORIGINS * usual) / (weight + SHARED_ORIGINS))


def _partial_pooling(gain: Reals, variance: Reals) -> tuple[Reals, Reals]:
    """Gains and their variances, shrunk to the panel's mean gain by as much as the series agree."""
    is_known = np.isfinite(gain) & np.isfinite(variance)
    count = is_known.sum()
    if count < SERIES_TOGETHER:
        return gain, variance
    usual = float(np.median(variance[is_known]))
    gains = _winsorised(gain[is_known], usual)
    between = max(float(gains.var(ddof=1)) - usual, 1e-9)
    own, mean = 1.0 / np.maximum(variance, 1e-12), float(gains.mean())
    precision = own + 1.0 / between
    return (own * gain + mean / between) / precision, 1.0 / precision + (between + usual) / count


def _winsorised(gain: Reals, variance: float) -> Reals:
    """Gains, none further from their median than is usual among them; `variance` is the usual one of a gain."""
    median = float(np.median(gain))
    reach = WINSOR_LIMIT * max(NORMAL * float(np.median(np.abs(gain - median))), float(np.sqrt(variance)))
    return np.asarray(np.clip(gain, median - reach, median + reach))


def licences(
    by_band: Sequence[Verdict], bands: Sequence[HorizonBand], baselines: Sequence[str], series: int
) -> list[Licence]:
    """The licences of one series, one for each band."""
    return [_licence(verdict, band.name, baselines, series) for verdict, band in zip(by_band, bands, strict=True)]


def _licence(verdict: Verdict, horizon: str, baselines: Sequence[str], series: int) -> Licence:
    name, share = baselines[verdict.baseline[series]], float(verdict.share[series])
    mixed = MIXTURE if share >= NEGLIGIBLE_SHARE else name
    return Licence(
        horizon,
        BLEND if verdict.licensed[series] else mixed,
        name,
        share,
        float(verdict.gain[series]),
        float(verdict.standard_error[series]),
        int(verdict.origins[series]),
        _reason(verdict, name, series),
    )


def _reason(verdict: Verdict, name: str, series: int) -> str:
    """The decision in a sentence, with the baseline of that name in words."""
    name, share = model_words(name), float(verdict.share[series])
    drawn = f"{name[:1].upper()}{name[1:]} is drawn"
    if share >= NEGLIGIBLE_SHARE:
        drawn = f"A mixture is drawn, {100.0 * share:.0f} % the blend and the rest {name}"
    if verdict.licensed[series]:
        rest = f", with {100.0 * (1.0 - share):.0f} % of {name}" if 1.0 - share >= NEGLIGIBLE_SHARE else ""
        drawn = f"The blend is drawn{rest}"
    if not verdict.origins[series] and np.isfinite(verdict.gain[series]):
        return f"{drawn}, as nearer to now: {TOO_SHORT} this far ahead."
    if not np.isfinite(verdict.gain[series]):
        return f"{drawn}: {TOO_SHORT} that could prove anything better."
    gain, noise, numbers, lower = _compared_in_words(verdict, series)
    if verdict.licensed[series]:
        alone = "" if lower else "; on this series alone no lower, within the noise"
        return (
            f"{drawn}: it beat {name}, the best baseline, by {gain:.0f} % give or take {noise:.0f} ({numbers}{alone})."
        )
    proof = "no proof" if lower else "no proof, for its own mean error was no lower"
    return f"{drawn}: against this baseline the blend {_outcome(gain)} give or take {noise:.0f}, {proof} ({numbers})."


def reason_of_sum(verdict: Verdict, name: str, sites: int, series: int) -> str:
    """The decision on a sum of sites, which is drawn in any case, against the baseline of that name; the verdict's
    blend is the sum.
    """
    name = model_words(name)
    subject = (
        f"The sum of its {sites} sites' forecasts is drawn" if sites != 1 else "The forecast of its only site is drawn"
    )
    if not verdict.origins[series] or not np.isfinite(verdict.gain[series]):
        return f"{subject}, untested: {TOO_SHORT}{' this far ahead' if np.isfinite(verdict.gain[series]) else ''}."
    gain, noise, numbers, lower = _compared_in_words(verdict, series)
    if verdict.licensed[series]:
        alone = "" if lower else "; alone no lower, within the noise"
        return f"{subject}: it beat {name}, its best baseline, by {gain:.0f} % give or take {noise:.0f} ({numbers}{alone})."
    return f"{subject}: against {name}, its best baseline, it {_outcome(gain)} give or take {noise:.0f}, no proof ({numbers.removeprefix('mean absolute ')})."


def _compared_in_words(verdict: Verdict, series: int) -> tuple[float, float, str, bool]:
    """Gain and noise in percent, both errors in words, and whether the first was lower."""
    gain, noise = (
        float(100.0 * (1.0 - np.exp(-value))) for value in (verdict.gain[series], verdict.standard_error[series])
    )
    own, other = verdict.blend_error[series], verdict.baseline_error[series]
    return (
        gain,
        noise,
        f"mean absolute error {own:.3g} against {other:.3g} over {verdict.origins[series]} origins",
        bool(own < other),
    )


def _outcome(gain: float) -> str:
    return f"gained {gain:.0f} %" if gain >= 0.0 else f"erred {-gain:.0f} % more,"
