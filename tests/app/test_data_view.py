"""The Data page: what we have, how complete and how fresh, on a full, a partial, a stale and an empty lake."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from app.state import CHOICES
from app.views.data import page
from data.lake.tables import Lake
from data.schema import TABLES
from tests.app.conftest import DAYS, Opener
from tests.small_lake import OPTIONAL, SILENT, SITES


def table(test: AppTest) -> pd.DataFrame:
    frame: pd.DataFrame = test.dataframe[0].value
    return frame


def text(test: AppTest) -> str:
    return "\n".join(
        [*(m.value for m in test.markdown), *(c.value for c in test.caption), *(c.value for c in test.code)]
    )


@pytest.mark.parametrize("section", CHOICES["section"])
@pytest.mark.parametrize("lake", ["full", "partial", "stale"])
def test_every_section_opens_on_every_lake(open_page: Opener, lake: str, section: str) -> None:
    test = open_page("data", lake, section=section)
    assert not test.exception
    assert test.segmented_control[0].value == section
    assert "cannot be shown" not in text(test)


def test_freshness_names_the_silent_site_first(open_page: Opener) -> None:
    test = open_page("data")
    rows = table(test)
    assert rows["Identifier"].iloc[0] == SILENT
    assert rows["Behind by"].iloc[0] == "2 h"
    assert set(rows["Behind by"].iloc[1:]) == {"up to date"}
    assert "**5 of 6 sites** reach the end" in text(test)


@pytest.mark.parametrize("section", ["freshness", "snapshots", "quarantine", "versions", "dictionary"])
def test_no_column_is_hidden(open_page: Opener, section: str) -> None:
    settings = json.loads(open_page("data", section=section).dataframe[0].proto.columns)
    assert not [
        name for name, setting in settings.items() if name != "_index" and (setting is None or setting.get("hidden"))
    ]


@pytest.mark.parametrize(
    ("zone", "head", "hour"), [("UTC", "Newest sample (UTC)", 23), ("viewer", "Newest sample (Asia/Tokyo)", 8)]
)
def test_times_are_in_the_zone_that_the_head_names(open_page: Opener, zone: str, head: str, hour: int) -> None:
    rows = table(open_page("data", zone=zone))
    assert rows[head].max().hour == hour
    assert rows[head].dt.tz is None


def test_completeness_counts_the_holed_and_the_silent_site(open_page: Opener) -> None:
    shown = text(open_page("data", section="completeness"))
    assert "2 of 6 sites have under 99 %" in shown
    whole = DAYS * 288 * len(SITES)
    assert f"**{100 * (whole - 130) / whole:.0f} %**" in shown


def test_completeness_says_what_a_partial_lake_lacks_and_how_to_supply_it(open_page: Opener) -> None:
    shown = text(open_page("data", "partial", section="completeness"))
    for column in OPTIONAL:
        assert f"`{column}`" in shown
        assert f"--map YOURS={column}" in shown


def test_a_full_lake_lacks_nothing(open_page: Opener) -> None:
    assert "this lake holds no value" not in text(open_page("data", section="completeness"))


def test_quarantine_shows_reason_and_remedy_and_hostile_names_as_they_are(open_page: Opener) -> None:
    row = table(open_page("data", section="quarantine")).iloc[0]
    assert row["Source"] == 'inbox/"><script>alert(1)</script>.parquet'
    assert (row["Column"], row["First value"], row["Rows"]) == ("egress_gbps", "-3.2", 12)
    assert row["Remedy"] == "send these rows again"


def test_an_empty_quarantine_and_ledger_say_so(open_page: Opener, lakes: dict[str, Path], tmp_path: Path) -> None:
    bare = Lake(tmp_path / "lake")
    for name in ("sites", "telemetry", "telemetry_1d"):
        bare.replace(name, Lake(lakes["full"]).read(name))
    assert "Nothing in quarantine" in text(open_page("data", tmp_path / "lake", section="quarantine"))
    assert "No snapshot on record" in text(open_page("data", tmp_path / "lake", section="snapshots"))


def test_samples_that_are_set_aside_stand_with_value_usual_value_and_reason(
    open_page: Opener, lakes: dict[str, Path], tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "lake")
    for name in ("sites", "telemetry", "telemetry_1d"):
        lake.replace(name, Lake(lakes["full"]).read(name))
    ts = lake.read("telemetry")["ts"][0].as_py()
    row = {"site_id": SITES["site_id"][0], "metric": "egress_gbps", "ts": ts, "value": 5200.0, "usual": 12.5}
    row |= {"capacity_gbps": None, "cause": "spike", "reason": "99 times all else that the site carried"}
    lake.append("set_aside", pa.Table.from_pylist([row, row | {"ts": ts + timedelta(minutes=5), "value": 4000.0}]))
    change = {name: row[name] for name in ("site_id", "metric", "ts", "value", "usual")}
    change |= {
        "until": None,
        "factor": 416.0,
        "cause": "new level",
        "is_set_aside": False,
        "reason": "likelier a new level",
    }
    lake.append("level_changes", pa.Table.from_pylist([change]))
    test = open_page("data", tmp_path / "lake", section="aside")
    shown = table(test).iloc[0]
    assert (shown["Site"], shown["Samples"], shown["Value"], shown["Usual value"]) == (
        "Frankfurt 1",
        2,
        "5.20 Tbps",
        "12.5 Gbps",
    )
    assert (shown["Capacity"], shown["Likely cause"]) == ("none", "spike")
    assert "**2 samples** of 1 site " in text(test)
    end = f"{ts + timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
    assert f"{ts:%Y-%m-%dT%H:%M:%SZ},{end},fra-01,keep" in text(test)
    assert test.dataframe[1].value["Likelier"].tolist() == ["new level"]


def test_snapshots_add_up(open_page: Opener) -> None:
    row = table(open_page("data", section="snapshots")).iloc[0]
    assert row["Rows"] == row["Accepted"] + row["Refused"]


def test_versions_name_every_table_that_the_lake_holds(open_page: Opener, lakes: dict[str, Path]) -> None:
    rows = table(open_page("data", section="versions")).set_index("Table")
    assert set(rows.index) == {name for name, _ in Lake(lakes["full"]).pin().versions}
    assert rows.loc["sites", "Rows"] == len(SITES)
    assert rows.loc["telemetry", "Bytes"] > 0


def test_the_dictionary_is_the_contract(open_page: Opener) -> None:
    test = open_page("data", section="dictionary", table="capacity")
    assert list(table(test)["Column"]) == [column.name for column in TABLES["capacity"].columns]
    test.selectbox("state.table").set_value("sites").run()
    assert list(table(test)["Column"]) == [column.name for column in TABLES["sites"].columns]
    assert test.query_params["table"] == "sites"


def test_only_the_chosen_section_is_computed(open_page: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("this section was not chosen")

    monkeypatch.setattr(page, "completeness", never)
    test = open_page("data", section="snapshots")
    assert not test.exception
    test.segmented_control[0].set_value("completeness").run()
    assert test.exception
