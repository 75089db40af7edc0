"""What is billed, what lies idle, and how far time zones share the load."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.planning.costs import billing, diversity, diversity_factor, hours_by_region, percentile_95, ports_at_declared_prices, stranded
from forecasting.planning.demand import Reals

STAMPS = pd.date_range("2027-01-04", periods=14 * 24, freq="h", tz="UTC", unit="us")


def daily(site: str, noon: int, size: float) -> pd.DataFrame:
    """Two weeks of hours that peak at an hour of the UTC day."""
    egress = size * (1.0 + np.cos(2 * np.pi * (STAMPS.hour.to_numpy() - noon) / 24))
    return pd.DataFrame({"ts": STAMPS, "site_id": site, "egress_gbps": egress, "ingest_gbps": egress / 20 if site == "a" else np.nan})


SAMPLES = pd.concat([daily("a", 6, 10.0), daily("b", 18, 10.0), daily("c", 18, 30.0)], ignore_index=True)


def test_a_month_of_5_minute_samples_leaves_out_its_busiest_36_hours() -> None:
    values = np.random.default_rng(1).permutation(np.arange(1.0, 8641.0))
    assert percentile_95(values) == 8640.0 - 432.0
    assert np.isnan(percentile_95(np.array([np.nan])))


@given(arrays(float, st.integers(1, 60), elements=st.floats(0, 1e6)))
def test_at_most_a_twentieth_of_the_samples_lies_above_what_is_billed(values: Reals) -> None:
    assert (values > percentile_95(values)).mean() <= 0.05
    assert percentile_95(values) in values


def test_partners_are_billed_by_the_p95_of_their_sum_and_not_the_sum_of_p95s() -> None:
    found = billing(SAMPLES, {"a": "acme", "b": "acme", "c": "bolt"}, {"acme": 2.0}).set_index("partner")
    acme = found.loc["acme"]
    assert acme["egress_gbps"] == pytest.approx(20.0)
    assert acme["egress_apart_gbps"] == pytest.approx(2 * percentile_95(daily("a", 6, 10.0)["egress_gbps"].to_numpy()))
    assert acme["egress_apart_gbps"] > 1.9 * acme["egress_gbps"]
    assert acme["ingest_gbps"] == pytest.approx(percentile_95(daily("a", 6, 10.0)["ingest_gbps"].to_numpy()))
    assert acme["billed_gbps"] == acme["egress_gbps"]
    assert acme["usd"] == pytest.approx(20.0 * 1000 * 2.0)
    assert acme["samples"] == 1.0
    assert np.isnan(found.loc["bolt", "ingest_gbps"])
    assert np.isnan(found.loc["bolt", "usd"])


def test_an_interval_in_which_a_site_is_missing_is_not_billed() -> None:
    gone = SAMPLES[(SAMPLES["site_id"] != "a") | (SAMPLES["ts"] >= STAMPS[168])]
    found = billing(gone, {"a": "acme", "b": "acme"})
    assert found["samples"].tolist() == [0.5]
    assert found["egress_gbps"].tolist() == pytest.approx([20.0])


def test_stranded_is_what_the_limit_does_not_ask_for() -> None:
    found = stranded({"a": 40.0, "b": 90.0, "c": 10.0}, {"a": 100.0, "b": 100.0, "c": 50.0, "d": 9.0}, {"a": 1000.0, "b": 1000.0}, 0.8)
    assert found["site_id"].tolist() == ["a", "b", "c"]
    assert found["stranded_gbps"].tolist() == pytest.approx([50.0, 0.0, 37.5])
    assert found["stranded_usd_month"].tolist()[:2] == pytest.approx([500.0, 0.0])
    assert np.isnan(found["stranded_usd_month"][2])


def test_sites_half_a_day_apart_share_and_sites_of_one_clock_do_not() -> None:
    factors = diversity(SAMPLES, {"a": "both", "b": "both", "c": "one"})
    assert factors == pytest.approx({"both": 2.0, "one": 1.0})
    assert np.isnan(diversity_factor(np.array([[np.nan, 1.0]])))


@given(arrays(float, (12, 4), elements=st.floats(0.01, 1e3)))
def test_the_diversity_factor_lies_between_one_and_the_number_of_sites(values: Reals) -> None:
    assert 1.0 - 1e-12 <= diversity_factor(values) <= 4.0 + 1e-12


def test_the_strip_follows_the_sun() -> None:
    strip = hours_by_region(SAMPLES, {"a": "east", "b": "west", "c": "west"})
    assert strip.shape == (2, 24)
    assert list(strip.index) == ["east", "west"]
    assert strip.idxmax(axis=1).tolist() == [6, 18]
    assert strip.to_numpy().max() == 1.0


def test_ports_are_offered_at_each_sites_newest_price() -> None:
    day = pd.date_range("2026-01-01", periods=3, tz="UTC")
    steps = pd.DataFrame({
        "site_id": ["a", "a", "a", "b", "c"], "direction": ["egress", "egress", "egress", "egress", "ingest"], "effective_from": [*day, day[0], day[0]],
        "capacity_gbps": [100.0, 200.0, 400.0, 100.0, 10.0], "cost_usd_month": [900.0, 1000.0, None, None, 5.0],
    })  # fmt: skip
    sites = pd.DataFrame({"site_id": ["a", "b", "c"], "lead_time_days": [60.0, 30.0, None]})
    offered = ports_at_declared_prices(steps, sites, "egress")
    assert offered is not None
    assert offered.to_dict("records") == [{"site_id": "a", "gbps": 100.0, "cost_usd_month": 500.0, "lead_time_days": 60.0}]
    ingest = ports_at_declared_prices(steps, sites, "ingest")
    assert ingest is not None
    assert ingest["lead_time_days"].tolist() == [90.0]
    assert ports_at_declared_prices(steps[steps["site_id"] == "b"], sites, "egress") is None
