"""A panel cut into batches, each solved on its own thread: memory beyond the panel itself is that of a few batches."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np

from forecasting.panel.spread import Reals
from forecasting.prophet_map.additive import Estimate, estimate
from forecasting.prophet_map.design import Group, Places, Rows
from forecasting.prophet_map.moments import Shared, moments
from forecasting.prophet_map.multiplicative import alternate, products
from forecasting.prophet_map.scale import Scale
from forecasting.prophet_map.spec import Spec

# Series in one batch, at most: enough to spread the cost of a call, few enough to bound memory.
BATCH = 512
# Prophet's prior of slope and offset, on values scaled to at most 1.
TREND_PRIOR = 5.0
# A series that never changes has no noise; Prophet says so with this.
NO_NOISE = 1e-9


def batches(groups: list[Group], size: int) -> Iterator[list[Group]]:
    """The groups' members in batches of a size; a group that is too large is cut, small ones are put together."""
    batch: list[Group] = []
    room = size
    for group in groups:
        members = group.members
        while len(members):
            batch.append(replace(group, members=members[:room]))
            members, room = members[room:], room - len(batch[-1].members)
            if not room:
                yield batch
                batch, room = [], size
    if batch:
        yield batch


def solved(values: Reals, shared: Shared, groups: list[Group], spec: Spec, precision: Reals) -> tuple[Estimate, Scale]:
    """The estimates and scales of all series, in the order of the columns of `values`, (T, N), NaN where missing."""

    def one(batch: list[Group]) -> tuple[Places, Estimate, Scale]:
        series = np.concatenate([group.members for group in batch])
        starts = np.cumsum([0, *(len(group.members) for group in batch)])
        placed = [replace(group, members=np.arange(*ends)) for group, ends in zip(batch, pairwise(starts), strict=True)]
        scale, scaled = Scale.of(_columns(values, series), log=spec.log)
        return (
            series,
            without_noise(_estimated(shared, scaled, placed, spec, precision), scaled, placed, scale.still),
            scale,
        )

    threads = _threads()
    size = min(BATCH, -(-values.shape[1] // threads))
    if threads == 1:
        parts = [one(batch) for batch in batches(groups, size)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(one, batches(groups, size)))
    order = np.argsort(np.concatenate([series for series, _, _ in parts]))
    return joined([part for _, part, _ in parts]).of(order), Scale.joined([scale for _, _, scale in parts], order)


def _columns(values: Reals, series: Places) -> Reals:
    """Some columns; those that lie side by side without a copy."""
    first, last = int(series[0]), int(series[-1])
    together = last - first == len(series) - 1 and bool((np.diff(series) > 0).all())
    return values[:, first : last + 1] if together else np.take(values, series, axis=1)


def _estimated(shared: Shared, scaled: Reals, groups: list[Group], spec: Spec, precision: Reals) -> Estimate:
    """The estimates of one batch, whose groups' members are the columns of `scaled`, in their order."""
    if spec.multiplicative:
        return joined(
            [
                alternate(products(shared.days, shared.base, scaled[:, group.members], group, spec), precision, spec)
                for group in groups
            ]
        )
    return estimate(moments(shared, scaled, groups, spec), precision, spec.changepoint_prior)


def _threads() -> int:
    """One for each processor; a worker process has siblings that see to the others."""
    return 1 if multiprocessing.parent_process() else os.cpu_count() or 1


def joined(parts: Sequence[Estimate]) -> Estimate:
    """The estimates of all parts, one after another."""
    return Estimate(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def without_noise(found: Estimate, scaled: Reals, groups: list[Group], still: Rows) -> Estimate:
    """The estimates, but where a series never changes (`still`), its value and nothing else, as Prophet has it; NaN for
    series without any value.
    """
    found.smooth[still], found.changes[still], found.variance[still] = 0.0, 0.0, NO_NOISE**2
    for group in groups:
        quiet = group.members[still[group.members]]
        count = group.observed.sum()
        level = scaled[group.observed.argmax(), quiet] if count else np.full(len(quiet), np.nan)
        found.smooth[quiet, 0] = level
        found.objective[quiet] = count * np.log(NO_NOISE) + 0.5 * (level / TREND_PRIOR) ** 2
    return found
