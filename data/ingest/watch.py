"""An inbox that is polled: what is dropped into it is taken in, and what is refused whole is taken out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data.ingest.column_mapping import ReadOptions
from data.ingest.ledger import Outcome
from data.ingest.run import IngestRun, plan_tasks
from data.ingest.sources import Source, find_snapshots
from data.lake.maintenance import maintain_if_due
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake

# A file in a folder counts as whole once nobody has written to it for so long; objects in a store appear whole.
SETTLED = timedelta(seconds=2)


@dataclass
class Inbox:
    """A folder or a URL, and what of it this process has seen already; content that was seen before it started is known
    by its hash.
    """

    url: str
    options_of: Callable[[Source], Sequence[ReadOptions]]
    _seen: set[object] = field(default_factory=set)

    def poll(self, lake: Lake) -> list[Outcome]:
        """Take in what is new and whole, bring the hourly and daily figures up to it, and keep the lake small."""
        fresh = [source for source in self._listed() if source.fingerprint not in self._seen and _is_whole(source)]
        outcomes = list(IngestRun(lake, move=True).run(plan_tasks(fresh, self.options_of))) if fresh else []
        unread = {outcome.source.fingerprint for outcome in outcomes if outcome.state == "unreadable"}
        refresh_rollups(lake)
        if outcomes:
            maintain_if_due(lake)
        self._seen.update(source.fingerprint for source in fresh if source.fingerprint not in unread)
        return outcomes

    def _listed(self) -> list[Source]:
        if "://" not in self.url:
            Path(self.url).mkdir(parents=True, exist_ok=True)
        return find_snapshots([self.url], empty=True)


def _is_whole(source: Source) -> bool:
    return "://" in source.url or datetime.now(UTC) - source.changed >= SETTLED
