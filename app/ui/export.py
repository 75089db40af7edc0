"""The one way to draw a chart, with what one may take away from it: a picture (PNG, SVG) made by the browser, and the
numbers behind it (CSV).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

# A cell of text that begins like this is run as a formula by spreadsheets; the wide forms are read as their narrow
# ones.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

# Streamlit hands a chart's settings over as JSON, which holds no function, so that Plotly's bar of tools has room for
# one picture format alone. This presses that bar's own camera with the format asked for: what is drawn, zoom included,
# is what is saved, without asking the server.
PICTURES_JS = """
const CAMERA = '.modebar-btn[data-title^="Download"]';

function save(plot, format) {
  const settings = plot._context, kept = settings.toImageButtonOptions;
  settings.toImageButtonOptions = { ...kept, format };
  plot.querySelector(CAMERA).click();
  settings.toImageButtonOptions = kept;
}

export default function ({ parentElement, data }) {
  const plots = () => data.charts.flatMap((key) => [...document.querySelectorAll(`.st-key-${key} .js-plotly-plot`)]);
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = () => plots().forEach((plot) => save(plot, button.value));
    button.setAttribute("aria-label", `${button.textContent} of ${data.name}`);
  }
}
"""
PICTURES_HTML = (
    """<div><button type="button" value="png">PNG</button><button type="button" value="svg">SVG</button></div>"""
)
PICTURES_CSS = """
div { display: flex; gap: 0.25rem; align-items: center; }
button {
  font: inherit; font-size: 0.875rem; color: var(--st-text-color); background: none; cursor: pointer;
  border: 1px solid transparent; border-radius: var(--st-button-radius); padding: 0.15rem 0.5rem;
}
button:hover, button:focus-visible { border-color: var(--st-border-color); background: var(--st-secondary-background-color); }
"""

Rows: TypeAlias = "pd.DataFrame | Callable[[], pd.DataFrame]"

pictures = st.components.v2.component("headroom_pictures", html=PICTURES_HTML, css=PICTURES_CSS, js=PICTURES_JS)


def chart(
    figure: go.Figure,
    *,
    key: str,
    name: str,
    alt: str,
    data: Rows,
    units: Mapping[str, str] | None = None,
    zone: str = "UTC",
) -> None:
    """Draws a figure with its alternative text, and below it what one may take away.

    `name` becomes the files' names; `data` is the table behind the chart, or a function that makes it once it is asked
    for.
    """
    _draw(figure, key, name, alt)
    _take_away([key], key, name, data, units, zone)


def charts(
    figures: Mapping[str, tuple[go.Figure, str]],
    *,
    columns: int,
    key: str,
    name: str,
    data: Rows,
    units: Mapping[str, str] | None = None,
    zone: str = "UTC",
) -> None:
    """Draws figures (by key: figure and alternative text) side by side, one below the other on a narrow screen, with
    one row of exports for all.
    """
    for first in range(0, len(figures), columns):
        places = st.columns(columns, gap="small")
        for place, (own, (figure, alt)) in zip(places, [*figures.items()][first : first + columns], strict=False):
            with place:
                _draw(figure, own, f"{name}-{own}", alt)
    _take_away(list(figures), key, name, data, units, zone)


def csv_button(data: Rows, name: str, key: str, units: Mapping[str, str] | None = None, zone: str = "UTC") -> None:
    """A button that saves a table as CSV. The file is made when it is asked for, not each time the page is drawn."""

    def content() -> bytes:
        return csv(data() if callable(data) else data, units, zone)

    st.download_button(
        "CSV",
        content,
        f"{file_name(name)}.csv",
        "text/csv",
        key=key,
        on_click="ignore",
        type="tertiary",
        help=f"The numbers of {name}",
    )


def csv(frame: pd.DataFrame, units: Mapping[str, str] | None = None, zone: str = "UTC") -> bytes:
    """The frame as CSV in UTF-8: units in the header, stamps in ISO 8601 with the zone's offset, text that no
    spreadsheet runs.
    """
    known = units or {}
    headers = [f"{column} [{known[column]}]" if known.get(column) else str(column) for column in frame.columns]
    cells = {
        guarded(header): _cells(frame[column], zone) for header, column in zip(headers, frame.columns, strict=True)
    }
    text: str = pd.DataFrame(cells).to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8")


def guarded(value: Any) -> Any:
    """Text that a spreadsheet would run gets an apostrophe in front, which spreadsheets take as "this is text"; other
    values stay.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def file_name(name: str) -> str:
    """A name as a file may carry it on every system: plain letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:100] or "headroom"


def _cells(column: pd.Series, zone: str) -> pd.Series:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert(zone).map(lambda moment: moment.isoformat(), na_action="ignore")
    return column if pd.api.types.is_numeric_dtype(column) else column.astype(object).map(guarded)


def _draw(figure: go.Figure, key: str, name: str, alt: str) -> None:
    if _by_touch():
        figure.update_layout(
            dragmode=False
        )  # a finger that drags wants to scroll the page; the bar of tools still zooms
    st.plotly_chart(figure, theme=None, key=key, alt=alt, config=settings(name))


def settings(name: str) -> dict[str, Any]:
    """Plotly's settings: its bar of tools without what is of no use here, and pictures twice as fine as the screen."""
    return {
        "displaylogo": False,
        "displayNotifier": False,
        "modeBarButtonsToRemove": ["autoScale2d", "select2d", "lasso2d"],
        "toImageButtonOptions": {"format": "png", "filename": file_name(name), "scale": 2},
    }


def _by_touch() -> bool:
    return "Mobi" in (st.context.headers.get("User-Agent") or "")


def _take_away(
    keys: Sequence[str], key: str, name: str, data: Rows, units: Mapping[str, str] | None, zone: str
) -> None:
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall"):
        pictures(
            key=f"{key}-pictures",
            width="content",
            data={"charts": [re.sub(r"[^A-Za-z0-9_-]", "-", own) for own in keys], "name": name},
        )
        csv_button(data, name, f"{key}-csv", units, zone)
