"""What commands print on: a console that shows names as they are, and the progress bars of every long command."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def console(*, errors: bool = False) -> Console:
    """A console that prints names as they are: what a producer calls a file is no markup."""
    return Console(stderr=errors, markup=False, highlight=False, emoji=False, soft_wrap=True)


class ProgressBars:
    """Progress on standard error, one bar for each kind of work; silent where `quiet`, or where nobody looks."""

    def __init__(self, *, quiet: bool = False) -> None:
        screen = console(errors=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=screen, disable=quiet or not screen.is_terminal, transient=True)
        self._tasks: dict[str, TaskID] = {}

    def update(self, work: str, done: int, total: int | None = None) -> None:
        """Show that so much of a kind of work is done; without a total its bar only moves."""
        if work not in self._tasks:
            self._tasks[work] = self._progress.add_task(work, total=total)
        self._progress.update(self._tasks[work], completed=done, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
