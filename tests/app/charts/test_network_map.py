"""The map as data: what is drawn, in which colour and size, what is not drawn, and what stays the same so that the
browser keeps its view.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pydeck as pdk
import pytest
from hypothesis import given
from hypothesis import strategies as any_

from app import theme
from app.charts import map_marks, map_view, network_map
from app.charts.map_marks import Colour, Look, Scale
from app.charts.map_view import Camera, Canvas, Projection
from app.charts.network_map import TOOLTIP, Drawing, deck

NOW = pd.Timestamp("2026-11-20T09:25Z")
OUTLINE = "app/static/countries-110m.geojson"
ALL_LAYERS = ("sites", "flows", "labels")
NAT = pd.NaT


def site(number: int, **changes: Any) -> dict[str, Any]:
    """A row of sites_now, as far as the map looks."""
    usual = {
        "site_id": f"s-{number:03}",
        "name": f"Site {number}",
        "region_id": "eu",
        "region_name": "Europe",
        "partner": "Nordlicht",
        "lat": 40.0 + number % 20,
        "lon": -5.0 + 1.5 * number,
        "egress_gbps": 10.0 * number,
        "ingest_gbps": number / 2,
        "utilisation": 0.5,
        "state": "ok",
        "reason": "Within all limits.",
        "runout": "beyond",
        "run_out_p10": NAT,
        "run_out_p50": NAT,
        "run_out_p90": NAT,
        "week": [8.0 * number, None, 9.0 * number],
    }
    row = usual | changes
    return {"peak_24h_utilisation": row["utilisation"]} | row


def network(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows or [site(number) for number in (1, 2, 3, 4)])


def moment(sites: pd.DataFrame, **changes: Any) -> pd.DataFrame:
    """Rows of map_at ahead of now."""
    ahead = {"expected": True, "low": sites["egress_gbps"] * 0.8, "high": sites["egress_gbps"] * 1.2}
    return sites[["site_id", "egress_gbps", "ingest_gbps", "utilisation", "state"]].assign(**ahead).assign(**changes)


def look(
    sites: pd.DataFrame, colour: Colour = "utilisation", *, scheme: theme.Scheme = "light", present: bool = True
) -> Look:
    return Look(colour, scheme, map_marks.scale(sites), NOW, present)


def flows(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["source_site_id", "target_site_id", "gbps"]).assign(expected=False)


def spec(
    sites: pd.DataFrame | None = None,
    between: pd.DataFrame | None = None,
    *,
    colour: Colour = "utilisation",
    layers: tuple[str, ...] = ALL_LAYERS,
    projection: Projection = "flat",
    scheme: theme.Scheme = "light",
    camera: Camera | None = None,
) -> dict[str, Any]:
    sites = network() if sites is None else sites
    shown = sites if "expected" in sites else map_marks.at_present(sites)
    drawing = Drawing(layers, projection, OUTLINE, camera or map_view.fit(sites))
    arcs = [] if between is None else map_marks.flow_rows(between, shown)
    found: dict[str, Any] = json.loads(deck(shown, arcs, look(sites, colour, scheme=scheme), drawing).to_json())
    return found


def layers_of(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {layer["id"]: layer for layer in found["layers"]}


def rows_of(sites: pd.DataFrame, **wanted: Any) -> dict[str, dict[str, Any]]:
    found = layers_of(spec(sites, **wanted))
    said = {row["id"]: row for row in found["hover"]["data"]}
    return {row["id"]: said[row["id"]] | row for row in (found.get("sites") or found["states"])["data"]}


# Nothing from outside, nothing in vain
# -------------------------------------------------------------------------------------


@pytest.mark.parametrize("projection", ["flat", "globe"])
@pytest.mark.parametrize("colour", ["utilisation", "health", "runout"])
def test_the_spec_names_no_map_of_anyone_else(colour: Colour, projection: Projection) -> None:
    found = spec(between=flows(("s-001", "s-002", 3.0)), colour=colour, projection=projection)
    # What pydeck writes where no style is named; Streamlit's front end then loads none.
    assert found["mapStyle"] == "__MAP_STYLE__"
    assert found.get("mapProvider") is None
    assert "://" not in json.dumps(found)


def test_the_outline_is_an_address_and_not_data() -> None:
    assert layers_of(spec())["outline"]["data"] == OUTLINE


def test_a_step_of_the_slider_is_small() -> None:
    many = network(*(site(number, lon=-179 + number % 350) for number in range(500)))
    between = flows(*((f"s-{a:03}", f"s-{a + 1:03}", 1.0 + a) for a in range(200)))
    drawing = Drawing(ALL_LAYERS, "flat", OUTLINE, map_view.fit(many))
    ahead = map_marks.at_moment(many, moment(many))
    sent = deck(ahead, map_marks.flow_rows(between, ahead), look(many, present=False), drawing).to_json()
    assert len(sent.encode()) < 250_000
    assert "\n" not in sent


def test_the_compact_spec_says_what_pydecks_own_does() -> None:
    drawn = deck(
        map_marks.at_present(network()),
        [],
        look(network()),
        Drawing(ALL_LAYERS, "globe", OUTLINE, map_view.fit(network())),
    )
    assert json.loads(drawn.to_json()) == json.loads(pdk.Deck.to_json(drawn))


# What stays the same, so that pan and zoom do
# ------------------------------------------------------------------------------


def test_view_camera_and_ids_do_not_depend_on_what_is_shown() -> None:
    sites = network()
    camera = map_view.fit(sites)
    ahead = map_marks.at_moment(sites, moment(sites))
    variants = [
        spec(camera=camera),
        spec(camera=camera, colour="health"),
        spec(camera=camera, colour="runout", scheme="dark"),
        spec(camera=camera, layers=()),
        spec(sites.head(1), camera=camera),
        spec(ahead, camera=camera),
        spec(camera=camera, between=flows(("s-001", "s-002", 3.0))),
    ]
    assert len({json.dumps([found["views"], found["initialViewState"]]) for found in variants}) == 1
    known = {"outline", "flows", "bounds", "sites", "states", "labels", "ocean", "hover"}
    assert all(set(layers_of(found)) <= known for found in variants)


def test_flat_and_globe_are_two_views() -> None:
    assert spec()["views"] == [{"@@type": "MapView", "id": "flat", "controller": True}]
    assert spec(projection="globe")["views"] == [{"@@type": "GlobeView", "id": "globe", "controller": True}]


def test_every_moment_has_the_same_order_of_sites() -> None:
    sites = network()
    ahead = map_marks.at_moment(sites, moment(sites, egress_gbps=[99.0, 1.0, 50.0, 2.0]))
    assert (
        ahead["site_id"].tolist()
        == map_marks.at_present(sites)["site_id"].tolist()
        == ["s-004", "s-003", "s-002", "s-001"]
    )


# Layers
# --------------------------------------------------------------------------------------------------------------------


def test_layers_are_drawn_bottom_to_top() -> None:
    found = spec(between=flows(("s-001", "s-002", 3.0)), projection="globe")
    assert [layer["id"] for layer in found["layers"]] == ["ocean", "outline", "flows", "hover", "sites", "labels"]


def test_switches_take_layers_away() -> None:
    between = flows(("s-001", "s-002", 3.0))
    assert set(layers_of(spec(between=between, layers=()))) == {"outline"}
    assert set(layers_of(spec(between=between, layers=("flows",)))) == {"outline", "flows"}
    assert set(layers_of(spec(between=between, layers=("sites",)))) == {"outline", "hover", "sites"}


def test_a_lake_without_flows_has_no_layer_of_flows() -> None:
    assert "flows" not in layers_of(spec(between=flows()))


def test_flows_need_two_different_sites_with_a_place() -> None:
    sites = network(site(1), site(2), site(3, lat=None))
    drawn = layers_of(
        spec(
            sites,
            flows(("s-001", "s-002", 4.0), ("s-001", "s-001", 9.0), ("s-001", "s-003", 9.0), ("s-999", "s-002", 9.0)),
        )
    )["flows"]["data"]
    assert [(row["n"], row["t"]) for row in drawn] == [("Site 1 to Site 2", "4.00 Gbps")]


def test_a_flow_is_as_wide_as_its_share_of_the_largest() -> None:
    drawn = layers_of(
        spec(between=flows(("s-001", "s-002", 40.0), ("s-002", "s-003", 20.0), ("s-003", "s-004", 0.01)))
    )["flows"]["data"]
    assert [row["w"] for row in drawn] == [map_marks.THICKEST_PX, map_marks.THICKEST_PX / 2, map_marks.THINNEST_PX]


def test_flows_run_from_the_hue_of_ingest_to_that_of_egress() -> None:
    layer = layers_of(spec(between=flows(("s-001", "s-002", 3.0)), scheme="dark"))["flows"]
    hues = theme.PALETTES["dark"].hues
    assert layer["getSourceColor"][:3] == list(theme.rgb(hues["ingest"]))
    assert layer["getTargetColor"][:3] == list(theme.rgb(hues["egress"]))


def test_a_site_without_a_place_is_not_drawn() -> None:
    sites = network(
        site(1), site(2, lat=None), site(3, lon=float("nan")), site(4, lat=0.0, lon=0.0), site(5, lat=0.0, lon=-1.5)
    )
    assert set(rows_of(sites)) == {"s-001", "s-005"}
    assert map_marks.unplaced(sites) == "3 sites have no place on the map"
    assert map_marks.unplaced(sites.head(2)) == "1 site has no place on the map"
    assert map_marks.unplaced(sites.head(1)) == ""


def test_health_is_a_shape_as_well_as_a_colour() -> None:
    states = ["ok", "watch", "act", "unknown", "no such state"]
    sites = network(*(site(number, state=state) for number, state in enumerate(states, start=1)))
    found = layers_of(spec(sites, colour="health"))
    assert "sites" not in found
    drawn = {row["id"]: row for row in found["states"]["data"]}
    assert [drawn[f"s-00{n}"]["k"] for n in range(1, 6)] == [
        "circle",
        "triangle-up",
        "square",
        "circle-open",
        "circle-open",
    ]
    assert set(found["states"]["iconMapping"]) == {"circle", "triangle-up", "square", "circle-open", "cross"}
    assert found["states"]["iconAtlas"].startswith("data:image/svg+xml;base64,")
    assert drawn["s-003"]["c"][:3] == list(theme.rgb(theme.state_colour(theme.ACT, "light")))
    assert drawn["s-004"]["c"][3] == map_marks.OPAQUE, "what is not known is still to be seen"


# Colour
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ratio", "step"), [(0.0, 0), (0.39, 0), (0.4, 1), (0.6, 2), (0.79, 2), (0.8, 3), (0.9, 4), (1.7, 4)]
)
def test_utilisation_is_one_of_five_colours(ratio: float, step: int, scheme: theme.Scheme) -> None:
    drawn = rows_of(network(site(1, utilisation=ratio)), scheme=scheme)["s-001"]
    assert drawn["c"][:3] == list(theme.rgb(theme.PALETTES[scheme].utilisation[step]))
    assert drawn["c"][3] == map_marks.MEASURED_ALPHA


@pytest.mark.parametrize(
    ("kind", "days", "step"),
    [
        ("over", None, 4),
        ("within", 3, 4 - 1),
        ("within", 89.9, 4 - 1),
        ("within", 120, 2),
        ("within", 300, 1),
        ("within", None, 0),
        ("beyond", None, 0),
    ],
)
def test_the_nearer_the_run_out_the_further_the_step(kind: str, days: float | None, step: int) -> None:
    when = NAT if days is None else NOW + pd.Timedelta(days=days)
    drawn = rows_of(network(site(1, runout=kind, run_out_p50=when, run_out_p10=when)), colour="runout")["s-001"]
    assert drawn["c"][:3] == list(theme.rgb(theme.PALETTES["light"].utilisation[step]))


@pytest.mark.parametrize(
    ("colour", "changes"),
    [
        ("utilisation", {"utilisation": None}),
        ("runout", {"runout": "no forecast"}),
        ("runout", {"runout": "no capacity"}),
    ],
)
def test_what_is_not_known_is_an_empty_ring(colour: Colour, changes: dict[str, Any]) -> None:
    drawn = rows_of(network(site(1, **changes), site(2)), colour=colour)["s-001"]
    assert drawn["c"][3] == 0
    assert drawn["l"][:3] == list(theme.rgb(theme.PALETTES["light"].muted))


def test_a_silent_site_is_the_smallest_ring_and_an_idle_one_a_dot() -> None:
    drawn = rows_of(network(site(1, egress_gbps=None, week=[None]), site(2, egress_gbps=0.0), site(3)))
    assert drawn["s-001"]["r"] == drawn["s-002"]["r"] == map_marks.SMALLEST_PX
    assert drawn["s-001"]["c"][3] == 0, "nothing is known"
    assert drawn["s-002"]["c"][3] == map_marks.MEASURED_ALPHA, "zero is a measurement"
    assert "Egress no data" in drawn["s-001"]["t"]
    assert "Egress 0 Gbps" in drawn["s-002"]["t"]


# Size
# ----------------------------------------------------------------------------------------------------------------------


@given(any_.floats(1, 1e6), any_.floats(0.01, 1.0))
def test_area_is_proportional_to_egress(most: float, share: float) -> None:
    size = Scale(most, map_marks.LARGEST_PX)
    radius = size.radius(most * share)
    exact = map_marks.LARGEST_PX * share**0.5
    assert radius == pytest.approx(max(exact, map_marks.SMALLEST_PX), abs=0.051)
    assert size.radius(most * 100) == map_marks.LARGEST_PX * map_marks.OVERSHOOT, "a marker hides no continent"


def test_one_scale_holds_for_all_moments() -> None:
    sites = network(site(1, egress_gbps=5.0, week=[40.0, None]), site(2, egress_gbps=None, week=None))
    assert map_marks.scale(sites) == Scale(40.0, map_marks.LARGEST_PX)
    assert map_marks.scale(sites, small=True).pixels < map_marks.LARGEST_PX
    assert map_marks.scale(network(site(1, egress_gbps=None, week=[None]))).radius(0.0) == map_marks.SMALLEST_PX


# What is expected
# ----------------------------------------------------------------------------------------------------------


def test_what_is_expected_is_paler_and_has_a_ring_at_its_upper_bound() -> None:
    sites = network()
    ahead = map_marks.at_moment(sites, moment(sites))
    found = layers_of(spec(ahead))
    row = map_marks.site_rows(ahead, look(sites))[0]
    assert row["c"][3] == map_marks.EXPECTED_ALPHA < map_marks.MEASURED_ALPHA
    assert row["l"][:3] == row["c"][:3]
    assert row["h"] > row["r"]
    assert [drawn["p"] for drawn in found["bounds"]["data"]] == [drawn["p"] for drawn in found["sites"]["data"]]
    assert "Egress expected 40.0 Gbps (80 %: 32.0 Gbps to 48.0 Gbps)" in row["t"]
    assert "bounds" not in layers_of(spec(sites))


def test_a_site_without_a_forecast_has_no_ring() -> None:
    sites = network()
    some = moment(sites, high=[None, 30.0, None, None], low=[None, 20.0, None, None])
    found = layers_of(spec(map_marks.at_moment(sites, some)))
    assert [row["p"] for row in found["bounds"]["data"]] == [
        row["p"] for row in found["sites"]["data"] if row["id"] == "s-002"
    ]


def test_the_reason_is_told_of_now_alone() -> None:
    sites = network(site(1, state="act", reason="Egress is at 95 % of capacity."))
    then = map_marks.at_moment(sites, moment(sites, state="ok", expected=False, low=np.nan, high=np.nan))
    assert map_marks.words(then.to_dict("records")[0], look(sites, present=False)).endswith("\u25cf ok")
    assert map_marks.words(map_marks.at_present(sites).to_dict("records")[0], look(sites)).endswith(
        "\u25a0 act: Egress is at 95 % of capacity."
    )


# Foreign text
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["@@#GL.X", "@@=alert(1)", '"><script>alert(1)</script>', "x" * 10_000, "two\nlines", "{t}"]
)
def test_a_hostile_name_is_text_and_nothing_else(name: str) -> None:
    sites = network(site(1, name=name, region_name=name, partner=name), site(2))
    found = spec(sites, flows(("s-001", "s-002", 1.0)))
    texts = [
        row[key]
        for layer in found["layers"]
        if isinstance(layer["data"], list)
        for row in layer["data"]
        for key in ("n", "t")
        if key in row
    ]
    assert texts
    assert not any(text.startswith("@@") or len(text) > 600 for text in texts)
    assert TOOLTIP.count("{") == 2, (
        "the browser escapes what it puts in the place of {n} and {t}; nothing else may come from the data"
    )


# The legend
# ----------------------------------------------------------------------------------------------------------------


def legend(sites: pd.DataFrame, colour: Colour = "utilisation", arcs: int = 0) -> list[map_marks.Entry]:
    shown = sites if "expected" in sites else map_marks.at_present(sites)
    return map_marks.legend(shown, [{"w": 1.0}] * arcs, look(sites, colour))


def test_the_legend_writes_the_steps_of_utilisation_in_their_colours() -> None:
    entries = legend(network())[:5]
    assert [entry.words for entry in entries] == [
        "under 40 %",
        "40 to 60 %",
        "60 to 80 %",
        "80 to 90 %",
        "90 % and over",
    ]
    assert tuple(entry.colour for entry in entries) == theme.PALETTES["light"].utilisation


def test_the_legend_of_run_out_goes_from_far_to_near() -> None:
    assert [entry.words for entry in legend(network(), "runout")[:5]] == [
        "not in 18 months",
        "in 6 to 18 months",
        "in 3 to 6 months",
        "within 3 months",
        "already over the limit",
    ]


def test_the_legend_of_health_has_shapes_and_words() -> None:
    assert [(entry.glyph, entry.words) for entry in legend(network(), "health")[:3]] == [
        ("\u25cf", "ok"),
        ("\u25b2", "watch"),
        ("\u25a0", "act"),
    ]


def test_the_legend_explains_only_what_is_there() -> None:
    plain = [entry.words for entry in legend(network())]
    assert plain[5:] == ["area: egress, largest 40.0 Gbps"]
    unknown = [entry.words for entry in legend(network(site(1, utilisation=None)))]
    assert "no data, or no capacity declared" in unknown
    assert [entry.words for entry in legend(network(), arcs=2)][-2:] == ["flow enters,", "leaves"]
    sites = network()
    ahead = [entry.words for entry in legend(map_marks.at_moment(sites, moment(sites)).assign(week=[None] * 4), arcs=1)]
    assert "ring: upper bound of the 80 % interval" in ahead
    assert ahead[-1] == "leaves (as in the same hour of the last week)"


def test_the_map_is_told_in_words() -> None:
    sites = network(site(1, state="act", name="Lyon"), site(2, state="watch"), site(3))
    told = map_marks.described(map_marks.at_present(sites), look(sites), "20 Nov 2026 09:00")
    assert told.startswith(
        "Map of 3 sites, coloured by utilisation, peak of the last 24 h, measured at 20 Nov 2026 09:00: 1 ok, 1 watch, 1 act. To act on: Lyon."
    )
    assert "expected at" in map_marks.described(map_marks.at_moment(sites, moment(sites)), look(sites), "then")


# Names on the map
# ----------------------------------------------------------------------------------------------------------

marks = any_.builds(
    lambda lon, lat, r, n: {"p": [lon, lat], "r": r, "n": n},
    any_.floats(-179, 179),
    any_.floats(-84, 84),
    any_.floats(3.5, 24.0),
    any_.text("abc ", min_size=1),
)


@given(any_.lists(marks, max_size=25), any_.sampled_from([map_view.WIDE, map_view.NARROW]))
def test_no_name_lies_on_a_name_or_a_marker_or_off_the_map(rows: list[map_marks.Row], canvas: Canvas) -> None:
    camera = Camera(20.0, 10.0, 0.8)
    boxes = [(row, box_of(row, camera)) for row in network_map.labels(rows, camera, canvas)]
    for at, (row, box) in enumerate(boxes):
        assert not any(box.meets(other) for _, other in boxes[:at])
        others = [mark for mark in rows if mark["p"] != row["p"]]
        assert not any(box.meets(network_map.marker(mark, *network_map.spot(mark, camera))) for mark in others)
        assert box.right - box.left <= canvas.width


def box_of(label: map_marks.Row, camera: Camera) -> network_map.Box:
    x, y = network_map.spot(label, camera)
    near, far = (
        x + label["o"][0],
        x + label["o"][0] + (1 if label["a"] == "start" else -1) * network_map.LETTER_PX * len(label["n"]),
    )
    return network_map.Box(min(near, far), y - network_map.SIZE_PX / 2, max(near, far), y + network_map.SIZE_PX / 2)


def test_the_largest_site_gets_its_name_first_and_a_long_one_is_cut() -> None:
    rows = [{"p": [8.0, 50.0], "r": 20.0, "n": "Frankfurt " * 9}, {"p": [8.1, 50.0], "r": 5.0, "n": "Offenbach"}]
    found = network_map.labels(rows, Camera(50.0, 8.0, 4.0), map_view.WIDE)
    assert found[0]["n"].startswith("Frankfurt")
    assert len(found[0]["n"]) == network_map.LONGEST
