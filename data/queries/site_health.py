"""The health of a site as far as it is measured: over its limit, quality incidents, silence. Pure rules; every limit has
its reason beside it. Where a plan has the site, the plan's state counts (forecasting/planning/site_state.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data.schema import QUALITY_LIMITS, UTILISATION_LIMIT, SiteState

# Starved ingest is a broadcaster's fault as often as ours, so a few streams are usual; one in twenty points at the
# site.
WATCH_STARVED = 0.05
# A day with more than a tenth missing no longer carries a sum (MIN_REPORTING_SHARE of data/lake/aggregation.py).
WATCH_COMPLETENESS = 0.9
# Values older than this say nothing about now.
SILENT_SECONDS = 3 * 3600.0


@dataclass(frozen=True, slots=True)
class SiteIndicators:
    """What is measured of a site at one moment; None where it is not. Ratios 0 to 1, ages and startup in seconds.

    peak_utilisation: the highest of what it carried over its capacity, of both directions.
    """

    peak_utilisation: float | None = None
    rebuffer_ratio: float | None = None
    startup_seconds: float | None = None
    playback_failure_ratio: float | None = None
    ingest_starved_ratio: float | None = None
    completeness_24h: float | None = None
    age_seconds: float | None = 0.0


@dataclass(frozen=True, slots=True)
class HealthState:
    """The state of a site and, in one sentence, why."""

    state: SiteState
    reason: str


def assess(site: SiteIndicators) -> HealthState:
    """act: over its limit; watch: an incident is open; unknown: it is silent; else ok."""
    if quiet := silence(site):
        return HealthState("unknown", quiet)
    if site.peak_utilisation is not None and site.peak_utilisation > UTILISATION_LIMIT:
        return HealthState(
            "act", f"Peaks at {100 * site.peak_utilisation:.0f} % of capacity, above {100 * UTILISATION_LIMIT:.0f} %."
        )
    if suffers := incident(site):
        return HealthState("watch", suffers)
    return HealthState("ok", "Within all limits.")


def silence(site: SiteIndicators) -> str | None:
    """A sentence that says for how long a site has been silent; None where it has reported lately."""
    if site.age_seconds is None:
        return "No telemetry has arrived."
    return f"Silent for {_hours(site.age_seconds)}." if site.age_seconds > SILENT_SECONDS else None


def incident(site: SiteIndicators) -> str | None:
    """The quality incident that is open, in a sentence, most urgent kind first; None where there is none, or where
    nothing recent is known.
    """
    return None if silence(site) else next(_incidents(site), None)


def _incidents(site: SiteIndicators) -> Iterator[str]:
    yield from _above(
        site.rebuffer_ratio, QUALITY_LIMITS["rebuffer_ratio"][0], "Viewers rebuffer {:.2f} % of the time."
    )
    yield from _above(
        site.playback_failure_ratio, QUALITY_LIMITS["playback_failure_ratio"][0], "{:.2f} % of plays fail."
    )
    yield from _above(
        site.startup_seconds, QUALITY_LIMITS["startup_seconds"][0], "Playback starts after {:.1f} s.", factor=1.0
    )
    yield from _above(site.ingest_starved_ratio, WATCH_STARVED, "{:.0f} % of streams arrive starved.")
    if site.completeness_24h is not None and site.completeness_24h < WATCH_COMPLETENESS:
        yield f"Only {100 * site.completeness_24h:.0f} % of the last 24 h arrived."


def _above(value: float | None, limit: float, sentence: str, *, factor: float = 100.0) -> Iterator[str]:
    """A value at a limit or above it; what is no ratio is written with a factor of one."""
    if value is not None and value >= limit:
        yield sentence.format(value * factor)


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{round(hours / 24)} days"
