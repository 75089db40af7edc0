"""Charts of run-outs: bars of all sites, bars of scenarios, and the fan of one place."""

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
from app.charts.panels import End, Panel, corner
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
# Dates that lie close together are told apart; the axis reaches at least so far.
LEAST = pd.Timedelta(days=120)


def dated(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have something to draw, in the order given."""
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
    """`rows`: an outlook with the column name, worst first; `before`: the same without the what-if, drawn in grey behind.
    `limit` says in words what is passed.
    """
    palette, shown = PALETTES[scheme], dated(rows)
    shown["said"] = [answer_words(row, now) for row in shown.to_dict("records")]
    layout: dict[str, Any] = {
        "template": template(scheme),
        "height": HEADER + BELOW + ROW * max(len(shown), 3),
        "margin": {"l": LEFT, "r": 16, "t": HEADER, "b": BELOW},
        "showlegend": False,
        "dragmode": False,
        "barmode": "overlay",
        "bargap": 0.45,
    }
    words = _words(
        len(shown), len(rows), limit, now, hue(f"{direction}_gbps", scheme), palette, compared=before is not None
    )
    if shown.empty:
        return go.Figure({"layout": layout | {"annotations": [*words, nothing(palette, "nothing runs out in sight")]}})
    start, end = now - BACK, latest(shown, now)
    traces = [
        *([] if before is None else _behind(shown, before, now, end, palette, zone)),
        *bars(shown, now, end, hue(f"{direction}_gbps", scheme), zone),
        *medians(shown, now, zone, palette),
        *_orders(shown, start, zone, palette),
    ]
    line, _ = now_mark(now, zone, palette)
    axes = _axes(shown, instant(start - pd.Timedelta(days=6), zone), instant(end, zone))
    return go.Figure({"data": traces, "layout": layout | axes | {"shapes": [line], "annotations": words}})


def _behind(
    shown: pd.DataFrame, before: pd.DataFrame, now: pd.Timestamp, end: pd.Timestamp, palette: Palette, zone: str
) -> Iterator[Trace]:
    """The same places without the what-if: a wider grey bar behind each."""
    earlier = before.set_index("key").reindex(shown["key"]).reset_index()
    earlier = earlier[earlier["answer"].isin(("within", "possible"))]
    first, last = earlier["run_out_p10"].clip(lower=now), earlier["run_out_p90"].fillna(end).clip(upper=end)
    yield {
        "type": "bar",
        "name": "without the what-if",
        "orientation": "h",
        "y": earlier.index.to_numpy(),
        "base": written(first, zone),
        "x": lengths(first, last, zone),
        "width": 0.9,
        "marker": {"color": fade(palette.context, 0.35)},
        "customdata": [answer_words(row, now) for row in earlier.to_dict("records")],
        "hovertemplate": "without the what-if: %{customdata}<extra></extra>",
    }


def now_mark(now: pd.Timestamp, zone: str, palette: Palette) -> tuple[dict[str, Any], dict[str, Any]]:
    """The line at now, and its label."""
    at = {"xref": "x", "yref": "y domain"}
    line = at | {
        "type": "line",
        "y0": 0,
        "y1": 1,
        "x0": instant(now, zone),
        "x1": instant(now, zone),
        "line": {"color": palette.muted, "width": 1},
    }
    note = at | {"x": instant(now, zone), "y": 1, "yanchor": "bottom", "showarrow": False, "text": f"now, {day(now)}"}
    return line, note | {"font": {"size": 11, "color": palette.muted}}


def latest(shown: pd.DataFrame, now: pd.Timestamp) -> pd.Timestamp:
    """As far as the latest date that is known, and a little on, so that an open end shows as one; never beyond the
    horizon by more than that.
    """
    last = max(
        [now + LEAST, *shown["run_out_p90"].dropna(), *shown["run_out_p50"].dropna(), *shown["run_out_p10"].dropna()]
    )
    return min(last, shown["horizon"].iloc[0]) + BACK / 3


def bars(shown: pd.DataFrame, now: pd.Timestamp, end: pd.Timestamp, colour: str, zone: str) -> Iterator[Trace]:
    """From the early end, or now, to the late end; one that lies beyond the horizon runs to it, fainter. `said`: the
    dates in words; the index: the place.
    """
    spans = shown[shown["answer"] != "over"]
    first, last = spans["run_out_p10"].clip(lower=now), spans["run_out_p90"].fillna(end)
    yield {
        "type": "bar",
        "name": "80 % interval",
        "orientation": "h",
        "y": spans.index.to_numpy(),
        "base": written(first, zone),
        "x": lengths(first, last, zone),
        "marker": {"color": [fade(colour, 0.45 if pd.isna(one) else 0.8) for one in spans["run_out_p90"]]},
        "customdata": [[label(name), said] for name, said in zip(spans["name"], spans["said"], strict=True)],
        "hovertemplate": "<b>%{customdata[0]}</b><br>80 % interval: %{customdata[1]}<extra></extra>",
    }


def medians(shown: pd.DataFrame, now: pd.Timestamp, zone: str, palette: Palette) -> Iterator[Trace]:
    """The median of each bar as a tick; a square at now for what is over."""
    mids = shown[(shown["answer"] == "within")]
    yield _marks(
        mids,
        mids["run_out_p50"].clip(lower=now),
        zone,
        "median",
        {"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": palette.ink}},
    )
    over = shown[shown["answer"] == "over"]
    square = {"symbol": "square", "size": 9, "color": palette.hues["capacity"]}
    yield _marks(over, pd.Series(now, index=over.index, dtype="datetime64[us, UTC]"), zone, "already over", square)


def _orders(shown: pd.DataFrame, start: pd.Timestamp, zone: str, palette: Palette) -> Iterator[Trace]:
    """The last day to order: a triangle, filled where it has passed, that points out of the chart where that was before
    it begins.
    """
    for order, fill in (("overdue", palette.hues["capacity"]), ("due", palette.ground)):
        due = shown[(shown["order"] == order) & shown["order_by"].notna()]
        symbols = ["triangle-left" if last < start else "triangle-down" for last in due["order_by"]]
        marker = {
            "symbol": symbols,
            "size": 9,
            "color": fill,
            "line": {"width": 1.5, "color": palette.hues["capacity"]},
        }
        trace = _marks(
            due,
            due["order_by"].clip(lower=start),
            zone,
            "order overdue since" if order == "overdue" else "order by",
            marker,
        )
        yield trace | {
            "customdata": [[label(name), day(last)] for name, last in zip(due["name"], due["order_by"], strict=True)],
            "hovertemplate": f"<b>%{{customdata[0]}}</b><br>{trace['name']} %{{customdata[1]}}<extra></extra>",
        }


def _marks(rows: pd.DataFrame, when: pd.Series, zone: str, name: str, marker: dict[str, Any]) -> Trace:
    told = [[label(one), day(moment)] for one, moment in zip(rows["name"], when, strict=True)]
    words = (
        "<b>%{customdata[0]}</b><br>"
        + (name if name == "already over" else f"{name} %{{customdata[1]}}")
        + "<extra></extra>"
    )
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": written(when, zone),
        "y": rows.index.to_numpy(),
        "marker": marker,
    }
    return trace | {"customdata": told, "hovertemplate": words}


def _axes(shown: pd.DataFrame, start: str, end: str) -> dict[str, Any]:
    names = [label(name, 20) for name in shown["name"]]
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


def _words(
    shown: int, all_of_them: int, limit: str, now: pd.Timestamp, colour: str, palette: Palette, *, compared: bool
) -> list[dict[str, Any]]:
    """Title, subtitle and what each mark means."""
    at = corner(LEFT)
    few = f"{shown} of {all_of_them} sites, worst first"
    red = palette.hues["capacity"]
    glyph = '<span style="color:{}">{}</span> {}'
    dates = [
        glyph.format(colour, "\u25ac", "80 % interval"),
        "<b>|</b> median",
        glyph.format(red, "\u25a0", "already over"),
    ]
    marks = [
        glyph.format(red, "\u25bc", "order overdue (\u25c0 for longer)"),
        glyph.format(red, "\u25bd", "order by"),
        glyph.format(palette.muted, "|", f"now, {day(now)}"),
        *([glyph.format(palette.context, "\u25ac", "without the what-if")] if compared else []),
    ]
    keys = "  ".join(dates) + "<br>" + "  ".join(marks)
    return [
        at | {"yshift": HEADER - 4, "text": f"<b>Run-out</b>: {few}", "font": {"size": 15}},
        at | {"yshift": HEADER - 24, "text": label(limit, 80), "font": {"size": 12, "color": palette.muted}},
        at | {"yshift": HEADER - 42, "text": keys, "font": {"size": 11, "color": palette.muted}},
    ]


# What an order of today still achieves: a shape, and words of its own.
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
    """'3 to 19 Dec', 'now to 3 Dec', '3 Dec or later', 'already over', 'not within 18 months', or why nothing can be
    said.
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
    """'40 d, planned as 85 d'."""
    declared, padded = float(row["lead_days"]), float(row["padded_days"])
    return f"{declared:g} d" if padded == declared else f"{declared:g} d, planned as {padded:g} d"


def soon_words(share: float) -> str:
    """A probability from simulated futures, which never are enough to say none or all."""
    if math.isnan(share):
        return "-"
    return "under 1 %" if share < 0.01 else "over 99 %" if share > 0.99 else theme.percent(share)


def plan_table(rows: pd.DataFrame, now: pd.Timestamp, base: pd.DataFrame | None = None) -> pd.DataFrame:
    """What the table shows, in the order of `rows` (an outlook with name, region and partner); beside it `base`, the
    same without the what-if.

    key, Site, Health, Order, Gbps (Peak, Capacity, Limit, Short, Add), Order by, In service by, Ordered today, Run-out,
    (Without the what-if, Later by: days), Probability (list), Lead time, Region, Partner.
    """
    told = records(rows)
    before: dict[str, object] = {}
    if base is not None:
        earlier = {row["key"]: row for row in records(base)}
        before = {
            "Without the what-if": [
                answer_words(earlier[row["key"]], now) if row["key"] in earlier else "not there" for row in told
            ],
            "Later by": [moved(earlier.get(row["key"]), row) for row in told],
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
            "Order by": [order_words(row, now) for row in told],
            "In service by": [service_words(row, now) for row in told],
            "Ordered today": [today_words(row, now) for row in told],
            "Run-out": [answer_words(row, now) for row in told],
            **before,
            "Probability": rows["odds"],
            "Lead time": [lead_words(row) for row in told],
            "Region": rows["region"],
            "Partner": rows["partner"],
        }
    )


def moved(before: Row | None, after: Row) -> float:
    """Days by which the median run-out comes later; not a number where either has none."""
    early, late = (None if before is None else before["run_out_p50"]), after["run_out_p50"]
    return (late - early) / _DAY if isinstance(early, pd.Timestamp) and isinstance(late, pd.Timestamp) else math.nan


ABOVE = 1.08  # of the highest thing drawn, so that its words fit
# Capacity that lies further above demand than this would press the fan flat: the axis then ends here.
REACH = 2.5
FAN_PX, ODDS_PX = 340, 150
MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class FanChart:
    """What the two panels show.

    weeks: ts, q05, q10, q50, q90, q95, room_gbps (Gbps, the limit times capacity; null without capacity) and
    probability (null without an answer). before: the same weeks without the what-if, where there is one. measured: ts
    and value, the weeks that were. steps: effective_from, capacity_gbps, status. `statistic` says in words what a week's value is.
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
    if chart.before is not None:
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": "without the what-if",
            "line": {"color": PALETTES[chart.scheme].context, "width": 1.5, "dash": DASH},
            **times(chart.before, chart.zone),
            "y": values(chart.before["q50"], of),
            "hovertemplate": f"%{{y:.3~r}} {of.word} median without the what-if<extra></extra>",
        }
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


YEAR = pd.Timedelta(days=365)
# The first to run out is over already, else has the earliest median.
PLACES = {"over": 0, "within": 1, "possible": 1, "beyond": 2, "refused": 3}
# What is compared, in the order in which it is drawn.
MEASURES = {"first": "First site over its limit", "global": "The network over its limit", "n-1": "No longer N-1 safe"}
SCENARIO_HEADER = 62
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
        _scenario_words(shown[~shown["answer"].isin(DATED)], instant(now, zone), palette),
    ]
    line, note = now_mark(now, zone, palette)
    layout: dict[str, Any] = {
        "template": template(scheme),
        "height": SCENARIO_HEADER + BELOW + ROW * (len(shown) + len(MEASURES)),
        "margin": {"l": LEFT, "r": 16, "t": SCENARIO_HEADER, "b": BELOW},
        "showlegend": False,
        "dragmode": False,
        "barmode": "overlay",
        "bargap": 0.45,
        "shapes": [line],
        "annotations": [*_heading(direction, hue(f"{direction}_gbps", scheme), palette), *_headers(shown), note],
    }
    return go.Figure(
        {"data": traces, "layout": layout | _scenario_axes(shown, instant(now - BACK, zone), instant(end, zone))}
    )


def placed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with their places on the y axis as index: each measure under a line for its name."""
    parts, top = [], 0
    for measure in MEASURES:
        mine = rows[rows["measure"] == measure]
        parts.append(mine.set_axis(range(top + 1, top + 1 + len(mine))))
        top += 1 + len(mine)
    return pd.concat(parts)


def _scenario_words(rows: pd.DataFrame, now: str, palette: Palette) -> Trace:
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
        at | {"yshift": SCENARIO_HEADER - 4, "text": f"<b>Dates side by side</b>, {direction}", "font": {"size": 15}},
        at | {"yshift": SCENARIO_HEADER - 24, "text": keys, "font": {"size": 11, "color": palette.muted}},
    ]


def _headers(shown: pd.DataFrame) -> list[dict[str, Any]]:
    """The name of each measure above its scenarios."""
    first = {measure: int(mine.index[0]) - 1 for measure, mine in shown.groupby("measure", sort=False)}
    at = FLUSH | {"xref": "paper", "yref": "y", "yanchor": "middle", "font": {"size": 12}}
    return [at | {"y": place, "text": f"<b>{MEASURES[str(measure)]}</b>"} for measure, place in first.items()]


def _scenario_axes(shown: pd.DataFrame, start: str, end: str) -> dict[str, Any]:
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
