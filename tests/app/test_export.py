"""What one may take away: CSV that no spreadsheet runs, and pictures made in the browser."""

from __future__ import annotations

import io
import json as json_text
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from app.ui.export import FORMULA, Source, csv, file_name, guarded, json, settings, xlsx

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


def test_the_camera_of_the_tool_bar_gives_way_to_pictures_that_say_what_they_are() -> None:
    assert "toImage" in settings()["modeBarButtonsToRemove"]


SOURCE = Source(pd.Timestamp("2026-11-30 23:10", tz="UTC"), "Europe/Berlin", 4, 2, simulated=True)
PLAN = pd.DataFrame(
    {
        "key": ["=cmd()", "fra-01"],
        "order_by": pd.to_datetime(["2026-12-03", None], utc=True),
        "capacity_gbps": [900.0, None],
        "planned": [True, False],
    }
)


def test_the_source_of_a_file_is_said_in_a_sentence_and_by_name() -> None:
    assert SOURCE.sentence() == "Headroom, as of 2026-12-01 00:10 Europe/Berlin, version 4, run 2, simulated network"
    assert SOURCE.rows()["as_of"] == "2026-11-30T23:10:00+00:00"
    assert "no forecast" in SOURCE._replace(run=None).sentence()


def test_json_says_its_run_policy_and_units_beside_the_rows() -> None:
    told = json_text.loads(json(PLAN, {"capacity_gbps": "Gbps"}, about=SOURCE.rows() | {"policy_limit": 0.8}))
    assert (told["run"], told["telemetry_version"], told["policy_limit"], told["simulated"]) == (2, 4, 0.8, True)
    assert told["units"] == {"capacity_gbps": "Gbps"}
    assert told["rows"][0] == {
        "key": "=cmd()",
        "order_by": "2026-12-03T00:00:00Z",
        "capacity_gbps": 900.0,
        "planned": True,
    }
    assert told["rows"][1]["order_by"] is None


def test_a_workbook_has_numbers_and_dates_as_such_runs_no_text_and_says_what_it_is() -> None:
    content = xlsx(PLAN, {"capacity_gbps": "Gbps"}, about=SOURCE.rows())
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        rows, about = (book.read(f"xl/worksheets/sheet{at}.xml").decode() for at in (1, 2))
        texts = book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in rows
    assert '<c r="C2"><v>900</v></c>' in rows
    assert '<c r="B2" s="2"><v>46359</v></c>' in rows  # 3 December 2026, in days
    assert 'r="C3"' not in rows
    assert about.count("<row ") == 7
    assert {"capacity_gbps [Gbps]", "=cmd()", "2026-11-30T23:10:00+00:00"} <= set(re.findall("<t>([^<]*)</t>", texts))


def test_a_chart_has_its_alternative_text_and_its_csv() -> None:
    page = AppTest.from_string(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{PAGE}", default_timeout=60).run()
    assert not page.exception
    assert [chart.proto.alt for chart in page.get("plotly_chart")] == ["Egress and ingest", "A", "B"]
    assert len(page.get("download_button")) == 2
