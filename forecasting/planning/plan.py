"""The plan: run-out, order-by date, state and urgency of every site, region and the network, and what of the planned
capacity is late. `solve` is the only way to any of them: pages, commands, saved plans and exports read its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from data.schema import PEAK_QUANTILES, UTILISATION_LIMIT, Direction, Level, sites_by_cause, without_sites
from forecasting.planning.augments import AugmentPlan, added_by_site, all_purchases
from forecasting.planning.capacity import (
    DAY,
    LATE_COLUMNS,
    counts,
    is_planned,
    late_augments,
    usable_capacity,
    weekly_capacity,
)
from forecasting.planning.catalogue import whole_ports
from forecasting.planning.demand import WEEK, Diversity
from forecasting.planning.order_by import USUAL_LEAD_DAYS, order_by
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.runout import NO_CAPACITY, RunOut, group_run_outs, refusal, run_outs
from forecasting.planning.site_state import GRADES, Grade, by_urgency, grade_of, state_of

# overdue: the order-by date has passed. due: it has not. none: too few futures run out to order for. unknown: refused.
Order = Literal["overdue", "due", "none", "unknown"]
RUN_OUT_SOON = pd.Timedelta(days=90)
# A probability every four weeks draws its curve in a table's cell.
CURVE_STEP = 4 * WEEK
LEVELS: tuple[Level, ...] = ("site", "region", "global")
DATES = ["run_out_p10", "run_out_p50", "run_out_p90"]
PLAN_COLUMNS = [
    "level",
    "key",
    "direction",
    "state",
    "order",
    "order_by",
    "days_left",
    "lead_days",
    "padded_days",
    *DATES,
    "horizon",
    "probability",
    "over_share",
    "answer",
    "reason",
    "state_reason",
    "grade",
    "peak_gbps",
    "capacity_gbps",
    "limit_gbps",
    "short_gbps",
    "add_gbps",
    "in_service_by",
    "in_service_today",
    "weeks_over",
]
# An augment of today's order is to last a year, in nine of ten futures, as an augment plan does where nobody says else.
ADD_QUANTILE, ADD_MONTHS = 0.9, 12
# What a saved plan is scored by, beside its dates.
PEAK_SHARES = {"q10": 0.1, "q50": 0.5, "q90": 0.9}


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The plan of one case a direction: rows, late augments and run-out distributions.

    rows: PLAN_COLUMNS, most urgent first. A date is NaT after the horizon; probability: share of futures that run out
    by it; over_share: what is carried over what the policy lets it carry, where it is over its limit now; reason: why
    nothing can be said, or what an answer is made without: hours of a site, sites of a group and their share; state_reason: the state in a sentence.
    grade: site_state.Grade. peak_gbps: the policy's statistic of the last whole week, or of this one in the median of
    futures, whichever is higher; capacity_gbps: in force this week; limit_gbps: what of it the policy lets be used;
    short_gbps: the peak above the limit, 0 where it is not; add_gbps: whole ports that, ordered today, keep the limit
    for the rest of a year in ADD_QUANTILE of futures, as the cheapest augment plan does (of a group: the sum). in_service_by: the early
    run-out, for which the order-by date leaves the padded lead time; in_service_today: when an order of today is in
    service, at the padded lead time; weeks_over: how many weeks until then are expected above the limit (mean over
    the futures).
    late: planned augments whose date has passed and that are not built (capacity.late_augments).
    run_outs: the distributions by direction, level and key.
    """

    rows: pd.DataFrame
    late: pd.DataFrame
    run_outs: Mapping[tuple[Direction, Level, str], RunOut]

    def at(self, level: Level) -> list[RunOut]:
        """The run-outs of a level, in the order of the case."""
        return [run_out for (_, of_level, _), run_out in self.run_outs.items() if of_level == level]


def solve(*cases: PlanCase) -> Plan:
    """The plan of one case, or of both directions together, ranked by one order of urgency. SettingError where the
    demand is of another statistic than the policy's.
    """
    run_outs_by_key: dict[tuple[Direction, Level, str], RunOut] = {}
    frames, late = [pd.DataFrame(columns=PLAN_COLUMNS)], [pd.DataFrame(columns=LATE_COLUMNS)]
    for case in cases:
        run_outs_of_case = _run_outs(case)
        run_outs_by_key |= {(case.direction, run_out.level, run_out.key): run_out for run_out in run_outs_of_case}
        frames.append(_rows(case, run_outs_of_case))
        steps = case.steps[case.steps["direction"] == case.direction]
        late.append(late_augments(steps, case.moment))
    rows = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)[PLAN_COLUMNS]
    days = ("order_by", *DATES, "horizon", "in_service_by", "in_service_today")
    stamps = dict.fromkeys(days, "datetime64[us, UTC]")
    gbps = ("peak_gbps", "capacity_gbps", "limit_gbps", "short_gbps", "add_gbps")
    numbers = dict.fromkeys(("lead_days", "padded_days", "probability", "over_share", "weeks_over", *gbps), float)
    rows = by_urgency(rows.astype(stamps | numbers | {"days_left": "Int64"}))
    return Plan(rows, pd.concat([frame for frame in late if len(frame)] or late, ignore_index=True), run_outs_by_key)


# Run-out
# ----------------------------------------------------------------------------------------------------------------------


def _run_outs(case: PlanCase) -> list[RunOut]:
    """Run-outs of every site, region and the network, refused ones among them."""
    demand = case.demand
    measured = case.measured
    answers = run_outs(demand, case.steps, case.policy, measured=measured.get("site"), now=case.moment)
    answers += [_refused(case, "site", site, reason) for site, reason in case.refused.items()]
    for level in LEVELS[1:]:
        answers += _group_run_outs(case, level)
    return answers


def _group_run_outs(case: PlanCase, level: Level) -> list[RunOut]:
    """Run-outs of the regions, or of the network: of the sites that have futures, each without those that have none."""
    groups = case.groups(level)
    with_futures = {site: name for site, name in groups.items() if site in case.demand.keys}
    answers = group_run_outs(
        case.demand,
        case.steps,
        case.policy,
        with_futures,
        level=level,
        diversity=case.diversity,
        measured=case.measured.get(level),
        now=case.moment,
    )
    by_key = {run_out.key: run_out for run_out in answers}
    for name in sorted(set(groups.values())):
        if name not in by_key:
            gone = {site: reason for site, reason in case.refused.items() if groups.get(site) == name}
            by_key[name] = _refused(case, level, name, f"no forecast for {sites_by_cause(gone)}")
        elif name in case.refused_groups and by_key[name].answer != "refused":
            by_key[name] = _refused(case, level, name, case.refused_groups[name])
    return [by_key[name] for name in sorted(by_key)]


def _refused(case: PlanCase, level: Level, key: str, reason: str) -> RunOut:
    return refusal(level, key, case.demand.start, case.demand.horizon, reason)


# Orders and states
# ----------------------------------------------------------------------------------------------------------------------


def _rows(case: PlanCase, answers: Sequence[RunOut]) -> pd.DataFrame:
    leads = {level: case.lead_days(level) for level in LEVELS}
    loads, sites = _loads_now(case), _single_sites(case)
    added, weeks_over = _added(case, leads["site"]), _weeks_over(case, leads)
    rows = []
    for run_out in answers:
        place = run_out.level, run_out.key
        lead = leads[run_out.level].get(run_out.key)
        row = _row(case, run_out, lead, loads.get(place), sites.get(place, ""))
        row["weeks_over"] = weeks_over.get(place, np.nan)
        if row["order_by"] is not None:
            row["add_gbps"] = added.get(place, np.nan)
        rows.append(row)
    return pd.DataFrame(rows, columns=PLAN_COLUMNS)


def _single_sites(case: PlanCase) -> dict[tuple[Level, str], str]:
    """The site that a series is: of a site itself, and of a group in which no other has futures."""
    site_of: dict[tuple[Level, str], str] = {}
    for level in LEVELS:
        groups = pd.Series(case.groups(level), dtype=object)
        members = groups if level == "site" else groups[groups.index.isin(case.demand.keys)]
        single = members[~members.duplicated(keep=False)]
        site_of |= {(level, str(name)): str(site) for site, name in single.items()}
    return site_of


def _row(case: PlanCase, run_out: RunOut, lead_days: float | None, load: Load | None, site: str) -> dict[str, object]:
    """load: what is carried now, where it is known; site: the site that the series is, if it is one."""
    ordering, today = case.ordering, case.moment.floor("D")
    days = USUAL_LEAD_DAYS if lead_days is None else lead_days
    lead = ordering.lead(days)
    last = order_by(run_out, days, ordering)
    order: Order = (
        "unknown" if run_out.answer == "refused" else "none" if last is None else "overdue" if last < today else "due"
    )
    used = None if load is None else load.used
    over = run_out.answer == "over" or (used is not None and used > 1.0)
    state, why = state_of(case, run_out, last, lead, over=over, used=used, site=site)
    return {
        "level": run_out.level,
        "key": run_out.key,
        "direction": case.direction,
        "state": state,
        "order": order,
        "order_by": last,
        "days_left": None if last is None else (last - today) // DAY,
        "lead_days": days,
        "padded_days": ordering.padded(days),
        "run_out_p10": run_out.p10,
        "run_out_p50": run_out.p50,
        "run_out_p90": run_out.p90,
        "horizon": run_out.horizon,
        "probability": run_out.probability_by(run_out.horizon),
        "over_share": (1.0 if used is None else max(used, 1.0)) if over else np.nan,
        "answer": run_out.answer,
        "reason": run_out.reason or _without(case, run_out),
        "state_reason": why,
        "grade": grade_of(run_out, last, today, lead, over=over),
        "peak_gbps": np.nan if load is None else load.peak_gbps,
        "capacity_gbps": np.nan if load is None else load.capacity_gbps,
        "limit_gbps": np.nan if load is None else load.limit_gbps,
        "short_gbps": np.nan if load is None else max(load.peak_gbps - load.limit_gbps, 0.0),
        "in_service_by": None if last is None else last + lead,
        "in_service_today": today + lead,
    }


def _without(case: PlanCase, run_out: RunOut) -> str:
    """What a site's answer is made without, by its run; the sites that a group is answered without, why, and their share
    of its traffic.
    """
    if run_out.level == "site":
        return case.notes.get(run_out.key, "")
    groups = case.groups(run_out.level)
    members = [site for site, group in groups.items() if group == run_out.key]
    missing = {site: case.refused[site] for site in members if site in case.refused}
    return without_sites(missing, {site: case.usual.get(site, 0.0) for site in members}, run_out.key)


class Load(NamedTuple):
    """What a place carries now against its capacity and what the policy lets it carry, Gbps."""

    peak_gbps: float
    capacity_gbps: float
    limit_gbps: float

    @property
    def used(self) -> float | None:
        """Peak over limit; None where nothing is carried."""
        if self.peak_gbps <= 0.0:
            return None
        return self.peak_gbps / self.limit_gbps if self.limit_gbps > 0.0 else np.inf


def _loads_now(case: PlanCase) -> dict[tuple[Level, str], Load]:
    """By level and key, where capacity is declared: what the last whole week carried, or the first week planned in the
    median of its futures, whichever is higher, against the capacity of the first week planned.
    """
    first = case.demand.until(1)
    keys = tuple(
        dict.fromkeys((*first.keys, *(site for site in case.refused if site in case.measured.get("site", {}))))
    )
    capacity = weekly_capacity(
        case.steps, keys, case.direction, first.weeks, planned=case.policy.planned, now=case.moment
    )[:, 0]
    capacity_of = dict(zip(keys, capacity, strict=True))
    limit_of = dict(zip(keys, case.policy.shares(keys) * capacity, strict=True))
    loads: dict[tuple[Level, str], Load] = {}
    for level in LEVELS:
        groups = {
            site: name for site, name in case.groups(level).items() if site in (keys if level == "site" else first.keys)
        }
        demand = first if level == "site" else first.summed(groups, _first_week(case.diversity))
        carried = dict(zip(demand.keys, np.median(demand.gbps[:, 0], axis=1), strict=True))
        measured = case.measured.get(level, {})
        for name in sorted(set(groups.values())):
            members = [site for site, group in groups.items() if group == name]
            gbps = float(np.sum([capacity_of[site] for site in members]))
            is_closed = gbps == 0.0 and level == "site" and name in case.refused
            if not np.isnan(gbps) and not is_closed:
                peak = max(carried.get(name, 0.0), measured.get(name, 0.0))
                loads[level, name] = Load(peak, gbps, float(np.sum([limit_of[site] for site in members])))
    return loads


def _added(case: PlanCase, lead_days: Mapping[str, float]) -> dict[tuple[Level, str], float]:
    """By level and key, Plan's add_gbps: of each site the whole ports for the month that asks for most of the ADD_MONTHS, of
    those that begin once an order of today is in service (the last one, where the order takes longer); of a group the sum.

    As an augment plan has it: a month asks for a quantile of its highest week, and has what is in service as it begins.
    """
    demand = case.demand
    if not demand.keys:
        return {}
    position, names = pd.factorize(demand.weeks.strftime("%Y-%m"))
    months = range(min(ADD_MONTHS, len(names)))
    begins = demand.weeks[[int(np.argmax(position == month)) for month in months]]
    leads = [case.ordering.lead(lead_days.get(key, USUAL_LEAD_DAYS)) for key in demand.keys]
    ready = [min(case.moment.floor("D") + lead, begins[-1]) for lead in leads]
    is_served = np.array([begins >= day for day in ready])
    shares, capacity = case.policy.shares(demand.keys), case.capacity(demand)
    # A closed site is not served by more capacity.
    is_open = (np.nan_to_num(capacity) > 0.0)[:, :, None]
    excess = np.where(is_open, demand.gbps - (shares[:, None] * capacity)[:, :, None], 0.0)
    highest = np.stack([excess[:, position == month].max(axis=1) for month in months], axis=1)
    short = np.where(is_served, np.quantile(highest, ADD_QUANTILE, axis=2), 0.0).max(axis=1)
    by_site = {
        key: whole_ports(max(gbps, 0.0) / share)
        for key, gbps, share, row in zip(demand.keys, short, shares, capacity, strict=True)
        if not np.isnan(row).all()
    }
    added: dict[tuple[Level, str], float] = {}
    for level in LEVELS:
        for site, name in case.groups(level).items():
            if site in by_site:
                added[level, name] = added.get((level, name), 0.0) + by_site[site]
    return added


def _weeks_over(case: PlanCase, leads: Mapping[Level, Mapping[str, float]]) -> dict[tuple[Level, str], float]:
    """By level and key, Plan's weeks_over, where capacity is declared."""
    demand = case.demand
    limits = case.policy.shares(demand.keys)[:, None] * case.capacity(demand)
    weeks: dict[tuple[Level, str], float] = {}
    for level in LEVELS:
        groups = {site: name for site, name in case.groups(level).items() if site in demand.keys}
        summed = demand if level == "site" else demand.summed(groups, case.diversity)
        members = [[groups.get(site) == name for site in demand.keys] for name in summed.keys]
        limit = np.array([limits[mask].sum(axis=0) for mask in members]).reshape(len(summed.keys), len(demand.weeks))
        over = np.asarray((summed.gbps > limit[:, :, None]).mean(axis=2))
        for name, row, share in zip(summed.keys, limit, over, strict=True):
            lead = case.ordering.lead(leads[level].get(name, USUAL_LEAD_DAYS))
            if not np.isnan(row).any():
                weeks[level, name] = float(share[demand.weeks < case.moment.floor("D") + lead].sum())
    return weeks


def _first_week(diversity: Diversity) -> Diversity:
    """The diversity of the first week alone."""
    return {name: factor[:1] if isinstance(factor, np.ndarray) else factor for name, factor in diversity.items()}


# Beside the rows
# ----------------------------------------------------------------------------------------------------------------------


def details(case: PlanCase, plan: Plan) -> pd.DataFrame:
    """For each row of the plan of one case: within_90 (share of futures that run out within 90 days) and odds (list: those
    that have run out, every four weeks to the horizon; None where refused).
    """
    demand = case.demand
    stamps = pd.date_range(demand.start, demand.horizon, freq=CURVE_STEP)
    rows = plan.rows
    run_outs = [
        plan.run_outs[case.direction, level, key] for level, key in zip(rows["level"], rows["key"], strict=True)
    ]
    return pd.DataFrame(
        {
            "within_90": [run_out.probability_by(case.moment + RUN_OUT_SOON) for run_out in run_outs],
            "odds": [
                run_out.probabilities(stamps).tolist() if run_out.answer != "refused" else None for run_out in run_outs
            ],
        },
        index=rows.index,
    )


def changed_rows(before: pd.DataFrame, after: pd.DataFrame) -> pd.Series:
    """Which rows of a plan another case changes (bool, by the index of `after`): grade, a run-out date, or Gbps to add; a
    row that is new counts.
    """
    names, told = ["level", "key", "direction"], ["grade", *DATES, "add_gbps"]
    earlier = before.set_index(names)[told].reindex(pd.MultiIndex.from_frame(after[names])).reset_index(drop=True)
    later = after[told].reset_index(drop=True)
    same = (earlier == later) | (earlier.isna() & later.isna())
    return pd.Series(~same.all(axis=1).to_numpy(), index=after.index)


class PlanSummary(NamedTuple):
    """What some rows of a plan come to: how many are of each grade, the first late and the first due row by their dates
    (None where there is none), the range of weeks that the over ones stay over when ordered today, and Gbps.

    short_gbps: above the limit now; add_gbps: to order of all that run out.
    """

    sites: int
    grades: Mapping[Grade, int]
    first_late: pd.Series | None
    first_due: pd.Series | None
    weeks_over: tuple[float, float] | None
    short_gbps: float
    add_gbps: float


def summarise(rows: pd.DataFrame) -> PlanSummary:
    """The summary of rows of one level of a plan."""
    grades = rows["grade"].value_counts()
    late = rows[rows["grade"] == "late"].sort_values("run_out_p50", kind="stable")
    due = rows[rows["grade"].isin(("due", "later"))].sort_values("order_by", kind="stable")
    weeks = rows.loc[rows["grade"] == "over", "weeks_over"]
    return PlanSummary(
        len(rows),
        {grade: int(grades.get(grade, 0)) for grade in GRADES},
        late.iloc[0] if len(late) else None,
        due.iloc[0] if len(due) else None,
        (float(weeks.min()), float(weeks.max())) if len(weeks) else None,
        float(rows["short_gbps"].sum()),
        float(rows["add_gbps"].sum()),
    )


def peak_quantiles(case: PlanCase) -> pd.DataFrame:
    """level, key, direction, week and PEAK_SHARES of all futures of a case as the run published them, Gbps."""
    frames = []
    for level, demand in {"site": case.demand, **case.published}.items():
        keys = np.repeat(np.array(demand.keys, dtype=object), len(demand.weeks))
        quantiles = {
            name: demand.quantile(q).ravel() if demand.keys else np.empty(0) for name, q in PEAK_SHARES.items()
        }
        weeks = pd.DatetimeIndex(np.tile(demand.weeks, len(demand.keys)))
        rows = {"level": level, "key": keys, "direction": case.direction, "week": weeks, **quantiles}
        frames.append(pd.DataFrame(rows))
    return pd.concat(frames, ignore_index=True)


class PlanToSave(NamedTuple):
    """The frames that data.store.Plans.save takes: the plan's rows, weekly quantiles to score them by, and purchases."""

    rows: pd.DataFrame
    peaks: pd.DataFrame
    purchases: pd.DataFrame


def plan_to_save(cases: Iterable[PlanCase], plan: Plan, augments: Mapping[Direction, AugmentPlan]) -> PlanToSave:
    """What is kept of a plan, and of the augment plans made with it."""
    identity = ["level", "key", "direction"]
    rows = plan.rows[[*identity, "answer", "reason", *DATES, "order_by"]]
    rows = rows.merge(added_by_site(augments).assign(level="site"), how="left", on=identity)
    peaks = pd.concat([peak_quantiles(case) for case in cases], ignore_index=True)
    purchases = all_purchases(augments).drop(columns="risk_per_kusd")
    return PlanToSave(rows.replace({"reason": {"": None}}), peaks, purchases)


class Fan(NamedTuple):
    """Expected demand of one place against its usable capacity.

    run_out: its answer. weeks: ts (the end of the week), PEAK_QUANTILES of the demand and room_gbps (limit x capacity; NaN
    where it is not known), and probability (of having run out by then). steps: its capacity as steps in time.
    """

    run_out: RunOut
    weeks: pd.DataFrame
    steps: pd.DataFrame


def fan(case: PlanCase, plan: Plan, level: Level, key: str) -> Fan | None:
    """The fan of one place of the plan of a case; None where no future of it is known."""
    run_out = plan.run_outs.get((case.direction, level, key))
    groups = case.groups(level)
    sites = [site for site in case.demand.keys if groups.get(site) == key]
    if run_out is None or not sites:
        return None
    members = case.demand.only(sites)
    demand = members if level == "site" else members.summed(groups, case.diversity)
    ends = pd.DatetimeIndex(demand.weeks + WEEK)
    room = usable_capacity(case.steps, members, case.policy, case.now)
    # A group that is refused has parts without a forecast or capacity: the limit of the rest is not its limit.
    is_unknown = np.isnan(room).all(axis=0) | (run_out.answer == "refused")
    quantiles = {name: demand.quantile(q)[0] for name, q in PEAK_QUANTILES.items()}
    weeks = pd.DataFrame(
        {
            "ts": ends,
            **quantiles,
            "room_gbps": np.where(is_unknown, np.nan, np.nansum(room, axis=0)),
            "probability": run_out.probabilities(ends),
        }
    )
    return Fan(run_out, weeks, capacity_of_sites(case, sites))


def capacity_of_sites(case: PlanCase, sites: Sequence[str]) -> pd.DataFrame:
    """effective_from, capacity_gbps, status: what counts of the declared capacity of some sites together, as steps in
    time; planned where any part then in force is.
    """
    mine = case.steps["site_id"].isin(sites) & (case.steps["direction"] == case.direction)
    counted = mine & counts(case.steps, case.moment, planned=case.policy.planned)
    steps = case.steps.assign(planned=is_planned(case.steps).astype(float))[counted]
    steps = steps.drop_duplicates(["site_id", "effective_from"], keep="last")
    gbps, planned = (
        steps.pivot_table(index="effective_from", columns="site_id", values=name).sort_index().ffill()
        for name in ("capacity_gbps", "planned")
    )
    return pd.DataFrame(
        {
            "effective_from": pd.DatetimeIndex(gbps.index),
            "capacity_gbps": gbps.sum(axis=1).to_numpy(float),
            "status": np.where(planned.max(axis=1) > 0, "planned", "installed"),
        }
    )


# Sites as they are measured, with what a plan says of them
# ----------------------------------------------------------------------------------------------------------------------

CAPACITIES = ["egress_capacity_gbps", "ingest_capacity_gbps"]
JOINED = [
    "direction",
    "order",
    "order_by",
    "lead_days",
    *DATES,
    "horizon",
    "over_share",
    "answer",
    "grade",
    "short_gbps",
    "add_gbps",
    "in_service_today",
    "weeks_over",
]


def with_plan(sites: pd.DataFrame, plan: pd.DataFrame | None) -> pd.DataFrame:
    """Sites as they are measured (rows of data.queries.sites_now) with the most
    urgent row that a plan has of each, of both directions, most urgent first.

    state and reason become the plan's where it has the site. JOINED are of that row, null without one; refusal is why
    the site cannot be planned, null where it can; runout is over, within, beyond, no capacity or no forecast. Where no
    plan has a site, it is over its limit where it is measured to be, and unknown where it declares no capacity.
    """
    rows = pd.DataFrame(columns=PLAN_COLUMNS) if plan is None else plan[plan["level"] == "site"]
    first = by_urgency(rows).drop_duplicates("key").set_index("key")
    joined = sites.drop(columns=[*JOINED, "refusal", "runout"], errors="ignore")
    mine = first.reindex(joined["site_id"]).set_index(joined.index)
    is_planned = mine["state"].notna()
    peaks = joined[["utilisation", "peak_7d_utilisation"]].astype(float).max(axis=1) / UTILISATION_LIMIT
    measured = peaks.where(peaks.gt(1.0) & joined["state"].eq("act") & ~is_planned)
    kinds = {"over": "over", "within": "within", "possible": "within", "beyond": "beyond"}
    bare = mine["reason"].eq(NO_CAPACITY) | (~is_planned & joined[CAPACITIES].isna().all(axis=1))
    runout = mine["answer"].map(kinds).where(mine["answer"].ne("refused")).mask(measured.notna(), "over")
    joined = joined.assign(
        state=mine["state"].where(is_planned, joined["state"]),
        reason=mine["state_reason"].where(is_planned, joined["reason"]),
        **{name: mine[name] for name in JOINED},
        refusal=mine["reason"].where(mine["answer"].eq("refused")),
        runout=runout.fillna(bare.map({True: "no capacity", False: "no forecast"})),
    )
    is_bare = bare & ~is_planned & joined["state"].eq("ok")
    joined["state"] = joined["state"].mask(is_bare, "unknown")
    joined["reason"] = joined["reason"].mask(is_bare, f"When it runs out is not known: {NO_CAPACITY}.")
    joined["over_share"] = mine["over_share"].astype(float).fillna(measured)
    joined = joined.astype(dict.fromkeys(("order_by", *DATES, "horizon", "in_service_today"), "datetime64[us, UTC]"))
    return by_urgency(joined.assign(key=joined["site_id"])).drop(columns="key")
