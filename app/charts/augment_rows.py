"""An augment plan as a table and in words: what to buy where, by when to order it and why, and which constraints
nothing on offer keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import pandas as pd

from app import theme
from app.charts.plan_rows import ORDER_STATES

Names = Mapping[str, str]


def purchase_table(rows: pd.DataFrame, names: Names, today: pd.Timestamp) -> pd.DataFrame:
    """`rows`: AugmentPlan.frame. Rank, Site, Step ('2 x 100 Gbps'), Adds (Gbps), Order by, In service, Cost and A month
    (USD), Risk removed (Gbps-months), Per thousand USD, Reason; in the order given.
    """
    return pd.DataFrame(
        {
            "Rank": rows["rank"],
            "Site": [names.get(key, key) for key in rows["site_id"]],
            "Step": [f"{units} x {theme.gbps(gbps)}" for units, gbps in zip(rows["units"], rows["gbps"], strict=True)],
            "Adds": rows["gbps"] * rows["units"],
            "Order by": [order_words(day, today) for day in rows["order_by"]],
            "In service": [theme.day(day) for day in rows["in_service"]],
            "Cost": rows["cost_usd"],
            "A month": rows["usd_month"],
            "Risk removed": rows["risk_removed"],
            "Per thousand USD": rows["risk_per_kusd"],
            "Reason": rows["reason"],
        }
    )


def order_words(last: pd.Timestamp, today: pd.Timestamp) -> str:
    """The last day to order, with its state."""
    late = last < today.floor("D")
    return f"{ORDER_STATES['overdue' if late else 'due'].glyph} {'overdue since' if late else 'by'} {theme.day(last, year=last.year != today.year)}"


def broken_words(broken: Iterable[Any], names: Names) -> list[str]:
    """What no purchase keeps: a sentence for each site, kind and cause, with the months that it is about; what lacks
    most stands first.

    `broken`: AugmentPlan.broken.
    """
    kept = sorted(broken, key=lambda one: (one.violation.key, one.violation.kind, one.cause, one.month))
    parts = [
        list(mine) for _, mine in groupby(kept, key=lambda one: (one.violation.key, one.violation.kind, one.cause))
    ]
    return [_together(mine, names) for mine in sorted(parts, key=_lacks, reverse=True)]


def _lacks(mine: list[Any]) -> float:
    return float(max(one.violation.short_gbps for one in mine))


def _together(mine: list[Any], names: Names) -> str:
    first, last = mine[0], mine[-1]
    name, most = names.get(first.violation.key, first.violation.key), _lacks(mine)
    what = (
        f"{name} stays above its limit"
        if first.violation.kind == "limit"
        else f"If {name} fails, the others cannot take it all"
    )
    months = theme.month(first.month) if len(mine) == 1 else f"{theme.month(first.month)} to {theme.month(last.month)}"
    return f"{what}, {months}: up to {theme.gbps(most)} short; {first.cause}"
