"""What every model of the pool sees: series side by side on one even grid, and the panel fits that several models share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

Reals = npt.NDArray[np.float64]
Fit = TypeVar("Fit")


@dataclass(frozen=True, slots=True)
class History:
    """`measured` values (T, N), NaN where missing, at `stamps` (T), evenly spaced.

    seasons: cycles in steps, shortest first, such as 24 and 168; none where there is no cycle. fits: what models fitted to this very history, so that those
    which share a fit do not repeat it.
    """

    stamps: pd.DatetimeIndex
    measured: Reals
    seasons: tuple[int, ...] = ()
    fits: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def step(self) -> pd.Timedelta:
        """The distance between two stamps; an hour where there is but one."""
        return self.stamps[1] - self.stamps[0] if len(self.stamps) > 1 else pd.Timedelta(hours=1)

    @property
    def short(self) -> int:
        """The shortest cycle in steps, usually a day; 1 where there is none."""
        return self.seasons[0] if self.seasons else 1

    @property
    def long(self) -> int:
        """The longest cycle in steps, usually a week; 1 where there is none."""
        return self.seasons[-1] if self.seasons else 1

    def until(self, count: int) -> History:
        """The first `count` steps, which know nothing of what came after."""
        return History(self.stamps[:count], self.measured[:count], self.seasons)

    def of(self, columns: npt.NDArray[Any]) -> History:
        """Some of the series."""
        return History(self.stamps, self.measured[:, columns], self.seasons)

    def ahead(self, steps: int) -> pd.DatetimeIndex:
        """The stamps that follow."""
        return pd.DatetimeIndex(self.stamps[-1] + self.step * np.arange(1, steps + 1))


# Point forecasts (steps, series), that many steps ahead; finite wherever the series has a value at all.
Model = Callable[[History, int], Reals]


def shared(history: History, key: Hashable, make: Callable[[], Fit]) -> Fit:
    """What was fitted to this history under that key, or is now."""
    if key not in history.fits:
        history.fits[key] = make()
    found: Fit = history.fits[key]
    return found
