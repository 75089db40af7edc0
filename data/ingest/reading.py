"""How to read a producer's columns: what they are called in the contract, what is the same in every row, and which zone
the stamps are in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from data.ingest.parse_values import constant
from data.schema import INPUT_TABLES, TABLES
from data.schema.errors import SettingError
from data.schema.validation import excerpt, nearest_time_zones

Absent = Literal["missing", "zero"]
# theirs=ours, or theirs*0.001=ours where the unit differs. The last "=" divides: a producer's name may hold one.
RENAME = re.compile(r"^(?P<theirs>.+?)(?:\*(?P<factor>[0-9.eE+-]+))?=(?P<ours>[^=]+)$")
# A name means the same, and has one type, in every table that has it.
OURS = {column.name: column for table in INPUT_TABLES for column in TABLES[table].columns}


@dataclass(frozen=True, slots=True)
class Rename:
    """A column of the producer's, and the column of the contract that it becomes once multiplied by the factor."""

    theirs: str
    ours: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that a producer's files do not say themselves.

    `constants` are columns that are the same in every row; a column with several values repeats the rows for each.
    `absent` says what a row
    that is not there means: nothing is known ("missing"), or zero was measured ("zero", for producers that leave zeros
    out).
    """

    table: str | None = None
    renames: tuple[Rename, ...] = ()
    constants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    zone: str | None = None
    absent: Absent = "missing"

    @property
    def digest(self) -> str:
        """Short hash of what changes the rows; empty for a plain reading, so that a mended reading of the same bytes
        counts as new.
        """
        if self == Reading(self.table):
            return ""
        changes = (self.renames, sorted(self.constants.items()), self.zone, self.absent)
        return hashlib.sha256(repr(changes).encode()).hexdigest()[:12]


def reading(
    table: str | None = None,
    renames: Iterable[str] = (),
    constants: Iterable[str] = (),
    zone: str | None = None,
    absent: Absent = "missing",
) -> Reading:
    """A reading from its parts as a person writes them; raises SettingError for one that cannot be meant."""
    if table is not None and table not in INPUT_TABLES:
        raise SettingError(
            f"--table {table}: not a table that snapshots feed.",
            cause="a misspelling",
            remedy=f"use one of {', '.join(INPUT_TABLES)}",
        )
    if absent not in ("missing", "zero"):
        raise SettingError(
            f"--absent {absent}: neither missing nor zero.", cause="a misspelling", remedy="use one of the two"
        )
    set_to = _constants(constants, table)
    for ours, texts in set_to.items():
        for text in texts:
            constant(OURS[ours], text, _zone(zone))
    return Reading(table, tuple(_rename(text, table) for text in renames), set_to, _zone(zone), absent)


def _rename(text: str, table: str | None) -> Rename:
    found = RENAME.match(text)
    if not found:
        raise SettingError(
            f"--map {text}: not of the form theirs=ours.",
            remedy="write for instance --map region=site_id, or --map mbps*0.001=gbps",
        )
    return Rename(found["theirs"], _ours(found["ours"], f"--map {text}", table), _factor(found["factor"], text))


def _factor(written: str | None, text: str) -> float:
    try:
        factor = float(written or 1)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise SettingError(
            f"--map {text}: the factor {written} is not a number above 0.",
            remedy="write for instance --map mbps*0.001=gbps",
        )
    return factor


def _constants(texts: Iterable[str], table: str | None) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        ours, equals, value = text.partition("=")
        if not equals or not value:
            raise SettingError(
                f"--set {text}: not of the form column=value.", remedy="write for instance --set region_id=europe"
            )
        ours = _ours(ours, f"--set {text}", table)
        found[ours] = (*found.get(ours, ()), value)
    return found


def _ours(name: str, option: str, table: str | None) -> str:
    """The name, where the contract has such a column."""
    known = set(OURS) if table is None else {column.name for column in TABLES[table].columns}
    if name not in known:
        where = f"table {table}" if table else "table that snapshots feed"
        raise SettingError(
            f"{option}: no {where} has a column {name!r}.",
            cause="a misspelling",
            remedy=f"use one of {', '.join(sorted(known))}",
        )
    return name


def _zone(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        nearest = ", ".join(nearest_time_zones(name))
        raise SettingError(
            f"--timezone {excerpt(name)}: no such zone.",
            cause="a misspelling, or an abbreviation",
            remedy="use an IANA name, for instance UTC or Europe/Berlin" + (nearest and f"; the nearest: {nearest}"),
        ) from error
