"""How a series would have been forecast at past origins: one origin against what came, then how intervals, peaks and
residuals did over all of them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import cached, state, theme
from app.cached import Series
from app.charts.axes import instant
from app.charts.panels import Panel, linked_figure
from app.charts.timeseries import TrafficChart, traffic_panel
from app.ui import empty_states, export
from app.ui.header import Frame
from app.views.models.charts import (
    AS_DRAWN,
    OF_WEEKS,
    PEAKS,
    WEEKS_P95,
    CalibrationChart,
    CoverageChart,
    calibration_chart,
    coverage_panel,
    distribution_chart,
    hour_of_week_chart,
)
from data.schema import METRIC

WEEK_DAYS = 7
HOUR = pd.Timedelta(hours=1)
BOUNDS = {"yhat": "expected", "q10": "lower_80", "q90": "upper_80", "q025": "lower_95", "q975": "upper_95"}
# Key and title of the chart of each calibrated model of `scores`.
CALIBRATED = {
    AS_DRAWN: ("intervals", "Intervals"),
    PEAKS: ("peaks", "Peaks of the week"),
    WEEKS_P95: ("p95", "P95 of the week"),
}
# Why a backtest of more than a week is told apart.
FAR_SEEING = " Its weights and intervals come from the origins around it, as in the scores of far horizons: few that see {} days lie before it."
BESIDE_WORDS = {"prophet": "Prophet", "baseline": "Baseline"}


def draw(frame: Frame, series: Series, name: str) -> None:
    """One backtest, then all of them; or what is missing."""
    tests = cached.coverage(frame.pin, frame.scope, series)
    if tests.empty:
        st.caption(
            f":material/info: The newest run holds no backtests of {empty_states.plain(name)}; its history may be too short for one."
        )
        return
    one_origin(frame, series, name, tests)
    intervals_over_time(frame, series, name, tests)
    calibrations(frame, series, name)
    residuals(frame, series, name)


def one_origin(frame: Frame, series: Series, name: str, tests: pd.DataFrame) -> None:
    """What would have been forecast at an origin, against what came."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        row = choose_origin(frame, tests)
        st.pills(
            "Beside it",
            state.CHOICES["beside"],
            format_func=BESIDE_WORDS.__getitem__,
            selection_mode="multi",
            **state.bound("beside"),
        )
    origin, days = row["origin"], int(row["days"])
    rows = cached.backtest(frame.pin, frame.scope, series, origin)
    start = first_shown(origin, days)
    known = before(frame, series, origin, start)
    figure = backtest_figure(frame, series, name, rows, known, start)
    told = (
        f"{theme.percent(row['coverage_95'])} of {int(row['hours'])} hours lay inside the 95 % interval, "
        f"error {theme.percent(row['wape'])} of what was measured"
    )
    alt = f"Backtest of {name} from {theme.stamp(origin, frame.zone)} {frame.zone}: {told}"
    units = dict.fromkeys(
        ["value", "yhat", "prophet", "baseline", "q025", "q10", "q90", "q975"], METRIC[series.metric].unit
    )
    export.chart(
        figure,
        key="backtest",
        name=f"{name} backtest",
        alt=alt,
        data=pd.concat([known, rows], ignore_index=True),
        units=units,
        zone=frame.zone,
    )
    others = [
        f"{word} {theme.percent(row[column])}"
        for column, word in (("prophet_wape", "Prophet"), ("baseline_wape", "the baseline"))
        if pd.notna(row[column])
    ]
    st.caption(
        f"{told}"
        + (f"; {', '.join(others)}." if others else ".")
        + (FAR_SEEING.format(days) if days > WEEK_DAYS else "")
    )


def choose_origin(frame: Frame, tests: pd.DataFrame) -> pd.Series:
    """The backtest that the state names, or the newest of them; the choice is offered newest first."""
    origins, asked = list(tests["origin"]), state.current().origin
    chosen = origins[-1] if asked is None else min(origins, key=lambda origin: abs(origin - pd.Timestamp(asked)))
    st.session_state["models.origin"] = chosen
    said = {one.origin: f"{theme.stamp(one.origin, frame.zone)} · {one.days} days" for one in tests.itertuples()}
    st.selectbox(
        f"Origin, {frame.zone}",
        origins[::-1],
        format_func=said.__getitem__,
        key="models.origin",
        on_change=_origin_chosen,
        width=260,
    )
    return tests[tests["origin"] == chosen].iloc[0]


def _origin_chosen() -> None:
    state.update(origin=st.session_state["models.origin"].to_pydatetime())


def first_shown(origin: pd.Timestamp, days: int) -> pd.Timestamp:
    """From when on what was known is drawn: three days before a week, and as much of a longer reach."""
    return origin - pd.Timedelta(days=days) * 3 / 7


def before(frame: Frame, series: Series, origin: pd.Timestamp, start: pd.Timestamp) -> pd.DataFrame:
    """What was known just before an origin: ts, value."""
    rows = cached.history(frame.pin, frame.scope, series.level, series.key, (series.metric,), start, origin, "1h")
    return pd.DataFrame({"ts": rows["ts"], "value": rows[f"{series.metric}_mean"]})


def backtest_figure(
    frame: Frame, series: Series, name: str, rows: pd.DataFrame, known: pd.DataFrame, start: pd.Timestamp
) -> go.Figure:
    """The main chart, turned back: everything after the origin was unseen."""
    origin, end = rows["ts"].iloc[0], rows["ts"].iloc[-1]
    beside = rows[["ts", *state.current().beside]]
    chart = TrafficChart(
        title=f"{METRIC[series.metric].label}, {name}, as forecast on {theme.day(theme.local(origin, frame.zone))}",
        metric=series.metric,
        grain="hourly mean",
        start=start,
        end=end,
        now=end + HOUR,
        history=pd.concat([known, rows[["ts", "value"]]], ignore_index=True),
        bands=rows[["ts", *BOUNDS]].rename(columns=BOUNDS),
        beside=beside,
        zone=frame.zone,
        scheme=frame.scheme,
        height=320,
    )
    panel = with_origin(traffic_panel(chart), origin, end, frame)
    return linked_figure([panel], start=chart.start, end=end, zone=frame.zone, scheme=frame.scheme)


def with_origin(panel: Panel, origin: pd.Timestamp, end: pd.Timestamp, frame: Frame) -> Panel:
    """The panel with the moment after which nothing was known, in place of that of now."""
    palette, x = theme.PALETTES[frame.scheme], instant(origin, frame.zone)
    area = {"xref": "x", "yref": "y domain", "y0": 0, "y1": 1}
    ground = area | {
        "type": "rect",
        "x0": x,
        "x1": instant(end, frame.zone),
        "fillcolor": palette.future,
        "layer": "below",
        "line": {"width": 0},
    }
    line = area | {"type": "line", "x0": x, "x1": x, "line": {"color": palette.muted, "width": 1}}
    note = {
        "xref": "x",
        "yref": "y domain",
        "x": x,
        "y": 1,
        "yanchor": "bottom",
        "showarrow": False,
        "text": "origin: nothing after it was known",
        "font": {"size": 11, "color": palette.muted},
    }
    return replace(panel, shapes=[ground, line], notes=[*panel.notes, note])


def intervals_over_time(frame: Frame, series: Series, name: str, tests: pd.DataFrame) -> None:
    """How often the intervals held in the week after each origin."""
    tests = tests[tests["days"] <= WEEK_DAYS]
    if tests.empty:
        return
    subtitle = f"share of the hours of the week after each origin, {frame.zone}"
    spec = CoverageChart(
        "Coverage over time", subtitle, series.metric, tests.rename(columns={"origin": "ts"}), frame.zone, frame.scheme
    )
    day = pd.Timedelta(hours=12)
    figure = linked_figure(
        [coverage_panel(spec)],
        start=tests["origin"].min() - day,
        end=tests["origin"].max() + day,
        zone=frame.zone,
        scheme=frame.scheme,
    )
    mean = f"80 % interval {theme.percent(tests['coverage_80'].mean())}, 95 % interval {theme.percent(tests['coverage_95'].mean())} on average"
    export.chart(
        figure,
        key="coverage",
        name=f"{name} coverage",
        alt=f"Coverage at {len(tests)} origins of {name}: {mean}",
        data=tests,
        zone=frame.zone,
    )


def calibrations(frame: Frame, series: Series, name: str) -> None:
    """Observed against nominal, of the intervals by horizon, and of peak and P95 by week."""
    rows = cached.calibration(frame.pin, frame.scope)
    mine = rows[(rows["level"] == series.level) & (rows["key"] == series.key) & (rows["metric"] == series.metric)]
    charts = {}
    for model, (key, title) in CALIBRATED.items():
        part, weekly = mine[mine["model"] == model], model in OF_WEEKS
        if len(part):
            what = "weeks under each quantile, with chance" if weekly else "hours inside, by how far ahead"
            spec = CalibrationChart(title, f"share of {what}", series.metric, part, weekly, frame.scheme)
            charts[f"calibration-{key}"] = (calibration_chart(spec), f"{title} of {name}: {_told(part)}")
    if charts:
        st.markdown("### Calibration: observed against nominal")
        export.charts(
            charts, columns=len(charts), key="calibration", name=f"{name} calibration", data=mine, zone=frame.zone
        )


def _told(rows: pd.DataFrame) -> str:
    return "; ".join(
        f"{row.horizon} {theme.percent(row.observed)} for {theme.percent(row.nominal)}" for row in rows.itertuples()
    )


def residuals(frame: Frame, series: Series, name: str) -> None:
    """What came less what was expected."""
    rows = cached.residuals(frame.pin, frame.scope, series)
    if rows.empty:
        return
    figures = {
        "residuals-week": (
            hour_of_week_chart(rows, metric=series.metric, zone=frame.zone, scheme=frame.scheme),
            f"Residuals of {name} by hour of the week",
        ),
        "residuals-spread": (
            distribution_chart(rows, metric=series.metric, scheme=frame.scheme),
            f"Distribution of the residuals of {name}",
        ),
    }
    units = dict.fromkeys(("yhat", "value", "residual"), METRIC[series.metric].unit)
    export.charts(
        figures,
        columns=2,
        key="residuals",
        name=f"{name} residuals",
        data=partial(pd.DataFrame, rows),
        units=units,
        zone=frame.zone,
    )
