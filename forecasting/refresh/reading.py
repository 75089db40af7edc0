"""From a pinned lake to a panel."""

from __future__ import annotations

import pandas as pd

from data.lake.query import EVERYTHING
from data.lake.tables import Lake, Pin
from data.queries import Extent, extent, weekly
from data.queries import model_inputs as training
from data.schema import DEMAND_METRICS
from data.schema.errors import LakeError
from forecasting.models.series_spec import RESIDUAL_SPAN, YEARLY_HISTORY
from forecasting.panel.panel import HOUR, Panel, Sources, build
from forecasting.peaks.weekly_peaks import PEAK_HISTORY

# An ingest makes the rollups in the same breath; a day behind, one has been cut off.
ROLLUPS_BEHIND_AT_MOST = pd.Timedelta(days=1)


def telemetry_extent(pin: Pin) -> Extent:
    """The telemetry that there is; raises LakeError where there is none."""
    held = extent(pin, EVERYTHING)
    if held is None:
        raise LakeError(
            f"The lake {pin.url} holds no telemetry to forecast from.",
            cause="nothing was taken in yet, or --lake names another folder",
            remedy="take in snapshots with `python -m data ingest PATH`, or make a simulated lake with `python -m data demo`",
        )
    return held


def read_panel(pin: Pin, held: Extent) -> Panel:
    """Demand (egress, ingest and viewers, where measured) of every site and region and of the network."""
    metrics = [name for name in DEMAND_METRICS if name in held.metrics]
    if not metrics:
        raise LakeError(
            f"The telemetry of the lake {pin.url} has no value of {', '.join(DEMAND_METRICS)}.",
            cause="the columns were exported empty, or under other names",
            remedy="take in snapshots that fill one of them",
        )
    hours = training.hourly(pin, metrics, held.now - YEARLY_HISTORY, held.now)
    newest = hours["ts"].max() if len(hours) else held.first
    if held.now - newest > ROLLUPS_BEHIND_AT_MOST and training.measured_since(pin, newest + HOUR, held.now):
        raise LakeError(
            f"The hourly figures end at {newest:%Y-%m-%d %H:%M} UTC, the telemetry at {held.now:%Y-%m-%d %H:%M} UTC.",
            cause="an ingest was cut off before it rolled its rows up",
            remedy="make them anew with `python -m data rollup`",
        )
    lake = Lake(pin.url)
    sites, events = (lake.read(name, pin.version(name)).to_pandas() for name in ("sites", "events"))
    samples = training.samples(pin, metrics, held.now - RESIDUAL_SPAN, held.now)
    regions, zones, countries = (
        sites.set_index("site_id")[name].dropna().to_dict() for name in ("region_id", "timezone", "country")
    )
    weeks = weekly(pin, EVERYTHING, tuple(metrics), held.now - PEAK_HISTORY, held.now)
    return build(
        Sources(
            hours, samples, regions, events, held.now, pd.Timedelta(seconds=held.grain_seconds), zones, weeks, countries
        ),
        metrics,
    )
