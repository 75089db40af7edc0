"""The moment that the map shows: a slider over the last 7 days and the first 28 of the forecast, that plays by
itself.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.ui.empty_states import plain
from app.ui.header import Frame

# Seconds between steps while it plays: a step is one kept answer and a few kB.
TICK = 1.0
# One that has not ticked for so long was left behind on another page.
FORGOTTEN = 6 * TICK


class Ticker(NamedTuple):
    """The clock of one player, by its name."""

    name: str

    def interval(self) -> float | None:
        """Seconds after which the part of the page draws itself anew: only while it plays."""
        if self.playing() and time.monotonic() - st.session_state[f"{self.name}.ticked"] > FORGOTTEN:
            self.stop()
        return TICK if self.playing() else None

    def playing(self) -> bool:
        """Whether it moves by itself."""
        return bool(st.session_state.get(f"{self.name}.playing"))

    def stop(self) -> None:
        """Stop where it is."""
        st.session_state[f"{self.name}.playing"] = False

    def toggle(self) -> None:
        """Start, or stop."""
        st.session_state[f"{self.name}.playing"] = not self.playing()
        st.session_state[f"{self.name}.ticked"] = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for the next step, which is then taken."""
        if not self.playing() or time.monotonic() - st.session_state[f"{self.name}.ticked"] < TICK / 2:
            return False
        st.session_state[f"{self.name}.ticked"] = time.monotonic()
        return True

    def button(self, help_: str) -> bool:
        """Draw the button that starts and stops it; whether it was pressed. The clock belongs to the page, so that the
        whole page must run once then.
        """
        icon, label = (":material/pause:", "Pause") if self.playing() else (":material/play_arrow:", "Play")
        return st.button(label, icon=icon, key=f"{self.name}.play", help=help_, on_click=self.toggle)


PAST_HOURS, AHEAD_HOURS = 7 * 24, 28 * 24
STEP_HOURS = 3
HOUR = pd.Timedelta(hours=1)
CLOCK = Ticker("player")
_SLIDER = "player.slider"


def player(frame: Frame) -> int:
    """Draw the controls; the moment that they are at, in hours from now (0 is now, below lies what was measured)."""
    moments = offsets(frame.extent.first, base(frame), ahead=cached.latest_run(frame.pin, frame.scope) is not None)
    if len(moments) < 2:
        return 0
    at = _position(moments, base(frame))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="player"):
        if CLOCK.button(f"{STEP_HOURS} h a step, from here to the end of the slider"):
            _keep(at, base(frame))
            st.rerun()
        st.button(
            "Now",
            key="player.now",
            type="tertiary",
            disabled=at == 0,
            help="Back to the newest hour",
            on_click=_go,
            args=(0, base(frame)),
        )
        st.session_state[_SLIDER] = at
        st.select_slider(
            "Moment",
            moments,
            key=_SLIDER,
            format_func=lambda hours: stamp(base(frame) + hours * HOUR, frame.zone),
            label_visibility="collapsed",
            on_change=_moved,
            args=(base(frame),),
            width="stretch",
        )
        _when(base(frame) + at * HOUR, frame.zone, expected=at > 0)
    return at


def show_moment(moment: pd.Timestamp) -> None:
    """Put the slider at a moment, in a callback."""
    st.session_state.pop(_SLIDER, None)
    state.update(at=moment.to_pydatetime())


def _when(moment: pd.Timestamp, zone: str, *, expected: bool) -> None:
    """The moment in full, and whether it was or is to come."""
    kind = ":blue-badge[:material/timeline: expected]" if expected else ":gray-badge[:material/check: measured]"
    st.markdown(f"**{theme.stamp(moment, zone)}** {plain(zone)} {kind}", width="content")


def offsets(first: pd.Timestamp, now: pd.Timestamp, *, ahead: bool) -> list[int]:
    """The moments of the slider, in hours from now: back as far as there is telemetry, ahead only where there is a
    forecast.
    """
    known = int((now - first) / HOUR)
    past = min(PAST_HOURS, max(0, known)) // STEP_HOURS * STEP_HOURS
    return list(range(-past, (AHEAD_HOURS if ahead else 0) + 1, STEP_HOURS))


def base(frame: Frame) -> pd.Timestamp:
    """The newest hour that has begun at the end of the telemetry; the slider counts from it."""
    return (frame.extent.now - pd.Timedelta(microseconds=1)).floor("h")


def stamp(moment: pd.Timestamp, zone: str) -> str:
    """'12 Nov 09:00' in the zone."""
    there = theme.local(moment, zone)
    return f"{theme.day(there, year=False)} {there:%H:%M}"


def nearest(moments: list[int], hours: float) -> int:
    """The moment of the slider that is closest to a time given in hours from now."""
    return min(moments, key=lambda moment: abs(moment - hours))


def _position(moments: list[int], now: pd.Timestamp) -> int:
    """Where the slider is: where the viewer or the link put it, one step further at each tick."""
    at = state.current().at
    linked = 0.0 if at is None else (pd.Timestamp(at) - now) / HOUR
    here = nearest(moments, st.session_state.get(_SLIDER, linked))
    if not CLOCK.due():
        return here
    if here == moments[-1]:
        CLOCK.stop()
        st.rerun()
    return here + STEP_HOURS


def _moved(now: pd.Timestamp) -> None:
    _keep(st.session_state[_SLIDER], now)


def _go(at: int, now: pd.Timestamp) -> None:
    st.session_state[_SLIDER] = at
    _keep(at, now)


def _keep(at: int, now: pd.Timestamp) -> None:
    """Write the moment into the URL. A player that runs leaves the URL alone: each step would become a page of the
    browser's history.
    """
    state.update(at=None if at == 0 else (now + at * HOUR).to_pydatetime())
