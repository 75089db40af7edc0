"""The Capacity page: what runs out first, one place, failures and what-ifs, on lakes with futures, without, and without
capacity.
"""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from app import state
from app.cached import Scope, planning
from app.cached.planning import PlanQuery
from app.ui import header
from app.views.capacity import choices
from app.views.capacity.page import SHEETS
from data.lake.tables import Lake
from tests.app.conftest import Opener
from tests.planned_lake import LINES, REFUSAL, START, planned_lake
from tests.small_lake import make_lake

GROWTH = '[{"kind":"growth","percent":60}]'


@pytest.fixture(scope="module")
def bare_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without any capacity."""
    where = tmp_path_factory.mktemp("bare") / "lake"
    made = planned_lake(where)
    made.replace("capacity", made.read("capacity").slice(0, 0))
    return where


def table(page: AppTest) -> pd.DataFrame:
    rows: pd.DataFrame = page.dataframe[0].value
    return rows.set_index("key")


def figures(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def titles(figure: dict[str, Any]) -> str:
    return " | ".join(note["text"] for note in figure["layout"]["annotations"])


def words(page: AppTest) -> str:
    return "\n".join(
        element.value for kind in (page.markdown, page.caption, page.code, page.warning) for element in kind
    )


def test_every_answer_has_its_words_worst_first(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake)
    assert not page.exception
    rows = table(page)
    assert list(rows.index[:2]) == ["fra-01", "ams-01"]
    assert rows.loc["fra-01", "Run-out"] == "already over"
    assert " to " in rows.loc["ams-01", "Run-out"]
    assert rows.loc["gru-01", "Run-out"] == "not within 18 months"
    # Both have an open incident and no order to place: a tie, told apart by their keys.
    assert list(rows.index[-2:]) == ["nrt-01", "nrt-02"]
    assert rows.loc["nrt-01", "Run-out"] == f"not known: {REFUSAL}"
    assert rows.loc["fra-01", "Order by"].startswith("now, was")
    assert rows.loc["fra-01", "Order"] == "\u25a0 over and late"
    assert (rows.loc["fra-01", "Limit"], rows.loc["fra-01", "Short"]) == (240.0, pytest.approx(20.0, abs=0.5))
    assert rows.loc["gru-01", "Order by"] == "no order"
    assert rows.loc["iad-01", "Site"] == '"><script>alert(1)</script>'


def test_the_headline_says_the_consequence_and_a_grade_chooses_rows(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake)
    assert "**1 of 6 sites is over 80 % of its egress capacity** at the peak of the week" in words(page)
    assert "For 1 no answer is known" in words(page)
    page.segmented_control("state.grade").set_value("over").run()
    assert list(table(page).index) == ["fra-01"]
    assert page.query_params["grade"] == "over"


def test_a_partner_is_sent_a_page_about_its_own_sites(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, partner="Nordlicht", whatif=GROWTH)
    assert not page.exception
    assert list(table(page).index) == ["fra-01", "ams-01"]
    assert set(page.selectbox("plan.place").options) == {table(page)["Site"][key] for key in ["fra-01", "ams-01"]}
    assert "egress capacity to deliver, 2 sites" in words(page)
    assert not [button for button in page.button if button.label == "Add to the what-if"]


def test_lead_times_are_padded_as_the_policy_says(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake)
    assert table(page).loc["fra-01", "Lead time"].endswith(" d, planned as 125 d")
    page.selectbox("state.lead").select("1x0").run()
    assert table(page).loc["fra-01", "Lead time"] == "60 d"
    assert page.query_params["lead"] == "1x0"


def test_the_place_that_runs_out_first_is_drawn_and_another_is_a_choice_away(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake)
    assert "Egress of Frankfurt 1 against its limit" in titles(figures(page)[1])
    page.selectbox("plan.place").select("region:eu-west").run()
    assert page.query_params["focus"] == "region:eu-west"
    fan = figures(page)[1]
    assert "Egress of Europe West, all sites against its limit" in titles(fan)
    assert "Probability of having passed the limit" in titles(fan)
    assert {"capacity", "limit", "median"} <= {trace.get("name") for trace in fan["data"]}


def test_a_refused_site_is_drawn_as_its_reason(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, focus="site:nrt-01")
    assert not page.exception
    assert "Tokyo 1 has no futures" in words(page)
    assert len(figures(page)) == 1


def test_a_higher_limit_is_passed_later(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake)
    page.selectbox("state.limit").select(1.0).run()
    assert page.query_params["limit"] == "1.0"
    assert table(page).loc["fra-01", "Run-out"] != "already over"
    assert "100 % of egress capacity" in titles(figures(page)[0])


def test_filters_choose_the_rows_but_regions_fail_as_before(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, region="asia")
    assert set(table(page).index) == {"nrt-01", "nrt-02"}
    assert "site:fra-01" not in page.selectbox("plan.place").options


def test_a_what_if_stands_beside_what_holds_without_it(open_page: Opener, lake: Path) -> None:
    rows = table(open_page("capacity", lake, whatif=GROWTH))
    assert rows.loc["ams-01", "Without the what-if"] == table(open_page("capacity", lake)).loc["ams-01", "Run-out"]
    assert rows.loc["ams-01", "Later by"] < 0
    assert rows.loc["iad-01", "Without the what-if"] == "not within 18 months"


def test_a_what_if_is_added_in_the_page_and_taken_back(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake)
    page.selectbox("what-if-kind").select("growth").run()
    page.number_input("what-if-percent").set_value(60.0)
    next(button for button in page.button if button.label == "Add to the what-if").click().run()
    assert not page.exception
    assert json.loads(page.query_params["whatif"])[0]["percent"] == 60.0
    assert "Demand grows by 60 % a year more than forecast, everywhere" in words(page)
    page.button("what-if-drop-0").click().run()
    assert page.query_params["whatif"] == "none"
    assert "Without the what-if" not in table(page)


@pytest.mark.parametrize(
    "text", ['[{"kind":"growth"}]', '[{"kind":"close_site","site_id":"gru-01","start":"2026-08-01"}]']
)
def test_a_what_if_that_cannot_be_applied_is_left_out_and_says_so(open_page: Opener, lake: Path, text: str) -> None:
    page = open_page("capacity", lake, whatif=text)
    assert not page.exception
    assert "The what-if cannot be applied" in words(page)
    assert table(page).loc["fra-01", "Run-out"] == "already over"


def test_failures_name_who_is_pushed_over(open_page: Opener, lake: Path) -> None:
    tables = [held.value for held in open_page("capacity", lake, sheet="failures").dataframe]
    now = next(rows for rows in tables if "Failed site" in rows).set_index("Failed site")
    assert now.loc["Sao Paulo 1", "Shed"] == pytest.approx(312.0, rel=0.02)
    assert now.loc["Sao Paulo 1", "Any shed"] == "over 99 %"


def test_a_lake_without_futures_says_which_command_makes_them(open_page: Opener) -> None:
    for held, sheet in product(("full", "partial", "stale"), ("runout", "failures")):
        page = open_page("capacity", held, sheet=sheet)
        assert not page.exception
        assert any("python -m forecasting refresh" in block.value for block in page.code)


def test_a_lake_of_too_little_history_names_every_site_with_its_reason(open_page: Opener, tmp_path: Path) -> None:
    made = make_lake(tmp_path / "lake", f"{START:%Y-%m-%d}")
    runs = made.read("runs").to_pandas().assign(engine="panel")
    made.replace("runs", pa.Table.from_pandas(runs, schema=made.read("runs").schema, preserve_index=False))
    rows = [
        {
            "run_id": "r88",
            "level": "site",
            "key": key,
            "metric": "egress_gbps",
            "status": "fitted",
            "observations": 336,
            "seconds": 0.1,
        }
        for key in LINES
    ]
    made.append("series_status", pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False))
    page = open_page("capacity", tmp_path / "lake")
    assert "No plan for egress: too little history to plan from" in words(page).replace("\\", "")
    told = page.dataframe[0].value.set_index("Site")["Reason"]
    assert told["Sao Paulo 1"].startswith("too little history: 14 days;")
    assert len(told) == len(LINES)
    assert not any("python -m forecasting refresh" in block.value for block in page.code)


@pytest.mark.parametrize("sheet", state.CHOICES["sheet"])
def test_every_sheet_opens_on_every_lake(open_page: Opener, lake: Path, sheet: str) -> None:
    for held in (lake, "full", "partial", "empty"):
        assert not open_page("capacity", held, sheet=sheet).exception


def test_every_sheet_opens_on_a_telephone_with_its_orders_as_cards(
    open_page: Opener, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header, "is_narrow", lambda: True)
    for sheet in state.CHOICES["sheet"]:
        page = open_page("capacity", lake, sheet=sheet)
        assert not page.exception
        if sheet == "runout":
            assert not page.dataframe
            assert "Add **" in words(page)
            assert "order by **now, was" in words(page)
        if sheet in ("failures", "cost"):
            assert "site=" in words(page) or "fails=site" in words(page)
        if sheet == "failures":
            assert not page.dataframe
            assert re.search(r"Part: fails  \nBefore: [\d.]+ Gbps", words(page))
        if sheet == "declared":
            assert "**Version 0**" in words(page)
    assert not open_page("capacity", "judged", sheet="scorecard").exception


def test_every_sheet_of_a_link_can_be_chosen() -> None:
    assert tuple(SHEETS) == tuple(choices.SHEETS) == state.CHOICES["sheet"]


def test_ingest_without_futures_says_so(open_page: Opener, lake: Path) -> None:
    assert "No plan for ingest yet" in words(open_page("capacity", lake, direction="ingest"))


def test_without_capacity_the_page_says_how_to_declare_it_and_draws_the_demand(
    open_page: Opener, bare_lake: Path
) -> None:
    page = open_page("capacity", bare_lake, focus="site:fra-01")
    assert not page.exception
    assert any("python -m data ingest PATH --table capacity" in block.value for block in page.code)
    names = {trace.get("name") for trace in figures(page)[0]["data"]}
    assert "median" in names
    assert "capacity" not in names


def test_without_capacity_nothing_is_said_to_be_shed(open_page: Opener, bare_lake: Path) -> None:
    page = open_page("capacity", bare_lake, sheet="failures")
    assert not page.exception
    assert "No capacity is declared for these sites" in words(page)
    assert not page.metric
    assert not page.dataframe


def test_a_calendar_holds_an_entry_for_each_order(lake: Path) -> None:
    rows = planning.run_out_table(Lake(lake).pin(), Scope(), PlanQuery("egress", "peak", 0.8, True))
    assert rows is not None
    sites = rows[rows["level"] == "site"]
    text = planning.calendar(sites, START)
    assert text.count("BEGIN:VEVENT") == sites["order_by"].notna().sum() == 2


def test_a_narrow_scope_plans_its_own_sites_alone(lake: Path) -> None:
    rows = planning.run_out_table(
        Lake(lake).pin(), Scope(frozenset({"ams-01"})), PlanQuery("egress", "peak", 0.8, True)
    )
    assert rows is not None
    assert set(rows["key"]) == {"ams-01", "eu-west", "all"}


def test_a_p95_runs_out_no_sooner_than_a_peak(lake: Path) -> None:
    pin = Lake(lake).pin()
    peak, p95 = (
        planning.run_out_table(pin, Scope(), PlanQuery("egress", statistic, 0.8, True)) for statistic in ("peak", "p95")
    )
    assert peak is not None
    assert p95 is not None
    late, early = (rows[rows["key"] == "ams-01"]["run_out_p50"].iloc[0] for rows in (p95, peak))
    assert early < late


def test_the_overview_tells_the_plans_dates_in_its_numbers_and_its_table(open_page: Opener, lake: Path) -> None:
    plan = table(open_page("capacity", lake))
    page = open_page("overview", lake)
    assert not page.exception
    told = page.dataframe[-1].value.set_index("site_id")["Run-out"]
    assert told["ams-01"] == plan.loc["ams-01", "Run-out"]
    assert told["fra-01"] == "already over the limit"
    assert told["gru-01"] == "not in 18 months"
    assert any("next\\: Amsterdam" in line.value for line in page.markdown), "the verdict names what runs out next"
