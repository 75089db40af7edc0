"""How everything looks and reads: colours by meaning, states, the charts' template, and numbers, dates and ages as
text.

Colours are Okabe-Ito, lighter on the dark ground; each has one meaning everywhere. Numbers carry three significant
digits and their unit; what is missing is said in words, never written as zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple

import pandas as pd
import plotly.graph_objects as go

Scheme = Literal["light", "dark"]
Meaning = Literal["egress", "ingest", "viewers", "quality", "capacity", "context"]

NO_DATA = "no data"
# what Streamlit ships; an exported picture falls back to the reader's own
FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", sans-serif'
BAND_95, BAND_80 = 0.12, 0.24
DASH = "5px,4px"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one scheme; `words` are the hues dark (or light) enough to read as text."""

    ground: str
    surface: str
    ink: str
    muted: str
    context: str
    grid: str
    future: str
    hues: dict[Meaning, str]
    words: dict[Meaning, str]
    utilisation: tuple[str, str, str, str, str]


# Utilisation runs from close to the ground where a site is empty to what stands out most from it where one is full, in
# both schemes: pale sand to deep vermilion, dim to bright.
PALETTES: dict[Scheme, Palette] = {
    "light": Palette(
        ground="#ffffff",
        surface="#f3f5f8",
        ink="#08111b",
        muted="#5b6673",
        context="#a3adb8",
        grid="#e6eaee",
        future="#f5f7f9",
        hues={
            "egress": "#0072b2",
            "ingest": "#e69f00",
            "viewers": "#cc79a7",
            "quality": "#009e73",
            "capacity": "#d55e00",
            "context": "#a3adb8",
        },
        words={
            "egress": "#00639b",
            "ingest": "#8a5c00",
            "viewers": "#a04a79",
            "quality": "#00755a",
            "capacity": "#b34f00",
            "context": "#5b6673",
        },
        utilisation=("#ecdcb4", "#e5b46c", "#db8431", "#bf4f06", "#7d1f00"),
    ),
    "dark": Palette(
        ground="#10161d",
        surface="#19222c",
        ink="#e4e9ee",
        muted="#9aa7b4",
        context="#66737f",
        grid="#232d38",
        future="#151d26",
        hues={
            "egress": "#56b4e9",
            "ingest": "#f2b632",
            "viewers": "#e3a4c7",
            "quality": "#35c79a",
            "capacity": "#ff8a47",
            "context": "#66737f",
        },
        words={
            "egress": "#7cc6f0",
            "ingest": "#f2b632",
            "viewers": "#e3a4c7",
            "quality": "#4fd3aa",
            "capacity": "#ff9a5f",
            "context": "#9aa7b4",
        },
        utilisation=("#4f453a", "#84613a", "#bd7c2c", "#f0a03c", "#ffdf9a"),
    ),
}
UTILISATION_STEPS: tuple[float, ...] = (0.4, 0.6, 0.8, 0.9)
UTILISATION_WORDS: tuple[str, ...] = ("under 40 %", "40 to 60 %", "60 to 80 %", "80 to 90 %", "90 % and over")


class StateMark(NamedTuple):
    """How a thing stands: a word and a shape, so that colour is never alone."""

    word: str
    glyph: str
    symbol: str


OK = StateMark("ok", "\u25cf", "circle")
WATCH = StateMark("watch", "\u25b2", "triangle-up")
ACT = StateMark("act", "\u25a0", "square")
UNKNOWN = StateMark("unknown", "\u25cb", "circle-open")

# The states of a site, as the plan names them.
STATES: dict[str, StateMark] = {"ok": OK, "watch": WATCH, "act": ACT, "unknown": UNKNOWN}


_MEANINGS: dict[str, Meaning] = {
    "egress_gbps": "egress",
    "ingest_gbps": "ingest",
    "viewers": "viewers",
    "streams": "viewers",
}


def missing(value: object) -> bool:
    """Whether a value is null, not a number or infinite."""
    return not math.isfinite(value) if isinstance(value, float) else value is None or bool(pd.isna(value))


# --- colours
# -----------------------------------------------------------------------------------------------------------------


def meaning(metric: str) -> Meaning:
    """The colour's meaning for a metric of the contract."""
    return _MEANINGS.get(metric, "quality")


def hue(metric: str, scheme: Scheme) -> str:
    """The line colour of a metric."""
    return PALETTES[scheme].hues[meaning(metric)]


def fade(colour: str, alpha: float) -> str:
    """'#0072b2' at an opacity of 0 to 1, as CSS."""
    red, green, blue = rgb(colour)
    return f"rgba({red},{green},{blue},{alpha:g})"


def rgb(colour: str) -> tuple[int, int, int]:
    """'#0072b2' as (0, 114, 178)."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def utilisation_step(ratio: float | None) -> int | None:
    """Which of the five steps a utilisation falls on, 0 to 4; None without data."""
    return None if missing(ratio) or ratio is None else sum(ratio >= step for step in UTILISATION_STEPS)


def utilisation_colour(ratio: float | None, scheme: Scheme) -> str:
    """The colour of a utilisation (a ratio); grey without data."""
    step = utilisation_step(ratio)
    return PALETTES[scheme].context if step is None else PALETTES[scheme].utilisation[step]


def state_colour(of: StateMark, scheme: Scheme) -> str:
    """Vermilion where a limit is reached, the text's colour where one is near, grey otherwise: no red and green
    pair.
    """
    palette = PALETTES[scheme]
    return palette.words["capacity"] if of is ACT else palette.ink if of is WATCH else palette.muted


# --- numbers
# -----------------------------------------------------------------------------------------------------------------


def significant(value: float) -> str:
    """Three significant digits with thousands separated: 3.42, 21.1, 1,230."""
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return "<0.001" if value > 0 else ">-0.001"
    rounded = float(f"{value:.3g}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def _scaled(value: float, steps: Sequence[tuple[float, str]]) -> str:
    """The value in the largest unit that it reaches once rounded."""
    rounded = abs(float(f"{value:.3g}"))
    size, unit = next((step for step in steps if rounded >= step[0]), steps[-1])
    return f"{significant(value / size)} {unit}".strip()


def gbps(value: float | None) -> str:
    """Traffic in Gbps as text: '211 Gbps', '3.42 Tbps', '35.0 Mbps'."""
    if missing(value) or value is None:
        return NO_DATA
    return "0 Gbps" if value == 0 else _scaled(value, ((1e3, "Tbps"), (1, "Gbps"), (1e-3, "Mbps")))


def count(value: float | None) -> str:
    """A count as text: '812', '812 k', '1.38 M'. Counts below 1,000 that are whole stay whole."""
    if missing(value) or value is None:
        return NO_DATA
    if abs(value) < 1000 and value == int(value):
        return f"{int(value)}"
    return _scaled(value, ((1e9, "B"), (1e6, "M"), (1e3, "k"), (1, "")))


def percent(ratio: float | None) -> str:
    """A ratio as percent: '91 %', '4.2 %', '0.42 %'; no decimals from 10 up, but what is not full does not read 100
    %.
    """
    if missing(ratio) or ratio is None:
        return NO_DATA
    value = ratio * 100
    if value == 0:
        return "0 %"
    if 99.5 <= value < 100:
        return f"{math.floor(10 * value) / 10:.1f} %"
    decimals = 0 if abs(value) >= 9.95 else 1 if abs(value) >= 0.995 else 2
    return f"{value:,.{decimals}f} %"


def terabytes(value: float | None) -> str:
    """A volume in TB as text: '812 TB', '1.38 PB'."""
    return NO_DATA if missing(value) or value is None else _scaled(value, ((1e3, "PB"), (1, "TB"), (1e-3, "GB")))


def usd(value: float | None) -> str:
    """An amount of money as text: 'USD 812', 'USD 12.3 k', 'USD 1.38 M'."""
    return NO_DATA if missing(value) or value is None else f"USD {count(value)}"


def seconds(value: float | None) -> str:
    """A duration measured in seconds: '2.31 s'."""
    return NO_DATA if missing(value) or value is None else f"{significant(value)} s"


def metric_value(metric: str, value: float | None) -> str:
    """A value of a metric in its own unit, which the metric's name carries."""
    if "_gbps" in metric:
        return gbps(value)
    if "_ratio" in metric:
        return percent(value)
    return seconds(value) if "_seconds" in metric else count(value)


def change(now: float | None, then: float | None, against: str = "last week") -> str:
    """How far `now` is from `then`, and what that is: '+2.1 % on last week'."""
    if now is None or then is None or missing(now) or missing(then) or then == 0:
        return f"{NO_DATA} for {against}"
    share = percent(abs(now / then - 1))
    return (
        f"no change on {against}"
        if float(share.split()[0].replace(",", "")) == 0
        else f"{'+' if now > then else '-'}{share} on {against}"
    )


def change_points(now: float | None, then: float | None, against: str = "last week") -> str:
    """How far a ratio is from another, in percentage points: '+3.0 points on last week'."""
    if now is None or then is None or missing(now) or missing(then):
        return f"{NO_DATA} for {against}"
    points = round(100 * (now - then), 1)
    return f"{points:+.1f} points on {against}" if points else f"no change on {against}"


@dataclass(frozen=True, slots=True)
class Unit:
    """What an axis counts in: a value times `factor` is in `word`."""

    factor: float
    word: str


def unit(metric: str, top: float) -> Unit:
    """The unit of an axis of this metric that reaches up to `top` (in the metric's own unit)."""
    if "_gbps" in metric:
        return Unit(1e-3, "Tbps") if top >= 1000 else Unit(1.0, "Gbps") if top >= 1 or top <= 0 else Unit(1e3, "Mbps")
    if "_ratio" in metric:
        return Unit(100.0, "%")
    if "_seconds" in metric:
        return Unit(1.0, "s")
    return Unit(1e-6, f"M {metric}") if top >= 1e6 else Unit(1e-3, f"k {metric}") if top >= 1e3 else Unit(1.0, metric)


# --- time
# --------------------------------------------------------------------------------------------------------------------

MONTHS = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)  # strftime would follow the server's locale
_AGES = (
    (2 * 365.25 * 86400, 365.25 * 86400, "years"),
    (61 * 86400, 30.4 * 86400, "months"),
    (2 * 86400, 86400, "days"),
    (3600, 3600, "h"),
    (60, 60, "min"),
)


def day(moment: date | datetime | None, *, year: bool = True) -> str:
    """'3 Dec 2026', or '3 Dec'."""
    if moment is None or missing(moment):
        return NO_DATA
    return f"{moment.day} {MONTHS[moment.month - 1]}" + (f" {moment.year}" if year else "")


def month(moment: date | datetime) -> str:
    """'Dec 2026'."""
    return f"{MONTHS[moment.month - 1]} {moment.year}"


def interval(first: date | datetime | None, last: date | datetime | None, today: date | datetime | None = None) -> str:
    """'3 to 19 Dec', '28 Nov to 3 Dec'; with a year where it is not today's or not the same; '3 Dec or later' with an
    open end.
    """
    if first is None or missing(first):
        return NO_DATA
    other_year = today is not None and first.year != today.year
    if last is None or missing(last):
        return f"{day(first, year=other_year)} or later"
    if first.year != last.year:
        return f"{day(first, year=today is None or other_year)} to {day(last)}"
    if (first.day, first.month) == (last.day, last.month):
        return day(first, year=other_year)
    begin = f"{first.day}" if first.month == last.month else day(first, year=False)
    return f"{begin} to {day(last, year=other_year)}"


def ahead(first: datetime | None, last: datetime | None, now: datetime) -> str:
    """An interval of what is to come: 'now to 3 Dec' where it has begun."""
    if first is None or missing(first) or first > now:
        return interval(first, last, now)
    return "now or later" if last is None or missing(last) else f"now to {day(last, year=last.year != now.year)}"


def age(elapsed: float | None) -> str:
    """Seconds since something as text: 'just now', '4 min ago', '3 h ago', '12 days ago'; a stamp ahead of the clock
    says so.
    """
    if missing(elapsed) or elapsed is None:
        return NO_DATA
    size = next((step for step in _AGES if abs(elapsed) >= step[0]), None)
    if size is None:
        return "just now"
    return f"{int(abs(elapsed) // size[1])} {size[2]} {'ago' if elapsed > 0 else 'ahead of the clock'}"


def duration(elapsed: float) -> str:
    """A stretch of time from seconds: '25 min', '1 h 30 min', '2 d 4 h'."""
    minutes = round(elapsed / 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "d"), (hours, "h"), (0 if days else rest, "min")]
    return " ".join(f"{number} {word}" for number, word in parts if number) or "0 min"


def localize(stamps: pd.Series, zone: str) -> pd.Series:
    """Stamps in UTC as naive local time of an IANA zone, for an axis.

    A browser shifts aware stamps to its own zone without a word; naive ones it draws as they are. The hour that a clock
    repeats in autumn is drawn twice in the same place.
    """
    return pd.Series(stamps).dt.tz_convert(zone).dt.tz_localize(None)


def local(moment: pd.Timestamp, zone: str) -> pd.Timestamp:
    """One stamp in UTC as naive local time of an IANA zone."""
    return moment.tz_convert(zone).tz_localize(None)


def stamp(moment: pd.Timestamp | None, zone: str) -> str:
    """'3 Dec 2026 09:25' in the zone."""
    if moment is None or missing(moment):
        return NO_DATA
    there = local(moment, zone)
    return f"{day(there)} {there:%H:%M}"


# --- charts
# ------------------------------------------------------------------------------------------------------------------


def label(text: object, limit: int = 48) -> str:
    """A name as a chart may draw it: plain text of one line, cut to `limit` characters.

    Plotly reads tags, entities and %{...} in every label; a hostile or unlucky name must come out as it was written.
    """
    plain = re.sub(r"\s+", " ", str(text)).strip()
    cut = plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "\u2026"
    return (
        cut.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("%{", "%&#123;")
        .replace("$", "&#36;")
    )


TIME_TICKS = (
    {"dtickrange": [None, 43_200_000], "value": "%H:%M\n%a %-d %b"},
    {"dtickrange": [43_200_000, "M1"], "value": "%-d %b\n%Y"},
    {"dtickrange": ["M1", "M12"], "value": "%b\n%Y"},
    {"dtickrange": ["M12", None], "value": "%Y"},
)


def template(scheme: Scheme) -> go.layout.Template:
    """The charts' template of a scheme: ground, type, grid and hover box."""
    palette = PALETTES[scheme]
    axis = {
        "gridcolor": palette.grid,
        "linecolor": palette.grid,
        "zeroline": False,
        "tickfont": {"size": 11, "color": palette.muted},
        "title": {"text": ""},
    }
    box = {
        "bgcolor": palette.surface,
        "bordercolor": palette.context,
        "font": {"family": FONT, "size": 12, "color": palette.ink},
        "align": "left",
        "namelength": -1,
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": palette.ground,
            "plot_bgcolor": palette.ground,
            "colorway": list(palette.hues.values()),
            "font": {"family": FONT, "size": 12, "color": palette.ink},
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": box,
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": palette.muted, "activecolor": palette.ink},
        }
    )
