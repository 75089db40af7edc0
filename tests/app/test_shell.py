"""The shell around the pages: strip, search, zone, freshness, refresh, empty and error states."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import cached
from app.cached import Extent, Run
from app.pages import VIEWS
from app.state import CARRIED, HOME, State
from app.ui import empty_states, header
from data.lake.tables import Lake
from data.schema.errors import LakeError
from tests.app.conftest import MAIN, Opener
from tests.small_lake import SITES, publish_run

NOW = pd.Timestamp("2026-11-20T09:25Z")
EXTENT = Extent(NOW - pd.Timedelta(days=9), NOW - pd.Timedelta("5min"), NOW, 300, NOW, 48, False, 412, ("egress_gbps",))
RUN = Run("r88", 88, "prophet", NOW, 61.0, 411, NOW, 30, 1, 0)


def words(test: AppTest) -> str:
    return "\n".join(
        [*(m.value for m in test.markdown), *(c.value for c in test.caption), *(c.value for c in test.code)]
    )


# The strip
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [view.name for view in VIEWS])
def test_every_page_has_the_strip(open_page: Opener, page: str) -> None:
    test = open_page(page)
    assert not test.exception
    assert "simulated network" in words(test)
    assert "run 88" in words(test)
    assert test.selectbox(key="header.search").placeholder == "Find a site, city, partner"


@pytest.mark.parametrize("page", [view.name for view in VIEWS])
def test_a_lake_of_2004_works_and_is_called_stale(open_page: Opener, page: str) -> None:
    test = open_page(page, "stale")
    assert not test.exception
    assert "as of **5 Mar 2004 00:00 UTC**" in words(test)
    assert "years ago" in words(test)
    assert "stale" in words(test)
    assert "simulated" not in words(test)


@pytest.mark.parametrize("page", [view.name for view in VIEWS])
def test_an_empty_lake_says_which_command_helps(open_page: Opener, lakes: dict[str, Path], page: str) -> None:
    test = open_page(page, "empty")
    assert not test.exception
    assert "No telemetry yet" in words(test)
    assert [code.value for code in test.code] == [
        f"python -m data ingest PATH --lake {lakes['empty']}",
        f"python -m data demo --lake {lakes['empty']}",
        f"python -m forecasting refresh --lake {lakes['empty']}",
    ]


def test_as_of_names_time_age_version_and_run() -> None:
    four = NOW + pd.Timedelta("4min")
    assert header.as_of(EXTENT, RUN, "UTC", four) == "as of **09:25 UTC**, 4 min ago \u00b7 v412 \u00b7 run 88"
    assert header.as_of(EXTENT, None, "Europe/Berlin", four).startswith(
        "as of **10:25 CET**, 4 min ago \u00b7 v412 \u00b7 no forecast yet"
    )
    assert "**06:25 UTC-3**" in header.as_of(EXTENT, RUN, "America/Sao_Paulo", four)


@pytest.mark.parametrize(("minutes", "stale"), [(15, False), (16, True)])
def test_stale_begins_after_three_intervals(minutes: int, stale: bool) -> None:
    assert ("stale" in header.as_of(EXTENT, RUN, "UTC", NOW + pd.Timedelta(minutes=minutes))) is stale


def test_an_older_day_is_named() -> None:
    assert "**20 Nov 2026 09:25 UTC**, 3 days ago" in header.as_of(EXTENT, RUN, "UTC", NOW + pd.Timedelta(days=3))


def test_details_say_what_the_run_knew_and_where_none_is_which_command_makes_one() -> None:
    told = header.details(EXTENT, RUN, "UTC")
    assert "a value every 5 min, 48 sites" in told
    assert "30 series were fitted, 1 refused, 0 failed" in told
    assert "`python -m forecasting refresh`" in header.details(EXTENT, None, "UTC")


# Zone
# -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "zone", "why"),
    [
        (State(), "UTC", ""),
        (State(zone="viewer"), "Asia/Tokyo", ""),
        (State(zone="site"), "UTC", "Times are in UTC: no site is chosen, nor a region whose sites share a time zone."),
        (State(zone="site", site="gru-01", region="sa"), "America/Sao_Paulo", ""),
        (State(zone="site", region="asia"), "Asia/Tokyo", ""),
        (
            State(zone="site", region="eu-west"),
            "UTC",
            "Times are in UTC: the sites of this region lie in 2 time zones.",
        ),
        (State(zone="UTC", site="gru-01"), "UTC", ""),
    ],
)
def test_the_zone_follows_the_switch_and_says_where_it_cannot(chosen: State, zone: str, why: str) -> None:
    assert header.zone_of(chosen, SITES, "Asia/Tokyo") == (zone, why)


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../../etc/passwd", "/etc/passwd"])
def test_a_zone_that_nobody_knows_is_utc_and_said(name: str | None) -> None:
    zone, why = header.zone_of(State(zone="viewer"), SITES, name)
    assert zone == "UTC"
    assert why.startswith("Times are in UTC: ")
    unknown = SITES.assign(timezone="Mars/Olympus")
    assert header.zone_of(State(zone="site", site="gru-01"), unknown, None) == (
        "UTC",
        "Times are in UTC: the catalogue names the time zone Mars/Olympus, which is not in the zone database.",
    )


def test_the_switch_changes_times_and_url_and_stays_on_other_pages(open_page: Opener) -> None:
    test = open_page("data")
    test.selectbox(key="state.zone").set_value("viewer").run()
    assert "JST" in words(test)
    assert test.query_params["zone"] == "viewer"
    test.query_params.clear()
    test._page_hash = ""
    test.run()
    assert test.query_params["zone"] == "viewer"


# Search
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "key", "page", "changes"),
    [
        ("site", "gru-01", "region", {"region": "sa", "site": "gru-01"}),
        ("region", "eu-west", "region", {"region": "eu-west", "site": None}),
        ("city", "Ashburn", "region", {"region": "na-east", "site": "iad-01"}),
        ("city", "Tokyo", "region", {"region": "asia", "site": None}),
        ("partner", "Hikari", "overview", {"partner": "Hikari", "region": None, "site": None}),
    ],
)
def test_what_is_found_opens_where_it_is_shown(kind: str, key: str, page: str, changes: dict[str, str | None]) -> None:
    assert header.target(kind, key, SITES) == (page, changes)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("Sao Paulo 1 \u00b7 site", {"site": "gru-01", "region": "sa"}),
        ("Asia \u00b7 region", {"site": "all", "region": "asia"}),
    ],
)
def test_search_opens_the_region_page(open_page: Opener, typed: str, asked: dict[str, str]) -> None:
    test = open_page("data", zone="viewer")
    box = test.selectbox(key="header.search")
    place = next(n for n, option in enumerate(box.options) if option.startswith(typed))
    box.select_index(place).run()
    assert not test.exception
    assert {name: test.query_params[name] for name in asked} == asked
    assert test.query_params["zone"] == "viewer"
    assert "range" in test.query_params
    assert test.selectbox(key="header.search").value is None


def test_search_for_a_partner_filters_the_overview(open_page: Opener) -> None:
    test = open_page("data")
    box = test.selectbox(key="header.search")
    box.select_index(
        next(n for n, option in enumerate(box.options) if option.startswith("Hikari \u00b7 partner"))
    ).run()
    assert test.query_params["partner"] == "Hikari"
    assert "color" in test.query_params


# Hostile links
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [view.name for view in VIEWS])
@pytest.mark.parametrize("value", ["<script>alert(1)</script>", "x" * 10_000, "%00", "'; DROP TABLE sites"])
def test_a_hostile_link_opens_the_default_and_says_so(open_page: Opener, page: str, value: str) -> None:
    asked = dict.fromkeys(("zone", *CARRIED[page]), value)
    test = open_page(page, **asked)
    assert not test.exception
    notes = [c.value for c in test.caption if c.value.startswith(":material/link_off:")]
    assert len(notes) >= len(asked) - 1
    assert all(len(note) < 300 for note in notes)
    assert "cannot be shown" not in words(test)
    assert all(value not in str(kept) for kept in test.query_params.values())


# Refresh
# ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("note", "told"),
    [
        (None, ("none", 0, 0)),
        ({"state": "done", "done": 9, "total": 9}, ("none", 0, 0)),
        ({"state": "running", "done": 3, "total": 9, "updated": NOW.isoformat()}, ("running", 3, 9)),
        (
            {"state": "running", "done": 3, "total": 9, "updated": (NOW - pd.Timedelta("1h")).isoformat()},
            ("stopped", 3, 9),
        ),
        ({"state": "running"}, ("stopped", 0, 0)),
        ({"state": "failed", "message": "out of memory", "done": None}, ("failed", 0, 0)),
        ({"state": "<script>"}, ("none", 0, 0)),
        ({"state": "running", "updated": "yesterday"}, ("stopped", 0, 0)),
    ],
)
def test_a_refresh_is_told_by_its_note(note: dict[str, Any] | None, told: tuple[str, int, int]) -> None:
    assert header.refresh_of(note, NOW)[:3] == told


@pytest.fixture
def own(lakes: dict[str, Path], tmp_path: Path) -> Lake:
    """A stale lake that a test may change."""
    return Lake(shutil.copytree(lakes["stale"], tmp_path / "lake"))


def test_progress_a_new_run_and_a_failure_are_shown_as_the_note_and_the_lake_say(open_page: Opener, own: Lake) -> None:
    note = {"done": 3, "total": 9, "message": ""}
    own.write_note("refresh", {"state": "running", "updated": pd.Timestamp.now("UTC").isoformat(), **note})
    test = open_page("data", Path(own.url))
    assert "run 88" in words(test)
    assert test.get("progress")[0].proto.text == "Forecasts: 3 of 9 series"
    publish_run(own, pd.Timestamp("2004-03-05", tz="UTC"), number=89)
    own.write_note("refresh", {"state": "done", **note})
    st.cache_resource.clear()
    test.run()
    assert not test.get("progress")
    assert "run 89" in words(test)
    own.write_note("refresh", {"state": "failed", "message": "no *space* left"})
    st.cache_resource.clear()
    assert "refresh failed" in words(test.run())


# Errors
# -----------------------------------------------------------------------------------------------------------------


def test_a_damaged_lake_is_a_designed_state_and_not_a_trace(open_page: Opener, tmp_path: Path) -> None:
    log = tmp_path / "lake" / "telemetry" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("garbage")
    test = open_page("data", tmp_path / "lake")
    assert not test.exception
    assert "This page cannot be shown" in words(test)
    assert "**Likely cause:**" in words(test)
    assert "**What mends it:**" in words(test)


def failing() -> None:
    """A page that raises what the session holds."""
    import streamlit as st

    from app.ui import empty_states

    empty_states.on_script_error(st.session_state["error"])


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (LakeError("It is *gone*", cause="nobody knows", remedy="look again"), r"It is \*gone\*"),
        (ZeroDivisionError("secret"), "The server's log says what"),
    ],
)
def test_an_error_that_nobody_caught_is_counted_and_told_in_words(error: Exception, shown: str) -> None:
    before = cached.metrics_text()
    test = AppTest.from_function(failing)
    test.session_state["error"] = error
    test.run()
    assert shown in words(test)
    assert "secret" not in words(test)
    assert cached.metrics_text() != before
    assert empty_states.on_script_error.__annotations__["return"] == "bool"


@pytest.mark.parametrize(
    "text",
    [
        "![x](http://evil/y.png)",
        "<img src=x>",
        ":material/home: $x$ `y`",
        "a\nb",
        "# title",
        "1. one",
        "_a_ *b* ~c~ |d|",
        "x & y",
    ],
)
def test_foreign_text_is_shown_letter_by_letter(text: str) -> None:
    written = empty_states.plain(text)
    assert written.replace("\\", "") == " ".join(text.split())
    assert not any(written[n] in "`*_{}[]()<>#+.!|~$:&-" and written[n - 1] != "\\" for n in range(1, len(written)))


DOOR = """
import sys
sys.path.insert(0, sys.argv[1])
import streamlit_app
from streamlit import config
print(config.get_option("browser.gatherUsageStats"), config.get_option("server.enableStaticServing"), config.get_option("client.showErrorDetails"))
"""


def test_the_settings_hold_wherever_the_door_is_opened_from(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DOOR, str(MAIN.parents[1])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["False", "True", "none"], done.stderr


def test_the_first_page_is_home() -> None:
    assert VIEWS[0].name == HOME
    assert [view.name for view in VIEWS] == [name for name in CARRIED if name in {view.name for view in VIEWS}]
