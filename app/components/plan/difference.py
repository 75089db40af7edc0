"""Two versions of the declared capacity against each other, as a table of what was added, removed and changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import TextColumn

from app import theme
from app.components.header import Frame
from app.components.ledger import HEADER_PX, ROW_PX
from app.components.place import site_names

MOST_PX = 300
SIGNS = {"added": "+ added", "removed": "- removed", "changed": "* changed"}
WHOLE_DAY = "00:00"


def difference_table(frame: Frame, rows: pd.DataFrame, key: str) -> None:
    """A difference as capacity_edits makes them."""
    told = table(rows, site_names(frame.catalogue, None))
    st.dataframe(
        told,
        column_config=COLUMNS,
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(told)),
        key=key,
        alt=f"{len(told)} steps that differ",
    )


def table(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Change, Site, Direction, From, and Capacity, Status and Cost as they were and become."""
    told = rows.to_dict("records")
    return pd.DataFrame(
        {
            "Change": [SIGNS[row["change"]] for row in told],
            "Site": [names.get(row["site_id"], row["site_id"]) for row in told],
            "Direction": rows["direction"].to_numpy(object),
            "From": [moment(row["effective_from"]) for row in told],
            "Capacity": [_turned(row, "capacity_gbps", theme.gbps) for row in told],
            "Status": [_turned(row, "status", str) for row in told],
            "USD a month": [_turned(row, "cost_usd_month", lambda usd: f"{usd:,.0f}") for row in told],
        }
    )


COLUMNS = {
    "Change": TextColumn(width=90),
    "Site": TextColumn(width=170),
    "Direction": TextColumn(width=85),
    "From": TextColumn("From, UTC", width=140),
    "Capacity": TextColumn(width=180),
    "Status": TextColumn(width=170),
    "USD a month": TextColumn(width=170),
}


def step_words(row: Mapping[str, Any] | pd.Series, frame: Frame) -> str:
    """A step in words: 'Frankfurt 1, egress, from 3 Dec 2026'; what is not there yet is a dash."""
    site = row["site_id"]
    name = site_names(frame.catalogue, None).get(site, site) if pd.notna(site) else "no site"
    direction = row["direction"] if pd.notna(row["direction"]) else "no direction"
    return f"{name}, {direction}, from {moment(row['effective_from'])}"


def moment(when: Any) -> str:
    """A date, with its time where that is not midnight."""
    if pd.isna(when):
        return "no date"
    told = theme.stamp(pd.Timestamp(when), "UTC")
    return told.removesuffix(f" {WHOLE_DAY}")


def _turned(row: Mapping[Any, Any], name: str, said: Any) -> str:
    """What a value was and becomes; one word where it stays."""
    before, after = ("" if pd.isna(value) else said(value) for value in (row[f"{name}_before"], row[f"{name}_after"]))
    if row["change"] == "changed" and before != after:
        return f"{before or 'empty'} to {after or 'empty'}"
    return after or before or "-"
