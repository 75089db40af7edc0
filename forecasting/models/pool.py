"""The pool: every model that may be drawn or blended, by name, each a small pure function of a history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from forecasting.models.baselines import (
    fading_mean,
    levelled_median,
    naive,
    rescaled_median,
    seasonal_median,
    seasonal_naive,
    short_median,
)
from forecasting.models.boosted import boosted
from forecasting.models.smoothing import QUICK, SLOW, smoothed
from forecasting.models.variants import Variant, panel_prophet
from forecasting.panel.history import Model, Reals, shared
from forecasting.panel.local_time import in_local_time

PANEL = "panel"
VARIANTS: dict[str, Variant] = {
    PANEL: Variant(),
    "panel-frozen": Variant(trend="frozen"),
    "panel-damped": Variant(trend="damped"),
    "panel-frozen-residuals": Variant(trend="frozen", residuals=True),
    "panel-log-frozen": Variant(log=True, trend="frozen"),
    "panel-log-frozen-residuals": Variant(log=True, trend="frozen", residuals=True),
    # A sharp daily shape on a stiff trend; its residuals carry the rest.
    "panel-log-sharp-residuals": Variant(log=True, trend="frozen", residuals=True, order=11, prior=0.005),
}

SMOOTHED: dict[str, Model] = {
    "smoothed-slow": smoothed(SLOW, log=False),
    "smoothed-quick": smoothed(QUICK, log=False),
    "smoothed-log-slow": smoothed(SLOW, log=True),
    "smoothed-log-quick": smoothed(QUICK, log=True),
}

BOOSTED: dict[str, Model] = {"boosted-weekly": boosted(daily=False), "boosted-daily": boosted(daily=True)}
# Most of the pool are variants of a few ideas whose errors go together, and outvote one that stands alone: trees count
# as this many models (docs/methods.md).
STANDING = dict.fromkeys(BOOSTED, 2.5)


def baselines(seasons: Sequence[int]) -> dict[str, Model]:
    """The copies and medians that a forecast must beat to be drawn."""
    if not seasons:
        return {"naive": naive}
    copies = {f"seasonal-naive-{season}": seasonal_naive(season) for season in seasons}
    return {**copies, "seasonal-median": seasonal_median(seasons[-1]), "levelled-median": levelled_median(seasons[-1])}


def pool(seasons: Sequence[int]) -> dict[str, Model]:
    """Every model for series with these seasons, in steps: seven of panel Prophet, eleven without a fit, three
    ensembles of both, two of trees.
    """
    return in_local_time(_counting(seasons))


def _counting(seasons: Sequence[int]) -> dict[str, Model]:
    """The same, counting steps as they pass."""
    fitted = {name: panel_prophet(one) for name, one in VARIANTS.items()}
    if not seasons:
        return fitted | baselines(seasons)
    others = {
        "short-median": short_median,
        "fading-mean": fading_mean(seasons[-1]),
        "rescaled-median": rescaled_median(seasons[-1]),
    }
    single = {
        name: remembered(name, model)
        for name, model in (fitted | baselines(seasons) | others | SMOOTHED | BOOSTED).items()
    }
    three = [
        single[name] for name in ("panel-log-frozen-residuals", f"seasonal-naive-{seasons[-1]}", "seasonal-median")
    ]
    five = [*three, single["panel-frozen-residuals"], single["levelled-median"]]
    return {
        **single,
        "median-of-five": ensemble(five, lambda stacked: np.asarray(np.median(stacked, axis=0))),
        "median-of-three": ensemble(three, lambda stacked: np.asarray(np.median(stacked, axis=0))),
        "mean-of-three": ensemble(three, lambda stacked: np.asarray(stacked.mean(axis=0))),
    }


def needs(seasons: Sequence[int]) -> dict[str, int]:
    """Steps of history below which a model is not yet itself: a copy of last week, before there was one, copies
    yesterday.
    """
    weekly = (
        f"seasonal-naive-{max(seasons, default=1)}",
        "seasonal-median",
        "levelled-median",
        "fading-mean",
        "rescaled-median",
    )
    return dict.fromkeys(
        (*weekly, *SMOOTHED, "median-of-five", "median-of-three", "mean-of-three"), max(seasons, default=1)
    )


def ensemble(members: Sequence[Model], combine: Callable[[Reals], Reals]) -> Model:
    """The model that combines the forecasts of others, (members, steps, N) to (steps, N)."""
    return lambda history, steps: combine(np.stack([member(history, steps) for member in members]))


def remembered(name: str, model: Model) -> Model:
    """The same model; asked twice about one history, as ensembles do, it computes once."""
    return lambda history, steps: shared(history, (name, steps), lambda: model(history, steps))
