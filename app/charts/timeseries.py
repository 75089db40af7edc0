"""The main chart: what a place carried, what it should have carried and will carry, and what it can carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts import bands, comparison, events, marks
from app.charts.axes import CLICKABLE, CONTEXT_POINTS, HISTORY_POINTS, Trace, drawable, times, values
from app.charts.panels import LOW, End, Panel, linked_figure
from app.theme import PALETTES, Palette, Scheme, Unit, fade, hue, meaning, significant, unit
from data.schema import METRIC

_STAMP, _REAL, _TEXT = "datetime64[us, UTC]", "float64", "str"
# The parts of a chart that may be left out, and the columns that they have.
_PARTS: dict[str, dict[str, str]] = {
    "forecast": {"ts": _STAMP} | dict.fromkeys(bands.QUANTILES.values(), _REAL),
    "bands": {"ts": _STAMP} | dict.fromkeys(bands.BANDS.values(), _REAL),
    "last_week": {"ts": _STAMP, "value": _REAL},
    "capacity": {"effective_from": _STAMP, "capacity_gbps": _REAL, "status": _TEXT},
    "events": {"title": _TEXT, "kind": _TEXT, "start": _STAMP, "end": _STAMP},
    "gaps": {"start": _STAMP, "end": _STAMP, "names": _TEXT},
    "set_aside": {"ts": _STAMP, "name": _TEXT, "value": _REAL, "reason": _TEXT},
    "beside": {"ts": _STAMP},
    "peaks": {"week": _STAMP} | dict.fromkeys(comparison.PEAK_COLUMNS, _REAL),
}


@dataclass(frozen=True)
class TrafficChart:
    """What one chart shows. Stamps are UTC; values are in the metric's own unit (Gbps, viewers). A part that is None or
    empty is left out.

    - `history`: ts, value, and if wanted max (the highest sample of each interval); null where nothing was measured.
      One grain throughout.
    - `forecast`: ts, yhat, q025, q10, q90, q975 (the table `forecasts`); drawn from `now` on.
    - `bands`: ts, expected, lower_80, upper_80, lower_95, upper_95 (the table `bands`), at the grain of `history`.
    - `last_week`: ts (already shifted by a week), value.
    - `capacity`: effective_from, capacity_gbps, status (installed, planned).
    - `events`: title, kind, start, end. `gaps`: start, end, names (of the sites that are missing).
    - `set_aside`: ts, name (of the site), value, reason of impossible samples; marked, and no part of any scale.
    - `beside`: ts, and a column for each other curve, of those that comparison.CURVES names. `peaks`: week, q50, q90, q95
      (the table `peaks`).

    `grain` says how the values came about ("hourly mean"); it stands in the subtitle.
    """

    title: str
    metric: str
    grain: str
    start: pd.Timestamp
    end: pd.Timestamp
    now: pd.Timestamp
    history: pd.DataFrame
    forecast: pd.DataFrame = None
    bands: pd.DataFrame = None
    last_week: pd.DataFrame = None
    capacity: pd.DataFrame = None
    events: pd.DataFrame = None
    gaps: pd.DataFrame = None
    set_aside: pd.DataFrame = None
    beside: pd.DataFrame = None
    peaks: pd.DataFrame = None
    zone: str = "UTC"
    scheme: Scheme = "light"
    height: int = 380
    dates: bool = True

    def __post_init__(self) -> None:
        for part, columns in _PARTS.items():
            if getattr(self, part) is None:
                object.__setattr__(
                    self, part, pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
                )


@dataclass(frozen=True, slots=True)
class _Scale:
    """How the y axis runs: its unit, its top and the highest value on it, both in that unit; and a capacity too far
    above to be on it.
    """

    unit: Unit
    top: float
    highest: float
    above: float | None


def traffic_chart(spec: TrafficChart) -> go.Figure:
    """The chart alone, as a figure."""
    return linked_figure([traffic_panel(spec)], start=spec.start, end=spec.end, zone=spec.zone, scheme=spec.scheme)


def traffic_panel(spec: TrafficChart) -> Panel:
    """The chart as one panel of a stack."""
    spec = _within(spec)
    palette, scale = PALETTES[spec.scheme], _scale(spec)
    strip = events.strip(spec.events, spec.start, spec.end, spec.zone, palette)
    return Panel(
        title=spec.title,
        dates=spec.dates,
        subtitle=f"{scale.unit.word}, {spec.grain}{', faint the highest sample' if 'max' in spec.history else ''}, {spec.zone}",
        height=spec.height,
        unit=scale.unit,
        top=scale.top,
        traces=[*_traces(spec, scale, palette), *strip.traces],
        shapes=marks.future(spec.now, spec.end, spec.zone, palette),
        notes=list(_notes(spec, scale, palette)),
        ends=list(_ends(spec, scale.unit, palette)),
        lanes=strip.lanes,
    )


def _within(spec: TrafficChart) -> TrafficChart:
    """The chart with only the rows that lie in its time: nothing measured after now, nothing forecast before it."""
    forecast = _between(spec.forecast, spec.now, spec.end)
    return replace(
        spec,
        history=_between(spec.history, spec.start, min(spec.now, spec.end)),
        forecast=forecast,
        bands=_between(spec.bands, spec.start, min(spec.now, spec.end) if len(forecast) else spec.end),
        last_week=_between(spec.last_week, spec.start, spec.end),
        capacity=marks.steps_between(spec.capacity, spec.start, spec.end),
        gaps=spec.gaps[(spec.gaps["start"] < spec.end) & (spec.gaps["end"] > spec.start)],
        set_aside=_between(spec.set_aside, spec.start, min(spec.now, spec.end)),
        beside=_between(spec.beside, spec.start, spec.end),
        peaks=comparison.weeks_between(spec.peaks, max(spec.start, spec.now), spec.end),
    )


def _between(frame: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    return frame[(frame["ts"] >= first) & (frame["ts"] <= last)].sort_values("ts", ignore_index=True)


# --- scale
# -------------------------------------------------------------------------------------------------------------------


def _scale(spec: TrafficChart) -> _Scale:
    """From zero to a tenth above all that is drawn; a 95 % band or a capacity that would squash the rest does not
    count.
    """
    measured = _highest(spec.history, "value", "max")
    usual = max(
        measured,
        _highest(spec.last_week, "value"),
        _highest(spec.forecast, "yhat", "q90"),
        _highest(spec.bands, "expected", "upper_80"),
    )
    beyond = max(
        _highest(spec.forecast, "q975"),
        _highest(spec.bands, "upper_95"),
        _highest(spec.peaks, "q95"),
        _highest(spec.beside, *comparison.CURVES),
    )
    data = max(usual, min(beyond, 1.5 * usual))
    limits = spec.capacity["capacity_gbps"]
    near = limits[limits <= marks.CAPACITY_REACH * data] if data else limits
    top = max(data, near.max() if len(near) else 0.0) or 1.0
    held = limits[spec.capacity["effective_from"] <= spec.now]
    above = float(held.iloc[-1]) if len(held) and held.iloc[-1] > top else None
    axis = unit(spec.metric, 1.1 * top)
    return _Scale(axis, 1.1 * top * axis.factor, measured, above)


def _noun(spec: TrafficChart) -> str:
    return METRIC[spec.metric].label.lower()


def _highest(frame: pd.DataFrame, *columns: str) -> float:
    found = frame[[column for column in columns if column in frame]].max().max()
    return 0.0 if pd.isna(found) else float(found)


# --- lines
# -------------------------------------------------------------------------------------------------------------------


def _traces(spec: TrafficChart, scale: _Scale, palette: Palette) -> Iterator[Trace]:
    """All that is drawn in the panel, from the back to the front."""
    colour, zone, axis, noun = hue(spec.metric, spec.scheme), spec.zone, scale.unit, _noun(spec)
    yield from marks.hatching(spec.gaps, 0.0, scale.top, zone, palette)
    if len(spec.last_week):
        ghost = drawable(spec.last_week, ["value"], CONTEXT_POINTS)
        line = _line("last week", palette.context, 1.2) | {
            "hovertemplate": f"last week %{{y:.3~r}} {axis.word}<extra></extra>"
        }
        yield line | times(ghost, zone) | {"y": values(ghost["value"], axis)}
    for expected, names in ((spec.bands, bands.BANDS), (spec.forecast, bands.QUANTILES)):
        if len(expected):
            share = (expected["ts"].iloc[-1] - expected["ts"].iloc[0]) / (spec.end - spec.start)
            yield from bands.expectation(expected, names, share, colour, zone, axis)
    yield from comparison.curves(spec.beside, zone, axis, palette)
    yield from comparison.week_peaks(spec.peaks, zone, axis, palette.words[meaning(spec.metric)])
    yield from marks.capacity_lines(spec.capacity, spec.end, zone, axis, palette.hues["capacity"])
    yield from marks.crosses(spec.set_aside, scale.top, zone, axis, palette)
    if len(spec.history):
        yield from _measured(spec, axis, colour)
        yield from marks.diamonds(
            marks.outside(spec.history, spec.bands, spec.start, spec.end), zone, axis, palette, noun
        )


def _measured(spec: TrafficChart, axis: Unit, colour: str) -> Iterator[Trace]:
    """The line of what was, the faint one of its highest samples, and the box that answers for both."""
    if "max" in spec.history:
        highest = drawable(spec.history, ["max"], CONTEXT_POINTS)
        yield (
            _line("highest sample", fade(colour, 0.45), 1)
            | times(highest, spec.zone)
            | {"y": values(highest["max"], axis), "hoverinfo": "skip"}
        )
    few = drawable(spec.history, ["value"], HISTORY_POINTS)
    yield (
        _line("actual", colour, 1.8)
        | CLICKABLE
        | times(few, spec.zone)
        | {"y": values(few["value"], axis)}
        | _box(few, spec, axis)
    )
    yield from marks.lone(few, spec.zone, axis, colour)


def _line(name: str, colour: str, width: float) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "line": {"color": colour, "width": width, "dash": "solid"},
        "connectgaps": False,
    }


def _box(few: pd.DataFrame, spec: TrafficChart, axis: Unit) -> dict[str, Any]:
    """Hover text in one row: the value, the highest sample, utilisation. What was expected answers for itself."""
    noun = "" if _noun(spec) in axis.word else f" {_noun(spec)}"
    lines, known = [f"<b>%{{y:.3~r}} {axis.word}</b>{noun}"], []
    if "max" in few:
        known.append(values(few["max"], axis))
        lines.append("highest %{customdata[0]:.3~r}")
    limit = marks.installed_capacity(few["ts"], spec.capacity)
    if np.isfinite(limit).any():
        alone = len(np.unique(limit)) == 1  # what never changes need not be sent with every point
        of = significant(limit[0] * axis.factor) if alone else f"%{{customdata[{len(known) + 1}]:.3~r}}"
        lines.append(f"utilisation %{{customdata[{len(known)}]:.2~r}} % of {of} {axis.word}")
        known.append(values(pd.Series(marks.utilisation(few["value"], limit)), Unit(100.0, "%")))
        known += [] if alone else [values(pd.Series(limit), axis)]
    shown = {"hovertemplate": ", ".join(lines) + "<extra></extra>"}
    return shown | ({"customdata": np.column_stack(known)} if known else {})


# --- words
# -------------------------------------------------------------------------------------------------------------------


def _notes(spec: TrafficChart, scale: _Scale, palette: Palette) -> Iterator[marks.Note]:
    colour = palette.words["capacity"]
    yield from marks.capacity_notes(spec.capacity, spec.start, spec.end, spec.zone, scale.unit, scale.top, palette)
    yield from marks.set_aside_note(
        spec.set_aside, spec.start, spec.end, zone=spec.zone, metric=spec.metric, palette=palette
    )
    if scale.above:
        yield marks.capacity_above(scale.above, scale.highest, colour)
    if spec.start <= spec.now <= spec.end and spec.height > LOW:
        yield marks.now_note(spec.now, spec.start, spec.end, spec.zone, palette)
    limits = spec.capacity["capacity_gbps"]
    yield from comparison.peaks_note(
        spec.peaks, limits, spec.zone, scale.unit, palette, palette.words[meaning(spec.metric)]
    )
    if spec.history["value"].notna().sum() == 0:
        yield marks.nothing(palette, "nothing was measured in this time")


def _ends(spec: TrafficChart, axis: Unit, palette: Palette) -> Iterator[End]:
    """Labels for the lines that reach the right end."""
    word = palette.words[meaning(spec.metric)]
    if len(spec.forecast):
        last = spec.forecast.iloc[-1]
        yield End("expected", last["yhat"] * axis.factor, word)
        yield from comparison.curve_ends(spec.beside, axis, palette)
        yield End("95 % band", last["q975"] * axis.factor, word)
    elif (measured := spec.history["value"].dropna()).size:
        yield End("actual", float(measured.iloc[-1]) * axis.factor, word)
        yield from comparison.curve_ends(spec.beside, axis, palette)
    if (ghost := spec.last_week["value"].dropna()).size:
        yield End("last week", float(ghost.iloc[-1]) * axis.factor, palette.muted)
