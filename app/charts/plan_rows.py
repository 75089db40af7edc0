"""What runs out first, as a table: dates as intervals in words, answers of another kind in words of their own, orders
with a shape and a word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from app import theme
from app.charts.map_marks import records
from app.theme import ACT, OK, STATES, UNKNOWN, WATCH, StateMark

# Overdue is for now; due is for the calendar; no order is well; and nothing can be said.
ORDER_STATES: dict[str, StateMark] = {"overdue": ACT, "due": WATCH, "none": OK, "unknown": UNKNOWN}
NO_ORDER = {"none": "no order yet", "unknown": "not known"}
_DAY, _MONTH_DAYS = pd.Timedelta(days=1), 30.4
Row = Mapping[Any, Any]


def answer_words(row: Row, now: pd.Timestamp) -> str:
    """'3 to 19 Dec', 'now to 3 Dec', '3 Dec or later', 'already over', 'not within 18 months', or why nothing can be
    said.
    """
    answer, first, last = row["answer"], row["run_out_p10"], row["run_out_p90"]
    if answer == "refused":
        return f"not known: {row['reason']}"
    if answer == "over":
        return "already over"
    if answer == "beyond" or not isinstance(first, pd.Timestamp):
        return f"not within {months_ahead(row, now)} months"
    return theme.ahead(first, last if isinstance(last, pd.Timestamp) else None, now)


def months_ahead(row: Row, now: pd.Timestamp) -> int:
    """Whole months from now to the horizon."""
    horizon = row["horizon"]
    return round((horizon - now) / _DAY / _MONTH_DAYS) if isinstance(horizon, pd.Timestamp) else 0


def order_words(row: Row, now: pd.Timestamp) -> str:
    """The order-by date with its state: a shape, a word, the date."""
    order, last = str(row["order"]), row["order_by"]
    glyph = ORDER_STATES[order].glyph
    if not isinstance(last, pd.Timestamp) or order in NO_ORDER:
        return f"{glyph} {NO_ORDER.get(order, NO_ORDER['unknown'])}"
    return f"{glyph} {'overdue since' if order == 'overdue' else 'by'} {theme.day(last, year=last.year != now.year)}"


def soon_words(share: float) -> str:
    """A probability from simulated futures, which never are enough to say none or all."""
    if math.isnan(share):
        return "-"
    return "under 1 %" if share < 0.01 else "over 99 %" if share > 0.99 else theme.percent(share)


def plan_table(rows: pd.DataFrame, now: pd.Timestamp, base: pd.DataFrame | None = None) -> pd.DataFrame:
    """What the table shows, in the order of `rows` (an outlook with name, region and partner); beside it `base`, the
    same without the what-if.

    key, Site, Health, Run-out, (Without the what-if, Later by: days), Order by, Within 90 days (percent), Probability (list),
    Lead time (days), Region, Partner.
    """
    told = records(rows)
    before: dict[str, object] = {}
    if base is not None:
        earlier = {row["key"]: row for row in records(base)}
        before = {
            "Without the what-if": [
                answer_words(earlier[row["key"]], now) if row["key"] in earlier else "not there" for row in told
            ],
            "Later by": [moved(earlier.get(row["key"]), row) for row in told],
        }
    return pd.DataFrame(
        {
            "key": rows["key"],
            "Site": rows["name"],
            "Health": [f"{STATES[state].glyph} {STATES[state].word}" for state in rows["state"]],
            "Run-out": [answer_words(row, now) for row in told],
            **before,
            "Order by": [order_words(row, now) for row in told],
            "Within 90 days": 100 * rows["within_90"].astype(float),
            "Probability": rows["odds"],
            "Lead time": rows["lead_days"],
            "Region": rows["region"],
            "Partner": rows["partner"],
        }
    )


def moved(before: Row | None, after: Row) -> float:
    """Days by which the median run-out comes later; not a number where either has none."""
    early, late = (None if before is None else before["run_out_p50"]), after["run_out_p50"]
    return (late - early) / _DAY if isinstance(early, pd.Timestamp) and isinstance(late, pd.Timestamp) else math.nan
