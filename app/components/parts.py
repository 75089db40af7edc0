"""The parts of Prophet's model of a series, and a refit with other settings beside what the run published."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.cached import Refit, Series, Wish
from app.charts.effects import day_chart, events_chart, week_chart
from app.charts.panels import linked_figure
from app.charts.timeseries import TrafficChart, traffic_panel
from app.components import export, states
from app.components.header import Frame
from app.state import ALL, NONE
from data.schema import METRIC, Level

# How much of the past and of the future stands beside a refit: enough to see a level shift and a slope.
BACK, AHEAD = pd.Timedelta(days=28), pd.Timedelta(days=28)
WINDOW_WORDS = {"28": "28 days", "56": "56 days", "90": "90 days", "180": "180 days", "365": "a year", ALL: "all history"}
PRIOR_HELP = "Prophet's changepoint prior scale: how readily the trend may bend. 0.05 is Prophet's default; the published models bend less."


def draw(frame: Frame, series: Series, name: str) -> None:
    """The settings, the refit beside what is published, and the parts it is made of."""
    made = cached.refit(frame.pin, series, choose(frame, series), frame.scope)
    if made is None or made.refused:
        st.caption(f":material/info: {states.plain(name)} cannot be fitted: {states.plain(made.refused if made else 'no telemetry')}.")
        return
    beside_published(frame, series, name, made)
    trend(frame, series, name, made)
    effects(frame, series, name, made)


def choose(frame: Frame, series: Series) -> Wish:
    """The window, the prior, and an event to leave out."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="refit-choices"):
        st.selectbox("Fit on", state.CHOICES["history"], format_func=WINDOW_WORDS.__getitem__, width=150, **state.bound("history"))
        st.selectbox("Changepoint prior", state.CHOICES["prior"], width=150, help=PRIOR_HELP, **state.bound("prior"))
        known = event_names(frame, series)
        st.selectbox("As though unknown", list(known), format_func=known.__getitem__, width=320, **state.bound("without"))
    now = state.current()
    days = None if now.history == ALL else int(now.history)
    return Wish(days, float(now.prior), "" if now.without == NONE else now.without)


def event_names(frame: Frame, series: Series) -> dict[str, str]:
    """What may be left out, by what the state calls it; an event of a link that this series does not have keeps its identifier."""
    level: Level = series.level
    rows = cached.events(frame.pin, level, series.key, frame.extent.first, frame.extent.now + AHEAD, frame.scope)
    rows = rows[rows["treatment"].isin(["regressor", "mask"])].sort_values("start", ascending=False)
    named = {str(row.event_id): f"{row.title}, {theme.day(theme.local(row.start, frame.zone))}" for row in rows.itertuples()}
    known = {NONE: "no event: all are known", ALL: "all events"} | named
    return known if state.current().without in known else known | {state.current().without: state.current().without}


def beside_published(frame: Frame, series: Series, name: str, made: Refit) -> None:
    """What was, what the run expects, and what the refit expects."""
    now = frame.extent.now
    start, end = max(now - BACK, frame.extent.first), now + AHEAD
    rows = cached.history(frame.pin, series.level, series.key, (series.metric,), start, now, "1h", frame.scope)
    published = cached.forecast(frame.pin, series, now, end, frame.scope)
    chart = TrafficChart(
        title=f"{METRIC[series.metric].label}, {name}, published and refitted", metric=series.metric, grain="hourly mean", start=start, end=end, now=now,
        history=pd.DataFrame({"ts": rows["ts"], "value": rows[f"{series.metric}_mean"]}), forecast=published,
        beside=made.curve[made.curve["ts"] >= now].rename(columns={"yhat": "refit"}), zone=frame.zone, scheme=frame.scheme, height=300,
    )  # fmt: skip
    figure = linked_figure([traffic_panel(chart)], start=start, end=end, zone=frame.zone, scheme=frame.scheme)
    told = against_published(published, made.curve, now)
    st.caption(f":material/science: **Unpublished**: fitted just now on {made.hours:,} hours, clock of {states.plain(made.zone)}. {told}")
    units = {"yhat": METRIC[series.metric].unit}
    export.chart(figure, key="refit", name=f"{name} refit", alt=f"Unpublished refit of {name}. {told}", data=made.curve, units=units, zone=frame.zone)


def against_published(published: pd.DataFrame, curve: pd.DataFrame, now: pd.Timestamp) -> str:
    """How the refit differs from the published forecast over the days that are drawn."""
    both = published[["ts", "yhat"]].merge(curve[curve["ts"] >= now], on="ts", suffixes=("", "_refit"))
    if both.empty:
        return "No forecast of this series is published to hold it against."
    return f"Over the next {AHEAD.days} days it expects {theme.change(both['yhat_refit'].sum(), both['yhat'].sum(), 'what is published')}."


def trend(frame: Frame, series: Series, name: str, made: Refit) -> None:
    """The level without season and events, over what was measured by day."""
    start, end, now = made.trend["ts"].iloc[0], frame.extent.now + 3 * AHEAD, frame.extent.now
    days = cached.history(frame.pin, series.level, series.key, (series.metric,), start, now, "1d", frame.scope)
    days = days[days["ts"] + pd.Timedelta(days=1) <= now]
    chart = TrafficChart(
        title="Trend", metric=series.metric, grain="daily mean, dotted the trend", start=start, end=end, now=now,
        history=pd.DataFrame({"ts": days["ts"], "value": days[f"{series.metric}_mean"]}), beside=made.trend.rename(columns={"value": "trend"}),
        zone=frame.zone, scheme=frame.scheme, height=201,
    )  # fmt: skip
    figure = linked_figure([traffic_panel(chart)], start=start, end=end, zone=frame.zone, scheme=frame.scheme)
    first, last = (theme.metric_value(series.metric, made.trend["value"].iloc[at]) for at in (0, -1))
    units = {"value": METRIC[series.metric].unit}
    export.chart(figure, key="trend", name=f"{name} trend", alt=f"Trend of {name}, from {first} to {last}", data=made.trend, units=units, zone=frame.zone)


def effects(frame: Frame, series: Series, name: str, made: Refit) -> None:
    """Day, week and events side by side."""
    metric, zone, scheme = series.metric, made.zone, frame.scheme
    figures = {
        "part-day": (day_chart(made.day, metric=metric, zone=zone, scheme=scheme), f"What the hour of the day adds, {name}"),
        "part-week": (week_chart(made.week, metric=metric, zone=zone, scheme=scheme), f"What the hour of the week adds, {name}"),
    }
    if len(made.events):
        figures["part-events"] = (events_chart(made.events, metric=metric, scheme=scheme), f"What an event adds, {name}")
    export.charts(figures, columns=len(figures), key="parts", name=f"{name} components", data=lambda: effect_table(made), units={"effect": "ratio"}, zone=zone)


def effect_table(made: Refit) -> pd.DataFrame:
    """part, of (hour or kind of event), effect: everything that the charts of the parts show."""
    parts = [made.day.assign(part="day").rename(columns={"hour": "of"}), made.week.assign(part="week").rename(columns={"hour": "of"}),
             made.events.assign(part="event").rename(columns={"kind": "of"})]  # fmt: skip
    return pd.concat([part[["part", "of", "effect"]].astype({"of": "object"}) for part in parts if len(part)], ignore_index=True)
