"""A refresh publishes one run, whole or not at all, and tells how it goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.lake.query import EVERYTHING
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake, files
from data.queries import bands, fit, forecast, latest_run, runs
from data.schema import TABLES, Series, validate
from data.schema.errors import HeadroomError, LakeError, SettingError
from forecasting.models.engine import EngineResult, ForecastOptions, refused_result
from forecasting.panel.panel import Panel
from forecasting.refresh import refresh
from forecasting.refresh.publishing import new_run_id, write
from tests.forecasting.networks import NOW, Here, Steady, steady

ALL = Series("global", "all", "egress_gbps")
FRA = Series("site", "fra-01", "egress_gbps")
LATER = NOW + pd.Timedelta(days=91)


def go(lake: Lake, engine: Any = None, **more: Any) -> Any:
    """One refresh in this process."""
    return refresh(lake, engine=engine or Steady(), executor=Here(), **more)


def test_every_demand_of_every_site_region_and_the_network_is_forecast(lake: Lake) -> None:
    engine = Steady()
    summary = go(lake, engine)
    expected = {
        f"{level}/egress_gbps"
        for level in ("site/fra-01", "site/ams-01", "site/nrt-01", "region/eu", "region/asia", "global/all")
    }
    expected |= {f"{level}/ingest_gbps" for level in ("site/fra-01", "region/eu", "global/all")}
    assert {str(series) for series in engine.met[0].series} == expected
    assert summary.count("fitted") == len(expected)


def test_levels_agree_and_samples_stand_beside_the_hours(lake: Lake) -> None:
    engine = Steady()
    go(lake, engine)
    panel = engine.met[0]
    sites = sum(panel.hourly["site", site, "egress_gbps"] for site in ("fra-01", "ams-01", "nrt-01"))
    assert panel.hourly[ALL].to_numpy() == pytest.approx(sites.to_numpy())
    assert panel.samples[ALL].resample("h").mean().to_numpy() == pytest.approx(panel.hourly[ALL].to_numpy())
    assert panel.grain == pd.Timedelta(minutes=15)
    assert (panel.now, panel.start) == (NOW, NOW)


def test_what_is_published_can_be_asked_for_and_keeps_the_contract(lake: Lake) -> None:
    go(lake)
    pin = lake.pin()
    assert len(forecast(pin, EVERYTHING, FRA, NOW, LATER)) == 90 * 24
    assert len(bands(pin, EVERYTHING, FRA, NOW - pd.Timedelta(days=14), NOW + pd.Timedelta(days=2))) == 16 * 96
    found = fit(pin, EVERYTHING, FRA)
    assert found is not None
    assert (found.status, found.model) == ("fitted", "steady")
    for name in ("forecasts", "bands", "series_status", "runs"):
        assert validate(TABLES[name], lake.read(name), now=datetime.now(UTC)).faults == []


def test_the_panel_engine_is_chosen_by_its_name_and_keeps_the_contract(lake: Lake) -> None:
    summary = refresh(lake, engine="panel", executor=Here())
    pin = lake.pin()
    assert (summary.count("fitted"), runs(pin, EVERYTHING).iloc[0]["engine"]) == (9, "panel")
    assert len(forecast(pin, EVERYTHING, FRA, NOW, LATER)) == 90 * 24
    for name in ("forecasts", "bands", "series_status", "runs"):
        assert validate(TABLES[name], lake.read(name), now=datetime.now(UTC)).faults == []


def test_the_run_says_what_it_knew_and_how_it_was_made(lake: Lake) -> None:
    summary = go(lake)
    row = runs(lake.pin(), EVERYTHING).iloc[0]
    assert (row["number"], row["run_id"], row["engine"]) == (1, summary.run_id, "steady")
    assert (row["telemetry_version"], row["telemetry_until"]) == (lake.version("telemetry"), NOW)
    assert (row["fitted"], row["refused"], row["failed"]) == (9, 0, 0)
    assert set(json.loads(row["versions"])) == {"python", "prophet", "cmdstanpy", "pandas", "numpy", "scikit-learn"}
    assert datetime.now(UTC) - row["started"] < timedelta(minutes=5)


def test_numbers_count_up_and_identifiers_sort_by_start(lake: Lake) -> None:
    first, second = go(lake), go(lake)
    assert (first.number, second.number) == (1, 2)
    assert new_run_id(datetime(2026, 9, 1, 23, 59, 59, tzinfo=UTC)) < new_run_id(datetime(2026, 10, 1, tzinfo=UTC))
    assert first.run_id != second.run_id


class Mixed(Steady):
    """Refuses the network, fails at one site."""

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        for result in super().forecast(panel, plan, executor):
            series = Series(*result.series_status.iloc[0, :3])
            if series.level == "global":
                yield refused_result(series, "too little")
            elif series == FRA:
                yield refused_result(series, "RuntimeError: it broke", "failed")
            else:
                yield result


def test_a_series_that_fails_is_a_recorded_reason_and_the_run_goes_on(lake: Lake) -> None:
    summary = go(lake, Mixed())
    assert [summary.count(status) for status in ("fitted", "refused", "failed")] == [6, 2, 1]
    pin = lake.pin()
    found = fit(pin, EVERYTHING, FRA)
    assert found is not None
    assert (found.status, found.reason) == ("failed", "RuntimeError: it broke")
    assert forecast(pin, EVERYTHING, FRA, NOW, LATER).empty
    assert str(summary).startswith("Run 1 published in")
    assert "6 fitted, 2 refused, 1 failed" in str(summary)


class Breaking(Steady):
    """Dies after two series."""

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        parts = super().forecast(panel, plan, executor)
        yield next(parts)
        yield next(parts)
        raise HeadroomError("A worker process died.", cause="no memory left", remedy="use fewer workers")


def test_a_refresh_that_fails_leaves_the_last_run_and_says_why(lake: Lake) -> None:
    first = go(lake)
    with pytest.raises(
        HeadroomError, match=r"A worker process died. Likely cause: no memory left. Remedy: use fewer workers."
    ):
        go(lake, Breaking())
    last = latest_run(lake.pin(), EVERYTHING)
    assert last is not None
    assert last.run_id == first.run_id
    note = lake.read_note("refresh")
    assert note is not None
    assert (note["state"], note["done"], note["total"]) == ("failed", 2, 9)
    assert "Remedy: use fewer workers." in note["message"]


def test_the_note_counts_the_series_and_ends_with_the_run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[dict[str, Any]] = []
    written = Lake.write_note

    def listening(self: Lake, name: str, content: Any) -> None:
        notes.append(dict(content))
        written(self, name, content)

    monkeypatch.setattr(Lake, "write_note", listening)
    monkeypatch.setattr("forecasting.refresh.run.NOTE_EVERY_SECONDS", 0.0)
    go(lake)
    assert [note["done"] for note in notes] == [0, 0, *range(1, 10), 9]
    assert [note["state"] for note in notes] == ["running"] * 11 + ["done"]
    assert notes[-1]["message"].startswith("Run 1 published")
    assert all(datetime.fromisoformat(note["updated"]).tzinfo for note in notes)


def test_notes_are_written_about_once_a_second(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    monkeypatch.setattr(Lake, "write_note", lambda *_: count.append(1))
    monkeypatch.setattr("forecasting.refresh.run.NOTE_EVERY_SECONDS", 3600.0)
    go(lake)
    assert len(count) == 3


class Twice(Steady):
    """Gives its first series once more, at the end or in the same part."""

    def __init__(self, *, at_once: bool) -> None:
        super().__init__()
        self._at_once = at_once

    def forecast(self, panel: Panel, plan: ForecastOptions, executor: Executor) -> Iterator[EngineResult]:
        parts = list(super().forecast(panel, plan, executor))
        if self._at_once:
            parts[0] = parts[0]._replace(forecasts=pd.concat([parts[0].forecasts, parts[0].forecasts.tail(1)]))
        yield from parts if self._at_once else [*parts, parts[0]]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_run_that_would_hold_a_key_twice_is_not_published(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    monkeypatch.setattr("forecasting.refresh.publishing.BATCH", 1)
    first = go(lake)
    with pytest.raises(
        LakeError,
        match=r"The table forecasts would hold rows of global/all/egress_gbps twice in one run; nothing was published",
    ):
        go(lake, Twice(at_once=at_once))
    last = latest_run(lake.pin(), EVERYTHING)
    assert last is not None
    assert last.run_id == first.run_id


def test_two_refreshes_at_once_both_publish_under_numbers_of_their_own(lake: Lake) -> None:
    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda _: go(lake), range(3)))
    assert sorted(summary.number for summary in done) == [1, 2, 3]
    assert sorted(runs(lake.pin(), EVERYTHING)["number"]) == [1, 2, 3]


def held_runs(lake: Lake, name: str) -> set[str | None]:
    return {run_id for _, run_id in files(lake.url, name, lake.version(name) or 0)}


def test_rows_of_old_runs_are_deleted_and_their_history_is_kept(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecasting.refresh.publishing.KEEP_RUNS", 2)
    ids = [go(lake).run_id for _ in range(4)]
    for name in ("forecasts", "bands", "series_status"):
        assert held_runs(lake, name) == set(ids[1:])
    assert len(runs(lake.pin(), EVERYTHING)) == 4


def test_rows_of_dead_runs_are_deleted_and_those_of_a_run_in_the_making_are_not(lake: Lake) -> None:
    now = datetime.now(UTC)
    dead, making = new_run_id(now - timedelta(days=2)), new_run_id(now - timedelta(hours=1))
    for run_id in (dead, making, "left-by-hand"):
        list(
            write(
                lake,
                run_id,
                [
                    steady(
                        ALL, 1.0, pd.date_range(NOW, periods=3, freq="h"), pd.date_range(NOW, periods=3, freq="15min")
                    )
                ],
            )
        )
    summary = go(lake)
    assert held_runs(lake, "forecasts") == {making, summary.run_id}
    assert held_runs(lake, "series_status") == {making, summary.run_id}


def test_a_lake_without_telemetry_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"holds no telemetry to forecast from.*python -m data ingest PATH"):
        go(Lake(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_hourly_figures_that_are_behind_are_named_with_the_command_that_mends_them(lake: Lake) -> None:
    stamps = pd.date_range(NOW + pd.Timedelta(days=2), periods=8, freq="15min", unit="us")
    more = pd.DataFrame(
        {"ts": stamps, "received_at": stamps, "site_id": "fra-01", "egress_gbps": 1.0, "ingest_gbps": 1.0}
    )
    lake.append("telemetry", pa.Table.from_pandas(more, preserve_index=False))
    with pytest.raises(
        LakeError,
        match=r"The hourly figures end at 2026-03-20 11:00 UTC, the telemetry at 2026-03-22 14:00 UTC.*python -m data rollup",
    ):
        go(lake)


def test_rows_without_values_at_the_end_are_a_silence_and_no_missing_rollup(lake: Lake) -> None:
    stamps = pd.date_range(NOW, NOW + pd.Timedelta(days=2), freq="15min", unit="us", inclusive="left")
    empty = pd.DataFrame(
        {"ts": stamps, "received_at": stamps, "site_id": "fra-01", "egress_gbps": np.nan, "ingest_gbps": np.nan}
    )
    lake.append("telemetry", pa.Table.from_pandas(empty, preserve_index=False))
    engine = Steady()
    go(lake, engine)
    assert engine.met[0].now == NOW + pd.Timedelta(days=2)
    assert engine.met[0].hourly[FRA].last_valid_index() == NOW - pd.Timedelta(hours=1)


def test_telemetry_without_any_demand_is_refused_with_the_columns_that_lack(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    nothing = pd.DataFrame(
        {"ts": [NOW], "received_at": [NOW], "site_id": ["fra-01"], "egress_gbps": [np.nan], "ingest_gbps": [np.nan]}
    )
    lake.append("telemetry", pa.Table.from_pandas(nothing, preserve_index=False))
    refresh_rollups(lake)
    with pytest.raises(LakeError, match=r"has no value of egress_gbps, ingest_gbps, viewers.*fill one of them"):
        go(lake)


@pytest.mark.parametrize("workers", [0, -1, 1000])
def test_a_number_of_workers_that_makes_no_sense_is_refused(lake: Lake, workers: int) -> None:
    with pytest.raises(SettingError, match=rf"{workers} worker processes are not possible: from 1 to 256"):
        refresh(lake, engine=Steady(), workers=workers)
