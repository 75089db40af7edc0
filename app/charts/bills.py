"""What each partner's month is billed by: the 95th percentile of the sum over its sites, month after month."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, times, values
from app.charts.panels import ENDS, End, Panel, linked_figure
from app.theme import PALETTES, Scheme, Unit, fade, hue, label, month, unit

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
