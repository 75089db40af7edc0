"""The lake: Delta tables of Parquet in a folder or an object store, and the versions that pin what a page shows.

Delta Lake gives atomic commits, time travel and compaction. A commit may carry marks (names of snapshots): the marks
and the rows become visible together or not at all, which is what makes ingest exactly-once even when it is killed
half-way.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import obstore
import pyarrow as pa
import pyarrow.compute as pc
import stamina
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    QueryBuilder,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from obstore.store import ObjectStore

from data.lake.object_store import (
    check_bucket,
    delta_options,
    disk_full,
    is_remote,
    lake_store,
    store_fault,
    store_faults,
)
from data.schema import TABLES, Table
from data.schema.errors import LakeError, SnapshotError

LOG = logging.getLogger(__name__)
# Writers redo their work when another writer commits first; eight tries outlast a dozen writers at once.
COMMIT_ATTEMPTS = 8
# A reader may still be on an older version for as long as a browser tab stays open; a week covers that, and Delta's own
# safety check.
SAFE_RETENTION = timedelta(days=7)
# A site's day is 288 rows: groups of this size let a reader skip the sites that it does not want.
ROW_GROUP = 20_000
# Two series of an hourly forecast of 90 days: a page reads single ones, for 0.1 MB of footer. The Overview fetches 24 MB
# of the demo's run in groups of 20,000 rows.
FORECAST_ROW_GROUP = 4_320
# Rows of draws are 700 to 1,000 bytes wide: a group of these is some 0.5 MB, and a plan reads those of one metric and
# statistic.
DRAWS_ROW_GROUP = 500
DAY = timedelta(days=1)
# No telemetry takes less than an eighth of its bytes in memory.
DENSEST = 8
# For so long the log of a table that grows by ticks goes back.
LIVE_LOG = "interval 6 hours"
# Tables to which each tick adds.
GROWN_BY_TICKS = ("telemetry", "flows", "telemetry_1h", "telemetry_1d", "flows_1h", "snapshots", "quarantine")
# Tables of a remote lake that are probed for new versions at once.
PROBES = 16
# A commit, or a checkpoint, in a table's log.
_LOG_ENTRY = re.compile(r"(\d{20})\.(?:json|checkpoint)")
# Under this name a commit keeps what its writer said about it.
ABOUT = "headroom"
# A commit that derives from other tables carries an application transaction of this name for each of them, with the
# version: Delta keeps it through compaction, checkpoints and the clean-up of the log.
MADE_OF = "made_of:"
Span = tuple[datetime, datetime]
# The newest version of a table that this process has seen, with the store's stamp on its log entry.
_SEEN: dict[tuple[str, str], tuple[int, str]] = {}


class UndeclaredTableError(RuntimeError):
    """A query reads a table that it does not declare: a fault of the code, not of the lake."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A lake and the version of each of its tables: everything that a question needs, and a cache key.

    `born` tells a lake from another one that was later made in the same place. `tables` are those that the question
    has declared, None all of them.
    """

    url: str
    versions: tuple[tuple[str, int], ...]
    born: str = ""
    tables: tuple[str, ...] | None = None

    def version(self, name: str) -> int | None:
        """The version of a table; None where the lake has none. UndeclaredTableError for one that is not among
        `tables`.
        """
        self._require({name})
        return dict(self.versions).get(name)

    def only(self, names: Iterable[str]) -> Pin:
        """The pin of these tables alone: the key of a question that reads no other."""
        tables = frozenset(names)
        self._require(tables)
        kept = tuple(pair for pair in self.versions if pair[0] in tables)
        return replace(self, versions=kept, tables=tuple(sorted(tables)))

    def _require(self, names: Collection[str]) -> None:
        undeclared = sorted(set(names).difference(names if self.tables is None else self.tables))
        if undeclared:
            raise UndeclaredTableError(
                f"A query reads {', '.join(undeclared)} and declares {', '.join(self.tables or ()) or 'nothing'} alone: "
                "name every table that it reads in its @reads, or its kept answer outlives what it was made of."
            )


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit writes: rows, what they replace, its marks, and what the history says of it.

    `dates` or `spans` (half-open) name what is replaced; neither appends, `whole` replaces the table. `made_of` are the
    versions of the tables that the rows derive from: `Lake.made_of` reads them, and of two commits that carry them at
    once the second is made anew. `interim` rows are soon superseded, and written for size and not for reading.
    """

    rows: pa.Table | pa.RecordBatchReader
    dates: Sequence[date] | None = None
    spans: Sequence[Span] | None = None
    whole: bool = False
    marks: Sequence[str] = ()
    made_of: Mapping[str, int] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    interim: bool = False


class TableState:
    """A table of the lake at one version, as a change finds it: its rows, and the marks of the commits that made it."""

    def __init__(self, table: DeltaTable, contract: Table) -> None:
        self._table, self._contract = table, contract
        self.version = int(table.version())

    def has_mark(self, mark: str) -> bool:
        """Whether a commit with this mark is part of the table."""
        return self._table.transaction_version(mark) is not None

    def made_of(self) -> dict[str, int]:
        """The versions of the tables that a derived table is made of; empty where no commit named them."""
        versions = {name: self._table.transaction_version(f"{MADE_OF}{name}") for name in TABLES}
        return {name: version for name, version in versions.items() if version is not None}

    def rows(
        self, *, columns: Sequence[str] = (), dates: Sequence[date] | None = None, spans: Sequence[Span] | None = None
    ) -> pa.Table:
        """Rows in the contract's columns (or these of them), of all dates and spans or of these.

        Read by Delta's own engine and not through a Python file system: Arrow's threads would hold Python objects,
        and one that lets go of its last when the interpreter ends aborts the process.
        """
        conditions = [_dates_predicate(self._contract, dates)] if dates is not None else []
        conditions += [f"({_spans_predicate(self._contract, spans)})"] if spans is not None else []
        listed = ", ".join(f'"{name}"' for name in columns or self._contract.schema.names if self._holds(name))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = pa.table(QueryBuilder().register("t", self._table).execute(f"SELECT {listed} FROM t{where}"))
        return conform(self._contract, rows).select(list(columns or self._contract.schema.names))

    def _holds(self, column: str) -> bool:
        """Whether the table has the column: an older lake may lack a new one."""
        return column in self._columns

    @cached_property
    def _columns(self) -> frozenset[str]:
        return frozenset(field.name for field in self._table.schema().fields)


class Lake:
    """Tables of one lake. `url` is a folder or s3://, gs://, az://; credentials come from the environment."""

    def __init__(self, url: str | Path) -> None:
        text = str(url)
        self.url = text.rstrip("/") if "://" in text else str(Path(text).expanduser().resolve())

    # Reading
    # -----------------------------------------------------------------------------------------------------------

    def open(self, name: str, version: int | None = None) -> DeltaTable | None:
        """The Delta table at a version (default: the newest), or None where the lake holds none."""
        try:
            return DeltaTable(f"{self.url}/{name}", version=version, storage_options=delta_options(self.url))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            at = f" at version {version}" if version is not None else ""
            raise store_fault(self.url, error) or LakeError(
                f"Table {name!r} of the lake {self.url}{at} cannot be read: {error}.",
                cause="the version was vacuumed, the folder is not a lake, or the store refuses access",
                remedy="run `python -m data status --lake LAKE` to list the versions that can be read",
            ) from error

    def version(self, name: str) -> int | None:
        """The newest version of a table; None where the lake holds none."""
        with store_faults(self.url):
            return None if self._absent() else self._newest(self.store(), name)

    def pin(self, **older: int) -> Pin:
        """The newest version of every table; `older` names earlier versions to read instead (time travel).

        Costs two probes of the store a table, at once where it is remote, so that a page may ask for it often.
        ObjectStoreError where the object store cannot be used.
        """
        if self._absent():
            return Pin(self.url, ())
        store = self.store()
        with store_faults(self.url):
            with ThreadPoolExecutor(PROBES if is_remote(self.url) else 1) as pool:
                newest = dict(zip(TABLES, pool.map(lambda name: self._newest(store, name), TABLES), strict=True))
            versions = {name: older.get(name, version) for name, version in newest.items() if version is not None}
            if not versions and is_remote(self.url):
                check_bucket(self.url)
            return Pin(self.url, tuple(versions.items()), _stamp(store, next(iter(versions), ""), 0) or "")

    def _absent(self) -> bool:
        """Whether there is no such folder; looking must not make one."""
        return "://" not in self.url and not Path(self.url).is_dir()

    def _newest(self, store: ObjectStore, name: str) -> int | None:
        """The newest version: the last one seen, and as many log entries as have come since.

        A table that was not seen yet costs a listing of its log, which is not read: that of 180 days of telemetry is
        half a megabyte.
        """
        version, seen = _SEEN.get((self.url, name), (-1, ""))
        if version < 0 or seen != _stamp(store, name, version):
            if version >= 0:  # another lake lies here now
                data_files.cache_clear()
            version = _listed_version(store, name)
            seen = _stamp(store, name, version) or ""
        while (entry := _stamp(store, name, version + 1)) is not None:
            version, seen = version + 1, entry
        _SEEN[self.url, name] = version, seen
        return version if version >= 0 else None

    def read(self, name: str, version: int | None = None) -> pa.Table:
        """A whole table in the contract's schema; empty where the lake holds none. For small tables."""
        table = self.open(name, version)
        if table is None:
            return TABLES[name].schema.empty_table()
        with store_faults(self.url):
            return TableState(table, TABLES[name]).rows()

    def history(self, name: str) -> list[dict[str, Any]]:
        """Commits of a table, newest first: version, committed (UTC), operation, rows written, and what their writer
        said `about` them.
        """
        table = self.open(name)
        with store_faults(self.url):
            return [] if table is None else [_commit(entry) for entry in table.history()]

    def committed(self, name: str, version: int) -> dict[str, Any]:
        """One commit of a table, as in `history`, from its log entry alone; the table must hold it."""
        with store_faults(self.url):
            entry = bytes(obstore.get(self.store(), f"{name}/_delta_log/{version:020}.json").bytes())
        info = next(action["commitInfo"] for action in map(json.loads, entry.splitlines()) if "commitInfo" in action)
        return _commit({**info, "version": version})

    def made_of(self, name: str, version: int | None = None) -> dict[str, int]:
        """The versions of the tables that a derived table is made of, as its newest commit that names them says."""
        table = self.open(name, version)
        return {} if table is None else TableState(table, TABLES[name]).made_of()

    def changed_dates(self, name: str, after: int, until: int) -> set[date] | None:
        """Dates of a table whose rows changed in the versions above `after`, up to `until`; compaction changes none.

        None where the log no longer tells. For tables that are partitioned by date.
        """
        store, dates = self.store(), set[date]()
        for version in range(after + 1, until + 1):
            try:
                with store_faults(self.url):
                    entry = bytes(obstore.get(store, f"{name}/_delta_log/{version:020}.json").bytes())
            except FileNotFoundError:
                return None
            for action in map(json.loads, entry.splitlines()):
                file = action.get("add") or action.get("remove")
                if file is not None and file.get("dataChange", True):
                    dates.add(date.fromisoformat(file["partitionValues"]["date"]))
        return dates

    def marked(self, name: str, mark: str) -> bool:
        """Whether a commit with this mark is part of the table."""
        table = self.open(name)
        return table is not None and table.transaction_version(mark) is not None

    # Writing
    # -----------------------------------------------------------------------------------------------------------

    def append(self, name: str, rows: pa.Table | pa.RecordBatchReader, marks: Sequence[str] = ()) -> int:
        """Add rows; returns the version committed. Appends do not conflict with each other."""
        return self.commit(name, lambda _: Change(rows, marks=marks))

    def replace(self, name: str, rows: pa.Table, marks: Sequence[str] = ()) -> int:
        """Replace a whole table."""
        return self.commit(name, lambda _: Change(rows, whole=True, marks=marks))

    def drop_runs(self, name: str, run_ids: Collection[str]) -> None:
        """Delete the rows of these runs from a table that is partitioned by run_id; older versions of the table still
        hold them.
        """
        if not run_ids:
            return
        listed = ", ".join(repr(run_id) for run_id in sorted(run_ids))
        for attempt in commit_attempts():
            with attempt, store_faults(self.url):
                table = self.open(name)
                if table is not None:
                    table.delete(f"run_id IN ({listed})")

    def commit(self, name: str, make: Callable[[TableState], Change | None]) -> int:
        """Read, change and write one table atomically.

        `make` gets the table as it stands and returns the change, or None to leave it. Where another writer commits
        first, `make` is called again on the new state: nothing is lost and nothing is written twice.
        """
        for attempt in commit_attempts():
            with attempt, store_faults(self.url):
                table = self._created(name)
                change = make(TableState(table, TABLES[name]))
                if change is not None:
                    self._write(table, TABLES[name], change)
        return self.version(name) or 0

    def _created(self, name: str) -> DeltaTable:
        """The table, made empty first where the lake holds none."""
        table = self.open(name)
        if table is not None:
            return table
        contract = TABLES[name]
        folders = [contract.partition] if contract.partition else None
        return DeltaTable.create(
            f"{self.url}/{name}",
            stored_schema(contract),
            mode="ignore",
            storage_options=delta_options(self.url),
            partition_by=folders,
            description=contract.meaning,
            configuration=table_properties(contract),
        )

    def _write(self, table: DeltaTable, contract: Table, change: Change) -> None:
        rows = change.rows if isinstance(change.rows, pa.RecordBatchReader) else stored(contract, change.rows)
        if isinstance(rows, pa.Table) and not is_remote(self.url):
            # The library leaves a page of panics where the disk fills up under it: what cannot fit is not begun.
            full = disk_full(self.url, needed=rows.nbytes // DENSEST)
            if full is not None:
                raise full
        replacing = change.whole or change.dates is not None or change.spans is not None
        # Without retries inside the library, a commit that lost the race surfaces here and the whole change is made
        # anew.
        properties = CommitProperties(
            custom_metadata={ABOUT: dict(change.about)} if change.about else None,
            app_transactions=[
                *(Transaction(mark, 1) for mark in change.marks),
                *(Transaction(f"{MADE_OF}{source}", version) for source, version in change.made_of.items()),
            ]
            or None,
            max_commit_retries=0 if replacing else 15,
        )
        how: dict[str, Any] = {"mode": "overwrite" if replacing else "append"}
        if change.dates is not None and not change.whole:
            how["predicate"] = _dates_predicate(contract, change.dates)
        elif change.spans is not None and not change.whole:
            how["predicate"] = _spans_predicate(contract, change.spans)
        hooks = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
        write_deltalake(
            table,
            rows,
            schema_mode="merge",
            writer_properties=writer_properties(contract, interim=change.interim),
            commit_properties=properties,
            post_commithook_properties=hooks,
            **how,
        )

    # Side files
    # ---------------------------------------------------------------------------------------------

    def store(self) -> ObjectStore:
        """The object store that holds the lake, rooted at the lake."""
        return lake_store(self.url)

    def write_note(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a small JSON side file, for instance the progress of a refresh."""
        with store_faults(self.url):
            obstore.put(self.store(), f"_notes/{name}.json", json.dumps(content, default=str).encode())

    def read_note(self, name: str) -> dict[str, Any] | None:
        """Read a side file; None where there is none, and where what lies there is no JSON object: it is being written,
        or a disk that was full cut it off, which a warning says.
        """
        try:
            with store_faults(self.url):
                note = json.loads(bytes(obstore.get(self.store(), f"_notes/{name}.json").bytes()))
        except FileNotFoundError:
            return None
        except ValueError as error:  # no JSON, or no UTF-8
            note = error
        if isinstance(note, dict):
            return note
        LOG.warning(
            "The note _notes/%s.json of the lake %s is no JSON object and counts as none; the next %s writes it anew.",
            name,
            self.url,
            name,
        )
        return None


def commit_attempts() -> Iterator[stamina.Attempt]:
    """Tries of a change that is made anew where another writer commits first."""
    return iter(
        stamina.retry_context(
            on=CommitFailedError, attempts=COMMIT_ATTEMPTS, timeout=None, wait_initial=0.05, wait_max=2.0
        )
    )


def writer_properties(contract: Table, *, interim: bool = False) -> WriterProperties:
    """How files lie on disk. Measurements hardly repeat, so a dictionary of them only costs time and space.

    Rollups are read for every page: a year of hours unpacks a third faster from LZ4, for a quarter more bytes than
    Zstandard. What the next tick supersedes is kept for size alone.
    """
    plain = {
        c.name: ColumnProperties(dictionary_enabled=False) for c in contract.columns if pa.types.is_floating(c.type)
    }
    groups = {"forecasts": FORECAST_ROW_GROUP, "simulated_peaks": DRAWS_ROW_GROUP}
    codec: dict[str, Any] = (
        {"compression": "LZ4_RAW"}
        if contract.owner == "rollup" and not interim
        else {"compression": "ZSTD", "compression_level": 9 if interim else 1}
    )
    return WriterProperties(
        **codec, max_row_group_size=groups.get(contract.name, ROW_GROUP), column_properties=plain or None
    )


def _listed_version(store: ObjectStore, name: str) -> int:
    """The newest version that a table's log names; -1 where there is no table."""
    entries = (entry for part in obstore.list(store, prefix=f"{name}/_delta_log") for entry in part)
    numbers = (_LOG_ENTRY.match(entry["path"].rpartition("/")[2]) for entry in entries)
    return max((int(number.group(1)) for number in numbers if number), default=-1)


def table_properties(contract: Table) -> dict[str, str]:
    """What Delta is told of a table that grows by ticks: which statistics of a file its log entry holds, 0.7 kB of the
    key for 4 kB of every column, and that an entry behind a checkpoint goes after `LIVE_LOG`.
    """
    if contract.name not in GROWN_BY_TICKS:
        return {}
    return {
        "delta.dataSkippingStatsColumns": ",".join(contract.key),
        "delta.logRetentionDuration": LIVE_LOG,
    }


def _stamp(store: ObjectStore, name: str, version: int) -> str | None:
    """The store's stamp on the log entry of a version; None where there is none."""
    return _head(store, f"{name}/_delta_log/{version:020}.json")


def _head(store: ObjectStore, path: str) -> str | None:
    """The store's stamp on a file: its entity tag, or when it was written."""
    try:
        entry = obstore.head(store, path)
    except FileNotFoundError:
        return None
    return entry["e_tag"] or str(entry["last_modified"])


def sibling(url: str, name: str) -> str:
    """The place beside a lake: var/lake -> var/quarantine, s3://bucket/lake -> s3://bucket/quarantine."""
    if "://" not in url:
        return str(Path(url).parent / name)
    parts = urlsplit(url)
    above = parts.path.rstrip("/").rpartition("/")[0]
    return f"{parts.scheme}://{parts.netloc}{above}/{name}"


def conform(contract: Table, rows: pa.Table) -> pa.Table:
    """Rows in the contract's columns, order and types; a column that is absent becomes null."""
    columns = [
        rows[c.name].cast(c.type) if c.name in rows.column_names else pa.nulls(rows.num_rows, c.type)
        for c in contract.columns
    ]
    return pa.table(columns, schema=pa.schema([pa.field(c.name, c.type) for c in contract.columns]))


def stored(contract: Table, rows: pa.Table) -> pa.Table:
    """Rows as they lie in the lake: the contract's columns, and the partition that derives from ts."""
    rows = conform(contract, rows)
    if contract.partition == "date":
        return rows.append_column("date", rows["ts"].cast(pa.date32()))
    if contract.partition == "month":
        return rows.append_column("month", pc.strftime(rows["ts"], "%Y-%m"))
    return rows


def stored_schema(contract: Table) -> pa.Schema:
    """The schema of `stored` rows."""
    return stored(contract, contract.schema.empty_table()).schema


def _dates_predicate(contract: Table, dates: Sequence[date]) -> str:
    """SQL that selects the rows of these UTC dates, naming the partition so that only its files are touched."""
    if contract.partition == "date":
        return f"date IN ({', '.join(repr(day.isoformat()) for day in dates)})"
    return _spans_predicate(contract, consecutive((datetime.combine(day, time.min, UTC) for day in dates), DAY))


def _spans_predicate(contract: Table, spans: Sequence[Span]) -> str:
    """SQL that selects the rows of these spans, naming the months so that only their files are looked at; of these
    Delta rewrites those alone whose least and greatest ts overlap a span.
    """
    ranges = " OR ".join(f"(ts >= {_literal(start)} AND ts < {_literal(end)})" for start, end in spans)
    if contract.partition == "month":
        return f"month IN ({', '.join(map(repr, _months(spans)))}) AND ({ranges})"
    return ranges


def _months(spans: Sequence[Span]) -> list[str]:
    """The months that the spans touch, like 2026-03."""
    last = timedelta(microseconds=1)
    days = (min(start + DAY * day, end - last) for start, end in spans for day in range((end - start) // DAY + 1))
    return sorted({f"{day:%Y-%m}" for day in days} | {f"{end - last:%Y-%m}" for _, end in spans})


def consecutive(starts: Iterable[datetime], step: timedelta) -> list[Span]:
    """Half-open spans of intervals that follow one another, of `step` each."""
    spans: list[Span] = []
    for start in sorted(set(starts)):
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], start + step)
        else:
            spans.append((start, start + step))
    return spans


def _literal(moment: datetime) -> str:
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"arrow_cast('{text}Z', 'Timestamp(Microsecond, Some(\"UTC\"))')"


def _commit(entry: dict[str, Any]) -> dict[str, Any]:
    metrics = entry.get("operationMetrics") or {}
    return {
        "version": int(entry["version"]),
        "committed": datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
        "operation": str(entry.get("operation", "")),
        "rows": metrics.get("num_added_rows") or metrics.get("numOutputRows"),
        "about": entry.get(ABOUT) or {},
    }


class DataFile(NamedTuple):
    """A data file of a table: its full path or URL, its partition value as text, and its size in bytes."""

    path: str
    partition: str | None
    size: int


@lru_cache(maxsize=64)
def data_files(url: str, name: str, version: int) -> tuple[DataFile, ...]:
    """Files of one version of a table, from the Delta log; immutable, so it is kept."""
    table = Lake(url).open(name, version)
    if table is None:
        return ()
    actions = pa.table(table.get_add_actions(flatten=True))
    partition = f"partition.{TABLES[name].partition}"
    values = (
        [None if v is None else str(v) for v in actions[partition].to_pylist()]
        if partition in actions.column_names
        else [None] * actions.num_rows
    )
    paths = (
        f"{url}/{name}/{path}" if is_remote(url) else str(Path(url, name, path)) for path in actions["path"].to_pylist()
    )
    return tuple(map(DataFile, paths, values, actions["size_bytes"].to_pylist()))


def files(url: str, name: str, version: int) -> tuple[tuple[str, str | None], ...]:
    """Path and partition value of each of `data_files`."""
    return tuple((file.path, file.partition) for file in data_files(url, name, version))


# Delta tables of others ----------------------------------------------------------------------------------------------

# Features of a table whose data files are not its rows by themselves: deleted rows and names of columns stand elsewhere.
BEYOND_FILES = frozenset({"deletionVectors", "columnMapping"})


class ForeignFile(NamedTuple):
    """A data file of somebody else's Delta table: its full path or URL, its partition values as text, its size in bytes, and
    when it was written.
    """

    path: str
    partitions: tuple[tuple[str, str | None], ...]
    size: int
    written: datetime


def foreign_files(url: str, version: int | None = None) -> tuple[str, list[ForeignFile]]:
    """Identity and version of a Delta table as one text, and its data files as its log has them: the newest version, or
    `version`.

    Raises SnapshotError where the log cannot be read, has no such version, or the files alone are not the rows.
    """
    try:
        table = DeltaTable(url, version=version, storage_options=delta_options(url))
    except (DeltaError, TableNotFoundError, OSError, ValueError) as error:
        asked = "its newest version" if version is None else f"version {version}"
        raise SnapshotError(
            f"{url} is a Delta table of which {asked} cannot be read: {str(error).splitlines()[0][:200]}.",
            cause="there is no such version, or its log is damaged or was cleaned up",
            remedy="name another version with --version, or export the table as Parquet",
        ) from error
    protocol = table.protocol()
    features = {*(protocol.reader_features or ())}
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        features.add("columnMapping")
    if beyond := sorted(features & BEYOND_FILES):
        raise SnapshotError(
            f"{url} is a Delta table with {' and '.join(beyond)}: its files alone are not its rows.",
            cause="deleted rows or the names of columns stand outside its data files",
            remedy="export the table as Parquet, or rewrite it without that feature",
        )
    found = []
    for action in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        path = unquote(action["path"])
        place = path if is_remote(path) or path.startswith("/") else f"{url}/{path}"
        values = {name: value for name, value in action.items() if name.startswith("partition.")}
        partitions = tuple((name.partition(".")[2], None if v is None else str(v)) for name, v in values.items())
        written = datetime.fromtimestamp(action["modification_time"] / 1000, UTC)
        found.append(ForeignFile(place, partitions, action["size_bytes"], written))
    return f"{table.metadata().id}@{table.version()}", sorted(found, key=lambda file: file.path)
