"""`python -m forecasting`: what it prints, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.lake.tables import Lake
from forecasting import __main__ as command
from forecasting.refresh import ENGINES, refresh
from tests.forecasting.networks import Here, Steady
from tests.forecasting.refresh.test_refresh import Mixed


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refreshes use an engine that fits some, refuses some and fails at one."""
    monkeypatch.setitem(ENGINES, "panel", Mixed)


@pytest.mark.usefixtures("mixed")
def test_refresh_says_what_was_published_and_what_has_no_forecast(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["refresh", "--lake", lake.url, "--workers", "1"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("Run 1 published in ")
    assert ": 6 fitted, 2 refused, 1 failed (" in first
    assert others == [
        "  failed site/fra-01/egress_gbps: RuntimeError: it broke",
        "  refused global/all/egress_gbps: too little",
        "  refused global/all/ingest_gbps: too little",
    ]


@pytest.mark.usefixtures("mixed")
def test_quiet_says_nothing(lake: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.main(["refresh", "--lake", lake.url, "--workers", "1", "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_a_lake_without_telemetry_is_one_line_with_cause_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["refresh", "--lake", str(tmp_path / "none")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("python -m forecasting refresh: The lake ")
    assert "Likely cause: " in err
    assert "Remedy: " in err


def test_the_lake_may_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_LAKE", "s3://bucket/lake")
    assert command.parse(["refresh"]).lake == "s3://bucket/lake"
    assert command.parse(["status", "--lake", "here"]).lake == "here"


@pytest.mark.parametrize(
    "arguments", [[], ["refresh", "--engine", "crystal-ball"], ["refresh", "--workers", "many"], ["forget"]]
)
def test_a_command_that_is_not_one_is_a_matter_of_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m forecasting" in capsys.readouterr().err


def test_status_names_the_last_runs_newest_first(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        refresh(lake, engine=Steady(), executor=Here())
    assert command.main(["status", "--lake", lake.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["run 2", "run 1"]
    assert lines[0].endswith("steady, telemetry until 2026-03-20 12:00 UTC: 9 fitted, 0 refused, 0 failed")


def test_status_tells_of_a_refresh_that_failed(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    refresh(lake, engine=Steady(), executor=Here())
    lake.write_note(
        "refresh",
        {"state": "failed", "done": 2, "total": 9, "updated": "2026-03-20T12:01:00+00:00", "message": "no memory left"},
    )
    command.main(["status", "--lake", lake.url])
    assert (
        capsys.readouterr().out.splitlines()[0] == "failed at 2026-03-20T12:01:00+00:00, 2 of 9 series: no memory left"
    )


def test_status_of_a_lake_without_a_run_names_the_command_that_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["status", "--lake", str(tmp_path / "none")]) == 0
    assert "has no published run; `python -m forecasting refresh` makes one." in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
