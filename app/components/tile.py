"""One number with what it is against and its week, as a tile of a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st


def tile(label: str, value: str, below: str | None = None, series: Sequence[float | None] | None = None, help_: str | None = None) -> None:
    """One number, grey and without an arrow: more traffic is neither good nor bad.

    A container of its own shares the row evenly; a metric alone would insist on more room than seven have.
    """
    with st.container(height="stretch"):
        st.metric(label, value, below, delta_color="off", delta_arrow="off", help=help_, border=True, height="stretch", **_chart(series))


def _chart(series: Sequence[float | None] | None) -> dict[str, Any]:
    """Hours of the week as a line; NaN draws a gap where one is missing."""
    if series is None or not has_values(series):
        return {}
    return {"chart_data": [math.nan if value is None else value for value in series], "chart_type": "line"}


def has_values(series: Sequence[float | None] | None) -> bool:
    """Whether anything in the series can be drawn."""
    return series is not None and any(value is not None and not math.isnan(value) for value in series)
