"""`python -m forecasting detect` on small files, from end to end, bad input included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting import __main__ as command


def hourly(count: int = 240) -> pd.DataFrame:
    """Two series, one of which jumps at its step 200; rows of the two alternate."""
    stamps = pd.date_range("2026-01-05", periods=count, freq="h")
    noise = np.random.default_rng(0).normal(0, 0.1, (count, 2))
    rows = [
        pd.DataFrame({"series_id": name, "ts": stamps, "y": 5 + noise[:, place]}) for place, name in enumerate("ab")
    ]
    rows[0].loc[200, "y"] = 9.0
    return pd.concat(rows).sort_values(["ts", "series_id"], kind="stable", ignore_index=True)


def detected(path: Path, *arguments: str) -> pd.DataFrame:
    """The scores of a file."""
    out = path.with_suffix(".scores.parquet")
    assert command.main(["detect", "--panel", str(path), "--out", str(out), *arguments]) == 0
    return pd.read_parquet(out)


def test_every_row_has_a_score_in_the_order_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = hourly()
    rows.loc[7, "y"] = np.nan
    rows.to_parquet(tmp_path / "panel.parquet")
    scored = detected(tmp_path / "panel.parquet")
    assert list(scored.columns) == ["series_id", "ts", "y", "score", "direction", "expected"]
    pd.testing.assert_frame_equal(scored[["series_id", "y"]].astype(object), rows[["series_id", "y"]].astype(object))
    assert list(scored.index[scored["score"].isna()]) == [7]
    highest = scored.loc[scored["score"].idxmax()]
    assert (highest["series_id"], highest["y"], highest["direction"]) == ("a", 9.0, 1)
    assert "2 series, 479 scores; the highest is 0." in capsys.readouterr().err


def test_uneven_stamps_and_row_numbers_are_scored(tmp_path: Path) -> None:
    rows = hourly()
    late = rows.assign(ts=rows["ts"] + pd.to_timedelta(np.arange(len(rows)) % 7, unit="min"))
    late.to_csv(tmp_path / "late.csv", index=False)
    own = detected(tmp_path / "late.csv")
    assert own["y"][own["score"].idxmax()] == 9.0
    numbered = rows.assign(t=rows.groupby("series_id").cumcount()).drop(columns="ts")
    numbered.to_parquet(tmp_path / "numbered.parquet")
    own = detected(tmp_path / "numbered.parquet")
    assert own.loc[own["score"].idxmax(), "t"] == 200


def test_a_series_without_a_step_is_named_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = pd.DataFrame({"series_id": "short", "ts": [pd.Timestamp("2026-01-05")], "y": [1.0]})
    stray = pd.DataFrame({"series_id": "stray", "ts": pd.date_range("2026-01-05", periods=9, freq="h"), "y": 1.0})
    stray.loc[8, "ts"] = pd.Timestamp("2206-01-05")
    pd.concat([hourly(), short, stray]).to_parquet(tmp_path / "panel.parquet")
    scored = detected(tmp_path / "panel.parquet")
    assert set(scored.loc[scored["score"].isna(), "series_id"]) == {"short", "stray"}
    err = capsys.readouterr().err
    assert "short (1 stamps, 3 are needed)" in err
    assert "stray (nothing stands within" in err


def test_what_cannot_be_used_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (("--panel", "nowhere.csv"), "nowhere.csv"),
        (("--panel", "nowhere.csv", "--out", "scores.txt"), "no ending that is known"),
        (("--panel", "nowhere.csv", "--freq", "often"), "'often' is no even step"),
    ):
        assert command.main(["detect", *arguments]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert message in err
        assert "Remedy: " in err
