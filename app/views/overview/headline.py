"""The state of the network: in one line, then in a row of numbers, each with its week."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
import streamlit as st

from app import cached, theme
from app.cached import SiteFilter
from app.cached.planning import NetworkSummary
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.tile import has_values, tile
from data.schema import UTILISATION_LIMIT

LABELS = {"egress_gbps": "Egress", "ingest_gbps": "Ingest", "viewers": "Viewers"}
LIMIT = theme.percent(UTILISATION_LIMIT)
HELP = {
    "peak": "Highest hourly mean of the last 24 hours, then the newest hour. The line: hourly means of the last 7 days.",
    "fullest": "Highest hourly mean of the last 24 hours over capacity, egress or ingest, whichever is fuller.",
    "over": f"Sites whose weekly peak stands above {LIMIT} of capacity, egress or ingest.",
    "order": "Sites that need an order within 30 days to be in time, and those whose order-by date has passed already.",
    "undeclared": "How full a site runs, and when it runs out, needs a declared capacity. The page Data says how to supply it.",
}
# Sites that a sentence names before it counts the rest.
NAMED = 2


def headline(frame: Frame, chosen: SiteFilter, sites: pd.DataFrame, summary: NetworkSummary) -> None:
    """The verdict, then traffic, audience, how full and what is to be ordered. `sites`: planning.site_states of the
    filter `chosen`; `summary`: of them.
    """
    st.markdown(f"## {plain(verdict(summary, len(frame.catalogue), frame.extent.now))}", width="stretch")
    rows = cached.headline(frame.pin, frame.scope, chosen).set_index("metric")
    with st.container(horizontal=True, gap="xsmall", key="headline"):
        for metric in LABELS:
            _traffic(metric, rows)
        if summary.fullest_site is None:
            _largest(sites)
        else:
            week = sites.set_index("name")["week"].loc[[summary.fullest_site]].iloc[0]
            share = theme.percent(summary.fullest_share)
            tile("Fullest, peak 24 h", share, plain(summary.fullest_site), week, HELP["fullest"])
        _limits(summary)


# The verdict
# ------------------------------------------------------------------------------------------------------------------


def verdict(summary: NetworkSummary, of: int, now: pd.Timestamp) -> str:
    """The state of the network in one line of plain text: sites by state, what is over its limit and what runs out
    next, and how viewers fare. `of`: all sites that the viewer may see.
    """
    return " ".join([_states(summary, of), *_limit_sentences(summary, now), _viewers(summary)])


def _states(summary: NetworkSummary, of: int) -> str:
    """'48 sites: 34 ok, 10 watch, 4 act.'"""
    whole = "1 site" if of == 1 else f"{of} sites"
    head = whole if summary.sites == of else f"{summary.sites} of {whole}"
    states = [f"{summary.states[state]} {state}" for state in theme.STATES if state in summary.states]
    if len(states) == 1 and summary.sites > 1:
        return f"{head}: all {next(iter(summary.states))}."
    return f"{head}: {', '.join(states)}."


def _limit_sentences(summary: NetworkSummary, now: pd.Timestamp) -> Iterator[str]:
    """What is over its limit, what runs out next, and what is not known, each where there is something to say."""
    if summary.undeclared == summary.sites:
        yield "No capacity is declared, so when they run out is not known."
        return
    following = ""
    if summary.next_site is not None and summary.next_date is not None:
        when = theme.day(summary.next_date, year=summary.next_date.year != now.year)
        following = f"; next: {summary.next_site}, likely by {when}"
    if summary.over or following or summary.unplanned < summary.sites - summary.undeclared:
        number = "None is" if not summary.over else f"{summary.over} {'is' if summary.over == 1 else 'are'}"
        yield f"{number} over {'its' if summary.over < 2 else 'their'} limit at the weekly peak{following}."
    if summary.undeclared:
        yield f"{summary.undeclared} {'declares' if summary.undeclared == 1 else 'declare'} no capacity."
    if not summary.is_planned:
        yield "No forecast to plan from has been published, so when sites run out is not known."
    elif summary.unplanned:
        cannot = "No site can" if summary.unplanned == summary.sites else f"{summary.unplanned} cannot"
        yield f"{cannot} be planned yet ({summary.refusal})."


def _viewers(summary: NetworkSummary) -> str:
    if summary.poor is None:
        return "How viewers fare is not measured."
    return f"Viewers fare badly at {named(summary.poor)}." if summary.poor else "Viewers fine."


def named(names: Sequence[str]) -> str:
    """'Seoul', 'Seoul and Lima', 'Seoul, Lima and 3 more'."""
    if len(names) <= NAMED:
        return " and ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


# The numbers
# ------------------------------------------------------------------------------------------------------------------


def _traffic(metric: str, rows: pd.DataFrame) -> None:
    row = rows.loc[metric] if metric in rows.index else None
    if row is None or not has_values(row["series"]):
        tile(LABELS[metric], theme.NO_DATA, help_=absent(metric))
        return
    against = theme.change(row["peak_24h"], row["peak_24h_week_ago"])
    tile(
        f"{LABELS[metric]}, peak 24 h",
        theme.metric_value(metric, row["peak_24h"]),
        f"now {theme.metric_value(metric, row['value'])}",
        row["series"],
        f"{HELP['peak']}  \nThe peak: {against}.",
    )


def absent(metric: str) -> str:
    """What to do about a metric that this lake does not have."""
    return f"No snapshot of the last week holds `{metric}`. The page Data says how to send it."


def _largest(sites: pd.DataFrame) -> None:
    """Without a capacity nothing is full; the largest site is still worth a number."""
    known = sites[sites["peak_24h_gbps"].notna()]
    if len(known):
        largest = known.loc[known["peak_24h_gbps"].astype(float).idxmax()]
        tile("Largest, peak 24 h", theme.gbps(largest["peak_24h_gbps"]), plain(largest["name"]), largest["week"])


def _limits(summary: NetworkSummary) -> None:
    """How many sites are over their limit, and how many orders are due."""
    if summary.undeclared == summary.sites:
        tile("Over the limit", "unknown", "no capacity declared", help_=HELP["undeclared"])
        return
    tile("Over the limit", str(summary.over), f"of {summary.sites}, at the weekly peak", help_=HELP["over"])
    if not summary.is_planned:
        tile("Order within 30 d", "unknown", "no forecast yet", help_=HELP["order"])
    elif summary.unplanned == summary.sites:
        tile(
            "Order within 30 d",
            "unknown",
            "cannot be planned yet",
            help_=f"{HELP['order']}  \n{plain(summary.refusal)}",
        )
    else:
        late = f"{summary.late} too late already" if summary.late else "none too late"
        tile("Order within 30 d", str(summary.late + summary.due), late, help_=HELP["order"])
