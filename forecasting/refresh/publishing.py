"""From results to a run that the app sees: rows first, the run's own row last, so that a run is there whole or not at
all.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.lake.tables import Change, Lake, files
from data.schema import TABLES
from data.schema.errors import LakeError
from forecasting.models.engine import IDENTITY, EngineResult

RESULT_TABLES = EngineResult._fields
# Every table that a refresh writes by run; the later ones are there once their step is.
TABLES_BY_RUN = (*RESULT_TABLES, "anomalies", "incidents")
# Runs whose rows are kept: enough to compare with a week of daily refreshes.
KEEP_RUNS = 10
# A run without a row in `runs` is being made, or died; no refresh takes a day.
DEAD_AFTER = timedelta(days=1)
STAMP_FORMAT = "%Y%m%dT%H%M%S"
# Series in one commit: few enough to bound memory, enough to keep files large.
BATCH = 64


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of `runs`, but for its number."""

    run_id: str
    telemetry_version: int
    telemetry_until: pd.Timestamp
    engine: str
    versions: str
    git_commit: str | None
    started: datetime
    seconds: float
    fitted: int
    refused: int
    failed: int
    licensed_share: float | None = None


def new_run_id(started: datetime) -> str:
    """An identifier that sorts by start and is unique among refreshes that start together."""
    return f"{started:{STAMP_FORMAT}}-{secrets.token_hex(2)}"


def write(lake: Lake, run_id: str, results: Iterable[EngineResult]) -> Iterator[EngineResult]:
    """Write results in batches under a run that nobody sees yet; yields each as it comes in."""
    keys, batch = Keys(), list[EngineResult]()
    for result in results:
        batch.append(result)
        yield result
        if sum(len(one.series_status) for one in batch) >= BATCH:
            _append(lake, run_id, batch, keys)
            batch = []
    _append(lake, run_id, batch, keys)


def _append(lake: Lake, run_id: str, batch: Sequence[EngineResult], keys: Keys) -> None:
    for name in RESULT_TABLES:
        frames = [frame for result in batch if len(frame := getattr(result, name))]
        if frames:
            rows = pd.concat(frames, ignore_index=True)
            rows = rows.sort_values([column for column in TABLES[name].key if column in rows])
            keys.add(name, rows)
            lake.append(name, pa.Table.from_pandas(rows.assign(run_id=run_id), preserve_index=False))


class Keys:
    """What a run holds already, so that no key of a table gets into it twice: readers would find more futures than were
    drawn, or too many peaks.
    """

    def __init__(self) -> None:
        self._held: dict[str, set[tuple[str, ...]]] = {name: set() for name in RESULT_TABLES}

    def add(self, name: str, rows: pd.DataFrame) -> None:
        """Take in rows in the order of their keys. All that an engine says of a series, in a table by a model, comes at
        once, and nothing of it later.
        """
        key = [column for column in TABLES[name].key if column in rows]
        again = (rows[key] == rows[key].shift()).all(axis=1)
        parts = rows[[column for column in (*IDENTITY, "model") if column in key]]
        found = set(parts.drop_duplicates().itertuples(index=False, name=None))
        if again.any() or not found.isdisjoint(self._held[name]):
            twice = min(parts[again].itertuples(index=False, name=None), default=None) or min(found & self._held[name])
            raise LakeError(
                f"The table {name} would hold rows of {'/'.join(twice)} twice in one run; nothing was published, the last run still serves.",
                cause="the engine gave them twice, which is a fault of its code",
                remedy="refresh with another engine, for instance `--engine prophet`, and report it",
            )
        self._held[name] |= found


def publish(lake: Lake, row: RunRow) -> int:
    """Make the run visible; returns its number. Two refreshes at once both publish, one after the other, with numbers
    of their own.
    """
    taken: list[int] = []

    def add(_: object) -> Change:
        runs = lake.read("runs")
        taken.append((pc.max(runs["number"]).as_py() or 0) + 1)
        new = pa.Table.from_pylist([{**asdict(row), "number": taken[-1]}], schema=runs.schema)
        # The whole table is replaced, because of two appends at once neither would notice the other's number.
        return Change(pa.concat_tables([runs, new]), whole=True)

    lake.commit("runs", add)
    return taken[-1]


def tidy(lake: Lake, now: datetime) -> None:
    """Delete the rows of runs that died, and of all but the newest published ones; `runs` itself keeps its history."""
    runs = lake.read("runs").sort_by([("number", "descending")])
    published = runs["run_id"].to_pylist()
    for name in TABLES_BY_RUN:
        version = lake.version(name)
        held = {run_id for _, run_id in files(lake.url, name, version) if run_id} if version is not None else set()
        lake.drop_runs(
            name,
            {
                run_id
                for run_id in held
                if run_id not in published[:KEEP_RUNS] and (run_id in published or _dead(run_id, now))
            },
        )


def _dead(run_id: str, now: datetime) -> bool:
    """Whether a run that is not published started so long ago that it never will be."""
    try:
        started = datetime.strptime(run_id.partition("-")[0], STAMP_FORMAT).replace(tzinfo=now.tzinfo)
    except ValueError:
        return True
    return now - started > DEAD_AFTER
