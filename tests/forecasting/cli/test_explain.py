"""`python -m forecasting explain` on small files, from end to end, bad input included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting import __main__ as command

MINUTE = "2026-03-01T12:10"


def stalls() -> pd.DataFrame:
    """Two partners and three bitrates over eleven minutes; in the last one 2000 stalls at 0.3."""
    cells = pd.MultiIndex.from_product(
        [pd.date_range("2026-03-01 12:00", periods=11, freq="min"), ["x", "y"], [500, 2000, 4000]],
        names=["minute", "partner", "bitrate"],
    )
    rows = cells.to_frame(index=False)
    faulty = (rows["bitrate"] == 2000) & (rows["minute"] == rows["minute"].max())
    return rows.assign(case="one", bad=np.where(faulty, 300, 20), total=1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The rows as Parquet."""
    stalls().to_parquet(tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that must refuse."""
    assert command.main(["explain", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Likely cause: " in err
    assert "Remedy: " in err
    return err


def test_causes_are_written_with_their_figures(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = path.with_name("causes.parquet")
    assert command.main(["explain", "--rows", str(path), "--minute", MINUTE, "--out", str(out)]) == 0
    first = pd.read_parquet(out).iloc[0]
    assert (first["rank"], first["bitrate"], first["cause"], first["named"]) == (1, 2000, "bitrate=2000", True)
    assert pd.isna(first["partner"])
    assert first["share_of_excess"] == pytest.approx(1, abs=0.05)
    assert capsys.readouterr().err == (
        "2026-03-01 12:10 UTC: bitrate=2000: 600 bad of 2,000, expected 40; 100% of the excess.\n"
    )


def test_csv_other_names_and_zones_say_the_same(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed = stalls().rename(columns={"minute": "at", "bad": "stalled_sessions", "total": "sessions"})
    renamed.assign(at=renamed["at"].dt.tz_localize("UTC")).to_csv(path.with_suffix(".csv"), index=False)
    names = ["--time", "at", "--bad", "stalled_sessions", "--total", "sessions", "--attributes", "partner, bitrate"]
    arguments = ["--rows", str(path.with_suffix(".csv")), "--minute", "2026-03-01T13:10+01:00", *names, "--top", "1"]
    assert command.main(["explain", *arguments]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].startswith("1,0,,2000,bitrate=2000,")
    assert "bitrate=2000: 600 bad" in err


def test_a_quiet_minute_says_that_nothing_stands_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["explain", "--rows", str(path), "--minute", "2026-03-01T12:09"]) == 0
    assert "no cause stands out" in capsys.readouterr().err
    assert command.main(["explain", "--rows", str(path), "--minute", "2026-03-01T12:00"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert "no earlier minute says what is usual" in err


def test_rows_without_usable_counts_are_left_out_and_counted(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = stalls()
    rows.loc[3, "bad"] = 2000
    rows.to_parquet(path)
    assert command.main(["explain", "--rows", str(path), "--minute", MINUTE]) == 0
    err = capsys.readouterr().err
    assert "1 of 66 rows were left out" in err
    assert "the first is row 3 (bad 2000, total 1000)" in err
    rows.assign(bad=rows["total"] + 1).to_parquet(path)
    assert "shares stand in place of counts" in refused(capsys, "--rows", str(path), "--minute", MINUTE)


def test_what_cannot_be_used_is_named(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--rows", str(path), "--minute")
    assert "nowhere.csv" in refused(capsys, "--rows", "nowhere.csv", "--minute", MINUTE)
    assert "'noon' is no time" in refused(capsys, *at, "noon")
    assert "the nearest minute is 2026-03-01 12:10:00" in refused(capsys, *at, "2026-03-01T13:10")
    assert "no column errors_seen; it has minute" in refused(capsys, *at, MINUTE, "--bad", "errors_seen")
    assert "no attribute colour; it has partner, bitrate, case" in refused(
        capsys, *at, MINUTE, "--attributes", "colour"
    )
    assert "0 causes are none" in refused(capsys, *at, MINUTE, "--top", "0")
    assert "no ending that is known" in refused(capsys, *at, MINUTE, "--out", "causes.txt")
    stalls()[["minute", "bad", "total"]].to_parquet(path)
    assert "no attribute with at least two values" in refused(capsys, *at, MINUTE)
    path.write_bytes(b"nothing")
    assert "has no row" in refused(capsys, *at, MINUTE)
