"""The network in a row of numbers, each against last week, each with its week."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached, theme
from app.cached import SiteFilter
from app.charts.map_marks import PLAN_RUNOUT
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.tile import has_values, tile
from app.views.overview.charts import SiteCounts, count_sites

LABELS = {"egress_gbps": "Egress", "ingest_gbps": "Ingest", "viewers": "Viewers"}
HELP = {
    "busiest": "Traffic over capacity in the newest hour, egress or ingest, whichever is fuller. The line is its egress of the week.",
    "undeclared": "How full a site runs, and when it runs out, needs a declared capacity: `python -m data ingest PATH --table capacity`.",
    "over": "Sites of which {what} within 30 days, more likely than not; now: sites above that already.",
    "runout": "From the earliest to the latest date on which {what} then in force (80 % interval).",
    "unpublished": "No forecast has been published yet: `python -m forecasting refresh` fits and publishes one.",
}

# The run-out of a site of which a plan could be made.
FORETOLD = ("over", "within", "possible", "beyond")


def headline(frame: Frame, chosen: SiteFilter, sites: pd.DataFrame) -> None:
    """Traffic, audience, how full and how soon, and how fresh. `sites`: planning.site_states of the filter `chosen`."""
    rows = cached.headline(frame.pin, frame.scope, chosen).set_index("metric")
    counts = count_sites(sites, frame.extent.now)
    with st.container(horizontal=True, gap="xsmall", key="headline"):
        for metric in LABELS:
            _traffic(metric, rows)
        if not declared(counts, sites):
            _undeclared(sites)
            _freshness(frame)
            return
        # A run that holds none of these sites tells as little as no run.
        foretold = cached.latest_run(frame.pin, frame.scope) is not None and bool(sites["answer"].isin(FORETOLD).any())
        _busiest(counts, sites)
        _over(counts, foretold)
        _freshness(frame)
        _next(counts, frame.extent.now, foretold)


def _traffic(metric: str, rows: pd.DataFrame) -> None:
    row = rows.loc[metric] if metric in rows.index else None
    if row is None or not has_values(row["series"]):
        tile(LABELS[metric], theme.NO_DATA, help_=absent(metric))
        return
    tile(
        LABELS[metric],
        theme.metric_value(metric, row["value"]),
        theme.change(row["value"], row["week_ago"]),
        row["series"],
    )


def absent(metric: str) -> str:
    """What to do about a metric that this lake does not have."""
    supply = (
        f"Send the column; where yours has another name, map it: `python -m data ingest PATH --map YOURS={metric}`."
    )
    return f"No snapshot of the last week holds `{metric}`. {supply}"


def _busiest(counts: SiteCounts, sites: pd.DataFrame) -> None:
    if counts.busiest_site_id is None:
        tile("Busiest site", theme.NO_DATA, help_=HELP["undeclared"])
        return
    week = sites.set_index("site_id").loc[counts.busiest_site_id, "week"]
    tile("Busiest site", theme.percent(counts.busiest_utilisation), plain(counts.busiest_name), week, HELP["busiest"])


def declared(counts: SiteCounts, sites: pd.DataFrame) -> bool:
    """Whether any site has a capacity that it could run out of."""
    return counts.busiest_site_id is not None or bool(sites["egress_capacity_gbps"].notna().any())


def _undeclared(sites: pd.DataFrame) -> None:
    """Without a capacity nothing is full and nothing runs out; the largest site is still worth a number."""
    known = sites[sites["egress_gbps"].notna()]
    if len(known):
        largest = known.loc[known["egress_gbps"].idxmax()]
        tile("Largest site", theme.gbps(largest["egress_gbps"]), plain(largest["name"]), largest["week"])
    tile("Run-out", "unknown", "no capacity declared", help_=HELP["undeclared"])


def _over(counts: SiteCounts, foretold: bool) -> None:
    """How many sites are over, now or soon."""
    if foretold:
        tile(
            "Over 80 % in 30 d",
            str(counts.over_soon),
            f"{counts.over_now} now, of {sites_of(counts)}",
            help_=HELP["over"].format(what=PLAN_RUNOUT.what),
        )
    else:
        tile("Over 80 % now", str(counts.over_now), f"of {sites_of(counts)}")


def _next(counts: SiteCounts, now: pd.Timestamp, foretold: bool) -> None:
    """Which site runs out first; the last tile of the row, for where the row breaks a wide one leaves no hole."""
    if not foretold:
        tile("Next run-out", "no forecast", "not published yet", help_=HELP["unpublished"])
    elif counts.next_name is None:
        tile("Next run-out", "none in sight", PLAN_RUNOUT.words[0], help_=HELP["runout"].format(what=PLAN_RUNOUT.what))
    else:
        when = theme.ahead(counts.next_p10, counts.next_p90, now)
        tile(
            "Next run-out",
            when,
            plain(counts.next_name),
            help_=HELP["runout"].format(what=PLAN_RUNOUT.what),
            wide=True,
        )


def sites_of(counts: SiteCounts) -> str:
    """'1 site', '48 sites'."""
    return f"{counts.sites} {'site' if counts.sites == 1 else 'sites'}"


def _freshness(frame: Frame) -> None:
    elapsed = (pd.Timestamp.now("UTC") - frame.extent.now).total_seconds()
    tile(
        "Freshness",
        theme.age(elapsed),
        theme.stamp(frame.extent.now, frame.zone),
        help_=f"End of the newest interval, {plain(frame.zone)}.",
    )
