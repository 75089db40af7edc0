"""`python -m forecasting plan`: when does each site, region and the network run out, and what must be ordered by
when?
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from data.schema import Direction
from data.schema.errors import SettingError
from forecasting.cli.plan_file import CALENDAR, WRITERS
from forecasting.cli.policy_file import PlanPolicy, read_policy
from forecasting.planning import Plan, solve
from forecasting.planning.augments import AugmentPlan, all_purchases
from forecasting.planning.failover_table import FAILOVER_SETTING, failover_rule, read_failover
from forecasting.planning.order_by import plan_calendar
from forecasting.planning.plan import WORST_FIRST
from forecasting.planning.whatif import augment_plans
from forecasting.refresh.plan_inputs import PlanInputs, keep_plan, plan_inputs

# A screenful; the file has them all.
LISTED = 25
NAMED_AT_MOST = 3


def plan(options: argparse.Namespace) -> int:
    """Make, write and print the plan; what is refused is told with its reason, as part of it. Raises SettingError or
    LakeError where there can be none.
    """
    if options.out.suffix.lower() not in {*WRITERS, CALENDAR}:
        raise SettingError(
            f"{options.out} has no ending that is known.",
            cause="it is mistyped",
            remedy=f"end it with {', '.join((*WRITERS, CALENDAR))}",
        )
    under = read_policy(options.policy)
    inputs = plan_inputs(options.lake, under.policy, under.ordering)
    known = set(inputs.sites["site_id"])
    _known("limits", under.policy.limits, known)
    _known("the catalogue", () if under.catalogue is None else under.catalogue["site_id"], known)
    table_path = options.failover or os.environ.get(FAILOVER_SETTING)
    table = read_failover(Path(table_path), known) if table_path else None
    found = solve(*inputs.cases.values())
    augments = augment_plans(inputs.cases, under.catalogue, under.request, table)
    write(found.rows, options.out, inputs.now)
    console = Console(width=160, highlight=False, markup=False)
    show(console, found, inputs, under)
    console.print(f"written to {options.out}", soft_wrap=True)
    if augments:
        show_augments(console, augments, options.out, inputs.now)
        if under.request.n_minus_1:
            console.print(f"N-1: a failed site's demand goes to others {failover_rule(table)}", soft_wrap=True)
    if options.save is not None:
        note = keep_plan(inputs, found, augments, under.said, options.save, options.author)
        console.print(f"kept as {note.name!r} ({note.id})", soft_wrap=True)
    return 0


def _known(where: str, named: Collection[str], known: Collection[str]) -> None:
    """Every site that is named must be one of the lake's."""
    if unknown := sorted(set(named).difference(known)):
        raise SettingError(
            f"{where} names {', '.join(unknown[:NAMED_AT_MOST])}, which the lake does not have.",
            cause="a typing error, or another lake",
            remedy=f"name sites such as {', '.join(sorted(known)[:NAMED_AT_MOST])}",
        )


def write(frame: pd.DataFrame, path: Path, today: pd.Timestamp) -> None:
    """Write beside the file and put it in its place when it is whole; what stood there stays until then."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == CALENDAR:
            part.write_text(plan_calendar(frame, today), encoding="utf-8", newline="")
        else:
            WRITERS[path.suffix.lower()](frame, part)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SettingError(
            f"{path} cannot be written: {error.strerror or error}.",
            cause="the folder is read-only, or something of that name is in the way",
            remedy="name another file with --out",
        ) from error


def show(console: Console, plan: Plan, inputs: PlanInputs, under: PlanPolicy) -> None:
    """The most urgent rows in words, and which planned augments are late."""
    rows = plan.rows
    told = f"Plan as of {inputs.now:%Y-%m-%d %H:%M} UTC, from run {inputs.run.number}: the {under.policy.statistic} of each week at or below "
    console.print(
        f"{told}{under.policy.limit:.0%} of capacity{', planned augments included' if under.policy.planned else ''}"
    )
    table = Table(
        "site or group",
        "way",
        "state",
        "order by",
        "lead days",
        "runs out (P10, P50, P90)",
        "by the horizon",
        "answer",
        box=None,
    )
    for row in rows.head(LISTED).itertuples(index=False):
        table.add_row(*cells(row))
    console.print(table)
    if len(rows) > LISTED:
        console.print(f"and {len(rows) - LISTED} more")
    states = rows["state"].value_counts()
    console.print(", ".join(f"{states.get(state, 0)} {state}" for state in WORST_FIRST))
    orders = rows["order"].value_counts()
    words = {"overdue": "overdue", "due": "to order in time", "none": "without need", "unknown": "not known"}
    console.print(", ".join(f"{orders.get(order, 0)} {word}" for order, word in words.items()))
    for step in plan.late.itertuples(index=False):
        console.print(
            f"late: {step.site_id} {step.direction}, {step.capacity_gbps:g} Gbps planned for "
            f"{step.effective_from:%Y-%m-%d}, {step.days_late} days ago, is not installed and does not count",
            soft_wrap=True,
        )


def cells(row: Any) -> tuple[str, ...]:
    """A row of the plan as text."""
    name = row.key if row.level == "site" else f"{row.level} {row.key}"
    order = "-" if pd.isna(row.order_by) else f"{row.order_by:%Y-%m-%d}{' OVERDUE' if row.order == 'overdue' else ''}"
    if row.answer == "refused":
        return name, row.direction, row.state, order, f"{row.lead_days:g}", "not known", "-", row.reason
    dates = (
        "already over"
        if row.answer == "over"
        else ", ".join(
            "later" if pd.isna(day) else f"{day:%Y-%m-%d}"
            for day in (row.run_out_p10, row.run_out_p50, row.run_out_p90)
        )
    )
    return name, row.direction, row.state, order, f"{row.lead_days:g}", dates, f"{row.probability:.0%}", row.answer


def show_augments(console: Console, augments: Mapping[Direction, AugmentPlan], out: Path, today: pd.Timestamp) -> None:
    """Write what to buy beside the plan, and say what it costs and which constraint cannot be kept."""
    path = out.with_name(f"{out.stem}-purchases{out.suffix if out.suffix.lower() in WRITERS else '.csv'}")
    write(all_purchases(augments), path, today)
    for direction, one in augments.items():
        if one.refused:
            console.print(f"{direction} augments: {one.refused}", soft_wrap=True)
            continue
        proof = "proved cheapest" if one.proved else f"at most {one.gap:.1%} above the cheapest"
        console.print(
            f"{direction} augments: {len(one.purchases)} purchases, {one.cost_usd:,.0f} USD in {one.problem.request.months} months, {proof}; "
            f"risk {one.risk_without:,.0f} to {one.risk:,.0f} Gbps-months",
            soft_wrap=True,
        )
        if one.unbound_usd is not None:
            console.print(
                f"  the budget of {one.problem.request.budget_usd:,.0f} USD does not reach: the plan without it costs {one.unbound_usd:,.0f} USD"
            )
        for broken in one.broken[:NAMED_AT_MOST]:
            console.print(f"  cannot be kept: {broken}", soft_wrap=True)
    console.print(f"purchases written to {path}", soft_wrap=True)
