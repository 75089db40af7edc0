"""What does more certainty cost? Plans from buying nothing to near certainty, by their cost and the risk that they
leave, with the chosen one marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from app import theme
from app.charts.axes import Trace
from app.charts.marks import Note, halo
from app.charts.panels import layout, upright
from app.theme import ACT, PALETTES, WATCH, Palette, Scheme, hue, percent, significant, usd

PLOT, LEFT, RIGHT = 220, 64, 40
# Points nearer than this share of the plot, both ways, keep one word between them.
NEAR = (0.17, 0.11)


def augment_curve(
    points: pd.DataFrame, *, months: int, direction: str, scheme: Scheme, budget_usd: float | None = None
) -> go.Figure:
    """`points`: q (NaN: nothing bought), cost_usd, risk (Gbps-months), gap, chosen; a point for each plan that was
    found.

    A chosen plan beside another of its q is what the budget buys of that: it lies off the line.
    """
    points, palette = _placed(points), PALETTES[scheme]
    base = layout(
        "Cost against risk",
        f"{months} months: Gbps-months expected above the limit, by USD",
        plot=PLOT,
        left=LEFT,
        scheme=scheme,
        right=RIGHT,
    )
    right, top = (1.08 * max(float(points[name].max()), 1e-9) for name in ("cost_usd", "risk"))
    marks = [] if budget_usd is None else _budget(budget_usd, right, palette)
    axes = {
        "xaxis": {
            "range": [-0.04 * right, right],
            "fixedrange": True,
            "nticks": 5,
            "tickprefix": "$",
            "tickformat": "~s",
            "showgrid": True,
        },
        "yaxis": {
            "range": [-0.06 * top, 1.1 * top],
            "fixedrange": True,
            "nticks": 5,
            "showgrid": True,
            "tickformat": "~s",
        },
        "annotations": [*base["annotations"], *_words(points, right, top, palette), *marks],
        "shapes": [upright(budget_usd, palette, colour=palette.words["capacity"])]
        if budget_usd is not None and budget_usd <= right
        else [],
    }
    return go.Figure({"data": list(_traces(points, hue(f"{direction}_gbps", scheme), palette)), "layout": base | axes})


def _budget(usd_most: float, right: float, palette: Palette) -> list[Note]:
    """The word at the line of the budget, or at the edge where the budget lies beyond it."""
    within = usd_most <= right
    anchor = "right" if usd_most > 0.75 * right else "left"
    place = {
        "xref": "x",
        "yref": "y domain",
        "x": min(usd_most, right),
        "y": 1,
        "xanchor": anchor,
        "yanchor": "top",
        "xshift": -4 if anchor == "right" else 4,
    }
    text = f"budget {usd(usd_most)}{'' if within else ', further right'}"
    return [place | {"showarrow": False, "text": text, "font": halo(palette.words["capacity"], palette)}]


def words(row: dict[str, Any]) -> str:
    """How certain a plan is: 'nothing bought', '90 %', 'what the budget buys'."""
    return "nothing bought" if np.isnan(row["q"]) else "what the budget buys" if row["off"] else percent(row["q"])


def _placed(points: pd.DataFrame) -> pd.DataFrame:
    """With `off`: what the budget buys of a plan that is there too, and so off the line."""
    return points.assign(off=points["chosen"].astype(bool) & points["q"].duplicated(keep=False))


def _traces(points: pd.DataFrame, colour: str, palette: Palette) -> Iterator[Trace]:
    """The plans on their line; and what the budget buys."""
    for name, part in (("plans", points[~points["off"]]), ("within the budget", points[points["off"]])):
        if len(part):
            line = {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "line": {"color": colour, "width": 1.5},
                "hoverinfo": "text",
            }
            values = {
                "x": part["cost_usd"].to_numpy(float),
                "y": part["risk"].to_numpy(float),
                "hovertext": [_told(row) for row in part.to_dict("records")],
            }
            yield line | values | {"marker": _marker(part["chosen"].to_numpy(bool), colour, palette)}


def _told(row: dict[Any, Any]) -> str:
    """A plan in the hover box."""
    gap = f"<br>at most {percent(row['gap'])} above the cheapest" if row["gap"] > 0.0005 else ""
    return f"<b>{words(row)}</b><br>{usd(row['cost_usd'])}, {significant(row['risk'])} Gbps-months at risk{gap}"


def _marker(chosen: npt.NDArray[np.bool_], colour: str, palette: Palette) -> dict[str, Any]:
    return {
        "symbol": np.where(chosen, "diamond", "circle"),
        "size": np.where(chosen, 13, 8),
        "color": np.where(chosen, palette.ink, colour),
        "line": {"color": palette.ground, "width": 1},
    }


def _words(points: pd.DataFrame, right: float, top: float, palette: Palette) -> list[Note]:
    """Certainty beside its point; of points that lie on each other the chosen one's, else the first one's."""
    taken: list[tuple[float, float]] = []
    notes = []
    for row in sorted(points.to_dict("records"), key=lambda row: not row["chosen"]):
        x, y = row["cost_usd"] / right, row["risk"] / top
        if any(abs(x - other) < NEAR[0] and abs(y - height) < NEAR[1] for other, height in taken):
            continue
        taken.append((x, y))
        text = f"<b>{words(row)}{'' if row['off'] else ', chosen'}</b>" if row["chosen"] else words(row)
        place = {
            "xref": "x",
            "yref": "y",
            "x": row["cost_usd"],
            "y": row["risk"],
            "xanchor": "right" if x > 0.75 else "left",
            "yanchor": "bottom",
        }
        notes.append(
            place
            | {
                "xshift": -4 if x > 0.75 else 4,
                "yshift": 4,
                "showarrow": False,
                "text": text,
                "font": halo(palette.ink, palette),
            }
        )
    return notes


Names = Mapping[str, str]


def purchase_table(rows: pd.DataFrame, names: Names, today: pd.Timestamp) -> pd.DataFrame:
    """`rows`: AugmentPlan.frame. Rank, Site, Step ('2 x 100 Gbps'), Adds (Gbps), Order by, In service, Cost and A month
    (USD), Risk removed (Gbps-months), Per thousand USD, Reason; in the order given.
    """
    return pd.DataFrame(
        {
            "Rank": rows["rank"],
            "Site": [names.get(key, key) for key in rows["site_id"]],
            "Step": [f"{units} x {theme.gbps(gbps)}" for units, gbps in zip(rows["units"], rows["gbps"], strict=True)],
            "Adds": rows["gbps"] * rows["units"],
            "Order by": [order_words(day, today) for day in rows["order_by"]],
            "In service": [theme.day(day) for day in rows["in_service"]],
            "Cost": rows["cost_usd"],
            "A month": rows["usd_month"],
            "Risk removed": rows["risk_removed"],
            "Per thousand USD": rows["risk_per_kusd"],
            "Reason": rows["reason"],
        }
    )


def unmet_table(rows: pd.DataFrame, names: Names) -> pd.DataFrame:
    """`rows`: AugmentPlan.unmet. Site, What, From, Until, Short (Gbps), Why; in the order given."""
    what = {"limit": "above its limit", "n-1": "its failure is not carried"}
    return pd.DataFrame(
        {
            "Site": [names.get(key, key) for key in rows["key"]],
            "What": rows["kind"].map(what),
            "From": [theme.month(month) for month in rows["first"]],
            "Until": [theme.month(month) for month in rows["last"]],
            "Short": rows["short_gbps"],
            "Why": rows["cause"],
        }
    )


def order_words(last: pd.Timestamp, today: pd.Timestamp) -> str:
    """The last day to order, with its state."""
    late = last < today.floor("D")
    return f"{(ACT if late else WATCH).glyph} {'now, was' if late else 'by'} {theme.day(last, year=last.year != today.year)}"


def broken_words(broken: Iterable[Any], names: Names) -> list[str]:
    """What no purchase keeps: a sentence for each site, kind and cause, with the months that it is about; what lacks
    most stands first.

    `broken`: AugmentPlan.broken.
    """
    kept = sorted(broken, key=lambda one: (one.violation.key, one.violation.kind, one.cause, one.month))
    parts = [
        list(mine) for _, mine in groupby(kept, key=lambda one: (one.violation.key, one.violation.kind, one.cause))
    ]
    return [_together(mine, names) for mine in sorted(parts, key=_lacks, reverse=True)]


def _lacks(mine: list[Any]) -> float:
    return float(max(one.violation.short_gbps for one in mine))


def _together(mine: list[Any], names: Names) -> str:
    first, last = mine[0], mine[-1]
    name, most = names.get(first.violation.key, first.violation.key), _lacks(mine)
    what = (
        f"{name} stays above its limit"
        if first.violation.kind == "limit"
        else f"If {name} fails, the others cannot take it all"
    )
    months = theme.month(first.month) if len(mine) == 1 else f"{theme.month(first.month)} to {theme.month(last.month)}"
    return f"{what}, {months}: up to {theme.gbps(most)} short; {first.cause}"
