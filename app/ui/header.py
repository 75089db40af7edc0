"""The strip on top of every page: search, how fresh the data are and which version is shown, and the zone of the
times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.cached import Extent, Pin, Run, Scope
from app.state import State
from app.theme import Scheme
from app.ui import empty_states, export
from app.ui.empty_states import plain

_SEARCH, _FOUND, _READ = "header.search", "header.found", "header.welcome-read"
# The cookie that app/static/shell.js sets when the line for first visits is put away.
WELCOME_COOKIE = "headroom_welcome"
NARROW_COOKIE = "headroom_narrow"
ABOUT = "**Headroom** shows how healthy a network is and when it runs out."
TERMS = (
    "**Limit**: how much of a site's capacity may be used. **Run-out**: when the peak of a week passes it. "
    "**Order by**: the last day to order in time."
)
KEYS = {"/": "search", "?": "this sheet", "Tab": "next control", "Enter": "open or choose", "Esc": "close"}


@dataclass(frozen=True, slots=True)
class Frame:
    """What a view is given: the pinned lake, how far it reaches, its sites, the state, and how to draw.

    `zone` is the IANA name of the zone to draw times in. `narrow`: columns are stacked, as on a telephone.
    """

    pin: Pin
    extent: Extent
    catalogue: pd.DataFrame
    state: State
    zone: str
    scheme: Scheme
    scope: Scope
    narrow: bool = False


def page_header(pin: Pin, scope: Scope, page: str) -> Frame | None:
    """Draw the strip; None where the lake holds no telemetry, which the page then says. `scope`: what the viewer may
    see.
    """
    with st.container(key="page-title"):
        st.markdown(f"# {page.capitalize()}")
    extent = cached.extent(pin, scope)
    if extent is None:
        empty_states.no_telemetry(pin.url)
        wait_for_telemetry(scope)
        return None
    catalogue = cached.catalogue(pin, scope)
    chosen = state.read(catalogue, page)
    _follow_search(catalogue)
    zone, zone_note = zone_of(chosen, catalogue, st.context.timezone)
    frame = Frame(pin, extent, catalogue, chosen, zone, scheme(), scope, is_narrow())
    run = cached.latest_run(pin, scope)
    export.from_source(
        export.Source(extent.now, zone, extent.telemetry_version, run.number if run else None, extent.simulated)
    )
    _strip(frame, page)
    _print_footer(frame, page)
    _welcome(frame)
    for note in chosen.notes:
        st.caption(f":material/link_off: {note}")
    if zone_note:
        st.caption(f":material/schedule: {zone_note}")
    return frame


def _strip(frame: Frame, page: str) -> None:
    """Search, freshness, zone, Share; on a telephone search and Share come first, in one row."""
    index = cached.search_index(frame.pin, frame.scope)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="strip"):
        with st.container(width=240 if frame.narrow else 300, key="search"):
            search(index)
        if frame.narrow:
            _share(page)
        status(frame.pin, frame.scope, frame.extent, frame.zone)
        _zone_switch()
        if not frame.narrow:
            _share(page)


def _share(page: str) -> None:
    """The address of the page as it stands, its printed form, and the keys."""
    with st.container(width="content", key="share"), st.popover("Share", icon=":material/share:"):
        st.markdown("**Copy link**: it opens this page as it is now.")
        st.code(state.address(page), language=None, wrap_lines=True)
        st.button(
            "Print, or save as PDF", icon=":material/print:", key="print", help="Charts whole, filters in the footer"
        )
        st.markdown("**Keys**")
        st.markdown("  \n".join(f"`{key}` {meaning}" for key, meaning in KEYS.items()))


def _print_footer(frame: Frame, page: str) -> None:
    """What a sheet of paper says of itself: the page, its filters, as of when, which version and run."""
    run, now = cached.latest_run(frame.pin, frame.scope), frame.extent.now
    parts = [
        f"Headroom, {page.capitalize()}",
        plain(filter_words(frame.state, frame.catalogue, page)),
        f"as of {theme.stamp(now, frame.zone)} {zone_word(now.tz_convert(frame.zone))}",
        f"v{frame.extent.telemetry_version}",
        f"run {run.number}" if run else "no forecast yet",
        *(["simulated network"] if frame.extent.simulated else []),
    ]
    with st.container(key="print-footer"):
        st.caption(" \u00b7 ".join(parts))


def filter_words(chosen: State, catalogue: pd.DataFrame, page: str) -> str:
    """The sites that a page is about, in words."""
    carried = state.CARRIED[page]
    words: list[str] = []
    for name, column, label in (("site", "site_id", "name"), ("region", "region_id", "region_name")):
        key = getattr(chosen, name)
        if name in carried and key is not None and not (name == "region" and words):
            words.append(str(catalogue.loc[catalogue[column] == key, label].iloc[0]))
    words += [f"partner {chosen.partner}"] if "partner" in carried and chosen.partner else []
    words += [f"{chosen.role} sites"] if "role" in carried and chosen.role else []
    return ", ".join(words) or "all sites"


def _welcome(frame: Frame) -> None:
    """One line for a first visit: what this is, and what its words mean."""
    if st.session_state.get(_READ) or WELCOME_COOKIE in st.context.cookies:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="welcome"):
        st.caption(ABOUT if frame.narrow else f"{ABOUT} {TERMS}", width="content")
        st.button(
            "Got it", key="welcome-dismiss", type="tertiary", on_click=st.session_state.__setitem__, args=(_READ, True)
        )


def scheme() -> Scheme:
    """The viewer's theme."""
    return "dark" if st.context.theme.type == "dark" else "light"


def is_narrow() -> bool:
    """Whether the browser stacks columns. Streamlit does not tell: app/static/shell.js notes it when a page is loaded."""
    return st.context.cookies.get(NARROW_COOKIE) == "1"


def zone_of(chosen: State, catalogue: pd.DataFrame, viewer: str | None) -> tuple[str, str]:
    """The zone to draw times in, and where that is UTC although another was chosen, why. "site" is the zone of the site, or
    the one that all sites of the region share.
    """
    if chosen.zone == "viewer":
        return _known_zone(viewer, "your browser names")
    if chosen.zone == "UTC":
        return "UTC", ""
    if chosen.site is None and chosen.region is None:
        return "UTC", "Times are in UTC: no site is chosen, nor a region whose sites share a time zone."
    column, key = ("site_id", chosen.site) if chosen.site else ("region_id", chosen.region)
    zones = catalogue.loc[catalogue[column] == key, "timezone"].unique()
    if len(zones) > 1:
        return "UTC", f"Times are in UTC: the sites of this region lie in {len(zones)} time zones."
    return _known_zone(zones[0], "the catalogue names") if len(zones) else ("UTC", "")


def _known_zone(name: str | None, who: str) -> tuple[str, str]:
    try:
        return (ZoneInfo(name).key, "") if name else ("UTC", f"Times are in UTC: there is no time zone that {who}.")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC", f"Times are in UTC: {who} the time zone {plain(name)}, which is not in the zone database."


def search(index: pd.DataFrame) -> None:
    """Find a site, region, city or partner by any part of its name, and open it."""
    labels = (
        index["label"] + " \u00b7 " + index["kind"] + (", " + index["detail"]).where(index["detail"] != "", "")
    ).to_numpy(dtype=object)
    st.selectbox(
        "Find a site, city, region or partner",
        range(len(labels)),
        index=None,
        format_func=labels.__getitem__,
        placeholder="Find a site, city, partner",
        key=_SEARCH,
        on_change=_found,
        args=(index,),
        label_visibility="collapsed",
    )


def _found(index: pd.DataFrame) -> None:
    """Note what was chosen, and clear the box. The page is left in the run that follows, for a callback cannot."""
    chosen = st.session_state[_SEARCH]
    if chosen is not None:
        st.session_state[_FOUND] = (index["kind"].iloc[chosen], index["key"].iloc[chosen])
    st.session_state[_SEARCH] = None


def _follow_search(catalogue: pd.DataFrame) -> None:
    """Open what the search has found."""
    if found := st.session_state.pop(_FOUND, None):
        page, changes = target(found[0], found[1], catalogue)
        state.open_page(page, **changes)


def target(kind: str, key: str, catalogue: pd.DataFrame) -> tuple[str, dict[str, str | None]]:
    """Where something that was found is shown: a page, and what changes in the state. A city of several sites opens
    their region.
    """
    if kind == "partner":
        return "overview", {"partner": key, "region": None, "site": None}
    if kind == "city":
        sites = catalogue[catalogue["city"] == key]
        kind, key = ("site", sites["site_id"].iloc[0]) if len(sites) == 1 else ("region", sites["region_id"].iloc[0])
    if kind == "region":
        return "region", {"region": key, "site": None}
    return "region", {"region": catalogue.loc[catalogue["site_id"] == key, "region_id"].iloc[0], "site": key}


def _zone_switch() -> None:
    words = {"UTC": "UTC", "site": "Site time", "viewer": "My time"}
    st.selectbox(
        "Zone of the times",
        state.CHOICES["zone"],
        format_func=words.__getitem__,
        label_visibility="collapsed",
        width=125,
        **state.bound("zone"),
    )


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
