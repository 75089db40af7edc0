"""What leans on other series is settled from all of them, whichever workers judged them, and Prophet's name is one
curve everywhere.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data.schema import QUANTILES, Series
from forecasting.evaluation.backtest_batch import SeriesBatch, evaluate_batch
from forecasting.evaluation.model_selection import backtest_pool, prophet_curve
from forecasting.evaluation.reconciliation import (
    COLD_START,
    ReconciledForecasts,
    apply_cold_start,
    complete_hierarchies,
    dependent_series,
    sum_contributions,
    sums_of,
)
from forecasting.panel.panel import Panel
from tests.forecasting.networks import NOW, daily, no_events, panel_of, rows, stamps_of

FRA, AMS, NRT = (Series("site", key, "egress_gbps") for key in ("fra-01", "ams-01", "nrt-01"))
EU, ALL = Series("region", "eu", "egress_gbps"), Series("global", "all", "egress_gbps")


def with_a_young_site() -> Panel:
    """fra-01 opened nine days ago at a quarter of what ams-01 of its region carries; nrt-01 is of another region."""
    long = stamps_of(30)
    values = daily(long, 20.0, noise=0.0)
    young = rows("fra-01", long[-9 * 24 :], 0.25 * values[-9 * 24 :])
    return panel_of(young, rows("ams-01", long, values), rows("nrt-01", long, daily(long, 30.0, seed=2)))


def told(series: Series, level: float) -> pd.DataFrame:
    """A forecast of a day, the same at all hours, ten percent either way."""
    stamps = pd.date_range(NOW, periods=24, freq="h", unit="us")
    return pd.DataFrame(
        {
            **series._asdict(),
            "ts": stamps,
            "yhat": level,
            **{name: level * (0.9 + 0.2 * share) for name, share in QUANTILES.items()},
        }
    )


def evidence(series: Series) -> dict[str, pd.DataFrame]:
    licence = series._asdict() | {
        "horizon": "0-24 h",
        "model": "level_adjusted_median",
        "baseline": "level_adjusted_median",
        "licensed": True,
        "error": 0.5,
    }
    licence |= {"baseline_error": 0.6, "margin": 0.01, "origins": 2, "reason": "because."}
    scores = pd.DataFrame(
        [series._asdict() | {"model": model, "score": "mase", "value": 1.0} for model in ("licensed", "blend")]
    )
    return {"licences": pd.DataFrame([licence]), "scores": scores, "backtests": pd.DataFrame([series._asdict()])}


def test_sums_and_young_sites_lean_on_others() -> None:
    panel = with_a_young_site()
    assert dependent_series(panel, [FRA, AMS, NRT, EU]) == {FRA, EU}
    assert sums_of(panel, FRA) == (EU, ALL)


def test_a_young_site_borrows_of_all_grown_sites_of_its_region_and_its_licence_tells_it() -> None:
    parts = [evidence(one) for one in (FRA, AMS)]
    both = {
        name: pd.concat([part[name] for part in parts], ignore_index=True)
        for name in ("licences", "scores", "backtests")
    }
    forecasts = pd.concat([told(FRA, 7.0), told(NRT, 30.0), told(AMS, 20.0)], ignore_index=True)
    recent = forecasts.assign(ts=forecasts["ts"] - pd.Timedelta(days=9, hours=12))
    found = apply_cold_start(with_a_young_site(), ReconciledForecasts(forecasts, recent, **both, notes={}), [FRA])
    before = found.recent[found.recent["key"] == "fra-01"].set_index("ts")["yhat"].sort_index()
    assert before.loc[: NOW - pd.Timedelta(days=9, hours=1)].isna().all(), "nothing before it opened"
    assert before.loc[NOW - pd.Timedelta(days=9) :].tolist() == pytest.approx([5.0] * 12)
    means = found.forecasts.groupby("key")["yhat"].mean()
    assert means.to_dict() == pytest.approx({"ams-01": 20.0, "fra-01": 5.0, "nrt-01": 30.0})
    mine = found.licences.set_index("key").loc["fra-01"]
    assert (mine["model"], mine["licensed"], mine["origins"]) == (COLD_START, False, 0)
    assert mine["reason"] == (
        "The shape of its region is drawn: 9 cycles of its own; the shape is that of 1 series of eu, egress_gbps, with bands 1.5 times as wide."
    )
    assert mine[["error", "baseline_error", "margin"]].isna().all()
    assert found.scores.groupby("key")["model"].agg(list).to_dict() == {
        "ams-01": ["licensed", "blend"],
        "fra-01": ["blend"],
    }
    assert found.backtests["key"].tolist() == ["ams-01"]
    assert found.licences.set_index("key").loc["ams-01", "model"] == "level_adjusted_median"


def test_a_sum_agrees_only_where_all_of_its_sites_are_forecast() -> None:
    panel = with_a_young_site()
    some = pd.concat([told(one, 1.0) for one in (FRA, AMS, EU, ALL)], ignore_index=True)
    assert complete_hierarchies(panel, some) == {EU: [AMS, FRA]}


def test_parts_that_knew_something_and_were_not_asked_leave_no_sum() -> None:
    early, late = NOW - pd.Timedelta(days=9), NOW - pd.Timedelta(days=1)
    one, other = {late: np.array([1.0, 2.0, 3.0])}, {late: np.array([10.0, np.nan])}
    assert sum_contributions([one, other], [early, early], late) == pytest.approx([11.0, 2.0])
    assert sum_contributions([one, {}], [early, early], late) is None
    assert sum_contributions([one, {}], [early, late], late) == pytest.approx([1.0, 2.0, 3.0]), (
        "who was not there yet adds nothing"
    )
    assert sum_contributions([], [], late) is None


def test_prophet_is_the_same_curve_ahead_as_in_the_backtests() -> None:
    stamps = stamps_of(21)
    hours = pd.DataFrame({AMS: daily(stamps, 20.0), EU: daily(stamps, 25.0, seed=3)}, index=stamps)
    subject = SeriesBatch((AMS, EU), hours, "UTC", (no_events().assign(share=1.0),) * 2, ((EU, ALL), ()))
    found = evaluate_batch(subject, 24)
    expected = np.maximum(prophet_curve(backtest_pool(subject.history(24), 24)), 0.0)
    ahead = found.forecasts.pivot_table(index="ts", columns="key", values="prophet")
    assert ahead[["ams-01", "eu"]].to_numpy() == pytest.approx(expected, rel=1e-5)
    assert set(found.contributions) == {EU, ALL}
    assert found.aggregates.series == (EU,)
