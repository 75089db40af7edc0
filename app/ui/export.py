"""The one way to draw a chart, with what one may take away from it: a picture (PNG, SVG) made by the browser, and the
numbers behind it (CSV, XLSX, JSON). The one owner of files' names, units and of what each file says of itself: as of
when, of which version and run, and whether the network is simulated.
"""

from __future__ import annotations

import io
import json as json_text
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import xlsxwriter

# A cell of text that begins like this is run as a formula by spreadsheets; the wide forms are read as their narrow
# ones.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

# One file for all charts of an export, as they stand on the screen, zoom included, without asking the server: the layers
# of each chart (SVG) and the pixels of each map, below them the lines that say what it is and as of when. A PNG is this
# picture, drawn twice as fine as the screen. The scenes of maps keep their pixels only where WebGL is told to
# (preserveDrawingBuffer, which deck.gl sets).
PICTURES_JS = """
const NS = "http://www.w3.org/2000/svg", FINE = 2, LINE = 18, EDGE = 10;
const SCREEN_ONLY = ".draglayer, .hoverlayer, .zoomlayer, .selectionlayer, .menulayer";

function element(name, attributes, text = "") {
  const made = document.createElementNS(NS, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.textContent = text;
  return made;
}

function layersOf(shown) {
  if (shown.tagName === "CANVAS") return [element("image", { href: shown.toDataURL("image/png") })];
  return [...shown.querySelectorAll(".main-svg")].map((layer) => {
    const copy = layer.cloneNode(true);
    copy.querySelectorAll(SCREEN_ONLY).forEach((part) => part.remove());
    copy.removeAttribute("style");
    return copy;
  });
}

function composed(shown, data, style) {
  const boxes = shown.map((one) => one.getBoundingClientRect());
  const left = Math.min(...boxes.map((box) => box.left)), top = Math.min(...boxes.map((box) => box.top));
  const width = Math.max(...boxes.map((box) => box.right)) - left;
  const drawn = Math.max(...boxes.map((box) => box.bottom)) - top, head = data.title ? 28 : 0;
  const height = Math.ceil(head + drawn + EDGE + LINE * data.lines.length + EDGE);
  const svg = element("svg", { xmlns: NS, width: Math.ceil(width), height, "font-family": style.font });
  svg.append(element("rect", { width: "100%", height: "100%", fill: style.background }));
  if (data.title) svg.append(element("text", { x: 8, y: 19, fill: style.text, "font-size": 15, "font-weight": 600 }, data.title));
  shown.forEach((one, at) => layersOf(one).forEach((layer) => {
    const place = { x: boxes[at].left - left, y: boxes[at].top - top + head, width: boxes[at].width, height: boxes[at].height };
    Object.entries(place).forEach(([key, value]) => layer.setAttribute(key, value));
    svg.append(layer);
  }));
  data.lines.forEach((parts, at) => {
    const line = element("text", { x: 8, y: head + drawn + EDGE + LINE * at + 12, fill: style.text, "font-size": 12 });
    parts.forEach(([text, colour]) => line.append(element("tspan", colour ? { fill: colour } : {}, text)));
    svg.append(line);
  });
  return svg;
}

// A picture that is drawn from SVG sees no font of the page: the upright one that Streamlit loads goes into it.
async function withFont(svg) {
  const rules = [...document.styleSheets].flatMap((sheet) => {
    try { return [...sheet.cssRules].filter((rule) => rule instanceof CSSFontFaceRule).map((rule) => [rule, sheet.href]); } catch { return []; }
  });
  const isPage = ([rule]) => /^"?Source Sans"?$/.test(rule.style.fontFamily) && rule.style.fontStyle !== "italic";
  const [rule, base] = rules.find(isPage) ?? [];
  const address = rule?.style.getPropertyValue("src").match(/url\\("?([^")]+)"?\\)/)?.[1];
  if (!address) return svg;
  const answer = await fetch(new URL(address, base ?? document.baseURI));
  if (!answer.ok) return svg;
  const bytes = new Uint8Array(await answer.arrayBuffer()), parts = [];
  for (let at = 0; at < bytes.length; at += 32768) parts.push(String.fromCharCode(...bytes.subarray(at, at + 32768)));
  const face = `@font-face { font-family: "Source Sans"; font-weight: 200 900; src: url("data:font/woff2;base64,${btoa(parts.join(""))}"); }`;
  svg.prepend(element("style", {}, face));
  return svg;
}

async function png(svg) {
  const picture = new Image(), canvas = document.createElement("canvas");
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(svg))}`;
  await picture.decode();
  [canvas.width, canvas.height] = [FINE * picture.width, FINE * picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export default function ({ parentElement, data }) {
  const found = (key) => [...document.querySelectorAll(`.st-key-${key} :is(.js-plotly-plot, .stDeckGlJsonChart canvas)`)];
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = async () => {
      const look = getComputedStyle(parentElement.firstElementChild ?? button);
      const value = (name) => look.getPropertyValue(name).trim();
      const style = { background: value("--st-background-color"), text: value("--st-text-color"), font: value("--st-font") || "sans-serif" };
      const shown = [...new Set(data.charts.flatMap(found))];
      if (!shown.length) return;
      const svg = composed(shown, data, style);
      const blob = button.value === "png" ? await png(await withFont(svg)) : new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
      save(blob, `${data.file}.${button.value}`);
    };
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
button:focus-visible { outline: 2px solid var(--st-primary-color); }
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
    on_select: Callable[[], None] | None = None,
) -> None:
    """Draws a figure with its alternative text, and below it what one may take away. `on_select` runs when points of it
    are clicked: they stand in the session state under its key.

    `name` becomes the files' names; `data` is the table behind the chart, or a function that makes it once it is asked
    for.
    """
    _draw(figure, key, alt, on_select)
    take_away([key], key, name, data, units, zone)


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
                _draw(figure, own, alt)
    take_away(list(figures), key, name, data, units, zone)


def map_picture(key: str, name: str, legend: Sequence[tuple[str, str, str]] = ()) -> None:
    """Buttons that save the map of the container with this key as a picture; `legend`: glyph, colour and words each, below
    it.
    """
    _picture_buttons([key], f"{key}-picture", name, title=name, legend=legend)


class Source(NamedTuple):
    """What the numbers of a page are: as of when (UTC), the zone of their times, which version of the telemetry and which
    run, and whether the network is simulated.
    """

    as_of: pd.Timestamp
    zone: str
    version: int
    run: int | None
    simulated: bool

    def sentence(self) -> str:
        """'Headroom, as of 2026-11-30 23:10 UTC, version 1, run 1, simulated network'."""
        parts = [
            f"Headroom, as of {self.as_of.tz_convert(self.zone):%Y-%m-%d %H:%M} {self.zone}",
            f"version {self.version}",
            "no forecast" if self.run is None else f"run {self.run}",
            *(["simulated network"] if self.simulated else []),
        ]
        return ", ".join(parts)

    def rows(self) -> dict[str, Any]:
        """The same by name."""
        return {
            "as_of": self.as_of.isoformat(),
            "telemetry_version": self.version,
            "run": self.run,
            "simulated": self.simulated,
            "zone": self.zone,
        }


_SOURCE = "export.source"


def from_source(source: Source) -> None:
    """Note what the page that is being drawn shows; its files and pictures say so."""
    st.session_state[_SOURCE] = source


def current_source() -> Source | None:
    """What the page shows; None where no page said so."""
    source: Source | None = st.session_state.get(_SOURCE)
    return source


def csv_button(data: Rows, name: str, key: str, units: Mapping[str, str] | None = None, zone: str = "UTC") -> None:
    """A button that saves a table as CSV. The file is made when it is asked for, not each time the page is drawn."""
    _file_button("CSV", lambda: csv(rows_of(data), units, zone), name, key)


def table_buttons(
    data: Rows,
    name: str,
    key: str,
    units: Mapping[str, str] | None = None,
    zone: str = "UTC",
    *,
    policy: Mapping[str, Any] | None = None,
) -> None:
    """Buttons that save a table as CSV, XLSX and JSON, each made when it is asked for. The latter two say what the numbers
    are: as of when, version, run, units and, of a plan, its policy.
    """
    source = current_source()
    about = ({} if source is None else source.rows()) | {f"policy_{at}": value for at, value in (policy or {}).items()}
    with st.container(horizontal=True, gap="xsmall", width="content"):
        _file_button("CSV", lambda: csv(rows_of(data), units, zone), name, f"{key}-csv")
        _file_button("XLSX", lambda: xlsx(rows_of(data), units, zone, about=about), name, f"{key}-xlsx")
        _file_button("JSON", lambda: json(rows_of(data), units, about=about), name, f"{key}-json")


MIME = {
    "CSV": "text/csv",
    "XLSX": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "JSON": "application/json",
}


def _file_button(kind: str, content: Callable[[], bytes], name: str, key: str) -> None:
    st.download_button(
        kind,
        content,
        f"{file_name(name)}.{kind.lower()}",
        MIME[kind],
        key=key,
        on_click="ignore",
        type="tertiary",
        help=f"The numbers of {name}",
    )


def rows_of(data: Rows) -> pd.DataFrame:
    """The table, made if it is not yet."""
    return data() if callable(data) else data


def csv(frame: pd.DataFrame, units: Mapping[str, str] | None = None, zone: str = "UTC") -> bytes:
    """The frame as CSV in UTF-8: units in the header, stamps in ISO 8601 with the zone's offset, text that no
    spreadsheet runs.
    """
    cells = {
        guarded(header): _cells(frame[column], zone)
        for header, column in zip(_headers(frame, units), frame.columns, strict=True)
    }
    text: str = pd.DataFrame(cells).to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8")


def xlsx(
    frame: pd.DataFrame,
    units: Mapping[str, str] | None = None,
    zone: str = "UTC",
    *,
    about: Mapping[str, Any] | None = None,
) -> bytes:
    """The frame as a workbook: units in the head, numbers and dates as such (stamps in the zone's local time, which the
    second sheet names), and a sheet that says what they are. No text is run as a formula or opened as a link.
    """
    file = io.BytesIO()
    plain_text = {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True}
    book = xlsxwriter.Workbook(file, {"in_memory": True, **plain_text})
    bold, moment = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    sheet, notes = book.add_worksheet("Rows"), book.add_worksheet("About")
    for at, (header, column) in enumerate(zip(_headers(frame, units), frame.columns, strict=True)):
        sheet.write_string(0, at, header, bold)
        sheet.set_column(at, at, max(12, min(len(header) + 2, 40)))
        is_stamp = isinstance(frame[column].dtype, pd.DatetimeTZDtype)
        for row, value in enumerate(frame[column], start=1):
            if isinstance(value, list | tuple | dict) or not pd.isna(value):
                _write(sheet, row, at, value.tz_convert(zone).tz_localize(None) if is_stamp else value, moment)
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, len(frame), max(len(frame.columns) - 1, 0))
    told = {**(about or {}), "times": zone, **{f"unit of {name}": unit for name, unit in (units or {}).items()}}
    for at, (name, value) in enumerate(told.items()):
        notes.write_string(at, 0, str(name), bold)
        notes.write_string(at, 1, "" if value is None else str(value))
    notes.set_column(0, 1, 32)
    book.close()
    return file.getvalue()


def _write(sheet: Any, row: int, column: int, value: Any, moment: Any) -> None:
    if isinstance(value, pd.Timestamp):
        sheet.write_datetime(row, column, value.to_pydatetime(), moment)
    elif isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif pd.api.types.is_number(value):
        sheet.write_number(row, column, float(value))
    else:
        sheet.write_string(row, column, str(value))


def json(
    frame: pd.DataFrame, units: Mapping[str, str] | None = None, *, about: Mapping[str, Any] | None = None
) -> bytes:
    """What the numbers are, their units, and `rows`: an object each, dates in ISO 8601 and UTC, null where nothing is."""
    rows = json_text.loads(frame.to_json(orient="records", date_format="iso", date_unit="s"))
    content = {**(about or {}), "units": dict(units or {}), "rows": rows}
    return json_text.dumps(content, indent=1, ensure_ascii=False, default=str).encode("utf-8")


def _headers(frame: pd.DataFrame, units: Mapping[str, str] | None) -> list[str]:
    known = units or {}
    return [f"{column} [{known[column]}]" if known.get(column) else str(column) for column in frame.columns]


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


def _draw(figure: go.Figure, key: str, alt: str, on_select: Callable[[], None] | None = None) -> None:
    if _by_touch():
        figure.update_layout(
            dragmode=False
        )  # a finger that drags wants to scroll the page; the bar of tools still zooms
    # Streamlit lets a finger pan a chart whose points can be selected, and it could not scroll the page.
    selects = on_select is not None and not _by_touch()
    clicks: dict[str, Any] = {"on_select": on_select, "selection_mode": "points"} if selects else {}
    st.plotly_chart(figure, theme=None, key=key, alt=alt, config=settings(), **clicks)


def settings() -> dict[str, Any]:
    """Plotly's settings: its bar of tools without what is of no use here, nor its camera, whose pictures do not say what
    they are.
    """
    return {
        "displaylogo": False,
        "displayNotifier": False,
        "modeBarButtonsToRemove": ["autoScale2d", "select2d", "lasso2d", "toImage"],
    }


def _by_touch() -> bool:
    return "Mobi" in (st.context.headers.get("User-Agent") or "")


def take_away(keys: Sequence[str], key: str, name: str, data: Rows, units: Mapping[str, str] | None, zone: str) -> None:
    """What one may take away of charts that stand under these keys: one picture of all, and the numbers behind them."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall"):
        _picture_buttons(keys, f"{key}-pictures", name)
        csv_button(data, name, f"{key}-csv", units, zone)


def _picture_buttons(
    keys: Sequence[str], key: str, name: str, *, title: str = "", legend: Sequence[tuple[str, str, str]] = ()
) -> None:
    source = current_source()
    entries = [part for glyph, colour, words in legend for part in ((f"{glyph} ", colour), (f"{words}   ", ""))]
    data = {
        "charts": [re.sub(r"[^A-Za-z0-9_-]", "-", own) for own in keys],
        "name": name,
        "file": file_name(name),
        "title": title,
        "lines": [*([entries] if entries else []), *([] if source is None else [[(source.sentence(), "")]])],
    }
    pictures(key=key, width="content", data=data)
