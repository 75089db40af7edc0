"""The commands that take snapshots in and look after the lake (ingest, check, watch, status, vacuum, rollup), the inbox
that `watch` polls, and what they print: what became of snapshots, and the state of a lake.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from data.console import ProgressBars, console
from data.ingest.column_mapping import ReadOptions, read_options
from data.ingest.ledger import Outcome, OutcomeState
from data.ingest.parse_values import Epoch
from data.ingest.recipes import load_recipe, recipe_names
from data.ingest.run import IngestRun, dry_run, plan_tasks
from data.ingest.sources import Listing, Source, list_snapshots
from data.lake.maintenance import maintain as maintain_lake
from data.lake.maintenance import maintain_if_due
from data.lake.object_store import STORE_ERRORS
from data.lake.query import EVERYTHING
from data.lake.rollups import refresh_rollups
from data.lake.tables import SAFE_RETENTION, Lake
from data.queries import extent, level_changes, set_aside, snapshots, table_versions
from data.schema import INPUT_TABLES, METRIC
from data.schema.errors import HeadroomError, SettingError
from data.schema.validation import EXCERPT, excerpt

FINE, QUARANTINED, USAGE = 0, 1, 2
ROLLING_UP = "Hourly and daily figures"
INBOX = "var/inbox"
# What a command may meet through no fault of the program: each becomes one line.
EXPECTED = (HeadroomError, *STORE_ERRORS)


def add_ingest(parser: argparse.ArgumentParser) -> None:
    """The options of `ingest` and `check`."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="files, folders, Delta tables, or URLs (s3://, gs://, az://, http://, https://): Parquet, or text such as CSV",
    )
    _add_reading(parser)
    _add_shared(parser)


def add_watch(parser: argparse.ArgumentParser) -> None:
    """The options of `watch`."""
    parser.add_argument("inbox", nargs="?", default=INBOX, help="folder or URL to poll (default: %(default)s)")
    parser.add_argument(
        "--interval", type=float, default=5.0, metavar="SECONDS", help="pause between two polls (default: %(default)s)"
    )
    parser.add_argument("--once", action="store_true", help="poll once, and end")
    _add_reading(parser)
    _add_shared(parser)


def add_status(parser: argparse.ArgumentParser) -> None:
    """The options of `status`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _add_shared(parser)


def add_vacuum(parser: argparse.ArgumentParser) -> None:
    """The options of `vacuum`."""
    parser.add_argument(
        "--keep-days",
        type=float,
        default=SAFE_RETENTION.days,
        metavar="DAYS",
        help="versions younger than this stay readable (default: %(default)s)",
    )
    _add_shared(parser)


def add_rollup(parser: argparse.ArgumentParser) -> None:
    """The options of `rollup`."""
    _add_shared(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to read the files")
    group.add_argument(
        "--table",
        choices=INPUT_TABLES,
        help="the table that they feed (default: told by their columns, then by their names)",
    )
    group.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="THEIRS=OURS",
        help="rename a column; THEIRS*0.001=OURS converts its unit too",
    )
    group.add_argument(
        "--constant",
        action="append",
        default=[],
        metavar="OURS=VALUE",
        help="a column that is the same in every row; given twice, it repeats the rows for each value",
    )
    group.add_argument(
        "--timezone", metavar="ZONE", help="zone of stamps that name none, for instance UTC or Europe/Berlin"
    )
    group.add_argument(
        "--epoch",
        choices=get_args(Epoch),
        help="unit of stamps that are numbers since 1970: seconds, milliseconds, microseconds or nanoseconds",
    )
    group.add_argument(
        "--encoding", metavar="NAME", help="encoding of text that is not UTF-8, for instance windows-1252"
    )
    group.add_argument(
        "--version", type=int, metavar="N", help="version of a Delta table that is read (default: the newest)"
    )
    group.add_argument(
        "--missing-rows",
        choices=("null", "zero"),
        default="null",
        help="what a row means that is not there: nothing is known, or zero was measured (default: %(default)s)",
    )
    group.add_argument(
        "--recipe",
        metavar="RECIPE",
        help=f"read a whole data set as a recipe says: {', '.join(recipe_names())}, or the path of a TOML file",
    )


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lake",
        default=os.environ.get("HEADROOM_LAKE", "var/lake"),
        help="a folder or s3://, gs://, az:// (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def ingest(arguments: argparse.Namespace) -> int:
    """Take snapshots in; 1 where something was quarantined."""
    options_of, listing = _options_of(arguments), _listing(arguments)
    lake = Lake(arguments.lake)
    with ProgressBars(quiet=arguments.quiet) as bars:
        outcomes = list(IngestRun(lake).run(plan_tasks(listing.sources, options_of), partial(_taking_in, bars)))
        refresh_rollups(lake, progress=partial(bars.update, ROLLING_UP))
    return _print_outcomes(outcomes, passed_over(listing, options_of))


def check(arguments: argparse.Namespace) -> int:
    """Say what ingest would do, and write nothing; 1 where there are faults."""
    options_of, listing = _options_of(arguments), _listing(arguments)
    tasks = plan_tasks(listing.sources, options_of)
    with ProgressBars(quiet=arguments.quiet) as bars:
        outcomes = list(dry_run(Lake(arguments.lake), tasks, partial(_taking_in, bars)))
    return _print_outcomes(outcomes, passed_over(listing, options_of), dry_run=True)


def watch(arguments: argparse.Namespace) -> int:
    """Poll an inbox until Ctrl-C; with --once, 1 where something was quarantined."""
    if arguments.interval <= 0:
        raise SettingError(
            f"--interval {arguments.interval:g}: not above 0.",
            remedy="name the pause in seconds, for instance --interval 5",
        )
    inbox, lake = Inbox(arguments.inbox, _options_of(arguments), arguments.version), Lake(arguments.lake)
    if arguments.once:
        return _print_outcomes(inbox.poll(lake), inbox.passed_over)
    while True:
        _poll(inbox, lake)
        time.sleep(arguments.interval)


def show_status(arguments: argparse.Namespace) -> int:
    """Print the state of the lake."""
    state = status(Lake(arguments.lake))
    print_lines([json.dumps(state)] if arguments.json else status_lines(state))
    return FINE


def vacuum(arguments: argparse.Namespace) -> int:
    """Compact small files and delete what no version needs that is younger than the retention."""
    lake = Lake(arguments.lake)
    refresh_rollups(lake)
    done = maintain_lake(lake, timedelta(days=arguments.keep_days))
    refresh_rollups(lake)
    print_lines(
        f"{name}: {counts['files_compacted']} files compacted, {counts['files_vacuumed']} deleted"
        for name, counts in done.items()
    )
    return FINE


def rollup(arguments: argparse.Namespace) -> int:
    """Make the hourly and daily figures anew."""
    with ProgressBars(quiet=arguments.quiet) as bars:
        dates = refresh_rollups(Lake(arguments.lake), anew=True, progress=partial(bars.update, ROLLING_UP))
    print_lines([f"{dates} dates rolled up"])
    return FINE


def _taking_in(bars: ProgressBars, done: int, total: int, name: str) -> None:
    del name  # a bar that renames itself for every file only flickers
    bars.update("Snapshots", done, total)


def print_lines(texts: Iterable[str], *, errors: bool = False) -> None:
    """Print on standard output, or on standard error."""
    screen = console(errors=errors)
    for text in texts:
        screen.print(text)


def _poll(inbox: Inbox, lake: Lake) -> None:
    """One poll of the inbox; a store that does not answer now may answer later."""
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    try:
        outcomes = inbox.poll(lake)
    except EXPECTED as error:
        print_lines([f"{at} {one_line(error)}"], errors=True)
        return
    if outcomes or inbox.passed_over:
        print_lines(f"{at} {line}" for line in report(outcomes, inbox.passed_over))


def one_line(error: BaseException) -> str:
    """First line of an error, without the trace and the source of some libraries' errors."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _print_outcomes(outcomes: Sequence[Outcome], passed_over: Sequence[str], *, dry_run: bool = False) -> int:
    print_lines(report(outcomes, passed_over, dry_run=dry_run))
    return FINE if all(outcome.clean for outcome in outcomes) else QUARANTINED


def _listing(arguments: argparse.Namespace) -> Listing:
    """All snapshots that are meant, those beside a recipe included, and what lies beside them."""
    also = [str(path) for path in load_recipe(arguments.recipe).also] if arguments.recipe else []
    return list_snapshots([*also, *arguments.paths], version=arguments.version)


def passed_over(listing: Listing, options_of: Callable[[Source], Sequence[ReadOptions]]) -> list[str]:
    """Where the files lie that are not read: by their names they are no snapshots, or no step of the recipe names them."""
    return [*listing.passed_over, *(source.url for source in listing.sources if not options_of(source))]


def _options_of(arguments: argparse.Namespace) -> Callable[[Source], Sequence[ReadOptions]]:
    """The reading options of each file."""
    own = (
        arguments.table,
        arguments.map,
        arguments.constant,
        arguments.timezone,
        arguments.missing_rows,
        arguments.epoch,
        arguments.encoding,
    )
    if arguments.recipe is None:
        options = read_options(*own)
        return lambda _: [options]
    if own != (None, [], [], None, "null", None, None):
        raise SettingError(
            "--recipe stands beside other options of reading.",
            cause="a recipe says all of that itself",
            remedy="give one or the other",
        )
    return load_recipe(arguments.recipe).options_of


# A file in a folder counts as whole once nobody has written to it for so long; objects in a store appear whole.
SETTLED = timedelta(seconds=2)


@dataclass
class Inbox:
    """A folder or a URL, and what of it this process has seen already; content that was seen before it started is known
    by its hash.
    """

    url: str
    options_of: Callable[[Source], Sequence[ReadOptions]]
    version: int | None = None
    passed_over: list[str] = field(default_factory=list)
    _seen: set[object] = field(default_factory=set)

    def poll(self, lake: Lake) -> list[Outcome]:
        """Take in what is new and whole, bring the hourly and daily figures up to it, and keep the lake small.

        `passed_over` are then the files that are no snapshots and were not seen before.
        """
        listing = self._listing()
        fresh = [source for source in listing.sources if source.fingerprint not in self._seen and _is_whole(source)]
        self.passed_over = [where for where in passed_over(listing, self.options_of) if where not in self._seen]
        self._seen.update(self.passed_over)
        outcomes = list(IngestRun(lake, move=True).run(plan_tasks(fresh, self.options_of))) if fresh else []
        unread = {outcome.source.fingerprint for outcome in outcomes if outcome.state == "unreadable"}
        refresh_rollups(lake)
        if outcomes:
            maintain_if_due(lake)
        self._seen.update(source.fingerprint for source in fresh if source.fingerprint not in unread)
        return outcomes

    def _listing(self) -> Listing:
        if "://" not in self.url:
            Path(self.url).mkdir(parents=True, exist_ok=True)
        return list_snapshots([self.url], empty=True, version=self.version)


def _is_whole(source: Source) -> bool:
    return "://" in source.url or datetime.now(UTC) - source.changed >= SETTLED


# Problems that are told in full; a folder of a thousand damaged files needs no thousand paragraphs.
MOST_PROBLEMS = 20
# Files passed over that are named.
NAMED = 8
STATES: dict[OutcomeState, str] = {
    "accepted": "taken in",
    "partial": "taken in but for some rows",
    "refused": "refused",
    "known": "known already",
    "unreadable": "unreadable",
}


def report(outcomes: Sequence[Outcome], passed_over: Sequence[str] = (), *, dry_run: bool = False) -> Iterator[str]:
    """Lines that tell what became of snapshots, the problems first, then what was taken for granted; `passed_over` are files
    that were not read.
    """
    faulty = [outcome for outcome in outcomes if not outcome.clean]
    for outcome in faulty[:MOST_PROBLEMS]:
        yield from _problem(outcome)
    if len(faulty) > MOST_PROBLEMS:
        yield f"... and {len(faulty) - MOST_PROBLEMS} more snapshots with faults"
    noted = [(outcome, note) for outcome in outcomes for note in outcome.notes]
    for outcome, note in noted[:MOST_PROBLEMS]:
        yield f"{shortened(outcome.source.url)}: {note}"
    if len(noted) > MOST_PROBLEMS:
        yield f"... and {_count(len(noted) - MOST_PROBLEMS, 'more note')} of that kind"
    for table in dict.fromkeys(outcome.table for outcome in outcomes if outcome.accepted):
        yield _of_table(
            table, [outcome for outcome in outcomes if outcome.table == table and outcome.accepted], dry_run=dry_run
        )
    counts = Counter(outcome.state for outcome in outcomes)
    words: dict[OutcomeState, str] = (
        {**STATES, "accepted": "sound", "partial": "sound but for some rows"} if dry_run else STATES
    )
    yield f"{_count(len(outcomes), 'snapshot')}: " + (
        ", ".join(f"{counts[state]} {words[state]}" for state in STATES if counts[state]) or "nothing to do"
    )
    if passed_over:
        names = ", ".join(excerpt(where.rpartition("/")[2]) for where in passed_over[:NAMED])
        more = f" and {len(passed_over) - NAMED} more" if len(passed_over) > NAMED else ""
        yield f"{_count(len(passed_over), 'file')} passed over, by their names no snapshots: {names}{more}"


def _problem(outcome: Outcome) -> Iterator[str]:
    yield f"{shortened(outcome.source.url)}: {outcome.table}, {STATES[outcome.state]}"
    if outcome.error:
        yield f"  {outcome.error}"
    for fault in outcome.faults:
        yield f"  {fault}"
    for place in outcome.kept_at:
        yield f"  kept at {place}"


def shortened(url: str) -> str:
    """Where a snapshot was read, in printable characters; of a long path its end, which names the file."""
    return excerpt(url if len(url) <= EXCERPT else f"...{url[3 - EXCERPT :]}")


def _of_table(table: str, outcomes: Iterable[Outcome], *, dry_run: bool) -> str:
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
    return f"{table}: {_count(sum(o.accepted for o in outcomes), 'row')} {'sound' if dry_run else 'taken in'}{span}{more}{left}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# The state of a lake -------------------------------------------------------------------------------------------------

LAST_INGESTS = 5
LISTED_SET_ASIDE = 20


def status(lake: Lake, now: datetime | None = None) -> dict[str, Any]:
    """The state of a lake in plain values, ready for JSON; stamps are ISO 8601."""
    pin = lake.pin()
    telemetry = extent(pin, EVERYTHING)
    refused = lake.read("quarantine")
    return {
        "lake": lake.url,
        "tables": _plain(table_versions(pin, EVERYTHING).to_dict("records")),
        "telemetry": None
        if telemetry is None
        else {
            "first": telemetry.first.isoformat(),
            "newest": telemetry.last.isoformat(),
            "received_at": None if telemetry.received_at is None else telemetry.received_at.isoformat(),
            "age_seconds": ((now or datetime.now(UTC)) - telemetry.now).total_seconds(),
            "sites": telemetry.sites,
            "simulated": telemetry.simulated,
        },
        "ingests": _plain(snapshots(pin, EVERYTHING, LAST_INGESTS).to_dict("records")),
        "quarantine": {
            "snapshots": len({*zip(refused["sha256"].to_pylist(), refused["table"].to_pylist(), strict=True)}),
            "faults": refused.num_rows,
        },
        "set_aside": _plain(set_aside(pin, EVERYTHING).to_dict("records")),
        "level_changes": _plain(level_changes(pin, EVERYTHING).to_dict("records")),
    }


def status_lines(state: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person."""
    yield f"lake {state['lake']}"
    if not state["tables"]:
        yield "  holds nothing yet: take snapshots in with `python -m data ingest PATH`, or make a simulated one with `python -m data demo`"
    for table in state["tables"]:
        yield f"  {table['table']:<20} version {table['version']:>6}  {table['rows']:>14,} rows  {table['files']:>6,} files  {table['bytes'] / 1e6:>10,.1f} MB"
    if telemetry := state["telemetry"]:
        simulated = ", simulated" if telemetry["simulated"] else ""
        span = f"{_short(telemetry['first'])} to {_short(telemetry['newest'])} UTC"
        yield f"telemetry {span}, {_age(telemetry['age_seconds'])} old, {telemetry['sites']} sites{simulated}"
    for entry in state["ingests"]:
        yield f"  {_short(entry['ingested_at'])}  {entry['state']:<8}  {entry['rows_accepted']:>12,} rows into {entry['table']} from {entry['source']}"
    yield f"quarantine: {state['quarantine']['snapshots']} snapshots, {state['quarantine']['faults']} faults"
    yield from set_aside_lines(state["set_aside"], state["level_changes"])


def set_aside_lines(
    set_aside: Sequence[Mapping[str, Any]], level_changes: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """What is set aside, and which changes last, for a person: rows of the queries of these names, stamps as text or moments."""
    samples = sum(row["samples"] for row in set_aside)
    if samples:
        yield (
            f"set aside: {samples:,} impossible {'sample' if samples == 1 else 'samples'}, left out of forecasts, peaks and bands; "
            'an event with the treatment "keep" takes them back'
        )
    for row in set_aside[:LISTED_SET_ASIDE]:
        metric = METRIC[row["metric"]]
        count = "" if row["samples"] == 1 else f" to {_short(str(row['last']))}, {row['samples']:,} samples, up to"
        capacity = "" if pd.isna(row["capacity_gbps"]) else f", capacity {row['capacity_gbps']:,.4g}"
        usual = "" if pd.isna(row["usual"]) else f", usual {row['usual']:,.4g}"
        yield (
            f"  {row['site_id']}  {metric.label.lower()} {_short(str(row['start']))} UTC{count} {_number(row['value'])} {metric.unit}"
            f"{usual}{capacity}: {row['reason']}"
        )
    if len(set_aside) > LISTED_SET_ASIDE:
        yield f"  and {len(set_aside) - LISTED_SET_ASIDE} more; the page Data lists them all"
    for row in level_changes[:LISTED_SET_ASIDE]:
        metric = METRIC[row["metric"]]
        yield (
            f"level changed: {row['site_id']}  {metric.label.lower()} since {_short(str(row['ts']))} UTC, {_number(row['value'])} {metric.unit}, "
            f"usual {row['usual']:,.4g}: {row['reason']}{', set aside' if row['is_set_aside'] else ''}"
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def _plain(records: list[dict[Any, Any]]) -> list[dict[str, Any]]:
    """Records with stamps as text and missing values as None."""
    return [{str(name): _value(value) for name, value in record.items()} for record in records]


def _value(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, datetime) else value.item() if hasattr(value, "item") else value


def _short(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
