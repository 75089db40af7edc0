"""Which table of the contract a snapshot feeds: told by its columns, then by its name and its folders' names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from data.ingest.reading import Reading
from data.ingest.snapshot import RefusedError, refused
from data.ingest.sources import Source
from data.ingest.translate import plain
from data.schema import INPUT_TABLES, TABLES, Table
from data.schema.validation import excerpt


def table_of(source: Source, names: Sequence[str], reading: Reading) -> Table:
    """The table that the snapshot feeds; raises RefusedError where it cannot be told.

    The one table whose required columns are all there is meant. Where several or none have them, the name decides, so
    that telemetry without its site_id is refused as telemetry that lacks a column.
    """
    if reading.table:
        return TABLES[reading.table]
    given = {plain(name) for name in names} | {rename.ours for rename in reading.renames} | set(reading.constants)
    whole = [name for name in INPUT_TABLES if _required(name) <= given]
    if len(whole) == 1:
        return TABLES[whole[0]]
    named = _by_name(source, whole or INPUT_TABLES)
    if named:
        return TABLES[named]
    raise _untold(names, whole, given)


def _required(name: str) -> set[str]:
    return {column.name for column in TABLES[name].columns if column.required}


def _by_name(source: Source, candidates: Sequence[str]) -> str | None:
    """The candidate that the file's name holds as a word, or else the nearest folder's."""
    for part in (source.name, *reversed(source.folders)):
        words = set(re.split(r"[^a-z0-9]+", part.casefold()))
        found = [name for name in candidates if name in words]
        if len(found) == 1:
            return found[0]
    return None


def _untold(names: Sequence[str], whole: Sequence[str], given: set[str]) -> RefusedError:
    seen = excerpt(", ".join(names) or "no columns")
    if whole:
        return refused(
            seen,
            f"the columns of one table; these are of {' and of '.join(whole)}",
            "the export joins two tables",
            "name the table with --table",
        )
    nearest = max(INPUT_TABLES, key=lambda name: len(_required(name) & given) / len(_required(name)))
    lacking = ", ".join(sorted(_required(nearest) - given))
    bound = f"the columns of a table; the nearest is {nearest}, which also needs {lacking}"
    remedy = "name the table with --table, and rename columns with --map theirs=ours"
    return refused(seen, bound, "the producer uses other names, or sent something else", remedy)
