"""One failure, week by week: on the map, in numbers, and as tables. A part of the page that runs by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import cached, state, theme
from app.cached import ViewersPerGbps, failures
from app.cached.failures import FailureRefusal, FailureSpec, FailureTimeline
from app.cached.planning import PlanQuery
from app.charts.failure_map import FailureMap, failure_deck, failure_legend, pickable_layers
from app.charts.failure_rows import MOVE_UNITS, NAMED, SITE_UNITS, listed, move_rows, site_rows
from app.charts.map_view import NARROW, WIDE, fit
from app.components import export, states
from app.components.header import Frame
from app.components.ledger import HEADER_PX, ROW_PX
from app.components.network_map import OUTLINE, legend_words
from app.components.place import site_names
from app.components.plan import failover_choice, week_player, what_fails
from app.components.plan.choices import IN_WORDS
from app.components.tile import tile
from app.components.viewport import is_narrow

QUANTILES = {"p50": 0.5, "p90": 0.9}
QUANTILE_WORDS = {"p50": "P50 demand", "p90": "P90 demand"}
MOST_PX = 320
_TURN = "failing.turn"


def panel(frame: Frame, question: PlanQuery, worst: str) -> None:
    """The choice, the map with its player, and the tables. The week and the choice draw this part alone anew, not the
    page.
    """
    st.fragment(_panel, run_every=week_player.CLOCK.interval())(frame, question, worst)


def _panel(frame: Frame, question: PlanQuery, worst: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="failing"):
        fails = what_fails.choose(frame, worst)
        st.segmented_control(
            "Demand",
            list(QUANTILES),
            format_func=QUANTILE_WORDS.__getitem__,
            label_visibility="collapsed",
            **state.bound("quantile"),
        )
    chosen = state.current().quantile
    found = failures.simulate(frame.pin, frame.scope, question, fails, QUANTILES[chosen])
    title = what_fails.described(frame, fails)
    if not isinstance(found, FailureTimeline):
        reason = found.reason if isinstance(found, FailureRefusal) else "the newest run has no futures"
        states.nothing(f"The failure of {title} cannot be played", reason, icon="query_stats")
        return
    viewers = cached.viewers_per_gbps(frame.pin, frame.scope) if question.direction == "egress" else None
    st.caption(states.plain(assumptions(frame, found, fails, question, viewers)))
    _tables(frame, found, _week(frame, found, fails, question), title, viewers)


def _week(frame: Frame, found: FailureTimeline, fails: FailureSpec, question: PlanQuery) -> pd.Timestamp:
    """The map of one week beside its numbers; the week."""
    weeks = list(found.weeks["week"])
    left, right = st.columns([2, 1], gap="medium")
    with left:
        picture = st.container(gap="xsmall", key="failure-picture")
        at = week_player.player(weeks, QUANTILE_WORDS[state.current().quantile])
        with picture:
            clicked = _picture(frame, found, fails, weeks[at])
    with right:
        _numbers(frame, found, at, question)
    if clicked:
        week_player.CLOCK.stop()
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        state.update(fails=f"site:{clicked}")
        st.rerun()
    return weeks[at]


def _picture(frame: Frame, found: FailureTimeline, fails: FailureSpec, week: pd.Timestamp) -> str | None:
    """The map and its legend; the site that was clicked."""
    drawn = drawing(frame, found, fails, week)
    alt = described(
        frame, drawn, what_fails.described(frame, fails), found.weeks[found.weeks["week"] == week].iloc[0].to_dict()
    )
    event = st.pydeck_chart(
        failure_deck(drawn),
        height=drawn.canvas.height,
        on_select="rerun",
        selection_mode="single-object",
        key="failure-map",
        alt=alt,
    )
    st.markdown(legend_words(failure_legend(drawn)))
    return picked(event, drawn.turn)


def drawing(frame: Frame, found: FailureTimeline, fails: FailureSpec, week: pd.Timestamp) -> FailureMap:
    """The map of a week: every site of the lake that has futures, one scale for all weeks."""
    places = frame.catalogue[["site_id", "name", "region_name", "region_id", "lat", "lon"]]
    sites = found.sites[found.sites["week"] == week].merge(places, on="site_id")
    sites = sites.assign(
        share=sites["site_id"].map(found.share).astype(float).fillna(0.0),
        region_name=sites["region_name"].fillna(sites["region_id"]),
    )
    canvas = NARROW if is_narrow() else WIDE
    largest = float(found.sites[["before_gbps", "load_gbps"]].to_numpy(float).max(initial=0.0))
    cut = (fails.source, fails.key) if fails.kind == "path" else None
    moves = found.moves[found.moves["week"] == week]
    return FailureMap(
        sites,
        moves,
        cut,
        largest,
        OUTLINE,
        fit(frame.catalogue, canvas),
        canvas,
        frame.scheme,
        st.session_state.get(_TURN, 0),
    )


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
            "Shed",
            theme.gbps(shed),
            viewers or ("nothing is shed" if shed == 0 else "does not fit anywhere"),
            found.weeks["shed_gbps"].to_list(),
        )
        tile(
            "Pushed past their limit",
            str(len(passed)),
            listed(passed),
            [float(len(one)) for one in found.weeks["passed"]],
        )


def assumptions(
    frame: Frame, found: FailureTimeline, fails: FailureSpec, question: PlanQuery, viewers: ViewersPerGbps | None
) -> str:
    """What the numbers rest on, in sentences."""
    said = [
        failover_choice.words(question.failover),
        f"Each week is the joint future at the {state.current().quantile.upper()} of the whole network's demand.",
    ]
    if fails.kind == "path":
        share = next(iter(found.share.values()))
        said.append(
            f"{theme.percent(share)} of what came in over the last 7 days came this way, and so many of its viewers are taken to go elsewhere."
        )
    if viewers is not None:
        first, last = theme.day(viewers.since, year=False), theme.day(viewers.until)
        said.append(
            f"Viewers are an estimate: egress per viewer of the site, its region or the network, as measured {first} to {last}."
        )
    if len(found.share) > 1 and found.weeks["shed_gbps"].sum() > 0.0:
        said.append(
            "As little as can be is shed in all, and each failed site sheds the same share of its demand as far as its reach allows."
        )
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
    _table("Before and after", rows, week, f"{title} fails, sites", SITE_UNITS)
    _table("What moves where", moves, week, f"{title} fails, moves", MOVE_UNITS)


def _table(title: str, rows: pd.DataFrame, week: pd.Timestamp, name: str, units: Mapping[str, str]) -> None:
    shown = rows[rows["Week"] == week].drop(columns=["Week"])
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{title}**, week of {theme.day(week)}")
        export.csv_button(rows, name, key=f"failure-{title}-csv", units=units)
    st.dataframe(
        shown,
        column_config=_columns(),
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * max(len(shown), 1)),
        placeholder="-",
        key=f"failure-{title}",
        alt=f"{title}: {len(shown)} rows",
    )


def _columns() -> dict[str, Any]:
    gbps = {
        name: NumberColumn(f"{name}, Gbps", width=95, format="%.3g") for name in ("Before", "After", "Shed", "Moves")
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
