"""What to simulate, and the random streams that make it reproducible."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from data.schema.errors import SettingError

# What the ledger's `source`, the files' metadata and the events' `author` begin with: the app says "simulated" where it
# reads this.
SIMULATOR_MARK = "simulator"
TICK = timedelta(minutes=5)
TICKS_A_DAY = 288
TICK_MINUTES = 5
DAY_MINUTES = 1440
WEEK_MINUTES = 7 * DAY_MINUTES
# Ten years of days is 500 million rows at 500 sites: more is a slip of the keyboard.
MOST_DAYS = 3660
MOST_SITES = 600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """What to simulate: how many sites, the days up to `end` (UTC, on a 5-minute mark), and the seed.

    `anchor` is the moment that levels and capacities refer to (default: midnight UTC of `end`'s day). Two plans with
    the same
    seed, sites, anchor and incident rate agree on every value that both hold, wherever they start and end: that is how a live
    run continues a batch. `incident_rate` multiplies how often incidents strike; 0 gives a quiet network.
    """

    end: datetime
    sites: int = 48
    days: int = 180
    seed: int = 7
    anchor: datetime | None = None
    incident_rate: float = 1.0

    def __post_init__(self) -> None:
        _bounded("sites", self.sites, 1, MOST_SITES)
        _bounded("days", self.days, 1, MOST_DAYS)
        _bounded("seed", self.seed, 0, 2**63 - 1)
        _bounded("incident-rate", self.incident_rate, 0, 100)
        if self.end.tzinfo is None or floor_to_tick(self.end) != self.end:
            raise SettingError(
                f"The end {self.end.isoformat()} is not a 5-minute mark in a named time zone.",
                cause="seconds, or a missing zone",
                remedy="write it like 2026-05-01T12:05:00Z",
            )

    @property
    def start(self) -> datetime:
        return self.end - timedelta(days=self.days)

    @property
    def anchored(self) -> datetime:
        return (self.anchor or self.end).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def source(self) -> str:
        """The options as one short line of text, for the ledger; `options_of_source` reads it back, lakes of old included."""
        usual = "" if self.incident_rate == 1 else f",trouble={self.incident_rate!r}"
        span = f"days={self.days},end={self.end.astimezone(UTC):%Y-%m-%dT%H:%MZ},anchor={self.anchored:%Y-%m-%d}"
        return f"{SIMULATOR_MARK}:seed={self.seed},sites={self.sites},{span}{usual}"


def options_of_source(source: str) -> SimulationOptions:
    """The options that a source in the ledger names; a SettingError where the simulator did not write it."""
    mark, _, rest = source.partition(":")
    try:
        words = dict(pair.split("=", 1) for pair in rest.split(","))
        if mark != SIMULATOR_MARK:
            raise KeyError(mark)
        return SimulationOptions(
            end=datetime.fromisoformat(words["end"]),
            sites=int(words["sites"]),
            days=int(words["days"]),
            seed=int(words["seed"]),
            anchor=datetime.fromisoformat(words["anchor"]).replace(tzinfo=UTC),
            incident_rate=float(words.get("trouble", 1)),
        )
    except (KeyError, ValueError) as error:
        raise SettingError(
            f"The source {source!r} was not written by this simulator.",
            cause="another producer, or another version, wrote it",
            remedy="start a new demo in another lake",
        ) from error


def floor_to_tick(moment: datetime) -> datetime:
    """The 5-minute mark at or before `moment`, in UTC."""
    return moment.astimezone(UTC) - (moment.astimezone(UTC) - EPOCH) % TICK


def minutes(moment: datetime) -> int:
    """Whole minutes since 1970, the clock that the simulator counts by."""
    return (moment - EPOCH) // timedelta(minutes=1)


def moment(minute: int) -> datetime:
    """The UTC time of a minute since 1970."""
    return EPOCH + timedelta(minutes=minute)


def random_stream(seed: int, stream: str, *keys: int) -> np.random.Generator:
    """A random generator that depends on nothing but its name: the same for any span, order or process."""
    return np.random.default_rng([seed, zlib.crc32(stream.encode()), *keys])


def random_strikes(
    seed: int, stream: str, week: int, count: int, chance: float
) -> Iterator[tuple[int, np.random.Generator]]:
    """Which of `count` units something strikes in a week, each with a generator of its own for the details."""
    for unit in np.nonzero(random_stream(seed, stream, week).random(count) < chance)[0]:
        yield int(unit), random_stream(seed, stream, week, int(unit) + 1)


def _bounded(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingError(
            f"{name} is {value:g}; it must be {low:g} to {high:g}.",
            cause="a slip in the argument",
            remedy=f"give --{name} a value in that range",
        )
