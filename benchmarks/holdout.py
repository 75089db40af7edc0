"""How good are the forecasts that a refresh publishes, on real series that were held back, beside the same hour of last
week?

    python -m benchmarks.holdout [--datasets ../shared/datasets] [--workers 2]

One JSON line for each data set and part of it: `total`, the sum of all places, and `each`, every place on its own. The
last days are held back (p2p_live: three times seven days, abilene, which has but fourteen, once seven). `wape` is the
sum of absolute errors of the hourly median over the sum of the values, over the whole hold-out; `naive` the same of the
same hour of last week; `wins` the share of series and weeks with less error than naive. `in_80` and `in_95` are the
shares of held-back hours within the hourly intervals, `top_in_95` the share of the highest tenth of them that stays
below the upper bound; `band_past_*` and `band_next_*` the shares of 5-minute samples within the bands, of the last 14
days (which the fit has seen) and of the next 2 (which it has not).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from data.schema import DEMAND_METRICS, Series
from forecasting.models.engine import EngineResult, ForecastOptions
from forecasting.models.prophet_engine import ProphetEngine
from forecasting.panel.panel import Panel, Sources, build
from forecasting.refresh.workers import pool

WEEK, DAY, GRAIN = pd.Timedelta(days=7), pd.Timedelta(days=1), pd.Timedelta(minutes=5)
RECENT = pd.Timedelta(days=28)
PLAN = ForecastOptions(horizon=WEEK)


class Real(NamedTuple):
    """A real data set: a file, its columns, the metric that each is, and how many weeks are held back."""

    file: str
    place: str
    columns: dict[str, str]
    weeks: int


SETS = {
    "abilene": Real(
        "abilene/traffic.parquet", "node", {"egress_gbps": "egress_gbps", "ingress_gbps": "ingest_gbps"}, 1
    ),
    "p2p_live": Real(
        "p2p_live/by_country_5min.parquet",
        "region",
        {"p2p_in_gbps": "egress_gbps", "p2p_out_gbps": "ingest_gbps", "active_receivers": "viewers"},
        3,
    ),
}


def main() -> None:
    """Measure, and print a line for each part of each data set."""
    parser = argparse.ArgumentParser(description="Errors and coverage of held-back real series.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with pool(options.workers) as executor:
        for name, real in SETS.items():
            truth = measured(options.datasets, real)
            scores = pd.concat([scored(truth, now, executor) for now in origins(truth, real.weeks)], ignore_index=True)
            for part, rows in scores.groupby("part"):
                sys.stdout.write(
                    json.dumps({"benchmark": "holdout", "data": name, "part": part, **summary(rows)}) + "\n"
                )
                sys.stdout.flush()


def measured(datasets: Path, real: Real) -> dict[Series, pd.Series]:
    """Every place and the total, at 5 minutes, UTC; an absent row on a present day is zero, as the data sets' README
    says.
    """
    rows = pd.read_parquet(datasets / real.file)
    rows[real.place] = rows[real.place].astype(str)
    found: dict[Series, pd.Series] = {}
    for column, metric in real.columns.items():
        grid = (
            rows.pivot_table(index="ts", columns=real.place, values=column).astype(float).fillna(0.0).tz_localize("UTC")
        )
        found |= {Series("site", place.lower(), metric): grid[place] for place in grid}
        found[Series("global", "all", metric)] = grid.sum(axis="columns")
    return found


def origins(truth: dict[Series, pd.Series], weeks: int) -> Iterator[pd.Timestamp]:
    """The moments after which all is held back."""
    end = max(values.index[-1] for values in truth.values()) + GRAIN
    return (end - WEEK * (number + 1) for number in range(weeks))


def panel_until(truth: dict[Series, pd.Series], now: pd.Timestamp) -> Panel:
    """What a lake would hold at that moment."""
    known = {series: values[values.index < now] for series, values in truth.items()}
    hours = _rows({series: values.resample("h").mean() for series, values in known.items()}).assign(completeness=1.0)
    samples = _rows({series: values[values.index >= now - RECENT] for series, values in known.items()})
    events = pd.DataFrame(columns=["event_id", "kind", "title", "start", "end", "scope", "treatment"])
    events = events.astype({"start": "datetime64[us, UTC]", "end": "datetime64[us, UTC]"})
    return build(
        Sources(hours, samples, {}, events, now, GRAIN), [metric for metric in DEMAND_METRICS if metric in hours]
    )


def _rows(series: dict[Series, pd.Series]) -> pd.DataFrame:
    """level, key, ts, and a column for each metric."""
    long = pd.concat(
        [
            pd.DataFrame({"level": one.level, "key": one.key, "metric": one.metric, "ts": v.index, "y": v.to_numpy()})
            for one, v in series.items()
        ]
    )
    return long.pivot_table(index=["level", "key", "ts"], columns="metric", values="y").reset_index()


def scored(truth: dict[Series, pd.Series], now: pd.Timestamp, executor: Executor) -> pd.DataFrame:
    """Errors and shares within, one row for each series that was forecast."""
    results = ProphetEngine().forecast(panel_until(truth, now), PLAN, executor)
    rows = []
    for result in results:
        series = Series(*result.series_status.iloc[0, :3])
        if len(result.forecasts):
            rows.append({"part": "total" if series.level == "global" else "each", **errors(truth[series], result, now)})
    return pd.DataFrame(rows)


def errors(truth: pd.Series, result: EngineResult, now: pd.Timestamp) -> dict[str, float]:
    """Errors and shares within of one series."""
    hourly, ahead = truth.resample("h").mean(), result.forecasts.set_index("ts")
    held, naive = hourly[ahead.index[0] : ahead.index[-1]], hourly.shift(freq=WEEK)
    ahead = ahead.loc[held.index]
    top = held >= held.quantile(0.9)
    band = result.bands.set_index("ts")
    samples = truth.reindex(band.index).dropna()
    return {
        "error": float((ahead["q50"] - held).abs().sum()),
        "naive_error": float((naive.loc[held.index] - held).abs().sum()),
        "total": float(held.sum()),
        "mean_total": float(ahead["yhat"].sum()),
        "in_80": share_within(held, ahead["q10"], ahead["q90"]),
        "in_95": share_within(held, ahead["q025"], ahead["q975"]),
        "top_in_95": float((held <= ahead["q975"])[top].mean()),
        **{
            f"band_{side}_{width}": share_within(
                part, band.loc[part.index, f"lower_{width}"], band.loc[part.index, f"upper_{width}"]
            )
            for side, part in (("past", samples[samples.index < now]), ("next", samples[samples.index >= now]))
            for width in (80, 95)
        },
    }


def share_within(values: pd.Series, lower: pd.Series, upper: pd.Series) -> float:
    """The share of values between two bounds, both included."""
    return float(((values >= lower) & (values <= upper)).mean())


def summary(rows: pd.DataFrame) -> dict[str, float]:
    """One line: errors over the sum of the values, means of the shares."""
    sums = rows[["error", "naive_error", "total", "mean_total"]].sum()
    shares = rows.drop(columns=["part", "error", "naive_error", "total", "mean_total"]).mean()
    found = {
        "wape": sums["error"] / sums["total"],
        "naive": sums["naive_error"] / sums["total"],
        "wins": float((rows["error"] < rows["naive_error"]).mean()),
    }
    found["mean_over_measured"] = sums["mean_total"] / sums["total"]
    return {"series_weeks": len(rows), **{name: round(float(value), 3) for name, value in {**found, **shares}.items()}}


if __name__ == "__main__":
    main()
