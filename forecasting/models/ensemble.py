"""The ensemble: every candidate model by name (`pool`), and how their forecasts are blended by their past errors.

A model is a small pure function of a history. Its weight in the blend, for each series and band of horizons, is an
inverse power of its error: the geometric mean over origins of its error relative to the other models', so that a hard
week counts no more than an easy one, and a recent origin more than an old one; shrunk to what is usual in the panel. The power grows with what the origins
saw: eight non-overlapping windows of a band let the best models decide, one nearly averages (docs/methods.md has the
measurements).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forecasting.models.baselines import (
    QUICK,
    SLOW,
    daily_median,
    double_seasonal_smoothing,
    exponentially_weighted_mean,
    last_year_at_level,
    level_adjusted_median,
    naive,
    rescaled_seasonal_median,
    seasonal_median,
    seasonal_naive,
)
from forecasting.models.boosted import boosted_trees, recursive_trees
from forecasting.models.growth import with_growth
from forecasting.models.panel_prophet import Variant, panel_prophet
from forecasting.panel.history import Model, Reals, nan_median, shared
from forecasting.panel.local_time import in_local_time

PROPHET_MAP = "prophet_map"
VARIANTS: dict[str, Variant] = {
    PROPHET_MAP: Variant(),
    "prophet_flat_trend_residuals": Variant(trend="frozen", residuals=True),
    "prophet_log_flat_trend": Variant(log=True, trend="frozen"),
    "prophet_log_flat_trend_residuals": Variant(log=True, trend="frozen", residuals=True),
}
# What knows of a year, from thirteen months of history on. Six harmonics: three miss the weeks of holidays, ten follow the
# weather of a single year.
YEARLY_VARIANTS: dict[str, Variant] = {
    "prophet_yearly": Variant(trend="frozen", residuals=True, prior=0.001, year=6),
    "prophet_log_yearly": Variant(log=True, trend="frozen", residuals=True, prior=0.001, year=6),
}
LAST_YEAR = "last_year_at_level"
YEARLY = (*YEARLY_VARIANTS, LAST_YEAR)

SMOOTHED: dict[str, Model] = {
    "double_seasonal_smoothing_slow": double_seasonal_smoothing(SLOW, log=False),
    "double_seasonal_smoothing_quick": double_seasonal_smoothing(QUICK, log=False),
    "double_seasonal_smoothing_log_quick": double_seasonal_smoothing(QUICK, log=True),
}

BOOSTED: dict[str, Model] = {
    "boosted_trees_weekly": boosted_trees(daily=False),
    "boosted_trees_daily": boosted_trees(daily=True),
}
# Where the panel is too small or too short for those.
RECURSIVE: dict[str, Model] = {"recursive_trees": recursive_trees}
# Most of the pool are variants of a few ideas whose errors go together, and outvote one that stands alone: trees count
# as this many models (docs/methods.md). Beyond a month so do those that know of a year, for there is no evidence for them
# before a year and a quarter is known.
STANDING = dict.fromkeys(BOOSTED, 2.5) | dict.fromkeys(RECURSIVE, 5.0)
FAR_STANDING = dict.fromkeys(YEARLY, 12.0)


def baselines(seasons: Sequence[int]) -> dict[str, Model]:
    """The copies and medians that a forecast must beat to be drawn."""
    if not seasons:
        return {"naive": naive}
    copies = {f"seasonal_naive_{season}": seasonal_naive(season) for season in seasons}
    return {
        **copies,
        "seasonal_median": seasonal_median(seasons[-1]),
        "level_adjusted_median": level_adjusted_median(seasons[-1]),
    }


def pool(seasons: Sequence[int]) -> dict[str, Model]:
    """Every model for series with these seasons, in steps: six of panel Prophet, eleven without a fit, two ensembles of
    both, three of trees. Those without a trend of their own grow with the panel.
    """
    return in_local_time(_pool_of_steps(seasons))


def _pool_of_steps(seasons: Sequence[int]) -> dict[str, Model]:
    """The same, counting steps as they pass."""
    fitted = {name: panel_prophet(variant) for name, variant in (VARIANTS | YEARLY_VARIANTS).items()}
    if not seasons:
        return fitted | baselines(seasons)
    others = {
        "daily_median": daily_median,
        "exponentially_weighted_mean": exponentially_weighted_mean(seasons[-1]),
        "rescaled_seasonal_median": rescaled_seasonal_median(seasons[-1]),
        LAST_YEAR: last_year_at_level,
    }
    single = {
        name: memoized(name, model)
        for name, model in (fitted | baselines(seasons) | others | SMOOTHED | BOOSTED | RECURSIVE).items()
    }
    three = [
        single[name]
        for name in ("prophet_log_flat_trend_residuals", f"seasonal_naive_{seasons[-1]}", "seasonal_median")
    ]
    five = [*three, single["prophet_flat_trend_residuals"], single["level_adjusted_median"]]
    return with_growth_of_panel(
        seasons,
        {
            **single,
            "median_of_five": ensemble(five, lambda stacked: np.asarray(np.median(stacked, axis=0))),
            "mean_of_three": ensemble(three, lambda stacked: np.asarray(stacked.mean(axis=0))),
        },
    )


def with_growth_of_panel(seasons: Sequence[int], models: Mapping[str, Model]) -> dict[str, Model]:
    """The same models, with growth where they know of none: all but the baselines, which stay as simple as their names,
    and those with a trend or a year of their own.
    """
    without = {*baselines(seasons), *YEARLY, *(name for name, variant in VARIANTS.items() if variant.trend != "frozen")}
    return {name: model if name in without else with_growth(model) for name, model in models.items()}


def least_history_of(seasons: Sequence[int]) -> dict[str, int]:
    """Steps of history below which a model is not yet itself: a copy of last week, before there was one, copies
    yesterday.
    """
    weekly = (
        f"seasonal_naive_{max(seasons, default=1)}",
        "seasonal_median",
        "level_adjusted_median",
        "exponentially_weighted_mean",
        "rescaled_seasonal_median",
    )
    return dict.fromkeys((*weekly, *SMOOTHED, "median_of_five", "mean_of_three"), max(seasons, default=1))


def ensemble(members: Sequence[Model], combine: Callable[[Reals], Reals]) -> Model:
    """The model that combines the forecasts of others, (members, steps, N) to (steps, N)."""
    return lambda history, steps: combine(np.stack([member(history, steps) for member in members]))


def memoized(name: str, model: Model) -> Model:
    """The same model; asked twice about one history, as ensembles do, it computes once."""
    return lambda history, steps: shared(history, (name, steps), lambda: model(history, steps))


# The power for each non-overlapping window of the band, and its limits.
POWER_PER_WINDOW, LEAST_POWER, GREATEST_POWER = 1.5, 2.0, 12.0
# An origin two weeks back counts for half, whatever the season.
HALF_LIFE_CYCLES = 2.0
# A series' relative errors are shrunk by this share, on the log scale, to the median of its panel, where it has so many
# series: 0.2 to 0.6 took about as much off (docs/methods.md).
PANEL_SHARE, SERIES_TOGETHER = 0.3, 5
# A model that was exact at one origin is not certain to be so again.
LEAST_RELATIVE_ERROR = 1e-3


def weights(errors: Reals, windows: Reals, ages: Reals, standing: Reals | None = None) -> Reals:
    """Weights (models, bands, N) that sum to one over the models.

    errors: mean absolute, (origins, models, bands, N), NaN where not scored; windows: effective number of each band; ages:
    of the origins, in long cycles;
    standing: as how many models each one counts, (models, bands), one each where it is not given. A model without an error in
    a band, because it was not yet itself, counts as the best one; a band that no origin saw is weighted like the band
    before it.
    """
    relative = _shrunk_to_panel(_relative(errors, 0.5 ** (ages / HALF_LIFE_CYCLES)))
    windows = windows.copy()
    for band in range(relative.shape[1]):
        blank = np.isnan(relative[:, band]).all(axis=0)
        relative[:, band, blank] = relative[:, band - 1, blank] if band else 1.0
        windows[band] = windows[band] or (windows[band - 1] if band else 0.0)
    power = np.clip(POWER_PER_WINDOW * windows, LEAST_POWER, GREATEST_POWER)
    best = np.fmin.reduce(relative, axis=0)
    raw = np.where(np.isnan(relative), 1.0, relative / best) ** -power[None, :, None]
    raw *= 1.0 if standing is None else standing[:, :, None]
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


def _shrunk_to_panel(relative: Reals) -> Reals:
    """Relative errors (models, bands, N), each shrunk towards the median of all series; as they are in a small
    panel.
    """
    if relative.shape[2] < SERIES_TOGETHER:
        return relative
    logs = np.log(relative)
    panel = nan_median(np.moveaxis(logs, 2, 0))
    return np.asarray(np.exp((1.0 - PANEL_SHARE) * logs + PANEL_SHARE * panel[:, :, None]))


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
