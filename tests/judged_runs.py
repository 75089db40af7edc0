"""Runs with licences, backtests, scores and peaks, worked out from a lake's own hours by plain methods, for tests of
what reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.schema import HORIZONS, PEAK_QUANTILES, QUANTILES
from tests.small_lake import SITES

Reals = npt.NDArray[np.float64]
METRICS = ("egress_gbps", "ingest_gbps")
WEEK, HOUR = 168, pd.Timedelta(hours=1)
# Days that the backtest reaches which sees furthest; its origin is none of the others.
FAR_DAYS = 17
ORIGINS, AHEAD, WEEKS = 8, 90 * 24, 26
# The winner must beat the best baseline by this share of its error.
NOISE = 0.03
KEYS = ["level", "key", "metric"]
BASELINES = ("seasonal_median", "seasonal_naive_168", "seasonal_naive_24")
# Regions and the network are drawn as the sums of their sites, whatever beat what; here that is what the blend would
# have said.
SUM = "sum of sites"
# Scores that all models have; those of bands are told of the blend, Prophet, the best baseline and what is drawn.
POINTS = ("mase", "wape", "bias")


def judged_lake(where: Path, *, days: int = 44, end: str = "2026-03-20", runs: int = 2, seed: int = 5) -> Lake:
    """Six sites by the hour, whose demand has a day, a weekend, noise that differs by site, and a level that wanders;
    and some judged runs.
    """
    lake = Lake(where)
    stamps = pd.date_range(end=pd.Timestamp(end, tz="UTC"), periods=days * 24, freq="h", inclusive="both")[:-1].as_unit(
        "us"
    )
    sites = SITES.assign(region_id=["eu-west", "eu-west", "sa", "asia", "asia", "na-east"])
    _write(lake, "sites", sites)
    _write(
        lake,
        "telemetry",
        pd.concat([_demand(site, number, stamps, seed) for number, site in enumerate(sites["site_id"])]),
    )
    _write(
        lake,
        "capacity",
        pd.DataFrame(
            {"site_id": sites["site_id"], "direction": "egress", "effective_from": stamps[0], "capacity_gbps": 900.0}
        ),
    )
    _write(lake, "events", _cups(stamps))
    refresh_rollups(lake)
    publish(lake, runs)
    return lake


def _demand(site: str, number: int, stamps: pd.DatetimeIndex, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed + number)
    hour = np.arange(len(stamps))
    wander = np.cumsum(rng.normal(0, 0.004, len(stamps)))
    log = (
        0.5 * np.sin(2 * np.pi * (hour + 3 * number) / 24)
        + 0.2 * (stamps.day_of_week >= 5)
        + 0.0004 * hour / 24
        + wander
        - wander.mean()
    )
    egress = (
        100.0 * (number + 1) * np.exp(log + rng.normal(0, 0.02 + 0.02 * number, len(stamps)) + 0.3 * _in_cup(stamps))
    )
    return pd.DataFrame(
        {"ts": stamps, "received_at": stamps, "site_id": site, "ingest_gbps": egress / 15, "egress_gbps": egress}
    )


def _in_cup(stamps: pd.DatetimeIndex) -> Reals:
    """Three hours every other Saturday evening."""
    week = np.arange(len(stamps)) // WEEK
    return np.asarray(
        (stamps.day_of_week == 5) & (stamps.hour >= 18) & (stamps.hour < 21) & (week % 2 == 0), dtype=float
    )


def _cups(stamps: pd.DatetimeIndex) -> pd.DataFrame:
    firsts = stamps[(_in_cup(stamps) > 0) & (stamps.hour == 18)]
    names = {
        "event_id": [f"cup-{n}" for n in range(len(firsts))],
        "title": [f"Cup, round {n + 1}" for n in range(len(firsts))],
    }
    return pd.DataFrame(
        {
            **names,
            "kind": "tournament",
            "start": firsts,
            "end": firsts + 3 * HOUR,
            "scope": "global",
            "treatment": "regressor",
        }
    )


# The run
# -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """Hours by series up to `now`, what each method would have said at each past origin, and what came: arrays
    (origins, hours, series).
    """

    hours: pd.DataFrame
    origins: list[int]
    told: dict[str, Reals]
    came: Reals
    spread: Reals

    @property
    def now(self) -> pd.Timestamp:
        return self.hours.index[-1] + HOUR


def publish(lake: Lake, runs: int = 3) -> list[str]:
    """Publish runs a day apart, the last at the end of the telemetry; returns their identifiers, oldest first."""
    whole = _hours(lake)
    names = [f"judged-{number}" for number in range(1, runs + 1)]
    for number, run in enumerate(names, start=1):
        judged = _judge(whole.iloc[: len(whole) - 24 * (runs - number)])
        for table, rows in _tables(judged).items():
            _write(lake, table, rows.assign(run_id=run), append=True)
        _write(lake, "runs", _run(lake, judged, run, number), append=True)
    return names


def _hours(lake: Lake) -> pd.DataFrame:
    rows = lake.read("telemetry_1h").to_pandas()
    wide = rows.pivot_table(index="ts", columns=["level", "key"], values=[f"{metric}_mean" for metric in METRICS])
    wide.columns = pd.MultiIndex.from_tuples(
        [(level, key, name.removesuffix("_mean")) for name, level, key in wide.columns], names=KEYS
    )
    axis = pd.date_range(wide.index[0], wide.index[-1], freq="h", unit="us")
    return wide.sort_index(axis="columns").reindex(axis).interpolate(limit_direction="both")


def _judge(hours: pd.DataFrame) -> Judged:
    values = hours.to_numpy()
    origins = [len(values) - WEEK - 24 * n for n in reversed(range(ORIGINS))]
    told = {name: np.stack([method(values[:at], WEEK) for at in origins]) for name, method in METHODS.items()}
    came = np.stack([values[at : at + WEEK] for at in origins])
    ratio = (came / np.maximum(told["blend"], 1e-9)).reshape(-1, values.shape[1])
    return Judged(hours, origins, told, came, np.quantile(ratio, list(QUANTILES.values()), axis=0))


def _naive(period: int) -> Callable[[Reals, int], Reals]:
    return lambda past, ahead: np.resize(past[-period:], (ahead, past.shape[1]))


def _median(past: Reals, ahead: int) -> Reals:
    weeks = min(4, len(past) // WEEK)
    week = np.median(past[-weeks * WEEK :].reshape(weeks, WEEK, -1), axis=0)
    return np.resize(week, (ahead, past.shape[1]))


def _sloped(past: Reals, ahead: int) -> Reals:
    """The usual week along a straight line through all of the past: as harmful on short history as a fitted slope
    is.
    """
    hours = np.arange(len(past), dtype=float)
    slope = np.polyfit(hours, past, 1)[0]
    return np.maximum(0.0, _median(past, ahead) + slope * (np.arange(ahead)[:, None] + 2 * WEEK))


def _blend(past: Reals, ahead: int) -> Reals:
    return np.asarray(
        0.5 * _median(past, ahead) * past[-48:].mean(axis=0) / _median(past, 48)[-48:].mean(axis=0)
        + 0.5 * _median(past, ahead)
    )


METHODS: dict[str, Callable[[Reals, int], Reals]] = {
    "blend": _blend,
    "prophet": _sloped,
    "seasonal_median": _median,
    "seasonal_naive_168": _naive(WEEK),
    "seasonal_naive_24": _naive(24),
}


def _tables(judged: Judged) -> dict[str, pd.DataFrame]:
    licences = pd.DataFrame(_licences(judged))
    scores = pd.DataFrame([*_scores(judged), *_peak_scores(judged)])
    drawn = scores.merge(licences[[*KEYS, "horizon", "model"]], on=[*KEYS, "horizon", "model"])
    return {
        "licences": licences,
        "scores": pd.concat([scores, drawn.assign(model="licensed")], ignore_index=True),
        "backtests": pd.concat(_backtests(judged), ignore_index=True),
        "forecasts": _forecasts(judged),
        "bands": _bands(judged),
        "peaks": pd.concat(_peaks(judged), ignore_index=True),
        "series_status": pd.DataFrame(
            [
                {
                    **dict(zip(KEYS, c, strict=True)),
                    "status": "fitted",
                    "model": "blend",
                    "observations": len(judged.hours),
                    "seconds": 0.01,
                }
                for c in judged.hours.columns
            ]
        ),
    }


def _scale(judged: Judged) -> Reals:
    values = judged.hours.to_numpy()
    return np.asarray(np.abs(values[WEEK:] - values[:-WEEK]).mean(axis=0))


def _within(horizon: str) -> slice | None:
    """The hours of a backtest that a horizon band covers; None where none does."""
    first, last = HORIZONS[horizon]
    return slice(first, last) if last <= WEEK else None


def _errors(judged: Judged, horizon: str) -> dict[str, Reals]:
    """MASE of each method, by series."""
    hours = _within(horizon)
    return {
        name: np.abs(judged.came - told)[:, hours].mean(axis=(0, 1)) / _scale(judged)
        for name, told in judged.told.items()
    }


def _licences(judged: Judged) -> Iterator[dict[str, Any]]:
    for horizon in HORIZONS:
        tried = _within(horizon) is not None
        errors = _errors(judged, horizon if tried else "1-7 d")
        for n, column in enumerate(judged.hours.columns):
            base = min(BASELINES, key=lambda name: errors[name][n]) if tried else "seasonal_naive_168"
            best = min(errors, key=lambda name: errors[name][n])
            noise = NOISE * errors[base][n]
            best = best if column[0] == "site" else "blend"
            won = tried and best not in BASELINES and errors[best][n] < errors[base][n] - noise
            model = SUM if column[0] != "site" else best if won else base
            words = f"{model} is drawn" if tried else "history allows no backtest this far ahead"
            told = {
                "horizon": horizon,
                "model": model,
                "share": None if model == SUM else float(won),
                "baseline": base,
                "licensed": won,
                "error": errors["blend" if model == SUM else model][n],
            }
            more = {
                "baseline_error": errors[base][n],
                "margin": noise,
                "origins": ORIGINS if tried else 0,
                "reason": words,
            }
            yield dict(zip(KEYS, column, strict=True)) | told | more


def _scores(judged: Judged) -> Iterator[dict[str, Any]]:
    for horizon in HORIZONS:
        hours = _within(horizon)
        best = _best_baselines(judged, horizon) if hours else []
        for name, told in (*judged.told.items(), (SUM, judged.told["blend"])) if hours else ():
            for score, values in _scored(judged, told[:, hours], judged.came[:, hours]).items():
                for n, column in enumerate(judged.hours.columns):
                    if (name != SUM or column[0] != "site") and (
                        score in POINTS or name not in BASELINES or name == best[n]
                    ):
                        told_of = {
                            "model": name,
                            "horizon": horizon,
                            "score": score,
                            "value": values[n],
                            "origins": ORIGINS,
                        }
                        yield {**dict(zip(KEYS, column, strict=True)), **told_of}


def _best_baselines(judged: Judged, horizon: str) -> list[str]:
    """The best baseline of each series."""
    errors = _errors(judged, horizon)
    return [min(BASELINES, key=lambda name: errors[name][n]) for n in range(judged.hours.shape[1])]


def _scored(judged: Judged, told: Reals, came: Reals) -> dict[str, Reals]:
    quantiles = {name: told * judged.spread[n] for n, name in enumerate(QUANTILES)}
    inside = {
        f"coverage_{level}": ((came >= quantiles[low]) & (came <= quantiles[high])).mean(axis=(0, 1))
        for level, low, high in ((50, "q25", "q75"), (80, "q10", "q90"), (95, "q025", "q975"))
    }
    low, high = quantiles["q025"], quantiles["q975"]
    missed = (high - low + 40 * np.maximum(low - came, 0) + 40 * np.maximum(came - high, 0)).mean(axis=(0, 1))
    error = np.abs(came - told).mean(axis=(0, 1))
    return {
        "mase": error / _scale(judged),
        "wape": error / came.mean(axis=(0, 1)),
        "bias": (told - came).mean(axis=(0, 1)) / came.mean(axis=(0, 1)),
        "pinball": error / 2,
        "msis_95": missed / _scale(judged),
        **inside,
    }


def _peak_scores(judged: Judged) -> Iterator[dict[str, Any]]:
    """How many of the weekly peaks and P95 of the origins lay under the quantiles; further weeks a little worse, and
    the P95 worse than the peak.
    """
    highest = judged.came.max(axis=1) / judged.told["blend"].max(axis=1)
    for model, week, level in product(("peaks", "peaks-p95"), range(1, 5), ("q90", "q95")):
        eased = 1.02 - 0.02 * week - (0.01 if model == "peaks-p95" else 0.0)
        covered = (highest <= _peak_factor(judged, level) * eased).mean(axis=0)
        for n, column in enumerate(judged.hours.columns):
            name = f"coverage_{level.removeprefix('q')}"
            yield {
                **dict(zip(KEYS, column, strict=True)),
                "model": model,
                "horizon": f"week {week}",
                "score": name,
                "value": covered[n],
                "origins": ORIGINS,
            }


def _peak_factor(judged: Judged, level: str) -> Reals:
    """A quantile of the week's peak over the peak of the expected week: the pointwise one, moved up because a peak is
    the highest of many.
    """
    return np.asarray(
        np.quantile(judged.came.max(axis=1) / judged.told["blend"].max(axis=1), PEAK_QUANTILES[level], axis=0) * 1.01
    )


def _backtests(judged: Judged) -> Iterator[pd.DataFrame]:
    for place, at in enumerate(judged.origins):
        yield from _backtest(judged, at, {name: told[place] for name, told in judged.told.items()})
    values, far = judged.hours.to_numpy(), len(judged.hours) - 24 * FAR_DAYS
    yield from _backtest(judged, far, {name: METHODS[name](values[:far], 24 * FAR_DAYS) for name in METHODS})


def _backtest(judged: Judged, at: int, told: dict[str, Reals]) -> Iterator[pd.DataFrame]:
    """One origin, by series."""
    for n, column in enumerate(judged.hours.columns):
        curves = {
            short: told[name][:, n]
            for short, name in (("yhat", "blend"), ("prophet", "prophet"), ("baseline", "seasonal_naive_168"))
        }
        stamps = pd.date_range(judged.hours.index[at], periods=len(curves["yhat"]), freq="h", unit="us")
        bounds = {
            name: curves["yhat"] * judged.spread[q, n]
            for q, name in enumerate(QUANTILES)
            if name in {"q025", "q10", "q90", "q975"}
        }
        yield pd.DataFrame(
            {**dict(zip(KEYS, column, strict=True)), "origin": stamps[0], "ts": stamps, **curves, **bounds}
        )


def _forecasts(judged: Judged) -> pd.DataFrame:
    stamps = pd.date_range(judged.now, periods=AHEAD, freq="h", unit="us")
    values = judged.hours.to_numpy()
    curves = {"yhat": _blend(values, AHEAD), "prophet": _sloped(values, AHEAD), "baseline": _naive(WEEK)(values, AHEAD)}
    curves |= {name: curves["yhat"] * judged.spread[n] for n, name in enumerate(QUANTILES)}
    return _long(judged, stamps, curves)


def _bands(judged: Judged) -> pd.DataFrame:
    """The last four days as the newest origins would have had them, and two days ahead."""
    values = judged.hours.to_numpy()
    expected = _blend(values[:-96], 96 + 48)
    names = {"lower_80": "q10", "upper_80": "q90", "lower_95": "q025", "upper_95": "q975"}
    bounds = {name: expected * judged.spread[list(QUANTILES).index(quantile)] for name, quantile in names.items()}
    return _long(
        judged,
        pd.date_range(judged.now - 96 * HOUR, periods=144, freq="h", unit="us"),
        {"expected": expected, **bounds},
    )


def _long(judged: Judged, stamps: pd.DatetimeIndex, curves: dict[str, Reals]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                **dict(zip(KEYS, column, strict=True)),
                "ts": stamps,
                **{name: curve[:, n] for name, curve in curves.items()},
            }
        )
        for n, column in enumerate(judged.hours.columns)
    ]
    return pd.concat(parts, ignore_index=True)


def _peaks(judged: Judged) -> Iterator[pd.DataFrame]:
    first = judged.now.normalize() - pd.Timedelta(days=judged.now.day_of_week) + pd.Timedelta(days=7)
    weeks = pd.date_range(first, periods=WEEKS, freq="7D", unit="us")
    highest = _blend(judged.hours.to_numpy(), WEEK).max(axis=0)
    # Further weeks are higher and less certain.
    later = np.arange(WEEKS)
    rise, wider = 1.0 + 0.006 * later, np.sqrt(1.0 + later / 8.0)
    for n, column in enumerate(judged.hours.columns):
        for statistic, share in (("peak", 1.0), ("p95", 0.93)):
            middle = _peak_factor(judged, "q50")[n]
            quantiles = {
                q: share * highest[n] * middle * rise * (_peak_factor(judged, q)[n] / middle) ** wider
                for q in PEAK_QUANTILES
            }
            yield pd.DataFrame(
                {**dict(zip(KEYS, column, strict=True)), "week": weeks, "statistic": statistic, **quantiles}
            )


def _run(lake: Lake, judged: Judged, run: str, number: int) -> pd.DataFrame:
    share = float(np.mean([row["licensed"] for row in _licences(judged)]))
    counts = {"fitted": judged.hours.shape[1], "refused": 0, "failed": 0, "licensed_share": share}
    row = {
        "run_id": run,
        "number": number,
        "telemetry_version": lake.version("telemetry"),
        "telemetry_until": judged.now,
        "engine": "panel",
        "versions": '{"numpy": "2.4.1", "headroom": "0.2"}',
        "started": judged.now + HOUR,
        "seconds": 20.0 + number,
        **counts,
    }
    return pd.DataFrame([row])


def _write(lake: Lake, name: str, rows: pd.DataFrame, *, append: bool = False) -> None:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    if append:
        lake.append(name, table)
    else:
        lake.replace(name, table)
