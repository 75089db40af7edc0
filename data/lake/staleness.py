"""Which dates of the rollups are older than the tables that they derive from, found by comparing versions.

A rollup carries the versions that it is made of in the commit that wrote it, so that nothing rests on a process living
long enough to leave word of what it did, nor on the order in which several processes write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data.lake.tables import Lake, Pin, files
from data.schema.errors import LakeError

# What each rollup derives from: the figures of a date come from its telemetry, and which sites were expected on it from
# the catalogue and from closures.
SOURCES: dict[str, tuple[str, ...]] = {
    "telemetry_1h": ("telemetry", "sites", "capacity"),
    "telemetry_1d": ("telemetry", "sites", "capacity"),
    "flows_1h": ("flows",),
}
Versions = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stale:
    """What has to be recomputed: the dates (None: all) whose telemetry, and whose flows, the rollups are behind.

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
    """What the rollups are behind; all where `anew`, where they do not say what they are made of, as those of an older
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


def _rows(lake: Lake, name: str, version: int | None, columns: Iterable[str]) -> set[tuple[Any, ...]]:
    table = lake.read(name, version) if version is not None else None
    return set(zip(*(table[column].to_pylist() for column in columns), strict=True)) if table is not None else set()
