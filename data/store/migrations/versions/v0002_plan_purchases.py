"""What a plan buys: a row for each purchase. Plans that were kept before have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

STAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "plan_purchases",
        sa.Column("plan_id", sa.Text, sa.ForeignKey("plans.id"), primary_key=True),
        sa.Column("direction", sa.Text, primary_key=True),
        sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("site_id", sa.Text, nullable=False),
        *(sa.Column(name, STAMP, nullable=False) for name in ("in_service", "order_by")),
        sa.Column("gbps", sa.Float, nullable=False),
        sa.Column("units", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("cost_usd", "usd_month", "risk_removed")),
        sa.Column("reason", sa.Text, nullable=False),
    )
