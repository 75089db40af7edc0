"""Simulations written down: the same bytes each time, a live run that continues its batch, and the command."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.lake.tables import Lake
from data.schema import INPUT_TABLES, TABLES, validate
from data.schema.errors import SettingError
from data.simulator import Simulation, SimulationOptions, publish, simulate
from data.simulator.command import add_arguments, run
from data.simulator.options import SIMULATOR_MARK, TICK, minutes
from data.simulator.publish import (
    SAMPLE_OPTIONS,
    LakeOutlet,
    TickPace,
    resume_simulation,
    run_live,
    sample_tables,
    write_folder,
    write_lake,
    write_samples,
)

SAMPLES = Path(__file__).resolve().parents[3] / "data" / "samples"
END = datetime(2026, 3, 29, 0, 10, tzinfo=UTC)  # minutes after midnight, and hours before clocks change in Europe
PLAN = SimulationOptions(end=END, sites=5, days=1, seed=11, incident_rate=8.0)
ORDER = [("site_id", "ascending"), ("ts", "ascending")]


def silent(what: str, done: int, total: int) -> None:
    assert 0 < done <= total, what


def telemetry(plan: SimulationOptions) -> pa.Table:
    return arranged(simulate(plan))


def arranged(simulation: Simulation) -> pa.Table:
    """The telemetry of a simulation in one order."""
    return pa.concat_tables(simulation.telemetry_days()).sort_by(ORDER)


def same(kept: pa.Table, made: pa.Table) -> bool:
    """Whether a lake's table holds the values that were made; the lake itself does not say which columns may be
    null.
    """
    return bool(kept.cast(made.schema).equals(made))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def command(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(word) for word in words]))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 11), ("again", 11), ("other", 12)):
        write_folder(simulate(replace(PLAN, seed=seed)), tmp_path / name, silent)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "again")
    different = {
        name for name, digest in hashes(tmp_path / "one").items() if hashes(tmp_path / "other").get(name) != digest
    }
    assert {"telemetry-2026-03-28.parquet", "events.parquet", "capacity.parquet"} <= different


def test_a_folder_holds_a_snapshot_a_day_and_each_says_that_it_is_simulated(tmp_path: Path) -> None:
    rows = write_folder(simulate(PLAN), tmp_path, silent)
    names = {path.stem for path in tmp_path.iterdir()}
    assert names == {
        "sites",
        "capacity",
        "events",
        "links",
        *(f"{table}-2026-03-{day}" for table in ("telemetry", "flows") for day in (28, 29)),
    }
    assert all(
        pq.read_schema(path).metadata[b"source"].startswith(f"{SIMULATOR_MARK}:".encode())
        for path in tmp_path.iterdir()
    )
    assert rows == sum(pq.read_metadata(path).num_rows for path in tmp_path.glob("telemetry-*"))


@given(st.integers(1, 600), st.integers(0, 4), st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_batches_agree_wherever_they_start_and_end(ticks: int, earlier_days: int, seed: int) -> None:
    short = SimulationOptions(end=END, sites=3, days=1, seed=seed, incident_rate=5.0)
    long = replace(short, end=END + ticks * TICK, days=1 + earlier_days + 3, anchor=short.anchored)
    wanted = telemetry(long)
    span = pc.and_(
        pc.greater_equal(wanted["ts"], pa.scalar(short.start)),
        pc.less_equal(wanted["received_at"], pa.scalar(END + timedelta(minutes=1))),
    )
    assert wanted.filter(pc.and_(span, pc.less(wanted["ts"], pa.scalar(END)))).equals(telemetry(short))


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6), st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_live_ticks_and_their_batch_are_a_longer_batch(gaps: list[int], seed: int) -> None:
    batch = simulate(replace(PLAN, seed=seed))
    parts, flows, since = list(batch.telemetry_days()), [day.flows for day in batch.days()], batch.last
    for gap in gaps:
        until = since + 5 * gap
        parts.append(batch.received(since, until))
        flows.append(batch.flows_between(since, until))
        since = until
    longer = simulate(batch.options).until(since)
    assert pa.concat_tables(parts).sort_by(ORDER).equals(arranged(longer))
    keys = [(name, "ascending") for name in TABLES["flows"].key]
    assert (
        pa.concat_tables(flows).sort_by(keys).equals(pa.concat_tables(day.flows for day in longer.days()).sort_by(keys))
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake(tmp_path_factory.mktemp("simulated") / "lake")
    write_lake(simulate(PLAN), made, silent)
    return made


def test_a_lake_holds_the_simulation_and_says_so(lake: Lake) -> None:
    simulation = simulate(PLAN)
    for name in ("sites", "capacity", "events", "links"):
        assert same(lake.read(name), publish.small_table(simulation, name)), name
    assert same(lake.read("telemetry").sort_by(ORDER), telemetry(PLAN))
    assert same(lake.read("simulated_incidents"), simulation.truth())
    (entry,) = lake.read("snapshots").to_pylist()
    assert entry["source"] == PLAN.source
    assert (entry["rows"], entry["last_ts"]) == (telemetry(PLAN).num_rows, END - TICK)
    assert validate(TABLES["snapshots"], lake.read("snapshots")).faults == []
    assert lake.read("telemetry_1h").num_rows > 0


def test_a_large_simulation_is_committed_in_pieces_and_is_the_same(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "COMMIT_SITE_DAYS", 5)
    pieces = Lake(tmp_path / "lake")
    write_lake(simulate(PLAN), pieces, silent)
    assert len(pieces.history("telemetry")) == len(lake.history("telemetry")) + 1
    assert pieces.read("telemetry").sort_by(ORDER).equals(lake.read("telemetry").sort_by(ORDER))


def test_a_demo_that_was_killed_is_made_anew(lake: Lake, tmp_path: Path) -> None:
    half = Lake(tmp_path / "lake")
    half.append("telemetry", telemetry(replace(PLAN, seed=99)))
    assert (
        command(
            "--lake",
            half.url,
            "--sites",
            5,
            "--days",
            1,
            "--seed",
            11,
            "--incident-rate",
            8,
            "--end",
            "2026-03-29T00:10Z",
            "--if-empty",
        )
        == 0
    )
    assert half.read("telemetry").sort_by(ORDER).equals(lake.read("telemetry").sort_by(ORDER))


def test_a_live_run_goes_on_where_another_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = Lake(tmp_path / "lake")
    first = (
        "--lake",
        lake.url,
        "--sites",
        5,
        "--days",
        1,
        "--seed",
        11,
        "--incident-rate",
        8,
        "--end",
        "2026-03-29T00:10Z",
        "--live",
        "--interval",
        0,
    )
    assert command(*first, "--ticks", 2) == 0
    assert command("--lake", lake.url, "--live", "--interval", 0, "--ticks", 1) == 0
    assert "holds a simulated network up to 2026-03-29 00:20 UTC" in capsys.readouterr().err
    longer = simulate(PLAN).until(minutes(END) + 15)
    assert same(lake.read("telemetry").sort_by(ORDER), arranged(longer))
    assert lake.read("snapshots").num_rows == 4
    hour = END.replace(minute=0)
    rolled = [
        row["samples"] for row in lake.read("telemetry_1h").to_pylist() if row["level"] == "site" and row["ts"] == hour
    ]
    assert sum(rolled) == pc.sum(pc.greater_equal(arranged(longer)["ts"], pa.scalar(hour))).as_py() > 5


def test_a_tick_that_was_killed_before_the_ledger_is_not_appended_again(tmp_path: Path) -> None:
    lake, simulation = Lake(tmp_path / "lake"), simulate(PLAN)
    write_lake(simulation, lake, silent)
    since = simulation.last
    LakeOutlet(lake).put(simulation, since, since + 5)
    once = lake.read("telemetry").num_rows
    lake.replace("snapshots", lake.read("snapshots").slice(0, 0))
    LakeOutlet(lake).put(simulation, since, since + 5)
    assert lake.read("telemetry").num_rows == once
    assert lake.read("snapshots").num_rows == 1


def test_new_events_are_announced_once(tmp_path: Path) -> None:
    lake, simulation = Lake(tmp_path / "lake"), simulate(PLAN)
    write_lake(simulation, lake, silent)
    after, week = simulation.last, 7 * 24 * 60
    LakeOutlet(lake).put(simulation, after, after + week)
    LakeOutlet(lake).put(simulation, after + week, after + week + 5)
    events = lake.read("events")["event_id"].to_pylist()
    assert len(set(events)) == len(events) > simulation.events.num_rows


def test_live_snapshots_land_in_a_folder_whole(tmp_path: Path) -> None:
    assert (
        command(
            "--out",
            tmp_path,
            "--sites",
            5,
            "--days",
            1,
            "--seed",
            11,
            "--incident-rate",
            8,
            "--end",
            "2026-03-29T00:10Z",
            "--live",
            "--interval",
            0,
            "--ticks",
            2,
        )
        == 0
    )
    ticks = sorted(tmp_path.glob("telemetry-2026-03-29T*.parquet"))
    assert [path.stem for path in ticks] == ["telemetry-2026-03-29T0015", "telemetry-2026-03-29T0020"]
    together = pa.concat_tables(pq.read_table(path).replace_schema_metadata() for path in tmp_path.glob("telemetry-*"))
    assert together.sort_by(ORDER).equals(arranged(simulate(PLAN).until(minutes(END) + 10)))
    assert not list(tmp_path.glob(".*"))


def test_a_live_run_that_was_away_catches_up_with_one_tick() -> None:
    told: list[tuple[int, int]] = []

    class Notebook:
        def put(self, simulation: Simulation, since: int, until: int) -> int:
            told.append((since, until))
            return 0

    ended = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    assert run_live(simulate(replace(PLAN, end=ended)), Notebook(), TickPace(ticks=1), lambda until, rows: None) == 1
    ((since, until),) = told
    assert since == minutes(ended)
    assert 170 <= until - since <= 245
    assert until % 5 == 0


def test_ctrl_c_ends_a_live_run_in_peace() -> None:
    class Interrupted:
        def put(self, simulation: Simulation, since: int, until: int) -> int:
            raise KeyboardInterrupt

    assert run_live(simulate(PLAN), Interrupted(), TickPace(pause_seconds=0), lambda until, rows: None) == 0


def test_a_lake_that_holds_something_is_left_alone(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingError, match=r"holds 1 snapshots already\..*Remedy: name another with --lake"):
        command("--lake", lake.url, "--sites", 3, "--days", 1)
    assert command("--lake", lake.url, "--if-empty") == 0
    foreign = Lake(tmp_path / "lake")
    foreign.append("snapshots", publish.ledger_row("inbox/real.parquet", 1, END, END))
    assert resume_simulation(foreign) is None
    with pytest.raises(SettingError, match=r"holds 1 snapshots already"):
        command("--lake", foreign.url, "--live", "--if-empty", "--sites", 3, "--days", 1)
    assert command("--lake", foreign.url, "--if-empty") == 0
    assert foreign.version("telemetry") is None
    assert "holds telemetry already" in capsys.readouterr().err


def test_an_end_that_is_no_time_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("--end", "yesterday")
    assert "'yesterday' is no ISO time" in capsys.readouterr().err


def test_the_samples_are_what_the_simulator_makes(tmp_path: Path) -> None:
    fresh = sample_tables()
    assert set(fresh) == set(INPUT_TABLES) == {path.stem for path in SAMPLES.iterdir()}
    for name, table in fresh.items():
        kept = pq.read_table(SAMPLES / f"{name}.parquet").replace_schema_metadata()
        assert kept.equals(table), f"data/samples/{name}.parquet is out of date: `make samples` writes it anew"
        assert validate(TABLES[name], kept, now=SAMPLE_OPTIONS.end).faults == []
    assert command("--samples", tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in SAMPLES.iterdir()}


def test_the_samples_are_small_and_show_every_kind_of_incident(tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 200_000
    assert set(simulate(SAMPLE_OPTIONS).truth()["kind"].to_pylist()) == {
        "outage",
        "failover",
        "surge",
        "congestion",
        "starvation",
        "gap",
        "late",
    }
    for name in ("one", "again"):
        write_samples(tmp_path / name)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "again")
