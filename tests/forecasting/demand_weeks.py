"""Demand of a few sites whose weeks are drawn from a process that is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from forecasting.peaks.simulation import HOUR, HOURS, Known, SimulationHistory
from forecasting.peaks.weekly_statistics import Reals, weekly

FIRST = np.datetime64("2025-01-06", "us")


class Shocks(NamedTuple):
    """Standard deviations of the logarithm: of a week that all sites share, of a site's own week, and of an hour."""

    shared: float = 0.05
    own: float = 0.05
    hourly: float = 0.02


def demand(weeks: int, sites: int, seed: int = 1, shocks: Shocks = Shocks(), growth: float = 0.0) -> Reals:  # noqa: B008
    """Hourly values (168 x weeks, sites): a daily wave, weekly shocks and `growth` of the logarithm a week."""
    rng = np.random.default_rng(seed)
    hours = np.arange(weeks * HOURS)
    week = hours // HOURS
    log = 0.5 * np.sin(2 * np.pi * hours / 24)[:, None] + growth * week[:, None] + np.linspace(0.0, 1.0, sites)
    log = (
        log
        + shocks.shared * rng.standard_normal((weeks, 1))[week]
        + shocks.own * rng.standard_normal((weeks, sites))[week]
    )
    return np.exp(log + shocks.hourly * rng.standard_normal(log.shape))


def history(values: Reals, groups: tuple[list[int], ...] = (), known: Known | None = None) -> SimulationHistory:
    """A history whose samples are its hourly values."""
    stamps = FIRST + np.arange(len(values)) * HOUR
    positions = tuple(np.array(members) for members in groups)
    sums = [np.nansum(values[:, members], axis=1) for members in positions]
    return SimulationHistory(stamps, values, positions, weekly(stamps, np.column_stack([values, *sums])), known)
