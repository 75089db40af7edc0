"""The scorecard sheet: a plan is saved from the page, an old one is told against what came, and a young one says when
its first answers come.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from data.lake.tables import Lake
from data.store import PlanNote, Plans, open_store, store_url
from tests import lakes
from tests.app.conftest import Opener
from tests.futures import publish_futures

PLAN = lakes.Plan(sites=3, days=16)
NOW = pd.Timestamp(PLAN.end)
# The Monday of the first whole week that the lake holds; two are over.
START = pd.Timestamp("2026-03-02", tz="UTC")
REGIONS = {site[0]: site[2] for site in lakes.SITES[:3]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("scored") / "lake"
    publish_futures(
        lakes.full_lake(where, PLAN),
        lakes.RUN,
        NOW,
        dict.fromkeys(REGIONS, (60.0, 62.0)) | {"par-01": (60.0, 400.0)},
        REGIONS,
    )
    return where


@pytest.fixture
def lake(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The lake with a store of the test's own."""
    monkeypatch.setenv("HEADROOM_STORE", f"sqlite:///{tmp_path}/plans.db")
    return made


def day(days: int) -> pd.Timestamp:
    return START + pd.Timedelta(days=days)


def keep(
    lake: Path, name: str = "Winter orders", start: pd.Timestamp = START, policy: dict[str, object] | None = None
) -> PlanNote:
    """A plan made at the start: Frankfurt is over from the first week, Paris (105 Gbps at its peaks, 126 allowed)
    should have passed, London never.
    """
    dates = {"fra-01": (7, 14, 21), "par-01": (1, 3, 8), "lon-01": (None, None, None)}
    rows = pd.DataFrame(
        [
            {
                "level": "site",
                "key": key,
                "direction": "egress",
                "answer": "beyond" if early is None else "within",
                "reason": None,
                "run_out_p10": pd.NaT if early is None else day(early),
                "run_out_p50": pd.NaT if middle is None else day(middle),
                "run_out_p90": pd.NaT if late is None else day(late),
                "order_by": day(1) if key == "par-01" else pd.NaT,
                "add_gbps": None,
                "cost_usd_month": 3043.75 if key == "par-01" else None,
            }
            for key, (early, middle, late) in dates.items()
        ]
    )
    weeks = pd.date_range(start, periods=4, freq="7D", unit="us")
    peaks = pd.DataFrame(
        [
            {"level": "site", "key": key, "direction": "egress", "week": week, "q10": 50.0, "q50": 100.0, "q90": 120.0}
            for key in dates
            for week in weeks
        ]
    )
    with closing(open_store(store_url(Lake(lake).url))) as store:
        return Plans(store).save(
            name,
            rows,
            peaks,
            policy or {"statistic": "peak", "limit": 0.8, "planned": True},
            lake=str(lake),
            author="Ada",
            made_at=(start + pd.Timedelta(days=1)).to_pydatetime(),
        )


def words(page: AppTest) -> str:
    return "\n".join(
        element.value for kind in (page.markdown, page.caption, page.warning, page.success) for element in kind
    ).replace("\\", "")


def table(page: AppTest, column: str) -> pd.DataFrame:
    return next(held.value for held in page.dataframe if column in held.value).set_index(column)


def test_without_a_plan_the_sheet_says_what_it_needs_and_when_the_first_answers_come(
    open_page: Opener, lake: Path
) -> None:
    page = open_page("capacity", lake, sheet="scorecard")
    assert not page.exception
    assert "on 23 Mar 2026 for a plan that is made today" in words(page)
    assert not any("Replay" in text.value for text in page.markdown)


def test_on_the_first_day_a_past_forecast_is_replayed(open_page: Opener) -> None:
    page = open_page("capacity", "judged", sheet="scorecard")
    assert not page.exception
    assert "Replay: what the forecast of" in words(page)
    rows = table(page, "Verdict")
    assert (rows["Came"] > 0).all()
    assert f"of {len(rows)} sites passed" in words(page) or f"No site of {len(rows)} passed" in words(page)


def test_a_plan_is_told_against_what_came(open_page: Opener, lake: Path) -> None:
    keep(lake)
    page = open_page("capacity", lake, sheet="scorecard")
    assert not page.exception
    rows = table(page, "Place")
    assert rows.loc["Frankfurt", ["Verdict", "Later by"]].tolist() == ["\u25a0 ran out before it", -14.0]
    assert rows.loc["Frankfurt", "Came"] == "passed on 2 Mar"
    assert rows.loc["Paris", ["Came", "Verdict"]].tolist() == ["not until 16 Mar", "\u25b2 not yet, its dates are over"]
    # Ordered on 3 Mar for the same day, and not needed by 16 Mar: 13 days of 3,043.75 USD a month.
    assert rows.loc["Paris", ["Idle so far", "Idle cost"]].tolist() == [13.0, pytest.approx(1300.0)]
    assert rows.loc["London", "Verdict"] == "\u25cb not yet known"
    shown = {metric.label: (metric.value, metric.delta) for metric in page.metric}
    assert shown["Run-out within its interval"] == ("0 of 2", "1 not yet known")
    assert shown["Weekly values under P90"] == ("100 % of 6", "90 % nominal, 2 weeks are over")


def test_the_browser_says_who_planned_what_and_when(open_page: Opener, lake: Path) -> None:
    older, hostile = (
        keep(lake),
        keep(
            lake,
            '"><script>alert(1)</script>',
            START + pd.Timedelta(days=7),
            {"statistic": "p95", "limit": 0.9, "planned": False},
        ),
    )
    page = open_page("capacity", lake, sheet="scorecard")
    rows = table(page, "Plan")
    assert list(rows.index) == [hostile.name, older.name]
    assert rows.loc[older.name, ["By", "Planned from", "Policy", "Weeks over"]].tolist() == [
        "Ada",
        "3 Mar 2026",
        "peak of week, 80 %, planned augments counted",
        "2",
    ]
    assert rows.loc[hostile.name, ["Policy", "Weeks over"]].tolist() == ["weekly P95, 90 %, installed only", "1"]
    page.selectbox("scorecard.plan").select(older.id).run()
    assert page.query_params["plan"] == older.id
    assert "**Winter orders** against what came: egress" in words(page)
    page.button("plan-delete").click().run()
    assert list(table(page, "Plan").index) == [hostile.name]
    assert page.query_params["plan"] == "newest"


def test_weeks_that_are_not_over_are_no_misses(open_page: Opener, lake: Path) -> None:
    keep(lake, start=NOW.floor("D") - pd.Timedelta(days=NOW.weekday()))
    page = open_page("capacity", lake, sheet="scorecard")
    assert not page.exception
    assert "Nothing of Winter orders is known yet" in words(page)
    assert "Its first week is over on 23 Mar 2026" in words(page)
    assert table(page, "Plan")["Intervals that held"].tolist() == ["none known yet"]


def test_a_plan_is_saved_from_the_page_and_its_author_remembered(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="scorecard", limit="0.9")
    page.text_input("save.name").input("Spring")
    page.text_input("save.author").input("Grace")
    next(button for button in page.button if button.label == "Save").click().run()
    assert not page.exception
    assert "Kept as **Spring**, with " in words(page)
    with closing(open_store(store_url(Lake(lake).url))) as store:
        note = Plans(store).listed(str(lake))[0]
        kept = Plans(store).get(note.id)
    assert (note.name, note.author, note.policy["limit"], note.run_id) == ("Spring", "Grace", 0.9, lakes.RUN)
    assert set(kept.rows.loc[kept.rows["direction"] == "egress", "key"]) >= set(REGIONS)
    assert note.policy["augments"] == {"months": 12, "q": 0.9, "n_minus_1": False}
    mine = kept.purchases[kept.purchases["direction"] == "egress"]
    added = kept.rows[kept.rows["direction"] == "egress"].set_index("key")["add_gbps"].dropna()
    assert (mine["gbps"] * mine["units"]).groupby(mine["site_id"]).sum().to_dict() == added.to_dict()
    assert len(mine) > 0
    told = table(page, "Plan")
    assert told.loc["Spring", "To buy"].startswith(f"{len(kept.purchases)} purchase")
    assert table(page, "Reason").index.tolist()[0].startswith("keeps ")
    page.segmented_control("state.sheet").select("runout").run()
    page.segmented_control("state.sheet").select("scorecard").run()
    assert page.text_input("save.author").value == "Grace"
    page.text_input("save.name").input(" ")
    next(button for button in page.button if button.label == "Save").click().run()
    assert "The name is empty" in words(page)


def test_a_plan_may_be_saved_without_purchases_and_a_wish_that_cannot_be_says_so(open_page: Opener, lake: Path) -> None:
    page = open_page("capacity", lake, sheet="scorecard", steps="0:1:0:")
    page.text_input("save.name").input("Dates alone")
    next(button for button in page.button if button.label == "Save").click().run()
    assert "is not usable" in words(page)
    page.checkbox("save.bought").uncheck()
    next(button for button in page.button if button.label == "Save").click().run()
    assert not page.exception
    assert "Kept as **Dates alone**." in words(page)
    assert table(page, "Plan").loc["Dates alone", "To buy"] == "not asked"
    assert not any("Reason" in held.value for held in page.dataframe)


def test_a_link_to_a_plan_that_is_not_kept_shows_the_newest(open_page: Opener, lake: Path) -> None:
    keep(lake)
    page = open_page("capacity", lake, sheet="scorecard", plan="0" * 16)
    assert not page.exception
    assert "names a plan that is not kept here" in words(page)
    assert page.selectbox("scorecard.plan").options == ["Winter orders, made 3 Mar 2026"]
