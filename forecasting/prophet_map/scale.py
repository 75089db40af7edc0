"""Values as the model sees them: at most 1 in size, logarithms where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.panel.spread import CEILING, FLOOR_SHARE, Reals
from forecasting.prophet_map.design import Places, Rows


@dataclass(frozen=True, slots=True)
class Scale:
    """The scales of N series: `size` (N,), the largest absolute value on the fitted scale, which Prophet divides by.

    On the log scale also `usual` and `highest` (N,), the median of the values above zero and the largest value, as
    `LogScale` has them for one series. still (N,): whether a series never changes its value, or has none.
    """

    size: Reals
    usual: Reals | None
    highest: Reals | None
    still: Rows

    @classmethod
    def of(cls, values: Reals, *, log: bool) -> tuple[Scale, Reals]:
        """The scales, and the scaled values with zero where missing; values are (T, N), NaN where missing."""
        ends, usual, highest = np.stack([np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)]), None, None
        if log:
            usual, highest = _usual(values), np.maximum(ends[1], 0.0)
            values, ends = (np.log(np.maximum(part, FLOOR_SHARE * usual) / usual) for part in (values, ends))
        size = np.abs(ends).max(axis=0)
        size = np.where(size > 0.0, size, 1.0)
        scaled = values / size
        if np.isnan(scaled.sum()):  # scaled values do not overflow: a sum tells whether any is missing
            np.copyto(scaled, 0.0, where=np.isnan(scaled))
        return cls(size, usual, highest, ~(ends[1] > ends[0])), scaled

    @classmethod
    def joined(cls, parts: Sequence[Scale], order: Places) -> Scale:
        """The scales of all parts, one after another, then put in order."""
        size, still = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("size", "still"))
        usual, highest = (
            None if parts[0].usual is None else np.concatenate([getattr(part, name) for part in parts])[order]
            for name in ("usual", "highest")
        )
        return cls(size, usual, highest, still)

    def value(self, curve: Reals) -> Reals:
        """From the fitted scale back to the unit of the series, as `LogScale.value` does; without logarithms the curve
        itself.
        """
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
