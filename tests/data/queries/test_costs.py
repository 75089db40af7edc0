"""What partners are billed by and when regions are busy, against pandas on the samples themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import queries
from data.lake import query as duck
from data.lake.query import EVERYTHING, Scope
from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake, Pin, Span
from data.queries.plan_inputs import MONTHLY
from data.schema.errors import SettingError
from tests.lakes import Plan

NOW = pd.Timestamp(Plan().end)
START = NOW - pd.Timedelta(days=16)
METRICS = ("egress_gbps", "ingest_gbps")
KEYS = ["partner", "month", "metric"]


def billed(values: pd.Series) -> float:
    """Sort, strike the top 5 % of the samples, take the highest that is left."""
    held = np.sort(values.dropna().to_numpy(float))
    return float(held[len(held) - 1 - len(held) * 5 // 100]) if len(held) else float("nan")


def naive(lake: Lake, sites: set[str] | None = None) -> pd.DataFrame:
    """The same by pandas. For lakes of one grain and one month without closed sites."""
    rows = (
        lake.read("telemetry")
        .to_pandas()
        .merge(lake.read("sites").to_pandas()[["site_id", "partner"]], on="site_id")
        .dropna(subset="partner")
    )
    rows = rows[rows["site_id"].isin(sites) if sites is not None else slice(None)]
    parts = []
    for metric in METRICS:
        for partner, own in rows.dropna(subset=metric).groupby("partner"):
            stamps = own.groupby("ts")[metric].agg(["sum", "count"])
            whole = stamps.loc[stamps["count"] >= 0.9 * own["site_id"].nunique(), "sum"]
            apart = own.groupby("site_id")[metric].agg(billed).sum()
            parts.append(
                [
                    partner,
                    pd.Timestamp("2026-03-01", tz="UTC"),
                    metric,
                    billed(whole),
                    apart,
                    len(whole),
                    len(whole) * 300 / (31 * 86_400),
                ]
            )
    return pd.DataFrame(parts, columns=list(MONTHLY)).sort_values(KEYS, ignore_index=True)


@pytest.mark.parametrize("sites", [None, {"fra-01", "par-01", "lon-01", "mad-01"}])
def test_a_partner_is_billed_by_the_samples_of_its_sum(full: Lake, sites: set[str] | None) -> None:
    found = queries.partner_months(full.pin(), Scope(None if sites is None else frozenset(sites)), METRICS, START, NOW)
    pd.testing.assert_frame_equal(found, naive(full, sites), check_dtype=False, rtol=1e-9)
    assert str(found["month"].dtype) == "datetime64[us, UTC]"


def test_a_p95_of_a_sum_is_no_sum_of_p95s_and_a_silence_is_not_less_traffic(full: Lake) -> None:
    found = queries.partner_months(full.pin(), EVERYTHING, ("egress_gbps",), START, NOW).set_index("partner")
    assert (found["p95"] < found["apart"] + 1e-9).all()
    assert found.loc["Northwind", "p95"] < 0.99 * found.loc["Northwind", "apart"]  # sites on two continents
    assert found.loc["Fjord", "samples"] == found.loc["Northwind", "samples"] - 36  # Madrid is silent for three hours


def test_every_month_that_is_touched_has_its_rows(full: Lake) -> None:
    found = queries.partner_months(
        full.pin(), EVERYTHING, ("egress_gbps",), START - pd.Timedelta(days=70), NOW + pd.Timedelta(days=70)
    )
    assert set(found["month"]) == {pd.Timestamp("2026-03-01", tz="UTC")}
    assert queries.partner_months(
        full.pin(), EVERYTHING, ("viewers",), START - pd.Timedelta(days=70), START - pd.Timedelta(days=40)
    ).empty


@settings(max_examples=5, deadline=None)
@given(count=st.integers(1, 70), seed=st.integers(0, 1000))
def test_the_busiest_twentieth_is_free_in_whole_samples(
    tmp_path_factory: pytest.TempPathFactory, count: int, seed: int
) -> None:
    lake = Lake(tmp_path_factory.mktemp("billed") / "lake")
    stamps = pd.date_range("2026-03-01", periods=count, freq="5min", tz="UTC", unit="us")
    values = np.random.default_rng(seed).permutation(np.arange(count)).astype(float)
    rows = pd.DataFrame(
        {"ts": stamps, "received_at": stamps, "site_id": "a", "ingest_gbps": np.nan, "egress_gbps": values}
    )
    site = {"site_id": "a", "name": "a", "region_id": "r", "lat": 0.0, "lon": 0.0, "partner": "acme"}
    lake.append("telemetry", pa.Table.from_pandas(rows, preserve_index=False))
    lake.replace("sites", pa.Table.from_pandas(pd.DataFrame([site]), preserve_index=False))
    refresh_rollups(lake)
    found = queries.partner_months(lake.pin(), EVERYTHING, METRICS, stamps[0], stamps[-1])
    assert found["metric"].tolist() == ["egress_gbps"]
    assert (values > found["p95"].iloc[0]).sum() == count // 20


def grown(lake: Lake, month: int, site: str, level: float, first: int = 1) -> None:
    """Two hours of a month more, of a site of its own partner."""
    stamps = pd.date_range(f"2026-{month:02d}-{first:02d}", periods=24, freq="5min", tz="UTC", unit="us")
    rows = pd.DataFrame(
        {"ts": stamps, "received_at": stamps, "site_id": site, "ingest_gbps": level / 10, "egress_gbps": level}
    )
    lake.append("telemetry", pa.Table.from_pandas(rows, preserve_index=False))
    refresh_rollups(lake)


def test_a_past_month_is_reckoned_once_until_something_changes_that_it_hangs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, read = Lake(tmp_path / "lake"), list[int]()
    place = {"region_id": "r", "lat": 0.0, "lon": 0.0, "partner": "acme"}
    lake.replace("sites", pa.Table.from_pylist([{"site_id": site, "name": site, **place} for site in ("a", "b")]))

    def counting(pin: Pin, tables: Sequence[str], *, scope: Scope, span: Span) -> object:
        read.append(span[0].month)
        return duck.connection(pin, tables, scope=scope, span=span)

    def billed() -> dict[int, float]:
        """The months that were read, and the bill of each."""
        read.clear()
        found = queries.partner_months(
            lake.pin(),
            EVERYTHING,
            ("egress_gbps",),
            pd.Timestamp("2026-01-01", tz="UTC"),
            pd.Timestamp("2026-03-31", tz="UTC"),
        )
        return dict(zip(found["month"].dt.month, found["p95"], strict=True))

    monkeypatch.setattr("data.queries.plan_inputs.connection", counting)
    grown(lake, 1, "a", 10.0)
    grown(lake, 2, "a", 20.0)
    assert (billed(), read) == ({1: 10.0, 2: 20.0}, [1, 2, 3])
    assert (billed(), read) == ({1: 10.0, 2: 20.0}, [])
    grown(lake, 3, "a", 30.0)
    assert (billed(), read) == ({1: 10.0, 2: 20.0, 3: 30.0}, [3])
    # A site that begins in February is expected from then on: it is silent in March, and half of two is too few.
    grown(lake, 2, "b", 5.0)
    assert (billed(), read) == ({1: 10.0, 2: 25.0}, [2, 3])
    closed = [
        {
            "site_id": "b",
            "direction": way,
            "effective_from": pd.Timestamp("2026-02-15", tz="UTC"),
            "capacity_gbps": 0.0,
            "status": "installed",
        }
        for way in ("ingest", "egress")
    ]
    lake.replace("capacity", pa.Table.from_pylist(closed))
    assert (billed(), read) == ({1: 10.0, 2: 25.0, 3: 30.0}, [1, 2, 3])


def test_hours_are_means_over_the_days_of_the_sum_of_a_region(full: Lake) -> None:
    start, end = NOW.floor("D") - pd.Timedelta(days=7), NOW.floor("D")
    rows = (
        full.read("telemetry").to_pandas().merge(full.read("sites").to_pandas()[["site_id", "region_id"]], on="site_id")
    )
    rows = rows[(rows["ts"] >= start) & (rows["ts"] < end)]
    stamps = rows.groupby(["region_id", "ts"])["egress_gbps"].agg(["sum", "count"]).reset_index()
    whole = stamps[stamps["count"] == 6].assign(hour=lambda frame: frame["ts"].dt.hour)
    wanted = whole.groupby(["region_id", "hour"])["sum"].mean()
    everything = queries.hours_of_day(full.pin(), EVERYTHING, "egress_gbps", start, end)
    narrow = queries.hours_of_day(full.pin(), Scope(frozenset(rows["site_id"])), "egress_gbps", start, end)
    for found in (everything, narrow):
        assert found["hour"].tolist() == [*range(24)] * 2
        np.testing.assert_allclose(
            found.set_index(["region_id", "hour"])["value"], wanted, rtol=2e-3
        )  # in a silent hour the rollup has the mean of fewer stamps
        assert found["days"].max() == 7
    np.testing.assert_allclose(narrow.set_index(["region_id", "hour"])["value"], wanted, rtol=1e-9)
    alone = queries.hours_of_day(full.pin(), Scope(frozenset({"fra-01"})), "egress_gbps", start, end)
    assert set(alone["region_id"]) == {"eu-west"}
    assert alone["value"].max() < 0.5 * everything["value"].max()


def test_a_ratio_is_neither_billed_nor_summed(full: Lake) -> None:
    with pytest.raises(SettingError, match="startup_seconds of several sites is a mean"):
        queries.partner_months(full.pin(), EVERYTHING, ("startup_seconds",), START, NOW)
    with pytest.raises(SettingError, match="There is no metric"):
        queries.hours_of_day(full.pin(), EVERYTHING, "1; DROP", START, NOW)
