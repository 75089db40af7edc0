"""A failure as tables: what each site that takes part carries before and after, and what moves where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

# A trillionth of what fails is the solver's, not an operator's.
WORTH_TELLING = 1e-3
NAMED = 4
SITE_UNITS = dict.fromkeys(("Before", "Takes over", "After", "Shed"), "Gbps") | dict.fromkeys(
    ("Used before", "Used after", "Limit"), "%"
)
MOVE_UNITS = {"Moves": "Gbps", "Share": "%"}


def listed(names: Sequence[str]) -> str:
    """A few names, and how many more; "none" of none."""
    more = len(names) - NAMED
    return "none" if not names else ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def site_rows(
    sites: pd.DataFrame, share: Mapping[str, float], names: Mapping[str, str], ratio: Mapping[str, float] | None
) -> pd.DataFrame:
    """Week, Site, Part (fails, fails in part, takes over), Before, Takes over, After (Gbps), Used before, Used after,
    Limit (percent), Passes its limit, Shed (Gbps) and Viewers (not served; only with their ratio): of the sites that
    fail or take over, those that fail first, then the fullest.
    """
    part = sites["site_id"].map(share).astype(float).fillna(0.0)
    mine = sites.assign(part=part)[(part > 0.0) | (sites["taken_gbps"] > WORTH_TELLING)]
    mine = mine.assign(_fails=mine["part"] > 0.0).sort_values(
        ["week", "_fails", "after", "site_id"], ascending=[True, False, False, True]
    )
    words = ["fails" if one >= 1.0 else "fails in part" if one > 0.0 else "takes over" for one in mine["part"]]
    rows = {
        "Week": mine["week"],
        "Site": [names.get(key, key) for key in mine["site_id"]],
        "Part": words,
        "Before": mine["before_gbps"],
        "Takes over": mine["taken_gbps"],
        "After": mine["load_gbps"],
        "Used before": 100 * mine["before"],
        "Used after": 100 * mine["after"],
        "Limit": 100 * mine["limit"],
        "Passes its limit": ["yes" if one else "" for one in mine["passed"]],
        "Shed": mine["shed_gbps"],
    }
    viewers = {} if ratio is None else {"Viewers": mine["shed_gbps"] * mine["site_id"].map(ratio).astype(float)}
    return pd.DataFrame(rows | viewers).reset_index(drop=True)


def move_rows(moves: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Week, From, To, Moves (Gbps) and Share (percent of what moves away from there), largest first within a week."""
    ordered = moves[moves["gbps"] > WORTH_TELLING].sort_values(
        ["week", "gbps", "source", "target"], ascending=[True, False, True, True]
    )
    whole = ordered.groupby(["week", "source"])["gbps"].transform("sum")
    return pd.DataFrame(
        {
            "Week": ordered["week"],
            "From": [names.get(key, key) for key in ordered["source"]],
            "To": [names.get(key, key) for key in ordered["target"]],
            "Moves": ordered["gbps"],
            "Share": 100 * ordered["gbps"] / whole,
        }
    ).reset_index(drop=True)
