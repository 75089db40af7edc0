"""The Region page on lakes in every state, and what its widgets do."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from data.lake.tables import Lake
from data.schema import QUANTILES
from tests.app.conftest import Opener
from tests.lakes import SITES, Plan, full_lake
from tests.small_lake import make_lake

START = pd.Timestamp("2026-05-04", tz="UTC")
NOW = START + pd.Timedelta(days=4)


@pytest.fixture(scope="module")
def forecast_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose run has forecasts and bands for one site's egress, refused its ingest, and never met its viewers."""
    where = tmp_path_factory.mktemp("forecast") / "lake"
    lake = make_lake(where, f"{START:%Y-%m-%d}")
    series = {"run_id": "r88", "level": "site", "key": "fra-01", "metric": "egress_gbps"}
    ahead = pd.date_range(NOW, periods=24 * 30, freq="h")
    quantiles = {name: 150.0 * (0.5 + share) for name, share in QUANTILES.items()}
    _add(lake, "forecasts", pd.DataFrame({"ts": ahead, "yhat": 150.0, **quantiles, **series}))
    around = pd.date_range(NOW - pd.Timedelta(days=4), NOW + pd.Timedelta(days=2), freq="5min", inclusive="left")
    wave = 100.0 * (1.5 + np.sin(2 * np.pi * (around.hour + around.minute / 60) / 24))
    bounds = {
        "expected": wave,
        "lower_80": wave * 0.95,
        "upper_80": wave * 1.05,
        "lower_95": wave * 0.9,
        "upper_95": wave * 1.1,
    }
    _add(lake, "bands", pd.DataFrame({"ts": around, **bounds, **series}))
    fits = [
        {**series, "status": "fitted", "model": "prophet"},
        {**series, "metric": "ingest_gbps", "status": "refused", "reason": "only 3 of 7 days *measured*"},
    ]
    _add(lake, "series_status", pd.DataFrame(fits).assign(observations=96, seconds=0.4))
    return where


@pytest.fixture(scope="module")
def mixed_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with sites that take nothing in (Madrid), and one without a declared capacity (Dallas)."""
    where = tmp_path_factory.mktemp("mixed") / "lake"
    full_lake(where, Plan(days=3))
    return where


def _add(lake: Lake, name: str, rows: pd.DataFrame) -> None:
    lake.append(name, pa.Table.from_pandas(rows, preserve_index=False))


def figures(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def names(figure: dict[str, Any]) -> list[str]:
    return [trace.get("name") for trace in figure["data"]]


def numbers(sent: dict[str, str]) -> list[float]:
    """The values of a trace, which travel as bytes."""
    return np.frombuffer(base64.b64decode(sent["bdata"]), dtype=sent["dtype"]).tolist()


def titles(figure: dict[str, Any]) -> str:
    return " | ".join(note["text"] for note in figure["layout"]["annotations"])


def words(page: AppTest) -> str:
    return "\n".join(element.value for kind in (page.markdown, page.caption) for element in kind)


def test_full_lake_draws_traffic_and_quality_in_one_figure_and_each_site_beside_it(open_page: Opener) -> None:
    page = open_page("region", region="eu-west")
    assert not page.exception
    main, sites = figures(page)
    for title in (
        "Egress, Europe West",
        "Ingest, Europe West",
        "Viewers, Europe West",
        "Rebuffering",
        "Startup time",
        "Playback failures",
        "Ingest starvation",
    ):
        assert title in titles(main)
    assert titles(sites).index("Amsterdam 1") < titles(sites).index("Frankfurt 1")
    assert "./region?" in titles(sites)
    assert [metric.label for metric in page.metric] == [
        f"{name}, peak 24 h" for name in ("Egress", "Ingest", "Viewers", "Utilisation")
    ]


def test_a_place_has_its_own_map_with_the_flows_that_touch_it(open_page: Opener, mixed_lake: Path) -> None:
    page = open_page("region", mixed_lake, site="fra-01")
    assert not page.exception
    spec = json.loads(page.get("deck_gl_json_chart")[0].proto.json)
    assert spec["initialViewState"]["latitude"] == pytest.approx(50.1, abs=0.5)
    flows = [layer for layer in spec["layers"] if layer["id"] == "flows"]
    assert all("Frankfurt" in arc["n"] for layer in flows for arc in layer["data"])


def test_a_site_has_the_utilisation_that_the_overview_has(open_page: Opener, mixed_lake: Path) -> None:
    (fullest,) = (metric for metric in open_page("overview", mixed_lake).metric if metric.label.startswith("Fullest"))
    (site,) = (site_id for site_id, name, *_ in SITES if name == fullest.delta)
    (used,) = (m.value for m in open_page("region", mixed_lake, site=site).metric if m.label.startswith("Utilisation"))
    assert used == fullest.value


def test_all_panels_share_one_time_axis(open_page: Opener) -> None:
    layout = figures(open_page("region", region="eu-west"))[0]["layout"]
    followers = [axis for name, axis in layout.items() if name.startswith("xaxis") and name != "xaxis"]
    assert followers
    assert all(axis["matches"] == "x" for axis in followers)


def test_partial_lake_says_what_is_missing_and_where_that_is_told(open_page: Opener) -> None:
    page = open_page("region", "partial", site="fra-01")
    assert not page.exception
    assert "Rebuffering" not in titles(figures(page)[0])
    assert "This lake holds no viewers and no rebuffering" in words(page)
    assert not any("python" in block.value for block in page.code), "commands stand on the page Data"
    assert "`python -m forecasting refresh`" in words(page)


def test_stale_lake_of_2004_is_shown_up_to_its_own_end(open_page: Opener) -> None:
    page = open_page("region", "stale", region="sa")
    assert not page.exception
    last = pd.Timestamp(max(figures(page)[0]["layout"]["xaxis"]["range"]))
    assert last == pd.Timestamp("2004-03-12")


def test_empty_lake_says_which_command_helps(open_page: Opener) -> None:
    page = open_page("region", "empty")
    assert not page.exception
    assert any("python -m data ingest PATH" in block.value for block in page.code)


def test_forecast_bands_and_capacity_are_drawn_over_what_was_measured(open_page: Opener, forecast_lake: Path) -> None:
    page = open_page("region", forecast_lake, site="fra-01")
    assert not page.exception
    assert {"actual", "expected", "80 % band, upper bound", "95 % band, upper bound", "capacity"} <= set(
        names(figures(page)[0])
    )
    assert "Ingest has no forecast: only 3 of 7 days \\*measured\\*" in words(page)
    assert "Viewers of this place was not part of the last refresh" in words(page)


def test_site_that_takes_nothing_in_has_no_tile_and_no_panel_for_it_and_the_caption_says_so(
    open_page: Opener, mixed_lake: Path
) -> None:
    page = open_page("region", mixed_lake, site="mad-01")
    assert not page.exception
    assert [metric.label for metric in page.metric] == [
        f"{name}, peak 24 h" for name in ("Egress", "Viewers", "Utilisation")
    ]
    assert "Rebuffering" in titles(figures(page)[0])
    assert "Ingest" not in titles(figures(page)[0])
    assert "Madrid has no ingest and no ingest starvation in this time." in words(page)


def test_site_without_a_declared_capacity_has_no_utilisation_and_the_caption_says_how_to_declare_one(
    open_page: Opener, mixed_lake: Path
) -> None:
    page = open_page("region", mixed_lake, site="dfw-01")
    assert "Utilisation, peak 24 h" not in [metric.label for metric in page.metric]
    assert "Dallas has no declared capacity" in words(page)
    assert "python -m" not in words(page)
    assert "declared capacity" not in words(open_page("region", mixed_lake, site="fra-01"))


def test_day_that_is_not_over_is_not_drawn_as_a_fall(open_page: Opener, mixed_lake: Path) -> None:
    figure = figures(open_page("region", mixed_lake, site="fra-01", grain="1d"))[0]
    (actual,) = [trace for trace in figure["data"] if trace.get("name") == "actual" and trace["yaxis"] == "y"]
    assert numbers(actual["y"]) == pytest.approx(
        [60.0, 60.0], rel=0.05
    )  # the wave's mean; the morning of the third day runs at 80
    assert "outside the 95 % band" not in names(figure)


def test_switching_the_forecast_off_leaves_the_measurements(open_page: Opener, forecast_lake: Path) -> None:
    page = open_page("region", forecast_lake, site="fra-01", show="events")
    assert "expected" not in names(figures(page)[0])
    assert "actual" in names(figures(page)[0])


def test_choosing_a_site_changes_the_charts_and_the_address(open_page: Opener) -> None:
    page = open_page("region", region="asia")
    page.selectbox("place.site").select("nrt-02").run()
    assert page.query_params["site"] == "nrt-02"
    assert "Egress, Tokyo 2" in titles(figures(page)[0])
    page.selectbox("place.region").select("sa").run()
    assert page.query_params["site"] == "all"
    assert "Egress, South America" in titles(figures(page)[0])


def test_range_is_followed_by_the_grain(open_page: Opener) -> None:
    assert "5-minute mean" in titles(figures(open_page("region", site="fra-01", range="24h"))[0])
    assert "daily mean" in titles(figures(open_page("region", site="fra-01", range="all", grain="1d"))[0])


def test_custom_dates_come_from_the_address(open_page: Opener, forecast_lake: Path) -> None:
    page = open_page(
        "region", forecast_lake, site="fra-01", range="custom", start="2026-05-05T00:00", end="2026-05-06T00:00"
    )
    axis = figures(page)[0]["layout"]["xaxis"]["range"]
    assert [pd.Timestamp(value) for value in axis] == [pd.Timestamp("2026-05-05"), pd.Timestamp("2026-05-06")]
    assert page.date_input[0].value == (pd.Timestamp("2026-05-05").date(), pd.Timestamp("2026-05-05").date())


def test_hole_is_named_and_never_drawn_as_zero(open_page: Opener) -> None:
    figure = figures(open_page("region", site="gru-01"))[0]
    hatched = [trace for trace in figure["data"] if trace.get("name") == "no data"]
    assert hatched
    assert hatched[0]["text"] == ["no data: Sao Paulo 1"]


def test_hostile_name_is_shown_as_it_is_written(open_page: Opener) -> None:
    page = open_page("region", site="iad-01")
    assert not page.exception
    assert "<script>" not in titles(figures(page)[0])
    assert "&lt;script&gt;" in titles(figures(page)[0])


def test_table_holds_the_numbers_of_the_charts(open_page: Opener, forecast_lake: Path) -> None:
    page = open_page("region", forecast_lake, site="fra-01")
    page.query_params["open"] = "numbers"
    page.run()
    rows = page.dataframe[0].value
    assert {"Egress, Gbps", "Egress expected, Gbps", "Egress capacity, Gbps"} <= set(rows.columns)
    assert rows["Egress 95 % band to, Gbps"].max() == pytest.approx(275, rel=0.01)
    assert rows["Start, UTC"].iloc[0] > rows["Start, UTC"].iloc[1], "newest measured first"
    assert rows["Egress, Gbps"].iloc[0] > 0
    assert rows["Start, UTC"].iloc[-1] > rows["Start, UTC"].iloc[0], "then what is to come"


# What a judged run adds
# ------------------------------------------------------------------------------------------------------


def test_a_judged_run_says_how_far_off_it_is_and_draws_the_peaks_and_prophet(open_page: Opener) -> None:
    page = open_page("region", "judged", site="nrt-01", range="28d")
    assert not page.exception
    chip = page.button("accuracy")
    assert chip.label.startswith("Egress forecast: off by")
    assert "**Ingest**" in chip.help
    assert "peak of week" in titles(figures(page)[0])
    assert {"peak of week", "peak of week, median"} <= set(names(figures(page)[0]))
    assert "Prophet" in names(figures(page)[0])
    assert "baseline" not in names(figures(page)[0])


def test_the_baseline_is_switched_on_beside_it_and_the_address_says_so(open_page: Opener) -> None:
    page = open_page("region", "judged", site="nrt-01", range="28d")
    page.pills("state.show").set_value(["forecast", "prophet", "baseline"]).run()
    assert page.query_params["show"] == "forecast,prophet,baseline"
    assert {"Prophet", "baseline", "expected"} <= set(names(figures(page)[0]))
    assert "peak of week" not in names(figures(page)[0])


def test_the_table_holds_the_other_curves_and_the_peaks(open_page: Opener) -> None:
    page = open_page("region", "judged", site="nrt-01", range="28d", show="forecast,peaks,prophet,baseline")
    page.query_params["open"] = "numbers"
    page.run()
    columns = set(page.dataframe[0].value.columns)
    assert {"Egress Prophet, Gbps", "Egress baseline, Gbps", "Egress peak of week, 90 %, Gbps"} <= columns


def test_a_run_that_judged_nothing_offers_no_switch_and_keeps_quiet(open_page: Opener, forecast_lake: Path) -> None:
    page = open_page("region", forecast_lake, site="fra-01", show="forecast,peaks,prophet")
    assert not page.exception
    assert page.pills("state.show").options == ["Last week", "Forecast", "Events"]
    assert "drawn:" not in words(page)
    page.pills("state.show").set_value(["forecast", "events"]).run()
    assert page.query_params["show"] == "forecast,peaks,prophet,events"  # what is not offered stays as it was chosen


def test_what_left_its_band_is_listed_and_what_was_on_at_the_chosen_moment_is_open(open_page: Opener) -> None:
    page = open_page("region", "judged", site="nrt-01", range="28d", at="2026-03-18T23:30")
    assert not page.exception
    opened = [anomaly.label for anomaly in page.expander if anomaly.proto.expanded]
    assert opened == ["18 Mar 2026 23:00, for 1 h: ingest 33 % below what was expected, with egress"]
    assert "No known event or gap lies nearby." in words(page)
    quiet = open_page("region", "judged", site="nrt-01", show="events")
    assert [fold.label for fold in quiet.expander] == ["The numbers as a table"]


# The weeks to come
# -------------------------------------------------------------------------------------------------------------


def test_all_weeks_that_are_published_are_shown_of_one_metric_after_those_that_were_measured(open_page: Opener) -> None:
    page = open_page("region", "judged", site="nrt-01")
    assert not page.exception
    for metric, label in (("egress_gbps", "Egress"), ("ingest_gbps", "Ingest")):
        page.segmented_control("state.metric").set_value(metric).run()
        (figure,) = [found for found in figures(page) if "of each week" in titles(found)]
        assert f"{label}, Tokyo 1, peak of each week" in titles(figure)
        medians, past = (
            [t for t in figure["data"] if t.get("name") == name]
            for name in ("peak of week, median", "measured peak of week")
        )
        assert [len(numbers(trace["y"])) for trace in medians] == [26]
        assert past
    assert page.query_params["metric"] == "ingest_gbps"


def test_the_switch_for_peaks_takes_the_coming_weeks_away(open_page: Opener) -> None:
    page = open_page("region", "judged", site="nrt-01", show="forecast")
    assert not any("of each week" in titles(figure) for figure in figures(page))
    assert "Coming weeks" not in words(page)


# Compare
# ---------------------------------------------------------------------------------------------------------------------


def test_places_are_compared_on_one_axis_with_a_table(open_page: Opener) -> None:
    page = open_page("region", region="eu-west", places="region:sa,site:fra-01", scale="capacity", by="week")
    assert not page.exception
    (figure,) = [found for found in figures(page) if "compared" in titles(found)]
    assert names(figure) == ["Europe West", "South America", "Frankfurt 1"]
    rows = page.dataframe[0].value
    assert rows[""].tolist() == ["Europe West", "South America", "Frankfurt 1"]
    assert rows["Change of mean"].str.contains("on Europe West").tolist() == [False, True, True]


def test_an_earlier_time_is_chosen_beside_no_place_and_the_address_says_so(open_page: Opener) -> None:
    page = open_page("region", site="fra-01", places="site:gru-01", range="24h")
    page.selectbox("compare.earlier").select("1w").run()
    assert not page.exception
    assert (page.query_params["places"], page.query_params["earlier"]) == ("none", "1w")
    page.multiselect("compare.places").set_value(["region:sa"]).run()
    assert (page.query_params["places"], page.query_params["earlier"]) == ("region:sa", "none")
