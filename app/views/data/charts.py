"""How complete the telemetry is, by site and day: what is whole keeps quiet, holes stand out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import written
from app.charts.marks import nothing
from app.charts.panels import corner
from app.theme import PALETTES, TIME_TICKS, Palette, Scheme, label, template

STEPS: tuple[float, ...] = (0.5, 0.8, 0.95, 0.995)
WORDS = ("under 50 %", "50 to 80 %", "80 to 95 %", "95 to 99.5 %", "complete")
ROWS, ROW, HEADER, BELOW = 60, 15, 98, 34


def completeness_chart(days: pd.DataFrame, *, scheme: Scheme) -> go.Figure:
    """A heat map of `days` (name, ts at 00:00 UTC, completeness as a ratio; null or absent where nothing was expected),
    the least complete site first.

    At most ROWS sites are drawn; the subtitle says of how many.
    """
    palette = PALETTES[scheme]
    table = days.pivot_table(index="name", columns="ts", values="completeness", aggfunc="min", dropna=False)
    worst = table.loc[table.mean(axis=1).sort_values(kind="stable").index][:ROWS]
    layout = {
        "template": template(scheme),
        "height": HEADER + BELOW + ROW * max(len(worst), 4),
        "margin": {"l": 112, "r": 12, "t": HEADER, "b": BELOW},
        "dragmode": False,
        "showlegend": False,
        "annotations": _words(len(worst), len(table), palette),
        "plot_bgcolor": palette.ground,
    }
    if worst.empty:
        return go.Figure(
            {"layout": layout | {"annotations": [*layout["annotations"], nothing(palette, "no telemetry yet")]}}
        )
    return go.Figure({"data": [_cells(worst, palette)], "layout": layout | _axes(worst)})


def step(ratio: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The step of each completeness, 0 (under 50 %) to 4 (complete); not a number where nothing was expected."""
    return np.where(np.isnan(ratio), np.nan, np.searchsorted(STEPS, ratio, side="right")).astype(np.float32)


def _colours(palette: Palette) -> list[str]:
    """Least first. What is complete is as quiet as the ground allows."""
    return [*palette.utilisation[:0:-1], palette.grid]


def _cells(worst: pd.DataFrame, palette: Palette) -> dict[str, Any]:
    ratios = worst.to_numpy(dtype=float, na_value=np.nan)
    colours = _colours(palette)
    edges = [(n + side) / len(colours) for n in range(len(colours)) for side in (0, 1)]
    scale = [[edge, colours[n // 2]] for n, edge in enumerate(edges)]
    return {
        "type": "heatmap",
        "x": _noons(worst),
        "y": np.arange(len(worst)),
        "z": step(ratios),
        "zmin": -0.5,
        "zmax": len(colours) - 0.5,
        "colorscale": scale,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "customdata": (100 * ratios).astype(np.float32),
        "hoverongaps": False,
        "hovertemplate": "%{y}, %{x|%a %-d %b %Y}: %{customdata:.3~r} % complete<extra></extra>",
    }


def _noons(worst: pd.DataFrame) -> npt.NDArray[np.object_]:
    """The middle of each day: a cell reaches half a day to both sides of its x."""
    return written(pd.Series(pd.DatetimeIndex(worst.columns) + pd.Timedelta(12, "h")), "UTC")


def _axes(worst: pd.DataFrame) -> dict[str, Any]:
    names = [label(name, 17) for name in worst.index]
    return {
        "xaxis": {"type": "date", "tickformatstops": TIME_TICKS, "tickangle": 0, "showgrid": False, "fixedrange": True},
        "yaxis": {
            "range": [max(len(names), 4) - 0.5, -0.5],
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "showgrid": False,
            "fixedrange": True,
        },
    }


def _words(shown: int, all_of_them: int, palette: Palette) -> list[dict[str, Any]]:
    """Title, subtitle and the legend of steps."""
    at = corner(112)
    few = (
        f"the {shown} least complete of {all_of_them} sites"
        if shown < all_of_them
        else f"{all_of_them} sites, least complete first"
    )
    keys = [
        f'<span style="color:{colour}">\u25a0</span> {words}'
        for colour, words in zip(_colours(palette), WORDS, strict=True)
    ]
    legend = "  ".join(keys[:3]) + "<br>" + "  ".join([*keys[3:], "\u25a1 nothing expected"])
    return [
        at | {"yshift": HEADER - 4, "text": "<b>Completeness by site and day</b>", "font": {"size": 15}},
        at
        | {
            "yshift": HEADER - 24,
            "text": f"share of samples, UTC days, {few}",
            "font": {"size": 12, "color": palette.muted},
        },
        at | {"yshift": HEADER - 42, "text": legend, "font": {"size": 11, "color": palette.muted}},
    ]
