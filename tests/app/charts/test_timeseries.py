"""The main chart says what it was given: past and future, bands, capacity, gaps and events, read back from the
figure.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app import theme
from app.charts.bands import QUANTILES
from app.charts.marks import OUTSIDE_SLOTS
from app.charts.timeseries import TrafficChart, traffic_chart, traffic_panel
from data.schema import TABLES
from tests.app.charts.traffic import (
    DIP,
    END,
    GAP,
    HOUR,
    NOW,
    START,
    SURGE,
    bands,
    capacity,
    events,
    forecast,
    history,
    moments,
    named,
    words,
)

NAIVE_NOW = NOW.tz_localize(None)


def spec(**parts: Any) -> TrafficChart:
    whole = {
        "title": "Egress, Europe West",
        "metric": "egress_gbps",
        "grain": "hourly mean",
        "start": START,
        "end": END,
        "now": NOW,
        "history": history(),
    }
    return TrafficChart(**(whole | parts))


def full(**parts: Any) -> TrafficChart:
    steps = capacity((START - 999 * HOUR, 350.0, "installed"), (NOW + 5 * 24 * HOUR, 500.0, "planned"))
    return spec(**({"forecast": forecast(), "bands": bands(), "capacity": steps} | parts))


def test_what_was_is_solid_and_ends_now() -> None:
    (actual,) = named(traffic_chart(full()), "actual")
    assert actual.line.dash == "solid"
    assert moments(actual).max() <= NAIVE_NOW
    np.testing.assert_allclose(actual.y, history()["value"], rtol=1e-6)


def test_a_value_stamped_after_now_is_not_drawn_as_measured() -> None:
    late = pd.concat([history(), pd.DataFrame({"ts": [NOW + HOUR], "value": [777.0]})])
    (actual,) = named(traffic_chart(spec(history=late)), "actual")
    assert 777.0 not in actual.y


def test_what_is_expected_is_dashed_in_the_same_hue() -> None:
    figure = traffic_chart(full())
    (actual,), expected = named(figure, "actual"), named(figure, "expected")
    assert {line.line.dash for line in expected} == {theme.DASH}
    assert {line.line.color for line in expected} == {actual.line.color} == {theme.hue("egress_gbps", "light")}


def test_nothing_measured_or_expected_is_solid_after_now() -> None:
    lines = [
        trace
        for trace in traffic_chart(full(last_week=None)).data
        if trace.type == "scatter" and trace.mode == "lines" and trace.line.width
    ]
    ahead = [
        line.name
        for line in lines
        if line.y is not None and moments(line).max() > NAIVE_NOW and line.line.dash == "solid"
    ]
    assert ahead == ["capacity"]  # what is installed stays


def test_bands_have_their_opacity_and_are_filled_from_bound_to_bound() -> None:
    figure = traffic_chart(full())
    for share, alpha in ((95, theme.BAND_95), (80, theme.BAND_80)):
        uppers = named(figure, f"{share} % band, upper bound")
        assert {upper.fillcolor for upper in uppers} == {theme.fade(theme.hue("egress_gbps", "light"), alpha)}
        assert {upper.fill for upper in uppers} == {"tonexty"}  # to the line before it, wherever the axis begins
        for lower, upper in zip(named(figure, f"{share} % band, lower bound"), uppers, strict=True):
            assert figure.data.index(upper) == figure.data.index(lower) + 1
            assert (upper.y >= lower.y).all()
            assert (moments(upper) == moments(lower)).all()


def test_the_forecast_begins_where_the_bands_of_the_past_end() -> None:
    past, ahead = named(traffic_chart(full()), "expected")
    assert moments(past).max() <= NAIVE_NOW <= moments(ahead).min()
    assert moments(ahead).max() == END.tz_localize(None)


def test_without_a_forecast_the_bands_run_on() -> None:
    (line,) = named(traffic_chart(full(forecast=None)), "expected")
    assert moments(line).max() == (NOW + 48 * HOUR).tz_localize(None)


def test_no_line_joins_across_what_is_missing() -> None:
    absent = history().dropna()  # rows that are absent instead of null
    for frame in (history(), absent):
        (actual,) = named(traffic_chart(spec(history=frame)), "actual")
        inside = (moments(actual) >= moments_of(GAP.start)) & (moments(actual) <= moments_of(GAP.stop - 1))
        assert inside.any()
        assert np.isnan(actual.y[inside]).all()
        assert actual.connectgaps is False


def moments_of(row: int) -> pd.Timestamp:
    return history()["ts"].iloc[row].tz_localize(None)


def test_a_value_between_two_gaps_is_a_dot() -> None:
    frame = history()
    frame.loc[[49, 51], "value"] = np.nan
    _, dots = named(traffic_chart(spec(history=frame)), "actual")
    assert dots.mode == "markers"
    assert list(moments(dots)) == [moments_of(50)]


def test_gaps_are_hatched_and_named() -> None:
    gap = pd.DataFrame(
        {
            "start": [NOW - 50 * HOUR, NOW - 999 * HOUR],
            "end": [NOW - 40 * HOUR, NOW - 990 * HOUR],
            "names": ["fra-01, <b>ams</b>", "long ago"],
        }
    )
    (bars,) = named(traffic_chart(spec(gaps=gap)), "no data")
    assert bars.marker.pattern.shape == "/"
    assert list(bars.text) == ["no data: fra-01, &lt;b&gt;ams&lt;/b&gt;"]
    assert list(moments(bars)) == [(NOW - 50 * HOUR).tz_localize(None)]
    assert list(bars.width) == [10 * 3_600_000]


def test_points_outside_their_band_are_diamonds() -> None:
    (marks,) = named(traffic_chart(full()), "outside the 95 % band")
    assert marks.marker.symbol == "diamond"
    assert list(moments(marks)) == [moments_of(SURGE), moments_of(DIP)]


def test_samples_set_aside_are_crosses_at_the_top_that_stretch_no_axis() -> None:
    aside = pd.DataFrame(
        {
            "ts": [NOW - 9 * HOUR, NOW - 5 * HOUR],
            "name": "Paris",
            "value": [5200.0, 9.0],
            "reason": "26 times the capacity",
        }
    )
    plain, figure = traffic_chart(full()), traffic_chart(full(set_aside=aside))
    (crosses,) = named(figure, "set aside")
    assert figure.layout.yaxis.range == plain.layout.yaxis.range
    assert crosses.y[0] == pytest.approx(0.93 * figure.layout.yaxis.range[1])
    assert crosses.y[1] == pytest.approx(9.0)
    assert crosses.text[0] == "set aside at Paris: 5,200 Gbps, 26 times the capacity"
    assert "set aside, 5.20 Tbps" in words(figure)


def test_of_a_long_stretch_outside_the_band_the_furthest_points_are_marked_and_stay_apart() -> None:
    low = full(history=history().assign(value=lambda rows: rows["value"] / 2))
    (marks,) = named(traffic_chart(low), "outside the 95 % band")
    drawn = pd.Series(moments(marks))
    slot = (END - START) / OUTSIDE_SLOTS
    assert 30 < len(drawn) <= OUTSIDE_SLOTS
    assert drawn.dt.tz_localize("UTC").sub(START).floordiv(slot).is_unique
    assert moments_of(DIP) in set(drawn)


def test_installed_capacity_is_a_solid_step_and_planned_capacity_is_dashed_with_its_date() -> None:
    figure = traffic_chart(full())
    (installed,), (planned,) = named(figure, "capacity"), named(figure, "planned capacity")
    assert (installed.line.dash, installed.line.shape, installed.line.color) == (
        "solid",
        "hv",
        theme.PALETTES["light"].hues["capacity"],
    )
    assert moments(installed)[0] == START.tz_localize(None)
    assert moments(installed).max() == moments(planned).min() == (NOW + 5 * 24 * HOUR).tz_localize(None)
    assert (planned.line.dash, set(planned.y)) == (theme.DASH, {500.0})
    assert {"capacity 350 Gbps", "planned 500 Gbps, 25 Nov 2026"} <= set(words(figure))
    assert figure.layout.yaxis.range[1] > 500


@pytest.mark.parametrize("size", [1100.0, 5000.0])
def test_a_capacity_far_above_is_written_at_the_top_edge(size: float) -> None:
    figure = traffic_chart(spec(capacity=capacity((START, size, "installed"))))
    assert figure.layout.yaxis.range[1] < 450
    (note,) = [text for text in words(figure) if "capacity" in text]
    assert note == f"\u25b2 capacity {theme.gbps(size)} (highest drawn: {theme.percent(390 / size)})"


def test_a_capacity_not_far_above_is_on_the_axis() -> None:
    figure = traffic_chart(spec(capacity=capacity((START, 760.0, "installed"))))
    assert figure.layout.yaxis.range[1] > 760


def test_labels_of_capacity_do_not_touch() -> None:
    steps = [(START + n * 24 * HOUR, 300.0 + n, "installed") for n in range(1, 12)]
    notes = [
        note
        for note in traffic_chart(spec(capacity=capacity(*steps))).layout.annotations
        if note.text.startswith("capacity")
    ]
    assert [note.text for note in notes] == ["capacity 311 Gbps", "capacity 305 Gbps"]
    assert (notes[0].xref, notes[0].x, notes[0].xanchor) == ("x domain", 1, "right")  # in sight however far one zooms


def test_utilisation_is_told_against_the_capacity_of_its_time() -> None:
    steps = capacity((START + 100 * HOUR, 400.0, "installed"), (START + 200 * HOUR, 800.0, "installed"))
    (actual,) = named(traffic_chart(spec(capacity=steps)), "actual")
    used, limit = actual.customdata[:, 0], actual.customdata[:, 1]
    assert np.isnan(limit[99])
    assert (limit[100], limit[199], limit[200]) == (400.0, 400.0, 800.0)
    assert used[150] == pytest.approx(100 * history()["value"].iloc[150] / 400, rel=1e-6)
    assert "utilisation" in actual.hovertemplate


def test_a_capacity_that_never_changes_is_told_once() -> None:
    (actual,) = named(traffic_chart(spec(capacity=capacity((START, 400.0, "installed")))), "actual")
    assert actual.customdata.shape[1] == 1
    assert "% of 400 Gbps" in actual.hovertemplate


def test_what_is_only_planned_is_nothing_to_be_used() -> None:
    (actual,) = named(traffic_chart(spec(capacity=capacity((START, 400.0, "planned")))), "actual")
    assert "utilisation" not in actual.hovertemplate


def test_now_is_a_labelled_line_and_the_future_has_a_ground_of_its_own() -> None:
    figure = traffic_chart(full(zone="Asia/Tokyo"))
    line = next(shape for shape in figure.layout.shapes if shape.type == "line")
    ground = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    tokyo = "2026-11-20T18"
    assert (line.x0, line.x1, ground.x0, ground.layer) == (tokyo, tokyo, tokyo, "below")
    assert "now, 18:00" in words(figure)
    assert figure.layout.paper_bgcolor != ground.fillcolor


def test_stamps_are_drawn_in_the_zone() -> None:
    (actual,) = named(traffic_chart(spec(zone="America/Sao_Paulo")), "actual")
    assert moments(actual)[0] == (START - 3 * HOUR).tz_localize(None)


def test_title_and_subtitle_say_what_unit_grain_and_zone() -> None:
    assert words(traffic_chart(spec(title="A <b>name</b>", zone="Asia/Tokyo")))[-2:] == [
        "<b>A &lt;b&gt;name&lt;/b&gt;</b>",
        "Gbps, hourly mean, Asia/Tokyo",
    ]


def test_big_traffic_is_drawn_in_tbps() -> None:
    frame = history().assign(value=lambda rows: 10 * rows["value"])
    figure = traffic_chart(spec(history=frame))
    (actual,) = named(figure, "actual")
    assert np.nanmax(actual.y) == pytest.approx(3.9)
    assert figure.layout.yaxis.ticktext[-1].endswith(" Tbps")
    assert "Tbps, hourly mean, UTC" in words(figure)


def test_the_axis_begins_at_zero_and_an_exploding_band_does_not_squash_the_rest() -> None:
    wild = forecast().assign(q975=lambda rows: 50 * rows["yhat"])
    figure = traffic_chart(spec(forecast=wild))
    assert figure.layout.yaxis.range[0] == 0
    assert 390 < figure.layout.yaxis.range[1] < 700


def test_last_week_is_grey() -> None:
    ghost = history().assign(ts=lambda rows: rows["ts"] + 168 * HOUR)
    (line,) = named(traffic_chart(spec(last_week=ghost)), "last week")
    assert line.line.color == theme.PALETTES["light"].context
    assert moments(line).max() <= END.tz_localize(None)


def test_lines_are_labelled_at_their_right_end() -> None:
    ends = {end.text: end.y for end in traffic_panel(full()).ends}
    last = forecast()[forecast()["ts"] <= END].iloc[-1]
    assert ends == {"expected": pytest.approx(last["yhat"]), "95 % band": pytest.approx(last["q975"])}
    assert [end.text for end in traffic_panel(spec()).ends] == ["actual"]
    # Eleven-pixel letters are some six pixels wide.
    assert traffic_chart(full()).layout.margin.r >= 6 * max(map(len, ends))


def test_the_highest_sample_is_a_faint_line() -> None:
    figure = traffic_chart(spec(history=history().assign(max=lambda rows: rows["value"] * 1.5)))
    (line,) = named(figure, "highest sample")
    assert line.line.color == theme.fade(theme.hue("egress_gbps", "light"), 0.45)
    assert figure.layout.yaxis.range[1] > 1.5 * 390
    assert "Gbps, hourly mean, faint the highest sample, UTC" in words(figure)


def test_nothing_at_all_is_said() -> None:
    figure = traffic_chart(spec(history=history()[:0]))
    assert "nothing was measured in this time" in words(figure)
    assert named(figure, "actual") == []


def test_a_year_of_five_minutes_keeps_the_limit_and_its_extremes() -> None:
    ts = pd.date_range(NOW - pd.Timedelta(365, "D"), NOW, freq="5min").as_unit("us")
    value = 200 + np.random.default_rng(0).normal(0, 5, len(ts))
    value[[12_345, 54_321]] = 900.0, 1.0
    year = spec(start=ts[0], end=NOW, history=pd.DataFrame({"ts": ts, "value": value}))
    figure = traffic_chart(year)
    assert max(len(trace.y) for trace in figure.data) <= 2000
    (actual,) = named(figure, "actual")
    assert (actual.y.max(), actual.y.min()) == (900.0, 1.0)


def test_a_full_chart_is_light() -> None:
    wide = full(
        end=NOW + pd.Timedelta(90, "D"),
        forecast=forecast(),
        events=events(*[(f"Event {n}", "release", n, n + 1) for n in range(-10, 10)]),
    )
    assert len(traffic_chart(wide).to_json()) < 110_000


def test_every_number_of_the_figure_survives_json() -> None:
    sent = json.loads(traffic_chart(full()).to_json())
    actual = next(trace for trace in sent["data"] if trace.get("name") == "actual")
    drawn = np.frombuffer(base64.b64decode(actual["y"]["bdata"]), dtype=actual["y"]["dtype"])
    np.testing.assert_allclose(drawn, history()["value"], rtol=1e-6)


def test_the_columns_of_the_forecast_are_the_contracts() -> None:
    assert set(QUANTILES.values()) <= {column.name for column in TABLES["forecasts"].columns}
