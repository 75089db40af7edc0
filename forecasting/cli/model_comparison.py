"""Models against what came: every model asked for, its bands, and its scores for each series."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from data.schema import QUANTILES
from data.schema.errors import SettingError
from forecasting.evaluation import metrics
from forecasting.evaluation.licence import BLEND
from forecasting.evaluation.model_selection import Drawn, Learned, draw, learn, lower_bound, model_quantiles
from forecasting.evaluation.naive2 import naive2
from forecasting.models.pool import PANEL, baselines, pool
from forecasting.models.variants import panel_quantiles
from forecasting.panel.history import History, Reals

LICENSED, PROPHET = "licensed", "prophet"
SCORES = ("mase", "wape", "smape", "coverage_80", "coverage_95", "msis_95")
LEVELS = list(QUANTILES.values())


class Told(NamedTuple):
    """One model's forecast: point (H, N), quantiles (H, N, 7), and the seconds that it took."""

    point: Reals
    quantiles: Reals
    seconds: float


def known_models(seasons: Sequence[int]) -> list[str]:
    """Every name that may be asked for."""
    return [LICENSED, BLEND, PROPHET, *pool(seasons)]


def default_models(seasons: Sequence[int]) -> list[str]:
    """What is scored where nothing is named: what is drawn, what it is made of, the panel's Prophet and the
    baselines.
    """
    return [LICENSED, BLEND, PANEL, *baselines(seasons)]


def checked(asked: Sequence[str], seasons: Sequence[int]) -> list[str]:
    """The models asked for, the licensed one first; raises SettingError for a name that is none."""
    known = known_models(seasons)
    if unknown := [name for name in asked if name not in known]:
        raise SettingError(
            f"No model is called {', '.join(unknown)}.",
            cause="it is mistyped, or needs a season that is not named",
            remedy=f"choose from {', '.join(known)}",
        )
    return list(dict.fromkeys([LICENSED, *asked]))


def tell(
    history: History, horizon: int, asked: Sequence[str], count: int, executor: Executor | None
) -> tuple[dict[str, Told], Drawn]:
    """The forecasts of the models asked for from the end of a history, and how the licensed one came about."""
    began = time.perf_counter()
    learned = learn(history, horizon, count=count)
    drawn = draw(learned)
    seconds = time.perf_counter() - began
    found = {LICENSED: Told(drawn.point, drawn.quantiles, seconds)}
    for name in asked:
        if name != LICENSED:
            found[name] = _told(name, learned, drawn, seconds, executor)
    return found, drawn


def _told(name: str, learned: Learned, drawn: Drawn, seconds: float, executor: Executor | None) -> Told:
    history, horizon = learned.history, learned.ahead.shape[1]
    if name == BLEND:
        return Told(drawn.blend, drawn.blend_quantiles(learned), seconds)
    began = time.perf_counter()
    if name == PROPHET:
        return _prophet(history, horizon, executor, began)
    fresh = history.until(len(history.stamps))
    pool(history.seasons)[name](fresh, horizon)
    if name == PANEL:
        own = np.maximum(panel_quantiles(fresh, horizon, LEVELS), lower_bound(history)[:, None])
        return Told(learned.ahead[learned.backtest.models.index(name)].astype(float), own, time.perf_counter() - began)
    alone = time.perf_counter() - began
    if name not in learned.backtest.models:  # trees, where there are too few series to learn from
        return Told(
            np.full((horizon, history.measured.shape[1]), np.nan),
            np.full((horizon, history.measured.shape[1], len(LEVELS)), np.nan),
            alone,
        )
    return Told(*model_quantiles(learned, name), alone)


def _prophet(history: History, horizon: int, executor: Executor | None, began: float) -> Told:
    """The package at its defaults, its series spread over the workers."""
    from forecasting.models.prophet_engine import by_default  # Prophet takes seconds to import

    ahead = history.ahead(horizon)
    if executor is None:
        found = np.stack([by_default(history.stamps, column, ahead, LEVELS) for column in history.measured.T], axis=1)
    else:
        jobs = [executor.submit(by_default, history.stamps, column, ahead, LEVELS) for column in history.measured.T]
        found = np.stack([job.result() for job in jobs], axis=1)
    return Told(found[:, :, 0], found[:, :, 1:], time.perf_counter() - began)


def scores(history: History, told: Mapping[str, Told], actual: Reals) -> dict[str, dict[str, Reals]]:
    """The scores of each model, a number for each series (N); Naive2's sMAPE and MASE under its own name where it is
    defined.
    """
    scale = metrics.seasonal_scale(history.measured, history.short)
    reference = naive2(history, len(actual))
    found = {name: _scores(one, actual, scale) for name, one in told.items()}
    return {
        **found,
        "naive2": {"smape": metrics.smape(actual, reference), "mase": metrics.mase(actual, reference, scale)},
    }


def _scores(told: Told, actual: Reals, scale: Reals) -> dict[str, Reals]:
    point, bounds = told.point, told.quantiles
    return {
        "mase": metrics.mase(actual, point, scale),
        "wape": metrics.wape(actual, point),
        "smape": metrics.smape(actual, point),
        "coverage_80": metrics.coverage(actual, bounds[:, :, 1], bounds[:, :, 5]),
        "coverage_95": metrics.coverage(actual, bounds[:, :, 0], bounds[:, :, 6]),
        "msis_95": metrics.msis(actual, bounds[:, :, 0], bounds[:, :, 6], 0.95, scale),
    }
