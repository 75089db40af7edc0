"""The augments of the Capacity page: what is found leads with what stays over, and can be taken away and taken in."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.cached import Scope, augmenting, planning
from app.cached.augmenting import AugmentRequest
from app.cached.planning import PlanQuery
from app.ui import export
from app.views.capacity import augments
from data.__main__ import main as data_command
from data.lake.tables import Lake
from tests.app.conftest import Opener
from tests.planned_lake import planned_lake

QUESTION = PlanQuery("egress", "peak", 0.8, True)
STEPS = ((10.0, 900.0, 0.0, None), (100.0, 7000.0, 500.0, 10.0))
WISH = AugmentRequest(6, 0.9, False, STEPS)


def words(page: AppTest) -> str:
    return "\n".join(
        element.value for kind in (page.markdown, page.caption, page.code, page.warning) for element in kind
    )


def table(page: AppTest) -> pd.DataFrame | None:
    held = [frame.value for frame in page.dataframe if "Reason" in frame.value]
    return held[0] if held else None


def test_a_plan_says_what_it_costs_what_is_bought_and_why(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="augments", months="6", steps="10:900:0:,100:7000:500:10")
    assert not page.exception
    rows = table(page)
    assert rows is not None
    assert rows["Rank"].tolist() == list(range(1, len(rows) + 1))
    assert rows["Per thousand USD"].is_monotonic_decreasing
    assert "Frankfurt 1" in set(rows["Site"])
    assert rows.loc[rows["Site"] == "Frankfurt 1", "Reason"].iloc[0].startswith("keeps Frankfurt 1 at or below 80 %")
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown["Cheapest"] == "proved"
    assert "an assumption" in words(page)
    assert "**assumed**: this lake declares too few costs of egress" in words(page)
    assert re.search(
        r"\*\*\d sites? cannot keep the limit in 90 % of futures until what is ordered today is there\*\*", words(page)
    )
    assert not page.get("plotly_chart")
    page.query_params["open"] = "curve"
    page.run()
    assert shown["Purchases"] == str(len(rows))
    figures = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    assert "90 %, chosen" in " ".join(note["text"] for note in figures[0]["layout"]["annotations"])


def test_what_no_purchase_keeps_is_told_with_the_bound_that_is_to_blame(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="augments", months="3", steps="10:900:0:")
    (unmet,) = (frame.value for frame in page.dataframe if "Why" in frame.value)
    assert unmet.set_index("Site").loc["Frankfurt 1", "From"] == "May 2026"
    assert unmet["Why"].str.contains("lead time").any()


def test_a_site_without_a_neighbour_cannot_be_spared(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="augments", months="3", survives="n-1", region="sa", steps="100:7000:0:0")
    assert not page.exception
    (unmet,) = (frame.value for frame in page.dataframe if "Why" in frame.value)
    assert unmet["Why"].str.contains("no other site is within reach").any()
    assert "in a failure they help only each other" in words(page)


@pytest.mark.parametrize("asked", [{"direction": "ingest"}, {"months": "18", "steps": "0:0:0:0"}])
def test_a_plan_that_cannot_be_made_says_why(open_page: Opener, lake: Path, asked: dict[str, str]) -> None:
    page = open_page("capacity", lake, sheet="augments", **asked)
    assert not page.exception
    if "months" in asked:
        assert "There is no step to buy" in words(page)
    else:
        assert "No plan for ingest yet" in words(page)


def test_the_capacity_table_is_taken_in_and_the_sites_no_longer_run_out(tmp_path: Path) -> None:
    lake = planned_lake(tmp_path / "lake")
    found = augmenting.augment_plan(lake.pin(), Scope(), QUESTION, WISH)
    assert found is not None
    declared = augmenting.capacity_rows(lake.pin(), Scope(), QUESTION, found)
    path = tmp_path / "planned-augments.csv"
    path.write_bytes(export.csv(declared))
    assert data_command(["ingest", str(path), "--table", "capacity", "--lake", str(tmp_path / "lake")]) == 0
    rows = planning.run_out_table(Lake(tmp_path / "lake").pin(), Scope(), QUESTION)
    before = planning.run_out_table(lake.pin(), Scope(), QUESTION._replace(planned=False))
    assert rows is not None
    assert before is not None
    held = augmenting.augment_plan(Lake(tmp_path / "lake").pin(), Scope(), QUESTION, WISH)
    assert held is not None
    assert held.purchases == ()
    assert {str(one) for one in held.broken} == {str(one) for one in found.broken}
    assert set(pd.read_csv(io.BytesIO(export.csv(declared)))["status"]) == {"planned"}


def test_a_narrow_scope_buys_for_its_own_sites_alone(lake: Path) -> None:
    found = augmenting.augment_plan(Lake(lake).pin(), Scope(frozenset({"ams-01"})), QUESTION, WISH)
    assert found is not None
    assert found.problem.keys == ("ams-01",)


def test_steps_survive_the_link() -> None:
    assert augments.steps_of(augments.text_of(STEPS)) == STEPS
    rows = pd.DataFrame([*STEPS, (0.0, 5.0, 0.0, None), (10.0, None, None, None)], columns=augments.COLUMNS)
    assert augments.rows_of(rows) == STEPS


def added(page: AppTest) -> list[dict[str, object]]:
    return [
        one
        for one in planning.changes(page.session_state["state.current"].whatif or "")
        if one["kind"] == "add_capacity"
    ]


def test_a_plan_is_counted_in_seen_beside_the_present_and_taken_out(open_page: Opener, lake: Path) -> None:
    page = open_page(
        "capacity", lake, sheet="augments", months="18", certainty="0.95", steps="10:900:0:0,100:7000:500:0"
    )
    bought = table(page)
    assert bought is not None
    page.button("plan-count-in").click().run()
    assert not page.exception
    assert page.query_params["sheet"] == "runout"
    (one,) = added(page)
    assert sum(row[2] for row in one["adds"]) == pytest.approx(bought["Adds"].sum())  # type: ignore[attr-defined]
    assert "of egress capacity more" in words(page)
    rows = page.dataframe[0].value.set_index("key")
    assert rows.loc["ams-01", "Run-out"] == "not within 18 months"
    assert " to " in rows.loc["ams-01", "Without the what-if"]
    assert "With the what-if 2 sites change" in words(page)
    again = open_page(
        "capacity",
        lake,
        sheet="augments",
        months="18",
        certainty="0.95",
        whatif=page.query_params["whatif"],
        steps="10:900:0:0,100:7000:500:0",
    )
    assert table(again) is None
    assert "The what-if counts capacity in already" in words(again)
    again.button("plan-take-out").click().run()
    assert again.query_params["whatif"] == "none"


def test_a_budget_that_does_not_reach_is_named_and_marked_on_the_curve(open_page: Opener, lake: Path) -> None:
    asked = {"sheet": "augments", "months": "6", "steps": "10:900:0:,100:7000:500:10"}
    whole = augmenting.augment_plan(Lake(lake).pin(), Scope(), QUESTION, WISH)
    assert whole is not None
    page = open_page("capacity", lake, **asked)
    page.number_input("state.budget").set_value(int(whole.cost_usd / 2)).run()
    assert page.query_params["budget"] == str(int(whole.cost_usd / 2))
    assert not page.exception
    told = words(page).replace("\\", "")
    assert "does not reach: the plan without it costs" in told
    (unmet,) = (frame.value for frame in page.dataframe if "Why" in frame.value)
    assert unmet["Why"].str.contains("the budget does not reach so far").any()
    page.query_params["open"] = "curve"
    page.run()
    (figure,) = (json.loads(chart.proto.spec) for chart in page.get("plotly_chart"))
    notes = " ".join(note["text"] for note in figure["layout"]["annotations"])
    assert "what the budget buys" in notes
    assert "budget USD" in notes
    assert figure["layout"]["shapes"][0]["x0"] == int(whole.cost_usd / 2)
    page.number_input("state.budget").set_value(None).run()
    assert page.query_params["budget"] == "none"


def test_a_plan_on_top_of_one_that_is_counted_in_declares_both(lake: Path) -> None:
    pin = Lake(lake).pin()
    first = augmenting.augment_plan(pin, Scope(), QUESTION, WISH)
    assert first is not None
    counted = QUESTION._replace(changes=augmenting.with_purchases(QUESTION, first))
    more = augmenting.augment_plan(pin, Scope(), counted, WISH._replace(q=0.95, months=18))
    assert more is not None
    assert more.purchases
    rows = augmenting.capacity_rows(pin, Scope(), counted, more).set_index(["site_id", "effective_from"])[
        "capacity_gbps"
    ]
    alone = augmenting.capacity_rows(pin, Scope(), QUESTION, first).set_index(["site_id", "effective_from"])[
        "capacity_gbps"
    ]
    assert (rows.reindex(alone.index) >= alone).all()
    assert rows.groupby("site_id").last().sum() > alone.groupby("site_id").last().sum()
    assert augmenting.taken_out(counted) == ""
    assert augmenting.taken_out(QUESTION) is None
