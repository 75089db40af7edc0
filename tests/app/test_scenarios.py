"""Scenarios in the page: kept, opened, saved over by two people, renamed, duplicated, deleted and put back, exported
and imported, compared.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from app.cached import Scope
from app.cached import scenarios as cached
from app.cached.failures import FAILOVER_SETTING
from app.cached.planning import PlanQuery
from app.views.capacity.run_out_charts import comparison_rows, over_within_a_year, scenario_bars
from data.lake.tables import Lake
from data.schema.errors import ConflictError
from data.store import Scenario, Scenarios, open_store
from forecasting.planning.augments import CapacityAddition
from forecasting.planning.capacity import Policy
from forecasting.planning.whatif import CapacityAdded, Growth, Limit, to_body, to_dicts, to_text
from tests.app.conftest import Opener
from tests.planned_lake import LINES, START

HOSTILE = '"><script>alert(1)</script> **x**'
GROWTH = to_body([Growth(60.0)], Policy())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scenarios]:
    """A store of its own for each test."""
    url = f"sqlite:///{tmp_path}/scenarios.db"
    monkeypatch.setenv("HEADROOM_STORE", url)
    opened = open_store(url)
    yield Scenarios(opened)
    opened.close()


def kept(store: Scenarios, lake: Path, name: str = "Fast growth", body: Any = GROWTH) -> Scenario:
    return store.create(name, body, lake=str(lake), author="Grace")


def sheet(open_page: Opener, lake: Path, **asked: str) -> AppTest:
    page = open_page("capacity", lake, sheet="scenarios", **asked)
    assert not page.exception
    return page


def press(page: AppTest, key: str) -> AppTest:
    """Click what has this key, or this label."""
    next(button for button in page.button if key in (button.key, button.label)).click().run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return "\n".join(
        element.value
        for kind in (page.markdown, page.caption, page.warning, page.error, page.code, page.toast)
        for element in kind
    )


def kept_rows(page: AppTest) -> pd.DataFrame:
    return table(page, "Revision")


def sides(page: AppTest) -> pd.DataFrame:
    return table(page, "Its run-out")


def table(page: AppTest, column: str) -> pd.DataFrame:
    found: pd.DataFrame = next(one.value for one in page.dataframe if column in one.value)
    return found


def test_what_the_page_asks_is_kept_under_a_name_and_opened_again(
    open_page: Opener, lake: Path, store: Scenarios
) -> None:
    page = sheet(
        open_page, lake, whatif=to_text([Growth(60.0, "eu-west")]), limit="0.9", planned="left-out", statistic="p95"
    )
    page.text_input("author.name").set_value(" Ada ").run()
    page.text_input("scenario-name").set_value(HOSTILE)
    press(page, "Save as a new one")
    (made,) = store.listed(str(lake))
    assert (made.name, made.author, made.revision, made.run_id) == (HOSTILE, "Ada", 1, "r88")
    assert made.body == to_body([Growth(60.0, "eu-west")], Policy("p95", 0.9, planned=False))
    assert page.query_params["scenario"] == f"{made.id}.1"
    assert "as kept" in said(page)
    row = kept_rows(page).iloc[0]
    assert row[["Name", "Changes", "Policy", "Author", "Revision"]].tolist() == [
        HOSTILE,
        "Demand grows by 60 % a year more than forecast, Europe West",
        "90 %, weekly P95, without planned",
        "Ada",
        1,
    ]

    other = press(sheet(open_page, lake), "scenario-open")
    asked = {name: other.query_params[name] for name in ("limit", "planned", "statistic", "scenario")}
    assert asked == {"limit": "0.9", "planned": "left-out", "statistic": "p95", "scenario": f"{made.id}.1"}
    assert json.loads(other.query_params["whatif"])[0]["scope"] == "eu-west"


def test_a_scenario_without_a_name_is_not_kept_and_the_next_try_is(
    open_page: Opener, lake: Path, store: Scenarios
) -> None:
    page = press(sheet(open_page, lake), "Save as a new one")
    assert "Nothing was changed. The name is empty" in said(page)
    page.text_input("scenario-name").set_value("Now")
    assert "Nothing was changed" not in said(press(page, "Save as a new one"))
    assert [one.name for one in store.listed()] == ["Now"]


@pytest.mark.parametrize(
    ("choice", "revision", "names"),
    [("scenario-mine", 3, {"Fast growth"}), ("scenario-both", 2, {"Fast growth", "Fast growth (mine)"})],
)
def test_who_saves_second_is_told_and_loses_nothing(
    open_page: Opener, lake: Path, store: Scenarios, choice: str, revision: int, names: set[str]
) -> None:
    made = kept(store, lake)
    page = press(sheet(open_page, lake), "scenario-open")
    page.selectbox("state.limit").select(0.9).run()
    assert "changed here, and not saved yet" in said(page)
    store.save(made.id, 1, to_body([Growth(5.0)], Policy()), author="Linus")
    press(page, "scenario-over")
    told = said(page)
    assert "Linus changed Fast growth before you" in told
    assert "**Theirs:** Demand grows by 5 % a year" in told
    assert "**Yours:** Demand grows by 60 % a year" in told
    assert store.get(made.id).revision == 2
    assert page.query_params["limit"] == "0.9"
    press(page, choice)
    assert store.get(made.id).revision == revision
    mine = next(one for one in store.listed() if f"{one.id}.{one.revision}" == page.query_params["scenario"])
    assert mine.body == to_body([Growth(60.0)], Policy(limit=0.9))
    assert {one.name for one in store.listed()} == names
    assert "before you" not in said(page)


def test_what_a_colleague_deleted_is_restored_to_save_over_it(open_page: Opener, lake: Path, store: Scenarios) -> None:
    made = kept(store, lake)
    page = press(sheet(open_page, lake), "scenario-open")
    store.delete(made.id, author="Linus")
    press(page, "scenario-over")
    assert "Linus deleted Fast growth before you" in said(page)
    press(page, "scenario-mine")
    assert (store.get(made.id).deleted, store.get(made.id).revision) == (None, 4)


def test_one_is_renamed_and_a_colleague_who_was_first_is_named(open_page: Opener, lake: Path, store: Scenarios) -> None:
    made = kept(store, lake)
    page = sheet(open_page, lake, scenario=f"{made.id}.1")
    page.text_input(f"scenario-new-name-{made.id}-1").set_value("Faster")
    press(page, "Rename it")
    assert (store.get(made.id).name, page.query_params["scenario"]) == ("Faster", f"{made.id}.2")
    store.rename(made.id, 2, "Fastest", author="Linus")
    page.text_input(f"scenario-new-name-{made.id}-2").set_value("Slower")
    press(page, "Rename it")
    assert store.get(made.id).name == "Fastest"
    assert "Linus changed Fastest before you" in said(page)
    press(page, "scenario-aside")
    assert "before you" not in said(page)


def test_one_is_duplicated_deleted_and_put_back(open_page: Opener, lake: Path, store: Scenarios) -> None:
    made = kept(store, lake)
    page = press(sheet(open_page, lake), "scenario-copy")
    assert {one.name for one in store.listed()} == {"Fast growth", "Fast growth (copy)"}
    press(page, "scenario-delete")
    assert [one.id for one in store.listed()] == [made.id]
    press(page, "scenario-undo")
    assert len(store.listed()) == 2
    page.selectbox("scenario-chosen").select(made.id).run()
    press(page, "scenario-delete")
    press(sheet(open_page, lake), "scenario-restore")
    assert {one.name for one in store.listed()} == {"Fast growth", "Fast growth (copy)"}


def test_an_exported_file_is_taken_in_and_a_corrupt_one_says_why(
    open_page: Opener, lake: Path, store: Scenarios
) -> None:
    made = kept(store, lake, HOSTILE)
    pin = Lake(lake).pin()
    page = sheet(open_page, lake)
    file = cached.exported(pin, [made.id])
    worse = file.replace(b'"percent": 60.0', b'"percent": "much"')
    for content, fault in (
        (b"\x00garbage", "cannot be read as JSON"),
        (b"{}", "holds no scenarios"),
        (worse, "is not a change"),
    ):
        page.file_uploader("scenario-file-0").set_value(("bad.json", content, "application/json")).run()
        press(page, "scenario-import")
        assert fault in said(page).replace("\\", "")
        assert len(store.listed()) == 1
    page.file_uploader("scenario-file-0").set_value(("good.json", file, "application/json")).run()
    press(page, "scenario-import")
    assert [one.name for one in store.listed()] == [HOSTILE] * 2
    assert "Nothing was changed" not in said(page)


def test_scenarios_stand_beside_what_is_forecast(open_page: Opener, lake: Path, store: Scenarios) -> None:
    fast, loose, lost = (
        kept(store, lake, body=to_body([Growth(400.0)], Policy())),
        kept(store, lake, HOSTILE, to_body([Limit(1.0)], Policy())),
        kept(store, lake, "Mars", to_body([Growth(1.0, "x")], Policy())),
    )
    page = sheet(open_page, lake, compare=",".join(one.id for one in (fast, loose, lost)))
    rows = sides(page).set_index("Scenario")
    assert list(rows.index) == ["As forecast", "Fast growth", HOSTILE]
    assert rows["First site"].tolist() == ["Frankfurt 1", "Frankfurt 1", "Amsterdam 1"]
    assert rows["Its run-out"].iloc[:2].tolist() == ["already over"] * 2
    assert rows.loc[HOSTILE, "First site later"] > 30
    assert (
        rows.loc["Fast growth", "Over in 12 months"]
        > rows.loc["As forecast", "Over in 12 months"]
        >= rows.loc[HOSTILE, "Over in 12 months"]
    )
    assert rows["N-1 safe"].tolist() == ["not now"] * 3
    assert "Mars is left out: x is neither a region, a city nor a site" in said(page).replace("\\", "")
    assert "Costs are not known" in said(page)
    page.multiselect("scenario-compare").set_value([loose.id]).run()
    assert page.query_params["compare"] == loose.id
    assert list(sides(page)["Scenario"]) == ["As forecast", HOSTILE]


def test_what_the_page_asks_stands_beside_what_is_forecast_before_it_is_kept(
    open_page: Opener, lake: Path, store: Scenarios
) -> None:
    added = to_text([CapacityAdded((CapacityAddition("ams-01", "2026-06-01", 900.0),), "egress")])
    rows = sides(sheet(open_page, lake, whatif=added)).set_index("Scenario")
    assert list(rows.index) == ["As forecast", "This what-if"]
    assert rows.loc["This what-if", "Over in 12 months"] < rows.loc["As forecast", "Over in 12 months"]
    same = kept(
        store,
        lake,
        "The same",
        {
            "changes": to_dicts([CapacityAdded((CapacityAddition("ams-01", "2026-06-01", 900.0),), "egress")]),
            "policy": {},
        },
    )
    assert list(sides(sheet(open_page, lake, whatif=added, compare=same.id))["Scenario"]) == ["As forecast", "The same"]


def test_a_scenario_too_long_for_an_address_says_so_and_can_be_compared(
    open_page: Opener, lake: Path, store: Scenarios
) -> None:
    long = kept(
        store,
        lake,
        "Long",
        to_body([Growth(float(percent)) for percent in np.random.default_rng(1).uniform(0.0, 1e-3, 200)], Policy()),
    )
    page = press(sheet(open_page, lake, compare=long.id), "scenario-open")
    assert "compare it below" in said(page)
    assert page.query_params["whatif"] == "none"
    assert list(sides(page)["Scenario"]) == ["As forecast", "Long"]


@pytest.mark.parametrize(
    ("url", "found"), [("mysql://u:secret@h/d", "of the kind"), ("sqlite:////proc/none/x.db", "cannot be made")]
)
def test_a_store_that_cannot_be_used_says_so_and_the_rest_works(
    open_page: Opener, lake: Path, monkeypatch: pytest.MonkeyPatch, url: str, found: str
) -> None:
    monkeypatch.setenv("HEADROOM_STORE", url)
    page = sheet(open_page, lake, whatif=to_text([Growth(60.0)]))
    assert "Scenarios cannot be kept here" in said(page)
    assert found in said(page)
    assert "secret" not in said(page)
    assert "Demand grows by 60 % a year more than forecast, everywhere" in said(page)
    assert any("HEADROOM_STORE" in block.value for block in page.code)


def test_a_lake_without_futures_keeps_scenarios_and_says_which_command_compares_them(
    open_page: Opener, store: Scenarios, lakes: dict[str, Path]
) -> None:
    made = kept(store, lakes["partial"])
    page = open_page("capacity", "partial", sheet="scenarios", compare=made.id)
    assert list(kept_rows(page)["Name"]) == ["Fast growth"]
    assert any("python -m forecasting refresh" in block.value for block in page.code)


def test_the_failover_table_that_is_declared_holds_for_every_scenario(
    open_page: Opener, lake: Path, store: Scenarios, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is near Sao Paulo; in the table everybody helps everybody."""
    fast = kept(store, lake)
    page = sheet(open_page, lake, compare=fast.id)
    assert sides(page)["N-1 safe"].tolist() == ["not now", "not now"]
    assert "by headroom over distance" in said(page)
    (tmp_path / "ours.csv").write_text(
        "site_id,helper_site_id,weight\n" + "".join(f"{site},{helper},1\n" for site, helper in permutations(LINES, 2))
    )
    monkeypatch.setenv(FAILOVER_SETTING, str(tmp_path / "ours.csv"))
    page = sheet(open_page, lake, compare=fast.id)
    assert "not now" not in sides(page)["N-1 safe"].tolist()
    assert "the helpers that ours.csv declares" in said(page).replace("\\", "")


# What stands behind the page
# ---------------------------------------------------------------------------------------------


def test_a_question_comes_back_as_it_was_kept(lake: Path) -> None:
    asked = PlanQuery("egress", "p95", 0.75, False, to_text([Growth(5.0)]))
    assert cached.query_of(cached.body_of(asked), "egress", 0.5) == asked


def test_limits_that_the_page_does_not_offer_come_as_changes() -> None:
    body = to_body([Growth(5.0)], Policy(limit=0.3, limits={"fra-01": 0.6}))
    asked = cached.query_of(body, "egress", 0.5)
    assert (asked.limit, asked.changes) == (0.5, to_text([Limit(0.3), Limit(0.6, "fra-01"), Growth(5.0)]))


def test_costs_are_known_where_capacity_declares_them(lake: Path, tmp_path: Path) -> None:
    shutil.copytree(lake, tmp_path / "lake")
    priced = Lake(tmp_path / "lake")
    rows = priced.read("capacity").to_pandas()
    priced.replace(
        "capacity",
        pa.Table.from_pandas(rows.assign(cost_usd_month=100.0 * rows["capacity_gbps"]), preserve_index=False),
    )
    asked = {
        name: PlanQuery("egress", "peak", 0.8, True, to_text([Growth(percent)]))
        for name, percent in (("base", 0.0), ("fast", 90.0))
    }
    found = cached.side_by_side(priced.pin(), Scope(), asked)
    assert found is not None
    usd = found.rows[found.rows["level"] == "global"].set_index("scenario")
    assert usd.loc["fast", "cost_usd"] > usd.loc["base", "cost_usd"] > 0
    assert usd.loc["fast", "more_usd"] == pytest.approx(usd.loc["fast", "cost_usd"] - usd.loc["base", "cost_usd"])


def test_two_servers_on_one_store_lose_nothing(lake: Path, store: Scenarios) -> None:
    made, pin = kept(store, lake), Lake(lake).pin()
    cached.save(pin, Scope(), made.id, 1, GROWTH, "Ada")
    with pytest.raises(ConflictError, match=r"Ada changed it"):
        cached.save(pin, Scope(), made.id, 1, GROWTH, "Linus")
    assert [one.author for one in store.history(made.id)] == ["Ada", "Grace"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_stand_by_measure_in_the_order_of_the_scenarios(lake: Path, scheme: Any) -> None:
    asked = {
        name: PlanQuery("egress", "peak", 0.8, True, to_text([Growth(percent)]))
        for name, percent in (("base", 0.0), ("fast", 400.0))
    }
    found = cached.side_by_side(Lake(lake).pin(), Scope(), asked)
    assert found is not None
    rows = comparison_rows(found.rows)
    assert rows["measure"].tolist() == ["first", "first", "global", "global", "n-1", "n-1"]
    assert rows["scenario"].tolist() == ["base", "fast"] * 3
    counts = over_within_a_year(found.rows, START)
    assert counts["fast"] > counts["base"]
    figure = scenario_bars(
        rows.assign(name="<b>%{x}</b>", said="soon"), now=START, direction="egress", zone="UTC", scheme=scheme
    )
    assert figure.layout.yaxis.tickvals == (1, 2, 4, 5, 7, 8)
    assert set(figure.layout.yaxis.ticktext) == {"&lt;b&gt;%&#123;x}&lt;/b&gt;"}
