"""The runs: how long each took and of what it was made, whether the error drifts, and one run against another."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from app import cached, state, theme
from app.cached import LEAD_DAYS, Series
from app.charts.panels import Panel, linked_figure
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.tables import ledger
from app.views.models.charts import (
    OF_WEEKS,
    SCORES,
    YOUNG_HOURS,
    CoverageChart,
    badness,
    coverage_panel,
    drift_panel,
    error_since_panel,
)
from data.schema import model_words

RUNS = {
    "number": "Run",
    "started": "Started",
    "took": "Took",
    "engine": "Engine",
    "licensed": "Licensed",
    "fitted": "Fitted",
    "refused": "Refused",
    "failed": "Failed",
    "telemetry_version": "Telemetry version",
    "telemetry_until": "Telemetry until",
    "made_with": "Versions",
    "git_commit": "Commit",
}
# A difference of less than this share is rounding.
SAME = 0.005
HALF_DAY = pd.Timedelta(hours=12)


def draw(frame: Frame, series: Series, name: str) -> None:
    """Drift, the runs, and two of them side by side."""
    runs = cached.runs(frame.pin, frame.scope)
    if runs.empty:
        command = {"Make the first": f"python -m forecasting refresh --lake {frame.pin.url}"}
        empty_states.nothing("No run yet", "A run is one refresh of all forecasts.", command)
        return
    drift(frame, series, name)
    st.markdown("### Runs")
    ledger(readable(runs), RUNS, frame.zone, name="runs", alt="Published runs, the newest first")
    against(frame, series, name, runs)


def readable(runs: pd.DataFrame) -> pd.DataFrame:
    """Duration, licensed share and versions as people read them."""
    took = [
        f"{theme.significant(seconds)} s" if seconds < 120 else f"{seconds / 60:.0f} min" for seconds in runs["seconds"]
    ]
    licensed = [theme.percent(share) if pd.notna(share) else "not tested" for share in runs["licensed_share"]]
    return runs.assign(took=took, licensed=licensed, made_with=runs["versions"].map(made_with))


def made_with(versions: str) -> str:
    """'numpy 2.4.1, prophet 1.5' from JSON; as it is where it is not JSON."""
    try:
        known = json.loads(versions)
    except json.JSONDecodeError:
        return versions
    return (
        ", ".join(f"{package} {version}" for package, version in known.items()) if isinstance(known, dict) else versions
    )


def drift(frame: Frame, series: Series, name: str) -> None:
    """The backtest error from run to run, and what earlier runs published against what came in the week after each."""
    errors, since = cached.drift(frame.pin, frame.scope, series), cached.hindsight(frame.pin, frame.scope, series)
    panels = [drift_panel(errors, metric=series.metric, zone=frame.zone, scheme=frame.scheme)] if len(errors) else []
    panels += since_panels(frame, series, since) if len(since) else []
    if not panels:
        st.caption(
            f":material/info: No run has scores of {empty_states.plain(name)} yet, and none is old enough to be compared with what was measured."
        )
        return
    started = pd.concat([errors["started"], since["started"]])
    figure = linked_figure(
        panels, start=started.min() - HALF_DAY, end=started.max() + HALF_DAY, zone=frame.zone, scheme=frame.scheme
    )
    alt = (
        f"Backtest error of {name} over {errors['number'].nunique()} runs; {len(since)} runs compared with what was measured "
        f"in the {LEAD_DAYS} days after each"
    )
    export.chart(figure, key="drift", name=f"{name} drift", alt=alt, data=both(errors, since), zone=frame.zone)
    young = (
        " Open marks, not joined: runs since which less than a day has come."
        if (since["hours"] < YOUNG_HOURS).any()
        else ""
    )
    if len(since):
        st.caption(
            f":material/info: Every run is compared over the same {LEAD_DAYS} days after it, as far as they are over.{young}"
        )


def both(errors: pd.DataFrame, since: pd.DataFrame) -> pd.DataFrame:
    """All that is drawn: the backtest error by run and horizon, then what was published by each run against the week
    after it.
    """
    told = since.assign(
        what=f"published, WAPE of the {LEAD_DAYS} days after", too_young=since["hours"] < YOUNG_HOURS
    ).rename(columns={"wape": "value"})
    return pd.concat([errors.assign(what="backtest MASE"), told], ignore_index=True)


def since_panels(frame: Frame, series: Series, since: pd.DataFrame) -> list[Panel]:
    """The error of what each run published, and how often its bands held, over the same time after each."""
    rows = since.rename(columns={"started": "ts"})
    words = f"share of hours in the published bands, {frame.zone}"
    chart = CoverageChart(
        "Coverage in the week after each run", words, series.metric, rows, frame.zone, frame.scheme, least=YOUNG_HOURS
    )
    return [error_since_panel(rows, metric=series.metric, zone=frame.zone, scheme=frame.scheme), coverage_panel(chart)]


def against(frame: Frame, series: Series, name: str, runs: pd.DataFrame) -> None:
    """Two runs side by side, by one score."""
    st.markdown("### One run against another")
    numbers = [int(number) for number in runs["number"]]
    if len(numbers) < 2:
        st.caption(":material/info: There is one run; a second one can be compared with it.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        run = choose("Run", "run", numbers, numbers[0])
        other = choose("Against", "against", numbers, next((n for n in numbers if n < run), numbers[0]))
        st.selectbox("Score", state.CHOICES["score"], format_func=SCORES.__getitem__, width=180, **state.bound("score"))
    score = state.current().score
    rows = cached.run_against_run(frame.pin, frame.scope, run, other, series)
    rows = rows[(rows["score"] == score) & ~rows["model"].isin(OF_WEEKS)].dropna(
        subset=["value", "other_value"], how="all"
    )
    if rows.empty:
        st.caption(
            f":material/info: Neither run has this score of {empty_states.plain(name)}; rows of runs beyond the last ten are not kept."
        )
        return
    labels = {
        "horizon": "Horizon",
        "model": "Model",
        "value": f"Run {run}",
        "other_value": f"Run {other}",
        "verdict": "Here",
        "mean": f"Run {run}, all series",
        "other_mean": f"Run {other}, all series",
        "verdict_all": "All series",
        "series": "Series in both",
    }
    told = rows.assign(
        model=rows["model"].map(model_words),
        verdict=compared(score, rows["value"], rows["other_value"]),
        verdict_all=compared(score, rows["mean"], rows["other_mean"]),
    )
    for column in ("value", "other_value", "mean", "other_mean"):
        told[column] = told[column].round(4)
    ledger(
        told,
        labels,
        frame.zone,
        name=f"run-{run}-against-{other}",
        alt=f"{SCORES[score]} of {name} in run {run} and run {other}",
    )


def choose(label: str, field: str, numbers: list[int], otherwise: int) -> int:
    """A run by its number: the one that the state names, where it is kept."""
    asked = getattr(state.current(), field)
    key = f"models.{field}"
    st.session_state[key] = asked if asked in numbers else otherwise
    return int(st.selectbox(label, numbers, key=key, on_change=_run_chosen, args=(field,), width=120))


def _run_chosen(field: str) -> None:
    state.update(**{field: st.session_state[f"models.{field}"]})


def compared(score: str, new: pd.Series, old: pd.Series) -> list[str]:
    """'▼ better by 4 %', '▲ worse by 3 %', '= the same', by how far each is from the best possible value."""
    return [_compared(a, b) for a, b in zip(badness(score, new), badness(score, old), strict=True)]


def _compared(new: float, old: float) -> str:
    if pd.isna(new) or pd.isna(old):
        return theme.NO_DATA
    if abs(new - old) <= SAME * max(old, new):
        return "= the same"
    share = theme.percent(abs(new / old - 1)) if old else "all"
    return f"\u25bc better by {share}" if new < old else f"\u25b2 worse by {share}"
