"""Cold start: which series have too little history to forecast, and young series forecast by the shape of their group at
their own level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.schema import MIN_SERIES_COMPLETENESS
from forecasting.panel.history import History, Reals

# Two days tell a daily shape from a trend; with no season, eight values tell a level from noise.
LEAST_CYCLES, LEAST_STEPS = 2, 8
# A mate that was not measured while the young series was says nothing of what share of it that is.
TOGETHER_AT_LEAST = 0.5
# A borrowed shape is less certain than one's own: bands are half as wide again as the group's are for its own members.
WIDER = 1.5


class ColdStart(NamedTuple):
    """Point (H, N) and quantiles (H, N, Q) with the young series' replaced, and a note for each of those (None for the
    others).
    """

    point: Reals
    quantiles: Reals
    notes: list[str | None]


def refusals(history: History) -> list[str | None]:
    """For each series the reason why it is not forecast, or None."""
    floor = max(LEAST_CYCLES * history.short, LEAST_STEPS)
    return [_refusal(column, floor) for column in ~np.isnan(history.measured.T)]


def _refusal(is_known: np.ndarray[tuple[int], np.dtype[np.bool_]], floor: int) -> str | None:
    count = int(is_known.sum())
    if not count:
        return "no usable value: all are missing"
    life = len(is_known) - int(is_known.argmax())
    if count < floor:
        return f"{count} usable values; at least {floor} are needed"
    if count < MIN_SERIES_COMPLETENESS * life:
        return f"{count / life:.0%} of the values since its first one are usable; at least {MIN_SERIES_COMPLETENESS:.0%} are needed"
    return None


def young(history: History) -> list[bool]:
    """Whether each series has not yet seen its longest season twice over, as its shape would need."""
    lives = [len(known) - int(known.argmax()) if known.any() else 0 for known in ~np.isnan(history.measured.T)]
    return [life < 2 * history.long for life in lives]


def borrow_shape(history: History, point: Reals, quantiles: Reals, groups: Sequence[str]) -> ColdStart:
    """The forecasts of a panel with those of young series made from their groups' grown members; in a group without
    one they stay as they are.
    """
    point, quantiles = point.copy(), quantiles.copy()
    notes: list[str | None] = [None] * len(groups)
    fresh, labels = np.array(young(history)), np.array(groups)
    for series in np.flatnonzero(fresh):
        mates = _mates_measured_beside(history.measured, series, np.flatnonzero((labels == labels[series]) & ~fresh))
        share = _share(history.measured[:, series], history.measured[:, mates]) if len(mates) else None
        if share is None:
            continue
        shape = point[:, mates].sum(axis=1)
        point[:, series] = share * shape
        quantiles[:, series] = _spread(point[:, series], point[:, mates], quantiles[:, mates])
        cycles = int((~np.isnan(history.measured[:, series])).sum()) / max(history.short, 1)
        notes[series] = (
            f"{cycles:.0f} cycles of its own; the shape is that of {len(mates)} series of {labels[series]}, with bands {WIDER:g} times as wide"
        )
    return ColdStart(point, quantiles, notes)


def _mates_measured_beside(measured: Reals, series: np.intp, mates: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The mates that were measured in enough of the steps in which the series was."""
    is_known = ~np.isnan(measured[~np.isnan(measured[:, series])][:, mates])
    return mates[is_known.mean(axis=0) >= TOGETHER_AT_LEAST] if len(is_known) else mates


def _share(own: Reals, others: Reals) -> float | None:
    """The level of a series as a share of the sum of others, over the steps where all were measured; None where there
    are none.
    """
    total = others.sum(axis=1)
    both = ~np.isnan(own) & ~np.isnan(total)
    carried = total[both].sum()
    return float(own[both].sum() / carried) if carried > 0.0 else None


def _spread(centre: Reals, others: Reals, quantiles: Reals) -> Reals:
    """Quantiles (H, Q) about a centre (H): the mean relative distance of the group's own, widened; none below zero
    where none of theirs is.
    """
    size = np.where(others > 0.0, others, np.nan)[:, :, None]
    relative = (quantiles - others[:, :, None]) / size
    is_known = ~np.isnan(relative)
    usual = np.where(is_known, relative, 0.0).sum(axis=1) / np.maximum(is_known.sum(axis=1), 1)
    widened = centre[:, None] * (1.0 + WIDER * usual)
    return np.asarray(np.maximum(widened, 0.0) if not (quantiles < 0.0).any() else widened)
