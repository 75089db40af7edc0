"""What the map's colours, shapes, sizes and lines mean, as entries that a page writes in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from app import theme
from app.charts.map_marks import COLOURING, Look, Row, colour_of, records
from app.charts.map_view import located

DOT, RING, LINE = "\u25cf", "\u25cb", "\u2501"
TITLES = {"utilisation": "Utilisation", "health": "Health"}
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


def _scale(look: Look) -> Iterator[Entry]:
    """The steps of colour, in their order."""
    if look.colour == "health":
        for state in (theme.OK, theme.WATCH, theme.ACT):
            yield Entry(state.glyph, theme.state_colour(state, look.scheme), state.word)
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
    drawn = (
        f"Map of {len(sites)} sites, coloured by {TITLES.get(look.colour, look.runout.title).lower()}, {kind} at {when}"
    )
    return f"{drawn}: {states or 'no sites'}.{most} The table below holds the same numbers."
