"""A week of one site in the space of a word: what it carried, what is expected with its 80 % band, and the limit.
Frames in, SVG out.

A picture, not a chart: it costs the browser nothing, and stands beside a sentence that says what it shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from app import theme
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
