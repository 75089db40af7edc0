"""A refresh that stands still at a named moment, for tests that kill it: `python -m tests.forecasting.halting LAKE
MOMENT`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

from data.lake.tables import Lake
from forecasting.models.engine import EngineResult, ForecastOptions
from forecasting.panel.panel import Panel
from forecasting.refresh import publishing, run
from tests.forecasting.networks import Here, Steady

MOMENTS = ("before the first series", "between two series", "when all rows are written")


def halt() -> None:
    """Say so, and wait to be killed."""
    print("standing still", flush=True)
    time.sleep(600)


class Halting(Steady):
    """Stands still before its first or its second series."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self._after = MOMENTS.index(moment)

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        for done, result in enumerate(super().forecast(panel, plan, executor)):
            if done == self._after:
                halt()
            yield result


def main(lake: str, moment: str) -> None:
    """Refresh, each series in a commit of its own, until that moment."""
    publishing.BATCH = 1
    if moment == MOMENTS[2]:
        vars(run)["publish"] = _halting
    run.refresh(Lake(lake), engine=Steady() if moment == MOMENTS[2] else Halting(moment), executor=Here())


def _halting(*_: Any) -> int:
    halt()
    return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
