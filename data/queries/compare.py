"""Places, or one place at several times, side by side: their hours on one axis, their hours of the week, and totals,
peaks and change.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.lake.query import Scope, reads
from data.lake.tables import Pin
from data.queries.series import capacity_steps, history
from data.schema import DIRECTION_OF, Level

# A mean of 1 Gbps over an hour, in TB.
TB_OF_GBPS_HOUR = 3600 / 8 / 1000


class Subject(NamedTuple):
    """What is compared: a place over start <= ts < end (whole hours, UTC)."""

    level: Level
    key: str
    start: datetime
    end: datetime


class Comparison(NamedTuple):
    """Frames whose `subject` is the position of each subject.

    hours: subject, ts (moved onto the span of the first subject), value (hourly mean), share (of the capacity installed),
    index (of the subject's own mean).
    week: subject, hour (0 to 167 from Monday 00:00 in the zone), value, share, index: the mean of such hours.
    table: subject, mean, peak (highest sample), peak_at (start of its hour), peak_share (the highest hourly mean over
    capacity), p95 (of the hourly means), total (TB, or hours watched), change (of the mean, against the base, over the
    hours that both have; null for the base).
    base: the subject that changes are against: the first place, or the last of several times of one place.
    """

    hours: pd.DataFrame
    week: pd.DataFrame
    table: pd.DataFrame
    base: int


@reads(history, capacity_steps)
def compare(pin: Pin, scope: Scope, subjects: tuple[Subject, ...], metric: str, zone: str) -> Comparison:
    """A metric of each subject, from the hourly figures."""
    direction = DIRECTION_OF.get(metric)
    parts = []
    for subject in subjects:
        rows = history(pin, scope, subject.level, subject.key, (metric,), subject.start, subject.end, "1h")
        steps = capacity_steps(pin, scope, subject.level, subject.key, direction) if direction else None
        parts.append(hours_of(rows, metric, steps))
    is_one_place = len({(subject.level, subject.key) for subject in subjects}) == 1
    base = len(subjects) - 1 if is_one_place else 0
    return compare_hours(parts, base, is_traffic=direction is not None, zone=zone)


def hours_of(rows: pd.DataFrame, metric: str, steps: pd.DataFrame | None) -> pd.DataFrame:
    """ts, value, max, share, index of one subject. `rows` as of `history`, `steps` as of `capacity_steps`."""
    hours = rows[["ts", f"{metric}_mean", f"{metric}_max"]].set_axis(["ts", "value", "max"], axis=1)
    limit = pd.Series(np.nan, hours.index)
    if steps is not None and len(steps):
        installed = steps.loc[steps["status"] == "installed", ["effective_from", "capacity_gbps"]]
        limit = pd.merge_asof(hours[["ts"]], installed, left_on="ts", right_on="effective_from")["capacity_gbps"]
    mean = hours["value"].mean()
    return hours.assign(
        share=hours["value"] / limit.where(limit > 0), index=hours["value"] / mean if mean > 0 else np.nan
    )


def compare_hours(parts: list[pd.DataFrame], base: int, *, is_traffic: bool, zone: str) -> Comparison:
    """The comparison of subjects whose hours are given, as `hours_of` has them."""
    origin = parts[0]["ts"].min()
    moved = [part.assign(ts=part["ts"] + (origin - part["ts"].min())) for part in parts]
    columns = ["value", "share", "index"]
    weeks = []
    for part in parts:
        local = part["ts"].dt.tz_convert(zone)
        weeks.append(
            part.groupby((local.dt.day_of_week * 24 + local.dt.hour).rename("hour"))[columns].mean().reset_index()
        )
    return Comparison(
        _stacked(moved, ["ts", *columns]),
        _stacked(weeks, ["hour", *columns]),
        pd.DataFrame([_row(n, base, parts, moved, is_traffic=is_traffic) for n in range(len(parts))]),
        base,
    )


def _stacked(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat([part[columns].assign(subject=n) for n, part in enumerate(parts)], ignore_index=True)


def _row(
    number: int, base: int, parts: list[pd.DataFrame], moved: list[pd.DataFrame], *, is_traffic: bool
) -> dict[str, object]:
    part = parts[number]
    value, highest = part["value"], part["max"]
    both = moved[base][["ts", "value"]].merge(moved[number][["ts", "value"]], on="ts", suffixes=("_base", "")).dropna()
    before = both["value_base"].mean()
    return {
        "subject": number,
        "mean": value.mean(),
        "peak": highest.max(),
        "peak_at": part.loc[highest.idxmax(), "ts"] if highest.notna().any() else pd.NaT,
        "peak_share": part["share"].max(),
        "p95": value.quantile(0.95),
        "total": value.sum(min_count=1) * (TB_OF_GBPS_HOUR if is_traffic else 1.0),
        "change": both["value"].mean() / before - 1 if number != base and before > 0 else np.nan,
    }
