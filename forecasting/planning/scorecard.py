"""Scorecard of a saved plan: its run-out dates, orders and weekly peaks against what came. What is not over yet is not
known, and never counts as a miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from data.schema import GLOBAL_KEY, MIN_WEEK_COMPLETENESS, Direction
from forecasting.planning.capacity import weekly_capacity
from forecasting.planning.demand import WEEK, Reals, Statistic
from forecasting.planning.runout import first_crossings, utilisation

# inside: it ran out within the interval, or not by the horizon where none was expected. earlier, later: before or after
# the interval. open: not known yet.
# refused: the plan said nothing.
Verdict = Literal["inside", "earlier", "later", "open", "refused"]
SERIES = ["level", "key", "direction"]
QUANTILES = {"q10": 0.1, "q50": 0.5, "q90": 0.9}
DAY, MONTH_DAYS = pd.Timedelta(days=1), 365.25 / 12
DATES = ["run_out_p10", "run_out_p50", "run_out_p90", "order_by"]


def measured_values(weeks: pd.DataFrame, statistic: Statistic, now: pd.Timestamp) -> pd.DataFrame:
    """level, key, direction, week, value and whole of the weeks that are over at `now`, from rows as
    data.queries.model_inputs gives them (of Gbps metrics).

    `whole`: enough of the week was measured for its statistic to stand. The peak of a week with holes is still a bound
    from below, and stays; its P95 is nothing, and is left out.
    """
    over = weeks[weeks["week"] + WEEK <= now]
    values = over.assign(
        direction=over["metric"].str.removesuffix("_gbps"),
        value=over[statistic].astype(float),
        whole=over["completeness"] >= MIN_WEEK_COMPLETENESS,
    )
    usable = values if statistic == "peak" else values[values["whole"]]
    return usable[[*SERIES, "week", "value", "whole"]].reset_index(drop=True)


def usable_by_week(
    steps: pd.DataFrame,
    sites: pd.DataFrame,
    plan: pd.DataFrame,
    weeks: pd.DatetimeIndex,
    limit: float,
    limits: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """level, key, direction, week and room_gbps: limit x capacity that was in force in each week, of every series of
    the plan; NaN where none is declared.

    steps: the contract's `capacity`; sites: the contract's `sites`. A group has the sum over the sites that the plan
    answers for; steps still planned do not count, for what was not installed carried nothing.
    """
    regions = dict(zip(sites["site_id"].astype(str), sites["region_id"].astype(str), strict=True))
    frames = []
    for direction in sorted(set(plan["direction"])):
        mine = plan[(plan["direction"] == direction)]
        keys = sorted(mine.loc[(mine["level"] == "site") & (mine["answer"] != "refused"), "key"])
        share = np.array([(limits or {}).get(key, limit) for key in keys])
        room = share[:, None] * weekly_capacity(steps, keys, _direction(direction), weeks, planned=False)
        members: dict[tuple[str, str], list[int]] = {}
        for at, key in enumerate(keys):
            for group in (("site", key), ("region", regions.get(key, "")), ("global", GLOBAL_KEY)):
                members.setdefault(group, []).append(at)
        frames += [
            _room(level, key, direction, weeks, _sum(room[positions])) for (level, key), positions in members.items()
        ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*SERIES, "week", "room_gbps"])


def score_plan(
    plan: pd.DataFrame,
    measured: pd.DataFrame,
    room: pd.DataFrame,
    start: pd.Timestamp,
    horizon: pd.Timestamp,
    today: pd.Timestamp,
) -> pd.DataFrame:
    """One row a row of the plan (level, key, direction, answer, run_out_p10, _p50, _p90, order_by, add_gbps,
    cost_usd_month): how it did.

    start, horizon: first Monday and end of the weeks that were planned; today: when the plan was made. Beside the
    plan's columns: ran_out (the day on which the measured statistic passed the room, NaT where it has not), known_until
    (end of the last week that is known to have stayed below, or of the one that did not), verdict, late_days (ran_out
    less run_out_p50; above 0: later than expected), early_days (ran_out less the day on which capacity ordered by the
    plan would have been in service; above 0: ordered too early, below: too late; NaN where either is not known),
    idle_days (the same as far as it is known: at least so long the order would have stood idle) and idle_usd (its cost,
    where the plan says what was to be added). A day is told as predictions are: on the line from the week before.
    """
    measured_in_room = measured.merge(room, on=[*SERIES, "week"], how="inner")
    series = {tuple(map(str, key)): rows for key, rows in measured_in_room.groupby(SERIES)}
    rows = [
        _outcome(row, series.get((row["level"], row["key"], row["direction"])), start, horizon, today)
        for row in plan.to_dict("records")
    ]
    columns = ["ran_out", "known_until", "verdict", "late_days", "early_days", "idle_days", "idle_usd"]
    outcomes = pd.DataFrame(rows, columns=columns, index=plan.index)
    stamps = dict.fromkeys(("ran_out", "known_until"), "datetime64[us, UTC]")
    return plan.join(outcomes.astype(stamps | dict.fromkeys(columns[3:], float)))


def _outcome(
    row: Mapping[Any, Any], weeks: pd.DataFrame | None, start: pd.Timestamp, horizon: pd.Timestamp, today: pd.Timestamp
) -> dict[str, Any]:
    ran_out, until = _crossing(weeks, start, horizon)
    if row["answer"] == "refused":
        return {"ran_out": ran_out, "known_until": until, "verdict": "refused"}
    verdict = interval_verdict(row, ran_out, until, horizon)
    outcome: dict[str, Any] = {"ran_out": ran_out, "known_until": until, "verdict": verdict}
    if ran_out is not None and pd.notna(row["run_out_p50"]):
        outcome["late_days"] = (ran_out - row["run_out_p50"]) / DAY
    ready = in_service(row, today)
    if ready is None:
        return outcome
    if ran_out is not None:
        outcome["early_days"] = (ran_out - ready) / DAY
    idle = max(((ran_out or until or ready) - ready) / DAY, 0.0)
    return outcome | {"idle_days": idle, "idle_usd": float(row["cost_usd_month"]) * idle / MONTH_DAYS}


def in_service(row: Mapping[Any, Any], today: pd.Timestamp) -> pd.Timestamp | None:
    """When capacity ordered as the plan says comes into service: after the padded lead time from the order-by date, or
    from the day of the plan where that had passed. None where nothing was to be ordered.
    """
    if pd.isna(row["order_by"]) or pd.isna(row["run_out_p10"]):
        return None
    ready: pd.Timestamp = max(row["order_by"], today.floor("D")) + (row["run_out_p10"] - row["order_by"])
    return ready


def interval_verdict(
    row: Mapping[Any, Any], ran_out: pd.Timestamp | None, until: pd.Timestamp | None, horizon: pd.Timestamp
) -> Verdict:
    """The verdict on an interval, an end of which is open (NaT) where it lies beyond the horizon."""
    early, late = row["run_out_p10"], row["run_out_p90"]
    if ran_out is not None:
        return (
            "earlier"
            if pd.isna(early) or ran_out < early
            else "later"
            if pd.notna(late) and ran_out > late
            else "inside"
        )
    if until is None:
        return "open"
    if pd.notna(late):
        return "later" if until > late else "open"
    return "inside" if until >= horizon else "open"


def _crossing(
    weeks: pd.DataFrame | None, start: pd.Timestamp, horizon: pd.Timestamp
) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """The day of the crossing, and until when it is known. A week without a whole measurement that stayed below says
    nothing.
    """
    if weeks is None:
        return None, None
    mine = weeks[(weeks["week"] >= start) & (weeks["week"] < horizon) & weeks["room_gbps"].notna()].sort_values("week")
    used = utilisation(mine["value"].to_numpy(float), mine["room_gbps"].to_numpy(float))
    is_known = mine["whole"].to_numpy(bool) | (used > 1.0)
    if not is_known.any():
        return None, None
    at = ((mine["week"] - start) // WEEK).to_numpy(int)[is_known]
    line: Reals = np.full((at[-1] + 1, 1), np.nan)
    line[at, 0] = used[is_known]
    days = float(first_crossings(line)[0])
    if not np.isfinite(days):
        return None, start + (int(at[-1]) + 1) * WEEK
    week = int(np.flatnonzero(line[:, 0] > 1.0)[0])
    return start + pd.Timedelta(days=days).floor("D"), start + (week + 1) * WEEK


def peak_hits(peaks: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """The plan's weekly quantiles (level, key, direction, week, q10, q50, q90) beside what was measured, of whole weeks
    that are over: value, ahead (weeks from
    the first planned one, which was under way: 0) and below_q10, below_q50, below_q90.
    """
    start = peaks["week"].min()
    hits = peaks.merge(measured[measured["whole"]].drop(columns=["whole"]), on=[*SERIES, "week"], how="inner")
    below = {f"below_{q}": hits["value"] <= hits[q] for q in QUANTILES}
    return hits.assign(ahead=((hits["week"] - start) // WEEK).astype(int), **below)


def calibration(hits: pd.DataFrame) -> pd.DataFrame:
    """ahead, quantile (its nominal share), observed (share of the weekly values at or below it) and count, from the
    hits of any number of plans.
    """
    rows = [
        {"ahead": int(ahead), "quantile": share, "observed": float(mine[f"below_{name}"].mean()), "count": len(mine)}
        for ahead, mine in hits.groupby("ahead")
        for name, share in QUANTILES.items()
    ]
    return pd.DataFrame(rows, columns=["ahead", "quantile", "observed", "count"]).astype(
        {"ahead": int, "quantile": float, "observed": float, "count": int}
    )


def _room(level: str, key: str, direction: str, weeks: pd.DatetimeIndex, gbps: Reals) -> pd.DataFrame:
    return pd.DataFrame({"level": level, "key": key, "direction": direction, "week": weeks, "room_gbps": gbps})


def _sum(room: Reals) -> Reals:
    """Over the sites that have any; NaN where none has."""
    return np.where(np.isnan(room).all(axis=0), np.nan, np.nansum(room, axis=0))


def _direction(name: str) -> Direction:
    return "ingest" if name == "ingest" else "egress"


# foreseen: passed, and not before the week from which on its 95 % interval reached over the limit. earlier: before it.
# missed: passed, though the interval never did. not come: the forecast itself passed, and it did not. quiet: neither.
ReplayVerdict = Literal["foreseen", "earlier", "missed", "not come", "quiet"]


class Replay(NamedTuple):
    """A past forecast against the weeks that came after it.

    rows: key, limit_gbps, expected_gbps, high_gbps, came_gbps (the busiest hour of all weeks; limit in its last week),
    expected_week and came_week (when it first passes the limit; NaT where never), verdict. start: of the first week;
    weeks: how many came whole; error: median of expected over came, less one, as a size; under_high: share of weeks at or
    below the upper end of their interval.
    """

    rows: pd.DataFrame
    start: pd.Timestamp
    weeks: int
    error: float
    under_high: float


def replay(weeks: pd.DataFrame, steps: pd.DataFrame, direction: Direction, limit: float) -> Replay | None:
    """Replay a forecast against the limit of what was installed then; None where no week came whole.

    weeks: key, start, expected, high, came, as data.queries.backtest_weeks gives them; steps: the contract's `capacity`.
    """
    whole = weeks.dropna(subset="came")
    if whole.empty:
        return None
    starts = pd.DatetimeIndex(sorted(whole["start"].unique()))
    keys = sorted(whole["key"].unique())
    gbps = limit * weekly_capacity(steps, keys, direction, starts, planned=False)
    limits = gbps[pd.Index(keys).get_indexer(whole["key"]), starts.get_indexer(whole["start"])]
    known = whole.assign(limit_gbps=limits).dropna(subset="limit_gbps")
    rows = [_replayed(str(key), mine.sort_values("start")) for key, mine in known.groupby("key")]
    order = {"missed": 0, "earlier": 1, "foreseen": 2, "not come": 3, "quiet": 4}
    table = pd.DataFrame(rows, columns=list(REPLAY_COLUMNS))
    dates = {name: pd.to_datetime(table[name], utc=True) for name in ("expected_week", "came_week")}
    table = table.assign(**dates).astype(REPLAY_COLUMNS)
    table = table.sort_values(["verdict", "came_week", "key"], key=lambda c: c.map(order) if c.name == "verdict" else c)
    error = (whole["expected"] / whole["came"].where(whole["came"] > 0.0) - 1.0).abs().median()
    under = float((whole["came"] <= whole["high"]).mean())
    return Replay(table.reset_index(drop=True), starts[0], len(starts), float(error), under)


REPLAY_COLUMNS = {
    "key": object,
    "limit_gbps": float,
    "expected_gbps": float,
    "high_gbps": float,
    "came_gbps": float,
    "expected_week": "datetime64[us, UTC]",
    "came_week": "datetime64[us, UTC]",
    "verdict": object,
}


def _replayed(key: str, mine: pd.DataFrame) -> dict[str, object]:
    """A row of one site."""
    first = {name: mine.loc[mine[name] > mine["limit_gbps"], "start"].min() for name in ("expected", "high", "came")}
    came = pd.notna(first["came"])
    verdict: ReplayVerdict = (
        ("missed" if pd.isna(first["high"]) else "foreseen" if first["came"] >= first["high"] else "earlier")
        if came
        else ("not come" if pd.notna(first["expected"]) else "quiet")
    )
    return {
        "key": key,
        "limit_gbps": mine["limit_gbps"].iloc[-1],
        "expected_gbps": mine["expected"].max(),
        "high_gbps": mine["high"].max(),
        "came_gbps": mine["came"].max(),
        "expected_week": first["expected"],
        "came_week": first["came"],
        "verdict": verdict,
    }
