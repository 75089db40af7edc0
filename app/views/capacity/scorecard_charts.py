"""How saved plans did: words for each outcome, tables, and the share of weekly peaks under each quantile by weeks
ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app import theme
from app.charts.axes import Trace
from app.charts.map_marks import records
from app.charts.marks import Note, nothing
from app.charts.panels import layout, level
from app.theme import PALETTES, Palette, Scheme, hue

# Misses first: what came too soon hurts most.
ORDER = {"earlier": 0, "later": 1, "inside": 2, "open": 3, "refused": 4}
VERDICTS = {
    "earlier": (theme.ACT, "ran out before it"),
    "later": (theme.WATCH, "ran out after it"),
    "inside": (theme.OK, "as expected"),
    "open": (theme.UNKNOWN, "not yet known"),
    "refused": (theme.UNKNOWN, "nothing was expected"),
}
CARD_UNITS = {
    "Later by": "days",
    "Too early by": "days",
    "Idle so far": "days",
    "Idle cost": "USD",
    "Weeks against P50": "%",
}
SYMBOLS = {0.1: "triangle-down", 0.5: "circle", 0.9: "triangle-up"}
PLOT_PX, LEFT, RIGHT = 230, 54, 60
TICKS = 10


def outcome_rows(
    outcomes: pd.DataFrame, hits: pd.DataFrame, names: Mapping[str, str], now: pd.Timestamp
) -> pd.DataFrame:
    """Place, Expected, Came, Verdict, Later by (days against the median), Too early by (days, negative: too late), Idle
    so far (days), Idle cost (USD), Weeks under P90 (words) and Weeks against P50 (percent: the median of what was
    measured over the P50, less 1): misses first, then the farthest off. outcomes,
    hits: as forecasting.planning.scorecard gives them.
    """
    weeks = {(level_, key): mine for (level_, key), mine in hits.groupby(["level", "key"])}
    order = outcomes.assign(_place=outcomes["verdict"].map(ORDER), _far=-outcomes["late_days"].abs()).sort_values(
        ["_place", "_far", "key"]
    )
    told = records(order)
    return pd.DataFrame(
        {
            "Place": [names.get(row["key"], row["key"]) for row in told],
            "Expected": [expected_words(row, now) for row in told],
            "Came": [came_words(row, now) for row in told],
            "Verdict": [verdict_words(row) for row in told],
            "Later by": order["late_days"].to_numpy(float),
            "Too early by": order["early_days"].to_numpy(float),
            "Idle so far": order["idle_days"].to_numpy(float),
            "Idle cost": order["idle_usd"].to_numpy(float),
            "Weeks under P90": [under_words(weeks.get((row["level"], row["key"]))) for row in told],
            "Weeks against P50": [off_percent(weeks.get((row["level"], row["key"]))) for row in told],
        }
    )


def under_words(weeks: pd.DataFrame | None) -> str:
    """'8 of 9'."""
    return "none known" if weeks is None else f"{int(weeks['below_q90'].sum())} of {len(weeks)}"


def off_percent(weeks: pd.DataFrame | None) -> float:
    """How far what was measured lies above the median expected, in the middle of the weeks, percent."""
    return (
        float("nan")
        if weeks is None
        else 100.0 * float((weeks["value"] / weeks["q50"].where(weeks["q50"] > 0.0) - 1.0).median())
    )


def verdict_words(row: Mapping[Any, Any]) -> str:
    """A shape and a word."""
    state, words = VERDICTS[row["verdict"]]
    passed = row["verdict"] == "later" and theme.missing(row["ran_out"])
    return f"{state.glyph} {'not yet, its dates are over' if passed else words}"


def expected_words(row: Mapping[Any, Any], now: pd.Timestamp) -> str:
    """The interval that the plan gave."""
    early, late = row["run_out_p10"], row["run_out_p90"]
    if row["answer"] == "refused":
        return "not said" if theme.missing(row["reason"]) else f"not said: {row['reason']}"
    if row["answer"] == "over":
        return "already over"
    if theme.missing(early):
        return "not within the plan's weeks"
    return theme.interval(early, None if theme.missing(late) else late, now)


def came_words(row: Mapping[Any, Any], now: pd.Timestamp) -> str:
    """What came: the day, or until when it has not."""
    if not theme.missing(row["ran_out"]):
        return f"passed on {theme.day(row['ran_out'], year=row['ran_out'].year != now.year)}"
    if theme.missing(row["known_until"]):
        return "not measured yet"
    return f"not until {theme.day(row['known_until'], year=row['known_until'].year != now.year)}"


def calibration_chart(rows: pd.DataFrame, subtitle: str, scheme: Scheme, metric: str) -> go.Figure:
    """Share of the weekly values at or below each quantile, by weeks ahead (rows: ahead, quantile, observed, count),
    with the line where it should lie.
    """
    palette = PALETTES[scheme]
    base = layout(
        "Weekly values under each quantile, by weeks ahead",
        subtitle,
        plot=PLOT_PX,
        left=LEFT,
        right=RIGHT,
        scheme=scheme,
    )
    if rows.empty:
        return go.Figure(
            {"layout": base | {"annotations": [*base["annotations"], nothing(palette, "no week is over yet")]}}
        )
    shares = sorted(set(rows["quantile"]))
    ticks = _ticks(rows)
    axes = {
        "xaxis": {
            "tickvals": list(ticks),
            "ticktext": [f"{ahead}<br>n={count}" for ahead, count in ticks.items()],
            "fixedrange": True,
        },
        "yaxis": {"range": [-3, 103], "ticksuffix": " %", "fixedrange": True},
        "shapes": [
            level(100 * share, palette) | {"line": {"color": palette.words["capacity"], "width": 1, "dash": "dot"}}
            for share in shares
        ],
        "annotations": [*base["annotations"], *(_name(rows, share, palette) for share in shares)],
    }
    margin = base["margin"] | {"b": 46}
    return go.Figure(
        {
            "data": [_line(rows, share, hue(metric, scheme)) for share in shares],
            "layout": base | axes | {"margin": margin},
        }
    )


def _ticks(rows: pd.DataFrame) -> dict[int, int]:
    """Weeks ahead that are named, with how many values stand behind them."""
    counts = rows.drop_duplicates("ahead").set_index("ahead")["count"].sort_index()
    step = -(-len(counts) // TICKS)
    return {int(ahead): int(count) for ahead, count in counts.iloc[::step].items()}


def _line(rows: pd.DataFrame, share: float, colour: str) -> Trace:
    mine = rows[rows["quantile"] == share].sort_values("ahead")
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"P{100 * share:g}",
        "x": mine["ahead"].to_numpy(),
        "y": 100 * mine["observed"].to_numpy(float),
        "line": {"color": colour, "width": 1.5},
        "marker": {"symbol": SYMBOLS.get(share, "circle"), "size": 8, "color": colour},
        "customdata": mine["count"].to_numpy(),
        "hovertemplate": f"<b>%{{y:.0f}} %</b> of %{{customdata}} at or below P{100 * share:g}, %{{x}} weeks ahead<extra></extra>",
    }


def _name(rows: pd.DataFrame, share: float, palette: Palette) -> Note:
    last = rows[rows["quantile"] == share].sort_values("ahead")["observed"].iloc[-1]
    return {
        "xref": "paper",
        "x": 1,
        "xanchor": "left",
        "xshift": 6,
        "yref": "y",
        "y": 100 * last,
        "showarrow": False,
        "text": f"P{100 * share:g}",
        "font": {"size": 12, "color": palette.words["egress"]},
    }


def counted(outcomes: pd.DataFrame) -> dict[str, int]:
    """How many outcomes have each verdict."""
    found = outcomes["verdict"].value_counts()
    return {name: int(found.get(name, 0)) for name in ORDER}


def held_words(counts: Mapping[str, int]) -> str:
    """'7 of 9', of those that are known."""
    known = counts["inside"] + counts["earlier"] + counts["later"]
    return f"{counts['inside']} of {known}" if known else "none known yet"


def middle(days: Sequence[float]) -> float:
    """The median of what is known; not a number where nothing is."""
    return float(pd.Series(days, dtype=float).median())
