"""One series fitted anew while somebody waits: over another window, with another changepoint prior, as though an event
had not been known, or with one that is merely noted as a regressor.

Prophet's model by the panel's exact fit, on the log scale, in the series' own clock. It is a question put to the
history, not what a run would publish: no other model takes part, and nothing has licensed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.schema import MIN_HOUR_COMPLETENESS, Series
from forecasting.models.engine import (
    DAILY_ORDER,
    EVENT_HOURS,
    EVENT_PRIOR,
    HORIZON,
    YEARLY_AFTER,
    weekly_order,
)
from forecasting.panel.completeness import constant_reason, refusal_reason
from forecasting.panel.events import event_regressors
from forecasting.panel.history import Reals
from forecasting.panel.panel import HOUR, Panel, event_hours, without_outages
from forecasting.prophet_map.fit import Curves, Season, Spec, fit

DAY, YEAR = Season("day", 24.0, DAILY_ORDER), Season("year", 8766.0, 10)
WEEK_HOURS = 168
# How far ahead a refit is drawn, and its events are counted: as far as a run forecasts.
REFIT_HORIZON = HORIZON
# Leave out every event; any other word is the identifier of one.
NO_EVENT_KNOWN = "all"


class RefitOptions(NamedTuple):
    """What to fit: days of history (None: all), Prophet's changepoint prior scale, and the events to take otherwise:
    none (""), "all", one by its event_id.

    What counts is left out; an event with the treatment "note", which a run does not count, is tried as a regressor of
    its kind.
    """

    days: int | None = 90
    prior: float = 0.05
    without: str = ""


@dataclass(frozen=True, slots=True)
class Refit:
    """What a refit says; `refused` says why there is none, and the rest is then empty.

    - curve: ts (UTC, hours of the window and of the 90 days after it), yhat, in the unit of the metric.
    - trend: ts (UTC, days of the same time), value in the unit of the metric: the level without season and events.
    - day: hour (0 to 23 of `zone`'s clock), effect; week: hour (0 to 167 from Monday 00:00), effect: what the hour of
      the week adds to that of the day.
    - events: kind, effect, hours (seen in the window). Effects are shares of the level: 0.1 is ten percent above it.
    """

    curve: pd.DataFrame
    trend: pd.DataFrame
    day: pd.DataFrame
    week: pd.DataFrame
    events: pd.DataFrame
    zone: str
    hours: int
    refused: str = ""


def panel_of_one(
    series: Series, hours: pd.DataFrame, events: pd.DataFrame, sites: pd.DataFrame, now: pd.Timestamp
) -> Panel:
    """The panel of a single series, not masked yet.

    hours: ts on a complete axis, value, completeness. sites: site_id, region_id, timezone, usual (the site's usual
    value, null where it has none).
    """
    held = hours["value"].where(hours["completeness"] >= MIN_HOUR_COMPLETENESS)
    values = pd.DataFrame(held.to_numpy(dtype=float, na_value=np.nan), index=pd.DatetimeIndex(hours["ts"], name="ts"))
    values = values.loc[values.index + HOUR <= now]
    values.columns = pd.MultiIndex.from_tuples([series], names=Series._fields)
    by_site = sites.set_index("site_id")
    weights = {(str(site), series.metric): float(value) for site, value in by_site["usual"].dropna().items()}
    known = events.assign(scope=events["scope"].fillna("global"), treatment=events["treatment"].fillna("note"))
    zones: Mapping[str, str] = by_site["timezone"].dropna().to_dict()
    return Panel(values, values, known, by_site["region_id"].to_dict(), weights, now, HOUR, zones)


def refit(panel: Panel, series: Series, wish: RefitOptions) -> Refit:
    """Fit the series as wished and say what it then expects, with its parts."""
    left = _otherwise(panel, wish.without)
    masked = without_outages(left.hourly.mask(event_hours(left)))[series]
    values = masked if wish.days is None else masked.loc[left.now - pd.Timedelta(days=wish.days) :]
    values = values.loc[values.first_valid_index() :]
    if reason := refusal_reason(values, left.now) or constant_reason(values):
        return _refused(reason)
    stamps, touching, zone = pd.DatetimeIndex(values.index), left.touching(series), left.clock(series)
    columns = event_regressors(touching, stamps, HOUR)
    known = columns.loc[:, columns.sum() >= EVENT_HOURS]
    curves = fit(
        _local(stamps, zone), values.to_numpy()[:, None], _spec(stamps, wish.prior), known.to_numpy(), EVENT_PRIOR
    )
    ahead = pd.date_range(stamps[0], left.start + REFIT_HORIZON, freq=HOUR, inclusive="left", unit="us", name="ts")
    expected = curves.predict(_local(ahead, zone), event_regressors(touching, ahead, HOUR)[known.columns].to_numpy())[
        :, 0
    ]
    curve, trend = pd.DataFrame({"ts": ahead, "yhat": expected}), _trend(curves, ahead[::24], zone)
    return Refit(curve, trend, *_season(curves), _effects(curves, known), zone, int(values.count()))


def _otherwise(panel: Panel, event: str) -> Panel:
    """The panel as though nobody had known of an event, or of any; one that is merely noted becomes a regressor."""
    known = panel.events
    if event == NO_EVENT_KNOWN:
        return replace(panel, events=known.head(0))
    meant, noted = known["event_id"] == event, known["treatment"] == "note"
    return replace(
        panel, events=known.assign(treatment=known["treatment"].mask(meant & noted, "regressor"))[~meant | noted]
    )


def _spec(stamps: pd.DatetimeIndex, prior: float) -> Spec:
    span = stamps[-1] - stamps[0] + HOUR
    seasons = (DAY, Season("week", float(WEEK_HOURS), weekly_order(span)), *([YEAR] if span >= YEARLY_AFTER else []))
    return Spec(seasons, log=True, changepoint_prior=prior)


def _local(stamps: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    return stamps.tz_convert(zone).tz_localize(None)


def _trend(curves: Curves, stamps: pd.DatetimeIndex, zone: str) -> pd.DataFrame:
    return pd.DataFrame({"ts": stamps, "value": curves.scale.value(curves.trend(_local(stamps, zone)))[:, 0]})


def _season(curves: Curves) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hour of the day, and what the hour of the week adds to it.

    The harmonics of a day are also some of a week's, so that a fit may put a shape into either: they are added up and
    split anew.
    """
    monday = pd.date_range("2024-01-01", periods=WEEK_HOURS, freq="h")
    parts = curves.components(monday, np.zeros((WEEK_HOURS, curves.regressors.shape[1])))
    both: Reals = (parts["day"] + parts["week"])[:, 0].reshape(7, 24)
    daily = both.mean(axis=0)
    of_day = pd.DataFrame({"hour": np.arange(24), "effect": np.expm1(daily)})
    return of_day, pd.DataFrame({"hour": np.arange(WEEK_HOURS), "effect": np.expm1(both - daily).ravel()})


def _effects(curves: Curves, seen: pd.DataFrame) -> pd.DataFrame:
    """What an hour wholly within an event of each kind adds, where the event covers the whole series."""
    kinds = [column.removeprefix("event_") for column in seen.columns]
    effects = np.expm1(curves.regressors[0] * curves.scale.size[0])
    return pd.DataFrame({"kind": pd.Series(kinds, dtype="str"), "effect": effects, "hours": seen.sum().to_numpy()})


def _refused(reason: str) -> Refit:
    def empty(**columns: str) -> pd.DataFrame:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})

    stamp, real = "datetime64[us, UTC]", "float64"
    season = empty(hour="int64", effect=real)
    events = empty(kind="str", effect=real, hours=real)
    return Refit(empty(ts=stamp, yhat=real), empty(ts=stamp, value=real), season, season, events, "UTC", 0, reason)
