"""Events for models that know nothing of them: a model sees the history without what events did to it, and its forecast
gets what the coming ones will do.

The effect of each kind of event on each series is that of the panel's log-scale curve with the events as regressors,
learned from the history alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.models.series_spec import EVENT_HOURS, EVENT_PRIOR, TREND_PRIOR
from forecasting.panel.event_scopes import covered, known_kinds
from forecasting.panel.history import History, Known, Model, Reals, shared
from forecasting.panel.panel import HOUR
from forecasting.prophet_map.fit import Curves, Season, Spec, fit

# A shape fine enough that the hours of an event are not blamed for what every such hour of the week has.
ORDERS = (8, 6)
# An effect beyond tenfold, either way, is a fault of the data or of the fit.
LARGEST = float(np.log(10.0))


def told_of_events(models: Mapping[str, Model]) -> dict[str, Model]:
    """The same models, each aware of the history's events."""
    return {name: _aware(model) for name, model in models.items()}


def _aware(model: Model) -> Model:
    def aware(history: History, steps: int) -> Reals:
        if history.known is None:
            return model(history, steps)
        effect = _effect(history)
        ahead = shared(history, ("effect", steps), lambda: effect.at(history.ahead(steps)))
        return model(effect.without, steps) * ahead

    return aware


def _effect(history: History) -> Effect:
    return shared(history, "effect", lambda: Effect.of(history, history.known))


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events as regressors on a grid of hours from `first` on, (hours, K, N): how much of each hour, and of each
    series, events of each kind cover.
    """

    first: pd.Timestamp
    grid: Reals

    @classmethod
    def of(cls, events: Sequence[pd.DataFrame], hours: pd.DatetimeIndex) -> EventColumns | None:
        """Of the events of each series, as `Panel.touching` gives them; None where there is none to learn from."""
        kinds = known_kinds(events)
        return cls(hours[0], covered(events, kinds, hours, HOUR)) if kinds else None

    def __call__(self, stamps: pd.DatetimeIndex | npt.NDArray[np.datetime64]) -> Reals:
        """(h, K, N) at hours of the grid, UTC; zero beyond it."""
        index = pd.DatetimeIndex(stamps)
        at = np.asarray(((index if index.tz else index.tz_localize("UTC")) - self.first) / HOUR).astype(np.int64)
        held = (at >= 0) & (at < len(self.grid))
        found = np.zeros((len(at), *self.grid.shape[1:]))
        found[held] = self.grid[at[held]]
        return found


@dataclass(frozen=True, slots=True)
class Effect:
    """What events do to the series of a history: `without` is that history as it would have been without them."""

    curves: Curves
    known: Known
    learned: Reals
    history: History
    without: History

    @classmethod
    def of(cls, history: History, known: Known | None) -> Effect:
        """Learn the effects; raises ValueError for a history that knows of no events."""
        if known is None:
            raise ValueError("the history knows of no events")
        hours = history.step / pd.Timedelta(hours=1)
        seasons = tuple(
            Season(f"every {season}", season * hours, min(order, season // 2))
            for season, order in zip(history.seasons, ORDERS, strict=False)
        )
        columns = known(history.stamps)
        learned = (columns.sum(axis=0) * hours >= EVENT_HOURS).astype(float)
        spec = Spec(seasons, log=True, changepoint_prior=TREND_PRIOR)
        curves = fit(history.clock(history.stamps), history.measured, spec, columns * learned, EVENT_PRIOR)
        bare = cls(curves, known, learned, history, history)
        measured = history.measured / bare.at(history.stamps)
        # A beginning is without what events did as far as was known when it ended.
        return replace(
            bare,
            without=replace(
                history,
                measured=measured,
                fits={},
                known=None,
                beginnings={},
                cut=lambda count: _effect(history.beginning(count)).without,
            ),
        )

    def at(self, stamps: pd.DatetimeIndex) -> Reals:
        """The factor (h, N) by which events raise each series at each stamp; 1 where there are none."""
        found = self.curves.components(self.history.clock(stamps), self.known(stamps) * self.learned)["regressors"]
        return np.asarray(np.exp(np.clip(np.nan_to_num(found), -LARGEST, LARGEST)))
