"""What-ifs: changes to a plan case that add up and travel as a short text in a URL, and scenarios: what a changed case
comes to (plan, N-1 safety, cost), several of them side by side.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Protocol, cast

import numpy as np
import pandas as pd

from data.schema import GLOBAL_KEY, Direction
from data.schema.errors import SettingError
from forecasting.planning.augment_programme import AugmentOptions, build_problem
from forecasting.planning.augments import (
    AugmentPlan,
    CapacityAddition,
    added_cost_usd,
    parse_addition,
    plan_augments,
    stamp,
    with_additions,
)
from forecasting.planning.capacity import Policy
from forecasting.planning.demand import WEEK, Demand, Reals
from forecasting.planning.failover import ROUND_TRIP_MS, DeclaredFailover, Failover, failover_of, nearby
from forecasting.planning.failures import single_failures_of
from forecasting.planning.plan import DATES, Plan, solve
from forecasting.planning.plan_case import PlanCase
from forecasting.planning.runout import RunOut

YEAR_WEEKS = 365.25 / 7.0
# The P95 of a week is what its busiest 5 %, 8.4 of 168 hours, stay above.
P95_HOURS = 0.05 * 168.0
MAX_EVENT_DAYS = 1000.0
# A scope that is a city, before its name.
CITY = "city:"


class Change(Protocol):
    """One change to a case."""

    def apply(self, case: PlanCase) -> PlanCase: ...


@dataclass(frozen=True, slots=True)
class Growth:
    """Demand grows by `percent` a year more (or less, where negative) than forecast, from the first week on; scope:
    "all", a region_id, a site_id, or "city:" and the name of a city.

    It bears on one direction where `direction` says so.
    """

    percent: float
    scope: str = GLOBAL_KEY
    direction: Direction | None = None

    def apply(self, case: PlanCase) -> PlanCase:
        if self.direction not in (None, case.demand.direction):
            return case
        if self.percent <= -100.0:
            raise SettingError(
                f"Growth of {self.percent:g} % a year leaves less than nothing.", remedy="give more than -100 %"
            )
        # A week's value is reached at its end, as run-out has it.
        years = np.arange(1, len(case.demand.weeks) + 1) / YEAR_WEEKS
        factor = np.where(_inside(case, self.scope)[:, None], (1.0 + self.percent / 100.0) ** years[None, :], 1.0)
        return replace(case, demand=case.demand.scaled(factor[:, :, None]))


@dataclass(frozen=True, slots=True)
class Event:
    """A new event of `hours` from `start`, repeated on each of `days` days: `gbps` on top of its busiest hour, shared by
    the sites of its scope as they share demand, and `percent` more of each site's own demand; scope as in Growth.

    It adds in full to a week's peak, as if it fell into the busy hour. A P95 leaves out the busiest 8.4 hours of a
    week: a shorter event adds in proportion.
    """

    gbps: float
    start: str
    hours: float
    scope: str = GLOBAL_KEY
    percent: float = 0.0
    days: float = 1.0

    def apply(self, case: PlanCase) -> PlanCase:
        if not (self.gbps >= 0.0 and self.hours > 0.0 and self.percent > -100.0 and self.days >= 1.0):
            raise SettingError(
                f"An event of {self.gbps:g} Gbps, {self.percent:g} % and {self.hours:g} hours on {self.days:g} days is none.",
                remedy="give at least 0 Gbps, more than -100 %, more than 0 hours and at least 1 day",
            )
        if self.days > MAX_EVENT_DAYS:
            raise SettingError(f"An event of {self.days:g} days is out of reach.", remedy="give at most 1,000 days")
        weeks, demand = case.demand.weeks, case.demand
        touched = np.zeros(len(weeks))
        for begin in pd.date_range(stamp(self.start), periods=int(self.days), freq="D"):
            end = begin + pd.Timedelta(hours=self.hours)
            within = (np.minimum(weeks + WEEK, end) - np.maximum(weeks, begin)) / pd.Timedelta(hours=1)
            touched += np.clip(np.asarray(within, dtype=float), 0.0, None)
        part = (touched > 0.0).astype(float) if demand.statistic == "peak" else np.minimum(touched / P95_HOURS, 1.0)
        inside = np.where(_inside(case, self.scope)[:, None, None], demand.gbps, 0.0)
        total = inside.sum(axis=0, keepdims=True)
        share = np.divide(inside, total, out=np.zeros_like(inside), where=total > 0.0)
        added = self.gbps * share + self.percent / 100.0 * inside
        return replace(case, demand=demand.plus(part[None, :, None] * added))


@dataclass(frozen=True, slots=True)
class Bitrate:
    """Each viewer is sent `factor` times as much (a codec that saves 30 %: 0.7) from `start` on, by degrees over
    `weeks`; scope as in Growth.

    Egress is viewers x bitrate, and the viewers stay, so egress goes with the factor; ingest is left alone.
    """

    factor: float
    start: str
    scope: str = GLOBAL_KEY
    weeks: float = 0.0

    def apply(self, case: PlanCase) -> PlanCase:
        if case.demand.direction != "egress":
            return case
        if not (self.factor > 0.0 and self.weeks >= 0.0):
            raise SettingError(
                f"A bitrate of {self.factor:g} times as much within {self.weeks:g} weeks is not usable.",
                remedy="give a factor above 0",
            )
        since = np.asarray((case.demand.weeks + WEEK - stamp(self.start)) / WEEK, dtype=float)
        done = np.clip(since / self.weeks, 0.0, 1.0) if self.weeks > 0.0 else (since > 0.0).astype(float)
        factor = np.where(_inside(case, self.scope)[:, None], 1.0 + (self.factor - 1.0) * done[None, :], 1.0)
        return replace(case, demand=case.demand.scaled(factor[:, :, None]))


@dataclass(frozen=True, slots=True)
class SiteAdded:
    """A new site of `gbps` from `start` on, which takes over `share` of the demand of the sites that it relieves."""

    site_id: str
    region_id: str
    lat: float
    lon: float
    gbps: float
    start: str
    relieves: tuple[str, ...] = ()
    share: float = 0.3

    def apply(self, case: PlanCase) -> PlanCase:
        if self.site_id in case.demand.keys or not 0.0 <= self.share <= 1.0 or self.gbps < 0.0:
            raise SettingError(
                f"{self.site_id} with {self.gbps:g} Gbps and {self.share:g} of its neighbours' demand cannot be added.",
                cause="the name is taken, or a share beyond 1",
                remedy="choose a new name, at least 0 Gbps, a share of 0 to 1",
            )
        demand, start = case.demand, stamp(self.start)
        gbps, taken = demand.gbps.copy(), np.zeros((1, *demand.gbps.shape[1:]))
        open_ = np.asarray(demand.weeks >= start)
        for position in demand.positions(self.relieves):
            taken[0, open_] += self.share * gbps[position, open_]
            gbps[position, open_] *= 1.0 - self.share
        row = {
            "site_id": self.site_id,
            "name": self.site_id,
            "region_id": self.region_id,
            "lat": self.lat,
            "lon": self.lon,
        }
        added = replace(
            case,
            demand=Demand(
                (*demand.keys, self.site_id),
                demand.direction,
                demand.statistic,
                demand.weeks,
                np.concatenate([gbps, taken]),
            ),
            sites=pd.concat([case.sites, pd.DataFrame([row])], ignore_index=True),
            steps=_with_step(
                case.steps,
                self.site_id,
                demand.direction,
                start,
                self.gbps,
                "planned" if case.policy.planned and start > case.moment else "installed",
            ),
        )
        return replace(added, failover=_grown(case.failover, added.sites, self.site_id))


@dataclass(frozen=True, slots=True)
class SiteClosed:
    """A site closes on a day: its demand goes to the others by failover weights, whether or not they have room, and its
    capacity is gone.
    """

    site_id: str
    start: str

    def apply(self, case: PlanCase) -> PlanCase:
        demand, start = case.demand, stamp(self.start)
        position = demand.positions([self.site_id])[0]
        shut = np.asarray(demand.weeks + WEEK > start)
        capacity = np.nan_to_num(case.capacity(demand)[:, shut])
        weights = case.failover.weights(position, np.arange(len(demand.keys)), np.maximum(capacity, 0.0))
        if not (weights.sum(axis=0) > 0.0).all():
            raise SettingError(
                f"{self.site_id} cannot close: no site within reach takes over.",
                remedy="add a site first, or declare who takes over",
            )
        gbps = demand.gbps.copy()
        gbps[:, shut] += (weights / weights.sum(axis=0))[:, :, None] * gbps[position, shut]
        gbps[position, shut] = 0.0
        steps_before = case.steps[(case.steps["site_id"] != self.site_id) | (case.steps["effective_from"] < start)]
        return replace(
            case,
            demand=demand.with_gbps(gbps),
            steps=_with_step(steps_before, self.site_id, demand.direction, start, 0.0, "installed"),
        )


@dataclass(frozen=True, slots=True)
class CapacityAdded:
    """Sites get more capacity in one direction, each from its day on; it counts whether or not planned augments do.

    A closure that is declared, or was applied before, closes the site all the same.
    """

    adds: tuple[CapacityAddition, ...]
    direction: Direction

    def apply(self, case: PlanCase) -> PlanCase:
        if self.direction != case.demand.direction:
            return case
        steps = with_additions(case.steps, self.adds, self.direction, case.moment, planned=case.policy.planned)
        return replace(case, steps=steps, added=(*case.added, *self.adds))


@dataclass(frozen=True, slots=True)
class AugmentMoved:
    """The planned augments of a site come `days` later (earlier, where negative)."""

    site_id: str
    days: float

    def apply(self, case: PlanCase) -> PlanCase:
        steps = case.steps
        moved = (
            (steps["site_id"] == self.site_id)
            & (steps["status"] == "planned")
            & (steps["direction"] == case.demand.direction)
        )
        if not moved.any():
            raise SettingError(
                f"{self.site_id} has no planned augment to move.",
                remedy="choose a site with a planned step in the table of capacity",
            )
        later = steps["effective_from"] + pd.Timedelta(days=self.days)
        # One that is brought forward to before now is there; one that is late already stays late.
        is_there = moved & (steps["effective_from"] > case.moment) & (later <= case.moment)
        return replace(
            case,
            steps=steps.assign(
                effective_from=steps["effective_from"].where(~moved, later),
                status=steps["status"].mask(is_there, "installed"),
            ),
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """Another limit, of one site or, where none is named, of all that have none of their own."""

    limit: float
    site_id: str | None = None

    def apply(self, case: PlanCase) -> PlanCase:
        policy: Policy = case.policy
        if self.site_id is None:
            return replace(case, policy=replace(policy, limit=self.limit))
        case.demand.positions([self.site_id])
        return replace(case, policy=replace(policy, limits={**policy.limits, self.site_id: self.limit}))


KINDS: dict[str, type[Any]] = {
    "growth": Growth,
    "event": Event,
    "bitrate": Bitrate,
    "add_site": SiteAdded,
    "close_site": SiteClosed,
    "add_capacity": CapacityAdded,
    "move_augment": AugmentMoved,
    "limit": Limit,
}


def applied(case: PlanCase, changes: Sequence[Change]) -> PlanCase:
    """The case after the changes, one after another. SettingError for one that cannot be applied."""
    for change in changes:
        try:
            case = change.apply(case)
        except (OverflowError, pd.errors.OutOfBoundsDatetime, pd.errors.OutOfBoundsTimedelta) as error:
            raise SettingError(
                f"{change!r} is out of reach ({error}).", remedy="give days, weeks and hours of this century"
            ) from error
    return case


def to_dicts(changes: Sequence[Any]) -> list[dict[str, object]]:
    """The changes as plain values: the kind and every value, defaults included, so that what is kept never changes its
    meaning when a default does.
    """
    names = {kind: name for name, kind in KINDS.items()}
    plain = ({name: _plain(value) for name, value in asdict(change).items()} for change in changes)
    return [{"kind": names[type(change)], **values} for change, values in zip(changes, plain, strict=True)]


def _plain(value: object) -> object:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def to_body(changes: Sequence[Change], policy: Policy) -> dict[str, object]:
    """Changes and policy as a named scenario keeps them."""
    return {"changes": to_dicts(changes), "policy": policy.as_dict()}


def from_body(body: Mapping[str, Any]) -> tuple[list[Change], Policy]:
    """Changes and policy of a named scenario; what its policy leaves out is as usual. SettingError where it holds what
    no policy has.
    """
    policy_values = body.get("policy", {})
    usual = Policy()
    if unknown := set(policy_values) - {field.name for field in fields(usual)}:
        raise SettingError(
            f"The policy holds {', '.join(sorted(map(str, unknown)))}.",
            cause="a newer version",
            remedy="save the scenario anew",
        )
    try:
        limits = {str(key): float(share) for key, share in policy_values.get("limits", {}).items()}
        policy = Policy(
            policy_values.get("statistic", usual.statistic),
            float(policy_values.get("limit", usual.limit)),
            limits,
            bool(policy_values.get("planned", usual.planned)),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise SettingError(
            f"The policy {policy_values!r} cannot be read ({error}).", remedy="give limits as numbers"
        ) from error
    return from_dicts(body.get("changes", [])), policy


def to_text(changes: Sequence[Change]) -> str:
    """The changes as compact JSON, for a URL."""
    return json.dumps(to_dicts(changes), separators=(",", ":"))


def from_text(text: str) -> list[Change]:
    """The changes of a text; SettingError where it is not one."""
    try:
        changes = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(
            f"The scenario {text[:80]!r} is not JSON ({error}).",
            cause="a link that was cut",
            remedy="copy the whole link",
        ) from error
    if not isinstance(changes, list):
        raise SettingError(
            f"The scenario {text[:80]!r} is not a list of changes.",
            cause="a link that was cut",
            remedy="copy the whole link",
        )
    return from_dicts(changes)


def from_dicts(changes: Sequence[object]) -> list[Change]:
    """The changes of plain values; SettingError for one that is none."""
    return [_change(change) for change in changes]


def _change(values_given: object) -> Change:
    """One change from its object, every value of the type that its field has."""
    kind = KINDS.get(str(values_given.get("kind"))) if isinstance(values_given, dict) else None
    values = (
        {name: value for name, value in values_given.items() if name != "kind"}
        if isinstance(values_given, dict)
        else {}
    )
    if kind is None or set(values) - {field.name for field in fields(kind)}:
        raise SettingError(
            f"{values_given!r} is not a change.", remedy=f"give a kind among {', '.join(KINDS)} and its values"
        )
    try:
        change: Change = kind(**{name: _value(kind, name, value) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"{values_given!r} is not a change ({error}).",
            remedy="give every value that this kind of change has, numbers as numbers",
        ) from error
    return change


def _value(kind: type[Any], name: str, value: object) -> object:
    """A value as its field has it."""
    wanted = next(str(field.type) for field in fields(kind) if field.name == name)
    if wanted == "float":
        number = float(str(value))
        if not np.isfinite(number):
            raise ValueError(f"{name} is not finite")
        return number
    if wanted.startswith("tuple"):
        return tuple(map(parse_addition if "Addition" in wanted else str, cast("Sequence[object]", value)))
    if wanted.startswith("Direction") and value not in ("ingest", "egress", *((None,) if "None" in wanted else ())):
        raise ValueError(f"{name} is neither ingest nor egress")
    return None if value is None and "None" in wanted else str(value)


def _inside(case: PlanCase, scope: str) -> Reals:
    """Which keys a scope covers, (keys,); SettingError where it is none of the network."""
    regions, cities = case.regions, {}
    if scope.startswith(CITY) and "city" in case.sites:
        cities = {str(site): f"{CITY}{city}" for site, city in case.sites[["site_id", "city"]].to_numpy()}
    mask = np.array([scope in (GLOBAL_KEY, key, regions.get(key), cities.get(key)) for key in case.demand.keys])
    if not mask.any():
        raise SettingError(
            f"{scope} is neither a region, a city nor a site with a forecast.",
            remedy=f"give {GLOBAL_KEY}, a region_id, a site_id, or {CITY} and the name of a city",
        )
    return mask


def _with_step(
    steps: pd.DataFrame,
    site: str,
    direction: Direction,
    start: pd.Timestamp,
    gbps: float,
    status: Literal["installed", "planned"],
) -> pd.DataFrame:
    row = pd.DataFrame(
        [{"site_id": site, "direction": direction, "effective_from": start, "capacity_gbps": gbps, "status": status}]
    )
    return pd.concat([steps, row.astype({"effective_from": steps["effective_from"].dtype})], ignore_index=True)


def _grown(failover: Failover, sites: pd.DataFrame, site: str) -> Failover:
    """The failover with a new last site, which helps and is helped within the reach that holds; the others keep their
    weights.
    """
    keys = (*failover.keys, site)
    # A declared table may set no bound; a newcomer, who is not in it, keeps the usual one.
    pull = nearby(
        sites, keys, failover.round_trip_ms if np.isfinite(failover.round_trip_ms) else ROUND_TRIP_MS
    ).pull.copy()
    if not failover.by_headroom:
        # Among declared weights a newcomer counts as much as the mean of those that are declared.
        usual = failover.pull[failover.pull > 0.0].mean() if (failover.pull > 0.0).any() else 1.0
        pull = np.where(pull > 0.0, usual, 0.0)
    pull[:-1, :-1] = failover.pull
    return replace(failover, keys=keys, pull=pull)


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioResult:
    """Results of a scenario (plan, N-1 safety, cost), small enough to keep many.

    safe_until: when the network stops being N-1 safe. cost_usd: what the cheapest single kind of step at each site
    costs within the months of the options, and what a what-if adds; NaN without a catalogue.
    """

    plan: Plan
    safe_until: RunOut
    cost_usd: float

    def run_outs(self) -> dict[tuple[str, str], RunOut]:
        """Every run-out by (level, key), and that of N-1 as ("n-1", "all")."""
        by_key: dict[tuple[str, str], RunOut] = {
            (level, key): run_out for (_, level, key), run_out in self.plan.run_outs.items()
        }
        return {**by_key, ("n-1", GLOBAL_KEY): self.safe_until}


def evaluate_scenario(case: PlanCase, request: AugmentOptions | None = None) -> ScenarioResult:
    """The plan of a case, its N-1 safety and its cost."""
    safe_until = single_failures_of(case, loads=False).safe_until()
    return ScenarioResult(solve(case), safe_until, single_step_cost(case, request or AugmentOptions()))


def augment_plans(
    cases: Mapping[Direction, PlanCase],
    catalogue: pd.DataFrame | None,
    options: AugmentOptions,
    failover: DeclaredFailover | None = None,
) -> dict[Direction, AugmentPlan]:
    """The cheapest purchases by direction, where the catalogue offers steps and the futures of sites with capacity are
    known.

    catalogue: as in augment_programme.build_problem, with the direction of each step; None where nothing is on offer.
    failover: the table of N-1, as in failover_of.
    """
    plans: dict[Direction, AugmentPlan] = {}
    for direction, case in cases.items():
        steps = pd.DataFrame() if catalogue is None else catalogue[catalogue["direction"] == direction]
        declared = set(case.steps.loc[case.steps["direction"] == direction, "site_id"])
        if len(steps) and declared.intersection(case.demand.keys):
            helpers = failover_of(failover, case.sites, case.demand.keys) if options.n_minus_1 else None
            plans[direction] = plan_augments(
                case.demand, case.steps, steps, helpers, replace(options, today=case.moment)
            )
    return plans


def single_step_cost(case: PlanCase, request: AugmentOptions) -> float:
    """USD to keep the limits, buying at each site the one kind of step that comes cheapest there, as soon as it can be
    there: an upper bound on a plan's cost. What a what-if has added is paid for as well.

    It leaves out what only mixing steps, a budget or N-1 would change: augments.plan_augments answers those, in seconds
    rather than at once.
    """
    if case.catalogue is None:
        return float("nan")
    months = min(request.months, len(case.demand.weeks.strftime("%Y-%m").unique()))
    options = replace(
        request,
        policy=case.policy,
        ordering=case.ordering,
        months=months,
        n_minus_1=False,
        budget_usd=None,
        today=request.today or case.now,
        ceiling=max(case.ceiling, request.ceiling),
    )
    problem = build_problem(case.demand, case.steps, case.catalogue, None, options)
    short = np.where(problem.in_service, problem.need - problem.limits[:, None] * problem.capacity, 0.0)[problem.site]
    served = np.arange(len(problem.months))[None, :] >= problem.first[:, None]
    wanted = np.ceil(np.maximum(short, 0.0) / (problem.limits[problem.site] * problem.gbps)[:, None] - 1e-9)
    units = np.maximum.accumulate(np.where(served, np.minimum(wanted, problem.most[:, None]), 0.0), axis=1)
    costs = pd.Series(units[:, -1] * problem.usd_once + units.sum(axis=1) * problem.usd_month)
    left = pd.Series(
        (np.maximum(short, 0.0) - (problem.limits[problem.site] * problem.gbps)[:, None] * units)
        .clip(min=0.0)
        .sum(axis=1)
        .round(6)
    )
    order = pd.DataFrame({"site": problem.site, "left": left, "cost": costs}).sort_values(["site", "left", "cost"])
    return float(order.drop_duplicates("site")["cost"].sum()) + added_cost_usd(case.added, problem.months)


def compare_scenarios(results: Mapping[str, ScenarioResult]) -> pd.DataFrame:
    """Scenarios side by side, each difference against the first.

    Columns: scenario, level, key, answer, reason, run_out_p10, run_out_p50, run_out_p90, horizon, later_days (by the medians; NaN where either
    has none), and, on the row of the network, cost_usd and more_usd. N-1 is a level of its own, "n-1".
    """
    first = next(iter(results.values()))
    base = first.run_outs()
    rows = [
        {
            "scenario": name,
            "level": level,
            "key": key,
            "answer": run_out.answer,
            "reason": run_out.reason,
            "run_out_p10": run_out.p10,
            "run_out_p50": run_out.p50,
            "run_out_p90": run_out.p90,
            "horizon": run_out.horizon,
            "later_days": _later(base.get((level, key)), run_out),
            "cost_usd": result.cost_usd if level == "global" else np.nan,
            "more_usd": result.cost_usd - first.cost_usd if level == "global" else np.nan,
        }
        for name, result in results.items()
        for (level, key), run_out in result.run_outs().items()
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys((*DATES, "horizon"), "datetime64[us, UTC]") | {"later_days": float})


def _later(before: RunOut | None, after: RunOut) -> float:
    if before is None or before.p50 is None or after.p50 is None:
        return np.nan
    return float((after.p50 - before.p50) / pd.Timedelta(days=1))
