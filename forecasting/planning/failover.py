"""Who takes over for whom: by distance and headroom, or as the operator declares; never beyond the reach that latency
allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import geography
from data.schema.errors import SettingError
from forecasting.planning.demand import Reals

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


def reach_km(round_trip_ms: float = ROUND_TRIP_MS) -> float:
    """The great-circle distance that a round trip allows."""
    return round_trip_ms / 2.0 * FIBRE_KM_A_MS / DETOUR


def nearby(sites: pd.DataFrame, keys: Sequence[str], round_trip_ms: float = ROUND_TRIP_MS) -> Failover:
    """The default: near sites with room take most. Weight is headroom over distance, within the reach of the round
    trip.

    sites: the contract's, of which site_id, lat and lon count. SettingError for a key that is not among them.
    """
    km = distances_km(sites, keys)
    pull = np.where(km <= reach_km(round_trip_ms), 1.0 / (km + METRO_KM), 0.0)
    np.fill_diagonal(pull, 0.0)
    return Failover(tuple(keys), pull, by_headroom=True, round_trip_ms=round_trip_ms)


def declared(table: pd.DataFrame, sites: pd.DataFrame, keys: Sequence[str], round_trip_ms: float = np.inf) -> Failover:
    """What the operator declares: rows of site_id, helper_site_id and weight; a pair that is not there does not help,
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
    return geography.distances_km(placed["lat"], placed["lon"])
