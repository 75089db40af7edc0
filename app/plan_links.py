"""What a link says of a plan and its failures, between text and values; with what any part of a link is told by."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

# In a URL: every site, region, partner or role; nothing left out or changed; the newest of several; the place or failure that is worst; and the sizes that are
# usually bought.
ALL, NONE, NEWEST, WORST, USUAL = "all", "none", "newest", "worst", "usual"
# The share of capacity that may be used: from half of it to all.
LEAST_LIMIT, MOST_LIMIT = 0.5, 1.0
# A longer what-if does not fit into the addresses that every browser and mail program passes on.
WHATIF_LETTERS = 2000
# Steps of a catalogue: Gbps, USD a month, USD once, days of lead time or nothing, by colons; one from the next by a comma.
STEP = r"\d{1,6}(\.\d{1,3})?:\d{1,10}:\d{1,10}:\d{0,4}"
STEPS_MOST = 12
STEPS_PATTERN = re.compile(rf"{STEP}(,{STEP}){{0,{STEPS_MOST - 1}}}")


class Known(NamedTuple):
    """What a link may name: the region of each site, and the partners."""

    region_of: Mapping[str, str]
    partners: Collection[str]


class UnusableError(ValueError):
    """A value of a link cannot be used; the message goes on from "The link"."""


def limit(text: str, _: Known) -> float:
    """A share of capacity."""
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not LEAST_LIMIT <= share <= MOST_LIMIT:
        raise UnusableError(f"asks for the limit {shown(text)}; it is a share of capacity from {LEAST_LIMIT:g} to {MOST_LIMIT:g}")
    return share


def focus(text: str, world: Known) -> str | None:
    """A place by level and key."""
    if text == WORST:
        return None
    level, _, key = text.partition(":")
    places = {"site": set(world.region_of), "region": set(world.region_of.values()), "global": {ALL}}
    if key not in places.get(level, set()):
        raise UnusableError(f"looks at a place that this lake does not have: {shown(text)}")
    return text


def failing(text: str, world: Known) -> str | None:
    """What fails, by kind and key; a path by both its ends."""
    if text == WORST:
        return None
    kind, _, key = text.partition(":")
    sites = set(world.region_of)
    known: dict[str, Collection[str]] = {"site": sites, "region": set(world.region_of.values()), "partner": world.partners}
    is_path = kind == "path" and len(ends := key.split(">")) == 2 and sites.issuperset(ends)
    if not is_path and key not in known.get(kind, ()):
        raise UnusableError(f"lets something fail that this lake does not have: {shown(text)}")
    return text


def plan(text: str, _: Known) -> str | None:
    """A saved plan by its identifier."""
    if text == NEWEST:
        return None
    if not re.fullmatch(r"[0-9a-f]{16}", text):
        raise UnusableError(f"names a plan that there is not: {shown(text)}")
    return text


def whatif(text: str, _: Known) -> str | None:
    """A JSON list of changes; what each says is read where it is applied."""
    if text in ("", NONE):
        return None
    if len(text) > WHATIF_LETTERS:
        raise UnusableError(f"holds a what-if of {len(text):,} letters; at most {WHATIF_LETTERS:,} are read")
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        held = None
    if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
        raise UnusableError(f"holds a what-if that cannot be read: {shown(text)}")
    return text


def steps(text: str, _: Known) -> str | None:
    """A catalogue, or the usual one."""
    if text == USUAL:
        return None
    if not STEPS_PATTERN.fullmatch(text):
        raise UnusableError(f"holds a catalogue that cannot be read: {shown(text)}")
    return text


def shown(text: str) -> str:
    """Foreign text as it may stand in Markdown: short, ASCII, in a code span that it cannot leave."""
    plain = ascii(text[:40])[1:-1].replace("`", "'")
    return f"`{plain}`" + ("..." if len(text) > 40 else "")
