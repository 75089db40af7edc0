"""Which model did best at one horizon: a bar for each, the best and the drawn one marked by shape and word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.plain import layout, names_axis
from app.theme import PALETTES, Scheme, hue, label, percent, significant
from data.schema import model_words

ROW, LEFT = 24, 172
# Models of `scores` that are no candidates: what the licence would have drawn at each origin, and the weekly quantiles
# of the table `peaks`.
AS_DRAWN, PEAKS, WEEKS_P95 = "licensed", "peaks", "peaks-p95"
OF_WEEKS = (PEAKS, WEEKS_P95)
# Shapes stand before words: on a narrow screen the words may be cut off, and the caption below says what the shapes
# mean.
BEST, DRAWN, BASELINE = ("\u2605", "best"), ("\u25a0", "drawn"), ("\u25cb", "best baseline")
SCORES = {
    "mase": "MASE",
    "wape": "WAPE",
    "bias": "Bias",
    "pinball": "Pinball loss",
    "coverage_50": "50 % coverage",
    "coverage_80": "80 % coverage",
    "coverage_95": "95 % coverage",
    "msis_95": "MSIS, 95 %",
}
MEANINGS = {
    "mase": "mean absolute error over that of repeating the season before; lower is better",
    "wape": "absolute error over what came; lower is better",
    "bias": "mean of expected less measured, over measured; nearer to zero is better",
    "pinball": "mean loss over the published quantiles; lower is better",
    "coverage_50": "share of hours inside the 50 % interval; nearer to 50 % is better",
    "coverage_80": "share of hours inside the 80 % interval; nearer to 80 % is better",
    "coverage_95": "share of hours inside the 95 % interval; nearer to 95 % is better",
    "msis_95": "width of the 95 % interval and what it missed, scaled; lower is better",
}
SHARES = frozenset({"wape", "bias", "coverage_50", "coverage_80", "coverage_95"})


@dataclass(frozen=True)
class Leaderboard:
    """One horizon: `rows` are model, value, origins; `drawn` and `baseline` name models of the licence."""

    horizon: str
    score: str
    metric: str
    rows: pd.DataFrame
    drawn: str = ""
    baseline: str = ""
    scheme: Scheme = "light"


def badness(score: str, values: pd.Series) -> pd.Series:
    """How far from the best possible value each is: zero is best."""
    nominal = float(score.removeprefix("coverage_")) / 100 if score.startswith("coverage_") else 0.0
    return (values - nominal).abs()


def best_first(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """The rows with the best model first; a tie stays in the order of names."""
    known = rows.dropna(subset="value").sort_values("model")
    return known.loc[badness(score, known["value"]).sort_values(kind="stable").index].reset_index(drop=True)


def written(score: str, value: float) -> str:
    """A score as text."""
    return percent(value) if score in SHARES else significant(value)


def is_drawn(spec: Leaderboard, model: str) -> bool:
    """Whether a row is what the licence draws: under its own name, or as what was drawn at each origin, before the next
    was known.
    """
    return model in (spec.drawn, AS_DRAWN)


def marks(spec: Leaderboard, rows: pd.DataFrame) -> list[str]:
    """What is said of each model beside its bar; the best is one that could be drawn, not what was."""
    best = next((model for model in rows["model"] if model != AS_DRAWN), None)
    told = (
        (BEST, lambda model: model == best),
        (DRAWN, lambda model: is_drawn(spec, model)),
        (BASELINE, lambda model: model == spec.baseline),
    )
    held = ([mark for mark, holds in told if holds(model)] for model in rows["model"])
    return [f"{''.join(shape for shape, _ in found)} {', '.join(word for _, word in found)}".strip() for found in held]


def leaderboard(spec: Leaderboard) -> go.Figure:
    """Bars from zero, the best model on top."""
    palette, rows = PALETTES[spec.scheme], best_first(spec.rows, spec.score)
    factor = 100.0 if spec.score in SHARES else 1.0
    subtitle = f"{SCORES.get(spec.score, spec.score)}, {_origins(rows)}"
    base = layout(f"{spec.horizon} ahead", subtitle, plot=ROW * max(len(rows), 2), left=LEFT, scheme=spec.scheme)
    texts = [
        f"{written(spec.score, value)}  {said}" for value, said in zip(rows["value"], marks(spec, rows), strict=True)
    ]
    colours = [hue(spec.metric, spec.scheme) if is_drawn(spec, model) else palette.context for model in rows["model"]]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": np.arange(len(rows)),
        "x": rows["value"].to_numpy(dtype=float) * factor,
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": colours},
        "textfont": {"size": 12, "color": palette.ink},
        "hovertext": [f"{label(model_words(model))}: {text}" for model, text in zip(rows["model"], texts, strict=True)],
        "hoverinfo": "text",
    }
    return go.Figure({"data": [bars], "layout": base | _axes(rows, factor)})


def _origins(rows: pd.DataFrame) -> str:
    least, most = (int(rows["origins"].min()), int(rows["origins"].max())) if len(rows) else (0, 0)
    return f"{most} backtests" if least == most else f"{least} to {most} backtests"


def _axes(rows: pd.DataFrame, factor: float) -> dict[str, Any]:
    """Names at the left; to the right of the longest bar room for the words."""
    low, high = min(0.0, float(rows["value"].min()) * factor), max(0.0, float(rows["value"].max()) * factor)
    span = (high - low) or 1.0
    names = [label(model_words(model), 26) for model in rows["model"]]
    return {
        "xaxis": {
            "range": [1.1 * low, high + 0.62 * span],
            "fixedrange": True,
            "zeroline": True,
            "nticks": 5,
            "ticksuffix": " %" if factor != 1.0 else "",
        },
        "yaxis": names_axis(names, 2),
    }
