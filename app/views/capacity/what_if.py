"""What if: changes to what is expected, added one by one, held in the URL, and shown on the whole page beside what
holds without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import time
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.cached import Direction, HeadroomError, planning
from app.cached.planning import CITY, PlanQuery
from app.ui import empty_states
from app.ui.header import Frame
from app.ui.place import region_names, site_names
from app.ui.site_filter import no_site_passes
from app.views.capacity import choices
from data.schema import GLOBAL_KEY, ID_PATTERN


class Outlooks(NamedTuple):
    """The rows of all levels after the what-if, and those without it where there is one."""

    rows: pd.DataFrame
    base: pd.DataFrame | None
    question: PlanQuery


def outlooks(frame: Frame, question: PlanQuery) -> Outlooks | None:
    """The plan with and without the what-if; without, and the reason said, where it cannot be applied. None where there
    are no futures.
    """
    base = planning.run_out_table(frame.pin, frame.scope, question._replace(changes=""))
    if base is None:
        return None
    if not question.changes:
        return Outlooks(base, None, question)
    try:
        changed = planning.run_out_table(frame.pin, frame.scope, question)
    except HeadroomError as error:
        st.warning(
            f"The what-if cannot be applied, and is left out: {empty_states.plain(error)}", icon=":material/error:"
        )
        st.button("Remove the what-if", on_click=_clear, key="what-if-clear-bad")
        changed = None
    return Outlooks(base, None, question._replace(changes="")) if changed is None else Outlooks(changed, base, question)


def sites(frame: Frame, asked: PlanQuery) -> tuple[Outlooks, pd.DataFrame] | None:
    """The plan, and its rows of the sites that pass the filters, worst first; None where there are none, which the page
    then says.
    """
    found = outlooks(frame, asked)
    if found is None:
        choices.no_futures(frame, asked)
        return None
    rows = choices.sites_of(frame, found.rows)
    if rows.empty:
        no_site_passes()
        return None
    return found, rows


def panel(frame: Frame, question: PlanQuery) -> None:
    """The changes that hold, each in words, and a form for one more."""
    held = planning.changes(question.changes)
    for at, one in enumerate(held):
        _held(frame, question, at, one)
    if len(held) > 1:
        st.button("Remove the what-if", on_click=_clear, key="what-if-clear", type="tertiary", icon=":material/close:")
    with st.expander("What if one thing more changes?" if held else "What if?", icon=":material/alt_route:"):
        kind = st.selectbox("Change", list(KINDS), format_func=KINDS.__getitem__, key="what-if-kind", width=260)
        with st.form("what-if", border=False, enter_to_submit=False):
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
                change = FORMS[kind](frame)
            if st.form_submit_button("Add to the what-if", disabled=change is None) and change is not None:
                _add(question, {"kind": kind, **change})


def _held(frame: Frame, question: PlanQuery, at: int, change: dict[str, object]) -> None:
    """One change in words, with a button that takes it out."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        said = empty_states.plain(words(change, frame.catalogue))
        st.markdown(f":material/alt_route: What if: {said}", width="content")
        st.button(
            "Remove",
            key=f"what-if-drop-{at}",
            type="tertiary",
            icon=":material/close:",
            on_click=_drop,
            args=(question, at),
        )


def _add(question: PlanQuery, change: dict[str, object]) -> None:
    if why := unusable(change):
        st.warning(empty_states.plain(why))
        return
    try:
        text = planning.with_change(question.changes, change)
    except HeadroomError as error:
        st.warning(empty_states.plain(error))
        return
    if not state.fits(text):
        st.warning(
            "A what-if of so many changes does not fit into a link. Remove it, and begin with what matters most."
        )
        return
    # The page goes to what the change does.
    state.update(whatif=text, grade="changed")
    st.rerun()


def _drop(question: PlanQuery, at: int) -> None:
    left = planning.without_change(question.changes, at) or None
    state.update(whatif=left, grade="changed" if left else "all")


def _clear() -> None:
    state.update(whatif=None, grade="all")


KINDS = {
    "event": "An event",
    "growth": "Growth",
    "bitrate": "Another bitrate or codec",
    "add_site": "A site opens",
    "close_site": "A site closes",
    "add_capacity": "More capacity",
    "move_augment": "Augments come later or sooner",
    "limit": "Another limit",
}
# An order that is placed now is in service by then.
LATER = pd.Timedelta(days=90)
# An event is asked about when it is near.
EVENT_AHEAD = pd.Timedelta(days=14)
_EVERY = ""  # no identifier is empty


def unusable(change: Mapping[str, object]) -> str | None:
    """Why the values of a form cannot be used, where the person who typed them can mend it."""
    name = change.get("site_id")
    if change["kind"] == "add_site" and not re.fullmatch(ID_PATTERN, str(name)):
        return "Give the new site an identifier: a letter or digit, then letters, digits, dot, dash, underscore; at most 64."
    return None


def _growth(frame: Frame) -> dict[str, object]:
    percent = st.number_input(
        "More each year than forecast, %", -90.0, 500.0, 20.0, 5.0, key="what-if-percent", width=220
    )
    return {"percent": float(percent), "scope": _scope(frame)}


def _event(frame: Frame) -> dict[str, object]:
    """More by a share or by Gbps, at a time of day on so many days."""
    size = float(st.number_input("More at the busiest hour", -90.0, 1e6, 30.0, 5.0, key="what-if-gbps", width=170))
    unit = st.selectbox("in", ["%", "Gbps"], key="what-if-unit", width=90)
    scope = _scope(frame)
    start = _day(frame, "First day", EVENT_AHEAD)
    days = st.number_input("Days", 1, 366, 3, 1, key="what-if-event-days", width=90)
    hour = st.time_input("From, UTC", time(18), step=3600, key="what-if-hour", width=110)
    hours = st.number_input("Hours a day", 1.0, 24.0, 4.0, 1.0, key="what-if-hours", width=110)
    sizes = {"gbps": 0.0, "percent": size} if unit == "%" else {"gbps": size, "percent": 0.0}
    return {**sizes, "start": f"{start}T{hour:%H:%M}", "hours": float(hours), "days": float(days), "scope": scope}


def _bitrate(frame: Frame) -> dict[str, object]:
    percent = st.number_input(
        "Bits for each viewer, % of today's", 1.0, 1000.0, 70.0, 5.0, key="what-if-bits", width=230
    )
    weeks = st.number_input("By degrees over, weeks", 0.0, 260.0, 8.0, 1.0, key="what-if-weeks", width=170)
    return {
        "factor": float(percent) / 100,
        "start": _day(frame, "Starts"),
        "weeks": float(weeks),
        "scope": _scope(frame),
    }


def _add_site(frame: Frame) -> dict[str, object]:
    """A site lies where a neighbour does, unless a place is given: enough for who fails over to it."""
    name = st.text_input("Identifier of the new site", placeholder="par-02", key="what-if-new", width=190)
    beside = _site(frame, "Beside", list(site_names(frame.catalogue, None)))
    gbps = st.number_input("Capacity, Gbps", 0.0, 1e6, 400.0, 100.0, key="what-if-size", width=140)
    day = _day(frame, "Opens")
    names = site_names(frame.catalogue, None)
    relieves = st.multiselect(
        "Takes demand from", list(names), format_func=lambda key: names.get(key, key), key="what-if-relieves", width=300
    )
    share = st.number_input("Share of it, %", 0.0, 100.0, 30.0, 5.0, key="what-if-share", width=120)
    place = frame.catalogue.set_index("site_id").loc[beside]
    lat = st.number_input("Latitude, if not there", -90.0, 90.0, None, key="what-if-lat", width=160)
    lon = st.number_input("Longitude", -180.0, 180.0, None, key="what-if-lon", width=130)
    there = {
        "lat": float(place["lat"]) if lat is None else float(lat),
        "lon": float(place["lon"]) if lon is None else float(lon),
    }
    shared: dict[str, object] = {"relieves": list(relieves), "share": float(share) / 100}
    return {
        "site_id": name.strip(),
        "region_id": str(place["region_id"]),
        **there,
        "gbps": float(gbps),
        "start": day,
        **shared,
    }


def _close_site(frame: Frame) -> dict[str, object]:
    return {"site_id": _site(frame, "Site", list(site_names(frame.catalogue, None))), "start": _day(frame, "Closes")}


def _add_capacity(frame: Frame) -> dict[str, object]:
    site = _site(frame, "Site that grows", list(site_names(frame.catalogue, None)))
    gbps = st.number_input("Adds, Gbps", 0.1, 1e6, 100.0, 10.0, key="what-if-more", width=140)
    day = _day(frame, "In service")
    month = st.number_input("USD a month, if known", 0.0, 1e10, None, 100.0, key="what-if-month", width=180)
    return {"adds": [[site, day, float(gbps), float(month or 0.0)]], "direction": _direction()}


def _move_augment(frame: Frame) -> dict[str, object] | None:
    direction = _direction()
    sites = cached.planned_augments(frame.pin, frame.scope, direction)
    if not sites:
        st.caption(f"No augment of {direction} is planned: the sheet of declared capacity takes one in.")
        return None
    site = _site(frame, "Site with planned augments", sites)
    days = st.number_input(
        "Later by, days; sooner: negative", -1000.0, 1000.0, 30.0, 10.0, key="what-if-days", width=220
    )
    return {"site_id": site, "days": float(days)}


def _limit(frame: Frame) -> dict[str, object]:
    share = st.number_input(
        "Share of capacity that may be used, %", 10.0, 100.0, 90.0, 5.0, key="what-if-limit", width=260
    )
    site = _site(frame, "Where", [_EVERY, *site_names(frame.catalogue, None)])
    return {"limit": float(share) / 100, **({"site_id": site} if site != _EVERY else {})}


FORMS: dict[str, Callable[[Frame], dict[str, object] | None]] = {
    "growth": _growth,
    "event": _event,
    "bitrate": _bitrate,
    "add_site": _add_site,
    "close_site": _close_site,
    "add_capacity": _add_capacity,
    "move_augment": _move_augment,
    "limit": _limit,
}


def _direction() -> Direction:
    return "ingest" if state.current().direction == "ingest" else "egress"


def _scope(frame: Frame) -> str:
    """Everywhere, a region, a city of several sites, or a site."""
    words = scopes(frame.catalogue)
    return str(st.selectbox("Where", list(words), format_func=words.__getitem__, key="what-if-scope", width=240))


def scopes(catalogue: pd.DataFrame) -> dict[str, str]:
    """Where a change may hold, with its words, widest first; a city of one site is that site."""
    cities = catalogue["city"].dropna().astype(str).value_counts()
    return {
        GLOBAL_KEY: "Everywhere",
        **{key: f"{name} (region)" for key, name in region_names(catalogue).items()},
        **{f"{CITY}{city}": f"{city} ({count} sites)" for city, count in cities[cities > 1].sort_index().items()},
        **site_names(catalogue, None),
    }


def _site(frame: Frame, label: str, sites: list[str] | tuple[str, ...]) -> str:
    names = {_EVERY: "Every site", **site_names(frame.catalogue, None)}
    return str(
        st.selectbox(label, sites, format_func=lambda key: names.get(key, key), key=f"what-if-site-{label}", width=240)
    )


def _day(frame: Frame, label: str, ahead: pd.Timedelta = LATER) -> str:
    chosen = st.date_input(label, (frame.extent.now + ahead).date(), key=f"what-if-day-{ahead.days}", width=140)
    return f"{chosen:%Y-%m-%d}"


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
        return self.known.get(str(key), str(key).removeprefix(CITY))


def _growth_words(change: Held, names: _Names) -> str:
    what = f"{change['direction'].capitalize()} demand" if change.get("direction") else "Demand"
    way = "more" if change["percent"] >= 0 else "less"
    return f"{what} grows by {abs(change['percent']):g} % a year {way} than forecast, {names[change['scope']]}"


def _event_words(change: Held, names: _Names) -> str:
    percent, days = change.get("percent", 0.0), change.get("days", 1.0)
    sizes = [f"{percent:+g} %"] if percent else []
    sizes += [theme.gbps(change["gbps"])] if change["gbps"] or not percent else []
    daily = f"{change['hours']:g} hours a day on {days:g} days" if days > 1 else f"{change['hours']:g} hours"
    start = str(change["start"]).replace("T", " ")
    return f"An event of {' and '.join(sizes)} for {daily} from {start}, {names[change['scope']]}"


def _bitrate_words(change: Held, names: _Names) -> str:
    pace = f", by degrees over {change['weeks']:g} weeks" if change["weeks"] else ""
    return f"Each viewer is sent {100 * change['factor']:g} % of today's bits from {change['start']}{pace}, {names[change['scope']]}"


def _add_site_words(change: Held, names: _Names) -> str:
    relieved = ", ".join(names[site] for site in change["relieves"])
    takes = f" and takes {100 * change['share']:g} % of the demand of {relieved}" if relieved else ""
    return f"{change['site_id']} opens on {change['start']} with {theme.gbps(change['gbps'])} in {names[change['region_id']]}{takes}"


def _close_site_words(change: Held, names: _Names) -> str:
    return f"{names[change['site_id']]} closes on {change['start']}"


def _add_capacity_words(change: Held, names: _Names) -> str:
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


def _move_augment_words(change: Held, names: _Names) -> str:
    return f"The planned augments of {names[change['site_id']]} come {abs(change['days']):g} days {'later' if change['days'] >= 0 else 'sooner'}"


def _limit_words(change: Held, names: _Names) -> str:
    return f"The limit is {100 * change['limit']:g} % of capacity{', ' + names[change['site_id']] if change.get('site_id') else ''}"


def _by_values(change: Held, _: _Names) -> str:
    return f"{change['kind']}: {', '.join(f'{name} {value}' for name, value in change.items() if name != 'kind' and value is not None)}"


_SAID: dict[str, Callable[[Held, _Names], str]] = {
    "growth": _growth_words,
    "event": _event_words,
    "bitrate": _bitrate_words,
    "add_site": _add_site_words,
    "close_site": _close_site_words,
    "add_capacity": _add_capacity_words,
    "move_augment": _move_augment_words,
    "limit": _limit_words,
}
