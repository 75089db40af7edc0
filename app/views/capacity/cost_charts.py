"""Charts of what traffic costs: the bill of each partner and month, and the hours that make it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, times, values
from app.charts.marks import nothing
from app.charts.panels import ENDS, End, Panel, corner, linked_figure
from app.theme import (
    NO_DATA,
    PALETTES,
    UTILISATION_STEPS,
    UTILISATION_WORDS,
    Palette,
    Scheme,
    Unit,
    fade,
    gbps,
    hue,
    label,
    month,
    percent,
    template,
    unit,
)

SYMBOLS = ("circle", "triangle-up", "square", "diamond")
HEIGHT, ABOVE, FAINTER = 220, 1.15, 0.2
# Partners are named at the right, beside months that need some room on either side.
NAMES_PX, BESIDE = 116, pd.Timedelta(days=6)
# A bill is of the busier direction, which is egress wherever viewers are served.
METRIC = "egress_gbps"
# A month of which more is missing than this is not over, or was not seen whole.
WHOLE = 0.98


def bills_chart(rows: pd.DataFrame, *, scheme: Scheme) -> go.Figure:
    """`rows`: partner, month, billed_gbps, completeness; at least one. A line for each of the partners that are billed
    most.
    """
    first, last = rows["month"].min() - BESIDE, rows["month"].max() + BESIDE
    figure = linked_figure([_panel(rows, scheme)], start=first, end=last, zone="UTC", scheme=scheme)
    return figure.update_layout(margin_r=NAMES_PX, dragmode=False)


def _panel(rows: pd.DataFrame, scheme: Scheme) -> Panel:
    palette, shown = PALETTES[scheme], largest(rows)
    top = ABOVE * float(rows["billed_gbps"].max())
    of = unit(METRIC, top)
    last = rows.sort_values("month").drop_duplicates("partner", keep="last").set_index("partner")["billed_gbps"]
    ends = [End(name, float(last[name]) * of.factor, palette.words["egress"]) for name in shown]
    few = (
        f"the {len(shown)} largest of {rows['partner'].nunique()} partners, "
        if rows["partner"].nunique() > len(shown)
        else ""
    )
    return Panel(
        title="Billed by month",
        subtitle=f"{of.word}, P95 of 5-minute sums, {few}UTC; open mark: month not seen whole",
        height=HEIGHT,
        unit=of,
        top=top * of.factor,
        traces=list(_lines(rows, shown, of, scheme)),
        ends=ends,
    )


def largest(rows: pd.DataFrame) -> list[str]:
    """The partners that are billed most in their last month, largest first."""
    last = (
        rows.sort_values("month")
        .drop_duplicates("partner", keep="last")
        .sort_values(["billed_gbps", "partner"], ascending=[False, True])
    )
    return [str(name) for name in last["partner"].head(ENDS)]


def _lines(rows: pd.DataFrame, shown: list[str], of: Unit, scheme: Scheme) -> Iterator[Trace]:
    for number, partner in enumerate(shown):
        mine = rows[rows["partner"] == partner].sort_values("month").rename(columns={"month": "ts"})
        colour = fade(hue(METRIC, scheme), 1.0 - FAINTER * number)
        symbols = [SYMBOLS[number] + ("" if share >= WHOLE else "-open") for share in mine["completeness"]]
        yield {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(partner),
            "line": {"color": colour, "width": 1.5},
            "connectgaps": False,
            "marker": {"symbol": symbols, "size": 8, "color": colour},
            "y": values(mine["billed_gbps"], of),
            "text": [month(one) for one in mine["ts"]],
            "hovertemplate": f"{label(partner)}, %{{text}}: <b>%{{y:.4~r}} {of.word}</b><extra></extra>",
        } | times(mine, "UTC")


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
    at = corner(LEFT)
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
