"""Telemetry by hour and by day, for sites, regions and the network; recomputed for the dates touched alone.

Everything comes from the raw samples: the mean, P95 and maximum of a region are those of its sum
(data/lake/aggregation.py), and a sample coarser than an hour stands for each of its hours
(`expand_coarse_samples`). The work goes date by date in pieces that fit in memory, and each table changes in one
commit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from data.lake.aggregation import (
    DAY_SECONDS,
    MEASURED,
    NAMES,
    STEPS_FOR_A_GRAIN,
    SampleFilter,
    aggregate_sites,
    first_seen,
)
from data.lake.query import Span, connection, day_span
from data.lake.tables import Change, Lake, Pin, files, stored, stored_schema
from data.schema import METRICS, TABLES

Progress = Callable[[int, int], None]
# Site-days that are rolled up at once: about six million samples at five minutes, a few hundred MB.
PIECE_SITE_DAYS = 20_000
HOUR_SECONDS = 3600
# A date with fewer samples does not show its grain: one sample may be a daily mean, or the first five minutes after
# midnight.
SCARCE_BELOW = STEPS_FOR_A_GRAIN + 1
SECONDS = {"telemetry_1h": HOUR_SECONDS, "telemetry_1d": DAY_SECONDS}
NEEDED = ("telemetry", "telemetry_1d", "sites", "capacity")


def refresh_rollups(lake: Lake, dates: Iterable[date] | None = None, *, progress: Progress | None = None) -> int:
    """Recompute telemetry_1h, telemetry_1d and flows_1h for the UTC dates touched (None: all); returns how many dates
    were recomputed.

    Where a site turns out to have begun earlier than known, the dates in between are recomputed too, because it was
    expected on them; so are dates beside the touched ones that do not show their grain. A change of sites or capacity
    (another region, a closed site) needs all dates. `progress` is told pieces done and in total.
    """
    pin = lake.pin()
    held = sorted(_dates(pin, "telemetry"))
    touched = sorted(set(held) | _dates(pin, "flows") if dates is None else set(dates))
    if not touched:
        return 0
    firsts, widened = _first_seen(pin, touched, held, everything=dates is None)
    touched = sorted({*touched, *widened, *_beside(pin, touched, held)})
    with tempfile.TemporaryDirectory(prefix="rollup-") as folder:
        pieces = _pieces(touched, firsts.num_rows)
        for done, piece in enumerate(pieces):
            _roll_up(pin, piece, firsts, Path(folder))
            if progress is not None:
                progress(done + 1, len(pieces))
        for name in SECONDS:
            _publish(lake, name, Path(folder), touched, everything=dates is None)
    _roll_up_flows(lake, pin, touched, everything=dates is None)
    return len(touched)


def _dates(pin: Pin, table: str) -> set[date]:
    version = pin.version(table)
    return (
        set()
        if version is None
        else {date.fromisoformat(value) for _, value in files(pin.url, table, version) if value}
    )


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


def _beside(pin: Pin, touched: Sequence[date], held: Sequence[date]) -> set[date]:
    """Dates next to touched ones with so few samples that their neighbours say how long each stands."""
    near = {day + timedelta(days=off) for day in touched for off in (-1, 1)}.intersection(held).difference(touched)
    if not near:
        return set()
    sql = f"SELECT DISTINCT ts::DATE FROM telemetry_1d WHERE level = 'site' AND samples < {SCARCE_BELOW} AND ts::DATE IN ({_listed(sorted(near))})"
    with connection(pin, ["telemetry_1d"], span=_span(sorted(near))) as cursor:
        return {day for (day,) in cursor.execute(sql).fetchall()}


def _first_seen(
    pin: Pin, touched: Sequence[date], held: Sequence[date], *, everything: bool
) -> tuple[pa.Table, set[date]]:
    """First dates of each site and metric with the touched dates taken in, and the other dates on which that changes
    who is expected.
    """
    with connection(pin, NEEDED, span=_span(touched)) as cursor:
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
    return after, set() if everything else _between(before, after, held)


def _between(before: pa.Table, after: pa.Table, held: Sequence[date]) -> set[date]:
    """Dates with telemetry that lie between an old and a new first date."""
    old, new = ({row["site_id"]: row for row in table.to_pylist()} for table in (before, after))
    found: set[date] = set()
    for site in old.keys() | new.keys():
        for name in (*NAMES, "any_metric"):
            was, now = old.get(site, {}).get(name), new.get(site, {}).get(name)
            if was != now:
                low, high = min(was or date.max, now or date.max), max(was or date.max, now or date.max)
                found.update(day for day in held if low <= day < high)
    return found


# Rolling up
# ----------------------------------------------------------------------------------------------------------------


def _roll_up(pin: Pin, dates: Sequence[date], firsts: pa.Table, folder: Path) -> None:
    """Write the hourly and daily rows of some dates as Parquet files, {table}-{date}.parquet."""
    with connection(pin, NEEDED, span=_span([dates[0] - timedelta(days=1), dates[-1] + timedelta(days=1)])) as cursor:
        cursor.register("_first", firsts)
        condition = f"date IN ({_listed(dates)})"
        aggregate_sites(cursor, SampleFilter(condition))
        expand_coarse_samples(cursor, condition)
        for name, seconds in SECONDS.items():
            cursor.execute(
                f"COPY ({rolled_up(seconds, condition)}) TO '{folder / f'{name}-{dates[0]}.parquet'}' (FORMAT parquet)"
            )


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


def _publish(lake: Lake, name: str, folder: Path, dates: Sequence[date], *, everything: bool) -> None:
    """Replace the dates of one rollup by the rows in the folder, in one commit."""

    def change(_: DeltaTable) -> Change:
        months = sorted({f"{day:%Y-%m}" for day in dates})
        batches = (batch for month in months for batch in _month(name, folder, month))
        return Change(
            pa.RecordBatchReader.from_batches(stored_schema(TABLES[name]), batches),
            whole=everything,
            dates=None if everything else dates,
        )

    lake.commit(name, change)


def _month(name: str, folder: Path, month: str) -> Iterator[pa.RecordBatch]:
    """The rows of one month as they lie in the lake, sorted by series and time so that a reader skips other series."""
    written = ", ".join(f"'{path}'" for path in sorted(folder.glob(f"{name}-{month}-*.parquet")))
    with duckdb.connect() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        rows = cursor.sql(f"SELECT * FROM read_parquet([{written}]) ORDER BY level, key, ts").to_arrow_table()
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
    """`_hold` (site_id, date, held) and `_grid_hold` (date, held): for how many seconds a sample stands.

    That is the grain, where the date has enough samples to show it; else no longer than the samples of the day before
    or after lie apart, and an hour where there are none.
    """
    cursor.execute(f"""CREATE OR REPLACE TEMP TABLE _hold AS
        WITH days AS (SELECT site_id, date, count(*) AS samples FROM telemetry
                      WHERE {MEASURED} AND date BETWEEN (SELECT min(date) - 1 FROM _grain) AND (SELECT max(date) + 1 FROM _grain) GROUP BY ALL)
        SELECT g.site_id, g.date, CASE WHEN own.samples >= {SCARCE_BELOW} THEN g.seconds
               ELSE least(g.seconds, coalesce({DAY_SECONDS} // greatest(before.samples, after.samples), {HOUR_SECONDS})) END AS held
        FROM _grain g JOIN days own USING (site_id, date)
        LEFT JOIN days before ON before.site_id = g.site_id AND before.date = g.date - 1
        LEFT JOIN days after ON after.site_id = g.site_id AND after.date = g.date + 1""")
    cursor.execute("""CREATE OR REPLACE TEMP TABLE _grid_hold AS
        SELECT date, least(any_value(_grid_grain.seconds), arg_max(held, (sites, -held))) AS held
        FROM (SELECT date, held, count(*) AS sites FROM _hold GROUP BY ALL) JOIN _grid_grain USING (date) GROUP BY date""")


def _by_hour(rows: str, held: str) -> str:
    """SQL: the rows, those that stand for longer than an hour once for each hour of their interval, within their
    date.
    """
    first = (
        f"CASE WHEN held > {HOUR_SECONDS} THEN epoch_us(ts) // (1000000 * held) * held ELSE epoch_us(ts) // 1000000 END"
    )
    after = f"first + CASE WHEN held > {HOUR_SECONDS} THEN held ELSE 1 END"
    return f"""
        SELECT * EXCLUDE (ts, held, first, hour), to_timestamp(hour * {HOUR_SECONDS}) AS ts
        FROM (SELECT *, unnest(range(first // {HOUR_SECONDS}, ({after} + {HOUR_SECONDS - 1}) // {HOUR_SECONDS})) AS hour
              FROM (SELECT *, {first} AS first FROM ({rows}) JOIN {held}))
        WHERE to_timestamp(hour * {HOUR_SECONDS})::DATE = date"""


# Flows
# ---------------------------------------------------------------------------------------------------------------------


def _roll_up_flows(lake: Lake, pin: Pin, touched: Sequence[date], *, everything: bool) -> None:
    """Hourly means of the flows on the touched dates. A flow without a row in an hour carried nothing that was
    measured: it has no row here either.
    """
    dates = sorted(_dates(pin, "flows") if everything else _dates(pin, "flows").intersection(touched))
    if not dates:
        return
    sql = f"""SELECT source_site_id, target_site_id, {_bucket(3600)} AS ts, avg(gbps) AS gbps FROM flows WHERE date IN ({_listed(dates)})
              GROUP BY ALL ORDER BY ts, source_site_id, target_site_id"""
    with connection(pin, ["flows"], span=_span(dates)) as cursor:
        rows = cursor.sql(sql).to_arrow_table()
    if everything:
        lake.replace("flows_1h", rows)
    else:
        lake.replace_dates("flows_1h", rows, dates)
