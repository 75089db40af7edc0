"""Changes of a what-if as people say them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from app import theme
from app.components.place import region_names, site_names
from data.schema import GLOBAL_KEY

Held = Mapping[str, Any]
# Of many sites those that gain most are named.
NAMED = 3


def words(change: Held, catalogue: pd.DataFrame) -> str:
    """One change, by the names of the catalogue; a kind without words by its values."""
    return _SAID.get(str(change["kind"]), _by_values)(change, _Names(catalogue))


def sentence(changes: Sequence[Held], catalogue: pd.DataFrame) -> str:
    """All changes of a what-if on one line."""
    return "; ".join(words(one, catalogue) for one in changes) or "as forecast"


class _Names:
    """What places are called; a place that the catalogue does not know goes by its key."""

    def __init__(self, catalogue: pd.DataFrame) -> None:
        self.known = {GLOBAL_KEY: "everywhere", **region_names(catalogue), **site_names(catalogue, None)}

    def __getitem__(self, key: object) -> str:
        return self.known.get(str(key), str(key))


def _growth(change: Held, names: _Names) -> str:
    what = f"{change['direction'].capitalize()} demand" if change.get("direction") else "Demand"
    way = "more" if change["percent"] >= 0 else "less"
    return f"{what} grows by {abs(change['percent']):g} % a year {way} than forecast, {names[change['scope']]}"


def _event(change: Held, names: _Names) -> str:
    return f"An event of {theme.gbps(change['gbps'])} for {change['hours']:g} hours from {change['start']}, {names[change['scope']]}"


def _bitrate(change: Held, names: _Names) -> str:
    pace = f", by degrees over {change['weeks']:g} weeks" if change["weeks"] else ""
    return f"Each viewer is sent {100 * change['factor']:g} % of today's bits from {change['start']}{pace}, {names[change['scope']]}"


def _add_site(change: Held, names: _Names) -> str:
    relieved = ", ".join(names[site] for site in change["relieves"])
    takes = f" and takes {100 * change['share']:g} % of the demand of {relieved}" if relieved else ""
    return f"{change['site_id']} opens on {change['start']} with {theme.gbps(change['gbps'])} in {names[change['region_id']]}{takes}"


def _close_site(change: Held, names: _Names) -> str:
    return f"{names[change['site_id']]} closes on {change['start']}"


def _add_capacity(change: Held, names: _Names) -> str:
    adds = change["adds"]
    days, by_site = sorted({day for _, day, *_ in adds}), dict[str, float]()
    for site, _, gbps, *_ in adds:
        by_site[site] = by_site.get(site, 0.0) + gbps
    most = sorted(by_site, key=lambda site: -by_site[site])[:NAMED]
    where = ", ".join(names[site] for site in most) + (
        f" and {len(by_site) - len(most)} more sites" if len(by_site) > len(most) else ""
    )
    when = (
        f"from {days[0]}"
        if len(days) == 1
        else f"in {len(adds)} steps from {days[0]} to {days[-1]}"
        if days
        else "never"
    )
    usd = sum(one[3] for one in adds)
    dear = f", {theme.usd(usd)} a month{' in the end' if len(days) > 1 else ''}" if usd else ""
    return f"{theme.gbps(sum(by_site.values()))} of {change['direction']} capacity more {when}: {where}{dear}"


def _move_augment(change: Held, names: _Names) -> str:
    return f"The planned augments of {names[change['site_id']]} come {abs(change['days']):g} days {'later' if change['days'] >= 0 else 'sooner'}"


def _limit(change: Held, names: _Names) -> str:
    return f"The limit is {100 * change['limit']:g} % of capacity{', ' + names[change['site_id']] if change.get('site_id') else ''}"


def _by_values(change: Held, _: _Names) -> str:
    return f"{change['kind']}: {', '.join(f'{name} {value}' for name, value in change.items() if name != 'kind' and value is not None)}"


_SAID: dict[str, Callable[[Held, _Names], str]] = {
    "growth": _growth,
    "event": _event,
    "bitrate": _bitrate,
    "add_site": _add_site,
    "close_site": _close_site,
    "add_capacity": _add_capacity,
    "move_augment": _move_augment,
    "limit": _limit,
}
