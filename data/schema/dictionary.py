"""The data dictionary: the contract in words, for the Data page and for docs/data-dictionary.md.

`python -m data.schema.dictionary` prints the page; `make docs` writes it.
"""

from __future__ import annotations

import sys

import pyarrow as pa

from data.schema import INPUT_TABLES, TABLES
from data.schema.types import ID_PATTERN, TEXT_LIMIT, Column, Table
from data.schema.validation import AHEAD, EARLIEST

OWNERS = {
    "ingest": "taken in from snapshots",
    "rollup": "derived from telemetry",
    "refresh": "published by a refresh",
    "simulator": "written by the simulator",
}
HEADER = ("Column", "Type", "Unit", "Presence", "Values", "Meaning")

PREFACE = """# Data dictionary

Written by `make docs` from `data/schema.py`; a change by hand does not last.

- Stamps are UTC, microseconds, and mark the start of their interval.
- Missing is null, never zero. Ratios run from 0 to 1.
- A column that is *required* must be in a snapshot and hold a value in every row; *required, null where missing* must be there and may hold nulls;
  *optional* may be left out.
- Columns that are not listed are not taken in.
- An *identifier* has at most 64 letters, digits, dots, dashes and underscores, and starts with a letter or a digit.
"""


def rows() -> list[dict[str, str]]:
    """The dictionary as rows, one for each column of each table, in the contract's order.

    Keys: table, column, type, unit, presence, values, meaning; all text, empty where there is nothing to say.
    """
    return [{"table": table.name, **_row(table, column)} for table in TABLES.values() for column in table.columns]


def to_markdown() -> str:
    """The dictionary as a Markdown page, the tables that a producer may send first."""
    sent = [_section(TABLES[name]) for name in INPUT_TABLES]
    kept = [_section(table) for name, table in TABLES.items() if name not in INPUT_TABLES]
    return (
        "\n".join(
            [PREFACE, "## Tables that you may send", "", *sent, "## Tables that Headroom keeps", "", *kept]
        ).rstrip()
        + "\n"
    )


def _row(table: Table, column: Column) -> dict[str, str]:
    return {
        "column": column.name,
        "type": _type(column.type),
        "unit": column.unit,
        "presence": _presence(column),
        "values": _values(table, column),
        "meaning": column.meaning,
    }


def _type(kind: pa.DataType) -> str:
    """The type as a producer writes it: Arrow's own name, but for text and lists."""
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type).replace('float', 'float32')}"
    return "text" if pa.types.is_string(kind) else str(kind).replace("tz=", "").replace("double", "float64")


def _presence(column: Column) -> str:
    if column.required:
        return "required, null where missing" if column.nullable else "required"
    return f"optional, filled with {column.filled}" if column.filled else "optional"


def _values(table: Table, column: Column) -> str:
    if column.choices:
        return ", ".join(column.choices)
    if column.pattern:
        return "an identifier" if column.pattern == ID_PATTERN else column.pattern
    if column.low is not None or column.high is not None:
        return _range(column.low, column.high)
    if pa.types.is_timestamp(column.type):
        return f"from {EARLIEST:%Y}" + ("" if table.name in AHEAD else " to the present")
    return f"at most {TEXT_LIMIT} characters" if pa.types.is_string(column.type) else ""


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at least {low:,g}"
    return f"at most {high:,.15g}" if low is None else f"{low:,g} to {high:,.15g}"


def _section(table: Table) -> str:
    facts = [f"{OWNERS[table.owner].capitalize()}.", f"One row for each {', '.join(table.key)}."]
    facts += [f"Partitioned by {table.partition}."] if table.partition else []
    facts += ["A lake may lack it."] if table.optional else []
    lines = [HEADER, ("---",) * len(HEADER), *(tuple(_row(table, column).values()) for column in table.columns)]
    return "\n".join([f"### {table.name}", "", f"{table.meaning}. {' '.join(facts)}", "", *map(_line, lines), ""])


def _line(cells: tuple[str, ...]) -> str:
    safe = (cell.replace("|", r"\|") for cell in cells)  # a bar would open a new column
    return f"| {' | '.join(safe)} |"


if __name__ == "__main__":
    sys.stdout.write(to_markdown())
