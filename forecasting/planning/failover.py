"""Failover: who takes over for whom (by distance and headroom, or as a table of the operator declares, CSV or Parquet;
never beyond the reach that latency allows), and how failed sites share the helpers within their reach, for all weeks at
once.

What is shed in all is as little as can be. Among the ways to shed so little, the failed sites shed the same share of
their demand as far as reach allows: the greatest share is as small as can be, then the next, and so on (the
lexicographically optimal base of a flow, Megiddo 1974). A linear programme finds, round by round, the sites whose
helpers are the tightest; these fill their helpers, and the others go on without both.

Where it goes is, of all ways to place so much, the one nearest to the failover weights in relative entropy (the doubly
constrained gravity model, Wilson 1967): a full helper cuts what everybody asks of it by one factor, and a failed site
raises what it asks of everybody by one factor until all is placed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linprog
from scipy.sparse import coo_array

from data.schema import types
from data.schema.errors import SettingError
from forecasting.planning.demand import Reals

# A failed-over site may be filled to the brim: the limit leaves room for this very case. What passes the limit is
# reported beside it.
CEILING = 1.0
# Light in fibre covers 200 km a millisecond, and cables run about half as far again as the great circle.
FIBRE_KM_A_MS, DETOUR = 200.0, 1.5
# 60 ms there and back: beyond it a player's first segments come late enough to be felt.
ROUND_TRIP_MS = 60.0
# Helpers nearer than a metro's width are as near as each other.
METRO_KM = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Failover:
    """Pull of each site on the demand of another: (failed, helper), 0 where the helper may not take over.

    A helper's weight is its pull, multiplied with its headroom where `by_headroom`. Demand is shared out in proportion
    to weight, and what a full helper cannot take goes to the rest in the same proportion. `round_trip_ms` is the bound
    that the pulls keep, and that a site added later has to keep.
    """

    keys: tuple[str, ...]
    pull: Reals
    by_headroom: bool
    round_trip_ms: float = ROUND_TRIP_MS

    def __post_init__(self) -> None:
        if (
            self.pull.shape != (len(self.keys), len(self.keys))
            or not (self.pull >= 0.0).all()
            or self.pull.diagonal().any()
        ):
            raise SettingError(
                f"Failover weights of shape {self.pull.shape} for {len(self.keys)} sites are not usable.",
                remedy="give a square of weights of at least 0, none of a site to itself",
            )

    @property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which helper may take over, (failed, helper)."""
        return self.pull > 0.0

    def only(self, keys: Sequence[str]) -> Failover:
        """Some of the sites, which help each other as before, and nobody else."""
        at = [self.keys.index(key) for key in keys]
        return replace(self, keys=tuple(keys), pull=self.pull[np.ix_(at, at)])

    def weights(self, failed: int, helpers: npt.NDArray[np.intp], headroom: Reals) -> Reals:
        """Weights of some helpers, in the shape of their headroom (helpers, ...)."""
        pull = self.pull[failed, helpers].reshape(-1, *([1] * (headroom.ndim - 1)))
        return np.asarray(pull * headroom if self.by_headroom else np.broadcast_to(pull, headroom.shape))


def headroom(demand: Reals, capacity: Reals, ceiling: float) -> Reals:
    """Ceiling x capacity less demand, never below nought; nought where no capacity is declared."""
    return np.maximum(ceiling * np.nan_to_num(capacity, nan=0.0) - demand, 0.0)


def reach_km(round_trip_ms: float = ROUND_TRIP_MS) -> float:
    """The great-circle distance that a round trip allows."""
    return round_trip_ms / 2.0 * FIBRE_KM_A_MS / DETOUR


def nearby(sites: pd.DataFrame, keys: Sequence[str], round_trip_ms: float = ROUND_TRIP_MS) -> Failover:
    """The default failover: near sites with room take most. Weight is headroom over distance, within the reach of the round
    trip.

    sites: the contract's, of which site_id, lat and lon count. SettingError for a key that is not among them.
    """
    km = distances_km(sites, keys)
    pull = np.where(km <= reach_km(round_trip_ms), 1.0 / (km + METRO_KM), 0.0)
    np.fill_diagonal(pull, 0.0)
    return Failover(tuple(keys), pull, by_headroom=True, round_trip_ms=round_trip_ms)


def declared(table: pd.DataFrame, sites: pd.DataFrame, keys: Sequence[str], round_trip_ms: float = np.inf) -> Failover:
    """Failover from a declared table: rows of site_id, helper_site_id and weight; a pair that is not there does not help,
    nor one beyond the round trip, if given.

    SettingError for an unknown site, a negative weight, or a site that is to help itself.
    """
    at = {key: i for i, key in enumerate(keys)}
    pull = np.zeros((len(keys), len(keys)))
    for site, helper, weight in zip(table["site_id"], table["helper_site_id"], table["weight"], strict=True):
        if site not in at or helper not in at or site == helper or not weight >= 0.0:
            raise SettingError(
                f"The failover row {site} to {helper} with weight {weight:g} is not usable.",
                cause="an unknown site, or a site helping itself",
                remedy="name two sites of the network and a weight of at least 0",
            )
        pull[at[site], at[helper]] = weight
    if np.isfinite(round_trip_ms):
        pull[distances_km(sites, keys) > reach_km(round_trip_ms)] = 0.0
    return Failover(tuple(keys), pull, by_headroom=False, round_trip_ms=round_trip_ms)


def distances_km(sites: pd.DataFrame, keys: Sequence[str]) -> Reals:
    """Great-circle distances between sites, (keys, keys)."""
    placed = sites.set_index("site_id")[["lat", "lon"]].reindex(list(keys))
    if unknown := list(placed.index[placed.isna().any(axis=1)]):
        raise SettingError(
            f"Where {', '.join(map(str, unknown))} stands is not known.",
            remedy="give lat and lon of every site in the table of sites",
        )
    return types.distances_km(placed["lat"], placed["lon"])


Flags = npt.NDArray[np.bool_]
# Below a millionth of a Gbps nothing was shed; what is solved for is kept to a hundredth of that.
NOTHING_GBPS, SOLVED_GBPS = 1e-6, 1e-8
# A site is among the tightest where it has any part of the programme's price of room; parts add up to 1.
PRICED = 1e-7
# Newton's steps: a handful where room is left, some twenty where a pair ends up with nothing, as its factor falls by e
# a step.
MOST_STEPS, MOST_HALVINGS, LONGEST_STEP = 100, 40, 20.0
# Near the end a step lowers the function by less than its last digits tell.
ROUNDING = 1e-13
# The part of the promised fall that a step has to bring; and what is added to a curvature that may be none: full
# helpers alone leave a common factor open.
PROMISED, FLAT = 1e-4, 1e-11


def allocate(required: Reals, room: Reals, weights: Reals) -> Reals:
    """Gbps that each helper takes over from each failed site, (failed, helpers, weeks). required: (failed, weeks); room: (helpers, weeks); weights: (failed,
    helpers, weeks), 0 without reach.
    """
    placed, usable = max_min_fair(required, room, (weights > 0.0) & (room > 0.0))
    return gravity_fit(placed, room, np.where(usable, weights, 0.0))


# How much is placed
# -------------------------------------------------------------------------------------------------------


def max_min_fair(required: Reals, room: Reals, reach: Flags) -> tuple[Reals, Flags]:
    """Max-min fair placement: Gbps that each failed site places, (failed, weeks), and which pairs may take part in it, as `reach` (failed, helpers,
    weeks): the others would cost room.
    """
    open_ = reach & (required > NOTHING_GBPS)[:, None, :]
    active, left, placed = np.asarray(open_.any(axis=1)), room.copy(), np.zeros_like(required)
    while active.any():
        tight = _tightest(np.where(active, required, 0.0), left, open_)
        filled = np.asarray((open_ & tight[:, None, :]).any(axis=0))
        share = np.where(filled, left, 0.0).sum(axis=0) / np.where(tight, required, 0.0).sum(axis=0).clip(NOTHING_GBPS)
        done = share >= 1.0
        placed = np.where(active & (tight | done), np.minimum(share, 1.0) * required, placed)
        open_ &= done | tight[:, None, :] | ~filled[None, :, :]
        active &= ~(tight | done)
        left = np.where(filled & ~done, 0.0, left)
    return placed, open_


def _tightest(required: Reals, room: Reals, open_: Flags) -> Flags:
    """The sites, (failed, weeks), that together can place the least share of what they are asked: those on whose room
    the programme sets a price.

    The programme raises one share in each week, that of all sites with a demand, as far as room allows. Helpers of the
    same sites are one to it, so that of hundreds a few are left.
    """
    served, weeks, pooled = _pools(open_ & (required > 0.0)[:, None, :], room)
    source, pool = np.nonzero(served)
    sites_with_demand, their_weeks = np.nonzero(required > 0.0)
    row_of = np.zeros(required.shape, dtype=int)
    row_of[sites_with_demand, their_weeks] = np.arange(len(sites_with_demand))
    live, share_of = np.unique(their_weeks, return_inverse=True)
    pairs, rows = len(source), len(sites_with_demand)
    entries = [
        (np.full(pairs, -1.0), row_of[source, weeks[pool]], np.arange(pairs)),
        (required[sites_with_demand, their_weeks], np.arange(rows), pairs + share_of),
        (np.ones(pairs), rows + pool, np.arange(pairs)),
    ]
    values, row, column = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    bounds = coo_array((values, (row, column)), shape=(rows + len(weeks), pairs + len(live))).tocsr()
    room_of = np.minimum(pooled, required.sum(axis=0)[weeks])
    solution = linprog(
        np.r_[np.zeros(pairs), -np.ones(len(live))], A_ub=bounds, b_ub=np.r_[np.zeros(rows), room_of], method="highs-ds"
    )
    if solution.x is None:
        raise SettingError(
            f"What {rows} failed sites and weeks shed cannot be solved: {solution.message}.",
            cause="demand or room beyond all measure",
            remedy="look for an outlier in the capacity or the demand of these sites",
        )
    parts = np.zeros_like(required)
    parts[sites_with_demand, their_weeks] = np.maximum(
        -solution.ineqlin.marginals[:rows] * required[sites_with_demand, their_weeks], 0.0
    )
    return np.asarray((required > 0.0) & (parts >= np.minimum(parts.max(axis=0), PRICED)))


def _pools(open_: Flags, room: Reals) -> tuple[Flags, npt.NDArray[np.intp], Reals]:
    """Helpers that serve the same sites in the same week: which sites, (failed, pools); the week, (pools,); and their
    room together, (pools,).
    """
    helper, week = np.nonzero(open_.any(axis=0))
    pattern = np.packbits(open_[:, helper, week], axis=0)
    _, first, pool = np.unique(np.vstack([week, pattern]), axis=1, return_index=True, return_inverse=True)
    return open_[:, helper[first], week[first]], week[first], np.bincount(pool, room[helper, week]).astype(float)


# Where it goes
# ------------------------------------------------------------------------------------------------------------


def gravity_fit(placed: Reals, room: Reals, weights: Reals) -> Reals:
    """Doubly constrained gravity model, (failed, helpers, weeks): placed x weights x factor, shared out, with a factor of each full helper
    below 1. By Newton's method.

    The logarithms of the factors minimise a smooth convex function: the sum of placed x log(sum of weights x factor),
    less the sum of room x log(factor).
    """
    demand, offered, pull = np.moveaxis(placed, 1, 0), np.moveaxis(room, 1, 0), np.moveaxis(weights, 2, 0)
    levels = np.zeros_like(offered)
    moved = _claims(levels, demand, pull)
    for _ in range(MOST_STEPS):
        over = moved.sum(axis=1) - offered
        slope = np.where((levels < 0.0) | (over > 0.0), over, 0.0)
        live = np.flatnonzero(np.abs(slope).max(axis=1, initial=0.0) > SOLVED_GBPS)
        if not len(live):
            break
        levels[live] = _stepped(levels[live], slope[live], moved[live], demand[live], offered[live], pull[live])
        moved[live] = _claims(levels[live], demand[live], pull[live])
    # What the last steps leave above a helper's room, if anything, is not placed: no bound is passed.
    moved *= np.minimum(1.0, offered / np.maximum(moved.sum(axis=1), np.maximum(offered, SOLVED_GBPS)))[:, None, :]
    return np.moveaxis(moved, 0, 2)


def _claims(levels: Reals, demand: Reals, pull: Reals) -> Reals:
    """(weeks, failed, helpers): what each site asks of each helper."""
    weighed = pull * np.exp(levels)[:, None, :]
    total = weighed.sum(axis=2, keepdims=True)
    shares: Reals = np.divide(weighed, total, out=np.zeros_like(weighed), where=total > 0.0)
    return np.asarray(demand[:, :, None] * shares)


def _stepped(levels: Reals, slope: Reals, moved: Reals, demand: Reals, offered: Reals, pull: Reals) -> Reals:
    """The levels, (weeks, helpers), after a projected step of Newton's, halved until the function falls."""
    step = _newton(slope, moved, demand)
    size, before = np.ones(len(levels)), _dual_objective(levels, demand, offered, pull)
    before += ROUNDING * np.abs(before)
    candidate: Reals = levels
    for _ in range(MOST_HALVINGS):
        candidate = np.minimum(levels + size[:, None] * step, 0.0)
        worse = _dual_objective(candidate, demand, offered, pull) > before + PROMISED * (
            slope * (candidate - levels)
        ).sum(axis=1)
        if not worse.any():
            break
        size[worse] /= 2.0
    return candidate


def _newton(slope: Reals, moved: Reals, demand: Reals) -> Reals:
    """The step that the curvature suggests, for the helpers that have a slope in any week; the others stay."""
    some = np.flatnonzero((slope != 0.0).any(axis=0))
    moving, mine = slope[:, some] != 0.0, moved[:, :, some]
    parts = (
        np.divide(mine, np.sqrt(demand)[:, :, None], out=np.zeros_like(mine), where=demand[:, :, None] > 0.0)
        * moving[:, None, :]
    )
    curve = -np.swapaxes(parts, 1, 2) @ parts
    diagonal = np.arange(len(some))
    curve[:, diagonal, diagonal] += np.where(moving, mine.sum(axis=1) * (1.0 + FLAT) + FLAT, 1.0)
    step = np.zeros_like(slope)
    step[:, some] = np.clip(np.linalg.solve(curve, -slope[:, some, None])[:, :, 0], -LONGEST_STEP, LONGEST_STEP)
    return step


def _dual_objective(levels: Reals, demand: Reals, offered: Reals, pull: Reals) -> Reals:
    """The function that is minimised, (weeks,)."""
    total = (pull * np.exp(levels)[:, None, :]).sum(axis=2)
    return np.asarray(
        (demand * np.log(total, out=np.zeros_like(total), where=total > 0.0)).sum(axis=1)
        - (offered * levels).sum(axis=1)
    )


FAILOVER_COLUMNS = ("site_id", "helper_site_id", "weight")
# The environment variable that names the table which holds for everybody.
FAILOVER_SETTING = "HEADROOM_FAILOVER"
# Sites that a message names as examples.
FEW = 3


@dataclass(frozen=True, slots=True)
class DeclaredFailover:
    """A checked table: rows of site, helper, weight. Its name and digest stand for it where an answer is kept."""

    name: str
    digest: str
    rows: tuple[tuple[str, str, float], ...] = field(repr=False)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows in FAILOVER_COLUMNS."""
        return pd.DataFrame(list(self.rows), columns=list(FAILOVER_COLUMNS))


def failover_of(table: DeclaredFailover | None, sites: pd.DataFrame, keys: Sequence[str]) -> Failover:
    """The weights that a table declares, of the pairs of which both sites are among `keys`; distance and headroom where
    there is none.
    """
    if table is None:
        return nearby(sites, keys)
    rows = table.frame
    return declared(rows[rows["site_id"].isin(keys) & rows["helper_site_id"].isin(keys)], sites, keys)


def failover_rule(table: DeclaredFailover | None) -> str:
    """Which weights hold, in a few words: 'as ours.csv declares'."""
    return "by distance and headroom" if table is None else f"as {table.name} declares"


def parse_failover(name: str, table: pd.DataFrame, site_ids: Collection[str]) -> DeclaredFailover:
    """The rows of a file of that name, in FAILOVER_COLUMNS as the file has them, checked against the sites that are known;
    SettingError with the first fault.
    """
    rows = table.assign(number=pd.to_numeric(table["weight"], errors="coerce"))
    _check(name, rows, site_ids)
    pairs = tuple(
        (str(site), str(helper), float(weight))
        for site, helper, weight in zip(rows["site_id"], rows["helper_site_id"], rows["number"], strict=True)
    )
    return DeclaredFailover(name, hashlib.sha256(repr(sorted(pairs)).encode()).hexdigest(), pairs)


def _check(name: str, rows: pd.DataFrame, site_ids: Collection[str]) -> None:
    """SettingError for the first kind of fault, with the row of the file (its header being row 1)."""
    faults = {
        "names a site that the lake does not have": ~rows["site_id"].isin(site_ids)
        | ~rows["helper_site_id"].isin(site_ids),
        "lets a site help itself": rows["site_id"] == rows["helper_site_id"],
        "has a weight that is not a number of at least 0": ~(rows["number"] >= 0.0) | (rows["number"] == float("inf")),
        "names a pair a second time": rows.duplicated(["site_id", "helper_site_id"]),
    }
    for what, bad in faults.items():
        if bad.any():
            at = int(bad.to_numpy().argmax())
            row = rows.iloc[at]
            pair = f"{row['site_id']} to {row['helper_site_id']} with weight {row['weight']}"
            raise SettingError(
                f"Row {at + 2} of {name} {what}: {pair[:200]}.",
                cause="a typing error, or the table of another network",
                remedy=f"mend the row; sites are called like {', '.join(sorted(site_ids)[:FEW])}",
            )
