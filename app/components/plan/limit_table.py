"""The safe limits of all sites, the lowest knee first: learned from one reading of their samples."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, NumberColumn, TextColumn

from app import state
from app.cached import limits
from app.cached.planning import PlanQuery
from app.charts.safe_limit import limit_table
from app.components import export
from app.components.header import Frame
from app.components.ledger import HEADER_PX, ROW_PX, opened

MOST_PX = 480
_CLICK, _CHOSEN = "limits.click", "limits.chosen"
UNITS = dict.fromkeys(("Knee", "From", "To", "May be used", "Seen up to"), "%")


def draw(frame: Frame, asked: PlanQuery, quality: str, regions: dict[str, str], names: dict[str, str]) -> None:
    """The table; a click on a site draws its curve above."""
    answers = learn(frame, asked, quality, regions, names)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("##### All sites, lowest knee first")
        if answers.empty:
            st.caption(":material/info: No sample has quality, traffic and a capacity to hold it against.")
            return
        rows = limit_table(answers)
        export.csv_button(rows, "safe limits", key="limits-csv", units=UNITS)
    event = st.dataframe(
        rows,
        column_config=columns(),
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        on_select="rerun",
        selection_mode="single-row",
        key="limits-table",
        alt=f"Safe limits of {len(rows)} sites",
    )
    at = opened(event.selection, st.session_state.get(_CLICK))
    before, st.session_state[_CHOSEN] = st.session_state.get(_CHOSEN), at
    if at is not None and at != before and at < len(rows):
        state.update(focus=f"site:{rows['key'].iloc[at]}")
        st.rerun()


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


def columns() -> dict[str, Any]:
    """How each column reads."""
    shares = {
        "Knee": "From here on quality is worse by a fifth than at low load",
        "From": "Lower end of its 90 % interval",
        "To": "Upper end of it",
        "May be used": "The lower end of the knee's interval",
        "Seen up to": "The highest utilisation that was measured",
    }
    return {
        "key": None,
        "Site": ButtonColumn(
            type="tertiary", alignment="left", pinned=True, width=140, key=_CLICK, help="Draws the site's curve above"
        ),
        "Region": TextColumn(width=190),
        **{name: NumberColumn(width=95, format="%.0f %%", help=words) for name, words in shares.items()},
        "Answer": TextColumn(width=320),
    }
