"""A place through time: traffic with its forecast, and quality, in one figure whose panels zoom together; its sites
side by side; its numbers.
"""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.cached import planning
from app.charts.bands import BANDS
from app.charts.comparison import CURVES, PEAK_COLUMNS
from app.charts.panels import linked_figure
from app.charts.quality import QUALITY_METRICS, QualityChart, quality_panel
from app.charts.tables import chart_table
from app.charts.timeseries import TrafficChart, traffic_panel
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.licence import accuracy_chip, accuracy_details, accuracy_of
from app.ui.place import Place
from app.ui.series import NO_EVENTS, Traffic, measured, traffic
from app.ui.time_range import Window
from app.views.region import coming_weeks
from app.views.region.charts import Site, has_utilisation, site_panels
from data.schema import DEMAND_METRICS, METRIC, Series

# Egress is what runs out first; the others say why.
HEIGHTS = {"egress_gbps": 300, "ingest_gbps": 130, "viewers": 110}
QUALITY_HEIGHT = 84
# More small charts than this is a table; the Overview has one.
MOST_SITES, FEW_SITES, COLUMNS = 12, 6, 4
# Rows of the table that a screen can hold without scrolling for long.
TABLE_PX = 420

Chart = TrafficChart | QualityChart


def draw(frame: Frame, place: Place, window: Window) -> list[Chart]:
    """Traffic, then quality, one below the other over one time axis; then the weeks to come. Returns what was drawn,
    for the table.
    """
    told = [traffic(frame, place, window, metric) for metric in DEMAND_METRICS]
    shown = [one for one in told if one.measured or one.metric == "egress_gbps"]
    charts: list[Chart] = [*traffic_charts(frame, place, window, shown), *quality_charts(frame, place, window)]
    panels = [traffic_panel(chart) for chart in charts if isinstance(chart, TrafficChart)]
    quality = [quality_panel(chart) for chart in charts if isinstance(chart, QualityChart)]
    figure = linked_figure(
        panels,
        start=window.start,
        end=window.end,
        zone=frame.zone,
        scheme=frame.scheme,
        cells=quality,
        columns=1 if frame.narrow else len(QUALITY_METRICS),
    )
    _accuracy_chip(frame, place, shown)
    table = partial(chart_table, charts)
    export.chart(
        figure,
        key="place",
        name=f"{place.name} traffic",
        alt=alt(place, window, shown, frame.zone),
        data=table,
        units=units_of(charts),
        zone=frame.zone,
    )
    coming_weeks.draw(frame, place, shown)
    _say_what_is_absent(frame, place, told, {chart.metric for chart in charts})
    return charts


def traffic_charts(frame: Frame, place: Place, window: Window, shown: list[Traffic]) -> list[TrafficChart]:
    """One chart for each metric; what is known to have happened stands above the first."""
    asked = "events" in state.current().show
    happened = (
        cached.events(frame.pin, frame.scope, place.level, place.key, window.start, window.end) if asked else NO_EVENTS
    )
    silent = cached.gaps(frame.pin, frame.scope, place.level, place.key, window.start, window.past_end)
    return [
        TrafficChart(
            title=f"{METRIC[one.metric].label}, {place.name}",
            metric=one.metric,
            grain=window.words,
            start=window.start,
            end=window.end,
            now=window.now,
            history=one.history,
            forecast=one.forecast,
            bands=one.bands,
            last_week=one.last_week,
            capacity=one.capacity,
            events=happened if number == 0 else NO_EVENTS,
            gaps=silent,
            beside=one.beside,
            peaks=one.peaks,
            zone=frame.zone,
            scheme=frame.scheme,
            height=HEIGHTS[one.metric],
            dates=False,
        )
        for number, one in enumerate(shown)
    ]


def quality_charts(frame: Frame, place: Place, window: Window) -> list[QualityChart]:
    """One low chart for each metric of quality that has a value in the window."""
    held = [metric for metric in QUALITY_METRICS if metric in frame.extent.metrics]
    values = [measured(frame, place, window, metric)[["ts", "value"]] for metric in held]
    return [
        QualityChart(
            metric,
            window.words,
            window.start,
            window.end,
            window.now,
            history,
            frame.zone,
            frame.scheme,
            QUALITY_HEIGHT,
        )
        for metric, history in zip(held, values, strict=True)
        if history["value"].notna().any()
    ]


def alt(place: Place, window: Window, shown: list[Traffic], zone: str) -> str:
    """What the figure shows, in a sentence for those who do not see it."""
    span = f"{theme.stamp(window.start, zone)} to {theme.stamp(window.end, zone)} {zone}"
    told = [_told(one.metric, one.history) for one in shown]
    forecast = (
        "with a forecast and its 80 and 95 % bands" if any(len(one.forecast) for one in shown) else "without a forecast"
    )
    return f"{place.name}, {span}: {'; '.join(told)}; {forecast}."


def _told(metric: str, history: pd.DataFrame) -> str:
    last, highest = theme.metric_value(metric, newest(history)), theme.metric_value(metric, history["value"].max())
    return f"{METRIC[metric].label.lower()} newest {last}, highest {highest}"


def newest(history: pd.DataFrame) -> float | None:
    """The last value that was measured."""
    known = history["value"].dropna()
    return None if known.empty else float(known.iloc[-1])


def units_of(charts: list[Chart]) -> dict[str, str]:
    """The unit of every column that the table behind the charts may have; the table itself is made only once it is
    asked for.
    """
    parts = (
        "",
        *(
            f"_{part}"
            for part in (*BANDS, *CURVES, *(f"peak_{level}" for level in PEAK_COLUMNS), "last_week", "capacity")
        ),
    )
    return {f"{chart.metric}{part}": METRIC[chart.metric].unit for chart in charts for part in parts}


def _accuracy_chip(frame: Frame, place: Place, shown: list[Traffic]) -> None:
    """How far off the forecast of egress typically is and whether its bands hold, in one chip that opens Models; the
    other metrics on hover.
    """
    accuracy = cached.accuracy(frame.pin, frame.scope)
    tested = {
        one.metric: rows
        for one in shown
        if len(one.forecast) and len(rows := accuracy_of(accuracy, Series(place.level, place.key, one.metric)))
    }
    if not tested:
        return
    metric = next(iter(tested))
    details = "  \n\n".join(f"**{METRIC[name].label}**  \n{accuracy_details(rows)}" for name, rows in tested.items())
    words = f"{METRIC[metric].label} forecast: {accuracy_chip(tested[metric])}"
    if st.button(words, key="accuracy", icon=":material/fact_check:", type="tertiary", help=details):
        state.open_page("models", metric=metric, part="verdict")


def _say_what_is_absent(frame: Frame, place: Place, told: list[Traffic], drawn: set[str]) -> None:
    """Why there is no forecast and no utilisation; which panels are absent, and how to supply them."""
    name = empty_states.plain(place.name)
    for reason in dict.fromkeys(one.reason for one in told if one.reason and one.measured):
        st.caption(f":material/info: {reason}")
    if not any(len(one.capacity) for one in told):
        st.caption(
            f":material/info: {name} has no declared capacity, so that its utilisation is not known. Capacity, Declared takes one in."
        )
    empty = [
        metric
        for metric in (*DEMAND_METRICS, *QUALITY_METRICS)
        if metric in frame.extent.metrics and metric not in drawn
    ]
    if empty:
        st.caption(
            f":material/info: {name} has no {' and no '.join(METRIC[metric].label.lower() for metric in empty)} in this time."
        )
    lacking = [metric for metric in ("viewers", *QUALITY_METRICS) if metric not in frame.extent.metrics]
    empty_states.partial("The rest of this page", {metric: METRIC[metric].meaning for metric in lacking})


def sites_side_by_side(frame: Frame, place: Place, window: Window) -> None:
    """How full each site of the place runs, the most urgent first; what each carries, where no capacity is known."""
    sites = members(frame, place)
    if len(sites) < 2:
        return
    most = FEW_SITES if frame.narrow else MOST_SITES
    charted = charted_sites(frame, sites.head(most), window)
    of_capacity = has_utilisation(charted, window.start, window.past_end)
    what, order = ("egress over capacity", "most urgent") if of_capacity else ("egress", "largest")
    whose = "All sites" if place.level == "global" else f"Sites of {empty_states.plain(place.name)}"
    st.markdown(f"##### {whose}, {what}, {order} first")
    panels = site_panels(
        charted,
        metric="egress_gbps",
        start=window.start,
        end=window.past_end,
        zone=frame.zone,
        scheme=frame.scheme,
    )
    figure = linked_figure(
        [],
        start=window.start,
        end=window.past_end,
        zone=frame.zone,
        scheme=frame.scheme,
        cells=panels,
        columns=1 if frame.narrow else COLUMNS,
    )
    export.chart(
        figure,
        key="multiples",
        name=f"{place.name} sites",
        alt=f"{whose}, {what}: {'; '.join(f'{panel.title} {panel.aside[0]}' for panel in panels)}",
        data=partial(
            cached.site_series, frame.pin, frame.scope, place.region_id, "egress_gbps", window.start, window.past_end
        ),
        units={"value": "Gbps", "capacity_gbps": "Gbps"},
        zone=frame.zone,
    )
    if len(sites) > most:
        st.caption(f"The {most} {order} of {len(sites)} sites; the file holds them all, the Overview lists them.")


def members(frame: Frame, place: Place) -> pd.DataFrame:
    """The sites of a region or of the network, most urgent first (the largest, where no capacity is known); none of a
    site, which has nothing to be compared with here.
    """
    sites = planning.site_states(frame.pin, frame.scope)
    if place.level == "site":
        return sites.head(0)
    mine = sites if place.region_id is None else sites[sites["region_id"] == place.region_id]
    has_capacity = mine["peak_7d_utilisation"].notna().any()
    return mine if has_capacity else mine.sort_values(["egress_gbps", "name"], ascending=[False, True])


def charted_sites(frame: Frame, sites: pd.DataFrame, window: Window) -> list[Site]:
    """What a small chart of each of these sites shows."""
    keys = tuple(sites["site_id"])
    hours = cached.site_hours(frame.pin, frame.scope, "egress_gbps", keys, window.start, window.past_end)
    steps = cached.site_capacity_steps(frame.pin, frame.scope, "egress", keys)
    return [
        Site(
            str(name),
            theme.STATES.get(of_plan, theme.UNKNOWN),
            hours[hours["site_id"] == key],
            steps[steps["site_id"] == key],
            state.link("region", site=str(key)),
        )
        for key, name, of_plan in zip(sites["site_id"], sites["name"], sites["state"], strict=True)
    ]


def table(frame: Frame, place: Place, charts: list[Chart]) -> None:
    """The numbers of the charts, newest first; made only when it is opened."""
    if not st.toggle("Show the numbers as a table", key="place-table"):
        return
    rows = chart_table(charts).sort_values("ts", ascending=False, ignore_index=True)
    stamps = rows["ts"].dt.tz_convert(frame.zone).dt.strftime("%Y-%m-%d %H:%M")
    named = {column: f"{column} [{unit}]" for column, unit in units_of(charts).items()}
    shown = rows.assign(ts=stamps).rename(columns={"ts": f"Start, {frame.zone}", **named})
    st.dataframe(
        shown,
        hide_index=True,
        height=TABLE_PX,
        key="place-rows",
        alt=f"The numbers behind the charts of {place.name}, newest first",
    )
    export.csv_button(rows, f"{place.name} numbers", "place-numbers-csv", units_of(charts), frame.zone)
