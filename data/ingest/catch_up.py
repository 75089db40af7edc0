"""Hourly and daily figures that follow the telemetry, also where the process that should have made them is no more.

A note in the lake says which versions of the tables the figures are of. What has changed since is found by comparing
versions, so that nothing rests on a process living long enough to leave word of what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake, files
from data.schema.errors import LakeError

NOTE = "rollups"
# The figures of a date come from its telemetry and flows; which sites were expected on it, from the catalogue and from
# closures.
BY_DATE = ("telemetry", "flows")
UPKEEP = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END"})
# A second process may commit while the figures are made; a few turns outlast that.
TURNS = 5


def catch_up(lake: Lake, progress: Callable[[int, int], None] | None = None) -> int:
    """Bring the hourly and daily figures up to the telemetry; returns how many dates were recomputed."""
    made = 0
    for _ in range(TURNS):
        now = _versions(lake)
        noted = lake.read_note(NOTE)
        dates = _dates_behind(lake, noted, now)
        if dates is None or dates:
            made += refresh_rollups(lake, dates, progress=progress)
        elif noted == now:
            break
        # Written after the figures, so that a run that ends here makes them again rather than never.
        lake.write_note(NOTE, now)
    return made


def rebuild(lake: Lake, progress: Callable[[int, int], None] | None = None) -> int:
    """Make all hourly and daily figures anew; returns how many dates were recomputed."""
    now = _versions(lake)
    made = refresh_rollups(lake, None, progress=progress)
    lake.write_note(NOTE, now)
    return made


def _versions(lake: Lake) -> dict[str, int]:
    found = {name: lake.version(name) for name in (*BY_DATE, "sites", "capacity")}
    return {name: version for name, version in found.items() if version is not None}


def _dates_behind(lake: Lake, noted: dict[str, int] | None, now: dict[str, int]) -> set[date] | None:
    """Dates whose figures may be older than the tables; None for all."""
    if noted is None or any(noted[name] > now.get(name, -1) for name in noted):
        return None  # nothing is known, or the lake was made anew
    try:
        changed = set().union(*(_rewritten(lake, name, noted.get(name), now.get(name)) for name in BY_DATE))
        return (
            changed
            | _of_moved_sites(lake, noted.get("sites"), now.get("sites"))
            | _of_closures(lake, noted.get("capacity"), now.get("capacity"))
        )
    except LakeError:
        return None  # the noted version was vacuumed


def _rewritten(lake: Lake, name: str, before: int | None, after: int | None) -> set[date]:
    """Dates whose files differ between two versions; compaction, which changes files and not rows, is left out where it
    came first.
    """
    if before == after or after is None:
        return set()
    table = lake.open(name)
    start = before
    for commit in reversed(table.history(after - before)) if table and before is not None else ():
        if commit["operation"] not in UPKEEP:
            break
        start = commit["version"]
    old = set(files(lake.url, name, start)) if start is not None else set()
    return {date.fromisoformat(value) for _, value in old ^ set(files(lake.url, name, after)) if value}


def _of_moved_sites(lake: Lake, before: int | None, after: int | None) -> set[date]:
    """Dates with figures of sites that are new, gone, or in another region."""
    if before == after:
        return set()
    old, new = (_rows(lake, "sites", version, ("site_id", "region_id")) for version in (before, after))
    moved = pa.array(sorted({site for site, _ in old ^ new}), pa.string())
    days = lake.read("telemetry_1d") if len(moved) else None
    return _days(days.filter(pc.is_in(days["key"], value_set=moved))["ts"]) if days is not None else set()


def _of_closures(lake: Lake, before: int | None, after: int | None) -> set[date]:
    """Dates from the first change of a capacity that ends in nothing: whether the site was expected on them may have
    changed.
    """
    if before == after:
        return set()
    wanted = ("site_id", "direction", "effective_from", "capacity_gbps", "status")
    old, new = (_rows(lake, "capacity", version, wanted) for version in (before, after))
    closed = {row[0] for row in old | new if row[3] == 0}
    changed = [row[2] for row in old ^ new if row[0] in closed]
    version = lake.version("telemetry")
    if not changed or version is None:
        return set()
    held = {date.fromisoformat(value) for _, value in files(lake.url, "telemetry", version) if value}
    return {day for day in held if day >= min(changed).date()}


def _rows(lake: Lake, name: str, version: int | None, columns: Iterable[str]) -> set[tuple[Any, ...]]:
    table = lake.read(name, version) if version is not None else None
    return set(zip(*(table[column].to_pylist() for column in columns), strict=True)) if table is not None else set()


def _days(stamps: pa.ChunkedArray) -> set[date]:
    return set(pc.unique(stamps.cast(pa.date32())).to_pylist())
