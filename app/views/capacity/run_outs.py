"""Run-outs: what an order of today still achieves, the orders, run-out dates as bars and on a map, and the futures of
one site, region or the network. Under a partner's filter all of it is of that partner's sites alone.
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


def draw(frame: Frame, question: PlanQuery) -> None:
    """Draw consequences in words, orders, dates, and one place; the place alone where no site has a capacity."""
    plan = what_if.sites(frame, question)
    if plan is None:
        return
    outlooks, sites = plan
    if choices.no_capacity(frame, sites):
        draw_place(frame, outlooks, sites)
        return
    base = None if outlooks.base is None else choices.sites_of(frame, outlooks.base)
    draw_headline(frame, outlooks.question, sites, base)
    draw_late_augments(frame, outlooks.question)
    if state.current().partner is None:
        what_if.panel(frame, outlooks.question)
    graded = choose_grade(sites, base)
    draw_orders(frame, outlooks.question, graded, base)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        draw_bars(frame, outlooks.question, graded, base)
    with right:
        draw_map(frame, outlooks, graded, map_view.NARROW if frame.narrow else BESIDE)
    st.markdown("## One place against its capacity")
    draw_place(frame, outlooks, graded)


# In words
# ----------------------------------------------------------------------------------------------------


def draw_headline(frame: Frame, question: PlanQuery, sites: pd.DataFrame, base: pd.DataFrame | None) -> None:
    """Draw the head of the page: the consequences, the changes by the what-if, and the policy."""
    summary, partner = planning.summarise(sites), state.current().partner
    if partner is not None:
        site_count = f"{summary.sites} site{'' if summary.sites == 1 else 's'}"
        st.markdown(f"## {plain(partner)}: {question.direction} capacity to deliver, {site_count}")
    st.markdown(" ".join(consequences(summary, question, frame.extent.now)))
    if base is not None:
        changed = int(planning.changed_rows(base, sites).sum())
        counts_before, counts_after = (planning.summarise(rows).grades for rows in (base, sites))
        count_changes = [
            f"{GRADES[grade][1]} {counts_before[grade]} to {counts_after[grade]}"
            for grade in ("over", "late", "due", "later")
            if counts_before[grade] != counts_after[grade]
        ]
        subject = f"{changed or 'no'} site{'' if changed == 1 else 's'} change{'s' if changed == 1 else ''}"
        st.markdown(
            f":material/alt_route: **With the what-if {subject}**{': ' if count_changes else ''}{', '.join(count_changes)}."
        )
    st.caption(plain(f"{_policy_words(question)}. As of {theme.stamp(frame.extent.now, frame.zone)}."))


BUSIEST = {"peak": "peak of the week", "p95": "P95 of the week"}


def consequences(summary: PlanSummary, question: PlanQuery, now: pd.Timestamp) -> list[str]:
    """Sites over, late and due, what to order, and sites without an answer, as sentences, worst first."""
    limit = f"{100 * question.limit:g} % of its {question.direction} capacity"
    limits = limit.replace(" its ", " their ")
    over, late, due = (summary.grades[grade] for grade in ("over", "late", "due"))
    sentences = []
    if over and summary.weeks_over is not None:
        least, most = (max(round(weeks), 1) for weeks in summary.weeks_over)
        weeks = f"{most} week{'' if most == 1 else 's'}" if least == most else f"{least} to {most} weeks"
        subject = (
            f"1 of {summary.sites} sites is over {limit}"
            if over == 1
            else f"{over} of {summary.sites} sites are over {limits}"
        )
        stays = "it stays" if over == 1 else "they stay"
        sentences.append(
            f"**{subject}** at the {BUSIEST[question.statistic]}, {theme.gbps(summary.short_gbps)} too much in all; "
            f"ordered today, {stays} over for about {weeks}."
        )
    if late and summary.first_late is not None:
        row = summary.first_late.to_dict()
        subject = f"{late} more" if over else f"{late} of {summary.sites} sites"
        passes = f"pass{'es' if late == 1 else ''} {'it' if over else limit if late == 1 else limits}"
        sentences.append(
            f"**{subject} {passes} before an order of today is in service**, "
            f"first {plain(row['name'])} ({answer_words(row, now)})."
        )
    if summary.first_due is not None:
        row = summary.first_due.to_dict()
        when = "now" if row["order"] == "overdue" else f"by {order_words(row, now)}"
        count = f"{due} orders are due within 30 days" if due != 1 else "1 order is due within 30 days"
        sentences.append(f"{count if due else 'No order is due within 30 days'}; next {plain(row['name'])}, {when}.")
    if not sentences:
        sentences.append(f"**No order is due**: none of the {summary.sites} sites passes {limit} in sight.")
    if summary.add_gbps > 0.0:
        sentences.append(f"To order in all: {theme.gbps(summary.add_gbps)}.")
    if summary.grades["unknown"]:
        sentences.append(f"For {summary.grades['unknown']} no answer is known; the table says why.")
    return sentences


def _policy_words(question: PlanQuery) -> str:
    factor, plus = question.lead_factor, question.lead_plus_days
    padding = "as declared" if (factor, plus) == (1.0, 0.0) else f"{factor:g} times what is declared, and {plus:g} days"
    return f"Limit: {limit_words(question)}. Lead times are planned with {padding}"


def draw_late_augments(frame: Frame, question: PlanQuery) -> None:
    """Warn of planned augments whose date has passed: none of them counts as capacity."""
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


def choose_grade(sites: pd.DataFrame, base: pd.DataFrame | None) -> pd.DataFrame:
    """Draw the choice of a grade, each with its number of sites; the rows of the grade chosen."""
    is_changed = planning.changed_rows(base, sites) if base is not None else pd.Series(False, index=sites.index)
    rows_of = {
        "all": sites,
        **{grade: sites[sites["grade"] == grade] for grade in GRADES},
        "changed": sites[is_changed],
    }
    chosen_grade = state.current().grade
    words = {"all": "All", "changed": "Changed"} | {
        grade: f"{mark.glyph} {word.capitalize()}" for grade, (mark, word) in GRADES.items()
    }
    options = [name for name in state.CHOICES["grade"] if len(rows_of[name]) or name in ("all", chosen_grade)]
    st.segmented_control(
        "Orders",
        options,
        format_func=lambda name: f"{words[name]} {len(rows_of[name])}",
        label_visibility="collapsed",
        **state.bound("grade"),
    )
    return rows_of[chosen_grade].reset_index(drop=True)


def draw_orders(frame: Frame, question: PlanQuery, sites: pd.DataFrame, base: pd.DataFrame | None) -> None:
    """Draw the table of orders, worst first, or cards on a narrow screen; a click on a site opens it below."""
    if sites.empty:
        st.caption("No site is of this kind.")
        return
    now = frame.extent.now
    rows = plan_table(sites, now, base)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## What to order" if state.current().partner is None else "## What to deliver")
        _draw_downloads(frame, question, sites)
    if frame.narrow:
        records = sites.to_dict("records")
        titles = [card_title(row) for row in records]
        cards(titles, lambda at: card_lines(records[at], question, now), key="run-outs")
        return
    st.dataframe(
        rows,
        column_config=column_config(question, tuple(rows["key"]))
        | {name: None for name in ("Partner",) if rows[name].isna().all()},
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="run-outs",
        alt=f"Gbps, run-out and order-by dates of {len(rows)} sites",
    )


def card_title(row: Mapping[Any, Any]) -> str:
    """Title of a site's card: its name, which links to its page, and its grade."""
    mark, grade = GRADES[row["grade"]]
    return f"**[{plain(row['name'])}]({state.link('region', site=row['key'])})** {mark.glyph} {grade}"


def card_lines(row: Mapping[Any, Any], question: PlanQuery, now: pd.Timestamp) -> list[str]:
    """Lines of a site's card: demand, run-out and order; the reason alone where no answer is known."""
    if row["grade"] == "unknown":
        return [plain(answer_words(row, now))]
    peak = f"{STATISTICS[question.statistic]} {theme.gbps(row['peak_gbps'])} of {theme.gbps(row['capacity_gbps'])}"
    short = f": **{theme.gbps(row['short_gbps'])} short**" if row["short_gbps"] > 0.0 else ""
    lines = [f"{peak}, limit {theme.gbps(row['limit_gbps'])}{short}", f"Runs out: {answer_words(row, now)}"]
    if row["grade"] != "none":
        add = f"Add **{theme.gbps(row['add_gbps'])}**" if row["add_gbps"] > 0.0 else "Nothing to add"
        lines.append(f"{add}; order by **{order_words(row, now)}**; ordered today: {today_words(row, now)}")
    return lines


def _site_clicked(sites: tuple[str, ...]) -> None:
    """Focus the site of the row whose name was clicked."""
    state.update(focus=f"site:{sites[st.session_state[_CLICK]['row']]}")


def column_config(question: PlanQuery, sites: tuple[str, ...]) -> dict[str, Any]:
    """Column settings of the table of these sites. Under a partner's filter health and probability are hidden."""
    of_partner = state.current().partner is not None
    number = partial(NumberColumn, format="localized", width=82)
    hidden = dict.fromkeys(("Health", "Partner", "Probability"), None) if of_partner else {}
    return {
        "key": None,
        "Site": site_column(_CLICK, help_="Opens the site below", on_click=_site_clicked, args=(sites,)),
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


def _draw_downloads(frame: Frame, question: PlanQuery, sites: pd.DataFrame) -> None:
    """Draw the downloads: the plan with every number, date and reason, and its orders for a calendar; without health
    under a partner's filter.
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
        for name, (content, file, kind, help_text) in files.items():
            st.download_button(
                name, content, file, kind, key=f"plan-{name}", on_click="ignore", type="tertiary", help=help_text
            )


# The dates: bars and map
# ----------------------------------------------------------------------------------------------------

# More bars scroll inside their frame.
BARS_PX = 420
# Beside the dates the map has two fifths of the page.
BESIDE = Canvas(500, 360, 40)
_CHOSEN = "runout-map.chosen"


def draw_bars(frame: Frame, question: PlanQuery, sites: pd.DataFrame, base: pd.DataFrame | None) -> None:
    """Draw the run-out dates of all sites as bars on one axis."""
    dated, now = dated_rows(sites), frame.extent.now
    first_dates = [f"{row['name']} {answer_words(row, now)}" for row in dated.head(5).to_dict("records")]
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
            alt=f"Run-out dates of {len(dated)} sites, worst first: {'; '.join(first_dates) or 'none in sight'}",
            config=export.settings(),
        )
    dates = sites[["name", *planning.PLAN_COLUMNS]]
    export.take_away(["run-out-bars"], "run-out-dates", "run-out dates", dates, PLAN_UNITS, frame.zone)


def draw_map(frame: Frame, outlooks: Outlooks, rows: pd.DataFrame, canvas: Canvas) -> None:
    """Draw the map of the sites of `rows`, fitted to them; without sites that a what-if adds, which have no position."""
    sites = planning.with_plan(cached.sites_now(frame.pin, frame.scope), outlooks.rows)
    sites = sites[sites["site_id"].isin(rows["key"])].reset_index(drop=True)
    marks = map_marks.at_present(sites)
    style = Look("runout", frame.scheme, map_marks.scale(sites, small=True), frame.extent.now, present=True)
    places = frame.catalogue[frame.catalogue["site_id"].isin(rows["key"])] if len(sites) else frame.catalogue
    map_deck = deck(marks, [], style, Drawing(("sites",), "flat", OUTLINE, map_view.fit(places, canvas), canvas))
    alt = map_marks.described(marks, style, theme.stamp(frame.extent.now, frame.zone))
    event = st.pydeck_chart(
        map_deck, height=canvas.height, on_select="rerun", selection_mode="single-object", key="runout-map", alt=alt
    )
    legend = map_marks.legend(marks, [], style)
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


def draw_place(frame: Frame, outlooks: Outlooks, sites: pd.DataFrame) -> None:
    """Draw the choice of a place, its answer in a sentence, and its fan; `sites`: rows of the table, worst first."""
    names = place_names(frame, outlooks.rows, sites)
    if not names:
        return
    place = choose_place(names)
    row = row_of(outlooks.rows, place)
    base_row = None if outlooks.base is None else row_of(outlooks.base, place)
    without = f"; without the what-if: {answer_words(base_row, frame.extent.now)}" if base_row else ""
    reason = str(row.get("reason") or "") if row.get("answer") != "refused" else ""
    note = f". {reason[0].upper()}{reason[1:]}." if reason else ""
    answer_text = plain(sentence(place.name, row, frame) + without + note)
    link = f" [Region page]({state.link('region', site=place.key)})" if place.level == "site" else ""
    st.markdown(answer_text + link)
    futures = planning.fan(frame.pin, frame.scope, outlooks.question, place.level, place.key)
    if futures is None:
        empty_states.nothing(f"{place.name} has no futures", str(row["reason"]), icon="query_stats")
        return
    chart = fan_chart(frame, outlooks.question, place, futures)
    if base_row:
        base_futures = planning.fan(
            frame.pin, frame.scope, outlooks.question._replace(changes=""), place.level, place.key
        )
        chart = replace(chart, before=None if base_futures is None else base_futures.weeks)
    export.chart(
        linked_figure(fan_panels(chart), start=chart.start, end=chart.end, zone=frame.zone, scheme=frame.scheme),
        key="plan-place",
        name=f"{place.name} run-out",
        alt=fan_alt(chart, place),
        data=partial(fan_table, chart),
        units=FAN_UNITS,
        zone=frame.zone,
    )


def row_of(rows: pd.DataFrame, place: Place) -> dict[str, Any]:
    """Row of a place; empty where it has none."""
    place_rows = rows[(rows["level"] == place.level) & (rows["key"] == place.key)]
    return {str(name): value for name, value in place_rows.iloc[0].items()} if len(place_rows) else {}


def place_names(frame: Frame, rows: pd.DataFrame, sites: pd.DataFrame) -> dict[str, str]:
    """Names of the places to choose from, by level:key: the sites of the table, worst first, then regions and the
    network; under a partner's filter its sites alone.
    """
    names = {f"site:{key}": str(name) for key, name in zip(sites["key"], sites["name"], strict=True)}
    if state.current().partner is not None:
        return names
    regions, chosen_region = region_names(frame.catalogue), state.current().region
    region_keys = rows[rows["level"] == "region"]["key"]
    names |= {
        f"region:{key}": f"{regions.get(key, key)}, all sites" for key in region_keys if chosen_region in (None, key)
    }
    return names | ({f"global:{GLOBAL_KEY}": "The whole network"} if len(rows[rows["level"] == "global"]) else {})


def choose_place(names: dict[str, str]) -> Place:
    """Draw the choice of a place; the place chosen, by default the one that runs out first."""
    focus = state.current().focus
    current = focus if focus in names else next(iter(names))
    st.session_state[_PLACE] = current
    st.selectbox(
        "Place",
        list(names),
        format_func=lambda key: names.get(key, key),
        key=_PLACE,
        on_change=_place_chosen,
        width=320,
    )
    level, _, key = current.partition(":")
    return Place(LEVELS[level], key, names[current], None)


def _place_chosen() -> None:
    state.update(focus=st.session_state[_PLACE])


def fan_chart(frame: Frame, question: PlanQuery, place: Place, futures: Fan) -> FanChart:
    """Data of the fan: the weeks measured in the quarter before, and the futures."""
    weeks = planning.measured_weeks(frame.pin, frame.scope, question.direction)
    place_weeks = weeks[(weeks["level"] == place.level) & (weeks["key"] == place.key)].sort_values(
        "ts", ignore_index=True
    )
    measured = place_weeks[["ts"]].assign(value=place_weeks[question.statistic].astype(float))
    return FanChart(
        f"{question.direction.capitalize()} of {place.name} against its limit",
        f"{question.direction}_gbps",
        STATISTIC[question.statistic],
        question.limit,
        measured["ts"].iloc[0] if len(measured) else futures.weeks["ts"].iloc[0],
        futures.weeks["ts"].iloc[-1],
        frame.extent.now,
        futures.weeks,
        measured,
        futures.steps,
        frame.zone,
        frame.scheme,
    )


def fan_alt(chart: FanChart, place: Place) -> str:
    """Alternative text of the fan, in a sentence."""
    last: dict[Any, Any] = chart.weeks.iloc[-1].to_dict()
    limit = (
        f"against a limit of {theme.gbps(last['room_gbps'])}"
        if pd.notna(last["room_gbps"])
        else "without a declared capacity"
    )
    return f"{place.name}: by {theme.day(chart.end)} between {theme.gbps(last['q10'])} and {theme.gbps(last['q90'])} in 80 % of futures, {limit}"


def sentence(name: str, row: dict[str, Any], frame: Frame) -> str:
    """Run-out and order of a place in a sentence, for the head of its fan."""
    now = frame.extent.now
    if row["answer"] == "refused":
        return answer_words(row, now)
    text = f"{name} passes the limit: {answer_words(row, now)}; within 90 days in {probability_words(float(row['within_90']))} of futures"
    if row["level"] != "site" or not isinstance(row["order_by"], pd.Timestamp):
        return text
    return (
        f"{text}. Order by: {order_words(row, now)}; in service by: {service_words(row, now)}; lead time {lead_words(row)}; "
        f"ordered today: {today_words(row, now)}"
    )
