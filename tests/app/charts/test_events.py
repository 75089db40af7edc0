"""Events stand in lanes above the chart; what finds no lane is counted."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from app.charts.events import LANES, SYMBOLS, lanes, strip
from app.theme import PALETTES
from data.schema import TABLES
from tests.app.charts.traffic import END, START, events

PALETTE = PALETTES["light"]
SPANS = st.lists(st.tuples(st.floats(-10, 10), st.floats(0.01, 8)), min_size=1, max_size=25)


def of(*known: tuple[str, str, float, float]) -> list[dict[str, Any]]:
    return list(strip(events(*known), START, END, "UTC", PALETTE).traces)


@settings(max_examples=60, deadline=None)
@given(SPANS)
def test_events_of_one_lane_never_overlap(spans: list[tuple[float, float]]) -> None:
    known = events(*[("x", "release", start, start + length) for start, length in spans]).sort_values(
        ["start", "end"], ignore_index=True
    )
    found = known.assign(lane=lanes(known, pd.Timedelta(1, "D")))
    for _, lane in found[found["lane"] < LANES].groupby("lane"):
        assert (lane["start"].iloc[1:].to_numpy() >= lane["end"].iloc[:-1].to_numpy()).all()


@settings(max_examples=60, deadline=None)
@given(SPANS)
def test_an_event_is_left_over_only_where_every_lane_is_taken(spans: list[tuple[float, float]]) -> None:
    known = events(*[("x", "release", start, start + length) for start, length in spans]).sort_values(
        ["start", "end"], ignore_index=True
    )
    found = known.assign(lane=lanes(known, pd.Timedelta(1, "D")))
    for event in found[found["lane"] == LANES].itertuples():
        at_once = found[(found["lane"] < LANES) & (found["start"] <= event.start) & (found["end"] > event.start)]
        assert at_once["lane"].nunique() == LANES


def test_marks_and_labels() -> None:
    bar, text, mark = of(("Finals", "tournament", -3, -2), ("Drain", "maintenance", 4, 4.1))
    assert text["text"] == ["\u2002\u2002Finals", "\u2002\u2002Drain"]
    assert bar["hovertext"] == ["Tournament: Finals, 17 to 18 Nov", "Maintenance: Drain, 24 Nov"]
    assert mark["marker"]["symbol"] == [SYMBOLS["tournament"], SYMBOLS["maintenance"]]


def test_a_label_has_the_room_up_to_the_next_event_of_its_lane() -> None:
    _, text, _ = of(("a", "release", 0, 1), ("b", "release", 8, 9))
    assert list(text["x"] / 86_400_000) == [8.0, 6.0]  # to b; to the end of the chart


def test_neighbours_change_lanes_so_that_labels_have_room() -> None:
    bar, _, _ = of(("a", "release", 0, 0.1), ("b", "release", 1, 1.1), ("c", "release", 12, 12.1))
    assert list(bar["y"]) == [0.0, 1.0, 0.0]


def test_what_finds_no_lane_is_counted_and_named_on_hover() -> None:
    bar, text, _ = of(*[(name, "release", 0, 5) for name in "abcde"], ("f", "release", 7, 8))
    assert text["text"][-1] == "\u2002\u2002+3 more"
    assert bar["hovertext"][-1] == "Events: c, d, e, 20 to 25 Nov"
    assert strip(events(*[(name, "release", 0, 5) for name in "abcde"]), START, END, "UTC", PALETTE).lanes == LANES + 1


def test_only_events_of_the_time_shown() -> None:
    assert (
        strip(events(("before", "release", -99, -50), ("after", "release", 50, 60)), START, END, "UTC", PALETTE).lanes
        == 0
    )
    bar, _, _ = of(("across", "release", -99, 99))
    first = pd.Timestamp(bar["base"][0], tz="UTC")
    assert (first, first + pd.Timedelta(bar["x"][0], "ms")) == (START, END)


def test_hostile_titles_are_text() -> None:
    bar, text, _ = of(('"><script>alert(1)</script>', "outage", -1, 0), ("%{base} <a href='x'>y</a>", "change", 2, 3))
    written = [*text["text"], *bar["hovertext"]]
    assert not any("<" in words or "%{" in words for words in written)


def test_every_kind_has_a_shape_of_its_own() -> None:
    (kind,) = [column for column in TABLES["events"].columns if column.name == "kind"]
    assert set(SYMBOLS) == set(kind.choices)
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)
