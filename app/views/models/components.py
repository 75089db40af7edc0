"""The parts of Prophet's model of a series, and a refit with other settings beside what the run published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.cached import Grain, Series, refits
from app.cached.refits import Refit, RefitOptions
from app.charts.panels import linked_figure
from app.charts.tables import column_units
from app.charts.timeseries import TrafficChart, traffic_panel
from app.state import ALL, NONE
from app.ui import empty_states, export
from app.ui.header import Frame
from app.views.models.charts import day_chart, events_chart, week_chart
from data.schema import METRIC, Level

# Columns of the forecast that stand beside a refit, by what they are called after the metric's name.
PUBLISHED = {"yhat": "published", **{level: f"published_{level}" for level in ("q025", "q10", "q90", "q975")}}


def marked(table: pd.DataFrame, wish: RefitOptions) -> pd.DataFrame:
    """With columns that say what was asked for: `events` is empty where all are as marked, "all" where none is known,
    or the event that is taken otherwise.
    """
    days = ALL if wish.days is None else str(wish.days)
    return table.assign(
        refit="unpublished", window_days=days, changepoint_prior=wish.prior, events_otherwise=wish.without
    )


def curves(
    metric: str, past: pd.DataFrame, published: pd.DataFrame, made: Refit, usual: Refit | None, wish: RefitOptions
) -> pd.DataFrame:
    """A row an hour: what was measured (`past`: ts, value), what the run published, the refit, and that with the usual
    settings; null where none is.
    """
    parts = [
        past.rename(columns={"value": metric}),
        published[["ts", *PUBLISHED]].rename(
            columns={column: f"{metric}_{part}" for column, part in PUBLISHED.items()}
        ),
        made.curve.rename(columns={"yhat": f"{metric}_refit_unpublished"}),
    ]
    parts += [] if usual is None else [usual.curve.rename(columns={"yhat": f"{metric}_usual_refit_unpublished"})]
    return marked(_together(parts), wish)


def trends(metric: str, days: pd.DataFrame, made: Refit, wish: RefitOptions) -> pd.DataFrame:
    """The daily means that were measured (`days`: ts, value; UTC days), and the trend at its own stamps."""
    named = (
        days.rename(columns={"value": f"{metric}_daily_mean"}),
        made.trend.rename(columns={"value": f"{metric}_trend_unpublished"}),
    )
    return marked(_together([*named]), wish)


def effect_table(made: Refit, wish: RefitOptions) -> pd.DataFrame:
    """part, of (hour or kind of event), effect: everything that the charts of the parts show."""
    parts = [
        made.day.assign(part="day").rename(columns={"hour": "of"}),
        made.week.assign(part="week").rename(columns={"hour": "of"}),
        made.events.assign(part="event").rename(columns={"kind": "of"}),
    ]
    rows = pd.concat(
        [part[["part", "of", "effect"]].astype({"of": "object"}) for part in parts if len(part)], ignore_index=True
    )
    return marked(rows, wish)


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([part.set_index("ts") for part in parts], axis=1, sort=True).reset_index(names="ts")


# How much of the past and of the future stands beside a refit: enough to see a level shift and a slope.
BACK, AHEAD = pd.Timedelta(days=28), pd.Timedelta(days=28)
WINDOW_WORDS = {
    "28": "28 days",
    "56": "56 days",
    "90": "90 days",
    "180": "180 days",
    "365": "a year",
    ALL: "all history",
}
# What a refit is made of where nothing else is asked for.
USUAL = RefitOptions()
# What is offered for an event, by how a run treats it: what counts may be left out, what is merely noted may be tried.
OTHERWISE = {"regressor": "without", "mask": "without", "note": "as a regressor:"}
# What may follow the metric's name in the columns of the files.
CURVE_PARTS = (
    "",
    *(f"_{part}" for part in PUBLISHED.values()),
    "_refit_unpublished",
    "_usual_refit_unpublished",
)
TREND_PARTS = ("_daily_mean", "_trend_unpublished")
PRIOR_HELP = "Prophet's changepoint prior scale: how readily the trend may bend. 0.05 is Prophet's default; the published models bend less."


@dataclass(frozen=True, slots=True)
class Tried:
    """A refit, what was asked of it, and the same model with its usual settings; None where those are what was asked
    for, or cannot be fitted.
    """

    wish: RefitOptions
    made: Refit
    usual: Refit | None


def draw(frame: Frame, series: Series, name: str) -> None:
    """The settings, the refit beside what is published, and the parts it is made of."""
    wish = choose(frame, series)
    made = refits.refit(frame.pin, frame.scope, series, wish)
    if made is None or made.refused:
        st.caption(
            f":material/info: {empty_states.plain(name)} cannot be fitted: {empty_states.plain(made.refused if made else 'no telemetry')}."
        )
        return
    usual = None if wish == USUAL else refits.refit(frame.pin, frame.scope, series, USUAL)
    tried = Tried(wish, made, usual if usual is None or not usual.refused else None)
    beside_published(frame, series, name, tried)
    trend(frame, series, name, tried)
    effects(frame, series, name, tried)


def choose(frame: Frame, series: Series) -> RefitOptions:
    """The window, the prior, and an event to take otherwise."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="refit-choices"):
        st.selectbox(
            "Fit on",
            state.CHOICES["history"],
            format_func=WINDOW_WORDS.__getitem__,
            width=150,
            **state.bound("history"),
        )
        st.selectbox("Changepoint prior", state.CHOICES["prior"], width=150, help=PRIOR_HELP, **state.bound("prior"))
        known = event_names(frame, series)
        st.selectbox(
            "Events otherwise", list(known), format_func=known.__getitem__, width=320, **state.bound("without")
        )
    now = state.current()
    days = None if now.history == ALL else int(now.history)
    return RefitOptions(days, float(now.prior), "" if now.without == NONE else now.without)


def event_names(frame: Frame, series: Series) -> dict[str, str]:
    """What may be taken otherwise, by what the state calls it; an event of a link that this series does not have keeps
    its identifier.
    """
    level: Level = series.level
    rows = cached.events(frame.pin, frame.scope, level, series.key, frame.extent.first, frame.extent.now + AHEAD)
    rows = rows.assign(treatment=rows["treatment"].fillna("note")).sort_values("start", ascending=False)
    named = {
        str(row.event_id): f"{OTHERWISE[row.treatment]} {row.title}, {theme.day(theme.local(row.start, frame.zone))}"
        for row in rows.itertuples()
    }
    known = {NONE: "none: all as they are marked", ALL: "without any event"} | named
    return known if state.current().without in known else known | {state.current().without: state.current().without}


def beside_published(frame: Frame, series: Series, name: str, tried: Tried) -> None:
    """What was, what the run expects, and what the refit expects."""
    now, made = frame.extent.now, tried.made
    start, end = max(now - BACK, frame.extent.first), now + AHEAD
    published = cached.forecast(frame.pin, frame.scope, series, now, end)
    chart = TrafficChart(
        title=f"{METRIC[series.metric].label}, {name}, published and refitted",
        metric=series.metric,
        grain="hourly mean",
        start=start,
        end=end,
        now=now,
        history=measured(frame, series, start, "1h"),
        forecast=published,
        beside=ahead_of(tried, now),
        zone=frame.zone,
        scheme=frame.scheme,
        height=300,
    )
    figure = linked_figure([traffic_panel(chart)], start=start, end=end, zone=frame.zone, scheme=frame.scheme)
    told = f"{against_usual(tried, now)} {against_published(published, made.curve, now)}"
    st.caption(
        f":material/science: **Unpublished**: fitted just now on {made.hours:,} hours, clock of {empty_states.plain(made.zone)}. {told}"
    )
    taken = f"{name} refit unpublished"
    data, units = (
        partial(curve_table, frame, series, tried),
        column_units([f"{series.metric}{part}" for part in CURVE_PARTS]),
    )
    export.chart(
        figure,
        key="refit",
        name=taken,
        alt=f"Unpublished refit of {name}. {told}",
        data=data,
        units=units,
        zone=frame.zone,
    )


def measured(frame: Frame, series: Series, start: pd.Timestamp, grain: Grain) -> pd.DataFrame:
    """ts, value up to now."""
    rows = cached.history(
        frame.pin, frame.scope, series.level, series.key, (series.metric,), start, frame.extent.now, grain
    )
    return pd.DataFrame({"ts": rows["ts"], "value": rows[f"{series.metric}_mean"]})


def ahead_of(tried: Tried, now: pd.Timestamp) -> pd.DataFrame:
    """ts, refit and, where other settings were asked for, usual: what each expects from now on."""
    curves = {"refit": tried.made} if tried.usual is None else {"refit": tried.made, "usual": tried.usual}
    columns = [
        made.curve[made.curve["ts"] >= now].set_index("ts")["yhat"].rename(column) for column, made in curves.items()
    ]
    return pd.concat(columns, axis=1, sort=True).reset_index()


def curve_table(frame: Frame, series: Series, tried: Tried) -> pd.DataFrame:
    """All of the refit, beyond what is drawn: its whole window and all of its future, with what was measured and
    published in them.
    """
    first, last = tried.made.curve["ts"].iloc[0], tried.made.curve["ts"].iloc[-1]
    published = cached.forecast(frame.pin, frame.scope, series, frame.extent.now, last + pd.Timedelta(hours=1))
    return curves(series.metric, measured(frame, series, first, "1h"), published, tried.made, tried.usual, tried.wish)


def against_usual(tried: Tried, now: pd.Timestamp) -> str:
    """What the settings alone change: the refit against the same model with its usual ones."""
    if tried.usual is None:
        return (
            "These are its usual settings."
            if tried.wish == USUAL
            else "With its usual settings the same model cannot be fitted."
        )
    told = f"Over the next {AHEAD.days} days it expects {difference(tried.usual.curve, tried.made.curve, now, 'the same model at its usual settings')}."
    return told + (
        ""
        if learned(tried)
        else " It changes nothing: too few hours of such events lie in the window to be learned from."
    )


def learned(tried: Tried) -> bool:
    """Whether a refit differs at all from the usual one."""
    return (
        not tried.made.curve.equals(tried.usual.curve)
        if tried.usual is not None and tried.wish._replace(without="") == USUAL
        else True
    )


def against_published(published: pd.DataFrame, curve: pd.DataFrame, now: pd.Timestamp) -> str:
    """How the refit differs from the published forecast, which other models may have drawn."""
    if published.empty:
        return "No forecast of this series is published to hold it against."
    return f"It expects {difference(published, curve, now, 'what is published')}, where other models may be drawn."


def difference(one: pd.DataFrame, other: pd.DataFrame, now: pd.Timestamp, words: str) -> str:
    """How far the second curve (both: ts, yhat) is from the first over the days that are drawn: '+2.1 % on' these
    words.
    """
    both = one[["ts", "yhat"]].merge(other, on="ts", suffixes=("", "_refit"))
    both = both[(both["ts"] >= now) & (both["ts"] < now + AHEAD)]
    return theme.change(both["yhat_refit"].sum(), both["yhat"].sum(), words)


def trend(frame: Frame, series: Series, name: str, tried: Tried) -> None:
    """The level without season and events, over what was measured by day."""
    made, now = tried.made, frame.extent.now
    start, end = made.trend["ts"].iloc[0], now + 3 * AHEAD
    days = measured(frame, series, start, "1d")
    days = days[days["ts"] + pd.Timedelta(days=1) <= now]
    chart = TrafficChart(
        title="Trend, unpublished refit",
        metric=series.metric,
        grain="daily mean, dotted the trend",
        start=start,
        end=end,
        now=now,
        history=days,
        beside=made.trend.rename(columns={"value": "trend"}),
        zone=frame.zone,
        scheme=frame.scheme,
        height=201,
    )
    figure = linked_figure([traffic_panel(chart)], start=start, end=end, zone=frame.zone, scheme=frame.scheme)
    first, last = (theme.metric_value(series.metric, made.trend["value"].iloc[at]) for at in (0, -1))
    data, units = (
        trends(series.metric, days, made, tried.wish),
        column_units([f"{series.metric}{part}" for part in TREND_PARTS]),
    )
    alt = f"Trend of an unpublished refit of {name}, from {first} to {last}"
    export.chart(
        figure, key="trend", name=f"{name} trend unpublished", alt=alt, data=data, units=units, zone=frame.zone
    )


def effects(frame: Frame, series: Series, name: str, tried: Tried) -> None:
    """Day, week and events side by side."""
    metric, made, scheme = series.metric, tried.made, frame.scheme
    figures = {
        "part-day": (
            day_chart(made.day, metric=metric, zone=made.zone, scheme=scheme),
            f"What the hour of the day adds, {name}, unpublished refit",
        ),
        "part-week": (
            week_chart(made.week, metric=metric, zone=made.zone, scheme=scheme),
            f"What the hour of the week adds, {name}, unpublished refit",
        ),
    }
    if len(made.events):
        figures["part-events"] = (
            events_chart(made.events, metric=metric, scheme=scheme),
            f"What an event adds, {name}, unpublished refit",
        )
    data, taken = partial(effect_table, made, tried.wish), f"{name} components unpublished"
    export.charts(
        figures, columns=len(figures), key="parts", name=taken, data=data, units={"effect": "ratio"}, zone=made.zone
    )
