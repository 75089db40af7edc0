"""A second, slow implementation of the rollups in plain Python, written from the rules and not from the SQL."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from data.schema import METRICS

Row = dict[str, Any]
NAMES = [m.name for m in METRICS]
SUMS = [m.name for m in METRICS if m.aggregate == "sum"]
DAY = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Samples(list[Row]):
    """Rows that do not fill a page when a test fails."""

    def __repr__(self) -> str:
        sites = Counter(row["site_id"] for row in self)
        return f"<{', '.join(f'{n} of {site}' for site, n in sites.items())}>"


@dataclass
class Network:
    """Samples (site_id, ts and metrics), regions by site, installed capacity steps (site_id, direction, effective_from,
    gbps).
    """

    samples: Samples
    regions: dict[str, str]
    steps: list[tuple[str, str, datetime, float]] = field(default_factory=list)

    def firsts(self) -> dict[tuple[str, str], date]:
        """The first date of each site and metric ('' for any)."""
        if not self._firsts:
            for row in sorted(self.samples, key=lambda row: row["ts"]):
                for name in (n for n in NAMES if row.get(n) is not None):
                    self._firsts.setdefault((row["site_id"], name), row["ts"].date())
                    self._firsts.setdefault((row["site_id"], ""), row["ts"].date())
        return self._firsts

    _firsts: dict[tuple[str, str], date] = field(default_factory=dict, repr=False)


def rollups(network: Network, seconds: int) -> dict[tuple[str, str, datetime], Row]:
    """Every row of the rollup with this interval, by (level, key, ts)."""
    days: dict[date, list[Row]] = defaultdict(list)
    for row in network.samples:
        if any(row.get(name) is not None for name in NAMES):
            days[row["ts"].date()].append(row)
    counts = {day: Counter(row["site_id"] for row in rows) for day, rows in days.items()}
    found: dict[tuple[str, str, datetime], Row] = {}
    for day, rows in days.items():
        grains = grains_of(rows)
        pace = _winner(Counter(grains.values()))
        helds = {site: _held(site, grain, day, counts) for site, grain in grains.items()}
        pace_held = min(pace, _winner(Counter(helds.values())))
        found |= _of_sites(_by_hour(rows, helds, seconds), grains, seconds)
        found |= _above(
            network,
            day,
            _by_hour(_evened(rows, grains, pace), dict.fromkeys(grains, pace_held), seconds),
            pace,
            seconds,
        )
    return found


def _held(site: str, grain: int, day: date, counts: dict[date, Counter[str]]) -> int:
    """For how long a sample stands: the grain, where four samples show it; else no longer than the samples of the days
    beside lie apart, or an hour.
    """
    if counts[day][site] >= 4:
        return grain
    beside = max(counts.get(day + timedelta(days=off), Counter())[site] for off in (-1, 1))
    return min(grain, DAY // beside if beside else 3600)


def _by_hour(rows: list[Row], helds: dict[str, int], seconds: int) -> list[Row]:
    """The samples, those that stand for longer than an hour once for each hour of their interval and date."""
    found = []
    for row in rows:
        held, at = helds[row["site_id"]], int((row["ts"] - EPOCH).total_seconds())
        if seconds > 3600 or held <= 3600:
            found.append(row)
            continue
        hours = range(at // held * held // 3600, math.ceil((at // held + 1) * held / 3600))
        found += [
            {**row, "ts": ts} for hour in hours if (ts := EPOCH + timedelta(hours=hour)).date() == row["ts"].date()
        ]
    return found


def grains_of(rows: list[Row]) -> dict[str, int]:
    """The most common step of each site, where it was seen three times; else the step that most sites have."""
    stamps: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        stamps[row["site_id"]].append(row["ts"])
    own: dict[str, tuple[int, int]] = {}
    for site, listed in stamps.items():
        listed.sort()
        steps = Counter(_whole((b - a).total_seconds()) for a, b in pairwise(listed) if b > a)
        if steps:
            step = _winner(steps)
            own[site] = step, steps[step]
    votes = {
        step: (any(s == step and n >= 3 for s, n in own.values()), sum(s == step for s, _ in own.values()))
        for step, _ in own.values()
    }
    usual = max(votes, key=lambda step: (*votes[step], -step)) if votes else DAY
    return {site: own[site][0] if site in own and own[site][1] >= 3 else usual for site in stamps}


def _whole(step: float) -> int:
    return round(step) if step < 57 else 60 * round(step / 60)


def _winner(counts: Counter[int]) -> int:
    return max(counts, key=lambda value: (counts[value], -value))


def _of_sites(rows: list[Row], grains: dict[str, int], seconds: int) -> dict[tuple[str, str, datetime], Row]:
    groups: dict[tuple[str, str, datetime], list[Row]] = defaultdict(list)
    for row in rows:
        groups["site", row["site_id"], _floor(row["ts"], seconds)].append(row)
    return {
        key: {
            **_statistics(group),
            "samples": len(group),
            "completeness": min(1.0, len(group) / max(1, seconds / grains[key[1]])),
        }
        for key, group in groups.items()
    }


def _floor(ts: datetime, seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=(ts - EPOCH) // timedelta(seconds=seconds) * seconds)


def _statistics(rows: Iterable[Row]) -> Row:
    rows = list(rows)
    found: Row = {}
    for name in NAMES:
        values = sorted(row[name] for row in rows if row.get(name) is not None)
        found[f"{name}_mean"] = sum(values) / len(values) if values else None
        found[f"{name}_p95"] = _p95(values) if values else None
        found[f"{name}_max"] = values[-1] if values else None
    return found


def _p95(values: list[float]) -> float:
    """Linear between the two nearest of the sorted values."""
    place = 0.95 * (len(values) - 1)
    low = int(place)
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (place - low)


def _evened(rows: list[Row], grains: dict[str, int], pace: int) -> list[Row]:
    """The samples on stamps that all sites share: finer ones averaged, coarser ones held."""
    if set(grains.values()) == {pace} and all((row["ts"] - EPOCH).total_seconds() % pace == 0 for row in rows):
        return rows
    slots: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        at, grain = (row["ts"] - EPOCH).total_seconds(), grains[row["site_id"]]
        first = int(at // pace)
        for slot in range(first, max(first + 1, math.ceil((at + grain) / pace) if grain > pace else 0)):
            if (EPOCH + timedelta(seconds=slot * pace)).date() == row["ts"].date():
                slots[row["site_id"], slot].append(row)
    return [
        {
            "site_id": site,
            "ts": EPOCH + timedelta(seconds=slot * pace),
            **{name: _mean([row.get(name) for row in group]) for name in NAMES},
        }
        for (site, slot), group in slots.items()
    ]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _above(
    network: Network, day: date, rows: list[Row], pace: int, seconds: int
) -> dict[tuple[str, str, datetime], Row]:
    """Rows of the regions and the network."""
    found: dict[tuple[str, str, datetime], Row] = {}
    members = {
        ("region", region): [s for s, r in network.regions.items() if r == region]
        for region in set(network.regions.values())
    }
    members["global", "all"] = sorted({row["site_id"] for row in network.samples} | set(network.regions))
    for (level, key), sites in members.items():
        expected = {name: sum(_expected(network, site, name, day) for site in sites) for name in (*NAMES, "")}
        stamps: dict[datetime, list[Row]] = defaultdict(list)
        for row in rows:
            if row["site_id"] in sites:
                stamps[row["ts"]].append(row)
        groups: dict[datetime, list[tuple[Row, int]]] = defaultdict(list)
        for ts, group in stamps.items():
            present = len(group) if len(group) >= 0.9 * expected[""] else 0
            groups[_floor(ts, seconds)].append(({name: _sum(group, name, expected[name]) for name in NAMES}, present))
        for ts, held in groups.items():
            samples = sum(present for _, present in held)
            full = expected[""] * max(1, seconds / pace)
            found[level, key, ts] = {
                **_statistics(row for row, _ in held),
                "samples": samples,
                "completeness": min(1.0, samples / full if full else 1.0),
            }
    return found


def _expected(network: Network, site: str, metric: str, day: date) -> bool:
    """Whether a site is expected to report a metric ('' for any): seen by then, and open."""
    first = network.firsts().get((site, metric))
    directions = {d for s, d, _, _ in network.steps if s == site}
    closed = {
        d
        for d in directions
        if _closed(sorted((at, gbps) for s, dd, at, gbps in network.steps if (s, dd) == (site, d)), day)
    }
    shut = bool(directions) and closed == directions
    shut |= metric.removesuffix("_gbps") in closed
    return first is not None and first <= day and not shut


def _closed(steps: list[tuple[datetime, float]], day: date) -> bool:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for i, (at, gbps) in enumerate(steps):
        until = steps[i + 1][0] if i + 1 < len(steps) else None
        if gbps == 0 and at.date() <= day and (until is None or until > begin):
            return True
    return False


def _sum(group: list[Row], name: str, expected: int) -> float | None:
    values = [row for row in group if row.get(name) is not None]
    if name in SUMS:
        return sum(row[name] for row in values) if expected and len(values) >= 0.9 * expected else None
    idle = [row for row in group if row.get(name) is None and _load(row) == 0]
    if not expected or len(values) + len(idle) < 0.9 * expected or not values:
        return None
    for weight in ("viewers", "egress_gbps"):
        weights = [row[weight] for row in values if row.get(weight) is not None]
        if len(weights) == len(values) and sum(weights) > 0:
            return sum(row[name] * w for row, w in zip(values, weights, strict=True)) / sum(weights)
    return sum(row[name] for row in values) / len(values)


def _load(row: Row) -> float | None:
    return row["viewers"] if row.get("viewers") is not None else row.get("egress_gbps")
