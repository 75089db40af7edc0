"""Screens the telemetry of a lake before it is forecast from, and keeps what is set aside in the tables `set_aside` and
`level_changes`: every query of telemetry, and its rollups, leave those samples out (data/lake/query.py).

Only days whose highest sample is suspect are looked at by sample, so that a lake without any costs one query of daily
figures. Each refresh decides anew from the samples as they were measured: what a later sample explains comes back.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from data.lake.rollups import refresh_rollups
from data.lake.tables import Change, Lake, Pin, TableState, conform
from data.queries import Extent, model_inputs
from data.schema import DEMAND_METRICS, TABLES
from forecasting.models.engine import YEARLY_HISTORY
from forecasting.panel.screening import DAY, HOUR, Screened, screen, suspect_days

KEEP = "keep"


class LakeScreened(NamedTuple):
    """Rows of the tables `set_aside` and `level_changes`."""

    set_aside: pd.DataFrame
    level_changes: pd.DataFrame


def update_set_aside(lake: Lake, pin: Pin, telemetry: Extent) -> bool:
    """Screen the demand of every site, write what changed, and bring the rollups up to it; whether anything changed."""
    start = (telemetry.now - YEARLY_HISTORY).floor("D")
    screened = screen_lake(lake, pin, telemetry)
    older = (
        lake.read("set_aside", pin.version("set_aside")).to_pandas() if pin.version("set_aside") is not None else None
    )
    rows = screened.set_aside
    if older is not None:  # what lies before the history that is forecast from stays as it was decided
        rows = pd.concat([older[older["ts"] < start], rows], ignore_index=True)
    changed = [
        _replace(lake, name, frame) for name, frame in (("set_aside", rows), ("level_changes", screened.level_changes))
    ]
    if changed[0]:
        refresh_rollups(lake)
    return any(changed)


def screen_lake(lake: Lake, pin: Pin, telemetry: Extent) -> LakeScreened:
    """What is to be set aside of the demand of every site, and its lasting changes; an event with the treatment "keep" leaves
    the samples within it.
    """
    start = (telemetry.now - YEARLY_HISTORY).floor("D")
    aside, changes = list[pd.DataFrame](), list[pd.DataFrame]()
    for metric in DEMAND_METRICS:
        if metric in telemetry.metrics:
            for site, screened in _screen_metric(pin, metric, start, telemetry.now):
                aside.append(screened.set_aside.assign(site_id=site, metric=metric))
                changes.append(screened.level_changes.assign(site_id=site, metric=metric))
    rows = pd.concat(aside, ignore_index=True) if aside else TABLES["set_aside"].schema.empty_table().to_pandas()
    levels = (
        pd.concat(changes, ignore_index=True) if changes else TABLES["level_changes"].schema.empty_table().to_pandas()
    )
    rows = rows[~_kept(rows, lake, pin)]
    by_series = rows.groupby(["site_id", "metric"])["ts"].agg(set) if len(rows) else {}
    levels["is_set_aside"] = [
        ts in by_series.get((site, metric), ())
        for site, metric, ts in zip(levels["site_id"], levels["metric"], levels["ts"], strict=True)
    ]
    return LakeScreened(rows, levels)


def _screen_metric(pin: Pin, metric: str, start: pd.Timestamp, end: pd.Timestamp) -> list[tuple[str, Screened]]:
    """What was screened of one metric, by site, of the sites with suspect days."""
    highs = model_inputs.daily_highs(pin, metric, start, end)
    if highs.empty:
        return []
    axis = pd.date_range(highs["ts"].min(), highs["ts"].max(), freq=DAY, unit="us")
    values, capacity = (
        highs.pivot_table(index="ts", columns="site_id", values=column, dropna=False).reindex(axis).astype(float)
        for column in ("value", "capacity_gbps")
    )
    capacity = capacity.reindex(columns=values.columns)
    at, of = np.nonzero(suspect_days(values, capacity).to_numpy())
    days = pd.DataFrame({"date": axis[at], "site_id": values.columns[of]})
    if days.empty:
        return []
    around = pd.concat([days.assign(date=days["date"] + DAY * off) for off in (-1, 0, 1)]).drop_duplicates(
        ignore_index=True
    )
    sites = tuple(sorted(days["site_id"].unique()))
    samples = model_inputs.samples_as_measured(pin, metric, around)
    hours = model_inputs.hourly_highs(pin, metric, sites, start, end).set_index("ts").groupby("site_id")["value"]
    hours_of = {site: of_site.asfreq(HOUR) for site, of_site in hours}
    return [
        (site, screen(of_site["value"], hours_of[site], of_site["capacity_gbps"]))
        for site, of_site in samples.set_index("ts").groupby("site_id")
        if site in hours_of
    ]


def _kept(rows: pd.DataFrame, lake: Lake, pin: Pin) -> pd.Series:
    """True for samples within an event with the treatment "keep"."""
    kept = pd.Series(False, index=rows.index)
    events = lake.read("events", pin.version("events")).to_pandas() if len(rows) else None
    if events is None or not (events["treatment"] == KEEP).any():
        return kept
    sites = lake.read("sites", pin.version("sites")).to_pandas().set_index("site_id")["region_id"]
    regions = rows["site_id"].map(sites)
    for event in events[events["treatment"] == KEEP].itertuples():
        scope = event.scope if isinstance(event.scope, str) else "global"
        inside = (rows["site_id"] == scope) | (regions == scope) | (scope == "global")
        kept |= inside & (rows["ts"] >= event.start) & (rows["ts"] < event.end)
    return kept


def _replace(lake: Lake, name: str, rows: pd.DataFrame) -> bool:
    """Write a table anew where its rows differ; whether they do. A table that would be empty is not made."""
    if rows.empty and lake.version(name) is None:
        return False
    table, changed = TABLES[name], list[bool]()
    fresh = conform(table, pa.Table.from_pandas(rows, preserve_index=False)).sort_by(
        [(column, "ascending") for column in table.key]
    )

    def change(stored: TableState) -> Change | None:
        changed.append(not stored.rows().equals(fresh))
        return Change(fresh, whole=True) if changed[-1] else None

    lake.commit(name, change)
    return changed[-1]
