"""Bands about now at the telemetry's grain, by the model that is drawn: what it would have forecast for the last two
weeks, out of sample, and what it forecasts for the next two days.

Left of now, each hour is the forecast of the newest past origin before it: a day back, then a week, then two. They are
the backtests' own, so nothing is fitted for them: weights, licence and intervals of an origin are chosen without its own
evidence. An hour's interval is carried to finer samples by adding, in quadrature, how far the samples of the last four
weeks lay from the line through the measured hourly means.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from data.schema import QUANTILES, Series
from forecasting.evaluation.conformal import RESIDUAL_FLOOR_SHARE
from forecasting.evaluation.scores import PastIntervals
from forecasting.models.engine import BAND_BACK, BAND_COLUMNS, IDENTITY
from forecasting.panel.history import Reals
from forecasting.panel.panel import HOUR, Panel

# One hour more than the bands reach back, because the telemetry may end within an hour.
HOURS_BACK = int(BAND_BACK / HOUR) + 1
# Interval levels of a band, and the upper end of each among the contract's quantiles; intervals are symmetric, and the
# lower end may be cut off at zero.
BAND_LEVELS = {"80": (0.80, "q90"), "95": (0.95, "q975")}
# Of fewer samples a quantile at 95 % says nothing.
SAMPLES_AT_LEAST = 40
# Series whose samples are in memory at once.
SERIES_AT_ONCE = 64


def recent_forecasts(past: PastIntervals, length: int, hours: int = HOURS_BACK) -> tuple[Reals, Reals]:
    """What would have been forecast for the last `hours` of a history of `length` steps, each by the newest origin
    before it: point (hours, N) and quantiles (hours, N, 7); NaN where no origin reaches.
    """
    series = past.trials.forecasts.shape[2]
    point, quantiles = np.full((hours, series), np.nan), np.full((hours, series, len(QUANTILES)), np.nan)
    for origin, forecasts, bounds in zip(past.trials.origins, past.trials.forecasts, past.bounds, strict=True):
        first, last = max(origin, length - hours), min(origin + len(bounds), length)
        if first < last:
            ahead, place = slice(first - origin, last - origin), slice(first - length + hours, last - length + hours)
            is_forecast = np.isfinite(forecasts[ahead]) & np.isfinite(bounds[ahead]).all(axis=2)
            point[place] = np.where(is_forecast, forecasts[ahead], point[place])
            quantiles[place] = np.where(is_forecast[:, :, None], bounds[ahead], quantiles[place])
    return point, quantiles


def bands_at_grain(panel: Panel, hourly: pd.DataFrame, stamps: pd.DatetimeIndex) -> pd.DataFrame:
    """Rows of `bands` at these stamps, at the panel's grain.

    hourly: IDENTITY, ts, yhat and the contract's quantiles, of hours on both sides of now; a stamp without them has no
    row.
    """
    if not len(hourly):
        return pd.DataFrame(columns=BAND_COLUMNS)
    columns = ["yhat", *(upper for _, upper in BAND_LEVELS.values())]
    wide = hourly.pivot(index="ts", columns=IDENTITY, values=columns).sort_index()  # noqa: PD010 - pivot_table drops what is NaN
    axis = pd.date_range(wide.index[0], wide.index[-1], freq=HOUR, name="ts")
    wide = wide.reindex(axis)
    series = [Series(*key) for key in wide["yhat"].columns]
    parts = [
        _bands_of(panel, wide, series[at : at + SERIES_AT_ONCE], stamps) for at in range(0, len(series), SERIES_AT_ONCE)
    ]
    return pd.concat(parts, ignore_index=True)


def _bands_of(panel: Panel, wide: pd.DataFrame, series: list[Series], stamps: pd.DatetimeIndex) -> pd.DataFrame:
    """Rows of some series from hourly forecasts, (hours, columns by series)."""
    axis, keys = pd.DatetimeIndex(wide.index), list(map(tuple, series))
    expected = at_samples(wide["yhat"][keys].to_numpy(float), axis, stamps, panel.grain)
    spread, floor = within_hours(panel, series)
    noise = np.sqrt(np.maximum(expected, 0.0) + floor)
    bounds: dict[str, Reals] = {}
    for place, (name, (_, upper)) in enumerate(BAND_LEVELS.items()):
        hourly = (wide[upper][keys] - wide["yhat"][keys]).to_numpy(float)
        half = np.hypot(at_samples(hourly, axis, stamps, panel.grain), spread[place] * noise)
        bounds |= {f"lower_{name}": np.maximum(expected - half, 0.0), f"upper_{name}": expected + half}
    identity = {name: np.repeat([getattr(one, name) for one in series], len(stamps)) for name in Series._fields}
    values = {name: column.T.ravel() for name, column in ({"expected": expected} | bounds).items()}
    rows = pd.DataFrame({**identity, "ts": np.tile(stamps, len(series)), **values})
    rows["ts"] = pd.DatetimeIndex(rows["ts"]).as_unit("us")
    return rows.loc[np.isfinite(rows["expected"] + rows["upper_95"]), BAND_COLUMNS]


def at_samples(hourly: Reals, hours: pd.DatetimeIndex, stamps: pd.DatetimeIndex, grain: pd.Timedelta) -> Reals:
    """Hourly means (H, N) at the middles of samples (S, N): linear between the middles of two hours, held beyond the
    ends and beside a gap.

    hours: consecutive. NaN where a sample's own hour has no value.
    """
    middles = np.asarray((stamps - hours[0] + 0.5 * grain) / HOUR)
    own = np.clip(np.floor(middles), 0, len(hours) - 1).astype(np.int64)
    outside = (middles < 0.0) | (middles > len(hours))
    place = np.clip(middles - 0.5, 0.0, len(hours) - 1.0)
    lower = place.astype(np.int64)
    upper, share = np.minimum(lower + 1, len(hours) - 1), (place - lower)[:, None]
    line = hourly[lower] * (1.0 - share) + np.where(share > 0.0, hourly[upper] * share, 0.0)
    found = np.where(np.isnan(line), hourly[own], line)
    return np.where(np.isnan(hourly[own]) | outside[:, None], np.nan, found)


def within_hours(panel: Panel, series: list[Series]) -> tuple[Reals, Reals]:
    """How far samples lie from the line through the measured hourly means: quantiles of the absolute distance over the
    root of the level, (levels, N), and the floor that is added to a level, (N).
    """
    hours = (
        panel.hourly.loc[panel.samples.index[0].floor("h") :, series] if len(panel.samples) else panel.hourly[series]
    )
    usual = np.nan_to_num(np.abs(hours.to_numpy(float)).sum(axis=0) / np.maximum(hours.notna().sum(axis=0), 1))
    floor = np.where(usual > 0.0, RESIDUAL_FLOOR_SHARE * usual, 1.0)
    spread = np.zeros((len(BAND_LEVELS), len(series)))
    if panel.grain >= HOUR or not len(hours):
        return spread, floor
    samples = panel.samples[series]
    line = at_samples(
        hours.to_numpy(float), pd.DatetimeIndex(hours.index), pd.DatetimeIndex(samples.index), panel.grain
    )
    distance = np.abs(samples.to_numpy(float) - line) / np.sqrt(np.maximum(line, 0.0) + floor)
    for place, column in enumerate(distance.T):
        known = column[np.isfinite(column)]
        if len(known) >= SAMPLES_AT_LEAST:
            spread[:, place] = np.quantile(known, [level for level, _ in BAND_LEVELS.values()])
    return spread, floor
