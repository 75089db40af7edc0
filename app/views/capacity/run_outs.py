"""What runs out: what an order of today still achieves, the orders, the dates as bars and on a map, and one place's future.
Under a partner's filter it is a page about that partner's sites alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import LineChartColumn, NumberColumn, TextColumn

from app import cached, state, theme
from app.cached import planning
from app.cached.planning import Fan, PlanQuery, PlanSummary
from app.charts import map_marks, map_view
from app.charts.map_marks import Look
from app.charts.map_view import Canvas
from app.charts.network_map import Drawing, deck
from app.charts.panels import linked_figure
from app.ui import empty_states, export
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.maps import OUTLINE, legend_words, picked
from app.ui.place import Place, region_names
from app.ui.site_filter import filtered_sites
from app.ui.tables import HEADER_PX, ROW_PX, cards, site_column
from app.views.capacity import choices, what_if
from app.views.capacity.choices import STATISTICS, limit_words
from app.views.capacity.run_out_charts import (
    GRADES,
    FanChart,
    answer_words,
    dated_rows,
    fan_panels,
    fan_table,
    lead_words,
    order_words,
    plan_table,
    probability_words,
    runout_bars,
    service_words,
    today_words,
)
from app.views.capacity.what_if import Outlooks
from data.schema import GLOBAL_KEY, Level


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The consequence in words, the orders, the dates, and one place. Sites without a capacity have but the place."""
    planned = what_if.sites(frame, asked)
    if planned is None:
        return
    outlooks, sites = planned
    if choices.no_capacity(frame, sites):
        one_place(frame, outlooks, sites)
        return
    base = None if outlooks.base is None else choices.sites_of(frame, outlooks.base)
    headline(frame, outlooks.question, sites, base)
    late_augments(frame, outlooks.question)
    if state.current().partner is None:
        what_if.panel(frame, outlooks.question)
    shown = of_grade(sites, base)
    orders(frame, outlooks.question, shown, base)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        bars(frame, outlooks.question, shown, base)
    with right:
        site_map(frame, outlooks, shown, map_view.NARROW if frame.narrow else BESIDE)
    st.markdown("## One place against its capacity")
    one_place(frame, outlooks, shown)


# In words
# ----------------------------------------------------------------------------------------------------


def headline(frame: Frame, question: PlanQuery, sites: pd.DataFrame, base: pd.DataFrame | None) -> None:
    """What stands above all: what is over, what an order no longer saves, what is due, and what a what-if changes."""
    told, partner = planning.summarise(sites), state.current().partner
    if partner is not None:
        count = f"{told.sites} site{'' if told.sites == 1 else 's'}"
        st.markdown(f"## {plain(partner)}: {question.direction} capacity to deliver, {count}")
    st.markdown(" ".join(consequences(told, question, frame.extent.now)))
    if base is not None:
        changes = int(planning.changed_rows(base, sites).sum())
        was, now = (planning.summarise(rows).grades for rows in (base, sites))
        counts = [
            f"{GRADES[grade][1]} {was[grade]} to {now[grade]}"
            for grade in ("over", "late", "due", "later")
            if was[grade] != now[grade]
        ]
        subject = f"{changes or 'no'} site{'' if changes == 1 else 's'} change{'s' if changes == 1 else ''}"
        st.markdown(f":material/alt_route: **With the what-if {subject}**{': ' if counts else ''}{', '.join(counts)}.")
    st.caption(plain(f"{_policy_words(question)}. As of {theme.stamp(frame.extent.now, frame.zone)}."))


BUSIEST = {"peak": "peak of the week", "p95": "P95 of the week"}


def consequences(told: PlanSummary, question: PlanQuery, now: pd.Timestamp) -> list[str]:
    """The state of some sites as sentences, worst first."""
    limit = f"{100 * question.limit:g} % of its {question.direction} capacity"
    limits = limit.replace(" its ", " their ")
    over, late, due = (told.grades[grade] for grade in ("over", "late", "due"))
    said = []
    if over and told.weeks_over is not None:
        least, most = (max(round(weeks), 1) for weeks in told.weeks_over)
        weeks = f"{most} week{'' if most == 1 else 's'}" if least == most else f"{least} to {most} weeks"
        subject = (
            f"1 of {told.sites} sites is over {limit}"
            if over == 1
            else f"{over} of {told.sites} sites are over {limits}"
        )
        stays = "it stays" if over == 1 else "they stay"
        said.append(
            f"**{subject}** at the {BUSIEST[question.statistic]}, {theme.gbps(told.short_gbps)} too much in all; "
            f"ordered today, {stays} over for about {weeks}."
        )
    if late and told.first_late is not None:
        row = told.first_late.to_dict()
        subject = f"{late} more" if over else f"{late} of {told.sites} sites"
        passes = f"pass{'es' if late == 1 else ''} {'it' if over else limit if late == 1 else limits}"
        said.append(
            f"**{subject} {passes} before an order of today is in service**, "
            f"first {plain(row['name'])} ({answer_words(row, now)})."
        )
    if told.first_due is not None:
        row = told.first_due.to_dict()
        when = "now" if row["order"] == "overdue" else f"by {order_words(row, now)}"
        count = f"{due} orders are due within 30 days" if due != 1 else "1 order is due within 30 days"
        said.append(f"{count if due else 'No order is due within 30 days'}; next {plain(row['name'])}, {when}.")
    if not said:
        said.append(f"**No order is due**: none of the {told.sites} sites passes {limit} in sight.")
    if told.add_gbps > 0.0:
        said.append(f"To order in all: {theme.gbps(told.add_gbps)}.")
    if told.grades["unknown"]:
        said.append(f"For {told.grades['unknown']} no answer is known; the table says why.")
    return said


def _policy_words(question: PlanQuery) -> str:
    factor, plus = question.lead_factor, question.lead_plus_days
    padding = "as declared" if (factor, plus) == (1.0, 0.0) else f"{factor:g} times what is declared, and {plus:g} days"
    return f"Limit: {limit_words(question)}. Lead times are planned with {padding}"


def late_augments(frame: Frame, question: PlanQuery) -> None:
    """The planned augments whose date has passed: none of them counts as capacity."""
    plan, chosen = planning.plan(frame.pin, frame.scope, question), filtered_sites(frame)
    late = [] if plan is None else plan.late.to_dict("records")
    late = [row for row in late if chosen is None or row["site_id"] in chosen]
    if not late:
        return
    names, year = frame.catalogue.set_index("site_id")["name"].to_dict(), frame.extent.now.year
    lines = [
        f"{plain(names.get(row['site_id'], row['site_id']))}: {theme.gbps(row['capacity_gbps'])}, planned for "
        f"{theme.day(row['effective_from'], year=row['effective_from'].year != year)}, {row['days_late']} days late"
        for row in late
    ]
    st.warning("  \n".join(["Planned augments that are late, and do not count:", *lines]), icon=":material/event_busy:")


# The orders
# ----------------------------------------------------------------------------------------------------

MOST_PX = 460
_CLICK = "run-outs.click"
ADD_HELP = (
    "What, ordered today, keeps the limit for the rest of a year in 9 of 10 futures, in whole 10 Gbps; "
    "as the cheapest plan under Augments, which chooses ports for it"
)


def of_grade(sites: pd.DataFrame, base: pd.DataFrame | None) -> pd.DataFrame:
    """Draw the choice of a grade, each with its count; the rows of the one chosen."""
    changed = planning.changed_rows(base, sites) if base is not None else pd.Series(False, index=sites.index)
    of = {"all": sites, **{grade: sites[sites["grade"] == grade] for grade in GRADES}, "changed": sites[changed]}
    chosen = state.current().grade
    words = {"all": "All", "changed": "Changed"} | {
        grade: f"{mark.glyph} {word.capitalize()}" for grade, (mark, word) in GRADES.items()
    }
    options = [name for name in state.CHOICES["grade"] if len(of[name]) or name in ("all", chosen)]
    st.segmented_control(
        "Orders",
        options,
        format_func=lambda name: f"{words[name]} {len(of[name])}",
        label_visibility="collapsed",
        **state.bound("grade"),
    )
    return of[chosen].reset_index(drop=True)


def orders(frame: Frame, question: PlanQuery, sites: pd.DataFrame, base: pd.DataFrame | None) -> None:
    """Every site, worst first: a table, or cards on a narrow screen; a click on a name opens it below."""
    if sites.empty:
        st.caption("No site is of this kind.")
        return
    now = frame.extent.now
    rows = plan_table(sites, now, base)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## What to order" if state.current().partner is None else "## What to deliver")
        _downloads(frame, question, sites)
    if frame.narrow:
        records = sites.to_dict("records")
        titles = [card_title(row) for row in records]
        cards(titles, lambda at: card_lines(records[at], question, now), key="run-outs")
        return
    st.dataframe(
        rows,
        column_config=columns(question, tuple(rows["key"]))
        | {name: None for name in ("Partner",) if rows[name].isna().all()},
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="run-outs",
        alt=f"Gbps, run-out and order-by dates of {len(rows)} sites",
    )


def card_title(row: Mapping[Any, Any]) -> str:
    """A site's name, which opens it, and its grade."""
    mark, grade = GRADES[row["grade"]]
    return f"**[{plain(row['name'])}]({state.link('region', site=row['key'])})** {mark.glyph} {grade}"


def card_lines(row: Mapping[Any, Any], question: PlanQuery, now: pd.Timestamp) -> list[str]:
    """A site's orders in three lines."""
    if row["grade"] == "unknown":
        return [plain(answer_words(row, now))]
    peak = f"{STATISTICS[question.statistic]} {theme.gbps(row['peak_gbps'])} of {theme.gbps(row['capacity_gbps'])}"
    short = f": **{theme.gbps(row['short_gbps'])} short**" if row["short_gbps"] > 0.0 else ""
    lines = [f"{peak}, limit {theme.gbps(row['limit_gbps'])}{short}", f"Runs out: {answer_words(row, now)}"]
    if row["grade"] != "none":
        add = f"Add **{theme.gbps(row['add_gbps'])}**" if row["add_gbps"] > 0.0 else "Nothing to add"
        lines.append(f"{add}; order by **{order_words(row, now)}**; ordered today: {today_words(row, now)}")
    return lines


def _look_at(sites: tuple[str, ...]) -> None:
    """The site of the row whose name was clicked is drawn below."""
    state.update(focus=f"site:{sites[st.session_state[_CLICK]['row']]}")


def columns(question: PlanQuery, sites: tuple[str, ...]) -> dict[str, Any]:
    """How each column of the table of these sites reads. What a partner is sent says what to deliver, and nothing of health."""
    of_partner = state.current().partner is not None
    number = partial(NumberColumn, format="localized", width=82)
    hidden = dict.fromkeys(("Health", "Partner", "Probability"), None) if of_partner else {}
    return {
        "key": None,
        "Site": site_column(_CLICK, help_="Opens the site below", on_click=_look_at, args=(sites,)),
        "Health": TextColumn(width=70, help="act, watch or ok, as on the Overview"),
        "Order": TextColumn(
            width=125,
            help="over and late: over its limit now. late: passes it before an order of today is in service",
        ),
        "Peak": number(STATISTICS[question.statistic], help="Gbps: of the last whole week, or expected of this one"),
        "Capacity": number(help="Gbps, in force now"),
        "Limit": number(help=f"Gbps: {100 * question.limit:g} % of capacity, or the site's own share"),
        "Short": number("Short now", help="Gbps above the limit now"),
        "Add": number("Deliver" if of_partner else "Add", help=f"Gbps. {ADD_HELP}"),
        "Order by": TextColumn(width=130, help="So that the planned lead time ends by the early end of the run-out"),
        "In service by": TextColumn(width=100, help="The early end of the run-out: one in ten futures passes by then"),
        "Ordered today": TextColumn(
            "If ordered today", width=250, help="With the planned lead time; weeks expected above the limit until then"
        ),
        "Run-out": TextColumn(width=165, help="When it passes the limit: 80 % interval over the simulated futures"),
        "Without the what-if": TextColumn(width=165),
        "Later by": NumberColumn(
            "Later by", width=80, format="%+.0f d", help="Days by which the what-if moves the median; negative: sooner"
        ),
        "Probability": LineChartColumn(
            width=100, y_min=0, y_max=1, help="Probability of having passed the limit, to the end of the futures"
        ),
        "Lead time": TextColumn(width=160, help="From order to service: as declared, and as it is planned with"),
        "Region": TextColumn(width=130),
        "Partner": TextColumn(width=130),
    } | hidden


# What a plan's numbers are in; its columns that end in _gbps are Gbps.
PLAN_UNITS = {"order_by": "UTC", "days_left": "days", "lead_days": "days", "padded_days": "days", "weeks_over": "weeks"}


def _downloads(frame: Frame, question: PlanQuery, sites: pd.DataFrame) -> None:
    """The plan with every number, date and reason, and its orders for a calendar. What a partner is sent says nothing of
    health.
    """
    today, health = frame.extent.now, ("state", "state_reason") if state.current().partner is not None else ()
    columns = [column for column in ("name", "region", "partner", *planning.PLAN_COLUMNS) if column not in health]
    policy = {name: value for name, value in question._asdict().items() if name != "failover"}
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall", width="content"):
        export.table_buttons(sites[columns], "plan", "plan", PLAN_UNITS, policy=policy)
        files = {
            "ICS": (
                lambda: planning.calendar(sites, today).encode(),
                "orders.ics",
                "text/calendar",
                "The orders as all-day entries for a calendar",
            ),
            "Parquet": (
                lambda: bytes(sites[columns].to_parquet(index=False)),
                "plan.parquet",
                "application/vnd.apache.parquet",
                "The plan with every date and reason",
            ),
        }
        for name, (content, file, kind, why) in files.items():
            st.download_button(
                name, content, file, kind, key=f"plan-{name}", on_click="ignore", type="tertiary", help=why
            )


# The dates: bars and map
# ----------------------------------------------------------------------------------------------------

# More bars scroll inside their frame.
BARS_PX = 420
# Beside the dates the map has two fifths of the page.
BESIDE = Canvas(500, 360, 40)
_CHOSEN = "runout-map.chosen"


def bars(frame: Frame, question: PlanQuery, sites: pd.DataFrame, base: pd.DataFrame | None) -> None:
    """The dates of all sites on one axis."""
    shown, now = dated_rows(sites), frame.extent.now
    words = [f"{row['name']} {answer_words(row, now)}" for row in shown.head(5).to_dict("records")]
    figure = runout_bars(
        sites,
        now=now,
        direction=question.direction,
        zone=frame.zone,
        scheme=frame.scheme,
        limit=limit_words(question),
        before=base,
    )
    scrolls = figure.layout.height > BARS_PX
    with st.container(height=BARS_PX if scrolls else "content", border=False, key="run-out-frame"):
        st.plotly_chart(
            figure,
            theme=None,
            key="run-out-bars",
            alt=f"Run-out dates of {len(shown)} sites, worst first: {'; '.join(words) or 'none in sight'}",
            config=export.settings(),
        )
    dates = sites[["name", *planning.PLAN_COLUMNS]]
    export.take_away(["run-out-bars"], "run-out-dates", "run-out dates", dates, PLAN_UNITS, frame.zone)


def site_map(frame: Frame, outlooks: Outlooks, shown: pd.DataFrame, canvas: Canvas) -> None:
    """The map of the rows shown, fitted to them. A what-if may add sites, which have no place on it."""
    sites = planning.with_plan(cached.sites_now(frame.pin, frame.scope), outlooks.rows)
    sites = sites[sites["site_id"].isin(shown["key"])].reset_index(drop=True)
    marks = map_marks.at_present(sites)
    look = Look("runout", frame.scheme, map_marks.scale(sites, small=True), frame.extent.now, present=True)
    places = frame.catalogue[frame.catalogue["site_id"].isin(shown["key"])] if len(sites) else frame.catalogue
    drawn = deck(marks, [], look, Drawing(("sites",), "flat", OUTLINE, map_view.fit(places, canvas), canvas))
    alt = map_marks.described(marks, look, theme.stamp(frame.extent.now, frame.zone))
    event = st.pydeck_chart(
        drawn, height=canvas.height, on_select="rerun", selection_mode="single-object", key="runout-map", alt=alt
    )
    legend = map_marks.legend(marks, [], look)
    st.markdown(legend_words(legend))
    with st.container(horizontal=True, horizontal_alignment="right"):
        export.map_picture("runout-map", "Run-out map", [(entry.glyph, entry.colour, entry.words) for entry in legend])
    clicked, before = picked(event), st.session_state.get(_CHOSEN)
    st.session_state[_CHOSEN] = clicked
    if clicked and clicked != before:
        state.update(focus=f"site:{clicked}")


# One place against its capacity
# ----------------------------------------------------------------------------------------------------

_PLACE = "plan.place"
FAN_UNITS = dict.fromkeys(("measured", "q05", "q10", "q50", "q90", "q95", "room_gbps"), "Gbps")
# What a week's value is.
STATISTIC = {"peak": "peak", "p95": "P95"}
LEVELS: dict[str, Level] = {"site": "site", "region": "region", "global": "global"}


def one_place(frame: Frame, outlooks: Outlooks, sites: pd.DataFrame) -> None:
    """The choice of a place, its answer in a sentence, and its figure. `sites`: the table's, worst first."""
    names = places(frame, outlooks.rows, sites)
    if not names:
        return
    place = choose_place(names)
    answer = answer_of(outlooks.rows, place)
    before = None if outlooks.base is None else answer_of(outlooks.base, place)
    without = f"; without the what-if: {answer_words(before, frame.extent.now)}" if before else ""
    missing = str(answer.get("reason") or "") if answer.get("answer") != "refused" else ""
    note = f". {missing[0].upper()}{missing[1:]}." if missing else ""
    words = plain(sentence(place.name, answer, frame) + without + note)
    link = f" [Region page]({state.link('region', site=place.key)})" if place.level == "site" else ""
    st.markdown(words + link)
    futures = planning.fan(frame.pin, frame.scope, outlooks.question, place.level, place.key)
    if futures is None:
        empty_states.nothing(f"{place.name} has no futures", str(answer["reason"]), icon="query_stats")
        return
    chart = fan_chart(frame, outlooks.question, place, futures)
    if before:
        known = planning.fan(frame.pin, frame.scope, outlooks.question._replace(changes=""), place.level, place.key)
        chart = replace(chart, before=None if known is None else known.weeks)
    export.chart(
        linked_figure(fan_panels(chart), start=chart.start, end=chart.end, zone=frame.zone, scheme=frame.scheme),
        key="plan-place",
        name=f"{place.name} run-out",
        alt=alt(chart, place),
        data=partial(fan_table, chart),
        units=FAN_UNITS,
        zone=frame.zone,
    )


def answer_of(rows: pd.DataFrame, place: Place) -> dict[str, Any]:
    """The row of a place; empty where it has none."""
    mine = rows[(rows["level"] == place.level) & (rows["key"] == place.key)]
    return {str(name): value for name, value in mine.iloc[0].items()} if len(mine) else {}


def places(frame: Frame, rows: pd.DataFrame, sites: pd.DataFrame) -> dict[str, str]:
    """What can be drawn, by level:key: the sites of the table, worst first, then regions and the network; under a
    partner's filter its sites alone.
    """
    names = {f"site:{key}": str(name) for key, name in zip(sites["key"], sites["name"], strict=True)}
    if state.current().partner is not None:
        return names
    regions, region = region_names(frame.catalogue), state.current().region
    known = rows[rows["level"] == "region"]["key"]
    names |= {f"region:{key}": f"{regions.get(key, key)}, all sites" for key in known if region in (None, key)}
    return names | ({f"global:{GLOBAL_KEY}": "The whole network"} if len(rows[rows["level"] == "global"]) else {})


def choose_place(names: dict[str, str]) -> Place:
    """Draw the choice; what runs out first, unless the state names another place of the table."""
    focus = state.current().focus
    current = focus if focus in names else next(iter(names))
    st.session_state[_PLACE] = current
    st.selectbox(
        "Place", list(names), format_func=lambda key: names.get(key, key), key=_PLACE, on_change=_chosen, width=320
    )
    level, _, key = current.partition(":")
    return Place(LEVELS[level], key, names[current], None)


def _chosen() -> None:
    state.update(focus=st.session_state[_PLACE])


def fan_chart(frame: Frame, question: PlanQuery, place: Place, fan: Fan) -> FanChart:
    """The chart's data: the measured quarter before, and the futures."""
    weeks = planning.measured_weeks(frame.pin, frame.scope, question.direction)
    mine = weeks[(weeks["level"] == place.level) & (weeks["key"] == place.key)].sort_values("ts", ignore_index=True)
    measured = mine[["ts"]].assign(value=mine[question.statistic].astype(float))
    return FanChart(
        f"{question.direction.capitalize()} of {place.name} against its limit",
        f"{question.direction}_gbps",
        STATISTIC[question.statistic],
        question.limit,
        measured["ts"].iloc[0] if len(measured) else fan.weeks["ts"].iloc[0],
        fan.weeks["ts"].iloc[-1],
        frame.extent.now,
        fan.weeks,
        measured,
        fan.steps,
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
    said = f"{name} passes the limit: {answer_words(row, now)}; within 90 days in {probability_words(float(row['within_90']))} of futures"
    if row["level"] != "site" or not isinstance(row["order_by"], pd.Timestamp):
        return said
    return (
        f"{said}. Order by: {order_words(row, now)}; in service by: {service_words(row, now)}; lead time {lead_words(row)}; "
        f"ordered today: {today_words(row, now)}"
    )
