"""What plays by itself: a clock of the session that moves a slider on, until it is paused or left behind."""

from __future__ import annotations

import time
from typing import NamedTuple

import streamlit as st

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
