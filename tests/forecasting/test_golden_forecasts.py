"""Golden months: what three made-up series are expected to carry, week by week. A change of these numbers is meant, or
it is a fault.

`make golden` rewrites the file. It holds sums and not every hour, and is compared within two percent, because Stan's
last digits differ between processors.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.models.engine import EngineResult, ForecastOptions
from forecasting.models.prophet_engine import ProphetEngine
from forecasting.panel.panel import Panel
from tests.forecasting.networks import NOW, Here, daily, event, no_events, panel_of, rows, stamps_of

pytestmark = pytest.mark.golden

FILE = Path(__file__).resolve().parent.parent / "golden" / "forecasts.json"
TOLERANCE = 0.02
MONTH = ForecastOptions(horizon=pd.Timedelta(days=28), band_back=pd.Timedelta(days=7), band_ahead=pd.Timedelta(days=2))


def months() -> Panel:
    """A site that grows, one that is young, and one with a cup every week and an outage."""
    long, short = stamps_of(120), stamps_of(18)
    growing = daily(long, 40.0, seed=11) * np.exp(np.arange(len(long)) * np.log(1.5) / len(long))
    cups = [
        event(f"{NOW.floor('D') + pd.Timedelta(days=7 * week, hours=19)}".removesuffix("+00:00"), 3.0, scope="nrt-01")
        for week in range(-6, 5)
    ]
    lively = daily(long, 15.0, seed=13)
    for cup in cups:
        lively[(long >= cup["start"]) & (long < cup["end"])] *= 1.6
    lively[2000:2012] = 0.0
    frames = [
        rows("fra-01", long, growing),
        rows("ams-01", short, daily(short, 5.0, seed=12, noise=0.2)),
        rows("nrt-01", long, lively),
    ]
    return panel_of(*frames, events=no_events(*cups))


def summaries() -> dict[str, dict[str, list[float]]]:
    """For each series, totals of each week ahead of the mean and of some quantiles, and of each week's bounds."""
    return {
        str(part.series_status["key"][0]): summary(part) for part in ProphetEngine().forecast(months(), MONTH, Here())
    }


def summary(part: EngineResult) -> dict[str, list[float]]:
    weeks = part.forecasts.groupby((part.forecasts["ts"] - NOW) // pd.Timedelta(days=7))[
        ["yhat", "q025", "q10", "q50", "q90", "q975"]
    ].sum()
    sides = part.bands.groupby(part.bands["ts"] >= NOW)[
        ["expected", "lower_80", "upper_80", "lower_95", "upper_95"]
    ].sum()
    return {name: [round(value, 3) for value in frame[name]] for frame in (weeks, sides) for name in frame}


def test_the_months_are_as_they_were() -> None:
    found = summaries()
    if os.environ.get("HEADROOM_GOLDEN") == "write" and not os.environ.get("CI"):
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    assert FILE.is_file(), f"{FILE.name} is not there: `make golden` writes it"
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    assert found.keys() == kept.keys()
    for key, months_of in kept.items():
        for name, totals in months_of.items():
            assert found[key][name] == pytest.approx(totals, rel=TOLERANCE), (
                f"{key} {name} differs; where the change is meant, `make golden` rewrites it"
            )
