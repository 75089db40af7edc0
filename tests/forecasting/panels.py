"""Small panels of demand for the tests: days and weeks with noise, and the awkward ones that turn up in practice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecasting.panel.history import History, Reals

START = pd.Timestamp("2026-01-05")
# Short cycles keep the tests quick; nothing in the code knows 24 or 168.
SEASONS = (6, 42)


def demand(steps: int, series: int, seed: int = 0, seasons: tuple[int, ...] = SEASONS, noise: float = 0.1) -> Reals:
    """Values above zero, (steps, series), with a short and a long cycle, a level that wanders and noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(steps)[:, None]
    waves = sum(
        (np.sin(2.0 * np.pi * time / season + rng.uniform(0, 6, series)) for season in seasons),
        np.zeros((steps, series)),
    )
    level = rng.uniform(5.0, 50.0, series) * np.exp(rng.normal(0.0, 0.01, (steps, series)).cumsum(axis=0))
    return np.asarray(level * np.exp(0.3 * waves + noise * rng.normal(size=(steps, series))))


def history(values: Reals, seasons: tuple[int, ...] = SEASONS) -> History:
    """Hourly values as a history."""
    return History(pd.date_range(START, periods=len(values), freq="h", unit="us"), values, seasons)


def awkward(steps: int) -> dict[str, Reals]:
    """Series that break careless code, each (steps)."""
    usual = demand(steps, 1, seed=3)[:, 0]
    holes, late, end = usual.copy(), usual.copy(), usual.copy()
    holes[steps // 2 : steps // 2 + 20] = np.nan
    late[: steps - 70] = np.nan
    end[-30:] = np.nan
    return {
        "usual": usual,
        "holes": holes,
        "late": late,
        "missing at the end": end,
        "constant": np.full(steps, 7.0),
        "zero": np.zeros(steps),
        "huge": usual * 1e12,
        "tiny": usual * 1e-9,
        "two values": np.where(np.arange(steps) % 5 == 0, 3.0, 1.0),
        "mostly zero": np.where(np.arange(steps) % 37 == 0, usual, 0.0),
        "negative": usual - 30.0,
        "step": np.where(np.arange(steps) < steps - 60, 1.0, 1000.0),
    }
