"""The order-by rule: by when an augment must be ordered; and the orders of a plan as a calendar (iCalendar, RFC 5545)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from icalendar import Calendar, Event

from data.schema.errors import SettingError
from forecasting.planning.capacity import DAY
from forecasting.planning.runout import EARLY, RunOut

# What an order takes where the contract's `lead_time_days` is silent: a quarter, between the 30 days of a cross-connect
# and the 150 of a build.
USUAL_LEAD_DAYS = 90.0
# Practice pads what the vendor says: double it and add five days.
LEAD_FACTOR, LEAD_PLUS_DAYS = 2.0, 5.0


@dataclass(frozen=True, slots=True)
class OrderPolicy:
    """When to order: so that the padded lead time ends by the day on which a share `early` of the futures has run
    out.
    """

    early: float = EARLY
    times: float = LEAD_FACTOR
    plus_days: float = LEAD_PLUS_DAYS

    def __post_init__(self) -> None:
        if not (0.0 < self.early < 1.0 and self.times >= 1.0 and self.plus_days >= 0.0):
            raise SettingError(
                f"Ordering by the {self.early:g} quantile with lead time x {self.times:g} + {self.plus_days:g} days is not usable.",
                remedy="give a share between 0 and 1, a factor of at least 1 and days of at least 0",
            )

    def padded(self, lead_days: float) -> float:
        """Padded days for a lead time of `lead_days`."""
        return self.times * lead_days + self.plus_days

    def lead(self, lead_days: float) -> pd.Timedelta:
        """Padded lead time in whole days, rounded up: from an order to capacity in service."""
        return (self.padded(lead_days) * DAY).ceil("D")


def order_by(answer: RunOut, lead_days: float, policy: OrderPolicy) -> pd.Timestamp | None:
    """The last day to order; None where too few futures run out by the horizon, or nothing is known."""
    early = answer.date(policy.early)
    return None if early is None else early - policy.lead(lead_days)


def plan_calendar(plan: pd.DataFrame, today: pd.Timestamp) -> str:
    """The orders of a plan (rows of plan.Plan) as iCalendar text, an all-day entry each; an overdue one stands on
    today.
    """
    due = plan[plan["order"].isin(("overdue", "due"))]
    return calendar([_entry(row, today.floor("D")) for row in due.itertuples(index=False)], today)


def _entry(row: Any, today: pd.Timestamp) -> Entry:
    """An order as an entry."""
    return Entry(
        uid=f"order-{row.level}-{row.key}-{row.direction}@headroom",
        day=max(row.order_by, today),
        title=f"{'OVERDUE: order' if row.order == 'overdue' else 'Order'} {row.direction} capacity for {row.key}",
        text=f"Order by {row.order_by:%Y-%m-%d}: lead time {row.lead_days:g} days, {row.padded_days:g} with padding; "
        f"may run out from {row.order_by + row.padded_days * DAY:%Y-%m-%d}.",
    )


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
