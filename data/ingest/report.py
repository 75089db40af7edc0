"""What ingest tells a person: one line for what went well, the whole reason for what did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from data.ingest.outcome import Outcome, State
from data.schema.validation import EXCERPT, excerpt

# Problems that are told in full; a folder of a thousand damaged files needs no thousand paragraphs.
TOLD = 20
STATES: dict[State, str] = {
    "accepted": "taken in",
    "partial": "taken in but for some rows",
    "refused": "refused",
    "known": "known already",
    "unreadable": "unreadable",
}


def console(*, errors: bool = False) -> Console:
    """A console that prints names as they are: what a producer calls a file is no markup."""
    return Console(stderr=errors, markup=False, highlight=False, emoji=False, soft_wrap=True)


class Bars:
    """Progress on standard error, one bar for each kind of work; silent where nobody looks."""

    def __init__(self, *, quiet: bool) -> None:
        screen = console(errors=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=screen, disable=quiet or not screen.is_terminal, transient=True)
        self._tasks: dict[str, TaskID] = {}

    def update(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self.progress.add_task(what, total=total)
        self.progress.update(self._tasks[what], completed=done, total=total)

    def taking_in(self, done: int, total: int, name: str) -> None:
        del name  # a bar that renames itself for every file only flickers
        self.update("Snapshots", done, total)

    def rolling_up(self, done: int, total: int) -> None:
        self.update("Hourly and daily figures", done, total)


@contextmanager
def bars(*, quiet: bool) -> Iterator[Bars]:
    """Progress bars for as long as the work goes on."""
    shown = Bars(quiet=quiet)
    with shown.progress:
        yield shown


def report(outcomes: Sequence[Outcome], *, wet: bool = True) -> Iterator[str]:
    """Lines that tell what became of snapshots, the problems first; `wet` where the lake was written to."""
    troubled = [outcome for outcome in outcomes if not outcome.clean]
    for outcome in troubled[:TOLD]:
        yield from _problem(outcome)
    if len(troubled) > TOLD:
        yield f"... and {len(troubled) - TOLD} more snapshots with faults"
    for table in dict.fromkeys(outcome.table for outcome in outcomes if outcome.accepted):
        yield _of_table(
            table, [outcome for outcome in outcomes if outcome.table == table and outcome.accepted], wet=wet
        )
    counts = Counter(outcome.state for outcome in outcomes)
    words: dict[State, str] = (
        {**STATES, "accepted": "sound", "partial": "sound but for some rows"} if not wet else STATES
    )
    yield f"{_count(len(outcomes), 'snapshot')}: " + (
        ", ".join(f"{counts[state]} {words[state]}" for state in STATES if counts[state]) or "nothing to do"
    )


def _problem(outcome: Outcome) -> Iterator[str]:
    yield f"{shortened(outcome.source.url)}: {outcome.table}, {STATES[outcome.state]}"
    if outcome.trouble:
        yield f"  {outcome.trouble}"
    for fault in outcome.faults:
        yield f"  {fault}"
    for place in outcome.kept_at:
        yield f"  kept at {place}"


def shortened(url: str) -> str:
    """Where a snapshot was read, in printable characters; of a long path its end, which names the file."""
    return excerpt(url if len(url) <= EXCERPT else f"...{url[3 - EXCERPT :]}")


def _of_table(table: str, outcomes: Iterable[Outcome], *, wet: bool) -> str:
    outcomes = list(outcomes)
    stamps = [stamp for outcome in outcomes for stamp in (outcome.first, outcome.last) if stamp]
    span = f", {min(stamps):%Y-%m-%d %H:%M} to {max(stamps):%Y-%m-%d %H:%M} UTC" if stamps else ""
    extra = {
        "repeated": sum(o.repeated for o in outcomes),
        "absent and taken as zero": sum(o.zeros for o in outcomes),
        "refused": sum(o.quarantined for o in outcomes),
    }
    more = "".join(f"; {_count(count, 'row')} {what}" for what, count in extra.items() if count)
    unused = sorted({name for outcome in outcomes for name in outcome.unused})
    left = f"; columns not used: {excerpt(', '.join(unused))}" if unused else ""
    return f"{table}: {_count(sum(o.accepted for o in outcomes), 'row')} {'taken in' if wet else 'sound'}{span}{more}{left}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
