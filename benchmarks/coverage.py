"""Do the bands hold what they say, from every day on which a forecast could have been made?

    python -m benchmarks.coverage [--datasets ../shared/datasets] [--only abilene,p2p_live]

One JSON line for each real set and horizon, a day and a week ahead: an origin every day, from the first that knows two
weeks (abilene, which has but two: one) to the last that leaves the horizon to be seen; everything that is drawn there,
from the pool's fits to the bands, is made of what was known by then. `coverage_80` and `coverage_95` are the shares of
hours within the bands, over all series; `noise_80` and `noise_95` their standard errors over origins, of which as many
are independent as horizons fit into the span. `mase` is what is drawn, `best_baseline` the best of the four with
hindsight, on the same hours.

Where `benchmarks.accuracy` holds out a few weeks for comparisons with Prophet, this one asks for calibration, which
takes more weeks than a part has.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.accuracy import SEASONS, SETS, say
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import Backtest, min_train_size
from forecasting.evaluation.model_selection import ORIGINS, PoolBacktest, backtest_pool, select_and_calibrate
from forecasting.models.ensemble import baselines
from forecasting.panel.history import History, Reals

DAY, WEEK = SEASONS
NAMES = ("abilene", "p2p_live", "zabbix_link", "worldcup98")
# Steps that an origin must know: two weeks, or one where that is half of all there is.
KNOWN, KNOWN_OF_LITTLE = 2 * WEEK, WEEK


class Told(NamedTuple):
    """Of one origin and each series: whether hours lay within the bands, shares (N), and errors as MASE has them, (N)
    and (baselines, N).
    """

    in_80: Reals
    in_95: Reals
    drawn: Reals
    baselines: Reals


def main() -> None:
    """Measure, and print a line for each set and horizon."""
    parser = argparse.ArgumentParser(description="Coverage of the bands from every day of real sets.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--only", default=",".join(NAMES), help="names, joined by commas (default: %(default)s)")
    options = parser.parse_args()
    if not options.datasets.is_dir():
        sys.exit(f"no real data sets at {options.datasets}; name their folder with --datasets")
    for name in options.only.split(","):
        panels = {one.part if name == "abilene" else "": one.hours for one in SETS[name](options.datasets)}
        for horizon in (DAY, WEEK):
            for part, hours in panels.items():
                say(line(f"{name} {part}".strip(), horizon, list(every_day(hours, horizon))))


def every_day(hours: pd.DataFrame, horizon: int) -> Iterator[Told]:
    """What each day's forecast was worth; the pool answers once for all of them."""
    values = hours.to_numpy(dtype=float)
    history = History(pd.DatetimeIndex(hours.index), values, SEASONS)
    first = KNOWN if len(values) >= 2 * KNOWN else KNOWN_OF_LITTLE
    days = range(len(values) % DAY + 2 * DAY, len(values) - horizon + 1, DAY)
    learned = backtest_pool(history, horizon, starts=dict.fromkeys(days, horizon))
    for fold in learned.backtest.folds:
        if fold.origin >= first:
            yield told(recent(learned.at(fold)), fold.actual)


def recent(learned: PoolBacktest) -> PoolBacktest:
    """With the origins that a forecast looks back on: those of eight weeks that know enough themselves."""
    oldest = max(min_train_size(learned.history), len(learned.history.stamps) - ORIGINS * WEEK)
    folds = [fold for fold in learned.backtest.folds if fold.origin >= oldest]
    return PoolBacktest(learned.history, learned.bands, Backtest(learned.backtest.models, tuple(folds)), learned.ahead)


def told(learned: PoolBacktest, actual: Reals) -> Told:
    """One origin's forecast against what came."""
    drawn = select_and_calibrate(learned)
    scale = metrics.seasonal_scale(learned.history.measured, DAY)
    others = [learned.ahead[learned.backtest.models.index(name)] for name in baselines(SEASONS)]
    bounds = drawn.quantiles
    return Told(
        metrics.coverage(actual, bounds[:, :, 1], bounds[:, :, 5]),
        metrics.coverage(actual, bounds[:, :, 0], bounds[:, :, 6]),
        metrics.mase(actual, drawn.point, scale),
        np.stack([metrics.mase(actual, other, scale) for other in others]),
    )


def line(name: str, horizon: int, origins: list[Told]) -> dict[str, str | int | float]:
    """What is printed."""
    both = {
        "80": np.array([metrics.mean(one.in_80) for one in origins]),
        "95": np.array([metrics.mean(one.in_95) for one in origins]),
    }
    independent = max(len(origins) * DAY / horizon, 1.0)
    shares = {f"coverage_{level}": float(each.mean()) for level, each in both.items()}
    noise = {f"noise_{level}": float(each.std() / np.sqrt(independent)) for level, each in both.items()}
    errors = {
        "mase": float(np.nanmean([one.drawn for one in origins])),
        "best_baseline": float(np.nanmean([one.baselines for one in origins], axis=(0, 2)).min()),
    }
    figures = {key: round(value, 3) for key, value in (shares | noise | errors).items()}
    return {
        "benchmark": "coverage",
        "data": name,
        "horizon_hours": horizon,
        "series": len(origins[0].drawn),
        "origins": len(origins),
        **figures,
    }


if __name__ == "__main__":
    main()
