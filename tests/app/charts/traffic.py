"""A region's fortnight and the one to come, to draw charts of; and how a figure is read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

NOW = pd.Timestamp("2026-11-20 09:00", tz="UTC")
START, END = NOW - pd.Timedelta(14, "D"), NOW + pd.Timedelta(14, "D")
HOUR = pd.Timedelta(1, "h")
GAP = slice(100, 110)
SURGE, DIP = 200, 260


def usual(stamps: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Traffic in Gbps by hour of the day."""
    return 200 + 80 * np.sin((stamps.hour.to_numpy() - 9) / 24 * 2 * np.pi)


def stamps(start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
    return pd.date_range(start, end, freq="h").as_unit("us")


def history() -> pd.DataFrame:
    """Two weeks by the hour: ten hours missing, one far above its band, one far below."""
    ts = stamps(START, NOW)
    value = usual(ts)
    value[GAP], value[SURGE], value[DIP] = np.nan, 390.0, 10.0
    return pd.DataFrame({"ts": ts, "value": value})


def forecast() -> pd.DataFrame:
    ts = stamps(NOW, END + 30 * 24 * HOUR)
    y = usual(ts)
    widths = {"q025": 0.8, "q10": 0.9, "q25": 0.95, "q50": 1.0, "q75": 1.05, "q90": 1.1, "q975": 1.2}
    return pd.DataFrame({"ts": ts, "yhat": y, **{name: y * width for name, width in widths.items()}})


def bands() -> pd.DataFrame:
    ts = stamps(START, NOW + 48 * HOUR)
    y = usual(ts)
    return pd.DataFrame(
        {"ts": ts, "expected": y, "lower_80": 0.95 * y, "upper_80": 1.05 * y, "lower_95": 0.9 * y, "upper_95": 1.1 * y}
    )


def capacity(*steps: tuple[pd.Timestamp, float, str]) -> pd.DataFrame:
    return pd.DataFrame(steps, columns=["effective_from", "capacity_gbps", "status"])


def events(*known: tuple[str, str, float, float]) -> pd.DataFrame:
    """Events as title, kind, and days from now to start and end."""
    rows = [
        (title, kind, NOW + pd.Timedelta(start, "D"), NOW + pd.Timedelta(end, "D")) for title, kind, start, end in known
    ]
    return pd.DataFrame(rows, columns=["title", "kind", "start", "end"])


def named(figure: go.Figure, name: str) -> list[Any]:
    return [trace for trace in figure.data if trace.name == name]


def moments(trace: Any) -> pd.DatetimeIndex:
    """The stamps of a trace as they are drawn: naive, written out so that no browser takes them for its own time."""
    if trace.x is None:
        return pd.DatetimeIndex(pd.Timestamp(trace.x0) + np.arange(len(trace.y)) * pd.Timedelta(trace.dx, "ms"))
    assert all(isinstance(stamp, str) for stamp in trace.x)
    return pd.DatetimeIndex([pd.Timestamp(stamp) for stamp in trace.x])


def words(figure: go.Figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]
