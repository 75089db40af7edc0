"""Panel Prophet in the variants that the pool needs: its trend free or frozen, on the raw or the log scale,
with or without the last residuals.

Three fits of the panel serve them all. What each variant is for was measured (docs/methods.md): an extrapolated slope
does the most harm on a short history; the log scale suits demand, whose swings grow with its level; the residuals of
yesterday and of last week carry what a smooth curve cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from forecasting.models.baselines import LEVEL_DAYS, exponential_decay, knows_a_year
from forecasting.models.engine import FIT_HISTORY
from forecasting.panel.history import History, LogScale, Model, Reals, nan_mean, shared
from forecasting.prophet_map.fit import Curves, Season, Spec, fit

# Prophet's own orders, for its shortest and its other seasonalities.
SHORT_ORDER, LONG_ORDER = 4, 3
# A season is modelled once it has been seen twice, as Prophet's own rule has it.
SEEN_AT_LEAST = 2
# The residual of yesterday is gone after three days: a length in short cycles.
RESIDUAL_CYCLES = 3.0
# How much of a past residual is expected again.
CARRIED = 0.5
YEAR_HOURS = 365.25 * 24

Trend = Literal["free", "frozen"]


class Variant(NamedTuple):
    """A member of the family. `order` is the Fourier order of the short season, `prior` that of the changepoints;
    `residuals` adds the last ones. year: harmonics of a year, 0 for none; a curve with a year is tied to the level of the
    last four weeks, and is none for a series that is not older than a year and these.
    """

    log: bool = False
    trend: Trend = "free"
    residuals: bool = False
    order: int = SHORT_ORDER
    prior: float = 0.05
    year: int = 0


def panel_prophet(variant: Variant) -> Model:
    """The model of a variant."""

    def model(history: History, steps: int) -> Reals:
        scale = shared(history, "log scales", lambda: LogScale.of(history.measured)) if variant.log else None
        if variant.year and not knows_a_year(history).any():
            return np.full((steps, history.measured.shape[1]), np.nan)
        curves = _curves(history, variant, scale)
        forecasts = extrapolate(curves, history, steps, variant.trend)
        if variant.residuals:
            count = history.days(LEVEL_DAYS) if variant.year else history.long
            values = history.measured[-count:]
            residuals = (values if scale is None else scale.log(values)) - curves.predict(
                history.clock(history.stamps[-count:])
            )
            level = nan_mean(residuals) if variant.year else 0.0
            forecasts = forecasts + level + residual_correction((residuals - level)[-history.long :], history, steps)
        forecasts = forecasts if scale is None else scale.value(forecasts)
        return np.where(knows_a_year(history), forecasts, np.nan) if variant.year else forecasts

    return model


def panel_quantiles(history: History, steps: int, levels: Sequence[float]) -> Reals:
    """The panel's Prophet with its own bands, (steps, N, levels): what its users know, before anything is
    calibrated.
    """
    return _curves(history, Variant(), None).quantiles(history.clock(history.ahead(steps)), levels)


def _curves(history: History, variant: Variant, scale: LogScale | None) -> Curves:
    """The fit that a variant shares with others."""
    key = ("curves", variant.log, variant.order, variant.prior, variant.year)
    # Only a curve with a year learns from more than one.
    count = len(history.stamps) if variant.year else history.days(FIT_HISTORY.days)
    stamps, values = history.clock(history.stamps[-count:]), history.measured[-count:]
    return shared(
        history,
        key,
        lambda: fit(stamps, values if scale is None else scale.log(values), _spec(history, variant)),
    )


def extrapolate(curves: Curves, history: History, steps: int, trend: Trend) -> Reals:
    """The fitted curve over the steps ahead, (steps, N), its trend as asked for."""
    parts = shared(
        history, ("ahead", id(curves), steps), lambda: curves.components(history.clock(history.ahead(steps)))
    )
    free = parts["trend"]
    shape = shared(
        history,
        ("shape", id(curves), steps),
        lambda: sum((part for name, part in parts.items() if name != "trend"), np.zeros_like(free)),
    )
    if trend == "free":
        return free + shape
    last = curves.trend(history.clock(history.stamps[-1:]))
    return shape + last


def residual_correction(missed: Reals, history: History, steps: int) -> Reals:
    """What the last residuals (rows, N) add: half of those of the last short cycle, fading, and half of those of the
    last long one.
    """
    rows = np.arange(steps)
    residuals = np.where(np.isnan(missed), 0.0, missed)
    correction = (
        CARRIED
        * _last(residuals, history.short)[rows % history.short]
        * exponential_decay(steps, RESIDUAL_CYCLES * history.short)[:, None]
    )
    if history.long > history.short:
        correction = correction + CARRIED * _last(residuals, history.long)[rows % history.long]
    return correction


def _last(values: Reals, count: int) -> Reals:
    """The last `count` rows, zeros before the first."""
    return np.concatenate([np.zeros((max(count - len(values), 0), values.shape[1])), values[-count:]])


def _spec(history: History, variant: Variant) -> Spec:
    hours = history.step / pd.Timedelta(hours=1)
    known = [season for season in history.seasons if len(history.stamps) >= SEEN_AT_LEAST * season]
    orders = [variant.order if season == history.short else LONG_ORDER for season in known]
    seasons = [
        Season(f"every {season}", season * hours, min(order, season // 2))
        for season, order in zip(known, orders, strict=True)
    ]
    if variant.year:
        seasons.append(Season("year", YEAR_HOURS, variant.year))
    return Spec(seasons=tuple(seasons), changepoint_prior=variant.prior)
