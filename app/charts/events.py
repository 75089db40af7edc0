"""Known events as a strip of labelled marks above a chart: each in a lane, labels where there is room, the rest
counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from app.charts.axes import STEADY, Trace, lengths, written
from app.theme import Palette, fade, interval, label, local

LANES = 2
ROOM = 0.2  # share of the time axis that a label is given before the next event changes lanes
SYMBOLS = {
    "tournament": "star",
    "release": "triangle-up",
    "maintenance": "square",
    "outage": "x",
    "change": "hexagon",
    "holiday": "circle",
}


@dataclass(frozen=True, slots=True)
class Strip:
    """The events of a chart by lane, how many lanes they take, and the traces that draw them on the axis "y strip"."""

    lanes: int
    traces: Sequence[Trace]


def strip(events: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp, zone: str, palette: Palette) -> Strip:
    """The events (title, kind, start, end) that touch the time from start to end."""
    shown = events[(events["start"] < end) & (events["end"] > start)].sort_values(["start", "end"], ignore_index=True)
    if len(shown) == 0:
        return Strip(0, ())
    placed = shown.assign(lane=lanes(shown, ROOM * (end - start)))
    rest = placed[placed["lane"] == LANES]
    marked = pd.concat([placed[placed["lane"] < LANES].assign(more=0), _together(rest)], ignore_index=True)
    return Strip(int(marked["lane"].max()) + 1, list(_traces(_texts(marked, zone), start, end, zone, palette)))


def lanes(events: pd.DataFrame, room: pd.Timedelta) -> list[int]:
    """A lane for each event, sorted by start: one that is free, with room for the label before if there is a choice;
    LANES if none is free.
    """
    free = [pd.Timestamp(0, tz="UTC")] * LANES
    begun = list(free)
    found = []
    for event in events.itertuples():
        open_lanes = [lane for lane in range(LANES) if free[lane] <= event.start]
        roomy = [lane for lane in open_lanes if begun[lane] + room <= event.start]
        lane = next(iter(roomy), max(open_lanes, key=lambda lane: event.start - begun[lane], default=LANES))
        if lane < LANES:
            free[lane], begun[lane] = event.end, event.start
        found.append(lane)
    return found


def _together(rest: pd.DataFrame) -> pd.DataFrame:
    """Events that found no lane, as one mark for each stretch of them that overlaps."""
    marks: list[dict[str, Any]] = []
    for event in rest.to_dict("records"):
        if marks and event["start"] < marks[-1]["end"]:
            last = marks[-1]
            marks[-1] = last | {
                "title": f"{last['title']}, {event['title']}",
                "end": max(last["end"], event["end"]),
                "more": last["more"] + 1,
            }
        else:
            marks.append(event | {"more": 1})
    return pd.DataFrame(marks)


def _texts(marked: pd.DataFrame, zone: str) -> pd.DataFrame:
    """What is written beside each mark, and what hovering over it says."""
    when = [interval(local(e.start, zone), local(e.end - pd.Timedelta(1, "us"), zone)) for e in marked.itertuples()]
    beside = [f"+{e.more} more" if e.more else label(e.title, 40) for e in marked.itertuples()]
    hover = [
        f"{'Events' if e.more else e.kind.capitalize()}: {label(e.title, 90)}, {days}"
        for e, days in zip(marked.itertuples(), when, strict=True)
    ]
    return marked.assign(beside=beside, hover=hover)


def _traces(
    marked: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp, zone: str, palette: Palette
) -> Iterator[Trace]:
    begin = marked["start"].clip(lower=start)
    first, length = written(begin, zone), lengths(begin, marked["end"].clip(upper=end), zone)
    room = lengths(begin, begin.groupby(marked["lane"]).shift(-1).fillna(end), zone)
    lane = marked["lane"].to_numpy(dtype=np.float32)
    bar = {"type": "bar", "orientation": "h", "yaxis": "y strip", "base": first, "y": lane}
    hover = {"name": "event", "hovertext": marked["hover"].tolist(), "hovertemplate": "%{hovertext}<extra></extra>"}
    yield bar | _bar(length, fade(palette.context, 0.22), 0.12, 0.76) | hover
    text = {
        "text": [f"\u2002\u2002{words}" for words in marked["beside"]],
        "textposition": "inside",
        "insidetextanchor": "start",
        "textangle": 0,
    }
    small = {"textfont": {"size": 11, "color": palette.ink}, "name": "event label", "hoverinfo": "skip"}
    yield bar | _bar(room, "rgba(0,0,0,0)", -0.4, 1.8) | text | small
    marker = {"symbol": [SYMBOLS.get(kind, "circle") for kind in marked["kind"]], "size": 7, "color": palette.muted}
    at = {"x": first, "y": lane + np.float32(0.5), "yaxis": "y strip"}
    yield (
        {
            "type": "scatter",
            "mode": "markers",
            "name": "event",
            "marker": marker,
            "hoverinfo": "skip",
            "cliponaxis": False,
        }
        | STEADY
        | at
    )


def _bar(length: np.ndarray[Any, Any], colour: str, offset: float, width: float) -> dict[str, Any]:
    return {"x": length, "marker": {"color": colour, "line": {"width": 0}}, "offset": offset, "width": width}
