"""Safe utilisation: on the simulator, whose truth is known, the knee is found within three points; where it was not seen, that is the answer."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from data.simulator.capacity import capacity_on
from data.simulator.network import build_network, network_day
from data.simulator.plan import DAY_MINUTES, Plan, minutes
from data.simulator.quality import rebuffer_ratio, strain
from forecasting.planning.safe_utilisation import SafeUtilisation, safe_frame, safe_utilisation

DAYS = 60


def simulated(seed: int, sites: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """What a network reports of its last two months, and the true knees."""
    plan = Plan(datetime(2026, 11, 1, tzinfo=UTC), sites=sites, days=DAYS, seed=seed)
    network, last = build_network(plan), minutes(plan.end) // DAY_MINUTES
    parts = []
    for day in range(last - DAYS, last):
        state = network_day(network, day)
        used = state.egress_gbps / capacity_on(network.steps, network.world, "egress", day * DAY_MINUTES)[:, None]
        stamps = pd.date_range(pd.Timestamp(day, unit="D", tz="UTC"), periods=used.shape[1], freq="5min")
        ids, quality = np.repeat(network.world.site_ids, used.shape[1]), state.rebuffer.ravel()
        parts.append(pd.DataFrame({"ts": np.tile(stamps, len(used)), "site_id": ids, "utilisation": used.ravel(), "quality": quality}))
    return pd.concat(parts, ignore_index=True), dict(zip(network.world.site_ids, network.quality.knee.tolist(), strict=True))


@pytest.fixture(scope="module")
def found() -> list[tuple[SafeUtilisation, float, int]]:
    """Every site of two networks: the answer, the truth, and on how many days it stood above its knee."""
    answers = []
    for seed in (201, 202):
        samples, knees = simulated(seed, 36)
        above = samples[samples["utilisation"] > samples["site_id"].map(knees)]
        days = above.groupby("site_id")["ts"].agg(lambda stamps: stamps.dt.floor("D").nunique())
        answers += [(one, knees[one.key], int(days.get(one.key, 0))) for one in safe_utilisation(samples)]
    return answers


def test_knees_are_found_within_three_points(found: list[tuple[SafeUtilisation, float, int]]) -> None:
    errors = np.array([one.knee - knee for one, knee, _ in found if one.state == "found"])
    assert len(errors) >= 8
    assert np.median(np.abs(errors)) <= 0.015
    assert (np.abs(errors) <= 0.03).mean() >= 0.9


def test_most_intervals_hold_the_truth_and_their_lower_end_is_what_is_offered(found: list[tuple[SafeUtilisation, float, int]]) -> None:
    held = [one.low <= knee <= one.high for one, knee, _ in found if one.state == "found"]
    assert np.mean(held) >= 0.8
    assert all(one.limit == one.low < one.knee < one.high for one, _, _ in found if one.state == "found")


def test_a_site_that_never_passed_its_knee_has_none_and_is_safe_as_far_as_it_was_seen(found: list[tuple[SafeUtilisation, float, int]]) -> None:
    calm = [one for one, _, days in found if days == 0]
    assert len(calm) >= 20
    assert {one.state for one in calm} == {"unseen"}
    assert all(one.limit == one.seen_up_to and np.isnan(one.knee) for one in calm)
    assert calm[0].reason.startswith("no knee up to ")


def test_the_curve_never_falls_and_lies_within_its_band(found: list[tuple[SafeUtilisation, float, int]]) -> None:
    for one, _, _ in found:
        curve = one.curve
        assert (np.diff(curve["quality"]) >= -1e-12).all()
        assert (curve["low"] <= curve["high"] + 1e-12).all()


def made(knees: dict[str, float], bases: dict[str, float], days: int = 20) -> pd.DataFrame:
    """Sites that pass their knee every day."""
    rng = np.random.default_rng(4)
    stamps = pd.date_range("2027-01-04", periods=days * 288, freq="5min", tz="UTC")
    used = 0.6 + 0.35 * np.sin(2 * np.pi * np.arange(len(stamps)) / 288)
    parts = [
        pd.DataFrame(
            {"ts": stamps, "site_id": key, "utilisation": used,
             "quality": rebuffer_ratio(strain(used, knee), bases[key] * np.exp(rng.normal(0, 0.1, len(used))))}
        )
        for key, knee in knees.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_a_region_pools_its_sites_whatever_their_own_base() -> None:
    samples = made({"a": 0.80, "b": 0.80, "c": 0.86}, {"a": 0.002, "b": 0.009, "c": 0.004})
    regions = safe_utilisation(samples, {"a": "east", "b": "east", "c": "west"})
    assert [one.key for one in regions] == ["east", "west"]
    assert [one.knee for one in regions] == pytest.approx([0.80, 0.86], abs=0.03)


def test_too_little_is_refused_with_a_reason_and_the_same_seed_gives_the_same_answer() -> None:
    short = made({"a": 0.8}, {"a": 0.004}, days=4)
    refused = safe_utilisation(short)[0]
    assert refused.state == "refused"
    assert refused.reason.startswith("4 days and ")
    assert np.isnan(refused.limit)
    silent = safe_utilisation(short.assign(quality=np.nan))[0]
    assert (silent.state, silent.reason[:6]) == ("refused", "0 days")
    enough = made({"a": 0.8}, {"a": 0.004})
    assert safe_frame(safe_utilisation(enough)).equals(safe_frame(safe_utilisation(enough)))


def test_no_sample_at_all_is_no_answer() -> None:
    nothing = made({"a": 0.8}, {"a": 0.004}, days=1).head(0)
    assert safe_utilisation(nothing) == []
    assert safe_utilisation(nothing, {"a": "east"}) == []
