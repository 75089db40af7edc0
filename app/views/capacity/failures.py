"""Failures: a verdict, one failure week by week on the map and in tables, and the single failures that shed most. All
Gbps are of one joint future; the player and what it shows rerun as a fragment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, NumberColumn, TextColumn

from app import cached, state, theme
from app.cached import ViewersPerGbps, failures
from app.cached.failures import FailureRefusal, FailureReport, FailureSpec, FailureTimeline
from app.cached.planning import PlanQuery, RunOut
from app.charts.map_view import NARROW, WIDE, fit
from app.ui import empty_states, export
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.map_player import Ticker
from app.ui.maps import OUTLINE, legend_words
from app.ui.place import region_names, site_names
from app.ui.tables import HEADER_PX, ROW_PX, cards, row_cards
from app.ui.tile import tile
from app.views.capacity import choices, what_if
from app.views.capacity.choices import IN_WORDS
from app.views.capacity.failure_charts import (
    MOVE_UNITS,
    NAMED,
    SITE_UNITS,
    FailureMap,
    failure_deck,
    failure_legend,
    listed,
    move_rows,
    pickable_layers,
    site_rows,
)
from app.views.capacity.run_out_charts import probability_words


def safe_words(run_out: RunOut, now: pd.Timestamp) -> str:
    """Until when any single failure can be carried: 'not known', 'not now', 'past 20 May 2027', 'until 3 to 19 Dec'."""
    if run_out.answer == "refused":
        return "not known"
    if run_out.answer == "over":
        return "not now"
    first, last = run_out.p10, run_out.p90
    if run_out.answer == "beyond" or first is None:
        return f"past {theme.day(run_out.horizon)}"
    return f"until {theme.interval(max(first, now), last, now)}"


def draw(frame: Frame, question: PlanQuery) -> None:
    """Draw the verdict, the what-if, one failure week by week, and every single failure; only a note where no site
    declares a capacity, without which no shed traffic can be computed.
    """
    outlooks = what_if.outlooks(frame, question)
    if outlooks is None:
        choices.no_futures(frame, question)
        return
    if choices.no_capacity(frame, outlooks.rows[outlooks.rows["level"] == "site"]):
        return
    quantile = QUANTILES[state.current().quantile]
    report = failures.single_failures(frame.pin, frame.scope, outlooks.question, quantile)
    if report is None:
        return
    st.markdown(f"{verdict(frame, report)} Failover {plain(failures.failover_rule(question.failover))}.")
    what_if.panel(frame, outlooks.question)
    panel(frame, outlooks.question, str(report.first_week["key"].iloc[0]))
    draw_single_failures(frame, report)
    with st.expander(
        "How it is reckoned, and who takes over for whom", icon=":material/info:", **state.fold("failover")
    ):
        choices.choose_failover(question.failover)
        st.caption(
            plain(
                f"{choices.words(question.failover)} The chance that anything is shed is over every simulated future of "
                f"the half year to {theme.day(report.safe_until.horizon)}; Gbps are of one joint future, which stands "
                f"at the {state.current().quantile.upper()} of the whole network's demand in each week."
            )
        )


def verdict(frame: Frame, report: FailureReport) -> str:
    """Whether the network is N-1 safe, in a sentence."""
    safe_until, worst = report.safe_until, report.first_week.iloc[0]
    if safe_until.answer == "over":
        name = site_names(frame.catalogue, None).get(str(worst["key"]), str(worst["key"]))
        count = report.shedding
        return (
            f"**The network does not stand the failure of any one site**: this week {count} of {len(report.first_week)} "
            f"single failures {'leaves' if count == 1 else 'leave'} traffic without room, {plain(name)} most "
            f"({theme.gbps(float(worst['shed_gbps']))})."
        )
    if safe_until.answer == "refused":
        return f"**Whether the network stands a failure is not known**: {plain(safe_until.reason)}."
    return f"**The network stands the failure of any one site {safe_words(safe_until, frame.extent.now)}** (N-1 safe)."


QUANTILES = {"p50": 0.5, "p90": 0.9}
QUANTILE_WORDS = {"p50": "P50 demand", "p90": "P90 demand"}
MOST_PX = 320
_TURN = "failing.turn"


def panel(frame: Frame, question: PlanQuery, worst: str) -> None:
    """Draw the choice of the failure, the map with its player, and the tables, as a fragment: a change of the week or
    the failure reruns this part, not the page.
    """
    st.fragment(_draw_panel, run_every=CLOCK.interval())(frame, question, worst)


def _draw_panel(frame: Frame, question: PlanQuery, worst: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="failing"):
        failure = choose_failure(frame, worst)
        st.segmented_control(
            "Demand",
            list(QUANTILES),
            format_func=QUANTILE_WORDS.__getitem__,
            label_visibility="collapsed",
            **state.bound("quantile"),
        )
    quantile = state.current().quantile
    with st.spinner("Playing the failure", show_time=True):
        timeline = failures.simulate(frame.pin, frame.scope, question, failure, QUANTILES[quantile])
    title = failure_words(frame, failure)
    if not isinstance(timeline, FailureTimeline):
        reason = timeline.reason if isinstance(timeline, FailureRefusal) else "the newest run has no futures"
        empty_states.nothing(f"The failure of {title} cannot be played", reason, icon="query_stats")
        return
    viewers = cached.viewers_per_gbps(frame.pin, frame.scope) if question.direction == "egress" else None
    headline = st.empty()
    week = _draw_week(frame, timeline, failure, question)
    headline.markdown(loss_sentence(frame, timeline, title, week))
    if notes := assumptions(frame, timeline, failure, viewers):
        st.caption(plain(notes))
    _draw_tables(frame, timeline, week, title, viewers)


def loss_sentence(frame: Frame, timeline: FailureTimeline, title: str, week: pd.Timestamp) -> str:
    """Traffic without room and sites over their limit in a week of the failure, in a sentence or two."""
    row, names = timeline.weeks[timeline.weeks["week"] == week].iloc[0], site_names(frame.catalogue, None)
    shed, displaced = float(row["shed_gbps"]), float(row["displaced_gbps"])
    over_limit = [names.get(key, key) for key in row["passed"]]
    when = f"If {plain(title)} fails in the week of {theme.day(week, year=False)}"
    if shed > 0.0:
        viewers = f", about {theme.count(round(row['shed_viewers']))} viewers" if pd.notna(row["shed_viewers"]) else ""
        sentence = f"**{when}, {theme.gbps(shed)} of its {theme.gbps(displaced)} find no room**{viewers}."
    else:
        sentence = f"**{when}, the others carry all of its {theme.gbps(displaced)}.**"
    return (
        f"{sentence} {plain(listed(tuple(over_limit)))} pass{'es' if len(over_limit) == 1 else ''} the limit."
        if over_limit
        else sentence
    )


def _draw_week(frame: Frame, timeline: FailureTimeline, failure: FailureSpec, question: PlanQuery) -> pd.Timestamp:
    """Draw the map of a week beside its tiles; the week that the player is at."""
    weeks = list(timeline.weeks["week"])
    left, right = st.columns([2, 1], gap="medium")
    with left:
        picture = st.container(gap="xsmall", key="failure-picture")
        index = week_player(weeks, QUANTILE_WORDS[state.current().quantile])
        with picture:
            clicked = _draw_map(frame, timeline, failure, weeks[index])
    with right:
        _draw_tiles(frame, timeline, index, question)
    if clicked:
        CLOCK.stop()
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        state.update(fails=f"site:{clicked}")
        st.rerun()
    return weeks[index]


def _draw_map(frame: Frame, timeline: FailureTimeline, failure: FailureSpec, week: pd.Timestamp) -> str | None:
    """Draw the map of a week and its legend; the site_id that was clicked, or None."""
    failure_map = map_of_week(frame, timeline, failure, week)
    alt = map_alt(
        frame,
        failure_map,
        failure_words(frame, failure),
        timeline.weeks[timeline.weeks["week"] == week].iloc[0].to_dict(),
    )
    event = st.pydeck_chart(
        failure_deck(failure_map),
        height=failure_map.canvas.height,
        on_select="rerun",
        selection_mode="single-object",
        key="failure-map",
        alt=alt,
    )
    legend = failure_legend(failure_map)
    st.markdown(legend_words(legend))
    with st.container(horizontal=True, horizontal_alignment="right"):
        name = f"{failure_words(frame, failure)}, week of {theme.day(week)}"
        export.map_picture("failure-map", name, [(entry.glyph, entry.colour, entry.words) for entry in legend])
    return clicked_site(event, failure_map.turn)


def map_of_week(frame: Frame, timeline: FailureTimeline, failure: FailureSpec, week: pd.Timestamp) -> FailureMap:
    """Data of the map of a week: every site of the timeline, with one scale for all weeks."""
    places = frame.catalogue[["site_id", "name", "region_name", "region_id", "lat", "lon"]]
    sites = timeline.sites[timeline.sites["week"] == week].merge(places, on="site_id")
    sites = sites.assign(
        share=sites["site_id"].map(timeline.share).astype(float).fillna(0.0),
        region_name=sites["region_name"].fillna(sites["region_id"]),
    )
    canvas = NARROW if frame.narrow else WIDE
    largest = float(timeline.sites[["before_gbps", "load_gbps"]].to_numpy(float).max(initial=0.0))
    cut = (failure.source, failure.key) if failure.kind == "path" else None
    moves = timeline.moves[timeline.moves["week"] == week]
    return FailureMap(
        sites,
        moves,
        cut,
        largest,
        OUTLINE,
        fit(frame.catalogue[frame.catalogue["site_id"].isin(affected_sites(timeline))], canvas),
        canvas,
        frame.scheme,
        st.session_state.get(_TURN, 0),
    )


def affected_sites(timeline: FailureTimeline) -> set[str]:
    """Ids of the sites that fail or take over in any week, to which the map is fitted."""
    return {*timeline.share, *timeline.sites.loc[timeline.sites["taken_gbps"] > 0.0, "site_id"]}


def clicked_site(event: Mapping[str, Any], turn: int) -> str | None:
    """The site_id of the marker that was clicked in the layers of this `turn` of the map, or None."""
    objects = event["selection"]["objects"]
    return next((str(marker["id"]) for layer in pickable_layers(turn) for marker in objects.get(layer, [])), None)


def _draw_tiles(frame: Frame, timeline: FailureTimeline, index: int, question: PlanQuery) -> None:
    """Draw the tiles of a week: displaced traffic, traffic without room, and sites over their limit."""
    week, names = timeline.weeks.iloc[index], site_names(frame.catalogue, None)
    shed, over_limit = float(week["shed_gbps"]), tuple(names.get(key, key) for key in week["passed"])
    with st.container(gap="small", key="failure-numbers"):
        tile(
            "Must go elsewhere",
            theme.gbps(week["displaced_gbps"]),
            f"{question.direction}, {IN_WORDS[question.statistic]}",
            timeline.weeks["displaced_gbps"].to_list(),
        )
        viewers = (
            f"about {theme.count(round(week['shed_viewers']))} viewers not served"
            if shed > 0 and pd.notna(week["shed_viewers"])
            else None
        )
        tile(
            "Finds no room",
            theme.gbps(shed),
            viewers or ("all is carried" if shed == 0 else "does not fit anywhere"),
            timeline.weeks["shed_gbps"].to_list(),
        )
        tile(
            "Pushed past their limit",
            str(len(over_limit)),
            listed(over_limit),
            [float(len(sites)) for sites in timeline.weeks["passed"]],
        )


def assumptions(frame: Frame, timeline: FailureTimeline, failure: FailureSpec, viewers: ViewersPerGbps | None) -> str:
    """Assumptions behind the numbers of this failure alone, in sentences; empty where there are none."""
    sentences = []
    if failure.kind == "path":
        share = theme.percent(next(iter(timeline.share.values())))
        sentences.append(
            f"{share} of what came in over the last 7 days came this way; so many of its viewers go elsewhere."
        )
    if viewers is not None:
        first, last = theme.day(viewers.since, year=False), theme.day(viewers.until)
        sentences.append(f"Viewers are an estimate, from the egress per viewer that was measured {first} to {last}.")
    if len(timeline.share) > 1 and timeline.weeks["shed_gbps"].sum() > 0.0:
        sentences.append("Each failed site sheds the same share of its demand, as far as its reach allows.")
    if timeline.left_out:
        names = site_names(frame.catalogue, None)
        sentences.append(
            f"Not counted, for want of futures: {listed([names.get(key, key) for key in timeline.left_out])}."
        )
    return " ".join(sentences)


def map_alt(frame: Frame, failure_map: FailureMap, title: str, week: Mapping[Any, Any]) -> str:
    """Alternative text of the map, for a screen reader."""
    names = site_names(frame.catalogue, None)
    takers = failure_map.sites[failure_map.sites["taken_gbps"] > 0].sort_values("taken_gbps", ascending=False)
    largest = ", ".join(
        f"{names.get(row.site_id, row.site_id)} {theme.gbps(row.taken_gbps)}" for row in takers.head(NAMED).itertuples()
    )
    return (
        f"Map of the failure of {title} in the week of {theme.day(week['week'])}: {theme.gbps(week['displaced_gbps'])} must go elsewhere, "
        f"{theme.gbps(week['shed_gbps'])} is shed. Most goes to {largest or 'nobody'}. The tables below hold the same numbers."
    )


def _draw_tables(
    frame: Frame, timeline: FailureTimeline, week: pd.Timestamp, title: str, viewers: ViewersPerGbps | None
) -> None:
    """Draw the tables of a week: load of each site before and after, and moved traffic. CSV files hold every week."""
    names = site_names(frame.catalogue, None)
    rows = site_rows(timeline.sites, timeline.share, names, viewers.ratio if viewers else None)
    moves = move_rows(timeline.moves, names)
    _draw_table(frame, "Before and after", rows, week, f"{title} fails, sites", SITE_UNITS)
    _draw_table(frame, "What moves where", moves, week, f"{title} fails, moves", MOVE_UNITS)


# How numbers of the two tables read on a card.
CARD_WORDS = (
    dict.fromkeys(("Before", "After", "Moves", "Shed", "Takes over"), theme.gbps)
    | dict.fromkeys(("Used before", "Used after", "Limit", "Share"), lambda points: theme.percent(points / 100))
    | {"Viewers": theme.count}
)


def _draw_table(
    frame: Frame, title: str, rows: pd.DataFrame, week: pd.Timestamp, name: str, units: Mapping[str, str]
) -> None:
    week_rows = rows[rows["Week"] == week].drop(columns=["Week"])
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{title}**, week of {theme.day(week)}")
        export.csv_button(rows, name, key=f"failure-{title}-csv", units=units)
    if week_rows.empty:
        st.caption("None in this week.")
        return
    if frame.narrow:
        row_cards(week_rows, str(week_rows.columns[0]), CARD_WORDS, key=f"failure-{title}")
        return
    st.dataframe(
        week_rows,
        column_config=_column_config(),
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(week_rows)),
        placeholder="-",
        key=f"failure-{title}",
        alt=f"{title}: {len(week_rows)} rows",
    )


def _column_config() -> dict[str, Any]:
    gbps = {name: NumberColumn(f"{name}, Gbps", width=95, format="%.3g") for name in ("Before", "After", "Moves")} | {
        "Shed": NumberColumn("No room, Gbps", width=105, format="%.3g")
    }
    utilisation = {
        name: NumberColumn(name, width=90, format="%.0f %%", help="Of its capacity")
        for name in ("Used before", "Used after", "Limit")
    }
    return (
        gbps
        | utilisation
        | {
            "Takes over": NumberColumn("Takes over, Gbps", width=115, format="%.3g"),
            "Site": TextColumn(width=130, pinned=True),
            "Part": TextColumn(width=80),
            "From": TextColumn(width=120),
            "To": TextColumn(width=120),
            "Share": NumberColumn("Share", width=70, format="%.0f %%", help="Of what moves away from there"),
            "Passes its limit": TextColumn(width=100, help="Because of the failure: it stood below before"),
            "Viewers": NumberColumn(
                "Viewers not served",
                width=120,
                format="compact",
                help="An estimate, from what a Gbps served in the last 7 days",
            ),
        }
    )


CLOCK = Ticker("weeks")
_SLIDER = "weeks.slider"


def week_player(weeks: Sequence[pd.Timestamp], badge: str) -> int:
    """Draw the player's controls; the index of the week that they are at.

    weeks: their Mondays. badge: the demand that the numbers are of, in a word or two.
    """
    index = _current_index(weeks)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="week-player"):
        if CLOCK.button("A week a step, from here to the end of the half year"):
            _store_week(weeks[index], first=index == 0)
            st.rerun()
        st.button(
            "First",
            key="weeks.first",
            type="tertiary",
            disabled=index == 0,
            help="Back to the first week",
            on_click=_week_moved,
            args=(weeks, 0),
        )
        st.session_state[_SLIDER] = index
        st.select_slider(
            "Week",
            range(len(weeks)),
            key=_SLIDER,
            format_func=lambda step: theme.day(weeks[step], year=False),
            label_visibility="collapsed",
            on_change=_week_moved,
            args=(weeks,),
            width="stretch",
        )
        st.markdown(
            f"**Week of {theme.day(weeks[index])}** UTC :blue-badge[:material/timeline: {badge}]", width="content"
        )
    return index


def week_index(weeks: Sequence[pd.Timestamp], moment: pd.Timestamp | None) -> int:
    """Index of the week that contains a moment; the first where it is None or earlier, the last where it is later."""
    return 0 if moment is None else max(0, int(pd.DatetimeIndex(weeks).searchsorted(moment, side="right")) - 1)


def _current_index(weeks: Sequence[pd.Timestamp]) -> int:
    """Index of the week from the slider, else from the link; one more at each tick of the player."""
    linked_week = state.current().week
    index = min(
        st.session_state.get(_SLIDER, week_index(weeks, None if linked_week is None else pd.Timestamp(linked_week))),
        len(weeks) - 1,
    )
    if not CLOCK.due():
        return int(index)
    if index == len(weeks) - 1:
        CLOCK.stop()
        st.rerun()
    return int(index) + 1


def _week_moved(weeks: Sequence[pd.Timestamp], index: int | None = None) -> None:
    new_index = st.session_state[_SLIDER] if index is None else index
    st.session_state[_SLIDER] = new_index
    _store_week(weeks[new_index], first=new_index == 0)


def _store_week(week: pd.Timestamp, *, first: bool) -> None:
    """Write the week into the URL; `first` takes it out. Not called at each tick of the player: every step would become
    an entry of the browser's history.
    """
    state.update(week=None if first else week.to_pydatetime())


_CHOICE = "failing.choice"


def choose_failure(frame: Frame, worst: str) -> FailureSpec:
    """Draw the choice of what fails; the failure chosen, by default that of the site `worst`."""
    labels = failure_choices(frame)
    chosen = state.current().fails or f"site:{worst}"
    if chosen not in labels:
        labels[chosen] = failure_words(frame, parse_failure(chosen))
    st.session_state[_CHOICE] = chosen
    st.selectbox(
        "What fails",
        list(labels),
        format_func=lambda key: labels.get(key, key),
        key=_CHOICE,
        on_change=_failure_chosen,
        width=380,
    )
    return parse_failure(chosen)


def failure_choices(frame: Frame) -> dict[str, str]:
    """Label of each failure that can be chosen, by its text in a link (see `parse_failure`)."""
    sites = frame.catalogue
    labels = {f"site:{key}": name for key, name in site_names(sites, None).items()}
    counts = {column: sites[column].value_counts() for column in ("region_id", "partner")}
    labels |= {
        f"region:{key}": f"{name}, region of {counts['region_id'][key]} sites"
        for key, name in region_names(sites).items()
    }
    labels |= {
        f"partner:{key}": f"{key}, partner with {counts['partner'][key]} sites"
        for key in sorted(counts["partner"].index)
    }
    names = site_names(sites, None)
    for row in cached.ingest_paths(frame.pin, frame.scope).itertuples(index=False):
        path = f"{names.get(row.source_site_id, row.source_site_id)} to {names.get(row.target_site_id, row.target_site_id)}"
        labels[f"path:{row.source_site_id}>{row.target_site_id}"] = f"{path}, path of {theme.gbps(row.gbps)}"
    return labels


def failure_words(frame: Frame, failure: FailureSpec) -> str:
    """Name of the site, region, partner or path that fails."""
    names = site_names(frame.catalogue, None)
    if failure.kind == "path":
        return f"the path from {names.get(failure.source, failure.source)} to {names.get(failure.key, failure.key)}"
    if failure.kind == "partner":
        return failure.key
    return (names if failure.kind == "site" else region_names(frame.catalogue)).get(failure.key, failure.key)


def parse_failure(text: str) -> FailureSpec:
    """Failure from its text in a link, kind:key (path:source>target for a path), which the state has checked."""
    kind, _, key = text.partition(":")
    if kind == "path":
        source, _, target = key.partition(">")
        return FailureSpec("path", target, source)
    return (
        FailureSpec("region", key)
        if kind == "region"
        else FailureSpec("partner", key)
        if kind == "partner"
        else FailureSpec("site", key)
    )


def _failure_chosen() -> None:
    state.update(fails=st.session_state[_CHOICE])


# Every single failure
# ----------------------------------------------------------------------------------------------------

MOST = 10
_CLICK = "failures.click"


def draw_single_failures(frame: Frame, report: FailureReport) -> None:
    """Draw tables of the worst single failures of this week and of each month; a click on a site plays its failure."""
    st.markdown("## If any one site fails")
    names = dict(zip(frame.catalogue["site_id"], frame.catalogue["name"], strict=True))
    worst_now = report.first_week.head(MOST)
    left, right = st.columns(2, gap="medium")
    with left:
        _draw_single_table(
            "Worst this week",
            single_failure_table(worst_now, names).drop(columns=["Month"]),
            "failures-now",
            tuple(worst_now["key"]),
            narrow=frame.narrow,
        )
    with right:
        _draw_single_table(
            "Worst of each month",
            single_failure_table(report.months, names),
            "failures-months",
            tuple(report.months["key"]),
            narrow=frame.narrow,
        )


def single_failure_table(report_rows: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Table of single failures: Failed site, Month, Shed (Gbps), Any shed (words), Pushed over their limit (names)."""
    return pd.DataFrame(
        {
            "Failed site": [names.get(key, key) for key in report_rows["key"]],
            "Month": [
                f"{theme.MONTHS[month.month - 1]} {month.year}"
                for month in report_rows.get("month", report_rows.get("week"))
            ],
            "Shed": report_rows["shed_gbps"].to_numpy(float),
            "Any shed": [
                probability_words(float(share)) if share > 0 else "none" for share in report_rows["probability"]
            ],
            "Pushed over their limit": [
                listed(tuple(names.get(key, key) for key in passed)) for passed in report_rows["passes"]
            ],
        }
    )


def _draw_single_table(title: str, rows: pd.DataFrame, name: str, sites: tuple[str, ...], *, narrow: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{title}**")
        export.csv_button(rows, name, key=f"{name}-csv", units={"Shed": "Gbps"})
    if narrow:
        records = rows.to_dict("records")
        titles = [
            f"**[{plain(row['Failed site'])}]({state.link('capacity', fails=f'site:{site}')})** {row.get('Month', '')}"
            for site, row in zip(sites, records, strict=True)
        ]
        cards(titles, lambda at: _card_lines(records[at]), key=name)
        return
    click = f"{_CLICK}.{name}"
    st.dataframe(
        rows,
        column_config={
            "Failed site": ButtonColumn(
                type="tertiary",
                alignment="left",
                width=125,
                pinned=True,
                key=click,
                on_click=_play_failure,
                args=(click, sites),
                help="Plays this failure above",
            ),
            "Month": TextColumn(width=75),
            "Shed": NumberColumn("No room, Gbps", width=105, format="%.3g"),
            "Any shed": TextColumn("Chance", width=80, help="Share of futures in which anything finds no room"),
            "Pushed over their limit": TextColumn(help="Sites that pass the limit because of it"),
        },
        hide_index=True,
        row_height=ROW_PX,
        height=HEADER_PX + ROW_PX * len(rows),
        key=name,
        alt=f"{title}: {len(rows)} failures",
    )


def _card_lines(row: Mapping[Any, Any]) -> list[str]:
    """A single failure in two lines, for its card on a narrow screen."""
    return [
        f"**{theme.gbps(row['Shed'])}** find no room; chance of any: {row['Any shed']}",
        f"Pushed over their limit: {plain(row['Pushed over their limit'])}",
    ]


def _play_failure(click: str, sites: tuple[str, ...]) -> None:
    state.update(fails=f"site:{sites[st.session_state[click]['row']]}")
