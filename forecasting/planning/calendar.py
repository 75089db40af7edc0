"""Orders as iCalendar text (RFC 5545): all-day entries that every calendar imports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
from icalendar import Calendar, Event


class Entry(NamedTuple):
    """An all-day entry; the same `uid` in a later file replaces it."""

    uid: str
    day: pd.Timestamp
    title: str
    text: str


def calendar(entries: Iterable[Entry], written: pd.Timestamp) -> str:
    """The entries as one calendar; `written` (UTC) stamps them."""
    file = Calendar()
    file.add("VERSION", "2.0")
    file.add("PRODID", "-//Headroom//Capacity plan//EN")
    file.add("CALSCALE", "GREGORIAN")
    for entry in entries:
        file.add_component(_event(entry, written))
    text: bytes = file.to_ical(sorted=False)
    return text.decode()


def _event(entry: Entry, written: pd.Timestamp) -> Event:
    event = Event()
    event.add("UID", entry.uid)
    event.add("DTSTAMP", written.tz_convert("UTC").floor("s").to_pydatetime())
    event.add("DTSTART", entry.day.date())
    # The end of an all-day entry is the first day after it.
    event.add("DTEND", (entry.day + pd.Timedelta(days=1)).date())
    event.add("SUMMARY", entry.title)
    event.add("DESCRIPTION", entry.text.replace("\r", ""))
    event.add("TRANSP", "TRANSPARENT")
    return event
