"""All sites as a table, worst first; a click on a name, or a selected row, opens the site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, LineChartColumn, NumberColumn, ProgressColumn, TextColumn

from app import state
from app.charts.site_rows import site_table as rows_of
from app.components import export

ROW_PX, HEADER_PX, MOST_PX = 35, 38, 560
_CLICK = "sites.click"


def site_table(sites: pd.DataFrame, now: pd.Timestamp) -> None:
    """`sites`: a frame of sites_now, worst first."""
    rows = rows_of(sites, now)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.markdown("##### All sites")
        export.csv_button(rows.drop(columns=["Last 7 days"]), "sites", key="sites-csv")
    event = st.dataframe(
        rows, column_config=columns(), hide_index=True, height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)), row_height=ROW_PX,
        on_select="rerun", selection_mode="single-row", key="sites",
    )  # fmt: skip
    at = opened(event.selection, st.session_state.get(_CLICK))
    if at is not None and at < len(rows):
        state.open_page("region", site=str(rows["site_id"].iloc[at]))


def opened(selection: Mapping[str, Any], click: Mapping[str, Any] | None) -> int | None:
    """The position of the row whose name was clicked, or that was selected."""
    found = [*([] if click is None else [click["row"]]), *selection["rows"]]
    return int(found[0]) if found else None


def columns() -> dict[str, Any]:
    """How each column of the table reads."""
    return {
        "site_id": None,
        "Site": ButtonColumn(type="tertiary", alignment="left", pinned=True, width=140, key=_CLICK, help="Opens the site"),
        "Health": TextColumn(width=70),
        "Region": TextColumn(width=140),
        "Partner": TextColumn(width=130),
        "Egress": NumberColumn("Egress, Gbps", width=95, format="%.1f", help="Mean of the newest hour"),
        "Utilisation": ProgressColumn(
            width=115, format="%.0f %%", min_value=0, max_value=100, help="Egress or ingest over capacity, whichever is fuller, newest hour"
        ),
        "Last 7 days": LineChartColumn(width=120, y_min=0, help="Egress, highest of every 3 hours"),
        "Peak in 28 days": TextColumn("Peak, next 28 d", width=130, help="Highest hour of egress that is expected, 80 % interval"),
        "Peak of capacity": NumberColumn("of capacity", width=85, format="%.0f %%", help="The expected peak over the egress capacity of now"),
        "Run-out": TextColumn(width=125, help="When it passes 80 % of capacity: from the earliest to the latest date of the 80 % interval"),
        "Days left": NumberColumn(width=75, format="%d", help="Until the earliest of these dates"),
        "Complete": NumberColumn("Complete", width=80, format="%.0f %%", help="Samples of the last 24 h that are present, over those expected"),
    }
