"""`python -m data`: what it says, what it returns, and that a fault is one line and never a trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from data import console as printing
from data.__main__ import COMMANDS, main
from data.lake.tables import Lake
from tests.data.ingest.ingest_frames import held, sites, telemetry, with_column, write

ROOT = Path(__file__).resolve().parents[3]
Said = tuple[int, str, str]
Run = Callable[..., Said]
TAKEN_IN = "sites: 1 row taken in\ntelemetry: 3 rows taken in, 2026-03-02 00:00 to 2026-03-02 00:10 UTC\n2 snapshots: 2 taken in\n"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the lake of this test: code, what was said, what was complained of."""
    monkeypatch.setenv("HEADROOM_LAKE", str(tmp_path / "lake"))

    def run(*arguments: str | Path) -> Said:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A catalogue and some telemetry."""
    write(tmp_path / "in" / "sites.parquet", sites("a"))
    return write(tmp_path / "in" / "t.parquet", telemetry()).parent


def test_ingest_tells_what_it_took_in(run: Run, inbox: Path, tmp_path: Path) -> None:
    assert run("ingest", inbox) == (0, TAKEN_IN, "")
    assert run("ingest", inbox)[1] == "2 snapshots: 2 known already\n"
    assert Lake(tmp_path / "lake").read("telemetry_1d").num_rows == 3


def test_ingest_says_what_is_wrong_and_where_it_lies(run: Run, inbox: Path, tmp_path: Path) -> None:
    (inbox / "bad.csv").write_bytes(b"")
    write(inbox / "u.parquet", with_column(telemetry(), "egress_gbps", [1.0, -2.0, 1.0]))
    code, said, _ = run("ingest", inbox)
    assert code == 1
    assert "bad.csv: unknown, refused\n  file: 0 bytes where the contract allows a Parquet or CSV file" in said
    assert (
        "u.parquet: telemetry, taken in but for some rows\n  column 'egress_gbps': -2.0 where the contract allows at least 0 Gbps (1 rows)"
        in said
    )
    assert f"kept at {tmp_path}/quarantine/" in said
    assert said.endswith("4 snapshots: 2 taken in, 1 taken in but for some rows, 1 refused\n")


def test_check_writes_nothing(run: Run, inbox: Path, tmp_path: Path) -> None:
    assert run("check", inbox)[:2] == (
        0,
        "sites: 1 row sound\ntelemetry: 3 rows sound, 2026-03-02 00:00 to 2026-03-02 00:10 UTC\n2 snapshots: 2 sound\n",
    )
    write(inbox / "u.parquet", telemetry("b"))
    code, said, _ = run("check", inbox)
    assert code == 1
    assert "column 'site_id': b where the contract allows a site of the lake, which knows 1 (3 rows)" in said
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_check_does_not_look_for_sites_where_nobody_names_any(run: Run, inbox: Path) -> None:
    assert run("check", inbox / "t.parquet")[0] == 0


def test_options_say_how_to_read(run: Run, tmp_path: Path) -> None:
    table = pa.table({"pop": ["a"], "t": pa.array([0], pa.timestamp("s")).cast(pa.timestamp("s")), "out": [5000.0]})
    path = write(tmp_path / "x.parquet", with_column(table, "t", pa.array([1772409600], pa.timestamp("s"))))
    run("ingest", write(tmp_path / "s" / "sites.parquet", sites("a")))
    options = [
        "--table",
        "telemetry",
        "--map",
        "pop=site_id",
        "--map",
        "t=ts",
        "--map",
        "out*0.001=egress_gbps",
        "--constant",
        "ingest_gbps=1",
        "--timezone",
        "Europe/Berlin",
    ]
    assert run("ingest", path, *options)[0] == 0
    [(site, stamp, egress)] = held(Lake(tmp_path / "lake"))
    assert (site, stamp.isoformat(), egress) == ("a", "2026-03-01T23:00:00+00:00", 5.0)


def test_status_tells_the_state_of_the_lake(run: Run, inbox: Path, tmp_path: Path) -> None:
    assert (
        run("status")[1]
        .splitlines()[1]
        .startswith("  holds nothing yet: take snapshots in with `python -m data ingest PATH`")
    )
    (inbox / "bad.csv").write_bytes(b"")
    run("ingest", inbox)
    code, said, _ = run("status")
    assert code == 0
    assert "telemetry            version      1               3 rows" in said
    assert "telemetry 2026-03-02 00:00 to 2026-03-02 00:10 UTC" in said
    assert "quarantine: 1 snapshots, 1 faults" in said
    state = json.loads(run("status", "--json")[1])
    assert {table["table"]: table["rows"] for table in state["tables"]}["telemetry"] == 3
    assert state["telemetry"]["newest"] == "2026-03-02T00:10:00+00:00"
    assert state["telemetry"]["age_seconds"] > 0
    assert {entry["state"] for entry in state["ingests"]} == {"accepted", "refused"}
    assert state["quarantine"] == {"snapshots": 1, "faults": 1}


def test_status_of_a_lake_that_is_not_there_makes_none(run: Run, tmp_path: Path) -> None:
    assert run("status", "--json")[0] == 0
    assert os.listdir(tmp_path) == []


def test_maintain_and_rollup(run: Run, inbox: Path, tmp_path: Path) -> None:
    run("ingest", inbox)
    code, said, _ = run("vacuum")
    assert code == 0
    assert "telemetry: 0 files compacted, 0 deleted\n" in said
    assert run("ingest", inbox)[1] == "2 snapshots: 2 known already\n"  # what was taken in is remembered through upkeep
    assert run("rollup")[1] == "1 dates rolled up\n"
    code, _, complained = run("vacuum", "--keep-days", "1")
    assert code == 2
    assert complained.startswith("python -m data vacuum: A retention of 1 day, 0:00:00 is shorter than the safe 7 days")
    assert complained.endswith("Remedy: use 7 days or more.\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("ingest", "/nowhere.parquet"),
            "python -m data ingest: /nowhere.parquet: no such file or folder. Likely cause:",
        ),
        (("ingest", ".", "--map", "x"), "python -m data ingest: --map x: not of the form theirs=ours."),
        (
            ("ingest", ".", "--recipe", "soup"),
            "python -m data ingest: --recipe soup: cannot be read. Likely cause: no such recipe or file. Remedy: use abilene, p2p_live",
        ),
        (
            ("ingest", ".", "--recipe", "abilene", "--timezone", "UTC"),
            "python -m data ingest: --recipe stands beside other options of reading.",
        ),
        (("watch", "--interval", "0"), "python -m data watch: --interval 0: not above 0."),
    ],
)
def test_a_fault_of_usage_is_one_line(run: Run, arguments: tuple[str, ...], complaint: str) -> None:
    code, said, complained = run(*arguments)
    assert (code, said) == (2, "")
    assert complained.startswith(complaint)
    assert complained.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["soup"], ["ingest"], ["ingest", ".", "--table", "soup"], ["status", "--soup"]]
)
def test_unknown_words_are_a_fault_of_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: python -m data" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert "options:" in capsys.readouterr().out


def test_a_lake_that_cannot_be_written_is_one_line(run: Run, inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the lake should be")
    code, _, complained = run("ingest", inbox)
    assert code == 2
    assert complained.startswith("python -m data ingest: ")
    assert complained.count("\n") == 1


def test_names_are_printed_as_they_are_without_control(run: Run, inbox: Path) -> None:
    (inbox / "[red]x\x1b[31m.csv").write_bytes(b"")
    _, said, _ = run("ingest", inbox)
    assert "[red]x" in said
    assert "\x1b" not in said


def test_watch_once_takes_in_what_lies_there(run: Run, inbox: Path, tmp_path: Path) -> None:
    for path in inbox.iterdir():
        os.utime(path, (0, time.time() - 60))
    assert run("watch", inbox, "--once")[:2] == (0, TAKEN_IN)
    assert len(held(Lake(tmp_path / "lake"))) == 3


def test_watch_goes_on_until_it_is_told_to_end(inbox: Path, tmp_path: Path) -> None:
    for path in inbox.iterdir():
        os.utime(path, (0, time.time() - 60))
    command = [sys.executable, "-m", "data", "watch", str(inbox), "--interval", "0.1", "--lake", str(tmp_path / "lake")]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    assert lines[2].endswith("2 snapshots: 2 taken in\n")
    late = write(inbox / "late.parquet", telemetry(egress=90.0))
    os.utime(late, (0, time.time() - 60))
    assert "telemetry: 3 rows taken in" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, complained = process.communicate(timeout=60)
    assert (process.returncode, complained) == (130, "")


def test_bars_are_drawn_where_somebody_looks_and_not_where_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(printing, "console", lambda **_: Console(stderr=True, force_terminal=True, width=100))
    for quiet, drawn in ((False, True), (True, False)):
        with printing.ProgressBars(quiet=quiet) as bars:
            bars.update("Snapshots", 1, 2)
            bars.update("Hourly and daily figures", 3, 3)
        said = capsys.readouterr().err
        assert ("Snapshots" in said, "50%" in said, "Hourly and daily figures" in said) == (drawn, drawn, drawn)


def test_demo_is_the_simulators(run: Run, tmp_path: Path) -> None:
    assert run("demo", "--sites", "2", "--days", "1", "--lake", tmp_path / "lake")[0] == 0
    assert Lake(tmp_path / "lake").read("sites").num_rows == 2
