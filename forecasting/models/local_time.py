"""The clock on the wall for models that count steps: when the clocks change, the same hour of the day is 23 or 25 hours
away, and a copy of 24 is an hour off.

A model sees the history as the clock showed it, on an even grid of local time: an hour that the clock showed twice is
the mean of both, one that it skipped is missing. What it forecasts on that grid is laid back on the steps as they pass:
the hour shown twice is told twice, the skipped one left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.models.baselines import nan_median
from forecasting.panel.history import History, Model, Reals, shared

Places = npt.NDArray[np.intp]


def by_the_clock(models: Mapping[str, Model]) -> dict[str, Model]:
    """The same models, each counting by the clock of the history's zone; where it does not change, they are what they
    were.

    A history with events must have lost them before (`with_event_effects` about these models): they are known by UTC alone.
    """
    return {name: _by_the_clock(model) for name, model in models.items()}


def _by_the_clock(model: Model) -> Model:
    def following(history: History, steps: int) -> Reals:
        shown = shared(history, ("shown", steps), lambda: turning(history, steps))
        if shown is None:
            return model(history, steps)
        length = known_on_the_wall(shown, steps)
        wall = shared(history, ("wall", length), lambda: on_the_wall(history, shown[:-steps], length))
        ahead = shown[-steps:] - length
        return model(wall, int(ahead.max()) + 1)[ahead]

    return following


def shown_steps(history: History, steps: int) -> Places:
    """At which step of the clock each step of a history and of those ahead lies, (T + steps), from 0 at the first; 0,
    1, 2, ... where it counts as they do.

    A clock that moves by no whole number of steps (an hour in a grid of days, half an hour in one of hours) cannot be
    counted by: as if it never moved.
    """
    plain = np.arange(len(history.stamps) + steps)
    if not history.zone:
        return plain
    shown = history.clock(history.stamps.append(history.ahead(steps)))
    found = np.asarray((shown - shown[0]) / history.step)
    return found.astype(np.intp) if np.array_equal(found, np.rint(found)) else plain


def turning(history: History, steps: int) -> Places | None:
    """The same where the clock changes, and leaves two steps to be seen before those ahead; else None."""
    found = shown_steps(history, steps) if steps else np.arange(0)
    changes = not np.array_equal(found, np.arange(len(found)))
    return found if changes and known_on_the_wall(found, steps) > 1 else None


def known_on_the_wall(shown: Places, steps: int) -> int:
    """How many steps of the clock are past for good: one that is shown again after the origin is to be foretold,
    although it was measured once.
    """
    return int(min(shown[-steps - 1] + 1, shown[-steps:].min()))


def on_the_wall(history: History, shown: Places, length: int) -> History:
    """The first `length` steps of the clock that showed these (T) to a history, which is left as it is without its
    events.
    """
    at = shown[: len(history.stamps)]
    values, at = history.measured[at < length], at[at < length]
    both = np.full((2, length, values.shape[1]), np.nan)
    # Of two values for one place the last one stays.
    both[0, at], both[1, at[::-1]] = values, values[::-1]
    stamps = pd.date_range(history.clock(history.stamps[:1])[0], periods=length, freq=history.step)
    # Without its fits: the history holds this one among them, and either would keep the other in memory.
    bare = replace(history, fits={})
    return History(stamps, nan_median(both), history.seasons, cut=lambda count: _beginning(bare, shown, count))


def _beginning(history: History, shown: Places, count: int) -> History:
    """The first steps of the clock, one history for all that begin with them; the history's own beginning where the
    clock has not changed yet.
    """
    end = int(np.count_nonzero(np.minimum.accumulate(shown[::-1])[::-1] < count))
    begun = history.beginning(end)
    if np.array_equal(shown[:end], np.arange(count)):
        return begun
    return shared(begun, ("wall", count), lambda: on_the_wall(begun, shown, count))
