"""What people keep: named scenarios and saved plans, in SQLite beside the lake, or in PostgreSQL by URL.

The lake holds what was measured and forecast, in large immutable files; a scenario is small and changes by the click,
so it lives in a database.
"""

from __future__ import annotations

from data.store.database import Store, open_store, store_url
from data.store.plans import PLAN_PEAKS, PLAN_PURCHASES, PLAN_ROWS, PlanNote, Plans, SavedPlan
from data.store.scenarios import Revision, Scenario, Scenarios

__all__ = [
    "PLAN_PEAKS",
    "PLAN_PURCHASES",
    "PLAN_ROWS",
    "PlanNote",
    "Plans",
    "Revision",
    "SavedPlan",
    "Scenario",
    "Scenarios",
    "Store",
    "open_store",
    "store_url",
]
