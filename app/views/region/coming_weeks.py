"""The coming weeks of a place: peak and P95 of every week that the run published, as far as half a year ahead."""

from __future__ import annotations

from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import theme
from app.charts.panels import linked_figure
from app.charts.tables import column_units
from app.ui import export
from app.ui.header import Frame
from app.ui.place import Place
from app.ui.series import Traffic
from app.views.region.charts import LEVELS, STATISTICS, WeeksChart, weeks_panel, weeks_table
from data.schema import METRIC

# The peak at the left, the P95 at the right: on one scale, so that they can be told from each other at a glance.
COLUMNS = 2


def draw(frame: Frame, place: Place, told: list[Traffic]) -> None:
    """A row of charts for each metric whose weeks are published and asked for; nothing where there is none."""
    charts = [chart for one in told for chart in charts_of(frame, place, one)]
    if not charts:
        return
    st.markdown("##### Coming weeks")
    figures = {
        f"weeks-{chart.metric.partition('_')[0]}-{chart.statistic}": (_figure(chart), alt(chart, place))
        for chart in charts
    }
    units = column_units([f"{chart.metric}_{level}" for chart in charts for level in LEVELS])
    export.charts(
        figures,
        columns=COLUMNS,
        key="weeks",
        name=f"{place.name} coming weeks",
        data=partial(weeks_table, charts),
        units=units,
        zone=frame.zone,
    )


def charts_of(frame: Frame, place: Place, told: Traffic) -> list[WeeksChart]:
    """Both statistics of a metric, as far as the run has them."""
    by_statistic = {
        name: told.peaks[told.peaks["statistic"] == name].sort_values("week", ignore_index=True) for name in STATISTICS
    }
    highest = float(told.peaks["q95"].max()) if len(told.peaks) else 0.0
    return [
        WeeksChart(
            f"{METRIC[told.metric].label}, {place.name}, {STATISTICS[name]}",
            told.metric,
            name,
            weeks,
            told.capacity,
            highest,
            frame.zone,
            frame.scheme,
        )
        for name, weeks in by_statistic.items()
        if len(weeks)
    ]


def _figure(chart: WeeksChart) -> go.Figure:
    return linked_figure([weeks_panel(chart)], start=chart.start, end=chart.end, zone=chart.zone, scheme=chart.scheme)


def alt(chart: WeeksChart, place: Place) -> str:
    """The chart in a sentence."""
    first, last = (_told(chart.metric, chart.weeks.iloc[at]) for at in (0, -1))
    what = f"{METRIC[chart.metric].label} of {place.name}, {STATISTICS[chart.statistic]}, {len(chart.weeks)} weeks"
    return f"{what}: the first {first}; the last {last}"


def _told(metric: str, week: pd.Series) -> str:
    low, middle, high = (theme.metric_value(metric, float(week[level])) for level in ("q05", "q50", "q95"))
    return f"{middle}, 9 in 10 from {low} to {high}"
