"""Capacity that a what-if adds: so many Gbps at a site from a day on, at a price."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from data.schema import Direction
from data.schema.errors import SettingError
from forecasting.planning.augments import Purchase
from forecasting.planning.capacity import raised
from forecasting.planning.dates import stamp

VALUES_LEAST, VALUES_MOST = 3, 5
NAMED_AT_MOST = 3


class Addition(NamedTuple):
    """Gbps more at a site from a day on. USD a month and once: 0 where it costs nothing, or nobody said."""

    site_id: str
    start: str
    gbps: float
    usd_month: float = 0.0
    usd_once: float = 0.0

    @property
    def day(self) -> pd.Timestamp:
        """When it comes into service; SettingError where `start` is no date."""
        return stamp(self.start)


def addition(held: object) -> Addition:
    """One from a list of its values; ValueError where it is none."""
    if not isinstance(held, list | tuple) or not VALUES_LEAST <= len(held) <= VALUES_MOST:
        raise ValueError(f"{held!r} is not a site, a day, Gbps, USD a month and USD once")
    site, start, *numbers = held
    amounts = [float(str(one)) for one in numbers]
    if not (all(map(math.isfinite, amounts)) and amounts[0] > 0.0 and min(amounts) >= 0.0):
        raise ValueError(f"{held!r} needs more than 0 Gbps, and at least 0 USD")
    return Addition(str(site), str(start), *amounts)


def of_purchases(purchases: Iterable[Purchase]) -> tuple[Addition, ...]:
    """What a plan buys, by day and site; steps that come into service together are one."""
    rows = [(one.in_service, one.site_id, one.gbps * one.units, one.usd_month, one.usd_once) for one in purchases]
    sums = (
        pd.DataFrame(rows, columns=["day", "site", "gbps", "month", "once"])
        .groupby(["day", "site"], as_index=False)
        .sum()
    )
    return tuple(
        Addition(one.site, f"{one.day:%Y-%m-%d}", one.gbps, one.month, one.once) for one in sums.itertuples(index=False)
    )


def additions_frame(added: Iterable[Addition]) -> pd.DataFrame:
    """site_id, effective_from, gbps and usd, a month, as capacity.raised takes them."""
    return pd.DataFrame(
        [(one.site_id, one.day, one.gbps, one.usd_month) for one in added],
        columns=["site_id", "effective_from", "gbps", "usd"],
    )


def with_additions(
    steps: pd.DataFrame, added: Sequence[Addition], direction: Direction, *, planned: bool
) -> pd.DataFrame:
    """The contract's `capacity` with additions, on top of what is in force, planned steps among it where they count;
    what is added counts in any case.

    SettingError for a site that declares no such capacity.
    """
    bought = additions_frame(added)
    counted = (steps["direction"] == direction) & (planned | (steps["status"] != "planned"))
    held = steps[counted & steps["site_id"].isin(bought["site_id"])]
    if unknown := sorted(set(bought["site_id"]).difference(held["site_id"])):
        raise SettingError(
            f"{', '.join(unknown[:NAMED_AT_MOST])} declares no {direction} capacity that could be added to.",
            cause="another lake, or a typing error",
            remedy="name sites of the table of capacity",
        )
    found, names = raised(held, bought, "planned" if planned else "installed"), ["site_id", "effective_from"]
    replaced = counted & pd.MultiIndex.from_frame(steps[names]).isin(pd.MultiIndex.from_frame(found[names]))
    return pd.concat([steps[~replaced], found], ignore_index=True)


def spent(added: Iterable[Addition], months: pd.DatetimeIndex) -> float:
    """USD within some months, by the days on which they begin: each addition once, and for each month that it is in
    service.
    """
    in_service = ((one, int((months >= one.day).sum())) for one in added)
    return sum(count * one.usd_month + one.usd_once for one, count in in_service if count)
