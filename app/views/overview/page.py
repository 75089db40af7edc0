"""Is the network healthy now, and where does it run out next?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, DateColumn, LineChartColumn, NumberColumn, ProgressColumn, TextColumn

from app import cached, state, theme
from app.cached import SiteFilter, planning
from app.cached.planning import NetworkSummary
from app.charts.map_marks import PLAN_RUNOUT
from app.ui import export
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.maps import network_map
from app.ui.site_filter import filtered_sites, no_site_passes, reporting_sites, site_filter
from app.ui.tables import HEADER_PX, ROW_PX, cards, open_clicked, site_column
from app.ui.tile import has_values, tile
from app.views.overview.charts import FILE_COLUMNS, card_lines, sparkline
from app.views.overview.charts import site_table as rows_of
from data.schema import UTILISATION_LIMIT


def show(frame: Frame) -> None:
    """The verdict and its numbers, the map and who has most of the trouble beside where to look first, and every site."""
    chosen = filtered_sites(frame)
    sites = planning.site_states(frame.pin, frame.scope, chosen)
    if sites.empty:
        site_filter(frame)
        no_site_passes()
        return
    summary = planning.summarise_sites(sites)
    headline(frame, chosen, sites, summary)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        site_filter(frame)
        network_map(frame, chosen, sites)
        leaderboards(frame, planning.site_states(frame.pin, frame.scope))
    with right:
        where_to_look(frame, sites, summary)
    site_table(frame, sites)


LABELS = {"egress_gbps": "Egress", "ingest_gbps": "Ingest", "viewers": "Viewers"}
LIMIT = theme.percent(UTILISATION_LIMIT)
HELP = {
    "peak": "Highest hourly mean of the last 24 hours, then the newest hour. The line: hourly means of the last 7 days.",
    "fullest": "Highest hourly mean of the last 24 hours over capacity, egress or ingest, whichever is fuller.",
    "over": f"Sites whose weekly peak stands above {LIMIT} of capacity, egress or ingest.",
    "order": "Sites that need an order within 30 days to be in time, and those whose order-by date has passed already.",
    "undeclared": "How full a site runs, and when it runs out, needs a declared capacity. The page Data says how to supply it.",
}
# Sites that a sentence names before it counts the rest.
NAMED = 2


def headline(frame: Frame, chosen: SiteFilter, sites: pd.DataFrame, summary: NetworkSummary) -> None:
    """The verdict, then traffic, audience, how full and what is to be ordered. `sites`: planning.site_states of the
    filter `chosen`; `summary`: of them.
    """
    # One block whatever stands in it: what follows keeps its place, and the map its pan and zoom, when a filter is set.
    with st.container(gap="xsmall", key="verdict"):
        st.markdown(f"## {plain(verdict(summary, len(frame.catalogue), frame.extent.now))}", width="stretch")
        if chosen is None:
            for words in _network_without(frame):
                st.caption(f":material/info: {plain(words)}")
    rows = cached.headline(frame.pin, frame.scope, reporting_sites(frame, chosen)).set_index("metric")
    with st.container(horizontal=True, gap="xsmall", key="headline"):
        for metric in LABELS:
            _traffic(metric, rows)
        if summary.fullest_site is None:
            _largest(sites)
        else:
            week = sites.set_index("name")["week"].loc[[summary.fullest_site]].iloc[0]
            share = theme.percent(summary.fullest_share)
            tile("Fullest, peak 24 h", share, plain(summary.fullest_site), week, HELP["fullest"])
        _limits(summary)


# The verdict
# ------------------------------------------------------------------------------------------------------------------


def verdict(summary: NetworkSummary, of: int, now: pd.Timestamp) -> str:
    """The state of the network in one line of plain text: sites by state, what is over its limit and what runs out
    next, and how viewers fare. `of`: all sites that the viewer may see.
    """
    return " ".join([_states(summary, of), *_limit_sentences(summary, now), _viewers(summary)])


def _states(summary: NetworkSummary, of: int) -> str:
    """'48 sites: 34 ok, 10 watch, 4 act.'"""
    whole = "1 site" if of == 1 else f"{of} sites"
    head = whole if summary.sites == of else f"{summary.sites} of {whole}"
    states = [f"{summary.states[state]} {state}" for state in theme.STATES if state in summary.states]
    if len(states) == 1 and summary.sites > 1:
        return f"{head}: all {next(iter(summary.states))}."
    return f"{head}: {', '.join(states)}."


def _limit_sentences(summary: NetworkSummary, now: pd.Timestamp) -> Iterator[str]:
    """What is over its limit, what runs out next, and what is not known, each where there is something to say."""
    if summary.undeclared == summary.sites:
        yield "No capacity is declared, so when they run out is not known."
        return
    following = ""
    if summary.next_site is not None and summary.next_date is not None:
        when = theme.day(summary.next_date, year=summary.next_date.year != now.year)
        following = f"; next: {summary.next_site}, likely by {when}"
    if summary.over or following or summary.unplanned < summary.sites - summary.undeclared:
        number = "None is" if not summary.over else f"{summary.over} {'is' if summary.over == 1 else 'are'}"
        yield f"{number} over {'its' if summary.over < 2 else 'their'} limit at the weekly peak{following}."
    if summary.undeclared:
        yield f"{summary.undeclared} {'declares' if summary.undeclared == 1 else 'declare'} no capacity."
    if not summary.is_planned:
        yield "No forecast to plan from has been published, so when sites run out is not known."
    elif summary.unplanned:
        cannot = "No site can" if summary.unplanned == summary.sites else f"{summary.unplanned} cannot"
        yield f"{cannot} be planned yet ({summary.refusal})."


def _viewers(summary: NetworkSummary) -> str:
    if summary.poor is None:
        return "How viewers fare is not measured."
    return f"Viewers fare badly at {named(summary.poor)}." if summary.poor else "Viewers fine."


def named(names: Sequence[str]) -> str:
    """'Seoul', 'Seoul and Lima', 'Seoul, Lima and 3 more'."""
    if len(names) <= NAMED:
        return " and ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _network_without(frame: Frame) -> Iterator[str]:
    """Which sites the network is planned without, why, and their share, as its plan has it."""
    plan = planning.network_plan(frame.pin, frame.scope)
    if plan is None:
        return
    rows = plan.rows[(plan.rows["level"] == "global") & plan.rows["answer"].ne("refused") & plan.rows["reason"].ne("")]
    for reason, group in rows.groupby("reason", sort=False):
        yield f"The network's {' and '.join(sorted(group['direction']))} is planned {reason}."


# The numbers
# ------------------------------------------------------------------------------------------------------------------


def _traffic(metric: str, rows: pd.DataFrame) -> None:
    row = rows.loc[metric] if metric in rows.index else None
    if row is None or not has_values(row["series"]):
        tile(LABELS[metric], theme.NO_DATA, help_=absent(metric))
        return
    against = theme.change(row["peak_24h"], row["peak_24h_week_ago"])
    tile(
        f"{LABELS[metric]}, peak 24 h",
        theme.metric_value(metric, row["peak_24h"]),
        f"now {theme.metric_value(metric, row['value'])}",
        row["series"],
        f"{HELP['peak']}  \nThe peak: {against}.",
    )


def absent(metric: str) -> str:
    """What to do about a metric that this lake does not have."""
    return f"No snapshot of the last week holds `{metric}`. The page Data says how to send it."


def _largest(sites: pd.DataFrame) -> None:
    """Without a capacity nothing is full; the largest site is still worth a number."""
    known = sites[sites["peak_24h_gbps"].notna()]
    if len(known):
        largest = known.loc[known["peak_24h_gbps"].astype(float).idxmax()]
        tile("Largest, peak 24 h", theme.gbps(largest["peak_24h_gbps"]), plain(largest["name"]), largest["week"])


def _limits(summary: NetworkSummary) -> None:
    """How many sites are over their limit, and how many orders are due."""
    if summary.undeclared == summary.sites:
        tile("Over the limit", "unknown", "no capacity declared", help_=HELP["undeclared"])
        return
    tile("Over the limit", str(summary.over), f"of {summary.sites}, at the weekly peak", help_=HELP["over"])
    if not summary.is_planned:
        tile("Order within 30 d", "unknown", "no forecast yet", help_=HELP["order"])
    elif summary.unplanned == summary.sites:
        tile(
            "Order within 30 d",
            "unknown",
            "cannot be planned yet",
            help_=f"{HELP['order']}  \n{plain(summary.refusal)}",
        )
    else:
        late = f"{summary.late} too late already" if summary.late else "none too late"
        tile("Order within 30 d", str(summary.late + summary.due), late, help_=HELP["order"])


MOST, PICTURE_PX = 6, 104
AHEAD = pd.Timedelta(days=7)


def where_to_look(frame: Frame, sites: pd.DataFrame, summary: NetworkSummary) -> None:
    """Up to six cards, each a target that opens its site, then in a sentence each what is well and what cannot be
    planned. `sites`: planning.site_states, most urgent first; `summary`: of them.
    """
    st.markdown("## Where to look first")
    cannot = (sites["state"] == "unknown") & sites["silence"].isna()
    urgent = sites[(sites["state"] != "ok") & ~cannot].head(MOST)
    now = frame.extent.now
    ahead = cached.site_forecasts(frame.pin, frame.scope, "egress_gbps", tuple(urgent["site_id"]), now, now + AHEAD)
    with st.container(gap="xsmall"):
        for _, site in urgent.iterrows():
            _card(frame, site, ahead[ahead["site_id"] == site["site_id"]])
    if urgent.empty and (well := summary.states.get("ok", 0)):
        _all_well(well, summary)
    if summary.unplanned:
        _unplanned(summary)
    if summary.undeclared:
        _undeclared(summary)


def _all_well(well: int, summary: NetworkSummary) -> None:
    whose = f"All {well}" if well == summary.sites else f"The other {well}"
    st.markdown(f":material/check_circle: {whose} sites are within their limits.")


def _unplanned(summary: NetworkSummary) -> None:
    """One card for all sites without futures to plan from, and why."""
    with st.container(border=True, gap=None):
        many = "1 site" if summary.unplanned == 1 else f"{summary.unplanned} sites"
        st.markdown(f":material/help: **{many} cannot be planned yet**")
        st.caption(plain(f"{sentence(summary.refusal)} Until then only what is measured is known of them."))


def sentence(text: str | None) -> str:
    """A reason as a sentence of its own."""
    return "" if not text else f"{text[0].upper()}{text[1:].rstrip('.')}."


def _undeclared(summary: NetworkSummary) -> None:
    """What a declared capacity would add, and how it is supplied."""
    whole = summary.undeclared == summary.sites
    whose = "any site" if whole else f"{summary.undeclared} of {summary.sites} sites"
    st.markdown(
        f":material/help: **No capacity is declared for {whose}**: how full they run, and when they run out, is unknown."
    )
    st.caption(
        "Take in a table of capacities: site_id, direction (egress or ingest), effective_from, capacity_gbps, status (installed or planned)."
    )
    st.code("python -m data ingest PATH --table capacity", language="bash", wrap_lines=True)


def _card(frame: Frame, site: pd.Series, ahead: pd.DataFrame) -> None:
    """The name is a button whose target is the whole card (app/static/shell.css)."""
    of = theme.STATES[site["state"]]
    with st.container(border=True, gap=None, key=f"card-{site['site_id']}"):
        if st.button(
            f"{of.glyph} **{plain(site['name'])}**: {of.word}", key=f"open-{site['site_id']}", type="tertiary"
        ):
            state.open_page("region", site=site["site_id"])
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.container().caption(plain(site["reason"]))
            _picture(frame, site, ahead)


def _picture(frame: Frame, site: pd.Series, ahead: pd.DataFrame) -> None:
    """The week so far, and the next one with its 80 % band where there is a forecast."""
    capacity = site["egress_capacity_gbps"]
    limit = None if theme.missing(capacity) else UTILISATION_LIMIT * float(capacity)
    parts = (
        "the last 7 days",
        "the next 7 with their 80 % interval" if len(ahead) else "",
        f"{UTILISATION_LIMIT:.0%} of capacity" if limit else "",
    )
    alt = f"Egress of {site['name']}: {', '.join(part for part in parts if part)}"
    st.image(sparkline(site["week"], ahead, limit, frame.scheme), width=PICTURE_PX, alt=alt)


MOST_PX = 560
# What a lake without partners, capacity or forecasts has nothing for.
MAY_BE_EMPTY = ("Partner", "of capacity", "Short", "Order by")
# A cell without a value: the words beside it say why there is none.
NONE = "-"
_CLICK = "sites.click"


def site_table(frame: Frame, sites: pd.DataFrame) -> None:
    """`sites`: planning.site_states, most urgent first."""
    rows = rows_of(sites, frame.extent.now)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## All sites, most urgent first", width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            export.table_buttons(sites[FILE_COLUMNS], "sites", key="sites-file", units=UNITS)
    if frame.narrow:
        records = rows.to_dict("records")
        titles = [
            f"{row['Health']} **[{plain(row['Site'])}]({state.link('region', site=row['site_id'])})**"
            for row in records
        ]
        cards(titles, lambda at: card_lines(records[at]), key="sites")
        return
    unit = theme.unit("egress_gbps", float(rows["Peak 24 h"].fillna(0.0).max()))
    st.dataframe(
        rows.assign(**{name: rows[name] * unit.factor for name in ("Peak 24 h", "Short")}),
        column_config=columns(unit.word) | empty(rows),
        hide_index=True,
        placeholder=NONE,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="sites",
        alt="All sites with their state, peaks, run-out and order-by dates, most urgent first",
    )
    open_clicked(_CLICK, rows["site_id"].tolist(), set(rows["site_id"]))


UNITS = {"peak_28d_low": "Gbps", "peak_28d_mid": "Gbps", "peak_28d_high": "Gbps", "lead_days": "days"}


def empty(rows: pd.DataFrame) -> dict[str, None]:
    """Columns without a single value, as settings that hide them; the file has them all."""
    return {name: None for name in MAY_BE_EMPTY if rows[name].isna().all()}


def columns(unit: str) -> dict[str, Any]:
    """How each column of the table reads; traffic is in one unit for all sites, so that it sorts."""
    return {
        "site_id": None,
        "Site": site_column(_CLICK, 118),
        "Health": TextColumn(width=62),
        "Region": TextColumn(width=198),
        "Partner": TextColumn(width=160),
        "Peak 24 h": NumberColumn(
            f"Peak 24 h, {unit}", width=104, format="%.3g", help="Highest hourly mean of egress in the last 24 hours"
        ),
        "of capacity": ProgressColumn(
            width=90,
            format="%.0f %%",
            min_value=0,
            max_value=100,
            help="Highest hourly mean of the last 24 hours over capacity, egress or ingest, whichever is fuller",
        ),
        "Last 7 days": LineChartColumn(width=78, y_min=0, help="Egress, highest of every 3 hours"),
        "Peak in 28 days": TextColumn(
            "Peak, next 28 d", width=115, help="Highest hour of egress that is expected, 80 % interval"
        ),
        "Short": NumberColumn(
            f"{unit} short", width=78, format="%.3g", help="The weekly peak above the limit, 0 where it is below"
        ),
        "Run-out": TextColumn(
            width=132, help=f"When {PLAN_RUNOUT.what}: from the earliest to the latest date of the 80 % interval"
        ),
        "Order by": DateColumn(
            width=95, format="D MMM YYYY", help="The last day to order in time for the earliest run-out"
        ),
        "Complete": NumberColumn(
            "Complete",
            width=64,
            format="%.0f %%",
            help="Samples of the last 24 h that are present, over those expected",
        ),
    }


# Regions and partners
# ------------------------------------------------------------------------------------------------------------------

LEADERS: dict[Literal["region", "partner"], str] = {"region": "Region", "partner": "Partner"}
LEADERS_PX = 220


def leaderboards(frame: Frame, sites: pd.DataFrame) -> None:
    """Regions and partners by how many of their sites are to act on. A click on a name shows it alone on the whole
    page, a second click all again. `sites`: planning.site_states of all sites in scope.
    """
    groups = {name: planning.group_states(sites, name) for name in LEADERS}
    shown = {name: rows for name, rows in groups.items() if len(rows) > 1}
    if not shown:
        return
    for place, (name, rows) in zip(st.columns(len(shown), gap="small"), shown.items(), strict=True):
        with place:
            _leaderboard(name, rows)


def _leaderboard(name: Literal["region", "partner"], rows: pd.DataFrame) -> None:
    chosen, click = getattr(state.current(), name), f"leaders.{name}"
    marks = rows["key"].eq(chosen).map({True: "\u2713 ", False: ""})
    has_gbps = bool(rows["add_gbps"].notna().any())
    st.dataframe(
        rows.assign(label=marks + rows["label"])[["label", "act", "watch", "add_gbps"]],
        column_config={
            "label": ButtonColumn(
                LEADERS[name],
                type="tertiary",
                alignment="left",
                width=200,
                key=click,
                help="Shows it alone; once more shows all",
            ),
            "act": NumberColumn("Act", width=45),
            "watch": NumberColumn("Watch", width=58),
            "add_gbps": NumberColumn(
                "To add, Gbps", width=100, format="%.3g", help="Sum of what its sites are to order"
            )
            if has_gbps
            else None,
        },
        hide_index=True,
        placeholder=NONE,
        row_height=ROW_PX,
        height=min(LEADERS_PX, HEADER_PX + ROW_PX * len(rows)),
        key=f"leaderboard-{name}",
        alt=f"{LEADERS[name]}s by sites to act on",
    )
    clicked = st.session_state.get(click)
    if clicked is not None and clicked["row"] < len(rows):
        key = str(rows["key"].iloc[clicked["row"]])
        state.update(**{name: None if key == chosen else key})
        st.rerun()
