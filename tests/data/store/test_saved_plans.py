"""Saved plans: kept as they were made, to the last bit, and read again by those who score them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from data.schema.errors import ContractError, ScenarioError, StoreError
from data.store import PLAN_PEAKS, PLAN_PURCHASES, PLAN_ROWS, Plans, Store, open_store
from data.store.database import VERSION_TABLE

NOW = pd.Timestamp("2026-03-16", tz="UTC")
POLICY = {"statistic": "peak", "limit": 0.8, "lead": {"factor": 2.0, "days": 5}}


def rows() -> pd.DataFrame:
    dates = pd.DataFrame(
        {"run_out_p10": [NOW, pd.NaT], "run_out_p50": [NOW + timedelta(days=40, microseconds=3), pd.NaT]}
    )
    return pd.DataFrame(
        {"level": ["site", "site"], "key": ["fra-01", "par-01"], "direction": "egress", "answer": ["within", "beyond"]}
    ).assign(
        **dates,
        run_out_p90=pd.NaT,
        order_by=[NOW - timedelta(days=3), pd.NaT],
        add_gbps=[100.0, np.nan],
        cost_usd_month=[1 / 3, np.nan],
    )


def peaks(sites: int = 2, weeks: int = 5) -> pd.DataFrame:
    frame = pd.DataFrame(
        [(f"s-{site}", NOW + timedelta(weeks=week)) for site in range(sites) for week in range(weeks)],
        columns=["key", "week"],
    )
    middle = 100.0 + np.arange(len(frame)) / 7
    return frame.assign(level="site", direction="egress", q10=middle * 0.9, q50=middle, q90=middle * 1.1)


def test_a_plan_comes_back_as_it_was(store: Store) -> None:
    plans = Plans(store)
    note = plans.save(
        'Spring "><script>',
        rows(),
        peaks(),
        POLICY,
        lake="/lake",
        author="Ada",
        run_id="r1",
        made_at=NOW.to_pydatetime(),
    )
    assert (note.name, note.made_at, note.policy, note.run_id, note.lake, note.author) == (
        'Spring "><script>',
        NOW,
        POLICY,
        "r1",
        "/lake",
        "Ada",
    )
    found = plans.get(note.id)
    assert found.note == note
    assert list(found.rows.columns) == [c.name for c in PLAN_ROWS.columns]
    assert list(found.peaks.columns) == [c.name for c in PLAN_PEAKS.columns]
    kept, meant = found.rows.set_index("key"), rows().set_index("key")
    for name in ("run_out_p10", "run_out_p50", "run_out_p90", "order_by"):
        assert str(kept[name].dtype) == "datetime64[us, UTC]"
        assert kept[name].equals(pd.to_datetime(meant[name], utc=True).astype("datetime64[us, UTC]")), name
    assert kept["add_gbps"].equals(meant["add_gbps"])
    assert kept["cost_usd_month"].equals(meant["cost_usd_month"])
    assert kept["reason"].isna().all()
    order = ["key", "week"]
    np.testing.assert_array_equal(
        found.peaks.sort_values(order)[["q10", "q50", "q90"]].to_numpy(),
        peaks().sort_values(order)[["q10", "q50", "q90"]].to_numpy(),
    )


def purchases() -> pd.DataFrame:
    dates = {"in_service": NOW + timedelta(days=90), "order_by": NOW - timedelta(days=3, microseconds=7)}
    return pd.DataFrame(
        {"direction": ["egress", "egress", "ingest"], "rank": [1, 2, 1], "site_id": ["par-01", "fra-01", "par-01"]}
    ).assign(
        **dates,
        gbps=[100.0, 10.0, 1 / 3],
        units=[2, 1, 7],
        cost_usd=1e5 / 3,
        usd_month=[0.0, 1.0, 2.0],
        risk_removed=0.1,
        reason='keeps "><script>',
    )


def test_a_plan_keeps_what_it_buys(store: Store) -> None:
    plans = Plans(store)
    found = plans.get(plans.save("Spring", rows(), peaks(), POLICY, purchases(), lake="/lake").id).purchases
    assert list(found.columns) == [c.name for c in PLAN_PURCHASES.columns]
    pd.testing.assert_frame_equal(found, purchases()[found.columns], check_dtype=False)
    with pytest.raises(ContractError, match="plan_purchases names egress/1 twice"):
        plans.save("Twice", rows(), peaks(), POLICY, purchases().assign(direction="egress"), lake="/lake")
    with pytest.raises(ContractError, match="at least 1"):
        plans.save("None of it", rows(), peaks(), POLICY, purchases().assign(units=0), lake="/lake")
    assert [note.name for note in plans.listed()] == ["Spring"]


def test_a_plan_of_an_older_store_is_read_and_has_no_purchases(store_place: str) -> None:
    store = open_store(store_place)
    made = Plans(store).save("Old", rows(), peaks(), POLICY, lake="/lake")
    with store.writing() as connection:
        connection.execute(text("DROP TABLE plan_purchases"))
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0001'"))
    store.close()
    again = open_store(store_place)
    assert Plans(again).get(made.id).purchases.empty
    assert len(Plans(again).get(made.id).rows) == 2
    new = Plans(again).save("New", rows(), peaks(), POLICY, purchases(), lake="/lake")
    assert len(Plans(again).get(new.id).purchases) == 3
    again.close()


def test_the_list_is_of_one_lake_and_newest_first(store: Store) -> None:
    plans = Plans(store)
    made = [
        plans.save(f"Plan {n}", rows(), peaks(), {}, lake=lake, made_at=datetime(2026, 1, 1 + n, tzinfo=UTC))
        for n, lake in enumerate(("/a", "/b", "/a"))
    ]
    assert plans.listed() == made[::-1]
    assert plans.listed("/a/") == [made[2], made[0]]


def test_a_plan_without_rows_is_a_plan(store: Store) -> None:
    plans = Plans(store)
    found = plans.get(plans.save("Nothing to do", rows().head(0), peaks().head(0), {}, lake="/lake").id)
    assert (len(found.rows), len(found.peaks)) == (0, 0)
    assert str(found.peaks["week"].dtype) == "datetime64[us, UTC]"


def test_a_large_plan_is_kept_whole(store: Store) -> None:
    plans = Plans(store)
    large = peaks(sites=100, weeks=26)
    found = plans.get(plans.save("Large", rows(), large, {}, lake="/lake").id).peaks
    assert len(found) == 2600
    assert found["q50"].sum() == pytest.approx(large["q50"].sum())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"direction": "sideways"}, "one of ingest, egress"),
        ({"level": "planet"}, "one of site, region, global"),
        ({"key": '"><script>'}, "a letter or digit"),
        ({"add_gbps": -1.0}, "at least 0 Gbps"),
        ({"add_gbps": np.inf}, "a finite number"),
        ({"add_gbps": ["lots", 3.0]}, "column 'add_gbps': lots .*another type"),
        ({"run_out_p50": pd.Timestamp("2026-05-01")}, "no time zone|zone"),
        ({"answer": None}, "column 'answer'"),
        ({"key": "fra-01"}, "plan_rows names site/fra-01/egress twice"),
        ({"colour": "red"}, "has the columns colour, which would be lost"),
    ],
)
def test_rows_that_do_not_keep_the_contract_are_refused(store: Store, change: dict[str, object], found: str) -> None:
    plans = Plans(store)
    with pytest.raises(ContractError, match=found):
        plans.save("Plan", rows().assign(**change), peaks(), {}, lake="/lake")
    assert plans.listed() == []


def test_quantiles_that_cross_are_refused(store: Store) -> None:
    with pytest.raises(ContractError, match=r"The quantiles of plan_peaks cross in 10 rows"):
        Plans(store).save("Plan", rows(), peaks().assign(q10=1e4), {}, lake="/lake")


def test_a_plan_that_cannot_be_kept_is_refused(store: Store) -> None:
    plans = Plans(store)
    with pytest.raises(ScenarioError, match=r"body.policy.limit is nan"):
        plans.save("Plan", rows(), peaks(), {"limit": np.nan}, lake="/lake")
    with pytest.raises(ScenarioError, match=r"The name is empty"):
        plans.save("", rows(), peaks(), {}, lake="/lake")
    with pytest.raises(ContractError, match=r"made_at is 2026-01-01 00:00:00, without a zone"):
        plans.save("Plan", rows(), peaks(), {}, lake="/lake", made_at=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(StoreError, match=r"There is no plan 'x'.*choose a plan from the list"):
        plans.get("x")
    assert plans.listed() == []


def test_a_plan_is_deleted_for_good_and_the_others_stay(store: Store) -> None:
    plans = Plans(store)
    kept, gone = (plans.save(name, rows(), peaks(), {}, lake="/lake") for name in ("Kept", "Gone"))
    plans.delete(gone.id)
    assert [note.id for note in plans.listed()] == [kept.id]
    assert len(plans.get(kept.id).rows) == len(rows())
    with pytest.raises(StoreError, match="There is no plan"):
        plans.delete(gone.id)
