"""The lasso behind the trend: optimal by its own conditions, wherever it starts from, and the same as another
solver's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from forecasting.prophet_map.posterior import LassoSolution, solve_lasso

Reals = npt.NDArray[np.float64]
unhurried = settings(deadline=None, max_examples=40)


def problems(seed: int, count: int, size: int, collinear: float) -> tuple[Reals, Reals, Reals]:
    """Grams, targets and bounds of regressions on hinges, which are nearly collinear."""
    rng = np.random.default_rng(seed)
    hinges = np.maximum(np.linspace(0.0, 1.0, 60)[:, None] - np.linspace(0.0, collinear, size), 0.0)
    columns = hinges * rng.uniform(0.5, 2.0, (count, 1, size))
    values = columns @ rng.laplace(0.0, 1.0, (count, size, 1)) + rng.normal(0.0, 0.3, (count, 60, 1))
    turned = np.swapaxes(columns, 1, 2)
    return turned @ columns, (turned @ values)[:, :, 0], rng.lognormal(-1.0, 2.0, count)


def violation(gram: Reals, target: Reals, bound: Reals, values: Reals) -> float:
    """How far the worst condition of optimality is from holding, in units of what rounding and the ridge on the
    diagonal explain.
    """
    left = target - np.matvec(gram, values)
    at_zero = np.maximum(np.abs(left) - bound[:, None], 0.0)
    active = np.abs(left - bound[:, None] * np.sign(values))
    explained = 1e-6 * bound + 1e-7 * np.abs(target).max(axis=1)
    return float((np.where(values == 0.0, at_zero, active) / explained[:, None]).max())


@unhurried
@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from([0.3, 0.8]))
def test_the_conditions_of_optimality_hold(seed: int, size: int, collinear: float) -> None:
    gram, target, bound = problems(seed, 9, size, collinear)
    found = solve_lasso(gram, target, bound, LassoSolution.near(np.zeros((9, size))))
    assert violation(gram, target, bound, found.values) < 1.0


@unhurried
@given(st.integers(0, 10_000), st.floats(0.0, 3.0))
def test_it_arrives_from_anywhere(seed: int, far: float) -> None:
    gram, target, bound = problems(seed, 5, 12, 0.8)
    rng = np.random.default_rng(seed)
    start = rng.normal(0.0, far, target.shape) * (rng.random(target.shape) < 0.5)
    found, cold = (solve_lasso(gram, target, bound, LassoSolution.near(at)) for at in (start, np.zeros_like(start)))
    assert violation(gram, target, bound, found.values) < 1.0
    assert found.values == pytest.approx(cold.values, rel=1e-4, abs=1e-5)


def test_it_agrees_with_coordinate_descent() -> None:
    gram, target, bound = problems(3, 4, 8, 0.8)
    found = solve_lasso(gram, target, bound, LassoSolution.near(np.zeros((4, 8))))
    for one in range(4):
        root = np.linalg.cholesky(gram[one])
        other = Lasso(alpha=bound[one] / 8, fit_intercept=False, tol=1e-12, max_iter=1_000_000).fit(
            root.T, np.linalg.solve(root, target[one])
        )
        assert found.values[one] == pytest.approx(other.coef_, abs=1e-5)


def test_a_bound_that_nothing_exceeds_leaves_nothing() -> None:
    gram, target, _ = problems(1, 3, 10, 0.8)
    found = solve_lasso(gram, target, np.abs(target).max(axis=1) * 1.001, LassoSolution.near(np.zeros((3, 10))))
    assert (found.values == 0.0).all()


def test_the_start_is_left_as_it_was() -> None:
    gram, target, bound = problems(2, 3, 10, 0.8)
    start = LassoSolution.near(np.ones((3, 10)))
    solve_lasso(gram, target, bound, start)
    assert (start.values == 1.0).all()
    assert start.active.all()
