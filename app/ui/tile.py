"""One number with what it is against and its week, as a tile of a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

# Pixels that "28 Nov to 15 Dec" takes at the size of a tile's number, with its padding.
WIDE = 236


def tile(
    label: str,
    value: str,
    below: str | None = None,
    series: Sequence[float | None] | None = None,
    help_: str | None = None,
    *,
    wide: bool = False,
) -> None:
    """One number, grey and without an arrow: more traffic is neither good nor bad.

    A container of its own shares the row evenly; a metric alone would insist on more room than seven have. A `wide` one
    has room for an interval of dates.
    """
    with st.container(height="stretch", width=WIDE if wide else "stretch"):
        st.metric(
            label,
            value,
            below,
            delta_color="off",
            delta_arrow="off",
            help=help_,
            border=True,
            height="stretch",
            **_chart(series),
        )


def _chart(series: Sequence[float | None] | None) -> dict[str, Any]:
    """Hours of the week as a line; NaN draws a gap where one is missing."""
    if series is None or not has_values(series):
        return {}
    return {"chart_data": [math.nan if value is None else value for value in series], "chart_type": "line"}


def has_values(series: Sequence[float | None] | None) -> bool:
    """Whether anything in the series can be drawn."""
    return series is not None and any(value is not None and not math.isnan(value) for value in series)
