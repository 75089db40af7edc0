"""How does quality suffer as a site fills up? The monotone curve with its uncertainty, the knee with its interval, and
the limit that holds now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, ticks
from app.charts.marks import Note, halo, nothing
from app.charts.panels import layout
from app.theme import BAND_80, PALETTES, Palette, Scheme, Unit, fade, hue, percent, unit

PLOT, LEFT, RIGHT, TICKS = 240, 58, 20, 4
RELATIVE = Unit(1.0, "x")
ABOVE = 1.1


class Answer(Protocol):
    """What forecasting.planning.safe_utilisation finds of one place."""

    @property
    def state(self) -> str: ...
    @property
    def knee(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def limit(self) -> float: ...
    @property
    def seen_up_to(self) -> float: ...
    @property
    def curve(self) -> pd.DataFrame: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class SafeChart:
    """One place: its answer, the quality metric and its name, and the policy's limit. `relative`: quality is in
    multiples of what it is at low load.
    """

    name: str
    answer: Answer
    metric: str
    words: str
    limit: float
    days: int
    relative: bool
    scheme: Scheme


def safe_chart(spec: SafeChart) -> go.Figure:
    """The curve of one place, or why there is none."""
    palette, curve = PALETTES[spec.scheme], spec.answer.curve
    top = ABOVE * float(curve["high"].max()) if len(curve) else 1.0
    of = RELATIVE if spec.relative else unit(spec.metric, top)
    what = "times what it is at low load" if spec.relative else of.word
    base = layout(
        f"{spec.words} of {spec.name} by utilisation",
        f"{what}, share of capacity in use, last {spec.days} days, 90 % band",
        plot=PLOT,
        left=LEFT,
        scheme=spec.scheme,
        right=RIGHT,
    )
    if curve.empty:
        return go.Figure(
            {"layout": base | {"annotations": [*base["annotations"], nothing(palette, "no curve", spec.answer.reason)]}}
        )
    at, texts = ticks(0.0, top * of.factor, of, TICKS)
    right = max(float(curve["utilisation"].max()) + 0.02, min(spec.limit + 0.02, 1.02))
    axes = {
        "xaxis": {
            "range": [100 * max(float(curve["utilisation"].min()) - 0.02, 0.0), 100 * right],
            "ticksuffix": " %",
            "fixedrange": True,
            "nticks": 7,
        },
        "yaxis": {"range": [0.0, top * of.factor], "tickvals": at, "ticktext": texts, "fixedrange": True},
        "shapes": list(_shapes(spec, palette)),
        "annotations": [*base["annotations"], *_notes(spec, palette)],
    }
    return go.Figure({"data": _traces(spec, of), "layout": base | axes})


def _traces(spec: SafeChart, of: Unit) -> list[Trace]:
    curve, colour = spec.answer.curve, hue(spec.metric, spec.scheme)
    x = 100 * curve["utilisation"].to_numpy(float)
    low, high, middle = (of.factor * curve[name].to_numpy(float) for name in ("low", "high", "quality"))
    edge = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "line": {"width": 0, "color": colour}}
    told = [
        f"{at:.0f} % used: <b>{value:.3g} {of.word}</b><br>90 % band {a:.3g} to {b:.3g}, {count:,} samples"
        for at, value, a, b, count in zip(x, middle, low, high, curve["samples"], strict=True)
    ]
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "quality",
        "x": x,
        "y": middle,
        "line": {"color": colour, "width": 2},
    }
    return [
        edge | {"name": "low", "x": x, "y": low},
        edge | {"name": "90 % band", "x": x, "y": high, "fill": "tonexty", "fillcolor": fade(colour, BAND_80)},
        line | {"hovertext": told, "hoverinfo": "text"},
    ]


def _shapes(spec: SafeChart, palette: Palette) -> list[dict[str, Any]]:
    """The limit that holds, and the knee with its interval."""
    across = {"xref": "x", "yref": "y domain", "y0": 0, "y1": 1, "layer": "below"}
    line = across | {
        "type": "line",
        "x0": 100 * spec.limit,
        "x1": 100 * spec.limit,
        "line": {"color": palette.hues["capacity"], "width": 1.5, "dash": "dot"},
    }
    if spec.answer.state != "found":
        return [line]
    knee = across | {
        "type": "line",
        "x0": 100 * spec.answer.knee,
        "x1": 100 * spec.answer.knee,
        "line": {"color": palette.ink, "width": 1.5},
    }
    span = {
        "type": "rect",
        "x0": 100 * spec.answer.low,
        "x1": 100 * spec.answer.high,
        "fillcolor": fade(palette.ink, 0.1),
        "line": {"width": 0},
    }
    return [across | span, knee, line]


def _notes(spec: SafeChart, palette: Palette) -> list[Note]:
    """Words at the lines, apart from each other."""
    at = {"xref": "x", "yref": "y domain", "showarrow": False, "yanchor": "top"}
    found = spec.answer.state == "found"
    before = found and spec.limit >= spec.answer.knee
    place = {
        "x": 100 * spec.limit,
        "y": 0.86 if found else 1.0,
        "xanchor": "left" if before else "right",
        "xshift": 4 if before else -4,
    }
    notes = [at | place | {"text": f"limit {percent(spec.limit)}", "font": halo(palette.words["capacity"], palette)}]
    if found:
        words = f"<b>knee {percent(spec.answer.knee)}</b>, {interval_words(spec.answer.low, spec.answer.high)}"
        notes.append(
            at
            | {
                "x": 100 * spec.answer.low,
                "y": 1.0,
                "xanchor": "right",
                "xshift": -4,
                "text": words,
                "font": halo(palette.ink, palette),
            }
        )
    return notes


def interval_words(low: float, high: float) -> str:
    """'82 to 87 %'."""
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def usable(answer: Answer) -> float:
    """The share of capacity that may be used, in whole percent: never more than what was learned."""
    return math.floor(100 * answer.limit + 1e-9) / 100


def answer_words(answer: Answer) -> str:
    """What was found, in a clause."""
    if answer.state == "found":
        return f"knee at {percent(answer.knee)} ({interval_words(answer.low, answer.high)})"
    return f"not known: {answer.reason}" if answer.state == "refused" else f"no knee up to {percent(answer.seen_up_to)}"


def limit_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows`: key, name, region, and the answer (an Answer). Site, Region, Knee, From, To, May be used, Seen up to
    (percent), Answer; the lowest knee first, then what held out longest without one, then what is refused.
    """
    place = {"found": 0, "unseen": 1, "refused": 2}
    answers = rows["answer"]
    table = pd.DataFrame(
        {
            "key": rows["key"],
            "Site": rows["name"],
            "Region": rows["region"],
            **{
                title: [100 * float(getattr(one, name)) for one in answers]
                for title, name in (("Knee", "knee"), ("From", "low"), ("To", "high"))
            },
            "May be used": [100 * usable(one) if one.state == "found" else np.nan for one in answers],
            "Seen up to": [100 * one.seen_up_to for one in answers],
            "Answer": [answer_words(one) for one in answers],
            "_place": [place[one.state] for one in answers],
        }
    )
    ordered = table.sort_values(
        ["_place", "Knee", "Seen up to", "Site"], ascending=[True, True, False, True], na_position="last", kind="stable"
    )
    return ordered.drop(columns="_place").reset_index(drop=True)
