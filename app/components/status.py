"""How fresh the page is, and how far a refresh has come; both keep themselves up to date while the page is open."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from app import cached, theme
from app.cached import Extent, Pin, Run, Scope
from app.components.states import plain

# Telemetry that is older than this many of its own intervals is called stale.
STALE_AFTER = 3
# Seconds between looks at the lake: while a refresh runs, while a first telemetry is awaited, and else.
RUNNING, AWAITED, IDLE = 2.0, 3.0, 30.0
# A refresh that has not written for so long has died; a series takes seconds, so this is far beyond any of them.
SILENT = pd.Timedelta(minutes=3)
# Tables whose new version changes what a page shows.
SHOWN = ("sites", "capacity", "events", "telemetry", "telemetry_1h", "telemetry_1d", "runs")


class Refresh(NamedTuple):
    """How a refresh stands: running, failed, dead (it stopped without a word) or none to speak of."""

    state: str
    done: int = 0
    total: int = 0
    message: str = ""


def status(pin: Pin, scope: Scope, extent: Extent, zone: str) -> None:
    """The as-of line, and the progress of a refresh while one runs."""
    running = refresh_of(cached.progress(), _clock()).state == "running"
    st.fragment(_line, run_every=RUNNING if running else IDLE)(pin, scope, extent, zone, running)


def wait_for_telemetry(scope: Scope) -> None:
    """Open the page once the lake holds telemetry."""
    st.fragment(_awaited, run_every=AWAITED)(scope)


def _awaited(scope: Scope) -> None:
    if cached.extent(cached.current_pin(), scope) is not None:
        st.rerun()


def _line(pin: Pin, scope: Scope, extent: Extent, zone: str, running: bool) -> None:
    """Drawn again by itself; where the lake has moved on, or a refresh began or ended, the whole page is."""
    refresh, newest = refresh_of(cached.progress(), _clock()), cached.current_pin()
    if newest.only(SHOWN) != pin.only(SHOWN) or (refresh.state == "running") != running:
        st.rerun()
    run = cached.latest_run(pin, scope)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(as_of(extent, run, zone, _clock()), help=details(extent, run, zone))
        _progress(refresh)


def _progress(refresh: Refresh) -> None:
    if refresh.state == "running":
        share = refresh.done / refresh.total if refresh.total else 0.0
        st.progress(
            min(1.0, share),
            text=f"Forecasts: {refresh.done} of {refresh.total} series" if refresh.total else "Forecasts: starting",
            width=240,
        )
    elif refresh.state != "none":
        st.markdown(
            f":gray-badge[:material/error: refresh {refresh.state}]",
            help=f"{plain(refresh.message)}  \n`python -m forecasting refresh` runs it again.",
        )


def refresh_of(note: dict[str, Any] | None, clock: pd.Timestamp) -> Refresh:
    """How the refresh stands by the note that it keeps writing (state, done, total, updated, message)."""
    if note is None or note.get("state") not in ("running", "failed"):
        return Refresh("none")
    done, total = (value if isinstance(value := note.get(name), int) else 0 for name in ("done", "total"))
    told = Refresh(str(note["state"]), done, total, str(note.get("message") or ""))
    updated = _stamp(note.get("updated"))
    if told.state == "running" and (updated is None or clock - updated > SILENT):
        return told._replace(
            state="stopped",
            message=f"It has not been heard of since {'it started' if updated is None else theme.stamp(updated, 'UTC') + ' UTC'}.",
        )
    return told


def _stamp(text: object) -> pd.Timestamp | None:
    try:
        stamp = pd.Timestamp(datetime.fromisoformat(str(text)))
    except ValueError:
        return None
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def as_of(extent: Extent, run: Run | None, zone: str, clock: pd.Timestamp) -> str:
    """How fresh the page is, as Markdown: `as of 09:25 UTC, 4 min ago`, the version, the run; called stale, or
    simulated, where it is.
    """
    elapsed = (clock - extent.now).total_seconds()
    moment = extent.now.tz_convert(zone)
    shown = f"{moment:%H:%M}" if moment.date() == clock.tz_convert(zone).date() else theme.stamp(extent.now, zone)
    parts = [
        f"as of **{shown} {zone_word(moment)}**, {theme.age(elapsed)}",
        f"v{extent.telemetry_version}",
        f"run {run.number}" if run else "no forecast yet",
    ]
    badges = [":gray-badge[:material/history: stale]"] if elapsed > STALE_AFTER * extent.grain_seconds else []
    badges += [":gray-badge[:material/science: simulated network]"] if extent.simulated else []
    return " ".join([" \u00b7 ".join(parts), *badges])


def details(extent: Extent, run: Run | None, zone: str) -> str:
    """What stands behind the as-of line, as Markdown."""
    word = zone_word(extent.now.tz_convert(zone))
    lines = [
        f"Telemetry ends {theme.stamp(extent.now, zone)} {word}; the newest of it arrived {theme.stamp(extent.received_at, zone)} {word}.",
        f"Version {extent.telemetry_version} of the table telemetry, a value every {_grain(extent.grain_seconds)}, {extent.sites} sites.",
    ]
    if run is None:
        lines.append("No forecast has been published: `python -m forecasting refresh`.")
    else:
        started, until = theme.stamp(run.started, zone), theme.stamp(run.telemetry_until, zone)
        lines.append(f"Run {run.number} ({plain(run.engine)}) of {started} {word} knew telemetry until {until} {word}.")
        lines.append(f"{run.fitted} series were fitted, {run.refused} refused, {run.failed} failed.")
    if extent.simulated:
        lines.append("The network is simulated by `python -m data demo`; no real site is shown.")
    return "  \n".join(lines)


def _grain(seconds: int) -> str:
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def zone_word(moment: pd.Timestamp) -> str:
    """The zone of a stamp as people write it: UTC, CET, or UTC-3 where the zone has no letters."""
    name = str(moment.strftime("%Z"))
    if name.isalpha():
        return name
    offset = moment.utcoffset()
    hours = offset.total_seconds() / 3600 if offset else 0.0
    return f"UTC{hours:+g}"


def _clock() -> pd.Timestamp:
    return pd.Timestamp.now("UTC")
