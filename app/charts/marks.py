"""What is written on a chart besides its lines: now and the future, capacity, what is missing, and points outside the
band.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.charts.axes import STEADY, Trace, instant, lengths, times, values, written
from app.theme import DASH, Palette, Unit, day, gbps, label, local, metric_value, percent, significant

# equal parts of the time shown; of points outside the band the furthest of each is marked, so that marks stay apart
OUTSIDE_SLOTS = 100
CAPACITY_REACH = (
    2.0  # a limit further above the data than this would squash them: it is written at the top edge instead
)
Note = dict[str, Any]


def halo(colour: str, palette: Palette) -> dict[str, Any]:
    """The font of a word that may stand on lines: small, with a rim of the ground's colour."""
    rim = ", ".join(f"{x}px {y}px 1px {palette.ground}" for x in (-1, 1) for y in (-1, 1))
    return {"size": 11, "color": colour, "shadow": rim}


def future(now: pd.Timestamp, end: pd.Timestamp, zone: str, palette: Palette) -> list[dict[str, Any]]:
    """The thin line of now, and the faint ground after it (drawn on past the end, for those who pan)."""
    x, beyond = instant(now, zone), instant(now + 4 * max(end - now, pd.Timedelta(0)), zone)
    area = {"xref": "x", "yref": "y domain", "y0": 0, "y1": 1}
    line = area | {"type": "line", "x0": x, "x1": x, "line": {"color": palette.muted, "width": 1}}
    ground = area | {
        "type": "rect",
        "x0": x,
        "x1": beyond,
        "fillcolor": palette.future,
        "layer": "below",
        "line": {"width": 0},
    }
    return [ground, line] if now < end else [line]


def now_note(now: pd.Timestamp, start: pd.Timestamp, end: pd.Timestamp, zone: str, palette: Palette) -> Note:
    """The word above the line of now, on the side where there is room."""
    share = (now - start) / (end - start)
    anchor = "right" if share > 0.75 else "left" if share < 0.25 else "center"
    return {
        "xref": "x",
        "yref": "y domain",
        "x": instant(now, zone),
        "y": 1,
        "yanchor": "bottom",
        "xanchor": anchor,
        "showarrow": False,
        "text": f"now, {local(now, zone):%H:%M}",
        "font": {"size": 11, "color": palette.muted},
    }


# --- capacity
# ----------------------------------------------------------------------------------------------------------------


def steps_between(capacity: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """The steps of capacity that hold between start and end, the first of them from start on."""
    ordered = capacity.sort_values("effective_from").reset_index(drop=True)
    before = ordered[ordered["effective_from"] <= start].tail(1).assign(effective_from=start)
    return pd.concat(
        [before, ordered[(ordered["effective_from"] > start) & (ordered["effective_from"] < end)]], ignore_index=True
    )


def capacity_lines(steps: pd.DataFrame, end: pd.Timestamp, zone: str, unit: Unit, colour: str) -> Iterator[Trace]:
    """A step line: solid while what is installed holds, dashed from the first planned step on."""
    planned = (steps["status"] == "planned").cummax()
    solid, dashed = steps[~planned], steps[planned]
    built = dashed["effective_from"].min() if len(dashed) else end
    for name, part, until, dash in (("capacity", solid, built, "solid"), ("planned capacity", dashed, end, DASH)):
        if len(part):
            last = part.tail(1).assign(effective_from=until)
            drawn = pd.concat([part, last])
            line = {"color": colour, "width": 1.5, "shape": "hv", "dash": dash}
            yield {"type": "scatter", "mode": "lines", "name": name, "line": line, "hoverinfo": "skip"} | {
                "x": written(drawn["effective_from"], zone),
                "y": values(drawn["capacity_gbps"], unit),
            }


def capacity_notes(
    steps: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp, zone: str, unit: Unit, top: float, palette: Palette
) -> Iterator[Note]:
    """The value of each step, written on it: the last one at the right end, where zooming leaves it in sight, the
    others where they begin.

    One that would touch another stays without; hovering tells it.
    """
    taken: list[tuple[float, float]] = []
    for number, step in reversed([*enumerate(steps.itertuples())]):
        last, y = number == len(steps) - 1, step.capacity_gbps * unit.factor
        share = 0.6 if last else (step.effective_from - start) / (end - start)
        if y > top or any(abs(share - other) < 0.4 and abs(y - height) < 0.06 * top for other, height in taken):
            continue
        taken.append((share, y))
        planned = f"planned {gbps(step.capacity_gbps)}, {day(local(step.effective_from, zone))}"
        place = (
            {"xref": "x domain", "x": 1, "xanchor": "right"}
            if last
            else {"xref": "x", "x": instant(step.effective_from, zone), "xanchor": "left"}
        )
        yield place | {
            "yref": "y",
            "y": y,
            "yanchor": "bottom",
            "xshift": -3 if last else 2,
            "showarrow": False,
            "text": planned if step.status == "planned" else f"capacity {gbps(step.capacity_gbps)}",
            "font": halo(palette.words["capacity"], palette),
        }


def capacity_above(capacity: float, highest: float, colour: str) -> Note:
    """Capacity far above the data: an arrow at the top edge, with how much of it the highest value drawn is, which may
    be one of the forecast.
    """
    return {
        "xref": "x domain",
        "yref": "y domain",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "top",
        "xshift": 4,
        "showarrow": False,
        "text": f"\u25b2 capacity {gbps(capacity)} (highest drawn: {percent(highest / capacity)})",
        "font": {"size": 11, "color": colour},
    }


def nothing(palette: Palette, *lines: str) -> Note:
    """What an empty chart says in its middle."""
    middle = {"xref": "x domain", "yref": "y domain", "x": 0.5, "y": 0.5, "showarrow": False}
    return middle | {"text": "<br>".join(label(line) for line in lines), "font": {"size": 12, "color": palette.muted}}


# --- what is missing, what is outside
# ------------------------------------------------------------------------------------------


def hatching(gaps: pd.DataFrame, bottom: float, top: float, zone: str, palette: Palette) -> Iterator[Trace]:
    """Stretches without data (start, end, names), hatched and named where the name fits."""
    if len(gaps) == 0:
        return
    yield {
        "type": "bar",
        "name": "no data",
        "x": written(gaps["start"], zone),
        "width": lengths(gaps["start"], gaps["end"], zone),
        "offset": 0,
        "base": bottom,
        "y": np.full(len(gaps), top - bottom, dtype=np.float32),
        "marker": {
            "color": "rgba(0,0,0,0)",
            "line": {"width": 0},
            "pattern": {"shape": "/", "fgcolor": palette.context, "size": 6, "solidity": 0.12},
        },
        "text": [f"no data: {label(name, 36)}" for name in gaps["names"]],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textfont": {"size": 11, "color": palette.muted},
        "hovertemplate": "%{text}<extra></extra>",
    }


def outside(history: pd.DataFrame, bands: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """The measured values outside their 95 % band: the furthest of each of equal parts of the time from start to
    end.
    """
    both = history.merge(bands[["ts", "lower_95", "upper_95"]], on="ts", how="inner")
    beyond = np.maximum(both["value"] - both["upper_95"], both["lower_95"] - both["value"])
    found = both.assign(beyond=beyond)[beyond > 0]
    furthest = found.groupby((found["ts"] - start) // ((end - start) / OUTSIDE_SLOTS))["beyond"].idxmax()
    return found.loc[furthest, ["ts", "value"]]


def diamonds(
    found: pd.DataFrame, zone: str, unit: Unit, palette: Palette, noun: str, how: str = "outside its 95 % band"
) -> Iterator[Trace]:
    """Points outside the band."""
    if len(found):
        marker = {"symbol": "diamond", "size": 7, "color": palette.ground, "line": {"color": palette.ink, "width": 1.5}}
        mark = {"type": "scatter", "mode": "markers", "name": "outside the 95 % band", "marker": marker}
        yield (
            mark
            | STEADY
            | times(found, zone)
            | {"y": values(found["value"], unit), "hovertemplate": f"{noun} {how}<extra></extra>"}
        )


# Samples that are set aside stand at most so high on the axis: they lie outside its scale.
SET_ASIDE_SHARE, SET_ASIDE_POINTS = 0.93, 300


def crosses(set_aside: pd.DataFrame, top: float, zone: str, unit: Unit, palette: Palette) -> Iterator[Trace]:
    """Samples that are set aside (ts, name, value, reason), at the top of the axis where they lie above it."""
    if len(set_aside):
        set_aside = set_aside.iloc[:: max(1, len(set_aside) // SET_ASIDE_POINTS)]
        drawn = set_aside["value"].clip(upper=SET_ASIDE_SHARE * top / unit.factor)
        words = [
            f"set aside at {label(name, 36)}: {significant(value * unit.factor)} {unit.word}, {label(reason, 90)}"
            for name, value, reason in zip(set_aside["name"], set_aside["value"], set_aside["reason"], strict=True)
        ]
        marker = {"symbol": "x-thin", "size": 8, "line": {"color": palette.ink, "width": 2}}
        yield (
            {"type": "scatter", "mode": "markers", "name": "set aside", "marker": marker}
            | STEADY
            | times(set_aside, zone)
            | {"y": values(drawn, unit), "text": words, "hovertemplate": "%{text}<extra></extra>"}
        )


def set_aside_note(
    set_aside: pd.DataFrame,
    start: pd.Timestamp,
    end: pd.Timestamp,
    *,
    zone: str,
    metric: str,
    palette: Palette,
) -> Iterator[Note]:
    """What the crosses are, beside the newest, with the highest value."""
    if len(set_aside):
        at = set_aside["ts"].iloc[-1]
        left = (at - start) / (end - start) < 0.3  # to the right lies what the coming weeks are labelled with
        yield {
            "xref": "x",
            "yref": "y domain",
            "x": instant(at, zone),
            "y": SET_ASIDE_SHARE,
            "xanchor": "left" if left else "right",
            "xshift": 7 if left else -7,
            "yanchor": "middle",
            "showarrow": False,
            "text": f"set aside, {metric_value(metric, float(set_aside['value'].max()))}",
            "font": halo(palette.ink, palette),
        }


def lone(frame: pd.DataFrame, zone: str, unit: Unit, colour: str) -> Iterator[Trace]:
    """Values with nothing on either side, which a line alone would not show."""
    there = frame["value"].notna()
    alone = frame[there & ~there.shift(fill_value=False) & ~there.shift(-1, fill_value=False)]
    if len(alone):
        marker = {"size": 4, "color": colour}
        yield (
            {"type": "scatter", "mode": "markers", "name": "actual", "marker": marker, "hoverinfo": "skip"}
            | times(alone, zone)
            | {"y": values(alone["value"], unit)}
        )


def installed_capacity(stamps: pd.Series, steps: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The installed capacity of one place in Gbps at each stamp, from its steps as the query `capacity_steps` gives them;
    not a number before the first one.
    """
    installed = steps[steps["status"] == "installed"].sort_values("effective_from", kind="stable")
    # The last place is what stamps before the first step find.
    gbps = np.append(installed["capacity_gbps"].to_numpy(dtype=float), np.nan)
    starts = pd.DatetimeIndex(pd.to_datetime(installed["effective_from"], utc=True))
    return np.asarray(gbps[starts.searchsorted(pd.DatetimeIndex(stamps), side="right") - 1])


def utilisation(values_gbps: pd.Series, limit_gbps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Value over capacity; not a number where there is none."""
    return np.asarray(values_gbps.to_numpy(dtype=float, na_value=np.nan) / np.where(limit_gbps > 0, limit_gbps, np.nan))
