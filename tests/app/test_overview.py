"""The Overview on lakes in every state, and what its widgets do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import theme
from app.ui import map_player, maps
from app.views.overview.page import MOST
from data.lake.rollups import refresh_rollups
from tests.app.conftest import Opener
from tests.lakes import Plan, full_lake

PLAN = Plan(days=9)
NOW = pd.Timestamp(PLAN.end)
HOUR = pd.Timedelta(hours=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sites in two regions, with flows, capacity, and forecasts of one run."""
    where = tmp_path_factory.mktemp("world") / "lake"
    full_lake(where, PLAN)
    return where


@pytest.fixture(scope="module")
def without_flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("calm") / "lake"
    full_lake(where, Plan(sites=3, days=3, flows=False, capacity=False))
    return where


def test_a_site_that_fell_silent_takes_no_sum_away_and_two_pages_show_the_same(
    open_page: Opener, tmp_path: Path
) -> None:
    full_lake(tmp_path / "lake", Plan(sites=6, days=16, gap=("mad-01", 24 * 9, 0), flows=False, forecasts=False))
    overview, region = (metrics(open_page(page, tmp_path / "lake")) for page in ("overview", "region"))
    labels = {label for label in overview.keys() & region.keys() if label.endswith("peak 24 h")}
    assert {"Egress, peak 24 h", "Ingest, peak 24 h", "Viewers, peak 24 h"} <= labels
    assert {label: overview[label] for label in labels} == {label: region[label] for label in labels}
    assert theme.NO_DATA not in {overview[label] for label in labels}


def spec(page: AppTest) -> dict[str, Any]:
    (chart,) = page.get("deck_gl_json_chart")
    found: dict[str, Any] = json.loads(chart.proto.json)
    return found


def layer(page: AppTest, name: str) -> dict[str, Any] | None:
    return next((found for found in spec(page)["layers"] if found["id"] == name), None)


def drawn(page: AppTest) -> set[str]:
    found = layer(page, "sites") or layer(page, "states")
    assert found is not None
    return {row["id"] for row in found["data"]}


def metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def words(page: AppTest) -> str:
    return "\n".join(
        [*(m.value for m in page.markdown), *(c.value for c in page.caption), *(c.value for c in page.code)]
    )


def table(page: AppTest) -> pd.DataFrame:
    return next(frame.value for frame in page.dataframe if "Site" in frame.value)


# In every state of a lake
# --------------------------------------------------------------------------------------------------


def test_a_full_lake_shows_numbers_map_cards_and_table(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world)
    assert not page.exception
    assert list(metrics(page)) == [
        "Egress, peak 24 h",
        "Ingest, peak 24 h",
        "Viewers, peak 24 h",
        "Fullest, peak 24 h",
        "Over the limit",
        "Order within 30 d",
    ]
    assert metrics(page)["Egress, peak 24 h"].endswith("bps")
    assert all(metric.delta.startswith("now ") and "on last week" in metric.help for metric in page.metric[:3])
    assert "10 ok, 1 act, 1 unknown\\. 1 is over its limit at the weekly peak\\. 1 declares no capacity" in words(page)
    assert drawn(page) == set(table(page)["site_id"])
    assert len(drawn(page)) == PLAN.sites
    assert layer(page, "flows") is not None
    assert table(page)["Site"].iloc[0] == "Frankfurt", "the one past 90 % comes first"
    assert page.button(key="open-fra-01").label.startswith("\u25a0 **Frankfurt**: act")


def test_the_map_is_described_and_its_outline_comes_from_the_server(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world)
    (chart,) = page.get("deck_gl_json_chart")
    assert chart.proto.alt.startswith("Map of 12 sites, coloured by health, measured at 17 Mar 2026 09:00")
    assert layer(page, "outline") is not None
    assert layer(page, "outline")["data"] == maps.OUTLINE  # type: ignore[index]
    assert (Path(maps.__file__).parents[1] / "static" / Path(maps.OUTLINE).name).is_file()


def test_a_partial_lake_says_what_is_missing_and_how_to_supply_it(
    open_page: Opener, without_flows: Path, lakes: dict[str, Path]
) -> None:
    page = open_page("overview", "partial")
    assert not page.exception
    assert metrics(page)["Viewers"] == "no data"
    (viewers,) = (metric for metric in page.metric if metric.label == "Viewers")
    assert "`viewers`" in viewers.help
    assert metrics(page)["Order within 30 d"] == "unknown"
    assert "No forecast to plan from has been published" in words(page)
    bare = open_page("overview", without_flows)
    assert metrics(bare)["Over the limit"] == "unknown", "without a capacity nothing is called far from running out"
    assert not {"Fullest, peak 24 h", "Order within 30 d"} & set(metrics(bare))
    assert "**No capacity is declared for any site**" in words(bare)
    assert "within their limits" not in words(bare)
    assert "python -m data ingest PATH --table capacity" in words(bare)
    assert layer(bare, "flows") is None
    assert list(bare.button_group(key="state.layers").options) == ["Sites", "Labels"]


def test_the_table_writes_egress_in_one_unit_that_fits_and_leaves_out_columns_that_hold_nothing(
    open_page: Opener, without_flows: Path, tmp_path: Path
) -> None:
    def heads(page: AppTest) -> dict[str, Any]:
        shown = next(frame for frame in page.dataframe if "Site" in frame.value)
        found: dict[str, Any] = json.loads(shown.proto.columns)
        return found

    assert heads(open_page("overview", without_flows))["Peak 24 h"]["label"] == "Peak 24 h, Gbps"
    assert {name for name, how in heads(open_page("overview", without_flows)).items() if how.get("hidden")} >= {
        "of capacity",
        "Short",
        "Order by",
    }
    small = full_lake(tmp_path / "lake", Plan(sites=3, days=3, flows=False, forecasts=False))
    rows = small.read("telemetry").to_pandas()
    small.replace(
        "telemetry", pa.Table.from_pandas(rows.assign(egress_gbps=rows["egress_gbps"] / 1e4), preserve_index=False)
    )
    refresh_rollups(small)
    page = open_page("overview", tmp_path / "lake")
    assert heads(page)["Peak 24 h"]["label"] == "Peak 24 h, Mbps"
    assert table(page)["Peak 24 h"].between(1, 20).all()


def test_a_lake_of_2004_is_drawn_at_its_own_now(open_page: Opener) -> None:
    page = open_page("overview", "stale")
    assert not page.exception
    assert "years ago" in words(page)
    assert "**4 Mar 2004 23:00** UTC" in words(page)


def test_an_empty_lake_has_no_map(open_page: Opener) -> None:
    page = open_page("overview", "empty")
    assert not page.get("deck_gl_json_chart")
    assert "No telemetry yet" in words(page)


def test_a_hostile_name_stays_text(open_page: Opener) -> None:
    page = open_page("overview", "full")
    assert not page.exception
    found = layer(page, "hover")
    assert found is not None
    assert '"><script>alert(1)</script>' in [row["n"] for row in found["data"]]
    assert not any(note.allow_html for note in page.markdown)


# Filters
# -------------------------------------------------------------------------------------------------------------------


def test_a_region_filters_numbers_map_and_table_but_not_the_view(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world)
    whole, view = metrics(page)["Egress, peak 24 h"], (spec(page)["initialViewState"], spec(page)["views"])
    page.selectbox(key="state.region").set_value("us-east").run()
    assert not page.exception
    assert set(table(page)["Region"]) == {"US East"}
    assert drawn(page) == set(table(page)["site_id"])
    assert metrics(page)["Egress, peak 24 h"] != whole
    assert (spec(page)["initialViewState"], spec(page)["views"]) == view
    assert page.query_params["region"] == "us-east"


def test_filters_add_up_and_may_leave_nothing(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world, region="eu-west", partner="Fjord", role="ingest")
    assert table(page)["site_id"].tolist() == ["lon-01"]
    page = open_page("overview", world, region="us-east", partner="Fjord")
    assert not page.exception
    assert "No site passes these filters" in words(page)
    assert page.selectbox(key="state.partner").value == "Fjord", "the filter that has to go is still there"


def test_a_lake_of_one_region_and_partner_has_no_filters(open_page: Opener, without_flows: Path) -> None:
    keys = {box.key for box in open_page("overview", without_flows).selectbox}
    assert "state.region" not in keys
    assert "state.role" not in keys


# The map's switches
# --------------------------------------------------------------------------------------------------------


def test_colour_layers_and_projection_stand_in_the_url(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world, color="health", layers="sites,labels", map="globe")
    assert [found["id"] for found in spec(page)["layers"]] == ["ocean", "outline", "hover", "states", "labels"]
    assert spec(page)["views"][0]["@@type"] == "GlobeView"
    page.button_group(key="state.color").set_value("runout").run()
    assert page.query_params["color"] == "runout"
    assert layer(page, "sites") is not None
    assert "within\u00a03\u00a0months" in words(page)


def test_at_now_the_map_agrees_with_the_table(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world, color="health")
    found = layer(page, "states")
    assert found is not None
    shapes = {row["id"]: row["k"] for row in found["data"]}
    told = dict(table(page)[["site_id", "Health"]].itertuples(index=False))
    symbol = {"\u25cf": "circle", "\u25b2": "triangle-up", "\u25a0": "square", "\u25cb": "circle-open"}
    assert shapes == {site: symbol[health[0]] for site, health in told.items()}
    assert len(set(shapes.values())) > 1


# The player
# ----------------------------------------------------------------------------------------------------------------


def test_the_slider_runs_from_a_week_ago_to_the_end_of_the_forecast(open_page: Opener, world: Path) -> None:
    slider = open_page("overview", world).select_slider(key="player.slider")
    assert (slider.options[0], slider.options[-1]) == ("10 Mar 09:00", "14 Apr 09:00")
    assert slider.value == 0


def test_without_a_forecast_the_slider_ends_now(open_page: Opener) -> None:
    slider = open_page("overview", "partial").select_slider(key="player.slider")
    assert slider.value == 0
    assert len(slider.options) == 3 * 24 // map_player.STEP_HOURS + 8


def test_the_past_is_measured_and_the_future_expected(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world)
    page.select_slider(key="player.slider").set_value(-24).run()
    assert page.query_params["at"] == "2026-03-16T09:00"
    assert "**16 Mar 2026 09:00** UTC :gray-badge" in words(page)
    assert layer(page, "bounds") is None
    page.select_slider(key="player.slider").set_value(48).run()
    assert "**19 Mar 2026 09:00** UTC :blue-badge" in words(page)
    assert layer(page, "bounds") is not None
    assert layer(page, "flows") is not None, "the same hour of the last week stands in"


def test_a_link_opens_at_its_moment_in_its_zone(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world, at="2026-03-15T21:40", zone="viewer")
    assert page.select_slider(key="player.slider").value == -36
    assert "**16 Mar 2026 06:00** Asia/Tokyo" in words(page)
    page.button(key="player.now").click().run()
    assert page.select_slider(key="player.slider").value == 0
    assert page.query_params["at"] == "now"


def test_playing_moves_the_slider_and_pausing_keeps_it(
    open_page: Opener, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("app.ui.map_player.time.monotonic", clock)
    page = open_page("overview", world)
    page.button(key="player.play").click().run()
    assert page.select_slider(key="player.slider").value == 0, "the first step comes with the first tick"
    for step in (1, 2):
        clock.now += map_player.TICK
        page.run()
        assert page.select_slider(key="player.slider").value == step * map_player.STEP_HOURS
    assert page.query_params["at"] == "now", "steps are no pages of the browser's history"
    clock.now += map_player.TICK
    page.button(key="player.play").click().run()
    assert page.select_slider(key="player.slider").value == 2 * map_player.STEP_HOURS
    assert page.query_params["at"] == "2026-03-17T15:00"
    clock.now += map_player.TICK
    assert page.run().select_slider(key="player.slider").value == 2 * map_player.STEP_HOURS


def test_a_player_that_reaches_the_end_stops(open_page: Opener, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("app.ui.map_player.time.monotonic", clock)
    page = open_page("overview", world)
    page.select_slider(key="player.slider").set_value(map_player.AHEAD_HOURS).run()
    page.button(key="player.play").click().run()
    clock.now += map_player.TICK
    page.run()
    assert page.button(key="player.play").label == "Play"
    assert page.select_slider(key="player.slider").value == map_player.AHEAD_HOURS


def test_a_player_that_was_left_behind_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("app.ui.map_player.time.monotonic", clock)
    monkeypatch.setattr(st, "session_state", {"player.playing": True, "player.ticked": clock.now})
    clock.now += map_player.FORGOTTEN - 1
    assert map_player.CLOCK.interval() == map_player.TICK
    clock.now += 2
    assert map_player.CLOCK.interval() is None
    assert not map_player.CLOCK.playing()


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_moments_reach_back_as_far_as_there_is_telemetry() -> None:
    assert map_player.offsets(NOW - 7 * HOUR, NOW, ahead=False) == [-6, -3, 0]
    assert map_player.offsets(NOW, NOW, ahead=False) == [0]
    assert map_player.offsets(NOW - 900 * HOUR, NOW, ahead=True)[0] == -168
    assert map_player.nearest([-6, -3, 0, 3], 1.4) == 0
    assert map_player.nearest([-6, -3, 0, 3], 999) == 3


# Opening a site
# ------------------------------------------------------------------------------------------------------------


def test_a_card_opens_its_site(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world)
    page.button(key="open-fra-01").click().run()
    assert not page.exception
    assert page.query_params["site"] == "fra-01"
    assert page.query_params["region"] == "eu-west"


def test_at_most_six_cards_and_none_of_a_site_that_is_well(open_page: Opener, world: Path) -> None:
    page = open_page("overview", world)
    cards = [str(button.key).removeprefix("open-") for button in page.button if str(button.key).startswith("open-")]
    states = table(page).set_index("site_id")["Health"]
    assert 1 <= len(cards) <= MOST
    assert cards == [site for site in states.index if not states[site].endswith(("ok", "unknown"))][:MOST]


@pytest.mark.parametrize(
    ("objects", "site"),
    [
        ({}, None),
        ({"hover": [{"id": "fra-01"}]}, "fra-01"),
        ({"flows": [{"n": "a to b"}]}, None),
    ],
)
def test_a_click_on_a_marker_names_its_site(objects: dict[str, Any], site: str | None) -> None:
    assert maps.picked({"selection": {"indices": {}, "objects": objects}}) == site


@pytest.mark.parametrize(
    ("name", "key", "shown"), [("region", "eu-west", "Europe West"), ("partner", "Fjord", "Fjord")]
)
def test_a_click_in_the_leaderboard_filters_the_page_and_a_second_one_clears_it(
    open_page: Opener, world: Path, name: str, key: str, shown: str
) -> None:
    page = open_page("overview", world)
    board = next(
        frame.value for frame in page.dataframe if "label" in frame.value and shown in set(frame.value["label"])
    )
    row = board["label"].tolist().index(shown)
    page.session_state[f"leaders.{name}"] = {"row": row}
    page.run()
    assert page.query_params[name] == key
    assert set(table(page)[name.capitalize()]) == {shown}


def test_a_telephone_has_cards_in_place_of_the_table(
    open_page: Opener, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.header.is_narrow", lambda: True)
    page = open_page("overview", world)
    assert not page.exception
    assert all("Site" not in frame.value for frame in page.dataframe)
    (first, *_) = [line.value for line in page.markdown if "[Frankfurt](./region?" in line.value]
    assert first.startswith("\u25a0 act")
    assert any(line.value.startswith("Run-out: already over the limit  \nPeak 24 h: ") for line in page.markdown)
