"""A refresh from end to end: read a pinned lake, forecast, publish one run."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd

from data.console import ProgressBars
from data.lake.query import EVERYTHING
from data.lake.tables import Lake, Pin
from data.queries import Extent, extent, level_changes, model_inputs, set_aside, weekly
from data.schema import DEMAND_METRICS, DIRECTION_OF, LICENSED_ENGINE
from data.schema.errors import LakeError, SettingError
from forecasting.models.engine import IDENTITY, RESIDUAL_SPAN, YEARLY_HISTORY, Engine, EngineResult, ForecastOptions
from forecasting.panel.panel import HOUR, Panel, Sources, build
from forecasting.peaks.weekly_peaks import PEAK_HISTORY
from forecasting.refresh.licensed_engine import LicensedEngine
from forecasting.refresh.publishing import RunRow, new_run_id, publish, tidy, write
from forecasting.refresh.set_aside import update_set_aside
from forecasting.refresh.workers import pool

ROOT = Path(__file__).resolve().parent.parent.parent
# Packages whose version may move a number of a forecast.
PACKAGES = ("prophet", "cmdstanpy", "pandas", "numpy", "scikit-learn")

# An ingest makes the rollups in the same breath; a day behind, one has been cut off.
ROLLUPS_BEHIND_AT_MOST = pd.Timedelta(days=1)
NOTE = "refresh"
# The app looks every other second; an object store wants no more.
NOTE_EVERY_SECONDS = 1.0


def _prophet() -> Engine:
    from forecasting.models.prophet_engine import (
        ProphetEngine,  # Prophet takes seconds to import, and only a refresh with it waits
    )

    return ProphetEngine()


ENGINES: dict[str, Callable[[], Engine]] = {"prophet": _prophet, LICENSED_ENGINE: LicensedEngine}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a refresh published. `series_status` has the contract's columns without run_id: what became of each series;
    `set_aside` and `level_changes` are those of data.queries: what was not learned from, and lasting changes.
    """

    run_id: str
    number: int
    seconds: float
    series_status: pd.DataFrame
    set_aside: pd.DataFrame
    level_changes: pd.DataFrame

    def count(self, status: str) -> int:
        return int((self.series_status["status"] == status).sum())

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(status)} {status}" for status in ("fitted", "refused", "failed"))
        return f"Run {self.number} published in {self.seconds:.0f} s: {counts} ({self.run_id})."


def refresh(
    lake: Lake,
    *,
    engine: str | Engine = LICENSED_ENGINE,
    workers: int | None = None,
    bar: bool = False,
    executor: Executor | None = None,
) -> Summary:
    """Forecast every series of the lake and publish one run; until then, and where it fails, the last one serves.

    `executor` takes the place of a pool of `workers` processes, for instance a cluster's. Raises LakeError where there
    is nothing to forecast from, SettingError for a setting that cannot be used.
    """
    started, began = datetime.now(UTC), time.perf_counter()
    run_id = new_run_id(started)
    forecaster = ENGINES[engine]() if isinstance(engine, str) else engine
    pin = lake.pin()
    telemetry = telemetry_extent(pin)
    if update_set_aside(lake, pin, telemetry):
        pin = lake.pin()
        telemetry = telemetry_extent(pin)
    screened = set_aside(pin, EVERYTHING), level_changes(pin, EVERYTHING)
    processes = pool(workers, early=isinstance(engine, str)) if executor is None else nullcontext(executor)
    with RefreshProgress(lake, started, bar=bar) as progress, processes as executor:
        panel = read_panel(pin, telemetry)
        tidy(lake, started)
        progress.begin(len(panel.series))
        results = forecaster.forecast(panel, ForecastOptions(), executor)
        outcome = RunOutcome.of(write(lake, run_id, results), progress)
        row = run_row(run_id, forecaster.name, telemetry, started, time.perf_counter() - began, outcome)
        summary = Summary(run_id, publish(lake, row), row.seconds, outcome.series_status, *screened)
        progress.end(str(summary))
    return summary


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of each series (rows of `series_status`), and the share of series and horizons whose model is
    licensed, of those that were tested; None where none was.
    """

    series_status: pd.DataFrame
    licensed_share: float | None

    @classmethod
    def of(cls, results: Iterable[EngineResult], progress: RefreshProgress) -> RunOutcome:
        """Count results as they come in, and show how many have."""
        statuses, licensed = [pd.DataFrame(columns=[*IDENTITY, "status"])], list[bool]()
        for result in results:
            statuses.append(result.series_status)
            if len(result.licences):
                licensed += result.licences.loc[result.licences["origins"] > 0, "licensed"].tolist()
            progress.advance(len(result.series_status))
        filled = [status for status in statuses if len(status)]
        return cls(
            pd.concat(filled, ignore_index=True) if filled else statuses[0],
            sum(licensed) / len(licensed) if licensed else None,
        )


def run_row(
    run_id: str, engine: str, telemetry: Extent, started: datetime, seconds: float, outcome: RunOutcome
) -> RunRow:
    """The row of `runs` that makes a run visible."""
    counts = {name: int((outcome.series_status["status"] == name).sum()) for name in ("fitted", "refused", "failed")}
    return RunRow(
        run_id,
        telemetry.telemetry_version,
        telemetry.now,
        engine,
        json.dumps(versions()),
        git_commit(),
        started,
        seconds,
        **counts,
        licensed_share=outcome.licensed_share,
    )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "missing"
    return installed


def git_commit() -> str | None:
    """The commit of the code, marked where the code has changed since; None outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


# Reading
# ---------------------------------------------------------------------------------------------------------


def telemetry_extent(pin: Pin) -> Extent:
    """The telemetry that there is; raises LakeError where there is none."""
    telemetry = extent(pin, EVERYTHING)
    if telemetry is None:
        raise LakeError(
            f"The lake {pin.url} holds no telemetry to forecast from.",
            cause="nothing was taken in yet, or --lake names another folder",
            remedy="take in snapshots with `python -m data ingest PATH`, or make a simulated lake with `python -m data demo`",
        )
    return telemetry


def read_panel(pin: Pin, telemetry: Extent) -> Panel:
    """Demand (egress, ingest and viewers, where measured) of every site and region and of the network."""
    metrics = [name for name in DEMAND_METRICS if name in telemetry.metrics]
    if not metrics:
        raise LakeError(
            f"The telemetry of the lake {pin.url} has no value of {', '.join(DEMAND_METRICS)}.",
            cause="the columns were exported empty, or under other names",
            remedy="take in snapshots that fill one of them",
        )
    hours = model_inputs.hourly(pin, metrics, telemetry.now - YEARLY_HISTORY, telemetry.now)
    newest = hours["ts"].max() if len(hours) else telemetry.first
    if telemetry.now - newest > ROLLUPS_BEHIND_AT_MOST and model_inputs.measured_since(
        pin, newest + HOUR, telemetry.now
    ):
        raise LakeError(
            f"The hourly figures end at {newest:%Y-%m-%d %H:%M} UTC, the telemetry at {telemetry.now:%Y-%m-%d %H:%M} UTC.",
            cause="an ingest was cut off before it rolled its rows up",
            remedy="make them anew with `python -m data rollup`",
        )
    lake = Lake(pin.url)
    sites, events = (lake.read(name, pin.version(name)).to_pandas() for name in ("sites", "events"))
    samples = model_inputs.samples(pin, metrics, telemetry.now - RESIDUAL_SPAN, telemetry.now)
    regions, zones, countries = (
        sites.set_index("site_id")[name].dropna().to_dict() for name in ("region_id", "timezone", "country")
    )
    span = telemetry.now - PEAK_HISTORY, telemetry.now
    weeks = weekly(pin, EVERYTHING, tuple(metrics), *span)
    usual = {
        (site, metric): value
        for metric in metrics
        for site, value in model_inputs.usual_traffic(pin, EVERYTHING, metric).items()
    }
    sources = Sources(
        hours=hours,
        samples=samples,
        regions=regions,
        events=events,
        now=telemetry.now,
        grain=pd.Timedelta(seconds=telemetry.grain_seconds),
        zones=zones,
        weeks=weeks,
        countries=countries,
        weeks_of=lambda metric, members: weekly(pin, EVERYTHING, (metric,), *span, members),
        usual=usual,
        closed=closed_sites(lake.read("capacity", pin.version("capacity")).to_pandas(), metrics, telemetry.now),
    )
    return build(sources, metrics)


def closed_sites(
    capacity: pd.DataFrame, metrics: Sequence[str], now: pd.Timestamp
) -> dict[tuple[str, str], pd.Timestamp]:
    """Since when the capacity of sites is 0, by (site_id, metric): of the metric's direction, or of all that a site
    declares. capacity: the contract's.
    """
    steps = capacity[(capacity["status"] != "planned") & (capacity["effective_from"] <= now)]
    steps = steps.sort_values("effective_from", kind="stable")
    since = dict[tuple[str, str], pd.Timestamp | None]()
    for (site, direction), mine in steps.groupby(["site_id", "direction"], observed=True):
        is_open = mine["capacity_gbps"].to_numpy() > 0.0
        closing = int(np.flatnonzero(is_open)[-1]) + 1 if is_open.any() else 0
        since[str(site), str(direction)] = mine["effective_from"].iloc[closing] if closing < len(mine) else None
    closed = dict[tuple[str, str], pd.Timestamp]()
    for metric, site in product(metrics, sorted({site for site, _ in since})):
        direction = DIRECTION_OF.get(metric)
        all_of_site = [moment for (of, way), moment in since.items() if of == site and direction in (None, way)]
        if all_of_site and all(moment is not None for moment in all_of_site):
            closed[site, metric] = max(moment for moment in all_of_site if moment is not None)
    return closed


# Progress
# ---------------------------------------------------------------------------------------------------------


class RefreshProgress:
    """Shows how far a refresh has come while it lasts, and how it ended, whichever way that is."""

    def __init__(self, lake: Lake, started: datetime, *, bar: bool) -> None:
        self._lake, self._started = lake, started
        self._bars = ProgressBars(quiet=not bar)
        self._done, self._total, self._noted = 0, 0, 0.0

    def __enter__(self) -> Self:
        self._bars.__enter__()
        self._bars.update("Reading", 0)
        self._note("running", "reading the telemetry")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)
        if error is not None:
            reason = (
                "it was interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            )
            # Who mistyped an option is told so; the app's viewers need not be.
            self._note("refused" if isinstance(error, SettingError) else "failed", reason)

    def begin(self, total: int) -> None:
        """The number of series is known."""
        self._total = total
        self._bars.update("Reading", 1, 1)
        self._bars.update(f"Forecasting {total} series", 0, total)
        self._note("running", "forecasting")

    def advance(self, series: int) -> None:
        """Some more series are done."""
        self._done += series
        self._bars.update(f"Forecasting {self._total} series", self._done, self._total)
        if time.monotonic() - self._noted >= NOTE_EVERY_SECONDS:
            self._note("running", "forecasting")

    def end(self, message: str) -> None:
        """The run is published."""
        self._note("done", message)

    def _note(self, state: str, message: str) -> None:
        self._noted = time.monotonic()
        stamps = {"started": self._started.isoformat(), "updated": datetime.now(UTC).isoformat()}
        self._lake.write_note(
            NOTE, {"state": state, "done": self._done, "total": self._total, **stamps, "message": message}
        )
