"""Capacity in force: the rule in SQL and the rule in NumPy say the same of any steps, at any moment."""

from __future__ import annotations

import duckdb
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from data.lake.capacity_in_force import capacity_in_force, steps_in_force
from data.schema import TABLES
from forecasting.planning.capacity import counts, in_force, weekly_capacity

HOUR = pd.Timedelta(hours=1)
START = pd.Timestamp("2026-11-02", tz="UTC")
moments = st.integers(0, 24 * 60).map(lambda hours: START + hours * HOUR)
rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["egress", "ingest"]),
        moments,
        st.sampled_from([0.0, 10.0, 20.0, 40.0]),
        st.sampled_from(["installed", "planned", None]),
    ),
    max_size=12,
    unique_by=lambda row: row[:3],
)


def steps_of(made: list[tuple[str, str, pd.Timestamp, float, str | None]]) -> pd.DataFrame:
    names = ["site_id", "direction", "effective_from", "capacity_gbps", "status"]
    frame = pd.DataFrame(made, columns=names).astype({"effective_from": "datetime64[us, UTC]", "capacity_gbps": float})
    return frame.assign(cost_usd_month=100.0)


@settings(max_examples=15)
@given(rows, moments, moments)
def test_sql_and_numpy_agree_on_what_is_in_force(
    made: list[tuple[str, str, pd.Timestamp, float, str | None]], at: pd.Timestamp, now: pd.Timestamp
) -> None:
    steps = steps_of(made)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("capacity", pa.Table.from_pandas(steps, schema=_schema(), preserve_index=False))
        held = con.sql(capacity_in_force(at, now)).df()
        counted = con.sql(f"SELECT count(*) FROM ({steps_in_force(now)})").fetchall()[0][0]
        passed = con.sql(capacity_in_force(min(at, now))).df()
    numpy = in_force(steps, at, now)
    assert {(r.site_id, r.direction): r.capacity_gbps for r in held.itertuples()} == numpy.to_dict()
    assert counted == counts(steps, now).sum()
    past = in_force(steps, min(at, now), now)
    assert {(r.site_id, r.direction): r.capacity_gbps for r in passed.itertuples()} == past.to_dict()


@settings(max_examples=5)
@given(rows, moments)
def test_a_week_has_the_least_of_what_is_in_force_in_any_of_its_hours(
    made: list[tuple[str, str, pd.Timestamp, float, str | None]], now: pd.Timestamp
) -> None:
    steps = steps_of(made)
    monday = START + pd.Timedelta(weeks=4)
    found = weekly_capacity(steps, ["a"], "egress", pd.DatetimeIndex([monday]), planned=True, now=now)[0, 0]
    hours = [in_force(steps, monday + hour * HOUR, now).get(("a", "egress")) for hour in range(7 * 24)]
    if hours[0] is None:
        assert pd.isna(found)
    else:
        assert found == min(hours)


def _schema() -> pa.Schema:
    names = {column.name: column for column in TABLES["capacity"].columns}
    assert set(names) >= {"site_id", "direction", "effective_from", "capacity_gbps", "status", "cost_usd_month"}
    text, stamp, real = pa.string(), pa.timestamp("us", "UTC"), pa.float64()
    return pa.schema(
        {
            "site_id": text,
            "direction": text,
            "effective_from": stamp,
            "capacity_gbps": real,
            "status": text,
            "cost_usd_month": real,
        }
    )
