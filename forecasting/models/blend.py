"""The blend: every model of the pool, weighted for each series and horizon band by its own errors at past origins.

Weights are an inverse power of a model's error, the geometric mean over origins of its error relative to the other
models', so that a hard week counts no more than an easy one, and a recent origin more than an old one. The power grows
with what the origins saw: eight disjoint looks at a band let the best models decide, one look nearly averages
(docs/methods.md has the measurements).
"""

from __future__ import annotations

import numpy as np

from forecasting.panel.history import Reals

# The power for each disjoint look at the band, and its limits.
POWER_PER_LOOK, LEAST_POWER, GREATEST_POWER = 1.5, 2.0, 12.0
# An origin two weeks back counts for half, whatever the season.
HALF_LIFE_CYCLES = 2.0
# A model that was exact at one origin is not certain to be so again.
LEAST_RELATIVE_ERROR = 1e-3


def weights(errors: Reals, looks: Reals, ages: Reals, standing: Reals | None = None) -> Reals:
    """Weights (models, bands, N) that sum to one over the models.

    errors: mean absolute, (origins, models, bands, N), NaN where not scored; looks: disjoint looks at each band; ages:
    of the origins, in long cycles;
    standing: as how many models each one counts, (models), one each where it is not given. A model without an error in
    a band, because it was not yet itself, counts as the best one; a band that no origin saw is weighted like the band
    before it.
    """
    relative, looks = _relative(errors, 0.5 ** (ages / HALF_LIFE_CYCLES)), looks.copy()
    for band in range(relative.shape[1]):
        blank = np.isnan(relative[:, band]).all(axis=0)
        relative[:, band, blank] = relative[:, band - 1, blank] if band else 1.0
        looks[band] = looks[band] or (looks[band - 1] if band else 0.0)
    power = np.clip(POWER_PER_LOOK * looks, LEAST_POWER, GREATEST_POWER)
    best = np.fmin.reduce(relative, axis=0)
    raw = np.where(np.isnan(relative), 1.0, relative / best) ** -power[None, :, None]
    raw *= 1.0 if standing is None else standing[:, None, None]
    return np.asarray(raw / raw.sum(axis=0))


def _relative(errors: Reals, recency: Reals) -> Reals:
    """The weighted geometric mean over origins of each model's error relative to the mean of all, (models, bands, N);
    NaN without one.
    """
    is_scored = ~np.isnan(errors)
    usual = np.where(is_scored, errors, 0.0).sum(axis=1, keepdims=True) / np.maximum(
        is_scored.sum(axis=1, keepdims=True), 1
    )
    ratios = np.where(is_scored & (usual > 0.0), errors / np.where(usual > 0.0, usual, 1.0), 1.0)
    weight = recency[:, None, None, None] * is_scored
    total = weight.sum(axis=0)
    logs = (weight * np.log(np.maximum(ratios, LEAST_RELATIVE_ERROR))).sum(axis=0)
    return np.where(total > 0.0, np.exp(logs / np.where(total > 0.0, total, 1.0)), np.nan)


def weighted_mean(forecasts: Reals, by_step: Reals) -> Reals:
    """The weighted mean over the models, (M, H, N) with weights (M, H, N) to (H, N); a model that has no forecast
    passes its weight to the others.

    NaN where no model with a weight has one.
    """
    missing = np.isnan(forecasts)
    if missing.any():
        by_step, forecasts = np.where(missing, 0.0, by_step), np.where(missing, 0.0, forecasts)
    total = by_step.sum(axis=0)
    return np.where(
        total > 0.0, np.einsum("mhn,mhn->hn", by_step, forecasts) / np.where(total > 0.0, total, 1.0), np.nan
    )
