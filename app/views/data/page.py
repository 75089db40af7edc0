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
from data.schema import METRIC

DAYS = 28
# A site that lacks more than this share of a month's samples is worth a look.
COMPLETE = 0.99
SECTIONS = {
    "freshness": "Freshness",
    "completeness": "Completeness",
    "snapshots": "Snapshots",
    "quarantine": "Quarantine",
    "aside": "Set aside",
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
SET_ASIDE = {
    "name": "Site",
    "metric_label": "Metric",
    "start": "From",
    "last": "To",
    "samples": "Samples",
    "value_words": "Value",
    "usual_words": "Usual value",
    "capacity_words": "Capacity",
    "cause": "Likely cause",
    "reason": "Reason",
}
LEVEL_CHANGES = {
    "name": "Site",
    "metric_label": "Metric",
    "ts": "Since",
    "until": "Until",
    "value_words": "Value",
    "usual_words": "Usual value",
    "cause": "Likelier",
    "reason": "Reason",
    "treatment": "In forecasts",
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
        "aside": aside,
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


def aside(frame: Frame) -> None:
    """Which samples are impossible and left out; which lasting changes there are, and what each likelier is?"""
    rows, changes = cached.set_aside(frame.pin, frame.scope), cached.level_changes(frame.pin, frame.scope)
    if rows.empty:
        empty_states.nothing(
            "Nothing set aside", "The last refresh met no sample that a site cannot have carried.", icon="verified"
        )
    else:
        samples, count = int(rows["samples"].sum()), rows["site_id"].nunique()
        st.markdown(
            f"**{samples:,} {'sample' if samples == 1 else 'samples'}** of {count} {'site' if count == 1 else 'sites'} "
            "set aside as impossible: kept in the lake, left out of forecasts, peaks, bands and pages."
        )
        ledger(
            _worded(rows),
            SET_ASIDE,
            frame.zone,
            name="set-aside",
            alt="Samples that are set aside with their reasons, newest first; a click on a name opens the site",
            opens="name",
        )
        st.caption(
            "Values that are real come back at the next refresh after an event with the treatment `keep`, like this one "
            "for the newest, is taken in with `python -m data ingest events.csv`:"
        )
        st.code(keeping_event(rows.iloc[0], frame.extent.grain_seconds), language=None, wrap_lines=True)
    if len(changes):
        st.markdown("## Lasting changes by a factor of five or more")
        treatment = changes["is_set_aside"].map({True: "set aside: above what the capacity allows", False: "counted"})
        ledger(
            _worded(changes).assign(treatment=treatment),
            LEVEL_CHANGES,
            frame.zone,
            name="level-changes",
            alt="Lasting changes of level, and whether a new level or another unit is likelier, newest first",
            opens="name",
        )


def keeping_event(row: pd.Series, grain_seconds: int) -> str:
    """A file of events that keeps the samples of one row."""
    end = row["last"] + pd.Timedelta(seconds=grain_seconds)
    start, end = (stamp.strftime("%Y-%m-%dT%H:%M:%SZ") for stamp in (row["start"], end))
    columns = "event_id,kind,title,start,end,scope,treatment"
    return f"{columns}\nkeep-{row['site_id']}-{start[:10]},change,{row['metric']} as measured,{start},{end},{row['site_id']},keep"


def _worded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with metrics and values in words."""
    numbers = {f"{column}_words": column for column in ("value", "usual") if column in rows}
    worded = {
        name: [theme.metric_value(metric, value) for metric, value in zip(rows["metric"], rows[column], strict=True)]
        for name, column in numbers.items()
    }
    if "capacity_gbps" in rows:
        worded["capacity_words"] = ["none" if pd.isna(value) else theme.gbps(value) for value in rows["capacity_gbps"]]
    return rows.assign(metric_label=rows["metric"].map(lambda metric: METRIC[metric].label), **worded)


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
