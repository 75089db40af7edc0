"""How far the forecasts of the whole network may be trusted: the share that is licensed at each horizon, and the series to look at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, NumberColumn, TextColumn

from app import cached, state, theme
from app.components import export, states
from app.components.header import Frame
from app.components.licence import LICENSED, UNTRIED, verdict
from app.components.place import region_names, site_names
from app.components.site_table import opened
from app.components.tile import tile
from data.schema import GLOBAL_KEY, METRIC

# Series that stand in the table before it scrolls; and its rows in px.
MOST_PX, ROW_PX, HEADER_PX = 322, 35, 38
_CLICK = "trust.click"
IDENTITY = ["level", "key", "metric"]


def judged(frame: Frame) -> bool:
    """Draw the network's tiles and the table; or say what is missing, and return False."""
    licences = cached.licences(frame.pin, frame.scope)
    if licences.empty:
        unjudged(frame)
        return False
    tiles(frame, licences)
    worst_first(frame, series_table(frame, licences))
    return True


def unjudged(frame: Frame) -> None:
    """Which command makes the tables that this page is about."""
    run = cached.latest_run(frame.pin, frame.scope)
    command = {"Backtest every series, license what won, and publish": f"python -m forecasting refresh --engine panel --lake {frame.pin.url}"}
    if run is None:
        states.nothing("No forecast has been published yet", "There is nothing to judge before the first refresh.", command)
        return
    why = f"Run {run.number} was made by the engine {run.engine}, and holds forecasts without licences, backtests or scores."
    states.nothing("The newest run was not judged", why, command)


def tiles(frame: Frame, licences: pd.DataFrame) -> None:
    """The licensed share of each horizon, and the series whose 95 % interval is furthest off."""
    with st.container(horizontal=True, gap="xsmall", key="trust"):
        for horizon, rows in licences.groupby("horizon", sort=False):
            tested = rows[rows["origins"] > 0]
            share = theme.percent(tested["licensed"].mean()) if len(tested) else "not tested"
            below = f"{tested['licensed'].sum()} of {len(tested)} series" if len(tested) else "history is too short"
            tile(f"Licensed, {horizon}", share, below, help_="Series whose drawn model beat the best baseline out of sample by more than the noise.")
        _worst(frame)


def _worst(frame: Frame) -> None:
    off = misses(cached.calibration(frame.pin, frame.scope))
    if off.empty:
        return
    row = off.loc[off["miss"].idxmin()]
    where = f"{name_of(frame, str(row['level']), str(row['key']))}, {METRIC[str(row['metric'])].label.lower()}"
    tile("Least covered", theme.percent(row["observed"]), states.plain(where), help_="Share of hours inside the 95 % interval in the backtests of one series.")


def misses(calibration: pd.DataFrame) -> pd.DataFrame:
    """level, key, metric, observed, miss (observed less nominal) of the 95 % interval of what is drawn, over the horizons of a series."""
    rows = calibration[(calibration["model"] != "peaks") & (calibration["nominal"] == 0.95)]
    found = rows.groupby(IDENTITY, sort=False)["observed"].mean().reset_index()
    return found.assign(miss=found["observed"] - 0.95)


def series_table(frame: Frame, licences: pd.DataFrame) -> pd.DataFrame:
    """A row for each series, the least covered first: name, metric, how many horizons are licensed, error against the baseline, coverage, peaks."""
    calibration = cached.calibration(frame.pin, frame.scope)
    tested = licences[licences["origins"] > 0]
    sums = tested.groupby(IDENTITY)[["error", "baseline_error"]].mean()
    rows = licences.groupby(IDENTITY, sort=False).apply(_horizons, include_groups=False).rename("horizons").reset_index()
    rows = rows.join((100 * (sums["error"] / sums["baseline_error"] - 1)).rename("against"), on=IDENTITY)
    for name, peaks, nominal in (("inside_80", False, 0.8), ("inside_95", False, 0.95), ("peaks_90", True, 0.9)):
        held = calibration[((calibration["model"] == "peaks") == peaks) & (calibration["nominal"] == nominal)]
        rows = rows.join((100 * held.groupby(IDENTITY)["observed"].mean()).rename(name), on=IDENTITY)
    names = {(level, key): name_of(frame, level, key) for level, key in rows[["level", "key"]].drop_duplicates().itertuples(index=False)}
    rows.insert(0, "name", [names[level, key] for level, key in zip(rows["level"], rows["key"], strict=True)])
    return rows.assign(label=rows["metric"].map(lambda metric: METRIC[metric].label)).sort_values("inside_95", na_position="last", ignore_index=True)


def _horizons(rows: pd.DataFrame) -> str:
    """'2 of 3 licensed', with the shape of the majority."""
    tested = [found for found in map(verdict, rows.itertuples()) if found is not UNTRIED]
    won = sum(found is LICENSED for found in tested)
    return f"{LICENSED.glyph if won else UNTRIED.glyph} {won} of {len(tested)}"


def name_of(frame: Frame, level: str, key: str) -> str:
    """What people call a place."""
    if level == "global" and key == GLOBAL_KEY:
        return "All regions"
    names: Mapping[str, str] = site_names(frame.catalogue, None) if level == "site" else region_names(frame.catalogue)
    return names.get(key, key)


def worst_first(frame: Frame, rows: pd.DataFrame) -> None:
    """The table; a click on a name, or a selected row, chooses the series below."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.markdown("##### Where to look: the least covered series first")
        units = {"against": "%", "inside_80": "%", "inside_95": "%", "peaks_90": "%"}
        export.csv_button(rows, "licences and calibration", "trust-csv", units, frame.zone)
    event = st.dataframe(
        rows, column_config=columns(), column_order=list(columns()), hide_index=True, height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)), row_height=ROW_PX,
        on_select="rerun", selection_mode="single-row", key="trust-series", placeholder=theme.NO_DATA, alt="Every series with its licences and coverage",
    )  # fmt: skip
    at = opened(event.selection, st.session_state.get(_CLICK))
    if at is not None and at < len(rows):
        _choose(rows.iloc[at])


def _choose(row: pd.Series) -> None:
    """The page below is about this series; what was chosen stays, until another row is."""
    if st.session_state.get("trust.chosen") == tuple(row[IDENTITY]):
        return
    st.session_state["trust.chosen"] = tuple(row[IDENTITY])
    place = {"site": {"site": row["key"]}, "region": {"site": None, "region": row["key"]}}.get(row["level"], {"site": None, "region": None})
    state.open_page("models", metric=row["metric"], **place)


def columns() -> dict[str, Any]:
    """How each column of the table reads."""
    return {
        "name": ButtonColumn("Series of", type="tertiary", alignment="left", pinned=True, width=170, key=_CLICK, help="Shows this series below"),
        "label": TextColumn("Metric", width=80),
        "horizons": TextColumn("Horizons licensed", width=130, help="How many of the tested horizons are drawn by a model that beat the best baseline"),
        "against": NumberColumn("Error against baseline", width=150, format="%+.0f %%", help="MASE of what is drawn against that of the best baseline"),
        "inside_80": NumberColumn("In the 80 % interval", width=135, format="%.0f %%", help="Share of hours of the backtests; 80 % is meant"),
        "inside_95": NumberColumn("In the 95 % interval", width=135, format="%.0f %%", help="Share of hours of the backtests; 95 % is meant"),
        "peaks_90": NumberColumn("Peaks under the 0.9 quantile", width=190, format="%.0f %%", help="Share of past weeks; 90 % is meant"),
    }
