"""The numbers behind the charts, as one table to take away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from app.charts.bands import BANDS, QUANTILES
from app.charts.comparison import CURVES, PEAK_COLUMNS
from app.charts.marks import installed_capacity
from app.charts.quality import QualityChart
from app.charts.timeseries import TrafficChart
from data.schema import METRIC


def chart_table(charts: Sequence[TrafficChart | QualityChart]) -> pd.DataFrame:
    """One row a stamp, and for each chart its metric, what was expected with bounds, other curves, last week, capacity,
    and the quantiles of a week's peak in the row in which the week begins; null where there is nothing.

    Up to now the bounds are the bands', after it the forecast's. Nothing is thinned or rounded.
    """
    tables = [_table(chart).set_index("ts") for chart in charts]
    return pd.concat(tables, axis=1).sort_index().reset_index(names="ts")


def column_units(columns: Sequence[str]) -> Mapping[str, str]:
    """The unit of each column that holds a metric, or something in a metric's unit."""
    return {column: metric.unit for column in columns for metric in METRIC.values() if column.startswith(metric.name)}


def _table(chart: TrafficChart | QualityChart) -> pd.DataFrame:
    measured = _between(chart.history[["ts", "value"]], chart.start, min(chart.now, chart.end)).rename(
        columns={"value": chart.metric}
    )
    if isinstance(chart, QualityChart):
        return measured
    table = measured.merge(_expected(chart), on="ts", how="outer")
    ghost = chart.last_week[["ts", "value"]].rename(columns={"value": f"{chart.metric}_last_week"})
    for more in (ghost, _beside(chart), _peaks(chart)):
        table = (
            table.merge(_between(more, chart.start, chart.end), on="ts", how="outer")
            if len(more.columns) > 1
            else table
        )
    return (
        table.assign(**{f"{chart.metric}_capacity": installed_capacity(table["ts"], chart.capacity)})
        if len(chart.capacity)
        else table
    )


def _beside(chart: TrafficChart) -> pd.DataFrame:
    return chart.beside.rename(columns={column: f"{chart.metric}_{column}" for column in CURVES})


def _peaks(chart: TrafficChart) -> pd.DataFrame:
    weeks = chart.peaks[chart.peaks["statistic"] == "peak"] if "statistic" in chart.peaks else chart.peaks
    named = weeks[["week", *PEAK_COLUMNS]].rename(
        columns={level: f"{chart.metric}_peak_{level}" for level in PEAK_COLUMNS} | {"week": "ts"}
    )
    return named if len(named) else named[["ts"]]


def _expected(chart: TrafficChart) -> pd.DataFrame:
    """What was expected up to now (bands) and from now on (forecast), under the same names."""
    after = _between(chart.forecast, chart.now, chart.end)
    before = _between(chart.bands, chart.start, chart.now if len(after) else chart.end)
    named = [
        frame[["ts", *columns.values()]].rename(
            columns={column: f"{chart.metric}_{part}" for part, column in columns.items()}
        )
        for frame, columns in ((before, BANDS), (after[~after["ts"].isin(before["ts"])], QUANTILES))
    ]
    return pd.concat(named, ignore_index=True) if len(named[0]) and len(named[1]) else named[int(len(named[1]) > 0)]


def _between(frame: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    return frame[(frame["ts"] >= first) & (frame["ts"] <= last)]
