"""How full may a site run before its viewers feel it? Learned from quality against load, place by place, and offered as
the limit.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import state, theme
from app.cached import limits, planning
from app.cached.limits import SafeLimits, SafeUtilisation
from app.cached.planning import PlanQuery
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.place import region_names
from app.ui.site_filter import filtered_sites, no_site_passes
from app.ui.tables import HEADER_PX, ROW_PX, cards, site_column
from app.views.capacity.limit_charts import SafeChart, answer_words, limit_table, safe_chart, usable
from app.views.capacity.what_if import words
from data.schema import METRIC

# What viewers, or broadcasters, feel of a full site.
QUALITY = {
    "egress": ("rebuffer_ratio", "startup_seconds", "playback_failure_ratio"),
    "ingest": ("ingest_starved_ratio",),
}
_PLACE, _METRIC = "limits.place", "limits.quality"


def draw(frame: Frame, asked: PlanQuery) -> None:
    """What may be used, in a sentence and a table of all sites, and the curve of one place."""
    st.markdown("## How full may a site run?")
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
        f"Learned from the samples of the last {limits.DAYS} days. The knee is where quality is worse by a fifth than at low "
        "load; what may be used is the lower end of its interval."
    )
    regions = {key: name for key, name in region_names(frame.catalogue).items() if key in set(sites["region_id"])}
    names = dict(zip(sites["site_id"].astype(str), sites["name"].astype(str), strict=True))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        quality = _metric(measured)
        focus = _place(regions, names)
    answers = learn(frame, asked, quality, regions, names)
    rows = limit_table(answers)
    st.markdown(verdict(rows, len(names), METRIC[quality].label.lower()))
    offer_each(frame, asked, rows)
    draw_table(rows, narrow=frame.narrow)
    if focus is None and len(rows):
        focus = f"site:{rows['key'].iloc[0]}"
    if focus is not None:
        place(frame, asked, quality, focus, regions | names)


def verdict(rows: pd.DataFrame, count: int, quality: str) -> str:
    """How many sites have a knee, and the lowest, in a sentence."""
    found = rows[rows["Knee"].notna()] if len(rows) else rows
    if rows.empty:
        return "**No sample has quality, traffic and a capacity to hold it against.**"
    if found.empty:
        most = float(rows["Seen up to"].max())
        return (
            f"**Viewers of no site feel how full it is**: no {quality} grows with load, up to {most:.0f} % of capacity."
        )
    first = found.iloc[0]
    return (
        f"**At {len(found)} of {count} sites {quality} grows with load**: {empty_states.plain(first['Site'])} first, from "
        f"{first['Knee']:.0f} % of capacity on; up to {first['May be used']:.0f} % of it may be used."
    )


def offer_each(frame: Frame, asked: PlanQuery, rows: pd.DataFrame) -> None:
    """The button that plans every site that has a knee with its own limit; and which limits of single sites hold."""
    shares = {
        str(key): share / 100
        for key, share in rows[["key", "May be used"]].itertuples(index=False, name=None)
        if _may_be(share / 100)
    }
    limits_held = [one for one in planning.changes(asked.changes) if one["kind"] == "limit"]
    text = with_limits(asked.changes, shares)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if shares:
            st.button(
                f"Plan {len(shares)} site{'s' if len(shares) > 1 else ''} with the limit of their own",
                key="limit-each",
                icon=":material/rule:",
                on_click=state.update,
                kwargs={"whatif": text, "sheet": "runout", "grade": "changed"},
                disabled=not state.fits(text),
            )
        if limits_held:
            said = "; ".join(empty_states.plain(words(one, frame.catalogue)) for one in limits_held)
            st.caption(f":material/alt_route: In the what-if: {said}. What runs out, failures and augments use it.")


def with_limits(changes: str, shares: dict[str, float]) -> str:
    """The what-if with these limits, in the place of earlier ones for the same sites."""
    kept = [one for one in planning.changes(changes) if one["kind"] != "limit" or str(one.get("site_id")) not in shares]
    text = ""
    for change in [*kept, *({"kind": "limit", "limit": share, "site_id": site} for site, share in shares.items())]:
        text = planning.with_change(text, change)
    return text


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


def _may_be(share: float) -> bool:
    return state.LEAST_LIMIT <= share <= state.MOST_LIMIT


def of_all(share: float) -> None:
    """The policy's limit."""
    state.update(limit=share)


def of_one(site: str, share: float) -> None:
    """A change of the what-if, in the place of an earlier one for the same site."""
    text = with_limits(state.current().whatif or "", {site: share})
    if state.fits(text):
        state.update(whatif=text)


MOST_PX = 480
_CLICK = "limits.click"
UNITS = dict.fromkeys(("Knee", "From", "To", "May be used", "Seen up to"), "%")


def draw_table(rows: pd.DataFrame, *, narrow: bool) -> None:
    """The table; a click on a site draws its curve below."""
    if rows.empty:
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## All sites, lowest knee first")
        export.csv_button(rows, "safe limits", key="limits-csv", units=UNITS)
    if narrow:
        records = rows.to_dict("records")
        titles = [
            f"**[{empty_states.plain(row['Site'])}]({state.link('capacity', focus='site:' + row['key'])})**"
            for row in records
        ]
        cards(titles, lambda at: [empty_states.plain(records[at]["Answer"])], key="limits")
        return
    st.dataframe(
        rows,
        column_config=columns(tuple(rows["key"])),
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="limits-table",
        alt=f"Safe limits of {len(rows)} sites",
    )


def _look_at(sites: tuple[str, ...]) -> None:
    state.update(focus=f"site:{sites[st.session_state[_CLICK]['row']]}")


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


def columns(sites: tuple[str, ...]) -> dict[str, Any]:
    """How each column of the table of these sites reads."""
    shares = {
        "Knee": "From here on quality is worse by a fifth than at low load",
        "From": "Lower end of its 90 % interval",
        "To": "Upper end of it",
        "May be used": "The lower end of the knee's interval",
        "Seen up to": "The highest utilisation that was measured",
    }
    return {
        "key": None,
        "Site": site_column(_CLICK, help_="Draws the site's curve below", on_click=_look_at, args=(sites,)),
        "Region": TextColumn(width=190),
        **{name: NumberColumn(width=95, format="%.0f %%", help=words) for name, words in shares.items()},
        "Answer": TextColumn(width=320),
    }
