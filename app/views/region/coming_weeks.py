"""The weekly peaks of a place: those measured in the last quarter, and those expected for half a year ahead."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.charts.panels import linked_figure
from app.charts.tables import column_units
from app.ui import export
from app.ui.header import Frame
from app.ui.place import Place, Traffic
from app.views.region.charts import LEVELS, STATISTICS, WeeksChart, weeks_panel, weeks_table
from data.schema import METRIC

# Measured weeks before those to come.
WEEKS_BEFORE = 13


def draw(frame: Frame, place: Place, told: list[Traffic]) -> None:
    """One chart of the metric that is chosen; nothing where no weeks are published or asked for."""
    published = {one.metric: one for one in told if len(one.peaks)}
    if not published:
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## Coming weeks", width="content")
        st.segmented_control(
            "Metric of the coming weeks",
            list(published),
            format_func=lambda metric: METRIC[metric].label,
            label_visibility="collapsed",
            **state.bound("metric"),
        )
    shown = published.get(state.current().metric) or next(iter(published.values()))
    (chart,) = charts_of(frame, place, shown, ("peak",))
    figure = linked_figure([weeks_panel(chart)], start=chart.start, end=chart.end, zone=chart.zone, scheme=chart.scheme)
    units = column_units([f"{metric}_{level}" for metric in published for level in ("measured", *LEVELS)])
    export.chart(
        figure,
        key="weeks",
        name=f"{place.name} coming weeks",
        alt=alt(chart, place),
        data=partial(_table, frame, place, list(published.values())),
        units=units,
        zone=frame.zone,
    )


def _table(frame: Frame, place: Place, told: list[Traffic]) -> pd.DataFrame:
    """Both statistics of every metric."""
    return weeks_table([chart for one in told for chart in charts_of(frame, place, one, tuple(STATISTICS))])


def charts_of(frame: Frame, place: Place, told: Traffic, statistics: tuple[str, ...]) -> list[WeeksChart]:
    """These statistics of a metric, as far as the run has them; what was measured stands before the peaks."""
    measured = cached.weekly_peaks(frame.pin, frame.scope, place.level, place.key, told.metric, WEEKS_BEFORE)
    by_statistic = {
        name: told.peaks[told.peaks["statistic"] == name].sort_values("week", ignore_index=True) for name in statistics
    }
    return [
        WeeksChart(
            f"{METRIC[told.metric].label}, {place.name}, {STATISTICS[name]}",
            told.metric,
            name,
            weeks,
            told.capacity,
            measured[measured["week"] < weeks["week"].min()] if name == "peak" else measured.head(0),
            frame.zone,
            frame.scheme,
        )
        for name, weeks in by_statistic.items()
        if len(weeks)
    ]


def alt(chart: WeeksChart, place: Place) -> str:
    """The chart in a sentence."""
    first, last = (_told(chart.metric, chart.weeks.iloc[at]) for at in (0, -1))
    what = (
        f"{METRIC[chart.metric].label} of {place.name}, {STATISTICS[chart.statistic]}, {len(chart.weeks)} weeks to come"
    )
    past = theme.metric_value(chart.metric, chart.measured["peak"].max())
    before = f"highest of {len(chart.measured)} measured weeks {past}; " if len(chart.measured) else ""
    return f"{what}: {before}the first {first}; the last {last}"


def _told(metric: str, week: pd.Series) -> str:
    low, middle, high = (theme.metric_value(metric, float(week[level])) for level in ("q05", "q50", "q95"))
    return f"{middle}, 9 in 10 from {low} to {high}"
