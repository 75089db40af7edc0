"""Which names fit on the map: the largest sites first, none over another, on whichever side of its marker there is
room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.charts.map_marks import Row
from app.charts.map_view import MERCATOR_LIMIT, TILE_PX, Camera, Canvas, mercator

SIZE_PX = 12
# Mean width of a letter at that size, and the room between a marker and its name.
LETTER_PX, GAP_PX = 6.3, 4.0
LONGEST = 28


class Box(NamedTuple):
    """A rectangle on the screen, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def within(self, other: Box) -> bool:
        """Whether it lies inside the other whole."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def labels(rows: Sequence[Row], camera: Camera, canvas: Canvas) -> list[Row]:
    """The names that can be read at the initial view, as rows: `n` text, `p` [lon, lat], `a` anchor, `o` offset in
    pixels.
    """
    x0, y0 = spot({"p": [camera.longitude, camera.latitude]}, camera)
    frame = Box(x0 - canvas.width / 2, y0 - canvas.height / 2, x0 + canvas.width / 2, y0 + canvas.height / 2)
    spots = [spot(row, camera) for row in rows]
    taken = [marker(row, x, y) for row, (x, y) in zip(rows, spots, strict=True)]
    found = []
    for at, (row, (x, y)) in enumerate(zip(rows, spots, strict=True)):
        # Its own marker never hides a name: the name stands beside it.
        others = taken[:at] + taken[at + 1 :]
        free = next(
            (
                side
                for side in sides(row, x, y)
                if side[0].within(frame) and not any(side[0].meets(box) for box in others)
            ),
            None,
        )
        if free is not None:
            taken.append(free[0])
            found.append(free[1])
    return found


def spot(row: Row, camera: Camera) -> tuple[float, float]:
    """Where a marker lies on a flat world at the camera's zoom, in pixels."""
    lon, lat = row["p"]
    world = TILE_PX * 2**camera.zoom
    return (lon / 360 + 0.5) * world, (1 - mercator(max(-MERCATOR_LIMIT, min(MERCATOR_LIMIT, lat)))) * world


def marker(row: Row, x: float, y: float) -> Box:
    """The square around a marker."""
    return Box(x - row["r"], y - row["r"], x + row["r"], y + row["r"])


def sides(row: Row, x: float, y: float) -> Iterator[tuple[Box, Row]]:
    """The two places of a name, right of its marker and left of it: the box that it fills, and its row."""
    text = row["n"] if len(row["n"]) <= LONGEST else f"{row['n'][: LONGEST - 3]}..."
    away, width = row["r"] + GAP_PX, LETTER_PX * len(text)
    for anchor, sign in (("start", 1), ("end", -1)):
        ends = sorted((x + sign * away, x + sign * (away + width)))
        yield (
            Box(ends[0], y - SIZE_PX / 2, ends[1], y + SIZE_PX / 2),
            {"n": text, "p": row["p"], "a": anchor, "o": [sign * away, 0]},
        )
