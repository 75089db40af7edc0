"""Quality of experience as low panels: rebuffering, startup, failures and starvation, each against what counts as good
and bad.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.charts import marks
from app.charts.axes import CONTEXT_POINTS, Trace, drawable, times, values
from app.charts.panels import End, Panel
from app.theme import PALETTES, Palette, Scheme, Unit, hue, unit
from data.schema import METRIC, QUALITY_LIMITS

QUALITY_METRICS = ("rebuffer_ratio", "startup_seconds", "playback_failure_ratio", "ingest_starved_ratio")
LEAST_TOP = {"ingest_starved_ratio": 0.01}  # without an agreed limit, an axis that does not blow up noise


@dataclass(frozen=True)
class QualityChart:
    """One metric of quality. `history`: ts, value in the metric's own unit (a ratio, or seconds), null where nothing
    was measured.
    """

    metric: str
    grain: str
    start: pd.Timestamp
    end: pd.Timestamp
    now: pd.Timestamp
    history: pd.DataFrame
    zone: str = "UTC"
    scheme: Scheme = "light"
    height: int = 100


def quality_panel(spec: QualityChart) -> Panel:
    """The chart as a panel of a stack, from zero up to the limit of what is bad at least."""
    palette, metric = PALETTES[spec.scheme], METRIC[spec.metric]
    history = spec.history[
        (spec.history["ts"] >= spec.start) & (spec.history["ts"] <= min(spec.now, spec.end))
    ].sort_values("ts", ignore_index=True)
    highest = history["value"].max()
    least = QUALITY_LIMITS[spec.metric][1] if spec.metric in QUALITY_LIMITS else LEAST_TOP.get(spec.metric, 0.0)
    top = max(least, 0.0 if pd.isna(highest) else float(highest)) or 1.0
    axis = unit(spec.metric, top)
    absent = (f"no {metric.label.lower()} in this time", f"telemetry: {spec.metric}")
    return Panel(
        title=metric.label,
        subtitle=f"{axis.word}, {spec.grain}, {spec.zone}",
        height=spec.height,
        unit=axis,
        top=1.15 * top * axis.factor,
        traces=list(_traces(spec, history, axis)),
        shapes=[*_limit_lines(spec.metric, axis, palette), *marks.future(spec.now, spec.end, spec.zone, palette)],
        notes=[] if history["value"].notna().any() else [marks.nothing(palette, *absent)],
        ends=list(_ends(spec.metric, axis, palette)),
        dates=False,
    )


def _traces(spec: QualityChart, history: pd.DataFrame, axis: Unit) -> Iterator[Trace]:
    few = drawable(history, ["value"], CONTEXT_POINTS)
    colour, noun = hue(spec.metric, spec.scheme), METRIC[spec.metric].label.lower()
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": noun,
        "line": {"color": colour, "width": 1.5, "dash": "solid"},
        "connectgaps": False,
    }
    yield (
        line
        | times(few, spec.zone)
        | {"y": values(few["value"], axis), "hovertemplate": f"<b>%{{y:.3~r}} {axis.word}</b> {noun}<extra></extra>"}
    )
    yield from marks.lone(few, spec.zone, axis, colour)
    if spec.metric in QUALITY_LIMITS:
        bad = history[["ts"]].assign(lower_95=-np.inf, upper_95=QUALITY_LIMITS[spec.metric][1])
        beyond = marks.outside(history, bad, spec.start, spec.end)
        yield from marks.diamonds(beyond, spec.zone, axis, PALETTES[spec.scheme], noun, "worse than the bad limit")


def _limit_lines(metric: str, axis: Unit, palette: Palette) -> Iterator[dict[str, object]]:
    """Where good ends (grey) and bad begins (vermilion)."""
    for limit, colour in zip(QUALITY_LIMITS.get(metric, ()), (palette.context, palette.hues["capacity"]), strict=False):
        line = {"color": colour, "width": 1, "dash": "dot"}
        yield {
            "type": "line",
            "xref": "x domain",
            "yref": "y",
            "x0": 0,
            "x1": 1,
            "y0": limit * axis.factor,
            "y1": limit * axis.factor,
            "line": line,
        }


def _ends(metric: str, axis: Unit, palette: Palette) -> Iterator[End]:
    words = (("good", palette.muted), ("bad", palette.words["capacity"]))
    for limit, (word, colour) in zip(QUALITY_LIMITS.get(metric, ()), words, strict=False):
        yield End(f"{word} {limit * axis.factor:g} {axis.word}", limit * axis.factor, colour)
