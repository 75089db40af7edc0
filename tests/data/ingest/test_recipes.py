"""Recipes: those of the documentation run on the real data sets, and give the lakes that they promise."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from data.__main__ import main
from data.ingest.recipes import load_recipe, recipe_names
from data.lake.tables import Lake
from data.schema.errors import SettingError
from tests.data.ingest.ingest_frames import held, telemetry, write

ROOT = Path(__file__).resolve().parents[3]
MARK = r"<!-- run by tests/data/ingest/test_recipes\.py: (\w+) -->\n```sh\n(.*?)```"
DOCUMENTED = [
    (name, block.strip().splitlines())
    for name, block in re.findall(MARK, (ROOT / "docs" / "import-recipes.md").read_text(encoding="utf-8"), re.DOTALL)
]


def made(commands: list[str], lake: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The lake that the commands make, none of which may refuse anything."""
    monkeypatch.chdir(ROOT)
    for command in commands:
        words = shlex.split(command.replace("$DATASETS", str(datasets)).replace("$LAKE", str(lake)))
        assert words[:3] == ["python", "-m", "data"]
        assert main([*words[3:], "--quiet"]) == 0, command
    return Lake(lake)


def counts(lake: Lake) -> dict[str, int]:
    return {
        name: lake.read(name).num_rows
        for name in ("sites", "capacity", "links", "telemetry", "flows", "events", "quarantine")
    }


@pytest.mark.real
@pytest.mark.parametrize(
    "commands", [block for name, block in DOCUMENTED if name == "abilene"], ids=["by hand", "by recipe"]
)
def test_abilene_becomes_a_lake(
    commands: list[str], tmp_path: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = made(commands, tmp_path / "lake", datasets, monkeypatch)
    assert counts(lake) == {
        "sites": 12,
        "capacity": 24,
        "links": 15,
        "telemetry": 48_384,
        "flows": 580_608,
        "events": 0,
        "quarantine": 0,
    }
    source = pq.read_table(datasets / "abilene" / "traffic.parquet")
    table = lake.read("telemetry")
    for theirs, ours in (("ingress_gbps", "ingest_gbps"), ("egress_gbps", "egress_gbps")):
        assert pc.sum(table[ours]).as_py() == pytest.approx(pc.sum(source[theirs].cast("double")).as_py())
    assert pc.max(table["egress_gbps"]).as_py() == pytest.approx(3.0604, abs=1e-4)
    assert table["viewers"].null_count == table.num_rows
    assert pc.max(lake.read("flows")["gbps"]).as_py() == pytest.approx(2.5143, abs=1e-4)
    assert sorted(set(lake.read("links")["capacity_gbps"].to_pylist())) == [2.48, 9.92]
    steps = {(row["site_id"], row["direction"]): row["capacity_gbps"] for row in lake.read("capacity").to_pylist()}
    assert steps["ATLAng", "egress"] == steps["ATLAng", "ingest"] == 32.24
    assert lake.read("telemetry_1d").num_rows == 14 * (12 + 1 + 1)


@pytest.mark.real
@pytest.mark.parametrize(
    "commands", [block for name, block in DOCUMENTED if name == "p2p_live"], ids=["by hand", "by recipe"]
)
def test_p2p_live_becomes_a_lake(
    commands: list[str], tmp_path: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = made(commands, tmp_path / "lake", datasets, monkeypatch)
    assert counts(lake) == {
        "sites": 17,
        "capacity": 0,
        "links": 0,
        "telemetry": 17 * 46 * 288,
        "flows": 0,
        "events": 0,
        "quarantine": 0,
    }
    source = pq.read_table(datasets / "p2p_live" / "by_country_5min.parquet")
    table = lake.read("telemetry")
    for theirs, ours in (
        ("p2p_out_gbps", "ingest_gbps"),
        ("p2p_in_gbps", "egress_gbps"),
        ("active_receivers", "viewers"),
    ):
        assert pc.sum(table[ours]).as_py() == pytest.approx(pc.sum(source[theirs].cast("double")).as_py())
    assert pc.max(table["viewers"]).as_py() == 671
    assert table["rebuffer_ratio"].null_count == table.num_rows
    [row] = [row for row in lake.read("snapshots").to_pylist() if row["table"] == "telemetry"]
    assert (row["rows"], row["rows_accepted"]) == (182_112, 182_112)  # the zeros are ours
    assert {row["site_id"]: row["name"] for row in lake.read("sites").to_pylist()}[
        "other"
    ] == "Other countries (no one place)"


def test_every_recipe_is_documented_both_ways() -> None:
    assert sorted(name for name, _ in DOCUMENTED) == sorted(recipe_names() * 2)


def recipe(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_of_ones_own_reads_each_file_its_way(tmp_path: Path) -> None:
    path = recipe(
        tmp_path,
        """
        also = ["pops.csv"]
        [[step]]
        files = "pops.csv"
        table = "sites"
        constant = ["lat=1", "lon=2", "region_id=eu"]
        [[step]]
        files = "t-*.parquet"
        map = ["egress_gbps*10=egress_gbps"]
    """,
    )
    (tmp_path / "pops.csv").write_text("site_id,name\na,A\n")
    write(tmp_path / "in" / "t-1.parquet", telemetry(count=1))
    write(tmp_path / "in" / "other.parquet", telemetry(count=9))
    assert main(["ingest", str(tmp_path / "in"), "--recipe", str(path), "--lake", str(tmp_path / "lake")]) == 0
    assert [row[2] for row in held(Lake(tmp_path / "lake"))] == [100.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[step", "Expected|not TOML"),
        ("", r"holds no \[\[step\]\]"),
        ("x = 1\n[[step]]\nfiles = 'a'", r"holds no \[\[step\]\], or more than steps and `also`"),
        ("[[step]]\ntable = 'sites'", "a step names no files"),
        (
            "[[step]]\nfiles = 'a'\nmaps = []",
            "a step knows no 'maps'.*Remedy: use constant, encoding, epoch, files, map, missing-rows, table, timezone",
        ),
        ("[[step]]\nfiles = 'a'\ntable = 'soup'", "--table soup: not a table that snapshots feed"),
        ("[[step]]\nfiles = 'a'\nmissing-rows = 'gone'", "--missing-rows gone: neither null nor zero"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_an_error_at_once(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        load_recipe(str(recipe(tmp_path, text)))
