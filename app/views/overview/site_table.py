"""All sites as a table, worst first; a click on a name, or a selected row, opens the site."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, LineChartColumn, NumberColumn, ProgressColumn, TextColumn

from app import state, theme
from app.charts.map_marks import PLAN_RUNOUT
from app.ui import export
from app.ui.tables import HEADER_PX, ROW_PX, opened
from app.views.overview.charts import site_table as rows_of

MOST_PX = 560
# The hours of the week's line and what only the page needs; every other column names its unit.
NOT_IN_FILES = ("week", "incident", "silence", "runout")
# What a lake without partners, capacity or forecasts has nothing for.
MAY_BE_EMPTY = ("Partner", "Utilisation", "Peak of capacity", "Days left")
# A cell without a value: the words beside it say why there is none.
NONE = "-"
_CLICK = "sites.click"


def site_table(sites: pd.DataFrame, now: pd.Timestamp) -> None:
    """`sites`: planning.site_states, most urgent first."""
    rows = rows_of(sites, now)
    unit = theme.unit("egress_gbps", float(rows["Egress"].fillna(0.0).max()))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## All sites")
        export.table_buttons(sites[[column for column in sites if column not in NOT_IN_FILES]], "sites", "sites-file")
    event = st.dataframe(
        rows.assign(Egress=rows["Egress"] * unit.factor),
        column_config=columns(unit.word) | empty(rows),
        hide_index=True,
        placeholder=NONE,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        on_select="rerun",
        selection_mode="single-row",
        key="sites",
    )
    at = opened(event.selection, st.session_state.get(_CLICK))
    if at is not None and at < len(rows):
        state.open_page("region", site=str(rows["site_id"].iloc[at]))


def empty(rows: pd.DataFrame) -> dict[str, None]:
    """Columns without a single value, as settings that hide them; the file has them all."""
    return {name: None for name in MAY_BE_EMPTY if rows[name].isna().all()}


def columns(unit: str) -> dict[str, Any]:
    """How each column of the table reads; egress is in one unit for all sites, so that it sorts."""
    return {
        "site_id": None,
        "Site": ButtonColumn(
            type="tertiary", alignment="left", pinned=True, width=140, key=_CLICK, help="Opens the site"
        ),
        "Health": TextColumn(width=65),
        "Region": TextColumn(width=140),
        "Partner": TextColumn(width=130),
        "Egress": NumberColumn(f"Egress, {unit}", width=90, format="%.3g", help="Mean of the newest hour"),
        "Utilisation": ProgressColumn(
            width=105,
            format="%.0f %%",
            min_value=0,
            max_value=100,
            help="Egress or ingest over capacity, whichever is fuller, newest hour",
        ),
        "Last 7 days": LineChartColumn(width=95, y_min=0, help="Egress, highest of every 3 hours"),
        "Peak in 28 days": TextColumn(
            "Peak, next 28 d", width=130, help="Highest hour of egress that is expected, 80 % interval"
        ),
        "Peak of capacity": NumberColumn(
            "of capacity", width=80, format="%.0f %%", help="The expected peak over the egress capacity of now"
        ),
        "Run-out": TextColumn(
            width=140, help=f"When {PLAN_RUNOUT.what}: from the earliest to the latest date of the 80 % interval"
        ),
        "Days left": NumberColumn(width=65, format="%d", help="Until the earliest of these dates"),
        "Complete": NumberColumn(
            "Complete",
            width=75,
            format="%.0f %%",
            help="Samples of the last 24 h that are present, over those expected",
        ),
    }
