"""The rules that call a site ok, watch, act or unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.queries.site_health import WORST_FIRST, Signs, Verdict, judge, runout

CALM = Signs(
    egress_utilisation=0.5,
    ingest_utilisation=0.3,
    peak_7d_utilisation=0.6,
    runout="beyond",
    lead_time_days=30.0,
    completeness_24h=1.0,
)


@pytest.mark.parametrize(
    ("signs", "state", "reason"),
    [
        ({}, "ok", "Within all limits."),
        ({"egress_utilisation": 0.699}, "ok", "Within all limits."),
        ({"egress_utilisation": 0.7}, "watch", "Egress is at 70 % of capacity."),
        ({"egress_utilisation": 0.9}, "act", "Egress is at 90 % of capacity."),
        ({"ingest_utilisation": 0.95}, "act", "Ingest is at 95 % of capacity."),
        ({"rebuffer_ratio": 0.0078}, "watch", "Viewers rebuffer 0.78 % of the time."),
        ({"rebuffer_ratio": 0.02}, "act", "Viewers rebuffer 2.00 % of the time."),
        ({"playback_failure_ratio": 0.006}, "watch", "0.60 % of plays fail."),
        ({"startup_seconds": 4.2}, "act", "Playback starts after 4.2 s."),
        ({"ingest_starved_ratio": 0.07}, "watch", "7 % of streams arrive starved."),
        ({"completeness_24h": 0.8}, "watch", "Only 80 % of the last 24 h arrived."),
        (
            {"runout": "over", "peak_7d_utilisation": 0.85},
            "watch",
            "Peaked at 85 % of capacity in the last 7 days, above 80 %.",
        ),
        (
            {"runout": "within", "runout_early_days": 9.0},
            "watch",
            "Hourly traffic may pass 80 % of capacity in 9 days.",
        ),
        (
            {"runout": "within", "runout_early_days": 9.0, "runout_mid_days": 45.0},
            "watch",
            "Hourly traffic is expected to pass 80 % of capacity in 45 days.",
        ),
        (
            {"runout": "within", "runout_mid_days": 1.0},
            "act",
            "Hourly traffic is expected to pass 80 % of capacity in 1 day, before an order (30 days) would arrive.",
        ),
        (
            {"runout": "within", "runout_mid_days": 1.0, "lead_time_days": None},
            "watch",
            "Hourly traffic is expected to pass 80 % of capacity in 1 day.",
        ),
        ({"age_seconds": None}, "unknown", "No telemetry has arrived."),
        ({"age_seconds": 3 * 3600.0}, "ok", "Within all limits."),
        ({"age_seconds": 5 * 3600.0, "egress_utilisation": 0.99}, "unknown", "Silent for 5 h."),
        ({"age_seconds": 5 * 86_400.0}, "unknown", "Silent for 5 days."),
    ],
)
def test_each_rule_has_its_limit_and_its_sentence(signs: dict[str, Any], state: str, reason: str) -> None:
    assert judge(replace(CALM, **signs)) == Verdict(state, reason)  # type: ignore[arg-type]


def test_the_worst_finding_speaks() -> None:
    assert judge(replace(CALM, egress_utilisation=0.75, rebuffer_ratio=0.02)).reason.startswith("Viewers rebuffer")


ratios = st.none() | st.floats(0, 2)


@given(
    ratios,
    ratios,
    st.none() | st.floats(0, 0.1),
    st.none() | st.floats(0, 10),
    st.none() | st.floats(0, 1),
    st.floats(0, 0.5),
)
def test_more_load_never_looks_better(
    egress: float | None,
    ingest: float | None,
    rebuffer: float | None,
    startup: float | None,
    complete: float | None,
    more: float,
) -> None:
    signs = replace(
        CALM,
        egress_utilisation=egress,
        ingest_utilisation=ingest,
        rebuffer_ratio=rebuffer,
        startup_seconds=startup,
        completeness_24h=complete,
    )
    busier = replace(signs, egress_utilisation=(egress or 0) + more)
    assert WORST_FIRST.index(judge(busier).state) <= WORST_FIRST.index(judge(signs).state)
    assert judge(signs).reason.endswith(".")


@pytest.mark.parametrize(
    ("peak", "early", "capacity", "forecast", "word"),
    [
        (0.9, 3.0, False, True, "no capacity"),
        (0.8, None, True, False, "over"),
        (0.5, 3.0, True, False, "no forecast"),
        (None, 3.0, True, True, "within"),
        (0.79, None, True, True, "beyond"),
    ],
)
def test_runout_in_a_word(peak: float | None, early: float | None, capacity: bool, forecast: bool, word: str) -> None:
    assert runout(peak, early, has_capacity=capacity, has_forecast=forecast) == word
