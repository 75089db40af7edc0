"""Predictive quantiles without sampling, against samples: drawn one by one from the law, and as the prophet package
draws them.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from benchmarks.prophet_reference import DAILY, WEEKLY, mixed, quiet, unfitted
from forecasting.prophet_map.fit import Spec, fit
from forecasting.prophet_map.uncertainty import predictive_offsets, sample_trend_deviations

Reals = npt.NDArray[np.float64]
LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975]


@pytest.mark.parametrize("expected", [0.05, 0.5, 3.0, 40.0])
@pytest.mark.parametrize("ratio", [0.1, 1.0, 8.0])
def test_the_table_holds_what_samples_show(expected: float, ratio: float) -> None:
    rng = np.random.default_rng(5)
    bends, size = 25.0, 200_000
    ahead = expected / bends
    change = ratio / (ahead * np.sqrt(2.0 / 3.0 * expected))
    counts = rng.poisson(expected, size)
    pushes = rng.laplace(0.0, change, counts.sum()) * rng.uniform(0.0, ahead, counts.sum())
    drawn = rng.normal(size=size) + np.bincount(np.repeat(np.arange(size), counts), pushes, minlength=size)
    found = predictive_offsets(np.array([[ahead]]), np.array([[change]]), np.array([bends]), np.array([1.0]), LEVELS)[
        0, 0
    ]
    held = [(drawn <= bound).mean() for bound in found]
    assert held == pytest.approx(LEVELS, abs=0.006)


def test_within_the_history_only_the_noise_is_left() -> None:
    found = predictive_offsets(np.array([[-0.5], [0.0]]), np.ones((2, 1)), np.array([25.0]), np.array([2.0]), LEVELS)
    assert found[:, 0] == pytest.approx(
        np.tile([2.0 * NormalDist().inv_cdf(level) for level in LEVELS], (2, 1)), abs=0.005
    )


def test_paths_stray_as_the_law_has_it_and_are_smooth() -> None:
    ahead = np.linspace(-0.1, 0.4, 51)
    drawn = sample_trend_deviations(ahead, 0.3, 25.0, 40_000, np.random.default_rng(2))
    assert (drawn[ahead <= 0.0] == 0.0).all()
    later = ahead[ahead > 0.0]
    assert drawn[ahead > 0.0].std(axis=1)[5:] == pytest.approx(
        (0.3 * later * np.sqrt(2.0 / 3.0 * 25.0 * later))[5:], rel=0.05
    )
    slopes = np.diff(drawn[:, :100], axis=0)
    assert np.abs(np.diff(slopes, axis=0)).max() < np.abs(slopes).max()


def test_quantiles_are_those_that_prophet_samples() -> None:
    case = next(mixed(1, days=42))
    curves = fit(case.stamps, case.measured[:, None], case.spec)
    found = curves.quantiles(case.ahead, LEVELS)[:, 0]
    model = unfitted(case.spec)
    with quiet():
        model.fit(pd.DataFrame({"ds": case.stamps, "y": case.measured}))
        model.uncertainty_samples = 4000
        state = np.random.get_state()  # noqa: NPY002 - Prophet knows no other generator
        np.random.seed(3)  # noqa: NPY002
        drawn = model.predictive_samples(pd.DataFrame({"ds": case.ahead}))["yhat"]
        np.random.set_state(state)  # noqa: NPY002
    theirs = np.quantile(drawn, LEVELS, axis=1).T
    width = theirs[:, -1] - theirs[:, 0]
    assert np.abs(found - theirs).mean(axis=0) / width.mean() == pytest.approx(np.zeros(5), abs=0.04)


@pytest.mark.parametrize("spec", [Spec((DAILY, WEEKLY)), Spec((DAILY, WEEKLY), log=True)])
def test_quantiles_are_those_of_paths_and_noise_together_and_ordered(spec: Spec) -> None:
    case = next(mixed(1, days=21, seed=9))
    curves = fit(case.stamps, case.measured[:, None], replace(spec, changepoint_prior=0.5))
    levels = [0.01, 0.025, 0.1, 0.5, 0.9, 0.975, 0.99]
    found = curves.quantiles(case.ahead, levels)[:, 0]
    assert (np.diff(found, axis=1) > 0.0).all()
    assert found[:, 3] == pytest.approx(curves.predict(case.ahead)[:, 0])
    rng = np.random.default_rng(4)
    paths = curves.trend_paths(case.ahead, 3000, rng)[:, 0]
    drawn = curves.fitted_curve(case.ahead) + paths + rng.normal(0.0, curves.sigma[0], paths.shape)
    values = np.sort(
        np.exp(drawn) * curves.scale.usual[0] if spec.log and curves.scale.usual is not None else drawn, axis=1
    )
    held = (values[:, :, None] <= found[:, None, :]).mean(axis=(0, 1))
    assert held == pytest.approx(levels, abs=0.02)
