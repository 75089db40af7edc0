"""What the plan is asked: direction, weekly statistic, limit, planned augments, failover, and the sites that the page
is about; all held in the URL.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn

from app import cached, state
from app.cached import Direction, HeadroomError, planning
from app.cached.failures import (
    FAILOVER_COLUMNS,
    FAILOVER_SETTING,
    ROUND_TRIP_MS,
    DeclaredFailover,
    reach_km,
    server_failover,
    uploaded_failover,
)
from app.cached.planning import PlanQuery
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.site_filter import filtered_sites, site_filter

DIRECTIONS = {"egress": "Egress", "ingest": "Ingest"}
STATISTICS = {"peak": "Peak of week", "p95": "Weekly P95"}
IN_WORDS = {"peak": "peak of week", "p95": "weekly P95"}
LEAD_TIMES = {"1x0": "Lead time as declared", "1.5x0": "Lead time + half", "2x5": "Lead time doubled + 5 d"}
PLANNED = {"counted": "Planned augments count", "left-out": "Installed only"}
SHEETS = {
    "runout": "What runs out",
    "failures": "Failures",
    "scenarios": "Scenarios",
    "augments": "Augments",
    "cost": "Cost",
    "limits": "Safe limit",
    "declared": "Declared",
    "scorecard": "Scorecard",
}
LIMITS = tuple(share / 100 for share in range(50, 101, 5))


def choose(frame: Frame) -> PlanQuery:
    """Draw the choices; the question that they ask, with the what-if of the URL and the failover table in force."""
    policy = (
        st.popover("What is planned, and how", icon=":material/tune:", width="stretch")
        if frame.narrow
        else st.container(horizontal=True, vertical_alignment="center", gap="small", key="plan-policy")
    )
    with policy:
        _segments("direction", "Direction", DIRECTIONS)
        _segments("statistic", "Statistic", STATISTICS)
        held = state.current().limit
        options = sorted({*LIMITS, held})
        st.selectbox(
            "Limit",
            options,
            format_func=lambda share: f"Limit {100 * share:g} %",
            label_visibility="collapsed",
            width=130,
            **state.bound("limit"),
        )
        st.selectbox(
            "Planned augments",
            list(PLANNED),
            format_func=PLANNED.__getitem__,
            label_visibility="collapsed",
            width=220,
            **state.bound("planned"),
        )
        st.selectbox(
            "Lead time",
            list(dict.fromkeys((*LEAD_TIMES, state.current().lead))),
            format_func=lead_words,
            label_visibility="collapsed",
            width=220,
            help="What an order is reckoned to take, of the lead time that a site declares",
            **state.bound("lead"),
        )
    site_filter(frame)
    now = state.current()
    direction: Direction = "ingest" if now.direction == "ingest" else "egress"
    planned, table = now.planned == "counted", in_force(frame)
    factor, plus_days = map(float, now.lead.split("x"))
    return PlanQuery(
        direction,
        "p95" if now.statistic == "p95" else "peak",
        now.limit,
        planned,
        now.whatif or "",
        table,
        factor,
        plus_days,
    )


def lead_words(lead: str) -> str:
    """How lead times are padded, as the select has it."""
    factor, plus = lead.split("x")
    return LEAD_TIMES.get(lead, f"Lead time x {factor} + {plus} d")


def sheet() -> str:
    """Draw the choice of a sheet; the one chosen."""
    _segments("sheet", "Sheet", SHEETS)
    return state.current().sheet


def _segments(name: str, label: str, words: dict[str, str]) -> None:
    st.segmented_control(
        label, list(words), format_func=words.__getitem__, label_visibility="collapsed", **state.bound(name)
    )


def limit_words(question: PlanQuery) -> str:
    """What is passed, in words: '80 % of egress capacity, peak of week, planned augments counted'."""
    augments = "planned augments counted" if question.planned else "installed capacity only"
    return f"{100 * question.limit:g} % of {question.direction} capacity, {IN_WORDS[question.statistic]}, {augments}"


def sites_of(frame: Frame, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of an outlook that are sites which pass the filters, with name, region and partner, in their order."""
    chosen, known = filtered_sites(frame), frame.catalogue.set_index("site_id")
    passes = rows["key"].isin(chosen) if chosen is not None else True
    mine = rows[(rows["level"] == "site") & passes].reset_index(drop=True)
    told = known.reindex(mine["key"]).reset_index(drop=True)
    return mine.assign(
        name=told["name"].fillna(mine["key"]),
        region=told["region_name"].fillna(told["region_id"]),
        partner=told["partner"],
    )


def no_futures(frame: Frame, question: PlanQuery) -> None:
    """Said where the newest run has no futures to plan from: the reason of each site, or which command makes them."""
    command = {"Make the forecasts and futures": f"python -m forecasting refresh --lake {frame.pin.url}"}
    run = cached.latest_run(frame.pin, frame.scope)
    chosen, reasons = filtered_sites(frame), planning.refusal_reasons(frame.pin, frame.scope, question.direction)
    refused = {site: reason for site, reason in reasons.items() if chosen is None or site in chosen}
    if run is None:
        empty_states.nothing(
            "No plan yet: nothing is forecast",
            "A plan is read from simulated futures of each site, which a refresh publishes.",
            command,
        )
    elif not refused:
        why = f"Run {run.number}, made by the engine {run.engine}, has no futures of any site's {question.direction}. A refresh publishes them."
        empty_states.nothing(f"No plan for {question.direction} yet", why, command, icon="event_busy")
    else:
        empty_states.nothing(
            f"No plan for {question.direction}: too little history to plan from",
            f"A plan is read from simulated futures of each site. Run {run.number} has none, for the reasons below. More telemetry and a refresh mend that.",
            icon="event_busy",
        )
        refusals(frame, question, refused)


def refusals(frame: Frame, question: PlanQuery, refused: dict[str, str]) -> None:
    """A row for each site with its reason and what is known all the same: its measured peak against its capacity."""
    known = frame.catalogue.set_index("site_id").reindex(list(refused))
    rows = pd.DataFrame(
        {
            "Site": known["name"].fillna(pd.Series(known.index, known.index)),
            "Region": known["region_name"],
            "Run-out": "not known",
        }
    )
    usual = planning.network_plan(frame.pin, frame.scope)
    if usual is not None:
        mine = usual.rows[(usual.rows["level"] == "site") & (usual.rows["direction"] == question.direction)]
        measured = mine.set_index("key").reindex(list(refused))
        rows = rows.assign(Peak=measured["peak_gbps"], Capacity=measured["capacity_gbps"])
    rows = rows.assign(Reason=list(refused.values())).reset_index(drop=True)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## Sites without a plan")
        export.csv_button(rows, "refusals", key="refusals-csv", units={"Peak": "Gbps", "Capacity": "Gbps"})
    gbps = {
        "Peak": NumberColumn("Peak of last week, Gbps", format="%.3g", width=150),
        "Capacity": NumberColumn("Capacity, Gbps", format="%.3g", width=120),
    }
    st.dataframe(
        rows,
        column_config=gbps,
        hide_index=True,
        placeholder="-",
        alt=f"{len(rows)} sites whose {question.direction} is not planned, and why",
    )


def no_capacity(frame: Frame, sites: pd.DataFrame) -> bool:
    """Said, and true, where no site has a capacity to run out of."""
    if not ((sites["answer"] == "refused").all() and (sites["reason"] == planning.NO_CAPACITY).any()):
        return False
    empty_states.nothing(
        "No capacity is declared for these sites",
        "When a site runs out depends on what it can carry. "
        "Declare it in a table: site_id, direction (egress or ingest), effective_from, capacity_gbps, status (installed or planned).",
        {"Take in a table of capacities": f"python -m data ingest PATH --table capacity --lake {frame.pin.url}"},
        icon="database_off",
    )
    return True


WEIGHTS = {"declared": "As declared", "nearby": "By distance and headroom"}

# Streamlit forgets a file whose field is not drawn; a table holds on every sheet.
_UPLOAD, _HELD = "failover.upload", "failover.held"


def in_force(frame: Frame) -> DeclaredFailover | None:
    """The failover table that every sheet plans with; None for distance and headroom. Draws a warning where a table cannot
    be used.
    """
    if state.current().weights != "declared":
        return None
    try:
        return _declared(frame)
    except HeadroomError as error:
        st.warning(
            f"The failover table cannot be used, and distance and headroom hold: {empty_states.plain(error)}",
            icon=":material/error:",
        )
    return None


def choose_failover(table: DeclaredFailover | None) -> None:
    """Draw the choice, where there is a table to choose, and the field for one. `table`: the one in force."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="failover"):
        if table is not None or state.current().weights != "declared":
            st.segmented_control(
                "Failover weights",
                list(WEIGHTS),
                format_func=WEIGHTS.__getitem__,
                label_visibility="collapsed",
                **state.bound("weights"),
            )
        else:
            st.caption("No failover table holds: demand goes by distance and headroom.", width="content")
        with st.popover("Failover table", icon=":material/table:", type="tertiary"):
            _offer()


def _declared(frame: Frame) -> DeclaredFailover | None:
    """The session's own table, else the server's."""
    held: tuple[str, bytes] | None = st.session_state.get(_HELD)
    return server_failover(frame.catalogue) if held is None else uploaded_failover(*held, frame.catalogue)


def _offer() -> None:
    st.markdown(
        f"A CSV or Parquet file with the columns `{'`, `'.join(FAILOVER_COLUMNS)}`: of the demand of `site_id` each helper "
        "takes a part in proportion to its weight, "
        "as far as it has room. A pair that is not in it does not help."
    )
    st.file_uploader(
        "Failover table",
        type=["csv", "tsv", "txt", "gz", "parquet", "pq"],
        key=_UPLOAD,
        label_visibility="collapsed",
        on_change=_uploaded,
    )
    if _HELD in st.session_state:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"{empty_states.plain(st.session_state[_HELD][0])} holds for this session.", width="content")
            st.button("Remove", key="failover.remove", type="tertiary", icon=":material/close:", on_click=_remove)
    st.caption(
        f"It is held for this session; a link does not carry it. For everybody, name a file of the server in `{FAILOVER_SETTING}`."
    )


def _uploaded() -> None:
    """Who uploads a table wants it; who takes it back does not."""
    file = st.session_state[_UPLOAD]
    if file is None:
        _remove()
        return
    st.session_state[_HELD] = (file.name, file.getvalue())
    state.update(weights="declared")


def _remove() -> None:
    st.session_state.pop(_HELD, None)


def words(table: DeclaredFailover | None) -> str:
    """Where demand goes, as a sentence of plain text."""
    if table is not None:
        return (
            f"The demand of what fails goes to the helpers that {table.name} declares, by their weights, as far as they have room; "
            "no latency bound is applied to them."
        )
    return (
        f"The demand of what fails goes to sites within {ROUND_TRIP_MS:g} ms round trip ({reach_km():,.0f} km), by headroom over distance; "
        "they may fill up to their capacity, and the rest is shed."
    )
