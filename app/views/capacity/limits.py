"""How full may a site run before its viewers feel it? Learned from quality against load, place by place, and offered as
the limit.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, NumberColumn, TextColumn

from app import state, theme
from app.cached import limits, planning
from app.cached.limits import SafeLimits, SafeUtilisation
from app.cached.planning import PlanQuery
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.place import region_names
from app.ui.site_filter import filtered_sites, no_site_passes
from app.ui.tables import HEADER_PX, ROW_PX, opened
from app.views.capacity.limit_charts import SafeChart, answer_words, limit_table, safe_chart, usable
from app.views.capacity.what_if import words
from data.schema import METRIC

# What viewers, or broadcasters, feel of a full site.
QUALITY = {
    "egress": ("rebuffer_ratio", "startup_seconds", "playback_failure_ratio"),
    "ingest": ("ingest_starved_ratio",),
}
_PLACE, _ALL, _METRIC = "limits.place", "limits.all", "limits.quality"


def draw(frame: Frame, asked: PlanQuery) -> None:
    """One place's curve, chosen; the table of all where it is asked for. Nothing is fitted before."""
    st.markdown("##### How full may a site run?")
    measured = [name for name in QUALITY[asked.direction] if name in frame.extent.metrics]
    if not measured:
        empty_states.partial("A safe limit", {name: METRIC[name].meaning for name in QUALITY[asked.direction]})
        return
    chosen, sites = filtered_sites(frame), frame.catalogue
    if chosen is not None:
        sites = sites[sites["site_id"].isin(chosen)]
    if sites.empty:
        no_site_passes()
        return
    st.caption(
        f"Quality against utilisation in the samples of the last {limits.DAYS} days. The knee is where it is worse by a fifth than at low load; what may be "
        "used is the lower end of its interval. A knee that is not known to 3 points either side, or that one day alone tells of, is none."
    )
    regions = {key: name for key, name in region_names(frame.catalogue).items() if key in set(sites["region_id"])}
    names = dict(zip(sites["site_id"].astype(str), sites["name"].astype(str), strict=True))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        quality = _metric(measured)
        focus = _place(regions, names)
        st.button(
            f"Learn all {len(names)} sites",
            key="limits-all",
            icon=":material/school:",
            on_click=_ask_for_all,
            args=(quality, asked.direction),
        )
    if focus is not None:
        place(frame, asked, quality, focus, regions | names)
    else:
        st.caption(":material/info: Choose a site or a region, or learn all of them: one region takes a second or two.")
    if st.session_state.get(_ALL) == (quality, asked.direction):
        draw_table(frame, asked, quality, regions, names)


def _metric(measured: list[str]) -> str:
    held = state.current().quality
    st.session_state[_METRIC] = held if held in measured else measured[0]
    st.selectbox(
        "What viewers feel",
        measured,
        format_func=lambda name: METRIC[name].label,
        key=_METRIC,
        on_change=_metric_chosen,
        width=200,
    )
    return str(st.session_state[_METRIC])


def _metric_chosen() -> None:
    state.update(quality=st.session_state[_METRIC])


def _place(regions: dict[str, str], names: dict[str, str]) -> str | None:
    """Draw the choice of a place; the one chosen, as level:key."""
    words = {f"region:{key}": f"{name}, all sites" for key, name in regions.items()} | {
        f"site:{key}": name for key, name in names.items()
    }
    focus = state.current().focus
    st.session_state[_PLACE] = focus if focus in words else None
    st.selectbox(
        "Place",
        list(words),
        index=None,
        format_func=lambda key: words.get(key, key),
        key=_PLACE,
        on_change=_place_chosen,
        width=320,
        placeholder="A site or a region",
    )
    return focus if focus in words else None


def _place_chosen() -> None:
    state.update(focus=st.session_state[_PLACE])


def _ask_for_all(quality: str, direction: str) -> None:
    st.session_state[_ALL] = (quality, direction)


def place(frame: Frame, asked: PlanQuery, quality: str, focus: str, names: dict[str, str]) -> None:
    """One place: its curve, its answer in a sentence, and what may be done with it."""
    level, _, key = focus.partition(":")
    region = key if level == "region" else str(frame.catalogue.set_index("site_id").loc[key, "region_id"])
    with st.spinner("Learning from the samples", show_time=True):
        found = limits.region_limits(frame.pin, frame.scope, asked.direction, quality, region)
    answer, name = answer_of(found, level, key), names[key] if level == "site" else f"{names[key]}, all sites"
    if answer is None:
        empty_states.nothing(
            f"{name}: no sample has both",
            f"No sample of the last {limits.DAYS} days has {METRIC[quality].label.lower()}, {asked.direction} and a capacity.",
            {"Declare what a site can carry": f"python -m data ingest PATH --table capacity --lake {frame.pin.url}"},
            icon="query_stats",
        )
        return
    st.markdown(empty_states.plain(sentence(name, answer)))
    drawn = safe_chart(
        SafeChart(
            name,
            answer,
            quality,
            METRIC[quality].label,
            asked.limit,
            limits.DAYS,
            relative=level == "region",
            scheme=frame.scheme,
        )
    )
    units = {
        "utilisation": "ratio",
        **({} if level == "region" else dict.fromkeys(("quality", "low", "high"), METRIC[quality].unit)),
    }
    export.chart(
        drawn, key="safe-limit", name=f"{name} safe limit", alt=sentence(name, answer), data=answer.curve, units=units
    )
    draw_offer(frame, asked, level, key, name, answer)


def answer_of(found: SafeLimits, level: str, key: str) -> SafeUtilisation | None:
    """The answer of one place."""
    return found.region if level == "region" else next((one for one in found.sites if one.key == key), None)


def sentence(name: str, answer: SafeUtilisation) -> str:
    """What was found, in a sentence."""
    if answer.state == "found":
        return f"{name}: {answer_words(answer)}; up to {theme.percent(usable(answer))} of capacity may be used before viewers feel it."
    return f"{name}: {answer_words(answer)}."


def draw_offer(frame: Frame, asked: PlanQuery, level: str, key: str, name: str, answer: SafeUtilisation) -> None:
    """Buttons for a knee that was found; and which limits of single sites hold already."""
    if answer.state == "found":
        share = usable(answer)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**Use {theme.percent(share)} as the limit**")
            if level == "site":
                st.button(
                    f"of {empty_states.plain(name)}",
                    on_click=of_one,
                    args=(key, share),
                    key="limit-one",
                    icon=":material/place:",
                )
            st.button(
                "of all sites",
                on_click=of_all,
                args=(share,),
                key="limit-all",
                icon=":material/public:",
                disabled=not _may_be(share),
            )
            if not _may_be(share):
                st.caption(f"The policy's limit is at least {theme.percent(state.LEAST_LIMIT)}.")
    if held := [one for one in planning.changes(asked.changes) if one["kind"] == "limit"]:
        told = "; ".join(empty_states.plain(words(one, frame.catalogue)) for one in held)
        st.caption(f":material/alt_route: In the what-if: {told}. What runs out, failures and augments reckon with it.")


def _may_be(share: float) -> bool:
    return state.LEAST_LIMIT <= share <= state.MOST_LIMIT


def of_all(share: float) -> None:
    """The policy's limit."""
    state.update(limit=share)


def of_one(site: str, share: float) -> None:
    """A change of the what-if, in the place of an earlier one for the same site."""
    kept = [
        one
        for one in planning.changes(state.current().whatif or "")
        if (one["kind"], one.get("site_id")) != ("limit", site)
    ]
    text = ""
    for change in [*kept, {"kind": "limit", "limit": share, "site_id": site}]:
        text = planning.with_change(text, change)
    if state.fits(text):
        state.update(whatif=text)


MOST_PX = 480
_CLICK, _CHOSEN = "limits.click", "limits.chosen"
UNITS = dict.fromkeys(("Knee", "From", "To", "May be used", "Seen up to"), "%")


def draw_table(frame: Frame, asked: PlanQuery, quality: str, regions: dict[str, str], names: dict[str, str]) -> None:
    """The table; a click on a site draws its curve above."""
    answers = learn(frame, asked, quality, regions, names)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("##### All sites, lowest knee first")
        if answers.empty:
            st.caption(":material/info: No sample has quality, traffic and a capacity to hold it against.")
            return
        rows = limit_table(answers)
        export.csv_button(rows, "safe limits", key="limits-csv", units=UNITS)
    event = st.dataframe(
        rows,
        column_config=columns(),
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        on_select="rerun",
        selection_mode="single-row",
        key="limits-table",
        alt=f"Safe limits of {len(rows)} sites",
    )
    at = opened(event.selection, st.session_state.get(_CLICK))
    before, st.session_state[_CHOSEN] = st.session_state.get(_CHOSEN), at
    if at is not None and at != before and at < len(rows):
        state.update(focus=f"site:{rows['key'].iloc[at]}")
        st.rerun()


def learn(frame: Frame, asked: PlanQuery, quality: str, regions: dict[str, str], names: dict[str, str]) -> pd.DataFrame:
    """key, name, region and answer of each site."""
    with st.spinner("Learning from the samples of all sites", show_time=True):
        answers = limits.site_limits(frame.pin, frame.scope, asked.direction, quality)
    region_of = dict(zip(frame.catalogue["site_id"], frame.catalogue["region_id"], strict=True))
    rows = [
        (answer.key, names[answer.key], regions[region_of[answer.key]], answer)
        for answer in answers
        if answer.key in names
    ]
    return pd.DataFrame(rows, columns=["key", "name", "region", "answer"])


def columns() -> dict[str, Any]:
    """How each column reads."""
    shares = {
        "Knee": "From here on quality is worse by a fifth than at low load",
        "From": "Lower end of its 90 % interval",
        "To": "Upper end of it",
        "May be used": "The lower end of the knee's interval",
        "Seen up to": "The highest utilisation that was measured",
    }
    return {
        "key": None,
        "Site": ButtonColumn(
            type="tertiary", alignment="left", pinned=True, width=140, key=_CLICK, help="Draws the site's curve above"
        ),
        "Region": TextColumn(width=190),
        **{name: NumberColumn(width=95, format="%.0f %%", help=words) for name, words in shares.items()},
        "Answer": TextColumn(width=320),
    }
