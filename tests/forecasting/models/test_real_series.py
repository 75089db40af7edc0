"""Real series get forecasts, and these hold up against the same hour of last week."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.holdout import PLAN, SETS, errors, measured, origins, panel_until
from data.schema import Series
from forecasting.models.prophet_engine import ProphetEngine
from tests.forecasting.networks import Here

pytestmark = pytest.mark.real

CASES = [
    ("abilene", Series("global", "all", "egress_gbps"), 1.25),
    ("abilene", Series("site", "nycmng", "ingest_gbps"), 1.25),
    ("p2p_live", Series("global", "all", "egress_gbps"), 1.1),
    ("p2p_live", Series("global", "all", "viewers"), 1.1),
    ("p2p_live", Series("site", "fr", "egress_gbps"), 1.1),
]


@pytest.mark.parametrize(("data", "series", "limit"), CASES)
def test_a_real_series_is_forecast_about_as_well_as_naive_or_better(
    datasets: Path, data: str, series: Series, limit: float
) -> None:
    truth = measured(datasets, SETS[data])
    now = next(iter(origins(truth, 1)))
    panel = panel_until({series: truth[series]}, now)
    (result,) = ProphetEngine().forecast(panel, PLAN, Here())
    assert result.series_status["status"].tolist() == ["fitted"]
    found = errors(truth[series], result, now)
    assert found["error"] < limit * found["naive_error"]
    assert found["mean_total"] == pytest.approx(found["total"], rel=0.25)
    assert found["band_past_80"] == pytest.approx(0.8, abs=0.1)
    assert found["band_past_95"] == pytest.approx(0.95, abs=0.05)
    assert found["in_95"] > 0.6


@pytest.mark.parametrize("data", SETS)
def test_every_place_of_a_real_network_has_a_series_in_the_panel(datasets: Path, data: str) -> None:
    truth = measured(datasets, SETS[data])
    panel = panel_until(truth, max(values.index[-1] for values in truth.values()))
    assert set(panel.series) == set(truth)
    assert panel.hourly.notna().mean().min() > 0.85
