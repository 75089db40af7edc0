"""Root-cause localisation: which combination of attributes holds the excess of bad events of one minute?

A scan statistic over attribute combinations (Kulldorff, 1997; for stalled viewers of live video, RobustSpot, 2021). Rows
count events and bad events by minute and attributes, such as partner, bitrate, device. A **cell** is one value of each
attribute. Every combination of up to three attributes is scored by two log-likelihood gains over "as before":

1. pooled: binomial, one rate for the combination, which grows with the events that are explained;
2. by cell: beta-binomial, summed over the cells of the combination. Rates differ between the cells of one fault, and
   each cell counts for about as much as another, so that a combination some of whose cells did not move loses against
   the narrower one, and one whose cells all moved loses to the wider one (the ripple effect).

The score is the geometric mean of both: either alone is right at first place in 0.61 and 0.74 of the labelled incidents
that settings were chosen on, both together in 0.81. Two values of one attribute may share an incident; their union is a
candidate where both rose to comparable rates. Only the minute and earlier ones are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaln

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Earlier minutes that say what is usual, and how many of them are needed before a cause is named.
HISTORY_MINUTES, MIN_HISTORY_MINUTES = 10, 5
# Attributes of one combination. 5 of 72 labelled causes name three, none names four.
MAX_ATTRIBUTES = 3
# Share of the earlier minutes, those with the lowest overall rate, that the usual rate is taken from: an incident that
# has been on for some minutes, or came and went, must not become what is usual.
QUIET_SHARE = 0.5
# Events that the overall rate counts for beside the events of a cell or combination.
PRIOR_EVENTS = 50.0
# Beta-binomial precision: rates of cells as usual vary little, those of cells within a fault much. Any pair from (50, 3)
# to (200, 10) is right at first place in as many of the incidents.
USUAL_PRECISION, FAULT_PRECISION = 100.0, 3.0
# Mean rates within a fault that are tried; at least this many times the usual one.
FAULT_RATES, MIN_LIFT = np.array([0.05, 0.1, 0.2, 0.35, 0.6, 0.9]), 1.5
MAX_RATE = 0.97
# Factors on the score: of a third attribute, and of two values that share an incident, the lesser of which has at least
# this share of the other's excess rate.
THIRD_ATTRIBUTE, UNION, MIN_RATE_RATIO = 0.905, 0.8, 1 / 3
# A union that covers more of the minute's events than this is no localisation.
MAX_UNION_EVENTS = 0.95
# A cause is named where its score is above this and its rate above that of every earlier minute, and so for the first.
MIN_SCORE = 30.0
MAX_CANDIDATES = 15


@dataclass(frozen=True, slots=True)
class Cause:
    """One explanation: `elements` are attribute values, such as ({"bitrate": 2000, "p2p": 1},); two share an incident.

    bad, total: events of the minute that it covers; expected: bad events that are usual for it. share: of the minute's
    excess of bad events. gain: in log-likelihood (nats) over the usual rate. score: what causes are ranked by. named:
    whether the evidence suffices to name it: the score is high, and no earlier minute had as high a rate; none is named
    where the first is not.
    """

    elements: tuple[dict[str, Any], ...]
    bad: float
    total: float
    expected: float
    share: float
    gain: float
    score: float
    named: bool

    def __str__(self) -> str:
        return " + ".join(", ".join(f"{name}={value}" for name, value in element.items()) for element in self.elements)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Counts of each cell (rows) by minute (columns, the last the one to explain); `codes` of each attribute's values by
    cell, -1 where one is missing, into its `labels`.
    """

    bad: Reals
    total: Reals
    codes: dict[str, Codes]
    labels: dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class _Combinations:
    """Combinations of attribute values with counts of the minute to explain; `attributes` and `codes` by
    combination, `events` in all.
    """

    attributes: list[tuple[str, ...]]
    codes: list[tuple[int, ...]]
    bad: Reals
    total: Reals
    expected: Reals
    pooled_gain: Reals
    cell_gain: Reals
    events: float


def localise(rows: pd.DataFrame, minute: pd.Timestamp, attributes: Sequence[str], top: int = 5) -> list[Cause]:
    """The causes that best explain the bad events of a minute, best first, at most `top`.

    rows: columns minute, bad, total (counts, bad <= total) and the attributes; a missing attribute value stands for no
    candidate. Rows after the minute are not read. Empty where the minute has no bad event or no minute comes before it.
    """
    cells = _cells(rows, minute, [name for name in attributes if rows[name].notna().any()])
    if cells.bad.shape[1] < 2 or not cells.codes or not cells.bad[:, -1].any():
        return []
    usual = _usual_rates(cells)
    scanned = _scan(cells, usual)
    excess = float((cells.bad[:, -1] - cells.total[:, -1] * usual).sum())
    causes = [_cause(cells, scanned, members, score, excess) for score, members in _ranked(scanned)[:top]]
    return causes if causes[0].named else [replace(cause, named=False) for cause in causes]


def _cells(rows: pd.DataFrame, minute: pd.Timestamp, attributes: Sequence[str]) -> _Cells:
    """Counts by cell and minute, of the minute and of those before it that are read."""
    stamps = np.sort(rows["minute"].unique())
    stamps = stamps[stamps <= np.datetime64(minute)][-HISTORY_MINUTES - 1 :]
    rows = rows[rows["minute"].isin(stamps)]
    place = np.searchsorted(stamps, rows["minute"].to_numpy())
    factors = {name: pd.factorize(rows[name]) for name in attributes}
    first, cell = _distinct([codes for codes, _ in factors.values()], len(rows))
    count, width = len(first), len(stamps)
    flat = cell * width + place

    def summed(column: str) -> Reals:
        values = rows[column].to_numpy(dtype=float)
        return np.bincount(flat, values, minlength=count * width).astype(float).reshape(count, width)

    return _Cells(
        summed("bad"),
        summed("total"),
        {name: codes[first] for name, (codes, _) in factors.items()},
        {name: list(values) for name, (_, values) in factors.items()},
    )


def _quiet_minutes(cells: _Cells) -> Flags:
    """Which of the earlier minutes have the lowest overall rates."""
    overall = cells.bad[:, :-1].sum(axis=0) / np.maximum(cells.total[:, :-1].sum(axis=0), 1)
    return np.asarray(overall <= np.quantile(overall, QUIET_SHARE) + 1e-12)


def _usual_rates(cells: _Cells) -> Reals:
    """The usual rate of each cell, drawn towards the overall one."""
    return _shrunk(*_quiet_counts(cells))


def _quiet_counts(cells: _Cells) -> tuple[Reals, Reals]:
    """Bad and total events of each cell in the quiet minutes; of cells that the minute lacks too, none."""
    quiet, present = _quiet_minutes(cells), cells.total[:, -1] > 0
    return (
        cells.bad[:, :-1][:, quiet].sum(axis=1) * present,
        cells.total[:, :-1][:, quiet].sum(axis=1) * present,
    )


def _shrunk(bad: Reals, total: Reals, overall: float | None = None) -> Reals:
    """Rates, drawn towards the overall one by PRIOR_EVENTS; never 0 or 1, which no likelihood survives."""
    rate = (bad.sum() + 0.5) / (total.sum() + 1) if overall is None else overall
    return np.clip((bad + PRIOR_EVENTS * rate) / (total + PRIOR_EVENTS), 1e-9, 1 - 1e-9)


def _scan(cells: _Cells, usual: Reals) -> _Combinations:
    """Both gains of every combination of up to MAX_ATTRIBUTES attributes that the minute has."""
    bad, total = cells.bad[:, -1], cells.total[:, -1]
    quiet_bad, quiet_total = _quiet_counts(cells)
    overall = float((quiet_bad.sum() + 0.5) / (quiet_total.sum() + 1))
    by_cell = np.column_stack([bad, total, quiet_bad, quiet_total, _fault_gains(bad, total, usual)])
    names: list[tuple[str, ...]] = []
    codes: list[tuple[int, ...]] = []
    parts = []
    for attributes, combination_codes, cell, members in _groupings(cells):
        parts.append(_grouped(by_cell[cell], members, len(combination_codes)))
        names += [attributes] * len(combination_codes)
        codes += [tuple(map(int, row)) for row in combination_codes]
    sums = np.concatenate(parts)
    rates = _shrunk(sums[:, 2], sums[:, 3], overall)
    return _Combinations(
        names,
        codes,
        sums[:, 0],
        sums[:, 1],
        sums[:, 1] * rates,
        _binomial_gain(sums[:, 0], sums[:, 1], rates),
        sums[:, 4:].max(axis=1),
        float(total.sum()),
    )


def _groupings(cells: _Cells) -> Iterator[tuple[tuple[str, ...], Codes, Codes, Codes]]:
    """For each set of attributes: their names, the codes of the combinations that the minute has, its cells, and the
    combination of each.
    """
    present = cells.total[:, -1] > 0
    for size in range(1, MAX_ATTRIBUTES + 1):
        for attributes in combinations(cells.codes, size):
            keys = np.stack([cells.codes[name] for name in attributes])
            cell = np.flatnonzero(present & (keys >= 0).all(axis=0))
            first, members = _distinct(keys[:, cell], len(cell))
            if len(first):
                yield attributes, keys[:, cell[first]].T, cell, members


def _distinct(codes: Sequence[Codes] | Codes, length: int) -> tuple[Codes, Codes]:
    """Of columns of codes from -1 up: where each distinct row stands first, and the number of each row's."""
    first, number = np.zeros(min(length, 1), dtype=np.int64), np.zeros(length, dtype=np.int64)
    for column in codes:
        _, first, number = np.unique(
            number * (int(column.max(initial=0)) + 2) + column + 1, return_index=True, return_inverse=True
        )
    return first, number


def _grouped(values: Reals, members: Codes, count: int) -> Reals:
    """Sums of rows by group, (count, columns)."""
    return np.column_stack([np.bincount(members, column, minlength=count) for column in values.T])


def _fault_gains(bad: Reals, total: Reals, usual: Reals) -> Reals:
    """Log-likelihood of each cell within a fault, at each mean rate that is tried, minus that as usual."""
    mean = np.minimum(np.maximum(FAULT_RATES, MIN_LIFT * usual[:, None]), MAX_RATE)
    fault = _beta_binomial(bad[:, None], total[:, None], mean, FAULT_PRECISION)
    return np.asarray(fault - _beta_binomial(bad, total, usual, USUAL_PRECISION)[:, None])


def _beta_binomial(bad: Reals, total: Reals, mean: Reals, precision: float) -> Reals:
    """Log-likelihood, up to the binomial coefficient."""
    alpha, beta = mean * precision, (1 - mean) * precision
    return np.asarray(betaln(bad + alpha, total - bad + beta) - betaln(alpha, beta))


def _binomial_gain(bad: Reals, total: Reals, usual: Reals) -> Reals:
    """Log-likelihood ratio of the combination's own rate against the usual one; 0 where it is no higher."""
    own = np.clip(bad / np.maximum(total, 1), 1e-12, 1 - 1e-12)
    gain = bad * np.log(own / usual) + (total - bad) * np.log((1 - own) / (1 - usual))
    return np.where(own > usual, gain, 0.0)


def _score(pooled: Any, by_cell: Any) -> Any:
    """Geometric mean of both gains; next to nothing where one of them is."""
    return np.sqrt(np.maximum(pooled, 1e-3) * np.maximum(by_cell, 1e-3))


def _ranked(scanned: _Combinations) -> list[tuple[float, tuple[int, ...]]]:
    """Scores with the combinations that they are of, best first; of equal ones, the more general first."""
    size = np.array([len(names) for names in scanned.attributes])
    scores = _score(scanned.pooled_gain, scanned.cell_gain) * np.where(size == MAX_ATTRIBUTES, THIRD_ATTRIBUTE, 1.0)
    order = np.argsort(-scores, kind="stable")
    single = [(float(scores[place]), (int(place),)) for place in order[:MAX_CANDIDATES]]
    return sorted([*single, *_unions(scanned, order)], key=lambda candidate: -candidate[0])


def _unions(scanned: _Combinations, order: Codes) -> Iterator[tuple[float, tuple[int, ...]]]:
    """The two best values of each attribute together, where both rose to comparable rates."""
    rates = (scanned.bad - scanned.expected) / np.maximum(scanned.total, 1)
    best: dict[str, list[int]] = {}
    for place in order:
        if len(scanned.attributes[place]) == 1:
            best.setdefault(scanned.attributes[place][0], []).append(int(place))
    for places in best.values():
        pair = places[:2]
        covered = scanned.total[pair].sum()
        if len(pair) < 2 or covered > MAX_UNION_EVENTS * scanned.events:
            continue
        if rates[pair].min() > MIN_RATE_RATIO * rates[pair].max() > 0:
            yield UNION * float(_score(scanned.pooled_gain[pair].sum(), scanned.cell_gain[pair].sum())), tuple(pair)


def _cause(cells: _Cells, scanned: _Combinations, members: tuple[int, ...], score: float, excess: float) -> Cause:
    """A candidate with its figures."""
    chosen = list(members)
    bad, total, expected = (float(column[chosen].sum()) for column in (scanned.bad, scanned.total, scanned.expected))
    return Cause(
        tuple(_element(cells, scanned, member) for member in members),
        bad,
        total,
        expected,
        float(np.clip((bad - expected) / excess, 0.0, 1.0)) if excess > 0 else 0.0,
        float(scanned.pooled_gain[chosen].sum()),
        score,
        score > MIN_SCORE and _is_highest(cells, scanned, members),
    )


def _element(cells: _Cells, scanned: _Combinations, member: int) -> dict[str, Any]:
    return {
        name: cells.labels[name][code]
        for name, code in zip(scanned.attributes[member], scanned.codes[member], strict=True)
    }


def _is_highest(cells: _Cells, scanned: _Combinations, members: tuple[int, ...]) -> bool:
    """Whether the combination's rate is above that of each earlier minute, of which there are enough."""
    inside = np.zeros(len(cells.bad), dtype=bool)
    for member in members:
        names, codes = scanned.attributes[member], scanned.codes[member]
        inside |= np.all([cells.codes[name] == code for name, code in zip(names, codes, strict=True)], axis=0)
    rates = cells.bad[inside].sum(axis=0) / np.maximum(cells.total[inside].sum(axis=0), 1)
    return len(rates) > MIN_HISTORY_MINUTES and bool(rates[-1] >= rates[:-1].max())
