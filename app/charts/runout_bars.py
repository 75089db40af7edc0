"""When each site runs out, as bars on one axis of dates: worst first, from the early to the late end of the 80 %
interval, with the last day to order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, instant, lengths, written
from app.charts.marks import nothing
from app.charts.plan_rows import answer_words
from app.theme import PALETTES, TIME_TICKS, Palette, Scheme, day, fade, hue, label, template

ROW, HEADER, BELOW, LEFT = 21, 96, 26, 132
# More bars than a screen holds are a table, which stands below.
MOST = 16
# What is over has no dates: a mark at now. An order that should have been placed longer ago than this is drawn at the
# rim.
BACK = pd.Timedelta(days=45)
# Dates that lie close together are told apart; the axis reaches at least so far.
LEAST = pd.Timedelta(days=120)


def dated(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have something to draw, the first of them; in the order given."""
    return rows[rows["answer"].isin(("over", "within", "possible"))].head(MOST).reset_index(drop=True)


def runout_bars(
    rows: pd.DataFrame, *, now: pd.Timestamp, direction: str, zone: str, scheme: Scheme, limit: str
) -> go.Figure:
    """`rows`: an outlook with the column name, worst first. `limit` says in words what is passed."""
    palette, shown = PALETTES[scheme], dated(rows)
    shown["said"] = [answer_words(row, now) for row in shown.to_dict("records")]
    layout: dict[str, Any] = {
        "template": template(scheme),
        "height": HEADER + BELOW + ROW * max(len(shown), 3),
        "margin": {"l": LEFT, "r": 16, "t": HEADER, "b": BELOW},
        "showlegend": False,
        "dragmode": False,
        "barmode": "overlay",
        "bargap": 0.45,
    }
    words = _words(len(shown), len(rows), limit, hue(f"{direction}_gbps", scheme), palette)
    if shown.empty:
        return go.Figure({"layout": layout | {"annotations": [*words, nothing(palette, "nothing runs out in sight")]}})
    start, end = now - BACK, latest(shown, now)
    traces = [
        *bars(shown, now, end, hue(f"{direction}_gbps", scheme), zone),
        *medians(shown, now, zone, palette),
        *_orders(shown, start, zone, palette),
    ]
    line, note = now_mark(now, zone, palette)
    axes = _axes(shown, instant(start - pd.Timedelta(days=6), zone), instant(end, zone))
    return go.Figure({"data": traces, "layout": layout | axes | {"shapes": [line], "annotations": [*words, note]}})


def now_mark(now: pd.Timestamp, zone: str, palette: Palette) -> tuple[dict[str, Any], dict[str, Any]]:
    """The line at now, and its label."""
    at = {"xref": "x", "yref": "y domain"}
    line = at | {
        "type": "line",
        "y0": 0,
        "y1": 1,
        "x0": instant(now, zone),
        "x1": instant(now, zone),
        "line": {"color": palette.muted, "width": 1},
    }
    note = at | {"x": instant(now, zone), "y": 1, "yanchor": "bottom", "showarrow": False, "text": f"now, {day(now)}"}
    return line, note | {"font": {"size": 11, "color": palette.muted}}


def latest(shown: pd.DataFrame, now: pd.Timestamp) -> pd.Timestamp:
    """As far as the latest date that is known, and a little on, so that an open end shows as one; never beyond the
    horizon by more than that.
    """
    last = max(
        [now + LEAST, *shown["run_out_p90"].dropna(), *shown["run_out_p50"].dropna(), *shown["run_out_p10"].dropna()]
    )
    return min(last, shown["horizon"].iloc[0]) + BACK / 3


def bars(shown: pd.DataFrame, now: pd.Timestamp, end: pd.Timestamp, colour: str, zone: str) -> Iterator[Trace]:
    """From the early end, or now, to the late end; one that lies beyond the horizon runs to it, fainter. `said`: the
    dates in words; the index: the place.
    """
    spans = shown[shown["answer"] != "over"]
    first, last = spans["run_out_p10"].clip(lower=now), spans["run_out_p90"].fillna(end)
    yield {
        "type": "bar",
        "name": "80 % interval",
        "orientation": "h",
        "y": spans.index.to_numpy(),
        "base": written(first, zone),
        "x": lengths(first, last, zone),
        "marker": {"color": [fade(colour, 0.45 if pd.isna(one) else 0.8) for one in spans["run_out_p90"]]},
        "customdata": [[label(name), said] for name, said in zip(spans["name"], spans["said"], strict=True)],
        "hovertemplate": "<b>%{customdata[0]}</b><br>80 % interval: %{customdata[1]}<extra></extra>",
    }


def medians(shown: pd.DataFrame, now: pd.Timestamp, zone: str, palette: Palette) -> Iterator[Trace]:
    """The median of each bar as a tick; a square at now for what is over."""
    mids = shown[(shown["answer"] == "within")]
    yield _marks(
        mids,
        mids["run_out_p50"].clip(lower=now),
        zone,
        "median",
        {"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": palette.ink}},
    )
    over = shown[shown["answer"] == "over"]
    square = {"symbol": "square", "size": 9, "color": palette.hues["capacity"]}
    yield _marks(over, pd.Series(now, index=over.index, dtype="datetime64[us, UTC]"), zone, "already over", square)


def _orders(shown: pd.DataFrame, start: pd.Timestamp, zone: str, palette: Palette) -> Iterator[Trace]:
    """The last day to order: a triangle, filled where it has passed, that points out of the chart where that was before
    it begins.
    """
    for order, fill in (("overdue", palette.hues["capacity"]), ("due", palette.ground)):
        due = shown[(shown["order"] == order) & shown["order_by"].notna()]
        symbols = ["triangle-left" if last < start else "triangle-down" for last in due["order_by"]]
        marker = {
            "symbol": symbols,
            "size": 9,
            "color": fill,
            "line": {"width": 1.5, "color": palette.hues["capacity"]},
        }
        trace = _marks(
            due,
            due["order_by"].clip(lower=start),
            zone,
            "order overdue since" if order == "overdue" else "order by",
            marker,
        )
        yield trace | {
            "customdata": [[label(name), day(last)] for name, last in zip(due["name"], due["order_by"], strict=True)],
            "hovertemplate": f"<b>%{{customdata[0]}}</b><br>{trace['name']} %{{customdata[1]}}<extra></extra>",
        }


def _marks(rows: pd.DataFrame, when: pd.Series, zone: str, name: str, marker: dict[str, Any]) -> Trace:
    told = [[label(one), day(moment)] for one, moment in zip(rows["name"], when, strict=True)]
    words = (
        "<b>%{customdata[0]}</b><br>"
        + (name if name == "already over" else f"{name} %{{customdata[1]}}")
        + "<extra></extra>"
    )
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": written(when, zone),
        "y": rows.index.to_numpy(),
        "marker": marker,
    }
    return trace | {"customdata": told, "hovertemplate": words}


def _axes(shown: pd.DataFrame, start: str, end: str) -> dict[str, Any]:
    names = [label(name, 20) for name in shown["name"]]
    return {
        "xaxis": {
            "type": "date",
            "range": [start, end],
            "tickformatstops": TIME_TICKS,
            "tickangle": 0,
            "fixedrange": True,
        },
        "yaxis": {
            "range": [max(len(names), 3) - 0.5, -0.5],
            "tickvals": np.arange(len(names)),
            "ticktext": names,
            "showgrid": False,
            "fixedrange": True,
        },
    }


def _words(shown: int, all_of_them: int, limit: str, colour: str, palette: Palette) -> list[dict[str, Any]]:
    """Title, subtitle and what each mark means."""
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
    few = f"{shown} of {all_of_them} sites, worst first"
    red = palette.hues["capacity"]
    keys = (
        f'<span style="color:{colour}">\u25ac</span> 80 % interval, <b>|</b> median  <span style="color:{red}">\u25a0</span> already over<br>'
        f'<span style="color:{red}">\u25bc</span> order overdue (\u25c0 for longer)  <span style="color:{red}">\u25bd</span> order by'
    )
    return [
        at | {"yshift": HEADER - 4, "text": f"<b>Run-out</b>: {few}", "font": {"size": 15}},
        at | {"yshift": HEADER - 24, "text": label(limit, 80), "font": {"size": 12, "color": palette.muted}},
        at | {"yshift": HEADER - 42, "text": keys, "font": {"size": 11, "color": palette.muted}},
    ]
