"""Times as producers write them: labelled, local, or text."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.ingest.column_mapping import read_options
from data.lake.tables import Lake
from data.schema.errors import SettingError
from tests.data.ingest.ingest_frames import held, lake_of, sites, take, telemetry, with_column, write

HEADER = "ts,site_id,ingest_gbps,egress_gbps\n"


def stamps_of(folder: Path, values: pa.Array, **how: Any) -> list[datetime]:
    lake = lake_of(folder, "a")
    take(lake, write(folder / "in" / "t.parquet", with_column(telemetry(count=len(values)), "ts", values)), **how)
    return [stamp for _, stamp, _ in held(lake)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_labelled_stamps_are_converted_whatever_their_zone_and_unit(tmp_path: Path) -> None:
    local = pa.array([at("2026-03-02T05:00"), at("2026-03-02T06:00")], pa.timestamp("ms", "America/New_York"))
    assert stamps_of(tmp_path, local) == [at("2026-03-02T05:00"), at("2026-03-02T06:00")]


def test_a_label_is_believed_before_the_option(tmp_path: Path) -> None:
    assert stamps_of(
        tmp_path, pa.array([at("2026-03-02T05:00")], pa.timestamp("ns", "UTC")), timezone="Asia/Tokyo"
    ) == [at("2026-03-02T05:00")]


def test_local_stamps_are_read_in_the_zone_that_is_given(tmp_path: Path) -> None:
    naive = pa.array([datetime(2026, 3, 2, 9), datetime(2026, 3, 2, 10)], pa.timestamp("s"))  # noqa: DTZ001
    assert stamps_of(tmp_path, naive, timezone="Asia/Tokyo") == [at("2026-03-02T00:00"), at("2026-03-02T01:00")]


@pytest.mark.parametrize(
    ("zone", "fine", "unclear"),
    [
        ("Europe/Berlin", [datetime(2025, 10, 26, 1, 55), datetime(2025, 10, 26, 3, 0)], datetime(2025, 10, 26, 2, 30)),  # noqa: DTZ001 - came twice
        ("America/New_York", [datetime(2026, 3, 8, 1, 55), datetime(2026, 3, 8, 3, 0)], datetime(2026, 3, 8, 2, 30)),  # noqa: DTZ001 - never came
    ],
)
def test_a_time_that_summer_time_repeats_or_leaves_out_is_refused_and_not_guessed(
    tmp_path: Path, zone: str, fine: list[datetime], unclear: datetime
) -> None:
    lake = lake_of(tmp_path, "a")
    table = with_column(telemetry(), "ts", pa.array([*fine, unclear], pa.timestamp("us")))
    [outcome] = take(lake, write(tmp_path / "t.parquet", table), timezone=zone)
    assert (outcome.state, outcome.accepted, outcome.quarantined) == ("partial", 2, 1)
    assert outcome.faults[0].bound == f"a time that came once in {zone}"
    assert outcome.faults[0].remedy == "export the stamps in UTC"


def text_outcome(folder: Path, lines: str, **how: Any) -> tuple[list[datetime], list[str]]:
    lake = lake_of(folder, "a")
    (folder / "t.csv").write_text(HEADER + lines)
    [outcome] = take(lake, folder / "t.csv", **how)
    return [stamp for _, stamp, _ in held(lake)], [str(fault) for fault in outcome.faults]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T05:00:00Z",
        "2026-03-02 05:00+00:00",
        "2026-03-02T10:30:00.000+0530",
        "2026-03-02 00:00:00 -05:00",
        "2026-03-02 05:00 UTC",
    ],
)
def test_text_in_iso_8601_is_a_stamp(tmp_path: Path, text: str) -> None:
    assert text_outcome(tmp_path, f"{text},a,1,2\n") == ([at("2026-03-02T05:00")], [])


def test_text_without_a_zone_needs_one(tmp_path: Path) -> None:
    stamps, faults = text_outcome(tmp_path, "2026-03-02T05:00Z,a,1,2\n2026-03-02 06:00,a,1,2\n")
    assert stamps == [at("2026-03-02T05:00")]
    assert "2026-03-02 06:00 (no time zone)" in faults[0]
    assert "--timezone UTC" in faults[0]


def test_a_column_without_any_zone_refuses_the_file(tmp_path: Path) -> None:
    stamps, faults = text_outcome(tmp_path, "2026-03-02 05:00,a,1,2\n2026-03-02 06:00,a,1,2\n")
    assert stamps == []
    assert "2026-03-02 05:00 (no time zone)" in faults[0]
    assert "(2 rows)" in faults[0]


def test_text_without_a_zone_is_read_in_the_zone_that_is_given(tmp_path: Path) -> None:
    assert text_outcome(tmp_path, "2026-03-02T05:00Z,a,1,2\n2026-03-02 08:00,a,1,2\n", timezone="Europe/Berlin") == (
        [at("2026-03-02T05:00"), at("2026-03-02T07:00")],
        [],
    )


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-02-30T00:00Z", "02/03/2026 05:00", "1772427600", "infinity", "2026-03-02T25:00Z"]
)
def test_text_that_is_no_stamp_refuses_its_row_alone(tmp_path: Path, text: str) -> None:
    stamps, faults = text_outcome(tmp_path, f"2026-03-02T05:00Z,a,1,2\n{text},a,1,2\n")
    assert stamps == [at("2026-03-02T05:00")]
    assert text in faults[0]
    assert "a stamp such as 2026-01-31T23:55:00Z (1 rows)" in faults[0]


def test_a_zone_that_does_not_exist_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"--timezone CEST: no such zone.*Europe/Berlin"):
        take(lake_of(tmp_path), tmp_path, timezone="CEST")


def test_a_misspelt_zone_of_the_command_is_told_with_its_nearest_names() -> None:
    with pytest.raises(SettingError, match=r"--timezone Europe/Berln: no such zone.*the nearest: Europe/Berlin"):
        read_options(timezone="Europe/Berln")


def test_misspelt_zones_of_sites_are_refused_row_by_row_with_their_nearest_names(tmp_path: Path) -> None:
    zones = ["Europe/Berlin", "Europe/Berln", "Europe/Berlim", "new york", None, "", "x" * 100]
    catalogue = sites(*"abcdefg").append_column("timezone", pa.array(zones))
    lake = Lake(tmp_path / "lake")
    [outcome] = take(lake, write(tmp_path / "sites.parquet", catalogue))
    assert (outcome.state, outcome.accepted, outcome.quarantined) == ("partial", 3, 4)
    found = dict(zip(*lake.read("sites").select(["site_id", "timezone"]).to_pydict().values(), strict=True))
    assert found == {"a": "Europe/Berlin", "e": "UTC", "f": ""}
    refused = {row["value"][:13]: row for row in lake.read("quarantine").to_pylist()}
    assert {row["column"] for row in refused.values()} == {"timezone"}
    assert {value: row["remedy"] for value, row in refused.items()} == {
        "Europe/Berln": "write Europe/Berlin if that is meant",
        "Europe/Berlim": "write Europe/Berlin if that is meant",
        "new york": "write America/New_York if that is meant",
        "x" * 13: "write the name of the IANA time zone",
    }
    assert refused["Europe/Berln"]["bound"].startswith("an IANA time zone; the nearest: Europe/Berlin, Europe/Dublin")
    [kept] = outcome.kept_at
    assert pq.read_table(kept)["site_id"].to_pylist() == ["b", "c", "d", "g"]
