"""What runs out first, what must be ordered by when, and one place against its capacity."""

from __future__ import annotations

import streamlit as st

from app.cached import planning
from app.cached.failures import failover_rule
from app.cached.planning import PlanQuery
from app.components.header import Frame
from app.components.plan import choices, failures, place, run_outs, runout_map, what_if


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
    run_outs.numbers(frame, sites, base, *safe, failover_rule(asked.failover))
    run_outs.late_augments(frame, found.question)
    what_if.panel(frame, found.question)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        run_outs.bars(frame, found.question, sites)
    with right:
        runout_map.draw(frame, found)
    run_outs.table(frame, sites, found.base)
    st.markdown("##### One place against its capacity")
    place.draw(frame, found, sites)


def _safe(frame: Frame, question: PlanQuery) -> str:
    """Until when any single failure can be carried, in words."""
    lost = planning.plan_result(frame.pin, frame.scope, question)
    return failures.safe_words(lost.safe_until, frame.extent.now) if lost else "not known"
