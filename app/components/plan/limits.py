"""How full may a site run before its viewers feel it? Learned from quality against load, place by place, and offered as
the limit.
"""

from __future__ import annotations

import streamlit as st

from app import state, theme
from app.cached import limits
from app.cached.limits import SafeLimits, SafeUtilisation
from app.cached.planning import PlanQuery
from app.charts.safe_limit import SafeChart, answer_words, safe_chart, usable
from app.components import export, states
from app.components.header import Frame
from app.components.place import region_names
from app.components.plan import limit_offer, limit_table
from app.components.site_filter import filtered_sites, no_site_passes
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
        states.partial("A safe limit", {name: METRIC[name].meaning for name in QUALITY[asked.direction]})
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
        limit_table.draw(frame, asked, quality, regions, names)


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
        states.nothing(
            f"{name}: no sample has both",
            f"No sample of the last {limits.DAYS} days has {METRIC[quality].label.lower()}, {asked.direction} and a capacity.",
            {"Declare what a site can carry": f"python -m data ingest PATH --table capacity --lake {frame.pin.url}"},
            icon="query_stats",
        )
        return
    st.markdown(states.plain(sentence(name, answer)))
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
    limit_offer.draw(frame, asked, level, key, name, answer)


def answer_of(found: SafeLimits, level: str, key: str) -> SafeUtilisation | None:
    """The answer of one place."""
    return found.region if level == "region" else next((one for one in found.sites if one.key == key), None)


def sentence(name: str, answer: SafeUtilisation) -> str:
    """What was found, in a sentence."""
    if answer.state == "found":
        return f"{name}: {answer_words(answer)}; up to {theme.percent(usable(answer))} of capacity may be used before viewers feel it."
    return f"{name}: {answer_words(answer)}."
