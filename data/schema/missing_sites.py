"""What the answer for a region or the network lacks: the sites that it is given without, why, and their share of the
traffic.
"""

from __future__ import annotations

from collections.abc import Mapping

from data.schema.types import GLOBAL_KEY

NAMED_AT_MOST = 3


def sites_by_cause(reasons: Mapping[str, str]) -> str:
    """'ams-01, fra-01 (closed since 2026-11-04), nrt-01 (silent since ...)': sites with why they are missing, a few of
    each cause. reasons: by site; what follows a semicolon is left out.
    """
    sites = dict[str, list[str]]()
    for site in sorted(reasons):
        sites.setdefault(reasons[site].split(";")[0], []).append(site)
    named = [f"{_first_names(names)} ({cause})" for cause, names in sites.items()]
    return _first_names(named)


def _first_names(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def without_sites(reasons: Mapping[str, str], usual: Mapping[str, float], key: str) -> str:
    """'without ams-01 (silent since 2026-11-03 23:00 UTC), 4 % of the network'; empty where no site is missing.

    reasons: why each missing site has no answer; what follows a semicolon is left out. usual: by site what it usually
    carries (data.queries.usual_traffic), of all sites of the sum, the missing ones among them; without any the share is
    left out. key: of the sum.
    """
    if not reasons:
        return ""
    listed = sites_by_cause(reasons)
    total = sum(usual.values())
    if total <= 0.0:
        return f"without {listed}"
    share = 100.0 * sum(usual.get(site, 0.0) for site in reasons) / total
    digits = 0 if share == 0.0 or share >= 1.0 else 1
    return f"without {listed}, {share:.{digits}f} % of the {'network' if key == GLOBAL_KEY else 'region'}"
