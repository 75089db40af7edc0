"""Forecasts that agree across levels: what the sites carry adds up to what their regions and the network carry.

Point forecasts are summed from the bottom, or reconciled by weighted least squares (MinT with a diagonal covariance:
Wickramasuriya, Athanasopoulos and Hyndman, 2019). Quantiles of a sum are never sums of quantiles: they come from joint
paths (paths.py). What reconciliation gains is measured in benchmarks/peaks.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from forecasting.peaks.weekly_statistics import Reals

Whole = npt.NDArray[np.int64]


def bottom_up(sites: Reals, groups: Sequence[Whole]) -> Reals:
    """(H, N + G): forecasts of N sites, (H, N), and their sums over G groups of positions.

    A site without a forecast (NaN) is left out of the sums; a group without any is NaN.
    """
    return np.column_stack([sites, *(nansum(sites[:, members].T) for members in groups)])


def nansum(rows: Sequence[Reals] | Reals) -> Reals:
    """The sum of forecasts (n, h) at each step, (h), of those that are there; NaN where none is."""
    stacked = np.asarray(rows, dtype=float)
    return np.where(np.isfinite(stacked).any(axis=0), np.nansum(stacked, axis=0), np.nan)


def mint_diagonal(forecasts: Reals, groups: Sequence[Whole], variances: Reals) -> Reals:
    """(H, N + G): the forecasts of sites and groups, (H, N + G), moved as little as makes them add up, those with a
    large error variance, (N + G,), the most.

    Never negative: what falls below zero is zero, and the sums are taken after it. Raises ValueError where a value or a
    variance is not finite, or no variance is above zero.
    """
    count = forecasts.shape[1] - len(groups)
    if not np.isfinite(forecasts).all() or not (np.isfinite(variances) & (variances > 0.0)).all():
        raise ValueError("forecasts must be finite and variances above zero: leave out the series that have none")
    if not groups:
        return np.maximum(forecasts, 0.0)
    member = np.zeros((len(groups), count))
    for row, members in zip(member, groups, strict=True):
        row[members] = 1.0
    weighted = member * variances[:count]
    lacking = forecasts[:, count:] - forecasts[:, :count] @ member.T
    moved = np.linalg.solve(weighted @ member.T + np.diag(variances[count:]), lacking.T)
    return bottom_up(np.maximum(forecasts[:, :count] + moved.T @ weighted, 0.0), groups)
