"""Capacity in force, in SQL: the one definition that every query uses. `forecasting.planning.capacity` has the same in
NumPy, and a test holds the two equal.

In force at t is the newest installed step at or before t. A planned step counts from its date only where that date lies
after "now": one whose date has passed is late, not built.
"""

from __future__ import annotations

from datetime import datetime


def steps_in_force(now: datetime | None = None) -> str:
    """SQL of the rows of `capacity` that count: those installed, and those planned for after `now`.

    Without `now` the installed ones alone, which is enough for moments that have passed.
    """
    planned = "" if now is None else f" OR effective_from > TIMESTAMPTZ '{now.isoformat()}'"
    return f"SELECT * FROM capacity WHERE status IS DISTINCT FROM 'planned'{planned}"


def capacity_in_force(at: datetime, now: datetime | None = None) -> str:
    """SQL of site_id, direction, capacity_gbps and cost_usd_month in force at a moment; a row for each site and
    direction that declares any. `now` as in steps_in_force; it is needed for a moment that lies ahead.
    """
    return f"""SELECT site_id, direction, arg_max(capacity_gbps, effective_from) AS capacity_gbps,
               arg_max_null(cost_usd_month, effective_from) AS cost_usd_month
        FROM ({steps_in_force(now)}) WHERE effective_from <= TIMESTAMPTZ '{at.isoformat()}' GROUP BY site_id, direction"""
