"""Opening the store: where it lies, how it comes up to date, what stands in the way; several dashboards at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from data.schema.errors import SettingError, StoreError
from data.store import Scenarios, Store, database, open_store, store_url
from data.store.database import METADATA, VERSION_TABLE

ROOT = Path(__file__).resolve().parents[3]
BODY = {"changes": [{"kind": "growth", "metric": "egress_gbps", "factor": 1.2}], "policy": {"limit": 0.8}}
# Opens a store that may not exist yet, then adds its own changes one by one to a scenario that others write to as well.
WRITER = """
import sys
from data.schema.errors import ConflictError
from data.store import Scenarios, open_store

url, who = sys.argv[1:]
scenarios = Scenarios(open_store(url))
print("ready", flush=True)
seen = scenarios.get(sys.stdin.readline().strip())
for number in range(8):
    while True:
        try:
            changes = [*seen.body["changes"], {"kind": "growth", "who": who, "number": number}]
            seen = scenarios.save(seen.id, seen.revision, {**seen.body, "changes": changes}, author=who)
            break
        except ConflictError as conflict:
            seen = conflict.theirs
"""


@pytest.fixture
def no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADROOM_STORE", raising=False)


@pytest.mark.usefixtures("no_setting")
def test_a_store_lies_beside_its_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_url("var/lake") == f"sqlite:///{tmp_path}/var/scenarios.db"
    assert store_url("s3://network/lake") == f"sqlite:///{tmp_path}/var/scenarios.db"
    monkeypatch.setenv("HEADROOM_STORE", "postgresql://planner@db/headroom")
    assert store_url("var/lake") == "postgresql://planner@db/headroom"


@pytest.mark.usefixtures("no_setting")
def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a ?b#c%41 ü"
    open_store(store_url(str(folder / "lake"))).close()
    assert (folder / "scenarios.db").is_file()


def test_a_new_store_has_the_tables_that_the_code_knows(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
        assert set(METADATA.tables) < set(inspect(connection).get_table_names())


def test_a_store_keeps_what_it_holds_when_it_is_opened_again(store_place: str) -> None:
    first = open_store(store_place)
    made = Scenarios(first).create("Growth", BODY, lake="/lake")
    first.close()
    second = open_store(store_place)
    assert Scenarios(second).listed() == [made]
    second.close()


def test_threads_that_open_a_new_store_at_once_all_get_it(store_place: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_store, [store_place] * 8))
    made = [Scenarios(one).create(f"Growth {n}", BODY, lake="/lake").id for n, one in enumerate(opened)]
    assert {one.id for one in Scenarios(opened[0]).listed()} == set(made)
    for one in opened:
        one.close()


def test_processes_that_open_and_write_at_once_lose_nothing(store_place: str) -> None:
    command = [sys.executable, "-c", WRITER, store_place]
    writers = [
        subprocess.Popen([*command, f"writer {n}"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    assert [writer.stdout.readline() for writer in writers if writer.stdout] == ["ready\n", "ready\n"]
    store = open_store(store_place)
    made = Scenarios(store).create("Shared", {"changes": [], "policy": {}}, lake="/lake")
    for writer in writers:
        assert writer.stdin
        writer.stdin.write(f"{made.id}\n")
        writer.stdin.flush()
    assert [(writer.communicate(timeout=120), writer.returncode)[1] for writer in writers] == [0, 0]
    kept = Scenarios(store).get(made.id)
    assert sorted((c["who"], c["number"]) for c in kept.body["changes"]) == [
        (f"writer {n}", number) for n in range(2) for number in range(8)
    ]
    assert [one.revision for one in Scenarios(store).history(made.id)] == list(range(17, 0, -1))
    store.close()


# What stands in the way
# ----------------------------------------------------------------------------------------------------


def test_a_store_of_a_newer_program_is_refused_and_left_alone(store_place: str) -> None:
    store = open_store(store_place)
    with store.writing() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0999'"))
    with pytest.raises(
        StoreError,
        match=r"has the form '0999'; this program knows forms up to '\d{4}'.*a newer version of Headroom has used the store",
    ):
        open_store(store_place)
    with store.reading() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one() == "0999"
    store.close()


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "scenarios.db"
    path.write_text("not a database, " * 100)
    with pytest.raises(
        StoreError, match=r"scenarios.db cannot be used: file is not a database.*name another place in HEADROOM_STORE"
    ):
        open_store(f"sqlite:///{path}")
    assert path.read_text() == "not a database, " * 100


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"The folder of .* cannot be made.*name another place in HEADROOM_STORE"):
        open_store(f"sqlite:///{tmp_path}/file/scenarios.db")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mysql://u:secret@h/d", "of the kind 'mysql'"),
        ("scenarios.db", "cannot be read"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_an_address_that_is_not_usable_is_refused_without_its_password(url: str, found: str) -> None:
    with pytest.raises(
        SettingError, match=f"HEADROOM_STORE names .*{found}.*use sqlite:///PATH or postgresql://"
    ) as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(
        StoreError, match=r"postgresql.*u:\*\*\*@127.0.0.1:1/d cannot be used: .*the server does not answer"
    ) as refused:
        open_store("postgresql://u:secret@127.0.0.1:1/d")
    assert "secret" not in str(refused.value)


def test_a_store_that_somebody_holds_says_so_and_is_well_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    scenarios = Scenarios(open_store(f"sqlite:///{tmp_path}/scenarios.db"))
    with closing(sqlite3.connect(tmp_path / "scenarios.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"cannot be used: database is locked.*somebody holds a lock on it"):
            scenarios.create("Growth", BODY, lake="/lake")
        assert scenarios.listed() == []
    made = scenarios.create("Growth", BODY, lake="/lake")
    assert scenarios.listed() == [made]
    scenarios.store.close()
