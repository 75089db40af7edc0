"""What may stand beside a forecast: the curves of other models, and the peak of each coming week as a quantity of its
own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from app.charts.axes import CONTEXT_POINTS, STEADY, Trace, drawable, instant, times, values, written
from app.charts.marks import Note, halo
from app.charts.panels import End
from app.theme import Palette, Unit, day, local

WEEK = pd.Timedelta(days=7)
# A week of which less is in sight is not drawn: its peak may lie in the rest.
IN_SIGHT = pd.Timedelta(days=1)
# How much of a week the caps at the 0.9 and 0.95 quantile take.
CAPS = {"q90": 0.18, "q95": 0.1}
# Words over heights that differ by less than this share would touch.
TOUCHING = 0.1
PEAK_COLUMNS = ("q50", "q90", "q95")


class Curve(NamedTuple):
    """How a curve beside the forecast is called and drawn."""

    name: str
    end: str
    dash: str


# By the name of the column that holds it.
CURVES = {
    "prophet": Curve("Prophet", "Prophet", "2px,3px"),
    "baseline": Curve("baseline", "baseline", "7px,3px,2px,3px"),
    "trend": Curve("trend", "trend", "2px,3px"),
    "refit": Curve("refit, unpublished", "refit", "2px,3px"),
    "usual": Curve("refit with the usual settings, unpublished", "usual refit", "7px,3px,2px,3px"),
}


def shown(beside: pd.DataFrame) -> list[str]:
    """The curves of a frame that have any value."""
    return [column for column in CURVES if column in beside and beside[column].notna().any()]


def curves(beside: pd.DataFrame, zone: str, unit: Unit, palette: Palette) -> Iterator[Trace]:
    """A thin line for each curve, in grey: what is drawn in colour is what a run licensed."""
    for column in shown(beside):
        few = drawable(beside[["ts", column]], [column], 2 * CONTEXT_POINTS)
        line = {"color": colour_of(column, palette), "width": 1.3, "dash": CURVES[column].dash}
        words = {
            "name": CURVES[column].name,
            "hovertemplate": f"{CURVES[column].name} %{{y:.3~r}} {unit.word}<extra></extra>",
        }
        yield (
            {"type": "scatter", "mode": "lines", "line": line, "connectgaps": False}
            | words
            | times(few, zone)
            | {"y": values(few[column], unit)}
        )


def colour_of(column: str, palette: Palette) -> str:
    """Ink for what somebody has just asked for, grey for the other models of a run."""
    return palette.ink if column in ("refit", "trend") else palette.muted


def curve_ends(beside: pd.DataFrame, unit: Unit, palette: Palette) -> Iterator[End]:
    """Labels at the right end of the curves."""
    for column in shown(beside):
        yield End(CURVES[column].end, float(beside[column].dropna().iloc[-1]) * unit.factor, colour_of(column, palette))


# Peaks
# ---------------------------------------------------------------------------------------------------------------------


def weeks_between(peaks: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """The weeks of which enough lies in a time, in order, with first and last moment in sight and the middle between
    them.
    """
    known = peaks[peaks["statistic"] == "peak"] if "statistic" in peaks else peaks
    known = known.sort_values("week").assign(
        first=known["week"].clip(lower=start), last=(known["week"] + WEEK).clip(upper=end)
    )
    inside = known[known["last"] - known["first"] >= IN_SIGHT].reset_index(drop=True)
    return inside.assign(middle=inside["first"] + (inside["last"] - inside["first"]) / 2)


def week_peaks(weeks: pd.DataFrame, zone: str, unit: Unit, colour: str) -> Iterator[Trace]:
    """A step at the median peak of each week, and above it a whisker to its 0.95 quantile with a cap at the 0.9 one."""
    if weeks.empty:
        return
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "peak of week",
        "line": {"color": colour, "width": 1.5, "dash": "solid"},
        "hoverinfo": "skip",
    }
    drawn = _strokes(weeks)
    yield line | {"connectgaps": False, "x": written(drawn["ts"], zone), "y": values(drawn["y"], unit)}
    median = {
        "type": "scatter",
        "mode": "markers",
        "name": "peak of week, median",
        "marker": {"color": colour, "size": 6, "symbol": "diamond-wide"},
    }
    yield (
        median
        | STEADY
        | {
            "x": written(weeks["middle"], zone),
            "y": values(weeks["q50"], unit),
            "text": [day(local(week, "UTC")) for week in weeks["week"]],
            "customdata": np.column_stack([values(weeks[level], unit) for level in CAPS]),
            "hovertemplate": f"peak of the week from %{{text}}: median <b>%{{y:.3~r}} {unit.word}</b>, 9 in 10 under %{{customdata[0]:.3~r}}, "
            "19 in 20 under %{customdata[1]:.3~r}<extra></extra>",
        }
    )


def _strokes(weeks: pd.DataFrame) -> pd.DataFrame:
    """ts, y of every stroke, a null after each: the step of each week, its whisker, and the caps of that."""
    parts: list[tuple[pd.Timestamp, float | None]] = []
    for week in weeks.itertuples():
        parts += _stroke(week.first, week.q50, week.last, week.q50) + _stroke(
            week.middle, week.q50, week.middle, week.q95
        )
        for level, share in CAPS.items():
            half, height = (week.last - week.first) * share / 2, getattr(week, level)
            parts += _stroke(week.middle - half, height, week.middle + half, height)
    return pd.DataFrame(parts, columns=["ts", "y"])


def _stroke(
    first: pd.Timestamp, y: float, last: pd.Timestamp, y_last: float
) -> list[tuple[pd.Timestamp, float | None]]:
    return [(first, y), (last, y_last), (last, None)]


def peaks_note(
    weeks: pd.DataFrame, taken: pd.Series, zone: str, unit: Unit, palette: Palette, colour: str
) -> Iterator[Note]:
    """The words over the first week; under its step where a limit (`taken`, in the metric's own unit) has its words
    already.
    """
    if len(weeks):
        first = weeks.iloc[0]
        under = bool(((taken - first["q95"]).abs() < TOUCHING * first["q95"]).any())
        y, anchor = (first["q50"], "top") if under else (first["q95"], "bottom")
        yield {
            "xref": "x",
            "yref": "y",
            "x": instant(first["middle"], zone),
            "y": float(y) * unit.factor,
            "yanchor": anchor,
            "showarrow": False,
            "text": "peak of week",
            "font": halo(colour, palette),
        }
