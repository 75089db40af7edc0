"""Telemetry coarser than an hour by the hour: a sample is the mean of its interval, so it stands for each hour of it.
SQL over the views of data/lake/query.py.

As in sums, a sample lies on the grid of its grain and stays within its date. What an hour was beyond that mean nobody
measured: P95 and maximum are that too.
"""

from __future__ import annotations

import duckdb

from data.lake.aggregation import DAY_SECONDS, MEASURED, STEPS_FOR_A_GRAIN

HOUR_SECONDS = 3600
# A date with fewer samples does not show its grain: one sample may be a daily mean, or the first five minutes after
# midnight.
SCARCE_BELOW = STEPS_FOR_A_GRAIN + 1


def hold(cursor: duckdb.DuckDBPyConnection, condition: str) -> None:
    """The views `_site_hours` (the samples with `seconds`, their grain) and `_sum_hours` (`_sums` likewise), at least
    one row for each hour that is covered.

    Needs what `add_up` makes, and the telemetry of the days before and after.
    """
    samples = f"SELECT * FROM telemetry JOIN _grain USING (site_id, date) WHERE {condition} AND {MEASURED}"
    sums = "SELECT * FROM _sums JOIN _pace USING (date)"
    if cursor.execute(f"SELECT 1 FROM _grain WHERE seconds > {HOUR_SECONDS} LIMIT 1").fetchone():
        _measure(cursor)
        samples, sums = _by_hour(samples, "_hold USING (site_id, date)"), _by_hour(sums, "_pace_hold USING (date)")
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW _site_hours AS {samples}")
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW _sum_hours AS {sums}")


def _measure(cursor: duckdb.DuckDBPyConnection) -> None:
    """`_hold` (site_id, date, held) and `_pace_hold` (date, held): for how many seconds a sample stands.

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
    cursor.execute("""CREATE OR REPLACE TEMP TABLE _pace_hold AS
        SELECT date, least(any_value(_pace.seconds), arg_max(held, (sites, -held))) AS held
        FROM (SELECT date, held, count(*) AS sites FROM _hold GROUP BY ALL) JOIN _pace USING (date) GROUP BY date""")


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
