"""The failures sheet: what fails is chosen and held in the link, played week by week, and told on the map, in numbers
and as tables.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app import theme
from app.cached import Scope, failures
from app.cached.failures import FAILOVER_SETTING, FailureRefusal, FailureSpec, FailureTimeline
from app.cached.planning import PlanQuery
from app.ui import map_player
from data.lake.tables import Lake
from tests import lakes
from tests.app.conftest import Opener
from tests.futures import publish_futures

NOW = pd.Timestamp(lakes.Plan().end)
MONDAY = NOW.floor("D") - pd.Timedelta(days=NOW.weekday())
REGIONS = {site[0]: site[2] for site in lakes.SITES}
EUROPE = [site for site, region in REGIONS.items() if region == "eu-west"]
# Warsaw has no futures. Paris is asked for more than all of Europe has room for; the United States can carry each
# other.
LINES = {site: (60.0, 62.0) for site in REGIONS if site != "waw-01"} | {"par-01": (900.0, 902.0)}
ASKED = PlanQuery("egress", "peak", 0.8, True)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("measured") / "lake"
    lakes.full_lake(where, lakes.Plan(days=9))
    return where


def with_futures(measured: Path, where: Path, lines: Mapping[str, tuple[float, float]]) -> Path:
    """A copy of the lake, with a run's futures of its sites."""
    shutil.copytree(measured, where)
    publish_futures(Lake(where), lakes.RUN, NOW, dict(lines), REGIONS)
    return where


@pytest.fixture(scope="module")
def lake(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_futures(measured, tmp_path_factory.mktemp("failing") / "lake", LINES)


def played(lake: Path, fails: FailureSpec, quantile: float = 0.9) -> FailureTimeline:
    found = failures.simulate(Lake(lake).pin(), Scope(), ASKED, fails, quantile)
    assert isinstance(found, FailureTimeline)
    return found


def words(page: AppTest) -> str:
    return "\n".join(element.value for kind in (page.markdown, page.caption, page.warning) for element in kind)


def layers(page: AppTest) -> dict[str, Any]:
    """The layers of the failure map by their id, without the turn."""
    spec = json.loads(page.get("deck_gl_json_chart")[0].proto.json)
    return {layer["id"].rpartition("-")[0] or layer["id"]: layer for layer in spec["layers"]}


def tables(page: AppTest) -> dict[str, pd.DataFrame]:
    return {next(iter(held.value.columns)): held.value for held in page.dataframe}


def test_what_moves_is_conserved_and_no_failed_site_carries_any(lake: Path) -> None:
    for fails in (
        FailureSpec("site", "par-01"),
        FailureSpec("region", "eu-west"),
        FailureSpec("partner", "Northwind"),
        FailureSpec("path", "par-01", "fra-01"),
    ):
        found = played(lake, fails)
        by_week = found.sites.groupby("week")[["before_gbps", "load_gbps", "shed_gbps"]].sum()
        kept = (by_week["load_gbps"] + by_week["shed_gbps"]).to_numpy()
        assert kept == pytest.approx(by_week["before_gbps"].to_numpy(), abs=1e-5)
        assert found.weeks["displaced_gbps"].to_numpy() == pytest.approx(
            (found.weeks["moved_gbps"] + found.weeks["shed_gbps"]).to_numpy()
        )
        down = [site for site, share in found.share.items() if share == 1.0]
        assert found.sites.loc[found.sites["site_id"].isin(down), "load_gbps"].eq(0.0).all()
        assert len(found.weeks) == 26


def test_a_path_takes_its_part_of_what_comes_in(lake: Path) -> None:
    found = played(lake, FailureSpec("path", "par-01", "fra-01"))
    size = {site: 60.0 + 10 * (i % 5) for i, site in enumerate(REGIONS)}
    inflow = sum(
        (size[site[0]] + size["par-01"]) / 20 for site in lakes.SITES if "ingest" in site[-1] and site[0] != "par-01"
    )
    assert found.share == {"par-01": pytest.approx((size["fra-01"] + size["par-01"]) / 20 / inflow)}


def test_a_group_says_whom_it_leaves_out_and_what_cannot_fail_says_why(lake: Path) -> None:
    assert played(lake, FailureSpec("region", "eu-west")).left_out == ("waw-01",)
    pin = Lake(lake).pin()
    refused = failures.simulate(pin, Scope(), ASKED, FailureSpec("site", "waw-01"), 0.9)
    assert isinstance(refused, FailureRefusal)
    assert refused.reason.startswith("it has no futures: ")
    nowhere = failures.simulate(pin, Scope(), ASKED, FailureSpec("path", "par-01", "mil-01"), 0.9)
    assert nowhere == FailureRefusal("no flow came that way in the last 7 days")


def test_a_higher_quantile_displaces_no_less(lake: Path) -> None:
    low, high = (played(lake, FailureSpec("site", "par-01"), q).weeks["displaced_gbps"] for q in (0.5, 0.9))
    assert (low < high).all()


def test_the_worst_failure_is_played_first_and_another_is_a_choice_away(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="failures")
    assert not page.exception
    assert page.selectbox("failing.choice").value == "site:par-01"
    page.selectbox("failing.choice").select("region:us-east").run()
    assert page.query_params["fails"] == "region:us-east"
    drawn = layers(page)
    # The run refused Dallas a forecast: it has no demand that could go elsewhere.
    assert {row["id"] for row in drawn["failed"]["data"]} == {
        site for site, region in REGIONS.items() if region == "us-east" and site != "dfw-01"
    }
    assert all(row["k"] == "cross" for row in drawn["failed"]["data"])
    assert not {row["id"] for row in drawn["sites"]["data"]} & {row["id"] for row in drawn["failed"]["data"]}


def test_the_map_and_the_tables_tell_the_same(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="failures", fails="site:par-01")
    week = played(lake, FailureSpec("site", "par-01")).weeks.iloc[0]
    shown = {metric.label: metric for metric in page.metric}
    assert shown["Finds no room"].value == f"{week['shed_gbps']:.3g} Gbps"
    assert shown["Finds no room"].delta == f"about {week['shed_viewers'] / 1000:.3g} k viewers not served"
    assert (
        f"**If Paris fails in the week of {theme.day(MONDAY, year=False)}, {week['shed_gbps']:.3g} Gbps of its"
        in words(page)
    )
    worst = next(rows for rows in (held.value for held in page.dataframe) if "Month" not in rows and "Any shed" in rows)
    assert worst.set_index("Failed site").loc["Paris", "Shed"] == pytest.approx(week["shed_gbps"], abs=1e-3)
    assert week["shed_viewers"] == pytest.approx(250.0 * week["shed_gbps"])
    sites, moves = tables(page)["Site"].set_index("Site"), tables(page)["From"]
    assert sites.loc["Paris", "Part"] == "fails"
    assert moves["Moves"].sum() == pytest.approx(week["moved_gbps"], abs=1e-2)
    assert sites["Takes over"].sum() == pytest.approx(week["moved_gbps"], abs=1e-2)
    assert len(layers(page)["moves"]["data"]) == len(moves)
    assert "within 60 ms round trip (4,000 km), by headroom over distance" in words(page).replace("\\", "")
    assert "Viewers are an estimate" in words(page)


def test_the_week_is_in_the_link_and_plays_on(open_page: Opener, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page("capacity", lake, sheet="failures", week=f"{MONDAY + pd.Timedelta(days=16):%Y-%m-%dT%H:%M}")
    assert page.select_slider("weeks.slider").value == 2
    now = [1000.0]
    monkeypatch.setattr("app.ui.map_player.time.monotonic", lambda: now[0])
    page.button("weeks.play").click().run()
    now[0] += map_player.TICK
    assert page.run().select_slider("weeks.slider").value == 3
    page.button("weeks.play").click().run()
    assert page.query_params["week"] == f"{MONDAY + pd.Timedelta(days=21):%Y-%m-%dT%H:%M}"
    page.button("weeks.first").click().run()
    assert page.query_params["week"] == "now"
    assert not page.exception


def test_a_declared_table_says_who_helps_and_a_bad_one_is_left_out(
    open_page: Opener, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "ours.csv"
    table.write_text("site_id,helper_site_id,weight\npar-01,mia-01,1\npar-01,waw-01,9\n")
    monkeypatch.setenv(FAILOVER_SETTING, str(table))
    page = open_page("capacity", lake, sheet="failures", fails="site:par-01", weights="declared")
    assert set(tables(page)["From"]["To"]) == {"Miami"}  # Warsaw has no futures, and helps nobody
    assert "ours.csv declares" in words(page).replace("\\", "")
    table.write_text("site_id,helper_site_id,weight\npar-01,lhr-99,1\n")
    page = open_page("capacity", lake, sheet="failures", fails="site:par-01", weights="declared")
    assert not page.exception
    assert "lhr-99" in words(page).replace("\\", "")
    assert "Miami" not in set(tables(page)["From"]["To"])
    monkeypatch.delenv(FAILOVER_SETTING)
    assert "No failover table holds" in words(open_page("capacity", lake, sheet="failures", weights="declared"))


def test_a_failure_that_cannot_be_played_says_why(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="failures", fails="site:waw-01")
    assert not page.exception
    assert "The failure of Warsaw cannot be played" in words(page)


def test_a_table_that_is_uploaded_holds_at_once_and_on_every_sheet_until_it_is_removed(
    open_page: Opener, lake: Path
) -> None:
    page = open_page("capacity", lake, sheet="failures", fails="site:par-01", weights="nearby")
    page.file_uploader("failover.upload").set_value(
        ("ours.csv", b"sep=;\nsite_id;helper_site_id;weight\npar-01;mia-01;1\n", "text/csv")
    ).run()
    assert not page.exception
    assert page.query_params["weights"] == "declared"
    assert set(tables(page)["From"]["To"]) == {"Miami"}
    page.segmented_control("state.sheet").set_value("augments").run()
    assert "as ours.csv declares" in words(page).replace("\\", "")
    page.segmented_control("state.sheet").set_value("failures").run()
    assert "as ours.csv declares" in n_minus_1(page)
    page.button("failover.remove").click().run()
    assert "No failover table holds" in words(page)
    assert "Miami" not in set(tables(page)["From"]["To"])


def n_minus_1(page: AppTest) -> str:
    """The verdict, with the rule of failover."""
    return next(text.value for text in page.markdown if "**The network " in text.value).replace("\\", "")


def test_the_date_of_n_minus_1_is_reckoned_by_the_table_that_is_declared_everywhere(
    open_page: Opener, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No site is asked for more than its neighbours have room for; in the table each has one helper, but the last,
    which has none.
    """
    quiet = with_futures(measured, tmp_path / "lake", dict.fromkeys(REGIONS, (60.0, 62.0)))
    calm = n_minus_1(open_page("capacity", quiet, sheet="failures"))
    assert calm.startswith("**The network stands the failure of any one site")
    assert calm.endswith("Failover by distance and headroom.")
    table = tmp_path / "ours.csv"
    table.write_text(
        "site_id,helper_site_id,weight\n" + "".join(f"{site},{helper},1\n" for site, helper in pairwise(REGIONS))
    )
    monkeypatch.setenv(FAILOVER_SETTING, str(table))
    declared = n_minus_1(open_page("capacity", quiet, sheet="failures"))
    assert declared.startswith("**The network does not stand the failure of any one site**")
    assert declared.endswith("Failover as ours.csv declares.")
    nearby = open_page("capacity", quiet, sheet="failures", weights="nearby")
    assert n_minus_1(nearby).endswith("by distance and headroom.")
    assert "help each other as ours.csv declares" in words(open_page("capacity", quiet, sheet="augments")).replace(
        "\\", ""
    )


def test_maps_are_coloured_by_the_plan_s_run_out(open_page: Opener, lake: Path) -> None:
    for page in (open_page("capacity", lake, sheet="runout"), open_page("overview", lake, color="runout")):
        assert not page.exception
        spec = json.loads(page.get("deck_gl_json_chart")[0].proto.json)
        told = {row["id"]: row["t"] for layer in spec["layers"] if layer["id"] == "hover" for row in layer["data"]}
        assert "Run-out already over the limit" in told["par-01"]
        assert "Run-out not in 18 months" in told["chi-01"]
        assert "Run-out no forecast" in told["waw-01"]
        assert "not in 18 months" in unbroken(page)
    assert "Median run-out date of the plan" in unbroken(page)


def unbroken(page: AppTest) -> str:
    """The words of a page; a legend keeps its own together by other spaces."""
    return words(page).replace("\u00a0", " ")
