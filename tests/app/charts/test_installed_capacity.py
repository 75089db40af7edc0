"""The capacity that charts and numbers divide by is the one in force: that of data/lake/capacity_in_force.py."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.charts.marks import installed_capacity, utilisation
from data.lake.capacity_in_force import capacity_in_force
from data.schema import TABLES

STAMPS = pd.Series(pd.date_range("2026-11-01", periods=6, freq="h", tz="UTC", unit="us"))


def steps_of(rows: list[tuple[int, float, str]]) -> pd.DataFrame:
    """Steps of one place, as capacity_steps gives them: (hour, Gbps, status)."""
    frame = pd.DataFrame(rows, columns=["hour", "capacity_gbps", "status"])
    starts = STAMPS.iloc[0] + pd.to_timedelta(frame.pop("hour").astype(int), unit="h")
    return frame.assign(effective_from=starts.astype("datetime64[us, UTC]"))


def test_the_last_installed_step_holds_and_a_planned_one_does_not() -> None:
    gbps = installed_capacity(
        STAMPS, steps_of([(1, 100.0, "installed"), (3, 200.0, "installed"), (4, 900.0, "planned")])
    )
    assert math.isnan(gbps[0])
    assert gbps[1:].tolist() == [100.0, 100.0, 200.0, 200.0, 200.0]
    assert np.isnan(installed_capacity(STAMPS, steps_of([]))).all()


def test_a_closed_site_has_no_capacity_to_divide_by() -> None:
    gbps = installed_capacity(STAMPS, steps_of([(0, 100.0, "installed"), (3, 0.0, "installed")]))
    used = utilisation(pd.Series(50.0, STAMPS.index), gbps)
    assert np.isnan(used).tolist() == [False, False, False, True, True, True]


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.integers(-2, 7), st.sampled_from([0.0, 10.0, 20.0, 40.0]), st.sampled_from(["installed", "planned"])
        ),
        max_size=8,
        unique_by=lambda row: row[0],
    )
)
def test_charts_and_sql_agree_on_what_is_in_force(rows: list[tuple[int, float, str]]) -> None:
    steps = steps_of(rows)
    table = steps.assign(site_id="a", direction="egress", cost_usd_month=None)
    schema = TABLES["capacity"].schema
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("capacity", pa.Table.from_pandas(table[schema.names], schema=schema, preserve_index=False))
        found = [con.execute(f"SELECT capacity_gbps FROM ({capacity_in_force(at)})").fetchone() for at in STAMPS]
    expected = [np.nan if row is None else float(row[0]) for row in found]
    assert np.array_equal(installed_capacity(STAMPS, steps), expected, equal_nan=True)
