"""Editing capacity: checked, shown, kept as a version, taken back; two editors at once lose nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import queries
from data.ingest.run import upsert
from data.lake.maintenance import maintain
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake, conform
from data.schema import TABLES
from data.schema.errors import ConflictError, ContractError, LakeError
from data.store import capacity_edits
from data.store.capacity_edits import Draft, commit, difference, draft, onto_newest, opened, restore

START = pd.Timestamp("2026-01-01", tz="UTC")
NOW = pd.Timestamp("2026-03-01", tz="UTC")
LATER = pd.Timestamp("2026-09-01", tz="UTC")
NAN = float("nan")
ROWS = [("ams-01", "egress", START, 200.0), ("fra-01", "egress", START, 100.0), ("fra-01", "ingest", START, 10.0)]


def step(
    site: str,
    direction: str,
    at: pd.Timestamp,
    gbps: float,
    status: str | None = "installed",
    cost: float | None = None,
) -> dict[str, Any]:
    return {
        "site_id": site,
        "direction": direction,
        "effective_from": at,
        "capacity_gbps": gbps,
        "status": status,
        "cost_usd_month": cost,
    }


PLANNED = step("fra-01", "egress", LATER, 150.0, "planned", 900.0)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two sites with capacity, and telemetry that ends at NOW."""
    lake = Lake(tmp_path / "lake")
    lake.replace(
        "sites",
        pa.table(
            {
                "site_id": ["ams-01", "fra-01"],
                "name": ["A", "F"],
                "region_id": ["eu", "eu"],
                "lat": [1.0, 2.0],
                "lon": [1.0, 2.0],
            }
        ),
    )
    lake.replace("capacity", pa.Table.from_pylist([step(*row, status=None) for row in ROWS], TABLES["capacity"].schema))
    stamps = pa.array([NOW - pd.Timedelta(minutes=10), NOW - pd.Timedelta(minutes=5)], pa.timestamp("us", "UTC"))
    lake.append(
        "telemetry",
        pa.table(
            {
                "ts": stamps,
                "received_at": stamps,
                "site_id": ["fra-01"] * 2,
                "ingest_gbps": [1.0] * 2,
                "egress_gbps": [1.0] * 2,
            }
        ),
    )
    return lake


def edited(lake: Lake, *added: dict[str, Any], gbps: float | None = None, without: int | None = None) -> Draft:
    """A draft on the newest version: steps added, the first step's capacity changed, one step removed."""
    base, rows = opened(lake, EVERYTHING)
    rows = rows.drop(index=[without] if without is not None else [])
    if gbps is not None:
        rows.loc[0, "capacity_gbps"] = gbps
    return draft(lake, base, pd.concat([rows, pd.DataFrame(added)]) if added else rows, EVERYTHING)


def warned(made: Draft) -> list[tuple[str, str, int]]:
    return [(w.column, w.value, w.count) for w in made.warnings]


# Showing and keeping
# -------------------------------------------------------------------------------------------------------


def test_a_draft_shows_what_differs_and_keeps_nothing(lake: Lake) -> None:
    before = lake.version("capacity")
    made = edited(lake, PLANNED, gbps=250.0, without=2)
    assert (made.faults, made.warnings, made.base) == ([], [], before)
    found = made.difference.set_index("change")
    assert found["site_id"].to_dict() == {"changed": "ams-01", "added": "fra-01", "removed": "fra-01"}
    assert found["capacity_gbps_before"].to_dict() == pytest.approx(
        {"changed": 200.0, "added": NAN, "removed": 10.0}, nan_ok=True
    )
    assert found["capacity_gbps_after"].to_dict() == pytest.approx(
        {"changed": 250.0, "added": 150.0, "removed": NAN}, nan_ok=True
    )
    assert found.loc["added", "cost_usd_month_after"] == 900.0
    assert lake.version("capacity") == before


def test_a_kept_edit_is_a_version_that_pages_read(lake: Lake) -> None:
    before = lake.pin()
    version = commit(lake, edited(lake, PLANNED, gbps=250.0), author="Ada", note="Order 17")
    steps = queries.capacity_steps(lake.pin(), EVERYTHING, "site", "fra-01", "egress")
    assert steps[["capacity_gbps", "status"]].to_numpy().tolist() == [[100.0, "installed"], [150.0, "planned"]]
    assert queries.capacity_steps(lake.pin(), EVERYTHING, "site", "ams-01", "egress")["capacity_gbps"].tolist() == [
        250.0
    ]
    assert queries.capacity_steps(before, EVERYTHING, "site", "ams-01", "egress")["capacity_gbps"].tolist() == [200.0]
    newest = capacity_edits.history(lake).iloc[0]
    assert newest[["version", "kind", "author", "note", "added", "changed", "removed"]].tolist() == [
        version,
        "edit",
        "Ada",
        "Order 17",
        1,
        1,
        0,
    ]
    assert pd.isna(newest["restored"])


def test_an_edit_that_changes_nothing_is_no_version(lake: Lake) -> None:
    version = lake.version("capacity")
    made = edited(lake)
    assert made.difference.empty
    assert commit(lake, made, author="Ada") == version == lake.version("capacity")


def test_an_editors_empty_line_and_empty_status_are_no_faults(lake: Lake) -> None:
    made = edited(
        lake, dict.fromkeys(PLANNED), {**PLANNED, "status": None, "effective_from": NOW - pd.Timedelta(days=1)}
    )
    assert (made.faults, made.warnings) == ([], [])
    assert made.difference[["change", "status_after"]].to_numpy().tolist() == [["added", "installed"]]


def test_an_edit_can_be_undone_and_the_undo_too(lake: Lake) -> None:
    first = lake.version("capacity")
    rows = opened(lake, EVERYTHING).rows
    second = commit(lake, edited(lake, PLANNED, gbps=250.0), author="Ada")
    third = restore(lake, first or 0, second, author="Grace", note="Wrong site")
    pd.testing.assert_frame_equal(opened(lake, EVERYTHING).rows, rows)
    fourth = restore(lake, second, third, author="Ada")
    assert len(opened(lake, EVERYTHING).rows) == 4
    found = capacity_edits.history(lake).head(3)
    assert found["version"].tolist() == [fourth, third, second]
    assert found["kind"].tolist() == ["undo", "undo", "edit"]
    assert found["restored"].tolist() == [second, first, pd.NA]
    assert found["note"].tolist() == ["", "Wrong site", ""]


def test_a_version_that_is_gone_cannot_be_restored(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"at version 99 cannot be read"):
        restore(lake, 99, lake.version("capacity"), author="Ada")


def test_the_history_names_ingests_and_leaves_upkeep_out(lake: Lake) -> None:
    upsert(lake, TABLES["capacity"], {"mark": conform(TABLES["capacity"], pa.Table.from_pylist([PLANNED]))})
    maintain(lake)
    found = capacity_edits.history(lake)
    assert found["kind"].tolist() == ["other"] * 3
    assert found[["author", "note", "added"]].isna().all(axis=None)
    assert found["committed"].is_monotonic_decreasing


def test_a_lake_without_capacity_gets_its_first(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "new")
    base, rows = opened(lake, EVERYTHING)
    assert (base, len(rows)) == (None, 0)
    made = draft(lake, base, pd.DataFrame([PLANNED]), EVERYTHING)
    assert made.difference["change"].tolist() == ["added"]
    commit(lake, made, author="Ada")
    assert opened(lake, EVERYTHING).rows["capacity_gbps"].tolist() == [150.0]


def test_all_rows_can_be_removed(lake: Lake) -> None:
    base, rows = opened(lake, EVERYTHING)
    commit(lake, draft(lake, base, rows.head(0), EVERYTHING), author="Ada")
    assert len(opened(lake, EVERYTHING).rows) == 0


# Faults and warnings
# -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("added", "column", "bound"),
    [
        ({**PLANNED, "capacity_gbps": -1.0}, "capacity_gbps", "at least 0 Gbps"),
        ({**PLANNED, "capacity_gbps": None}, "capacity_gbps", "a value"),
        ({**PLANNED, "capacity_gbps": "lots"}, "capacity_gbps", "double"),
        ({**PLANNED, "site_id": '"><script>'}, "site_id", "a letter or digit"),
        ({**PLANNED, "direction": "both"}, "direction", "one of ingest, egress"),
        ({**PLANNED, "status": "ordered"}, "status", "one of installed, planned"),
        ({**PLANNED, "effective_from": START}, "effective_from", "one step at a time"),
        ({**PLANNED, "effective_from": "soon"}, "effective_from", "timestamp"),
    ],
)
def test_rows_that_cannot_be_kept_are_named(lake: Lake, added: dict[str, Any], column: str, bound: str) -> None:
    version = lake.version("capacity")
    made = edited(lake, added)
    assert [(f.column, bound in f.bound) for f in made.faults] == [(column, True)]
    with pytest.raises(ContractError, match=r"The edit has 1 faults; the first: column"):
        commit(lake, made, author="Ada")
    assert lake.version("capacity") == version
    assert onto_newest(lake, made, EVERYTHING).faults == made.faults


def test_what_is_seldom_meant_is_a_warning(lake: Lake) -> None:
    assert warned(edited(lake, step("fra-01", "egress", NOW - pd.Timedelta(days=9), 0.0))) == [
        ("capacity_gbps", "fra-01 egress from 2026-02-20 00:00", 1)
    ]
    assert warned(edited(lake, step("fra-01", "ingest", NOW - pd.Timedelta(days=9), 10.0))) == [
        ("capacity_gbps", "fra-01 ingest from 2026-02-20 00:00", 1)
    ]
    assert warned(edited(lake, step("far-01", "egress", START, 5.0))) == [
        ("site_id", "far-01 egress from 2026-01-01 00:00", 1)
    ]
    late = edited(lake, {**PLANNED, "effective_from": NOW})
    assert [(w.column, w.bound) for w in late.warnings] == [
        ("effective_from", "after 2026-03-01 00:00 UTC, the end of the telemetry, for a planned step")
    ]
    early = edited(lake, {**PLANNED, "status": "installed"})
    assert ["call it planned" in str(w) for w in early.warnings] == [True]


def test_warnings_are_of_the_edit_alone_and_stop_nothing(lake: Lake) -> None:
    closing = edited(lake, step("fra-01", "egress", NOW - pd.Timedelta(days=9), 0.0))
    commit(lake, closing, author="Ada")
    assert edited(lake, PLANNED).warnings == []


@pytest.mark.parametrize(("author", "note"), [("a\x00", ""), ("x" * 300, ""), ("Ada", "a\nb"), ("Ada", "x" * 501)])
def test_a_signature_that_cannot_be_kept_is_refused(lake: Lake, author: str, note: str) -> None:
    version = lake.version("capacity")
    with pytest.raises(ContractError, match=r"The (author|note)"):
        commit(lake, edited(lake, PLANNED), author=author, note=note)
    assert lake.version("capacity") == version


def test_an_editor_changes_only_the_sites_in_scope(lake: Lake) -> None:
    scope = Scope(frozenset({"fra-01"}))
    base, rows = opened(lake, scope)
    assert set(rows["site_id"]) == {"fra-01"}
    made = draft(lake, base, rows.head(1), scope)
    assert made.difference[["change", "site_id", "direction"]].to_numpy().tolist() == [["removed", "fra-01", "ingest"]]
    commit(lake, made, author="Ada")
    assert opened(lake, EVERYTHING).rows["site_id"].tolist() == ["ams-01", "fra-01"]
    strange = draft(lake, *opened(lake, EVERYTHING), scope)
    assert [(f.column, f.bound) for f in strange.faults] == [("site_id", "a site that you may edit")]


# Two editors
# ---------------------------------------------------------------------------------------------------------------


def test_the_second_editor_is_shown_what_changed(lake: Lake) -> None:
    mine, theirs = edited(lake, PLANNED), edited(lake, gbps=250.0)
    version = commit(lake, theirs, author="Grace")
    with pytest.raises(
        ConflictError,
        match=r"at version 2, and you edited version 1: 1 steps differ, ams-01 egress.*Grace wrote it at .* UTC",
    ) as met:
        commit(lake, mine, author="Ada")
    pd.testing.assert_frame_equal(met.value.yours, mine.difference)
    assert met.value.theirs[["change", "site_id", "capacity_gbps_after"]].to_numpy().tolist() == [
        ["changed", "ams-01", 250.0]
    ]
    assert lake.version("capacity") == version
    again = onto_newest(lake, mine, EVERYTHING)
    pd.testing.assert_frame_equal(again.difference, mine.difference)
    commit(lake, again, author="Ada")
    assert opened(lake, EVERYTHING).rows["capacity_gbps"].tolist() == [250.0, 100.0, 150.0, 10.0]


def test_two_who_change_the_same_step_must_decide(lake: Lake) -> None:
    mine, theirs = edited(lake, gbps=300.0), edited(lake, gbps=250.0)
    commit(lake, theirs, author="Grace")
    again = onto_newest(lake, mine, EVERYTHING)
    assert [(f.value, f.bound) for f in again.faults] == [
        ("ams-01 egress from 2026-01-01 00:00", "a step that nobody else has changed")
    ]
    with pytest.raises(ContractError, match="two people edited it at once"):
        commit(lake, again, author="Ada")
    with pytest.raises(ConflictError):
        restore(lake, 1, mine.base, author="Ada")


def test_an_ingest_meanwhile_is_a_conflict_and_upkeep_is_none(lake: Lake) -> None:
    mine = edited(lake, gbps=300.0)
    lake.replace("capacity", lake.read("capacity"))
    upsert(lake, TABLES["capacity"], {"mark": conform(TABLES["capacity"], pa.Table.from_pylist([PLANNED]))})
    with pytest.raises(ConflictError, match="an ingest wrote it"):
        commit(lake, mine, author="Ada")
    mine = edited(lake, gbps=300.0)
    lake.replace("capacity", lake.read("capacity"))
    commit(lake, mine, author="Ada")
    assert opened(lake, EVERYTHING).rows["capacity_gbps"].tolist() == [300.0, 100.0, 150.0, 10.0]


def test_editors_in_threads_lose_nothing(lake: Lake) -> None:
    def add(number: int) -> None:
        made = edited(
            lake, {**PLANNED, "effective_from": LATER + pd.Timedelta(days=number), "capacity_gbps": 150.0 + number}
        )
        while True:
            try:
                commit(lake, made, author=f"Editor {number}")
                break
            except ConflictError:
                made = onto_newest(lake, made, EVERYTHING)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    planned = opened(lake, EVERYTHING).rows.query("status == 'planned'")
    assert planned["capacity_gbps"].tolist() == [150.0 + number for number in range(4)]
    assert set(capacity_edits.history(lake).query("kind == 'edit'")["author"]) == {
        f"Editor {number}" for number in range(4)
    }


steps = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["egress", "ingest"]), st.integers(0, 2)),
    st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from(["installed", "planned"]), st.sampled_from([None, 1.0])),
)


@settings(max_examples=25)
@given(before=steps, after=steps)
def test_a_difference_is_what_dictionaries_say(before: dict[Any, Any], after: dict[Any, Any]) -> None:
    listed = [
        [step(k[0], k[1], START + pd.Timedelta(days=k[2]), *v) for k, v in held.items()] for held in (before, after)
    ]
    frames = [pa.Table.from_pylist(rows, TABLES["capacity"].schema).to_pandas() for rows in listed]
    found = difference(*frames)
    days = ((found["effective_from"] - START) / pd.Timedelta(days=1)).astype(int)
    said = dict(zip(zip(found["site_id"], found["direction"], days, strict=True), found["change"], strict=True))
    wanted = dict.fromkeys(before.keys() - after.keys(), "removed") | dict.fromkeys(
        after.keys() - before.keys(), "added"
    )
    assert said == wanted | {key: "changed" for key in before.keys() & after.keys() if before[key] != after[key]}
