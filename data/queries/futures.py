"""The joint futures that the newest run published: what each place may be asked to carry in each coming week."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.lake.query import EVERYTHING, Scope, query
from data.lake.tables import Pin
from data.queries.published import latest_run
from data.queries.reads import reads
from data.schema import Level


class Futures(NamedTuple):
    """Draws (keys, weeks, paths) of a weekly statistic, in the metric's unit; `weeks` are consecutive Mondays 00:00
    UTC. One path is one future of all keys.
    """

    keys: tuple[str, ...]
    weeks: pd.DatetimeIndex
    draws: npt.NDArray[np.float64]


@reads("simulated_peaks", latest_run)
def futures(pin: Pin, scope: Scope, level: Level, metric: str, statistic: str) -> Futures | None:
    """The futures of all places of a level; None where the newest run has none. Places that were refused are not in
    it.
    """
    run = latest_run(pin, EVERYTHING)
    if run is None:
        return None
    sql = (
        "SELECT key, week, samples FROM simulated_peaks WHERE run_id = $run AND level = $level AND metric = $metric AND statistic = $statistic"
        " AND len(samples) > 0 ORDER BY key, week"
    )
    rows = query(
        pin,
        sql,
        ["simulated_peaks"],
        scope=scope,
        partitions={"run_id": (run.run_id,)},
        parameters={"run": run.run_id, "level": level, "metric": metric, "statistic": statistic},
    )
    if rows.empty:
        return None
    keys, weeks = tuple(sorted(set(rows["key"]))), pd.DatetimeIndex(sorted(set(rows["week"])), name="week")
    draws = np.stack([np.asarray(one, dtype=float) for one in rows["samples"]])
    return Futures(keys, weeks, draws.reshape(len(keys), len(weeks), -1))
