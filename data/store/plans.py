"""Saved plans, as they were when they were made: what was expected, to be ordered and to be bought, so that hits and
misses can be scored later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy import Table as SqlTable

from data.lake.tables import Lake
from data.schema import GBPS_LIMIT, LEVELS, REAL, TEXT, WHOLE, Column, Table, identifier, stamp
from data.schema.errors import ContractError
from data.schema.validation import arrow_from_pandas, clean_text, excerpt, validate
from data.store.database import (
    PLAN_PEAKS_TABLE,
    PLAN_PURCHASES_TABLE,
    PLAN_ROWS_TABLE,
    PLANS,
    Store,
    absent,
    checked_id,
    new_id,
)
from data.store.scenarios import packed_policy

_DIRECTION = Column("direction", TEXT, "Which way the traffic goes", choices=("ingest", "egress"))
_SERIES = (
    Column("level", TEXT, "What the row describes", choices=LEVELS),
    identifier("key", "site_id, region_id, or 'all'"),
    _DIRECTION,
)
PLAN_ROWS = Table(
    "plan_rows",
    "What a plan says of each site, region and the network, by direction",
    "refresh",
    (
        *_SERIES,
        Column("answer", TEXT, "Kind of answer: over, within, possible, beyond, or refused"),
        Column("reason", TEXT, "Why it is so, where that needs a word", required=False),
        stamp("run_out_p10", "Early date of running out: one case in ten comes before it", required=False),
        stamp("run_out_p50", "Median date", required=False),
        stamp("run_out_p90", "Late date", required=False),
        stamp("order_by", "Last day to order in time", required=False),
        Column(
            "add_gbps",
            REAL,
            "Capacity to add; null where nothing is to be ordered",
            "Gbps",
            required=False,
            low=0.0,
            high=GBPS_LIMIT,
        ),
        Column(
            "cost_usd_month", REAL, "Cost of what is to be added", "USD a month", required=False, low=0.0, high=1e12
        ),
    ),
    ("level", "key", "direction"),
)
PLAN_PEAKS = Table(
    "plan_peaks",
    "Weekly peaks that a plan was made on",
    "refresh",
    (
        *_SERIES,
        stamp("week", "Monday 00:00 of the week"),
        *(Column(q, REAL, f"{q[1:]} % quantile of the peak", "Gbps", low=0.0) for q in ("q10", "q50", "q90")),
    ),
    ("level", "key", "direction", "week"),
)
PLAN_PURCHASES = Table(
    "plan_purchases",
    "What a plan buys",
    "refresh",
    (
        _DIRECTION,
        Column("rank", WHOLE, "Place in the order in which they are worth their money, from 1", low=1),
        identifier("site_id", "Site"),
        stamp("in_service", "When it comes into service"),
        stamp("order_by", "Last day to order"),
        Column("gbps", REAL, "Size of one unit", "Gbps", low=0.0, high=GBPS_LIMIT),
        Column("units", WHOLE, "How many of them", low=1),
        Column("cost_usd", REAL, "Cost within the months planned", "USD", low=0.0, high=1e12),
        Column("usd_month", REAL, "Cost of a month", "USD a month", low=0.0, high=1e12),
        Column("risk_removed", REAL, "What comes back without it", "Gbps-months"),
        Column("reason", TEXT, "Why it is bought"),
    ),
    ("direction", "rank"),
)
_PARTS = ((PLAN_ROWS_TABLE, PLAN_ROWS), (PLAN_PEAKS_TABLE, PLAN_PEAKS), (PLAN_PURCHASES_TABLE, PLAN_PURCHASES))


@dataclass(frozen=True, slots=True)
class PlanNote:
    """What identifies a plan: when and by whom it was made, on which run of which lake, under which policy."""

    id: str
    name: str
    made_at: datetime
    author: str
    lake: str
    run_id: str | None
    policy: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan: `rows` in the columns of PLAN_ROWS, `peaks` in those of PLAN_PEAKS, `purchases` in those of
    PLAN_PURCHASES.
    """

    note: PlanNote
    rows: pd.DataFrame
    peaks: pd.DataFrame
    purchases: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Plans:
    """The saved plans of a store. A plan is never changed: it is what it will be scored by."""

    store: Store

    def save(
        self,
        name: str,
        rows: pd.DataFrame,
        peaks: pd.DataFrame,
        policy: Mapping[str, Any],
        purchases: pd.DataFrame | None = None,
        *,
        lake: str,
        author: str = "",
        run_id: str | None = None,
        made_at: datetime | None = None,
    ) -> PlanNote:
        """Keep a plan: rows by (level, key, direction), peaks by week too; null for what is not known; purchases, where
        it has any, by rank. `made_at` is now unless it is given, with a zone.

        Raises ContractError where the frames do not keep PLAN_ROWS, PLAN_PEAKS and PLAN_PURCHASES, ScenarioError where
        the name or the policy cannot be kept.
        """
        text = packed_policy(dict(policy))
        about = {
            "name": clean_text("name", name),
            "author": clean_text("author", author, empty=True),
            "run_id": None if run_id is None else clean_text("run", run_id),
        }
        row = {"id": new_id(), "made_at": _moment(made_at), "lake": Lake(lake).url, "policy": text, **about}
        bought = pd.DataFrame(columns=[c.name for c in PLAN_PURCHASES.columns]) if purchases is None else purchases
        checked = [
            _checked(contract, frame) for (_, contract), frame in zip(_PARTS, (rows, peaks, bought), strict=True)
        ]
        _ordered(checked[1])
        with self.store.writing() as connection:
            connection.execute(insert(PLANS).values(row))
            for (table, _), frame in zip(_PARTS, checked, strict=True):
                if frame.num_rows:
                    connection.execute(
                        insert(table), frame.append_column("plan_id", pa.repeat(row["id"], frame.num_rows)).to_pylist()
                    )
        return _note(row)

    def listed(self, lake: str | None = None) -> list[PlanNote]:
        """All plans, of one lake or of all, newest first."""
        wanted = select(PLANS).order_by(PLANS.c.made_at.desc(), PLANS.c.id)
        if lake is not None:
            wanted = wanted.where(PLANS.c.lake == Lake(lake).url)
        with self.store.reading() as connection:
            return [_note(dict(row)) for row in connection.execute(wanted).mappings()]

    def get(self, plan_id: str) -> SavedPlan:
        """One plan; StoreError where there is none."""
        with self.store.reading() as connection:
            row = (
                connection.execute(select(PLANS).where(PLANS.c.id == checked_id("plan", plan_id)))
                .mappings()
                .one_or_none()
            )
            if row is None:
                raise absent("plan", plan_id)
            frames = [_frame(connection, *part, plan_id) for part in _PARTS]
        return SavedPlan(_note(dict(row)), *frames)

    def delete(self, plan_id: str) -> None:
        """Forget a plan and all of its rows, for good; StoreError where there is none."""
        with self.store.writing() as connection:
            for table, _ in _PARTS:
                connection.execute(delete(table).where(table.c.plan_id == checked_id("plan", plan_id)))
            if not connection.execute(delete(PLANS).where(PLANS.c.id == plan_id)).rowcount:
                raise absent("plan", plan_id)


def _moment(given: datetime | None) -> datetime:
    if given is not None and given.tzinfo is None:
        raise ContractError(f"made_at is {given}, without a zone.", cause="a local time", remedy="give it in UTC")
    return given or datetime.now(UTC)


def _checked(contract: Table, frame: pd.DataFrame) -> pa.Table:
    """The frame in the columns of its contract; ContractError where it does not keep it, has columns of its own, or
    names a row twice.
    """
    extra = sorted(set(map(str, frame.columns)) - {c.name for c in contract.columns})
    if extra:
        raise ContractError(
            f"{contract.name} has the columns {excerpt(', '.join(extra))}, which would be lost.",
            cause="a frame of another kind",
            remedy=f"send {', '.join(c.name for c in contract.columns)}",
        )
    findings = validate(contract, arrow_from_pandas(frame))
    if findings.faults:
        raise ContractError(f"{contract.name}: {findings.faults[0]}")
    twice = frame[frame.duplicated(list(contract.key))]
    if not twice.empty:
        key = "/".join(str(twice[name].iloc[0]) for name in contract.key)
        raise ContractError(
            f"{contract.name} names {excerpt(key)} twice.",
            cause="two frames were joined",
            remedy="send each row once",
        )
    return findings.good


def _ordered(peaks: pa.Table) -> None:
    """ContractError where the quantiles of the peaks cross."""
    crossed = pc.or_(pc.greater(peaks["q10"], peaks["q50"]), pc.greater(peaks["q50"], peaks["q90"]))
    count = pc.sum(crossed).as_py() or 0
    if count:
        raise ContractError(
            f"The quantiles of plan_peaks cross in {count} rows.",
            cause="columns were swapped",
            remedy="send q10 <= q50 <= q90",
        )


def _frame(connection: Connection, table: SqlTable, contract: Table, plan_id: str) -> pd.DataFrame:
    rows = connection.execute(
        select(*(table.c[c.name] for c in contract.columns))
        .where(table.c.plan_id == plan_id)
        .order_by(*table.primary_key)
    ).mappings()
    return pa.Table.from_pylist([dict(row) for row in rows], contract.schema).to_pandas()


def _note(row: Mapping[str, Any]) -> PlanNote:
    return PlanNote(**{**row, "policy": json.loads(row["policy"])})
