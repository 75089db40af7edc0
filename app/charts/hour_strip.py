"""When is each region busy? The hours of the UTC day, a row for each region in the order of its busiest hour: the
evening goes round with the sun.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.marks import nothing
from app.theme import (
    NO_DATA,
    PALETTES,
    UTILISATION_STEPS,
    UTILISATION_WORDS,
    Palette,
    Scheme,
    gbps,
    label,
    percent,
    template,
)

ROW, HEADER, BELOW, LEFT, RIGHT = 24, 80, 34, 132, 12
LEAST_ROWS = 3


def hour_strip_chart(
    share: pd.DataFrame,
    traffic: pd.DataFrame,
    capacity: Mapping[str, float],
    *,
    names: Mapping[str, str],
    direction: str,
    days: int,
    scheme: Scheme,
) -> go.Figure:
    """`share` (of the region's own busiest hour) and `traffic` (Gbps): rows are region_ids, columns the hours 0 to 23;
    `capacity` in Gbps by region_id.
    """
    palette = PALETTES[scheme]
    layout = {
        "template": template(scheme),
        "height": HEADER + BELOW + ROW * max(len(share), LEAST_ROWS),
        "margin": {"l": LEFT, "r": RIGHT, "t": HEADER, "b": BELOW},
        "dragmode": False,
        "showlegend": False,
        "annotations": _words(direction, days, palette),
    }
    if share.empty:
        return go.Figure(
            {
                "layout": layout
                | {"annotations": [*layout["annotations"], nothing(palette, "no region was seen whole in this time")]}
            }
        )
    told = [
        [
            _told(names.get(str(key), str(key)), hour, *pair, capacity.get(str(key), 0.0))
            for hour, pair in enumerate(zip(traffic.loc[key], row, strict=True))
        ]
        for key, row in share.iterrows()
    ]
    return go.Figure(
        {
            "data": [_cells(share, told, palette)],
            "layout": layout | _axes([names.get(str(key), str(key)) for key in share.index]),
        }
    )


def _told(name: str, hour: int, value: float, of_peak: float, capacity: float) -> str:
    """What hovering says."""
    head, used = (
        f"<b>{label(name)}</b>, {hour:02d}:00 to {(hour + 1) % 24:02d}:00 UTC",
        f", {percent(value / capacity)} of capacity" if capacity > 0.0 else "",
    )
    return (
        f"{head}<br>{NO_DATA}"
        if np.isnan(value)
        else f"{head}<br>{gbps(value)} on average, {percent(of_peak)} of its busiest hour{used}"
    )


def _cells(share: pd.DataFrame, told: list[list[str]], palette: Palette) -> dict[str, Any]:
    values = share.to_numpy(float)
    steps = np.where(np.isnan(values), np.nan, np.searchsorted(UTILISATION_STEPS, values, side="right"))
    colours, count = palette.utilisation, len(palette.utilisation)
    scale = [[(n + side) / count, colours[n]] for n in range(count) for side in (0, 1)]
    return {
        "type": "heatmap",
        "x": list(share.columns),
        "y": list(range(len(share))),
        "z": steps.astype(np.float32),
        "zmin": -0.5,
        "zmax": count - 0.5,
        "colorscale": scale,
        "showscale": False,
        "xgap": 1,
        "ygap": 2,
        "hoverongaps": True,
        "text": told,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _axes(names: list[str]) -> dict[str, Any]:
    hours = list(range(0, 24, 3))
    rows = {
        "tickvals": list(range(len(names))),
        "ticktext": [label(name, 20) for name in names],
        "showgrid": False,
        "fixedrange": True,
    }
    return {
        "xaxis": {
            "tickvals": hours,
            "ticktext": [f"{hour:02d}" for hour in hours],
            "showgrid": False,
            "fixedrange": True,
            "range": [-0.5, 23.5],
        },
        "yaxis": {"range": [max(len(names), LEAST_ROWS) - 0.5, -0.5]} | rows,
    }


def _words(direction: str, days: int, palette: Palette) -> list[dict[str, Any]]:
    """Title, subtitle and the legend of steps."""
    at = {
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "xshift": 8 - LEFT,
        "yanchor": "top",
        "showarrow": False,
        "align": "left",
    }
    keys = [
        f'<span style="color:{colour}">\u25a0</span> {words}'
        for colour, words in zip(palette.utilisation, UTILISATION_WORDS, strict=True)
    ]
    small = {"font": {"size": 11, "color": palette.muted}}
    return [
        at | {"yshift": HEADER - 2, "text": "<b>Hours of the day</b>", "font": {"size": 15}},
        at
        | {
            "yshift": HEADER - 22,
            "text": f"{direction} by region, share of its own busiest hour, mean of {days} days, UTC",
            "font": {"size": 12, "color": palette.muted},
        },
        at | small | {"yshift": HEADER - 40, "text": "  ".join(keys)},
    ]
