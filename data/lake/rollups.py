"""Telemetry by hour and by day, for sites, regions and the network; recomputed for the dates touched alone.

Everything comes from the raw samples: the mean, P95 and maximum of a region are those of its sum
(data/lake/aggregation.py), and a sample coarser than an hour stands for each of its hours
(`expand_coarse_samples`). The work goes date by date in pieces that fit in memory, and each table changes in one
commit.

Which dates are stale is found by comparing versions: a rollup carries the versions of the tables that it is made of in
the commit that wrote it. So nothing rests on a process living long enough to leave word of what it did, nor on the order
in which several processes write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from data.lake.aggregation import (
    DAY_SECONDS,
    MEASURED,
    NAMES,
    STEPS_FOR_A_GRAIN,
    SampleFilter,
    aggregate_sites,
    first_seen,
)
from data.lake.query import EVERYTHING, connection, day_span, quoted
from data.lake.tables import Change, Lake, Pin, Span, TableState, consecutive, files, stored, stored_schema
from data.lake.temporary import temporary_folder
from data.schema import METRICS, TABLES, Table
from data.schema.errors import LakeError

Progress = Callable[[int, int], None]
# Site-days that are rolled up at once: about six million samples at five minutes, a few hundred MB.
PIECE_SITE_DAYS = 20_000
HOUR_SECONDS = 3600
# A date with fewer samples does not show its grain: one sample may be a daily mean, or the first five minutes after
# midnight.
SCARCE_BELOW = STEPS_FOR_A_GRAIN + 1
SECONDS = {"telemetry_1h": HOUR_SECONDS, "telemetry_1d": DAY_SECONDS}
NEEDED = ("telemetry", "telemetry_1h", "telemetry_1d", "sites", "capacity")
# Figures that differ by less are the same sum, taken in another order.
LAST_BITS = 1e-12
# So few hours or days are those of a tick, which the next tick writes again and compaction merges with others.
INTERIM_INTERVALS = 2
# Every time a process starts over, another one has published; this many outlast any crowd.
ATTEMPTS = 100


# Which dates are stale
# ----------------------------------------------------------------------------------------------------------------------

# What each rollup derives from: the figures of a date come from its telemetry, and which sites were expected on it from
# the catalogue and from closures, and without what is set aside.
SOURCES: dict[str, tuple[str, ...]] = {
    "telemetry_1h": ("telemetry", "sites", "capacity", "set_aside"),
    "telemetry_1d": ("telemetry", "sites", "capacity", "set_aside"),
    "flows_1h": ("flows",),
}
Versions = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stale:
    """Dates to recompute: those (None: all) whose telemetry, and whose flows, the rollups are behind.

    `pin` is what to recompute from and what the rollups hold; `made_of` are the versions that each rollup carries.
    """

    pin: Pin
    made_of: Mapping[str, Versions]
    telemetry: set[date] | None
    flows: set[date] | None
    anew: bool = False

    @property
    def none(self) -> bool:
        """Whether nothing is behind."""
        return self.telemetry == set() and self.flows == set()

    def sources(self, rollup: str) -> dict[str, int]:
        """The versions that a rollup is made of once it is recomputed."""
        return _sources(self.pin, rollup)


def stale_dates(lake: Lake, *, anew: bool = False) -> Stale:
    """Dates that the rollups are behind; all where `anew`, where they do not say what they are made of, as those of an older
    release, and where the log no longer tells what changed.
    """
    # The rollups' versions come first: what they are made of is then never newer than the pin.
    rollups = {name: version for name in SOURCES if (version := lake.version(name)) is not None}
    carried = {name: lake.made_of(name, rollups.get(name)) if name in rollups else {} for name in SOURCES}
    pin = lake.pin(**rollups)
    new = set(SOURCES).difference(rollups)  # a rollup that came in between is made of what nobody looked at here
    pin = replace(pin, versions=tuple(pair for pair in pin.versions if pair[0] not in new))
    dates = {
        name: None if anew and _sources(pin, name) else _behind(lake, name, carried[name], _sources(pin, name))
        for name in SOURCES
    }
    hours, days = dates["telemetry_1h"], dates["telemetry_1d"]
    telemetry = None if hours is None or days is None else hours | days
    if pin.version("telemetry") is None:
        telemetry = set()
    return Stale(pin, carried, telemetry, dates["flows_1h"], anew)


def is_as_new(made_of: Versions, sources: Versions) -> bool:
    """Whether what carries `made_of` is made of these versions of its sources, or of newer ones."""
    return all(made_of.get(name, -1) >= version for name, version in sources.items())


def _sources(pin: Pin, rollup: str) -> dict[str, int]:
    return {name: version for name in SOURCES[rollup] if (version := pin.version(name)) is not None}


def _behind(lake: Lake, rollup: str, before: Versions, now: Versions) -> set[date] | None:
    """Dates on which a rollup of the versions `before` may differ from one of the versions `now`; None for all."""
    main = SOURCES[rollup][0]
    if main not in now or before == now:
        return set()
    if main not in before or any(before[name] > now.get(name, -1) for name in before):
        return None  # it does not say what it is made of, or the lake was made anew
    changed = lake.changed_dates(main, before[main], now[main])
    if changed is None or rollup == "flows_1h":
        return changed
    try:
        return (
            changed
            | _of_moved_sites(lake, before.get("sites"), now.get("sites"))
            | _of_closures(lake, before.get("capacity"), now.get("capacity"))
            | _of_set_aside(lake, before.get("set_aside"), now.get("set_aside"))
        )
    except LakeError:
        return None  # the version that it is made of was vacuumed


def _of_moved_sites(lake: Lake, before: int | None, now: int | None) -> set[date]:
    """Dates with figures of sites that are new, gone, or in another region."""
    if before == now:
        return set()
    regions_before, regions_now = (_rows(lake, "sites", version, ("site_id", "region_id")) for version in (before, now))
    moved = pa.array(sorted({site for site, _ in regions_before ^ regions_now}), pa.string())
    days = lake.read("telemetry_1d") if len(moved) else None
    if days is None:
        return set()
    stamps = days.filter(pc.is_in(days["key"], value_set=moved))["ts"]
    return set(pc.unique(stamps.cast(pa.date32())).to_pylist())


def _of_closures(lake: Lake, before: int | None, now: int | None) -> set[date]:
    """Dates from the first change of a capacity that ends in nothing: whether the site was expected on them may have
    changed.
    """
    if before == now:
        return set()
    columns = ("site_id", "direction", "effective_from", "capacity_gbps", "status")
    steps_before, steps_now = (_rows(lake, "capacity", version, columns) for version in (before, now))
    closed = {row[0] for row in steps_before | steps_now if row[3] == 0}
    changed = [row[2] for row in steps_before ^ steps_now if row[0] in closed]
    version = lake.version("telemetry")
    if not changed or version is None:
        return set()
    dates = {date.fromisoformat(value) for _, value in files(lake.url, "telemetry", version) if value}
    return {day for day in dates if day >= min(changed).date()}


def _of_set_aside(lake: Lake, before: int | None, now: int | None) -> set[date]:
    """Dates of samples that are set aside anew, or no longer."""
    if before == now:
        return set()
    columns = ("site_id", "metric", "ts", "value")
    rows_before, rows_now = (_rows(lake, "set_aside", version, columns) for version in (before, now))
    return {ts.date() for _, _, ts, _ in rows_before ^ rows_now}


def _rows(lake: Lake, name: str, version: int | None, columns: Iterable[str]) -> set[tuple[Any, ...]]:
    table = lake.read(name, version) if version is not None else None
    return set(zip(*(table[column].to_pylist() for column in columns), strict=True)) if table is not None else set()


# Recomputing them
# ----------------------------------------------------------------------------------------------------------------------


class _SupersededError(Exception):
    """Another process has written a rollup since its dates were reckoned."""


def refresh_rollups(lake: Lake, *, anew: bool = False, progress: Progress | None = None) -> int:
    """Bring telemetry_1h, telemetry_1d and flows_1h up to the tables that they derive from; returns how many dates were
    recomputed.

    Only the dates that changed since the versions that the rollups are made of are recomputed (data/lake/rollups.py),
    and only the hours whose figures differ are written; `anew` recomputes and writes all. Where a site turns out to
    have begun earlier than known, the dates in between are recomputed too, because it was expected on them; so are
    dates beside the touched ones that do not show their grain. `progress` is told pieces done and in total.

    Any number of processes may do this at once: each rollup changes in one commit that carries the versions that it is
    made of, and replaces only what the process had reckoned with. A process that comes second leaves a rollup that is
    as new as its own, and else starts over from what it finds: every loss is another process's progress.
    """
    recomputed = 0
    for _ in range(ATTEMPTS):
        stale = stale_dates(lake, anew=anew)
        if stale.none:
            return recomputed
        try:
            return recomputed + _recompute(lake, stale, progress)
        except _SupersededError:
            continue
    raise LakeError(
        f"The hourly and daily figures of {lake.url} were overtaken {ATTEMPTS} times.",
        cause="many processes write to the lake at once",
        remedy="run `python -m data rollup --lake LAKE` when fewer do",
    )


def _recompute(lake: Lake, stale: Stale, progress: Progress | None) -> int:
    """Recompute and publish stale dates; returns how many. _SupersededError where another process published first."""
    pin = stale.pin
    all_dates = sorted(_dates(pin, "telemetry"))
    everything = stale.telemetry is None
    touched = all_dates if stale.telemetry is None else sorted(stale.telemetry)
    flows = sorted(_dates(pin, "flows") if stale.flows is None else stale.flows)
    with temporary_folder("rollup") as folder:
        changed: dict[str, set[datetime]] = {name: set() for name in SECONDS}
        if touched:
            firsts, widened = _first_seen(pin, touched, all_dates, everything=everything)
            touched = sorted({*touched, *widened, *_beside(pin, touched, all_dates)})
            pieces = _pieces(touched, firsts.num_rows)
            for done, piece in enumerate(pieces):
                for name, starts in _roll_up(pin, piece, firsts, folder, everything=everything).items():
                    changed[name] |= starts
                if progress is not None:
                    progress(done + 1, len(pieces))
        if touched or everything:
            for name in SECONDS:  # days follow after hours: they say when a site began, which the next process compares
                _publish(lake, stale, name, folder, None if everything else changed[name])
        if flows or stale.flows is None:
            starts = _roll_up_flows(pin, flows, folder, everything=stale.flows is None)
            _publish(lake, stale, "flows_1h", folder, None if stale.flows is None else starts)
    return len({*touched, *flows})


def _dates(pin: Pin, table: str) -> set[date]:
    """Dates on which a table has rows."""
    version = pin.version(table)
    if version is None:
        return set()
    return {date.fromisoformat(value) for _, value in files(pin.url, table, version) if value}


def _pieces(dates: Sequence[date], sites: int) -> list[list[date]]:
    """Dates in pieces of one month at most, so that a piece is a few files of the rollup, and of a bounded number of
    site-days.
    """
    longest = max(1, PIECE_SITE_DAYS // max(1, sites))
    pieces: list[list[date]] = []
    for day in dates:
        if not pieces or len(pieces[-1]) == longest or pieces[-1][-1].replace(day=1) != day.replace(day=1):
            pieces.append([])
        pieces[-1].append(day)
    return pieces


def _listed(dates: Iterable[date]) -> str:
    return ", ".join(f"DATE '{day}'" for day in dates) or "NULL"


def _span(dates: Sequence[date]) -> Span:
    return day_span(dates[0])[0], day_span(dates[-1])[1]


# First seen
# ----------------------------------------------------------------------------------------------------------------


def _beside(pin: Pin, touched: Sequence[date], all_dates: Sequence[date]) -> set[date]:
    """Dates next to touched ones with so few samples that their neighbours say how long each stands."""
    near = {day + timedelta(days=off) for day in touched for off in (-1, 1)}.intersection(all_dates).difference(touched)
    if not near:
        return set()
    sql = f"SELECT DISTINCT ts::DATE FROM telemetry_1d WHERE level = 'site' AND samples < {SCARCE_BELOW} AND ts::DATE IN ({_listed(sorted(near))})"
    with connection(pin, ["telemetry_1d"], scope=EVERYTHING, span=_span(sorted(near))) as cursor:
        return {day for (day,) in cursor.execute(sql).fetchall()}


def _first_seen(
    pin: Pin, touched: Sequence[date], all_dates: Sequence[date], *, everything: bool
) -> tuple[pa.Table, set[date]]:
    """First dates of each site and metric with the touched dates taken in, and the other dates on which that changes
    who is expected.
    """
    with connection(pin, NEEDED, scope=EVERYTHING, span=_span(touched)) as cursor:
        flags = ", ".join(f"min(date) FILTER ({name} IS NOT NULL) AS {name}" for name in NAMES)
        fresh = f"SELECT site_id, {flags}, min(date) AS any_metric FROM telemetry WHERE date IN ({_listed(touched)}) AND {MEASURED} GROUP BY site_id"
        before = cursor.sql(
            first_seen("SELECT * FROM telemetry_1d" + (" WHERE false" if everything else ""))
        ).to_arrow_table()
        kept = cursor.sql(
            first_seen(
                f"SELECT * FROM telemetry_1d WHERE {'false' if everything else f'ts::DATE NOT IN ({_listed(touched)})'}"
            )
        ).to_arrow_table()
        cursor.register("_kept", kept)
        least = ", ".join(f"min({name}) AS {name}" for name in (*NAMES, "any_metric"))
        after = cursor.sql(
            f"SELECT site_id, {least} FROM (SELECT * FROM _kept UNION ALL BY NAME ({fresh})) GROUP BY site_id"
        ).to_arrow_table()
    return after, set() if everything else _between(before, after, all_dates)


def _between(before: pa.Table, after: pa.Table, all_dates: Sequence[date]) -> set[date]:
    """Dates with telemetry that lie between an old and a new first date."""
    old, new = ({row["site_id"]: row for row in table.to_pylist()} for table in (before, after))
    dates: set[date] = set()
    for site in old.keys() | new.keys():
        for name in (*NAMES, "any_metric"):
            was, now = old.get(site, {}).get(name), new.get(site, {}).get(name)
            if was != now:
                low, high = min(was or date.max, now or date.max), max(was or date.max, now or date.max)
                dates.update(day for day in all_dates if low <= day < high)
    return dates


# Rolling up
# ----------------------------------------------------------------------------------------------------------------


def _roll_up(
    pin: Pin, dates: Sequence[date], firsts: pa.Table, folder: Path, *, everything: bool
) -> dict[str, set[datetime]]:
    """Write the hourly and daily rows of some dates as Parquet files, {table}-{date}.parquet: those of the intervals in
    which any row differs from what the rollup holds. Returns the starts of these intervals by table.
    """
    changed = dict[str, set[datetime]]()
    with connection(
        pin, NEEDED, scope=EVERYTHING, span=_span([dates[0] - timedelta(days=1), dates[-1] + timedelta(days=1)])
    ) as cursor:
        cursor.register("_first", firsts)
        condition = f"date IN ({_listed(dates)})"
        aggregate_sites(cursor, SampleFilter(condition))
        expand_coarse_samples(cursor, condition)
        for name, seconds in SECONDS.items():
            cursor.execute(f"CREATE OR REPLACE TEMP TABLE _fresh AS {rolled_up(seconds, condition)}")
            stored_rows = f"SELECT * FROM {name} WHERE {'false' if everything else f'ts::DATE IN ({_listed(dates)})'}"
            changed[name] = _write_changed(cursor, TABLES[name], stored_rows, folder / f"{name}-{dates[0]}.parquet")
    return changed


def _write_changed(cursor: duckdb.DuckDBPyConnection, table: Table, stored_rows: str, path: Path) -> set[datetime]:
    """Write the rows of `_fresh` that lie in intervals in which they differ from `stored_rows`; returns their starts.

    Sums of many threads differ in their last bits from one time to the next, which is no difference.
    """
    values = [c.name for c in table.columns if c.name not in table.key]
    alike = " AND ".join(
        f"(f.{name} IS NOT DISTINCT FROM k.{name} OR abs(f.{name} - k.{name}) <= {LAST_BITS} * greatest(abs(f.{name}), abs(k.{name})))"
        for name in values
    )
    key = ", ".join(table.key)
    cursor.execute(f"""CREATE OR REPLACE TEMP TABLE _changed AS
        SELECT DISTINCT ts FROM (SELECT *, true AS _in FROM _fresh) f FULL JOIN (SELECT *, true AS _in FROM ({stored_rows})) k USING ({key})
        WHERE f._in IS NULL OR k._in IS NULL OR NOT coalesce({alike}, false)""")
    cursor.execute(f"COPY (FROM _fresh SEMI JOIN _changed USING (ts)) TO {quoted(str(path))} (FORMAT parquet)")
    starts = cursor.execute("SELECT epoch_us(ts) FROM _changed").fetchall()
    return {datetime.fromtimestamp(start // 1_000_000, UTC) for (start,) in starts}


def rolled_up(seconds: int, condition: str) -> str:
    """SQL: the rows of a rollup with this interval, of all levels; needs the view telemetry and what `aggregate_sites` and
    `expand_coarse_samples` make.
    """
    return f"{_of_sites(seconds, condition)} UNION ALL BY NAME {_of_regions(seconds)}"


def _of_sites(seconds: int, condition: str) -> str:
    """SQL: rows of level site."""
    rows = (
        "_site_hours"
        if seconds == HOUR_SECONDS
        else f"telemetry JOIN _grain USING (site_id, date) WHERE {condition} AND {MEASURED}"
    )
    return f"""SELECT 'site' AS level, site_id AS key, {_bucket(seconds)} AS ts, {_statistics()}, count(*) AS samples,
        least(1.0, count(*) / greatest(1, {seconds} / any_value(seconds))) AS completeness
        FROM {rows} GROUP BY ALL"""


def _of_regions(seconds: int) -> str:
    """SQL: rows of the levels above; samples and completeness count the stamps at which enough sites report."""
    rows = "_aggregate_hours" if seconds == HOUR_SECONDS else "_aggregates JOIN _grid_grain USING (date)"
    return f"""SELECT level, key, {_bucket(seconds)} AS ts, {_statistics()}, coalesce(sum(present) FILTER (usable), 0)::BIGINT AS samples,
        least(1.0, coalesce(sum(present) FILTER (usable), 0) / (max(expected) * greatest(1, {seconds} / any_value(seconds)))) AS completeness
        FROM {rows} GROUP BY ALL"""


def _bucket(seconds: int) -> str:
    return f"to_timestamp(epoch_us(ts) // {seconds * 1_000_000} * {seconds})"


def _statistics() -> str:
    return ", ".join(
        f"avg({m.name}) AS {m.name}_mean, quantile_cont({m.name}, 0.95) AS {m.name}_p95, max({m.name}) AS {m.name}_max"
        for m in METRICS
    )


def _publish(lake: Lake, stale: Stale, name: str, folder: Path, changed: Collection[datetime] | None) -> None:
    """Replace the changed intervals of one rollup (None: all of it) by the rows in the folder, in one commit that says
    what they are made of.
    """
    made_of_now = stale.sources(name)

    def change(table: TableState) -> Change | None:
        made_of_then = table.made_of()
        if not stale.anew and made_of_then and is_as_new(made_of_then, made_of_now):
            return None
        if made_of_then != stale.made_of[name]:
            raise _SupersededError
        months = sorted({path.stem.removeprefix(f"{name}-")[:7] for path in folder.glob(f"{name}-*.parquet")})
        batches = (batch for month in months for batch in _month(name, folder, month))
        rows = pa.RecordBatchReader.from_batches(stored_schema(TABLES[name]), batches)
        spans = None if not changed else consecutive(changed, timedelta(seconds=SECONDS.get(name, HOUR_SECONDS)))
        interim = changed is not None and len(changed) <= INTERIM_INTERVALS
        return Change(rows, whole=changed is None, spans=spans, made_of=made_of_now, interim=interim)

    lake.commit(name, change)


def _month(name: str, folder: Path, month: str) -> Iterator[pa.RecordBatch]:
    """The rows of one month as they lie in the lake, sorted by series and time so that a reader skips other series."""
    written = ", ".join(quoted(str(path)) for path in sorted(folder.glob(f"{name}-{month}-*.parquet")))
    with duckdb.connect() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        rows = cursor.sql(
            f"SELECT * FROM read_parquet([{written}]) ORDER BY {', '.join(TABLES[name].key)}"
        ).to_arrow_table()
    yield from stored(TABLES[name], rows).to_batches()


# Coarse samples
# ----------------------------------------------------------------------------------------------------


def expand_coarse_samples(cursor: duckdb.DuckDBPyConnection, condition: str) -> None:
    """The views `_site_hours` (the samples with `seconds`, their grain) and `_aggregate_hours` (`_aggregates` likewise), at least
    one row for each hour that is covered.

    Needs what `aggregate_sites` makes, and the telemetry of the days before and after.
    """
    samples = f"SELECT * FROM telemetry JOIN _grain USING (site_id, date) WHERE {condition} AND {MEASURED}"
    sums = "SELECT * FROM _aggregates JOIN _grid_grain USING (date)"
    if cursor.execute(f"SELECT 1 FROM _grain WHERE seconds > {HOUR_SECONDS} LIMIT 1").fetchone():
        _measure(cursor)
        samples, sums = _by_hour(samples, "_hold USING (site_id, date)"), _by_hour(sums, "_grid_hold USING (date)")
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW _site_hours AS {samples}")
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW _aggregate_hours AS {sums}")


def _measure(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make `_hold` (site_id, date, hold_seconds) and `_grid_hold` (date, hold_seconds): for how many seconds a sample stands.

    That is the grain, where the date has enough samples to show it; else no longer than the samples of the day before
    or after lie apart, and an hour where there are none.
    """
    cursor.execute(f"""CREATE OR REPLACE TEMP TABLE _hold AS
        WITH days AS (SELECT site_id, date, count(*) AS samples FROM telemetry
                      WHERE {MEASURED} AND date BETWEEN (SELECT min(date) - 1 FROM _grain) AND (SELECT max(date) + 1 FROM _grain) GROUP BY ALL)
        SELECT g.site_id, g.date, CASE WHEN own.samples >= {SCARCE_BELOW} THEN g.seconds
               ELSE least(g.seconds, coalesce({DAY_SECONDS} // greatest(before.samples, after.samples), {HOUR_SECONDS})) END AS hold_seconds
        FROM _grain g JOIN days own USING (site_id, date)
        LEFT JOIN days before ON before.site_id = g.site_id AND before.date = g.date - 1
        LEFT JOIN days after ON after.site_id = g.site_id AND after.date = g.date + 1""")
    cursor.execute("""CREATE OR REPLACE TEMP TABLE _grid_hold AS
        SELECT date, least(any_value(_grid_grain.seconds), arg_max(hold_seconds, (sites, -hold_seconds))) AS hold_seconds
        FROM (SELECT date, hold_seconds, count(*) AS sites FROM _hold GROUP BY ALL) JOIN _grid_grain USING (date) GROUP BY date""")


def _by_hour(rows: str, holds: str) -> str:
    """SQL: the rows, those that stand for longer than an hour once for each hour of their interval, within their
    date.
    """
    first = f"CASE WHEN hold_seconds > {HOUR_SECONDS} THEN epoch_us(ts) // (1000000 * hold_seconds) * hold_seconds ELSE epoch_us(ts) // 1000000 END"
    after = f"first + CASE WHEN hold_seconds > {HOUR_SECONDS} THEN hold_seconds ELSE 1 END"
    return f"""
        SELECT * EXCLUDE (ts, hold_seconds, first, hour), to_timestamp(hour * {HOUR_SECONDS}) AS ts
        FROM (SELECT *, unnest(range(first // {HOUR_SECONDS}, ({after} + {HOUR_SECONDS - 1}) // {HOUR_SECONDS})) AS hour
              FROM (SELECT *, {first} AS first FROM ({rows}) JOIN {holds}))
        WHERE to_timestamp(hour * {HOUR_SECONDS})::DATE = date"""


# Flows
# ---------------------------------------------------------------------------------------------------------------------


def _roll_up_flows(pin: Pin, dates: Sequence[date], folder: Path, *, everything: bool) -> set[datetime]:
    """Hourly means of the flows on some dates, written and reported as in `_roll_up`. A flow without a row in an hour
    carried nothing that was measured: it has no row here either.
    """
    changed = set[datetime]()
    for piece in _pieces(dates, 1):
        span = _span(piece)
        with connection(pin, ["flows", "flows_1h"], scope=EVERYTHING, span=span) as cursor:
            cursor.execute(f"""CREATE OR REPLACE TEMP TABLE _fresh AS
                SELECT source_site_id, target_site_id, {_bucket(HOUR_SECONDS)} AS ts, avg(gbps) AS gbps
                FROM flows WHERE date IN ({_listed(piece)}) GROUP BY ALL""")
            stored_rows = f"SELECT * FROM flows_1h WHERE {'false' if everything else f'ts::DATE IN ({_listed(piece)})'}"
            changed |= _write_changed(cursor, TABLES["flows_1h"], stored_rows, folder / f"flows_1h-{piece[0]}.parquet")
    return changed
