"""`python -m forecasting plan`: when does each site, region and the network run out, and what must be ordered by
when?
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from data.ingest.named_columns import named_frame, read_table
from data.schema import Direction
from data.schema.errors import SettingError
from forecasting.cli.policy_file import PlanPolicy, read_policy
from forecasting.planning import Plan, solve
from forecasting.planning.augments import AugmentPlan, all_purchases
from forecasting.planning.failover import (
    FAILOVER_COLUMNS,
    FAILOVER_SETTING,
    DeclaredFailover,
    failover_rule,
    parse_failover,
)
from forecasting.planning.order_by import LEAD_FACTOR, LEAD_PLUS_DAYS, plan_calendar
from forecasting.planning.site_state import WORST_FIRST
from forecasting.planning.whatif import augment_plans
from forecasting.refresh.plan_inputs import PlanInputs, keep_plan, plan_inputs

# A screenful; the file has them all.
LISTED = 25
NAMED_AT_MOST = 3


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The options of `plan` but for the lake."""
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="TOML or JSON: statistic, limit, limits, planned, ordering, augments (default: the usual)",
    )
    parser.add_argument(
        "--lead-factor",
        type=float,
        metavar="X",
        help=f"multiply declared lead times by this (default: the policy's, usually {LEAD_FACTOR:g})",
    )
    parser.add_argument(
        "--lead-plus",
        type=float,
        metavar="DAYS",
        help=f"and add so many days (default: the policy's, usually {LEAD_PLUS_DAYS:g})",
    )
    parser.add_argument(
        "--failover",
        type=Path,
        metavar="FILE",
        help="who takes over for whom where the policy asks for N-1: CSV, Parquet or what else ingest reads, with site_id, helper_site_id, weight "
        "(default: HEADROOM_FAILOVER, else distance and headroom)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"the plan: {', '.join(WRITERS)}, or {CALENDAR} for a calendar of its orders",
    )
    parser.add_argument("--save", metavar="NAME", help="keep the plan under this name, to be scored by what comes")
    parser.add_argument(
        "--author", default=login(), metavar="NAME", help="who keeps it (default: the login name, %(default)r)"
    )


def login() -> str:
    """The name of whoever runs the command; empty where the system knows none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return ""


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
    policy = read_policy(options.policy).padded(options.lead_factor, options.lead_plus)
    inputs = plan_inputs(options.lake, policy.policy, policy.ordering)
    site_ids = set(inputs.sites["site_id"])
    _check_sites("limits", policy.policy.limits, site_ids)
    _check_sites("the catalogue", () if policy.catalogue is None else policy.catalogue["site_id"], site_ids)
    table_path = options.failover or os.environ.get(FAILOVER_SETTING)
    table = read_failover(Path(table_path), site_ids) if table_path else None
    solved = solve(*inputs.cases.values())
    augments = augment_plans(inputs.cases, policy.catalogue, policy.request, table)
    about = {"as_of": inputs.now.isoformat(), "run": inputs.run.number}
    write(
        solved.rows, options.out, inputs.now, about | {f"policy_{name}": value for name, value in policy.said.items()}
    )
    console = Console(width=160, highlight=False, markup=False)
    show(console, solved, inputs, policy)
    console.print(f"written to {options.out}", soft_wrap=True)
    if augments:
        show_augments(console, augments, options.out, inputs.now)
        if policy.request.n_minus_1:
            console.print(f"N-1: a failed site's demand goes to others {failover_rule(table)}", soft_wrap=True)
    if options.save is not None:
        kept_plan = keep_plan(inputs, solved, augments, policy.said, options.save, options.author)
        console.print(f"kept as {kept_plan.name!r} ({kept_plan.id})", soft_wrap=True)
    return 0


def read_failover(path: Path, site_ids: Collection[str]) -> DeclaredFailover:
    """The failover table in a file; raises SettingError where it is not usable."""
    table = named_frame(read_table(f"The failover table {path}", path), FAILOVER_COLUMNS, (), path.name)
    return parse_failover(path.name, table, site_ids)


def _check_sites(where: str, names: Collection[str], site_ids: Collection[str]) -> None:
    """Every site that is named must be one of the lake's."""
    if unknown := sorted(set(names).difference(site_ids)):
        raise SettingError(
            f"{where} names {', '.join(unknown[:NAMED_AT_MOST])}, which the lake does not have.",
            cause="a typing error, or another lake",
            remedy=f"name sites such as {', '.join(sorted(site_ids)[:NAMED_AT_MOST])}",
        )


def write_parquet(frame: pd.DataFrame, path: Path, _: Mapping[str, Any]) -> None:
    """Stamps and numbers as they are."""
    frame.to_parquet(path, index=False)


def write_csv(frame: pd.DataFrame, path: Path, _: Mapping[str, Any]) -> None:
    """Empty where nothing is known."""
    frame.to_csv(path, index=False)


def write_json(frame: pd.DataFrame, path: Path, about: Mapping[str, Any]) -> None:
    """What the plan is of, then `rows`: one object a row, stamps in ISO 8601; the page's JSON has the same names."""
    rows = json.loads(frame.to_json(orient="records", date_format="iso", date_unit="s"))
    path.write_text(json.dumps({**about, "rows": rows}, indent=1, ensure_ascii=False, default=str), encoding="utf-8")


Writer = Callable[[pd.DataFrame, Path, Mapping[str, Any]], None]
WRITERS: dict[str, Writer] = {".parquet": write_parquet, ".csv": write_csv, ".json": write_json}
CALENDAR = ".ics"


def write(frame: pd.DataFrame, path: Path, today: pd.Timestamp, about: Mapping[str, Any] | None = None) -> None:
    """Write beside the file and put it in its place when it is whole; what stood there stays until then. `about`: as of
    when, of which run and by which policy, where the format has a place for it.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == CALENDAR:
            part.write_text(plan_calendar(frame, today), encoding="utf-8", newline="")
        else:
            WRITERS[path.suffix.lower()](frame, part, about or {})
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SettingError(
            f"{path} cannot be written: {error.strerror or error}.",
            cause="the folder is read-only, or something of that name is in the way",
            remedy="name another file with --out",
        ) from error


def show(console: Console, plan: Plan, inputs: PlanInputs, policy: PlanPolicy) -> None:
    """The most urgent rows in words, and which planned augments are late."""
    rows = plan.rows
    heading = f"Plan as of {inputs.now:%Y-%m-%d %H:%M} UTC, from run {inputs.run.number}: the {policy.policy.statistic} of each week at or below "
    console.print(
        f"{heading}{policy.policy.limit:.0%} of capacity{', planned augments included' if policy.policy.planned else ''}"
    )
    table = Table(
        "site or group",
        "way",
        "state",
        "order by",
        "lead days, padded",
        "Gbps short",
        "add",
        "ordered today",
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
    for row in rows[rows["reason"].ne("") & rows["answer"].ne("refused")].itertuples(index=False):
        console.print(f"{cells(row)[0]} {row.direction}: {row.reason}", soft_wrap=True)
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
    lead = f"{row.lead_days:g}, {row.padded_days:g}"
    gbps = tuple("-" if pd.isna(value) or value <= 0.0 else f"{value:.3g}" for value in (row.short_gbps, row.add_gbps))
    if row.answer == "refused":
        return name, row.direction, row.state, order, lead, *gbps, "-", "not known", "-", row.reason
    dates = (
        "already over"
        if row.answer == "over"
        else ", ".join(
            "later" if pd.isna(day) else f"{day:%Y-%m-%d}"
            for day in (row.run_out_p10, row.run_out_p50, row.run_out_p90)
        )
    )
    today = "-" if pd.isna(row.order_by) else f"{row.in_service_today:%Y-%m-%d}"
    if row.weeks_over > 0.0 and not pd.isna(row.order_by):
        today += f", {np.ceil(row.weeks_over):.0f} weeks over"
    chance = f"{row.probability:.0%}"
    return name, row.direction, row.state, order, lead, *gbps, today, dates, chance, row.answer


def show_augments(console: Console, augments: Mapping[Direction, AugmentPlan], out: Path, today: pd.Timestamp) -> None:
    """Write what to buy beside the plan, and say what it costs and which constraint cannot be kept."""
    path = out.with_name(f"{out.stem}-purchases{out.suffix if out.suffix.lower() in WRITERS else '.csv'}")
    write(all_purchases(augments), path, today)
    for direction, cheapest in augments.items():
        if cheapest.refused:
            console.print(f"{direction} augments: {cheapest.refused}", soft_wrap=True)
            continue
        proof = "proved cheapest" if cheapest.proved else f"at most {cheapest.gap:.1%} above the cheapest"
        console.print(
            f"{direction} augments: {len(cheapest.purchases)} purchases, {cheapest.cost_usd:,.0f} USD in {cheapest.problem.request.months} months, {proof}; "
            f"risk {cheapest.risk_without:,.0f} to {cheapest.risk:,.0f} Gbps-months",
            soft_wrap=True,
        )
        if cheapest.unbound_usd is not None:
            console.print(
                f"  the budget of {cheapest.problem.request.budget_usd:,.0f} USD does not reach: the plan without it costs {cheapest.unbound_usd:,.0f} USD"
            )
        for broken in cheapest.broken[:NAMED_AT_MOST]:
            console.print(f"  cannot be kept: {broken}", soft_wrap=True)
    console.print(f"purchases written to {path}", soft_wrap=True)
