"""A failure on the map in one week: what has failed is crossed out, who takes over is coloured by how full that leaves
it, arcs say what moves where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pydeck as pdk
from pydeck.types import String

from app import theme
from app.charts import map_layers, map_view, network_map
from app.charts.map_marks import (
    DOT,
    LARGEST_OF_MANY_PX,
    LARGEST_PX,
    LINE,
    MANY_SITES,
    MEASURED_ALPHA,
    OPAQUE,
    RING,
    Entry,
    Row,
    Scale,
    Site,
    place,
    records,
    said,
)
from app.charts.map_view import Camera, Canvas
from app.charts.network_map import TOOLTIP, Deck, tooltip_style
from app.theme import Scheme

CROSS = "\u2715"
# A failed site is never overlooked, however little it carries, and never hides its neighbours, however much.
LEAST_CROSS_PX, LARGEST_CROSS_PX = 8.0, 13.0
# What takes part in nothing is context.
ASIDE_ALPHA = 90
THICKEST_PX, THINNEST_PX, ARC_ALPHA = 7.0, 0.8, 170
# More arcs than this hide the map; the largest are drawn, the table has them all.
ARCS_SHOWN = 120
RING_PX = 3.0
# Layers whose objects are sites.
PICKED = ("sites", "failed")


@dataclass(frozen=True, slots=True)
class FailureMap:
    """One week of a failure.

    sites: site_id, name, region_name, lat, lon, before_gbps, load_gbps, taken_gbps, shed_gbps, before, after, limit
    (shares of capacity, NaN without one), passed, and share (of its demand that must go elsewhere: 0 where it stands, 1
    where it is down). moves: source, target, gbps. cut: both ends of a failed path. largest: Gbps of the largest marker
    in any week. turn: counts up with every click, so that what was clicked does not stay marked.
    """

    sites: pd.DataFrame
    moves: pd.DataFrame
    cut: tuple[str, str] | None
    largest: float
    outline: str
    camera: Camera
    canvas: Canvas
    scheme: Scheme
    turn: int = 0

    @property
    def scale(self) -> Scale:
        """Traffic as size."""
        small = self.canvas is map_view.NARROW or len(self.sites) > MANY_SITES
        return Scale(self.largest, LARGEST_OF_MANY_PX if small else LARGEST_PX)


def failure_deck(drawn: FailureMap) -> Deck:
    """The deck of one week; the view depends on the lake alone, so that pan and zoom hold while it plays."""
    return Deck(
        layers=list(_layers(drawn)),
        views=[map_view.view("flat")],
        initial_view_state=map_view.view_state(drawn.camera, "flat", drawn.canvas),
        map_provider=None,
        tooltip={"html": TOOLTIP, "style": tooltip_style(drawn.scheme)},
    )


def pickable_layers(turn: int) -> tuple[str, ...]:
    """The layers of this turn whose objects are sites."""
    return tuple(f"{name}-{turn}" for name in PICKED)


def _layers(drawn: FailureMap) -> Iterator[pdk.Layer]:
    """Bottom to top."""
    palette = theme.PALETTES[drawn.scheme]
    sites = map_view.located(drawn.sites).sort_values(["load_gbps", "site_id"], ascending=[False, True])
    standing, down = sites[sites["share"] < 1.0], sites[sites["share"] >= 1.0]
    circles, crosses = (
        [_standing(site, drawn) for site in records(standing)],
        [_down(site, drawn) for site in records(down)],
    )
    yield map_layers.outline(drawn.outline, drawn.scheme, "flat")
    yield _arcs(f"moves-{drawn.turn}", arc_rows(drawn), palette.hues["context"], palette.hues["egress"])
    yield _arcs(f"cut-{drawn.turn}", _cut_rows(drawn), palette.hues["capacity"], palette.hues["capacity"])
    yield pdk.Layer(
        "ScatterplotLayer",
        data=[row for row in circles if "h" in row],
        id="passed",
        get_position="p",
        get_radius="h",
        radius_units=String("pixels"),
        filled=False,
        stroked=True,
        get_line_color=[*theme.rgb(palette.hues["capacity"]), OPAQUE],
        get_line_width=2.2,
        line_width_units=String("pixels"),
    )
    dots = map_layers.circles(circles, "flat")
    dots.id = f"sites-{drawn.turn}"
    yield dots
    yield pdk.Layer(
        "IconLayer",
        data=crosses,
        id=f"failed-{drawn.turn}",
        icon_atlas=String(map_layers.ATLAS),
        icon_mapping=map_layers.PLACES,
        get_icon="k",
        get_position="p",
        get_size=f"r * {map_layers.CELL_PX / map_layers.CIRCLE_PX}",
        size_units=String("pixels"),
        get_color="c",
        pickable=True,
        billboard=True,
    )
    named = crosses + [
        row for row, site in zip(circles, records(standing), strict=True) if site["passed"] or site["share"] > 0.0
    ]
    yield map_layers.labels(network_map.labels(named, drawn.camera, drawn.canvas), drawn.scheme, "flat")


def _arcs(name: str, rows: list[Row], first: str, last: str) -> pdk.Layer:
    return pdk.Layer(
        "ArcLayer",
        data=rows,
        id=name,
        get_source_position="s",
        get_target_position="d",
        great_circle=True,
        get_height=0,
        get_width="w",
        get_source_color=[*theme.rgb(first), ARC_ALPHA],
        get_target_color=[*theme.rgb(last), ARC_ALPHA],
        pickable=True,
    )


def arc_rows(drawn: FailureMap) -> list[Row]:
    """The largest moves as arcs: `s`, `d` ends, `w` width in pixels, `n` and `t` words."""
    sites = {site["site_id"]: site for site in records(map_view.located(drawn.sites))}
    mine = drawn.moves[drawn.moves["source"].isin(sites) & drawn.moves["target"].isin(sites)]
    shown = mine.sort_values(["gbps", "source", "target"], ascending=[False, True, True]).head(ARCS_SHOWN)
    most = float(shown["gbps"].max()) if len(shown) else 1.0
    return [
        {
            "s": place(sites[row["source"]]),
            "d": place(sites[row["target"]]),
            "w": round(max(THINNEST_PX, THICKEST_PX * row["gbps"] / most), 1),
            "n": said(f"{sites[row['source']]['name']} to {sites[row['target']]['name']}"),
            "t": f"{theme.gbps(row['gbps'])} moves",
        }
        for row in records(shown)
    ]


def _cut_rows(drawn: FailureMap) -> list[Row]:
    """The failed path."""
    sites = {site["site_id"]: site for site in records(map_view.located(drawn.sites))}
    if drawn.cut is None or not sites.keys() >= set(drawn.cut):
        return []
    source, target = (sites[key] for key in drawn.cut)
    return [
        {
            "s": place(source),
            "d": place(target),
            "w": 2.5,
            "n": said(f"{source['name']} to {target['name']}"),
            "t": "This path fails",
        }
    ]


def _standing(site: Site, drawn: FailureMap) -> Row:
    """A site that stands, as a circle; ringed where it passes its limit because of the failure."""
    palette, part = theme.PALETTES[drawn.scheme], _takes_part(site)
    step = theme.utilisation_step(site["after"]) if part else None
    colour = palette.context if step is None else palette.utilisation[step]
    radius = drawn.scale.radius(float(site["load_gbps"]))
    row = {
        "id": site["site_id"],
        "n": said(site["name"]),
        "t": words(site),
        "p": place(site),
        "r": radius,
        "c": [*theme.rgb(colour), MEASURED_ALPHA if part else ASIDE_ALPHA],
        "l": [*theme.rgb(palette.ground), OPAQUE],
    }
    return {**row, "h": radius + RING_PX} if site["passed"] else row


def _down(site: Site, drawn: FailureMap) -> Row:
    """A site that is down, as a cross about the size that its demand had."""
    colour = theme.PALETTES[drawn.scheme].words["capacity"]
    radius = min(LARGEST_CROSS_PX, max(LEAST_CROSS_PX, drawn.scale.radius(float(site["before_gbps"]))))
    return {
        "id": site["site_id"],
        "n": said(site["name"]),
        "t": words(site),
        "p": place(site),
        "r": radius,
        "c": [*theme.rgb(colour), OPAQUE],
        "k": "cross",
    }


def _takes_part(site: Site) -> bool:
    """Whether a site takes anything over, or loses part of its own."""
    return float(site["taken_gbps"]) > 0.0 or float(site["share"]) > 0.0


def words(site: Site) -> str:
    """The lines of a site's tooltip: plain text."""
    lines = [said(site["region_name"])]
    if site["share"] > 0.0:
        gone = float(site["share"]) * float(site["before_gbps"])
        lines += [
            f"{CROSS} fails: {theme.gbps(gone)} must go elsewhere",
            f"Shed {theme.gbps(float(site['shed_gbps']))}",
        ]
    if site["share"] < 1.0:
        lines += [
            f"Takes over {theme.gbps(float(site['taken_gbps']))}",
            f"Carries {theme.gbps(float(site['load_gbps']))}",
        ]
        lines.append(f"Utilisation {theme.percent(site['before'])} before, {theme.percent(site['after'])} after")
    return "\n".join([*lines, f"Passes its limit of {theme.percent(site['limit'])}"] if site["passed"] else lines)


def failure_legend(drawn: FailureMap) -> list[Entry]:
    """What the marks mean; steps of colour always, the rest where it is on the map."""
    palette, sites = theme.PALETTES[drawn.scheme], drawn.sites
    entries = [Entry(CROSS, palette.words["capacity"], "fails")] if (sites["share"] >= 1.0).any() else []
    if drawn.cut is not None:
        entries.append(Entry(LINE, palette.hues["capacity"], "path that fails"))
    entries += [
        Entry(DOT, colour, said) for colour, said in zip(palette.utilisation, theme.UTILISATION_WORDS, strict=True)
    ]
    entries.append(Entry(DOT, palette.context, "takes nothing over"))
    if sites["passed"].any():
        entries.append(Entry(RING, palette.words["capacity"], "passes its limit because of it"))
    if len(drawn.moves):
        more = f", the largest {ARCS_SHOWN} of {len(drawn.moves)}" if len(drawn.moves) > ARCS_SHOWN else ""
        entries.append(Entry(LINE, palette.hues["egress"], f"demand that moves{more}"))
    return [*entries, Entry(DOT, palette.context, f"area: what it carries, largest {theme.gbps(drawn.largest)}")]


# A trillionth of what fails is the solver's, not an operator's.
WORTH_TELLING = 1e-3
NAMED = 4
SITE_UNITS = dict.fromkeys(("Before", "Takes over", "After", "Shed"), "Gbps") | dict.fromkeys(
    ("Used before", "Used after", "Limit"), "%"
)
MOVE_UNITS = {"Moves": "Gbps", "Share": "%"}


def listed(names: Sequence[str]) -> str:
    """A few names, and how many more; "none" of none."""
    more = len(names) - NAMED
    return "none" if not names else ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def site_rows(
    sites: pd.DataFrame, share: Mapping[str, float], names: Mapping[str, str], ratio: Mapping[str, float] | None
) -> pd.DataFrame:
    """Week, Site, Part (fails, fails in part, takes over), Before, Takes over, After (Gbps), Used before, Used after,
    Limit (percent), Passes its limit, Shed (Gbps) and Viewers (not served; only with their ratio): of the sites that
    fail or take over, those that fail first, then the fullest.
    """
    part = sites["site_id"].map(share).astype(float).fillna(0.0)
    mine = sites.assign(part=part)[(part > 0.0) | (sites["taken_gbps"] > WORTH_TELLING)]
    mine = mine.assign(_fails=mine["part"] > 0.0).sort_values(
        ["week", "_fails", "after", "site_id"], ascending=[True, False, False, True]
    )
    words = ["fails" if one >= 1.0 else "fails in part" if one > 0.0 else "takes over" for one in mine["part"]]
    rows = {
        "Week": mine["week"],
        "Site": [names.get(key, key) for key in mine["site_id"]],
        "Part": words,
        "Before": mine["before_gbps"],
        "Takes over": mine["taken_gbps"],
        "After": mine["load_gbps"],
        "Used before": 100 * mine["before"],
        "Used after": 100 * mine["after"],
        "Limit": 100 * mine["limit"],
        "Passes its limit": ["yes" if one else "" for one in mine["passed"]],
        "Shed": mine["shed_gbps"],
    }
    viewers = {} if ratio is None else {"Viewers": mine["shed_gbps"] * mine["site_id"].map(ratio).astype(float)}
    return pd.DataFrame(rows | viewers).reset_index(drop=True)


def move_rows(moves: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Week, From, To, Moves (Gbps) and Share (percent of what moves away from there), largest first within a week."""
    ordered = moves[moves["gbps"] > WORTH_TELLING].sort_values(
        ["week", "gbps", "source", "target"], ascending=[True, False, True, True]
    )
    whole = ordered.groupby(["week", "source"])["gbps"].transform("sum")
    return pd.DataFrame(
        {
            "Week": ordered["week"],
            "From": [names.get(key, key) for key in ordered["source"]],
            "To": [names.get(key, key) for key in ordered["target"]],
            "Moves": ordered["gbps"],
            "Share": 100 * ordered["gbps"] / whole,
        }
    ).reset_index(drop=True)
