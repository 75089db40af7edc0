"""By when must each augment be ordered? The plan as a table, and as a calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data.schema.errors import SettingError
from forecasting.planning.calendar import Entry, calendar
from forecasting.planning.crossing import EARLY, RunOut

DAY = pd.Timedelta(days=1)
# What an order takes where the contract's `lead_time_days` is silent: a quarter, between the 30 days of a cross-connect
# and the 150 of a build.
USUAL_LEAD_DAYS = 90.0
PLAN_COLUMNS = [
    "level",
    "key",
    "state",
    "order_by",
    "days_left",
    "lead_days",
    "padded_days",
    "p10",
    "p50",
    "p90",
    "answer",
    "reason",
]


@dataclass(frozen=True, slots=True)
class OrderPolicy:
    """How early to order: so that the padded lead time ends by the day on which a share `early` of the futures has run
    out.

    Practice pads what the vendor says: double it and add five days.
    """

    early: float = EARLY
    times: float = 2.0
    plus_days: float = 5.0

    def __post_init__(self) -> None:
        if not (0.0 < self.early < 1.0 and self.times >= 1.0 and self.plus_days >= 0.0):
            raise SettingError(
                f"Ordering by the {self.early:g} quantile with lead time x {self.times:g} + {self.plus_days:g} days is not usable.",
                remedy="give a share between 0 and 1, a factor of at least 1 and days of at least 0",
            )

    def padded(self, lead_days: float) -> float:
        """Days to reckon with for a lead time of `lead_days`."""
        return self.times * lead_days + self.plus_days


def order_by(answer: RunOut, lead_days: float, policy: OrderPolicy) -> pd.Timestamp | None:
    """The last day to order; None where too few futures run out by the horizon, or nothing is known."""
    early = answer.date(policy.early)
    return early - (policy.padded(lead_days) * DAY).ceil("D") if early is not None else None


def plan_frame(
    answers: Sequence[RunOut], lead_days: Mapping[str, float], today: pd.Timestamp, policy: OrderPolicy | None = None
) -> pd.DataFrame:
    """What to order by when: overdue first, then by date, then what needs no order, then what is refused.

    lead_days: the contract's lead time by key; where it is silent, `USUAL_LEAD_DAYS`. state: overdue, due (an order
    with days left), none or unknown.
    """
    chosen, day = policy or OrderPolicy(), today.floor("D")
    rows = [_row(answer, lead_days.get(answer.key, USUAL_LEAD_DAYS), day, chosen) for answer in answers]
    found = pd.DataFrame(rows, columns=PLAN_COLUMNS)
    return by_urgency(
        found.astype(dict.fromkeys(("order_by", "p10", "p50", "p90"), "datetime64[us, UTC]") | {"days_left": "Int64"})
    )


def by_urgency(plan: pd.DataFrame) -> pd.DataFrame:
    """The rows of a plan, or of several together, in the order of `plan_frame`."""
    place = plan["state"].map({"overdue": 0, "due": 0, "none": 1, "unknown": 2})
    order = (
        plan.assign(place=place)
        .sort_values(["place", "order_by", "p10", "key"], kind="stable", na_position="last")
        .index
    )
    return plan.loc[order].reset_index(drop=True)


def plan_calendar(plan: pd.DataFrame, today: pd.Timestamp) -> str:
    """The orders of a plan as iCalendar text, an all-day entry each; an overdue one stands on today. A column
    `direction` tells those of a key apart.
    """
    due = plan[plan["state"].isin(("overdue", "due"))]
    ways = due["direction"] if "direction" in due else [""] * len(due)
    return calendar(
        [_entry(row, way, today.floor("D")) for row, way in zip(due.itertuples(index=False), ways, strict=True)], today
    )


def _entry(row: Any, way: str, today: pd.Timestamp) -> Entry:
    """An order as an entry; way: the direction, or nothing."""
    return Entry(
        uid=f"order-{'-'.join(part for part in (row.level, row.key, way) if part)}@headroom",
        day=max(row.order_by, today),
        title=f"{'OVERDUE: order' if row.state == 'overdue' else 'Order'} {f'{way} capacity'.strip()} for {row.key}",
        text=f"Order by {row.order_by:%Y-%m-%d}: lead time {row.lead_days:g} days, {row.padded_days:g} with padding; "
        f"may run out from {row.order_by + row.padded_days * DAY:%Y-%m-%d}.",
    )


def _row(answer: RunOut, lead_days: float, today: pd.Timestamp, policy: OrderPolicy) -> dict[str, object]:
    last = order_by(answer, lead_days, policy)
    state = (
        "unknown" if answer.answer == "refused" else "none" if last is None else "overdue" if last < today else "due"
    )
    return {
        "level": answer.level,
        "key": answer.key,
        "state": state,
        "order_by": last,
        "days_left": (last - today) // DAY if last is not None else None,
        "lead_days": lead_days,
        "padded_days": policy.padded(lead_days),
        "p10": answer.p10,
        "p50": answer.p50,
        "p90": answer.p90,
        "answer": answer.answer,
        "reason": answer.reason,
    }
