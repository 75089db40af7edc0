"""A place through time: traffic with its forecast, and quality, in one figure whose panels zoom together; its sites
side by side; its numbers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

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
from app.ui import empty_states, export, map_player
from app.ui.header import Frame
from app.ui.licence import accuracy_chip, accuracy_details, accuracy_of
from app.ui.place import NO_EVENTS, Place, Traffic, measured, traffic
from app.ui.time_range import Window
from app.views.region import coming_weeks
from app.views.region.charts import Site, has_utilisation, site_panels
from data.schema import DEMAND_METRICS, METRIC, Series

# Egress is what runs out first; the others say why.
HEIGHTS = {"egress_gbps": 300, "ingest_gbps": 130, "viewers": 110}
QUALITY_HEIGHT = 84
# More small charts than this is a table; the Overview has one.
MOST_SITES, FEW_SITES, COLUMNS = 12, 6, 4
# What happened: how many are listed, how near a moment, an event or a gap lies, and how many sites are named.
MOST_ANOMALIES, NEAR, DRIVERS_SHOWN = 4, pd.Timedelta(minutes=30), 3
# What the columns behind a chart are called, by what stands after the metric's name.
PART_WORDS = {
    "": "",
    "_expected": " expected",
    "_lower_80": " 80 % band from",
    "_upper_80": " 80 % band to",
    "_lower_95": " 95 % band from",
    "_upper_95": " 95 % band to",
    "_last_week": " last week",
    "_capacity": " capacity",
    **{f"_{column}": f" {curve.name}" for column, curve in CURVES.items()},
    **{f"_peak_q{level}": f" peak of week, {level} %" for level in (50, 90, 95)},
}
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
        on_select=partial(_point_clicked, frame.zone),
    )
    _say_what_is_set_aside(charts)
    list_anomalies(frame, place, charts)
    coming_weeks.draw(frame, place, shown)
    _say_what_is_absent(frame, place, told, {chart.metric for chart in charts})
    return charts


def _say_what_is_set_aside(charts: list[Chart]) -> None:
    """How many samples are marked as set aside, and what that means."""
    count = sum(len(chart.set_aside) for chart in charts if isinstance(chart, TrafficChart))
    if count:
        st.caption(
            f":material/close: {count:,} {'impossible sample is' if count == 1 else 'impossible samples are'} set aside, and part of "
            "no line, peak, band or forecast. The page Data lists them with the reasons and says how to keep one."
        )


def _point_clicked(zone: str) -> None:
    """Show the moment that was clicked on the map, and open what happened then."""
    points = st.session_state["place"]["selection"]["points"]
    if points and isinstance(at := points[0].get("x"), str | int | float):
        unit = None if isinstance(at, str) else "ms"
        moment = pd.to_datetime(at, unit=unit).tz_localize(zone, nonexistent="shift_forward", ambiguous=False)
        map_player.show_moment(moment.tz_convert("UTC").floor("min"))


def list_anomalies(frame: Frame, place: Place, charts: list[Chart]) -> None:
    """When traffic was outside its band or quality was bad in the charts, newest first; what was on at the moment that is
    chosen is open.
    """
    values = {chart.metric: chart.history[["ts", "value"]] for chart in charts}
    bands = {chart.metric: chart.bands for chart in charts if isinstance(chart, TrafficChart)}
    rows = cached.anomalies(values, bands)
    if rows.empty:
        return
    st.markdown(f"## What happened: {len(rows)} {'time' if len(rows) == 1 else 'times'} outside what was expected")
    at = state.current().at
    for row in rows.head(MOST_ANOMALIES).itertuples():
        is_open = at is not None and row.start - NEAR <= pd.Timestamp(at) <= row.end + NEAR
        with st.expander(anomaly_words(row, frame.zone), expanded=is_open):
            _anomaly(frame, place, row)
    if len(rows) > MOST_ANOMALIES:
        st.caption(f"The newest {MOST_ANOMALIES}; a shorter range shows those before.")


def anomaly_words(row: Any, zone: str) -> str:
    """'26 Nov 18:40, for 2 h: egress 18 % above what was expected, with viewers'."""
    label = METRIC[row.metric].label
    if row.metric in DEMAND_METRICS:
        side = "above" if row.value > row.expected else "below"
        size = f"{theme.percent(abs(row.value / row.expected - 1))} {side} what was expected"
    else:
        size = f"{theme.metric_value(row.metric, row.value)}, bad from {theme.metric_value(row.metric, row.expected)}"
    others = [METRIC[metric].label.lower() for metric in row.metrics if metric != row.metric]
    beside = f", with {' and '.join(others)}" if others else ""
    lasted = theme.duration((row.end - row.start).total_seconds())
    return f"{theme.stamp(row.start, zone)}, for {lasted}: {label.lower()} {size}{beside}"


def _anomaly(frame: Frame, place: Place, row: Any) -> None:
    """Its furthest value, the sites that moved most, and the events and gaps nearby."""
    value, expected = (theme.metric_value(row.metric, number) for number in (row.value, row.expected))
    against = "expected" if row.metric in DEMAND_METRICS else "bad from"
    st.markdown(f"Furthest at {theme.stamp(row.at, frame.zone)}: **{value}**, {against} {expected}.")
    if place.level != "site" and row.metric in DEMAND_METRICS:
        moved = cached.drivers(frame.pin, frame.scope, place.region_id, row.metric, row.at, DRIVERS_SHOWN)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown("Moved most against the same hour last week:", width="content")
            for site in moved.itertuples():
                words = f"{empty_states.plain(site.name)} {theme.change(site.value, site.week_ago)}"
                if st.button(words, key=f"driver-{row.at:%m%d%H%M}-{site.site_id}", type="tertiary"):
                    state.open_page("region", site=str(site.site_id))
    start, end = row.start - NEAR, row.end + NEAR
    events = cached.events(frame.pin, frame.scope, place.level, place.key, start, end)
    gaps = cached.gaps(frame.pin, frame.scope, place.level, place.key, start, end)
    near = [
        *(f"{event.kind} {empty_states.plain(event.title)}" for event in events.itertuples()),
        *(f"no data from {empty_states.plain(gap.names)}" for gap in gaps.itertuples()),
    ]
    st.markdown(f"Nearby: {', '.join(near)}." if near else "No known event or gap lies nearby.")


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
            set_aside=cached.samples_set_aside(
                frame.pin, frame.scope, place.level, place.key, one.metric, window.start, window.past_end
            ),
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
    for reason in dict.fromkeys(one.reason for one in told if one.reason and (one.measured or len(one.forecast))):
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
    if lacking:
        st.caption(
            f":material/info: This lake holds no {' and no '.join(METRIC[metric].label.lower() for metric in lacking)}. "
            "The page Data says how to send them."
        )


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
    st.markdown(f"## {whose}, {what}, {order} first")
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
    return mine if has_capacity else mine.sort_values(["peak_24h_gbps", "name"], ascending=[False, True])


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
    """The numbers of the charts: what was measured, newest first, then what is to come; made only when it is opened."""
    with st.expander("The numbers as a table", icon=":material/table:", **state.fold("numbers")) as fold:
        if fold.open:
            _numbers(frame, place, charts)


def _numbers(frame: Frame, place: Place, charts: list[Chart]) -> None:
    rows = chart_table(charts).sort_values("ts", ascending=False, ignore_index=True)
    measured = [chart.metric for chart in charts]
    is_measured = rows[measured].notna().any(axis=1)
    shown = pd.concat([rows[is_measured], rows[~is_measured].iloc[::-1]]).dropna(axis="columns", how="all")
    stamps = shown["ts"].dt.tz_convert(frame.zone).dt.strftime("%Y-%m-%d %H:%M")
    st.dataframe(
        shown.assign(ts=stamps).rename(columns=headings(charts) | {"ts": f"Start, {frame.zone}"}),
        hide_index=True,
        height=TABLE_PX,
        key="place-rows",
        placeholder="",
        alt=f"The numbers behind the charts of {place.name}, newest measured first",
    )
    export.csv_button(rows, f"{place.name} numbers", "place-numbers-csv", units_of(charts), frame.zone)


def headings(charts: list[Chart]) -> dict[str, str]:
    """The columns of the table behind the charts in words: 'Egress expected, Gbps'."""
    named: dict[str, str] = {}
    for chart in charts:
        metric = METRIC[chart.metric]
        unit = "" if metric.unit in ("", metric.label.lower()) else f", {metric.unit}"
        named |= {f"{chart.metric}{part}": f"{metric.label}{words}{unit}" for part, words in PART_WORDS.items()}
    return named
