"""What is billed, what lies idle, and how far time zones share the load."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.planning.costs import billing, diversity, hour_strip, stranded
from forecasting.planning.demand import Reals

MONTH = pd.Timestamp("2027-01-01", tz="UTC")
WEEKS = pd.date_range("2027-01-04", periods=12, freq="7D", tz="UTC", unit="us")


def month(partner: str, metric: str, p95: float, apart: float, completeness: float = 1.0) -> dict[str, object]:
    return {
        "partner": partner,
        "month": MONTH,
        "metric": metric,
        "p95": p95,
        "apart": apart,
        "samples": 8928,
        "completeness": completeness,
    }


def test_partners_are_billed_by_the_busier_direction() -> None:
    rows = pd.DataFrame(
        [
            month("acme", "egress_gbps", 20.0, 38.0),
            month("acme", "ingest_gbps", 2.0, 2.5),
            month("bolt", "egress_gbps", 1.0, 1.0),
            month("bolt", "ingest_gbps", 7.0, 8.0, 0.4),
            month("core", "egress_gbps", 3.0, 3.0),
        ]
    )
    found = billing(rows, 2.0).set_index("partner")
    assert found["billed_gbps"].to_dict() == {"acme": 20.0, "bolt": 7.0, "core": 3.0}
    assert found["apart_gbps"].to_dict() == {"acme": 38.0, "bolt": 8.0, "core": 3.0}
    assert found.loc["acme", ["ingest_gbps", "egress_gbps", "usd"]].tolist() == [2.0, 20.0, 40_000.0]
    assert found.loc["bolt", "completeness"] == 0.4
    assert np.isnan(found.loc["core", "ingest_gbps"])
    assert billing(rows)["usd"].isna().all()
    assert billing(rows.head(0)).empty


def test_stranded_is_what_the_limit_does_not_ask_for() -> None:
    limits = {"a": 0.8, "b": 0.8, "c": 0.5}
    found = stranded(
        {"a": 40.0, "b": 90.0, "c": 10.0},
        {"a": 100.0, "b": 100.0, "c": 50.0, "d": 9.0},
        {"a": 1000.0, "b": 1000.0},
        limits,
    )
    assert found["site_id"].tolist() == ["a", "b", "c"]
    assert found["stranded_gbps"].tolist() == pytest.approx([50.0, 0.0, 30.0])
    assert found["stranded_usd_month"].tolist()[:2] == pytest.approx([500.0, 0.0])
    assert np.isnan(found["stranded_usd_month"][2])


def measured(peaks: dict[str, Reals], whole: Reals, group: str = "all", completeness: float = 1.0) -> pd.DataFrame:
    """Weekly rows of some sites and of their sum."""
    rows = [
        pd.DataFrame({"level": "site", "key": key, "week": WEEKS[: len(values)], "peak": values})
        for key, values in peaks.items()
    ]
    rows.append(
        pd.DataFrame(
            {
                "level": "global" if group == "all" else "region",
                "key": group,
                "week": WEEKS[: len(whole)],
                "peak": whole,
            }
        )
    )
    return pd.concat(rows, ignore_index=True).assign(completeness=completeness)


def test_the_diversity_factor_is_the_sum_of_peaks_over_the_peak_of_the_sum() -> None:
    peaks = {"a": np.array([10.0, 10.0, 10.0]), "b": np.array([10.0, 20.0, 10.0])}
    for group in ("all", "eu-west"):
        found = diversity(measured(peaks, np.array([10.0, 20.0, 20.0]), group), {"a": group, "b": group})
        assert found.to_dict("records") == [
            {"key": group, "factor": 1.5, "low": 1.0, "high": 2.0, "sites": 2, "weeks": 3}
        ]


def test_a_week_of_which_a_part_is_missing_does_not_count() -> None:
    weeks = measured({"a": np.array([10.0, 10.0]), "b": np.array([10.0, 90.0])}, np.array([20.0, 20.0]))
    for gone in (
        weeks[(weeks["key"] != "b") | (weeks["week"] != WEEKS[1])],
        weeks.assign(completeness=np.where(weeks["week"] == WEEKS[1], 0.5, 1.0)),
    ):
        assert diversity(gone, {"a": "all", "b": "all"})[["factor", "weeks"]].to_numpy().tolist() == [[1.0, 1]]
    assert diversity(weeks.assign(completeness=0.1), {"a": "all"}).empty


@given(arrays(float, (6, 40, 3), elements=st.floats(0.01, 1e3)))
def test_the_diversity_factor_lies_between_one_and_the_number_of_sites(values: Reals) -> None:
    peaks = {name: values[:, :, number].max(axis=1) for number, name in enumerate("abc")}
    row = diversity(measured(peaks, values.sum(axis=2).max(axis=1)), dict.fromkeys("abc", "all")).iloc[0]
    assert 1.0 - 1e-12 <= row["low"] <= row["factor"] <= row["high"] <= 3.0 + 1e-12


def test_the_strip_follows_the_sun() -> None:
    hours = pd.DataFrame(
        [
            (name, hour, 5.0 + np.cos(2 * np.pi * (hour - noon) / 24))
            for name, noon in (("west", 18), ("east", 6))
            for hour in range(24)
        ],
        columns=["region_id", "hour", "value"],
    )
    strip = hour_strip(hours[(hours["region_id"] != "west") | (hours["hour"] != 3)])
    assert strip.shape == (2, 24)
    assert list(strip.index) == ["east", "west"]
    assert strip.idxmax(axis=1).tolist() == [6, 18]
    assert np.nanmax(strip.to_numpy()) == 1.0
    assert np.isnan(strip.loc["west", 3])
