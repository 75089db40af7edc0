"""When does each site run out, what must be ordered by when, what if a site fails or demand grows?"""

from __future__ import annotations

from collections.abc import Callable

from app.cached.planning import PlanQuery
from app.components.header import Frame
from app.components.plan import augments, choices, costs, declared, failures, limits, run_out, scenarios, scorecard

SHEETS: dict[str, Callable[[Frame, PlanQuery], None]] = {
    "runout": run_out.draw,
    "failures": failures.draw,
    "scenarios": scenarios.draw,
    "augments": augments.draw,
    "cost": costs.draw,
    "limits": limits.draw,
    "declared": declared.draw,
    "scorecard": scorecard.draw,
}


def show(frame: Frame) -> None:
    """The policy, then one sheet at a time: what is not chosen is not computed."""
    asked = choices.choose(frame)
    SHEETS[choices.sheet()](frame, asked)
