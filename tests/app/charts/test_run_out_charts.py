"""Run-out as bars, words and a fan: each answer is drawn and said as what it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.charts.panels import linked_figure
from app.theme import PALETTES
from app.views.capacity.run_out_charts import (
    FanChart,
    answer_words,
    fan_panels,
    fan_table,
    lead_words,
    order_words,
    over_words,
    plan_table,
    probability_words,
    runout_bars,
    service_words,
    today_words,
)

NOW = pd.Timestamp("2026-11-21T15:45", tz="UTC")
HORIZON = pd.Timestamp("2028-05-15", tz="UTC")


def stamp(text: str | None) -> pd.Timestamp:
    return pd.NaT if text is None else pd.Timestamp(text, tz="UTC")


def row(
    key: str,
    answer: str,
    p10: str | None,
    p50: str | None,
    p90: str | None,
    order: str = "due",
    order_by: str | None = "2026-12-01",
) -> dict[str, Any]:
    dates = {
        "run_out_p10": stamp(p10),
        "run_out_p50": stamp(p50),
        "run_out_p90": stamp(p90),
        "order_by": stamp(order_by),
        "horizon": HORIZON,
    }
    plain = {
        "key": key,
        "level": "site",
        "name": key.upper(),
        "region": "R",
        "partner": "P",
        "answer": answer,
        "state": {"overdue": "act", "due": "watch", "none": "ok"}.get(order, "unknown"),
        "order": order,
        "lead_days": 40.0,
        "padded_days": 85.0,
        "grade": {"overdue": "over", "due": "due", "none": "none"}.get(order, "unknown"),
        **dict.fromkeys(("peak_gbps", "capacity_gbps", "limit_gbps", "short_gbps", "add_gbps"), 100.0),
        "weeks_over": 12.1,
        "in_service_today": stamp("2027-02-14"),
        "in_service_by": stamp("2026-11-16" if order == "overdue" else None),
    }
    return {
        **plain,
        **dates,
        "reason": "too little history" if answer == "refused" else "",
        "within_90": 0.5,
        "odds": [0.0, 0.5],
    }


ROWS = pd.DataFrame(
    [
        row("beyond", "beyond", None, None, None, "none", None),
        row("soon", "within", "2026-12-03", "2026-12-10", "2026-12-19"),
        row("refused", "refused", None, None, None, "unknown", None),
        row("open", "possible", "2027-03-01", None, None),
        row("over", "over", "2026-11-16", "2026-11-16", "2026-11-16", "overdue", "2026-08-23"),
        row("started", "within", "2026-11-16", "2026-11-29", "2027-01-04"),
    ]
).astype(dict.fromkeys(("run_out_p10", "run_out_p50", "run_out_p90", "order_by", "horizon"), "datetime64[us, UTC]"))
RANKED = ROWS.set_index("key").loc[["over", "started", "soon", "open", "beyond", "refused"]].reset_index()
WORDS = {
    "over": "already over",
    "soon": "3 to 19 Dec",
    "started": "now to 4 Jan 2027",
    "open": "1 Mar 2027 or later",
    "beyond": "not within 18 months",
    "refused": "not known: too little history",
}


def test_each_answer_has_words_of_its_own() -> None:
    assert {one["key"]: answer_words(one, NOW) for one in ROWS.to_dict("records")} == WORDS


def test_an_order_says_its_date_and_what_it_achieves() -> None:
    rows = {one["key"]: one for one in ROWS.to_dict("records")}
    assert {key: order_words(row, NOW) for key, row in rows.items()} == {
        "over": "now, was 23 Aug",
        "soon": "1 Dec",
        "started": "1 Dec",
        "open": "1 Dec",
        "beyond": "no order",
        "refused": "not known",
    }
    assert today_words(rows["over"], NOW) == "in service 14 Feb 2027, about 12 weeks over"
    assert today_words(rows["over"] | {"add_gbps": 0.0}, NOW) == "planned capacity is enough, about 12 weeks over"
    assert (service_words(rows["over"], NOW), lead_words(rows["over"])) == ("now", "40 d, planned as 85 d")
    assert [over_words(weeks) for weeks in (0.0, 0.4, 1.2, float("nan"))] == [
        "in time",
        "under a week over",
        "about 1 week over",
        "in time",
    ]


@pytest.mark.parametrize(
    ("share", "told"), [(0.0, "under 1 %"), (0.42, "42 %"), (1.0, "over 99 %"), (float("nan"), "-")]
)
def test_simulated_futures_never_say_none_or_all(share: float, told: str) -> None:
    assert probability_words(share) == told


def test_the_table_holds_the_base_beside_a_what_if() -> None:
    later = ROWS.assign(run_out_p50=ROWS["run_out_p50"] + pd.Timedelta(days=7))
    shown = plan_table(later, NOW, ROWS).set_index("key")
    assert shown.loc["soon", "Later by"] == 7
    assert np.isnan(shown.loc["beyond", "Later by"])
    assert shown["Without the what-if"].to_dict() == WORDS
    assert "Later by" not in plan_table(ROWS, NOW)


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_run_from_the_early_to_the_late_end_and_never_before_now(scheme: Any) -> None:
    figure = runout_bars(
        RANKED, now=NOW, direction="egress", zone="UTC", scheme=scheme, limit="80 % of egress capacity"
    )
    assert list(figure.layout.yaxis.ticktext) == ["OVER", "STARTED", "SOON", "OPEN"]
    bars = traces(figure)["80 % interval"]
    starts = pd.to_datetime(list(bars.base))
    assert (starts >= NOW.tz_localize(None).floor("min")).all()
    soon = list(bars.y).index(2)
    assert bars.x[soon] == pytest.approx(pd.Timedelta(days=16) / pd.Timedelta(1, "ms"))
    assert len(set(bars.marker.color)) == 2  # an open end is fainter
    assert list(traces(figure)["already over"].y) == [0]
    assert list(traces(figure)["order overdue since"].marker.symbol) == [
        "triangle-left"
    ]  # of August, before the chart begins
    assert figure.layout.template.layout.paper_bgcolor == PALETTES[scheme].ground


def test_bars_stand_before_what_was_without_the_what_if() -> None:
    figure = runout_bars(RANKED, now=NOW, direction="egress", zone="UTC", scheme="light", limit="80 %", before=ROWS)
    behind = traces(figure)["without the what-if"]
    assert list(behind.y) == [1, 2, 3]
    assert behind.customdata[1] == "3 to 19 Dec"


def test_nothing_in_sight_says_so() -> None:
    figure = runout_bars(
        ROWS[ROWS["answer"] == "beyond"], now=NOW, direction="egress", zone="UTC", scheme="light", limit="80 %"
    )
    assert any("nothing runs out in sight" in note.text for note in figure.layout.annotations)


def test_a_hostile_name_is_drawn_as_it_is_written() -> None:
    figure = runout_bars(
        ROWS.assign(name="<b>%{x}</b>"), now=NOW, direction="egress", zone="UTC", scheme="light", limit="80 %"
    )
    assert all("<b>" not in text for text in figure.layout.yaxis.ticktext)


def fan_chart(*, room: float | None = 80.0, probability: float | None = None) -> FanChart:
    weeks = pd.date_range("2026-11-23", periods=20, freq="7D", tz="UTC", unit="us")
    middle = np.linspace(60.0, 90.0, 20)
    columns = {
        name: middle * share for name, share in (("q05", 0.8), ("q10", 0.9), ("q50", 1.0), ("q90", 1.1), ("q95", 1.2))
    }
    odds = np.linspace(0.0, 1.0, 20) if probability is None else np.full(20, probability)
    frame = pd.DataFrame({"ts": weeks, **columns, "room_gbps": np.nan if room is None else room, "probability": odds})
    measured = pd.DataFrame(
        {"ts": pd.date_range("2026-10-05", periods=7, freq="7D", tz="UTC", unit="us"), "value": 55.0}
    )
    steps = pd.DataFrame(
        {
            "effective_from": pd.DatetimeIndex(["2020-01-01", "2027-02-01"], tz="UTC"),
            "capacity_gbps": [100.0, 120.0],
            "status": ["installed", "planned"],
        }
    )
    steps = steps if room is not None else steps.head(0)
    return FanChart(
        "Egress of X",
        "egress_gbps",
        "peak",
        0.8,
        measured["ts"].iloc[0],
        weeks[-1],
        NOW,
        frame,
        measured,
        steps,
        "UTC",
        "light",
    )


def drawn(chart: FanChart) -> Any:
    return linked_figure(fan_panels(chart), start=chart.start, end=chart.end, zone="UTC", scheme="light")


def test_the_fan_stands_against_capacity_and_limit_with_planned_steps_dashed_and_dated() -> None:
    figure = drawn(fan_chart())
    found = traces(figure)
    assert {"measured", "median", "limit", "capacity", "planned capacity", "passed the limit"} <= set(found)
    assert found["planned capacity"].line.dash != "solid"
    texts = [note.text for note in figure.layout.annotations]
    assert any("planned 120 Gbps, 1 Feb 2027" in text for text in texts)
    assert any("limit 80 %, 80.0 Gbps" in text for text in texts)
    assert figure.layout.yaxis.range[0] == 0
    assert figure.layout.yaxis.range[1] >= 120


def test_probability_is_drawn_in_percent_on_the_same_axis_of_time() -> None:
    figure = drawn(fan_chart())
    odds = traces(figure)["passed the limit"]
    assert odds.xaxis == "x"
    assert odds.y[-1] == pytest.approx(100)


def test_without_capacity_the_fan_stands_alone() -> None:
    assert len(fan_panels(fan_chart(room=None, probability=float("nan")))) == 1


def test_capacity_far_above_demand_does_not_press_the_fan_flat() -> None:
    chart = fan_chart()
    steps = chart.steps.assign(capacity_gbps=[5000.0, 6000.0])
    high = FanChart(*(getattr(chart, name) if name != "steps" else steps for name in FanChart.__dataclass_fields__))
    panel = fan_panels(high)[0]
    assert panel.top < 200
    assert any("capacity 5.00 Tbps" in note["text"] for note in panel.notes)


def test_the_numbers_behind_are_the_measured_weeks_and_the_futures() -> None:
    table = fan_table(fan_chart())
    assert len(table) == 27
    assert table["measured"].notna().sum() == 7
    assert table["q50"].notna().sum() == 20
