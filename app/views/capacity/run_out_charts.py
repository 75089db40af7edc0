"""Charts of run-outs: bars of all sites, bars of scenarios, and the fan of one site, region or the network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app import theme
from app.charts.axes import Trace, instant, lengths, times, values, written
from app.charts.bands import band
from app.charts.map_marks import records
from app.charts.marks import (
    capacity_above,
    capacity_lines,
    capacity_notes,
    future,
    halo,
    nothing,
    now_note,
    steps_between,
)
from app.charts.panels import End, Panel, above, corner, upright
from app.theme import (
    ACT,
    BAND_80,
    BAND_95,
    DASH,
    OK,
    PALETTES,
    STATES,
    TIME_TICKS,
    UNKNOWN,
    WATCH,
    Palette,
    Scheme,
    StateMark,
    Unit,
    day,
    fade,
    gbps,
    hue,
    label,
    percent,
    template,
    unit,
)

ROW, HEADER, BELOW, LEFT = 21, 108, 12, 132
DATED = ("over", "within", "possible")
# What is over has no dates: a mark at now. An order that should have been placed longer ago than this is drawn at the
# rim.
BACK = pd.Timedelta(days=45)
# The axis reaches at least this far, so that few dates, all near, do not stretch to its whole width.
LEAST = pd.Timedelta(days=120)


def dated_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have dates or are over already, in the order given, with a new index."""
    return rows[rows["answer"].isin(DATED)].reset_index(drop=True)


def runout_bars(
    rows: pd.DataFrame,
    *,
    now: pd.Timestamp,
    direction: str,
    zone: str,
    scheme: Scheme,
    limit: str,
    before: pd.DataFrame | None = None,
) -> go.Figure:
    """Run-out dates of all sites as horizontal bars, worst first, with medians and order-by dates.

    rows: site rows of a run-out table with the column name, worst first. before: the same without the what-if, drawn in
    grey behind. limit: what is passed, in words.
    """
    palette, dated = PALETTES[scheme], dated_rows(rows)
    dated["said"] = [answer_words(row, now) for row in dated.to_dict("records")]
    layout: dict[str, Any] = {
        "template": template(scheme),
        "height": HEADER + BELOW + ROW * max(len(dated), 3),
        "margin": {"l": LEFT, "r": 16, "t": HEADER, "b": BELOW},
        "showlegend": False,
        "dragmode": False,
        "barmode": "overlay",
        "bargap": 0.45,
    }
    annotations = _annotations(
        len(dated), len(rows), limit, now, hue(f"{direction}_gbps", scheme), palette, compared=before is not None
    )
    if dated.empty:
        return go.Figure(
            {"layout": layout | {"annotations": [*annotations, nothing(palette, "nothing runs out in sight")]}}
        )
    start, end = now - BACK, axis_end(dated, now)
    traces = [
        *([] if before is None else _base_bars(dated, before, now, end, palette, zone)),
        *interval_bars(dated, now, end, hue(f"{direction}_gbps", scheme), zone),
        *median_marks(dated, now, zone, palette),
        *_order_marks(dated, start, zone, palette),
    ]
    line, _ = now_mark(now, zone, palette)
    axes = _axes(dated, instant(start - pd.Timedelta(days=6), zone), instant(end, zone))
    return go.Figure({"data": traces, "layout": layout | axes | {"shapes": [line], "annotations": annotations}})


def _base_bars(
    rows: pd.DataFrame, before: pd.DataFrame, now: pd.Timestamp, end: pd.Timestamp, palette: Palette, zone: str
) -> Iterator[Trace]:
    """80 % intervals of the same sites without the what-if: a wider grey bar behind each."""
    base = before.set_index("key").reindex(rows["key"]).reset_index()
    base = base[base["answer"].isin(("within", "possible"))]
    first, last = base["run_out_p10"].clip(lower=now), base["run_out_p90"].fillna(end).clip(upper=end)
    yield {
        "type": "bar",
        "name": "without the what-if",
        "orientation": "h",
        "y": base.index.to_numpy(),
        "base": written(first, zone),
        "x": lengths(first, last, zone),
        "width": 0.9,
        "marker": {"color": fade(palette.context, 0.35)},
        "customdata": [answer_words(row, now) for row in base.to_dict("records")],
        "hovertemplate": "without the what-if: %{customdata}<extra></extra>",
    }


def now_mark(now: pd.Timestamp, zone: str, palette: Palette) -> tuple[dict[str, Any], dict[str, Any]]:
    """Line across the plot at now, and its label."""
    x = instant(now, zone)
    line = upright(x, palette, dash="solid", layer="above")
    return line, above(x, f"now, {day(now)}", palette)


def axis_end(rows: pd.DataFrame, now: pd.Timestamp) -> pd.Timestamp:
    """End of the time axis: the latest date or the horizon if earlier, and 15 days more, so that open ends show."""
    last = max(
        [now + LEAST, *rows["run_out_p90"].dropna(), *rows["run_out_p50"].dropna(), *rows["run_out_p10"].dropna()]
    )
    return min(last, rows["horizon"].iloc[0]) + BACK / 3


def interval_bars(rows: pd.DataFrame, now: pd.Timestamp, end: pd.Timestamp, colour: str, zone: str) -> Iterator[Trace]:
    """80 % interval of each run-out date as a bar, from now at the earliest; fainter and to `end` where it is open.

    rows: with `said`, the dates in words; the index is the position on the y axis.
    """
    spans = rows[rows["answer"] != "over"]
    first, last = spans["run_out_p10"].clip(lower=now), spans["run_out_p90"].fillna(end)
    yield {
        "type": "bar",
        "name": "80 % interval",
        "orientation": "h",
        "y": spans.index.to_numpy(),
        "base": written(first, zone),
        "x": lengths(first, last, zone),
        "marker": {"color": [fade(colour, 0.45 if pd.isna(late_end) else 0.8) for late_end in spans["run_out_p90"]]},
        "customdata": [[label(name), words] for name, words in zip(spans["name"], spans["said"], strict=True)],
        "hovertemplate": "<b>%{customdata[0]}</b><br>80 % interval: %{customdata[1]}<extra></extra>",
    }


def median_marks(rows: pd.DataFrame, now: pd.Timestamp, zone: str, palette: Palette) -> Iterator[Trace]:
    """Median of each run-out date as a tick; a square at now for sites already over."""
    within = rows[(rows["answer"] == "within")]
    yield _markers(
        within,
        within["run_out_p50"].clip(lower=now),
        zone,
        "median",
        {"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": palette.ink}},
    )
    over = rows[rows["answer"] == "over"]
    square = {"symbol": "square", "size": 9, "color": palette.hues["capacity"]}
    yield _markers(over, pd.Series(now, index=over.index, dtype="datetime64[us, UTC]"), zone, "already over", square)


def _order_marks(rows: pd.DataFrame, start: pd.Timestamp, zone: str, palette: Palette) -> Iterator[Trace]:
    """Last day to order as a triangle: filled where it has passed, pointing left where it lies before `start`."""
    for state, fill in (("overdue", palette.hues["capacity"]), ("due", palette.ground)):
        orders = rows[(rows["order"] == state) & rows["order_by"].notna()]
        symbols = ["triangle-left" if last < start else "triangle-down" for last in orders["order_by"]]
        marker = {
            "symbol": symbols,
            "size": 9,
            "color": fill,
            "line": {"width": 1.5, "color": palette.hues["capacity"]},
        }
        trace = _markers(
            orders,
            orders["order_by"].clip(lower=start),
            zone,
            "order overdue since" if state == "overdue" else "order by",
            marker,
        )
        yield trace | {
            "customdata": [
                [label(name), day(last)] for name, last in zip(orders["name"], orders["order_by"], strict=True)
            ],
            "hovertemplate": f"<b>%{{customdata[0]}}</b><br>{trace['name']} %{{customdata[1]}}<extra></extra>",
        }


def _markers(rows: pd.DataFrame, dates: pd.Series, zone: str, name: str, marker: dict[str, Any]) -> Trace:
    customdata = [[label(site), day(date)] for site, date in zip(rows["name"], dates, strict=True)]
    hover = (
        "<b>%{customdata[0]}</b><br>"
        + (name if name == "already over" else f"{name} %{{customdata[1]}}")
        + "<extra></extra>"
    )
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": written(dates, zone),
        "y": rows.index.to_numpy(),
        "marker": marker,
    }
    return trace | {"customdata": customdata, "hovertemplate": hover}


def _axes(rows: pd.DataFrame, start: str, end: str) -> dict[str, Any]:
    names = [label(name, 20) for name in rows["name"]]
    return {
        "xaxis": {
            "type": "date",
            "range": [start, end],
            "side": "top",
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


def _annotations(
    dated_count: int, site_count: int, limit: str, now: pd.Timestamp, colour: str, palette: Palette, *, compared: bool
) -> list[dict[str, Any]]:
    """Title, subtitle and legend of the bars of all sites."""
    anchor = corner(LEFT)
    count = f"{dated_count} of {site_count} sites, worst first"
    capacity_colour = palette.hues["capacity"]
    glyph = '<span style="color:{}">{}</span> {}'
    dates = [
        glyph.format(colour, "\u25ac", "80 % interval"),
        "<b>|</b> median",
        glyph.format(capacity_colour, "\u25a0", "already over"),
    ]
    marks = [
        glyph.format(capacity_colour, "\u25bc", "order overdue (\u25c0 for longer)"),
        glyph.format(capacity_colour, "\u25bd", "order by"),
        glyph.format(palette.muted, "|", f"now, {day(now)}"),
        *([glyph.format(palette.context, "\u25ac", "without the what-if")] if compared else []),
    ]
    legend = "  ".join(dates) + "<br>" + "  ".join(marks)
    return [
        anchor | {"yshift": HEADER - 4, "text": f"<b>Run-out</b>: {count}", "font": {"size": 15}},
        anchor | {"yshift": HEADER - 24, "text": label(limit, 80), "font": {"size": 12, "color": palette.muted}},
        anchor | {"yshift": HEADER - 42, "text": legend, "font": {"size": 11, "color": palette.muted}},
    ]


# What an order of today still achieves: its shape and its words.
GRADES: dict[str, tuple[StateMark, str]] = {
    "over": (ACT, "over and late"),
    "late": (ACT, "late"),
    "due": (WATCH, "due in 30 days"),
    "later": (OK, "later"),
    "none": (OK, "no order"),
    "unknown": (UNKNOWN, "not known"),
}
_DAY, _MONTH_DAYS = pd.Timedelta(days=1), 30.4
Row = Mapping[Any, Any]


def answer_words(row: Row, now: pd.Timestamp) -> str:
    """Run-out dates in words: '3 to 19 Dec', 'now to 3 Dec', '3 Dec or later', 'already over', 'not within 18 months';
    the reason where there are none.
    """
    answer, first, last = row["answer"], row["run_out_p10"], row["run_out_p90"]
    if answer == "refused":
        return f"not known: {row['reason']}"
    if answer == "over":
        return "already over"
    if answer == "beyond" or not isinstance(first, pd.Timestamp):
        return f"not within {months_ahead(row, now)} months"
    return theme.ahead(first, last if isinstance(last, pd.Timestamp) else None, now)


def months_ahead(row: Row, now: pd.Timestamp) -> int:
    """Whole months from now to the horizon."""
    horizon = row["horizon"]
    return round((horizon - now) / _DAY / _MONTH_DAYS) if isinstance(horizon, pd.Timestamp) else 0


def order_words(row: Row, now: pd.Timestamp) -> str:
    """By when to order: '3 Dec', 'now, was 18 Jun', 'no order'."""
    last = row["order_by"]
    if not isinstance(last, pd.Timestamp):
        return GRADES[str(row["grade"])][1]
    date = theme.day(last, year=last.year != now.year)
    return f"now, was {date}" if row["order"] == "overdue" else date


def service_words(row: Row, now: pd.Timestamp) -> str | None:
    """By when more capacity must be in service: 'now', '23 Feb 2027'; None where none is needed."""
    needed = row["in_service_by"]
    if not isinstance(needed, pd.Timestamp):
        return None
    return "now" if needed <= now else theme.day(needed, year=needed.year != now.year)


def today_words(row: Row, now: pd.Timestamp) -> str | None:
    """What an order of today achieves: 'in service 23 Feb 2027, about 12 weeks over', or 'in time'; None without one."""
    arrives = row["in_service_today"]
    if not isinstance(row["order_by"], pd.Timestamp) or not isinstance(arrives, pd.Timestamp):
        return None
    if row["add_gbps"] == 0.0:
        return f"planned capacity is enough, {over_words(float(row['weeks_over']))}"
    return f"in service {theme.day(arrives, year=arrives.year != now.year)}, {over_words(float(row['weeks_over']))}"


def over_words(weeks: float) -> str:
    """Expected weeks above the limit: 'about 12 weeks over', 'under a week over', 'in time'."""
    if math.isnan(weeks) or weeks < 0.05:
        return "in time"
    count = round(weeks)
    return "under a week over" if count < 1 else f"about {count} week{'' if count == 1 else 's'} over"


def lead_words(row: Row) -> str:
    """Lead time in words: '40 d', or '40 d, planned as 85 d'."""
    declared, padded = float(row["lead_days"]), float(row["padded_days"])
    return f"{declared:g} d" if padded == declared else f"{declared:g} d, planned as {padded:g} d"


def probability_words(share: float) -> str:
    """Probability in words, 'under 1 %' to 'over 99 %', as simulated futures are never enough to say none or all."""
    if math.isnan(share):
        return "-"
    return "under 1 %" if share < 0.01 else "over 99 %" if share > 0.99 else theme.percent(share)


def plan_table(rows: pd.DataFrame, now: pd.Timestamp, base: pd.DataFrame | None = None) -> pd.DataFrame:
    """Table of orders, a line for each of `rows` (run-out rows with name, region and partner), in their order; `base`:
    the same rows without the what-if.

    key, Site, Health, Order, Gbps (Peak, Capacity, Limit, Short, Add), Order by, In service by, Ordered today, Run-out,
    (Without the what-if, Later by: days), Probability (list), Lead time, Region, Partner.
    """
    sites = records(rows)
    comparison: dict[str, object] = {}
    if base is not None:
        base_rows = {row["key"]: row for row in records(base)}
        comparison = {
            "Without the what-if": [
                answer_words(base_rows[row["key"]], now) if row["key"] in base_rows else "not there" for row in sites
            ],
            "Later by": [days_later(base_rows.get(row["key"]), row) for row in sites],
        }
    return pd.DataFrame(
        {
            "key": rows["key"],
            "Site": rows["name"],
            "Health": [f"{STATES[state].glyph} {STATES[state].word}" for state in rows["state"]],
            "Order": [f"{mark.glyph} {word}" for mark, word in (GRADES[grade] for grade in rows["grade"])],
            "Peak": rows["peak_gbps"].round(1),
            "Capacity": rows["capacity_gbps"].round(1),
            "Limit": rows["limit_gbps"].round(1),
            "Short": rows["short_gbps"].where(rows["short_gbps"] > 0.0).round(1),
            "Add": rows["add_gbps"].where(rows["add_gbps"] > 0.0),
            "Order by": [order_words(row, now) for row in sites],
            "In service by": [service_words(row, now) for row in sites],
            "Ordered today": [today_words(row, now) for row in sites],
            "Run-out": [answer_words(row, now) for row in sites],
            **comparison,
            "Probability": rows["odds"],
            "Lead time": [lead_words(row) for row in sites],
            "Region": rows["region"],
            "Partner": rows["partner"],
        }
    )


def days_later(before: Row | None, after: Row) -> float:
    """Days from the median run-out of `before` to that of `after`; NaN where either has none."""
    early, late = (None if before is None else before["run_out_p50"]), after["run_out_p50"]
    return (late - early) / _DAY if isinstance(early, pd.Timestamp) and isinstance(late, pd.Timestamp) else math.nan


ABOVE = 1.08  # of the highest thing drawn, so that its words fit
# Capacity that lies further above demand than this would press the fan flat: the axis then ends here.
REACH = 2.5
FAN_PX, ODDS_PX = 340, 150
MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class FanChart:
    """Data of the fan and of the probability below it.

    weeks: ts, q05, q10, q50, q90, q95, room_gbps (Gbps, the limit times capacity; null without capacity) and
    probability (null without an answer). before: the same weeks without the what-if, where there is one. measured: ts
    and value, the weeks that were. steps: effective_from, capacity_gbps, status. statistic: what a week's value is, in
    words.
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
    before: pd.DataFrame | None = None


def fan_panels(chart: FanChart) -> list[Panel]:
    """Panels of the fan and of the probability below it; the fan alone without capacity."""
    return [_fan_panel(chart), *([_probability_panel(chart)] if chart.weeks["probability"].notna().any() else [])]


def _fan_panel(chart: FanChart) -> Panel:
    palette, steps = PALETTES[chart.scheme], steps_between(chart.steps, chart.start, chart.end)
    top = _axis_top(chart, steps)
    axis_unit = unit(chart.metric, top)
    colour = hue(chart.metric, chart.scheme)
    traces = [
        *_interval_bands(chart, colour, axis_unit),
        *capacity_lines(steps, chart.end, chart.zone, axis_unit, palette.hues["capacity"]),
        *_limit_line(chart, axis_unit, palette),
    ]
    notes = [
        *capacity_notes(steps, chart.start, chart.end, chart.zone, axis_unit, top * axis_unit.factor, palette),
        *_limit_note(chart, axis_unit, top, palette),
    ]
    if len(steps) and steps["capacity_gbps"].min() > top:
        first_capacity = float(steps["capacity_gbps"].iloc[0])
        notes.append(capacity_above(first_capacity, float(chart.weeks["q95"].max()), palette.words["capacity"]))
    last_median = float(chart.weeks["q50"].iloc[-1]) * axis_unit.factor
    return Panel(
        chart.title,
        f"{axis_unit.word}, {chart.statistic} of each week, {chart.zone}; 80 and 90 % of the futures",
        FAN_PX,
        axis_unit,
        top * axis_unit.factor,
        traces=[*traces, *_demand_lines(chart, colour, axis_unit)],
        shapes=future(chart.now, chart.end, chart.zone, palette),
        notes=[*notes, now_note(chart.now, chart.start, chart.end, chart.zone, palette)],
        ends=[End("median", last_median, palette.ink)],
    )


def _axis_top(chart: FanChart, steps: pd.DataFrame) -> float:
    """Top of the y axis, Gbps: above all demand, and above capacity of at most `REACH` times the highest demand."""
    highest_demand = float(np.nanmax([*chart.weeks["q95"], *chart.measured["value"], 1e-9]))
    drawn_capacity = steps.loc[steps["capacity_gbps"] <= REACH * highest_demand, "capacity_gbps"]
    return ABOVE * max(highest_demand, float(drawn_capacity.max()) if len(drawn_capacity) else 0.0)


def _interval_bands(chart: FanChart, colour: str, axis_unit: Unit) -> Iterator[Trace]:
    time_axis = times(chart.weeks, chart.zone)
    for low, high, alpha, name in (
        ("q05", "q95", BAND_95, "90 % of futures"),
        ("q10", "q90", BAND_80, "80 % of futures"),
    ):
        yield from band(
            time_axis,
            values(chart.weeks[low], axis_unit),
            values(chart.weeks[high], axis_unit),
            fade(colour, alpha),
            name,
        )


def _demand_lines(chart: FanChart, colour: str, axis_unit: Unit) -> Iterator[Trace]:
    """Measured weeks, solid; medians of the futures, with and without the what-if, dashed."""
    if len(chart.measured):
        line = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "measured",
            "line": {"color": colour, "width": 2},
            "marker": {"size": 4},
        }
        hover = f"<b>%{{y:.3~r}} {axis_unit.word}</b> measured<extra></extra>"
        yield (
            line
            | times(chart.measured, chart.zone)
            | {"y": values(chart.measured["value"], axis_unit), "connectgaps": False, "hovertemplate": hover}
        )
    if chart.before is not None:
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": "without the what-if",
            "line": {"color": PALETTES[chart.scheme].context, "width": 1.5, "dash": DASH},
            **times(chart.before, chart.zone),
            "y": values(chart.before["q50"], axis_unit),
            "hovertemplate": f"%{{y:.3~r}} {axis_unit.word} median without the what-if<extra></extra>",
        }
    bounds = np.column_stack([values(chart.weeks[name], axis_unit) for name in ("q10", "q90", "q05", "q95")])
    hover_lines = [
        f"<b>%{{y:.3~r}} {axis_unit.word}</b> median of futures",
        *(
            f"{share} % %{{customdata[{column}]:.3~r}} to %{{customdata[{column + 1}]:.3~r}} {axis_unit.word}"
            for share, column in ((80, 0), (90, 2))
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
            "y": values(chart.weeks["q50"], axis_unit),
            "customdata": bounds,
            "hovertemplate": "<br>".join(hover_lines) + "<extra></extra>",
        }
    )


def _limit_line(chart: FanChart, axis_unit: Unit, palette: Palette) -> Iterator[Trace]:
    """Limit as a thin dotted line in the colour of capacity; none where no week has one."""
    if chart.weeks["room_gbps"].notna().any():
        line = {"color": palette.hues["capacity"], "width": 1.2, "dash": "dot", "shape": "vh"}
        trace = {"type": "scatter", "mode": "lines", "name": "limit", "line": line, "connectgaps": False}
        yield (
            trace
            | times(chart.weeks, chart.zone)
            | {
                "y": values(chart.weeks["room_gbps"], axis_unit),
                "hovertemplate": f"%{{y:.3~r}} {axis_unit.word} limit<extra></extra>",
            }
        )


def _limit_note(chart: FanChart, axis_unit: Unit, top: float, palette: Palette) -> Iterator[dict[str, object]]:
    limits = chart.weeks["room_gbps"].dropna()
    if len(limits) and limits.iloc[-1] < top:
        yield {
            "xref": "x domain",
            "x": 1,
            "xanchor": "right",
            "xshift": -3,
            "yref": "y",
            "y": float(limits.iloc[-1]) * axis_unit.factor,
            "yanchor": "top",
            "showarrow": False,
            "text": f"limit {percent(chart.limit)}, {gbps(float(limits.iloc[-1]))}",
            "font": halo(palette.words["capacity"], palette),
        }


def _probability_panel(chart: FanChart) -> Panel:
    """Panel of the share of futures that have passed the limit by each week."""
    palette, probability = PALETTES[chart.scheme], chart.weeks["probability"].astype(float)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "passed the limit",
        "line": {"color": palette.hues["capacity"], "width": 2},
    }
    trace = line | times(chart.weeks, chart.zone) | {"y": values(100 * probability, Unit(1.0, "%")), "fill": "tozeroy"}
    trace |= {
        "fillcolor": fade(palette.hues["capacity"], BAND_95),
        "hovertemplate": "<b>%{y:.0f} %</b> of futures have passed the limit<extra></extra>",
    }
    shapes = future(chart.now, chart.end, chart.zone, palette)
    likely = chart.weeks[probability >= MIDDLE]
    if 0 < len(likely) < len(chart.weeks):
        first = instant(likely["ts"].iloc[0], chart.zone)
        shapes.append(upright(first, palette, colour=palette.context, layer="above"))
    return Panel(
        "Probability of having passed the limit",
        "% of futures",
        ODDS_PX,
        Unit(1.0, "%"),
        100.0,
        traces=[trace],
        shapes=shapes,
    )


def fan_table(chart: FanChart) -> pd.DataFrame:
    """Numbers of the fan for download: the measured weeks, then the futures, a row for each week (ts: its end)."""
    measured = chart.measured[["ts", "value"]].rename(columns={"value": "measured"})
    return pd.concat([measured, chart.weeks], ignore_index=True)


YEAR = pd.Timedelta(days=365)
# The first to run out is over already, else has the earliest median.
PLACES = {"over": 0, "within": 1, "possible": 1, "beyond": 2, "refused": 3}
# What is compared, in the order in which it is drawn.
MEASURES = {"first": "First site over its limit", "global": "The network over its limit", "n-1": "No longer N-1 safe"}
SCENARIO_HEADER = 62
FLUSH = {"x": 0, "xanchor": "left", "xshift": 8 - LEFT, "showarrow": False, "align": "left"}


def comparison_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of planning.whatif.compare_scenarios to draw, with `measure` (a key of `MEASURES`) added to its columns.

    The first site to run out may be another in each scenario; its later_days are from that of the first scenario.
    """
    sites, scenarios = rows[rows["level"] == "site"], list(rows["scenario"].unique())
    ranked = sites.assign(place=sites["answer"].map(PLACES)).sort_values(
        ["place", "run_out_p50", "run_out_p10", "key"], na_position="last", kind="stable"
    )
    first = (
        ranked.drop_duplicates("scenario").drop(columns="place").set_index("scenario").reindex(scenarios).reset_index()
    )
    later_days = (first["run_out_p50"] - first["run_out_p50"].iloc[0]) / pd.Timedelta(days=1)
    network = [rows[rows["level"] == level].assign(measure=level) for level in ("global", "n-1")]
    return pd.concat([first.assign(measure="first", later_days=later_days), *network], ignore_index=True)


def over_within_a_year(rows: pd.DataFrame, now: pd.Timestamp) -> dict[str, int]:
    """Number of sites of each scenario whose median run-out is within a year of now."""
    sites = rows[rows["level"] == "site"]
    is_over = sites["answer"].isin(("over", "within")) & (sites["run_out_p50"] <= now + YEAR)
    return {str(name): int(count) for name, count in is_over.groupby(sites["scenario"], sort=False).sum().items()}


def scenario_bars(rows: pd.DataFrame, *, now: pd.Timestamp, direction: str, zone: str, scheme: Scheme) -> go.Figure:
    """Run-out dates of scenarios as horizontal bars, grouped by measure.

    rows: as of `comparison_rows`, with `name` (of the scenario) and `said` (the answer in words), in the order of the
    scenarios.
    """
    palette, positioned = PALETTES[scheme], with_y_positions(rows)
    spans = positioned[positioned["answer"].isin(DATED)]
    end = axis_end(spans, now) if len(spans) else now + YEAR
    traces: list[Trace] = [
        *interval_bars(spans, now, end, hue(f"{direction}_gbps", scheme), zone),
        *median_marks(spans, now, zone, palette),
        _undated_texts(positioned[~positioned["answer"].isin(DATED)], instant(now, zone), palette),
    ]
    line, note = now_mark(now, zone, palette)
    layout: dict[str, Any] = {
        "template": template(scheme),
        "height": SCENARIO_HEADER + BELOW + ROW * (len(positioned) + len(MEASURES)),
        "margin": {"l": LEFT, "r": 16, "t": SCENARIO_HEADER, "b": BELOW},
        "showlegend": False,
        "dragmode": False,
        "barmode": "overlay",
        "bargap": 0.45,
        "shapes": [line],
        "annotations": [
            *_title_and_legend(direction, hue(f"{direction}_gbps", scheme), palette),
            *_measure_headings(positioned),
            note,
        ],
    }
    return go.Figure(
        {"data": traces, "layout": layout | _scenario_axes(positioned, instant(now - BACK, zone), instant(end, zone))}
    )


def with_y_positions(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, indexed by position on the y axis: those of each measure below a free position for its heading."""
    positioned, heading = [], 0
    for measure in MEASURES:
        measure_rows = rows[rows["measure"] == measure]
        positioned.append(measure_rows.set_axis(range(heading + 1, heading + 1 + len(measure_rows))))
        heading += 1 + len(measure_rows)
    return pd.concat(positioned)


def _undated_texts(rows: pd.DataFrame, now: str, palette: Palette) -> Trace:
    """Answers without dates, as text from now on."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": [now] * len(rows),
        "y": rows.index.to_numpy(),
        "text": [f" {label(words, 70)}" for words in rows["said"]],
        "textposition": "middle right",
        "textfont": {"size": 11, "color": palette.muted},
        "hoverinfo": "skip",
    }


def _title_and_legend(direction: str, colour: str, palette: Palette) -> list[dict[str, Any]]:
    anchor = FLUSH | {"xref": "paper", "yref": "paper", "y": 1, "yanchor": "top"}
    capacity_colour = palette.hues["capacity"]
    legend = f'<span style="color:{colour}">\u25ac</span> 80 % interval, <b>|</b> median  <span style="color:{capacity_colour}">\u25a0</span> already'
    return [
        anchor
        | {"yshift": SCENARIO_HEADER - 4, "text": f"<b>Dates side by side</b>, {direction}", "font": {"size": 15}},
        anchor | {"yshift": SCENARIO_HEADER - 24, "text": legend, "font": {"size": 11, "color": palette.muted}},
    ]


def _measure_headings(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Heading of each measure above its scenarios."""
    positions = {
        measure: int(measure_rows.index[0]) - 1 for measure, measure_rows in rows.groupby("measure", sort=False)
    }
    anchor = FLUSH | {"xref": "paper", "yref": "y", "yanchor": "middle", "font": {"size": 12}}
    return [anchor | {"y": y, "text": f"<b>{MEASURES[str(measure)]}</b>"} for measure, y in positions.items()]


def _scenario_axes(rows: pd.DataFrame, start: str, end: str) -> dict[str, Any]:
    names = {
        "tickvals": list(rows.index),
        "ticktext": [label(name, 20) for name in rows["name"]],
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
        "yaxis": {"range": [len(rows) + len(MEASURES) - 0.5, -0.5], "showgrid": False, "fixedrange": True} | names,
    }
