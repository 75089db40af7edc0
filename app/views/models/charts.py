"""Charts of a forecast's evidence: models against each other, calibration, drift from run to run, effects and
residuals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import Trace, times, values
from app.charts.marks import Note
from app.charts.panels import End, Panel, above, layout, level, names_axis, upright
from app.theme import BAND_80, PALETTES, Palette, Scheme, Unit, fade, hue, label, meaning, percent, significant, unit
from data.schema import model_words

PERCENT = Unit(100.0, "%")
NOMINAL = {"coverage_80": 0.80, "coverage_95": 0.95}
SYMBOLS = {0.5: "circle", 0.8: "triangle-up", 0.9: "diamond", 0.95: "square"}
CALIBRATION_ROW, CALIBRATION_LEFT = 26, 84
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
        spec.title,
        spec.subtitle,
        plot=CALIBRATION_ROW * max(len(horizons), 3) + 10,
        left=CALIBRATION_LEFT,
        scheme=spec.scheme,
        right=24,
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


MASE = Unit(1.0, "MASE")
DRIFT_SYMBOLS = ("circle", "triangle-up", "square", "diamond")
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
        traces=list(_drift_lines(rows, horizons, metric, zone, scheme)),
        ends=ends,
    )


def _drift_lines(rows: pd.DataFrame, horizons: list[str], metric: str, zone: str, scheme: Scheme) -> Iterator[Trace]:
    for number, horizon in enumerate(horizons):
        mine = rows[rows["horizon"] == horizon].rename(columns={"started": "ts"})
        colour = fade(hue(metric, scheme), 1.0 - 0.2 * min(number, 3))
        marker = {"symbol": DRIFT_SYMBOLS[number % len(DRIFT_SYMBOLS)], "size": 8, "color": colour}
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
        subtitle=f"WAPE of what was published, % of what was measured, {zone}",
        height=HEIGHT,
        unit=PERCENT,
        top=100 * 1.15 * (0.0 if pd.isna(highest) else float(highest)) or 1.0,
        traces=list(traces),
        ends=[End("WAPE", 100 * float(known.iloc[-1]), palette.words[meaning(metric)])] if len(known) else [],
    )


LEFT, PLOT, EVENT_LEFT = 54, 170, 110


def day_chart(day: pd.DataFrame, *, metric: str, zone: str, scheme: Scheme) -> go.Figure:
    """`day`: hour, effect. What each hour of the day adds to the level."""
    axis = {
        "xaxis": {
            "range": [0, 23],
            "tickvals": [0, 6, 12, 18, 23],
            "ticktext": ["00:00", "06:00", "12:00", "18:00", "23:00"],
            "showgrid": False,
            "fixedrange": True,
        }
    }
    texts = [f"{int(hour):02}:00" for hour in day["hour"]]
    return _line(day, "Day, unpublished refit", f"% of the level, clock of {zone}", texts, axis, metric, scheme)


def week_chart(week: pd.DataFrame, *, metric: str, zone: str, scheme: Scheme) -> go.Figure:
    """`week`: hour (0 to 167), effect. What the hour of the week adds to that of the day."""
    texts = [f"{DAYS[int(hour) // 24]} {int(hour) % 24:02}:00" for hour in week["hour"]]
    return _line(
        week, "Week, unpublished refit", f"% beside the day's, clock of {zone}", texts, week_axis(), metric, scheme
    )


def _line(
    part: pd.DataFrame, title: str, subtitle: str, texts: list[str], axis: dict[str, Any], metric: str, scheme: Scheme
) -> go.Figure:
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": part["hour"],
        "y": 100 * part["effect"],
        "text": texts,
        "line": {"color": hue(metric, scheme), "width": 1.8},
        "hovertemplate": "%{text}: <b>%{y:+.3~r} %</b><extra></extra>",
    }
    base = layout(title, subtitle, plot=PLOT, left=LEFT, scheme=scheme)
    looks = {
        "hovermode": "x",
        "shapes": [level(0.0, PALETTES[scheme])],
        "yaxis": {"nticks": 5, "ticksuffix": " %", "fixedrange": True},
    }
    return go.Figure({"data": [line], "layout": base | looks | axis})


def events_chart(events: pd.DataFrame, *, metric: str, scheme: Scheme) -> go.Figure:
    """`events`: kind, effect, hours. What an hour within an event of each kind adds."""
    palette, rows = PALETTES[scheme], events.sort_values("effect", ascending=False, ignore_index=True)
    base = layout(
        "Events, unpublished refit", "% added while one lasts, by kind", plot=PLOT, left=EVENT_LEFT, scheme=scheme
    )
    effects = 100 * rows["effect"].to_numpy(dtype=float)
    texts = [
        f"{'+' if effect >= 0 else '-'}{percent(abs(effect) / 100)}, {hours:.0f} h seen"
        for effect, hours in zip(effects, rows["hours"], strict=True)
    ]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": effects,
        "y": np.arange(len(rows)),
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": hue(metric, scheme)},
        "textfont": {"size": 12, "color": palette.ink},
        "hoverinfo": "skip",
        "width": 0.6,
    }
    low, high = min(0.0, float(effects.min(initial=0.0))), max(0.0, float(effects.max(initial=0.0)))
    span = (high - low) or 1.0
    names = [label(kind, 14) for kind in rows["kind"]]
    axes = {
        "xaxis": {"range": [low - 0.1 * span, high + 0.8 * span], "ticksuffix": " %", "nticks": 4, "fixedrange": True},
        "yaxis": names_axis(names, 3),
    }
    return go.Figure({"data": [bars], "layout": base | axes})


RESIDUAL_PLOT, BINS, DAY_HOURS = 190, 40, 24
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# A few hours far off would squash the rest of a distribution: the outermost parts in a thousand on each side share the
# last bar.
OUTERMOST = 0.005


def by_hour_of_week(residuals: pd.DataFrame, zone: str) -> pd.DataFrame:
    """hour (0 to 167 from Monday 00:00 of the zone), median, low, high (0.1 and 0.9 quantile), count; from ts,
    residual.
    """
    local = residuals["ts"].dt.tz_convert(zone)
    groups = residuals["residual"].groupby((local.dt.day_of_week * DAY_HOURS + local.dt.hour).rename("hour"))
    return groups.agg(
        median="median", low=lambda part: part.quantile(0.1), high=lambda part: part.quantile(0.9), count="size"
    ).reset_index()


def hour_of_week_chart(residuals: pd.DataFrame, *, metric: str, zone: str, scheme: Scheme) -> go.Figure:
    """The median of each hour of the week over the range that holds four in five; a shape here is something that the
    model has not learned.
    """
    palette, week = PALETTES[scheme], by_hour_of_week(residuals, zone)
    axis = unit(metric, float(residuals["yhat"].max()))
    base = layout(
        "Residuals by hour of week",
        f"{axis.word}, median and 80 % range, {zone}",
        plot=RESIDUAL_PLOT,
        left=LEFT,
        scheme=scheme,
    )
    colour, texts = (
        hue(metric, scheme),
        [f"{DAYS[int(hour) // DAY_HOURS]} {int(hour) % DAY_HOURS:02}:00" for hour in week["hour"]],
    )
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": week["hour"]}
    fill = {"fill": "tonexty", "fillcolor": fade(colour, BAND_80), "name": "80 % range"}
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "median",
        "x": week["hour"],
        "y": week["median"] * axis.factor,
        "line": {"color": colour, "width": 1.5},
        "text": texts,
        "hovertemplate": f"%{{text}}: <b>%{{y:.3~r}} {axis.word}</b><extra></extra>",
    }
    axes = {"hovermode": "x", "shapes": [level(0.0, palette)], "yaxis": {"nticks": 5, "fixedrange": True}} | week_axis()
    return go.Figure(
        {
            "data": [edge | {"y": week["low"] * axis.factor}, edge | fill | {"y": week["high"] * axis.factor}, line],
            "layout": base | axes,
        }
    )


def week_axis() -> dict[str, Any]:
    """The x axis of a week in hours, named by its days."""
    noons = [day * DAY_HOURS + DAY_HOURS // 2 for day in range(len(DAYS))]
    return {
        "xaxis": {
            "range": [0, 7 * DAY_HOURS],
            "tickvals": noons,
            "ticktext": list(DAYS),
            "showgrid": False,
            "fixedrange": True,
        }
    }


def distribution_chart(residuals: pd.DataFrame, *, metric: str, scheme: Scheme) -> go.Figure:
    """How many hours lay how far off, with the middle and the ends of the range that holds four in five."""
    palette, axis = PALETTES[scheme], unit(metric, float(residuals["yhat"].max()))
    off = residuals["residual"].to_numpy(dtype=float) * axis.factor
    base = layout(
        "Residuals, distribution", _middle(residuals, axis.word), plot=RESIDUAL_PLOT, left=LEFT, scheme=scheme
    )
    low, middle, high = np.quantile(off, [0.1, 0.5, 0.9])
    marks = [above(low, "10 %", palette), above(middle, "median", palette), above(high, "90 %", palette)]
    lines = [upright(x, palette, dash=dash) for x, dash in ((low, "dot"), (middle, "solid"), (high, "dot"))]
    words = {"shapes": lines, "annotations": [*base["annotations"], *marks]}
    axes = {
        "xaxis": {"nticks": 6, "fixedrange": True, "ticksuffix": f" {label(axis.word)}", "showticksuffix": "last"},
        "yaxis": {"nticks": 4, "fixedrange": True},
    }
    return go.Figure(
        {"data": [_bars(off, hue(metric, scheme), axis.word)], "layout": base | words | axes | {"bargap": 0.05}}
    )


def _middle(residuals: pd.DataFrame, word: str) -> str:
    bias = residuals["residual"].sum() / residuals["value"].sum() if residuals["value"].sum() else float("nan")
    return f"hours by {word} off; in all {percent(abs(bias))} {'more' if bias >= 0 else 'less'} came than was expected"


def _bars(off: np.ndarray[Any, np.dtype[np.float64]], colour: str, word: str) -> Trace:
    low, high = np.quantile(off, [OUTERMOST, 1 - OUTERMOST])
    counts, edges = np.histogram(np.clip(off, low, high), bins=BINS)
    texts = [f"{significant(first)} to {significant(last)} {word}" for first, last in pairwise(edges)]
    return {
        "type": "bar",
        "x": (edges[:-1] + edges[1:]) / 2,
        "y": counts,
        "width": np.diff(edges),
        "marker": {"color": colour},
        "text": texts,
        "textposition": "none",
        "hovertemplate": "%{text}: %{y} hours<extra></extra>",
    }


# Models against each other
# ----------------------------------------------------------------------------------------------------

# Rows of a horizon in the chart of the drawn forecast against others, in this order.
DRAWN_ROLE, BEST_ROLE, BASELINE_ROLE, PROPHET_ROLE = "Drawn", "Best of the past", "Best baseline", "Prophet"
ROLE_WORDS = {BEST_ROLE: "best", BASELINE_ROLE: "baseline", PROPHET_ROLE: "Prophet"}
ROLE_ROW, ROLE_LEFT = 22, 104
AHEAD_WORDS = {
    "0-24 h": "Next 24 hours",
    "1-7 d": "2 to 7 days ahead",
    "8-28 d": "8 to 28 days ahead",
    "29-90 d": "29 to 90 days ahead",
}


def rivals(scores: pd.DataFrame, licence: pd.DataFrame) -> pd.DataFrame:
    """What is drawn against the best of the past, the best baseline and Prophet, at each horizon that was tested: horizon,
    role, model, wape, inside_95, origins. A model of several roles has one row that names them all.

    `scores` and `licence`: of one series. The best is the lowest WAPE of all models that could have been drawn.
    """
    wide = scores[scores["score"].isin(["wape", "coverage_95"])]
    wide = wide.pivot_table(index=["horizon", "model"], columns="score", values="value", sort=False)
    wide = wide.reindex(columns=["wape", "coverage_95"]).rename(columns={"coverage_95": "inside_95"})
    origins = scores[scores["score"] == "wape"].set_index(["horizon", "model"])["origins"]
    wide = wide.assign(origins=origins).dropna(subset="wape")
    rows: list[dict[str, Any]] = []
    for decided in licence.itertuples():
        tested = (
            wide.xs(decided.horizon, level="horizon") if decided.horizon in wide.index.get_level_values(0) else None
        )
        if tested is None or AS_DRAWN not in tested.index:
            continue
        # The drawn model is scored as it was drawn at each origin, before the next was known.
        tested = tested.drop(index=decided.model, errors="ignore").rename(index={AS_DRAWN: decided.model})
        of_roles = {
            DRAWN_ROLE: decided.model,
            BEST_ROLE: tested["wape"].idxmin(),
            BASELINE_ROLE: decided.baseline,
            PROPHET_ROLE: next((name for name in ("prophet_map", "prophet") if name in tested.index), None),
        }
        for model in dict.fromkeys(of_roles.values()):
            if model in tested.index:
                roles = [role for role, its in of_roles.items() if its == model]
                rows.append({"horizon": decided.horizon, "role": roles, "model": model, **tested.loc[model]})
    return pd.DataFrame(rows, columns=["horizon", "role", "model", "wape", "inside_95", "origins"])


def error_chart(rows: pd.DataFrame, *, metric: str, scheme: Scheme) -> go.Figure:
    """`rows`: as `rivals` gives them. Bars of the typical error from zero, four or fewer for each horizon."""
    palette = PALETTES[scheme]
    at, layout_ = _by_horizon(
        rows, "Typically off by", "mean absolute error in backtests, % of what was measured", scheme
    )
    top = 100 * float(rows["wape"].max())
    texts = [f"{percent(row.wape)}  {_called(row.role[1:], row.model)}" for row in rows.itertuples()]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": at,
        "x": 100 * rows["wape"],
        "width": 0.7,
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "textfont": {"size": 12, "color": palette.ink},
        "marker": {"color": _role_colours(rows, metric, scheme)},
        "hovertext": [
            f"{said}, {int(row.origins)} backtests" for said, row in zip(texts, rows.itertuples(), strict=True)
        ],
        "hoverinfo": "text",
    }
    axis = {"range": [0, 2.1 * top or 1.0], "fixedrange": True, "nticks": 5, "ticksuffix": " %"}
    return go.Figure({"data": [bars], "layout": layout_ | {"xaxis": axis}})


def inside_chart(rows: pd.DataFrame, *, metric: str, scheme: Scheme) -> go.Figure:
    """`rows`: as `rivals` gives them. The share of hours inside the 95 % band of each forecast that has one."""
    palette = PALETTES[scheme]
    at, layout_ = _by_horizon(
        rows, "Hours inside the 95 % band", "share in backtests; the line is what is meant", scheme
    )
    share = 100 * rows["inside_95"].to_numpy(dtype=float)
    lowest = float(np.nanmin(share, initial=80.0))
    texts = ["no band" if np.isnan(value) else percent(value / 100) for value in share]
    marks = {
        "type": "scatter",
        "mode": "markers",
        "y": at,
        "x": share,
        "marker": {"size": 9, "color": _role_colours(rows, metric, scheme)},
        "cliponaxis": False,
        "hovertext": [
            f"{text} of hours, {label(model_words(row.model))}, {int(row.origins)} backtests"
            for text, row in zip(texts, rows.itertuples(), strict=True)
        ],
        "hoverinfo": "text",
    }
    notes = [
        {
            "xref": "paper",
            "yref": "y",
            "x": 1,
            "y": y,
            "xanchor": "left",
            "showarrow": False,
            "text": text,
            "font": {"size": 12, "color": palette.ink},
        }
        for y, text in zip(at, texts, strict=True)
    ]
    axis = {"range": [lowest - 0.1 * (100 - lowest), 102], "fixedrange": True, "nticks": 5, "ticksuffix": " %"}
    looks = {
        "xaxis": axis,
        "shapes": [upright(95, palette, colour=palette.words["capacity"])],
        "annotations": [*layout_["annotations"], *notes],
        "margin": layout_["margin"] | {"r": 56},
    }
    return go.Figure({"data": [marks], "layout": layout_ | looks})


def _called(more_roles: list[str], model: str) -> str:
    """The model in words, with the other roles that it has."""
    words = label(model_words(model), 26)
    return f"{words} ({', '.join(ROLE_WORDS[role] for role in more_roles)})" if more_roles else words


def _role_colours(rows: pd.DataFrame, metric: str, scheme: Scheme) -> list[str]:
    return [hue(metric, scheme) if DRAWN_ROLE in roles else PALETTES[scheme].context for roles in rows["role"]]


def _by_horizon(
    rows: pd.DataFrame, title: str, subtitle: str, scheme: Scheme
) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    """Where each row stands on the y axis, and a layout in which a line of words opens each horizon."""
    palette = PALETTES[scheme]
    opens = ~rows["horizon"].duplicated().to_numpy()
    at = np.arange(len(rows)) + 1.3 * np.cumsum(opens)
    height = float(at[-1]) + 1.0
    base = layout(title, subtitle, plot=int(ROLE_ROW * height), left=ROLE_LEFT, scheme=scheme)
    heads = [
        {
            "xref": "paper",
            "yref": "y",
            "x": 0,
            "xshift": -ROLE_LEFT + 8,
            "y": y - 1.05,
            "xanchor": "left",
            "showarrow": False,
            "text": f"<b>{AHEAD_WORDS.get(name, label(name))}</b>",
            "font": {"size": 12, "color": palette.ink},
        }
        for name, y in zip(rows["horizon"][opens], at[opens], strict=True)
    ]
    names = {
        "range": [height, 0.0],
        "tickvals": at,
        "ticktext": [roles[0] for roles in rows["role"]],
        "ticklabelstandoff": 6,
        "showgrid": False,
        "fixedrange": True,
    }
    return at, base | {"yaxis": names, "annotations": [*base["annotations"], *heads]}


MODEL_ROW, MODEL_LEFT = 24, 172
# Models of `scores` that are no candidates: what the licence would have drawn at each origin, and the weekly quantiles
# of the table `peaks`.
AS_DRAWN, PEAKS, WEEKS_P95 = "licensed", "peaks", "peaks-p95"
OF_WEEKS = (PEAKS, WEEKS_P95)
# Shapes stand before words: on a narrow screen the words may be cut off, and the caption below says what the shapes
# mean.
BEST, DRAWN, BASELINE = ("\u2605", "best"), ("\u25a0", "drawn"), ("\u25cb", "best baseline")
SCORES = {
    "mase": "MASE",
    "wape": "WAPE",
    "bias": "Bias",
    "pinball": "Pinball loss",
    "coverage_50": "50 % coverage",
    "coverage_80": "80 % coverage",
    "coverage_95": "95 % coverage",
    "msis_95": "MSIS, 95 %",
}
MEANINGS = {
    "mase": "mean absolute error over that of repeating the season before; lower is better",
    "wape": "absolute error over what was measured; lower is better",
    "bias": "mean of expected less measured, over measured; nearer to zero is better",
    "pinball": "mean loss over the published quantiles; lower is better",
    "coverage_50": "share of hours inside the 50 % interval; nearer to 50 % is better",
    "coverage_80": "share of hours inside the 80 % interval; nearer to 80 % is better",
    "coverage_95": "share of hours inside the 95 % interval; nearer to 95 % is better",
    "msis_95": "width of the 95 % interval and what it missed, scaled; lower is better",
}
SHARES = frozenset({"wape", "bias", "coverage_50", "coverage_80", "coverage_95"})


@dataclass(frozen=True)
class Leaderboard:
    """One horizon: `rows` are model, value, origins; `drawn` and `baseline` name models of the licence."""

    horizon: str
    score: str
    metric: str
    rows: pd.DataFrame
    drawn: str = ""
    baseline: str = ""
    scheme: Scheme = "light"


def badness(score: str, values: pd.Series) -> pd.Series:
    """How far from the best possible value each is: zero is best."""
    nominal = float(score.removeprefix("coverage_")) / 100 if score.startswith("coverage_") else 0.0
    return (values - nominal).abs()


def best_first(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """The rows with the best model first; a tie stays in the order of names."""
    known = rows.dropna(subset="value").sort_values("model")
    return known.loc[badness(score, known["value"]).sort_values(kind="stable").index].reset_index(drop=True)


def written(score: str, value: float) -> str:
    """A score as text."""
    return percent(value) if score in SHARES else significant(value)


def is_drawn(spec: Leaderboard, model: str) -> bool:
    """Whether a row is what the licence draws: under its own name, or as what was drawn at each origin, before the next
    was known.
    """
    return model in (spec.drawn, AS_DRAWN)


def marks(spec: Leaderboard, rows: pd.DataFrame) -> list[str]:
    """The words beside each model's bar. The best is named among the models, without the forecast that is drawn."""
    best = next((model for model in rows["model"] if model != AS_DRAWN), None)
    told = (
        (BEST, lambda model: model == best),
        (DRAWN, lambda model: is_drawn(spec, model)),
        (BASELINE, lambda model: model == spec.baseline),
    )
    held = ([mark for mark, holds in told if holds(model)] for model in rows["model"])
    return [f"{''.join(shape for shape, _ in found)} {', '.join(word for _, word in found)}".strip() for found in held]


def leaderboard(spec: Leaderboard) -> go.Figure:
    """Bars from zero, the best model on top."""
    palette, rows = PALETTES[spec.scheme], best_first(spec.rows, spec.score)
    factor = 100.0 if spec.score in SHARES else 1.0
    subtitle = f"{SCORES.get(spec.score, spec.score)}, {_origins(rows)}"
    base = layout(
        f"{spec.horizon} ahead", subtitle, plot=MODEL_ROW * max(len(rows), 2), left=MODEL_LEFT, scheme=spec.scheme
    )
    texts = [
        f"{written(spec.score, value)}  {said}" for value, said in zip(rows["value"], marks(spec, rows), strict=True)
    ]
    colours = [hue(spec.metric, spec.scheme) if is_drawn(spec, model) else palette.context for model in rows["model"]]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": np.arange(len(rows)),
        "x": rows["value"].to_numpy(dtype=float) * factor,
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": colours},
        "textfont": {"size": 12, "color": palette.ink},
        "hovertext": [f"{label(model_words(model))}: {text}" for model, text in zip(rows["model"], texts, strict=True)],
        "hoverinfo": "text",
    }
    return go.Figure({"data": [bars], "layout": base | _axes(rows, factor)})


def _origins(rows: pd.DataFrame) -> str:
    least, most = (int(rows["origins"].min()), int(rows["origins"].max())) if len(rows) else (0, 0)
    return f"{most} backtests" if least == most else f"{least} to {most} backtests"


def _axes(rows: pd.DataFrame, factor: float) -> dict[str, Any]:
    """Names at the left; to the right of the longest bar room for the words."""
    low, high = min(0.0, float(rows["value"].min()) * factor), max(0.0, float(rows["value"].max()) * factor)
    span = (high - low) or 1.0
    names = [label(model_words(model), 26) for model in rows["model"]]
    return {
        "xaxis": {
            "range": [1.1 * low, high + 0.62 * span],
            "fixedrange": True,
            "zeroline": True,
            "nticks": 5,
            "ticksuffix": " %" if factor != 1.0 else "",
        },
        "yaxis": names_axis(names, 2),
    }
