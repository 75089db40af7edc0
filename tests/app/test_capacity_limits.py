"""The safe limits of the Capacity page: nothing is fitted before a place is chosen, a knee is told with its interval,
and becomes the limit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import cached
from app.cached import Scope
from app.cached import limits as cached_limits
from app.views.capacity import limits
from data import queries
from data.lake.tables import Lake, Pin
from tests.app.conftest import Opener
from tests.small_lake import make_lake

KNEE = 0.66


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve days in which viewers of every site but Sao Paulo's feel it from two thirds of its capacity on."""
    where = tmp_path_factory.mktemp("felt") / "lake"
    made = make_lake(where, "2026-05-04", days=12)
    made.replace("telemetry", felt(made))
    return where


def felt(lake: Lake) -> pa.Table:
    rows = lake.read("telemetry").to_pandas().drop(columns="date", errors="ignore")
    capacity = lake.read("capacity").to_pandas().query("direction == 'egress'").set_index("site_id")["capacity_gbps"]
    used = rows["egress_gbps"] / rows["site_id"].map(capacity)
    strain = np.where(rows["site_id"] == "gru-01", 0.0, np.maximum(used - KNEE, 0.0) / 0.05) ** 1.5
    noise = np.exp(np.random.default_rng(5).normal(0, 0.1, len(rows)))
    return pa.Table.from_pandas(rows.assign(rebuffer_ratio=0.002 * noise * (1.0 + strain)), preserve_index=False)


def words(page: AppTest) -> str:
    return "\n".join(element.value for kind in (page.markdown, page.caption, page.code) for element in kind).replace(
        "\\", ""
    )


def figures(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def test_all_sites_are_learned_and_another_place_is_a_choice_away(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="limits")
    assert not page.exception
    assert "**At 5 of 6 sites rebuffering grows with load**" in words(page)
    assert len(figures(page)) == 1
    page.selectbox("limits.place").select("site:fra-01").run()
    assert page.query_params["focus"] == "site:fra-01"
    assert "Frankfurt 1: knee at 6" in words(page)
    notes = " ".join(note["text"] for note in figures(page)[0]["layout"]["annotations"])
    assert "Rebuffering of Frankfurt 1 by utilisation" in notes
    assert "<b>knee 6" in notes
    assert "limit 80 %" in notes


def test_a_site_whose_viewers_never_felt_it_has_no_knee_and_offers_no_limit(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="limits", focus="site:gru-01")
    assert "Sao Paulo 1: no knee up to 83 %" in words(page)
    assert not [button for button in page.button if button.key in {"limit-one", "limit-all"}]


def test_a_knee_becomes_the_limit_of_one_site_or_of_all(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="limits", focus="site:fra-01")
    page.button("limit-one").click().run()
    assert not page.exception
    change = json.loads(page.query_params["whatif"])
    assert [(one["kind"], one["site_id"]) for one in change] == [("limit", "fra-01")]
    assert KNEE - 0.05 <= change[0]["limit"] <= KNEE + 0.01
    assert "In the what-if: The limit is" in words(page)
    page.button("limit-one").click().run()
    assert len(json.loads(page.query_params["whatif"])) == 1
    page.button("limit-all").click().run()
    assert float(page.query_params["limit"]) == change[0]["limit"]


def test_the_lowest_knee_stands_first_and_every_site_is_planned_with_its_own(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="limits")
    assert not page.exception
    rows = page.dataframe[0].value
    assert len(rows) == 6
    assert rows["Knee"].dropna().is_monotonic_increasing
    assert rows["Site"].iloc[-1] == "Sao Paulo 1"
    assert (rows["May be used"].dropna() == np.floor(rows["From"].dropna() + 1e-9)).all()
    assert '"><script>alert(1)</script>' in set(rows["Site"])
    page.button("limit-each").click().run()
    assert not page.exception
    change = {one["site_id"]: one["limit"] for one in json.loads(page.query_params["whatif"])}
    assert change == pytest.approx((rows.set_index("key")["May be used"].dropna() / 100).to_dict())
    assert page.query_params["sheet"] == "runout"


def test_all_sites_are_learned_from_one_reading_and_as_their_regions_are(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    st.cache_resource.clear()
    regions_read: list[str | None] = []
    loads = queries.loads

    def counted(pin: Pin, scope: Scope, region_id: str | None, *rest: Any) -> pd.DataFrame:
        regions_read.append(region_id)
        return loads(pin, scope, region_id, *rest)

    monkeypatch.setattr(queries, "loads", counted)
    pin = Lake(lake).pin()
    together = cached_limits.site_limits(pin, Scope(), "egress", "rebuffer_ratio")
    assert regions_read == [None]
    regions = sorted(set(cached.catalogue(pin, Scope())["region_id"]))
    apart = [
        site
        for region in regions
        for site in cached_limits.region_limits(pin, Scope(), "egress", "rebuffer_ratio", region).sites
    ]
    assert len(together) == 6
    assert [repr(site) for site in together] == [repr(site) for site in sorted(apart, key=lambda site: site.key)]


def test_too_little_is_refused_with_its_reason(open_page: Opener) -> None:
    page = open_page("capacity", "full", sheet="limits", focus="region:eu-west")
    assert not page.exception
    assert "Europe West, all sites: not known: 4 days and" in words(page)
    assert "no curve" in json.dumps(figures(page))


def test_a_lake_without_quality_says_what_is_missing_and_how_to_send_it(open_page: Opener) -> None:
    page = open_page("capacity", "partial", sheet="limits")
    assert not page.exception
    assert "A safe limit** needs `rebuffer_ratio`, `startup_seconds`, `playback_failure_ratio`" in words(page)
    assert any("--map YOURS=rebuffer_ratio" in block.value for block in page.code)


def test_without_capacity_a_place_says_how_to_declare_it(open_page: Opener, tmp_path: Path) -> None:
    made = make_lake(tmp_path / "lake", "2026-05-04")
    made.replace("capacity", made.read("capacity").slice(0, 0))
    page = open_page("capacity", tmp_path / "lake", sheet="limits", focus="site:fra-01")
    assert not page.exception
    assert any("--table capacity" in block.value for block in page.code)


def test_ingest_is_judged_by_what_broadcasters_feel(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="limits", direction="ingest")
    assert page.selectbox("limits.quality").options == ["Ingest starvation"]


@pytest.mark.parametrize(("share", "offered"), [(0.49, False), (0.5, True), (1.0, True)])
def test_a_limit_that_no_link_can_hold_is_not_offered(share: float, offered: bool) -> None:
    assert limits._is_allowed(share) is offered
