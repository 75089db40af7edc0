"""A batch of series, of which arithmetic may fail on some."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data.schema import Series
from forecasting.evaluation import backtest_batch
from forecasting.evaluation.backtest_batch import SeriesBatch, evaluate_isolating_failures
from forecasting.models.baselines import seasonal_median, seasonal_naive
from forecasting.models.engine import ForecastOptions
from forecasting.panel.history import History, Model, Reals
from forecasting.peaks import weekly_peaks
from forecasting.planning.plan_case import refusal_reason
from forecasting.refresh.licensed_engine import LicensedEngine
from tests.forecasting.networks import Here, daily, panel_of, rows, stamps_of

HOURS = stamps_of(21)
KEYS = ("ams-01", "fra-01", "nrt-01", "par-01", "sin-01")
ODD = "nrt-01"
# A level that no other series comes near: the model below fails on it.
LEVEL = 1e6


def batch(*keys: str) -> SeriesBatch:
    """Hours of some sites, each a column."""
    series = tuple(Series("site", key, "egress_gbps") for key in keys)
    values = {one: daily(HOURS, LEVEL if one.key == ODD else 10.0, seed=place) for place, one in enumerate(series)}
    hours = pd.DataFrame(values, index=HOURS)
    none = tuple(pd.DataFrame(columns=["kind", "start", "end", "treatment", "share"]) for _ in series)
    return SeriesBatch(series, hours, "UTC", none, tuple(() for _ in series))


def brittle(error: Exception) -> Model:
    """A copy of the last day that fails where the odd series is among those of the history."""

    def model(history: History, steps: int) -> Reals:
        if np.nanmax(history.measured) > LEVEL / 10.0:
            raise error
        return seasonal_naive(24)(history, steps)

    return model


@pytest.fixture
def few_models(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A pool of three quick models, of which one raises the parameter."""
    models = {
        "prophet_map": seasonal_median(168),
        "seasonal_naive_24": brittle(request.param),
        "seasonal_naive_168": seasonal_naive(168),
    }
    monkeypatch.setattr(backtest_batch, "pool", lambda _: models)


@pytest.mark.parametrize(
    "few_models",
    [np.linalg.LinAlgError("Singular matrix"), FloatingPointError("overflow"), ValueError("contains infinity")],
    indirect=True,
)
@pytest.mark.usefixtures("few_models")
def test_a_series_that_arithmetic_fails_on_stands_alone_and_the_others_are_evaluated() -> None:
    evaluations, failures = evaluate_isolating_failures(batch(*KEYS), 48)
    assert [series.key for series in failures] == [ODD]
    assert failures[Series("site", ODD, "egress_gbps")].split(": ")[1] in {
        "Singular matrix",
        "overflow",
        "contains infinity",
    }
    assert sorted(series.key for one in evaluations for series in one.series) == sorted({*KEYS} - {ODD})
    for one in evaluations:
        assert set(one.forecasts["key"]) == {series.key for series in one.series}


@pytest.mark.parametrize("few_models", [KeyError("a fault of the code")], indirect=True)
@pytest.mark.usefixtures("few_models")
def test_a_fault_of_the_code_is_not_taken_for_one_of_the_series() -> None:
    with pytest.raises(KeyError, match="a fault of the code"):
        evaluate_isolating_failures(batch(*KEYS), 48)


@pytest.mark.parametrize("few_models", [np.linalg.LinAlgError("Singular matrix")], indirect=True)
@pytest.mark.usefixtures("few_models")
def test_a_run_goes_on_without_the_series_and_says_why() -> None:
    panel = panel_of(
        *(rows(key, HOURS, daily(HOURS, LEVEL if key == ODD else 10.0, seed=n)) for n, key in enumerate(KEYS[:3]))
    )
    options = ForecastOptions(pd.Timedelta(days=2), pd.Timedelta(days=1), pd.Timedelta(days=1))
    parts = list(LicensedEngine().forecast(panel, options, Here()))
    status = pd.concat([part.series_status for part in parts]).set_index("key")
    assert status["status"].to_dict() == {"ams-01": "fitted", "fra-01": "fitted", ODD: "failed"}
    assert status.loc[ODD, "reason"] == "LinAlgError: Singular matrix"
    assert set(parts[-1].forecasts["key"]) == {"ams-01", "fra-01"}


@pytest.mark.parametrize("few_models", [np.linalg.LinAlgError("Singular matrix")], indirect=True)
@pytest.mark.usefixtures("few_models")
def test_a_run_goes_on_without_coming_weeks_and_plans_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise FloatingPointError("overflow")

    monkeypatch.setattr(weekly_peaks, "simulate", fails)
    panel = panel_of(*(rows(key, HOURS, daily(HOURS, seed=n)) for n, key in enumerate(KEYS[:2])))
    options = ForecastOptions(pd.Timedelta(days=2), pd.Timedelta(days=1), pd.Timedelta(days=1))
    parts = list(LicensedEngine().forecast(panel, options, Here()))
    assert set(parts[-1].forecasts["key"]) == {"ams-01", "fra-01"}
    for row in pd.concat([part.series_status for part in parts]).itertuples():
        assert row.status == "fitted"
        assert refusal_reason(row) == "no coming weeks: FloatingPointError: overflow"
