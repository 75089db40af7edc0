"""What a link may say, value by value: read from its text, or turned away with words that go on from "The link"."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from data.schema import ID_PATTERN

# In a URL: every site, region, partner or role; the end of the telemetry, or no bound; nothing left out or changed; and
# the newest of several, or the one before it, or the place or failure that is worst; and the sizes that are usually
# bought.
ALL, NOW, NONE, NEWEST, BEFORE, WORST, USUAL = "all", "now", "none", "newest", "before", "worst", "usual"
# Years that a time in a link may lie in; pandas holds no stamps much beyond.
FIRST_YEAR, LAST_YEAR = 1970, 2200
# The share of capacity that may be used: from half of it to all.
LEAST_LIMIT, MOST_LIMIT = 0.5, 1.0
# A longer what-if does not fit into the addresses that every browser and mail program passes on.
WHATIF_LETTERS = 2000
# A short what-if stands in the address as it is, for all to read; a longer one is packed, after this mark. It may
# unpack to so many letters.
WHATIF_PLAIN, WHATIF_PACKED, WHATIF_UNPACKED = 500, "z.", 65_536
# A scenario at the revision that was opened, and up to so many scenarios side by side.
COMPARED = 4
SCENARIO, SCENARIOS = r"[0-9a-f]{16}\.[1-9][0-9]{0,8}", rf"[0-9a-f]{{16}}(,[0-9a-f]{{16}}){{0,{COMPARED - 1}}}"
# Places beside the one of the page.
PLACES_MOST = 3
# Steps of a catalogue: Gbps, USD a month, USD once, days of lead time or nothing, by colons; one from the next by a
# comma.
STEP = r"\d{1,6}(\.\d{1,3})?:\d{1,10}:\d{1,10}:\d{0,4}"
STEPS_MOST = 12
STEPS = rf"{STEP}(,{STEP}){{0,{STEPS_MOST - 1}}}"
# Values that are known by their shape: what is wrong with another, the shape, and the word for none.
SHAPED: dict[str, tuple[str, str, str | None]] = {
    "without": ("names an event that there is not", ID_PATTERN, None),
    "scenario": ("names a scenario that there is not", SCENARIO, NONE),
    "compare": ("names a scenario that there is not", SCENARIOS, NONE),
    "earlier": ("compares with a time that cannot be read", r"[1-9]\d{0,2}w", NONE),
    "plan": ("names a plan that there is not", r"[0-9a-f]{16}", NEWEST),
    "lead": ("pads lead times in a way that cannot be read", r"[1-9](\.\d{1,2})?x\d{1,3}", None),
    "steps": ("holds a catalogue that cannot be read", STEPS, USUAL),
}
# What nobody spends on capacity, USD.
BUDGET_MOST = 10**12
# Digits that the number of a run may have; Python would read the longest of numbers.
RUN_DIGITS = 9


class Known(NamedTuple):
    """What a link may name: the region of each site, and the partners."""

    region_of: Mapping[str, str]
    partners: Collection[str]


class UnusableError(ValueError):
    """A value of a link cannot be used; the message goes on from "The link"."""


def named(kind: str, names: Callable[[Known], Collection[str]], text: str, world: Known) -> str | None:
    """A name of this lake, or every one."""
    if text == ALL:
        return None
    if text not in names(world):
        raise UnusableError(f"names a {kind} that this lake does not have: {shown(text)}")
    return text


def moment(text: str, _: Known) -> datetime | None:
    """A stamp in UTC, or none."""
    if text == NOW:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnusableError(f"has a time that cannot be read: {shown(text)}; write it like 2026-11-20T09:25") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UnusableError(f"has a time out of reach: {shown(text)}")
    return moment


def limit(text: str, _: Known) -> float:
    """A share of capacity."""
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not LEAST_LIMIT <= share <= MOST_LIMIT:
        raise UnusableError(
            f"asks for the limit {shown(text)}; it is a share of capacity from {LEAST_LIMIT:g} to {MOST_LIMIT:g}"
        )
    return share


def budget(text: str, _: Known) -> int | None:
    """Whole USD, or as many as it takes."""
    if text == NONE:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(BUDGET_MOST)) and int(text) <= BUDGET_MOST):
        raise UnusableError(f"holds a budget that is no whole number of USD: {shown(text)}")
    return int(text)


def focus(text: str, world: Known) -> str | None:
    """A place by level and key."""
    if text == WORST:
        return None
    level, _, key = text.partition(":")
    places = {"site": set(world.region_of), "region": set(world.region_of.values()), "global": {ALL}}
    if key not in places.get(level, set()):
        raise UnusableError(f"looks at a place that this lake does not have: {shown(text)}")
    return text


def places(text: str, world: Known) -> tuple[str, ...] | None:
    """Up to PLACES_MOST places by level and key, or none."""
    if text == NONE:
        return None
    found = tuple(dict.fromkeys(part for part in text.split(",") if part and focus(part, world)))
    if len(found) > PLACES_MOST:
        raise UnusableError(f"compares with {len(found)} places; at most {PLACES_MOST} fit on one axis")
    return found or None


def failing(text: str, world: Known) -> str | None:
    """What fails, by kind and key; a path by both its ends."""
    if text == WORST:
        return None
    kind, _, key = text.partition(":")
    sites = set(world.region_of)
    known: dict[str, Collection[str]] = {
        "site": sites,
        "region": set(world.region_of.values()),
        "partner": world.partners,
    }
    is_path = kind == "path" and len(ends := key.split(">")) == 2 and sites.issuperset(ends)
    if not is_path and key not in known.get(kind, ()):
        raise UnusableError(f"lets something fail that this lake does not have: {shown(text)}")
    return text


def whatif(text: str, _: Known) -> str | None:
    """A JSON list of changes, packed or not; what each says is read where it is applied."""
    if text in ("", NONE):
        return None
    if len(text) > WHATIF_LETTERS:
        raise UnusableError(f"holds a what-if of {len(text):,} letters; at most {WHATIF_LETTERS:,} are read")
    plain = _unpacked(text.removeprefix(WHATIF_PACKED)) if text.startswith(WHATIF_PACKED) else text
    try:
        held = json.loads(plain)
    except (ValueError, RecursionError):
        held = None
    if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
        raise UnusableError(f"holds a what-if that cannot be read: {shown(text)}")
    return plain


def whatif_text(held: str) -> str:
    """A what-if as an address holds it: as it is, or packed where that is much."""
    return (
        held
        if len(held) <= WHATIF_PLAIN
        else WHATIF_PACKED + base64.urlsafe_b64encode(zlib.compress(held.encode(), 9)).decode().rstrip("=")
    )


def fits(held: str) -> bool:
    """Whether a link can hold a what-if."""
    return len(held) <= WHATIF_UNPACKED and len(whatif_text(held)) <= WHATIF_LETTERS


def _unpacked(text: str) -> str:
    """What was packed, as far as it may unpack; nothing where it cannot be read."""
    try:
        return (
            zlib.decompressobj()
            .decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), WHATIF_UNPACKED)
            .decode()
        )
    except (ValueError, zlib.error):
        return ""


def number(text: str, _: Known) -> int | None:
    """The number of a run, or none."""
    if text in (NEWEST, BEFORE):
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= RUN_DIGITS and int(text)):
        raise UnusableError(f"names a run that there is not: {shown(text)}")
    return int(text)


def shaped(fault: str, shape: str, without: str | None, text: str, _: Known) -> str | None:
    """A value that is known by its shape alone, or the word for none."""
    if text == without:
        return None
    if not re.fullmatch(shape, text):
        raise UnusableError(f"{fault}: {shown(text)}")
    return text


def shown(text: str) -> str:
    """Foreign text as it may stand in Markdown: short, ASCII, in a code span that it cannot leave."""
    plain = ascii(text[:40])[1:-1].replace("`", "'")
    return f"`{plain}`" + ("..." if len(text) > 40 else "")
