"""Prophet's model fitted to a panel of series at once: `fit` gives `Curves`, which answer for any stamps.

The answer is the same maximum a posteriori that the prophet package looks for one series at a time, found exactly and for all together: series that were observed at
the same stamps share one design matrix, and each then needs only the products of that matrix with its values (docs/models.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.models.posterior.batches import TREND_PRIOR, solved, without_noise
from forecasting.models.posterior.design import Group, days_of, grouped, seasonal
from forecasting.models.posterior.scale import Scale
from forecasting.models.posterior.spec import Season, Spec
from forecasting.models.spread import Reals

__all__ = ["Curves", "Season", "Spec", "fit"]


@dataclass(frozen=True, slots=True)
class Curves:
    """The fitted curves of N series.

    sigma: (N,), noise on the fitted scale. change: (N,), the mean size of a change of slope. objective: (N,), the negative logarithm of the posterior, up to a constant.
    A series without any value is NaN throughout.
    """

    spec: Spec
    groups: list[Group]
    scale: Scale
    offset: Reals
    slope: Reals
    changes: Reals
    seasons: Reals
    regressors: Reals
    sigma: Reals
    change: Reals
    objective: Reals

    def predict(self, stamps: pd.DatetimeIndex, regressors: Reals | None = None) -> Reals:
        """(H, N): what is expected, in units of the values; on the log scale the median."""
        return self.scale.value(self.fitted_curve(stamps, regressors))

    def fitted_curve(self, stamps: pd.DatetimeIndex, regressors: Reals | None = None) -> Reals:
        """(H, N): the curve on the scale that was fitted, logarithms where the model is one of logarithms."""
        return self.trend(stamps) + sum(self._effects(stamps, regressors).values())

    def components(self, stamps: pd.DatetimeIndex, regressors: Reals | None = None) -> dict[str, Reals]:
        """The trend, each season by its name, and the regressors together, each (H, N): they add up to the fitted curve."""
        return {"trend": self.trend(stamps)} | self._effects(stamps, regressors)

    def trend(self, stamps: pd.DatetimeIndex) -> Reals:
        """(H, N): the trend on the fitted scale."""
        days = days_of(stamps)
        found = np.empty((len(days), len(self.offset)))
        for group in self.groups:
            of = group.members
            found[:, of] = np.outer(group.axis.at(days), self.slope[of]) + self.offset[of] + group.axis.hinges(days) @ self.changes[of].T
        return found * self.scale.size

    def _effects(self, stamps: pd.DatetimeIndex, regressors: Reals | None) -> dict[str, Reals]:
        """Seasons and regressors on the fitted scale."""
        days, at, found = days_of(stamps), 0, {}
        for season in self.spec.seasons:
            found[season.name] = seasonal(days, [season]) @ self.seasons[:, at : at + 2 * season.order].T * self.scale.size
            at += 2 * season.order
        if self.regressors.shape[1]:
            found["regressors"] = _effect(given(regressors, len(days), self.regressors.shape[1]), self.regressors) * self.scale.size
        return found


def given(regressors: Reals | None, rows: int, columns: int) -> Reals:
    """The regressors, or an array without columns; raises ValueError where their shape is not the one fitted."""
    found = np.empty((rows, 0)) if regressors is None else np.asarray(regressors, dtype=float)
    if found.shape[:2] != (rows, columns):
        raise ValueError(f"regressors have the shape {found.shape}; ({rows}, {columns}) or ({rows}, {columns}, series) is needed")
    return found


def _effect(regressors: Reals, coefficients: Reals) -> Reals:
    return regressors @ coefficients.T if regressors.ndim == 2 else np.einsum("tkn,nk->tn", regressors, coefficients)


def fit(stamps: pd.DatetimeIndex, values: Reals, spec: Spec, regressors: Reals | None = None, regressor_prior: float | Reals = 10.0) -> Curves:
    """Fit every column of `values`, (T, N), NaN where missing or masked, observed at the T stamps: UTC, or local time without a zone.

    regressors: (T, K) shared by all series, or (T, K, N); they enter as they are, without Prophet's standardisation. regressor_prior: one scale, or one for each.
    Raises ValueError for shapes that do not fit and for values that are infinite.
    """
    values = np.asarray(values, dtype=float)
    count = np.shape(regressors)[1] if regressors is not None else 0
    columns = given(regressors, len(stamps), count)
    if values.shape[:1] != (len(stamps),) or np.isinf(values).any():
        raise ValueError(f"values of shape {values.shape} for {len(stamps)} stamps; one row for each stamp is needed, finite or NaN")
    if spec.multiplicative:
        raise ValueError("multiplicative seasons are not solved yet")
    days = days_of(stamps)
    order = np.argsort(days, kind="stable")
    scale, scaled, observed = Scale.of(values[order], log=spec.log)
    groups = grouped(days[order], observed, spec, columns[order])
    priors = np.broadcast_to(np.asarray(regressor_prior, dtype=float), (count,))
    return _curves(days[order], scaled, groups, spec, priors, scale)


def _curves(days: Reals, scaled: Reals, groups: list[Group], spec: Spec, priors: Reals, scale: Scale) -> Curves:
    base = np.hstack([np.ones((len(days), 1)), seasonal(days, spec.seasons)])
    season_columns = base.shape[1] - 1
    widths = np.r_[TREND_PRIOR, np.full(season_columns, spec.season_prior), np.full(spec.slopes, TREND_PRIOR), priors]
    found = without_noise(solved(days, base, scaled, groups, spec, 1.0 / widths**2), scaled, groups)
    smooth, after = found.smooth, 1 + season_columns + spec.slopes
    slope = smooth[:, after - 1] if spec.slopes else np.zeros(len(smooth))
    bends = np.empty(len(smooth))
    for group in groups:
        bends[group.members] = max(group.axis.bends, 1)
    change = np.abs(found.changes).sum(axis=1) / bends * scale.size
    sigma = np.sqrt(found.variance) * scale.size
    return Curves(spec, groups, scale, smooth[:, 0], slope, found.changes, smooth[:, 1 : 1 + season_columns], smooth[:, after:], sigma, change, found.objective)
