"""Panels as people bring them: names, values, stamps and row numbers of all kinds are read for what they mean, or
refused for what they are.
"""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.schema.errors import SettingError
from forecasting.cli.panel_file import PanelFile, actuals, parts, read, seasons_of, sparse, steps

# What tools write where a value is missing; as names of series they are names.
MISSING = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "#NA",
    "NaN",
    "nan",
    "-NaN",
    "-nan",
    "NULL",
    "null",
    "None",
    "none",
    "<NA>",
    "NaT",
)
HOURS = pd.date_range("2026-01-05", periods=48, freq="h", unit="us")
# What a person may call a series: no control characters, which no CSV carries, and something to see.
NAMES = st.one_of(
    st.sampled_from(
        [name for name in MISSING if name] + ["001", "1", "1.0", "1e3", "True", " padded ", "a,b", 'quo"ted', "[b]"]
    ),
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8),
)


def frame_of(names: list[str]) -> pd.DataFrame:
    """Two hours of each."""
    return pd.DataFrame(
        {"series_id": np.repeat(names, 2), "ts": list(HOURS[:2]) * len(names), "y": np.arange(2.0 * len(names))}
    )


def one(y: object = None, **columns: object) -> pd.DataFrame:
    """Two days of hours of one series, but for what is named."""
    return pd.DataFrame({"series_id": "a", "ts": HOURS, "y": np.arange(48.0) if y is None else y} | columns)


def written(frame: pd.DataFrame, folder: Path, ending: str = ".csv") -> Path:
    path = folder / f"panel{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def fault(path: Path, freq: str | None = None) -> str:
    """What a file that must be refused is refused with."""
    with pytest.raises(SettingError) as caught:
        read(path, freq)
    assert "Likely cause: " in str(caught.value)
    assert "Remedy: " in str(caught.value)
    return str(caught.value)


def stamps_of(panel: PanelFile, name: str = "a") -> list[pd.Timestamp]:
    """The stamps of a series as the file has them."""
    rows = panel.frame[panel.frame["series_id"] == name]
    return list(panel.grid.written(name, rows["place"].to_numpy()))


def values(panel: PanelFile) -> list[float]:
    return list(panel.frame["y"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=1, max_size=6, unique=True), ending=st.sampled_from([".csv", ".parquet"]))
def test_no_series_loses_its_name_or_is_merged_with_another(tmp_path: Path, names: list[str], ending: str) -> None:
    panel = read(written(frame_of(names), tmp_path, ending))
    assert dict(panel.frame.groupby("series_id")["y"].sum()) == {
        name: 4.0 * place + 1.0 for place, name in enumerate(names)
    }
    assert sorted(name for part in parts(panel, ()) for name in part.names) == sorted(names)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("name", ["", "  ", None])
def test_a_row_without_a_series_is_named(tmp_path: Path, ending: str, name: str | None) -> None:
    frame = one(series_id=["a"] * 46 + [name] * 2)
    assert "names no series in row 46 (rows count from 0; 1 more is like it)" in fault(written(frame, tmp_path, ending))


@pytest.mark.parametrize("blank", MISSING)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_missing_value_is_missing_however_it_is_written(tmp_path: Path, blank: str, ending: str) -> None:
    panel = read(written(one(["1.5", blank, " 2 ", *["3"] * 45]), tmp_path, ending))
    np.testing.assert_array_equal(values(panel)[:4], [1.5, np.nan, 2.0, 3.0])
    assert panel.refused == {}


@pytest.mark.parametrize(("word", "ending"), [("12,5", ".csv"), ("5 Gbps", ".csv"), ("n/a!", ".parquet")])
def test_a_word_among_the_values_is_named_with_its_row_and_series(tmp_path: Path, word: str, ending: str) -> None:
    words = fault(written(one(["1"] * 7 + [word] + ["1"] * 40), tmp_path, ending))
    assert f"has y = '{word}' in row 7, series a, which is no number (rows count from 0). " in words


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bad=st.lists(st.integers(0, 47), min_size=1, max_size=4, unique=True),
    value=st.sampled_from(["inf", "-inf", "Infinity", "1e999", "1.8e308", "-3.4e38"]),
)
def test_an_infinite_value_refuses_its_series_alone(tmp_path: Path, bad: list[int], value: str) -> None:
    odd = one([value if place in bad else "1" for place in range(48)])
    panel = read(written(pd.concat([one(series_id="b"), odd]), tmp_path))
    more = {1: "", 2: "; 1 more is like it"}.get(len(bad), f"; {len(bad) - 1} more are like it")
    what = "not finite" if np.isinf(float(value)) else "beyond 1e+30"
    assert panel.refused == {"a": f"y = '{value}' in row {48 + min(bad)} is {what} (rows count from 0{more})"}
    assert [part.names for part in parts(panel, (), panel.refused)] == [("b",)]
    assert np.isfinite(panel.frame.loc[panel.frame["series_id"] == "b", "y"]).all()


@pytest.mark.parametrize(
    ("unit", "per_second"), [("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)]
)
@pytest.mark.parametrize(
    ("ending", "kind"), [(".csv", "int64"), (".parquet", "int64"), (".parquet", "float64"), (".parquet", "str")]
)
def test_times_since_1970_are_read_in_the_unit_of_their_size(
    tmp_path: Path, unit: str, per_second: int, ending: str, kind: str
) -> None:
    since = ((HOURS - pd.Timestamp("1970-01-01")) // pd.Timedelta(seconds=1)).to_numpy() * per_second
    panel = read(written(one(ts=pd.Series(since).astype(kind)), tmp_path, ending))
    assert stamps_of(panel) == list(HOURS)
    assert panel.notes == [
        f"ts holds numbers, which were read as {unit} since 1970 in UTC; the first is 2026-01-05 00:00:00"
    ]


@pytest.mark.parametrize(
    ("form", "freq"), [("%Y%m%d", "D"), ("%Y%m%d%H", "h"), ("%Y%m%d%H%M", "5min"), ("%Y%m%d%H%M%S", "5min")]
)
def test_dates_that_are_written_as_one_number_are_dates(tmp_path: Path, form: str, freq: str) -> None:
    stamps = pd.date_range("2026-01-05", periods=48, freq=freq, unit="us")
    panel = read(written(one(ts=stamps.strftime(form).astype("int64")), tmp_path))
    assert stamps_of(panel) == list(stamps)
    assert "which were read as %Y" in panel.notes[0]


@pytest.mark.parametrize(
    ("stamps", "words"),
    [
        (
            range(48),
            "has ts = 0 in row 0, and numbers below 100000000 are no times since 1970. Likely cause: row numbers",
        ),
        (np.arange(46027.0, 46027.0 + 48.0), "has ts = 46027.0 in row 0, and numbers below 100000000 are no times"),
        (
            [1767571200 + 3600 * place for place in range(47)] + [1767571200000000],
            "has ts = 1767571200000000 in row 47, which is no time (rows count from 0)",
        ),
        ([1767571200.0 + 3600.0 * place for place in range(47)] + [np.inf], "has ts = inf in row 47, which is no time"),
        ([1767571200.0 + 3600.0 * place for place in range(47)] + [np.nan], "has ts = nan in row 47, which is no time"),
    ],
)
def test_numbers_that_are_no_times_are_named(tmp_path: Path, stamps: list[float], words: str) -> None:
    assert words in fault(written(one(ts=stamps), tmp_path, ".parquet"))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (np.inf, "has a t that is no whole number: inf in row 47 (rows count from 0)"),
        (-np.inf, "has a t that is no whole number: -inf in row 47"),
        (np.nan, "has a t that is no whole number: nan in row 47"),
        (1.5, "has a t that is no whole number: 1.5 in row 47"),
        (1e18, "has t = 1e+18 in row 47, beyond the 70126511 rows of 0 days 01:00:00 that a calendar holds"),
        (-1e18, "has t = -1e+18 in row 47, beyond the 70126511 rows"),
    ],
)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_row_numbers_that_are_none_are_named(tmp_path: Path, number: float, words: str, ending: str) -> None:
    frame = one(t=np.array([*range(47), number], dtype=float)).drop(columns="ts")
    found = fault(written(frame, tmp_path, ending), "h").replace("'", "")
    assert (words.replace("nan", "") if ending == ".csv" else words) in found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.floats(), freq=st.sampled_from(["1s", "5min", "h", "D"]))
def test_any_number_among_the_rows_is_read_or_refused_in_words(tmp_path: Path, number: float, freq: str) -> None:
    path = written(one(t=[*range(47), number]).drop(columns="ts"), tmp_path, ".parquet")
    with suppress(SettingError):
        panel = read(path, freq)
        assert len(panel.frame) == 48 - (number in range(47))
        assert max(stamps_of(panel)) == max(number, 46)


@pytest.mark.parametrize(
    ("place", "stray", "words"),
    [
        (
            47,
            "9999-12-29 23:00:00",
            "9999-12-29 23:00:00 stands 69898441 steps after 2026-01-06 22:00:00, and nothing between them",
        ),
        (
            0,
            "1970-01-01 00:00:00",
            "1970-01-01 00:00:00 stands 490993 steps before 2026-01-05 01:00:00, and nothing between them",
        ),
    ],
)
def test_a_stamp_that_stands_far_off_refuses_its_series_and_is_named(
    tmp_path: Path, place: int, stray: str, words: str
) -> None:
    stamps = HOURS.strftime("%Y-%m-%d %H:%M:%S").to_numpy().copy()
    stamps[place] = stray
    panel = read(written(pd.concat([one(ts=stamps), one(series_id="b", ts=HOURS.astype(str))]), tmp_path))
    assert sparse(panel) == {"a": f"0% of the values since its first one are usable; at least 50% are needed: {words}"}
    assert [part.names for part in parts(panel, (), sparse(panel))] == [("b",)]


def test_a_row_number_that_stands_far_off_is_named_as_it_is_written(tmp_path: Path) -> None:
    panel = read(written(one(t=[*range(47), 60_000_000]).drop(columns="ts"), tmp_path), "h")
    assert sparse(panel)["a"].endswith("60000000 stands 59999954 steps after 46, and nothing between them")


def test_names_and_stamps_in_the_index_of_a_frame_are_columns_too(tmp_path: Path) -> None:
    path = tmp_path / "panel.parquet"
    one().set_index(["series_id", "ts"]).to_parquet(path)
    assert stamps_of(read(path)) == list(HOURS)


# Days and months -----------------------------------------------------------------------------------------------------


def ahead(panel: PanelFile, name: str, count: int = 3) -> list[str]:
    """The stamps that follow the last one of a series."""
    part = parts(panel, ())[0]
    return [str(stamp) for stamp in panel.grid.written(name, part.ahead(name, count))]


def daily(zone: str, start: str = "2024-02-01", days: int = 60, name: str = "a", freq: str = "D") -> pd.DataFrame:
    stamps = pd.date_range(start, periods=days, freq=freq).tz_localize(zone)
    return pd.DataFrame({"series_id": name, "ts": stamps, "y": np.arange(float(days))})


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("Europe/Berlin", "2024-04-03 22:00:00"),
        ("America/New_York", "2024-04-04 04:00:00"),
        ("Asia/Kolkata", "2024-04-03 18:30:00"),
        ("Pacific/Auckland", "2024-04-03 11:00:00"),
    ],
)
def test_days_of_a_local_clock_are_even_over_its_change(tmp_path: Path, zone: str, first: str, as_text: bool) -> None:
    frame = daily(zone, days=63)
    frame = frame.assign(ts=frame["ts"].map(pd.Timestamp.isoformat)) if as_text else frame
    for options in ((None, None), ("D", None), (None, zone)):
        panel = read(written(frame, tmp_path, ".csv" if as_text else ".parquet"), *options)
        assert list(panel.frame["place"]) == list(range(63))
        assert panel.grid.step == pd.Timedelta(days=1)
        assert ahead(panel, "a")[0] == first


def test_series_of_two_zones_stand_side_by_side_and_go_on_each_with_its_own_offset(tmp_path: Path) -> None:
    both = pd.concat(
        [
            daily(zone, days=63, name=zone).assign(ts=lambda rows: rows["ts"].dt.tz_convert("UTC"))
            for zone in ("Europe/Berlin", "America/New_York")
        ]
    )
    panel = read(written(both, tmp_path))
    assert ahead(panel, "Europe/Berlin", 1) == ["2024-04-03 22:00:00"]
    assert ahead(panel, "America/New_York", 1) == ["2024-04-04 04:00:00"]


def test_the_offset_changes_ahead_where_the_zone_is_named(tmp_path: Path) -> None:
    panel = read(written(daily("Europe/Berlin", days=58), tmp_path), None, "Europe/Berlin")
    assert ahead(panel, "a", 4) == [f"2024-03-{day} {hour}:00:00" for day, hour in ((29, 23), (30, 23), (31, 22))] + [
        "2024-04-01 22:00:00"
    ]


def test_blocks_of_hours_by_a_local_clock_need_its_zone(tmp_path: Path) -> None:
    frame = daily("Europe/Berlin", start="2024-03-20", days=80, freq="6h")
    path = written(frame, tmp_path)
    assert "the zone of that clock with --timezone" in fault(path)
    panel = read(path, None, "Europe/Berlin")
    assert list(panel.frame["place"]) == list(range(80))
    assert ahead(panel, "a", 2) == ["2024-04-08 22:00:00", "2024-04-09 04:00:00"]


@pytest.mark.parametrize(
    ("freq", "expected", "season"),
    [
        ("MS", ["2026-01-01", "2026-02-01", "2026-03-01"], (12,)),
        ("ME", ["2026-01-31", "2026-02-28", "2026-03-31"], (12,)),
        ("QS", ["2026-01-01", "2026-04-01", "2026-07-01"], (4,)),
        ("QE", ["2026-03-31", "2026-06-30", "2026-09-30"], (4,)),
        ("YS", ["2026-01-01", "2027-01-01", "2028-01-01"], ()),
        ("YE", ["2026-12-31", "2027-12-31", "2028-12-31"], ()),
        ("W-MON", ["2025-12-29", "2026-01-05", "2026-01-12"], (52,)),
    ],
)
def test_months_quarters_years_and_weeks_go_on_at_their_own_stamps(
    tmp_path: Path, freq: str, expected: list[str], season: tuple[int, ...]
) -> None:
    end = "2025-12-22" if freq == "W-MON" else "2025-12-31"
    stamps = pd.date_range(end=end, periods=110, freq=freq)
    path = written(pd.DataFrame({"series_id": "a", "ts": stamps.strftime("%Y-%m-%d"), "y": 1.0}), tmp_path)
    for named in (None, freq):
        panel = read(path, named)
        assert list(panel.frame["place"]) == list(range(110))
        assert ahead(panel, "a") == [f"{day} 00:00:00" for day in expected]
        assert seasons_of(panel) == season


def test_months_of_local_midnights_and_with_holes_are_months(tmp_path: Path) -> None:
    frame = daily("Europe/Berlin", "2020-01-01", 48, freq="MS").drop(index=[5, 6])
    panel = read(written(frame.assign(ts=frame["ts"].dt.tz_convert("UTC")), tmp_path))
    assert panel.frame["place"].tolist() == [place for place in range(48) if place not in (5, 6)]
    assert panel.grid.words == "1 month"
    assert ahead(panel, "a", 1) == ["2023-12-31 23:00:00"]


def test_four_weeks_are_no_month(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-01-01", periods=20, freq="28D")
    panel = read(written(pd.DataFrame({"series_id": "a", "ts": stamps, "y": 1.0}), tmp_path))
    assert (panel.grid.months, ahead(panel, "a", 1)) == (0, [str(stamps[-1] + pd.Timedelta(days=28))])


def test_actual_values_of_months_are_those_of_the_months_that_follow(tmp_path: Path) -> None:
    stamps = pd.date_range("2020-01-31", periods=60, freq="ME")
    frame = pd.DataFrame({"series_id": "a", "ts": stamps, "y": np.arange(60.0)})
    panel = read(written(frame.head(48), tmp_path))
    test = read(written(frame.tail(11), tmp_path), like=panel.grid)
    np.testing.assert_array_equal(actuals(test, parts(panel, ())[0], 4)[:, 0], [np.nan, 49.0, 50.0, 51.0])


@pytest.mark.parametrize(
    ("columns", "said"), [(("ds", "y"), ""), (("timestamp", "value"), ""), (("Date", "load"), "; load is its value")]
)
def test_times_and_values_alone_are_one_series_called_like_the_file(
    tmp_path: Path, columns: tuple[str, str], said: str
) -> None:
    frame = one()[["ts", "y"]].set_axis(list(columns), axis=1)
    panel = read(written(frame, tmp_path))
    assert panel.notes == [f"the file names no series: its rows are one, called panel{said}"]
    assert (stamps_of(panel, "panel"), values(panel)) == (list(HOURS), list(np.arange(48.0)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_panel_is_read_in_every_dialect(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = tmp_path / "panel.tsv.gz"
    text = one().rename(columns={"series_id": "Unique ID", "ts": "DS", "y": "Y"}).to_csv(index=False, sep=delimiter)
    path.write_bytes(gzip.compress(f"sep={delimiter}\n{text}".encode(encoding)))
    panel = read(path)
    assert (stamps_of(panel), values(panel)) == (list(HOURS), list(np.arange(48.0)))


def test_lines_that_are_no_rows_are_left_out_and_said(tmp_path: Path) -> None:
    path = written(one(), tmp_path)
    path.write_text(path.read_text() + "total,1128\n")
    panel = read(path)
    assert stamps_of(panel) == list(HOURS)
    assert panel.notes[0].startswith("1 line is no row and left out: line 50, total,1128 (needed: 3 fields")


def test_a_column_that_stands_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    one().assign(Y=1.0).rename(columns={"Y": "y "}).to_csv(path, index=False, header=["series_id", "ts", "y", "y"])
    assert "the column y stands twice" in fault(path)


def test_horizons_are_counted_in_months_and_default_to_the_step(tmp_path: Path) -> None:
    frames = {
        freq: pd.DataFrame({"series_id": "a", "ts": pd.date_range("2015-01-01", periods=60, freq=freq), "y": 1.0})
        for freq in ("MS", "QS", "W-MON", "D", "h")
    }
    grids = {freq: read(written(frame, tmp_path)).grid for freq, frame in frames.items()}
    assert [steps(None, grids[freq]) for freq in frames] == [12, 4, 13, 2, 48]
    assert [steps(text, grids["MS"]) for text in ("6", "6 months", "2q", "1year")] == [6, 6, 6, 12]
    assert steps("1 year", grids["D"]) == 365
