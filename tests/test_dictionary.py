"""The data dictionary says all that the contract says, and the page in docs is the one that the contract gives
today.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.schema import INPUT_TABLES, REAL, STAMP, TABLES, TEXT, Column, Table, dictionary

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"


def test_the_page_in_docs_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == dictionary.to_markdown(), "run `make docs`"


def test_every_column_of_every_table_has_one_row() -> None:
    said = [(row["table"], row["column"]) for row in dictionary.rows()]
    assert said == [(table.name, column.name) for table in TABLES.values() for column in table.columns]


def test_every_number_of_input_has_a_unit() -> None:
    bare = [
        (r["table"], r["column"])
        for r in dictionary.rows()
        if r["table"] in INPUT_TABLES and r["type"] == "float64" and not r["unit"]
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("column", "presence", "values"),
    [
        (Column("a", REAL, "", low=0.0, high=1.0), "required", "0 to 1"),
        (Column("a", REAL, "", nullable=True, low=0.0), "required, null where missing", "at least 0"),
        (Column("a", REAL, "", required=False, high=1e12), "optional", "at most 1,000,000,000,000"),
        (Column("a", TEXT, "", required=False, filled="UTC"), "optional, filled with UTC", "at most 200 characters"),
        (Column("a", TEXT, "", choices=("x", "y")), "required", "x, y"),
        (Column("a", STAMP, ""), "required", "from 1990 to the present"),
    ],
)
def test_what_a_column_demands_is_said_in_words(
    column: Column, presence: str, values: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.schema.dictionary.TABLES", {"made_up": Table("made_up", "", "ingest", (column,), ("a",))})
    (row,) = dictionary.rows()
    assert (row["presence"], row["values"]) == (presence, values)


def test_a_bar_in_a_meaning_does_not_break_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Table("sites", "", "ingest", (Column("a", TEXT, "this | that"),), ("a",))
    monkeypatch.setitem(TABLES, "sites", odd)
    assert r"| this \| that |" in dictionary.to_markdown()


@pytest.mark.golden
def test_the_contract_changes_only_on_purpose(golden: Callable[[str, str], None]) -> None:
    """Producers write to these names and types: who changes one says so in the changelog and runs `make golden`."""
    sent = {
        name: {c.name: f"{c.type}{'' if c.required else ', optional'}" for c in TABLES[name].columns}
        for name in INPUT_TABLES
    }
    golden("contract.json", json.dumps(sent, indent=2) + "\n")
