"""The state of a site, region or the network (act, watch, ok, unknown) by its plan, and the one order of urgency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from data.schema import QUALITY_LIMITS, SiteState
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
    limit = f"{_percent(case.policy.limits.get(site, case.policy.limit))} of capacity"
    what = f"{case.direction.capitalize()} {'peaks' if case.policy.statistic == 'peak' else 'P95'}"
    is_overdue = last is not None and last < today
    state: SiteState = "ok"
    why = "Within all limits."
    if over:
        share = "" if used is None or not 1.0 < used < np.inf else f"{_percent(used - 1.0)} "
        state, why = "act", f"{what} {share}above the limit of {limit}."
    elif is_overdue and median is not None and today + lead > median:
        late = f"an order of today is in service on {_in_words(today + lead)}"
        state, why = "act", f"{what} likely pass {limit} by {_in_words(median)}; {late}."
    elif site in case.incidents:
        state, why = "watch", case.incidents[site]
    elif last is not None and last <= today + ORDER_SOON:
        due = "was due on" if is_overdue else "is due by"
        state, why = "watch", f"The order of {case.direction} capacity {due} {_in_words(last)}."
    elif run_out.answer == "refused":
        state, why = "unknown", f"When {case.direction} runs out is not known: {run_out.reason}."
    elif site in case.unheard:
        state, why = "unknown", case.unheard[site]
    return state, why


def _percent(share: float) -> str:
    """'80 %', '0.4 %': one decimal where a whole number would be 0."""
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"


def _in_words(stamp: pd.Timestamp) -> str:
    """'3 Dec 2026', whatever the locale."""
    return f"{stamp.day} {stamp.month_name()[:3]} {stamp.year}"


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


class NetworkSummary(NamedTuple):
    """How some sites stand together, and what of it comes first.

    states: sites by state. over: those over their limit at the weekly peak. late, due: those whose order comes too late
    (grades over and late), or is due in time within ORDER_SOON. undeclared: those without a declared capacity. unplanned: those that cannot be
    planned for another reason, `refusal`, that of more than half of them. is_planned: whether a plan has any of them.
    next_site: which runs out first of those that are not over, by next_date, the median. fullest_site: the highest peak of the
    last 24 hours over capacity, fullest_share. poor: names of the sites where viewers fare worse than the good limits
    (QUALITY_LIMITS) in the newest hour, worst first; None where that is measured at no site.
    """

    sites: int
    states: Mapping[str, int]
    over: int
    late: int
    due: int
    undeclared: int
    unplanned: int
    refusal: str | None
    is_planned: bool
    next_site: str | None
    next_date: pd.Timestamp | None
    fullest_site: str | None
    fullest_share: float
    poor: tuple[str, ...] | None


def summarise_sites(sites: pd.DataFrame) -> NetworkSummary:
    """The summary of some sites. `sites`: a frame of planning.plan.with_plan."""
    states = sites["state"].value_counts()
    late, soon = sites["grade"].isin(("over", "late")), sites["grade"].eq("due")
    bare = sites["runout"].eq("no capacity")
    refusals = sites.loc[sites["refusal"].notna() & ~bare, "refusal"]
    ahead = sites[sites["runout"].eq("within") & sites["run_out_p50"].notna()]
    following = ahead.sort_values("run_out_p50", kind="stable").head(1)
    full = sites[sites["peak_24h_utilisation"].notna()].astype({"peak_24h_utilisation": float})
    fullest = full.nlargest(1, "peak_24h_utilisation")
    return NetworkSummary(
        len(sites),
        {state: int(states[state]) for state in WORST_FIRST if state in states},
        int(sites["over_share"].notna().sum()),
        int(late.sum()),
        int(soon.sum()),
        int(bare.sum()),
        len(refusals),
        None if refusals.empty else _usual_refusal(refusals),
        bool(sites["answer"].notna().any()),
        next(iter(following["name"]), None),
        next(iter(following["run_out_p50"]), None),
        next(iter(fullest["name"]), None),
        next(iter(fullest["peak_24h_utilisation"]), np.nan),
        _poor_quality(sites),
    )


def _usual_refusal(refusals: pd.Series) -> str:
    """The reason that more than half of the refused sites have, or that there is no such."""
    counts = refusals.value_counts()
    return str(counts.index[0]) if 2 * int(counts.iloc[0]) > len(refusals) else "for different reasons"


def _poor_quality(sites: pd.DataFrame) -> tuple[str, ...] | None:
    """Names of the sites where viewers fare worse than the good limits, worst first; None where nothing is measured."""
    limits = pd.Series({name: good for name, (good, _) in QUALITY_LIMITS.items()})
    shares = (sites[list(limits.index)].astype(float) / limits).max(axis=1)
    if shares.isna().all():
        return None
    return tuple(sites.loc[shares[shares >= 1.0].sort_values(ascending=False, kind="stable").index, "name"].astype(str))


def group_states(sites: pd.DataFrame, by: Literal["region", "partner"]) -> pd.DataFrame:
    """key, label, sites, act, watch and add_gbps (Gbps to order, the sum over its sites) of each region or partner, most
    sites to act on first. `sites`: a frame of planning.plan.with_plan.
    """
    is_region = by == "region"
    keys = sites["region_id"] if is_region else sites["partner"]
    rows = pd.DataFrame(
        {
            "key": keys,
            "label": sites["region_name"].fillna(keys) if is_region else keys,
            "act": sites["state"].eq("act"),
            "watch": sites["state"].eq("watch"),
            "add_gbps": sites["add_gbps"].astype(float),
        }
    ).dropna(subset="key")
    groups = rows.groupby("key", sort=True)
    table = groups[["act", "watch"]].sum().astype(int)
    table["sites"], table["label"] = groups.size(), groups["label"].first()
    table["add_gbps"] = groups["add_gbps"].sum(min_count=1)
    return table.reset_index().sort_values(["act", "watch", "key"], ascending=[False, False, True], ignore_index=True)
