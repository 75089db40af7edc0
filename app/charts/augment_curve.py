"""What does more certainty cost? Plans from buying nothing to near certainty, by their cost and the risk that they leave, with the chosen one marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace
from app.charts.marks import Note, halo
from app.charts.plain import layout
from app.theme import PALETTES, Palette, Scheme, hue, percent, significant, usd

PLOT, LEFT, RIGHT = 220, 64, 40
# Points nearer than this share of the plot, both ways, keep one word between them.
NEAR = (0.17, 0.11)


def augment_curve(points: pd.DataFrame, *, months: int, direction: str, scheme: Scheme) -> go.Figure:
    """`points`: q (NaN: nothing bought), cost_usd, risk (Gbps-months), gap, chosen; a point for each plan that was found."""
    palette = PALETTES[scheme]
    base = layout("Cost against risk", f"{months} months: Gbps-months expected above the limit, by USD", plot=PLOT, left=LEFT, scheme=scheme, right=RIGHT)
    right, top = (1.08 * max(float(points[name].max()), 1e-9) for name in ("cost_usd", "risk"))
    axes = {
        "xaxis": {"range": [-0.04 * right, right], "fixedrange": True, "nticks": 5, "tickprefix": "$", "tickformat": "~s", "showgrid": True},
        "yaxis": {"range": [-0.06 * top, 1.1 * top], "fixedrange": True, "nticks": 5, "showgrid": True, "tickformat": "~s"},
        "annotations": [*base["annotations"], *_words(points, right, top, palette)],
    }
    return go.Figure({"data": list(_traces(points, hue(f"{direction}_gbps", scheme), palette)), "layout": base | axes})


def words(row: dict[str, Any]) -> str:
    """How certain a plan is: 'nothing bought', '90 %'."""
    return "nothing bought" if np.isnan(row["q"]) else percent(row["q"])


def _traces(points: pd.DataFrame, colour: str, palette: Palette) -> list[Trace]:
    told = [
        f"<b>{words(row)}</b><br>{usd(row['cost_usd'])}, {significant(row['risk'])} Gbps-months at risk"
        + (f"<br>at most {percent(row['gap'])} above the cheapest" if row["gap"] > 0.0005 else "")
        for row in points.to_dict("records")
    ]
    chosen = points["chosen"].to_numpy(bool)
    marker = {
        "symbol": np.where(chosen, "diamond", "circle"), "size": np.where(chosen, 13, 8), "color": np.where(chosen, palette.ink, colour),
        "line": {"color": palette.ground, "width": 1},
    }  # fmt: skip
    line = {"type": "scatter", "mode": "lines+markers", "name": "plans", "x": points["cost_usd"].to_numpy(float), "y": points["risk"].to_numpy(float)}
    return [line | {"line": {"color": colour, "width": 1.5}, "marker": marker, "hovertext": told, "hoverinfo": "text"}]


def _words(points: pd.DataFrame, right: float, top: float, palette: Palette) -> list[Note]:
    """Certainty beside its point; of points that lie on each other the chosen one's, else the first one's."""
    taken: list[tuple[float, float]] = []
    notes = []
    for row in sorted(points.to_dict("records"), key=lambda row: not row["chosen"]):
        x, y = row["cost_usd"] / right, row["risk"] / top
        if any(abs(x - other) < NEAR[0] and abs(y - height) < NEAR[1] for other, height in taken):
            continue
        taken.append((x, y))
        text = f"<b>{words(row)}, chosen</b>" if row["chosen"] else words(row)
        place = {"xref": "x", "yref": "y", "x": row["cost_usd"], "y": row["risk"], "xanchor": "right" if x > 0.75 else "left", "yanchor": "bottom"}
        notes.append(place | {"xshift": -4 if x > 0.75 else 4, "yshift": 4, "showarrow": False, "text": text, "font": halo(palette.ink, palette)})
    return notes
