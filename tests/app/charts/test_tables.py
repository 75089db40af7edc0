"""The table behind the charts holds what they draw, unthinned."""

from __future__ import annotations

import numpy as np
import pandas as pd

from app.charts.quality import QualityChart
from app.charts.tables import chart_table, column_units
from app.charts.timeseries import TrafficChart
from tests.app.charts.traffic import END, HOUR, NOW, START, bands, capacity, forecast, history

EGRESS = TrafficChart(
    "Egress",
    "egress_gbps",
    "hourly mean",
    START,
    END,
    NOW,
    history(),
    forecast(),
    bands(),
    last_week=history().assign(ts=lambda rows: rows["ts"] + 168 * HOUR),
    capacity=capacity((START, 400.0, "installed")),
)
REBUFFERING = QualityChart(
    "rebuffer_ratio", "hourly mean", START, END, NOW, history().assign(value=lambda rows: rows["value"] * 1e-5)
)


def test_one_row_a_stamp_in_order() -> None:
    table = chart_table([EGRESS, REBUFFERING])
    assert table["ts"].is_unique
    assert table["ts"].is_monotonic_increasing
    assert (table["ts"].min(), table["ts"].max()) == (START, END)


def test_measured_values_are_exact_and_missing_ones_stay_missing() -> None:
    table = chart_table([EGRESS, REBUFFERING])
    past = table[table["ts"] <= NOW]
    np.testing.assert_array_equal(past["egress_gbps"], history()["value"])
    np.testing.assert_array_equal(past["rebuffer_ratio"], history()["value"] * 1e-5)
    assert table[table["ts"] > NOW]["egress_gbps"].isna().all()


def test_expectations_are_the_bands_up_to_now_and_the_forecast_after() -> None:
    table = chart_table([EGRESS]).set_index("ts")
    before, after = NOW - 24 * HOUR, NOW + 24 * HOUR
    assert table.loc[before, "egress_gbps_upper_95"] == bands().set_index("ts").loc[before, "upper_95"]
    assert table.loc[after, "egress_gbps_upper_95"] == forecast().set_index("ts").loc[after, "q975"]
    assert table["egress_gbps_expected"].notna().all()


def test_capacity_and_last_week_are_there() -> None:
    table = chart_table([EGRESS]).set_index("ts")
    assert (table["egress_gbps_capacity"] == 400.0).all()
    assert table.loc[NOW, "egress_gbps_last_week"] == history().set_index("ts").loc[NOW - 168 * HOUR, "value"]


def test_a_chart_of_history_alone_is_a_table_too() -> None:
    alone = TrafficChart("Egress", "egress_gbps", "hourly mean", START, END, NOW, history())
    pd.testing.assert_series_equal(chart_table([alone])["egress_gbps"], history()["value"], check_names=False)


def test_units_are_the_contracts() -> None:
    assert column_units(["ts", "egress_gbps", "egress_gbps_upper_95", "rebuffer_ratio"]) == {
        "egress_gbps": "Gbps",
        "egress_gbps_upper_95": "Gbps",
        "rebuffer_ratio": "ratio",
    }
