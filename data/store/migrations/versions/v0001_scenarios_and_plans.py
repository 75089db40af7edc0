"""Scenarios with their revisions, and plans with their rows and peaks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

STAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _scenarios()
    _plans()


def _scenarios() -> None:
    op.create_table(
        "scenarios",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created", STAMP, nullable=False),
        sa.Column("updated", STAMP, nullable=False),
        sa.Column("updated_by", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("deleted", STAMP),
        sa.Column("lake", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("scenarios_by_lake", "scenarios", ["lake", "updated"])
    op.create_table(
        "scenario_revisions",
        sa.Column("scenario_id", sa.Text, sa.ForeignKey("scenarios.id"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", STAMP, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("made_at", STAMP, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("lake", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("policy", sa.Text, nullable=False),
    )
    op.create_index("plans_by_lake", "plans", ["lake", "made_at"])
    answers = [sa.Column("answer", sa.Text, nullable=False), sa.Column("reason", sa.Text)]
    dates = [sa.Column(name, STAMP) for name in ("run_out_p10", "run_out_p50", "run_out_p90", "order_by")]
    op.create_table(
        "plan_rows", *_keys(), *answers, *dates, sa.Column("add_gbps", sa.Float), sa.Column("cost_usd_month", sa.Float)
    )
    quantiles = [sa.Column(name, sa.Float, nullable=False) for name in ("q10", "q50", "q90")]
    op.create_table("plan_peaks", *_keys(), sa.Column("week", STAMP, primary_key=True), *quantiles)


def _keys() -> list[sa.Column[str]]:
    own = [sa.Column(name, sa.Text, primary_key=True) for name in ("level", "key", "direction")]
    return [sa.Column("plan_id", sa.Text, sa.ForeignKey("plans.id"), primary_key=True), *own]
