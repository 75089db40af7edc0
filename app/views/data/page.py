"""What do we have, how complete is it, and how fresh? What was refused, and why; which versions there are; what each
column means.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.tables import ledger
from app.views.data.charts import completeness_chart

DAYS = 28
# A site that lacks more than this share of a month's samples is worth a look.
COMPLETE = 0.99
SECTIONS = {
    "freshness": "Freshness",
    "completeness": "Completeness",
    "snapshots": "Snapshots",
    "quarantine": "Quarantine",
    "versions": "Versions",
    "dictionary": "Data dictionary",
}
FRESHNESS = {
    "name": "Site",
    "site_id": "Identifier",
    "behind": "Behind by",
    "last_ts": "Newest sample",
    "received_at": "Arrived",
}
SNAPSHOTS = {
    "ingested_at": "Taken in",
    "source": "Source",
    "table": "Table",
    "state": "State",
    "rows": "Rows",
    "rows_accepted": "Accepted",
    "rows_quarantined": "Refused",
    "first_ts": "From",
    "last_ts": "To",
}
QUARANTINE = {
    "refused_at": "Refused",
    "source": "Source",
    "table": "Table",
    "level": "What",
    "count": "Rows",
    "column": "Column",
    "value": "First value",
    "bound": "Bound",
    "cause": "Likely cause",
    "remedy": "Remedy",
    "kept_at": "Kept at",
}
VERSIONS = {
    "table": "Table",
    "version": "Version",
    "committed": "Committed",
    "rows": "Rows",
    "bytes": "Bytes",
    "files": "Files",
    "operation": "Last operation",
}
DICTIONARY = {
    "column": "Column",
    "type": "Type",
    "unit": "Unit",
    "presence": "Presence",
    "values": "Values",
    "meaning": "Meaning",
}


def show(frame: Frame) -> None:
    """One section at a time: what is not chosen is not computed."""
    st.segmented_control(
        "Section",
        list(SECTIONS),
        format_func=SECTIONS.__getitem__,
        label_visibility="collapsed",
        **state.bound("section"),
    )
    sections = {
        "freshness": freshness,
        "completeness": completeness,
        "snapshots": snapshots,
        "quarantine": quarantine,
        "versions": versions,
        "dictionary": dictionary,
    }
    sections[frame.state.section](frame)


def freshness(frame: Frame) -> None:
    """How far is each site behind the end of the telemetry, worst first?"""
    sites = cached.freshness(frame.pin, frame.scope).sort_values("age_seconds", ascending=False, na_position="first")
    late = sites["age_seconds"].isna() | (sites["age_seconds"] > 3 * frame.extent.grain_seconds)
    behind_words = f"{late.sum()} behind it by more than three intervals" if late.any() else "none is late"
    st.markdown(f"**{len(sites) - late.sum()} of {len(sites)} sites** reach the end of the telemetry; {behind_words}.")
    ledger(
        sites.assign(behind=sites["age_seconds"].map(behind)),
        FRESHNESS,
        frame.zone,
        name="freshness",
        alt="Newest sample of every site, the latest first; a click on a name opens the site",
        opens="name",
    )


def behind(seconds: float) -> str:
    """A lag in words."""
    if pd.isna(seconds):
        return "nothing has come"
    return "up to date" if seconds < 60 else theme.age(seconds).removesuffix(" ago")


def completeness(frame: Frame) -> None:
    """Which sites lack samples, and on which days? Which optional columns hold nothing?"""
    reach = (frame.extent.now.ceil("D") - frame.extent.first.floor("D")).days
    days = cached.completeness(frame.pin, frame.scope, min(DAYS, reach))
    mean = days.groupby("site_id")["completeness"].mean()
    short = f"{(mean < COMPLETE).sum()} of {len(mean)} sites have under {theme.percent(COMPLETE)}"
    st.markdown(f"**{theme.percent(mean.mean())}** of the samples expected are there; {short}.")
    figure = completeness_chart(days.assign(ts=pd.to_datetime(days["date"], utc=True)), scheme=frame.scheme)
    alt = f"Completeness by site and UTC day, last {DAYS} days, the least complete site first"
    export.chart(figure, key="completeness", name="completeness", alt=alt, data=days, units={"completeness": "ratio"})
    empty_states.partial("The full picture", absent(frame))


def absent(frame: Frame) -> dict[str, str]:
    """Meaning of each optional column of the telemetry that holds nothing."""
    words = cached.dictionary()
    optional = words[
        (words["table"] == "telemetry")
        & (words["presence"] == "optional")
        & ~words["column"].isin(frame.extent.metrics)
    ]
    return dict(zip(optional["column"], optional["meaning"], strict=True))


def snapshots(frame: Frame) -> None:
    """Which snapshots came in, and what became of them?"""
    rows = cached.snapshots(frame.pin, frame.scope)
    if rows.empty:
        empty_states.nothing(
            "No snapshot on record",
            "Nothing was taken in through ingest.",
            {"Take in a snapshot": "python -m data ingest PATH"},
        )
    else:
        ledger(rows, SNAPSHOTS, frame.zone, name="snapshots", alt="Ledger of snapshots, newest first")


def quarantine(frame: Frame) -> None:
    """What was refused, why, and what mends it?"""
    rows = cached.quarantined(frame.pin, frame.scope)
    if rows.empty:
        empty_states.nothing(
            "Nothing in quarantine", "Every snapshot and every row that came in kept the contract.", icon="verified"
        )
    else:
        ledger(
            rows,
            QUARANTINE,
            frame.zone,
            name="quarantine",
            alt="Refused snapshots and rows with their reasons, newest first",
        )


def versions(frame: Frame) -> None:
    """Which version of each table does this page show, and how is an older one read?"""
    ledger(
        cached.table_versions(frame.pin, frame.scope),
        VERSIONS,
        frame.zone,
        name="versions",
        alt="Newest version of every table",
    )
    st.caption(
        "Older versions stay readable until maintenance removes them: after a week at the earliest, while "
        "telemetry comes in live after an hour for what is measured. This lists them:"
    )
    st.code(f"python -m data status --lake {frame.pin.url}", language="bash", wrap_lines=True)


def dictionary(frame: Frame) -> None:
    """What does each column mean, in which unit, and what may it hold?"""
    rows = cached.dictionary()
    st.selectbox("Table", state.CHOICES["table"], width=300, **state.bound("table"))
    chosen = rows[rows["table"] == frame.state.table]
    ledger(
        chosen,
        DICTIONARY,
        frame.zone,
        name=f"dictionary-{frame.state.table}",
        alt=f"Columns of the table {frame.state.table}",
    )
