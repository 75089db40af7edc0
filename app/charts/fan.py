"""One place's futures: weekly quantiles as a fan against capacity and the limit, and below it the probability of having
passed the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.charts.axes import Trace, instant, times, values
from app.charts.bands import band
from app.charts.marks import capacity_above, capacity_lines, capacity_notes, future, halo, now_note, steps_between
from app.charts.panels import End, Panel
from app.theme import BAND_80, BAND_95, DASH, PALETTES, Palette, Scheme, Unit, fade, gbps, hue, percent, unit

ABOVE = 1.08  # of the highest thing drawn, so that its words fit
# Capacity that lies further above demand than this would press the fan flat: the axis then ends here.
REACH = 2.5
FAN_PX, ODDS_PX = 340, 150
MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class FanChart:
    """What the two panels show.

    weeks: ts, q05, q10, q50, q90, q95, room_gbps (Gbps, the limit times capacity; null without capacity) and
    probability (null without an answer). measured: ts and value, the weeks that were. steps: effective_from,
    capacity_gbps, status. `statistic` says in words what a week's value is.
    """

    title: str
    metric: str
    statistic: str
    limit: float
    start: pd.Timestamp
    end: pd.Timestamp
    now: pd.Timestamp
    weeks: pd.DataFrame
    measured: pd.DataFrame
    steps: pd.DataFrame
    zone: str
    scheme: Scheme


def fan_panels(chart: FanChart) -> list[Panel]:
    """The fan, and the probability below it; without capacity the fan alone."""
    return [_fan(chart), *([_odds(chart)] if chart.weeks["probability"].notna().any() else [])]


def _fan(chart: FanChart) -> Panel:
    palette, steps = PALETTES[chart.scheme], steps_between(chart.steps, chart.start, chart.end)
    top = _top(chart, steps)
    of = unit(chart.metric, top)
    colour = hue(chart.metric, chart.scheme)
    traces = [
        *_bands(chart, colour, of),
        *capacity_lines(steps, chart.end, chart.zone, of, palette.hues["capacity"]),
        *_limit(chart, of, palette),
    ]
    notes = [
        *capacity_notes(steps, chart.start, chart.end, chart.zone, of, top * of.factor, palette),
        *_limit_note(chart, of, top, palette),
    ]
    if len(steps) and steps["capacity_gbps"].min() > top:
        held = float(steps["capacity_gbps"].iloc[0])
        notes.append(capacity_above(held, float(chart.weeks["q95"].max()), palette.words["capacity"]))
    last = float(chart.weeks["q50"].iloc[-1]) * of.factor
    return Panel(
        chart.title,
        f"{of.word}, {chart.statistic} of each week, {chart.zone}; 80 and 90 % of the futures",
        FAN_PX,
        of,
        top * of.factor,
        traces=[*traces, *_lines(chart, colour, of)],
        shapes=future(chart.now, chart.end, chart.zone, palette),
        notes=[*notes, now_note(chart.now, chart.start, chart.end, chart.zone, palette)],
        ends=[End("median", last, palette.ink)],
    )


def _top(chart: FanChart, steps: pd.DataFrame) -> float:
    """The upper rim, Gbps: all demand, and capacity as far as it does not dwarf it."""
    carried = float(np.nanmax([*chart.weeks["q95"], *chart.measured["value"], 1e-9]))
    within = steps.loc[steps["capacity_gbps"] <= REACH * carried, "capacity_gbps"]
    return ABOVE * max(carried, float(within.max()) if len(within) else 0.0)


def _bands(chart: FanChart, colour: str, of: Unit) -> Iterator[Trace]:
    when = times(chart.weeks, chart.zone)
    for low, high, alpha, name in (
        ("q05", "q95", BAND_95, "90 % of futures"),
        ("q10", "q90", BAND_80, "80 % of futures"),
    ):
        yield from band(when, values(chart.weeks[low], of), values(chart.weeks[high], of), fade(colour, alpha), name)


def _lines(chart: FanChart, colour: str, of: Unit) -> Iterator[Trace]:
    """What was measured, solid; the median of what is expected, dashed."""
    if len(chart.measured):
        line = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "measured",
            "line": {"color": colour, "width": 2},
            "marker": {"size": 4},
        }
        hover = f"<b>%{{y:.3~r}} {of.word}</b> measured<extra></extra>"
        yield (
            line
            | times(chart.measured, chart.zone)
            | {"y": values(chart.measured["value"], of), "connectgaps": False, "hovertemplate": hover}
        )
    bounds = np.column_stack([values(chart.weeks[name], of) for name in ("q10", "q90", "q05", "q95")])
    words = [
        f"<b>%{{y:.3~r}} {of.word}</b> median of futures",
        *(
            f"{share} % %{{customdata[{n}]:.3~r}} to %{{customdata[{n + 1}]:.3~r}} {of.word}"
            for share, n in ((80, 0), (90, 2))
        ),
    ]
    trace = {
        "type": "scatter",
        "mode": "lines",
        "name": "median",
        "line": {"color": colour, "width": 1.5, "dash": DASH},
    }
    yield (
        trace
        | times(chart.weeks, chart.zone)
        | {
            "y": values(chart.weeks["q50"], of),
            "customdata": bounds,
            "hovertemplate": "<br>".join(words) + "<extra></extra>",
        }
    )


def _limit(chart: FanChart, of: Unit, palette: Palette) -> Iterator[Trace]:
    """The limit in the hue of capacity, thin and dotted."""
    if chart.weeks["room_gbps"].notna().any():
        line = {"color": palette.hues["capacity"], "width": 1.2, "dash": "dot", "shape": "vh"}
        trace = {"type": "scatter", "mode": "lines", "name": "limit", "line": line, "connectgaps": False}
        yield (
            trace
            | times(chart.weeks, chart.zone)
            | {
                "y": values(chart.weeks["room_gbps"], of),
                "hovertemplate": f"%{{y:.3~r}} {of.word} limit<extra></extra>",
            }
        )


def _limit_note(chart: FanChart, of: Unit, top: float, palette: Palette) -> Iterator[dict[str, object]]:
    known = chart.weeks["room_gbps"].dropna()
    if len(known) and known.iloc[-1] < top:
        yield {
            "xref": "x domain",
            "x": 1,
            "xanchor": "right",
            "xshift": -3,
            "yref": "y",
            "y": float(known.iloc[-1]) * of.factor,
            "yanchor": "top",
            "showarrow": False,
            "text": f"limit {percent(chart.limit)}, {gbps(float(known.iloc[-1]))}",
            "font": halo(palette.words["capacity"], palette),
        }


def _odds(chart: FanChart) -> Panel:
    """The share of futures that have passed the limit by then."""
    palette, share = PALETTES[chart.scheme], chart.weeks["probability"].astype(float)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "passed the limit",
        "line": {"color": palette.hues["capacity"], "width": 2},
    }
    filled = line | times(chart.weeks, chart.zone) | {"y": values(100 * share, Unit(1.0, "%")), "fill": "tozeroy"}
    filled |= {
        "fillcolor": fade(palette.hues["capacity"], BAND_95),
        "hovertemplate": "<b>%{y:.0f} %</b> of futures have passed the limit<extra></extra>",
    }
    passed = chart.weeks[share >= MIDDLE]
    return Panel(
        "Probability of having passed the limit",
        "% of futures",
        ODDS_PX,
        Unit(1.0, "%"),
        100.0,
        traces=[filled],
        shapes=[*future(chart.now, chart.end, chart.zone, palette), *_crossing(passed, chart, palette)],
    )


def _crossing(passed: pd.DataFrame, chart: FanChart, palette: Palette) -> Iterator[dict[str, object]]:
    """A thin line where it becomes more likely than not."""
    if len(passed) and len(passed) < len(chart.weeks):
        x = instant(passed["ts"].iloc[0], chart.zone)
        yield {
            "type": "line",
            "xref": "x",
            "yref": "y domain",
            "x0": x,
            "x1": x,
            "y0": 0,
            "y1": 1,
            "line": {"color": palette.context, "width": 1, "dash": "dot"},
        }


def fan_table(chart: FanChart) -> pd.DataFrame:
    """The numbers behind: the measured weeks, then the futures, a row for each week (ts: its end)."""
    measured = chart.measured[["ts", "value"]].rename(columns={"value": "measured"})
    return pd.concat([measured, chart.weeks], ignore_index=True)
