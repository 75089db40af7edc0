"""Numbers, times and colours as people read them."""

from __future__ import annotations

import math
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import theme
from data.schema import METRICS

ROOT = Path(__file__).resolve().parents[2]
NOW, DAY = datetime(2026, 11, 20, 12, tzinfo=UTC), timedelta(days=1)
NOTHING = (None, float("nan"), float("inf"), -float("inf"), pd.NA, pd.NaT)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 Gbps"),
        (0.0351, "35.1 Mbps"),
        (0.9996, "1.00 Gbps"),
        (1.0, "1.00 Gbps"),
        (21.06, "21.1 Gbps"),
        (211.2, "211 Gbps"),
        (999.4, "999 Gbps"),
        (999.6, "1.00 Tbps"),
        (3421.0, "3.42 Tbps"),
        (123_456.0, "123 Tbps"),
        (4_000_000.0, "4,000 Tbps"),
    ],
)
def test_traffic_has_three_digits_and_the_unit_of_its_size(value: float, text: str) -> None:
    assert theme.gbps(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (812.0, "812"),
        (811.6, "812"),
        (999.7, "1.00 k"),
        (812_345, "812 k"),
        (1_384_000, "1.38 M"),
        (2.5e9, "2.50 B"),
    ],
)
def test_counts_shorten(value: float, text: str) -> None:
    assert theme.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (0.0042, "0.42 %"),
        (0.00996, "1.0 %"),
        (0.042, "4.2 %"),
        (0.0996, "10 %"),
        (0.914, "91 %"),
        (0.9949, "99 %"),
        (0.9996, "99.9 %"),
        (1.0, "100 %"),
        (1.57, "157 %"),
        (-0.042, "-4.2 %"),
    ],
)
def test_percent_has_no_decimals_from_ten_up(value: float, text: str) -> None:
    assert theme.percent(value) == text


@given(st.floats(min_value=1e-3, max_value=1e6))
def test_what_is_written_is_the_value_to_half_a_digit(value: float) -> None:
    number, word = theme.gbps(value).replace(",", "").split()
    factor = {"Mbps": 1e-3, "Gbps": 1.0, "Tbps": 1e3}[word]
    assert float(number) * factor == pytest.approx(value, rel=0.0051)
    assert float(number) < 1000 or word == "Tbps"


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize("write", [theme.gbps, theme.count, theme.percent, theme.seconds, theme.age])
def test_what_is_missing_is_said_and_never_zero(write: object, nothing: object) -> None:
    assert callable(write)
    assert write(nothing) == theme.NO_DATA


@pytest.mark.parametrize("metric", [metric.name for metric in METRICS])
def test_every_metric_of_the_contract_is_written_in_its_unit(metric: str) -> None:
    words = {"gbps": "Gbps", "ratio": "%", "seconds": " s"}
    assert theme.metric_value(metric, 12.0).endswith(words.get(metric.rsplit("_", maxsplit=1)[-1], "12"))


@pytest.mark.parametrize(
    ("now", "then", "text"),
    [
        (102.1, 100.0, "+2.1 % on last week"),
        (97.0, 100.0, "-3.0 % on last week"),
        (112.4, 100.0, "+12 % on last week"),
        (100.0, 100.0, "no change on last week"),
        (100.0001, 100.0, "no change on last week"),
        (1200.0, 100.0, "+1,100 % on last week"),
        (1.0, 0.0, "no data for last week"),
        (1.0, None, "no data for last week"),
        (math.nan, 1.0, "no data for last week"),
    ],
)
def test_a_change_names_what_it_is_against(now: float, then: float | None, text: str) -> None:
    assert theme.change(now, then) == text


def test_a_change_of_a_ratio_is_in_points() -> None:
    assert theme.change_points(0.91, 0.88) == "+3.0 points on last week"
    assert theme.change_points(0.88, 0.91, "yesterday") == "-3.0 points on yesterday"
    assert theme.change_points(0.88, 0.88) == "no change on last week"
    assert theme.change_points(0.88, math.nan) == "no data for last week"


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (date(2026, 12, 3), date(2026, 12, 19), "3 to 19 Dec"),
        (date(2026, 11, 28), date(2026, 12, 3), "28 Nov to 3 Dec"),
        (date(2026, 12, 3), date(2026, 12, 3), "3 Dec"),
        (date(2026, 12, 28), date(2027, 1, 3), "28 Dec to 3 Jan 2027"),
        (date(2026, 12, 3), None, "3 Dec or later"),
        (None, date(2026, 12, 3), "no data"),
        (date(2027, 12, 28), date(2028, 1, 3), "28 Dec 2027 to 3 Jan 2028"),
        (date(2027, 3, 1), date(2027, 4, 2), "1 Mar to 2 Apr 2027"),
        (date(2027, 3, 1), None, "1 Mar 2027 or later"),
    ],
)
def test_intervals(first: date | None, last: date | None, text: str) -> None:
    assert theme.interval(first, last, today=date(2026, 11, 20)) == text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (NOW - DAY, NOW + 20 * DAY, "now to 10 Dec"),
        (NOW, NOW + 60 * DAY, "now to 19 Jan 2027"),
        (NOW - DAY, None, "now or later"),
        (NOW + 8 * DAY, NOW + 20 * DAY, "28 Nov to 10 Dec"),
        (None, None, "no data"),
    ],
)
def test_what_has_begun_is_no_date_of_the_past(first: datetime | None, last: datetime | None, text: str) -> None:
    assert theme.ahead(first, last, NOW) == text


@pytest.mark.parametrize(
    ("elapsed", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (240, "4 min ago"),
        (7199, "1 h ago"),
        (3 * 3600, "3 h ago"),
        (12 * 86400, "12 days ago"),
        (100 * 86400, "3 months ago"),
        (22.7 * 365.25 * 86400, "22 years ago"),
        (-240, "4 min ahead of the clock"),
    ],
)
def test_ages(elapsed: float, text: str) -> None:
    assert theme.age(elapsed) == text


def test_days_and_stamps() -> None:
    moment = pd.Timestamp("2026-12-03 23:25", tz="UTC")
    assert theme.day(moment) == "3 Dec 2026"
    assert theme.stamp(moment, "UTC") == "3 Dec 2026 23:25"
    assert theme.stamp(moment, "Asia/Tokyo") == "4 Dec 2026 08:25"
    assert theme.stamp(None, "UTC") == theme.NO_DATA


def test_local_stamps_are_naive_and_follow_the_clock_change() -> None:
    stamps = pd.Series(pd.to_datetime(["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"], utc=True))
    there = theme.localize(stamps, "Europe/Berlin")
    assert there.dt.tz is None
    assert [f"{moment:%H:%M}" for moment in there] == ["02:30", "02:30", "03:30"]


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("Frankfurt", "Frankfurt"),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("a & b", "a &amp; b"),
        ("%{y}", "%&#123;y}"),
        ("two\nlines\there", "two lines here"),
        ("$x$", "&#36;x&#36;"),
    ],
)
def test_a_name_is_drawn_as_it_was_written(name: str, drawn: str) -> None:
    assert theme.label(name) == drawn


def test_a_long_name_is_cut() -> None:
    assert theme.label("x" * 10_000, 20) == "x" * 19 + "\u2026"


def test_units_follow_the_size_of_the_axis() -> None:
    assert [theme.unit("egress_gbps", top).word for top in (0.0, 0.5, 999.0, 1000.0)] == [
        "Gbps",
        "Mbps",
        "Gbps",
        "Tbps",
    ]
    assert theme.unit("viewers", 2e6) == theme.Unit(1e-6, "M viewers")
    assert theme.unit("rebuffer_ratio", 0.01) == theme.Unit(100.0, "%")
    assert theme.unit("startup_seconds", 4.0).word == "s"


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 0), (0.399, 0), (0.4, 1), (0.6, 2), (0.8, 3), (0.899, 3), (0.9, 4), (3.0, 4)]
)
def test_utilisation_steps(value: float, expected: int) -> None:
    assert theme.utilisation_step(value) == expected


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [part / 255 for part in theme.rgb(colour)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", theme.PALETTES)
def test_every_word_on_a_chart_is_readable(scheme: theme.Scheme) -> None:
    palette = theme.PALETTES[scheme]
    words = [palette.ink, palette.muted, *palette.words.values()]
    assert [colour for colour in words if contrast(colour, palette.ground) < 4.5] == []
    assert contrast(palette.muted, palette.future) >= 4.5


@pytest.mark.parametrize("scheme", theme.PALETTES)
def test_fuller_stands_out_more(scheme: theme.Scheme) -> None:
    palette = theme.PALETTES[scheme]
    found = [contrast(colour, palette.ground) for colour in palette.utilisation]
    assert found == sorted(found)
    assert theme.utilisation_colour(None, scheme) == palette.context


@pytest.mark.parametrize("scheme", theme.PALETTES)
def test_the_pages_have_the_ground_and_ink_of_the_charts(scheme: theme.Scheme) -> None:
    pages = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][scheme]
    palette = theme.PALETTES[scheme]
    assert (pages["backgroundColor"], pages["secondaryBackgroundColor"], pages["textColor"]) == (
        palette.ground,
        palette.surface,
        palette.ink,
    )
    template = theme.template(scheme).layout
    assert (template.paper_bgcolor, template.font.color) == (palette.ground, palette.ink)


def test_states_have_a_word_and_a_shape_of_their_own() -> None:
    states = theme.STATES.values()
    for part in ("glyph", "word", "symbol"):
        assert len({getattr(state, part) for state in states}) == len(theme.STATES)
