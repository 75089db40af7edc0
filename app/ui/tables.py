"""A table of plain rows: names and units in its head, times in the chosen zone, and the same rows as CSV."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import state, theme
from app.ui import export
from app.ui.empty_states import plain

# Rows that a table shows before it scrolls inside itself.
ROWS_SHOWN = 16
# Heights of a row and of the head.
ROW_PX, HEADER_PX = 35, 38


def ledger(
    frame: pd.DataFrame, labels: dict[str, str], zone: str, *, name: str, alt: str, opens: str | None = None
) -> None:
    """Draw the columns that `labels` names, in its order, and offer them as `name`.csv. A click on a value of the column
    `opens` goes to the site of its row (site_id).
    """
    heads = {column: headed(frame, column, labels, zone) for column in labels}
    shown = in_zone(frame[list(labels)], zone).rename(columns=heads)
    height = HEADER_PX + min(len(shown), ROWS_SHOWN) * ROW_PX
    # A column whose format is None would be hidden, so that text has no entry.
    formats = {heads[column]: how for column in labels if (how := written(frame, column))}
    click = f"{name}.click"
    if opens is not None:
        formats[heads[opens]] = st.column_config.ButtonColumn(
            type="tertiary", alignment="left", key=click, help="Opens the site"
        )
    st.dataframe(
        shown,
        hide_index=True,
        height=height,
        row_height=ROW_PX,
        column_config=formats,
        placeholder=theme.NO_DATA,
        alt=alt,
    )
    if opens is not None and (clicked := st.session_state.get(click)):
        state.open_page("region", site=str(frame["site_id"].iloc[int(clicked["row"])]))
    with st.container(horizontal=True, horizontal_alignment="right"):
        export.csv_button(frame[list(labels)], name, f"{name}-csv", zone=zone)


# Cards that a narrow screen shows at a time.
CARDS = 8


def cards(titles: Sequence[str], lines: Callable[[int], Sequence[str]], *, key: str) -> None:
    """Rows as cards, a few at a time, for a narrow screen. titles: Markdown, one a row; lines: the Markdown lines of the
    row at a position.
    """
    pages = max(-(-len(titles) // CARDS), 1)
    page = min(int(st.session_state.get(f"{key}.page", 1)), pages)
    for at in range((page - 1) * CARDS, min(page * CARDS, len(titles))):
        with st.container(border=True, gap="xsmall"):
            st.markdown(titles[at])
            st.markdown("  \n".join(lines(at)))
    if pages > 1:
        st.pagination(pages, key=f"{key}.page")


def row_cards(rows: pd.DataFrame, title: str, words: Mapping[str, Callable[[Any], str]], *, key: str) -> None:
    """Each row as a card for a narrow screen: its value of the column `title`, then every other known value after its
    column's name, written by `words` where the column stands there.
    """
    records = rows.to_dict("records")

    def lines(at: int) -> list[str]:
        known = {
            column: value
            for column, value in records[at].items()
            if column != title and not pd.isna(value) and value != ""
        }
        return [f"{column}: {plain(words.get(column, str)(value))}" for column, value in known.items()]

    cards([f"**{plain(str(record[title]))}**" for record in records], lines, key=key)


def written(frame: pd.DataFrame, column: str) -> Any:
    """How a column's values are written: times like 3 Dec 2026 09:25, numbers with their thousands apart."""
    if isinstance(frame[column].dtype, pd.DatetimeTZDtype):
        return st.column_config.DatetimeColumn(format="D MMM YYYY HH:mm")
    if pd.api.types.is_numeric_dtype(frame[column]):
        return st.column_config.NumberColumn(format="bytes" if column == "bytes" else "localized")
    return None


def in_zone(frame: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Stamps as naive times of the zone: a browser shifts aware ones to its own without a word."""
    stamps = frame.select_dtypes("datetimetz").columns
    return frame.assign(**{column: theme.localize(frame[column], zone) for column in stamps})


def headed(frame: pd.DataFrame, column: str, labels: dict[str, str], zone: str) -> str:
    """A column's head; that of a time names the zone."""
    return f"{labels[column]} ({zone})" if isinstance(frame[column].dtype, pd.DatetimeTZDtype) else labels[column]


def site_column(
    key: str,
    width: int = 140,
    *,
    help_: str = "Opens the site",
    on_click: Callable[..., None] | None = None,
    args: tuple[Any, ...] = (),
) -> Any:
    """A column of site names, each of which opens its site: `open_clicked` of the same key does, below the table, or
    `on_click` with these arguments.
    """
    return st.column_config.ButtonColumn(
        type="tertiary",
        alignment="left",
        pinned=True,
        width=width,
        key=key,
        on_click=on_click,
        args=args,
        help=help_,
    )


def open_clicked(key: str, sites: Sequence[str], known: Collection[str]) -> None:
    """Open the site of the row whose name was clicked; `known`: the sites that there are, for a what-if may add some."""
    click = st.session_state.get(key)
    if click is not None and click["row"] < len(sites) and sites[click["row"]] in known:
        state.open_page("region", site=str(sites[click["row"]]))
