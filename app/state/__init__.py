"""What a page shows, held in the URL: a link reproduces the page.

Every value that a page reads stands in its URL, defaults too, so that a link keeps its meaning when a default changes.
What was chosen on another page is remembered for the session; the URL wins. A value that cannot be used falls back to
the default, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from app.state import reading
from app.state.reading import (
    ALL,
    BEFORE,
    BUDGET_MOST,
    COMPARED,
    FIRST_YEAR,
    LAST_YEAR,
    LEAST_LIMIT,
    MOST_LIMIT,
    NEWEST,
    NONE,
    NOW,
    PLACES_MOST,
    RUN_DIGITS,
    STEPS_MOST,
    USUAL,
    WORST,
    Known,
    UnusableError,
    fits,
)
from data.schema import DEMAND_METRICS, TABLES, UTILISATION_LIMIT

__all__ = [
    "ALL",
    "BUDGET_MOST",
    "CARRIED",
    "CHOICES",
    "COMPARED",
    "FIRST_YEAR",
    "LAST_YEAR",
    "LEAST_LIMIT",
    "MOST_LIMIT",
    "NONE",
    "PLACES_MOST",
    "RUN_DIGITS",
    "STEPS_MOST",
    "Known",
    "State",
    "address",
    "bound",
    "current",
    "fits",
    "fold",
    "known",
    "link",
    "open_page",
    "parse",
    "read",
    "texts",
    "update",
]

CHOICES: dict[str, tuple[str, ...]] = {
    "zone": ("UTC", "site", "viewer"),
    "range": ("24h", "7d", "28d", "90d", "all", "custom"),
    "grain": ("auto", "5min", "1h", "1d"),
    "show": ("last_week", "forecast", "peaks", "prophet", "baseline", "events"),
    "color": ("health", "utilisation", "runout"),
    "layers": ("sites", "flows", "labels"),
    "role": ("ingest", "edge"),
    "map": ("flat", "globe"),
    "section": ("freshness", "completeness", "snapshots", "quarantine", "aside", "versions", "dictionary"),
    "table": tuple(TABLES),
    "direction": ("egress", "ingest"),
    "statistic": ("peak", "p95"),
    "planned": ("counted", "left-out"),
    "sheet": ("runout", "failures", "scenarios", "augments", "cost", "limits", "declared", "scorecard"),
    "grade": ("all", "over", "late", "due", "later", "changed"),
    "quantile": ("p50", "p90"),
    "weights": ("declared", "nearby"),
    "months": tuple(str(count) for count in range(3, 19)),
    "certainty": ("0.5", "0.6", "0.7", "0.8", "0.9", "0.95"),
    "survives": ("nothing", "n-1"),
    "quality": ("rebuffer_ratio", "startup_seconds", "playback_failure_ratio", "ingest_starved_ratio"),
    "metric": DEMAND_METRICS,
    "part": ("verdict", "backtests", "components", "runs"),
    "score": ("mase", "wape", "bias", "pinball", "coverage_50", "coverage_80", "coverage_95", "msis_95"),
    "beside": ("prophet", "baseline"),
    "history": ("28", "56", "90", "180", "365", "all"),
    "scale": ("absolute", "capacity", "indexed"),
    "by": ("time", "week"),
    "prior": ("0.001", "0.01", "0.05", "0.1", "0.5"),
    "open": ("series", "licence", "models", "numbers", "failover", "curve"),
}
# Choices that fit into a note; of more, only the wrong one is named.
LISTED = 8
# The page that opens first; it lives at the root.
HOME = "overview"
# What the URL of a page carries beside the zone.
CARRIED: dict[str, tuple[str, ...]] = {
    "overview": ("region", "partner", "role", "color", "layers", "map", "at"),
    "region": (
        "region",
        "site",
        "range",
        "start",
        "end",
        "grain",
        "show",
        "metric",
        "places",
        "earlier",
        "scale",
        "by",
        "color",
        "at",
        "open",
    ),
    "capacity": (
        "region",
        "partner",
        "role",
        "sheet",
        "direction",
        "statistic",
        "limit",
        "planned",
        "lead",
        "grade",
        "focus",
        "whatif",
        "scenario",
        "compare",
        "fails",
        "quantile",
        "weights",
        "week",
        "plan",
        "months",
        "certainty",
        "survives",
        "budget",
        "steps",
        "quality",
        "open",
    ),
    "models": (
        "region",
        "site",
        "metric",
        "part",
        "open",
        "score",
        "origin",
        "beside",
        "history",
        "prior",
        "without",
        "run",
        "against",
    ),
    "data": ("section", "table"),
}
_MEMORY, _PAGE, _CURRENT = "state.memory", "state.page", "state.current"


@dataclass(frozen=True, slots=True)
class State:
    """What has been chosen. None is every site, region, partner or role; as a time, the end of the telemetry or no
    bound; as an origin or a run, the newest (`against`: the run before it). `history`, `prior` and `without` say what a
    refit is made of: days, changepoint prior, an event_id, "all" or "none". `open` names the folds that are open.

    `fails` is what fails (site:KEY, region:KEY, partner:NAME, path:FROM>TO; None: what is worst), `week` the week that
    is played (None: the first), `plan` a saved plan (None: the newest). `weights` is how demand fails over: as declared
    (by distance and headroom where no table is), or nearby: by these anyhow.

    `lead` pads declared lead times: a factor and days, as FACTORxDAYS. `grade` chooses rows of what runs out.

    `focus` is the place whose run-out is drawn (site:KEY, region:KEY or global:all; None: what runs out first);
    `whatif` the changes to what is expected, as app.cached.planning reads them (None: none); `steps` what augments are
    bought from, as reading.STEPS has it (None: the usual sizes), and `budget` what they may cost, USD (None: what it
    takes); `scenario` the named one that the changes come from, as ID.REVISION, and `compare` those side by side, as
    ID,ID.

    `places` are compared with the place of the page (each as `focus`), or `earlier` weeks with its time (as 4w), on a
    `scale`, `by` time or hour of the week.

    Stamps are UTC. `notes` says, as Markdown, what in the link could not be used.
    """

    site: str | None = None
    region: str | None = None
    partner: str | None = None
    role: str | None = None
    zone: str = "UTC"
    range: str = "7d"
    start: datetime | None = None
    end: datetime | None = None
    grain: str = "auto"
    places: tuple[str, ...] | None = None
    earlier: str | None = None
    scale: str = "absolute"
    by: str = "time"
    show: tuple[str, ...] = ("last_week", "forecast", "peaks", "prophet", "events")
    color: str = "health"
    layers: tuple[str, ...] = ("sites", "flows")
    map: str = "flat"
    at: datetime | None = None
    section: str = "freshness"
    table: str = "telemetry"
    sheet: str = "runout"
    direction: str = "egress"
    statistic: str = "peak"
    limit: float = UTILISATION_LIMIT
    planned: str = "counted"
    lead: str = "2x5"
    grade: str = "all"
    focus: str | None = None
    whatif: str | None = None
    scenario: str | None = None
    compare: str | None = None
    fails: str | None = None
    quantile: str = "p90"
    weights: str = "declared"
    week: datetime | None = None
    plan: str | None = None
    months: str = "12"
    certainty: str = "0.9"
    survives: str = "nothing"
    budget: int | None = None
    steps: str | None = None
    quality: str = "rebuffer_ratio"
    metric: str = "egress_gbps"
    part: str = "verdict"
    open: tuple[str, ...] = ()
    score: str = "mase"
    origin: datetime | None = None
    beside: tuple[str, ...] = ("prophet", "baseline")
    history: str = "90"
    prior: str = "0.05"
    without: str = NONE
    run: int | None = None
    against: int | None = None
    notes: tuple[str, ...] = ()


# Reading and writing
# ----------------------------------------------------------------------------------------------------


def read(catalogue: pd.DataFrame, page: str) -> State:
    """The state of this run: from what the URL says of this page, then from what the session remembers, then the
    defaults; the URL is completed.

    `catalogue` has the columns site_id, region_id and partner of every site.
    """
    asked = {name: st.query_params[name] for name in ("zone", *CARRIED.get(page, ())) if name in st.query_params}
    world = known(catalogue)
    state = parse(_remembered(asked, page) | asked, world)
    if (conflict := _region_conflict(asked, state, world)) is not None:
        state = replace(state, notes=(*state.notes, conflict))
    st.session_state[_PAGE] = page
    _keep(state)
    return state


def _region_conflict(asked: Mapping[str, str], state: State, world: Known) -> str | None:
    """What a link says that names a site, and a region in which it does not lie: the site is shown."""
    region = asked.get("region", ALL)
    if not state.site or "site" not in asked or region in (ALL, state.region) or region not in world.region_of.values():
        return None
    return (
        f"The link asks for the site {reading.shown(state.site)} in the region {reading.shown(region)}; it lies in "
        f"{reading.shown(str(state.region))}, which is shown."
    )


def current() -> State:
    """The state that this run has read, with what was changed since."""
    state: State = st.session_state[_CURRENT]
    return state


def update(**changes: Any) -> None:
    """Change values, in a callback or in the page; the URL follows."""
    _keep(_changed(current(), changes))


def link(page: str, **changes: Any) -> str:
    """The address, relative to any page, that reproduces `page` with these changes. A site brings its region."""
    path = "" if page == HOME else page
    return f"./{path}?{urlencode(texts(_changed(current(), _with_region(changes)), page))}"


def _with_region(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes; a site that is named alone leaves the region that is shown."""
    return {**({"region": None} if changes.get("site") else {}), **changes}


def address(page: str) -> str:
    """The full address that reproduces `page` as it stands, for another person."""
    server = str(st.context.url or "").split("?")[0].rstrip("/")
    return f"{server}?{urlencode(texts(current(), page))}"


def open_page(page: str, **changes: Any) -> None:
    """Go to a page now; the run ends here. Not for callbacks."""
    target = _changed(current(), _with_region(changes))
    _keep(target, write=False)
    # Streamlit knows a page by its URL path; what draws it is registered in app/main.py.
    st.switch_page(st.Page(_drawn_elsewhere, title=page, url_path=page), query_params=texts(target, page))


def bound(name: str) -> dict[str, Any]:
    """Arguments that tie a widget to a value of the state: its key, and what happens when it changes.

    `st.segmented_control("Colour by", state.CHOICES["color"], **state.bound("color"))`
    """
    key = f"state.{name}"
    value = getattr(current(), name)
    st.session_state[key] = list(value) if isinstance(value, tuple) else value
    return {"key": key, "on_change": _adopt, "args": (name, key)}


def fold(name: str) -> dict[str, Any]:
    """Arguments that tie an expander to the state, so that a link opens what was open; its content need not be computed
    while `.open` is false.

    `with st.expander("All models", **state.fold("models")) as models: ...`
    """
    key = f"state.open.{name}"
    st.session_state[key] = name in current().open
    return {"key": key, "on_change": _folded, "args": (name, key)}


def _folded(name: str, key: str) -> None:
    wanted = {*current().open, name} if st.session_state[key] else {*current().open} - {name}
    update(open=tuple(option for option in CHOICES["open"] if option in wanted))


def _adopt(name: str, key: str) -> None:
    """Take a widget's value over. The chosen segment, clicked again, gives None; it stays chosen."""
    value = st.session_state[key]
    if value is not None or name in _WITHOUT:
        update(**{name: tuple(value) if isinstance(value, list) else value})


def _remembered(asked: Mapping[str, str], page: str) -> dict[str, str]:
    """What the session remembers; not the site, where the URL asks for a region without one.

    A page about regions and not about one site leaves the site, and the region that came with it: who looked at one
    comes back to the whole network.
    """
    memory: dict[str, str] = st.session_state.get(_MEMORY, {})
    forgotten = {"site"} if "region" in asked and asked["region"] != memory.get("region") else set()
    carried = CARRIED.get(page, ())
    if "region" in carried and "site" not in carried and memory.get("site", ALL) != ALL:
        forgotten |= {"site", "region"}
    return {name: text for name, text in memory.items() if name not in forgotten}


def _keep(state: State, *, write: bool = True) -> None:
    """Hold a state as that of this run, remember it for the session, and complete the URL."""
    st.session_state[_CURRENT] = state
    st.session_state[_MEMORY] = {name: _text(state, name) for name in _PARSE}
    wanted = texts(state, st.session_state[_PAGE])
    if write and st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def _changed(state: State, changes: Mapping[str, Any]) -> State:
    """A state with changes; another region leaves the site."""
    leaves = "site" not in changes and changes.get("region", state.region) != state.region
    return replace(state, **{"notes": (), **({"site": None} if leaves else {}), **changes})


def _drawn_elsewhere() -> None:
    """Stands for a page that is pointed at."""


# Between text and values
# ------------------------------------------------------------------------------------------------


def known(catalogue: pd.DataFrame) -> Known:
    """What a link may name, from the catalogue of sites."""
    return Known(
        dict(zip(catalogue["site_id"], catalogue["region_id"], strict=True)), set(catalogue["partner"].dropna())
    )


def texts(state: State, page: str) -> dict[str, str]:
    """What the URL of a page says of a state."""
    return {name: _text(state, name) for name in ("zone", *CARRIED.get(page, ()))}


def parse(asked: Mapping[str, str], world: Known) -> State:
    """The state that texts ask for; the defaults where they say nothing, or nothing usable."""
    values: dict[str, Any] = {}
    notes: list[str] = []
    for name, text in asked.items():
        try:
            values[name] = _PARSE[name](text, world)
        except UnusableError as fault:
            notes.append(f"The link {fault}.")
    return _consistent(values, notes, world)


def _consistent(values: dict[str, Any], notes: list[str], world: Known) -> State:
    """Values that go together: a site lies in its region, and a custom range starts before it ends."""
    if values.get("site"):
        values["region"] = world.region_of[values["site"]]
    start, end = values.get("start"), values.get("end")
    if values.get("range") == "custom" and (start is None or (end is not None and start >= end)):
        notes.append("The link asks for a custom range that does not start before it ends.")
        values |= {"range": State().range, "start": None, "end": None}
    if values.get("places") and values.get("earlier"):
        notes.append("The link compares both places and times; the places are shown.")
        values["earlier"] = None
    return State(**values, notes=tuple(notes))


def _text(state: State, name: str) -> str:
    value = getattr(state, name)
    if value is None:
        return _WITHOUT[name]
    if name == "open":
        return ",".join(value) or NONE
    if name == "whatif":
        return reading.whatif_text(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M}"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _choice(name: str, text: str, _: Known) -> str:
    if text not in CHOICES[name]:
        few = len(CHOICES[name]) <= LISTED
        raise UnusableError(
            f"asks for {name} {reading.shown(text)}"
            + (f"; it is one of {', '.join(CHOICES[name])}" if few else ", which is none")
        )
    return text


def _choices(name: str, text: str, world: Known) -> tuple[str, ...]:
    """Several choices, in the order of the contract; none at all is a choice."""
    wanted = {_choice(name, part, world) for part in text.split(",")} if text else set()
    return tuple(option for option in CHOICES[name] if option in wanted)


_WITHOUT = {
    **dict.fromkeys(("site", "region", "partner", "role"), ALL),
    **dict.fromkeys(("start", "end", "at", "origin", "week"), NOW),
    "run": NEWEST,
    "against": BEFORE,
    "focus": WORST,
    "fails": WORST,
    "plan": NEWEST,
    **dict.fromkeys(("whatif", "scenario", "compare", "budget", "places", "earlier"), NONE),
    "steps": USUAL,
}
_PARSE: dict[str, Callable[[str, Known], Any]] = {
    **{name: partial(_choice, name) for name in CHOICES},
    "site": partial(reading.named, "site", lambda world: world.region_of.keys()),
    "region": partial(reading.named, "region", lambda world: set(world.region_of.values())),
    "partner": partial(reading.named, "partner", lambda world: world.partners),
    "role": lambda text, world: None if text == ALL else _choice("role", text, world),
    **{name: partial(_choices, name) for name in ("show", "layers", "beside")},
    "open": lambda text, world: () if text == NONE else _choices("open", text, world),
    **dict.fromkeys(("start", "end", "at", "origin", "week"), reading.moment),
    **dict.fromkeys(("run", "against"), reading.number),
    "limit": reading.limit,
    "budget": reading.budget,
    "focus": reading.focus,
    "fails": reading.failing,
    "places": reading.places,
    "whatif": reading.whatif,
    **{name: partial(reading.shaped, *shape) for name, shape in reading.SHAPED.items()},
}
