"""What is expected: a dashed line in the hue of what was, over its 80 and 95 % bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from app.charts.axes import CLICKABLE, Trace, Values, times, values, with_breaks
from app.charts.downsample import coarser
from app.theme import BAND_80, BAND_95, DASH, Unit, fade

# Rows that the width of a chart can tell apart: a band is smooth, and a row for every pixel and a half is nine values
# that travel with each change of the view.
ACROSS = 900
# How many of them, at even stamps, a stretch has at most and at least.
MOST, LEAST = 450, 100
# Which columns of the tables `bands` and `forecasts` play which part.
BANDS = {
    "expected": "expected",
    "lower_80": "lower_80",
    "upper_80": "upper_80",
    "lower_95": "lower_95",
    "upper_95": "upper_95",
}
QUANTILES = {"expected": "yhat", "lower_80": "q10", "upper_80": "q90", "lower_95": "q025", "upper_95": "q975"}


def expectation(
    frame: pd.DataFrame, names: Mapping[str, str], share: float, colour: str, zone: str, unit: Unit
) -> Iterator[Trace]:
    """The two bands and the dashed line of a frame whose columns `names` gives (BANDS or QUANTILES), which takes this
    share of the chart's time.
    """
    few = coarser(with_breaks(frame), names, int(min(MOST, max(LEAST, ACROSS * share))))
    when, drawn = times(few, zone), {part: values(few[column], unit) for part, column in names.items()}
    for level, alpha in ((95, BAND_95), (80, BAND_80)):
        yield from band(when, drawn[f"lower_{level}"], drawn[f"upper_{level}"], fade(colour, alpha), f"{level} % band")
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "expected",
        "line": {"color": colour, "width": 1.5, "dash": DASH},
        "connectgaps": False,
    }
    bounds = np.column_stack([drawn[bound] for bound in ("lower_80", "upper_80", "lower_95", "upper_95")])
    yield line | CLICKABLE | when | {"y": drawn["expected"], "customdata": bounds, "hovertemplate": _words(unit)}


def band(when: Trace, lower: Values, upper: Values, fill: str, name: str) -> Iterator[Trace]:
    """The area between two lines, filled from bound to bound: it does not hang on where the axis begins."""
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "connectgaps": False} | when
    yield edge | {"y": lower, "name": f"{name}, lower bound"}
    yield edge | {"y": upper, "name": f"{name}, upper bound", "fill": "tonexty", "fillcolor": fill}


def _words(unit: Unit) -> str:
    """Expected value and bands as hover text of two rows."""
    bounds = [
        f"{share} % band %{{customdata[{n}]:.3~r}} to %{{customdata[{n + 1}]:.3~r}}" for share, n in ((80, 0), (95, 2))
    ]
    return f"<b>%{{y:.3~r}} {unit.word}</b> expected<br>{', '.join(bounds)}<extra></extra>"
