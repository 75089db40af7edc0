"""What do the rollups buy? Named questions, each against the same answer by hand-written DuckDB SQL on the raw 5-minute
files.

    python -m benchmarks.queries [--sites 48] [--days 365] [--runs 9] [--lake FOLDER]

One JSON line a question, times in milliseconds. The SQL is what an analyst would write who knows the files: it is told
how many sites a region has, reads only the files of the dates that it needs, and runs on a connection that has them
open. Both answers are compared, value by value, before anything is timed. The bar
is on the questions that span a year: rollups at least 5 times faster. Runs take turns, so that whatever else the
machine does falls on both; `cpu_ratio` compares the processor time of the two ways, which a busy machine moves less.

Measured over a year of 48 sites, on two processors with nothing else to do, as ratio (cpu_ratio): a site by hour 6.5
(8.5), by day 11 (19); a region by hour 7.9 (11), by day 14 (24); the network by hour 8.7 (12), by day 15 (27); the
sites of a region side by side 6.1 (8.8); completeness by day 6.5 (11). Before the list of sites was read once for a
version, the last two were 4.7 and 5.0.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from benchmarks.__main__ import BENCH, END
from data import queries
from data.__main__ import main as data_command
from data.lake.query import EVERYTHING
from data.lake.tables import Lake, Pin, files
from data.queries import Extent

BAR = 5.0
DAY = pd.Timedelta(days=1)
Answer = Callable[[], pd.DataFrame]
Shape = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Question:
    """A question by its two ways: ours, as pages ask it, and SQL over `raw`. `barred` says that the bar holds for it.

    `shape` brings our answer, which tells more than was asked (names, capacity, missing hours), to the columns and rows
    of the SQL's, to be compared.
    """

    name: str
    ours: Answer
    shape: Shape
    sql: str
    days: int
    barred: bool


@dataclass(frozen=True, slots=True)
class Span:
    """The last `days` of a lake, as whole hours or days, in the words of SQL."""

    start: pd.Timestamp
    end: pd.Timestamp

    @property
    def sql(self) -> str:
        return f"ts >= TIMESTAMPTZ '{self.start.isoformat()}' AND ts < TIMESTAMPTZ '{self.end.isoformat()}'"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 where an answer differs or a bar is missed."""
    parser = argparse.ArgumentParser(description="Questions to the rollups, against SQL on the raw files.")
    parser.add_argument("--sites", type=int, default=48)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument(
        "--lake", help="a simulated lake (default: var/bench/year-SITESxDAYS, made where it is not there)"
    )
    options = parser.parse_args(arguments)
    lake = Lake(options.lake or made(options.sites, options.days))
    pin = lake.pin()
    held = queries.extent(pin, EVERYTHING)
    if held is None:
        parser.error(f"the lake {lake.url} holds no telemetry")
    passed = True
    for question in questions(pin, held, options.days):
        line = measured(pin, question, options.runs)
        sys.stdout.write(json.dumps({"bench": "queries", "sites": held.sites, **line}) + "\n")
        sys.stdout.flush()
        passed &= line["passed"] is not False
    return 0 if passed else 1


def made(sites: int, days: int) -> Path:
    """A simulated lake, kept for the next time."""
    place = BENCH / f"year-{sites}x{days}"
    data_command(["demo", "--sites", str(sites), "--days", str(days), "--end", END, "--lake", str(place), "--if-empty"])
    return place


# The questions
# -------------------------------------------------------------------------------------------------------------


def questions(pin: Pin, held: Extent, days: int) -> Iterator[Question]:
    """Each question over the whole lake, then a few over the days that pages open with."""
    sites = queries.catalogue(pin, EVERYTHING)
    region = sites["region_id"].mode()[0]
    members = sites.loc[sites["region_id"] == region, "site_id"]
    for span_days in (days, 90, 7):
        span = Span((held.now - span_days * DAY).ceil("D"), held.now.floor("D"))
        ask = partial(queries.history, pin, start=span.start, end=span.end, metrics=("egress_gbps",))
        for level, key, listed in (
            ("site", members.iloc[0], members.iloc[:1]),
            ("region", region, members),
            ("global", "all", sites["site_id"]),
        ):
            for grain, seconds in (("1h", 3600), ("1d", 86_400)):
                ours = partial(ask, level=level, key=key, grain=grain)
                by_hand = _statistics(span, list(listed), seconds)
                yield Question(
                    f"{level} by {grain}, {span_days} days", ours, _history, by_hand, span_days, span_days == days
                )
        side_by_side = partial(queries.site_series, pin, region, "egress_gbps", span.start, span.end)
        yield Question(
            f"sites of a region by 1h, {span_days} days",
            side_by_side,
            _side_by_side,
            _means(span, list(members)),
            span_days,
            span_days == days,
        )
        complete = partial(queries.completeness, pin, EVERYTHING, span_days + 1)
        yield Question(
            f"completeness by day, {span_days} days",
            complete,
            partial(_completeness, span),
            _counts(span),
            span_days,
            span_days == days,
        )


def _history(found: pd.DataFrame) -> pd.DataFrame:
    return found[["ts", "egress_gbps_mean", "egress_gbps_p95", "egress_gbps_max"]]


def _side_by_side(found: pd.DataFrame) -> pd.DataFrame:
    return found[["site_id", "ts", "value"]]


def _completeness(span: Span, found: pd.DataFrame) -> pd.DataFrame:
    ts = pd.to_datetime(found["date"], utc=True).astype("datetime64[us, UTC]")
    found = found.assign(ts=ts).loc[(ts >= span.start) & (ts < span.end), ["site_id", "ts", "completeness"]]
    return found[found["completeness"] > 0].sort_values(["site_id", "ts"])


def _statistics(span: Span, sites: list[str], seconds: int) -> str:
    """SQL: mean, P95 and maximum of the sum; a stamp counts where nine in ten of the sites report."""
    return f"""
        WITH stamps AS (SELECT ts, sum(egress_gbps) AS total FROM raw WHERE {span.sql} AND site_id IN ({_listed(sites)})
                        GROUP BY ts HAVING count(egress_gbps) >= 0.9 * {len(sites)})
        SELECT time_bucket(INTERVAL {seconds} SECOND, ts) AS ts, avg(total), quantile_cont(total, 0.95), max(total) FROM stamps GROUP BY 1 ORDER BY 1"""


def _means(span: Span, sites: list[str]) -> str:
    return f"""SELECT site_id, time_bucket(INTERVAL 1 HOUR, ts) AS ts, avg(egress_gbps) AS value FROM raw
               WHERE {span.sql} AND site_id IN ({_listed(sites)}) GROUP BY 1, 2 HAVING value IS NOT NULL ORDER BY 1, 2"""


def _counts(span: Span) -> str:
    return f"SELECT site_id, date::TIMESTAMPTZ AS ts, count(*) / 288 FROM raw WHERE {span.sql} GROUP BY site_id, date ORDER BY site_id, date"


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


# Measuring
# -----------------------------------------------------------------------------------------------------------------


def measured(pin: Pin, question: Question, runs: int) -> dict[str, object]:
    """The figures of one line."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
        listed = [
            path
            for path, day in files(pin.url, "telemetry", pin.version("telemetry") or 0)
            if day and day >= _first_day(pin, question.days)
        ]
        con.execute(f"CREATE VIEW raw AS SELECT * FROM read_parquet([{_listed(listed)}], hive_partitioning = true)")
        by_hand: Answer = lambda: con.sql(question.sql).to_arrow_table().to_pandas()  # noqa: E731 - beside ours, which is a call too
        equal, rows = same(question.shape(question.ours()), by_hand())
        turns = [(timed(question.ours), timed(by_hand)) for _ in range(runs)]
    (ours, busy), (raw, raw_busy) = ([*zip(*way, strict=True)] for way in zip(*turns, strict=True))
    ratio = statistics.median(raw) / statistics.median(ours)
    return {
        "question": question.name,
        "rows": rows,
        "equal": equal,
        "median_ms": round(statistics.median(ours), 1),
        "p95_ms": round(float(np.quantile(ours, 0.95)), 1),
        "raw_median_ms": round(statistics.median(raw), 1),
        "ratio": round(ratio, 1),
        "cpu_ratio": round(statistics.median(raw_busy) / statistics.median(busy), 1),
        "bar": BAR if question.barred else None,
        "passed": equal and ratio >= BAR if question.barred else equal,
    }


def _first_day(pin: Pin, days: int) -> str:
    """The raw files may leave out the days before, as ours do."""
    held = queries.extent(pin, EVERYTHING)
    return "" if held is None else f"{held.now - days * DAY:%Y-%m-%d}"


def same(ours: pd.DataFrame, raw: pd.DataFrame) -> tuple[bool, int]:
    """Whether two answers hold the same rows and values, missing ones left out, and how many rows that is."""
    left, right = (
        frame.dropna().reset_index(drop=True).set_axis(range(frame.shape[1]), axis=1) for frame in (ours, raw)
    )
    try:
        pd.testing.assert_frame_equal(left, right, rtol=1e-9, check_dtype=False)
    except AssertionError as difference:
        sys.stderr.write(f"{difference}\n")
        return False, len(left)
    return True, len(left)


def timed(ask: Answer) -> tuple[float, float]:
    """Milliseconds that a question takes, and those of all processors that it keeps busy."""
    begun, busy = time.perf_counter(), time.process_time()
    ask()
    return (time.perf_counter() - begun) * 1000, (time.process_time() - busy) * 1000


if __name__ == "__main__":
    sys.exit(main())
