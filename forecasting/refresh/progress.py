"""How far a refresh has come: a bar for who waits at a terminal, a note in the lake for the app."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from data.lake.tables import Lake
from data.schema.errors import SettingError

NOTE = "refresh"
# The app looks every other second; an object store wants no more.
NOTE_EVERY_SECONDS = 1.0


class RefreshProgress:
    """Tells how a refresh is doing while it lasts, and how it ended, whichever way that is."""

    def __init__(self, lake: Lake, started: datetime, *, bar: bool) -> None:
        self._lake, self._started = lake, started
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        self._bar = Progress(*columns, console=console, disable=not (bar and console.is_terminal))
        self._task = self._bar.add_task("Reading", total=None)
        self._done, self._total, self._noted = 0, 0, 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        self._note("running", "reading the telemetry")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if error is not None:
            reason = (
                "it was interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            )
            # Who mistyped an option is told so; the app's viewers need not be.
            self._note("refused" if isinstance(error, SettingError) else "failed", reason)

    def begin(self, total: int) -> None:
        """The number of series is known."""
        self._total = total
        self._bar.update(self._task, description="Forecasting", total=total)
        self._note("running", "forecasting")

    def advance(self, series: int) -> None:
        """Some more series are done."""
        self._done += series
        self._bar.advance(self._task, series)
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
