"""What one may take away: CSV that no spreadsheet runs, and pictures made in the browser."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from app.ui.export import FORMULA, csv, file_name, guarded, settings

ROOT = Path(__file__).resolve().parents[2]
# A page with two linked panels and two single charts, as a view would draw them.
PAGE = """
import numpy as np
import pandas as pd
import streamlit as st

from app.charts.panels import linked_figure
from app.charts.timeseries import TrafficChart, traffic_chart, traffic_panel
from app.ui import export

st.set_page_config(layout="wide")
now = pd.Timestamp("2026-11-20", tz="UTC")
ts = pd.date_range(now - pd.Timedelta(7, "D"), now, freq="h").as_unit("us")
history = pd.DataFrame({"ts": ts, "value": 100 + 10 * np.sin(np.arange(len(ts)))})
both = [TrafficChart(name, name, "hourly mean", ts[0], now, now, history) for name in ("egress_gbps", "ingest_gbps")]
figure = linked_figure([traffic_panel(one) for one in both], start=ts[0], end=now, zone="UTC", scheme="light")
export.chart(figure, key="place", name="Europe West", alt="Egress and ingest", data=lambda: history, units={"value": "Gbps"})
one = traffic_chart(both[0])
export.charts({"a": (one, "A"), "b": (one, "B")}, columns=2, key="sites", name="sites", data=history)
"""


def read(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


@pytest.mark.parametrize("start", FORMULA)
def test_text_that_a_spreadsheet_would_run_is_disarmed(start: str) -> None:
    hostile = f'{start}cmd|"/c calc"!A1'
    frame = pd.DataFrame({"name": [hostile, "plain"], "kind": pd.Categorical([hostile, "x"]), "mixed": [hostile, 4.5]})
    found = read(csv(frame))
    assert found["name"].str.startswith("'").tolist() == [True, False]
    assert found["name"][0].endswith('cmd|"/c calc"!A1')
    assert found["kind"].str.startswith("'").tolist() == [True, False]
    assert found["mixed"].tolist()[1] == "4.5"


def test_a_hostile_column_name_is_disarmed() -> None:
    assert csv(pd.DataFrame({"=cmd()": [1]})) == b"'=cmd()\n1\n"


def test_numbers_below_zero_stay_numbers() -> None:
    assert csv(pd.DataFrame({"change": [-1.5, 2.0]})) == b"change\n-1.5\n2.0\n"


@given(st.text(min_size=1))
def test_no_text_begins_like_a_formula(text: str) -> None:
    assert not guarded(text).startswith(FORMULA)
    assert guarded(text).removeprefix("'") == text.removeprefix("'")


def test_stamps_are_iso_with_the_zone_and_missing_is_empty() -> None:
    stamps = pd.Series([pd.Timestamp("2026-07-01 12:00", tz="UTC"), pd.NaT], dtype="datetime64[us, UTC]")
    frame = pd.DataFrame({"ts": stamps, "value": [1.25, None]})
    assert (
        csv(frame, {"value": "Gbps"}, "Europe/Berlin").decode()
        == "ts,value [Gbps]\n2026-07-01T14:00:00+02:00,1.25\n,\n"
    )


def test_names_of_all_the_world_survive() -> None:
    assert read(csv(pd.DataFrame({"city": ["S\u00e3o Paulo", "\u6771\u4eac"]})))["city"].tolist() == [
        "S\u00e3o Paulo",
        "\u6771\u4eac",
    ]


def test_values_are_not_rounded() -> None:
    assert float(read(csv(pd.DataFrame({"v": [0.1 + 0.2]})))["v"][0]) == 0.1 + 0.2


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Europe West, 3 to 9 Dec", "Europe-West-3-to-9-Dec"),
        ("../../etc/passwd", "etc-passwd"),
        ("", "headroom"),
        ("x" * 500, "x" * 100),
    ],
)
def test_file_names_are_plain(name: str, safe: str) -> None:
    assert file_name(name) == safe


def test_pictures_are_named_after_the_chart() -> None:
    assert settings("a/b")["toImageButtonOptions"] == {"format": "png", "filename": "a-b", "scale": 2}


def test_a_chart_has_its_alternative_text_and_its_csv() -> None:
    page = AppTest.from_string(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{PAGE}", default_timeout=60).run()
    assert not page.exception
    assert [chart.proto.alt for chart in page.get("plotly_chart")] == ["Egress and ingest", "A", "B"]
    assert len(page.get("download_button")) == 2
