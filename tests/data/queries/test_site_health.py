"""The rules that call a site ok, watch, act or unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.queries.site_health import HealthState, SiteIndicators, assess, incident, silence

CALM = SiteIndicators(peak_utilisation=0.6, completeness_24h=1.0)
WORST_FIRST = ("act", "watch", "unknown", "ok")


@pytest.mark.parametrize(
    ("indicators", "state", "reason"),
    [
        ({}, "ok", "Within all limits."),
        ({"peak_utilisation": 0.8}, "ok", "Within all limits."),
        ({"peak_utilisation": 0.91}, "act", "Peaks at 91 % of capacity, above 80 %."),
        ({"rebuffer_ratio": 0.0078}, "watch", "Viewers rebuffer 0.78 % of the time."),
        ({"rebuffer_ratio": 0.02}, "watch", "Viewers rebuffer 2.00 % of the time."),
        ({"playback_failure_ratio": 0.006}, "watch", "0.60 % of plays fail."),
        ({"startup_seconds": 4.2}, "watch", "Playback starts after 4.2 s."),
        ({"ingest_starved_ratio": 0.07}, "watch", "7 % of streams arrive starved."),
        ({"completeness_24h": 0.8}, "watch", "Only 80 % of the last 24 h arrived."),
        ({"age_seconds": None}, "unknown", "No telemetry has arrived."),
        ({"age_seconds": 3 * 3600.0}, "ok", "Within all limits."),
        ({"age_seconds": 5 * 3600.0, "peak_utilisation": 0.99}, "unknown", "Silent for 5 h."),
        ({"age_seconds": 5 * 86_400.0}, "unknown", "Silent for 5 days."),
    ],
)
def test_each_rule_has_its_limit_and_its_sentence(indicators: dict[str, Any], state: str, reason: str) -> None:
    assert assess(replace(CALM, **indicators)) == HealthState(state, reason)  # type: ignore[arg-type]


def test_the_worst_finding_speaks() -> None:
    site = replace(CALM, completeness_24h=0.5, rebuffer_ratio=0.02)
    assert assess(site).reason.startswith("Viewers rebuffer")
    assert assess(replace(site, peak_utilisation=0.9)).state == "act"


def test_a_silent_site_has_no_incident_that_is_open() -> None:
    site = replace(CALM, rebuffer_ratio=0.02)
    assert (incident(site), silence(site)) == ("Viewers rebuffer 2.00 % of the time.", None)
    mute = replace(site, age_seconds=5 * 3600.0)
    assert (incident(mute), silence(mute)) == (None, "Silent for 5 h.")


ratios = st.none() | st.floats(0, 2)


@given(
    ratios, st.none() | st.floats(0, 0.1), st.none() | st.floats(0, 10), st.none() | st.floats(0, 1), st.floats(0, 0.5)
)
def test_more_load_never_looks_better(
    peak: float | None, rebuffer: float | None, startup: float | None, complete: float | None, more: float
) -> None:
    site = replace(
        CALM, peak_utilisation=peak, rebuffer_ratio=rebuffer, startup_seconds=startup, completeness_24h=complete
    )
    busier = replace(site, peak_utilisation=(peak or 0) + more)
    assert WORST_FIRST.index(assess(busier).state) <= WORST_FIRST.index(assess(site).state)
    assert assess(site).reason.endswith(".")
