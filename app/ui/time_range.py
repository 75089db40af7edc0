"""How much time a page shows, in what grain, and what is drawn beside the measurements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.state import FIRST_YEAR, LAST_YEAR, State
from app.state.reading import shown
from app.ui.header import Frame

Grain = Literal["5min", "1h", "1d"]

# How far back each range reaches.
BACK = {"24h": timedelta(days=1), "7d": timedelta(days=7), "28d": timedelta(days=28), "90d": timedelta(days=90)}
# How far into the forecast the whole history reaches, and any range at most.
FURTHEST = timedelta(days=90)
EARLIEST = pd.Timestamp(year=FIRST_YEAR + 1, month=1, day=1, tz="UTC")
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
_RANGE, _DATES, _TEXT, _SHOW = "state.range", "window.dates", "window.text", "state.show"
_UNREADABLE = "window.unreadable"
# A range as text: a number of hours, days or weeks, or one or two dates, each with a time or without.
_SPAN = re.compile(r"(\d{1,5})\s*(h|d|w)[a-z]*", re.IGNORECASE)
_DATE = r"(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2})?)"
_DATES_FORM = re.compile(rf"{_DATE}(?:\s*(?:to|until|-|\u2013|/|\.\.)\s*{_DATE})?")
_SPAN_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
TEXT_HELP = (
    "How far back and ahead (`4d`, `36h`, `2w`), a day (`2026-11-01`), "
    "or from when to when (`2026-11-01 to 2026-11-08`, times as `2026-11-01 18:00`)."
)


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


def ahead_of(back: timedelta) -> timedelta:
    """How much of the forecast a range that reaches so far back shows: as much, beyond a week half as much."""
    return back if back <= timedelta(days=7) else min(FURTHEST, max(timedelta(days=7), back / 2))


def span(chosen: State, first: pd.Timestamp, now: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last moment (UTC) of a range. A custom range may end in the forecast; one without an end ends now.

    It is cut to where there is anything to show, from the first sample to the end of the forecast: a link that starts
    in 1970 asked for 5.9 million empty steps, 16 to 29 s and 248 MB of them.
    """
    if chosen.range == "custom" and chosen.start is not None:
        start, end = asked_for(chosen, now)
        start, end = max(start, first), min(end, now + FURTHEST)
        # A range wholly before the telemetry shows its first day; one wholly in the forecast shows the day before it
        # too, so that the join with what was can be seen.
        end = max(end, first + timedelta(days=1))
        return min(start, now - timedelta(days=1)) if start >= now else start, end
    if chosen.range in BACK:
        return max(now - BACK[chosen.range], first), now + ahead_of(BACK[chosen.range])
    return first, now + FURTHEST


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
    if end > now + FURTHEST:
        return f"Forecasts end {theme.stamp(now + FURTHEST, zone)}: the range ends there."
    return None


def read_range(text: str, now: pd.Timestamp, zone: str) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """Start and end (UTC) of a range as text, dates in the zone and both included: "4d", "2026-11-01",
    "2026-11-01 to 2026-11-08"; None where it cannot be read or does not start before it ends.
    """
    text = text.strip()
    if found := _SPAN.fullmatch(text):
        back = min(int(found[1]) * _SPAN_UNITS[found[2].lower()], now - EARLIEST)
        return (now - back, now + ahead_of(back)) if back else None
    if not (found := _DATES_FORM.fullmatch(text)):
        return None
    first, last = found[1], found[2] or found[1][:10]
    try:
        start, end = (pd.Timestamp(stamp).tz_localize(zone).tz_convert("UTC") for stamp in (first, last))
    except (ValueError, OverflowError):
        return None
    # A date without a time is its whole day.
    end = end if len(last) > len("2026-11-01") else (end.tz_convert(zone) + pd.DateOffset(days=1)).tz_convert("UTC")
    return (start, end) if start < end and start.year > FIRST_YEAR and end.year < LAST_YEAR else None


def grain_of(asked: str, past: timedelta) -> Grain:
    """The grain asked for, or the one that follows the range; never finer than a range can show."""
    follows: Grain = "5min" if past <= FINE_LIMIT else "1h" if past <= HOURLY_LIMIT else "1d"
    wanted: dict[str, Grain] = {"5min": "5min" if past <= FINEST_LIMIT else follows, "1h": "1h", "1d": "1d"}
    return wanted.get(asked, follows)


def choose(frame: Frame) -> Window:
    """Draw the choices of range, grain and companions, and return the window."""
    extent = frame.extent
    bound = state.bound("range") | {"on_change": _range_chosen, "args": (extent.first, extent.now)}
    st.segmented_control("Range", state.CHOICES["range"], format_func=RANGE_WORDS.__getitem__, **bound)
    if state.current().range == "custom":
        _dates(frame)
    st.selectbox(
        "Grain", state.CHOICES["grain"], format_func=GRAIN_WORDS.__getitem__, width=110, **state.bound("grain")
    )
    _companions(frame)
    if unreadable := st.session_state.pop(_UNREADABLE, None):
        st.caption(f":material/error: No range can be read from {shown(unreadable)}. {TEXT_HELP}")
    if note := cut_note(state.current(), extent.first, extent.now, frame.zone):
        st.caption(f":material/content_cut: {note}")
    return window(frame)


def _range_chosen(first: pd.Timestamp, now: pd.Timestamp) -> None:
    """Take a range over; custom dates begin with what was shown before."""
    picked = st.session_state[_RANGE]
    if picked == "custom":
        _show_span(*span(state.current(), first, now))
    elif picked is not None:
        state.update(range=picked)


def _show_span(start: pd.Timestamp, end: pd.Timestamp) -> None:
    st.session_state.pop(_DATES, None)
    state.update(range="custom", start=start.to_pydatetime(), end=end.to_pydatetime())


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
    """Two dates in the zone of the page, both included, from a calendar or as text."""
    zone = ZoneInfo(frame.zone)
    start, end = span(state.current(), frame.extent.first, frame.extent.now)
    first, last = (moment.tz_convert(zone).date() for moment in (start, end - timedelta(microseconds=1)))
    # Between the two clicks of a pick the calendar holds one date, which is left as it is.
    if len(st.session_state.get(_DATES, ())) != 1:
        st.session_state[_DATES] = (first, last)
    earliest, latest = (moment.tz_convert(zone).date() for moment in (frame.extent.first, frame.extent.now + FURTHEST))
    st.date_input(
        "Dates",
        min_value=min(earliest, first),
        max_value=max(latest, last),
        key=_DATES,
        on_change=_dates_chosen,
        args=(frame.zone,),
        width=230,
    )
    st.session_state[_TEXT] = f"{first} to {last}"
    st.text_input(
        "Dates as text",
        key=_TEXT,
        on_change=_text_chosen,
        args=(frame.extent.now, frame.zone),
        help=TEXT_HELP,
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


def _text_chosen(now: pd.Timestamp, zone: str) -> None:
    text = st.session_state[_TEXT]
    if found := read_range(text, now, zone):
        _show_span(*found)
    else:
        st.session_state[_UNREADABLE] = text
