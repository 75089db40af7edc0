"""Samples that cannot be what a site carried: counter resets, lone spikes, and numbers in the wrong unit.

A rule like Hampel's, on the log scale: a sample is compared with the median of the same hour of the week in the weeks
before and after it, whichever is lower, and with the samples beside it. Set aside is

- a spike: up to three samples that rise to `SPIKE_RISE` times their neighbours on both sides, and pass `SPIKE_OVER_HIGHEST`
  times all else that the site ever carried (`EVENT_OVER_HIGHEST` where they last over an hour, or are the newest), or
  `SPIKE_OVER_CAPACITY` times its capacity in force;
- a stretch of less than two days above `STRETCH_OVER_CAPACITY` times the capacity, or `STRETCH_OVER_HIGHEST` times all else;
- a lasting change that capacity rules out, and whose factor is that of a unit, as megabits sent as gigabits.

A flash crowd lives: it climbs over several samples, and stays within a few times the capacity. Any other lasting change is
no spike: it is reported with what it likelier is, a new level or another unit, and stays. A spike that lasts turns into
one at the next refresh. Source: Hampel (1974); Pearson, Neuvo, Astola and Gabbouj (2016), Generalized Hampel filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Cause = Literal["spike", "above capacity", "unit error", "new level"]

HOUR, DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)
# Days and weeks whose medians are the usual value, before and after a sample; a median of fewer than three is of none.
USUAL_DAYS, USUAL_WEEKS, LEAST = 28, 6, 3
# Below twice the usual daily high nothing is looked at by sample: a value that low moves no weekly peak beyond what
# ordinary days reach.
SUSPECT = 2.0
USUAL_OVER_MEDIAN = 20.0
# A sample is part of a stretch above this many times the usual value of its hour of the week.
HIGH = 2.5
SPIKE_SAMPLES, SPIKE_HOURS = 3, 3 * HOUR
SPIKE_RISE = 3.0
SPIKE_OVER_HIGHEST = 3.0
SPIKE_OVER_CAPACITY = 2.0
# A live event has taken sites to 8 times their usual for hours, and at the end of the telemetry nothing says yet whether a rise
# lasts: what is longer than an hour, or not over, needs more.
EVENT_OVER_HIGHEST = 10.0
STRETCH_OVER_CAPACITY = 5.0
STRETCH_OVER_HIGHEST = 50.0
# So many robust standard deviations of the series' own departures from usual. On the noisiest real series at hand, 144 flows
# between pairs of nodes, 6, 3, 2 and 1 set aside 3, 5, 5 and 5 of 568,660 samples, and find 81, 97, 97 and 97 % of lone samples
# times 100.
SPIKE_DEVIATIONS = 2.0
# A change that lasts is a level. Its factor is that of a unit within a fifth.
LASTING = 2 * DAY
LEVEL_FACTOR = 5.0
UNIT_FACTORS = {
    8.0: "bits for bytes, 8",
    125.0: "megabytes for gigabits, 125",
    1000.0: "1,000 or 1,024",
    1e6: "1,000,000",
}
UNIT_TOLERANCE = 0.2
# A capacity is believed where the site stayed within twice of it for three days in all.
CREDIBLE_HOURS = 72
NEIGHBOUR = DAY
SET_ASIDE = ["ts", "value", "usual", "capacity_gbps", "cause", "reason"]
LEVEL_CHANGES = ["ts", "until", "value", "usual", "factor", "cause", "reason"]


class Screened(NamedTuple):
    """set_aside: ts, value, usual, capacity_gbps (NaN where none), cause, reason, a row for each sample. level_changes: ts, until
    (NaT while it lasts), value and usual (medians), factor, cause, reason, a row for each lasting change.
    """

    set_aside: pd.DataFrame
    level_changes: pd.DataFrame


class _Run(NamedTuple):
    """Samples first to last - 1 of a series, one after another above the usual; `before` and `after` are the samples beside
    them, NaN where there is none within a day.
    """

    first: int
    last: int
    lasted: pd.Timedelta
    before: float
    after: float


def suspect_days(highs: pd.DataFrame, capacity: pd.DataFrame) -> pd.DataFrame:
    """True on the days whose highest sample is worth a look: above twice the median daily high of the four weeks before or
    after, or above five times the capacity.

    highs: days (ascending, without gaps) by series, NaN where missing; capacity: the same shape, NaN where unknown.
    """
    positive = highs.where(highs > 0.0)
    usual = _lower_median(positive, USUAL_DAYS)
    return (highs > SUSPECT * usual) | (highs > STRETCH_OVER_CAPACITY * capacity)


def screen(samples: pd.Series, hours: pd.Series, capacity: pd.Series) -> Screened:
    """What is to be set aside of one series, and its lasting changes.

    samples: by ts (UTC, ascending), the days around those that are suspect, as they were measured. hours: the highest sample
    of every hour of the history by ts, without gaps, NaN where missing. capacity: in force at each sample, NaN where unknown.
    """
    measured = samples.notna() & (samples > 0.0)
    samples, capacity = samples[measured], capacity[measured]
    if samples.empty:
        return Screened(pd.DataFrame(columns=SET_ASIDE), pd.DataFrame(columns=LEVEL_CHANGES))
    values, limit, stamps = samples.to_numpy(float), capacity.to_numpy(float), pd.DatetimeIndex(samples.index)
    usual_hours = usual_by_hour(hours, limit)
    usual = usual_hours.reindex(stamps.floor("h")).to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        departures = np.log(hours.to_numpy(float) / usual_hours.to_numpy(float))
    spread = 1.4826 * float(np.nanmedian(np.abs(departures))) if np.isfinite(departures).any() else np.nan
    is_high = values > HIGH * usual
    runs = list(_runs(values, stamps, is_high))
    highest = _highest_else(values, stamps, hours, runs)
    set_aside, changes = list[dict[str, object]](), list[dict[str, object]]()
    for run in runs:
        cause, words = _cause(run, values, usual, limit, highest, spread)
        here = slice(run.first, run.last)
        if run.lasted >= LASTING and _rise(run, values, either=True) >= SPIKE_RISE and cause:
            changes.append(_change(run, values, usual, stamps, cause, words))
        if cause in ("spike", "above capacity") or (cause == "unit error" and _ruled_out(values[here], limit[here])):
            set_aside += [
                {"ts": ts, "value": value, "usual": u, "capacity_gbps": c, "cause": cause, "reason": words}
                for ts, value, u, c in zip(stamps[here], values[here], usual[here], limit[here], strict=True)
            ]
    return Screened(pd.DataFrame(set_aside, columns=SET_ASIDE), pd.DataFrame(changes, columns=LEVEL_CHANGES))


def screen_series(values: pd.Series, capacity: float = np.nan) -> Screened:
    """What is to be set aside of a whole series (by ts, UTC, ascending) with one capacity, as a refresh decides it."""
    days, hours = values.resample("D").max().to_frame(), values.resample("h").max()
    suspect = suspect_days(days, pd.DataFrame(capacity, days.index, days.columns)).to_numpy()[:, 0]
    near = suspect | np.r_[suspect[1:], False] | np.r_[False, suspect[:-1]]
    samples = values[pd.DatetimeIndex(values.index).floor("D").isin(days.index[near])]
    return screen(samples, hours, pd.Series(capacity, samples.index))


def usual_by_hour(hours: pd.Series, capacity: FloatArray) -> pd.Series:
    """The usual value of each hour: the median of the same hour of the week in the six weeks before or after, whichever is lower;
    of the same hour of the day where fewer than three weeks have it.

    Where the capacity is known, hours above twice the greatest capacity are left out if enough others remain.
    """
    most = float(np.nanmax(capacity)) if np.isfinite(capacity).any() else np.nan
    positive = hours.where(hours > 0.0)
    plausible = positive.where(~(positive > SPIKE_OVER_CAPACITY * most))
    believed = bool(np.isfinite(most)) and int(plausible.notna().sum()) >= CREDIBLE_HOURS
    source = plausible if believed else positive
    usual = _by_phase(source, 168, USUAL_WEEKS).fillna(_by_phase(source, 24, USUAL_DAYS // 2))
    # What returns every week at one hour would be its own usual value: no site carries so many times its median day then.
    middle = source.groupby(pd.DatetimeIndex(hours.index).floor("D")).median()
    most_usual = USUAL_OVER_MEDIAN * _lower_median(middle.to_frame("median"), USUAL_DAYS)["median"]
    usual = usual.clip(upper=most_usual.reindex(pd.DatetimeIndex(hours.index).floor("D")).to_numpy())
    if believed:  # a stretch that lasts longer than the weeks that the medians are of
        at = pd.DatetimeIndex(hours.index).hour
        usual = usual.fillna(source.groupby(at).transform("median"))
    return usual


def _by_phase(hours: pd.Series, period: int, cycles: int) -> pd.Series:
    """The lower of the medians of the same phase in the cycles before and after."""
    rows = -(-len(hours) // period)
    grid = np.full(rows * period, np.nan)
    grid[: len(hours)] = hours.to_numpy(float)
    usual = _lower_median(pd.DataFrame(grid.reshape(rows, period)), cycles).to_numpy()
    return pd.Series(usual.reshape(-1)[: len(hours)], hours.index)


def _lower_median(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """At each row the lower of the medians of the `count` rows before and after it; NaN where neither has three values."""
    before = rows.shift(1).rolling(count, min_periods=LEAST).median()
    after = rows.iloc[::-1].shift(1).rolling(count, min_periods=LEAST).median().iloc[::-1]
    return before.where(~(after < before), after).fillna(after)


def _runs(values: FloatArray, stamps: pd.DatetimeIndex, is_high: BoolArray) -> Iterator[_Run]:
    """The stretches of high samples; a gap of more than a day ends one."""
    steps = np.diff(stamps.as_unit("us").asi8)
    grain = pd.Timedelta(int(np.median(steps)) if len(steps) else 0, unit="us")
    apart = steps > NEIGHBOUR // pd.Timedelta(1, unit="us")
    starts = is_high & ~np.r_[False, is_high[:-1] & ~apart]
    ends = is_high & ~np.r_[is_high[1:] & ~apart, False]
    for first, final in zip(np.flatnonzero(starts), np.flatnonzero(ends), strict=True):
        before = values[first - 1] if first > 0 and not apart[first - 1] else np.nan
        after = values[final + 1] if final + 1 < len(values) and not apart[final] else np.nan
        lasted = stamps[final] - stamps[first] + grain
        yield _Run(int(first), int(final) + 1, lasted, float(before), float(after))


def _rise(run: _Run, values: FloatArray, *, either: bool = False) -> float:
    """The least sample of a run over the larger of its neighbours; over the smaller where `either` side will do. NaN without
    neighbours.
    """
    beside = [value for value in (run.before, run.after) if np.isfinite(value)]
    if not beside:
        return np.nan
    edges = values[[run.first, run.last - 1]].min() if either else values[run.first : run.last].min()
    return float(edges / max(min(beside) if either else max(beside), np.finfo(float).tiny))


def _is_short(run: _Run, values: FloatArray) -> bool:
    few = run.last - run.first <= SPIKE_SAMPLES and run.lasted <= SPIKE_HOURS
    return few and _rise(run, values) >= SPIKE_RISE


def _highest_else(values: FloatArray, stamps: pd.DatetimeIndex, hours: pd.Series, runs: list[_Run]) -> float:
    """The highest value of the series outside short rises and what lasts at a level of its own."""
    out = np.zeros(len(values), dtype=bool)
    for run in runs:
        if (
            _is_short(run, values)
            or run.lasted >= LASTING
            or _rise(run, values, either=True) >= STRETCH_OVER_HIGHEST / 5
        ):
            out[run.first : run.last] = True
    looked_at = hours.index.isin(stamps.floor("h").unique())
    rest = np.r_[values[~out], hours.to_numpy(float)[~looked_at]]
    return float(np.nanmax(rest)) if np.isfinite(rest).any() else np.nan


def _cause(
    run: _Run, values: FloatArray, usual: FloatArray, capacity: FloatArray, highest: float, spread: float
) -> tuple[Cause | None, str]:
    """What a run is, None for traffic like any other, and the reason in a sentence."""
    here = slice(run.first, run.last)
    least, factor = float(values[here].min()), float(np.median(values[here] / usual[here]))
    if run.lasted >= LASTING:
        return _lasting_cause(run, values, factor)
    over_capacity = float(np.min(values[here] / capacity[here])) if np.isfinite(capacity[here]).all() else 0.0
    if not highest <= SPIKE_OVER_CAPACITY * float(np.max(capacity[here])):
        over_capacity = 0.0  # the site has carried more than that: the capacity is not what limits it
    beyond, is_short = least / highest if highest > 0.0 else np.inf, _is_short(run, values)
    needed = SPIKE_OVER_HIGHEST if np.isfinite(run.after) and run.lasted <= HOUR else EVENT_OVER_HIGHEST
    cause: Cause | None = None
    words = f"{beyond:,.0f} times all else that the site carried"
    if min(over_capacity, factor) > STRETCH_OVER_CAPACITY:
        cause, words = "above capacity", f"{over_capacity:,.0f} times the capacity in force"
    elif is_short and over_capacity > SPIKE_OVER_CAPACITY:
        cause, words = "spike", f"{over_capacity:,.1f} times the capacity in force, for {_samples(run)}"
    elif is_short and beyond >= needed and np.log(factor) >= SPIKE_DEVIATIONS * spread:
        cause, words = "spike", f"{words}, for {_samples(run)}"
    elif beyond >= STRETCH_OVER_HIGHEST and _rise(run, values, either=True) >= SPIKE_RISE:
        cause = "spike"
    return cause, words


def _lasting_cause(run: _Run, values: FloatArray, factor: float) -> tuple[Cause | None, str]:
    """What a change that lasts likelier is; None for one that is small, or that the series grew into."""
    if not (factor >= LEVEL_FACTOR and _rise(run, values, either=True) >= SPIKE_RISE):
        return None, ""
    lasted = f"for {run.lasted / DAY:,.0f} days"
    if unit := _unit_of(factor):
        return "unit error", f"{factor:,.0f} times usual {lasted}: likelier another unit ({unit})"
    return "new level", f"{factor:,.1f} times usual {lasted}: likelier a new level"


def _samples(run: _Run) -> str:
    count = run.last - run.first
    return "a lone sample" if count == 1 else f"{count} samples"


def _ruled_out(values: FloatArray, capacity: FloatArray) -> bool:
    """Whether the middle of a lasting change lies so far above the capacity that it cannot be."""
    return bool(np.isfinite(capacity).all()) and float(np.median(values / capacity)) > SPIKE_OVER_CAPACITY


def _unit_of(factor: float) -> str:
    near = [words for unit, words in UNIT_FACTORS.items() if abs(np.log(factor / unit)) <= UNIT_TOLERANCE]
    return near[0] if near else ""


def _change(
    run: _Run, values: FloatArray, usual: FloatArray, stamps: pd.DatetimeIndex, cause: Cause, words: str
) -> dict[str, object]:
    here = slice(run.first, run.last)
    return {
        "ts": stamps[run.first],
        "until": pd.NaT if run.last == len(values) else stamps[run.last],
        "value": float(np.median(values[here])),
        "usual": float(np.median(usual[here])),
        "factor": float(np.median(values[here] / usual[here])),
        "cause": cause,
        "reason": words,
    }
