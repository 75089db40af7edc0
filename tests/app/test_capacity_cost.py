"""The costs of the Capacity page: what lies idle, what partners bill, and which hours each region is busy in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.cached import Scope, costing
from app.cached.planning import PlanQuery
from app.views.capacity.costs import bill_rows
from data.lake.tables import Lake
from forecasting.planning.augments import CapacityAddition
from forecasting.planning.whatif import CapacityAdded, to_text
from tests.app.conftest import Opener
from tests.planned_lake import LINES, planned_lake
from tests.small_lake import make_lake

QUESTION = PlanQuery("egress", "peak", 0.8, True)


def words(page: AppTest) -> str:
    return "\n".join(element.value for kind in (page.markdown, page.caption, page.code) for element in kind)


def table(page: AppTest, column: str) -> pd.DataFrame:
    found: pd.DataFrame = next(frame.value for frame in page.dataframe if column in frame.value)
    return found


def figures(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def test_the_sheet_shows_idle_capacity_hours_and_bills(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="cost")
    assert not page.exception
    idle = table(page, "Stranded").set_index("Site")
    assert idle.loc["Frankfurt 1", "Stranded"] == 0.0
    assert "the P90 of the highest week of the coming year" in words(page)
    assert idle["Costs a month"].notna().all()
    assert "Where no price of a site's capacity is declared, its cost is estimated" in words(page)
    strip = figures(page)[0]
    assert strip["layout"]["yaxis"]["ticktext"][-1] in {"Asia", "South America", "Europe West", "=cmd()"}
    assert set(table(page, "Billed")["Partner"]) == {"Nordlicht", "Sul Redes", "Hikari"}


def test_capacity_that_a_what_if_adds_within_the_year_may_lie_idle_too(open_page: Opener, lake: Path) -> None:
    adds = [CapacityAddition("nrt-02", "2026-08-01", 200.0, 5000.0), CapacityAddition("fra-01", "2027-11-01", 900.0)]
    asked = QUESTION._replace(changes=to_text([CapacityAdded(tuple(adds), "egress")]))
    before, after = (
        costing.stranded_headroom(Lake(lake).pin(), Scope(), question).rows.set_index("site_id")["stranded_gbps"]
        for question in (QUESTION, asked)
    )
    assert after["nrt-02"] - before["nrt-02"] == pytest.approx(200.0)
    assert after["fra-01"] == before["fra-01"]
    page = open_page("capacity", lake, sheet="cost", whatif=asked.changes)
    assert "with 200 Gbps that the what-if adds within a year" in words(page)
    (told,) = (metric.delta for metric in page.metric if metric.label == "Nobody needs")
    assert told.endswith(" without it")


def test_stranded_is_what_the_peak_of_the_coming_year_leaves_unused(lake: Path) -> None:
    found = costing.stranded_headroom(Lake(lake).pin(), Scope(), QUESTION)
    rows = found.rows.set_index("site_id")
    assert found.expected
    capacity, (first, last) = 1500.0, LINES["nrt-02"]
    peak = (
        first + (last - first) * 51 / 77
    ) * 1.04  # the fourth highest of twenty futures within 5 % of the line, by interpolation
    assert rows.loc["nrt-02", "peak_gbps"] == pytest.approx(peak, rel=0.01)
    assert rows.loc["nrt-02", "stranded_gbps"] == pytest.approx(capacity - peak / 0.8, rel=0.02)
    assert "nrt-01" not in rows.index  # refused: nobody knows what it needs


def test_a_lake_without_futures_takes_the_measured_peaks(open_page: Opener, tmp_path: Path) -> None:
    make_lake(tmp_path / "measured", "2026-05-04", days=9)
    page = open_page("capacity", tmp_path / "measured", sheet="cost")
    assert not page.exception
    assert "because nothing is forecast in this direction yet" in words(page)
    assert table(page, "Stranded").set_index("Site").loc["Frankfurt 1", "Peak planned for"] == pytest.approx(250.0)
    assert table(page, "Factor")["Place"].iloc[-1] in {"Asia", "Europe West"}


def test_peaks_that_nobody_knows_are_not_taken_for_nought(open_page: Opener, tmp_path: Path) -> None:
    page = open_page("capacity", "judged", sheet="cost")
    assert not page.exception
    make_lake(tmp_path / "short", "2026-03-05")  # Thursday to Sunday: a week that is over, but not whole
    short = open_page("capacity", tmp_path / "short", sheet="cost")
    assert "What these sites need is not known" in words(short)


def test_a_price_turns_bills_into_money(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="cost")
    assert table(page, "Billed")["USD"].isna().all()
    page.number_input("bills.price").set_value(0.5).run()
    rows = table(page, "Billed")
    np.testing.assert_allclose(rows["USD"], rows["Billed"] * 500.0, atol=0.51)


def test_filters_choose_the_sites_that_are_added_up(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="cost", region="asia")
    assert not page.exception
    assert table(page, "Billed")["Partner"].tolist() == ["Hikari"]
    assert set(table(page, "Stranded")["Site"]) == {"Tokyo 2"}
    assert len(figures(page)[0]["layout"]["yaxis"]["ticktext"]) == 1
    assert "Only the sites that pass the filters are added up" in words(page)


def test_without_capacity_or_partners_the_sheet_says_what_is_missing(open_page: Opener, tmp_path: Path) -> None:
    lake = planned_lake(tmp_path / "lake")
    lake.replace("capacity", lake.read("capacity").slice(0, 0))
    sites = lake.read("sites")
    lake.replace("sites", sites.set_column(sites.schema.get_field_index("partner"), "partner", [[None] * len(sites)]))
    page = open_page("capacity", tmp_path / "lake", sheet="cost")
    assert not page.exception
    assert "No egress capacity is declared for these sites" in words(page).replace("\\", "")
    assert "No site names its partner" in words(page)


def test_the_hours_of_a_region_are_where_its_wave_peaks(lake: Path) -> None:
    found = costing.hours(Lake(lake).pin(), Scope(), "egress", None)
    busiest = found.share.idxmax(axis=1)
    assert busiest["sa"] == 0  # the wave of the third site peaks at 06:00 less two times three hours
    assert found.capacity_gbps["asia"] == pytest.approx(1200.0 + 1500.0)
    assert list(found.share.index) == list(found.gbps.index)


def bill(partner: str, month: str, gbps: float, completeness: float = 1.0) -> dict[str, Any]:
    stamp = pd.Timestamp(month, tz="UTC")
    return {
        "partner": partner,
        "month": stamp,
        "billed_gbps": gbps,
        "apart_gbps": 1.25 * gbps,
        "completeness": completeness,
        "usd": np.nan,
    }


def test_a_month_that_goes_on_is_not_held_against_a_whole_one() -> None:
    months = [
        bill("a", "2026-04-01", 100.0),
        bill("a", "2026-05-01", 110.0),
        bill("b", "2026-04-01", 10.0),
        bill("b", "2026-05-01", 5.0, 0.3),
    ]
    rows = bill_rows(pd.DataFrame(months)).set_index("Partner")
    assert rows.index.tolist() == ["a", "b"]
    assert rows.loc["a", "Change"] == pytest.approx(10.0)
    assert pd.isna(rows.loc["b", "Change"])
    assert rows["Pooling saves"].tolist() == pytest.approx([20.0, 20.0])
