"""What if a site fails: the worst single failures now and in each month, and until when the network carries any of
them.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import theme
from app.cached import failures
from app.cached.failures import DeclaredFailover, FailureReport
from app.cached.planning import PlanQuery, RunOut
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.tables import HEADER_PX, ROW_PX
from app.views.capacity import choices, failure_player, what_if
from app.views.capacity.failure_charts import listed
from app.views.capacity.run_out_charts import soon_words

MOST = 10


def safe_words(found: RunOut, now: pd.Timestamp) -> str:
    """Until when any single failure can be carried: 'not now', '3 to 19 Dec', 'for 6 months at least'."""
    if found.answer == "refused":
        return "not known"
    if found.answer == "over":
        return "not now"
    first, last = found.p10, found.p90
    if found.answer == "beyond" or first is None:
        return f"past {theme.day(found.horizon)}"
    return f"until {theme.interval(max(first, now), last, now)}"


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The what-if, and the failures under it. Where no capacity is declared nothing can be said of what is shed."""
    outlooks = what_if.outlooks(frame, asked)
    if outlooks is None:
        choices.no_futures(frame, asked)
        return
    if choices.no_capacity(frame, outlooks.rows[outlooks.rows["level"] == "site"]):
        return
    what_if.panel(frame, outlooks.question)
    choices.choose_failover(asked.failover)
    found = failures.single_failures(frame.pin, frame.scope, outlooks.question)
    if found is None:
        return
    failure_player.panel(frame, outlooks.question, str(found.first_week["key"].iloc[0]))
    single(frame, found, asked.failover)


def single(frame: Frame, found: FailureReport, table: DeclaredFailover | None) -> None:
    """Every single failure: two tables side by side."""
    st.markdown("##### If any one site fails")
    said = (
        "not N-1 safe now"
        if found.safe_until.answer == "over"
        else f"N-1 safe {safe_words(found.safe_until, frame.extent.now)}"
    )
    reach = f"over the half year to {theme.day(found.safe_until.horizon)}"
    st.caption(
        f"The network is **{said}**. {empty_states.plain(choices.words(table))} "
        f"Reckoned for every site, week and future, {reach}; shed is the mean over the futures."
    )
    names = dict(zip(frame.catalogue["site_id"], frame.catalogue["name"], strict=True))
    now, months = rows_of(found.first_week.head(MOST), names), rows_of(found.months, names)
    left, right = st.columns(2, gap="medium")
    with left:
        _table("Worst now", now.drop(columns=["Month"]), "failures-now")
    with right:
        _table("Worst of each month", months, "failures-months")


def rows_of(found: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Month, Failed site, Shed and Shed, P90 (Gbps), Probability (words), Pushed over their limit (names)."""
    return pd.DataFrame(
        {
            "Month": [f"{theme.MONTHS[one.month - 1]} {one.year}" for one in found.get("month", found.get("week"))],
            "Failed site": [names.get(key, key) for key in found["key"]],
            "Shed": found["shed_gbps"].to_numpy(float),
            "Shed, P90": found["shed_gbps_p90"].to_numpy(float),
            "Any shed": [soon_words(float(share)) if share > 0 else "none" for share in found["probability"]],
            "Pushed over their limit": [
                listed(tuple(names.get(key, key) for key in passed)) for passed in found["passes"]
            ],
        }
    )


def _table(title: str, rows: pd.DataFrame, name: str) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{title}**")
        export.csv_button(rows, name, key=f"{name}-csv", units=dict.fromkeys(("Shed", "Shed, P90"), "Gbps"))
    st.dataframe(
        rows,
        column_config=_columns(),
        hide_index=True,
        row_height=ROW_PX,
        height=HEADER_PX + ROW_PX * len(rows),
        key=name,
        alt=f"{title}: {len(rows)} failures",
    )


def _columns() -> dict[str, Any]:
    return {
        "Month": TextColumn(width=75),
        "Failed site": TextColumn(width=125, pinned=True),
        "Shed": NumberColumn("Shed, Gbps", width=85, format="%.3g"),
        "Shed, P90": NumberColumn("P90, Gbps", width=80, format="%.3g", help="In one of ten futures at least so much"),
        "Any shed": TextColumn(width=80, help="Share of futures in which anything is shed"),
        "Pushed over their limit": TextColumn(
            help="Sites that pass the limit because of it, in at least half of the futures"
        ),
    }
