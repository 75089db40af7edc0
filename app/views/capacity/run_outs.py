"""The sheet that says when each site runs out: the dates, the map, and one place's future."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, LineChartColumn, NumberColumn, TextColumn

from app import cached, state, theme
from app.cached import planning
from app.cached.failures import failover_rule
from app.cached.planning import PlanQuery
from app.charts import map_marks, map_view
from app.charts.map_marks import Look
from app.charts.map_view import Canvas
from app.charts.network_map import Drawing, deck
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.maps import OUTLINE, legend_words, picked
from app.ui.site_filter import filtered_sites
from app.ui.tables import HEADER_PX, ROW_PX, opened
from app.ui.tile import tile
from app.views.capacity import choices, failures, place, what_if
from app.views.capacity.choices import limit_words
from app.views.capacity.run_out_charts import answer_words, dated, plan_table, runout_bars
from app.views.capacity.what_if import Outlooks


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The numbers, the dates as bars, the table of orders, and one place. Sites without a capacity have but the
    place.
    """
    planned = what_if.sites(frame, asked)
    if planned is None:
        return
    found, sites = planned
    if choices.no_capacity(frame, sites):
        place.draw(frame, found, sites)
        return
    base = None if found.base is None else choices.sites_of(frame, found.base)
    safe = _safe(frame, found.question), _safe(frame, found.question._replace(changes=""))
    numbers(frame, sites, base, *safe, failover_rule(asked.failover))
    late_augments(frame, found.question)
    what_if.panel(frame, found.question)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        bars(frame, found.question, sites)
    with right:
        draw_map(frame, found)
    table(frame, sites, found.base)
    st.markdown("##### One place against its capacity")
    place.draw(frame, found, sites)


def _safe(frame: Frame, question: PlanQuery) -> str:
    """Until when any single failure can be carried, in words."""
    lost = planning.plan_result(frame.pin, frame.scope, question)
    return failures.safe_words(lost.safe_until, frame.extent.now) if lost else "not known"


MOST_PX = 420
# A site counts where it is more likely than not.
MORE_LIKELY_THAN_NOT = 0.5
_CLICK = "run-outs.click"
UNITS = {"Within 90 days": "%", "Lead time": "days", "Later by": "days"}


class Counts(NamedTuple):
    """What the tiles count of sites, in half of the futures: over now, over within 90 days; and orders overdue."""

    over: int
    soon: int
    late: int


def counted(sites: pd.DataFrame) -> Counts:
    """The counts of some sites."""
    over = sites["answer"] == "over"
    soon = ~over & (sites["within_90"].astype(float) >= MORE_LIKELY_THAN_NOT)
    return Counts(int(over.sum()), int(soon.sum()), int((sites["order"] == "overdue").sum()))


def numbers(frame: Frame, sites: pd.DataFrame, base: pd.DataFrame | None, safe: str, base_safe: str, rule: str) -> None:
    """Tiles: over now, likely soon and within a year, overdue orders, what is first, and how long the network stands a
    site's failure under the `rule` of failover; with a what-if each beside what it is without (`base`, `base_safe`).
    """
    now, here = frame.extent.now, counted(sites)
    was = None if base is None else counted(base)
    first = sites[sites["answer"].isin(("over", "within"))].sort_values("run_out_p50", kind="stable").head(1)
    with st.container(horizontal=True, gap="small", key="plan-numbers"):
        tile("Over the limit now", f"{here.over} of {len(sites)}", without("in half the futures", was and was.over))
        tile("Likely over within 90 days", str(here.soon), without("more, in half of them", was and was.soon))
        tile(
            "Orders overdue",
            str(here.late),
            without(f"of {sites['order_by'].notna().sum()} to be placed", was and was.late),
        )
        tile(
            "Runs out first",
            str(first["name"].iloc[0]) if len(first) else "none in sight",
            answer_words(dict(first.iloc[0]), now) if len(first) else None,
        )
        failover = f"failover {empty_states.plain(rule)}"
        below = failover if was is None else f"{base_safe} without it"
        tile(
            "N-1 safe",
            safe,
            below,
            help_=f"Until when the other sites can take over what any one site carries; {failover}",
        )


def without(usual: str, before: int | None) -> str:
    """What stands below a number: what it counts, or, where a what-if holds, what it is without it."""
    return usual if before is None else f"{before} without it"


def bars(frame: Frame, question: PlanQuery, sites: pd.DataFrame) -> None:
    """The dates of the worst sites on one axis."""
    shown, now = dated(sites), frame.extent.now
    words = [f"{row['name']} {answer_words(row, now)}" for row in shown.head(5).to_dict("records")]
    alt = f"Run-out dates of {len(shown)} sites, worst first: {'; '.join(words) or 'none in sight'}"
    figure = runout_bars(
        sites, now=now, direction=question.direction, zone=frame.zone, scheme=frame.scheme, limit=limit_words(question)
    )
    st.plotly_chart(figure, theme=None, key="run-out-bars", alt=alt, config=export.settings("run-out"))


def table(frame: Frame, sites: pd.DataFrame, base: pd.DataFrame | None) -> None:
    """Every site, worst first; a click on a name, or a selected row, opens it below."""
    now = frame.extent.now
    rows = plan_table(sites, now, base)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("##### What runs out first")
        _downloads(frame, sites, rows)
    event = st.dataframe(
        rows,
        column_config=columns() | {name: None for name in ("Partner",) if rows[name].isna().all()},
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        on_select="rerun",
        selection_mode="single-row",
        key="run-outs",
        alt=f"Run-out and order-by dates of {len(rows)} sites",
    )
    at = chosen(event.selection)
    if at is not None and at < len(rows):
        _look_at(str(rows["key"].iloc[at]))


def chosen(selection: Mapping[str, Any]) -> int | None:
    """The row that was clicked or selected since the page was last drawn: an older choice does not undo what was chosen
    elsewhere since.
    """
    at = opened(selection, st.session_state.get(_CLICK))
    before, st.session_state["run-outs.chosen"] = st.session_state.get("run-outs.chosen"), at
    return at if at != before else None


def _look_at(site: str) -> None:
    if state.current().focus != f"site:{site}":
        state.update(focus=f"site:{site}")


def columns() -> dict[str, Any]:
    """How each column of the table reads."""
    return {
        "key": None,
        "Site": ButtonColumn(
            type="tertiary", alignment="left", pinned=True, width=140, key=_CLICK, help="Opens the site below"
        ),
        "Health": TextColumn(width=75, help="act, watch or ok, as on the Overview"),
        "Region": TextColumn(width=150),
        "Partner": TextColumn(width=150),
        "Run-out": TextColumn(width=175, help="When it passes the limit: 80 % interval over the simulated futures"),
        "Without the what-if": TextColumn(width=175),
        "Later by": NumberColumn(
            "Later by", width=80, format="%+.0f d", help="Days by which the what-if moves the median; negative: sooner"
        ),
        "Within 90 days": NumberColumn(
            "Within 90 d", width=90, format="%.0f %%", help="Share of futures that pass the limit within 90 days"
        ),
        "Probability": LineChartColumn(
            width=110, y_min=0, y_max=1, help="Probability of having passed the limit, to the end of the futures"
        ),
        "Lead time": NumberColumn(
            width=80,
            format="%d d",
            help="From order to service, as declared; the order-by date reckons with twice that and five days",
        ),
        "Order by": TextColumn(width=170, help="So that the padded lead time ends by the early end of the interval"),
    }


def _downloads(frame: Frame, sites: pd.DataFrame, rows: pd.DataFrame) -> None:
    today, plan = frame.extent.now, sites[[*planning.PLAN_COLUMNS, "name", "region", "partner"]]
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall", width="content"):
        export.csv_button(rows.drop(columns=["Probability"]), "run-outs", key="run-outs-csv", units=UNITS)
        files = {
            "ICS": (
                lambda: planning.calendar(sites, today).encode(),
                "orders.ics",
                "text/calendar",
                "The orders as all-day entries for a calendar",
            ),
            "JSON": (lambda: _json(plan), "plan.json", "application/json", "The plan with every date and reason"),
            "Parquet": (
                lambda: bytes(plan.to_parquet(index=False)),
                "plan.parquet",
                "application/vnd.apache.parquet",
                "The plan with every date and reason",
            ),
        }
        for name, (content, file, kind, why) in files.items():
            st.download_button(
                name, content, file, kind, key=f"plan-{name}", on_click="ignore", type="tertiary", help=why
            )


def _json(plan: pd.DataFrame) -> bytes:
    return str(plan.to_json(orient="records", date_format="iso", indent=1)).encode()


def late_augments(frame: Frame, question: PlanQuery) -> None:
    """The planned augments whose date has passed: none of them counts as capacity."""
    found = planning.plan(frame.pin, frame.scope, question)
    kept = filtered_sites(frame)
    late = (
        []
        if found is None
        else [row for row in found.late.to_dict("records") if kept is None or row["site_id"] in kept]
    )
    if not late:
        return
    names = frame.catalogue.set_index("site_id")["name"].to_dict()
    told = [
        f"{empty_states.plain(names.get(row['site_id'], row['site_id']))}: {theme.gbps(row['capacity_gbps'])}, planned for "
        f"{theme.day(row['effective_from'], year=row['effective_from'].year != frame.extent.now.year)}, "
        f"{row['days_late']} days late"
        for row in late
    ]
    st.warning("  \n".join(["Planned augments that are late, and do not count:", *told]), icon=":material/event_busy:")


# Beside the dates the map has two fifths of the page.
BESIDE = Canvas(500, 360, 40)
_CHOSEN = "runout-map.chosen"


def draw_map(frame: Frame, found: Outlooks) -> None:
    """The map of the outlook's dates. A what-if may add sites, which have no place on it."""
    chosen, sites = filtered_sites(frame), planning.with_plan(cached.sites_now(frame.pin, frame.scope), found.rows)
    if chosen is not None:
        sites = sites[sites["site_id"].isin(chosen)].reset_index(drop=True)
    canvas = map_view.NARROW if frame.narrow else BESIDE
    shown = map_marks.at_present(sites)
    look = Look(
        "runout",
        frame.scheme,
        map_marks.scale(sites, small=True),
        frame.extent.now,
        present=True,
    )
    drawn = deck(shown, [], look, Drawing(("sites",), "flat", OUTLINE, map_view.fit(frame.catalogue, canvas), canvas))
    alt = map_marks.described(shown, look, theme.stamp(frame.extent.now, frame.zone))
    event = st.pydeck_chart(
        drawn, height=canvas.height, on_select="rerun", selection_mode="single-object", key="runout-map", alt=alt
    )
    st.markdown(legend_words(map_marks.legend(shown, [], look)))
    clicked, before = picked(event), st.session_state.get(_CHOSEN)
    st.session_state[_CHOSEN] = clicked
    if clicked and clicked != before:
        state.update(focus=f"site:{clicked}")
