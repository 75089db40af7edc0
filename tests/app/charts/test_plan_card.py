"""Scorecards in words and as a chart, and the plan's dates where the map looks for the forecast's."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd
import pytest

from app.charts import map_marks
from app.charts.map_marks import Look, Scale
from app.views.capacity.scorecard_charts import (
    calibration_chart,
    came_words,
    counted,
    expected_words,
    held_words,
    outcome_rows,
)

NOW = pd.Timestamp("2026-11-21", tz="UTC")


def outcome(**changes: Any) -> dict[str, Any]:
    dates = dict.fromkeys(("run_out_p10", "run_out_p50", "run_out_p90", "ran_out", "known_until"), pd.NaT)
    numbers = dict.fromkeys(("late_days", "early_days", "idle_days", "idle_usd"), float("nan"))
    return (
        {"level": "site", "key": "fra", "direction": "egress", "answer": "within", "reason": None, "verdict": "open"}
        | dates
        | numbers
        | changes
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"answer": "refused", "reason": "no capacity is declared"}, "not said: no capacity is declared"),
        ({"answer": "over", "run_out_p10": NOW}, "already over"),
        ({"answer": "beyond"}, "not within the plan's weeks"),
        (
            {"run_out_p10": pd.Timestamp("2026-12-03", tz="UTC"), "run_out_p90": pd.Timestamp("2026-12-19", tz="UTC")},
            "3 to 19 Dec",
        ),
        ({"run_out_p10": pd.Timestamp("2026-12-03", tz="UTC")}, "3 Dec or later"),
    ],
)
def test_what_was_expected_reads_as_an_interval(changes: dict[str, Any], expected: str) -> None:
    assert expected_words(outcome(**changes), NOW) == expected


def test_what_came_names_its_day() -> None:
    assert came_words(outcome(), NOW) == "not measured yet"
    assert came_words(outcome(known_until=pd.Timestamp("2026-11-16", tz="UTC")), NOW) == "not until 16 Nov"
    assert came_words(outcome(ran_out=pd.Timestamp("2025-11-16", tz="UTC")), NOW) == "passed on 16 Nov 2025"


def test_misses_come_first_and_the_open_are_in_no_share() -> None:
    rows = pd.DataFrame(
        [
            outcome(key="open"),
            outcome(key="held", verdict="inside", late_days=0.0),
            outcome(key="late", verdict="later", late_days=9.0),
            outcome(key="soon", verdict="earlier", late_days=-3.0),
            outcome(key="sooner", verdict="earlier", late_days=-30.0),
        ]
    )
    hits = pd.DataFrame(
        {"level": "site", "key": "held", "value": [90.0, 99.0, 150.0], "q50": 90.0, "below_q90": [True, True, False]}
    )
    told = outcome_rows(rows, hits, {}, NOW).set_index("Place")
    assert list(told.index) == ["sooner", "soon", "late", "held", "open"]
    assert told.loc["held", ["Weeks under P90", "Weeks against P50"]].tolist() == ["2 of 3", pytest.approx(10.0)]
    assert told.loc["open", "Weeks under P90"] == "none known"
    assert held_words(counted(rows)) == "1 of 4"
    assert held_words(counted(rows.head(1))) == "none known yet"


def test_the_chart_has_a_line_and_a_nominal_for_each_quantile_with_counts() -> None:
    rows = pd.DataFrame(
        [(ahead, q, q, 40 - ahead) for ahead in range(25) for q in (0.1, 0.5, 0.9)],
        columns=["ahead", "quantile", "observed", "count"],
    )
    figure = calibration_chart(rows, "egress", "light", "egress_gbps").to_dict()
    assert [trace["name"] for trace in figure["data"]] == ["P10", "P50", "P90"]
    assert [shape["y0"] for shape in figure["layout"]["shapes"]] == [10.0, 50.0, 90.0]
    ticks = figure["layout"]["xaxis"]["ticktext"]
    assert ticks[0] == "0<br>n=40"
    assert len(ticks) <= 10
    empty = calibration_chart(rows.head(0), "egress", "light", "egress_gbps").to_dict()
    assert any("no week is over yet" in note["text"] for note in empty["layout"]["annotations"])


@pytest.mark.parametrize(("days", "step"), [(10, 3), (80, 3), (120, 2), (200, 1), (540, 1), (None, 0)])
def test_a_run_out_has_a_step_by_its_median(days: int | None, step: int) -> None:
    site: dict[Hashable, Any] = {
        "runout": "within",
        "run_out_p50": pd.NaT if days is None else NOW + pd.Timedelta(days=days),
    }
    look = Look("runout", "light", Scale(1.0, 1.0), NOW, present=True)
    assert map_marks.step_of(site, look) == step
