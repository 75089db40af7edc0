"""Small networks for the tests of the forecasts, as panels and as lakes, made of numbers that a test can know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.schema import QUANTILES, Series
from forecasting.models.engine import BAND_COLUMNS, FORECAST_COLUMNS, STATUS_COLUMNS, EngineResult, ForecastOptions
from forecasting.panel.panel import NO_WEEKS, Panel, Sources, build

NOW = pd.Timestamp("2026-03-20 12:00", tz="UTC")
FIVE_MINUTES = pd.Timedelta(minutes=5)
REGIONS = {"fra-01": "eu", "ams-01": "eu", "nrt-01": "asia"}
EVENT_COLUMNS = ["event_id", "kind", "title", "start", "end", "scope", "treatment"]
Reals = npt.NDArray[np.float64]


class Here(Executor):
    """Runs each task at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except (ValueError, RuntimeError, ArithmeticError, TypeError, LookupError) as error:
            future.set_exception(error)
        return future


class Steady:
    """An engine that expects the mean of each series for ever; `met` are the panels that it was given."""

    name = "steady"

    def __init__(self) -> None:
        self.met: list[Panel] = []

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        self.met.append(panel)
        for series in panel.series:
            yield steady(series, float(panel.hourly[series].mean()), plan.hours(panel), plan.band(panel))


def steady(series: Series, value: float, hours: pd.DatetimeIndex, band: pd.DatetimeIndex) -> EngineResult:
    """The same value at all times, ten percent either way."""
    spread = {name: value * (0.9 + 0.2 * level) for name, level in QUANTILES.items()}
    identity = series._asdict()
    bounds = {
        "expected": value,
        "lower_80": value * 0.92,
        "upper_80": value * 1.08,
        "lower_95": value * 0.9,
        "upper_95": value * 1.1,
    }
    return EngineResult(
        pd.DataFrame({**identity, "ts": hours, "yhat": value, **spread})[FORECAST_COLUMNS],
        pd.DataFrame({**identity, "ts": band, **bounds})[BAND_COLUMNS],
        pd.DataFrame([[*series, "fitted", None, "steady", 100, 0.01]], columns=STATUS_COLUMNS),
    )


def no_events(*rows: Mapping[str, Any]) -> pd.DataFrame:
    """Events as the lake gives them: none, or the rows named."""
    frame = pd.DataFrame(list(rows), columns=EVENT_COLUMNS)
    return frame.assign(start=pd.to_datetime(frame["start"], utc=True), end=pd.to_datetime(frame["end"], utc=True))


def event(
    start: str, hours: float, *, scope: str = "global", treatment: str = "regressor", kind: str = "tournament"
) -> dict[str, Any]:
    """One event."""
    begin = pd.Timestamp(start, tz="UTC")
    return {
        "event_id": f"e-{start}",
        "kind": kind,
        "title": "Cup",
        "start": begin,
        "end": begin + pd.Timedelta(minutes=round(60 * hours)),
        "scope": scope,
        "treatment": treatment,
    }


def daily(stamps: pd.DatetimeIndex, level: float = 10.0, *, seed: int = 1, noise: float = 0.05) -> Reals:
    """Demand with a day, a weekend and multiplicative noise, about `level`."""
    hour = np.asarray((stamps - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(hours=1))
    weekend = np.asarray(stamps.day_of_week >= 5, dtype=float)
    jitter = noise * np.random.default_rng(seed).standard_normal(len(stamps))
    return level * np.exp(0.5 * np.sin(2 * np.pi * hour / 24) + 0.2 * weekend + jitter)


def stamps_of(days: float, step: str = "1h", now: pd.Timestamp = NOW) -> pd.DatetimeIndex:
    """The stamps of the last days before now."""
    return pd.date_range(now - pd.Timedelta(days=days), now, freq=step, inclusive="left", unit="us")


def rows(
    key: str, stamps: pd.DatetimeIndex, values: Reals, *, level: str = "site", completeness: float = 1.0
) -> pd.DataFrame:
    """Hourly rows of one series of egress."""
    return pd.DataFrame({"level": level, "key": key, "ts": stamps, "completeness": completeness, "egress_gbps": values})


def panel_of(
    *frames: pd.DataFrame,
    events: pd.DataFrame | None = None,
    now: pd.Timestamp = NOW,
    grain: str = "1h",
    regions: Mapping[str, str] = REGIONS,
    weeks: pd.DataFrame = NO_WEEKS,
) -> Panel:
    """A panel whose samples are its hours."""
    hours = pd.concat(frames, ignore_index=True)
    recent = hours[hours["ts"] >= now - pd.Timedelta(days=28)].drop(columns="completeness")
    return build(
        Sources(
            hours,
            recent,
            regions,
            no_events() if events is None else events,
            now,
            pd.Timedelta(grain),
            weeks=weeks,
        ),
        ["egress_gbps"],
    )


def lake_of(where: Path, days: int = 9, *, step: str = "15min", now: pd.Timestamp = NOW, ingest: bool = True) -> Lake:
    """A lake of three sites in two regions with egress and, at one of them, ingest; rolled up."""
    lake, stamps = Lake(where), stamps_of(days, step, now)
    sites = pd.DataFrame(
        {"site_id": list(REGIONS), "name": list(REGIONS), "region_id": list(REGIONS.values()), "lat": 1.0, "lon": 2.0}
    )
    lake.append("sites", pa.Table.from_pandas(sites, preserve_index=False))
    measured = telemetry(stamps) if ingest else telemetry(stamps).assign(ingest_gbps=np.nan)
    lake.append("telemetry", pa.Table.from_pandas(measured, preserve_index=False))
    refresh_rollups(lake)
    return lake


def telemetry(stamps: pd.DatetimeIndex) -> pd.DataFrame:
    """What the three sites measured."""
    frames = []
    for number, site in enumerate(REGIONS):
        egress = daily(stamps, 10.0 * (number + 1), seed=number)
        ingest = egress / 15 if site == "fra-01" else np.full(len(stamps), np.nan)
        frames.append(
            pd.DataFrame(
                {"ts": stamps, "received_at": stamps, "site_id": site, "ingest_gbps": ingest, "egress_gbps": egress}
            )
        )
    return pd.concat(frames, ignore_index=True)
