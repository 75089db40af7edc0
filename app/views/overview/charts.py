"""Sparklines of the cards and the rows of the table of all sites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from app import theme
from app.charts.map_marks import records, runout_words
from app.theme import Scheme

WIDTH, HEIGHT, PAD = 240, 110, 4
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Paper:
    """How hours and values become places on the picture."""

    hours: int
    top: float

    def x(self, hour: int) -> float:
        return PAD + hour * (WIDTH - 2 * PAD) / max(1, self.hours - 1)

    def y(self, value: float) -> float:
        return HEIGHT - PAD - value * (HEIGHT - 2 * PAD) / self.top


def sparkline(week: Sequence[float | None], ahead: pd.DataFrame, limit: float | None, scheme: Scheme) -> str:
    """`week`: hourly values up to now, None for missing. `ahead`: yhat, q10, q90 of the hours that follow; may be
    empty. `limit`: in the same unit.
    """
    top = _top(week, ahead, limit)
    if not top:
        return _svg("")
    paper, palette = Paper(len(week) + len(ahead), top), theme.PALETTES[scheme]
    measured = [
        None if theme.missing(value) or value is None else (paper.x(at), paper.y(value))
        for at, value in enumerate(week)
    ]
    lines = "".join(_line(run, palette.hues["egress"]) for run in runs(measured))
    return _svg(_future(ahead, len(week), paper, palette) + lines + _limit(limit, paper, palette))


def runs(points: Sequence[Point | None]) -> Iterator[list[Point]]:
    """Stretches without a gap: a line never joins across what is missing."""
    edges = [at for at, point in enumerate(points) if point is None]
    for before, after in pairwise([-1, *edges, len(points)]):
        if after - before > 1:
            yield [point for point in points[before + 1 : after] if point is not None]


def _top(week: Sequence[float | None], ahead: pd.DataFrame, limit: float | None) -> float:
    """The value at the upper rim; a limit far above the traffic does not press it flat."""
    known = [value for value in week if value is not None and not theme.missing(value)]
    highest = max([*known, *(ahead["q90"].dropna() if len(ahead) else [])], default=0.0)
    return max(highest, limit) if limit and limit < 2 * highest else highest


def _future(ahead: pd.DataFrame, start: int, paper: Paper, palette: theme.Palette) -> str:
    """The faint ground of what is to come, its 80 % band, and the expected line, dashed."""
    if not len(ahead):
        return ""
    hue, xs = palette.hues["egress"], [paper.x(start + at) for at in range(len(ahead))]
    ground = f'<rect x="{xs[0]:.1f}" y="0" width="{WIDTH - xs[0]:.1f}" height="{HEIGHT}" fill="{palette.future}"/>'
    lower, middle, upper = (
        [(x, paper.y(value)) for x, value in zip(xs, ahead[name], strict=True)] for name in ("q10", "yhat", "q90")
    )
    band = f'<polygon points="{_points([*upper, *reversed(lower)])}" fill="{hue}" fill-opacity="{theme.BAND_80}"/>'
    return ground + band + _line(middle, hue, 'stroke-dasharray="5,3"')


def _limit(limit: float | None, paper: Paper, palette: theme.Palette) -> str:
    if not limit or limit > paper.top:
        return ""
    at, hue = f"{paper.y(limit):.1f}", palette.hues["capacity"]
    return f'<line x1="0" x2="{WIDTH}" y1="{at}" y2="{at}" stroke="{hue}" stroke-width="2"/>'


def _line(points: list[Point], hue: str, more: str = "") -> str:
    if len(points) == 1:
        return f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2" fill="{hue}"/>'
    return f'<polyline points="{_points(points)}" fill="none" stroke="{hue}" stroke-width="2.2" stroke-linejoin="round" {more}/>'


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _svg(content: str) -> str:
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} preserveAspectRatio="none">{content}</svg>'


# A sparkline in a cell is some 100 pixels wide: the highest of every few hours draws the same line in a fraction of the
# bytes.
HOURS_A_POINT = 3


def site_table(sites: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """What the table of all sites shows, in the order of `sites` (a frame of planning.site_states).

    site_id, Site, Health, Region, Partner, Peak 24 h (Gbps), of capacity (percent), Last 7 days (list), Peak in 28 days
    and Run-out (intervals as text), Short (Gbps), Order by (a day), Complete (percent of the last 24 h).
    """
    return pd.DataFrame(
        {
            "site_id": sites["site_id"],
            "Site": sites["name"],
            "Health": [f"{theme.STATES[state].glyph} {theme.STATES[state].word}" for state in sites["state"]],
            "Region": sites["region_name"].fillna(sites["region_id"]),
            "Partner": sites["partner"],
            "Peak 24 h": sites["peak_24h_gbps"].astype(float),
            "of capacity": 100 * sites["peak_24h_utilisation"].astype(float),
            "Last 7 days": [thinned(week) for week in sites["week"]],
            "Peak in 28 days": [
                peak(low, high) for low, high in zip(sites["peak_28d_low"], sites["peak_28d_high"], strict=True)
            ],
            "Short": sites["short_gbps"].astype(float),
            "Run-out": [runout_words(site, now) for site in records(sites[["runout", "run_out_p10", "run_out_p90"]])],
            "Order by": sites["order_by"].dt.tz_localize(None),
            "Complete": 100 * sites["completeness_24h"],
        }
    )


# The numbers of the table in the file, under the contract's and the plan's own names.
FILE_COLUMNS = [
    *("site_id", "name", "state", "reason", "region_id", "region_name", "partner"),
    *("peak_24h_gbps", "peak_24h_utilisation", "egress_capacity_gbps", "ingest_capacity_gbps"),
    *("peak_28d_low", "peak_28d_mid", "peak_28d_high", "direction", "run_out_p10", "run_out_p50", "run_out_p90"),
    *("order", "order_by", "lead_days", "short_gbps", "add_gbps", "in_service_today", "completeness_24h"),
]


def card_lines(site: Mapping[str, Any]) -> list[str]:
    """A row of `site_table` as the lines of a card, Markdown."""
    known = [] if theme.missing(site["Order by"]) else [f"**Order by {theme.day(site['Order by'])}**"]
    short = [] if theme.missing(site["Short"]) or not site["Short"] else [f"{theme.gbps(site['Short'])} short"]
    full = "" if theme.missing(site["of capacity"]) else f", {theme.percent(site['of capacity'] / 100)} of capacity"
    return [
        " \u00b7 ".join([*known, *short, f"Run-out: {site['Run-out']}"]),
        f"Peak 24 h: {theme.gbps(site['Peak 24 h'])}{full}",
        ", ".join(str(site[name]) for name in ("Region", "Partner") if not theme.missing(site[name])),
    ]


def thinned(week: Sequence[float | None] | None) -> list[float] | None:
    """The highest of every few hours, to four significant digits; none for a week without any value.

    Where all of them are missing the line goes straight on: a cell that is handed a hole shows its numbers as text and
    no line at all.
    """
    hours = np.array([] if week is None else week, dtype=float)
    points = np.fmax.reduceat(hours, np.arange(0, len(hours), HOURS_A_POINT)) if len(hours) else hours
    known = np.flatnonzero(~np.isnan(points))
    return None if known.size == 0 else rounded(np.interp(np.arange(len(points)), known, points[known])).tolist()


def rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Four significant digits: enough for a cell, for sites of Mbps as for sites of Tbps."""
    size = 10.0 ** (3.0 - np.floor(np.log10(np.where(values > 0.0, values, 1.0))))
    return np.round(values * size) / size


def peak(low: float, high: float) -> str:
    """The 80 % interval of the highest hour ahead: '812 to 930 Gbps'."""
    if theme.missing(low) or theme.missing(high):
        return "no forecast"
    ends = theme.gbps(low).split(), theme.gbps(high).split()
    return (
        f"{ends[0][0]} to {' '.join(ends[1])}"
        if ends[0][1] == ends[1][1]
        else f"{' '.join(ends[0])} to {' '.join(ends[1])}"
    )
