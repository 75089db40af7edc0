"""All sites, most urgent first: a table whose names open their sites, or cards on a narrow screen; and who has most of the
trouble, by region and partner.
"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, DateColumn, LineChartColumn, NumberColumn, ProgressColumn, TextColumn

from app import state, theme
from app.cached import planning
from app.charts.map_marks import PLAN_RUNOUT
from app.ui import export
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.tables import HEADER_PX, ROW_PX, cards, open_clicked, site_column
from app.views.overview.charts import FILE_COLUMNS, card_lines
from app.views.overview.charts import site_table as rows_of

MOST_PX = 560
# What a lake without partners, capacity or forecasts has nothing for.
MAY_BE_EMPTY = ("Partner", "of capacity", "Short", "Order by")
# A cell without a value: the words beside it say why there is none.
NONE = "-"
_CLICK = "sites.click"


def site_table(frame: Frame, sites: pd.DataFrame) -> None:
    """`sites`: planning.site_states, most urgent first."""
    rows = rows_of(sites, frame.extent.now)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## All sites, most urgent first", width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            export.table_buttons(sites[FILE_COLUMNS], "sites", key="sites-file", units=UNITS)
    if frame.narrow:
        records = rows.to_dict("records")
        titles = [
            f"{row['Health']} **[{plain(row['Site'])}]({state.link('region', site=row['site_id'])})**"
            for row in records
        ]
        cards(titles, lambda at: card_lines(records[at]), key="sites")
        return
    unit = theme.unit("egress_gbps", float(rows["Peak 24 h"].fillna(0.0).max()))
    st.dataframe(
        rows.assign(**{name: rows[name] * unit.factor for name in ("Peak 24 h", "Short")}),
        column_config=columns(unit.word) | empty(rows),
        hide_index=True,
        placeholder=NONE,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="sites",
        alt="All sites with their state, peaks, run-out and order-by dates, most urgent first",
    )
    open_clicked(_CLICK, rows["site_id"].tolist(), set(rows["site_id"]))


UNITS = {"peak_28d_low": "Gbps", "peak_28d_mid": "Gbps", "peak_28d_high": "Gbps", "lead_days": "days"}


def empty(rows: pd.DataFrame) -> dict[str, None]:
    """Columns without a single value, as settings that hide them; the file has them all."""
    return {name: None for name in MAY_BE_EMPTY if rows[name].isna().all()}


def columns(unit: str) -> dict[str, Any]:
    """How each column of the table reads; traffic is in one unit for all sites, so that it sorts."""
    return {
        "site_id": None,
        "Site": site_column(_CLICK, 118),
        "Health": TextColumn(width=62),
        "Region": TextColumn(width=198),
        "Partner": TextColumn(width=160),
        "Peak 24 h": NumberColumn(
            f"Peak 24 h, {unit}", width=104, format="%.3g", help="Highest hourly mean of egress in the last 24 hours"
        ),
        "of capacity": ProgressColumn(
            width=90,
            format="%.0f %%",
            min_value=0,
            max_value=100,
            help="Highest hourly mean of the last 24 hours over capacity, egress or ingest, whichever is fuller",
        ),
        "Last 7 days": LineChartColumn(width=78, y_min=0, help="Egress, highest of every 3 hours"),
        "Peak in 28 days": TextColumn(
            "Peak, next 28 d", width=115, help="Highest hour of egress that is expected, 80 % interval"
        ),
        "Short": NumberColumn(
            f"{unit} short", width=78, format="%.3g", help="The weekly peak above the limit, 0 where it is below"
        ),
        "Run-out": TextColumn(
            width=132, help=f"When {PLAN_RUNOUT.what}: from the earliest to the latest date of the 80 % interval"
        ),
        "Order by": DateColumn(
            width=95, format="D MMM YYYY", help="The last day to order in time for the earliest run-out"
        ),
        "Complete": NumberColumn(
            "Complete",
            width=64,
            format="%.0f %%",
            help="Samples of the last 24 h that are present, over those expected",
        ),
    }


# Regions and partners
# ------------------------------------------------------------------------------------------------------------------

LEADERS: dict[Literal["region", "partner"], str] = {"region": "Region", "partner": "Partner"}
LEADERS_PX = 220


def leaderboards(frame: Frame, sites: pd.DataFrame) -> None:
    """Regions and partners by how many of their sites are to act on. A click on a name shows it alone on the whole
    page, a second click all again. `sites`: planning.site_states of all sites in scope.
    """
    groups = {name: planning.group_states(sites, name) for name in LEADERS}
    shown = {name: rows for name, rows in groups.items() if len(rows) > 1}
    if not shown:
        return
    for place, (name, rows) in zip(st.columns(len(shown), gap="small"), shown.items(), strict=True):
        with place:
            _leaderboard(name, rows)


def _leaderboard(name: Literal["region", "partner"], rows: pd.DataFrame) -> None:
    chosen, click = getattr(state.current(), name), f"leaders.{name}"
    marks = rows["key"].eq(chosen).map({True: "\u2713 ", False: ""})
    has_gbps = bool(rows["add_gbps"].notna().any())
    st.dataframe(
        rows.assign(label=marks + rows["label"])[["label", "act", "watch", "add_gbps"]],
        column_config={
            "label": ButtonColumn(
                LEADERS[name],
                type="tertiary",
                alignment="left",
                width=200,
                key=click,
                help="Shows it alone; once more shows all",
            ),
            "act": NumberColumn("Act", width=45),
            "watch": NumberColumn("Watch", width=58),
            "add_gbps": NumberColumn(
                "To add, Gbps", width=100, format="%.3g", help="Sum of what its sites are to order"
            )
            if has_gbps
            else None,
        },
        hide_index=True,
        placeholder=NONE,
        row_height=ROW_PX,
        height=min(LEADERS_PX, HEADER_PX + ROW_PX * len(rows)),
        key=f"leaderboard-{name}",
        alt=f"{LEADERS[name]}s by sites to act on",
    )
    clicked = st.session_state.get(click)
    if clicked is not None and clicked["row"] < len(rows):
        key = str(rows["key"].iloc[clicked["row"]])
        state.update(**{name: None if key == chosen else key})
        st.rerun()
