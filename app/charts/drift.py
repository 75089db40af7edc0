"""Does a series become harder to forecast? The backtest error of what is drawn, and the error of what was published,
from run to run.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from app.charts.axes import Trace, times, values
from app.charts.calibration import PERCENT, through_runs
from app.charts.panels import End, Panel
from app.theme import PALETTES, Scheme, Unit, fade, hue, label, meaning

MASE = Unit(1.0, "MASE")
SYMBOLS = ("circle", "triangle-up", "square", "diamond")
HEIGHT = 220
# A run of which less than a day has come says more of the hour than of the forecast.
YOUNG_HOURS = 24


def drift_panel(rows: pd.DataFrame, *, metric: str, zone: str, scheme: Scheme) -> Panel:
    """`rows`: number, started, horizon, value. One line for each horizon; further ones are fainter."""
    palette = PALETTES[scheme]
    horizons = list(dict.fromkeys(rows.sort_values("number")["horizon"]))
    highest = rows["value"].max()
    word = palette.words[meaning(metric)]
    ends = [
        End(name, float(known.iloc[-1]), word)
        for name in horizons
        if len(known := rows.loc[rows["horizon"] == name, "value"].dropna())
    ]
    return Panel(
        title="Backtest error from run to run",
        subtitle=f"MASE of what is drawn, by horizon, {zone}",
        height=HEIGHT,
        unit=MASE,
        top=1.15 * (1.0 if pd.isna(highest) else float(highest)) or 1.0,
        traces=list(_lines(rows, horizons, metric, zone, scheme)),
        ends=ends,
    )


def _lines(rows: pd.DataFrame, horizons: list[str], metric: str, zone: str, scheme: Scheme) -> Iterator[Trace]:
    for number, horizon in enumerate(horizons):
        mine = rows[rows["horizon"] == horizon].rename(columns={"started": "ts"})
        colour = fade(hue(metric, scheme), 1.0 - 0.2 * min(number, 3))
        marker = {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8, "color": colour}
        yield {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(horizon),
            "marker": marker,
            "line": {"color": colour, "width": 1.5},
            "connectgaps": False,
            "y": values(mine["value"], MASE),
            "text": [f"run {n}" for n in mine["number"]],
            "hovertemplate": f"%{{text}}, {label(horizon)} ahead: <b>%{{y:.3~r}}</b><extra></extra>",
        } | times(mine, zone)


def error_since_panel(rows: pd.DataFrame, *, metric: str, zone: str, scheme: Scheme) -> Panel:
    """`rows`: ts (when each run started), hours, wape of what it published over as many hours."""
    palette = PALETTES[scheme]
    colour, highest, known = (
        hue(metric, scheme),
        rows["wape"].max(),
        rows.loc[rows["hours"] >= YOUNG_HOURS, "wape"].dropna(),
    )
    look, marker = (
        {"name": "WAPE since", "line": {"color": colour, "width": 1.5, "dash": "solid"}},
        {"symbol": "circle", "size": 8, "color": colour},
    )
    traces = through_runs(
        rows.assign(value=rows["wape"]), look, marker, "WAPE <b>%{y:.3~r} %</b>", YOUNG_HOURS, zone, PERCENT
    )
    return Panel(
        title="Error in the week after each run",
        subtitle=f"WAPE of what was published, % of what came, {zone}",
        height=HEIGHT,
        unit=PERCENT,
        top=100 * 1.15 * (0.0 if pd.isna(highest) else float(highest)) or 1.0,
        traces=list(traces),
        ends=[End("WAPE", 100 * float(known.iloc[-1]), palette.words[meaning(metric)])] if len(known) else [],
    )
