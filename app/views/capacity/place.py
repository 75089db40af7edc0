"""One place against its capacity: the fan of its futures, and the probability of having passed the limit."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app import state, theme
from app.cached import planning
from app.cached.planning import Fan, PlanQuery
from app.charts.panels import linked_figure
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.place import Place, region_names
from app.views.capacity.run_out_charts import FanChart, answer_words, fan_panels, fan_table, order_words, soon_words
from app.views.capacity.what_if import Outlooks
from data.schema import GLOBAL_KEY, Level

_PLACE = "plan.place"
UNITS = dict.fromkeys(("measured", "q05", "q10", "q50", "q90", "q95", "room_gbps"), "Gbps")
# What a week's value is.
STATISTIC = {"peak": "peak", "p95": "P95"}
LEVELS: dict[str, Level] = {"site": "site", "region": "region", "global": "global"}


def draw(frame: Frame, found: Outlooks, sites: pd.DataFrame) -> None:
    """The choice of a place, its answer in a sentence, and its figure. `sites`: the table's, worst first."""
    names = places(frame, found.rows, sites)
    if not names:
        return
    place = choose(names)
    answer, before = answer_of(found.rows, place), None if found.base is None else answer_of(found.base, place)
    without = f"; without the what-if: {answer_words(before, frame.extent.now)}" if before else ""
    st.markdown(empty_states.plain(sentence(place.name, answer, frame) + without))
    futures = planning.fan(frame.pin, frame.scope, found.question, place.level, place.key)
    if futures is None:
        empty_states.nothing(f"{place.name} has no futures", str(answer["reason"]), icon="query_stats")
        return
    figure(frame, found.question, place, futures)


def answer_of(rows: pd.DataFrame, place: Place) -> dict[str, Any]:
    """The row of a place; empty where it has none."""
    mine = rows[(rows["level"] == place.level) & (rows["key"] == place.key)]
    return {str(name): value for name, value in mine.iloc[0].items()} if len(mine) else {}


def places(frame: Frame, rows: pd.DataFrame, sites: pd.DataFrame) -> dict[str, str]:
    """What can be drawn, by level:key: the sites of the table, worst first, then regions and the network."""
    regions = region_names(frame.catalogue)
    known = rows[rows["level"] == "region"]["key"]
    chosen = state.current().region
    held = {f"site:{key}": str(name) for key, name in zip(sites["key"], sites["name"], strict=True)}
    held |= {f"region:{key}": f"{regions.get(key, key)}, all sites" for key in known if chosen in (None, key)}
    return held | ({f"global:{GLOBAL_KEY}": "The whole network"} if len(rows[rows["level"] == "global"]) else {})


def choose(names: dict[str, str]) -> Place:
    """Draw the choice; what runs out first, unless the state names another place of the table."""
    focus = state.current().focus
    held = focus if focus in names else next(iter(names))
    st.session_state[_PLACE] = held
    st.selectbox(
        "Place", list(names), format_func=lambda key: names.get(key, key), key=_PLACE, on_change=_chosen, width=320
    )
    level, _, key = held.partition(":")
    return Place(LEVELS[level], key, names[held], None)


def _chosen() -> None:
    state.update(focus=st.session_state[_PLACE])


def figure(frame: Frame, question: PlanQuery, place: Place, found: Fan) -> None:
    """The fan and the probability, linked, with what one may take away."""
    chart = fan_chart(frame, question, place, found)
    drawn = linked_figure(fan_panels(chart), start=chart.start, end=chart.end, zone=frame.zone, scheme=frame.scheme)
    export.chart(
        drawn,
        key="plan-place",
        name=f"{place.name} run-out",
        alt=alt(chart, place),
        data=partial(fan_table, chart),
        units=UNITS,
        zone=frame.zone,
    )


def fan_chart(frame: Frame, question: PlanQuery, place: Place, found: Fan) -> FanChart:
    """The chart's data: the measured quarter before, and the futures."""
    weeks = planning.measured_weeks(frame.pin, frame.scope, question.direction)
    mine = weeks[(weeks["level"] == place.level) & (weeks["key"] == place.key)].sort_values("ts", ignore_index=True)
    measured = mine[["ts"]].assign(value=mine[question.statistic].astype(float))
    first = measured["ts"].iloc[0] if len(measured) else found.weeks["ts"].iloc[0]
    words = f"{question.direction.capitalize()} of {place.name} against its limit"
    return FanChart(
        words,
        f"{question.direction}_gbps",
        STATISTIC[question.statistic],
        question.limit,
        first,
        found.weeks["ts"].iloc[-1],
        frame.extent.now,
        found.weeks,
        measured,
        found.steps,
        frame.zone,
        frame.scheme,
    )


def alt(chart: FanChart, place: Place) -> str:
    """The figure in a sentence."""
    last: dict[Any, Any] = chart.weeks.iloc[-1].to_dict()
    room = (
        f"against a limit of {theme.gbps(last['room_gbps'])}"
        if pd.notna(last["room_gbps"])
        else "without a declared capacity"
    )
    return f"{place.name}: by {theme.day(chart.end)} between {theme.gbps(last['q10'])} and {theme.gbps(last['q90'])} in 80 % of futures, {room}"


def sentence(name: str, row: dict[str, Any], frame: Frame) -> str:
    """One place in one sentence, for the head of its chart."""
    now = frame.extent.now
    if row["answer"] == "refused":
        return answer_words(row, now)
    order = f"; order: {order_words(row, now)}, lead time {row['lead_days']:g} days" if row["level"] == "site" else ""
    return f"{name}, when it passes the limit: {answer_words(row, now)}; probability within 90 days {soon_words(float(row['within_90']))}{order}"
