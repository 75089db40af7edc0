"""Axes: stamps as a zone's local time, values in the unit of their size, and round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.charts.downsample import LIMIT, thin
from app.theme import Unit, localize

Trace = dict[str, Any]
Values = npt.NDArray[np.float32]
HISTORY_POINTS, CONTEXT_POINTS = 700, 250  # what was measured may be zoomed into; what surrounds it is smooth
COARSE: tuple[Literal["h", "m"], ...] = ("h", "m")  # no finer than needed: each character is sent for each point
FINE: Literal["ms"] = "ms"
# Marks stay as they are where another is clicked.
STEADY: Trace = {"unselected": {"marker": {"opacity": 1}}}
# Plotly selects marks that are clicked, and no lines: a line with these can be clicked anywhere, and looks the same.
CLICKABLE: Trace = {"mode": "lines+markers", "marker": {"opacity": 0, "size": 1, "maxdisplayed": 1}}
EVEN = 4  # rows at even stamps for the bytes of one at a stamp of its own, which is written out


def written(stamps: pd.Series, zone: str) -> npt.NDArray[np.object_]:
    """Stamps in UTC as the zone's local time, written out: a number would be shifted to the browser's own zone without
    a word. None where one is missing.
    """
    naive = localize(stamps, zone).to_numpy(dtype="datetime64[ms]")
    missing = np.isnat(naive)
    finest = next((step for step in COARSE if (missing | (naive.astype(f"datetime64[{step}]") == naive)).all()), FINE)
    texts = np.datetime_as_string(naive, unit=finest).astype(object)
    texts[missing] = None
    return np.asarray(texts)


def lengths(first: pd.Series, last: pd.Series, zone: str) -> npt.NDArray[np.float64]:
    """From first to last (both UTC) in milliseconds of the zone's local time."""
    return np.asarray((localize(last, zone) - localize(first, zone)) / pd.Timedelta(1, "ms"), dtype=float)


def instant(moment: pd.Timestamp, zone: str) -> str:
    """One stamp in UTC as the zone's local time, written out."""
    return str(written(pd.Series([moment]), zone)[0])


def values(column: pd.Series, unit: Unit) -> Values:
    """A column in the axis' unit, in the seven digits that a screen can show."""
    return np.asarray(column.to_numpy(dtype=float, na_value=np.nan) * unit.factor, dtype=np.float32)


def times(frame: pd.DataFrame, zone: str) -> Trace:
    """The x of a trace: first stamp and step where the stamps are even, which spares sending them one by one."""
    steps = localize(frame["ts"], zone).diff().iloc[1:]
    if len(steps) > 1 and _same(steps):
        return {"x0": instant(frame["ts"].iloc[0], zone), "dx": steps.iloc[0] / pd.Timedelta(1, "ms")}
    return {"x": written(frame["ts"], zone)}


def drawable(frame: pd.DataFrame, columns: Sequence[str], limit: int) -> pd.DataFrame:
    """The frame with a null row where stamps are absent, thinned to `limit` rows; left whole where its stamps are even
    and cost no more than that.
    """
    whole = with_breaks(frame)
    return whole if len(whole) <= min(EVEN * limit, LIMIT) and even(whole) else thin(whole, columns, limit)


def even(frame: pd.DataFrame) -> bool:
    """Whether all stamps are the same step apart."""
    return _same(frame["ts"].diff().iloc[1:])


def _same(steps: pd.Series) -> bool:
    return len(steps) == 0 or bool((steps == steps.iloc[0]).all())


def with_breaks(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with one null row wherever two stamps are further apart than the frame's usual step."""
    steps = frame["ts"].diff()
    usual = steps.median()
    if len(frame) < 3 or not (breaks := steps > 1.5 * usual).any():
        return frame
    absent = pd.DataFrame({"ts": frame["ts"].shift()[breaks] + usual})
    return pd.concat([frame, absent]).sort_values("ts", ignore_index=True)


def ticks(bottom: float, top: float, unit: Unit, wanted: int = 4) -> tuple[list[float], list[str]]:
    """Round values from bottom to top (in the unit), and their texts; the highest one names the unit."""
    step = round_step((top - bottom) / wanted)
    found = [n * step for n in range(math.ceil(bottom / step - 1e-9), math.floor(top / step + 1e-9) + 1)]
    decimals = len(f"{step:.9f}".rstrip("0").partition(".")[2])
    texts = [f"{value:,.{decimals}f}" if value else "0" for value in found]
    return found, [*texts[:-1], f"{texts[-1]} {unit.word.split()[0]}"] if texts else []


def round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not under `least`."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= least * (1 - 1e-9))
