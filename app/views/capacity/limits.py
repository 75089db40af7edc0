"""Safe limits: the utilisation from which quality worsens (the knee), learned for each site and region from quality
against load, and offered as the limit.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import state, theme
from app.cached import limits, planning
from app.cached.limits import SafeUtilisation
from app.cached.planning import PlanQuery
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.place import region_names
from app.ui.site_filter import filtered_sites, no_site_passes
from app.ui.tables import HEADER_PX, ROW_PX, cards, site_column
from app.views.capacity.limit_charts import SafeChart, answer_words, limit_table, safe_chart, usable
from app.views.capacity.what_if import words
from data.schema import METRIC

# The metrics of quality that worsen as a site fills: of viewers, and of broadcasters.
QUALITY = {
    "egress": ("rebuffer_ratio", "startup_seconds", "playback_failure_ratio"),
    "ingest": ("ingest_starved_ratio",),
}
_PLACE, _METRIC = "limits.place", "limits.quality"


def draw(frame: Frame, question: PlanQuery) -> None:
    """Draw the safe limits of all sites in a sentence and a table, and the quality curve of one site or region."""
    st.markdown("## How full may a site run?")
    measured = [name for name in QUALITY[question.direction] if name in frame.extent.metrics]
    if not measured:
        empty_states.partial("A safe limit", {name: METRIC[name].meaning for name in QUALITY[question.direction]})
        return
    site_ids, sites = filtered_sites(frame), frame.catalogue
    if site_ids is not None:
        sites = sites[sites["site_id"].isin(site_ids)]
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
        quality = _choose_quality(measured)
        focus = _choose_place(regions, names)
    answers = site_answers(frame, question, quality, regions, names)
    rows = limit_table(answers)
    st.markdown(verdict(rows, len(names), METRIC[quality].label.lower()))
    draw_site_limits(frame, question, rows)
    draw_table(rows, narrow=frame.narrow)
    if focus is None and len(rows):
        focus = f"site:{rows['key'].iloc[0]}"
    if focus is not None:
        draw_place(frame, question, quality, focus, regions | names)


def verdict(rows: pd.DataFrame, count: int, quality: str) -> str:
    """How many of `count` sites have a knee, and the lowest, in a sentence."""
    with_knee = rows[rows["Knee"].notna()] if len(rows) else rows
    if rows.empty:
        return "**No sample has quality, traffic and a capacity to hold it against.**"
    if with_knee.empty:
        highest_seen = float(rows["Seen up to"].max())
        return f"**Viewers of no site feel how full it is**: no {quality} grows with load, up to {highest_seen:.0f} % of capacity."
    lowest = with_knee.iloc[0]
    return (
        f"**At {len(with_knee)} of {count} sites {quality} grows with load**: {empty_states.plain(lowest['Site'])} first, from "
        f"{lowest['Knee']:.0f} % of capacity on; up to {lowest['May be used']:.0f} % of it may be used."
    )


def draw_site_limits(frame: Frame, question: PlanQuery, rows: pd.DataFrame) -> None:
    """Draw the button that plans every site that has a knee with its own limit, and the what-if's limits in words."""
    shares = {
        str(key): share / 100
        for key, share in rows[["key", "May be used"]].itertuples(index=False, name=None)
        if _is_allowed(share / 100)
    }
    site_limits = [change for change in planning.changes(question.changes) if change["kind"] == "limit"]
    changes = with_limits(question.changes, shares)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if shares:
            st.button(
                f"Plan {len(shares)} site{'s' if len(shares) > 1 else ''} with the limit of their own",
                key="limit-each",
                icon=":material/rule:",
                on_click=state.update,
                kwargs={"whatif": changes, "sheet": "runout", "grade": "changed"},
                disabled=not state.fits(changes),
            )
        if site_limits:
            sentences = "; ".join(empty_states.plain(words(change, frame.catalogue)) for change in site_limits)
            st.caption(
                f":material/alt_route: In the what-if: {sentences}. What runs out, failures and augments use it."
            )


def with_limits(changes: str, shares: dict[str, float]) -> str:
    """Text of the what-if with these limits (by site_id) in place of earlier ones for the same sites."""
    other_changes = [
        change
        for change in planning.changes(changes)
        if change["kind"] != "limit" or str(change.get("site_id")) not in shares
    ]
    text = ""
    for change in [
        *other_changes,
        *({"kind": "limit", "limit": share, "site_id": site} for site, share in shares.items()),
    ]:
        text = planning.with_change(text, change)
    return text


def _choose_quality(measured: list[str]) -> str:
    quality = state.current().quality
    st.session_state[_METRIC] = quality if quality in measured else measured[0]
    st.selectbox(
        "What viewers feel",
        measured,
        format_func=lambda name: METRIC[name].label,
        key=_METRIC,
        on_change=_quality_chosen,
        width=200,
    )
    return str(st.session_state[_METRIC])


def _quality_chosen() -> None:
    state.update(quality=st.session_state[_METRIC])


def _choose_place(regions: dict[str, str], names: dict[str, str]) -> str | None:
    """Draw the choice of a site or region; the one in the URL as level:key, None where it names none of them."""
    labels = {f"region:{key}": f"{name}, all sites" for key, name in regions.items()} | {
        f"site:{key}": name for key, name in names.items()
    }
    focus = state.current().focus
    st.session_state[_PLACE] = focus if focus in labels else None
    st.selectbox(
        "Place",
        list(labels),
        index=None,
        format_func=lambda key: labels.get(key, key),
        key=_PLACE,
        on_change=_place_chosen,
        width=320,
        placeholder="A site or a region",
    )
    return focus if focus in labels else None


def _place_chosen() -> None:
    state.update(focus=st.session_state[_PLACE])


def draw_place(frame: Frame, question: PlanQuery, quality: str, focus: str, names: dict[str, str]) -> None:
    """Draw the answer of a site or region in a sentence, its quality curve, and the buttons that use its limit."""
    level, _, key = focus.partition(":")
    region = key if level == "region" else str(frame.catalogue.set_index("site_id").loc[key, "region_id"])
    with st.spinner("Learning from the samples", show_time=True):
        region_limits = limits.region_limits(frame.pin, frame.scope, question.direction, quality, region)
    if level == "region":
        answer, name = region_limits.region, f"{names[key]}, all sites"
    else:
        answer, name = next((site for site in region_limits.sites if site.key == key), None), names[key]
    if answer is None:
        empty_states.nothing(
            f"{name}: no sample has both",
            f"No sample of the last {limits.DAYS} days has {METRIC[quality].label.lower()}, {question.direction} and a capacity.",
            {"Declare what a site can carry": f"python -m data ingest PATH --table capacity --lake {frame.pin.url}"},
            icon="query_stats",
        )
        return
    st.markdown(empty_states.plain(sentence(name, answer)))
    figure = safe_chart(
        SafeChart(
            name,
            answer,
            quality,
            METRIC[quality].label,
            question.limit,
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
        figure, key="safe-limit", name=f"{name} safe limit", alt=sentence(name, answer), data=answer.curve, units=units
    )
    draw_limit_buttons(level, key, name, answer)


def sentence(name: str, answer: SafeUtilisation) -> str:
    """Answer of a site or region in a sentence, with the utilisation that may be used where it has a knee."""
    if answer.state == "found":
        return f"{name}: {answer_words(answer)}; up to {theme.percent(usable(answer))} of capacity may be used before viewers feel it."
    return f"{name}: {answer_words(answer)}."


def draw_limit_buttons(level: str, key: str, name: str, answer: SafeUtilisation) -> None:
    """Draw the buttons that make the safe utilisation the limit of a site or of all; nothing without a knee."""
    if answer.state == "found":
        share = usable(answer)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**Use {theme.percent(share)} as the limit**")
            if level == "site":
                st.button(
                    f"of {empty_states.plain(name)}",
                    on_click=set_site_limit,
                    args=(key, share),
                    key="limit-one",
                    icon=":material/place:",
                )
            st.button(
                "of all sites",
                on_click=state.update,
                kwargs={"limit": share},
                key="limit-all",
                icon=":material/public:",
                disabled=not _is_allowed(share),
            )
            if not _is_allowed(share):
                st.caption(f"The policy's limit is at least {theme.percent(state.LEAST_LIMIT)}.")


def _is_allowed(share: float) -> bool:
    """Whether the policy takes this share of capacity as a limit."""
    return state.LEAST_LIMIT <= share <= state.MOST_LIMIT


def set_site_limit(site: str, share: float) -> None:
    """Set the limit of a site in the what-if, in place of an earlier one, unless the link would grow too long."""
    changes = with_limits(state.current().whatif or "", {site: share})
    if state.fits(changes):
        state.update(whatif=changes)


MOST_PX = 480
_CLICK = "limits.click"
UNITS = dict.fromkeys(("Knee", "From", "To", "May be used", "Seen up to"), "%")


def draw_table(rows: pd.DataFrame, *, narrow: bool) -> None:
    """Draw the table of all sites, or cards on a narrow screen; a click on a site draws its curve below."""
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
        column_config=column_config(tuple(rows["key"])),
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="limits-table",
        alt=f"Safe limits of {len(rows)} sites",
    )


def _site_clicked(sites: tuple[str, ...]) -> None:
    state.update(focus=f"site:{sites[st.session_state[_CLICK]['row']]}")


def site_answers(
    frame: Frame, question: PlanQuery, quality: str, regions: dict[str, str], names: dict[str, str]
) -> pd.DataFrame:
    """Safe utilisation of each site of `names`: key, name, region (its name) and answer."""
    with st.spinner("Learning from the samples of all sites", show_time=True):
        answers = limits.site_limits(frame.pin, frame.scope, question.direction, quality)
    region_of = dict(zip(frame.catalogue["site_id"], frame.catalogue["region_id"], strict=True))
    rows = [
        (answer.key, names[answer.key], regions[region_of[answer.key]], answer)
        for answer in answers
        if answer.key in names
    ]
    return pd.DataFrame(rows, columns=["key", "name", "region", "answer"])


def column_config(sites: tuple[str, ...]) -> dict[str, Any]:
    """Column settings of the table of these sites."""
    shares = {
        "Knee": "From here on quality is worse by a fifth than at low load",
        "From": "Lower end of its 90 % interval",
        "To": "Upper end of it",
        "May be used": "The lower end of the knee's interval",
        "Seen up to": "The highest utilisation that was measured",
    }
    return {
        "key": None,
        "Site": site_column(_CLICK, help_="Draws the site's curve below", on_click=_site_clicked, args=(sites,)),
        "Region": TextColumn(width=190),
        **{name: NumberColumn(width=95, format="%.0f %%", help=words) for name, words in shares.items()},
        "Answer": TextColumn(width=320),
    }
