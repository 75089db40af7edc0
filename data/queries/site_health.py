"""How is a site, in one word and one sentence? Pure rules; every limit has its reason beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "watch", "act", "unknown"]
Runout = Literal["over", "within", "beyond", "no forecast", "no capacity"]

# The usual planning target: a site that passes it has run out, because the rest is kept for failures and surges.
RUNOUT_LIMIT = 0.8
# The usual pair of alarms on utilisation: network engineers worry above 70 % and panic above 90 %.
WATCH_UTILISATION, ACT_UTILISATION = 0.7, 0.9
# Rebuffering below half a percent is good, above one percent bad; the industry's mean is 0.78 %.
WATCH_REBUFFER, ACT_REBUFFER = 0.005, 0.01
# A start within two seconds is good; viewers leave after four.
WATCH_STARTUP, ACT_STARTUP = 2.0, 4.0
# Plays that fail: below half a percent good, above one percent bad.
WATCH_FAILURE, ACT_FAILURE = 0.005, 0.01
# Starved ingest is a broadcaster's fault as often as ours, so a few streams are usual; one in twenty points at the
# site, one in ten is an incident.
WATCH_STARVED, ACT_STARVED = 0.05, 0.1
# A day with more than a tenth missing no longer carries a sum (COMPLETE_ENOUGH of data/lake/aggregation.py).
WATCH_COMPLETENESS = 0.9
# Values older than this say nothing about now.
SILENT_SECONDS = 3 * 3600.0

WORST_FIRST: tuple[State, ...] = ("act", "watch", "unknown", "ok")


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a site at one moment; None where it is not. Ratios 0 to 1, ages and startup in seconds, times
    until run-out in days.
    """

    egress_utilisation: float | None = None
    ingest_utilisation: float | None = None
    peak_7d_utilisation: float | None = None
    runout: Runout = "no forecast"
    runout_early_days: float | None = None
    runout_mid_days: float | None = None
    lead_time_days: float | None = None
    rebuffer_ratio: float | None = None
    startup_seconds: float | None = None
    playback_failure_ratio: float | None = None
    ingest_starved_ratio: float | None = None
    completeness_24h: float | None = None
    age_seconds: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a site and, in one sentence, why."""

    state: State
    reason: str


def judge(signs: Signs) -> Verdict:
    """The worst thing that holds of a site; "unknown" where it is silent, "ok" where nothing is wrong."""
    if signs.age_seconds is None:
        return Verdict("unknown", "No telemetry has arrived.")
    if signs.age_seconds > SILENT_SECONDS:
        return Verdict("unknown", f"Silent for {_hours(signs.age_seconds)}.")
    found = list(_findings(signs))
    worst = next((v for state in WORST_FIRST for v in found if v.state == state), None)
    return worst or Verdict("ok", "Within all limits.")


def _findings(s: Signs) -> Iterator[Verdict]:
    """Everything worth a word, most urgent kind first."""
    yield from _above(s.egress_utilisation, WATCH_UTILISATION, ACT_UTILISATION, "Egress is at {:.0f} % of capacity.")
    yield from _above(s.ingest_utilisation, WATCH_UTILISATION, ACT_UTILISATION, "Ingest is at {:.0f} % of capacity.")
    yield from _above(s.rebuffer_ratio, WATCH_REBUFFER, ACT_REBUFFER, "Viewers rebuffer {:.2f} % of the time.")
    yield from _above(s.playback_failure_ratio, WATCH_FAILURE, ACT_FAILURE, "{:.2f} % of plays fail.")
    yield from _above(s.startup_seconds, WATCH_STARTUP, ACT_STARTUP, "Playback starts after {:.1f} s.", factor=1.0)
    yield from _above(s.ingest_starved_ratio, WATCH_STARVED, ACT_STARVED, "{:.0f} % of streams arrive starved.")
    yield from _running_out(s)
    if s.completeness_24h is not None and s.completeness_24h < WATCH_COMPLETENESS:
        yield Verdict("watch", f"Only {100 * s.completeness_24h:.0f} % of the last 24 h arrived.")


def _above(value: float | None, watch: float, act: float, sentence: str, *, factor: float = 100.0) -> Iterator[Verdict]:
    """A value at a limit or above it; what is no ratio is written with a factor of one."""
    if value is not None and value >= watch:
        yield Verdict("act" if value >= act else "watch", sentence.format(value * factor))


def _running_out(s: Signs) -> Iterator[Verdict]:
    """Late to order is act; passing the limit within the forecast's horizon is watch. It is the hourly forecast that
    speaks here: peaks pass sooner.
    """
    limit = f"{100 * RUNOUT_LIMIT:.0f} %"
    if s.runout == "over" and s.peak_7d_utilisation is not None:
        yield Verdict(
            "watch", f"Peaked at {100 * s.peak_7d_utilisation:.0f} % of capacity in the last 7 days, above {limit}."
        )
    if s.runout != "within":
        return
    mid, lead = s.runout_mid_days, s.lead_time_days
    if mid is not None and lead is not None and mid < lead:
        yield Verdict(
            "act",
            f"Hourly traffic is expected to pass {limit} of capacity in {_days(mid)}, before an order ({_days(lead)}) would arrive.",
        )
    elif mid is not None:
        yield Verdict("watch", f"Hourly traffic is expected to pass {limit} of capacity in {_days(mid)}.")
    elif s.runout_early_days is not None:
        yield Verdict("watch", f"Hourly traffic may pass {limit} of capacity in {_days(s.runout_early_days)}.")


def runout(
    peak_7d_utilisation: float | None, early_days: float | None, *, has_capacity: bool, has_forecast: bool
) -> Runout:
    """Which kind of run-out a site has: over the limit already, within or beyond the forecast's horizon, or why none
    can be told.
    """
    if not has_capacity:
        return "no capacity"
    if peak_7d_utilisation is not None and peak_7d_utilisation >= RUNOUT_LIMIT:
        return "over"
    if not has_forecast:
        return "no forecast"
    return "beyond" if early_days is None else "within"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 48 else _days(hours / 24)


def _days(days: float) -> str:
    whole = round(days)
    return "less than a day" if days < 0.5 else "1 day" if whole == 1 else f"{whole} days"
