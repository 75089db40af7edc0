"""When does each site run out, what must be ordered by when, what if a site fails or demand grows?"""

from __future__ import annotations

from collections.abc import Callable

from app.cached.planning import PlanQuery
from app.ui.header import Frame
from app.views.capacity import augments, choices, costs, declared, failures, limits, run_outs, scenarios, scorecard

SHEETS: dict[str, Callable[[Frame, PlanQuery], None]] = {
    "runout": run_outs.draw,
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
