"""Which of Prophet's models to fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Season(NamedTuple):
    """One seasonality: its name, its period in hours, and how many harmonics it has."""

    name: str
    period_hours: float
    order: int


@dataclass(frozen=True, slots=True)
class Spec:
    """A model: Prophet's names for the same settings are seasonality_mode, growth, n_changepoints and the prior scales.

    log: fit the logarithm, with a floor of 2 % of the median. changepoint_prior and season_prior are scales, as
    Prophet's are.
    """

    seasons: tuple[Season, ...]
    log: bool = False
    multiplicative: bool = False
    growth: Literal["linear", "flat"] = "linear"
    changepoints: int = 25
    changepoint_range: float = 0.8
    changepoint_prior: float = 0.05
    season_prior: float = 10.0

    @property
    def hinges(self) -> int:
        """How many places where the trend may bend; a flat one does not."""
        return self.changepoints if self.growth == "linear" else 0

    @property
    def slopes(self) -> int:
        """1 where the trend has a slope, 0 where it is flat."""
        return int(self.growth == "linear")
