"""Charts of a place: the peaks of its coming weeks, and its sites side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import HISTORY_POINTS, Trace, drawable, times, values, written
from app.charts.bands import band
from app.charts.marks import (
    Note,
    capacity_above,
    capacity_lines,
    capacity_notes,
    future,
    installed_capacity,
    nothing,
    steps_between,
    utilisation,
)
from app.charts.panels import End, Panel, linked_figure
from app.theme import (
    BAND_80,
    BAND_95,
    DASH,
    NO_DATA,
    PALETTES,
    Palette,
    Scheme,
    StateMark,
    Unit,
    day,
    fade,
    hue,
    label,
    local,
    meaning,
    metric_value,
    percent,
    state_colour,
    unit,
)
from data.schema import METRIC

WEEK = pd.Timedelta(days=7)
LEVELS = ("q05", "q10", "q50", "q90", "q95")
# What is said of a week, by what the table `peaks` calls it.
STATISTICS = {"peak": "peak of each week", "p95": "P95 of each week"}
# Of the highest thing drawn, so that its words fit; and capacity further above demand than this would press the ranges
# flat: it is written at the top instead.
ABOVE, REACH = 1.12, 2.0
HEIGHT = 220


@dataclass(frozen=True, slots=True)
class WeeksChart:
    """One statistic of one metric: `weeks` are week (its Monday 00:00 UTC) and LEVELS, in the metric's own unit;
    `measured` the weeks before, as week and peak; `capacity` as in TrafficChart.
    """

    title: str
    metric: str
    statistic: str
    weeks: pd.DataFrame
    capacity: pd.DataFrame
    measured: pd.DataFrame
    zone: str = "UTC"
    scheme: Scheme = "light"

    @property
    def start(self) -> pd.Timestamp:
        return min([self.weeks["week"].min(), *self.measured["week"].head(1)])

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
        f"{of.word}, weeks from Monday UTC, 80 and 90 % ranges",
        HEIGHT,
        of,
        top * of.factor,
        traces=[
            *_ranges(chart, colour, of),
            *capacity_lines(steps, chart.end, chart.zone, of, palette.hues["capacity"]),
            *_medians(chart, colour, of),
            *_measured_weeks(chart, colour, of),
        ],
        shapes=future(chart.weeks["week"].min(), chart.end, chart.zone, palette)[:1],
        notes=list(_notes(chart, steps, of, top, palette)),
        ends=list(_ends(chart, of, palette)),
    )


def _top(chart: WeeksChart, steps: pd.DataFrame) -> float:
    """The upper rim in the metric's unit: every range, and capacity as far as it does not dwarf them."""
    carried = max(
        float(chart.weeks["q95"].max()),
        float(chart.measured["peak"].max(skipna=True) if len(chart.measured) else 0.0),
        1e-9,
    )
    within = steps.loc[steps["capacity_gbps"] <= REACH * carried, "capacity_gbps"]
    return ABOVE * max(carried, float(within.max()) if len(within) else 0.0)


def _edges(weeks: pd.Series, zone: str) -> Trace:
    """Begin and end of every week in turn, so that what is drawn over them is a step a week."""
    return {"x": written(pd.Series(np.column_stack([weeks, weeks + WEEK]).ravel()), zone)}


def _measured_weeks(chart: WeeksChart, colour: str, of: Unit) -> Iterator[Trace]:
    """The measured peaks as solid steps, each with a mark that answers for it."""
    if chart.measured.empty:
        return
    weeks, peaks = chart.measured["week"], values(chart.measured["peak"], of)
    step = {"type": "scatter", "mode": "lines", "name": "measured", "line": {"color": colour, "width": 1.8}}
    yield step | {"hoverinfo": "skip", "y": np.repeat(peaks, 2)} | _edges(weeks, chart.zone)
    yield {
        "type": "scatter",
        "mode": "markers",
        "name": "measured peak of week",
        "marker": {"color": colour, "size": 5},
        "x": written(weeks + WEEK / 2, chart.zone),
        "y": peaks,
        "text": [day(local(week, "UTC")) for week in weeks],
        "hovertemplate": f"week from %{{text}}: peak <b>%{{y:.3~r}} {of.word}</b><extra></extra>",
    }


def _ranges(chart: WeeksChart, colour: str, of: Unit) -> Iterator[Trace]:
    drawn = {level: np.repeat(values(chart.weeks[level], of), 2) for level in LEVELS}
    for low, high, alpha, name in (("q05", "q95", BAND_95, "90 % range"), ("q10", "q90", BAND_80, "80 % range")):
        yield from band(_edges(chart.weeks["week"], chart.zone), drawn[low], drawn[high], fade(colour, alpha), name)


def _medians(chart: WeeksChart, colour: str, of: Unit) -> Iterator[Trace]:
    """The medians as dashed steps, and in the middle of each week a mark that answers for it."""
    step = {
        "type": "scatter",
        "mode": "lines",
        "name": "median",
        "line": {"color": colour, "width": 1.5, "dash": DASH},
        "hoverinfo": "skip",
    }
    yield step | _edges(chart.weeks["week"], chart.zone) | {"y": np.repeat(values(chart.weeks["q50"], of), 2)}
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
    """The numbers behind: a row for each week and statistic, and for each metric what was measured and its five
    quantiles.
    """
    wide: dict[str, list[pd.DataFrame]] = {}
    for chart in charts:
        measured = chart.measured.rename(columns={"peak": "measured"})
        rows = (
            pd.concat([measured, chart.weeks[["week", *LEVELS]]], ignore_index=True) if len(measured) else chart.weeks
        )
        rows = rows.reindex(columns=["week", "measured", *LEVELS]).assign(statistic=chart.statistic)
        wide.setdefault(chart.metric, []).append(rows.set_index(["week", "statistic"]).add_prefix(f"{chart.metric}_"))
    return pd.concat([pd.concat(frames) for frames in wide.values()], axis=1).sort_index().reset_index()


PERCENT = Unit(100.0, "%")
# Tops of the scale for networks that run far below their capacity, where the scale of a full one would show flat lines.
LOW_TOPS = (0.1, 0.25, 0.5)
POINTS = 120
CELL_HEIGHT = 90


@dataclass(frozen=True)
class Site:
    """One site: `history` (ts, value in Gbps), `capacity` (effective_from, capacity_gbps, status), its state in the plan,
    and the address that it opens.
    """

    name: str
    state: StateMark
    history: pd.DataFrame
    capacity: pd.DataFrame
    href: str = ""


def has_utilisation(sites: Sequence[Site], start: pd.Timestamp, end: pd.Timestamp) -> bool:
    """Whether any site has a capacity to be held against between start and end."""
    return any(_within(site, start, end)["used"].notna().any() for site in sites)


def site_panels(
    sites: Sequence[Site], *, metric: str, start: pd.Timestamp, end: pd.Timestamp, zone: str, scheme: Scheme
) -> list[Panel]:
    """A small panel for each site, in the order given, all on one scale: utilisation, or the metric itself where no site
    has a capacity. What stands at the right of its name is its state and its highest value.
    """
    of_capacity = has_utilisation(sites, start, end)
    rows = [_within(site, start, end)[["ts", "used" if of_capacity else "value"]] for site in sites]
    drawn = [part.set_axis(["ts", "value"], axis=1) for part in rows]
    peaks = [float(part["value"].max()) for part in drawn]
    highest = max((peak for peak in peaks if not np.isnan(peak)), default=0.0)
    # Up to full capacity, or lower where nothing comes near it.
    full = next((low for low in LOW_TOPS if highest <= low), 1.0)
    of = PERCENT if of_capacity else unit(metric, 1.08 * highest)
    top = 1.08 * (max(full, highest) if of_capacity else highest) * of.factor or 1.0
    palette = PALETTES[scheme]
    limit = [_limit(palette)] if of_capacity and top >= PERCENT.factor else []
    return [
        Panel(
            site.name,
            "",
            CELL_HEIGHT,
            of,
            top,
            traces=list(_site_line(part, metric, "% used" if of_capacity else of.word, of, zone, scheme)),
            shapes=limit,
            notes=_why_nothing(site, peak, scheme),
            href=site.href,
            aside=(_reading(metric, peak, site.state, of_capacity=of_capacity), state_colour(site.state, scheme)),
        )
        for site, part, peak in zip(sites, drawn, peaks, strict=True)
    ]


def _within(site: Site, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """ts, value and utilisation (`used`, a ratio) of the site between start and end."""
    history = site.history[(site.history["ts"] >= start) & (site.history["ts"] <= end)].sort_values(
        "ts", ignore_index=True
    )
    return history[["ts", "value"]].assign(
        used=utilisation(history["value"], installed_capacity(history["ts"], site.capacity))
    )


def _reading(metric: str, peak: float, state: StateMark, *, of_capacity: bool) -> str:
    """State and highest utilisation, or the highest traffic."""
    if np.isnan(peak):
        return NO_DATA
    return f"{state.glyph} {state.word}, {percent(peak)}" if of_capacity else f"highest {metric_value(metric, peak)}"


def _site_line(drawn: pd.DataFrame, metric: str, word: str, of: Unit, zone: str, scheme: Scheme) -> Iterator[Trace]:
    few = drawable(drawn, ["value"], POINTS)
    if len(few):
        line = {
            "type": "scatter",
            "mode": "lines",
            "name": "utilisation" if of is PERCENT else "traffic",
            "line": {"color": hue(metric, scheme), "width": 1.3},
            "connectgaps": False,
            "hovertemplate": f"%{{y:.2~r}} {word}<extra></extra>",
        }
        yield line | times(few, zone) | {"y": values(few["value"], of)}


def _limit(palette: Palette) -> dict[str, Any]:
    """The line of full capacity; the state is told by its word."""
    line = {"type": "line", "xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "y0": 100, "y1": 100}
    return line | {"line": {"color": palette.hues["capacity"], "width": 1}}


def _why_nothing(site: Site, peak: float, scheme: Scheme) -> list[dict[str, Any]]:
    """What stands in the middle of an empty chart."""
    measured = bool(site.history["value"].notna().any())
    words = "no capacity declared" if measured else "nothing was measured"
    return [nothing(PALETTES[scheme], words)] if np.isnan(peak) else []


# Compare
# ---------------------------------------------------------------------------------------------------------------------

COMPARE_HEIGHT = 300
# Room at the right for the names of places.
NAMES_PX = 136
# A Monday, for hours of the week.
MONDAY = pd.Timestamp("2001-01-01", tz="UTC")
# The column of `rows` that each scale draws.
SCALED = {"absolute": "value", "capacity": "share", "indexed": "index"}
_BROWN: dict[Scheme, str] = {"light": "#8a6d3b", "dark": "#c9a96a"}


@dataclass(frozen=True, slots=True)
class CompareChart:
    """Places or times on one axis: `rows` are hours or week of data.queries.compare, `labels` the names of its subjects;
    `scale` and `by` as the state has them.
    """

    metric: str
    scale: str
    by: str
    labels: Sequence[str]
    rows: pd.DataFrame
    start: pd.Timestamp
    end: pd.Timestamp
    zone: str = "UTC"
    scheme: Scheme = "light"


def compare_figure(chart: CompareChart) -> go.Figure:
    """A line for each subject: the first in the metric's hue, the others apart from it and from each other."""
    palette, column = PALETTES[chart.scheme], SCALED[chart.scale]
    highest = float(chart.rows[column].max()) if chart.rows[column].notna().any() else 1.0
    of = unit(chart.metric, highest) if chart.scale == "absolute" else PERCENT
    grain = "mean by hour of week" if chart.by == "week" else "hourly mean"
    against = {"absolute": of.word, "capacity": "% of installed capacity", "indexed": "% of each one's own mean"}
    colours = (hue(chart.metric, chart.scheme), palette.ink, _BROWN[chart.scheme], palette.muted)
    lines, ends = [], []
    for number, (name, colour) in enumerate(zip(chart.labels, colours, strict=False)):
        rows = chart.rows[chart.rows["subject"] == number]
        if chart.by == "week":
            rows = rows.assign(ts=MONDAY + pd.to_timedelta(rows["hour"], unit="h"))
        drawn = drawable(rows[["ts", column]].reset_index(drop=True), [column], HISTORY_POINTS)
        if drawn[column].notna().any():
            lines.append(_compared_line(drawn, column, name, colour, of, chart))
            ends.append(End(name, float(drawn[column].dropna().iloc[-1]) * of.factor, colour))
    panel = Panel(
        f"{METRIC[chart.metric].label} compared",
        f"{against[chart.scale]}, {grain}, {chart.zone}",
        COMPARE_HEIGHT,
        of,
        1.08 * max(highest, 1e-9) * of.factor,
        traces=lines,
        ends=ends,
        notes=[] if lines else [nothing(palette, "there is nothing to draw on this scale")],
    )
    is_week = chart.by == "week"
    start, end, zone = (MONDAY, MONDAY + WEEK, "UTC") if is_week else (chart.start, chart.end, chart.zone)
    figure = linked_figure([panel], start=start, end=end, zone=zone, scheme=chart.scheme).update_layout(
        margin_r=NAMES_PX
    )
    if not is_week:
        return figure
    figure.layout.xaxis.tickformatstops = None
    days = {"tickformat": "%A", "dtick": 86_400_000, "ticklabelmode": "period"}
    return figure.update_xaxes(hoverformat="%A, %H:%M", **days)


def _compared_line(drawn: pd.DataFrame, column: str, name: str, colour: str, of: Unit, chart: CompareChart) -> Trace:
    line = {"color": colour, "width": 1.8 if colour == hue(chart.metric, chart.scheme) else 1.4}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label(name),
        "line": line,
        "connectgaps": False,
        "hovertemplate": f"<b>%{{y:.3~r}} {of.word}</b> {label(name)}<extra></extra>",
        "y": values(drawn[column], of),
    } | times(drawn, chart.zone if chart.by == "time" else "UTC")
