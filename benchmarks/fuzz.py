"""Do damaged files end in rows or in a reason? Seeded mutations of snapshots, checked and taken in.

    python -m benchmarks.fuzz [--files 2000] [--seed 1]

One JSON line. Each file is a sound snapshot of telemetry or sites (Parquet of several kinds, CSV in several dialects and
encodings, plain or packed) with one to eight faults: bytes flipped, cut or put in, columns dropped, renamed or doubled,
stamps moved or written otherwise, values replaced, fields and lines added or left out. Every file is checked, then all are
taken in together by one run of ingest. `lost` names the files whose rows do not add up: rows taken in, refused and
repeated must be the rows that the file has, counted here without the reader. `faults_of_the_program` names those that were
refused for an error that nobody foresaw.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.ingest.column_mapping import ReadOptions, read_options
from data.ingest.ledger import Outcome
from data.ingest.run import IngestRun, dry_run, plan_tasks
from data.ingest.sources import Source, find_snapshots
from data.lake.tables import Lake
from data.schema import STAMP

NOW = datetime(2026, 3, 20, tzinfo=UTC)
START = datetime(2026, 3, 2, tzinfo=UTC)
TICKS, SITES = 20, ("a", "b")
ODD_BYTES = (
    *(b"\r", b"\n", b'"', b",", b";", b"\t", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"PAR1", b"\x1f\x8b"),
    *(b"9" * 400, b"1e999", b"nan", b"-", b"T", "é".encode() * 50, b"a" * 200_000, b"sep=;\n", b"# note\n"),
)
ODD_VALUES = (
    *("", "NaN", "-nan", "#N/A", "null", "NA", "inf", "-1", "1e308", "1e999", "4294967295", "18446744073709551615"),
    *("12 Gbps", "1,5", "0x10", "\u221e", "x" * 300, "\u200b", "\u0663", "a\x00b", "'", "../..", "<script>", "7.0"),
)
ODD_STAMPS = (
    *(
        "2026-03-02T00:00:00+00",
        "2026-03-02 00:00:00-07",
        "20260302T000000Z",
        "2026-03-02",
        "02/03/2026",
        "12026-01-01",
    ),
    *("1772409600", "1772409600000", "9223372036854775807", "-9223372036854775808", "9999-12-31T23:59:59-23:00"),
    *("2026-02-30T00:00Z", "0000-00-00", "2026-03-29 02:30", "", "null", "yesterday", "2026-03-02T24:00Z"),
)
READINGS: tuple[dict[str, Any], ...] = (
    {},
    {"timezone": "Europe/Berlin"},
    {"missing_rows": "zero"},
    {"renames": ["egress_gbps*2=viewers"]},
    {"epoch": "s", "timezone": "UTC"},
    {"encoding": "windows-1252"},
)
BEFORE_HEADER = re.compile(r"^lines? (\d+)(?: to (\d+))? stands? before")


class Mutant(NamedTuple):
    """A damaged file: its name and bytes, and how it is to be read."""

    name: str
    data: bytes
    options: ReadOptions


def main() -> None:
    """Make the files, check them, take them in, and print the line."""
    parser = argparse.ArgumentParser(description="Damaged snapshots: rows taken in, or a reason; never a silent loss.")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        counts = run(Path(folder), range(arguments.seed * 1_000_000, arguments.seed * 1_000_000 + arguments.files))
    line = {"bench": "fuzz", "files": arguments.files, "seed": arguments.seed, **counts}
    sys.stdout.write(json.dumps({**line, "seconds": round(time.monotonic() - began, 1)}) + "\n")
    sys.exit(bool(counts["lost"] or counts["faults_of_the_program"]))


def run(folder: Path, seeds: Iterable[int]) -> dict[str, Any]:
    """Check a damaged file for each seed, and take all in; counts of files and rows, and the files that lost rows."""
    lake = Lake(folder / "lake")
    lake.replace("sites", sites())
    mutants = {seed: mutant(seed) for seed in seeds}
    (folder / "in").mkdir()
    for seed, each in mutants.items():
        (folder / "in" / f"{seed}-{each.name}").write_bytes(each.data)

    def options_of(source: Source) -> list[ReadOptions]:
        return [mutants[int(source.name.partition("-")[0])].options]

    tasks = plan_tasks(find_snapshots([str(folder / "in")]), options_of)
    checked = list(dry_run(lake, tasks, now=NOW))
    taken = list(IngestRun(lake, now=NOW).run(tasks))
    lost = [outcome.source.name for outcome in (*checked, *taken) if not _adds_up(outcome)]
    unexplained = [o.source.name for o in (*checked, *taken) if not (o.clean or o.faults or o.error)]
    faults_of_ours = [o.source.name for o in checked if any("a fault of this program" in f.cause for f in o.faults)]
    return {
        "checked": dict(Counter(outcome.state for outcome in checked)),
        "taken_in": dict(Counter(outcome.state for outcome in taken)),
        "rows": sum(outcome.rows for outcome in taken),
        "rows_accepted": sum(outcome.accepted for outcome in taken),
        "rows_quarantined": sum(outcome.quarantined for outcome in taken),
        "rows_repeated": sum(outcome.repeated for outcome in taken),
        "files_without_a_row": sum(not outcome.rows for outcome in taken if outcome.state != "known"),
        "rows_counted_apart": sum(_rows_counted(o) is not None for o in taken if o.rows),
        "lost": sorted({*lost, *unexplained}),
        "faults_of_the_program": faults_of_ours,
    }


def _adds_up(outcome: Outcome) -> bool:
    """Whether all rows of a file are accounted for; a file that is refused as a whole has no rows to lose."""
    if not outcome.rows:
        return outcome.state in ("refused", "unreadable", "known") or not _rows_counted(outcome)
    within = outcome.accepted + outcome.quarantined + outcome.repeated == outcome.rows
    return within and _rows_counted(outcome) in (None, outcome.rows)


def _rows_counted(outcome: Outcome) -> int | None:
    """Rows of the file, counted without the reader; None where quotation marks make that a matter of reading."""
    data = Path(outcome.source.url).read_bytes()
    data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    if data.startswith(b"PAR1"):
        return int(pq.read_metadata(io.BytesIO(data)).num_rows)
    if b'"' in data:
        return None
    text = data.decode("utf-16", errors="replace") if data.startswith(b"\xff\xfe") else data.decode("latin-1")
    lines = re.split(r"\r\n|\n|\r", text)
    before = [match for note in outcome.notes if (match := BEFORE_HEADER.match(note))]
    first = next(place for place, line in enumerate(lines) if line.removeprefix("\xef\xbb\xbf").strip(" "))
    header = (
        int(before[0][2] or before[0][1])
        if before
        else first + lines[first].lower().startswith(("sep=", "\xef\xbb\xbfsep="))
    )
    return sum(bool(line.strip(" ")) for line in lines[header + 1 :])


# Sound files ---------------------------------------------------------------------------------------------------------


def sites() -> pa.Table:
    """The catalogue of the lake."""
    count = len(SITES)
    names = {"site_id": list(SITES), "name": [site.upper() for site in SITES], "region_id": ["eu"] * count}
    return pa.table({**names, "lat": [1.0] * count, "lon": [2.0] * count, "timezone": ["Europe/Berlin"] * count})


def telemetry(seed: int) -> pa.Table:
    """Telemetry of the sites, at hours of its own so that files do not repeat each other."""
    chance = random.Random(seed)
    start = START + timedelta(minutes=5 * chance.randrange(2000))
    keys = [(start + timedelta(minutes=5 * tick), site) for tick in range(TICKS) for site in SITES]
    measured = {
        name: [round(chance.uniform(0, 9), 3) for _ in keys] for name in ("ingest_gbps", "egress_gbps", "viewers")
    }
    stamps, names = zip(*keys, strict=True)
    return pa.table({"ts": pa.array(stamps, STAMP), "site_id": list(names), **measured})


def _parquet(table: pa.Table, **how: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **how)
    return sink.getvalue()


def _lines(table: pa.Table) -> list[list[str]]:
    """Header and rows as text."""
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    cells = [[cell.isoformat() if isinstance(cell, datetime) else str(cell) for cell in row] for row in rows]
    return [list(table.column_names), *cells]


def _text(lines: list[list[str]], delimiter: str = ",", end: str = "\n") -> str:
    return "".join(delimiter.join(line) + end for line in lines)


def _quoted(lines: list[list[str]]) -> str:
    sink = io.StringIO()
    csv.writer(sink, quoting=csv.QUOTE_ALL).writerows(
        [*line, "note" if not place else 'a\nb, "c"'] for place, line in enumerate(lines)
    )
    return sink.getvalue()


PARQUET: tuple[Callable[[pa.Table], bytes], ...] = (
    lambda table: _parquet(table, compression="none", use_dictionary=False),
    lambda table: _parquet(table, compression="zstd", row_group_size=7),
    lambda table: _parquet(table, use_deprecated_int96_timestamps=True),
    lambda table: _parquet(table, compression="none", data_page_version="2.0"),
)
TEXTS: tuple[tuple[str, Callable[[list[list[str]]], bytes]], ...] = (
    (".csv", lambda lines: _text(lines).encode()),
    (".csv", lambda lines: _text(lines, ";", "\r\n").encode("utf-8-sig")),
    (".csv", lambda lines: f"sep=|\n{_text(lines, '|')}".encode()),
    (".csv", lambda lines: f"Traffic report\n# of March\n\n{_text(lines)}".encode()),
    (".csv", lambda lines: _quoted(lines).encode()),
    (".csv", lambda lines: _text(lines).encode("utf-16")),
    (".tsv", lambda lines: _text(lines, "\t", "\r").encode()),
    (".csv.gz", lambda lines: gzip.compress(_text(lines).encode(), mtime=0)),
)


# Their faults --------------------------------------------------------------------------------------------------------


def mutant(seed: int) -> Mutant:
    """The damaged file of a seed."""
    chance = random.Random(seed)
    of_sites = chance.random() < 0.1
    table = sites() if of_sites else telemetry(seed)
    what, kinds = "sites" if of_sites else "telemetry", chance.choice([(0,), (1,), (0, 1), (2,), (2, 0)])
    for _ in range(chance.choice([1, 1, 2, 4])):
        table = _other_table(chance, table) if 1 in kinds else table
    if chance.random() < 0.4:
        name, data = f"{what}.parquet", chance.choice(PARQUET)(table)
    else:
        suffix, write = chance.choice(TEXTS)
        lines = _lines(table)
        for _ in range(chance.choice([1, 2, 8]) if 2 in kinds else 0):
            _spoil_line(chance, lines)
        name, data = f"{what}{suffix}", write(lines)
    for _ in range(chance.choice([1, 1, 2, 8]) if 0 in kinds else 0):
        data = _other_bytes(chance, data)
    return Mutant(name, data, read_options(**chance.choice(READINGS)))


def _other_bytes(chance: random.Random, data: bytes) -> bytes:
    """The bytes with a stretch flipped, cut, repeated, or replaced by something odd."""
    changed = bytearray(data)
    start = chance.randrange(len(changed) + 1)
    end = min(len(changed), start + chance.choice([1, 4, 64]))
    flipped = bytes(byte ^ (1 << chance.randrange(8)) for byte in changed[start:end])
    new = [
        flipped,
        flipped,
        b"",
        chance.choice(ODD_BYTES),
        chance.randbytes(end - start),
        bytes(changed[start:end]) * 50,
    ]
    changed[start:end] = chance.choice(new)
    return bytes(changed)


def _other_table(chance: random.Random, table: pa.Table) -> pa.Table:  # noqa: PLR0911 - a deed each
    """The table with a column dropped, renamed, doubled or of another type, or with its stamps moved."""
    if not table.num_columns:
        return table
    place = chance.randrange(table.num_columns)
    name, values = table.column_names[place], table.column(place)
    deed = chance.randrange(6)
    if deed == 0:
        return table.remove_column(place)
    if deed == 1:
        new = chance.choice(
            [name.upper(), name.replace("_", " "), "", "\u0442\u0440\u0430\u0444\u0438\u043a", f"{name}\u200b", "x,y"]
        )
        return table.rename_columns([new if at == place else old for at, old in enumerate(table.column_names)])
    if deed == 2:
        return table.append_column(name, values)
    if deed == 3 and pa.types.is_timestamp(values.type):
        days = [chance.choice([0, 400, -20_000, 1_000_000]) for _ in range(table.num_rows)]
        moved = pc.add(values.cast(STAMP).cast(pa.int64()), pa.array([day * 86_400_000_000 for day in days]))
        return table.set_column(place, name, moved.cast(STAMP))
    kinds = [pa.string(), pa.float32(), pa.int64(), pa.dictionary(pa.int8(), pa.string()), pa.binary(), pa.date32(),
             pa.timestamp("ns"), pa.timestamp("ms", "UTC"), pa.timestamp("s"), pa.decimal128(30, 3)]  # fmt: skip
    try:
        return table.set_column(place, name, values.cast(chance.choice(kinds), safe=False))
    except pa.ArrowException:
        return table


def _spoil_line(chance: random.Random, lines: list[list[str]]) -> None:
    """Replace a value or a stamp, add or drop a field, a line, or put a line of another kind among the rows."""
    place = chance.randrange(len(lines))
    line = lines[place]
    field = chance.randrange(len(line)) if line else 0
    deed = chance.randrange(8)
    if deed <= 2 and line:
        line[field] = chance.choice(ODD_VALUES)
    elif deed <= 4 and line:
        line[0] = chance.choice(ODD_STAMPS)
    elif deed == 5 and line:
        line.pop(field)
    elif deed == 6:
        line.insert(field, chance.choice(ODD_VALUES))
    else:
        lines.insert(place, chance.choice([[""], ["Total"], ["# comment"], list(line), ["a" * 70_000], ['"']]))


if __name__ == "__main__":
    main()
