"""Mixed series, and what the prophet package makes of them: the reference that the panel engine is compared with, in
tests and in figures.

The density is written out once more here, from the model's definition and plain NumPy, so that neither side is judged
by its own code.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from prophet import Prophet

from forecasting.panel.history import LogScale
from forecasting.prophet_map.fit import Curves, Season, Spec, fit

Reals = npt.NDArray[np.float64]
DAILY, WEEKLY = Season("daily", 24.0, 4), Season("weekly", 168.0, 3)
REGRESSOR_PRIOR = 10.0


@dataclass(frozen=True, slots=True)
class Case:
    """One series: measured (T,) with NaN where missing, the model, and a regressor (T + ahead, K) that reaches over the
    stamps ahead.
    """

    name: str
    stamps: pd.DatetimeIndex
    ahead: pd.DatetimeIndex
    measured: Reals
    spec: Spec
    regressors: Reals

    @property
    def known(self) -> Reals | None:
        return self.regressors[: len(self.stamps)] if self.regressors.shape[1] else None

    @property
    def coming(self) -> Reals | None:
        return self.regressors[len(self.stamps) :] if self.regressors.shape[1] else None


class Found(NamedTuple):
    """What one side found: the negative log posterior on one common scale, the fitted curve at the rows held and ahead,
    the parts of it ahead.
    """

    objective: float
    fitted: Reals
    ahead: Reals
    parts: dict[str, Reals]


def density(
    y: Reals,
    curve: Reals,
    sigma: float,
    trend: tuple[float, float],
    changes: Reals,
    tau: float,
    effects: Reals,
    scales: Reals,
) -> float:
    """Prophet's negative log posterior up to a constant, on scaled values: its likelihood and its priors, term by
    term.
    """
    likelihood = float(np.sum((y - curve) ** 2)) / (2.0 * sigma**2) + len(y) * np.log(sigma)
    trend_prior = sum((value / 5.0) ** 2 / 2.0 for value in trend)
    return float(
        likelihood
        + trend_prior
        + np.abs(changes).sum() / tau
        + np.sum((effects / scales) ** 2) / 2.0
        + (sigma / 0.5) ** 2 / 2.0
    )


def mixed(count: int, *, days: int, seed: int = 1) -> Iterator[Case]:
    """Series of every kind in turn: additive, logarithmic; linear, flat; whole, with gaps, begun late;
    with events; hourly, 5-minute, daily.
    """
    rng = np.random.default_rng(seed)
    shape = (
        Spec((DAILY, WEEKLY)),
        Spec((DAILY, WEEKLY), log=True),
        Spec((DAILY, WEEKLY), growth="flat"),
    )
    for number in range(count):
        kind, spec = number % 7, shape[number % len(shape)]
        step, length = {5: ("5min", 12 * 24 * 14), 6: ("D", 450)}.get(kind, ("h", 24 * days))
        stamps = pd.date_range("2026-01-05", periods=length + length // 6, freq=step)
        if step == "D":
            spec = replace(spec, seasons=(WEEKLY, Season("yearly", 8766.0, 4)))
        values, events = _series(rng, stamps, with_events=kind in {3, 6})
        held, ahead, values = stamps[:length], stamps[length:], values[:length]
        if kind in {1, 4}:
            values[rng.integers(0, length, length // 20)] = np.nan
            values[length // 3 : length // 3 + length // 30] = np.nan
        if kind == 2:
            values[: rng.integers(1, length // 4)] = np.nan
        yield Case(f"{number}: {step}, {spec.growth}", held, ahead, values, spec, events)


def _series(rng: np.random.Generator, stamps: pd.DatetimeIndex, *, with_events: bool) -> tuple[Reals, Reals]:
    """A day's and a week's shape on a trend that bends, noise that grows with the level; and its events, if any."""
    hours = np.asarray((stamps - stamps[0]) / pd.Timedelta(hours=1))
    share = hours / hours[-1]
    phase = rng.uniform(0.0, 24.0)
    day = 0.4 * np.sin(2.0 * np.pi * (hours - phase) / 24.0) + 0.15 * np.sin(4.0 * np.pi * (hours - phase) / 24.0)
    week = 0.15 * np.sin(2.0 * np.pi * (hours - phase) / 168.0)
    bends = rng.uniform(0.0, 0.8, 3)
    trend = (
        1.0
        + rng.normal(0.0, 0.15) * share
        + (rng.normal(0.0, 0.2, 3) * np.maximum(share[:, None] - bends, 0.0)).sum(axis=1)
    )
    events = np.zeros((len(stamps), 1 if with_events else 0))
    for at in rng.integers(0, len(stamps) - 6, 12 if with_events else 0):
        events[at : at + 6] = 1.0
    lift = 1.0 + 0.5 * events.sum(axis=1)
    values = np.maximum(trend, 0.2) * (1.2 + day + week) * lift * np.exp(rng.normal(0.0, 0.08, len(stamps)))
    return rng.lognormal(3.0, 2.0) * values, events


def by_panel(case: Case) -> tuple[Found, Curves]:
    """The panel engine's answer, judged by `density`."""
    curves = fit(case.stamps, case.measured[:, None], case.spec, case.known, REGRESSOR_PRIOR)
    held, size = np.isfinite(case.measured), float(curves.scale.size[0])
    fitted = curves.fitted_curve(case.stamps, case.known)[held, 0]
    scales = np.r_[
        np.full(curves.seasons.shape[1], case.spec.season_prior), np.full(curves.regressors.shape[1], REGRESSOR_PRIOR)
    ]
    effects = np.r_[curves.seasons[0], curves.regressors[0]]
    trend, sigma = (float(curves.slope[0]), float(curves.offset[0])), float(curves.sigma[0]) / size
    objective = density(
        scaled(case)[held] / size,
        fitted / size,
        sigma,
        trend,
        curves.changes[0],
        case.spec.changepoint_prior,
        effects,
        scales,
    )
    parts = {name: part[:, 0] for name, part in curves.components(case.ahead, case.coming).items()}
    return Found(objective, fitted, curves.fitted_curve(case.ahead, case.coming)[:, 0], parts), curves


def by_prophet(case: Case) -> Found:
    """Prophet's answer, its optimiser as it comes, judged by `density` from its own parameters."""
    model = unfitted(case.spec)
    for number in range(case.regressors.shape[1]):
        model.add_regressor(f"event_{number}", prior_scale=REGRESSOR_PRIOR, standardize=False)
    columns = {f"event_{number}": column for number, column in enumerate(case.regressors.T)}
    frame = pd.DataFrame({"ds": case.stamps.append(case.ahead), **columns})
    history = frame.iloc[: len(case.stamps)].assign(y=scaled(case))
    with quiet():
        model.fit(history)
        fitted = model.predict(history.dropna())["yhat"].to_numpy()
        told = model.predict(frame.iloc[len(case.stamps) :])
        scales = np.asarray(model.make_all_seasonality_features(model.history)[1])
    size, found = float(model.y_scale or 1.0), {name: value[0] for name, value in model.params.items()}
    trend, sigma = (float(found["k"][0]), float(found["m"][0])), float(found["sigma_obs"][0])
    held = case.measured[np.isfinite(case.measured)]
    y = scaled(replace(case, measured=held, stamps=case.stamps[: len(held)])) / size
    objective = density(
        y, fitted / size, sigma, trend, found["delta"], case.spec.changepoint_prior, found["beta"], scales
    )
    parts = {
        "trend": told["trend"].to_numpy(),
        **{season.name: told[season.name].to_numpy() for season in case.spec.seasons},
    }
    if case.regressors.shape[1]:
        parts["regressors"] = told["extra_regressors_additive"].to_numpy()
    return Found(objective, fitted, told["yhat"].to_numpy(), parts)


def scaled(case: Case) -> Reals:
    """The values on the scale that is fitted."""
    return LogScale.of(case.measured).log(case.measured) if case.spec.log else case.measured


def unfitted(spec: Spec) -> Prophet:
    """Prophet set up as the panel engine's model."""
    settings: dict[str, Any] = dict.fromkeys(("daily_seasonality", "weekly_seasonality", "yearly_seasonality"), False)
    model = Prophet(
        growth=spec.growth,
        n_changepoints=spec.changepoints,
        changepoint_range=spec.changepoint_range,
        changepoint_prior_scale=spec.changepoint_prior,
        uncertainty_samples=0,
        **settings,
    )
    for season in spec.seasons:
        model.add_seasonality(season.name, season.period_hours / 24.0, season.order, prior_scale=spec.season_prior)
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Without what Prophet and its Stan wrapper log, and what their code deprecates."""
    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
