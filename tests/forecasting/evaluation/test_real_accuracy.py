"""What is drawn on real series that were held back, beside panel Prophet and the best baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import SEASONS, SETS
from forecasting.evaluation import metrics
from forecasting.evaluation.model_selection import backtest_pool, select_and_calibrate
from forecasting.models.ensemble import PROPHET_MAP, baselines
from forecasting.panel.history import History

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("data", "below_prophet"), [("abilene", 0.6), ("p2p_live_busy", 0.85)])
def test_the_licensed_forecast_beats_prophet_and_the_best_baseline_and_its_bands_hold(
    datasets: Path, data: str, below_prophet: float
) -> None:
    errors: dict[str, list[float]] = {name: [] for name in ("licensed", PROPHET_MAP, *baselines(SEASONS))}
    covered = []
    for held in SETS[data](datasets):
        values = held.hours.to_numpy(dtype=float)
        learned = backtest_pool(
            History(pd.DatetimeIndex(held.hours.index[: held.known]), values[: held.known], SEASONS), held.horizon
        )
        drawn, actual = select_and_calibrate(learned), values[held.known : held.known + held.horizon]
        scale = metrics.seasonal_scale(learned.history.measured, SEASONS[0])
        for name, found in errors.items():
            told = (
                drawn.point if name == "licensed" else learned.ahead[learned.backtest.models.index(name)].astype(float)
            )
            found.append(float(np.nanmean(metrics.mase(actual, told, scale))))
        covered.append(float(np.nanmean(metrics.coverage(actual, drawn.quantiles[:, :, 0], drawn.quantiles[:, :, 6]))))
    usual = {name: float(np.mean(found)) for name, found in errors.items()}
    assert usual["licensed"] < below_prophet * usual[PROPHET_MAP]
    assert usual["licensed"] < min(usual[name] for name in baselines(SEASONS))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
