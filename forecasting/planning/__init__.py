"""What to order by when: run-out as a distribution, failures on the future, what-ifs, augment plans and their cost.
Pure: arrays and frames in, frames out.
"""

from __future__ import annotations

from forecasting.planning.plan import Plan, solve
from forecasting.planning.plan_case import PlanCase, build_case

__all__ = ["Plan", "PlanCase", "build_case", "solve"]
