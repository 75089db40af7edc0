"""May I trust this forecast? What is drawn and why, how it would have done before, whether its bands held, what it is
made of, and how runs compare.
"""

from __future__ import annotations

import streamlit as st

from app import state
from app.cached import Series
from app.ui import place
from app.ui.header import Frame
from app.views.models import backtests, components, fleet_accuracy, model_choice, run_history

PARTS = {"verdict": "Drawn and why", "backtests": "Backtests", "components": "Components", "runs": "Runs"}
METRICS = {"egress_gbps": "Egress", "ingest_gbps": "Ingest", "viewers": "Viewers"}


def show(frame: Frame) -> None:
    """The network first, so that one sees where to look; then one series, one part at a time: what is not chosen is not
    computed.
    """
    judged = fleet_accuracy.judged(frame)
    series, name = choose(frame)
    st.segmented_control(
        "Part", list(PARTS), format_func=PARTS.__getitem__, label_visibility="collapsed", **state.bound("part")
    )
    draw = {
        "verdict": model_choice.draw,
        "backtests": backtests.draw,
        "components": components.draw,
        "runs": run_history.draw,
    }
    part = state.current().part
    if judged or part in ("components", "runs"):
        draw[part](frame, series, name)


def choose(frame: Frame) -> tuple[Series, str]:
    """The series that the rest of the page is about, and the name of its place."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="series-choices"):
        where = place.choose(frame)
        st.selectbox(
            "Metric", state.CHOICES["metric"], format_func=METRICS.__getitem__, width=140, **state.bound("metric")
        )
    return Series(where.level, where.key, state.current().metric), where.name
