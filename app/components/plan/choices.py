"""What the plan is asked: direction, weekly statistic, limit, planned augments, failover, and the sites that the page
is about; all held in the URL.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached, state
from app.cached import Direction, planning
from app.cached.planning import PlanQuery
from app.components import export, states
from app.components.header import Frame
from app.components.plan import failover_choice
from app.components.site_filter import filtered_sites, site_filter

DIRECTIONS = {"egress": "Egress", "ingest": "Ingest"}
STATISTICS = {"peak": "Peak of week", "p95": "Weekly P95"}
IN_WORDS = {"peak": "peak of week", "p95": "weekly P95"}
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
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="plan-policy"):
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
    site_filter(frame)
    now = state.current()
    direction: Direction = "ingest" if now.direction == "ingest" else "egress"
    planned, table = now.planned == "counted", failover_choice.in_force(frame)
    return PlanQuery(
        direction, "p95" if now.statistic == "p95" else "peak", now.limit, planned, now.whatif or "", table
    )


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
        states.nothing(
            "No plan yet: nothing is forecast",
            "A plan is read from simulated futures of each site, which a refresh publishes.",
            command,
        )
    elif not refused:
        why = f"Run {run.number}, made by the engine {run.engine}, has no futures of any site's {question.direction}. A refresh publishes them."
        states.nothing(f"No plan for {question.direction} yet", why, command, icon="event_busy")
    else:
        states.nothing(
            f"No plan for {question.direction}: too little history to plan from",
            f"A plan is read from simulated futures of each site. Run {run.number} has none, for the reasons below. More telemetry and a refresh mend that.",
            icon="event_busy",
        )
        refusals(frame, question, refused)


def refusals(frame: Frame, question: PlanQuery, refused: dict[str, str]) -> None:
    """A row for each site with its reason, to take away."""
    known = frame.catalogue.set_index("site_id").reindex(list(refused))
    rows = pd.DataFrame(
        {
            "Site": known["name"].fillna(pd.Series(known.index, known.index)),
            "Region": known["region_name"],
            "Run-out": "not known",
        }
    )
    rows = rows.assign(Reason=list(refused.values())).reset_index(drop=True)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("##### Sites without a plan")
        export.csv_button(rows, "refusals", key="refusals-csv")
    st.dataframe(rows, hide_index=True, alt=f"{len(rows)} sites whose {question.direction} is not planned, and why")


def no_capacity(frame: Frame, sites: pd.DataFrame) -> bool:
    """Said, and true, where no site has a capacity to run out of."""
    if not ((sites["answer"] == "refused").all() and (sites["reason"] == planning.NO_CAPACITY).any()):
        return False
    states.nothing(
        "No capacity is declared for these sites",
        "When a site runs out depends on what it can carry. "
        "Declare it in a table: site_id, direction (egress or ingest), effective_from, capacity_gbps, status (installed or planned).",
        {"Take in a table of capacities": f"python -m data ingest PATH --table capacity --lake {frame.pin.url}"},
        icon="database_off",
    )
    return True
