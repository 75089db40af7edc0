"""`python -m forecasting backtest` and `forecast` on small files, from end to end, bad input included."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting import __main__ as command
from forecasting.cli.model_comparison import known_models
from tests.forecasting.panels import demand

STEPS, SEASON = 160, "6,42"
ROW = {"model", "mase", "wape", "smape", "owa", "coverage_80", "coverage_95", "msis_95", "seconds"}
Write = Callable[[pd.DataFrame], Path]


def long(steps: int = STEPS, series: int = 2, freq: str = "h", start: str = "2026-01-05") -> pd.DataFrame:
    """series_id, ts, y."""
    stamps, values = pd.date_range(start, periods=steps, freq=freq), demand(steps, series)
    return pd.concat(
        [pd.DataFrame({"series_id": f"s{place}", "ts": stamps, "y": values[:, place]}) for place in range(series)],
        ignore_index=True,
    )


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a frame as Parquet under a new name."""

    def at(frame: pd.DataFrame) -> Path:
        path = tmp_path / f"panel-{len(list(tmp_path.iterdir()))}.parquet"
        frame.to_parquet(path)
        return path

    return at


def backtested(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The report of a backtest that must succeed."""
    out = tmp_path / "report.json"
    assert command.main(["backtest", *arguments, "--season", SEASON, "--json", str(out)]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that must refuse."""
    assert command.main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Likely cause: " in err
    assert "Remedy: " in err
    return err


def test_backtest_scores_every_model_over_all_series_and_for_each(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = backtested(
        tmp_path,
        "--panel",
        str(write(long())),
        "--horizon",
        "12h",
        "--origins",
        "2",
        "--models",
        "prophet_map,blend,seasonal_naive_42",
    )
    assert [row["model"] for row in report["models"]] == ["licensed", "prophet_map", "blend", "seasonal_naive_42"]
    assert all(set(row) == ROW for row in report["models"])
    assert all(np.isfinite([value for name, value in row.items() if name != "model"]).all() for row in report["models"])
    assert set(report["series"]) == {"s0", "s1"}
    assert [row["model"] for row in report["series"]["s0"]["models"]] == [
        "licensed",
        "prophet_map",
        "blend",
        "seasonal_naive_42",
    ]
    assert all(one["sentence"] for one in report["series"]["s0"]["licences"])
    mean = np.mean([report["series"][name]["models"][0]["mase"] for name in ("s0", "s1")])
    assert report["models"][0]["mase"] == pytest.approx(mean, abs=1e-5)
    assert "2 series, 2 origins, 12 steps" in capsys.readouterr().out


def test_the_test_file_is_what_is_scored_and_moves_nothing_else(write: Write, tmp_path: Path) -> None:
    whole = long(STEPS + 12)
    known = whole["ts"] < whole["ts"].min() + pd.Timedelta(hours=STEPS)
    panel, honest = write(whole[known]), write(whole[~known])
    worse = write(whole[~known].assign(y=lambda rows: rows["y"] + 1000.0))
    first, second = (
        backtested(tmp_path, "--panel", str(panel), "--actuals", str(test), "--horizon", "12")
        for test in (honest, worse)
    )
    assert first["origins"] == 1
    assert second["models"][0]["mase"] > 10.0 * first["models"][0]["mase"]
    assert [one["licences"] for one in first["series"].values()] == [
        one["licences"] for one in second["series"].values()
    ]


def test_row_numbers_stand_for_times_and_ragged_series_end_where_they_end(write: Write, tmp_path: Path) -> None:
    rows = pd.concat(
        [
            pd.DataFrame({"series": name, "t": range(steps), "y": demand(steps, 1, seed)[:, 0]})
            for seed, (name, steps) in enumerate((("a", 160), ("b", 130)))
        ]
    )
    test = pd.DataFrame(
        {"series": ["a", "b"] * 6, "t": [value for step in range(6) for value in (160 + step, 130 + step)], "y": 20.0}
    )
    report = backtested(
        tmp_path, "--panel", str(write(rows)), "--actuals", str(write(test)), "--horizon", "6", "--freq", "h"
    )
    assert set(report["series"]) == {"a", "b"}
    out = tmp_path / "told.csv"
    assert (
        command.main(["forecast", "--panel", str(write(rows)), "--season", SEASON, "--horizon", "3", "--out", str(out)])
        == 0
    )
    assert pd.read_csv(out).groupby("series_id")["t"].apply(list).to_dict() == {
        "a": [160, 161, 162],
        "b": [130, 131, 132],
    }


@pytest.mark.slow
def test_prophet_itself_may_be_asked_for(write: Write, tmp_path: Path) -> None:
    report = backtested(
        tmp_path,
        "--panel",
        str(write(long(series=1))),
        "--horizon",
        "6",
        "--origins",
        "1",
        "--models",
        "prophet",
        "--workers",
        "1",
    )
    row = report["models"][1]
    assert row["model"] == "prophet"
    assert row["mase"] > 0.0
    assert 0.0 <= row["coverage_80"] <= row["coverage_95"] <= 1.0


def test_trees_that_have_too_few_series_to_learn_from_have_no_scores_rather_than_none_right(
    write: Write, tmp_path: Path
) -> None:
    report = backtested(
        tmp_path, "--panel", str(write(long())), "--horizon", "6", "--origins", "1", "--models", "boosted_trees_daily"
    )
    row = report["models"][1]
    assert {name: row[name] for name in ROW - {"model", "seconds"}} == dict.fromkeys(ROW - {"model", "seconds"})
    many = backtested(
        tmp_path,
        "--panel",
        str(write(long(steps=120, series=8))),
        "--horizon",
        "6",
        "--origins",
        "1",
        "--models",
        "boosted_trees_daily",
    )
    assert all(many["models"][1][name] is not None for name in ROW)


@pytest.mark.parametrize(("freq", "stamps"), [("h", "tz"), ("5min", "naive"), ("D", "naive")])
def test_forecast_writes_ordered_quantiles_after_the_end(write: Write, tmp_path: Path, freq: str, stamps: str) -> None:
    frame = long(freq=freq)
    if stamps == "tz":
        frame["ts"] = frame["ts"].dt.tz_localize("America/New_York")
    out = tmp_path / "told.parquet"
    assert (
        command.main(
            ["forecast", "--panel", str(write(frame)), "--season", SEASON, "--horizon", "9", "--out", str(out)]
        )
        == 0
    )
    told = pd.read_parquet(out)
    assert told.columns.tolist() == ["series_id", "ts", "yhat", "q025", "q10", "q25", "q50", "q75", "q90", "q975"]
    assert len(told) == 18
    assert (told[["q025", "q10", "q25", "q50", "q75", "q90", "q975"]].diff(axis=1).iloc[:, 1:] >= 0.0).all(axis=None)
    end = frame["ts"].max() if stamps == "naive" else frame["ts"].max().tz_convert("UTC").tz_localize(None)
    assert told["ts"].min() == end + pd.Timedelta(pd.tseries.frequencies.to_offset(freq))


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_forecast_writes_what_the_ending_says(write: Write, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"told{ending}"
    assert (
        command.main(
            ["forecast", "--panel", str(write(long())), "--season", SEASON, "--horizon", "4", "--out", str(out)]
        )
        == 0
    )
    told = pd.read_csv(out) if ending == ".csv" else pd.read_json(out)
    assert len(told) == 8


def test_csv_without_a_zone_gaps_and_repeated_stamps_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = long().drop(index=range(30, 40))
    path = tmp_path / "panel.csv"
    pd.concat([frame, frame.iloc[[5]]]).to_csv(path, index=False)
    assert command.main(["forecast", "--panel", str(path), "--season", SEASON, "--horizon", "4"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 9
    assert "1 rows repeat the stamp of another row" in err


def test_a_series_that_cannot_be_forecast_is_named_with_its_reason_and_the_others_are(
    write: Write, tmp_path: Path
) -> None:
    frame = long()
    single = frame.tail(1).assign(series_id="single")
    blank = frame[frame["series_id"] == "s0"].assign(series_id="blank", y=np.nan)
    report = backtested(
        tmp_path, "--panel", str(write(pd.concat([frame, single, blank]))), "--horizon", "6", "--origins", "1"
    )
    assert {one["series_id"]: one["reason"] for one in report["refused"]} == {
        "single": "1 usable values; at least 12 are needed",
        "blank": "no usable value: all are missing",
    }
    assert set(report["series"]) == {"s0", "s1"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.rename(columns={"y": "load"}), "has no column y; it has series_id, ts, load"),
        (lambda frame: frame.drop(columns="ts"), "has no column ts"),
        (
            lambda frame: frame.assign(y=frame["y"].astype(str).replace(frame["y"].astype(str)[3], "n/a!")),
            "has y = 'n/a!' in row 3",
        ),
        (
            lambda frame: frame.assign(y=np.inf),
            "is sound and has enough history (s0: y = 'inf' in row 0 is not finite (rows count from 0; 159 more are like it)",
        ),
        (lambda frame: frame.assign(ts="yesterday"), "has ts = 'yesterday' in row 0, which is no time"),
        (
            lambda frame: frame.assign(ts=frame["ts"] + pd.to_timedelta(np.where(frame.index == 7, 20, 0), unit="min")),
            "07:20:00 of s0 is not on a grid of 0 days 01:00:00",
        ),
        (lambda frame: frame.drop(columns="ts").assign(t=0.5), "has a t that is no whole number"),
        (lambda frame: frame.head(0), "has no row"),
        (lambda frame: frame.groupby("series_id").head(1), "so its step is not known"),
        (
            lambda frame: frame.groupby("series_id").head(5),
            "has enough history (s0: 5 usable values; at least 12 are needed",
        ),
    ],
)
def test_a_bad_file_gets_a_clear_error(
    write: Write, capsys: pytest.CaptureFixture[str], change: Callable[[pd.DataFrame], pd.DataFrame], words: str
) -> None:
    assert words in refused(capsys, "forecast", "--panel", str(write(change(long()))), "--season", SEASON)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--season", "24,x"], "--season 24,x is no list of whole numbers from 2 up"),
        (["--season", "1"], "--season 1 is no list"),
        (["--horizon", "soon"], "'soon' is no horizon"),
        (["--horizon", "5min"], "A horizon of 5min is less than one step"),
        (["--freq", "ME"], "do not lie 1 month apart, as --freq ME says"),
        (["--freq", "B"], "'B' is no even step"),
        (["--timezone", "Europe/Belin"], "--timezone Europe/Belin: no such zone"),
        (["--models", "oracle"], "No model is called oracle"),
        (["--origins", "0"], "0 origins are none"),
        (["--horizon", "300"], "No series could be scored over 300 steps"),
    ],
)
def test_a_bad_option_gets_a_clear_error(
    write: Write, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    panel = str(write(long()))
    assert words in refused(capsys, "backtest", "--panel", panel, *arguments)
    if arguments != ["--horizon", "300"]:  # what cannot be scored may still be forecast
        assert words in refused(capsys, "forecast", "--panel", panel, *arguments)


def test_a_test_file_that_does_not_go_on_gets_a_clear_error(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    panel = str(write(long()))
    assert "has no value of s0, s1 within 48 steps from 2026-01-11 16:00:00 on" in refused(
        capsys, "backtest", "--panel", panel, "--actuals", panel
    )


def test_files_that_are_none_get_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "none.csv" in refused(capsys, "forecast", "--panel", str(tmp_path / "none.csv"))
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 and no more")
    assert "cannot be read" in refused(capsys, "forecast", "--panel", str(torn))
    blank = tmp_path / "blank.csv"
    blank.write_text("")
    assert "cannot be read" in refused(capsys, "forecast", "--panel", str(blank))


@pytest.mark.parametrize("name", ["NA", "001", "nan", "[b]"])
def test_a_series_keeps_its_name_from_csv_to_report_and_back(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "panel.csv", tmp_path / "told.csv"
    pd.concat([long(series=1).assign(series_id=name), long(series=1).tail(3).assign(series_id=f"{name}1")]).to_csv(
        path, index=False
    )
    report = backtested(
        tmp_path, "--panel", str(path), "--horizon", "6", "--origins", "1", "--models", "seasonal_naive_6"
    )
    assert list(report["series"]) == [name]
    assert f"refused {name}1: 3 usable values" in capsys.readouterr().out
    assert (
        command.main(["forecast", "--panel", str(path), "--season", SEASON, "--horizon", "3", "--out", str(out)]) == 0
    )
    assert pd.read_csv(out, dtype=str, keep_default_na=False)["series_id"].tolist() == [name] * 3
    assert f"refused {name}1: 3 usable values" in capsys.readouterr().err


def test_what_is_broken_in_one_series_refuses_that_one_with_its_reason(write: Write, tmp_path: Path) -> None:
    frame, stray = long(), long(series=1).assign(series_id="stray")
    broken = long(series=1).assign(series_id="broken", y=lambda rows: rows["y"].where(rows.index != 7, np.inf))
    stray.loc[stray.index[-1], "ts"] = pd.Timestamp("9999-12-31")
    report = backtested(
        tmp_path,
        "--panel",
        str(write(pd.concat([frame, broken, stray]))),
        "--horizon",
        "6",
        "--origins",
        "1",
        "--models",
        "seasonal_naive_6",
    )
    reasons = {one["series_id"]: one["reason"] for one in report["refused"]}
    assert set(reasons) == {"broken", "stray"}
    assert reasons["broken"] == "y = 'inf' in row 327 is not finite (rows count from 0)"
    assert "ts = 9999-12-31 00:00:00 in row 639 lies beyond the calendar" in reasons["stray"]
    assert set(report["series"]) == {"s0", "s1"}


def ragged() -> pd.DataFrame:
    """s0 and s1 of 160 hours, young with the last 70 of them, holed with none for 43 hours near its end, short with but
    20 that end early.
    """
    one = long(series=1)
    young, holed = (
        one.tail(70).assign(series_id="young"),
        one.assign(series_id="holed", y=one["y"].where((one.index < 116) | (one.index == 159))),
    )
    return pd.concat([long(), young, holed, one.head(20).assign(series_id="short")])


def test_origins_are_those_that_were_scored_and_what_was_not_has_its_reason(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = backtested(
        tmp_path, "--panel", str(write(ragged())), "--horizon", "20", "--origins", "4", "--models", "seasonal_naive_6"
    )
    assert (report["origins"], report["origins_asked"]) == (4, 4)
    assert {name: one["origins"] for name, one in report["series"].items()} == {
        "s0": 4,
        "s1": 4,
        "young": 3,
        "holed": 3,
    }
    assert report["refused"] == [
        {"series_id": "short", "reason": "20 steps are too few: an origin needs 12 before it and 20 after it"}
    ]
    assert report["notes"] == [
        "1 series ends before the panel does (2026-01-11 15:00:00), and forecasts begin at each one's own end: short (2026-01-05 19:00:00)",
        "2 series were scored at fewer origins than the 4 asked for, for want of history or of values: holed (3), young (3)",
    ]
    assert "4 series, 4 origins, 20 steps" in capsys.readouterr().out


def test_a_short_history_says_that_it_was_scored_less_than_was_asked(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = backtested(
        tmp_path, "--panel", str(write(long(40))), "--horizon", "12", "--origins", "5", "--models", "seasonal_naive_6"
    )
    assert (report["origins"], report["origins_asked"]) == (3, 5)
    assert {name: one["origins"] for name, one in report["series"].items()} == {"s0": 3, "s1": 3}
    assert "2 series, 3 of 5 origins, 12 steps" in capsys.readouterr().out


def test_a_series_that_is_too_young_at_every_origin_is_refused_with_its_reason(write: Write, tmp_path: Path) -> None:
    panel = str(write(pd.concat([long(series=1), long(series=1).tail(35).assign(series_id="young")])))
    report = backtested(tmp_path, "--panel", panel, "--horizon", "30", "--origins", "1", "--models", "seasonal_naive_6")
    assert report["refused"] == [
        {"series_id": "young", "reason": "35 steps are too few: an origin needs 12 before it and 30 after it"}
    ]
    assert report["series"].keys() == {"s0"}


def test_seconds_of_the_series_add_up_to_those_of_all(write: Write, tmp_path: Path) -> None:
    report = backtested(
        tmp_path, "--panel", str(write(long(series=3))), "--horizon", "12", "--origins", "1", "--models", "prophet_map"
    )
    for place, row in enumerate(report["models"]):
        shares = [one["models"][place]["seconds"] for one in report["series"].values()]
        assert sum(shares) == pytest.approx(row["seconds"], abs=0.003)
        assert max(shares) < row["seconds"]


def test_a_test_file_without_one_series_refuses_that_one_alone(write: Write, tmp_path: Path) -> None:
    whole = long(STEPS + 12, series=4)
    known = whole["ts"] < whole["ts"].min() + pd.Timedelta(hours=STEPS)
    came = whole[~known & (whole["series_id"] != "s1")]
    came = pd.concat(
        [came.assign(y=came["y"].where(came["series_id"] != "s2", np.inf)), came.tail(12).assign(series_id="new")]
    )
    test = write(came)
    report = backtested(
        tmp_path,
        "--panel",
        str(write(whole[known])),
        "--actuals",
        str(test),
        "--horizon",
        "12",
        "--models",
        "seasonal_naive_6",
    )
    assert set(report["series"]) == {"s0", "s3"}
    assert {one["series_id"]: one["reason"] for one in report["refused"]} == {
        "s1": f"{test.name} has no value of it within 12 steps from 2026-01-11 16:00:00 on",
        "s2": f"{test.name}: y = 'inf' in row 12 is not finite (rows count from 0; 11 more are like it)",
    }
    assert report["notes"] == [f"{test.name}: 1 of its series is not in the panel, and not scored: new"]


def told(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The JSON of a forecast that must succeed."""
    out = tmp_path / "forecast.json"
    assert command.main(["forecast", *arguments, "--season", SEASON, "--json", str(out)]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_forecast_writes_the_models_that_are_asked_for_beside_the_licensed_one(write: Write, tmp_path: Path) -> None:
    panel, table = str(write(long())), tmp_path / "told.csv"
    report = told(
        tmp_path, "--panel", panel, "--horizon", "4", "--models", "blend, seasonal_naive_6", "--out", str(table)
    )
    rows = pd.read_csv(table)
    assert rows.columns.tolist() == [
        "series_id",
        "model",
        "ts",
        "yhat",
        "q025",
        "q10",
        "q25",
        "q50",
        "q75",
        "q90",
        "q975",
    ]
    assert rows["model"].tolist() == [
        name for _ in range(2) for name in ("licensed", "blend", "seasonal_naive_6") for _ in range(4)
    ]
    assert [one["model"] for one in report["models"]] == ["licensed", "blend", "seasonal_naive_6"]
    assert (report["horizon"], report["step"], report["season"], report["origins_asked"], report["refused"]) == (
        4,
        "0 days 01:00:00",
        [6, 42],
        8,
        [],
    )
    assert all(licence["sentence"] for one in report["series"].values() for licence in one["licences"])
    again = pd.DataFrame(report["forecasts"])
    pd.testing.assert_frame_equal(again.assign(ts=again["ts"].str.replace("T", " ")), rows, check_dtype=False)
    naive = rows[(rows["model"] == "seasonal_naive_6") & (rows["series_id"] == "s0")]
    np.testing.assert_allclose(naive["yhat"], long()["y"].to_numpy()[154:158], rtol=1e-6)
    alone = told(tmp_path, "--panel", panel, "--horizon", "4", "--out", str(table))
    assert "model" not in pd.read_csv(table)
    assert alone["forecasts"] == [row for row in report["forecasts"] if row["model"] == "licensed"]


def test_json_to_standard_output_is_all_that_is_written_there(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        command.main(
            ["forecast", "--panel", str(write(long(series=1))), "--season", SEASON, "--horizon", "3", "--json", "-"]
        )
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert [row["ts"] for row in report["forecasts"]] == [
        "2026-01-11T16:00:00",
        "2026-01-11T17:00:00",
        "2026-01-11T18:00:00",
    ]


def test_forecast_says_what_is_untested_what_ends_early_and_what_has_no_forecast(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    early = long(60, series=1).assign(series_id="early")
    report = told(
        tmp_path,
        "--panel",
        str(write(pd.concat([long(), early]))),
        "--horizon",
        "96",
        "--models",
        "boosted_trees_daily",
    )
    assert report["notes"][0] == (
        "1 series ends before the panel does (2026-01-11 15:00:00), and forecasts begin at each one's own end: early (2026-01-07 11:00:00)"
    )
    untested = (
        "untested beyond 24 steps (1-7 d), where too few past origins reach, so that nothing is proven there: early"
    )
    assert untested in report["notes"]
    assert "no forecast by boosted_trees_daily, which needs more history or more series: early, s0, s1" in [
        ": ".join([note.split(": ")[0], ", ".join(sorted(note.split(": ")[1].split(", ")))]) for note in report["notes"]
    ]
    assert {row["model"] for row in report["forecasts"]} == {"licensed"}
    assert [one["origins"] > 0 for one in report["series"]["s0"]["licences"]] == [True, True]
    assert untested in capsys.readouterr().err


def test_series_that_end_at_different_times_share_their_evidence(write: Write, tmp_path: Path) -> None:
    early = long(100, series=1).assign(series_id="early")
    report = told(tmp_path, "--panel", str(write(pd.concat([long(), early]))), "--horizon", "6")
    alone = told(tmp_path, "--panel", str(write(early)), "--horizon", "6")
    licence = report["series"]["early"]["licences"][0]
    assert licence["origins"] >= alone["series"]["early"]["licences"][0]["origins"]
    assert [row["ts"] for row in report["forecasts"] if row["series_id"] == "early"] == [
        row["ts"] for row in alone["forecasts"]
    ]
    together = long(100, series=2).assign(ts=lambda rows: rows["ts"] + pd.Timedelta(hours=60))
    moved = together.assign(
        ts=together["ts"].where(together["series_id"] == "s0", together["ts"] - pd.Timedelta(hours=42))
    )
    first, second = (told(tmp_path, "--panel", str(write(frame)), "--horizon", "6") for frame in (together, moved))
    assert first["series"] == second["series"]


def test_forecast_says_where_nothing_at_all_is_tested(write: Write, tmp_path: Path) -> None:
    report = told(tmp_path, "--panel", str(write(long(13, series=1))), "--horizon", "6")
    assert report["notes"] == [
        "untested at any step (0-24 h), where too few past origins reach, so that nothing is proven there: s0"
    ]


def test_the_origins_of_a_forecast_are_the_past_that_chooses(write: Write, tmp_path: Path) -> None:
    panel = str(write(long(400, series=1)))
    few, many = (
        told(tmp_path, "--panel", panel, "--horizon", "6", "--origins", count)["series"]["s0"]["licences"][0]
        for count in ("1", "4")
    )
    assert few["origins"] == 7
    assert many["origins"] == 28


def test_an_unknown_ending_is_refused_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no ending that is known" in refused(
        capsys, "forecast", "--panel", str(tmp_path / "none"), "--out", "told.xlsx"
    )


def test_every_model_may_be_named() -> None:
    names = known_models((24, 168))
    assert {
        "licensed",
        "blend",
        "prophet",
        "prophet_map",
        "seasonal_naive_24",
        "seasonal_naive_168",
        "seasonal_median",
    } <= set(names)
    assert len(names) == len(set(names))
