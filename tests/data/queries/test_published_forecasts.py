"""What a run published is seen once its row is in `runs`, and only that of the newest run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from data import queries
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.schema import QUANTILES, Series
from tests.lakes import RUN, Plan, full_lake

NOW = pd.Timestamp(Plan().end)
DAY = pd.Timedelta(days=1)
FRANKFURT = Series("site", "fra-01", "egress_gbps")


def test_the_newest_run(full: Lake) -> None:
    run = queries.latest_run(full.pin(), EVERYTHING)
    assert run is not None
    assert (run.run_id, run.number, run.engine, run.fitted, run.refused, run.failed, run.seconds) == (
        RUN,
        1,
        "prophet",
        26,
        3,
        0,
        12.5,
    )
    assert (run.telemetry_version, run.telemetry_until) == (full.version("telemetry"), NOW)
    assert queries.runs(full.pin(), EVERYTHING)["run_id"].tolist() == [RUN]


def test_forecasts_cover_the_range_in_order(full: Lake) -> None:
    found = queries.forecast(full.pin(), EVERYTHING, FRANKFURT, NOW, NOW + 2 * DAY)
    assert list(found.columns) == ["ts", "yhat", *QUANTILES, "prophet", "baseline"]
    assert found[["prophet", "baseline"]].isna().all(axis=None)
    assert found["ts"].tolist() == list(pd.date_range(NOW.ceil("h"), NOW + 2 * DAY, freq="h"))
    assert (found[list(QUANTILES)].diff(axis=1).iloc[:, 1:] > 0).all(axis=None)


def test_bands_cover_the_recent_past_and_the_near_future(full: Lake) -> None:
    found = queries.bands(full.pin(), EVERYTHING, FRANKFURT, NOW - DAY, NOW + DAY)
    assert list(found.columns) == ["ts", "expected", "lower_80", "upper_80", "lower_95", "upper_95"]
    assert len(found) == 2 * 288


def test_a_series_that_was_refused_says_why(full: Lake) -> None:
    assert queries.fit(full.pin(), EVERYTHING, FRANKFURT) == queries.Fit("fitted", None, "prophet", 384, 0.5)
    refused = queries.fit(full.pin(), EVERYTHING, Series("site", "dfw-01", "egress_gbps"))
    assert refused is not None
    assert (refused.status, refused.reason) == ("refused", "too little to go on")
    assert queries.fit(full.pin(), EVERYTHING, Series("site", "nowhere", "egress_gbps")) is None


def test_without_a_run_everything_is_empty_in_its_columns(partial: Lake) -> None:
    pin = partial.pin()
    assert queries.latest_run(pin, EVERYTHING) is None
    assert queries.fit(pin, EVERYTHING, FRANKFURT) is None
    assert queries.runs(pin, EVERYTHING).empty
    for found in (
        queries.forecast(pin, EVERYTHING, FRANKFURT, NOW, NOW + DAY),
        queries.bands(pin, EVERYTHING, FRANKFURT, NOW, NOW + DAY),
    ):
        assert found.empty
        assert str(found["ts"].dtype) == "datetime64[us, UTC]"


def test_a_run_is_invisible_until_its_row_is_there(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=2, days=2, flows=False, gap=None))
    before = queries.forecast(lake.pin(), EVERYTHING, FRANKFURT, NOW, NOW + DAY)
    for table in ("forecasts", "bands", "series_status"):
        lake.append(table, _as_run(lake.read(table), "run-0002", 3.0))
    pd.testing.assert_frame_equal(queries.forecast(lake.pin(), EVERYTHING, FRANKFURT, NOW, NOW + DAY), before)
    assert queries.sites_now(lake.pin(), EVERYTHING)["peak_28d_mid"].max() < 200
    row = lake.read("runs").to_pylist()[0]
    lake.append("runs", pa.Table.from_pylist([{**row, "run_id": "run-0002", "number": 2}], lake.read("runs").schema))
    assert queries.forecast(lake.pin(), EVERYTHING, FRANKFURT, NOW, NOW + DAY)["yhat"].tolist() == pytest.approx(
        (before["yhat"] * 3).tolist()
    )
    assert queries.runs(lake.pin(), EVERYTHING)["run_id"].tolist() == ["run-0002", RUN]
    assert len(queries.runs(lake.pin(), EVERYTHING, 1)) == 1


def _as_run(rows: pa.Table, run: str, factor: float) -> pa.Table:
    frame = rows.to_pandas()
    scaled = {name: frame[name] * factor for name in ("yhat", *QUANTILES, "expected") if name in frame}
    return pa.Table.from_pandas(frame.assign(run_id=run, **scaled), rows.schema, preserve_index=False)
