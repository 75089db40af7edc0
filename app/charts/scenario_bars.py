"""Scenarios side by side: what each comes to as rows, and their dates as bars on one axis."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, instant
from app.charts.runout_bars import BACK, BELOW, LEFT, ROW, bars, latest, medians, now_mark
from app.theme import PALETTES, TIME_TICKS, Palette, Scheme, hue, label, template

YEAR = pd.Timedelta(days=365)
# The first to run out is over already, else has the earliest median.
PLACES = {"over": 0, "within": 1, "possible": 1, "beyond": 2, "refused": 3}
# What is compared, in the order in which it is drawn.
MEASURES = {"first": "First site over its limit", "global": "The network over its limit", "n-1": "No longer N-1 safe"}
HEADER = 62
DATED = ("over", "within", "possible")
FLUSH = {"x": 0, "xanchor": "left", "xshift": 8 - LEFT, "showarrow": False, "align": "left"}


def measured(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of planning.whatif.compare_scenarios that are compared: scenario, measure and its columns. The first site may be another
    one in each scenario.
    """
    sites, scenarios = found[found["level"] == "site"], list(found["scenario"].unique())
    order = sites.assign(place=sites["answer"].map(PLACES)).sort_values(
        ["place", "run_out_p50", "run_out_p10", "key"], na_position="last", kind="stable"
    )
    first = (
        order.drop_duplicates("scenario").drop(columns="place").set_index("scenario").reindex(scenarios).reset_index()
    )
    moved = (first["run_out_p50"] - first["run_out_p50"].iloc[0]) / pd.Timedelta(days=1)
    whole = [found[found["level"] == level].assign(measure=level) for level in ("global", "n-1")]
    return pd.concat([first.assign(measure="first", later_days=moved), *whole], ignore_index=True)


def over_within_a_year(found: pd.DataFrame, now: pd.Timestamp) -> dict[str, int]:
    """How many sites of each scenario are over by then, in half of the futures."""
    sites = found[found["level"] == "site"]
    soon = sites["answer"].isin(("over", "within")) & (sites["run_out_p50"] <= now + YEAR)
    return {str(name): int(count) for name, count in soon.groupby(sites["scenario"], sort=False).sum().items()}


def scenario_bars(rows: pd.DataFrame, *, now: pd.Timestamp, direction: str, zone: str, scheme: Scheme) -> go.Figure:
    """`rows`: as measured(), with `name` (of the scenario) and `said` (the answer in words), in the order of the
    scenarios.
    """
    palette, shown = PALETTES[scheme], placed(rows)
    spans = shown[shown["answer"].isin(DATED)]
    end = latest(spans, now) if len(spans) else now + YEAR
    traces: list[Trace] = [
        *bars(spans, now, end, hue(f"{direction}_gbps", scheme), zone),
        *medians(spans, now, zone, palette),
        _words(shown[~shown["answer"].isin(DATED)], instant(now, zone), palette),
    ]
    line, note = now_mark(now, zone, palette)
    layout: dict[str, Any] = {
        "template": template(scheme),
        "height": HEADER + BELOW + ROW * (len(shown) + len(MEASURES)),
        "margin": {"l": LEFT, "r": 16, "t": HEADER, "b": BELOW},
        "showlegend": False,
        "dragmode": False,
        "barmode": "overlay",
        "bargap": 0.45,
        "shapes": [line],
        "annotations": [*_heading(direction, hue(f"{direction}_gbps", scheme), palette), *_headers(shown), note],
    }
    return go.Figure({"data": traces, "layout": layout | _axes(shown, instant(now - BACK, zone), instant(end, zone))})


def placed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with their places on the y axis as index: each measure under a line for its name."""
    parts, top = [], 0
    for measure in MEASURES:
        mine = rows[rows["measure"] == measure]
        parts.append(mine.set_axis(range(top + 1, top + 1 + len(mine))))
        top += 1 + len(mine)
    return pd.concat(parts)


def _words(rows: pd.DataFrame, now: str, palette: Palette) -> Trace:
    """What has no dates says why."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": [now] * len(rows),
        "y": rows.index.to_numpy(),
        "text": [f" {label(said, 70)}" for said in rows["said"]],
        "textposition": "middle right",
        "textfont": {"size": 11, "color": palette.muted},
        "hoverinfo": "skip",
    }


def _heading(direction: str, colour: str, palette: Palette) -> list[dict[str, Any]]:
    at = FLUSH | {"xref": "paper", "yref": "paper", "y": 1, "yanchor": "top"}
    red = palette.hues["capacity"]
    keys = f'<span style="color:{colour}">\u25ac</span> 80 % interval, <b>|</b> median  <span style="color:{red}">\u25a0</span> already'
    return [
        at | {"yshift": HEADER - 4, "text": f"<b>Dates side by side</b>, {direction}", "font": {"size": 15}},
        at | {"yshift": HEADER - 24, "text": keys, "font": {"size": 11, "color": palette.muted}},
    ]


def _headers(shown: pd.DataFrame) -> list[dict[str, Any]]:
    """The name of each measure above its scenarios."""
    first = {measure: int(mine.index[0]) - 1 for measure, mine in shown.groupby("measure", sort=False)}
    at = FLUSH | {"xref": "paper", "yref": "y", "yanchor": "middle", "font": {"size": 12}}
    return [at | {"y": place, "text": f"<b>{MEASURES[str(measure)]}</b>"} for measure, place in first.items()]


def _axes(shown: pd.DataFrame, start: str, end: str) -> dict[str, Any]:
    names = {
        "tickvals": list(shown.index),
        "ticktext": [label(name, 20) for name in shown["name"]],
        "ticklabelstandoff": 6,
    }
    return {
        "xaxis": {
            "type": "date",
            "range": [start, end],
            "tickformatstops": TIME_TICKS,
            "tickangle": 0,
            "fixedrange": True,
        },
        "yaxis": {"range": [len(shown) + len(MEASURES) - 0.5, -0.5], "showgrid": False, "fixedrange": True} | names,
    }
