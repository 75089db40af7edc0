"""When does each site run out, what must be ordered by when, what if a site fails or demand grows?"""

from __future__ import annotations

from collections.abc import Callable

from app.cached.planning import Question
from app.components.header import Frame
from app.components.plan import augments, choices, costs, failures, limits, run_out

SHEETS: dict[str, Callable[[Frame, Question], None]] = {
    "runout": run_out.draw,
    "failures": failures.draw,
    "augments": augments.draw,
    "cost": costs.draw,
    "limits": limits.draw,
}


def show(frame: Frame) -> None:
    """The policy, then one sheet at a time: what is not chosen is not computed."""
    asked = choices.choose(frame)
    SHEETS[choices.sheet()](frame, asked)
