"""Did the intervals hold? How often at each origin, and observed against nominal by horizon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, times, values
from app.charts.marks import Note
from app.charts.panels import End, Panel
from app.charts.plain import above, layout, names_axis, upright
from app.theme import PALETTES, Palette, Scheme, Unit, hue, label, meaning, percent

PERCENT = Unit(100.0, "%")
NOMINAL = {"coverage_80": 0.80, "coverage_95": 0.95}
SYMBOLS = {0.5: "circle", 0.8: "triangle-up", 0.9: "diamond", 0.95: "square"}
ROW, LEFT = 26, 84
# The axis reaches down to here at least, so that a point or two about the nominal share do not look like a fall.
LEAST_BOTTOM = 0.5
# Rows between marks that would lie on each other, with the reach of chance about them.
APART = 0.32
# Shares that are nearer than this would have their names on each other on a narrow screen.
CLOSE = 0.1
# Two standard errors either way: about 95 %.
Z = 1.96


@dataclass(frozen=True)
class CoverageChart:
    """Shares of hours inside the intervals: `rows` are ts, hours, coverage_80, coverage_95; one point for each backtest
    or run.

    A point of fewer than `least` hours says too little to be joined with the others: it stands alone, with an open
    mark.
    """

    title: str
    subtitle: str
    metric: str
    rows: pd.DataFrame
    zone: str = "UTC"
    scheme: Scheme = "light"
    height: int = 220
    least: int = 0


def coverage_panel(spec: CoverageChart) -> Panel:
    """Both intervals through time with their nominal lines, as one panel of a stack."""
    palette = PALETTES[spec.scheme]
    lowest = spec.rows[list(NOMINAL)].min().min()
    bottom = min(LEAST_BOTTOM, 1.0 if pd.isna(lowest) else float(lowest) - 0.05)
    return Panel(
        title=spec.title,
        subtitle=f"{spec.subtitle}; dotted: nominal",
        height=spec.height,
        unit=PERCENT,
        bottom=100 * max(bottom, 0.0),
        top=103.0,
        traces=list(_lines(spec)),
        shapes=[_level(share, palette) for share in NOMINAL.values()],
        ends=list(_ends(spec, palette)),
    )


def _lines(spec: CoverageChart) -> Iterator[Trace]:
    colour = hue(spec.metric, spec.scheme)
    for column, share in NOMINAL.items():
        look = {"name": f"{percent(share)} interval", "line": {"color": colour, "width": 1.5, "dash": "solid"}}
        marker = {"symbol": SYMBOLS[share], "size": 8, "color": colour}
        told = f"<b>%{{y:.3~r}} %</b> inside the {percent(share)} interval"
        yield from through_runs(
            spec.rows.assign(value=spec.rows[column]), look, marker, told, spec.least, spec.zone, PERCENT
        )


def through_runs(
    rows: pd.DataFrame, look: Trace, marker: dict[str, Any], told: str, least: int, zone: str, unit: Unit
) -> Iterator[Trace]:
    """A line through the points (ts, value, hours) of at least so many hours, and open marks, not joined, at those of
    fewer; hovering says of how many.
    """
    known, young = rows[rows["hours"] >= least], rows[rows["hours"] < least]
    for part, mode, symbol, more in (
        (known, "lines+markers", "", ""),
        (young, "markers", "-open", ", too young to be joined"),
    ):
        if len(part):
            box = {
                "text": [f"{hours:,} h" for hours in part["hours"].astype(int)],
                "hovertemplate": f"{told}, over %{{text}}{more}<extra></extra>",
            }
            drawn = {
                "type": "scatter",
                "mode": mode,
                "connectgaps": False,
                "cliponaxis": False,
                "marker": marker | {"symbol": f"{marker['symbol']}{symbol}"},
            }
            yield drawn | look | box | times(part, zone) | {"y": values(part["value"], unit)}


def _level(share: float, palette: Palette) -> dict[str, Any]:
    line = {"color": palette.words["capacity"], "width": 1, "dash": "dot"}
    return {
        "type": "line",
        "xref": "x domain",
        "yref": "y",
        "x0": 0,
        "x1": 1,
        "y0": 100 * share,
        "y1": 100 * share,
        "line": line,
    }


def _ends(spec: CoverageChart, palette: Palette) -> Iterator[End]:
    for column, share in NOMINAL.items():
        known = spec.rows.loc[spec.rows["hours"] >= spec.least, column].dropna()
        if len(known):
            yield End(f"in {percent(share)}", 100 * float(known.iloc[-1]), palette.words[meaning(spec.metric)])


@dataclass(frozen=True)
class CalibrationChart:
    """Observed against nominal: `rows` are horizon, nominal, observed (shares), origins. `counted` where each origin is
    one trial: chance then has a size.
    """

    title: str
    subtitle: str
    metric: str
    rows: pd.DataFrame
    counted: bool = False
    scheme: Scheme = "light"


def calibration_chart(spec: CalibrationChart) -> go.Figure:
    """A row for each horizon, a mark for each nominal share, a line where each should lie."""
    palette = PALETTES[spec.scheme]
    horizons, shares = list(dict.fromkeys(spec.rows["horizon"])), sorted(set(spec.rows["nominal"]))
    base = layout(
        spec.title, spec.subtitle, plot=ROW * max(len(horizons), 3) + 10, left=LEFT, scheme=spec.scheme, right=24
    )
    names = [label(name, 14) for name in horizons]
    axes = {
        "xaxis": {
            "range": [max(0.0, 100 * _lowest(spec) - 8), 103],
            "ticksuffix": " %",
            "fixedrange": True,
            "nticks": 6,
        },
        "yaxis": names_axis(names, 3) | {"showgrid": True},
        "shapes": [upright(100 * share, palette, colour=palette.words["capacity"]) for share in shares],
        "annotations": [*base["annotations"], *_heads(shares, palette)],
    }
    apart = {share: APART * (at - (len(shares) - 1) / 2) if spec.counted else 0.0 for at, share in enumerate(shares)}
    return go.Figure({"data": [_marks(spec, share, horizons, apart[share]) for share in shares], "layout": base | axes})


def _heads(shares: list[float], palette: Palette) -> Iterator[Note]:
    """The nominal shares above their lines; two that are close stand back to back."""
    for at, share in enumerate(shares):
        after, before = shares[at + 1 : at + 2], shares[max(0, at - 1) : at]
        anchor = (
            "right"
            if after and after[0] - share < CLOSE
            else "left"
            if before and share - before[0] < CLOSE
            else "center"
        )
        yield above(100 * share, percent(share), palette, palette.words["capacity"]) | {"xanchor": anchor}


def _lowest(spec: CalibrationChart) -> float:
    """The least share that is drawn, the reach of chance included."""
    low, _ = wilson(spec.rows["observed"].to_numpy(dtype=float), spec.rows["origins"].to_numpy(dtype=float))
    return float(np.nanmin([*(low if spec.counted else spec.rows["observed"]), *spec.rows["nominal"]], initial=1.0))


def _marks(spec: CalibrationChart, share: float, horizons: list[str], shift: float) -> Trace:
    rows = spec.rows[spec.rows["nominal"] == share]
    observed = 100 * rows["observed"].to_numpy(dtype=float)
    colour = hue(spec.metric, spec.scheme)
    texts = [
        f"{label(name)}: {percent(found)} observed, {percent(share)} nominal, {origins} backtests"
        for name, found, origins in zip(rows["horizon"], rows["observed"], rows["origins"], strict=True)
    ]
    chance = (
        {"error_x": _chance(rows, observed) | {"color": colour, "thickness": 1, "width": 3}} if spec.counted else {}
    )
    return chance | {
        "type": "scatter",
        "mode": "markers",
        "name": f"{percent(share)}",
        "x": observed,
        "y": [horizons.index(name) + shift for name in rows["horizon"]],
        "marker": {"symbol": SYMBOLS.get(share, "circle"), "size": 10, "color": colour},
        "hovertext": texts,
        "hoverinfo": "text",
    }


def _chance(rows: pd.DataFrame, observed: npt.NDArray[np.float64]) -> dict[str, Any]:
    low, high = wilson(rows["observed"].to_numpy(dtype=float), rows["origins"].to_numpy(dtype=float))
    return {"type": "data", "symmetric": False, "array": 100 * high - observed, "arrayminus": observed - 100 * low}


def wilson(
    shares: npt.NDArray[np.float64], trials: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The 95 % interval of a share seen in so many independent trials (Wilson, 1927); all of 0 to 1 without a trial."""
    weight = Z**2 / np.maximum(trials, 1e-9)
    middle = (shares + weight / 2) / (1 + weight)
    half = (
        Z
        / (1 + weight)
        * np.sqrt(shares * (1 - shares) / np.maximum(trials, 1e-9) + weight / np.maximum(trials, 1e-9) / 4)
    )
    return np.clip(middle - half, 0.0, 1.0), np.clip(middle + half, 0.0, 1.0)
