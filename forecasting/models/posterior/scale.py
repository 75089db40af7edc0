"""Values as the model sees them: at most 1 in size, logarithms where asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.models.posterior.design import Rows
from forecasting.models.spread import CEILING, FLOOR_SHARE, Reals


@dataclass(frozen=True, slots=True)
class Scale:
    """The scales of N series: `size` (N,), the largest absolute value on the fitted scale, which Prophet divides by.

    On the log scale also `usual` and `highest` (N,), the median of the values above zero and the largest value, as `LogScale` has them for one series.
    """

    size: Reals
    usual: Reals | None
    highest: Reals | None

    @classmethod
    def of(cls, values: Reals, *, log: bool) -> tuple[Scale, Reals, Rows]:
        """The scales, the scaled values with zero where missing, and where there are any; values are (T, N)."""
        observed = np.isfinite(values)
        usual = highest = None
        if log:
            usual, highest = _usual(values), np.where(observed.any(axis=0), np.max(values, axis=0, where=observed, initial=0.0), np.nan)
            values = np.log(np.maximum(values, FLOOR_SHARE * usual) / usual)
        held = np.where(observed, values, 0.0)
        size = np.abs(held).max(axis=0, initial=0.0)
        size[size == 0.0] = 1.0
        return cls(size, usual, highest), held / size, observed

    def value(self, curve: Reals) -> Reals:
        """From the fitted scale back to the unit of the series, as `LogScale.value` does; without logarithms the curve itself."""
        if self.usual is None or self.highest is None:
            return curve
        ceiling = np.log(np.maximum(CEILING * self.highest / self.usual, FLOOR_SHARE))
        found = self.usual * np.exp(np.minimum(curve, ceiling))
        return np.where(found <= FLOOR_SHARE * self.usual, 0.0, found)


def _usual(values: Reals) -> Reals:
    """The median of each series' values above zero; 1 where it has none."""
    above = np.where(values > 0.0, values, np.nan)
    ordered = np.sort(above, axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    low, high = (np.take_along_axis(ordered, np.maximum((count - 1 + up) // 2, 0)[None], axis=0)[0] for up in (0, 1))
    return np.where(count > 0, (low + high) / 2.0, 1.0)
