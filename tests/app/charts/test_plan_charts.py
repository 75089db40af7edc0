"""Charts of the plan: cost against risk, hours of the day, bills and safe limits; each says what it shows, in both
schemes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.theme import PALETTES, Scheme
from app.views.capacity.augment_charts import augment_curve, broken_words, order_words
from app.views.capacity.cost_charts import bills_chart, hour_strip_chart, largest
from app.views.capacity.limit_charts import SafeChart, answer_words, limit_table, safe_chart
from forecasting.planning.augment_programme import Violation
from forecasting.planning.augments import UnmetConstraint

NOW = pd.Timestamp("2026-11-21T15:45", tz="UTC")
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
HOSTILE = "<b>%{x}</b>"


def texts(figure: Any) -> str:
    return " | ".join(note.text for note in figure.layout.annotations)


def points(risks: list[float]) -> pd.DataFrame:
    levels = [np.nan, 0.5, 0.8, 0.9, 0.95][: len(risks)]
    costs = [0.0, 1e6, 2e6, 2.05e6, 4e6][: len(risks)]
    return pd.DataFrame(
        {"q": levels, "cost_usd": costs, "risk": risks, "gap": 0.0, "chosen": [level == 0.9 for level in levels]}
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_chosen_plan_is_marked_and_named_even_where_points_lie_close(scheme: Scheme) -> None:
    figure = augment_curve(points([900.0, 300.0, 100.0, 90.0, 10.0]), months=12, direction="egress", scheme=scheme)
    assert list(figure.data[0].marker.symbol) == ["circle", "circle", "circle", "diamond", "circle"]
    assert "<b>90 %, chosen</b>" in texts(figure)
    assert "80 %" not in texts(figure).replace("12 months", "")
    assert "nothing bought" in texts(figure)
    assert figure.data[0].hovertext[1].startswith("<b>50 %</b><br>USD 1.00 M, 300 Gbps-months")
    assert figure.layout.template.layout.paper_bgcolor == PALETTES[scheme].ground


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_budget_stands_on_the_curve_and_what_it_buys_off_it(scheme: Scheme) -> None:
    whole = points([900.0, 300.0, 100.0, 90.0, 10.0])
    bought = pd.DataFrame([{"q": 0.9, "cost_usd": 1.5e6, "risk": 250.0, "gap": 0.0, "chosen": True}])
    figure = augment_curve(
        pd.concat([whole.assign(chosen=False), bought]), months=12, direction="egress", scheme=scheme, budget_usd=1.5e6
    )
    assert [(len(trace.x), trace.name) for trace in figure.data] == [(5, "plans"), (1, "within the budget")]
    assert "<b>what the budget buys</b>" in texts(figure)
    assert "budget USD 1.50 M" in texts(figure)
    assert figure.layout.shapes[0].x0 == 1.5e6
    ample = augment_curve(whole, months=12, direction="egress", scheme=scheme, budget_usd=9e7)
    assert "budget USD 90.0 M, further right" in texts(ample)
    assert not ample.layout.shapes
    assert "<b>90 %, chosen</b>" in texts(ample)


def test_a_plan_without_risk_or_cost_is_drawn_all_the_same() -> None:
    figure = augment_curve(points([0.0]), months=3, direction="ingest", scheme="light")
    assert figure.layout.yaxis.range[1] > 0


def test_what_cannot_be_kept_is_told_by_site_with_its_months_the_worst_first() -> None:
    months = pd.date_range("2026-12-01", periods=3, freq="MS", tz="UTC")
    broken = [
        UnmetConstraint(Violation("limit", "b", 0, 5.0), months[0], "no step"),
        UnmetConstraint(Violation("limit", "b", 2, 9.0), months[2], "no step"),
        UnmetConstraint(Violation("n-1", "a", 1, 2000.0), months[1], "no other site is within reach"),
    ]
    assert broken_words(broken, {"a": "Alpha"}) == [
        "If Alpha fails, the others cannot take it all, Jan 2027: up to 2.00 Tbps short; no other site is within reach",
        "b stays above its limit, Dec 2026 to Feb 2027: up to 9.00 Gbps short; no step",
    ]


def test_an_order_of_today_is_not_overdue() -> None:
    assert order_words(NOW.floor("D"), NOW) == "\u25b2 by 21 Nov"
    assert order_words(NOW.floor("D") - pd.Timedelta(days=1), NOW) == "\u25a0 now, was 20 Nov"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_hours_are_told_with_traffic_share_and_capacity_and_missing_ones_have_no_colour(scheme: Scheme) -> None:
    share = pd.DataFrame(np.tile(np.linspace(0.3, 1.0, 24), (2, 1)), index=["eu", "sa"])
    share.loc["sa", 3] = np.nan
    figure = hour_strip_chart(
        share, 400.0 * share, {"eu": 800.0}, names={"eu": HOSTILE}, direction="egress", days=28, scheme=scheme
    )
    cells = figure.data[0]
    assert cells.z.shape == (2, 24)
    assert (cells.z[0, 0], cells.z[0, 23]) == (0, 4)
    assert np.isnan(cells.z[1, 3])
    assert cells.text[0][23].endswith(
        "23:00 to 00:00 UTC<br>400 Gbps on average, 100 % of its busiest hour, 50 % of capacity"
    )
    assert "capacity" not in cells.text[1][23]
    assert cells.text[1][3].endswith("no data")
    assert HOSTILE not in figure.layout.yaxis.ticktext[0]
    empty = hour_strip_chart(share.head(0), share.head(0), {}, names={}, direction="egress", days=28, scheme=scheme)
    assert "no region was seen whole" in texts(empty)


def test_bills_draw_the_largest_partners_and_leave_a_month_that_goes_on_open() -> None:
    months = pd.date_range("2026-09-01", periods=3, freq="MS", tz="UTC").astype("datetime64[us, UTC]")
    rows = pd.DataFrame(
        [
            {
                "partner": name,
                "month": month,
                "billed_gbps": size * (1 + number / 10),
                "completeness": 0.5 if number == 2 else 1.0,
            }
            for name, size in (("a", 10.0), ("b", 900.0), ("c", 20.0), (HOSTILE, 800.0), ("e", 30.0))
            for number, month in enumerate(months)
        ]
    )
    figure = bills_chart(rows, scheme="dark")
    assert largest(rows) == ["b", HOSTILE, "e", "c"]
    assert len(figure.data) == 4
    assert all(
        trace.marker.symbol[2].endswith("-open") and not trace.marker.symbol[1].endswith("-open")
        for trace in figure.data
    )
    assert "the 4 largest of 5 partners" in texts(figure)
    assert HOSTILE not in texts(figure)
    assert figure.layout.yaxis.range[1] == pytest.approx(1.15 * 1080 / 1000)  # Tbps


@dataclass(frozen=True)
class Made:
    """An answer as the planner gives it."""

    state: str = "found"
    knee: float = 0.84
    low: float = 0.82
    high: float = 0.86
    limit: float = 0.82
    seen_up_to: float = 0.95
    reason: str = ""
    curve: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(
            {
                "utilisation": [0.5, 0.7, 0.9],
                "quality": [0.002, 0.002, 0.02],
                "low": [0.002, 0.002, 0.01],
                "high": [0.002, 0.003, 0.03],
                "samples": [9, 8, 7],
            }
        )
    )


def drawn(answer: Made, *, relative: bool = False, scheme: Scheme = "light") -> Any:
    return safe_chart(SafeChart(HOSTILE, answer, "rebuffer_ratio", "Rebuffering", 0.8, 60, relative, scheme))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_knee_is_drawn_with_its_interval_beside_the_limit(scheme: Scheme) -> None:
    figure = drawn(Made(), scheme=scheme)
    assert [shape.type for shape in figure.layout.shapes] == ["rect", "line", "line"]
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == pytest.approx((82.0, 86.0))
    assert "<b>knee 84 %</b>, 82 to 86 %" in texts(figure)
    assert "limit 80 %" in texts(figure)
    assert HOSTILE not in texts(figure)
    assert list(figure.data[2].y) == pytest.approx([0.2, 0.2, 2.0])  # percent
    assert figure.layout.yaxis.range[0] == 0


def test_without_a_knee_only_the_limit_is_marked_and_without_a_curve_its_reason_stands_there() -> None:
    assert len(drawn(Made(state="unseen")).layout.shapes) == 1
    assert "times what it is at low load" in texts(drawn(Made(), relative=True))
    assert "only 3 days" in texts(drawn(Made(state="refused", reason="only 3 days", curve=Made().curve.head(0))))


def test_the_lowest_knee_stands_first_and_what_is_refused_last() -> None:
    answers = [
        Made("refused", reason="too few"),
        Made("unseen", seen_up_to=0.6),
        Made("unseen", seen_up_to=0.7),
        Made(knee=0.9),
        Made(knee=0.8),
    ]
    rows = limit_table(pd.DataFrame({"key": list("abcde"), "name": list("ABCDE"), "region": "R", "answer": answers}))
    assert rows["key"].tolist() == ["e", "d", "c", "b", "a"]
    assert rows["May be used"].tolist()[:2] == pytest.approx([82.0, 82.0])
    assert rows["May be used"].isna().sum() == 3
    assert [answer_words(one) for one in answers[:2]] == ["not known: too few", "no knee up to 60 %"]
    assert answer_words(Made()) == "knee at 84 % (82 to 86 %)"
