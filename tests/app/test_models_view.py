"""The Models page: may I trust this forecast? On a judged lake, on one whose run judged nothing, on one without a run,
and on an empty one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app import cached
from app.cached import Series, refits
from app.cached.refits import RefitOptions
from app.state import CHOICES, NONE, State
from app.theme import change
from app.ui import export
from app.ui.header import Frame
from app.views.models import run_history
from app.views.models.page import choice
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.schema import model_words
from tests.app.conftest import Opener
from tests.judged_runs import FAR_DAYS


def figures(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def titles(page: AppTest) -> str:
    return " | ".join(note["text"] for figure in figures(page) for note in figure["layout"].get("annotations", []))


def traces(page: AppTest) -> set[str]:
    return {trace.get("name") for figure in figures(page) for trace in figure["data"]}


def words(page: AppTest) -> str:
    return "\n".join(
        [*(m.value for m in page.markdown), *(c.value for c in page.caption), *(c.value for c in page.code)]
    )


def table(page: AppTest, at: int) -> pd.DataFrame:
    frame: pd.DataFrame = page.dataframe[at].value
    return frame


@pytest.mark.parametrize("part", CHOICES["part"])
@pytest.mark.parametrize("lake", ["judged", "full"])
def test_every_part_opens_with_a_judged_run_and_without(open_page: Opener, lake: str, part: str) -> None:
    page = open_page("models", lake, part=part, site="fra-01")
    assert not page.exception
    assert page.segmented_control("state.part").value == part
    assert "cannot be shown" not in words(page)


def test_the_accuracy_of_the_series_and_of_the_network_come_first(open_page: Opener) -> None:
    page = open_page("models", "judged", site="nrt-01")
    said = words(page).replace("\\", "")
    assert re.search(
        r"## Egress of Tokyo 1, next 7 days: typically off by [\d.]+ %; \d\d of 100 hours inside the 95 % band; ", said
    )
    network = said.partition("\nEgress of the network, next 7 days: typically off by")[2]
    assert "Further ahead it is not tested" in network


def test_every_series_is_behind_a_fold_that_a_link_opens_with_the_least_covered_on_top(open_page: Opener) -> None:
    assert not open_page("models", "judged").dataframe
    page = open_page("models", "judged", open="series")
    assert any(
        "series hold at every horizon; least covered: " in fold.label.replace("\\", "") for fold in page.expander
    )
    rows = table(page, 0)
    assert rows["inside_95"].is_monotonic_increasing
    assert len(rows) == 22
    assert "the network" in set(rows["name"])
    assert "Licensed: 0\\-24 h" in words(page)
    assert page.query_params["open"] == "series"


@pytest.mark.parametrize(
    ("series", "changes"),
    [
        (("site", "nrt-02", "ingest_gbps"), {"metric": "ingest_gbps", "site": "nrt-02", "region": "asia"}),
        (("region", "asia", "viewers"), {"metric": "viewers", "site": None, "region": "asia"}),
        (("global", "all", "egress_gbps"), {"metric": "egress_gbps", "site": None, "region": None}),
    ],
)
def test_a_row_of_the_table_stands_for_its_series(
    series: tuple[str, str, str], changes: dict[str, str | None], lakes: dict[str, Path]
) -> None:
    pin = Lake(lakes["judged"]).pin()
    extent = cached.extent(pin, EVERYTHING)
    assert extent is not None
    assert (
        choice(Frame(pin, extent, cached.catalogue(pin, EVERYTHING), State(), "UTC", "light", EVERYTHING), *series)
        == changes
    )


def test_a_run_that_judged_nothing_says_which_command_judges(open_page: Opener) -> None:
    page = open_page("models", "full")
    assert "The newest run was not tested" in words(page)
    assert any("python -m forecasting refresh --engine panel --lake" in block.value for block in page.code)
    assert not page.metric


def test_a_lake_without_a_run_says_so(open_page: Opener) -> None:
    assert "No forecast has been published yet" in words(open_page("models", "partial"))
    assert "No run yet" in words(open_page("models", "partial", part="runs"))


def test_an_empty_lake_says_which_command_helps(open_page: Opener) -> None:
    page = open_page("models", "empty")
    assert not page.exception
    assert any("python -m data ingest PATH" in block.value for block in page.code)


def test_what_is_drawn_stands_against_the_best_the_baseline_and_prophet(open_page: Opener) -> None:
    page = open_page("models", "judged", site="nrt-01")
    assert "Drawn" in words(page)
    assert re.search("did better in its backtests|The best of the past .* is not drawn", words(page))
    error, inside = figures(page)
    assert (
        {"Drawn", "Prophet"} <= set(error["layout"]["yaxis"]["ticktext"]) == set(inside["layout"]["yaxis"]["ticktext"])
    )
    assert {"<b>Next 24 hours</b>", "<b>2 to 7 days ahead</b>"} <= {
        note["text"] for note in error["layout"]["annotations"]
    }
    assert "are their sums, so that all levels agree" in words(open_page("models", "judged"))


def test_the_licence_names_each_horizon_and_the_leaderboards_every_model(
    open_page: Opener, lakes: dict[str, Path]
) -> None:
    page = open_page("models", "judged", site="nrt-01", open="licence,models")
    for horizon in ("0\\-24 h", "1\\-7 d", "8\\-28 d", "29\\-90 d"):
        assert f"**{horizon}:" in words(page)
    models = set(Lake(lakes["judged"]).read("scores").to_pandas().query("level == 'site'")["model"]) - {
        "peaks",
        "peaks-p95",
    }
    names = set(map(model_words, models))
    boards = figures(page)[2:]
    assert all(set(figure["layout"]["yaxis"]["ticktext"]) == names for figure in boards)
    assert len(boards) == 2


def test_another_score_ranks_anew_and_stands_in_the_address(open_page: Opener) -> None:
    page = open_page("models", "judged", site="nrt-01", open="models")
    page.selectbox("state.score").select("coverage_95").run()
    assert page.query_params["score"] == "coverage_95"
    assert "95 % coverage, 8 backtests" in titles(page)


def test_a_backtest_is_held_against_what_came_and_its_curves_can_be_switched_off(open_page: Opener) -> None:
    page = open_page("models", "judged", part="backtests", site="nrt-01")
    assert {"actual", "expected", "Prophet", "baseline", "95 % band, upper bound"} <= traces(page)
    assert "origin: nothing after it was known" in titles(page)
    for title in (
        "Coverage over time",
        "Intervals",
        "Peaks of the week",
        "P95 of the week",
        "Residuals by hour of week",
        "Residuals, distribution",
    ):
        assert title in titles(page)
    page.pills("state.beside").set_value([]).run()
    assert not {"Prophet", "baseline"} & traces(page)
    assert page.query_params["beside"] == ""


def test_another_origin_changes_the_backtest_and_the_address(open_page: Opener) -> None:
    page = open_page("models", "judged", part="backtests", site="nrt-01")
    origins = page.selectbox("models.origin").options
    assert len(origins) == 8 + 1
    before = titles(page)
    page.selectbox("models.origin").select_index(3).run()
    assert titles(page) != before
    again = open_page("models", "judged", part="backtests", site="nrt-01", origin=page.query_params["origin"])
    assert again.selectbox("models.origin").value == page.selectbox("models.origin").value


def test_one_backtest_sees_further_than_a_week_and_says_by_what_it_is_judged(open_page: Opener) -> None:
    page = open_page("models", "judged", part="backtests", site="nrt-01")
    assert page.selectbox("models.origin").options[-1].endswith(f"{FAR_DAYS} days")
    assert "the origins around it" not in words(page)
    page.selectbox("models.origin").select_index(8).run()
    assert f"of {24 * FAR_DAYS} hours lay inside the 95 % interval" in words(page)
    assert f"few that see {FAR_DAYS} days lie before it" in words(page)
    assert traces(page) >= {"expected", "80 % interval"}


def test_a_refit_is_drawn_beside_what_is_published_and_marked(open_page: Opener) -> None:
    page = open_page("models", "judged", part="components", site="nrt-01")
    assert {"expected", "refit, unpublished", "trend"} <= traces(page)
    assert "**Unpublished**" in words(page)
    for title in ("Trend", "Day", "Week", "Events"):
        assert title in titles(page)
    before = words(page)
    page.selectbox("state.history").select("28").run()
    assert page.query_params["history"] == "28"
    assert "on 672 hours" in words(page)
    assert words(page) != before


def test_a_refit_is_held_against_the_same_model_at_its_usual_settings(
    open_page: Opener, lakes: dict[str, Path]
) -> None:
    usual = open_page("models", "judged", part="components", site="nrt-01")
    assert "These are its usual settings." in words(usual)
    assert "refit with the usual settings, unpublished" not in traces(usual)
    page = open_page("models", "judged", part="components", site="nrt-01", history="28")
    pin, now = Lake(lakes["judged"]).pin(), pd.Timestamp("2026-03-20", tz="UTC")
    one, other = (
        refits.refit(pin, EVERYTHING, Series("site", "nrt-01", "egress_gbps"), wish)
        for wish in (RefitOptions(), RefitOptions(days=28))
    )
    assert one is not None
    assert other is not None
    expected, other_way = (
        made.curve.set_index("ts")["yhat"].loc[now : now + pd.Timedelta(hours=28 * 24 - 1)].sum()
        for made in (one, other)
    )
    gain = change(other_way, expected, "the same model at its usual settings")
    assert gain in words(page)
    assert "refit with the usual settings, unpublished" in traces(page)
    assert "on what is published, where other models may be drawn" in words(page)


def test_every_chart_of_a_refit_says_that_it_is_unpublished(open_page: Opener) -> None:
    page = open_page("models", "judged", part="components", site="nrt-01")
    for title in ("Trend", "Day", "Week", "Events"):
        assert f"<b>{title}, unpublished refit</b>" in titles(page)


def test_what_one_takes_away_holds_all_that_is_drawn(open_page: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, pd.DataFrame] = {}
    monkeypatch.setattr(
        export, "chart", lambda _, *, key, data, **__: taken.update({key: data() if callable(data) else data})
    )
    open_page("models", "judged", part="backtests", site="nrt-01")
    open_page("models", "judged", part="components", site="nrt-01", history="28")
    tested, refitted, trend = taken["backtest"], taken["refit"], taken["trend"]
    origin = tested.loc[tested["yhat"].notna(), "ts"].min()
    assert tested["ts"].min() == origin - pd.Timedelta(days=3)
    assert tested.loc[tested["ts"] < origin, "value"].notna().all()
    for column in ("", "_published", "_refit_unpublished", "_usual_refit_unpublished"):
        assert refitted[f"egress_gbps{column}"].notna().any(), column
    assert trend["egress_gbps_daily_mean"].notna().sum() == 28
    assert set(trend["window_days"]) == {"28"}


def test_an_event_can_be_left_out_of_a_refit(open_page: Opener) -> None:
    page = open_page("models", "judged", part="components", site="nrt-01")
    page.selectbox("state.without").select("all").run()
    assert "Events" not in titles(page)
    assert page.query_params["without"] == "all"


def test_an_event_of_an_old_link_that_is_gone_leaves_nothing_out(open_page: Opener) -> None:
    page = open_page("models", "judged", part="components", site="nrt-01", without="gone-7")
    assert not page.exception
    assert "Events" in titles(page)


def test_the_usual_settings_are_those_of_the_page() -> None:
    known = State()
    assert (
        RefitOptions(int(known.history), float(known.prior), "" if known.without == NONE else known.without)
        == RefitOptions()
    )


def test_a_series_that_nobody_measured_is_refused_in_words(open_page: Opener) -> None:
    page = open_page("models", "judged", part="components", site="nrt-01", metric="viewers")
    assert "cannot be fitted: no usable value" in words(page)
    assert "was not tested by the newest run" in words(open_page("models", "judged", site="nrt-01", metric="viewers"))
    assert "holds no backtests" in words(
        open_page("models", "judged", part="backtests", site="nrt-01", metric="viewers")
    )


def test_runs_are_listed_and_held_against_each_other(open_page: Opener) -> None:
    page = open_page("models", "judged", part="runs", site="nrt-01")
    runs, side_by_side = table(page, 0), table(page, 1)
    assert runs["Run"].tolist() == [2, 1]
    assert runs["Versions"].iloc[0] == "numpy 2.4.1, headroom 0.2"
    assert {"Run 2", "Run 1", "Here", "All series"} <= set(side_by_side.columns)
    assert "Backtest error from run to run" in titles(page)
    for title in ("Error in the week after each run", "Coverage in the week after each run"):
        assert title in titles(page)
    assert {"WAPE since", "95 % interval"} <= traces(page)
    assert "the same 7 days after it" in words(page)
    page.selectbox("models.run").select(1).run()
    assert page.query_params["run"] == "1"
    assert list(table(page, 1).columns)[2:4] == [
        "Run 1",
        "Run 2",
    ]  # nothing came before the first, so that the newest stands against it


def test_a_single_run_has_nothing_to_be_held_against(open_page: Opener) -> None:
    assert "There is one run" in words(open_page("models", "full", part="runs"))


def test_only_the_chosen_part_is_computed(open_page: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("this part was not chosen")

    monkeypatch.setattr(refits, "refit", never)
    monkeypatch.setattr(cached, "residuals", never)
    assert not open_page("models", "judged").exception


def test_hostile_names_are_shown_as_they_are(open_page: Opener) -> None:
    for part in CHOICES["part"]:
        page = open_page("models", "judged", site="iad-01", part=part)
        assert not page.exception
        assert "<script>" not in titles(page)


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        (0.9, 1.0, "better by 10 %"),
        (1.1, 1.0, "worse by 10 %"),
        (1.0, 1.001, "the same"),
        (float("nan"), 1.0, "no data"),
    ],
)
def test_a_difference_is_said_with_a_shape_and_a_word(new: float, old: float, said: str) -> None:
    assert run_history.compared("mase", pd.Series([new]), pd.Series([old]))[0].endswith(said)


def test_coverage_is_better_the_nearer_it_is_to_what_is_meant() -> None:
    assert "worse" in run_history.compared("coverage_95", pd.Series([0.99]), pd.Series([0.94]))[0]
    assert "better" in run_history.compared("bias", pd.Series([-0.01]), pd.Series([0.02]))[0]


@pytest.mark.parametrize(
    ("versions", "said"), [('{"numpy": "2.4"}', "numpy 2.4"), ("{}", ""), ("not json", "not json"), ("[1]", "[1]")]
)
def test_versions_are_read_as_json_or_left_as_they_are(versions: str, said: str) -> None:
    assert run_history.made_with(versions) == said
