"""iCalendar text (RFC 5545) of all-day entries, as every calendar imports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pandas as pd

# Octets of a content line, its line break left out (RFC 5545, 3.1).
LINE_OCTETS = 75
ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": None})


class Entry(NamedTuple):
    """An all-day entry; the same `uid` in a later file replaces it."""

    uid: str
    day: pd.Timestamp
    title: str
    text: str


def calendar(entries: Iterable[Entry], written: pd.Timestamp) -> str:
    """The entries as one calendar; `written` (UTC) stamps them."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Headroom//Capacity plan//EN", "CALSCALE:GREGORIAN"]
    lines += [line for entry in entries for line in _event(entry, written)]
    return "".join(f"{folded(line)}\r\n" for line in [*lines, "END:VCALENDAR"])


def _event(entry: Entry, written: pd.Timestamp) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{entry.uid.translate(ESCAPES)}"
    yield f"DTSTAMP:{written.tz_convert('UTC'):%Y%m%dT%H%M%SZ}"
    yield f"DTSTART;VALUE=DATE:{entry.day:%Y%m%d}"
    # The end of an all-day entry is the first day after it.
    yield f"DTEND;VALUE=DATE:{entry.day + pd.Timedelta(days=1):%Y%m%d}"
    yield f"SUMMARY:{entry.title.translate(ESCAPES)}"
    yield f"DESCRIPTION:{entry.text.translate(ESCAPES)}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def folded(line: str) -> str:
    """A content line, broken before its 76th octet and never within a character; what follows a break begins with a
    blank.
    """
    parts, room = [""], LINE_OCTETS
    for character in line:
        size = len(character.encode())
        if size > room:
            parts.append("")
            room = LINE_OCTETS - 1
        parts[-1] += character
        room -= size
    return "\r\n ".join(parts)
