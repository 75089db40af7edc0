"""What augments may be bought from: sizes with price and lead time, in a table that can be edited and that the link
carries.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn

from app import state, theme
from app.cached import augmenting
from app.cached.augmenting import AugmentRequest, Offer, Step
from app.cached.planning import PlanQuery
from app.ui.header import Frame

COLUMNS = ["gbps", "cost_usd_month", "cost_usd_once", "lead_time_days"]
# What the editor was first given, what it held when the page was last drawn, and how often it was given something else:
# the editor keeps its own edits, and starts anew where it is given another table under another key.
_BASE, _SAID, _TURN = "catalogue.base", "catalogue.said", "catalogue.turn"


def choose(frame: Frame, question: PlanQuery) -> tuple[Step, ...]:
    """Draw the table; the steps that it holds. A row that is not whole is not on offer yet."""
    offer = augmenting.offer(frame.pin, frame.scope, question.direction)
    usual = text_of(offer.steps)
    given = state.current().steps or usual
    if st.session_state.get(_SAID) != given:
        st.session_state[_BASE], st.session_state[_TURN] = given, st.session_state.get(_TURN, 0) + 1
    with st.expander("Steps on offer at every site", icon=":material/shopping_cart:"):
        st.caption(origin(offer, question))
        steps = rows_of(_edited(st.session_state[_BASE], st.session_state[_TURN]))
        if given != usual:
            st.button(
                "Back to the usual sizes",
                on_click=_usual,
                key="catalogue-usual",
                type="tertiary",
                icon=":material/undo:",
            )
    st.session_state[_SAID] = text_of(steps) or given
    if st.session_state[_SAID] != given:
        state.update(steps=None if st.session_state[_SAID] == usual else st.session_state[_SAID])
    return steps


def wish(steps: tuple[Step, ...]) -> AugmentRequest:
    """What the state asks for, from these steps, of all sites."""
    now = state.current()
    return AugmentRequest(
        int(now.months),
        float(now.certainty),
        now.survives == "n-1",
        steps,
        None,
        None if now.budget is None else float(now.budget),
    )


def _edited(text: str, turn: int) -> pd.DataFrame:
    table = pd.DataFrame(steps_of(text), columns=COLUMNS).astype(float)
    return st.data_editor(
        table,
        column_config=columns(),
        hide_index=True,
        num_rows="dynamic",
        key=f"catalogue-{turn}",
        placeholder="site's own",
        width=640,
    )


def origin(offer: Offer, question: PlanQuery) -> str:
    """Where the prices come from, in words."""
    law = offer.law
    if law.costs:
        told = f"fitted to the {law.costs} {question.direction} costs that this lake declares; larger commitments {_cheaper(law.power)}"
    else:
        told = f"**assumed**: this lake declares too few costs of {question.direction} (cost_usd_month of the table capacity) to learn from"
    return f"Sizes are usual Ethernet ports, an assumption. Prices, USD a month, are {told}. An empty lead time is the site's own. All of it can be edited."


def _cheaper(power: float) -> str:
    saved = 1 - 10 ** (power - 1)
    return (
        f"are {theme.percent(saved)} cheaper by the Gbps at ten times the size"
        if saved >= 0.005
        else "cost as much by the Gbps"
    )


def rows_of(table: pd.DataFrame) -> tuple[Step, ...]:
    """The rows that have a size and a price, as steps, in whole USD and days; as many as a link holds."""
    whole = table[(table["gbps"] > 0) & (table["cost_usd_month"] >= 0)].head(state.STEPS_MOST)
    return tuple(
        (
            round(float(gbps), 3),
            float(round(month)),
            float(round(once)) if once > 0 else 0.0,
            None if math.isnan(lead) else float(round(lead)),
        )
        for gbps, month, once, lead in whole[COLUMNS].astype(float).itertuples(index=False, name=None)
    )


def text_of(steps: tuple[Step, ...]) -> str:
    """The steps as the link has them."""
    return ",".join(
        f"{gbps:.10g}:{month:.0f}:{once:.0f}:{'' if lead is None else f'{lead:.0f}'}"
        for gbps, month, once, lead in steps
    )


def steps_of(text: str) -> tuple[Step, ...]:
    """The steps of a link."""
    parts = (one.split(":") for one in text.split(","))
    return tuple(
        (float(gbps), float(month), float(once), float(lead) if lead else None) for gbps, month, once, lead in parts
    )


def _usual() -> None:
    """Forget what was edited."""
    state.update(steps=None)


def columns() -> dict[str, Any]:
    """How each column reads, and what it takes."""
    return {
        "gbps": NumberColumn("Size, Gbps", min_value=0.001, max_value=999_999.0, required=True, format="%.5g"),
        "cost_usd_month": NumberColumn(
            "USD a month", min_value=0.0, max_value=9_999_999_999.0, required=True, format="localized", step=1
        ),
        "cost_usd_once": NumberColumn("USD once", min_value=0.0, max_value=9_999_999_999.0, format="localized", step=1),
        "lead_time_days": NumberColumn(
            "Lead time, days",
            min_value=0.0,
            max_value=3650.0,
            format="%d",
            step=1,
            help="Empty: the lead time of each site",
        ),
    }
