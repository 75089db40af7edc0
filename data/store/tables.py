"""The tables of the store as SQLAlchemy sees them. The migrations make them; a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, Dialect, Float, ForeignKey, Index, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator


class Stamp(TypeDecorator[datetime]):
    """A moment in UTC, with its zone; SQLite, which knows no zones, keeps the UTC time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA = MetaData()

SCENARIOS = Table(
    "scenarios",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created", Stamp, nullable=False),
    Column("updated", Stamp, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("deleted", Stamp),
    Column("lake", Text, nullable=False),
    Column("run_id", Text),
    Column("body", Text, nullable=False),  # JSON, escaped to ASCII: any database keeps it
    Index("scenarios_by_lake", "lake", "updated"),
)
# Every state that a scenario ever had, the present one included.
REVISIONS = Table(
    "scenario_revisions",
    METADATA,
    Column("scenario_id", Text, ForeignKey("scenarios.id"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("action", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", Stamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("run_id", Text),
    Column("body", Text, nullable=False),
)
PLANS = Table(
    "plans",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("made_at", Stamp, nullable=False),
    Column("author", Text, nullable=False),
    Column("lake", Text, nullable=False),
    Column("run_id", Text),
    Column("policy", Text, nullable=False),
    Index("plans_by_lake", "lake", "made_at"),
)
_OF_PLAN = ("plan_id", "level", "key", "direction")


def _keys() -> list[Column[str]]:
    """What names a row of a plan: the plan, the series, the direction."""
    return [
        Column("plan_id", Text, ForeignKey("plans.id"), primary_key=True),
        *(Column(name, Text, primary_key=True) for name in _OF_PLAN[1:]),
    ]


PLAN_ROWS_TABLE = Table(
    "plan_rows",
    METADATA,
    *_keys(),
    Column("answer", Text, nullable=False),
    Column("reason", Text),
    Column("run_out_p10", Stamp),
    Column("run_out_p50", Stamp),
    Column("run_out_p90", Stamp),
    Column("order_by", Stamp),
    Column("add_gbps", Float),
    Column("cost_usd_month", Float),
)
PLAN_PEAKS_TABLE = Table(
    "plan_peaks",
    METADATA,
    *_keys(),
    Column("week", Stamp, primary_key=True),
    Column("q10", Float, nullable=False),
    Column("q50", Float, nullable=False),
    Column("q90", Float, nullable=False),
)
PLAN_PURCHASES_TABLE = Table(
    "plan_purchases",
    METADATA,
    Column("plan_id", Text, ForeignKey("plans.id"), primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("site_id", Text, nullable=False),
    Column("in_service", Stamp, nullable=False),
    Column("order_by", Stamp, nullable=False),
    Column("gbps", Float, nullable=False),
    Column("units", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("usd_month", Float, nullable=False),
    Column("risk_removed", Float, nullable=False),
    Column("reason", Text, nullable=False),
)
