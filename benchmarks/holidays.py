"""Do public holidays help on holidays, and leave ordinary days alone?

    python -m benchmarks.holidays [--datasets ../shared/datasets]

One JSON line for each series of `years` that lies in one country (Melbourne's pedestrians until the pandemic): the mean
absolute error of some models with holidays over that without, on holidays and on ordinary days, up to 90 days ahead of
an origin every 30 days that knows the 400 days before it. Only the country is told, as a lake tells it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.models.ensemble import pool
from forecasting.models.event_effects import with_event_effects
from forecasting.panel.events import holidays_of
from forecasting.panel.history import History

KNOWN, AHEAD, APART = (pd.Timedelta(days=days) for days in (400, 90, 30))
# Series, country, file, seasons in steps, and what is left out from which day on.
SERIES = (
    ("bikes", "US", "hourly", (24, 168), None),
    ("bikes", "US", "daily", (7,), None),
    ("madrid_bus", "ES", "daily", (7,), None),
    ("madrid_metro", "ES", "daily", (7,), None),
    ("pedestrians", "AU", "daily", (7,), "2020-02-15"),
    ("wp_log_R", "US", "daily", (7,), None),
)
MODELS = ("seasonal_naive_{}", "seasonal_median", "prophet_log_flat_trend", "double_seasonal_smoothing_log_quick")


def main() -> None:
    """Measure, and print a line for each series and model."""
    parser = argparse.ArgumentParser(description="Errors with holidays over errors without.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    options = parser.parse_args()
    for name, country, file, seasons, until in SERIES:
        rows = pd.read_parquet(options.datasets / "years" / f"{file}.parquet")
        values = rows[rows["series_id"] == name].set_index("ts")["y"].sort_index()
        values.index = pd.DatetimeIndex(values.index).tz_localize(None)
        values = values.asfreq("h" if file == "hourly" else "D")[:until]
        for model, ratios in measured(values, country, seasons).items():
            line = {"benchmark": "holidays", "series": name, "grain": file, "country": country, "model": model}
            sys.stdout.write(json.dumps(line | ratios) + "\n")
            sys.stdout.flush()


def measured(values: pd.Series, country: str, seasons: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """By model: the error with holidays over that without, on holidays and on ordinary days."""
    stamps = pd.DatetimeIndex(values.index)
    calendar = holidays_of({country: 1.0}, "UTC", stamps[0].year, stamps[-1].year + 1)
    names = [name.format(seasons[-1]) for name in MODELS]
    errors: dict[tuple[str, bool, bool], list[float]] = defaultdict(list)
    for origin in pd.date_range(stamps[0] + KNOWN, stamps[-1] - APART, freq=APART):
        known = values[(stamps >= origin - KNOWN) & (stamps < origin)]
        actual = values[(stamps >= origin) & (stamps < origin + AHEAD)]
        is_holiday = np.isin(actual.index.to_numpy().astype("datetime64[D]"), calendar.dates)
        for told in (False, True):
            history = History(
                pd.DatetimeIndex(known.index),
                known.to_numpy(float)[:, None],
                seasons,
                holidays=(calendar,) if told else (),
            )
            models = with_event_effects({name: model for name, model in pool(seasons).items() if name in names})
            for name, model in models.items():
                missed = np.abs(model(history, len(actual))[:, 0] - actual.to_numpy(float))
                for day in (False, True):
                    errors[name, told, day] += missed[(is_holiday == day) & np.isfinite(missed)].tolist()
    return {
        name: {
            label: round(float(np.mean(errors[name, True, day]) / np.mean(errors[name, False, day])), 3)
            for label, day in (("on_holidays", True), ("on_ordinary_days", False))
        }
        for name in names
        if (name, True, True) in errors
    }


if __name__ == "__main__":
    main()
