"""Models compared on series of which it is known what came: the forecast of every model asked for with its intervals,
its scores over origins, and the table and the JSON that are made of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from data.schema import QUANTILES
from data.schema.errors import SettingError
from forecasting.evaluation import metrics
from forecasting.evaluation.licence import BLEND, Licence
from forecasting.evaluation.metrics import naive2
from forecasting.evaluation.model_selection import (
    PoolBacktest,
    SelectedForecast,
    backtest_pool,
    lower_bound,
    model_quantiles,
    select_and_calibrate,
)
from forecasting.models.ensemble import PROPHET_MAP, baselines, pool
from forecasting.models.panel_prophet import panel_quantiles
from forecasting.panel.history import History, Reals

LICENSED, PROPHET = "licensed", "prophet"
SCORES = ("mase", "wape", "smape", "coverage_80", "coverage_95", "msis_95")
LEVELS = list(QUANTILES.values())


class ModelForecast(NamedTuple):
    """One model's forecast: point (H, N), quantiles (H, N, 7), and the seconds that it took."""

    point: Reals
    quantiles: Reals
    seconds: float


def known_models(seasons: Sequence[int]) -> list[str]:
    """Every name that may be asked for."""
    return [LICENSED, BLEND, PROPHET, *pool(seasons)]


def default_models(seasons: Sequence[int]) -> list[str]:
    """Models that are scored by default: the licensed forecast, the ensemble, the panel's Prophet and the
    baselines.
    """
    return [LICENSED, BLEND, PROPHET_MAP, *baselines(seasons)]


def checked_models(names: Sequence[str], seasons: Sequence[int]) -> list[str]:
    """The models asked for, the licensed one first; raises SettingError for a name that is none."""
    models = known_models(seasons)
    if unknown := [name for name in names if name not in models]:
        raise SettingError(
            f"No model is called {', '.join(unknown)}.",
            cause="it is mistyped, or needs a season that is not named",
            remedy=f"choose from {', '.join(models)}",
        )
    return list(dict.fromkeys([LICENSED, *names]))


def forecast_models(
    history: History, horizon: int, models: Sequence[str], count: int, executor: Executor | None
) -> tuple[dict[str, ModelForecast], SelectedForecast]:
    """The forecasts of the models asked for from the end of a history, and how the licensed one came about."""
    began = time.perf_counter()
    pool_backtest = backtest_pool(history, horizon, count=count)
    selected = select_and_calibrate(pool_backtest)
    seconds = time.perf_counter() - began
    forecasts = {LICENSED: ModelForecast(selected.point, selected.quantiles, seconds)}
    for name in models:
        if name != LICENSED:
            forecasts[name] = _forecast_model(name, pool_backtest, selected, seconds, executor)
    return forecasts, selected


def _forecast_model(
    name: str, pool_backtest: PoolBacktest, selected: SelectedForecast, seconds: float, executor: Executor | None
) -> ModelForecast:
    history, horizon = pool_backtest.history, pool_backtest.ahead.shape[1]
    if name == BLEND:
        return ModelForecast(selected.blend, selected.blend_quantiles(history), seconds)
    began = time.perf_counter()
    if name == PROPHET:
        return _prophet(history, horizon, executor, began)
    fresh = history.until(len(history.stamps))
    pool(history.seasons)[name](fresh, horizon)
    if name == PROPHET_MAP:
        own = np.maximum(panel_quantiles(fresh, horizon, LEVELS), lower_bound(history)[:, None])
        return ModelForecast(
            pool_backtest.ahead[pool_backtest.backtest.models.index(name)].astype(float),
            own,
            time.perf_counter() - began,
        )
    alone = time.perf_counter() - began
    if name not in pool_backtest.backtest.models:  # trees, where there are too few series to learn from
        return ModelForecast(
            np.full((horizon, history.measured.shape[1]), np.nan),
            np.full((horizon, history.measured.shape[1], len(LEVELS)), np.nan),
            alone,
        )
    return ModelForecast(*model_quantiles(pool_backtest, name), alone)


def _prophet(history: History, horizon: int, executor: Executor | None, began: float) -> ModelForecast:
    """The package at its defaults, its series spread over the workers."""
    from forecasting.models.prophet_engine import by_default  # Prophet takes seconds to import

    ahead = history.ahead(horizon)
    if executor is None:
        columns = np.stack([by_default(history.stamps, column, ahead, LEVELS) for column in history.measured.T], axis=1)
    else:
        jobs = [executor.submit(by_default, history.stamps, column, ahead, LEVELS) for column in history.measured.T]
        columns = np.stack([job.result() for job in jobs], axis=1)
    return ModelForecast(columns[:, :, 0], columns[:, :, 1:], time.perf_counter() - began)


def score_forecasts(
    history: History, forecasts: Mapping[str, ModelForecast], actual: Reals
) -> dict[str, dict[str, Reals]]:
    """The scores of each model, a number for each series (N); Naive2's sMAPE and MASE under its own name where it is
    defined.
    """
    scale = metrics.seasonal_scale(history.measured, history.short)
    reference = naive2(history, len(actual))
    scores = {name: _scores(forecast, actual, scale) for name, forecast in forecasts.items()}
    return {
        **scores,
        "naive2": {"smape": metrics.smape(actual, reference), "mase": metrics.mase(actual, reference, scale)},
    }


def _scores(forecast: ModelForecast, actual: Reals, scale: Reals) -> dict[str, Reals]:
    point, bounds = forecast.point, forecast.quantiles
    return {
        "mase": metrics.mase(actual, point, scale),
        "wape": metrics.wape(actual, point),
        "smape": metrics.smape(actual, point),
        "coverage_80": metrics.coverage(actual, bounds[:, :, 1], bounds[:, :, 5]),
        "coverage_95": metrics.coverage(actual, bounds[:, :, 0], bounds[:, :, 6]),
        "msis_95": metrics.msis(actual, bounds[:, :, 0], bounds[:, :, 6], 0.95, scale),
    }


LISTED = ("mase", "wape", "smape", "owa", "coverage_80", "coverage_95", "msis_95")
NAIVE2 = "naive2"
# Digits that a score is worth.
DIGITS = 6


@dataclass
class Scoreboard:
    """Scores by model, series and origin; seconds by model and series, an even share of what its panel took; the number
    of origins by series; the licences of each series at its last origin; reasons by series that is not scored.
    """

    scores: dict[tuple[str, str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    seconds: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    origins: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    licences: dict[str, list[Licence]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, names: Sequence[str], scores: Mapping[str, Mapping[str, Reals]]) -> None:
        """The scores of one origin: a number for each of the named series by model and score."""
        for model, by_score in scores.items():
            for score, values in by_score.items():
                for name, value in zip(names, values, strict=True):
                    self.scores[model, name, score].append(float(value))
        for name in names:
            self.origins[name] += 1

    def spend(self, names: Sequence[str], seconds: Mapping[str, float]) -> None:
        """Add the seconds that each model took at one origin, for these series together."""
        for model, took in seconds.items():
            for name in names:
                self.seconds[model, name] += took / len(names)

    @property
    def series(self) -> list[str]:
        """The series that were scored."""
        return sorted({name for _, name, _ in self.scores})

    def row(self, model: str, series: Sequence[str]) -> dict[str, Any]:
        """The scores of a model over these series: the mean over series of each one's mean over origins."""
        shares = [self._each(name, score, series) for name in (model, NAIVE2) for score in ("smape", "mase")]
        values = {score: float(metrics.mean(self._each(model, score, series))) for score in SCORES} | {
            "owa": metrics.owa(*shares)
        }
        return {
            "model": model,
            **{score: _plain(values[score]) for score in LISTED},
            "seconds": round(sum(self.seconds[model, name] for name in series), 3),
        }

    def _each(self, model: str, score: str, series: Sequence[str]) -> Reals:
        return np.array([float(metrics.mean(np.array(self.scores[model, name, score]))) for name in series])

    def report(self, models: Sequence[str], about: Mapping[str, Any]) -> dict[str, Any]:
        """All there is to say, as JSON has it; `origins` are those that were scored, by the series with the most of
        them.
        """
        each = {name: self._one(name, models) for name in self.series}
        return {
            **about,
            "origins": max(self.origins.values(), default=0),
            "models": [self.row(model, self.series) for model in models],
            "series": each,
            "refused": refusal_records(self.refused),
            "notes": self.notes,
        }

    def _one(self, name: str, models: Sequence[str]) -> dict[str, Any]:
        rows = [self.row(model, [name]) for model in models]
        return {"origins": self.origins[name], "models": rows, "licences": licence_records(self.licences[name])}


def refusal_records(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    """Series that are refused, as JSON has them."""
    return [{"series_id": name, "reason": reason} for name, reason in reasons.items()]


def licence_records(licences: Sequence[Licence]) -> list[dict[str, Any]]:
    """Licences as JSON has them."""
    return [_licence_record(licence) for licence in licences]


def _licence_record(licence: Licence) -> dict[str, Any]:
    return {**licence._asdict(), "gain": _plain(licence.gain), "noise": _plain(licence.noise)}


def json_value(value: Any) -> Any:
    """A value as JSON knows it, which has no infinity."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _plain(value: float) -> float | None:
    """A score as JSON knows it."""
    return round(value, DIGITS) if np.isfinite(value) else None


def print_scores(report: Mapping[str, Any]) -> None:
    """Print the leaderboard."""
    table = Table("model", *LISTED, "seconds", box=None)
    for row in report["models"]:
        table.add_row(
            row["model"], *("-" if row[score] is None else f"{row[score]:.3f}" for score in (*LISTED, "seconds"))
        )
    console = Console(width=140)
    console.print(table)
    of_asked = f" of {report['origins_asked']}" if report["origins"] < report["origins_asked"] else ""
    origins = f"{report['origins']}{of_asked} {'origin' if report['origins_asked'] == 1 else 'origins'}"
    console.print(
        f"{len(report['series'])} series, {origins}, {report['horizon']} steps of {report['step']} ahead",
        highlight=False,
    )
    print_notes(console, report)


def print_notes(console: Console, report: Mapping[str, Any]) -> None:
    """Print what is refused and noted, just as it stands: a series may be called [b] or be long."""
    for line in [
        *(f"refused {refusal['series_id']}: {refusal['reason']}" for refusal in report["refused"]),
        *report["notes"],
    ]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def write_json(report: Mapping[str, Any], path: Path) -> None:
    """Write JSON to a file, or to standard output for `-`."""
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
