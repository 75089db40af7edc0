"""The check against the contract: it passes what keeps it, refuses what does not, and says which row, column and
bound.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema import INPUT_TABLES, METRICS, TABLES, Column, Series, Table, validate

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SOME = st.integers(1, 6)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
words = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30
)
past = st.datetimes(datetime(1990, 1, 1), datetime(2026, 6, 1, 12, 59), timezones=st.just(UTC))  # noqa: DTZ001 - the zone comes with the strategy


def values(column: Column) -> st.SearchStrategy[Any]:
    """Values that the contract allows in a column."""
    if column.choices:
        found: st.SearchStrategy[Any] = st.sampled_from(column.choices)
    elif pa.types.is_timestamp(column.type):
        found = past
    elif pa.types.is_floating(column.type):
        found = st.floats(
            column.low, column.high if column.high is not None else 1e9, allow_nan=False, allow_infinity=False
        )
    elif pa.types.is_integer(column.type):
        found = st.integers(int(column.low or 0), 10**9)
    elif column.name == "timezone":
        found = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
    elif column.pattern.startswith("^[0-9a-f]"):
        found = st.just("0" * 64)
    else:
        found = ids if column.pattern else words
    return found if column.required and not column.nullable else st.none() | found


def frames(table: Table) -> st.SearchStrategy[pa.Table]:
    rows = st.lists(st.fixed_dictionaries({c.name: values(c) for c in table.columns}), min_size=1, max_size=4)
    schema = pa.schema([f.with_nullable(True) for f in table.schema])
    return rows.map(lambda listed: pa.Table.from_pylist(listed, schema))


tables = st.sampled_from([t for t in TABLES.values() if t.owner == "ingest"])
checked = tables.flatmap(lambda table: st.tuples(st.just(table), frames(table)))


@settings(max_examples=60, deadline=None)
@given(checked)
def test_what_keeps_the_contract_passes_unchanged(case: tuple[Table, pa.Table]) -> None:
    table, frame = case
    found = validate(table, frame, now=NOW)
    assert found.faults == []
    assert found.good.equals(frame)
    assert found.bad.num_rows == 0


WRONG: dict[str, list[Any]] = {
    "number": [-1.0, float("inf"), float("nan"), 1e300],
    "stamp": [datetime(1970, 1, 1, tzinfo=UTC)],
    "id": ["", "../x", '"><script>', "=cmd()", "x" * 65, " a"],
}


def wrong(column: Column) -> list[Any]:
    """Values that the contract does not allow in a column."""
    if pa.types.is_floating(column.type):
        bounded = [
            value
            for value in WRONG["number"]
            if not (column.high is None and value == 1e300)
            and not (column.low is None or (column.low < 0 and value == -1.0))
        ]
        return [*bounded, None] if column.required and not column.nullable else bounded
    if pa.types.is_timestamp(column.type):
        return WRONG["stamp"]
    return WRONG["id"] if column.pattern and not column.choices else []


breakable = [(table, column.name) for table in INPUT_TABLES for column in TABLES[table].columns if wrong(column)]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(breakable).flatmap(
        lambda it: st.tuples(
            st.just(it),
            frames(TABLES[it[0]]),
            st.sampled_from(wrong(TABLES[it[0]].column(it[1]))),  # type: ignore[arg-type]
            SOME,
        )
    )
)
def test_one_wrong_value_refuses_its_row_and_no_other(case: tuple[tuple[str, str], pa.Table, Any, int]) -> None:
    (name, column), frame, value, place = case
    rows = frame.to_pylist()
    place %= len(rows)
    rows[place][column] = value
    found = validate(TABLES[name], pa.Table.from_pylist(rows, frame.schema), now=NOW)
    assert not found.refused
    assert {fault.column for fault in found.faults} == {column}
    assert found.bad.num_rows == 1
    assert found.good.equals(pa.concat_tables([frame.slice(0, place), frame.slice(place + 1)]))
    assert all(
        fault.level == "rows" and fault.count == 1 and fault.bound and fault.cause and fault.remedy
        for fault in found.faults
    )


arrays = st.one_of(
    st.lists(st.none() | st.floats(), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.float64())),
    st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.int64())),
    st.lists(st.none() | st.text(max_size=300), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.string())),
    st.lists(st.none() | st.text(max_size=5), min_size=2, max_size=2).map(
        lambda v: pa.array(v, pa.string()).dictionary_encode()
    ),
    st.lists(st.none() | st.booleans(), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.bool_())),
    st.lists(st.none() | st.datetimes(), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.timestamp("us"))),
    st.lists(st.none() | st.binary(max_size=4), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.binary())),
    st.just(pa.nulls(2)),
    st.just(pa.array([[1], [2]])),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(INPUT_TABLES), st.data())
def test_no_frame_whatever_breaks_the_check(name: str, data: st.DataObject) -> None:
    table = TABLES[name]
    columns = data.draw(
        st.dictionaries(st.sampled_from([*(c.name for c in table.columns), "stranger"]), arrays, min_size=1)
    )
    found = validate(table, pa.table(columns), now=NOW)
    assert found.good.schema.names == [c.name for c in table.columns]
    if found.refused:
        assert found.good.num_rows == 0
        assert all(fault.level == "file" for fault in found.faults)
    else:
        assert found.good.num_rows + found.bad.num_rows == 2
        assert bool(found.bad.num_rows) == bool(found.faults)


# Single rules
# --------------------------------------------------------------------------------------------------------------


def one(**changed: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "ts": pa.array([NOW], pa.timestamp("us", "UTC")),
        "site_id": ["a"],
        "ingest_gbps": [1.0],
        "egress_gbps": [2.0],
        **changed,
    }
    return pa.table({name: value for name, value in columns.items() if value is not None})


@pytest.mark.parametrize("column", ["ts", "site_id", "ingest_gbps", "egress_gbps"])
def test_a_missing_required_column_refuses_the_file(column: str) -> None:
    found = validate(TABLES["telemetry"], one(**{column: None}), now=NOW)
    assert found.refused
    assert f"rename it with --map THEIRS={column}" in str(found.faults[0])
    assert "absent (the file has:" in str(found.faults[0])


def test_optional_columns_may_be_absent_and_strangers_are_left_out() -> None:
    found = validate(TABLES["telemetry"], one(stranger=["x"]), now=NOW)
    assert found.faults == []
    assert found.good["viewers"].null_count == 1
    assert "stranger" not in found.good.column_names


def test_naive_stamps_are_refused_with_the_remedy() -> None:
    found = validate(TABLES["telemetry"], one(ts=pa.array([NOW.replace(tzinfo=None)], pa.timestamp("us"))), now=NOW)
    assert found.refused
    assert "--timezone UTC" in str(found.faults[0])


def test_stamps_of_another_zone_or_resolution_keep_their_moment() -> None:
    for kind in (pa.timestamp("s", "Europe/Berlin"), pa.timestamp("ns", "UTC"), pa.timestamp("ms", "+05:30")):
        found = validate(TABLES["telemetry"], one(ts=pa.array([NOW], kind)), now=NOW)
        assert found.good["ts"].to_pylist() == [NOW]


@pytest.mark.parametrize("values", [pa.array([1_700_000_000]), pa.array(["2026-06-01 12:00"]), pa.array([NOW.date()])])
def test_a_number_or_a_text_never_becomes_a_stamp(values: pa.Array) -> None:
    assert validate(TABLES["telemetry"], one(ts=values), now=NOW).refused


def test_the_future_ends_an_hour_from_now() -> None:
    for minutes, bad in ((59, 0), (61, 1)):
        stamps = pa.array([NOW + timedelta(minutes=minutes)], pa.timestamp("us", "UTC"))
        assert validate(TABLES["telemetry"], one(ts=stamps), now=NOW).bad.num_rows == bad
    plan = {
        "site_id": ["a"],
        "direction": ["egress"],
        "effective_from": pa.array([NOW + timedelta(days=400)], pa.timestamp("us", "UTC")),
        "capacity_gbps": [1.0],
    }
    assert validate(TABLES["capacity"], pa.table(plan), now=NOW).faults == []


def test_ratios_end_at_one_and_say_percent() -> None:
    found = validate(TABLES["telemetry"], one(rebuffer_ratio=[1.01]), now=NOW)
    assert "a percentage written for a ratio" in str(found.faults[0])


def test_a_long_text_is_shortened_in_the_message() -> None:
    sites = pa.table({"site_id": ["a"], "name": ["n" * 10_000], "region_id": ["r"], "lat": [1.0], "lon": [1.0]})
    fault = validate(TABLES["sites"], sites, now=NOW).faults[0]
    assert len(str(fault)) < 400
    assert "(10000 characters)" in str(fault)


def test_an_empty_frame_keeps_the_contract() -> None:
    found = validate(TABLES["telemetry"], one().slice(0, 0), now=NOW)
    assert (found.faults, found.good.num_rows) == ([], 0)


# Tables
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_is_whole(name: str) -> None:
    table = TABLES[name]
    columns = [column.name for column in table.columns]
    assert len(set(columns)) == len(columns)
    assert set(table.key) <= set(columns)
    assert all(column.meaning for column in table.columns)
    assert table.partition in ("", "date", "month", *columns)
    assert table.schema.names == columns


def test_units_stand_in_the_names() -> None:
    for metric in METRICS:
        ending = {"Gbps": "_gbps", "ratio": "_ratio", "s": "_seconds"}.get(metric.unit, "")
        assert metric.name.endswith(ending)


def test_a_series_reads_as_a_path() -> None:
    assert str(Series("region", "eu-west", "egress_gbps")) == "region/eu-west/egress_gbps"
