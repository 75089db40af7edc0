"""The pool: every model that may be drawn or blended, by name, each a small pure function of a history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from forecasting.models.baselines import (
    daily_median,
    exponentially_weighted_mean,
    level_adjusted_median,
    naive,
    rescaled_seasonal_median,
    seasonal_median,
    seasonal_naive,
)
from forecasting.models.boosted import boosted_trees
from forecasting.models.panel_prophet import Variant, panel_prophet
from forecasting.models.smoothing import QUICK, SLOW, double_seasonal_smoothing
from forecasting.panel.history import Model, Reals, shared
from forecasting.panel.local_time import in_local_time

PROPHET_MAP = "prophet_map"
VARIANTS: dict[str, Variant] = {
    PROPHET_MAP: Variant(),
    "prophet_flat_trend": Variant(trend="frozen"),
    "prophet_damped_trend": Variant(trend="damped"),
    "prophet_flat_trend_residuals": Variant(trend="frozen", residuals=True),
    "prophet_log_flat_trend": Variant(log=True, trend="frozen"),
    "prophet_log_flat_trend_residuals": Variant(log=True, trend="frozen", residuals=True),
    # A sharp daily shape on a stiff trend; its residuals carry the rest.
    "prophet_log_sharp_residuals": Variant(log=True, trend="frozen", residuals=True, order=11, prior=0.005),
}

SMOOTHED: dict[str, Model] = {
    "double_seasonal_smoothing_slow": double_seasonal_smoothing(SLOW, log=False),
    "double_seasonal_smoothing_quick": double_seasonal_smoothing(QUICK, log=False),
    "double_seasonal_smoothing_log_slow": double_seasonal_smoothing(SLOW, log=True),
    "double_seasonal_smoothing_log_quick": double_seasonal_smoothing(QUICK, log=True),
}

BOOSTED: dict[str, Model] = {
    "boosted_trees_weekly": boosted_trees(daily=False),
    "boosted_trees_daily": boosted_trees(daily=True),
}
# Most of the pool are variants of a few ideas whose errors go together, and outvote one that stands alone: trees count
# as this many models (docs/methods.md).
STANDING = dict.fromkeys(BOOSTED, 2.5)


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
    """Every model for series with these seasons, in steps: seven of panel Prophet, eleven without a fit, three
    ensembles of both, two of trees.
    """
    return in_local_time(_pool_of_steps(seasons))


def _pool_of_steps(seasons: Sequence[int]) -> dict[str, Model]:
    """The same, counting steps as they pass."""
    fitted = {name: panel_prophet(variant) for name, variant in VARIANTS.items()}
    if not seasons:
        return fitted | baselines(seasons)
    others = {
        "daily_median": daily_median,
        "exponentially_weighted_mean": exponentially_weighted_mean(seasons[-1]),
        "rescaled_seasonal_median": rescaled_seasonal_median(seasons[-1]),
    }
    single = {
        name: memoized(name, model)
        for name, model in (fitted | baselines(seasons) | others | SMOOTHED | BOOSTED).items()
    }
    three = [
        single[name]
        for name in ("prophet_log_flat_trend_residuals", f"seasonal_naive_{seasons[-1]}", "seasonal_median")
    ]
    five = [*three, single["prophet_flat_trend_residuals"], single["level_adjusted_median"]]
    return {
        **single,
        "median_of_five": ensemble(five, lambda stacked: np.asarray(np.median(stacked, axis=0))),
        "median_of_three": ensemble(three, lambda stacked: np.asarray(np.median(stacked, axis=0))),
        "mean_of_three": ensemble(three, lambda stacked: np.asarray(stacked.mean(axis=0))),
    }


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
    return dict.fromkeys(
        (*weekly, *SMOOTHED, "median_of_five", "median_of_three", "mean_of_three"), max(seasons, default=1)
    )


def ensemble(members: Sequence[Model], combine: Callable[[Reals], Reals]) -> Model:
    """The model that combines the forecasts of others, (members, steps, N) to (steps, N)."""
    return lambda history, steps: combine(np.stack([member(history, steps) for member in members]))


def memoized(name: str, model: Model) -> Model:
    """The same model; asked twice about one history, as ensembles do, it computes once."""
    return lambda history, steps: shared(history, (name, steps), lambda: model(history, steps))
