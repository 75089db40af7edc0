"""A refresh from end to end: read a pinned lake, forecast, publish one run."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from data.lake.tables import Lake
from data.queries import Extent
from forecasting.models.engine import IDENTITY, Engine, EngineResult, ForecastOptions
from forecasting.refresh.licensed_engine import LicensedEngine
from forecasting.refresh.progress import RefreshProgress
from forecasting.refresh.publishing import RunRow, new_run_id, publish, tidy, write
from forecasting.refresh.reading import read_panel, telemetry_extent
from forecasting.refresh.workers import pool

ROOT = Path(__file__).resolve().parent.parent.parent
# Packages whose version may move a number of a forecast.
PACKAGES = ("prophet", "cmdstanpy", "pandas", "numpy", "scikit-learn")


def _prophet() -> Engine:
    from forecasting.models.prophet_engine import (
        ProphetEngine,  # Prophet takes seconds to import, and only a refresh with it waits
    )

    return ProphetEngine()


ENGINES: dict[str, Callable[[], Engine]] = {"prophet": _prophet, "panel": LicensedEngine}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a refresh published. `series_status` has the contract's columns without run_id: what became of each series."""

    run_id: str
    number: int
    seconds: float
    series_status: pd.DataFrame

    def count(self, status: str) -> int:
        return int((self.series_status["status"] == status).sum())

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(status)} {status}" for status in ("fitted", "refused", "failed"))
        return f"Run {self.number} published in {self.seconds:.0f} s: {counts} ({self.run_id})."


def refresh(
    lake: Lake,
    *,
    engine: str | Engine = "panel",
    workers: int | None = None,
    bar: bool = False,
    executor: Executor | None = None,
) -> Summary:
    """Forecast every series of the lake and publish one run; until then, and where it fails, the last one serves.

    `executor` takes the place of a pool of `workers` processes, for instance a cluster's. Raises LakeError where there
    is nothing to forecast from, SettingError for a setting that cannot be used.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    run_id = new_run_id(started)
    maker = ENGINES[engine]() if isinstance(engine, str) else engine
    pin = lake.pin()
    held = telemetry_extent(pin)
    with (
        RefreshProgress(lake, started, bar=bar) as telling,
        _workers(executor, workers, early=isinstance(engine, str)) as crew,
    ):
        panel = read_panel(pin, held)
        tidy(lake, started)
        telling.begin(len(panel.series))
        made = _forecast(write(lake, run_id, maker.forecast(panel, ForecastOptions(), crew)), telling)
        summary = _published(lake, run_id, maker.name, held, made, started, time.perf_counter() - clock)
        telling.end(str(summary))
    return summary


def _workers(executor: Executor | None, workers: int | None, *, early: bool) -> AbstractContextManager[Executor]:
    return pool(workers, early=early) if executor is None else nullcontext(executor)


@dataclass(slots=True)
class RunAccumulator:
    """What a run holds so far: rows of `series_status`, and for each series and horizon that was tested whether its model is
    licensed.
    """

    parts: list[pd.DataFrame] = field(default_factory=list)
    licensed: list[bool] = field(default_factory=list)

    def add(self, result: EngineResult) -> None:
        """Count in a part."""
        if len(result.series_status):
            self.parts.append(result.series_status)
        if len(result.licences):
            self.licensed += result.licences.loc[result.licences["origins"] > 0, "licensed"].tolist()

    def series_status(self) -> pd.DataFrame:
        """What became of each series."""
        return pd.concat(self.parts, ignore_index=True) if self.parts else pd.DataFrame(columns=[*IDENTITY, "status"])


def _forecast(results: Iterable[EngineResult], telling: RefreshProgress) -> RunAccumulator:
    """Tell of results as they come in, and keep what is counted."""
    made = RunAccumulator()
    for result in results:
        made.add(result)
        telling.advance(len(result.series_status))
    return made


def _published(
    lake: Lake, run_id: str, engine: str, held: Extent, made: RunAccumulator, started: datetime, seconds: float
) -> Summary:
    fits, share = made.series_status(), sum(made.licensed) / len(made.licensed) if made.licensed else None
    counts = {status: int((fits["status"] == status).sum()) for status in ("fitted", "refused", "failed")}
    row = RunRow(
        run_id,
        held.telemetry_version,
        held.now,
        engine,
        json.dumps(versions()),
        git_commit(),
        started,
        seconds,
        **counts,
        licensed_share=share,
    )
    return Summary(run_id, publish(lake, row), seconds, fits)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def git_commit() -> str | None:
    """The commit of the code, marked where the code has changed since; None outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
