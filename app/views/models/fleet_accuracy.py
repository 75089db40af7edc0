"""How far the forecasts of the whole network may be trusted: the share that is licensed at each horizon, and the series
to look at first.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import cached, state, theme
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.licence import LICENSED, UNTRIED
from app.ui.place import region_names, site_names
from app.ui.tables import HEADER_PX, ROW_PX
from app.ui.tile import tile
from app.views.models.leaderboard_charts import AS_DRAWN, PEAKS, WEEKS_P95
from data.schema import GLOBAL_KEY, METRIC

# Series that stand in the table before it scrolls; and its rows in px.
MOST_PX = 322
_TABLE = "trust-series"
IDENTITY = ["level", "key", "metric"]
LICENSED_HELP = "Series whose blend beat the best baseline out of sample by more than the noise, with what its panel proves counted in."
# The shares of a series that the table holds: of which model, and what is meant.
SHARES = {
    "inside_80": (AS_DRAWN, 0.8),
    "inside_95": (AS_DRAWN, 0.95),
    "peaks_90": (PEAKS, 0.9),
    "p95_90": (WEEKS_P95, 0.9),
}


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
    command = {
        "Backtest every series, license what won, and publish": f"python -m forecasting refresh --engine panel --lake {frame.pin.url}"
    }
    if run is None:
        empty_states.nothing(
            "No forecast has been published yet", "There is nothing to judge before the first refresh.", command
        )
        return
    why = f"Run {run.number} was made by the engine {run.engine}, and holds forecasts without licences, backtests or scores."
    empty_states.nothing("The newest run was not judged", why, command)


def tiles(frame: Frame, licences: pd.DataFrame) -> None:
    """The licensed share of each horizon, and the series whose 95 % interval is furthest off."""
    with st.container(horizontal=True, gap="xsmall", key="trust"):
        for horizon, rows in licences.groupby("horizon", sort=False):
            tested = rows[rows["origins"] > 0]
            share = theme.percent(tested["licensed"].mean()) if len(tested) else "not tested"
            below = f"{tested['licensed'].sum()} of {len(tested)} series" if len(tested) else "history is too short"
            tile(f"Licensed, {horizon}", share, below, help_=LICENSED_HELP)
        _worst(frame)


def _worst(frame: Frame) -> None:
    off = misses(cached.calibration(frame.pin, frame.scope))
    if off.empty:
        return
    row = off.loc[off["miss"].idxmin()]
    where = f"{names(frame).get((row['level'], row['key']), row['key'])}, {METRIC[str(row['metric'])].label.lower()}"
    tile(
        "Least covered",
        theme.percent(row["observed"]),
        empty_states.plain(where),
        help_="Share of hours inside the 95 % interval in the backtests of one series.",
    )


def misses(calibration: pd.DataFrame) -> pd.DataFrame:
    """level, key, metric, observed, miss (observed less nominal) of the 95 % interval of what is drawn, over the
    horizons of a series.
    """
    rows = calibration[(calibration["model"] == AS_DRAWN) & (calibration["nominal"] == 0.95)]
    found = rows.groupby(IDENTITY, sort=False)["observed"].mean().reset_index()
    return found.assign(miss=found["observed"] - 0.95)


def series_table(frame: Frame, licences: pd.DataFrame) -> pd.DataFrame:
    """A row for each series, the least covered first: name, metric, how many horizons are licensed, error against the
    baseline, coverage, weeks.
    """
    calibration = cached.calibration(frame.pin, frame.scope)
    tested = licences[licences["origins"] > 0].groupby(IDENTITY)
    errors = tested[["error", "baseline_error"]].mean()
    columns = {
        "against": 100 * (errors["error"] / errors["baseline_error"] - 1),
        "won": tested["licensed"].sum(),
        "tested": tested.size(),
    }
    for name, (model, nominal) in SHARES.items():
        held = calibration[(calibration["model"] == model) & (calibration["nominal"] == nominal)]
        columns[name] = 100 * held.groupby(IDENTITY)["observed"].mean()
    rows = licences[IDENTITY].drop_duplicates().join(pd.DataFrame(columns), on=IDENTITY)
    rows = rows.assign(horizons=won_of_tested(rows), label=[METRIC[metric].label for metric in rows["metric"]])
    called = names(frame)
    rows.insert(
        0, "name", [called.get((level, key), key) for level, key in zip(rows["level"], rows["key"], strict=True)]
    )
    return rows.sort_values("inside_95", na_position="last", kind="stable", ignore_index=True)


def won_of_tested(rows: pd.DataFrame) -> list[str]:
    """'● 2 of 3': the horizons that are licensed, of those that were tested; a filled shape where there are any."""
    pairs = rows[["won", "tested"]].fillna(0).astype(int).itertuples(index=False)
    return [f"{LICENSED.glyph if won else UNTRIED.glyph} {won} of {tested}" for won, tested in pairs]


def names(frame: Frame) -> dict[tuple[str, str], str]:
    """What people call each place, by level and key."""
    places = {
        "site": site_names(frame.catalogue, None),
        "region": region_names(frame.catalogue),
        "global": {GLOBAL_KEY: "All regions"},
    }
    return {(level, key): name for level, known in places.items() for key, name in known.items()}


def worst_first(frame: Frame, rows: pd.DataFrame) -> None:
    """The table; a selected row chooses the series below."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.markdown("##### Where to look: the least covered series first")
        units = dict.fromkeys(("against", *SHARES), "%")
        export.csv_button(rows, "licences and calibration", "trust-csv", units, frame.zone)
    st.dataframe(
        rows,
        column_config=columns(),
        column_order=list(columns()),
        hide_index=True,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        row_height=ROW_PX,
        on_select=partial(_selected, frame, rows[IDENTITY]),
        selection_mode="single-row",
        key=_TABLE,
        placeholder=theme.NO_DATA,
        alt="Every series with its licences and coverage; a selected row is shown below",
    )


def choice(frame: Frame, level: str, key: str, metric: str) -> dict[str, str | None]:
    """What changes in the state where a series is chosen."""
    if level == "site":
        return {"metric": metric, "site": key, "region": str(frame.catalogue.set_index("site_id")["region_id"][key])}
    return {"metric": metric, "site": None, "region": key if level == "region" else None}


def _selected(frame: Frame, rows: pd.DataFrame) -> None:
    """Show the series of the row that was just selected; one that is let go of stays."""
    for row in st.session_state[_TABLE]["selection"]["rows"]:
        state.update(**choice(frame, *rows.iloc[row]))


def columns() -> dict[str, Any]:
    """How each column of the table reads."""
    return {
        "name": TextColumn("Series of", pinned=True, width=170, help="Select a row to see the series below"),
        "label": TextColumn("Metric", width=80),
        "horizons": TextColumn(
            "Horizons licensed",
            width=130,
            help="How many of the tested horizons are drawn by a blend that was licensed against the best baseline",
        ),
        "against": NumberColumn(
            "Error against baseline",
            width=150,
            format="%+.0f %%",
            help="MASE of what is drawn against that of the best baseline",
        ),
        "inside_80": NumberColumn(
            "In the 80 % interval", width=135, format="%.0f %%", help="Share of hours of the backtests; 80 % is meant"
        ),
        "inside_95": NumberColumn(
            "In the 95 % interval", width=135, format="%.0f %%", help="Share of hours of the backtests; 95 % is meant"
        ),
        "peaks_90": NumberColumn(
            "Peaks under the 0.9 quantile", width=190, format="%.0f %%", help="Share of past weeks; 90 % is meant"
        ),
        "p95_90": NumberColumn(
            "P95 under the 0.9 quantile", width=180, format="%.0f %%", help="Share of past weeks; 90 % is meant"
        ),
    }
