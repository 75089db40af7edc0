"""How much time a page shows, in what grain, and what is drawn beside the measurements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.state import State
from app.ui.header import Frame

Grain = Literal["5min", "1h", "1d"]

# How far back each range reaches, and how far into the forecast: about half as far again, so that the past keeps the
# larger part.
BACK = {"24h": timedelta(days=1), "7d": timedelta(days=7), "28d": timedelta(days=28), "90d": timedelta(days=90)}
AHEAD = {
    "24h": timedelta(hours=12),
    "7d": timedelta(days=2),
    "28d": timedelta(days=14),
    "90d": timedelta(days=45),
    "all": timedelta(days=90),
}
# Five-minute samples of more than a month are more than a chart can draw and more than anyone can tell apart.
FINE_LIMIT, HOURLY_LIMIT = timedelta(days=8), timedelta(days=400)
FINEST_LIMIT = timedelta(days=32)
# Beyond a month last week's line is a second copy of the same curve.
GHOST_LIMIT = timedelta(days=29)
RANGE_WORDS = {"24h": "24 h", "7d": "7 d", "28d": "28 d", "90d": "90 d", "all": "All", "custom": "Dates"}
GRAIN_WORDS = {"auto": "Auto", "5min": "5 min", "1h": "Hour", "1d": "Day"}
SHOW_WORDS = {
    "last_week": "Last week",
    "forecast": "Forecast",
    "peaks": "Peaks",
    "prophet": "Prophet",
    "baseline": "Baseline",
    "events": "Events",
}
# What only a run that judged its models has.
OF_JUDGED_RUNS = ("peaks", "prophet", "baseline")
_DATES, _SHOW = "window.dates", "state.show"


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a page shows: start and end (UTC; the end may lie in the forecast), now, and the grain of the
    measurements.
    """

    start: pd.Timestamp
    end: pd.Timestamp
    now: pd.Timestamp
    grain: Grain
    words: str

    @property
    def past_end(self) -> pd.Timestamp:
        return min(self.now, self.end)

    @property
    def ghost(self) -> bool:
        """Whether last week's line still says something."""
        return bool(self.past_end - self.start <= GHOST_LIMIT)


def window(frame: Frame) -> Window:
    """The window that the state asks for."""
    now, first = frame.extent.now, frame.extent.first
    start, end = span(state.current(), first, now)
    grain = grain_of(state.current().grain, min(now, end) - start)
    seconds = frame.extent.grain_seconds
    words = {"1h": "hourly mean", "1d": "daily mean (UTC)"}.get(
        grain, f"{seconds // 60}-minute mean" if seconds > 300 else "5-minute mean"
    )
    return Window(start, end, now, grain, words)


def span(chosen: State, first: pd.Timestamp, now: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last moment (UTC) of a range. A custom range may end in the forecast; one without an end ends now.

    It is cut to where there is anything to show, from the first sample to the end of the forecast: a link that starts
    in 1970 asked for 5.9 million empty steps, 16 to 29 s and 248 MB of them.
    """
    if chosen.range == "custom" and chosen.start is not None:
        start, end = asked_for(chosen, now)
        start, end = max(start, first), min(end, now + AHEAD["all"])
        # A range wholly before the telemetry shows its first day; one wholly in the forecast shows the day before it
        # too, so that the join with what was can be seen.
        end = max(end, first + timedelta(days=1))
        return min(start, now - timedelta(days=1)) if start >= now else start, end
    if chosen.range in BACK:
        return max(now - BACK[chosen.range], first), now + AHEAD[chosen.range]
    return first, now + AHEAD["all"]


def asked_for(chosen: State, now: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Start and end of a custom range as the link has them."""
    return pd.Timestamp(chosen.start), now if chosen.end is None else pd.Timestamp(chosen.end)


def cut_note(chosen: State, first: pd.Timestamp, now: pd.Timestamp, zone: str) -> str | None:
    """What the page says where a custom range reaches beyond what there is to show; None where it does not."""
    if chosen.range != "custom" or chosen.start is None:
        return None
    start, end = asked_for(chosen, now)
    if start < first:
        return f"Telemetry begins {theme.stamp(first, zone)}: the range starts there."
    if end > now + AHEAD["all"]:
        return f"Forecasts end {theme.stamp(now + AHEAD['all'], zone)}: the range ends there."
    return None


def grain_of(asked: str, past: timedelta) -> Grain:
    """The grain asked for, or the one that follows the range; never finer than a range can show."""
    follows: Grain = "5min" if past <= FINE_LIMIT else "1h" if past <= HOURLY_LIMIT else "1d"
    wanted: dict[str, Grain] = {"5min": "5min" if past <= FINEST_LIMIT else follows, "1h": "1h", "1d": "1d"}
    return wanted.get(asked, follows)


def choose(frame: Frame) -> Window:
    """Draw the choices of range, grain and companions, and return the window."""
    st.segmented_control("Range", state.CHOICES["range"], format_func=RANGE_WORDS.__getitem__, **state.bound("range"))
    if state.current().range == "custom":
        _dates(frame)
    st.selectbox(
        "Grain", state.CHOICES["grain"], format_func=GRAIN_WORDS.__getitem__, width=110, **state.bound("grain")
    )
    _companions(frame)
    if note := cut_note(state.current(), frame.extent.first, frame.extent.now, frame.zone):
        st.caption(f":material/content_cut: {note}")
    return window(frame)


def _companions(frame: Frame) -> None:
    """What is drawn beside the measurements; what no run of this lake has is not offered, and stays as it was
    chosen.
    """
    judged = not cached.licences(frame.pin, frame.scope).empty
    offered = [name for name in state.CHOICES["show"] if judged or name not in OF_JUDGED_RUNS]
    st.session_state[_SHOW] = [name for name in state.current().show if name in offered]
    st.pills(
        "Show",
        offered,
        format_func=SHOW_WORDS.__getitem__,
        selection_mode="multi",
        key=_SHOW,
        on_change=_show_chosen,
        args=(offered,),
    )


def _show_chosen(offered: list[str]) -> None:
    chosen = {*st.session_state[_SHOW], *(name for name in state.current().show if name not in offered)}
    state.update(show=tuple(name for name in state.CHOICES["show"] if name in chosen))


def _dates(frame: Frame) -> None:
    """Two dates in the zone of the page, both included."""
    zone = ZoneInfo(frame.zone)
    start, end = span(state.current(), frame.extent.first, frame.extent.now)
    st.session_state[_DATES] = (
        start.tz_convert(zone).date(),
        (end - timedelta(microseconds=1)).tz_convert(zone).date(),
    )
    first, last = frame.extent.first.tz_convert(zone).date(), (frame.extent.now + AHEAD["all"]).tz_convert(zone).date()
    earliest, latest = min(first, st.session_state[_DATES][0]), max(last, st.session_state[_DATES][1])
    st.date_input(
        "Dates",
        min_value=earliest,
        max_value=latest,
        key=_DATES,
        on_change=_dates_chosen,
        args=(frame.zone,),
        width=230,
    )


def _dates_chosen(zone: str) -> None:
    picked: tuple[date, ...] = st.session_state[_DATES]
    if len(picked) == 2:
        first, last = (
            datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
            for day in (picked[0], picked[1] + timedelta(days=1))
        )
        state.update(range="custom", start=first, end=last)
