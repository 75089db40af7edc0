"""When does each site run out, what must be ordered by when, what if a site fails or demand grows?"""

from __future__ import annotations

import streamlit as st

from app.cached import planning
from app.charts.plan_rows import worst_first
from app.components import plan_choices, plan_failures, plan_place, run_outs, what_if
from app.components.header import Frame
from app.components.site_filter import no_site_passes


def show(frame: Frame) -> None:
    """The policy; the what-if; what runs out first; one place against its capacity; what the failure of a site does."""
    asked = plan_choices.choose(frame)
    found = what_if.outlooks(frame, asked)
    if found is None:
        plan_choices.no_futures(frame, asked)
        return
    sites = worst_first(plan_choices.sites_of(frame, found.rows))
    if sites.empty:
        no_site_passes()
        return
    if plan_choices.no_capacity(frame, sites):
        plan_place.draw(frame, found, sites)
        return
    failures = planning.failures(frame.pin, found.question, frame.scope)
    run_outs.numbers(frame, sites, plan_failures.safe_words(failures.safe_until, frame.extent.now) if failures else "not known")
    what_if.panel(frame, found.question)
    run_outs.bars(frame, found.question, sites)
    run_outs.table(frame, sites, found.base)
    st.markdown("##### One place against its capacity")
    plan_place.draw(frame, found, sites)
    if failures is not None:
        plan_failures.draw(frame, failures)
