"""The state of a site, region or the network (act, watch, ok, unknown) by its plan, and the one order of urgency."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from data.schema import SiteState
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.runout import RunOut

# act: over its limit now, or the order-by date has passed and an order placed today comes too late for the median
# run-out. watch: to be ordered within ORDER_SOON, or an incident is open. unknown: the reason says why.
WORST_FIRST: tuple[SiteState, ...] = ("act", "watch", "ok", "unknown")
# A month is what it takes to get an order signed.
ORDER_SOON = pd.Timedelta(days=30)
# over: over its limit now, whatever is ordered today comes late. late: passes its limit (median) before an order of
# today is in service. due: order now or within ORDER_SOON, in time. later: an order is due after that. none: too few
# futures run out to order for. unknown: refused.
Grade = Literal["over", "late", "due", "later", "none", "unknown"]
GRADES: tuple[Grade, ...] = get_args(Grade)


def state_of(
    case: PlanCase,
    run_out: RunOut,
    last: pd.Timestamp | None,
    lead: pd.Timedelta,
    *,
    over: bool,
    used: float | None,
    site: str,
) -> tuple[SiteState, str]:
    """The state of a row, and in one sentence why: the first that holds, worst first. last: the order-by date; used and
    site: what is carried now over what the policy allows, and the site that the series is, if it is one.
    """
    today, median = case.moment.floor("D"), run_out.p50
    limit = f"{case.policy.limits.get(site, case.policy.limit):.0%} of capacity"
    what = f"{case.direction.capitalize()} {'peaks' if case.policy.statistic == 'peak' else 'P95'}"
    is_overdue = last is not None and last < today
    state: SiteState = "ok"
    why = "Within all limits."
    if over:
        share = "" if used is None or not 1.0 < used < np.inf else f", by {used - 1.0:.0%} of it"
        state, why = "act", f"{what} above {limit} now{share}."
    elif is_overdue and median is not None and today + lead > median:
        state, why = "act", f"{what} pass {limit} by {median:%Y-%m-%d}, before an order of today is there."
    elif site in case.incidents:
        state, why = "watch", case.incidents[site]
    elif last is not None and last <= today + ORDER_SOON:
        due = "was due on" if is_overdue else "is due by"
        state, why = "watch", f"The order of {case.direction} capacity {due} {last:%Y-%m-%d}."
    elif run_out.answer == "refused":
        state, why = "unknown", f"When {case.direction} runs out is not known: {run_out.reason}."
    elif site in case.unheard:
        state, why = "unknown", case.unheard[site]
    return state, why


def grade_of(
    run_out: RunOut, last: pd.Timestamp | None, today: pd.Timestamp, lead: pd.Timedelta, *, over: bool
) -> Grade:
    """What an order of today still achieves; last: the order-by date, lead: the padded lead time."""
    if over:
        return "over"
    if run_out.answer == "refused":
        return "unknown"
    if last is None:
        return "none"
    if last < today and run_out.p50 is not None and today + lead > run_out.p50:
        return "late"
    return "due" if last <= today + ORDER_SOON else "later"


def by_urgency(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of plans in the one order of urgency: by state; within it what is over its limit, by how much; then what an
    order can no longer save, by how soon it runs out; then by order-by date, and by the early run-out.
    """
    over = rows["over_share"].astype(float)
    unmet = rows["run_out_p50"].where(rows["state"].eq("act") & over.isna())
    keys = {
        "_state": rows["state"].map({state: place for place, state in enumerate(WORST_FIRST)}),
        "_over": -over,
        "_unmet": unmet,
    }
    order = [*keys, "order_by", "run_out_p10", "key", "direction"]
    ordered = rows.assign(**keys).sort_values(order, kind="stable", na_position="last")
    return ordered.drop(columns=list(keys)).reset_index(drop=True)
