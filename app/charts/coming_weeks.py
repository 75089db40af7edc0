"""The peak or the P95 of each coming week as it was published: the median as a step a week, with the ranges that 8 and
9 in 10 lie in, against capacity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.charts.axes import Trace, values, written
from app.charts.bands import band
from app.charts.marks import Note, capacity_above, capacity_lines, capacity_notes, future, steps_between
from app.charts.panels import End, Panel
from app.theme import BAND_80, BAND_95, DASH, PALETTES, Palette, Scheme, Unit, day, fade, hue, local, meaning, unit

WEEK = pd.Timedelta(days=7)
LEVELS = ("q05", "q10", "q50", "q90", "q95")
# What is said of a week, by what the table `peaks` calls it.
STATISTICS = {"peak": "peak of each week", "p95": "P95 of each week"}
# Of the highest thing drawn, so that its words fit; and capacity further above demand than this would press the ranges
# flat: it is written at the top instead.
ABOVE, REACH = 1.12, 2.0
HEIGHT = 210


@dataclass(frozen=True, slots=True)
class WeeksChart:
    """One statistic of one metric: `weeks` are week (its Monday 00:00 UTC) and LEVELS, in the metric's own unit;
    `capacity` as in TrafficChart.

    `highest` is what the axis reaches to at least, in the metric's unit, so that charts side by side may share it.
    """

    title: str
    metric: str
    statistic: str
    weeks: pd.DataFrame
    capacity: pd.DataFrame
    highest: float
    zone: str = "UTC"
    scheme: Scheme = "light"

    @property
    def start(self) -> pd.Timestamp:
        return self.weeks["week"].min()

    @property
    def end(self) -> pd.Timestamp:
        return self.weeks["week"].max() + WEEK


def weeks_panel(chart: WeeksChart) -> Panel:
    """The chart as one panel."""
    palette, steps = PALETTES[chart.scheme], steps_between(chart.capacity, chart.start, chart.end)
    top = _top(chart, steps)
    of = unit(chart.metric, top)
    colour = hue(chart.metric, chart.scheme)
    return Panel(
        chart.title,
        f"{of.word}, weeks from Monday (UTC), 80 and 90 % ranges",
        HEIGHT,
        of,
        top * of.factor,
        traces=[
            *_ranges(chart, colour, of),
            *capacity_lines(steps, chart.end, chart.zone, of, palette.hues["capacity"]),
            *_medians(chart, colour, of),
        ],
        shapes=future(chart.start, chart.end, chart.zone, palette)[:1],
        notes=list(_notes(chart, steps, of, top, palette)),
        ends=list(_ends(chart, of, palette)),
    )


def _top(chart: WeeksChart, steps: pd.DataFrame) -> float:
    """The upper rim in the metric's unit: every range, and capacity as far as it does not dwarf them."""
    carried = max(chart.highest, float(chart.weeks["q95"].max()), 1e-9)
    within = steps.loc[steps["capacity_gbps"] <= REACH * carried, "capacity_gbps"]
    return ABOVE * max(carried, float(within.max()) if len(within) else 0.0)


def _edges(chart: WeeksChart) -> Trace:
    """Begin and end of every week in turn, so that what is drawn over them is a step a week."""
    return {
        "x": written(pd.Series(np.column_stack([chart.weeks["week"], chart.weeks["week"] + WEEK]).ravel()), chart.zone)
    }


def _ranges(chart: WeeksChart, colour: str, of: Unit) -> Iterator[Trace]:
    drawn = {level: np.repeat(values(chart.weeks[level], of), 2) for level in LEVELS}
    for low, high, alpha, name in (("q05", "q95", BAND_95, "90 % range"), ("q10", "q90", BAND_80, "80 % range")):
        yield from band(_edges(chart), drawn[low], drawn[high], fade(colour, alpha), name)


def _medians(chart: WeeksChart, colour: str, of: Unit) -> Iterator[Trace]:
    """The medians as dashed steps, and in the middle of each week a mark that answers for it."""
    step = {
        "type": "scatter",
        "mode": "lines",
        "name": "median",
        "line": {"color": colour, "width": 1.5, "dash": DASH},
        "hoverinfo": "skip",
    }
    yield step | _edges(chart) | {"y": np.repeat(values(chart.weeks["q50"], of), 2)}
    ranges = [
        f"{share} % %{{customdata[{n}]:.3~r}} to %{{customdata[{n + 1}]:.3~r}} {of.word}"
        for share, n in ((80, 0), (90, 2))
    ]
    text = f"week from %{{text}}: median <b>%{{y:.3~r}} {of.word}</b>"
    yield {
        "type": "scatter",
        "mode": "markers",
        "name": f"{chart.statistic} of week, median",
        "marker": {"color": colour, "size": 5, "symbol": "diamond-wide"},
        "x": written(chart.weeks["week"] + WEEK / 2, chart.zone),
        "y": values(chart.weeks["q50"], of),
        "text": [day(local(week, "UTC")) for week in chart.weeks["week"]],
        "customdata": np.column_stack([values(chart.weeks[level], of) for level in ("q10", "q90", "q05", "q95")]),
        "hovertemplate": "<br>".join([text, *ranges]) + "<extra></extra>",
    }


def _notes(chart: WeeksChart, steps: pd.DataFrame, of: Unit, top: float, palette: Palette) -> Iterator[Note]:
    middle = float(chart.weeks["q50"].median()) * of.factor
    for note in capacity_notes(steps, chart.start, chart.end, chart.zone, of, top * of.factor, palette):
        # On the side of the line that the medians are not on.
        yield note | {"yanchor": "top" if note["y"] < middle else "bottom"}
    if len(steps) and steps["capacity_gbps"].min() > top:
        yield capacity_above(
            float(steps["capacity_gbps"].iloc[0]), float(chart.weeks["q95"].max()), palette.words["capacity"]
        )


def _ends(chart: WeeksChart, of: Unit, palette: Palette) -> Iterator[End]:
    last, word = chart.weeks.iloc[-1], palette.words[meaning(chart.metric)]
    yield from (
        End(text, float(last[level]) * of.factor, word)
        for level, text in (("q05", "5 %"), ("q50", "median"), ("q95", "95 %"))
    )


def weeks_table(charts: Sequence[WeeksChart]) -> pd.DataFrame:
    """The numbers behind: a row for each week and statistic, and for each metric its five quantiles."""
    told = [
        chart.weeks[["week", *LEVELS]]
        .assign(statistic=chart.statistic)
        .set_index(["week", "statistic"])
        .add_prefix(f"{chart.metric}_")
        for chart in charts
    ]
    metrics = dict.fromkeys(chart.metric for chart in charts)
    wide = [
        pd.concat([frame for frame, chart in zip(told, charts, strict=True) if chart.metric == metric])
        for metric in metrics
    ]
    return pd.concat(wide, axis=1).sort_index().reset_index()
