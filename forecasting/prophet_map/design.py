"""Columns of the design: time, changepoints and Fourier terms as Prophet makes them, shared by all series that were
observed at the same stamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.panel.spread import Reals
from forecasting.prophet_map.spec import Season, Spec

Rows = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Axis:
    """A series' own time: 0 at its first observation, 1 at its last, `span` days apart.

    changepoints: (C,) on that axis; those that a short history has no room for are infinite, and bend nothing. bends:
    how many are finite.
    """

    start: float
    span: float
    changepoints: Reals
    bends: int

    def at(self, days: Reals) -> Reals:
        """Days since the epoch on this axis."""
        return (days - self.start) / self.span

    def hinges(self, days: Reals) -> Reals:
        """(T, C): how far each stamp lies after each changepoint."""
        return np.maximum(self.at(days)[:, None] - self.changepoints, 0.0)


@dataclass(frozen=True, slots=True)
class Group:
    """Series that share every column of the design: the rows that were observed, and regressors (T, K)."""

    members: Places
    observed: Rows
    axis: Axis
    regressors: Reals


def days_of(stamps: pd.DatetimeIndex) -> Reals:
    """Days since the epoch by the clock that the stamps show."""
    shown = stamps.tz_localize(None)
    return np.asarray(shown.asi8 / (DAY // pd.Timedelta(1, shown.unit)), dtype=float)


def fourier(days: Reals, season: Season) -> Reals:
    """(T, 2 x order): sine and cosine of each harmonic, in Prophet's order and phase."""
    # Harmonics are the powers of the first one on the unit circle, which is several times quicker than as many sines.
    first = np.exp(2j * np.pi * 24.0 / season.period_hours * days)
    powers = np.cumprod(np.broadcast_to(first[:, None], (len(days), season.order)), axis=1)
    return np.stack([powers.imag, powers.real], axis=2).reshape(len(days), -1)


def seasonal(days: Reals, seasons: Sequence[Season]) -> Reals:
    """(T, F): the columns of all seasons side by side."""
    return np.hstack([np.empty((len(days), 0)), *(fourier(days, season) for season in seasons)])


def axis_of(days: Reals, spec: Spec) -> Axis:
    """Time and changepoints of a series that was observed on these days (ascending), placed where Prophet places
    them.
    """
    if not len(days):
        return Axis(0.0, 1.0, np.full(spec.hinges, np.inf), 0)
    start, span = float(days[0]), float(days[-1] - days[0]) or 1.0
    early = int(np.floor(len(days) * spec.changepoint_range))
    bends = max(min(spec.hinges, early - 1), 0)
    places = np.linspace(0, max(early - 1, 0), bends + 1).round().astype(int)[1:]
    points = np.full(spec.hinges, np.inf)
    points[:bends] = (days[places] - start) / span
    return Axis(start, span, points, bends)


def grouped(days: Reals, observed: Rows, spec: Spec, regressors: Reals) -> list[Group]:
    """Groups of the series (columns of `observed`), in the order in which they first appear; regressors are (T, K) for
    all or (T, K, N).
    """
    scoped = regressors.ndim == 3
    found: dict[bytes, list[int]] = {}
    whole = np.asarray(observed.all(axis=0))
    for series in range(observed.shape[1]):
        mask = b"" if whole[series] else np.packbits(observed[:, series]).tobytes()
        found.setdefault(mask + (regressors[:, :, series].tobytes() if scoped else b""), []).append(series)
    firsts = [members[0] for members in found.values()]
    axes = [axis_of(days[observed[:, first]], spec) for first in firsts]
    own = [np.ascontiguousarray(regressors[:, :, first]) if scoped else regressors for first in firsts]
    return [
        Group(np.array(members), observed[:, first], axis, held)
        for members, first, axis, held in zip(found.values(), firsts, axes, own, strict=True)
    ]
