"""The pool: every model that may be drawn or blended, by name, each a small pure function of a history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forecasting.models.baselines import levelled_median, naive, seasonal_median, seasonal_naive
from forecasting.models.history import History, Model, Reals, shared
from forecasting.models.variants import Variant, panel_prophet

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


def baselines(seasons: Sequence[int]) -> dict[str, Model]:
    """The models without a fit, among them those that a forecast must beat to be drawn."""
    if not seasons:
        return {"naive": naive}
    copies = {f"seasonal-naive-{season}": seasonal_naive(season) for season in seasons}
    return {**copies, "seasonal-median": seasonal_median(seasons[-1]), "levelled-median": levelled_median(seasons[-1])}


def pool(seasons: Sequence[int]) -> dict[str, Model]:
    """Every model for series with these seasons, in steps: seven of panel Prophet, those without a fit, and three ensembles of both."""
    single = {name: remembered(name, model) for name, model in ({name: panel_prophet(one) for name, one in VARIANTS.items()} | baselines(seasons)).items()}
    simple = list(baselines(seasons))
    three = [single[name] for name in ("panel-log-frozen-residuals", *simple[-3:-1])]
    five = [*three, single["panel-frozen-residuals"], single[simple[-1]]]
    return {
        **single,
        "median-of-five": ensemble(five, lambda stacked: np.median(stacked, axis=0)),
        "median-of-three": ensemble(three, lambda stacked: np.median(stacked, axis=0)),
        "mean-of-three": ensemble(three, lambda stacked: stacked.mean(axis=0)),
    }


def ensemble(members: Sequence[Model], combine: Callable[[Reals], Reals]) -> Model:
    """The model that combines the forecasts of others, (members, steps, N) to (steps, N)."""
    return lambda history, steps: combine(np.stack([member(history, steps) for member in members]))


def remembered(name: str, model: Model) -> Model:
    """The same model; asked twice about one history, as ensembles do, it computes once."""
    return lambda history, steps: shared(history, (name, steps), lambda: model(history, steps))
