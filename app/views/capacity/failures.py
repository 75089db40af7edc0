"""Failures: a verdict, one failure week by week on the map and in tables, and what sheds most if any one site fails. All Gbps
are of one joint future; the part that plays runs by itself.
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


def safe_words(found: RunOut, now: pd.Timestamp) -> str:
    """Until when any single failure can be carried: 'not now', '3 to 19 Dec', 'for 6 months at least'."""
    if found.answer == "refused":
        return "not known"
    if found.answer == "over":
        return "not now"
    first, last = found.p10, found.p90
    if found.answer == "beyond" or first is None:
        return f"past {theme.day(found.horizon)}"
    return f"until {theme.interval(max(first, now), last, now)}"


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The verdict, the what-if, one failure, and every single one. Where no capacity is declared nothing can be said of
    what is shed.
    """
    outlooks = what_if.outlooks(frame, asked)
    if outlooks is None:
        choices.no_futures(frame, asked)
        return
    if choices.no_capacity(frame, outlooks.rows[outlooks.rows["level"] == "site"]):
        return
    quantile = QUANTILES[state.current().quantile]
    report = failures.single_failures(frame.pin, frame.scope, outlooks.question, quantile)
    if report is None:
        return
    st.markdown(f"{verdict(frame, report)} Failover {plain(failures.failover_rule(asked.failover))}.")
    what_if.panel(frame, outlooks.question)
    panel(frame, outlooks.question, str(report.first_week["key"].iloc[0]))
    single(frame, report)
    with st.expander(
        "How it is reckoned, and who takes over for whom", icon=":material/info:", **state.fold("failover")
    ):
        choices.choose_failover(asked.failover)
        st.caption(
            plain(
                f"{choices.words(asked.failover)} The chance that anything is shed is over every simulated future of "
                f"the half year to {theme.day(report.safe_until.horizon)}; Gbps are of one joint future, which stands "
                f"at the {state.current().quantile.upper()} of the whole network's demand in each week."
            )
        )


def verdict(frame: Frame, report: FailureReport) -> str:
    """Whether the network stands the failure of any one site, in a sentence or two."""
    until, worst = report.safe_until, report.first_week.iloc[0]
    if until.answer == "over":
        name = site_names(frame.catalogue, None).get(str(worst["key"]), str(worst["key"]))
        count = report.shedding
        return (
            f"**The network does not stand the failure of any one site**: this week {count} of {len(report.first_week)} "
            f"single failures {'leaves' if count == 1 else 'leave'} traffic without room, {plain(name)} most "
            f"({theme.gbps(float(worst['shed_gbps']))})."
        )
    if until.answer == "refused":
        return f"**Whether the network stands a failure is not known**: {plain(until.reason)}."
    return f"**The network stands the failure of any one site {safe_words(until, frame.extent.now)}** (N-1 safe)."


QUANTILES = {"p50": 0.5, "p90": 0.9}
QUANTILE_WORDS = {"p50": "P50 demand", "p90": "P90 demand"}
MOST_PX = 320
_TURN = "failing.turn"


def panel(frame: Frame, question: PlanQuery, worst: str) -> None:
    """The choice, the map with its player, and the tables. The week and the choice draw this part alone anew, not the
    page.
    """
    st.fragment(_panel, run_every=CLOCK.interval())(frame, question, worst)


def _panel(frame: Frame, question: PlanQuery, worst: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="failing"):
        fails = choose(frame, worst)
        st.segmented_control(
            "Demand",
            list(QUANTILES),
            format_func=QUANTILE_WORDS.__getitem__,
            label_visibility="collapsed",
            **state.bound("quantile"),
        )
    chosen = state.current().quantile
    with st.spinner("Playing the failure", show_time=True):
        found = failures.simulate(frame.pin, frame.scope, question, fails, QUANTILES[chosen])
    title = failure_words(frame, fails)
    if not isinstance(found, FailureTimeline):
        reason = found.reason if isinstance(found, FailureRefusal) else "the newest run has no futures"
        empty_states.nothing(f"The failure of {title} cannot be played", reason, icon="query_stats")
        return
    viewers = cached.viewers_per_gbps(frame.pin, frame.scope) if question.direction == "egress" else None
    said = st.empty()
    week = _week(frame, found, fails, question)
    said.markdown(loss(frame, found, title, week))
    if notes := assumptions(frame, found, fails, viewers):
        st.caption(plain(notes))
    _tables(frame, found, week, title, viewers)


def loss(frame: Frame, found: FailureTimeline, title: str, week: pd.Timestamp) -> str:
    """What a failure comes to in a week, in a sentence."""
    row, names = found.weeks[found.weeks["week"] == week].iloc[0], site_names(frame.catalogue, None)
    shed, displaced = float(row["shed_gbps"]), float(row["displaced_gbps"])
    passed = [names.get(key, key) for key in row["passed"]]
    when = f"If {plain(title)} fails in the week of {theme.day(week, year=False)}"
    if shed > 0.0:
        viewers = f", about {theme.count(round(row['shed_viewers']))} viewers" if pd.notna(row["shed_viewers"]) else ""
        said = f"**{when}, {theme.gbps(shed)} of its {theme.gbps(displaced)} find no room**{viewers}."
    else:
        said = f"**{when}, the others carry all of its {theme.gbps(displaced)}.**"
    return (
        f"{said} {plain(listed(tuple(passed)))} pass{'es' if len(passed) == 1 else ''} the limit." if passed else said
    )


def _week(frame: Frame, found: FailureTimeline, fails: FailureSpec, question: PlanQuery) -> pd.Timestamp:
    """The map of one week beside its numbers; the week."""
    weeks = list(found.weeks["week"])
    left, right = st.columns([2, 1], gap="medium")
    with left:
        picture = st.container(gap="xsmall", key="failure-picture")
        at = player(weeks, QUANTILE_WORDS[state.current().quantile])
        with picture:
            clicked = _picture(frame, found, fails, weeks[at])
    with right:
        _numbers(frame, found, at, question)
    if clicked:
        CLOCK.stop()
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        state.update(fails=f"site:{clicked}")
        st.rerun()
    return weeks[at]


def _picture(frame: Frame, found: FailureTimeline, fails: FailureSpec, week: pd.Timestamp) -> str | None:
    """The map and its legend; the site that was clicked."""
    drawn = drawing(frame, found, fails, week)
    alt = described(
        frame, drawn, failure_words(frame, fails), found.weeks[found.weeks["week"] == week].iloc[0].to_dict()
    )
    event = st.pydeck_chart(
        failure_deck(drawn),
        height=drawn.canvas.height,
        on_select="rerun",
        selection_mode="single-object",
        key="failure-map",
        alt=alt,
    )
    legend = failure_legend(drawn)
    st.markdown(legend_words(legend))
    with st.container(horizontal=True, horizontal_alignment="right"):
        name = f"{failure_words(frame, fails)}, week of {theme.day(week)}"
        export.map_picture("failure-map", name, [(entry.glyph, entry.colour, entry.words) for entry in legend])
    return picked(event, drawn.turn)


def drawing(frame: Frame, found: FailureTimeline, fails: FailureSpec, week: pd.Timestamp) -> FailureMap:
    """The map of a week: every site of the lake that has futures, one scale for all weeks."""
    places = frame.catalogue[["site_id", "name", "region_name", "region_id", "lat", "lon"]]
    sites = found.sites[found.sites["week"] == week].merge(places, on="site_id")
    sites = sites.assign(
        share=sites["site_id"].map(found.share).astype(float).fillna(0.0),
        region_name=sites["region_name"].fillna(sites["region_id"]),
    )
    canvas = NARROW if frame.narrow else WIDE
    largest = float(found.sites[["before_gbps", "load_gbps"]].to_numpy(float).max(initial=0.0))
    cut = (fails.source, fails.key) if fails.kind == "path" else None
    moves = found.moves[found.moves["week"] == week]
    return FailureMap(
        sites,
        moves,
        cut,
        largest,
        OUTLINE,
        fit(frame.catalogue[frame.catalogue["site_id"].isin(involved(found))], canvas),
        canvas,
        frame.scheme,
        st.session_state.get(_TURN, 0),
    )


def involved(found: FailureTimeline) -> set[str]:
    """The sites that fail or take over in any week: what the map is fitted to."""
    return {*found.share, *found.sites.loc[found.sites["taken_gbps"] > 0.0, "site_id"]}


def picked(event: Mapping[str, Any], turn: int) -> str | None:
    """The site_id of the marker that was clicked since the map was last turned over."""
    objects = event["selection"]["objects"]
    return next((str(one["id"]) for layer in pickable_layers(turn) for one in objects.get(layer, [])), None)


def _numbers(frame: Frame, found: FailureTimeline, at: int, question: PlanQuery) -> None:
    """What the failure comes to in a week."""
    week, names = found.weeks.iloc[at], site_names(frame.catalogue, None)
    shed, passed = float(week["shed_gbps"]), tuple(names.get(key, key) for key in week["passed"])
    with st.container(gap="small", key="failure-numbers"):
        tile(
            "Must go elsewhere",
            theme.gbps(week["displaced_gbps"]),
            f"{question.direction}, {IN_WORDS[question.statistic]}",
            found.weeks["displaced_gbps"].to_list(),
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
            found.weeks["shed_gbps"].to_list(),
        )
        tile(
            "Pushed past their limit",
            str(len(passed)),
            listed(passed),
            [float(len(one)) for one in found.weeks["passed"]],
        )


def assumptions(frame: Frame, found: FailureTimeline, fails: FailureSpec, viewers: ViewersPerGbps | None) -> str:
    """What this failure's numbers rest on, beside what holds for all, in sentences."""
    said = []
    if fails.kind == "path":
        share = theme.percent(next(iter(found.share.values())))
        said.append(f"{share} of what came in over the last 7 days came this way; so many of its viewers go elsewhere.")
    if viewers is not None:
        first, last = theme.day(viewers.since, year=False), theme.day(viewers.until)
        said.append(f"Viewers are an estimate, from the egress per viewer that was measured {first} to {last}.")
    if len(found.share) > 1 and found.weeks["shed_gbps"].sum() > 0.0:
        said.append("Each failed site sheds the same share of its demand, as far as its reach allows.")
    if found.left_out:
        names = site_names(frame.catalogue, None)
        said.append(f"Not counted, for want of futures: {listed([names.get(key, key) for key in found.left_out])}.")
    return " ".join(said)


def described(frame: Frame, drawn: FailureMap, title: str, week: Mapping[Any, Any]) -> str:
    """The map in words, for a screen reader."""
    names = site_names(frame.catalogue, None)
    takers = drawn.sites[drawn.sites["taken_gbps"] > 0].sort_values("taken_gbps", ascending=False)
    most = ", ".join(
        f"{names.get(row.site_id, row.site_id)} {theme.gbps(row.taken_gbps)}" for row in takers.head(NAMED).itertuples()
    )
    return (
        f"Map of the failure of {title} in the week of {theme.day(week['week'])}: {theme.gbps(week['displaced_gbps'])} must go elsewhere, "
        f"{theme.gbps(week['shed_gbps'])} is shed. Most goes to {most or 'nobody'}. The tables below hold the same numbers."
    )


def _tables(
    frame: Frame, found: FailureTimeline, week: pd.Timestamp, title: str, viewers: ViewersPerGbps | None
) -> None:
    """Who carries what, and what moves where, in the week shown; the files hold every week."""
    names = site_names(frame.catalogue, None)
    rows = site_rows(found.sites, found.share, names, viewers.ratio if viewers else None)
    moves = move_rows(found.moves, names)
    _table(frame, "Before and after", rows, week, f"{title} fails, sites", SITE_UNITS)
    _table(frame, "What moves where", moves, week, f"{title} fails, moves", MOVE_UNITS)


# How numbers of the two tables read on a card.
CARD_WORDS = (
    dict.fromkeys(("Before", "After", "Moves", "Shed", "Takes over"), theme.gbps)
    | dict.fromkeys(("Used before", "Used after", "Limit", "Share"), lambda points: theme.percent(points / 100))
    | {"Viewers": theme.count}
)


def _table(
    frame: Frame, title: str, rows: pd.DataFrame, week: pd.Timestamp, name: str, units: Mapping[str, str]
) -> None:
    shown = rows[rows["Week"] == week].drop(columns=["Week"])
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{title}**, week of {theme.day(week)}")
        export.csv_button(rows, name, key=f"failure-{title}-csv", units=units)
    if shown.empty:
        st.caption("None in this week.")
        return
    if frame.narrow:
        row_cards(shown, str(shown.columns[0]), CARD_WORDS, key=f"failure-{title}")
        return
    st.dataframe(
        shown,
        column_config=_columns(),
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(shown)),
        placeholder="-",
        key=f"failure-{title}",
        alt=f"{title}: {len(shown)} rows",
    )


def _columns() -> dict[str, Any]:
    gbps = {name: NumberColumn(f"{name}, Gbps", width=95, format="%.3g") for name in ("Before", "After", "Moves")} | {
        "Shed": NumberColumn("No room, Gbps", width=105, format="%.3g")
    }
    used = {
        name: NumberColumn(name, width=90, format="%.0f %%", help="Of its capacity")
        for name in ("Used before", "Used after", "Limit")
    }
    return (
        gbps
        | used
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


def player(weeks: Sequence[pd.Timestamp], badge: str) -> int:
    """Draw the controls; which of the weeks (their Mondays) they are at. `badge`: what the numbers of a week are, in a
    word or two.
    """
    at = _position(weeks)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="week-player"):
        if CLOCK.button("A week a step, from here to the end of the half year"):
            _keep(weeks[at], first=at == 0)
            st.rerun()
        st.button(
            "First",
            key="weeks.first",
            type="tertiary",
            disabled=at == 0,
            help="Back to the first week",
            on_click=_moved,
            args=(weeks, 0),
        )
        st.session_state[_SLIDER] = at
        st.select_slider(
            "Week",
            range(len(weeks)),
            key=_SLIDER,
            format_func=lambda step: theme.day(weeks[step], year=False),
            label_visibility="collapsed",
            on_change=_moved,
            args=(weeks,),
            width="stretch",
        )
        st.markdown(f"**Week of {theme.day(weeks[at])}** UTC :blue-badge[:material/timeline: {badge}]", width="content")
    return at


def position(weeks: Sequence[pd.Timestamp], moment: pd.Timestamp | None) -> int:
    """The week that holds a moment; the first or the last where it lies outside."""
    return 0 if moment is None else max(0, int(pd.DatetimeIndex(weeks).searchsorted(moment, side="right")) - 1)


def _position(weeks: Sequence[pd.Timestamp]) -> int:
    """Where the viewer or the link put it, one step further at each tick."""
    held = state.current().week
    here = min(
        st.session_state.get(_SLIDER, position(weeks, None if held is None else pd.Timestamp(held))), len(weeks) - 1
    )
    if not CLOCK.due():
        return int(here)
    if here == len(weeks) - 1:
        CLOCK.stop()
        st.rerun()
    return int(here) + 1


def _moved(weeks: Sequence[pd.Timestamp], at: int | None = None) -> None:
    chosen = st.session_state[_SLIDER] if at is None else at
    st.session_state[_SLIDER] = chosen
    _keep(weeks[chosen], first=chosen == 0)


def _keep(week: pd.Timestamp, *, first: bool) -> None:
    """Write the week into the URL. While it plays the URL is left alone: each step would become a page of the browser's
    history.
    """
    state.update(week=None if first else week.to_pydatetime())


_CHOICE = "failing.choice"


def choose(frame: Frame, worst: str) -> FailureSpec:
    """Draw the choice; what fails, the site `worst` unless the state names something else."""
    names = failure_choices(frame)
    held = state.current().fails or f"site:{worst}"
    if held not in names:
        names[held] = failure_words(frame, of_text(held))
    st.session_state[_CHOICE] = held
    st.selectbox(
        "What fails",
        list(names),
        format_func=lambda key: names.get(key, key),
        key=_CHOICE,
        on_change=_chosen,
        width=380,
    )
    return of_text(held)


def failure_choices(frame: Frame) -> dict[str, str]:
    """Everything that may be chosen, in words, by its text in a link."""
    sites = frame.catalogue
    found = {f"site:{key}": name for key, name in site_names(sites, None).items()}
    counts = {column: sites[column].value_counts() for column in ("region_id", "partner")}
    found |= {
        f"region:{key}": f"{name}, region of {counts['region_id'][key]} sites"
        for key, name in region_names(sites).items()
    }
    found |= {
        f"partner:{key}": f"{key}, partner with {counts['partner'][key]} sites"
        for key in sorted(counts["partner"].index)
    }
    names = site_names(sites, None)
    for row in cached.ingest_paths(frame.pin, frame.scope).itertuples(index=False):
        text = f"{names.get(row.source_site_id, row.source_site_id)} to {names.get(row.target_site_id, row.target_site_id)}"
        found[f"path:{row.source_site_id}>{row.target_site_id}"] = f"{text}, path of {theme.gbps(row.gbps)}"
    return found


def failure_words(frame: Frame, fails: FailureSpec) -> str:
    """What fails, in a few words."""
    names = site_names(frame.catalogue, None)
    if fails.kind == "path":
        return f"the path from {names.get(fails.source, fails.source)} to {names.get(fails.key, fails.key)}"
    if fails.kind == "partner":
        return fails.key
    return (names if fails.kind == "site" else region_names(frame.catalogue)).get(fails.key, fails.key)


def of_text(text: str) -> FailureSpec:
    """What a link's text, which the state has checked, says."""
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


def _chosen() -> None:
    state.update(fails=st.session_state[_CHOICE])


# Every single failure
# ----------------------------------------------------------------------------------------------------

MOST = 10
_CLICK = "failures.click"


def single(frame: Frame, report: FailureReport) -> None:
    """Every single failure: two tables side by side; a click on a name plays it above."""
    st.markdown("## If any one site fails")
    names = dict(zip(frame.catalogue["site_id"], frame.catalogue["name"], strict=True))
    first = report.first_week.head(MOST)
    left, right = st.columns(2, gap="medium")
    with left:
        _single(
            "Worst this week",
            rows_of(first, names).drop(columns=["Month"]),
            "failures-now",
            tuple(first["key"]),
            narrow=frame.narrow,
        )
    with right:
        _single(
            "Worst of each month",
            rows_of(report.months, names),
            "failures-months",
            tuple(report.months["key"]),
            narrow=frame.narrow,
        )


def rows_of(found: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Failed site, Month, Shed (Gbps), Any shed (words), Pushed over their limit (names)."""
    return pd.DataFrame(
        {
            "Failed site": [names.get(key, key) for key in found["key"]],
            "Month": [f"{theme.MONTHS[one.month - 1]} {one.year}" for one in found.get("month", found.get("week"))],
            "Shed": found["shed_gbps"].to_numpy(float),
            "Any shed": [probability_words(float(share)) if share > 0 else "none" for share in found["probability"]],
            "Pushed over their limit": [
                listed(tuple(names.get(key, key) for key in passed)) for passed in found["passes"]
            ],
        }
    )


def _single(title: str, rows: pd.DataFrame, name: str, sites: tuple[str, ...], *, narrow: bool) -> None:
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
                on_click=_play,
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
    """A failure in two lines."""
    return [
        f"**{theme.gbps(row['Shed'])}** find no room; chance of any: {row['Any shed']}",
        f"Pushed over their limit: {plain(row['Pushed over their limit'])}",
    ]


def _play(click: str, sites: tuple[str, ...]) -> None:
    state.update(fails=f"site:{sites[st.session_state[click]['row']]}")
