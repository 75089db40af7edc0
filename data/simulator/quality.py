"""What viewers feel: how much a site delivers of what is asked, and how playback suffers near its capacity.

`load` is demand over capacity. Up to `FULL` a site delivers what is asked; beyond it players step down to lower
renditions, so egress bends towards, and never reaches, capacity. Stalls begin earlier, at the site's own knee:
`knee_of` is the truth that a finder of knees is held against.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from data.simulator.noise import Field, Octave
from data.simulator.plan import draws
from data.simulator.world import Real, World

# Where delivery starts to bend, and what it never exceeds, as shares of capacity.
FULL, CEILING = 0.92, 0.995
KNEE = (0.78, 0.90)
# How sharply strain sets in at the knee, and the load beyond it at which strain is 1.
KNEE_WIDTH, KNEE_REACH, NO_STRAIN = 0.022, 0.10, -9.0
REBUFFER_AT_ONE, STARTUP_AT_ONE, FAILURE_AT_ONE = 0.020, 0.9, 0.014
# Viewers who give up, at a strain of one.
ABANDON_AT_ONE = 0.03
# In an outage a play that is tried at all mostly fails.
OUTAGE_FAILURE, OUTAGE_REBUFFER, OUTAGE_STARTUP = 0.6, 0.08, 6.0
QUALITY_NOISE = (Octave(360, 0.06), Octave(45, 0.06))
BASE_FAILURE = (0.0018, 0.0042)


@dataclass(frozen=True, slots=True)
class Quality:
    """What is typical of each site: its knee, its delivered bitrate, and its quality where nothing is congested."""

    seed: int
    knee: Real
    bitrate_mbps: Real
    rebuffer: Real
    startup: Real
    failure: Real

    def day(self, day: int, strained: Real, availability: Real) -> tuple[Real, Real, Real]:
        """Rebuffer ratio, startup seconds and playback failure ratio, each (sites, 288)."""
        noise = np.exp(Field(self.seed, "quality", len(self.knee), QUALITY_NOISE).day(day))
        grain = np.exp(0.05 * draws(self.seed, "quality grain", day).standard_normal(strained.shape))
        down = 1.0 - availability
        rebuffer = rebuffer_ratio(strained, self.rebuffer[:, None] * noise * grain) + OUTAGE_REBUFFER * down
        startup = startup_seconds(strained, self.startup[:, None] * np.sqrt(noise)) + OUTAGE_STARTUP * down
        failure = failure_ratio(strained, self.failure[:, None] * grain) + OUTAGE_FAILURE * down
        return np.minimum(rebuffer, 1.0), startup, np.minimum(failure, 1.0)


def build_quality(world: World, seed: int) -> Quality:
    """The constants of each site, around what is typical of its region."""
    rng = draws(seed, "quality")
    spread = rng.uniform(0.85, 1.2, (4, len(world)))
    return Quality(
        seed,
        knee=np.array([knee_of(site_id, seed) for site_id in world.site_ids]),
        bitrate_mbps=np.array([region.bitrate_mbps for region in world.regions]) * rng.uniform(0.95, 1.05, len(world)),
        rebuffer=np.array([region.rebuffer_ratio for region in world.regions]) * spread[0],
        startup=np.array([region.startup_seconds for region in world.regions]) * spread[1],
        failure=rng.uniform(*BASE_FAILURE, len(world)),
    )


def knee_of(site_id: str, seed: int) -> float:
    """The load at which this site's viewers begin to stall: a constant of the site, the truth about it."""
    return float(draws(seed, "knee", zlib.crc32(site_id.encode())).uniform(*KNEE))


def strain(load: Real, knee: Real | float) -> Real:
    """How congested: near 0 well below the knee, 1 at `KNEE_REACH` beyond it, then linear; smooth and increasing."""
    beyond = (load - knee) / KNEE_WIDTH
    # Most loads are far below their knee, where the answer is nought to four digits and not worth a logarithm.
    near = beyond > NO_STRAIN
    return KNEE_WIDTH / KNEE_REACH * np.logaddexp(0.0, beyond, where=near, out=np.zeros_like(beyond))


def rebuffer_ratio(strained: Real, base: Real | float) -> Real:
    """Rises faster than the strain; never falls as the load grows."""
    return np.asarray(base + REBUFFER_AT_ONE * strained * np.sqrt(strained))


def startup_seconds(strained: Real, base: Real | float) -> Real:
    """Rises with the strain."""
    return np.asarray(base * (1.0 + STARTUP_AT_ONE * strained))


def failure_ratio(strained: Real, base: Real | float) -> Real:
    """Rises slowly at first; never falls as the load grows."""
    return np.asarray(base + FAILURE_AT_ONE * strained**2)


def delivered(load: Real) -> Real:
    """Egress over capacity for a load: equal up to `FULL`, then bending towards `CEILING`."""
    room = CEILING - FULL
    beyond = np.maximum(load - FULL, 0.0) / room
    return np.minimum(load, FULL) - room * np.expm1(-beyond, where=beyond > 0, out=np.zeros_like(beyond))


def staying(strained: Real) -> Real:
    """Share of viewers who do not give up."""
    return np.exp(-ABANDON_AT_ONE * strained)
