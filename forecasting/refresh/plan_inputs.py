"""What a plan is made from, read from the newest run of a lake; and where a plan is kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data.lake.query import EVERYTHING
from data.lake.tables import Lake, Pin
from data.queries import Futures, Run, catalogue, futures, latest_run, weekly
from data.queries import forecast_inputs as training
from data.schema import DIRECTION_OF, Direction, Level
from data.schema.errors import LakeError
from data.store import PlanNote, Plans, open_store, store_url
from forecasting.peaks.peak_forecast import CHECKABLE
from forecasting.peaks.weekly_peaks import WEEKS_PLANNED
from forecasting.peaks.weekly_statistics import COMPLETE_AT_LEAST
from forecasting.planning.augments import AugmentPlan, added_by_site, all_purchases
from forecasting.planning.demand import WEEK, Demand, Statistic
from forecasting.planning.network_plan import Published, peak_quantiles
from forecasting.refresh.licensed_engine import LicensedEngine

LEVELS: tuple[Level, ...] = ("site", "region", "global")
UNMEASURED = "capacity is declared, but no traffic was ever measured"


class PlanInputs(NamedTuple):
    """The newest run's futures by direction, with the contract's `capacity` (steps) and `sites`. `today` is the end of
    the telemetry that was fitted.
    """

    lake: str
    run: Run
    today: pd.Timestamp
    steps: pd.DataFrame
    sites: pd.DataFrame
    directions: dict[Direction, Published]


def plan_inputs(url: str, statistic: Statistic) -> PlanInputs:
    """Read them; raises LakeError where the lake has no run, or one whose engine draws no futures. Series without
    futures are refused, with a reason each.
    """
    lake = Lake(url)
    pin = lake.pin()
    run = latest_run(pin, EVERYTHING)
    if run is None:
        raise LakeError(
            f"The lake {lake.url} has no published run to plan from.",
            cause="nothing was forecast yet, or --lake names another folder",
            remedy="publish one with `python -m forecasting refresh`",
        )
    drawn = {
        metric: {level: futures(pin, EVERYTHING, level, metric, statistic) for level in LEVELS}
        for metric in DIRECTION_OF
    }
    if run.engine != LicensedEngine.name and not any(
        found for of_level in drawn.values() for found in of_level.values()
    ):
        raise LakeError(
            f"Run {run.number} of the lake {lake.url} has no joint futures of coming weeks to plan from.",
            cause=f"the engine {run.engine} draws none",
            remedy=f"publish a run with `python -m forecasting refresh --engine {LicensedEngine.name}`",
        )
    steps, sites, fits = (
        lake.read("capacity", pin.version("capacity")).to_pandas(),
        catalogue(pin, EVERYTHING),
        training.run_rows(pin, "fits", run.run_id),
    )
    measured = _last_week(pin, run, statistic)
    found = {
        direction: _published(
            run,
            drawn[metric],
            _fits_of(fits, metric),
            _sites_of(steps, direction),
            measured.get(metric, {}),
            (direction, statistic),
        )
        for metric, direction in DIRECTION_OF.items()
    }
    return PlanInputs(
        lake.url, run, run.telemetry_until, steps, sites, {name: one for name, one in found.items() if one is not None}
    )


def _published(
    run: Run,
    drawn: Mapping[Level, Futures | None],
    fits: pd.DataFrame,
    declared: set[str],
    measured: Mapping[Level, Mapping[str, float]],
    what: tuple[Direction, Statistic],
) -> Published | None:
    """One direction; None where no site carries any of it."""
    site, region, network = (_demand(drawn[level], run, *what) for level in LEVELS)
    # Runs of older versions drew futures of sites that they refused, such as silent ones.
    refused = {
        str(one.key): unforeseen(one)
        for one in fits.itertuples(index=False)
        if one.status == "refused" or one.key not in site.keys
    }
    site = site.only([key for key in site.keys if key not in refused])
    if not site.keys and not refused:
        return None
    unmeasured = dict.fromkeys(sorted(declared.difference(site.keys, refused)), UNMEASURED)
    return Published(site, region, network, refused, unmeasured, measured)


def _demand(found: Futures | None, run: Run, direction: Direction, statistic: Statistic) -> Demand:
    """Futures as demand; without any, of no key, over the weeks that a refresh would draw."""
    if found is not None:
        return Demand(found.keys, direction, statistic, found.weeks, found.draws)
    weeks = pd.date_range(_monday(run.telemetry_until), periods=WEEKS_PLANNED, freq=WEEK, unit="us")
    return Demand((), direction, statistic, weeks, np.empty((0, len(weeks), 1)))


def unforeseen(fit: Any) -> str:
    """Why a series has no futures; of what became of it in a run: status, reason, observations (hours)."""
    if fit.status != "fitted":
        return str(fit.reason)
    return f"too little history: {fit.observations / 24:.0f} days; {CHECKABLE} whole weeks are needed"


def _fits_of(fits: pd.DataFrame, metric: str) -> pd.DataFrame:
    return fits[(fits["level"] == "site") & (fits["metric"] == metric)].sort_values("key")


def _sites_of(steps: pd.DataFrame, direction: Direction) -> set[str]:
    return set(steps.loc[steps["direction"] == direction, "site_id"])


def _last_week(pin: Pin, run: Run, statistic: Statistic) -> dict[str, dict[Level, dict[str, float]]]:
    """By metric, level and key: the statistic of the last whole week before the end of the telemetry that was fitted,
    where enough of it was measured.
    """
    end = _monday(run.telemetry_until)
    rows = weekly(pin, EVERYTHING, tuple(DIRECTION_OF), end - WEEK, end)
    found: dict[str, dict[Level, dict[str, float]]] = {}
    for row in rows[rows["completeness"] >= COMPLETE_AT_LEAST].itertuples(index=False):
        found.setdefault(row.metric, {}).setdefault(row.level, {})[row.key] = float(getattr(row, statistic))
    return found


def _monday(moment: pd.Timestamp) -> pd.Timestamp:
    return moment.floor("D") - pd.Timedelta(days=moment.weekday())


def keep_plan(
    inputs: PlanInputs,
    plan: pd.DataFrame,
    augments: Mapping[Direction, AugmentPlan],
    policy: Mapping[str, Any],
    name: str,
    author: str = "",
) -> PlanNote:
    """Keep a plan in the lake's store, to be scored by what comes, with what its augment plans buy."""
    identity, dates = ["level", "key", "direction"], ["p10", "p50", "p90"]
    rows = plan[[*identity, "answer", "reason", *dates, "order_by"]].rename(
        columns={date: f"run_out_{date}" for date in dates}
    )
    rows = rows.merge(added_by_site(augments).assign(level="site"), how="left", on=identity).replace(
        {"reason": {"": None}}
    )
    peaks = pd.concat([peak_quantiles(held) for held in inputs.directions.values()], ignore_index=True)
    bought = all_purchases(augments).drop(columns="risk_per_kusd")
    with closing(open_store(store_url(inputs.lake))) as store:
        return Plans(store).save(
            name, rows, peaks, policy, bought, lake=inputs.lake, author=author, run_id=inputs.run.run_id
        )
