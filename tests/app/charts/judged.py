"""Scores, backtests and parts of a model as the lake gives them, small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

MODELS = {"blend": 0.8, "licensed": 0.75, "prophet": 1.4, "seasonal_naive_168": 1.0, "seasonal_naive_24": 1.2}


def scores(values: dict[str, float] = MODELS) -> pd.DataFrame:
    return pd.DataFrame({"model": list(values), "value": list(values.values()), "origins": 8})


def calibration(of_peaks: bool) -> pd.DataFrame:
    horizons, shares = (("week 1", "week 2"), (0.9, 0.95)) if of_peaks else (("0-24 h", "1-7 d"), (0.5, 0.8, 0.95))
    rows = [(horizon, share, share - 0.1 * at, 8) for at, horizon in enumerate(horizons) for share in shares]
    return pd.DataFrame(rows, columns=["horizon", "nominal", "observed", "origins"])


def residuals(bias: float = 2.0, weeks: int = 4) -> pd.DataFrame:
    """Hours from a Monday on: `bias` Gbps more than expected, and 50 more on Saturdays at noon UTC."""
    ts = pd.date_range("2026-03-02", periods=168 * weeks, freq="h", tz="UTC")
    noise = np.random.default_rng(3).normal(0, 1, len(ts))
    saturday = 50.0 * ((ts.day_of_week == 5) & (ts.hour == 12))
    residual = bias + noise + saturday
    return pd.DataFrame({"origin": ts[0], "ts": ts, "yhat": 100.0, "value": 100.0 + residual, "residual": residual})
