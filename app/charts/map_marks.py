"""What each site and flow looks like on the map: place, size, colour and words, as the rows that deck.gl reads.

Keys are short because every step of the time slider sends all rows: `id`, `n` name, `t` words of the tooltip, `p` [lon,
lat], `r` radius in pixels, `c` fill, `l` outline.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from app import theme
from app.charts.map_view import located
from app.theme import Scheme

Colour = Literal["utilisation", "health", "runout"]
Row = dict[str, Any]
Site = Mapping[Hashable, Any]

# A marker's area is proportional to egress up to this radius; smaller ones stop where a pointer still finds them.
LARGEST_PX, SMALLEST_PX = 24.0, 3.5
# Where sites are many, or the map is small, so is the largest marker: else Europe is one blot.
MANY_SITES, LARGEST_OF_MANY_PX = 80, 14.0
# The forecast may pass the largest of the past week; beyond this a marker would hide its neighbours.
OVERSHOOT = 1.5
THICKEST_PX, THINNEST_PX = 7.0, 0.8
LONGEST_TEXT = 120
# The columns that the colour of a site follows from.
COLOURING = ["state", "utilisation", "runout", "run_out_p50"]
OPAQUE, MEASURED_ALPHA, EXPECTED_ALPHA = 255, 255, 110
# Below what needs a look lies what does not.
DRAWN_ORDER = ("unknown", "ok", "watch", "act")


class RunoutScale(NamedTuple):
    """How far away a run-out is as one of five steps, nearest last, so that it takes the colours of utilisation in the
    same order: the last one meets the eye first. `days`: below how many each of the middle steps begins; `title`: what
    the dates are; `what`: of what, after "the date on which".
    """

    title: str
    what: str
    days: tuple[float, float, float]
    words: tuple[str, str, str, str, str]


# The futures that a plan is made of reach 18 months.
PLAN_RUNOUT = RunoutScale(
    "Median run-out date of the plan",
    "the peak of a week passes 80 % of capacity",
    (math.inf, 180.0, 90.0),
    ("not in 18 months", "in 6 to 18 months", "in 3 to 6 months", "within 3 months", "already over the limit"),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How traffic becomes size: the Gbps of the largest marker and its radius in pixels."""

    gbps: float
    pixels: float

    def radius(self, gbps: float) -> float:
        """Radius of a marker; its area is proportional to the traffic."""
        share = max(0.0, gbps) / self.gbps if self.gbps > 0 else 0.0
        return round(min(max(SMALLEST_PX, self.pixels * math.sqrt(share)), self.pixels * OVERSHOOT), 1)


@dataclass(frozen=True, slots=True)
class Look:
    """How sites are drawn: by what they are coloured, in which scheme, how large, and when now is. `present` says that
    the moment shown is now, `runout` whose dates the sites carry.
    """

    colour: Colour
    scheme: Scheme
    size: Scale
    now: pd.Timestamp
    present: bool
    runout: RunoutScale = PLAN_RUNOUT


def scale(sites: pd.DataFrame, *, small: bool = False) -> Scale:
    """One scale for all moments of the slider: the largest hour of the past week of any site (column `week`, hours in
    Gbps). `small`: the map is.
    """
    weeks = [np.asarray(week, dtype=float) for week in sites["week"] if week is not None]
    largest = np.fmax.reduce(np.concatenate([*weeks, sites["egress_gbps"].to_numpy(dtype=float)]), initial=np.nan)
    crowded = small or len(sites) > MANY_SITES
    return Scale(0.0 if np.isnan(largest) else float(largest), LARGEST_OF_MANY_PX if crowded else LARGEST_PX)


def placed(sites: pd.DataFrame) -> pd.DataFrame:
    """The sites that have a place, large ones first: small ones then lie on top, and every moment has the same
    order.
    """
    sized = located(sites.assign(_size=sites["egress_gbps"].fillna(0.0)))
    return sized.sort_values(["_size", "site_id"], ascending=[False, True]).drop(columns="_size").reset_index(drop=True)


def at_present(sites: pd.DataFrame) -> pd.DataFrame:
    """The sites as they stand now, ready to be drawn: a frame of sites_now with `expected`, `low` and `high`, and the
    peak of the last 24 hours as its utilisation.
    """
    return placed(sites).assign(
        utilisation=lambda rows: rows["peak_24h_utilisation"], expected=False, low=math.nan, high=math.nan
    )


def at_moment(sites: pd.DataFrame, moment: pd.DataFrame) -> pd.DataFrame:
    """The same at another hour: what `moment` (one row a site_id) says of it stands in the place of now."""
    changing = ["egress_gbps", "ingest_gbps", "utilisation", "state", "expected", "low", "high"]
    return (
        placed(sites)
        .drop(columns=changing, errors="ignore")
        .merge(moment[["site_id", *changing]], on="site_id", how="left")
    )


def runout_step(site: Site, now: pd.Timestamp, scale: RunoutScale) -> int | None:
    """Which of the five steps of the scale a site is on; None without a forecast or a capacity."""
    kind = site["runout"]
    if kind == "over":
        return len(scale.days) + 1
    if kind == "beyond":
        return 0
    if kind != "within":
        return None
    # Only the early bound may lie within the horizon: then the expected date lies beyond it.
    days = (site["run_out_p50"] - now) / pd.Timedelta(days=1) if not theme.missing(site["run_out_p50"]) else math.inf
    return sum(bool(days < limit) for limit in scale.days)


def step_of(site: Site, look: Look) -> int | None:
    """The step of the sequential scale that colours a site, by utilisation or by run-out."""
    return (
        runout_step(site, look.now, look.runout)
        if look.colour == "runout"
        else theme.utilisation_step(site["utilisation"])
    )


def colour_of(site: Site, look: Look) -> str | None:
    """The colour of a site; None where nothing is known that would colour it."""
    if look.colour == "health":
        return None if health(site) is theme.UNKNOWN else health_colour(health(site), look.scheme)
    step = step_of(site, look)
    return None if step is None else theme.PALETTES[look.scheme].utilisation[step]


def health_colour(state: theme.StateMark, scheme: Scheme) -> str:
    """The colour of a state on the map: what is well recedes into the ground."""
    return theme.PALETTES[scheme].context if state is theme.OK else theme.state_colour(state, scheme)


def health(site: Site) -> theme.StateMark:
    """The state of a site as word, glyph and shape."""
    return theme.STATES.get(site["state"], theme.UNKNOWN)


def records(frame: pd.DataFrame) -> list[Site]:
    """A mapping for each row. `DataFrame.to_dict` boxes value by value, which for hundreds of sites takes longer than
    all that is done with them.
    """
    names, values = list(frame), (frame[name].astype(object).to_numpy().tolist() for name in frame)
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def site_rows(sites: pd.DataFrame, look: Look) -> list[Row]:
    """All sites as markers, in their order; by health those that need a look lie on top. `sites`: a frame of
    `at_present` or `at_moment`.
    """
    rows = records(sites)
    if look.colour == "health":
        rows.sort(key=lambda site: DRAWN_ORDER.index(site["state"]) if site["state"] in DRAWN_ORDER else 0)
    return [site_row(site, look) for site in rows]


def site_row(site: Site, look: Look) -> Row:
    """One site as a marker. Without data it is a small empty ring, never a marker of size zero."""
    silent = theme.missing(site["egress_gbps"])
    fill, line = paint(site, look, silent)
    row = {
        "id": site["site_id"],
        "n": said(site["name"]),
        "t": words(site, look),
        "p": place(site),
        "r": SMALLEST_PX if silent else look.size.radius(float(site["egress_gbps"])),
        "c": fill,
        "l": line,
        "k": health(site).symbol,
    }
    return row if theme.missing(site["high"]) else {**row, "h": look.size.radius(float(site["high"]))}


def paint(site: Site, look: Look, silent: bool) -> tuple[list[int], list[int]]:
    """Fill and outline, as red, green, blue, alpha. What is expected is paler, within an outline of its own colour."""
    palette, colour = theme.PALETTES[look.scheme], colour_of(site, look)
    if colour is None or (silent and look.colour != "health"):
        ring = [*theme.rgb(palette.muted), OPAQUE]
        # A state that is not known has a shape of its own, which is a ring already.
        return (ring if look.colour == "health" else [*theme.rgb(palette.ground), 0]), ring
    fill = [*theme.rgb(colour), EXPECTED_ALPHA if site["expected"] else MEASURED_ALPHA]
    return fill, [*theme.rgb(colour if site["expected"] else palette.ground), OPAQUE]


def place(site: Site) -> list[float]:
    """[lon, lat], as fine as a map of the world can show."""
    return [round(float(site["lon"]), 3), round(float(site["lat"]), 3)]


def words(site: Site, look: Look) -> str:
    """The lines of a site's tooltip, below its name: plain text."""
    state, parts = health(site), (site["region_name"], site["partner"])
    where = ", ".join(said(part) for part in parts if not theme.missing(part))
    why = f": {site['reason']}" if look.present else ""
    return "\n".join(
        [
            where,
            traffic(site),
            f"Ingest {theme.gbps(site['ingest_gbps'])}",
            f"{theme.percent(site['utilisation'])} of capacity, {PEAK if look.present else 'hourly mean'}",
            f"Run-out {runout_words(site, look.now, look.runout)}",
            f"{state.glyph} {state.word}{why}",
        ]
    )


def said(text: object) -> str:
    """Foreign text as the map may carry it: one line, not endless, and not an expression, which deck.gl sees in any
    text that begins with @@.
    """
    line = " ".join(str(text).split())
    cut = line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 3]}..."
    return f" {cut}" if cut.startswith("@@") else cut


def traffic(site: Site) -> str:
    """'Egress 812 Gbps', or what is expected with its 80 % interval."""
    value = theme.gbps(site["egress_gbps"])
    if not site["expected"]:
        return f"Egress {value}"
    if theme.missing(site["low"]) or theme.missing(site["high"]):
        return f"Egress expected {value}"
    return f"Egress expected {value} (80 %: {theme.gbps(site['low'])} to {theme.gbps(site['high'])})"


def runout_words(site: Site, now: pd.Timestamp, scale: RunoutScale = PLAN_RUNOUT) -> str:
    """When a site passes its limit, as an interval or as the reason why that is not known."""
    if site["runout"] == "within":
        return theme.ahead(site["run_out_p10"], site["run_out_p90"], now)
    return {"over": scale.words[-1], "beyond": scale.words[0], "no capacity": "no capacity declared"}.get(
        site["runout"], "no forecast"
    )


def flow_rows(flows: pd.DataFrame, placed: pd.DataFrame) -> list[Row]:
    """Flows (source_site_id, target_site_id, gbps) between two sites that have a place, as arcs: `s`, `d` ends, `w`
    width in pixels.
    """
    sites = {site["site_id"]: site for site in records(placed[["site_id", "name", "lon", "lat"]])}
    shown = [flow for flow in records(flows) if len(ends(flow)) == 2 and ends(flow) <= sites.keys()]
    most = max((flow["gbps"] for flow in shown), default=0.0)
    return [flow_row(sites[flow["source_site_id"]], sites[flow["target_site_id"]], flow, most) for flow in shown]


def ends(flow: Site) -> set[str]:
    """The sites that a flow joins; one where it stays within a site."""
    return {flow["source_site_id"], flow["target_site_id"]}


def flow_row(source: Site, target: Site, flow: Site, most: float) -> Row:
    """One flow; its width is proportional to its Gbps, `most` being the widest."""
    return {
        "s": place(source),
        "d": place(target),
        "w": round(max(THINNEST_PX, THICKEST_PX * flow["gbps"] / most), 1),
        "n": said(f"{source['name']} to {target['name']}"),
        "t": theme.gbps(flow["gbps"]),
    }


DOT, RING, LINE = "\u25cf", "\u25cb", "\u2501"
PEAK = "peak of the last 24 h"
NOTHING = {
    "utilisation": "no data, or no capacity declared",
    "health": theme.UNKNOWN.word,
    "runout": "no forecast, or no capacity declared",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the legend: a glyph in a colour, and what it says."""

    glyph: str
    colour: str
    words: str


def legend(sites: pd.DataFrame, arcs: list[Row], look: Look) -> list[Entry]:
    """All steps of the scale in use, then only what is on the map: rings without data, sizes, bounds of what is
    expected, flows.

    `sites`: a frame of `map_marks.at_present` or `at_moment`. `arcs`: rows of `map_marks.flow_rows`.
    """
    return [*_scale(look), *_extras(sites, arcs, look)]


def title(look: Look) -> str:
    """What the colours of a map say, with the name of the statistic."""
    if look.colour == "health":
        return "Health"
    if look.colour == "runout":
        return look.runout.title
    return f"Utilisation, {PEAK if look.present else 'hourly mean'}"


def _scale(look: Look) -> Iterator[Entry]:
    """The steps of colour, in their order."""
    if look.colour == "health":
        for state in (theme.OK, theme.WATCH, theme.ACT):
            yield Entry(state.glyph, health_colour(state, look.scheme), state.word)
        return
    steps = look.runout.words if look.colour == "runout" else theme.UTILISATION_WORDS
    for colour, words in zip(theme.PALETTES[look.scheme].utilisation, steps, strict=True):
        yield Entry(DOT, colour, words)


def _extras(sites: pd.DataFrame, arcs: list[Row], look: Look) -> Iterator[Entry]:
    palette = theme.PALETTES[look.scheme]
    if any(colour_of(site, look) is None for site in records(sites[COLOURING])):
        yield Entry(RING, palette.muted, NOTHING[look.colour])
    if look.size.gbps > 0:
        yield Entry(DOT, palette.context, f"area: egress, largest {theme.gbps(look.size.gbps)}")
    if sites["high"].notna().any():
        yield Entry(RING, palette.muted, "ring: upper bound of the 80 % interval")
    if arcs:
        yield Entry(LINE, palette.hues["ingest"], "flow enters,")
        yield Entry(
            LINE,
            palette.hues["egress"],
            "leaves" + (" (as in the same hour of the last week)" if sites["expected"].any() else ""),
        )


def unplaced(sites: pd.DataFrame) -> str:
    """What the map leaves out, in words: the sites (a frame of sites_now) that have no place."""
    count = len(sites) - len(located(sites))
    return f"{count} {'site has' if count == 1 else 'sites have'} no place on the map" if count else ""


def described(sites: pd.DataFrame, look: Look, when: str) -> str:
    """The map in words, for a screen reader: what is drawn, when, and which sites need a look."""
    counts = sites["state"].value_counts()
    states = ", ".join(
        f"{int(counts[name])} {state.word}" for name, state in theme.STATES.items() if counts.get(name, 0)
    )
    worst = ", ".join(str(name) for name in sites[sites["state"] == "act"]["name"].head(5))
    kind = "expected" if sites["expected"].any() else "measured"
    most = f" To act on: {worst}." if worst else ""
    drawn = f"Map of {len(sites)} sites, coloured by {title(look).lower()}, {kind} at {when}"
    return f"{drawn}: {states or 'no sites'}.{most} The table below holds the same numbers."
