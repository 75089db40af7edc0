"""Declared capacity in the page: edited, checked, saved as a version, taken back, and put onto what somebody else saved
first.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.cached import Scope, declared
from app.ui import export
from app.views.capacity import declared as declared_sheet
from app.views.capacity.declared import with_theirs
from data.__main__ import main
from data.lake import tables as lakes_module
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.store import capacity_edits
from tests.app.conftest import Opener
from tests.planned_lake import START
from tests.small_lake import SITES

# The editor's rows: sites by their keys, each with egress before ingest.
ROWS = [(site, way) for site in sorted(SITES["site_id"]) for way in ("egress", "ingest")]
FRA, AMS, TOKYO = (ROWS.index((site, "egress")) for site in ("fra-01", "ams-01", "nrt-01"))
PLANNED = {
    "site_id": "fra-01",
    "direction": "egress",
    "effective_from": "2026-09-01T00:00:00.000Z",
    "capacity_gbps": 900.0,
    "status": "planned",
}


@pytest.fixture
def lake(lake: Path, tmp_path: Path) -> Path:
    """A lake that a test may change."""
    shutil.copytree(lake, tmp_path / "lake")
    return tmp_path / "lake"


def sheet(open_page: Opener, lake: Path, **asked: str) -> AppTest:
    page = open_page("capacity", lake, sheet="declared", **asked)
    assert not page.exception
    return page


def edit(
    page: AppTest,
    edited: dict[int, dict[str, Any]] | None = None,
    added: list[dict[str, Any]] | None = None,
    deleted: list[int] | None = None,
) -> AppTest:
    """What an editor does to the rows that it shows, by their places."""
    page.session_state[str(page.data_editor[0].key)] = {
        "edited_rows": edited or {},
        "added_rows": added or [],
        "deleted_rows": deleted or [],
    }
    page.run()
    assert not page.exception
    return page


def press(page: AppTest, key: str) -> AppTest:
    page.button(key).click().run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return "\n".join(
        element.value
        for kind in (page.markdown, page.caption, page.warning, page.error, page.code, page.toast)
        for element in kind
    )


def table(page: AppTest, column: str) -> pd.DataFrame:
    found: pd.DataFrame = next(
        one.value for one in page.dataframe if column in one.value and one.editing_mode == "read_only"
    )
    return found


def steps(lake: Path) -> dict[tuple[str, str], list[float]]:
    rows = capacity_edits.opened(Lake(lake), EVERYTHING).rows
    return {key: part["capacity_gbps"].tolist() for key, part in rows.groupby(["site_id", "direction"])}


def colleague(lake: Path, site: str, gbps: float) -> None:
    """Grace saves another capacity of a site's egress."""
    base, rows = capacity_edits.opened(Lake(lake), EVERYTHING)
    rows.loc[(rows["site_id"] == site) & (rows["direction"] == "egress"), "capacity_gbps"] = gbps
    capacity_edits.commit(
        Lake(lake), capacity_edits.draft(Lake(lake), base, rows, EVERYTHING), author="Grace", note="from the port list"
    )


def test_an_edit_is_shown_saved_with_author_and_note_and_moves_the_plan(open_page: Opener, lake: Path) -> None:
    page = sheet(open_page, lake)
    assert page.data_editor[0].value["site_id"].tolist() == [site for site, _ in ROWS]
    edit(page, {FRA: {"capacity_gbps": 800.0}}, [PLANNED], [TOKYO])
    changed = table(page, "Change").set_index("Change")
    assert changed["Site"].to_dict() == {"* changed": "Frankfurt 1", "+ added": "Frankfurt 1", "- removed": "Tokyo 1"}
    assert changed["Capacity"].to_dict() == {
        "* changed": "300 Gbps to 800 Gbps",
        "+ added": "900 Gbps",
        "- removed": "1.20 Tbps",
    }
    assert changed.loc["+ added", "From"] == "1 Sep 2026"
    page.text_input("author.name").set_value("Ada")
    page.text_input("declared-note").set_value("order 17").run()
    press(page, "declared-save")
    assert steps(lake)["fra-01", "egress"] == [800.0, 900.0]
    assert ("nrt-01", "egress") not in steps(lake)
    assert f"Saved as version {Lake(lake).version('capacity')}" in said(page)
    newest = table(page, "Version").iloc[0]
    assert newest[["What", "By", "Note", "Added", "Changed", "Removed"]].tolist() == [
        "edited in the page",
        "Ada",
        "order 17",
        1,
        1,
        1,
    ]
    assert not any(button.key == "declared-save" for button in page.button)
    page.segmented_control("state.sheet").set_value("runout").run()
    rows = table(page, "Run-out").set_index("key")
    assert rows.loc["fra-01", "Run-out"] == "not within 18 months"


def test_faults_are_said_row_by_row_and_nothing_is_saved(open_page: Opener, lake: Path) -> None:
    page = edit(
        sheet(open_page, lake),
        {AMS: {"capacity_gbps": None}},
        [{**PLANNED, "effective_from": f"{START:%Y-%m-%dT%H:%M:%S}Z"}, {"site_id": "ams-01"}],
    )
    told = said(page).replace("\\", "")
    assert (
        f"**Row {AMS + 1}**, Amsterdam 1, egress, from 4 May 2026: capacity_gbps is empty, and may be a value" in told
    )
    assert f"**Row {len(ROWS) + 1}**, Frankfurt 1, egress, from 4 May 2026: effective_from is" in told
    assert f"**Row {len(ROWS) + 2}**, Amsterdam 1, no direction, from no date: direction is empty" in told
    assert page.button("declared-save").disabled
    press(page, "declared-discard")
    assert "cannot be saved yet" not in said(page)
    assert page.data_editor[0].value["capacity_gbps"].notna().all()


def test_what_is_seldom_meant_is_said_and_can_be_saved(open_page: Opener, lake: Path) -> None:
    page = edit(sheet(open_page, lake), added=[{**PLANNED, "status": "installed"}])
    assert "call it planned" in said(page)
    assert not page.button("declared-save").disabled


def test_a_filter_hides_rows_and_neither_they_nor_earlier_edits_are_lost(open_page: Opener, lake: Path) -> None:
    before = steps(lake)
    page = edit(sheet(open_page, lake), {TOKYO: {"capacity_gbps": 5000.0}})
    page.selectbox("state.region").select("eu-west").run()
    assert set(page.data_editor[0].value["site_id"]) == {"fra-01", "ams-01"}
    assert "8 rows of other sites are hidden" in said(page)
    edit(page, {0: {"capacity_gbps": 700.0}}, deleted=[1])
    press(page, "declared-save")
    after = steps(lake)
    assert (after["nrt-01", "egress"], after["ams-01", "egress"]) == ([5000.0], [700.0])
    assert ("ams-01", "ingest") not in after
    kept = set(before) - {("nrt-01", "egress"), ("ams-01", "egress"), ("ams-01", "ingest")}
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


def test_an_edit_outlasts_a_look_at_another_sheet(open_page: Opener, lake: Path) -> None:
    page = edit(sheet(open_page, lake), {FRA: {"capacity_gbps": 800.0}})
    page.text_input("declared-note").set_value("order 17").run()
    page.segmented_control("state.sheet").set_value("failures").run()
    page.segmented_control("state.sheet").set_value("declared").run()
    assert page.text_input("declared-note").value == "order 17"
    assert table(page, "Change")["Capacity"].tolist() == ["300 Gbps to 800 Gbps"]
    press(page, "declared-save")
    assert steps(lake)["fra-01", "egress"] == [800.0]


def test_an_older_version_is_brought_back_and_that_is_undone_too(
    open_page: Opener, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Lake(lake).version("capacity")
    colleague(lake, "fra-01", 800.0)
    page = sheet(open_page, lake)
    assert table(page, "Version")["Note"].tolist()[0] == "from the port list"
    assert table(page, "Change")["Capacity"].tolist() == ["800 Gbps to 300 Gbps"]
    page.text_input("declared-undo-note").set_value("a typing error").run()
    press(page, "declared-undo")
    assert steps(lake)["fra-01", "egress"] == [300.0]
    assert table(page, "Version")["What"].tolist()[0] == f"version {first} again"
    assert table(page, "Version")["Note"].tolist()[0] == "a typing error"
    monkeypatch.setattr(declared_sheet, "LARGE_RESTORE", 0)
    page.run()
    assert page.button("declared-undo").disabled
    next(box for box in page.checkbox if box.label == "Change 1 steps at once").check().run()
    press(page, "declared-undo")
    assert steps(lake)["fra-01", "egress"] == [800.0]


def test_a_version_is_not_brought_back_over_what_was_saved_meanwhile(open_page: Opener, lake: Path) -> None:
    colleague(lake, "fra-01", 800.0)
    page = sheet(open_page, lake)
    colleague(lake, "ams-01", 650.0)
    press(page, "declared-undo")
    assert "Not brought back: Grace wrote it at" in said(page).replace("\\", "")
    assert (steps(lake)["fra-01", "egress"], steps(lake)["ams-01", "egress"]) == ([800.0], [650.0])


def test_who_saves_second_puts_the_edit_onto_the_newest(open_page: Opener, lake: Path) -> None:
    page = edit(sheet(open_page, lake), {FRA: {"capacity_gbps": 800.0}})
    colleague(lake, "ams-01", 650.0)
    press(page, "declared-save")
    assert "Not saved:" in said(page)
    assert "Grace wrote it at" in said(page).replace("\\", "")
    assert steps(lake)["fra-01", "egress"] == [300.0]
    press(page, "declared-rebase")
    assert table(page, "Change")["Site"].tolist() == ["Frankfurt 1"]
    press(page, "declared-save")
    assert (steps(lake)["fra-01", "egress"], steps(lake)["ams-01", "egress"]) == ([800.0], [650.0])


@pytest.mark.parametrize(("choice", "gbps"), [("declared-mine", 800.0), ("declared-theirs", 650.0)])
def test_two_who_change_the_same_step_decide_which_stands(
    open_page: Opener, lake: Path, choice: str, gbps: float
) -> None:
    page = edit(sheet(open_page, lake), {FRA: {"capacity_gbps": 800.0}, AMS: {"capacity_gbps": 900.0}})
    colleague(lake, "fra-01", 650.0)
    press(page, "declared-save")
    press(page, "declared-rebase")
    assert "Others changed these steps as well" in said(page)
    assert page.button("declared-save").disabled
    press(page, choice)
    press(page, "declared-save")
    assert (steps(lake)["fra-01", "egress"], steps(lake)["ams-01", "egress"]) == ([gbps], [900.0])
    assert "Others changed" not in said(page)


def test_a_lake_that_cannot_be_written_says_so(open_page: Opener, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    page = sheet(open_page, lake)
    assert "This lake cannot be written from here" in said(page)
    assert page.data_editor[0].proto.disabled
    assert any("python -m data ingest PATH --table capacity" in block.value for block in page.code)


def test_a_write_that_fails_loses_nothing(open_page: Opener, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = edit(sheet(open_page, lake), {FRA: {"capacity_gbps": 800.0}})
    with monkeypatch.context() as broken:

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(30, "Read-only file system")

        broken.setattr(lakes_module, "write_deltalake", refuse)
        press(page, "declared-save")
    assert "cannot be written: [Errno 30] Read-only file system" in said(page).replace("\\", "")
    press(page, "declared-save")
    assert steps(lake)["fra-01", "egress"] == [800.0]


def test_a_lake_without_capacity_gets_its_first(open_page: Opener, lake: Path) -> None:
    shutil.rmtree(lake / "capacity")
    page = edit(sheet(open_page, lake), added=[PLANNED])
    press(page, "declared-save")
    assert steps(lake) == {("fra-01", "egress"): [900.0]}


def test_the_file_that_is_saved_is_one_that_ingest_takes(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = capacity_edits.opened(Lake(lake), EVERYTHING).rows
    (tmp_path / "capacity.csv").write_bytes(export.csv(before.assign(capacity_gbps=before["capacity_gbps"] * 2)))
    assert main(["ingest", str(tmp_path / "capacity.csv"), "--table", "capacity", "--lake", str(lake)]) == 0, (
        capsys.readouterr()
    )
    pd.testing.assert_frame_equal(
        capacity_edits.opened(Lake(lake), EVERYTHING).rows, before.assign(capacity_gbps=before["capacity_gbps"] * 2)
    )


def test_their_steps_replace_add_and_remove() -> None:
    rows = pd.DataFrame(PLANNED, index=[0]).assign(effective_from=START, cost_usd_month=1.0)
    more = pd.concat([rows, rows.assign(site_id="gru-01")], ignore_index=True)
    theirs = capacity_edits.difference(
        more, pd.concat([rows.assign(capacity_gbps=7.0), rows.assign(site_id="iad-01")], ignore_index=True)
    )
    found = with_theirs(more, theirs).set_index("site_id")["capacity_gbps"]
    assert found.to_dict() == {"fra-01": 7.0, "iad-01": 900.0}


def test_a_scope_is_edited_alone(lake: Path) -> None:
    st.cache_resource.clear()
    pin, scope = Lake(lake).pin(), Scope(frozenset({"fra-01"}))
    base, rows = declared.opened(pin, scope)
    edited = declared.draft(pin, scope, base, rows.assign(capacity_gbps=rows["capacity_gbps"] + 1))
    colleague(lake, "ams-01", 650.0)
    moved = declared.onto_newest(pin, scope, edited)
    assert set(moved.rows["site_id"]) == {"fra-01"}
    assert moved.met.empty
    declared.commit(pin, declared.draft(pin, scope, moved.base, moved.rows), "Ada", "")
    assert (steps(lake)["fra-01", "egress"], steps(lake)["ams-01", "egress"]) == ([301.0], [650.0])
